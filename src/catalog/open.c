#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "catalog/db.h"

enum {
    PAGE_BYTES = 4096,
    CHECKPOINT_PAGES = 4096 /* 16 MiB of log: each page of the table is written back less often */
};

static enum errc apply_settings(struct catalog *c, struct err *err)
{
    char sql[512];

    (void)sqlite3_snprintf(sizeof sql, sql,
                           "PRAGMA page_size = %d; PRAGMA cache_size = -%d; PRAGMA temp_store = FILE;"
                           "PRAGMA mmap_size = 0; PRAGMA wal_autocheckpoint = %d; PRAGMA journal_size_limit = %d;"
                           "PRAGMA synchronous = NORMAL; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON",
                           PAGE_BYTES, CATALOG_CACHE_BYTES / 1024, CHECKPOINT_PAGES, CHECKPOINT_PAGES * PAGE_BYTES);
    return db_exec(c, sql, err);
}

/* WAL mode stays with the file. Where it cannot be had (no shared memory) a full sync does the same. */
static enum errc ensure_wal(struct catalog *c, struct err *err)
{
    static const char *const queries[] = {"PRAGMA journal_mode", "PRAGMA journal_mode = WAL"};
    bool wal = false;

    for (int i = 0; i < 2 && !wal; i++) {
        sqlite3_stmt *s = NULL;
        bool row;
        enum errc rc = ERR_OK;

        if (i == 1 && c->lock_fd >= 0)
            rc = lock_take(c->lock_fd, BYTE_WRITING, true, CATALOG_BUSY_MS, err);
        if (rc == ERR_OK)
            rc = db_prepare(c, queries[i], &s, err);
        if (rc == ERR_OK)
            rc = db_row(c, s, &row, err);
        if (rc == ERR_OK && row)
            wal = strcmp((const char *)sqlite3_column_text(s, 0), "wal") == 0;
        (void)sqlite3_finalize(s);
        lock_drop(i == 1 ? c->lock_fd : -1, BYTE_WRITING);
        if (rc != ERR_OK)
            return rc;
    }
    return wal ? ERR_OK : db_exec(c, "PRAGMA synchronous = FULL", err);
}

static enum errc open_database(struct catalog *c, const char *file, int flags, struct err *err)
{
    int r = sqlite3_open_v2(file, &c->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

    if (!c->db)
        return err_fail(err, ERR_NO_MEMORY, "no memory for the catalog");
    if (r != SQLITE_OK)
        return db_fail(c->db, err, "cannot open the database");
    (void)sqlite3_busy_timeout(c->db, CATALOG_BUSY_MS);
    return apply_settings(c, err);
}

/* 0600 from the first moment. Never opened when it is there: closing a descriptor would drop SQLite's locks on it. */
static enum errc make_file(const char *file, struct err *err)
{
    struct err local = {0};
    int fd = -1;
    enum errc rc = io_open(AT_FDCWD, file, O_RDWR | O_CREAT | O_EXCL, 0600, &fd, &local);

    io_close_quietly(&fd);
    if (rc == ERR_OK || local.sys_errno == EEXIST)
        return ERR_OK;
    if (err)
        *err = local;
    return rc;
}

enum errc open_file(struct catalog *c, const struct place *p, const struct repo_id *repo, struct err *err)
{
    enum errc rc = make_file(p->file, err);

    if (rc == ERR_OK)
        rc = open_database(c, p->file, SQLITE_OPEN_READWRITE, err);
    if (rc == ERR_OK && sqlite3_db_readonly(c->db, "main") == 1)
        rc = err_fail(err, ERR_READ_ONLY, "%s cannot be written to", p->file);
    if (rc == ERR_OK)
        rc = ensure_wal(c, err);
    if (rc == ERR_OK)
        rc = schema_ensure(c, repo, err);
    return rc;
}

static enum errc open_at(struct catalog *c, const struct place *p, const struct repo_id *repo, struct err *err)
{
    enum errc rc = place_make(p, err);

    if (rc == ERR_OK)
        rc = place_open_lock(p, &c->lock_fd, err);
    if (rc == ERR_OK)
        rc = lock_take(c->lock_fd, BYTE_IN_USE, false, CATALOG_BUSY_MS, err);
    return rc == ERR_OK ? open_file(c, p, repo, err) : rc;
}

static bool cannot_be_written(enum errc rc, const struct err *err)
{
    static const int reasons[] = {EACCES, EPERM, ENOTDIR, EROFS, ENOSPC, EDQUOT};

    if (rc == ERR_READ_ONLY || rc == ERR_NO_SPACE)
        return true;
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (rc == ERR_IO && err->sys_errno == reasons[i])
            return true;
    return false;
}

enum errc catalog_new(struct catalog **out, struct err *err)
{
    enum errc rc = mem_alloc(out, sizeof **out, err);

    if (rc != ERR_OK)
        return rc;
    (*out)->lock_fd = -1;
    (*out)->wait_ms = CATALOG_BUSY_MS;
    buf_init(&(*out)->scratch, CATALOG_BLOB_MAX_BYTES);
    return ERR_OK;
}

/* SQLite's own kind: a file without a name in $TMPDIR, made once the page cache is full. */
static enum errc open_temporary(const struct repo_id *repo, struct catalog **out, struct err *err)
{
    struct catalog *c = NULL;
    enum errc rc = catalog_new(&c, err);

    if (rc != ERR_OK)
        return rc;
    rc = open_database(c, "", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
    if (rc == ERR_OK)
        rc = schema_ensure(c, repo, err);
    if (rc != ERR_OK) {
        catalog_close(c);
        return rc;
    }
    *out = c;
    return ERR_OK;
}

enum errc catalog_open(const char *cache_dir, const struct repo_id *repo, struct catalog **out, bool *temporary_out,
                       struct err *err)
{
    struct err local = {0};
    struct catalog *c = NULL;
    struct place p;
    enum errc rc = place_of(cache_dir, repo, &p, err);

    *out = NULL;
    *temporary_out = false;
    if (rc != ERR_OK)
        return rc;
    rc = catalog_new(&c, &local);
    if (rc == ERR_OK)
        rc = open_at(c, &p, repo, &local);
    if (rc == ERR_OK) {
        *out = c;
    } else {
        catalog_close(c);
        (void)err_wrap(&local, "%s", p.file);
        if (cannot_be_written(rc, &local)) {
            rc = open_temporary(repo, out, &local);
            *temporary_out = rc == ERR_OK;
        }
    }
    if (rc != ERR_OK && err)
        *err = local;
    catalog_place_release(&p);
    return rc;
}

void catalog_close(struct catalog *c)
{
    if (!c)
        return;
    catalog_rollback(c);
    if (c->wrote && c->lock_fd >= 0)
        packs_sweep_rows(c);
    for (int i = 0; i < STMT_COUNT; i++)
        (void)sqlite3_finalize(c->stmts[i]);
    (void)sqlite3_close(c->db);
    io_close_quietly(&c->lock_fd); /* after SQLite is done with its files: drops BYTE_IN_USE */
    buf_release(&c->scratch);
    free(c);
}
