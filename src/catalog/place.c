#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"
#include "catalog/db.h"

static enum errc place_named(const char *cache_dir, const struct repo_id *repo, const char *name, struct place *out,
                             struct err *err)
{
    char hex[2 * sizeof repo->b + 1];
    enum errc rc;

    *out = (struct place){0};
    rc = path_join(cache_dir, hex_encode(hex, repo->b, sizeof repo->b), &out->dir, err);
    if (rc == ERR_OK)
        rc = path_join(out->dir, name, &out->file, err);
    if (rc != ERR_OK)
        catalog_place_release(out);
    return rc;
}

enum errc place_of(const char *cache_dir, const struct repo_id *repo, struct place *out, struct err *err)
{
    return place_named(cache_dir, repo, "catalog.db", out, err);
}

enum errc place_beside(const char *cache_dir, const struct repo_id *repo, struct place *out, struct err *err)
{
    return place_named(cache_dir, repo, "catalog-new.db", out, err);
}

void catalog_place_release(struct place *p)
{
    free(p->dir);
    free(p->file);
    *p = (struct place){0};
}

static enum errc make_one(const char *path, struct err *err)
{
    struct err local = {0};
    struct stat st;
    enum errc rc;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return ERR_OK;
    rc = io_mkdirat(AT_FDCWD, path, 0700, &local);
    if (rc == ERR_OK || local.sys_errno == EEXIST)
        return ERR_OK; /* something else that stands there shows when it is opened */
    if (err)
        *err = local;
    return rc;
}

enum errc place_make(const struct place *p, struct err *err)
{
    char *path = NULL;
    struct stat st;
    enum errc rc;

    if (lstat(p->dir, &st) == 0) {
        /* Plain metadata lies here: a directory of ours that others may look into is closed. */
        if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 077) != 0)
            (void)chmod(p->dir, 0700);
        return ERR_OK;
    }
    rc = mem_strdup(&path, p->dir, err);
    if (rc != ERR_OK)
        return rc;
    for (char *slash = strchr(path + 1, '/'); slash && rc == ERR_OK; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        rc = make_one(path, err);
        *slash = '/';
    }
    if (rc == ERR_OK)
        rc = make_one(path, err);
    free(path);
    return rc;
}

enum errc place_open_dir(const struct place *p, int *fd_out, struct err *err)
{
    return io_open(AT_FDCWD, p->dir, O_RDONLY | O_DIRECTORY, 0, fd_out, err);
}

enum errc place_open_lock(const struct place *p, int *fd_out, struct err *err)
{
    int dir = -1;
    enum errc rc = place_open_dir(p, &dir, err);

    if (rc != ERR_OK)
        return rc;
    rc = io_open(dir, "catalog.lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600, fd_out, err);
    io_close_quietly(&dir);
    return rc;
}

enum errc place_remove_files(int dir, const char *name, struct err *err)
{
    /* The log first: SQLite would take a lone one for that of the next database. */
    static const char *const ends[] = {"-wal", "-journal", "-shm", ""};

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct err local = {0};
        char file[64];

        (void)snprintf(file, sizeof file, "%s%s", name, ends[i]);
        enum errc rc = io_unlinkat(dir, file, 0, &local);

        if (rc != ERR_OK && local.sys_errno != ENOENT) {
            if (err)
                *err = local;
            return rc;
        }
    }
    return ERR_OK;
}

enum errc catalog_remove(const char *cache_dir, const struct repo_id *repo, struct err *err)
{
    struct err local = {0};
    struct place p;
    int dir = -1, lock = -1;
    enum errc rc = place_of(cache_dir, repo, &p, err);

    if (rc != ERR_OK)
        return rc;
    rc = place_open_dir(&p, &dir, &local);
    if (rc != ERR_OK && (local.sys_errno == ENOENT || local.sys_errno == ENOTDIR)) {
        catalog_place_release(&p);
        return ERR_OK;
    }
    if (rc == ERR_OK)
        rc = place_open_lock(&p, &lock, &local);
    if (rc == ERR_OK)
        rc = lock_take(lock, BYTE_IN_USE, true, CATALOG_REMOVE_WAIT_MS, &local);
    if (rc == ERR_OK)
        rc = place_remove_files(dir, "catalog.db", &local);
    if (rc != ERR_OK && err)
        *err = local;
    io_close_quietly(&lock); /* drops the lock */
    io_close_quietly(&dir);
    catalog_place_release(&p);
    return rc;
}
