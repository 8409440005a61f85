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
    enum errc rc = ERR_OK;
    if (!r->chunks)
        rc = mem_alloc(&r->chunks, ROWS * sizeof *r->chunks, err);
    else if (r->count == ROWS)
        rc = flush_rows(r, err);
    if (rc != ERR_OK)
        return rc;
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
    if (rc == ERR_OK && opened != ERR_OK) {
        rc = catalog_pack_remove(s->catalog, name, err);
        if (rc == ERR_OK)
            rc = catalog_pack_add(s->catalog, name, 0, 0, 0, &rows->pack_id, err);
    } else if (rc == ERR_OK) {
        rc = flush_rows(rows, err);
    }
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
static enum errc check_chain(struct store *s, const struct log_body *body, const struct digest *digest, uint64_t seen,
                             const struct digest *seen_digest, struct err *err)
{
    if (memcmp(&body->head.prev, &s->head_digest, sizeof s->head_digest) != 0) {
        (void)err_fail(err, ERR_HISTORY, "log record %" PRIu64 " does not follow the one before it", body->head.number);
        return err_hint(err, "One of the two is not the record that was written: bring both back from a copy of the "
                             "repository; 'snap rebuild' cannot mend it.");
    }
    if (body->head.number == seen && memcmp(digest, seen_digest, sizeof *digest) != 0)
        return err_fail(err, ERR_HISTORY, "log record %" PRIu64 " is not the one that was seen here before", seen);
    return ERR_OK;
}

/* The log seems to end at head. Its end is vouched for when nothing was taken in and the note agrees: then somebody has
 * looked behind this very record before, and only a few names are tried for what was written and lost since. Whenever
 * that is not so (also after a run that stopped at a gap, and left the catalog at it), the whole log is looked through.
 * A record is never appended without that (log_append). */
static enum errc check_end(struct store *s, bool vouched, bool *again, struct err *err)
{
    enum { PROBES = 8 };
    bool beyond = !vouched;
    enum errc rc = ERR_OK;
    *again = false;
    for (uint64_t n = 2; rc == ERR_OK && !beyond && n <= PROBES; n++) {
        char name[LOG_NAME_BYTES];
        rc = backend_exists(s->backend, log_name(name, s->head + n), &beyond, NULL, err);
    }
    return rc == ERR_OK && beyond ? log_check_end(s, again, err) : rc;
}

