/* Snapshots going in: rows, side tables, marks. Each is part of catalog_apply's transaction. */
#include "catalog/db.h"

static enum errc add_text(struct catalog *c, enum stmt_id id, uint64_t number, const char *text, struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, id, &s, err);

    if (rc != ERR_OK)
        return rc;
    db_bind_int(s, 1, number);
    db_bind_text(s, 2, text ? text : "");
    return db_run(c, s, err);
}

/* *added_out is false when there is a snapshot with that id: the first one stands. */
static enum errc add_row(struct catalog *c, const struct log_body *body, bool *added_out, struct err *err)
{
    const struct snapshot *snap = &body->snapshot;
    sqlite3_stmt *s;
    enum errc rc = summary_put(&c->scratch, snap, err);

    if (rc == ERR_OK)
        rc = db_stmt(c, STMT_SNAPSHOT_ADD, &s, err);
    if (rc != ERR_OK)
        return rc;
    db_bind_int(s, 1, body->head.number);
    db_bind_blob(s, 2, snap->id.b, sizeof snap->id.b);
    db_bind_int(s, 3, (uint64_t)snap->kind);
    db_bind_int(s, 4, snap->partial);
    db_bind_text(s, 5, snap->set ? snap->set : "");
    db_bind_blob(s, 6, c->scratch.data, c->scratch.len);
    rc = db_run(c, s, err);
    *added_out = rc == ERR_OK && sqlite3_changes(c->db) > 0;
    return rc;
}

static enum errc add_body(struct catalog *c, const struct log_body *body, struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc;

    buf_clear(&c->scratch);
    rc = log_body_put(&c->scratch, body, err);
    if (rc == ERR_OK)
        rc = db_stmt(c, STMT_SNAPSHOT_BODY_ADD, &s, err);
    if (rc != ERR_OK)
        return rc;
    db_bind_int(s, 1, body->head.number);
    db_bind_blob(s, 2, c->scratch.data, c->scratch.len);
    return db_run(c, s, err);
}

enum errc snapshot_insert(struct catalog *c, const struct log_body *body, struct err *err)
{
    const struct snapshot *snap = &body->snapshot;
    bool added = false;
    enum errc rc = add_row(c, body, &added, err);

    if (rc != ERR_OK || !added)
        return rc;
    rc = add_body(c, body, err);
    for (size_t i = 0; i < snap->tag_count && rc == ERR_OK; i++)
        rc = add_text(c, STMT_SNAPSHOT_TAG_ADD, body->head.number, snap->tags[i], err);
    for (size_t i = 0; i < snap->item_count && rc == ERR_OK; i++)
        rc = add_text(c, STMT_SNAPSHOT_SOURCE_ADD, body->head.number, snap->items[i].source, err);
    return rc;
}

enum errc snapshot_remove(struct catalog *c, const struct snapshot_id *id, struct err *err)
{
    static const enum stmt_id drops[] = {STMT_SNAPSHOT_BODY_DROP, STMT_SNAPSHOT_TAG_DROP, STMT_SNAPSHOT_SOURCE_DROP,
                                         STMT_SNAPSHOT_DROP};
    sqlite3_stmt *s;
    uint64_t number;
    bool row;
    enum errc rc = db_stmt(c, STMT_HOLD_DROP, &s, err);

    if (rc != ERR_OK)
        return rc;
    db_bind_blob(s, 1, id->b, sizeof id->b);
    rc = db_run(c, s, err);
    if (rc == ERR_OK)
        rc = db_stmt(c, STMT_SNAPSHOT_NUMBER, &s, err);
    if (rc != ERR_OK)
        return rc;
    db_bind_blob(s, 1, id->b, sizeof id->b);
    rc = db_row(c, s, &row, err);
    if (rc != ERR_OK || !row)
        return rc;
    number = db_int(s, 0);
    db_done(s);
    for (size_t i = 0; i < sizeof drops / sizeof drops[0] && rc == ERR_OK; i++) {
        rc = db_stmt(c, drops[i], &s, err);
        if (rc != ERR_OK)
            break;
        db_bind_int(s, 1, number);
        rc = db_run(c, s, err);
    }
    return rc;
}

struct marks {
    bool damaged;
    uint32_t damaged_level, verified_level;
};

static enum errc read_marks(struct catalog *c, const struct snapshot_id *id, struct marks *out, bool *found_out,
                            struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, STMT_SNAPSHOT_MARKS, &s, err);

    if (rc != ERR_OK)
        return rc;
    db_bind_blob(s, 1, id->b, sizeof id->b);
    rc = db_row(c, s, found_out, err);
    if (rc != ERR_OK || !*found_out)
        return rc;
    out->damaged = db_int(s, 0) != 0;
    out->damaged_level = (uint32_t)db_int(s, 1);
    out->verified_level = (uint32_t)db_int(s, 2);
    db_done(s);
    return ERR_OK;
}

static enum errc mark_damaged(struct catalog *c, const struct snapshot_id *id, uint32_t level, struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, STMT_SNAPSHOT_DAMAGED, &s, err);

    if (rc != ERR_OK)
        return rc;
    db_bind_blob(s, 1, id->b, sizeof id->b);
    db_bind_int(s, 2, level);
    return db_run(c, s, err);
}

static enum errc mark_verified(struct catalog *c, const struct snapshot_id *id, uint32_t level, struct timestamp at,
                               struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, STMT_SNAPSHOT_VERIFIED, &s, err);

    if (rc != ERR_OK)
        return rc;
    db_bind_blob(s, 1, id->b, sizeof id->b);
    db_bind_int(s, 2, level);
    db_bind_int(s, 3, (uint64_t)at.sec);
    db_bind_int(s, 4, at.nsec);
    return db_run(c, s, err);
}

/* Damage stands until a verification that looked at least as deep finds nothing. A verification that is weaker than the
 * last good one does not replace it. */
enum errc snapshot_note(struct catalog *c, const struct verified *v, struct timestamp at, struct err *err)
{
    struct marks m = {0};
    bool found = false;
    enum errc rc = read_marks(c, &v->id, &m, &found, err);

    if (rc != ERR_OK || !found)
        return rc;
    if (!v->ok)
        return mark_damaged(c, &v->id, m.damaged_level | v->level, err);
    if (m.damaged && (m.damaged_level & ~v->level) != 0)
        return ERR_OK;
    if ((v->level & ~m.verified_level) == 0 && v->level != m.verified_level)
        return ERR_OK;
    return mark_verified(c, &v->id, m.verified_level | v->level, at, err);
}
