#include "catalog/db.h"

static enum errc begin_write(struct catalog *c, struct err *err)
{
    enum errc rc;

    REQUIRE(!c->write_locked);
    if (c->lock_fd >= 0) {
        rc = lock_take(c->lock_fd, BYTE_WRITING, true, c->wait_ms, err);
        if (rc != ERR_OK)
            return rc;
    }
    rc = db_exec(c, "BEGIN IMMEDIATE", err);
    if (rc != ERR_OK) {
        lock_drop(c->lock_fd, BYTE_WRITING);
        return rc;
    }
    c->write_locked = true;
    return ERR_OK;
}

static void end_write(struct catalog *c)
{
    lock_drop(c->lock_fd, BYTE_WRITING);
    c->write_locked = false;
}

/* After an error SQLite may have rolled back by itself: then there is nothing left to undo. */
static void undo(struct catalog *c, const char *sql)
{
    if (!sqlite3_get_autocommit(c->db))
        (void)sqlite3_exec(c->db, sql, NULL, NULL, NULL);
}

enum errc catalog_begin(struct catalog *c, struct err *err)
{
    return begin_write(c, err);
}

enum errc catalog_commit(struct catalog *c, struct err *err)
{
    enum errc rc;

    REQUIRE(c->write_locked);
    rc = db_exec(c, "COMMIT", err);
    if (rc != ERR_OK)
        undo(c, "ROLLBACK");
    else
        c->wrote = true;
    end_write(c);
    return rc;
}

void catalog_rollback(struct catalog *c)
{
    if (!c->write_locked)
        return;
    undo(c, "ROLLBACK");
    end_write(c);
}

enum errc change_begin(struct catalog *c, struct change *x, struct err *err)
{
    x->nested = c->write_locked;
    if (!x->nested)
        return begin_write(c, err);
    /* The transaction was rolled back by SQLite after an error that the caller passed over. */
    if (sqlite3_get_autocommit(c->db))
        return err_fail(err, ERR_CATALOG, "catalog: the transaction has been undone after an error");
    return db_exec(c, "SAVEPOINT change", err);
}

enum errc change_end(struct catalog *c, struct change *x, enum errc rc, struct err *err)
{
    if (!x->nested) {
        if (rc == ERR_OK)
            return catalog_commit(c, err);
        catalog_rollback(c);
        return rc;
    }
    if (rc == ERR_OK)
        return db_exec(c, "RELEASE change", err);
    undo(c, "ROLLBACK TO change; RELEASE change");
    return rc;
}
