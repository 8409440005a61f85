#include <string.h>

#include "base/io.h"
#include "catalog/db.h"

/* Ids of packs are never used again (AUTOINCREMENT): a removed pack's chunk rows are unseen at once, and swept later.
 */
static const char schema_sql[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE history(number INTEGER PRIMARY KEY, digest BLOB NOT NULL);"
    "CREATE TABLE pack(id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, name BLOB NOT NULL UNIQUE,"
    " bytes INTEGER NOT NULL, records INTEGER NOT NULL, hashed INTEGER NOT NULL);"
    "CREATE INDEX pack_run ON pack(run) WHERE run <> 0;"
    "CREATE TABLE chunk(name BLOB NOT NULL, pack INTEGER NOT NULL, desc BLOB NOT NULL, PRIMARY KEY(name, pack))"
    " WITHOUT ROWID;"
    "CREATE TABLE snapshot(number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, kind INTEGER NOT NULL,"
    " partial INTEGER NOT NULL, deleted INTEGER NOT NULL DEFAULT 0, damaged INTEGER NOT NULL DEFAULT 0,"
    " damaged_level INTEGER NOT NULL DEFAULT 0, verified_level INTEGER NOT NULL DEFAULT 0, verified_sec INTEGER,"
    " verified_nsec INTEGER, set_name TEXT NOT NULL, summary BLOB NOT NULL);"
    "CREATE INDEX snapshot_set ON snapshot(set_name, number);"
    "CREATE TABLE snapshot_body(number INTEGER PRIMARY KEY, body BLOB NOT NULL);"
    "CREATE TABLE snapshot_tag(number INTEGER, tag TEXT, PRIMARY KEY(number, tag)) WITHOUT ROWID;"
    "CREATE TABLE snapshot_source(number INTEGER, source TEXT, PRIMARY KEY(number, source)) WITHOUT ROWID;"
    "CREATE TABLE hold(name TEXT, snapshot BLOB, number INTEGER NOT NULL, PRIMARY KEY(name, snapshot)) WITHOUT ROWID;"
    "CREATE INDEX hold_snapshot ON hold(snapshot);"
    "CREATE TABLE run(number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, verb TEXT NOT NULL, state TEXT NOT NULL,"
    " body BLOB NOT NULL);";

enum { APPLICATION_ID = 0x534e4350 /* "SNCP" */ };

static enum errc read_int(struct catalog *c, const char *sql, int64_t *out, struct err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    enum errc rc = db_prepare(c, sql, &s, err);

    if (rc == ERR_OK)
        rc = db_row(c, s, &row, err);
    if (rc == ERR_OK)
        *out = row ? sqlite3_column_int64(s, 0) : 0;
    (void)sqlite3_finalize(s);
    return rc;
}

static enum errc set_meta(struct catalog *c, const char *key, const void *value, size_t len, struct err *err)
{
    sqlite3_stmt *s;
    enum errc rc = db_stmt(c, STMT_META_SET, &s, err);

    if (rc != ERR_OK)
        return rc;
    db_bind_text(s, 1, key);
    db_bind_blob(s, 2, value, len);
    return db_run(c, s, err);
}

static enum errc get_meta(struct catalog *c, const char *key, void *out, size_t len, struct err *err)
{
    sqlite3_stmt *s;
    bool row;
    enum errc rc = db_stmt(c, STMT_META_GET, &s, err);

    if (rc != ERR_OK)
        return rc;
    db_bind_text(s, 1, key);
    rc = db_row(c, s, &row, err);
    if (rc != ERR_OK)
        return rc;
    rc = row ? db_copy(s, 0, out, len, err) : db_bad_row(err, key);
    db_done(s);
    return rc;
}

static enum errc make_tables(struct catalog *c, const struct repo_id *repo, struct err *err)
{
    uint8_t writer[8];
    char pragmas[96];
    enum errc rc = io_random(writer, sizeof writer, err);

    if (rc == ERR_OK)
        rc = db_exec(c, schema_sql, err);
    if (rc == ERR_OK)
        rc = set_meta(c, "repository", repo->b, sizeof repo->b, err);
    if (rc == ERR_OK)
        rc = set_meta(c, "writer", writer, sizeof writer, err);
    if (rc != ERR_OK)
        return rc;
    (void)sqlite3_snprintf(sizeof pragmas, pragmas, "PRAGMA application_id = %d; PRAGMA user_version = %d",
                           APPLICATION_ID, CATALOG_SCHEMA);
    return db_exec(c, pragmas, err);
}

static enum errc is_empty(struct catalog *c, bool *empty_out, struct err *err)
{
    int64_t version = 0, tables = 0;
    enum errc rc = read_int(c, "PRAGMA user_version", &version, err);

    *empty_out = false;
    if (rc != ERR_OK || version != 0)
        return rc;
    rc = read_int(c, "SELECT count(*) FROM sqlite_schema", &tables, err);
    *empty_out = tables == 0;
    return rc;
}

static enum errc check_tables(struct catalog *c, const struct repo_id *repo, struct err *err)
{
    int64_t version = 0, application = 0;
    struct repo_id stored;
    enum errc rc = read_int(c, "PRAGMA user_version", &version, err);

    if (rc == ERR_OK)
        rc = read_int(c, "PRAGMA application_id", &application, err);
    if (rc != ERR_OK)
        return rc;
    if (version != CATALOG_SCHEMA || application != APPLICATION_ID)
        return err_fail(err, ERR_CATALOG, "the catalog has schema version %lld; this program uses %d",
                        (long long)version, CATALOG_SCHEMA);
    rc = get_meta(c, "repository", stored.b, sizeof stored.b, err);
    if (rc == ERR_OK && memcmp(stored.b, repo->b, sizeof stored.b) != 0)
        return err_fail(err, ERR_CATALOG, "the catalog belongs to another repository");
    return rc;
}

enum errc schema_ensure(struct catalog *c, const struct repo_id *repo, struct err *err)
{
    struct change x;
    bool empty;
    enum errc rc = is_empty(c, &empty, err);

    if (rc != ERR_OK)
        return rc;
    if (empty) {
        rc = change_begin(c, &x, err);
        if (rc != ERR_OK)
            return rc;
        rc = is_empty(c, &empty, err); /* another process may have been first */
        if (rc == ERR_OK && empty)
            rc = make_tables(c, repo, err);
        rc = change_end(c, &x, rc, err);
        c->wrote = false;
    }
    return rc == ERR_OK ? check_tables(c, repo, err) : rc;
}

enum errc catalog_writer_id(struct catalog *c, uint8_t out[8], struct err *err)
{
    return get_meta(c, "writer", out, 8, err);
}
