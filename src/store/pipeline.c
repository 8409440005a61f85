#include "store/pipeline.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pipeline {
    struct session *session;
    struct list_encoder *encoder;
    struct namer *namer;
    struct batch batches[BATCHES];
    struct queue *empty, *work, *order;
    pthread_t workers[WORKERS_MAX], collector;
    unsigned worker_count;
    bool collecting;
    pthread_mutex_t lock; /* first error, encoded_all */
    pthread_cond_t encoded;
    struct err error; /* code ERR_OK: none */
};

static void fail(struct pipeline *p, const struct err *err)
{
    pthread_mutex_lock(&p->lock);
    if (p->error.code == ERR_OK)
        p->error = *err;
    pthread_cond_broadcast(&p->encoded);
    pthread_mutex_unlock(&p->lock);
    queue_close(p->empty);
    queue_close(p->work);
    queue_close(p->order);
}

static enum errc first_error(struct pipeline *p, struct err *err)
{
    pthread_mutex_lock(&p->lock);
    enum errc rc = p->error.code;
    if (rc != ERR_OK && err)
        *err = p->error;
    pthread_mutex_unlock(&p->lock);
    return rc;
}

static enum errc work_slot(struct pipeline *p, struct encoder *e, struct slot *s, uint8_t *dst, struct err *err)
{
    struct namer *namer = encoder_namer(e);
    enum errc rc = ERR_OK;
    bool known;
    if (s->want_print && !s->has_print)
        rc = namer_fingerprint(namer, s->data, s->ref.len, &s->ref.print, err);
    if (rc == ERR_OK)
        rc = namer_name(namer, CHUNK_DATA, s->data, s->ref.len, &s->ref.name, err);
    if (rc == ERR_OK)
        rc = session_index_claim(p->session->index, &s->ref.name, &known, err);
    if (rc != ERR_OK || known)
        return rc;
    rc = encoder_encode(e, &s->ref.name, CHUNK_DATA, s->data, s->ref.len, s->has_base ? &s->base : NULL, dst,
                        &s->encoded, err);
    s->store = rc == ERR_OK;
    return rc;
}

static enum errc work_batch(struct pipeline *p, struct encoder *e, struct batch *b, struct err *err)
{
    size_t used = 0;
    for (size_t i = 0; i < b->slot_count; i++) {
        struct slot *s = &b->slots[i];
        if (!s->data)
            continue;
        /* A payload is never longer than its chunk. One behind the other, small ones touch little of the buffer. */
        enum errc rc = work_slot(p, e, s, b->encoded + used, err);
        if (rc != ERR_OK)
            return rc;
        if (s->store && s->encoded.payload == b->encoded + used)
            used += s->encoded.payload_len;
    }
    return ERR_OK;
}

static void *worker(void *arg)
{
    struct pipeline *p = arg;
    struct encoder *e = NULL;
    struct batch *b;
    struct err err;
    enum errc rc = encoder_new(p->session->store, &e, &err);
    while (rc == ERR_OK && (b = queue_pop(p->work)) != NULL) {
        rc = work_batch(p, e, b, &err);
        if (rc != ERR_OK)
            break;
        pthread_mutex_lock(&p->lock);
        b->encoded_all = true;
        pthread_cond_broadcast(&p->encoded);
        pthread_mutex_unlock(&p->lock);
    }
    if (rc != ERR_OK)
        fail(p, &err);
    encoder_free(e);
    return NULL;
}

static bool wait_encoded(struct pipeline *p, const struct batch *b)
{
    pthread_mutex_lock(&p->lock);
    while (!b->encoded_all && p->error.code == ERR_OK)
        pthread_cond_wait(&p->encoded, &p->lock);
    bool ok = p->error.code == ERR_OK;
    pthread_mutex_unlock(&p->lock);
    return ok;
}

static void empty_batch(struct batch *b)
{
    b->filled = b->event_count = b->slot_count = 0;
    b->work = b->last = b->encoded_all = false;
    buf_clear(&b->meta);
}

static void *collector(void *arg)
{
    struct pipeline *p = arg;
    struct batch *b;
    struct err err;
    while ((b = queue_pop(p->order)) != NULL) {
        if (!wait_encoded(p, b))
            break;
        if (list_encoder_batch(p->encoder, b, &err) != ERR_OK) {
            fail(p, &err);
            break;
        }
        bool last = b->last;
        empty_batch(b);
        if (last || !queue_push(p->empty, b))
            break;
    }
    return NULL;
}

