/* The catalog's database handle: statements, errors, transactions. Layer: catalog, private to it.
 *
 * Locks: <dir>/catalog.lock carries three one-byte record locks that the kernel drops with the process.
 *   BYTE_IN_USE   shared while a catalog is open; exclusive to take its files away (SQLite's files must not be unlinked
 *                 under a user).
 *   BYTE_WRITING  exclusive from the begin of a write transaction to the end of its commit, checkpoint included:
 *                 SQLite before 3.51.3 can lose a commit when a checkpoint races a write of another process.
 *   BYTE_BUILDING exclusive while a new catalog is made beside the one in use.
 * Order: BYTE_BUILDING before BYTE_IN_USE before BYTE_WRITING before SQLite's own.
 */
#ifndef SNAP_CATALOG_DB_H
#define SNAP_CATALOG_DB_H

#include <sqlite3.h>

#include "catalog/catalog.h"

enum stmt_id {
#define X(id, sql) id,
#include "catalog/statements.def"
#undef X
    STMT_COUNT
};

struct catalog {
    sqlite3 *db;
    int lock_fd;       /* -1: a temporary catalog, or a file system without locks */
    unsigned wait_ms;  /* for the right to write */
    bool write_locked; /* this handle has BYTE_WRITING */
    bool wrote;        /* a change was committed: look for chunk rows to sweep at close */
    sqlite3_stmt *stmts[STMT_COUNT];
    struct buf scratch; /* for encoding one value */
};

enum {
    CATALOG_BUSY_MS = 60 * 1000,
    CATALOG_REMOVE_WAIT_MS = 5000,
    CATALOG_SWEEP_WAIT_MS = 200,
    CATALOG_BLOB_MAX_BYTES = 2 * LOG_RECORD_MAX_BYTES
};

/* --- errors --- */

/* Fill err from the database's last error. Corruption and a schema that does not fit are ERR_CATALOG. */
enum errc db_fail(sqlite3 *db, struct err *err, const char *what);
/* What a column holds cannot be: ERR_CATALOG. */
enum errc db_bad_row(struct err *err, const char *what);
/* An error of decoding the catalog's own copy: the repository is not damaged, the catalog is. */
enum errc db_recode(enum errc rc, struct err *err);

/* --- statements: db_stmt, bind, then db_run, or db_row until *row_out is false; db_done in between --- */

/* The prepared statement, reset. Not for queries that call back while they run. */
MUST_USE enum errc db_stmt(struct catalog *c, enum stmt_id id, sqlite3_stmt **out, struct err *err);
/* A statement of its own; the caller finalizes it. */
MUST_USE enum errc db_prepare(struct catalog *c, const char *sql, sqlite3_stmt **out, struct err *err);
/* Step to the end and reset; rows are dropped. */
MUST_USE enum errc db_run(struct catalog *c, sqlite3_stmt *s, struct err *err);
/* One step. After a row the columns are valid until the next step or reset; after an error or the end it is reset. */
MUST_USE enum errc db_row(struct catalog *c, sqlite3_stmt *s, bool *row_out, struct err *err);
static inline void db_done(sqlite3_stmt *s)
{
    (void)sqlite3_reset(s);
}
MUST_USE enum errc db_exec(struct catalog *c, const char *sql, struct err *err);

/* What is bound is borrowed until the statement has run. NULL text binds NULL. */
void db_bind_int(sqlite3_stmt *s, int index, uint64_t v);
void db_bind_blob(sqlite3_stmt *s, int index, const void *data, size_t len);
void db_bind_text(sqlite3_stmt *s, int index, const char *text);

static inline uint64_t db_int(sqlite3_stmt *s, int column)
{
    return (uint64_t)sqlite3_column_int64(s, column);
}
/* The column's bytes, borrowed until the next step. */
struct bytes db_bytes(sqlite3_stmt *s, int column);
/* The column must be a blob of exactly len bytes. */
MUST_USE enum errc db_copy(sqlite3_stmt *s, int column, void *dst, size_t len, struct err *err);

