#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/io.h"
#include "store/internal.h"

/* <cache dir>/<repository id>/run-<16 hex digits>, locked as long as its session lives. The kernel lets go when the
 * process dies, so nobody ever has to remove one by hand. */

static void mark_path(const struct store *s, uint64_t run, char *dst, size_t cap)
{
    char id[2 * sizeof s->config.id.b + 1];
    snprintf(dst, cap, "%s/%s/run-%016" PRIx64, s->cache_dir, hex_encode(id, s->config.id.b, sizeof s->config.id.b),
             run);
}

enum errc run_mark(struct store *s, uint64_t *run_out, int *lock_fd_out, struct err *err)
{
    char path[4200];
    uint64_t run;
    enum errc rc = io_random(&run, sizeof run, err);
    if (rc != ERR_OK)
        return rc;
    run = (run >> 1) | 1; /* a positive SQLite integer, and never 0 */
    if (!s->temporary_catalog) {
        mark_path(s, run, path, sizeof path);
        rc = io_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, lock_fd_out, err);
        if (rc != ERR_OK)
            return rc;
        if (flock(*lock_fd_out, LOCK_EX | LOCK_NB) != 0) {
            rc = err_sys(err, ERR_IO, errno, "cannot lock %s", path);
            run_unmark(s, run, lock_fd_out);
            return rc;
        }
    }
    *run_out = run;
    return ERR_OK;
}

void run_unmark(struct store *s, uint64_t run, int *lock_fd)
{
    char path[4200];
    struct err ignored;
    mark_path(s, run, path, sizeof path);
    if (*lock_fd >= 0)
        (void)!io_unlinkat(AT_FDCWD, path, 0, &ignored);
    io_close_quietly(lock_fd);
}

static bool is_alive(const struct store *s, uint64_t run)
{
    char path[4200];
    struct err ignored;
    int fd;
    mark_path(s, run, path, sizeof path);
    if (io_open(AT_FDCWD, path, O_RDWR | O_NOFOLLOW, 0, &fd, &ignored) != ERR_OK)
        return false;
    bool alive = flock(fd, LOCK_EX | LOCK_NB) != 0;
    if (!alive)
        (void)!io_unlinkat(AT_FDCWD, path, 0, &ignored);
    io_close_quietly(&fd);
    return alive;
}

void runs_clean(struct store *s)
{
    struct err ignored;
    uint64_t *runs = NULL;
    size_t count = 0, live = 0;
    if (catalog_runs(s->catalog, &runs, &count, &ignored) != ERR_OK)
        return;
    for (size_t i = 0; i < count; i++)
        if (runs[i] == s->run || is_alive(s, runs[i]))
            runs[live++] = runs[i];
    if (live < count)
        (void)!catalog_drop_runs(s->catalog, runs, live, &ignored);
    free(runs);
}