static enum errc start_threads(struct pipeline *p, struct err *err)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned want = cpus < 1 ? 1 : cpus > WORKERS_MAX ? WORKERS_MAX : (unsigned)cpus;
    for (unsigned i = 0; i < want; i++) {
        int failed = pthread_create(&p->workers[i], NULL, worker, p);
        if (failed != 0)
            return err_sys(err, ERR_INTERNAL, failed, "cannot start a worker");
        p->worker_count++;
    }
    int failed = pthread_create(&p->collector, NULL, collector, p);
    if (failed != 0)
        return err_sys(err, ERR_INTERNAL, failed, "cannot start the collector");
    p->collecting = true;
    return ERR_OK;
}

static enum errc make_batches(struct pipeline *p, struct err *err)
{
    enum errc rc = ERR_OK;
    for (int i = 0; rc == ERR_OK && i < BATCHES; i++) {
        struct batch *b = &p->batches[i];
        buf_init(&b->meta, BATCH_META_BYTES);
        rc = mem_alloc(&b->data, BATCH_BYTES, err);
        if (rc == ERR_OK)
            rc = mem_alloc(&b->encoded, BATCH_BYTES, err);
        if (rc == ERR_OK)
            rc = mem_alloc(&b->events, BATCH_EVENTS * sizeof *b->events, err);
        if (rc == ERR_OK)
            rc = mem_alloc(&b->slots, BATCH_SLOTS * sizeof *b->slots, err);
        if (rc == ERR_OK && !queue_push(p->empty, b))
            rc = err_fail(err, ERR_INTERNAL, "a queue was closed before it was used");
    }
    return rc;
}

enum errc pipeline_new(struct session *x, struct list_encoder *encoder, struct pipeline **out, struct err *err)
{
    struct pipeline *p;
    enum errc rc = mem_alloc(&p, sizeof *p, err);
    if (rc != ERR_OK)
        return rc;
    p->session = x;
    p->encoder = encoder;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->encoded, NULL);
    rc = queue_new(BATCHES, &p->empty, err);
    if (rc == ERR_OK)
        rc = queue_new(BATCHES, &p->work, err);
    if (rc == ERR_OK)
        rc = queue_new(BATCHES, &p->order, err);
    if (rc == ERR_OK)
        rc = namer_new(x->store->keys.naming, x->store->keys.fingerprint, &p->namer, err);
    if (rc == ERR_OK)
        rc = make_batches(p, err);
    if (rc == ERR_OK)
        rc = start_threads(p, err);
    if (rc != ERR_OK) {
        pipeline_free(p);
        return rc;
    }
    *out = p;
    return ERR_OK;
}

struct namer *pipeline_namer(struct pipeline *p)
{
    return p->namer;
}

enum errc pipeline_take(struct pipeline *p, struct batch **out, struct err *err)
{
    *out = queue_pop(p->empty);
    if (*out)
        return ERR_OK;
    enum errc rc = first_error(p, err);
    return rc != ERR_OK ? rc : err_fail(err, ERR_INTERNAL, "the pipeline was stopped");
}

enum errc pipeline_hand_in(struct pipeline *p, struct batch *b, struct err *err)
{
    b->encoded_all = !b->work;
    if ((!b->work || queue_push(p->work, b)) && queue_push(p->order, b))
        return ERR_OK;
    enum errc rc = first_error(p, err);
    return rc != ERR_OK ? rc : err_fail(err, ERR_INTERNAL, "the pipeline was stopped");
}

static void join(struct pipeline *p)
{
    if (p->collecting)
        pthread_join(p->collector, NULL);
    p->collecting = false;
    queue_close(p->work);
    while (p->worker_count > 0)
        pthread_join(p->workers[--p->worker_count], NULL);
}

enum errc pipeline_finish(struct pipeline *p, struct batch *last, struct err *err)
{
    last->last = true;
    enum errc rc = pipeline_hand_in(p, last, err);
    join(p);
    return rc == ERR_OK ? first_error(p, err) : rc;
}

void pipeline_free(struct pipeline *p)
{
    if (!p)
        return;
    if (p->collecting || p->worker_count > 0) {
        struct err stop;
        (void)err_fail(&stop, ERR_INTERRUPTED, "stopped");
        if (p->empty && p->work && p->order)
            fail(p, &stop);
        join(p);
    }
    for (int i = 0; i < BATCHES; i++) {
        free(p->batches[i].data);
        free(p->batches[i].encoded);
        free(p->batches[i].events);
        free(p->batches[i].slots);
        buf_release(&p->batches[i].meta);
    }
    queue_free(p->empty);
    queue_free(p->work);
    queue_free(p->order);
    namer_free(p->namer);
    pthread_cond_destroy(&p->encoded);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
