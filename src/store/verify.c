#include "store/verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The order: the log's chain; packs, in parallel; what the snapshots name; then who is affected by what was found. */

void store_verify_result_release(struct store_verify_result *r)
{
    for (size_t i = 0; i < r->error_count; i++) {
        for (size_t j = 0; j < r->errors[i].path_count; j++)
            free(r->errors[i].paths[j]);
        free(r->errors[i].paths);
        free(r->errors[i].affects);
    }
    free(r->errors);
    memset(r, 0, sizeof *r);
}

enum errc verify_add_error(struct verify *v, const char *kind, const char *object, const char *message, struct err *err)
{
    struct store_verify_result *r = v->result;
    pthread_mutex_lock(&v->lock);
    enum errc rc = ERR_OK;
    if (r->error_count >= VERIFY_ERRORS_MAX) {
        v->more_errors = true;
    } else {
        rc = mem_grow(&r->errors, &v->error_cap, r->error_count + 1, sizeof *r->errors, err);
        if (rc == ERR_OK) {
            struct store_verify_error *e = &r->errors[r->error_count++];
            memset(e, 0, sizeof *e);
            snprintf(e->kind, sizeof e->kind, "%s", kind);
            snprintf(e->object, sizeof e->object, "%s", object);
            snprintf(e->message, sizeof e->message, "%s", message);
        }
    }
    pthread_mutex_unlock(&v->lock);
    return rc;
}

bool verify_out_of_time(const struct verify *v)
{
    return v->opt->deadline_ns != 0 && monotonic_ns() >= v->opt->deadline_ns;
}

/* --- the log ------------------------------------------------------------------------------------------------------ */

static const char *log_kind(enum errc loaded)
{
    if (loaded == ERR_MISSING_OBJECT)
        return "missing-log";
    return loaded == ERR_IO ? "unreadable-log" : "damaged-log";
}

static enum errc check_log(struct verify *v, struct err *err)
{
    struct digest expected = {{0}};
    bool know_expected = true;
    enum errc rc = ERR_OK;
    for (uint64_t n = 1; rc == ERR_OK && n <= v->store->head; n++) {
        struct log_body body;
        struct digest digest;
        struct err why;
        unsigned good = 3;
        char object[LOG_NAME_BYTES];
        log_name(object, n);
        enum errc loaded = log_load(v->store, n, &body, &digest, &good, &why);
        if (loaded != ERR_OK && loaded != ERR_DAMAGED && loaded != ERR_MISSING_OBJECT && loaded != ERR_FORMAT_NEWER &&
            loaded != ERR_IO) {
            if (err)
                *err = why;
            return loaded;
        }
        if (loaded != ERR_OK) {
            rc = verify_add_error(v, log_kind(loaded), object, why.message, err);
        } else {
            if (know_expected && memcmp(&body.head.prev, &expected, sizeof expected) != 0)
                rc = verify_add_error(v, "broken-chain", object, "it does not follow the record before it", err);
            if (rc == ERR_OK && good < 3)
                rc = verify_add_error(v, "damaged-copy", object,
                                      "one of its three copies is damaged; the others still serve", err);
            expected = digest;
        }
        know_expected = loaded == ERR_OK;
        log_body_release(&body);
    }
    return rc;
}
/* The next pack to look at, by whichever worker asks first. The newest come first: packs full of deltas take longest
 * for their size, and the last one of all should be a short one. Packs that were entered meanwhile have higher numbers
 * than all before: at the end of a round it is looked for them, until there are none. */
static enum errc next_pack(struct verify *v, struct catalog_pack *p, bool *more, struct err *err)
{
    enum errc rc = ERR_OK;
    pthread_mutex_lock(&v->store->lock);
    for (;;) {
        rc = catalog_pack_prev(v->store->catalog, v->last_pack, p, more, err);
        if (rc != ERR_OK)
            break;
        if (!*more || p->id <= v->floor) {
            *more = false;
            if (v->last_pack == UINT32_MAX)
                break;
            v->floor = v->top;
            v->last_pack = UINT32_MAX;
            continue;
        }
        v->last_pack = p->id;
        v->top = p->id > v->top ? p->id : v->top;
        if (v->opt->subset_t == 0 || (p->id - 1) % v->opt->subset_t == (v->opt->subset_n - 1) % v->opt->subset_t)
            break;
    }
    bool limited = rc == ERR_OK && *more &&
                   (verify_out_of_time(v) || (v->opt->subset_bytes != 0 && v->bytes_begun >= v->opt->subset_bytes));
    if (limited) {
        v->limited = true;
        *more = false;
    }
    if (rc == ERR_OK && *more) {
        v->bytes_begun += p->bytes;
        v->result->packs++;
    }
    pthread_mutex_unlock(&v->store->lock);
    return rc;
}

