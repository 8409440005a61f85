#include <stdlib.h>

#include "catalog/db.h"

/* Borrowed rows: the statement stands on a row of (id, run). */
static enum errc find_pack(struct catalog *c, const struct digest *name, bool *found_out, uint32_t *id_out,
                           uint64_t *run_out, struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, STMT_PACK_FIND, &s, err);

    if (rc != ERR_OK)
        return rc;
    db_bind_blob(s, 1, name->b, sizeof name->b);
    rc = db_row(c, s, found_out, err);
    if (rc == ERR_OK && *found_out) {
        *id_out = (uint32_t)db_int(s, 0);
        *run_out = db_int(s, 1);
        db_done(s);
    }
    return rc;
}

enum errc catalog_pack_find(struct catalog *c, const struct digest *name, bool *found_out, uint32_t *pack_id_out,
                            struct err *err)
{
    uint64_t run;

    return find_pack(c, name, found_out, pack_id_out, &run, err);
}

static enum errc insert_pack(struct catalog *c, const struct catalog_pack *p, uint32_t *id_out, struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, STMT_PACK_ADD, &s, err);

    if (rc != ERR_OK)
        return rc;
    db_bind_int(s, 1, p->run);
    db_bind_blob(s, 2, p->name.b, sizeof p->name.b);
    db_bind_int(s, 3, p->bytes);
    db_bind_int(s, 4, p->records);
    rc = db_run(c, s, err);
    if (rc != ERR_OK)
        return rc;
    if (sqlite3_last_insert_rowid(c->db) > UINT32_MAX)
        return err_fail(err, ERR_CATALOG, "the catalog has no pack numbers left");
    *id_out = (uint32_t)sqlite3_last_insert_rowid(c->db);
    return ERR_OK;
}

enum errc catalog_pack_add(struct catalog *c, const struct digest *name, uint64_t bytes, uint32_t records, uint64_t run,
                           uint32_t *pack_id_out, struct err *err)
{
    struct catalog_pack p = {.name = *name, .bytes = bytes, .records = records, .run = run};
    struct change x;
    uint64_t old_run = 0;
    bool found = false;
    enum errc rc = change_begin(c, &x, err);

    if (rc != ERR_OK)
        return rc;
    rc = find_pack(c, name, &found, pack_id_out, &old_run, err);
    if (rc == ERR_OK && !found)
        rc = insert_pack(c, &p, pack_id_out, err);
    else if (rc == ERR_OK && run == 0 && old_run != 0)
        rc = packs_commit(c, name, 1, err);
    return change_end(c, &x, rc, err);
}

enum errc packs_commit(struct catalog *c, const struct digest *names, size_t count, struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, STMT_PACK_COMMIT, &s, err);

    for (size_t i = 0; i < count && rc == ERR_OK; i++) {
        db_bind_blob(s, 1, names[i].b, sizeof names[i].b);
        rc = db_run(c, s, err);
    }
    return rc;
}

/* Remember, in the same transaction, that chunk rows without a pack are there. */
static enum errc note_rows_left(struct catalog *c, struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, STMT_ROWS_LEFT, &s, err);

    return rc == ERR_OK ? db_run(c, s, err) : rc;
}

enum errc packs_remove(struct catalog *c, const struct digest *names, size_t count, struct err *err)
{
    sqlite3_stmt *s;
    bool removed = false;
    enum errc rc = db_stmt(c, STMT_PACK_REMOVE, &s, err);

    for (size_t i = 0; i < count && rc == ERR_OK; i++) {
        db_bind_blob(s, 1, names[i].b, sizeof names[i].b);
        rc = db_run(c, s, err);
        removed = removed || (rc == ERR_OK && sqlite3_changes(c->db) > 0);
    }
    return rc == ERR_OK && removed ? note_rows_left(c, err) : rc;
}

enum errc catalog_pack_remove(struct catalog *c, const struct digest *name, struct err *err)
{
    struct change x;
    enum errc rc = change_begin(c, &x, err);

    return rc == ERR_OK ? change_end(c, &x, packs_remove(c, name, 1, err), err) : rc;
}

enum errc catalog_pack_doubt(struct catalog *c, const struct digest *name, struct err *err)
{
    sqlite3_stmt *s;
    struct change x;
    enum errc rc = change_begin(c, &x, err);

    if (rc != ERR_OK)
        return rc;
    rc = db_stmt(c, STMT_PACK_DOUBT, &s, err);
    if (rc == ERR_OK) {
        db_bind_blob(s, 1, name->b, sizeof name->b);
        rc = db_run(c, s, err);
    }
    return change_end(c, &x, rc, err);
}

enum errc catalog_pack_hashed(struct catalog *c, uint32_t pack_id, struct err *err)
{
    sqlite3_stmt *s;
    struct change x;
    enum errc rc = change_begin(c, &x, err);

    if (rc != ERR_OK)
        return rc;
    rc = db_stmt(c, STMT_PACK_HASHED, &s, err);
    if (rc == ERR_OK) {
        db_bind_int(s, 1, pack_id);
        rc = db_run(c, s, err);
    }
    return change_end(c, &x, rc, err);
}

enum errc catalog_pack_trust(struct catalog *c, uint32_t pack_id, uint64_t bytes, struct err *err)
{
    sqlite3_stmt *s;
    struct change x;
    enum errc rc = change_begin(c, &x, err);

    if (rc != ERR_OK)
        return rc;
    rc = db_stmt(c, STMT_PACK_TRUST, &s, err);
    if (rc == ERR_OK) {
        db_bind_int(s, 1, pack_id);
        db_bind_int(s, 2, bytes);
        rc = db_run(c, s, err);
    }
    return change_end(c, &x, rc, err);
}

