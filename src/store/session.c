#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "store/pipeline.h"

/* What is made so far is marked with a run number in the catalog and invisible to others until the log record stands.
 */

enum errc session_begin(struct store *s, const struct diag *diag, bool dry, struct session **out, struct err *err)
{
    struct session *x;
    REQUIRE(s->run == 0);
    if (s->read_only && !dry)
        return err_fail(err, ERR_READ_ONLY, "the repository at %s cannot be written to", s->path);
    enum errc rc = mem_alloc(&x, sizeof *x, err);
    if (rc != ERR_OK)
        return rc;
    x->store = s;
    x->diag = diag;
    x->dry = dry;
    x->run_lock = -1;
    x->since = s->head;
    pthread_mutex_lock(&s->lock);
    if (!dry)
        rc = packs_look(s, err);
    pthread_mutex_unlock(&s->lock);
    if (rc == ERR_OK && !dry)
        rc = run_mark(s, &s->run, &x->run_lock, err);
    if (rc == ERR_OK)
        rc = pack_writer_new(s, dry, &x->packs, err);
    if (rc == ERR_OK)
        rc = session_index_new(s, &x->index, err);
    if (rc != ERR_OK) {
        session_free(x);
        return rc;
    }
    pack_writer_set_index(x->packs, x->index);
    *out = x;
    return ERR_OK;
}

enum errc session_add_record(struct session *x, struct encoded *e, struct err *err)
{
    x->stats.chunks_new++;
    if (e->desc.n > 0)
        x->stats.chunks_delta++;
    x->stats.bytes_stored += e->payload_len + SEAL_TAG_BYTES;
    return pack_writer_add(x->packs, &e->desc, e->payload, e->payload_len, err);
}

struct session_stats session_stats(const struct session *x)
{
    return x->stats;
}

bool session_lost_packs(const struct session *x)
{
    return x->store->lost_packs;
}

static enum errc append(struct session *x, struct snapshot *snap, bool *stands, struct err *err)
{
    struct store *s = x->store;
    struct log_body body = {.head.kind = LOG_SNAPSHOT, .snapshot = *snap};
    pthread_mutex_lock(&s->lock);
    enum errc rc = log_append(s, &body, x->since, stands, err);
    pthread_mutex_unlock(&s->lock);
    *snap = body.snapshot;
    return rc;
}

enum errc session_commit(struct session *x, struct snapshot *snap, struct err *err)
{
    struct pack_writer_sizes sizes;
    REQUIRE(!x->dry && !x->in_list);
    uint64_t before = monotonic_ns();
    enum errc rc = pack_writer_finish(x->packs, &snap->packs, &snap->pack_count, &sizes, err);
    snap->duration_ms += (monotonic_ns() - before) / 1000000; /* so that the record's time less this is when it began */
    if (rc == ERR_OK)
        rc = io_random(snap->id.b, sizeof snap->id.b, err);
    if (rc != ERR_OK)
        return rc;
    snap->chunks_new = x->stats.chunks_new;
    snap->chunks_delta = x->stats.chunks_delta;
    snap->bytes_added = sizes.packs_bytes;
    bool stands;
    rc = append(x, snap, &stands, err);
    if (stands)
        pack_writer_keep(x->packs);
    return rc;
}

void session_free(struct session *x)
{
    if (!x)
        return;
    struct store *s = x->store;
    pack_writer_free(x->packs);
    session_index_free(x->index);
    if (s->run != 0) {
        /* After a commit no pack is marked with the run any more, and this finds nothing to forget. */
        run_unmark(s, s->run, &x->run_lock);
        s->run = 0;
        pthread_mutex_lock(&s->lock);
        runs_clean(s);
        pthread_mutex_unlock(&s->lock);
    }
    free(x);
}
