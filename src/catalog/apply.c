#include <string.h>

#include "catalog/db.h"

enum errc catalog_head(struct catalog *c, uint64_t *number_out, struct digest *digest_out, struct err *err)
{
    sqlite3_stmt *s;
    bool row;
    enum errc rc = db_stmt(c, STMT_HEAD, &s, err);

    *number_out = 0;
    memset(digest_out, 0, sizeof *digest_out);
    if (rc != ERR_OK)
        return rc;
    rc = db_row(c, s, &row, err);
    if (rc != ERR_OK || !row)
        return rc;
    *number_out = db_int(s, 0);
    rc = db_copy(s, 1, digest_out->b, sizeof digest_out->b, err);
    db_done(s);
    return rc;
}

/* Is record number, already taken in, the one with this digest? */
static enum errc is_known(struct catalog *c, uint64_t number, const struct digest *digest, bool *known_out,
                          struct err *err)
{
    sqlite3_stmt *s;
    struct digest stored;
    bool row;
    enum errc rc = db_stmt(c, STMT_HEAD_AT, &s, err);

    *known_out = false;
    if (rc != ERR_OK)
        return rc;
    db_bind_int(s, 1, number);
    rc = db_row(c, s, &row, err);
    if (rc != ERR_OK || !row)
        return rc;
    rc = db_copy(s, 0, stored.b, sizeof stored.b, err);
    db_done(s);
    *known_out = rc == ERR_OK && memcmp(stored.b, digest->b, sizeof stored.b) == 0;
    return rc;
}

static enum errc check_follows(struct catalog *c, const struct log_head *head, const struct digest *digest,
                               bool *known_out, struct err *err)
{
    struct digest last;
    uint64_t number;
    enum errc rc = catalog_head(c, &number, &last, err);

    *known_out = false;
    if (rc != ERR_OK)
        return rc;
    if (head->number >= 1 && head->number <= number) {
        rc = is_known(c, head->number, digest, known_out, err);
        if (rc != ERR_OK || *known_out)
            return rc;
    }
    if (head->number != number + 1)
        return err_fail(err, ERR_HISTORY, "log record %llu does not follow record %llu, the last one seen",
                        (unsigned long long)head->number, (unsigned long long)number);
    if (memcmp(head->prev.b, last.b, sizeof last.b) != 0)
        return err_fail(err, ERR_HISTORY, "log record %llu was made after another record %llu than the one seen before",
                        (unsigned long long)head->number, (unsigned long long)number);
    return ERR_OK;
}

static enum errc set_head(struct catalog *c, uint64_t number, const struct digest *digest, struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, STMT_HEAD_ADD, &s, err);

    if (rc != ERR_OK)
        return rc;
    db_bind_int(s, 1, number);
    db_bind_blob(s, 2, digest->b, sizeof digest->b);
    return db_run(c, s, err);
}

static enum errc apply_trash(struct catalog *c, const struct log_body *body, bool deleted, struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, STMT_SNAPSHOT_TRASH, &s, err);

    for (size_t i = 0; i < body->id_count && rc == ERR_OK; i++) {
        db_bind_blob(s, 1, body->ids[i].b, sizeof body->ids[i].b);
        db_bind_int(s, 2, deleted);
        rc = db_run(c, s, err);
    }
    return rc;
}

static enum errc apply_drop(struct catalog *c, const struct log_body *body, struct err *err)
{
    enum errc rc = ERR_OK;

    for (size_t i = 0; i < body->id_count && rc == ERR_OK; i++)
        rc = snapshot_remove(c, &body->ids[i], err);
    return rc == ERR_OK ? packs_remove(c, body->packs, body->pack_count, err) : rc;
}

/* A name that two processes gave at once holds both snapshots: nothing that was to be kept is let go. */
static enum errc apply_hold(struct catalog *c, const struct log_body *body, struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, STMT_HOLD_ADD, &s, err);

    for (size_t i = 0; i < body->id_count && rc == ERR_OK; i++) {
        db_bind_text(s, 1, body->name ? body->name : "");
        db_bind_blob(s, 2, body->ids[i].b, sizeof body->ids[i].b);
        db_bind_int(s, 3, body->head.number);
        rc = db_run(c, s, err);
    }
    return rc;
}

static enum errc apply_release(struct catalog *c, const struct log_body *body, struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, STMT_HOLD_RELEASE, &s, err);

    if (rc != ERR_OK)
        return rc;
    db_bind_text(s, 1, body->name ? body->name : "");
    return db_run(c, s, err);
}

static enum errc apply_verified(struct catalog *c, const struct log_body *body, struct err *err)
{
    enum errc rc = ERR_OK;

    for (size_t i = 0; i < body->verified_count && rc == ERR_OK; i++)
        rc = snapshot_note(c, &body->verified[i], body->head.time, err);
    return rc;
}

static enum errc apply_kind(struct catalog *c, const struct log_body *body, struct err *err)
{
    enum errc rc;

    switch (body->head.kind) {
    case LOG_SNAPSHOT:
        rc = snapshot_insert(c, body, err);
        return rc == ERR_OK ? packs_commit(c, body->snapshot.packs, body->snapshot.pack_count, err) : rc;
    case LOG_DROP:
        return apply_drop(c, body, err);
    case LOG_HOLD:
        return apply_hold(c, body, err);
    case LOG_RELEASE:
        return apply_release(c, body, err);
    case LOG_TRASH:
        return apply_trash(c, body, true, err);
    case LOG_UNTRASH:
        return apply_trash(c, body, false, err);
    case LOG_VERIFIED:
        return apply_verified(c, body, err);
    case LOG_RUN:
        return run_insert(c, body, err);
    case LOG_CHECKPOINT:
        break;
    }
    return ERR_OK; /* also for a kind that a later version writes and that may be passed over */
}

enum errc catalog_apply(struct catalog *c, const struct log_body *body, const struct digest *digest, struct err *err)
{
    struct change x;
    bool known = false;
    enum errc rc = change_begin(c, &x, err);

    if (rc != ERR_OK)
        return rc;
    rc = check_follows(c, &body->head, digest, &known, err);
    if (rc == ERR_OK && !known) {
        rc = apply_kind(c, body, err);
        if (rc == ERR_OK)
            rc = set_head(c, body->head.number, digest, err);
    }
    return change_end(c, &x, rc, err);
}