static void *pack_worker(void *arg)
{
    struct verify_worker *w = arg;
    struct catalog_pack p;
    bool more = true;
    while (w->rc == ERR_OK) {
        w->rc = next_pack(w->v, &p, &more, &w->err);
        if (w->rc != ERR_OK || !more)
            break;
        w->rc = verify_pack(w->v, w, &p, &w->err);
    }
    return NULL;
}

static enum errc worker_init(struct verify *v, struct verify_worker *w, struct err *err)
{
    w->v = v;
    enum errc rc = chunk_reader_new(v->store, &w->chunks, err);
    if (rc == ERR_OK)
        rc = hasher_new(&w->hasher, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&w->buffer, VERIFY_READ_BYTES + RECORD_MAX_BYTES, err);
    return rc;
}

static enum errc check_packs(struct verify *v, struct err *err)
{
    struct verify_worker workers[VERIFY_WORKERS_MAX];
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = cpus < 1 ? 1 : cpus > VERIFY_WORKERS_MAX ? VERIFY_WORKERS_MAX : (size_t)cpus, started = 0;
    enum errc rc = ERR_OK;
    memset(workers, 0, sizeof workers);
    for (; rc == ERR_OK && started < count; started++) {
        rc = worker_init(v, &workers[started], err);
        if (rc == ERR_OK && pthread_create(&workers[started].thread, NULL, pack_worker, &workers[started]) != 0)
            rc = err_fail(err, ERR_INTERNAL, "cannot start a worker");
        workers[started].running = rc == ERR_OK;
    }
    for (size_t i = 0; i < started; i++) {
        struct verify_worker *w = &workers[i];
        if (w->running)
            pthread_join(w->thread, NULL);
        if (rc == ERR_OK && w->rc != ERR_OK) {
            rc = w->rc;
            if (err)
                *err = w->err;
        }
        chunk_reader_free(w->chunks);
        hasher_free(w->hasher);
        free(w->buffer);
    }
    return rc;
}

/* --- packs that no record names ----------------------------------------------------------------------------------- */

static enum errc on_pack_name(void *arg, const char *name, struct err *err)
{
    struct verify *v = arg;
    struct digest d;
    uint32_t id;
    bool found;
    if (!hex_decode(d.b, sizeof d.b, name, strlen(name)))
        return ERR_OK;
    pthread_mutex_lock(&v->store->lock);
    enum errc rc = catalog_pack_find(v->store->catalog, &d, &found, &id, err);
    pthread_mutex_unlock(&v->store->lock);
    if (rc == ERR_OK && !found)
        v->result->unreferenced_packs++;
    return rc;
}

static enum errc count_packs(struct verify *v, uint64_t *packs_out, uint64_t *bytes_out, struct err *err)
{
    struct catalog_pack p = {0};
    bool more = true;
    enum errc rc = ERR_OK;
    *packs_out = *bytes_out = 0;
    pthread_mutex_lock(&v->store->lock);
    while (rc == ERR_OK && more) {
        rc = catalog_pack_next(v->store->catalog, p.id, &p, &more, err);
        if (rc == ERR_OK && more) {
            ++*packs_out;
            *bytes_out += p.bytes;
        }
    }
    pthread_mutex_unlock(&v->store->lock);
    return rc;
}

/* Packs that were out of reach when the catalog was made are taken in now, and not while the packs are walked. */
static enum errc expect_packs(struct verify *v, struct err *err)
{
    struct store *s = v->store;
    uint64_t packs;
    bool any;
    pthread_mutex_lock(&s->lock);
    s->retried = true;
    enum errc rc = packs_retry(s, &any, err);
    pthread_mutex_unlock(&s->lock);
    if (rc == ERR_OK)
        rc = count_packs(v, &packs, &v->bytes_expected, err);
    if (v->opt->subset_t > 1)
        v->bytes_expected /= v->opt->subset_t;
    return rc;
}

/* --- packs in doubt ----------------------------------------------------------------------------------------------- */

static bool in_doubt(const struct catalog_pack *p)
{
    return p->gaps || (p->bytes == 0 && p->records > 0);
}

