/* Snapshots coming out. */
#include <stdlib.h>
#include <string.h>

#include "catalog/db.h"

#define COLUMNS                                                                                               \
    "s.number, s.id, s.kind, s.partial, s.set_name, s.deleted, s.damaged, s.verified_level, s.verified_sec, " \
    "s.verified_nsec, s.summary"
#define FILTER                                                                                                     \
    " FROM snapshot AS s WHERE (?1 IS NULL OR s.set_name = ?1) AND (?2 = 0 OR s.kind = ?2)"                        \
    " AND (?3 = 2 OR s.deleted = ?3)"                                                                              \
    " AND (?4 IS NULL OR EXISTS (SELECT 1 FROM snapshot_source AS o WHERE o.number = s.number AND o.source = ?4))" \
    " AND (?5 IS NULL OR EXISTS (SELECT 1 FROM snapshot_tag AS t WHERE t.number = s.number AND t.tag = ?5))"

void snapshot_row_release(struct snapshot_row *r)
{
    snapshot_release(&r->snap);
    for (size_t i = 0; i < r->hold_count; i++)
        free(r->holds[i]);
    free(r->holds);
    *r = (struct snapshot_row){0};
}

static enum errc read_columns(sqlite3_stmt *s, struct snapshot_row *row, struct err *err)
{
    struct bytes set, summary;
    enum errc rc = db_copy(s, 1, row->snap.id.b, sizeof row->snap.id.b, err);

    if (rc != ERR_OK)
        return rc;
    row->sequence = db_int(s, 0);
    row->snap.kind = (enum snapshot_kind)db_int(s, 2);
    row->snap.partial = db_int(s, 3) != 0;
    row->deleted = db_int(s, 5) != 0;
    row->damaged = db_int(s, 6) != 0;
    row->verified_level = (uint32_t)db_int(s, 7);
    if (sqlite3_column_type(s, 8) != SQLITE_NULL) {
        row->verified_ok = !row->damaged;
        row->verified_at = (struct timestamp){.sec = (int64_t)db_int(s, 8), .nsec = (uint32_t)db_int(s, 9)};
    }
    set = db_bytes(s, 4);
    rc = mem_dup(&row->snap.set, set.data ? (const void *)set.data : "", set.len, err);
    if (rc != ERR_OK)
        return rc;
    summary = db_bytes(s, 10);
    return summary_get(summary.data, summary.len, &row->snap, err);
}

static enum errc read_holds(struct catalog *c, struct snapshot_row *row, struct err *err)
{
    sqlite3_stmt *s;
    size_t cap = 0;
    bool more;
    enum errc rc = db_stmt(c, STMT_HOLDS_OF, &s, err);

    if (rc != ERR_OK)
        return rc;
    db_bind_blob(s, 1, row->snap.id.b, sizeof row->snap.id.b);
    while ((rc = db_row(c, s, &more, err)) == ERR_OK && more) {
        struct bytes name = db_bytes(s, 0);

        rc = mem_grow(&row->holds, &cap, row->hold_count + 1, sizeof *row->holds, err);
        if (rc == ERR_OK)
            rc = mem_dup(&row->holds[row->hold_count], name.data ? (const void *)name.data : "", name.len, err);
        if (rc != ERR_OK)
            break;
        row->hold_count++;
    }
    db_done(s);
    return rc;
}

/* Put the whole snapshot in the place of its summary. */
static enum errc read_body(struct catalog *c, struct snapshot_row *row, struct err *err)
{
    struct log_body body = {0};
    struct bytes encoded;
    sqlite3_stmt *s;
    bool found;
    enum errc rc = db_stmt(c, STMT_SNAPSHOT_BODY, &s, err);

    if (rc != ERR_OK)
        return rc;
    db_bind_int(s, 1, row->sequence);
    rc = db_row(c, s, &found, err);
    if (rc != ERR_OK)
        return rc;
    if (!found)
        return db_bad_row(err, "a snapshot's record");
    encoded = db_bytes(s, 0);
    rc = db_recode(log_body_get(encoded.data, encoded.len, &body, err), err);
    db_done(s);
    if (rc != ERR_OK)
        return rc;
    if (memcmp(body.snapshot.id.b, row->snap.id.b, sizeof row->snap.id.b) != 0) {
        log_body_release(&body);
        return db_bad_row(err, "a snapshot's record");
    }
    snapshot_release(&row->snap);
    row->snap = body.snapshot;
    memset(&body.snapshot, 0, sizeof body.snapshot);
    log_body_release(&body);
    return ERR_OK;
}

