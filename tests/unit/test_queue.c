#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/queue.h"

static struct queue *make(size_t capacity)
{
    struct queue *q;
    struct err err;
    assert_int_equal(queue_new(capacity, &q, &err), ERR_OK);
    return q;
}

static void first_in_first_out(void **state)
{
    (void)state;
    struct queue *q = make(3);
    int items[10];
    for (int round = 0; round < 5; round++) { /* round the ring */
        assert_true(queue_push(q, &items[0]));
        assert_true(queue_push(q, &items[1]));
        assert_ptr_equal(queue_pop(q), &items[0]);
        assert_true(queue_push(q, &items[2]));
        assert_true(queue_push(q, &items[3]));
        for (int i = 1; i < 4; i++)
            assert_ptr_equal(queue_pop(q), &items[i]);
    }
    queue_free(q);
    queue_free(NULL);
}

static void q2_closed_queue_drains(void **state)
{
    (void)state;
    struct queue *q = make(4);
    int a, b;
    assert_true(queue_push(q, &a));
    assert_true(queue_push(q, &b));
    queue_close(q);
    queue_close(q);
    assert_false(queue_push(q, &a));
    assert_ptr_equal(queue_pop(q), &a);
    assert_false(queue_push(q, &a));
    assert_ptr_equal(queue_pop(q), &b);
    assert_null(queue_pop(q));
    assert_null(queue_pop(q));
    queue_free(q);
}

struct blocked {
    struct queue *q;
    atomic_int stage; /* 1 before the call that blocks, 2 behind it */
    bool pushed;
    void *popped;
    uint64_t cpu_ns;
};

static uint64_t thread_cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void *push_blocked(void *arg)
{
    struct blocked *b = arg;
    uint64_t start = thread_cpu_ns();
    atomic_store(&b->stage, 1);
    b->pushed = queue_push(b->q, b);
    b->cpu_ns = thread_cpu_ns() - start;
    atomic_store(&b->stage, 2);
    return NULL;
}

static void *pop_blocked(void *arg)
{
    struct blocked *b = arg;
    uint64_t start = thread_cpu_ns();
    atomic_store(&b->stage, 1);
    b->popped = queue_pop(b->q);
    b->cpu_ns = thread_cpu_ns() - start;
    atomic_store(&b->stage, 2);
    return NULL;
}

/* Start run, see that it blocks. */
static pthread_t start_blocked(void *(*run)(void *), struct blocked *b)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, b), 0);
    while (atomic_load(&b->stage) != 1)
        usleep(1000);
    usleep(50000);
    assert_int_equal(atomic_load(&b->stage), 1);
    return thread;
}

static void q1_push_waits_for_room(void **state)
{
    (void)state;
    struct blocked b = {.q = make(1)};
    int item;
    assert_true(queue_push(b.q, &item));
    pthread_t thread = start_blocked(push_blocked, &b);
    assert_ptr_equal(queue_pop(b.q), &item);
    pthread_join(thread, NULL);
    assert_true(b.pushed);
    assert_ptr_equal(queue_pop(b.q), &b);
    assert_true(b.cpu_ns < 20000000); /* of 50 ms waited: it slept */
    queue_free(b.q);
}

static void q1_pop_waits_for_an_item(void **state)
{
    (void)state;
    struct blocked b = {.q = make(1)};
    int item;
    pthread_t thread = start_blocked(pop_blocked, &b);
    assert_true(queue_push(b.q, &item));
    pthread_join(thread, NULL);
    assert_ptr_equal(b.popped, &item);
    assert_true(b.cpu_ns < 20000000);
    queue_free(b.q);
}

static void q2_close_wakes_all(void **state)
{
    (void)state;
    int item;
    struct blocked full[3], empty[3];
    pthread_t threads[6];
    struct queue *a = make(1), *b = make(1);
    assert_true(queue_push(a, &item));
    for (int i = 0; i < 3; i++) {
        full[i] = (struct blocked){.q = a, .pushed = true};
        empty[i] = (struct blocked){.q = b, .popped = &item};
        threads[i] = start_blocked(push_blocked, &full[i]);
        threads[3 + i] = start_blocked(pop_blocked, &empty[i]);
    }
    queue_close(a);
    queue_close(b);
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++) {
        assert_false(full[i].pushed);
        assert_null(empty[i].popped);
    }
    assert_ptr_equal(queue_pop(a), &item);
    queue_free(a);
    queue_free(b);
}

/* Many hands: every item arrives once. */
enum { HANDS = 4, EACH = 20000 };

struct hand {
    struct queue *q;
    unsigned char *items;
    size_t first;
};

static void *produce(void *arg)
{
    struct hand *h = arg;
    for (size_t i = 0; i < EACH; i++)
        if (!queue_push(h->q, h->items + h->first + i))
            return NULL;
    return h;
}

static void *consume(void *arg)
{
    struct hand *h = arg;
    for (unsigned char *item; (item = queue_pop(h->q));)
        ++*item; /* ownership was handed over, so no lock */
    return NULL;
}

static void each_item_arrives_once(void **state)
{
    (void)state;
    pthread_t producers[HANDS], consumers[HANDS];
    struct hand hands[HANDS];
    unsigned char *items = calloc(HANDS, EACH);
    struct queue *q = make(7);
    for (size_t i = 0; i < HANDS; i++) {
        hands[i] = (struct hand){.q = q, .items = items, .first = i * EACH};
        assert_int_equal(pthread_create(&producers[i], NULL, produce, &hands[i]), 0);
        assert_int_equal(pthread_create(&consumers[i], NULL, consume, &hands[i]), 0);
    }
    for (size_t i = 0; i < HANDS; i++) {
        void *done;
        pthread_join(producers[i], &done);
        assert_non_null(done);
    }
    queue_close(q);
    for (size_t i = 0; i < HANDS; i++)
        pthread_join(consumers[i], NULL);
    for (size_t i = 0; i < (size_t)HANDS * EACH; i++)
        assert_int_equal(items[i], 1);
    queue_free(q);
    free(items);
}

int main(void)
{
    alarm(60); /* a lost wake-up must not hang the suite */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_in_first_out),     cmocka_unit_test(q2_closed_queue_drains),
        cmocka_unit_test(q1_push_waits_for_room), cmocka_unit_test(q1_pop_waits_for_an_item),
        cmocka_unit_test(q2_close_wakes_all),     cmocka_unit_test(each_item_arrives_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
