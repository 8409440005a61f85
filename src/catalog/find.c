/* Snapshots by prefix, by place in history, by hold. */
#include <string.h>

#include "catalog/db.h"

static int hex_digit(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    if (ch >= 'a' && ch <= 'f')
        return ch - 'a' + 10;
    if (ch >= 'A' && ch <= 'F')
        return ch - 'A' + 10;
    return -1;
}

bool id_range(const char *hex, size_t id_len, uint8_t *lo, uint8_t *hi)
{
    size_t digits = strlen(hex);

    if (digits == 0 || digits > 2 * id_len)
        return false;
    memset(lo, 0x00, id_len);
    memset(hi, 0xff, id_len);
    for (size_t i = 0; i < digits; i++) {
        int v = hex_digit(hex[i]);

        if (v < 0)
            return false;
        if (i % 2 == 0) {
            lo[i / 2] = (uint8_t)(v << 4);
            hi[i / 2] = (uint8_t)(v << 4 | 0x0f);
        } else {
            lo[i / 2] |= (uint8_t)v;
            hi[i / 2] = lo[i / 2];
        }
    }
    return true;
}

enum errc catalog_snapshot_prefix(struct catalog *c, const char *hex, bool include_deleted, struct snapshot_id *out,
                                  size_t max, size_t *count_out, struct err *err)
{
    struct snapshot_id lo, hi;
    sqlite3_stmt *s;
    bool row = true;
    enum errc rc;

    *count_out = 0;
    if (max == 0 || !id_range(hex, sizeof lo.b, lo.b, hi.b))
        return ERR_OK;
    rc = db_stmt(c, STMT_SNAPSHOT_PREFIX, &s, err);
    if (rc != ERR_OK)
        return rc;
    db_bind_blob(s, 1, lo.b, sizeof lo.b);
    db_bind_blob(s, 2, hi.b, sizeof hi.b);
    db_bind_int(s, 3, include_deleted);
    db_bind_int(s, 4, max > INT64_MAX ? INT64_MAX : max);
    while ((rc = db_row(c, s, &row, err)) == ERR_OK && row && *count_out < max) {
        rc = db_copy(s, 0, out[*count_out].b, sizeof out->b, err);
        if (rc != ERR_OK)
            break;
        (*count_out)++;
    }
    db_done(s);
    return rc;
}

/* The statement is bound; its first row's first column is an id. */
static enum errc one_id(struct catalog *c, sqlite3_stmt *s, struct snapshot_id *out, bool *found_out, struct err *err)
{
    enum errc rc = db_row(c, s, found_out, err);

    if (rc == ERR_OK && *found_out)
        rc = db_copy(s, 0, out->b, sizeof out->b, err);
    db_done(s);
    return rc;
}

enum errc catalog_latest(struct catalog *c, const char *set, uint64_t back, struct snapshot_id *out, bool *found_out,
                         struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, set ? STMT_LATEST_SET : STMT_LATEST, &s, err);

    *found_out = false;
    if (rc != ERR_OK || back > INT64_MAX)
        return rc;
    db_bind_int(s, 1, back);
    if (set)
        db_bind_text(s, 2, set);
    return one_id(c, s, out, found_out, err);
}

enum errc catalog_previous(struct catalog *c, const char *set, struct snapshot_id *out, bool *found_out,
                           struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, set ? STMT_PREVIOUS_SET : STMT_PREVIOUS, &s, err);

    *found_out = false;
    if (rc != ERR_OK)
        return rc;
    if (set)
        db_bind_text(s, 1, set);
    return one_id(c, s, out, found_out, err);
}

enum errc catalog_hold(struct catalog *c, const char *name, struct snapshot_id *out, bool *found_out, struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, STMT_HOLD_FIND, &s, err);

    *found_out = false;
    if (rc != ERR_OK)
        return rc;
    db_bind_text(s, 1, name);
    return one_id(c, s, out, found_out, err);
}