static void look_again(struct verify *v, const struct catalog_pack *p, uint8_t *buffer)
{
    struct pack_reader *pack = NULL;
    struct hasher *hasher = NULL;
    struct digest digest;
    struct err ignored;
    bool whole = pack_reader_open(v->store, &p->name, &pack, &ignored) == ERR_OK &&
                 hasher_new(&hasher, &ignored) == ERR_OK &&
                 verify_hash_pack(pack, hasher, buffer, &digest, &ignored) == ERR_OK &&
                 memcmp(&digest, &p->name, sizeof digest) == 0;
    hasher_free(hasher);
    pack_reader_free(pack);
    pthread_mutex_lock(&v->store->lock);
    if (whole)
        (void)!pack_trust(v->store, p, &ignored); /* what fails is tried again by the next verification */
    pthread_mutex_unlock(&v->store->lock);
}

/* Of packs that were found damaged before the catalog forgot all or some. Those that hash to their names were put right
 * since: they count again, before anything relies on what they hold. */
static enum errc settle_doubts(struct verify *v, struct err *err)
{
    struct catalog_pack p = {0};
    uint8_t *buffer = NULL;
    bool more = true;
    enum errc rc = ERR_OK;
    while (rc == ERR_OK) {
        pthread_mutex_lock(&v->store->lock);
        rc = catalog_pack_next(v->store->catalog, p.id, &p, &more, err);
        pthread_mutex_unlock(&v->store->lock);
        if (rc != ERR_OK || !more)
            break;
        if (!in_doubt(&p))
            continue;
        if (!buffer)
            rc = mem_alloc(&buffer, VERIFY_READ_BYTES, err);
        if (rc == ERR_OK)
            look_again(v, &p, buffer);
        if (rc == ERR_OK && diag_interrupted(v->opt->diag))
            rc = err_fail(err, ERR_INTERRUPTED, "interrupted; no record of this verification was kept");
    }
    free(buffer);
    return rc;
}

/* Never "no damage" of packs that were not looked at. */
static enum errc count_again(struct verify *v, struct err *err)
{
    uint64_t packs, bytes;
    enum errc rc = count_packs(v, &packs, &bytes, err);
    if (rc == ERR_OK && v->opt->subset_t <= 1 && v->result->packs < packs)
        v->limited = true;
    return rc;
}

enum errc store_verify(struct store *s, const struct store_verify_options *opt, struct store_verify_result *out,
                       struct err *err)
{
    struct verify v = {.store = s, .opt = opt, .result = out, .last_pack = UINT32_MAX};
    memset(out, 0, sizeof *out);
    pthread_mutex_init(&v.lock, NULL);
    enum errc rc = verify_small_files(&v, err);
    if (rc == ERR_OK)
        rc = check_log(&v, err);
    if (rc == ERR_OK)
        rc = expect_packs(&v, err);
    if (rc == ERR_OK)
        rc = settle_doubts(&v, err);
    if (rc == ERR_OK)
        rc = check_packs(&v, err);
    if (rc == ERR_OK)
        rc = count_again(&v, err);
    if (rc == ERR_OK)
        rc = backend_list(s->backend, "packs", on_pack_name, &v, err);
    if (rc == ERR_OK)
        rc = verify_lists(&v, err);
    if (rc == ERR_OK)
        rc = verify_forget_bad(&v, err);
    if (rc == ERR_OK && v.more_errors)
        diag_message(opt->diag, DIAG_WARNING, "damaged", "more damage was found than the %d cases that are listed",
                     VERIFY_ERRORS_MAX);
    out->complete = !v.limited;
    verify_release(&v);
    pthread_mutex_destroy(&v.lock);
    return rc;
}

enum errc store_check_packs(struct store *s, const struct digest *packs, size_t count, const struct diag *diag,
                            struct err *err)
{
    struct store_verify_options opt = {.read_data = true, .diag = diag};
    struct store_verify_result result = {0};
    struct verify v = {.store = s, .opt = &opt, .result = &result};
    struct verify_worker w = {0};
    pthread_mutex_init(&v.lock, NULL);
    enum errc rc = worker_init(&v, &w, err);
    for (size_t i = 0; rc == ERR_OK && i < count; i++) {
        struct catalog_pack p = {.name = packs[i]};
        rc = verify_pack(&v, &w, &p, err);
    }
    if (rc == ERR_OK && result.error_count > 0)
        rc = err_fail(err, ERR_DAMAGED, "%s: %s", result.errors[0].object, result.errors[0].message);
    chunk_reader_free(w.chunks);
    hasher_free(w.hasher);
    free(w.buffer);
    verify_release(&v);
    store_verify_result_release(&result);
    pthread_mutex_destroy(&v.lock);
    return rc;
}