static enum errc read_row(struct catalog *c, sqlite3_stmt *s, bool with_items, struct snapshot_row *row,
                          struct err *err)
{
    enum errc rc;

    *row = (struct snapshot_row){0};
    rc = read_columns(s, row, err);
    if (rc == ERR_OK)
        rc = read_holds(c, row, err);
    if (rc == ERR_OK && with_items)
        rc = read_body(c, row, err);
    if (rc != ERR_OK)
        snapshot_row_release(row);
    return rc;
}

static void bind_filter(sqlite3_stmt *s, const struct snapshot_filter *f)
{
    db_bind_text(s, 1, f->set);
    db_bind_int(s, 2, (uint64_t)f->kind);
    db_bind_int(s, 3, f->any_deleted ? 2 : f->deleted);
    db_bind_text(s, 4, f->source);
    db_bind_text(s, 5, f->tag);
}

/* Number of the first of the newest f->last; 0 when there are not that many. */
static enum errc first_of_last(struct catalog *c, const struct snapshot_filter *f, uint64_t *number_out,
                               struct err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    enum errc rc;

    *number_out = 0;
    if (f->last == 0 || f->last > INT64_MAX)
        return ERR_OK;
    rc = db_prepare(c, "SELECT s.number" FILTER " ORDER BY s.number DESC LIMIT 1 OFFSET ?6", &s, err);
    if (rc != ERR_OK)
        return rc;
    bind_filter(s, f);
    db_bind_int(s, 6, f->last - 1);
    rc = db_row(c, s, &row, err);
    if (rc == ERR_OK && row)
        *number_out = db_int(s, 0);
    (void)sqlite3_finalize(s);
    return rc;
}

enum errc catalog_snapshots(struct catalog *c, const struct snapshot_filter *f,
                            enum errc (*fn)(void *arg, struct snapshot_row *row, struct err *err), void *arg,
                            struct err *err)
{
    sqlite3_stmt *s = NULL;
    uint64_t first;
    bool more = true;
    enum errc rc = first_of_last(c, f, &first, err);

    /* A statement of its own: fn may come back here. */
    if (rc == ERR_OK)
        rc = db_prepare(c, "SELECT " COLUMNS FILTER " AND s.number >= ?6 ORDER BY s.number", &s, err);
    if (rc != ERR_OK)
        return rc;
    bind_filter(s, f);
    db_bind_int(s, 6, first);
    while ((rc = db_row(c, s, &more, err)) == ERR_OK && more) {
        struct snapshot_row row;

        rc = read_row(c, s, f->with_items, &row, err);
        if (rc != ERR_OK)
            break;
        rc = fn(arg, &row, err);
        snapshot_row_release(&row);
        if (rc != ERR_OK)
            break;
    }
    (void)sqlite3_finalize(s);
    return rc;
}

enum errc catalog_snapshot(struct catalog *c, const struct snapshot_id *id, struct snapshot_row *out, bool *found_out,
                           struct err *err)
{
    sqlite3_stmt *s = NULL;
    enum errc rc = db_prepare(c, "SELECT " COLUMNS " FROM snapshot AS s WHERE s.id = ?1", &s, err);

    *out = (struct snapshot_row){0};
    *found_out = false;
    if (rc != ERR_OK)
        return rc;
    db_bind_blob(s, 1, id->b, sizeof id->b);
    rc = db_row(c, s, found_out, err);
    if (rc == ERR_OK && *found_out)
        rc = read_row(c, s, true, out, err);
    (void)sqlite3_finalize(s);
    return rc;
}

enum errc catalog_sets(struct catalog *c, enum errc (*fn)(void *arg, const char *set, struct err *err), void *arg,
                       struct err *err)
{
    sqlite3_stmt *s = NULL;
    bool more = true;
    enum errc rc = db_prepare(c, "SELECT DISTINCT set_name FROM snapshot ORDER BY set_name", &s, err);

    if (rc != ERR_OK)
        return rc;
    while ((rc = db_row(c, s, &more, err)) == ERR_OK && more) {
        const unsigned char *set = sqlite3_column_text(s, 0);

        rc = fn(arg, set ? (const char *)set : "", err);
        if (rc != ERR_OK)
            break;
    }
    (void)sqlite3_finalize(s);
    return rc;
}