static enum errc replay_new(struct store *s, struct rows *rows, struct err *err)
{
    uint64_t seen = 0;
    struct digest seen_digest;
    bool changed = false;
    enum errc rc =
        s->accept_history ? ERR_OK : catalog_last_seen(s->cache_dir, &s->config.id, &seen, &seen_digest, err);
    if (rc != ERR_OK)
        return rc;
    for (;;) {
        struct log_body body;
        struct digest digest;
        rc = log_load(s, s->head + 1, &body, &digest, NULL, err);
        if (rc == ERR_MISSING_OBJECT) {
            bool again, vouched = !changed && s->head > 0 && s->head == seen &&
                                  memcmp(&s->head_digest, &seen_digest, sizeof seen_digest) == 0;
            rc = check_end(s, vouched, &again, err);
            if (rc != ERR_OK)
                return rc;
            if (again)
                continue;
            break;
        }
        if (rc == ERR_DAMAGED)
            log_hint(s->head + 1, err); /* verify could not open the repository either */
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
    if (changed && !s->temporary_catalog && !s->accept_history) /* a rebuild notes it when it stands */
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
    rc = replay_new(s, &rows, err);
    free(rows.chunks);
    return rc;
}

/* --- packs that went away, or came back ----------------------------------------------------------------------------
 */

/* Entered again: without chunks when it is still lost, or when what came back cannot be read (*back is false then). */
static enum errc reenter(struct store *s, const struct catalog_pack *p, struct rows *rows, bool *back, struct err *err)
{
    struct catalog_pack now;
    if (!rows->chunks) {
        enum errc rc = mem_alloc(&rows->chunks, ROWS * sizeof *rows->chunks, err);
        if (rc != ERR_OK)
            return rc;
    }
    enum errc rc = catalog_begin(s->catalog, err);
    if (rc != ERR_OK)
        return rc;
    rc = catalog_pack_remove(s->catalog, &p->name, err);
    if (rc == ERR_OK && *back) {
        rc = take_pack(s, &p->name, rows, err);
        if (rc == ERR_OK)
            rc = catalog_pack_by_id(s->catalog, rows->pack_id, &now, err);
        *back = rc == ERR_OK && now.bytes > 0;
    } else if (rc == ERR_OK) {
        rc = catalog_pack_add(s->catalog, &p->name, 0, 0, 0, &rows->pack_id, err);
    }
    if (rc == ERR_OK)
        rc = catalog_commit(s->catalog, err);
    if (rc != ERR_OK)
        catalog_rollback(s->catalog);
    return rc;
}

static enum errc doubt(struct store *s, uint32_t pack_id, struct err *err)
{
    enum errc rc = mem_grow(&s->doubtful, &s->doubtful_cap, s->doubtful_count + 1, sizeof *s->doubtful, err);
    if (rc == ERR_OK)
        s->doubtful[s->doubtful_count++] = pack_id;
    return rc;
}

enum errc packs_look(struct store *s, struct err *err)
{
    struct rows rows = {.store = s};
    struct catalog_pack p = {0};
    uint32_t after = 0, end = UINT32_MAX; /* end: the first that was entered again here */
    bool more = true;
    enum errc rc = ERR_OK;
    s->lost_packs = false;
    s->doubtful_count = 0;
    while (rc == ERR_OK) {
        char name[PACK_NAME_BYTES];
        uint64_t size = 0;
        bool there;
        rc = catalog_pack_next(s->catalog, after, &p, &more, err);
        if (rc != ERR_OK || !more || p.id >= end)
            break;
        after = p.id;
        rc = backend_exists(s->backend, pack_name(name, &p.name), &there, &size, err);
        if (rc != ERR_OK || (there && size == p.bytes && size > 0))
            continue;
        bool back = there && p.bytes == 0 && p.records == 0 && size > 0;
        if (!back && p.records > 0)
            diag_message(s->diag, DIAG_WARNING, "missing-object",
                         "%s is %s; what it held is stored again where the source still has it", name,
                         there ? "not of its length" : "missing");
        if (back || (!there && p.records > 0)) {
            rc = reenter(s, &p, &rows, &back, err);
            if (rc == ERR_OK && rows.pack_id < end)
                end = rows.pack_id;
        } else if (there && p.records > 0) {
            rc = doubt(s, p.id, err); /* what is whole in it still serves the snapshots that need it */
        }
        s->lost_packs = s->lost_packs || !back;
    }
    free(rows.chunks);
    return rc;
}

static enum errc pass_over(void *arg, const struct record_desc *d, struct err *err)
{
    (void)arg;
    (void)d;
    (void)err;
    return ERR_OK;
}

/* Can it be read from end to end of its table now? */
static bool reads_well(struct store *s, const struct digest *name)
{
    struct pack_reader *p;
    struct err ignored;
    if (pack_reader_open(s, name, &p, &ignored) != ERR_OK)
        return false;
    bool well = pack_reader_table(p, pass_over, NULL, &ignored) == ERR_OK;
    pack_reader_free(p);
    return well;
}

enum errc packs_retry(struct store *s, bool *any_out, struct err *err)
{
    struct rows rows = {.store = s};
    struct catalog_pack p = {0};
    uint32_t end = UINT32_MAX;
    bool more = true;
    enum errc rc = ERR_OK;
    *any_out = false;
    while (rc == ERR_OK) {
        bool back = true;
        rc = catalog_pack_next(s->catalog, p.id, &p, &more, err);
        if (rc != ERR_OK || !more || p.id >= end)
            break;
        if (p.bytes > 0 || p.records > 0 || !reads_well(s, &p.name))
            continue;
        rc = reenter(s, &p, &rows, &back, err);
        if (rc == ERR_OK && rows.pack_id < end)
            end = rows.pack_id;
        *any_out = true;
    }
    free(rows.chunks);
    return rc;
}

enum errc pack_trust(struct store *s, const struct catalog_pack *p, struct err *err)
{
    struct rows rows = {.store = s, .pack_id = p->id};
    struct pack_reader *pack;
    enum errc rc = pack_reader_open(s, &p->name, &pack, err);
    if (rc != ERR_OK)
        return rc;
    rc = catalog_begin(s->catalog, err);
    if (rc == ERR_OK)
        rc = pack_reader_table(pack, on_desc, &rows, err);
    if (rc == ERR_OK)
        rc = flush_rows(&rows, err);
    if (rc == ERR_OK)
        rc = catalog_pack_trust(s->catalog, p->id, pack_reader_size(pack), err);
    if (rc == ERR_OK)
        rc = catalog_commit(s->catalog, err);
    if (rc != ERR_OK)
        catalog_rollback(s->catalog);
    pack_reader_free(pack);
    free(rows.chunks);
    return rc;
}
