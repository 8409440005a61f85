#include "base/queue.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/buf.h"

struct queue {
    pthread_mutex_t lock; /* a leaf: nothing else is locked while it is held */
    pthread_cond_t has_item, has_room;
    bool closed;
    size_t capacity, first, count;
    void **slots; /* ring of capacity pointers; slots[first] is the oldest */
};

enum errc queue_new(size_t capacity, struct queue **out, struct err *err)
{
    REQUIRE(capacity > 0);
    struct queue *q;
    enum errc rc = mem_alloc(&q, sizeof *q, err);
    if (rc != ERR_OK)
        return rc;
    size_t slots = 0;
    rc = mem_grow(&q->slots, &slots, capacity, sizeof *q->slots, err);
    if (rc != ERR_OK) {
        free(q);
        return rc;
    }
    q->capacity = capacity;
    /* With default attributes none of these can fail on Linux. */
    REQUIRE(pthread_mutex_init(&q->lock, NULL) == 0);
    REQUIRE(pthread_cond_init(&q->has_item, NULL) == 0);
    REQUIRE(pthread_cond_init(&q->has_room, NULL) == 0);
    *out = q;
    return ERR_OK;
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    pthread_cond_destroy(&q->has_room);
    pthread_cond_destroy(&q->has_item);
    pthread_mutex_destroy(&q->lock);
    free(q->slots);
    free(q);
}

bool queue_push(struct queue *q, void *item)
{
    REQUIRE(item); /* NULL is what pop returns at the end */
    pthread_mutex_lock(&q->lock);
    while (!q->closed && q->count == q->capacity)
        pthread_cond_wait(&q->has_room, &q->lock);
    bool open = !q->closed;
    if (open) {
        q->slots[(q->first + q->count) % q->capacity] = item;
        q->count++;
        pthread_cond_signal(&q->has_item);
    }
    pthread_mutex_unlock(&q->lock);
    return open;
}

void *queue_pop(struct queue *q)
{
    void *item = NULL;
    pthread_mutex_lock(&q->lock);
    while (!q->closed && q->count == 0)
        pthread_cond_wait(&q->has_item, &q->lock);
    if (q->count > 0) {
        item = q->slots[q->first];
        q->first = (q->first + 1) % q->capacity;
        q->count--;
        pthread_cond_signal(&q->has_room);
    }
    pthread_mutex_unlock(&q->lock);
    return item;
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->has_item);
    pthread_cond_broadcast(&q->has_room);
    pthread_mutex_unlock(&q->lock);
}
