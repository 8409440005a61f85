#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

/* The catalog follows the log: record by record, and for a snapshot the tables of the packs it added. */

enum { ROWS = 64 * 1024 };

struct rows {
    struct store *store;
    struct catalog_chunk *chunks;
    size_t count;
    uint32_t pack_id;
};

static enum errc flush_rows(struct rows *r, struct err *err)
{
    enum errc rc = catalog_chunks_add(r->store->catalog, r->chunks, r->count, err);
    r->count = 0;
    return rc;
}

static enum errc on_desc(void *arg, const struct record_desc *d, struct err *err)
{
    struct rows *r = arg;
    if (r->count == ROWS) {
        enum errc rc = flush_rows(r, err);
        if (rc != ERR_OK)
            return rc;
    }
    r->chunks[r->count++] = (struct catalog_chunk){.pack_id = r->pack_id, .desc = *d};
    return ERR_OK;
}

/* A pack that is missing or whose table is damaged is entered without chunks: what is lost with it is named by verify,
 * and a later backup stores it again. */
static enum errc take_pack(struct store *s, const struct digest *name, struct rows *rows, struct err *err)
{
    struct pack_reader *p = NULL;
    bool found;
    enum errc rc = catalog_pack_find(s->catalog, name, &found, &rows->pack_id, err);
    if (rc != ERR_OK || found)
        return rc;
    struct err why;
    enum errc opened = pack_reader_open(s, name, &p, &why);
    uint64_t bytes = opened == ERR_OK ? pack_reader_size(p) : 0;
    uint32_t count = opened == ERR_OK ? pack_reader_count(p) : 0;
    rc = catalog_pack_add(s->catalog, name, bytes, count, 0, &rows->pack_id, err);
    if (rc == ERR_OK && opened == ERR_OK)
        opened = pack_reader_table(p, on_desc, rows, &why);
    if (opened != ERR_OK)
        rows->count = 0;
    else if (rc == ERR_OK)
        rc = flush_rows(rows, err);
    pack_reader_free(p);
    if (rc == ERR_OK && opened != ERR_OK && (opened == ERR_NO_MEMORY || opened == ERR_CATALOG))
        return err_fail(err, opened, "%s", why.message);
    if (opened != ERR_OK)
        diag_message(s->diag, DIAG_WARNING, err_name(opened), "%s; run 'snap verify' to learn what needs it",
                     why.message);
    return rc;
}

static enum errc take_record(struct store *s, const struct log_body *body, const struct digest *digest,
                             struct rows *rows, struct err *err)
{
    enum errc rc = catalog_begin(s->catalog, err);
    if (rc != ERR_OK)
        return rc;
    for (size_t i = 0; rc == ERR_OK && body->head.kind == LOG_SNAPSHOT && i < body->snapshot.pack_count; i++)
        rc = take_pack(s, &body->snapshot.packs[i], rows, err);
    if (rc == ERR_OK)
        rc = catalog_apply(s->catalog, body, digest, err);
    if (rc == ERR_OK)
        rc = catalog_commit(s->catalog, err);
    if (rc != ERR_OK) {
        catalog_rollback(s->catalog);
        return rc;
    }
    s->head = body->head.number;
    s->head_digest = *digest;
    return ERR_OK;
}

/* The chain, and the note kept outside the repository. */
static enum errc check_chain(struct store *s, const struct log_body *body, const struct digest *digest,
                             uint64_t seen, const struct digest *seen_digest, struct err *err)
{
    if (memcmp(&body->head.prev, &s->head_digest, sizeof s->head_digest) != 0)
        return err_fail(err, ERR_HISTORY, "log record %" PRIu64 " does not follow the one before it",
                        body->head.number);
    if (body->head.number == seen && memcmp(digest, seen_digest, sizeof *digest) != 0)
        return err_fail(err, ERR_HISTORY, "log record %" PRIu64 " is not the one that was seen here before", seen);
    return ERR_OK;
}

static enum errc replay_new(struct store *s, struct rows *rows, struct err *err)
{
    uint64_t seen = 0;
    struct digest seen_digest;
    bool changed = false;
    enum errc rc = catalog_last_seen(s->cache_dir, &s->config.id, &seen, &seen_digest, err);
    if (rc != ERR_OK)
        return rc;
    for (;;) {
        struct log_body body;
        struct digest digest;
        rc = log_load(s, s->head + 1, &body, &digest, NULL, err);
        if (rc == ERR_MISSING_OBJECT)
            break;
        if (rc == ERR_OK)
            rc = check_chain(s, &body, &digest, seen, &seen_digest, err);
        if (rc == ERR_OK)
            rc = take_record(s, &body, &digest, rows, err);
        log_body_release(&body);
        if (rc != ERR_OK)
            return rc;
        changed = true;
    }
    if (s->head < seen)
        return err_fail(err, ERR_HISTORY,
                        "the repository's log ends at record %" PRIu64 ", but record %" PRIu64 " was seen here before",
                        s->head, seen);
    if (changed && !s->temporary_catalog)
        return catalog_set_last_seen(s->cache_dir, &s->config.id, s->head, &s->head_digest, err);
    return ERR_OK;
}

enum errc replay(struct store *s, struct err *err)
{
    struct rows rows = {.store = s};
    uint64_t number;
    struct digest digest;
    /* Another process may have brought the catalog up already. */
    enum errc rc = catalog_head(s->catalog, &number, &digest, err);
    if (rc != ERR_OK)
        return rc;
    s->head = number;
    s->head_digest = digest;
    bool exists;
    char name[LOG_NAME_BYTES];
    rc = backend_exists(s->backend, log_name(name, s->head + 1), &exists, NULL, err);
    if (rc != ERR_OK)
        return rc;
    if (exists)
        rc = mem_alloc(&rows.chunks, ROWS * sizeof *rows.chunks, err);
    if (rc == ERR_OK)
        rc = replay_new(s, &rows, err);
    free(rows.chunks);
    return rc;
}