/* --- transactions --- */

/* One change: a transaction of its own, or a savepoint inside the caller's. Ends with change_end in every case, which
 * commits when rc is ERR_OK, undoes otherwise, and returns the outcome. */
struct change {
    bool nested;
};
MUST_USE enum errc change_begin(struct catalog *c, struct change *x, struct err *err);
MUST_USE enum errc change_end(struct catalog *c, struct change *x, enum errc rc, struct err *err);

/* --- locks (lock.c) --- */

enum lock_byte { BYTE_IN_USE = 0, BYTE_WRITING = 1, BYTE_BUILDING = 2 };
/* Wait at most wait_ms; ERR_LOCKED. A file system that has no such locks is not an error. */
MUST_USE enum errc lock_take(int fd, enum lock_byte byte, bool exclusive, unsigned wait_ms, struct err *err);
void lock_drop(int fd, enum lock_byte byte);

/* --- places (place.c) --- */

struct place {
    char *dir;  /* <cache dir>/<repository id hex> */
    char *file; /* <dir>/catalog.db, or catalog-new.db */
};
MUST_USE enum errc place_of(const char *cache_dir, const struct repo_id *repo, struct place *out, struct err *err);
MUST_USE enum errc place_beside(const char *cache_dir, const struct repo_id *repo, struct place *out, struct err *err);
void catalog_place_release(struct place *p);
/* Make the directory and its parents, 0700. */
MUST_USE enum errc place_make(const struct place *p, struct err *err);
MUST_USE enum errc place_open_dir(const struct place *p, int *fd_out, struct err *err);
/* Open <dir>/catalog.lock, made 0600 when absent. */
MUST_USE enum errc place_open_lock(const struct place *p, int *fd_out, struct err *err);

/* Remove the files of a database that nobody has open: "catalog.db" or "catalog-new.db". */
MUST_USE enum errc place_remove_files(int dir, const char *name, struct err *err);

/* --- opening (open.c) --- */

MUST_USE enum errc catalog_new(struct catalog **out, struct err *err);
/* Open or make the file of a place, under the locks c->lock_fd has. */
MUST_USE enum errc open_file(struct catalog *c, const struct place *p, const struct repo_id *repo, struct err *err);

/* --- schema (schema.c) --- */

/* Make the tables of an empty database; check version and repository of one that is not. */
MUST_USE enum errc schema_ensure(struct catalog *c, const struct repo_id *repo, struct err *err);

/* --- parts of a change; the caller has begun one --- */

MUST_USE enum errc packs_commit(struct catalog *c, const struct digest *names, size_t count, struct err *err);
MUST_USE enum errc packs_remove(struct catalog *c, const struct digest *names, size_t count, struct err *err);
/* Delete the chunk rows whose pack is gone (nothing sees them). At close; what fails is left for the next time. */
void packs_sweep_rows(struct catalog *c);

MUST_USE enum errc snapshot_insert(struct catalog *c, const struct log_body *body, struct err *err);
MUST_USE enum errc snapshot_remove(struct catalog *c, const struct snapshot_id *id, struct err *err);
MUST_USE enum errc snapshot_note(struct catalog *c, const struct verified *v, struct timestamp at, struct err *err);
MUST_USE enum errc run_insert(struct catalog *c, const struct log_body *body, struct err *err);

/* The small form of a snapshot (summary.c): all but facts, lists and packs. */
MUST_USE enum errc summary_put(struct buf *b, const struct snapshot *s, struct err *err);
/* Fills everything that summary_put wrote; s is released by the caller also after an error. */
MUST_USE enum errc summary_get(const void *data, size_t len, struct snapshot *s, struct err *err);

/* [lo, hi] of the ids of id_len bytes that begin with the digits; false when none can. */
bool id_range(const char *hex, size_t id_len, uint8_t *lo, uint8_t *hi);

#endif
