#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "catalog/db.h"

/* A catalog that is made anew while the old one still serves: nothing of the old one is given up before the new one is
 * complete. */

static enum errc open_new(struct catalog *c, const struct place *p, const struct repo_id *repo, struct err *err)
{
    int dir = -1;
    enum errc rc = place_make(p, err);

    if (rc == ERR_OK)
        rc = place_open_lock(p, &c->lock_fd, err);
    if (rc == ERR_OK)
        rc = lock_take(c->lock_fd, BYTE_BUILDING, true, CATALOG_REMOVE_WAIT_MS, err);
    if (rc == ERR_OK)
        rc = place_open_dir(p, &dir, err);
    if (rc == ERR_OK)
        rc = place_remove_files(dir, "catalog-new.db", err);
    io_close_quietly(&dir);
    return rc == ERR_OK ? open_file(c, p, repo, err) : rc;
}

enum errc catalog_open_beside(const char *cache_dir, const struct repo_id *repo, struct catalog **out, struct err *err)
{
    struct catalog *c = NULL;
    struct place p;
    enum errc rc = place_beside(cache_dir, repo, &p, err);

    *out = NULL;
    if (rc != ERR_OK)
        return rc;
    rc = catalog_new(&c, err);
    if (rc == ERR_OK)
        rc = open_new(c, &p, repo, err);
    if (rc == ERR_OK)
        *out = c;
    else
        catalog_close(c);
    catalog_place_release(&p);
    return rc;
}

/* The database closed, its locks kept in *lock_out. */
static void close_locked(struct catalog *c, int *lock_out)
{
    catalog_rollback(c);
    *lock_out = c->lock_fd;
    c->lock_fd = -1;
    catalog_close(c);
}

static enum errc swap(int dir, const struct place *p, struct err *err)
{
    /* Closing writes everything into the database. Where that failed its log is still there. */
    if (faccessat(dir, "catalog-new.db-wal", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return err_fail(err, ERR_CATALOG, "%s could not be completed", p->file);
    enum errc rc = place_remove_files(dir, "catalog.db", err);
    return rc == ERR_OK ? io_renameat2(dir, "catalog-new.db", dir, "catalog.db", 0, err) : rc;
}

enum errc catalog_replace(const char *cache_dir, const struct repo_id *repo, struct catalog *beside, struct err *err)
{
    struct place p;
    int dir = -1, lock = -1;
    enum errc rc;

    close_locked(beside, &lock);
    rc = place_beside(cache_dir, repo, &p, err);
    if (rc == ERR_OK)
        rc = place_open_dir(&p, &dir, err);
    if (rc == ERR_OK)
        rc = lock_take(lock, BYTE_IN_USE, true, CATALOG_REMOVE_WAIT_MS, err);
    if (rc == ERR_OK)
        rc = swap(dir, &p, err);
    if (rc != ERR_OK && dir >= 0)
        (void)!place_remove_files(dir, "catalog-new.db", NULL);
    io_close_quietly(&dir);
    io_close_quietly(&lock); /* drops the locks */
    catalog_place_release(&p);
    return rc;
}

void catalog_abandon(const char *cache_dir, const struct repo_id *repo, struct catalog *beside)
{
    struct place p;
    int dir = -1, lock = -1;

    if (!beside)
        return;
    close_locked(beside, &lock);
    if (place_beside(cache_dir, repo, &p, NULL) == ERR_OK && place_open_dir(&p, &dir, NULL) == ERR_OK)
        (void)!place_remove_files(dir, "catalog-new.db", NULL);
    io_close_quietly(&dir);
    io_close_quietly(&lock);
    catalog_place_release(&p);
}
