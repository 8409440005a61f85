#include "catalog/db.h"

#include <errno.h>
#include <string.h>

static const char *const sql_of[STMT_COUNT] = {
#define X(id, sql) [id] = (sql),
#include "catalog/statements.def"
#undef X
};

static enum errc code_of(sqlite3 *db)
{
    int extended = sqlite3_extended_errcode(db);

    if (extended == SQLITE_IOERR_SHORT_READ || extended == SQLITE_IOERR_CORRUPTFS || extended == SQLITE_IOERR_DATA)
        return ERR_CATALOG;
    if (extended == SQLITE_READONLY_DBMOVED) /* taken away under us */
        return ERR_CATALOG;
    switch (extended & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_ERROR: /* a table or column that is not there */
    case SQLITE_SCHEMA:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
        return ERR_CATALOG;
    case SQLITE_NOMEM:
        return ERR_NO_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_LOCKED;
    case SQLITE_FULL:
        return ERR_NO_SPACE;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return ERR_READ_ONLY;
    case SQLITE_TOOBIG:
        return ERR_LIMIT;
    default:
        return ERR_IO;
    }
}

enum errc db_fail(sqlite3 *db, struct err *err, const char *what)
{
    enum errc code = code_of(db);
    int saved = sqlite3_system_errno(db);
    enum errc rc;

    if (code == ERR_IO && (saved == ENOSPC || saved == EDQUOT))
        code = ERR_NO_SPACE;
    rc = err_fail(err, code, "catalog: %s: %s", what, sqlite3_errmsg(db));
    if (err && (code == ERR_IO || code == ERR_NO_SPACE))
        err->sys_errno = saved;
    return rc;
}

enum errc db_bad_row(struct err *err, const char *what)
{
    return err_fail(err, ERR_CATALOG, "catalog: %s is not what was written there", what);
}

enum errc db_recode(enum errc rc, struct err *err)
{
    if (rc != ERR_DAMAGED && rc != ERR_FORMAT_NEWER && rc != ERR_LIMIT)
        return rc;
    (void)err_wrap(err, "catalog");
    (void)err_recode(err, ERR_CATALOG);
    return ERR_CATALOG;
}

enum errc db_prepare(struct catalog *c, const char *sql, sqlite3_stmt **out, struct err *err)
{
    if (sqlite3_prepare_v3(c->db, sql, -1, 0, out, NULL) != SQLITE_OK)
        return db_fail(c->db, err, "cannot prepare a query");
    return ERR_OK;
}

enum errc db_stmt(struct catalog *c, enum stmt_id id, sqlite3_stmt **out, struct err *err)
{
    if (!c->stmts[id] &&
        sqlite3_prepare_v3(c->db, sql_of[id], -1, SQLITE_PREPARE_PERSISTENT, &c->stmts[id], NULL) != SQLITE_OK)
        return db_fail(c->db, err, "cannot prepare a statement");
    REQUIRE(!sqlite3_stmt_busy(c->stmts[id]));
    *out = c->stmts[id];
    return ERR_OK;
}

enum errc db_row(struct catalog *c, sqlite3_stmt *s, bool *row_out, struct err *err)
{
    enum errc rc = ERR_OK;
    int step = sqlite3_step(s);

    *row_out = step == SQLITE_ROW;
    if (step == SQLITE_ROW)
        return ERR_OK;
    if (step != SQLITE_DONE)
        rc = db_fail(c->db, err, "cannot read or write");
    db_done(s);
    return rc;
}

enum errc db_run(struct catalog *c, sqlite3_stmt *s, struct err *err)
{
    bool row = true;
    enum errc rc = ERR_OK;

    while (rc == ERR_OK && row)
        rc = db_row(c, s, &row, err);
    return rc;
}

enum errc db_exec(struct catalog *c, const char *sql, struct err *err)
{
    if (sqlite3_exec(c->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return db_fail(c->db, err, "cannot read or write");
    return ERR_OK;
}

void db_bind_int(sqlite3_stmt *s, int index, uint64_t v)
{
    REQUIRE(sqlite3_bind_int64(s, index, (sqlite3_int64)v) == SQLITE_OK);
}

void db_bind_blob(sqlite3_stmt *s, int index, const void *data, size_t len)
{
    REQUIRE(sqlite3_bind_blob64(s, index, data, len, SQLITE_STATIC) == SQLITE_OK);
}

void db_bind_text(sqlite3_stmt *s, int index, const char *text)
{
    REQUIRE(sqlite3_bind_text(s, index, text, -1, SQLITE_STATIC) == SQLITE_OK);
}

struct bytes db_bytes(sqlite3_stmt *s, int column)
{
    const uint8_t *data = sqlite3_column_blob(s, column); /* before its length, as SQLite wants it */
    int len = sqlite3_column_bytes(s, column);

    return (struct bytes){.data = data, .len = data ? (size_t)len : 0};
}

enum errc db_copy(sqlite3_stmt *s, int column, void *dst, size_t len, struct err *err)
{
    struct bytes v = db_bytes(s, column);

    if (v.len != len)
        return db_bad_row(err, sqlite3_column_name(s, column));
    memcpy(dst, v.data, len);
    return ERR_OK;
}