enum errc catalog_runs(struct catalog *c, uint64_t **out, size_t *count_out, struct err *err)
{
    sqlite3_stmt *s;
    size_t cap = 0;
    bool row = true;
    enum errc rc = db_stmt(c, STMT_RUNS, &s, err);

    *out = NULL;
    *count_out = 0;
    if (rc != ERR_OK)
        return rc;
    while ((rc = db_row(c, s, &row, err)) == ERR_OK && row) {
        rc = mem_grow(out, &cap, *count_out + 1, sizeof **out, err);
        if (rc != ERR_OK)
            break;
        (*out)[(*count_out)++] = db_int(s, 0);
    }
    db_done(s);
    if (rc != ERR_OK) {
        free(*out);
        *out = NULL;
        *count_out = 0;
    }
    return rc;
}

static bool is_live(uint64_t run, const uint64_t *live, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (live[i] == run)
            return true;
    return false;
}

static enum errc drop_run(struct catalog *c, uint64_t run, struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, STMT_RUN_DROP, &s, err);

    if (rc != ERR_OK)
        return rc;
    db_bind_int(s, 1, run);
    rc = db_run(c, s, err);
    return rc == ERR_OK ? note_rows_left(c, err) : rc;
}

enum errc catalog_drop_runs(struct catalog *c, const uint64_t *live, size_t count, struct err *err)
{
    uint64_t *runs = NULL;
    size_t run_count = 0;
    struct change x;
    enum errc rc = change_begin(c, &x, err);

    if (rc != ERR_OK)
        return rc;
    rc = catalog_runs(c, &runs, &run_count, err);
    for (size_t i = 0; i < run_count && rc == ERR_OK; i++)
        if (!is_live(runs[i], live, count))
            rc = drop_run(c, runs[i], err);
    free(runs);
    return change_end(c, &x, rc, err);
}

static enum errc read_pack(struct catalog *c, enum stmt_id id, uint32_t key, struct catalog_pack *out, bool *found_out,
                           struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, id, &s, err);

    *found_out = false;
    if (rc != ERR_OK)
        return rc;
    db_bind_int(s, 1, key);
    rc = db_row(c, s, found_out, err);
    if (rc != ERR_OK || !*found_out)
        return rc;
    out->id = (uint32_t)db_int(s, 0);
    out->bytes = db_int(s, 2);
    out->records = (uint32_t)db_int(s, 3);
    out->run = db_int(s, 4);
    out->hashed = db_int(s, 5) == 1;
    out->gaps = db_int(s, 5) == 2;
    rc = db_copy(s, 1, out->name.b, sizeof out->name.b, err);
    db_done(s);
    return rc;
}

enum errc catalog_pack_by_id(struct catalog *c, uint32_t pack_id, struct catalog_pack *out, struct err *err)
{
    bool found;
    enum errc rc = read_pack(c, STMT_PACK_BY_ID, pack_id, out, &found, err);

    if (rc == ERR_OK && !found)
        return err_fail(err, ERR_MISSING_OBJECT, "the catalog has no pack with number %u (any more)", pack_id);
    return rc;
}

enum errc catalog_pack_next(struct catalog *c, uint32_t after, struct catalog_pack *out, bool *found_out,
                            struct err *err)
{
    return read_pack(c, STMT_PACK_NEXT, after, out, found_out, err);
}

enum errc catalog_pack_prev(struct catalog *c, uint32_t before, struct catalog_pack *out, bool *found_out,
                            struct err *err)
{
    return read_pack(c, STMT_PACK_PREV, before, out, found_out, err);
}

/* --- sweeping chunk rows -------------------------------------------------------------------------------------------
 */

/* One part of the 256 that the first byte of a name makes, so that the log stays small and others get their turn. */
static enum errc sweep_part(struct catalog *c, int part)
{
    const uint8_t from = (uint8_t)part, to = (uint8_t)(part + 1);
    struct change x;
    sqlite3_stmt *s;
    enum errc rc = change_begin(c, &x, NULL);

    if (rc != ERR_OK)
        return rc;
    rc = db_stmt(c, part < 255 ? STMT_CHUNK_SWEEP : STMT_CHUNK_SWEEP_LAST, &s, NULL);
    if (rc == ERR_OK) {
        db_bind_blob(s, 1, &from, 1);
        if (part < 255)
            db_bind_blob(s, 2, &to, 1);
        rc = db_run(c, s, NULL);
    }
    return change_end(c, &x, rc, NULL);
}

void packs_sweep_rows(struct catalog *c)
{
    sqlite3_stmt *s;
    struct change x;
    uint64_t left = 0;
    bool row = false;
    enum errc rc = db_stmt(c, STMT_META_GET, &s, NULL);

    if (rc != ERR_OK)
        return;
    db_bind_text(s, 1, "rows_left");
    rc = db_row(c, s, &row, NULL);
    if (rc != ERR_OK || !row)
        return;
    left = db_int(s, 0);
    db_done(s);
    c->wait_ms = CATALOG_SWEEP_WAIT_MS; /* nobody waits long for a sweep to end */
    for (int part = 0; part < 256 && rc == ERR_OK; part++)
        rc = sweep_part(c, part);
    if (rc != ERR_OK || change_begin(c, &x, NULL) != ERR_OK)
        return;
    rc = db_stmt(c, STMT_ROWS_SWEPT, &s, NULL);
    if (rc == ERR_OK) {
        db_bind_int(s, 1, left); /* not when packs were removed meanwhile */
        rc = db_run(c, s, NULL);
    }
    rc = change_end(c, &x, rc, NULL);
    (void)rc;
}
