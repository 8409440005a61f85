/* Run records: the newest state of each. */
#include <string.h>

#include "catalog/db.h"

enum errc run_insert(struct catalog *c, const struct log_body *body, struct err *err)
{
    const struct run_record *run = &body->run;
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, STMT_RUN_FORGET, &s, err);

    if (rc != ERR_OK)
        return rc;
    db_bind_blob(s, 1, run->id.b, sizeof run->id.b);
    rc = db_run(c, s, err);
    buf_clear(&c->scratch);
    if (rc == ERR_OK)
        rc = log_body_put(&c->scratch, body, err);
    if (rc == ERR_OK)
        rc = db_stmt(c, STMT_RUN_ADD, &s, err);
    if (rc != ERR_OK)
        return rc;
    db_bind_int(s, 1, body->head.number);
    db_bind_blob(s, 2, run->id.b, sizeof run->id.b);
    db_bind_text(s, 3, run->verb ? run->verb : "");
    db_bind_text(s, 4, run->state ? run->state : "");
    db_bind_blob(s, 5, c->scratch.data, c->scratch.len);
    return db_run(c, s, err);
}

/* From a row of (number, body). */
static enum errc read_run(sqlite3_stmt *s, struct run_row *out, struct err *err)
{
    struct log_body body = {0};
    struct bytes encoded = db_bytes(s, 1);
    enum errc rc = db_recode(log_body_get(encoded.data, encoded.len, &body, err), err);

    *out = (struct run_row){0};
    if (rc != ERR_OK)
        return rc;
    out->number = db_int(s, 0);
    out->run = body.run;
    memset(&body.run, 0, sizeof body.run);
    log_body_release(&body);
    return ERR_OK;
}

enum errc catalog_run_records(struct catalog *c, const char *verb, const char *state,
                              enum errc (*fn)(void *arg, struct run_row *row, struct err *err), void *arg,
                              struct err *err)
{
    sqlite3_stmt *s = NULL;
    bool more = true;
    enum errc rc = db_prepare(c,
                              "SELECT number, body FROM run WHERE (?1 IS NULL OR verb = ?1) "
                              "AND (?2 IS NULL OR state = ?2) ORDER BY number DESC",
                              &s, err);

    if (rc != ERR_OK)
        return rc;
    db_bind_text(s, 1, verb);
    db_bind_text(s, 2, state);
    while ((rc = db_row(c, s, &more, err)) == ERR_OK && more) {
        struct run_row row;

        rc = read_run(s, &row, err);
        if (rc != ERR_OK)
            break;
        rc = fn(arg, &row, err);
        run_record_release(&row.run);
        if (rc != ERR_OK)
            break;
    }
    (void)sqlite3_finalize(s);
    return rc;
}

enum errc catalog_run(struct catalog *c, const char *hex_prefix, struct run_row *out, struct err *err)
{
    struct run_id lo, hi;
    sqlite3_stmt *s;
    bool row = false;
    enum errc rc;

    *out = (struct run_row){0};
    if (!id_range(hex_prefix, sizeof lo.b, lo.b, hi.b))
        return err_fail(err, ERR_UNKNOWN_ID, "no run has an id that begins with '%s'", hex_prefix);
    rc = db_stmt(c, STMT_RUN_PREFIX, &s, err);
    if (rc != ERR_OK)
        return rc;
    db_bind_blob(s, 1, lo.b, sizeof lo.b);
    db_bind_blob(s, 2, hi.b, sizeof hi.b);
    rc = db_row(c, s, &row, err);
    if (rc == ERR_OK && !row) {
        rc = err_fail(err, ERR_UNKNOWN_ID, "no run has an id that begins with '%s'", hex_prefix);
        return err ? err_hint(err, "Run 'snap log' to see what was done.") : rc;
    }
    if (rc == ERR_OK)
        rc = read_run(s, out, err);
    if (rc == ERR_OK)
        rc = db_row(c, s, &row, err);
    if (rc == ERR_OK && row)
        rc = err_fail(err, ERR_AMBIGUOUS_ID, "more than one run has an id that begins with '%s'", hex_prefix);
    db_done(s);
    if (rc != ERR_OK) {
        run_record_release(&out->run);
        *out = (struct run_row){0};
    }
    return rc;
}
