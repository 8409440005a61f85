#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"
#include "source/sqlite/helper.h"

static enum errc look(struct place *p, struct err *err)
{
    if (fstatat(p->dir_fd, p->name, &p->st, AT_SYMLINK_NOFOLLOW) != 0) {
        int e = errno;
        p->st = (struct stat){0};
        return e == ENOENT ? ERR_OK : err_sys(err, ERR_SOURCE_UNREADABLE, e, "cannot look at %s", p->shown);
    }
    return ERR_OK;
}

/* The directory of root/rel, one name at a time, so that no link below root leads away from it. */
static int open_beneath(const char *root, const char *rel)
{
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    for (const char *slash; fd >= 0 && (slash = strchr(rel, '/')); rel = slash + 1) {
        char name[256];
        size_t len = (size_t)(slash - rel);
        int next = -1;
        if (len < sizeof name) {
            memcpy(name, rel, len);
            name[len] = '\0';
            next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        } else {
            errno = ENAMETOOLONG;
        }
        int e = errno;
        close(fd);
        errno = e;
        fd = next;
    }
    return fd;
}

/* rel: the end of path below which no link is followed; NULL: all may be. */
static int open_directory(const char *path, const char *dir, const char *rel)
{
    size_t len = strlen(path), rel_len = rel ? strlen(rel) : 0;

    if (rel_len == 0 || rel_len + 1 >= len || strcmp(path + len - rel_len, rel) != 0 || path[len - rel_len - 1] != '/')
        return open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char *root = strndup(path, len - rel_len - 1);
    if (!root) {
        errno = ENOMEM;
        return -1;
    }
    int fd = open_beneath(root, rel);
    int e = errno;
    free(root);
    errno = e;
    return fd;
}

static enum errc open_at(struct place *p, const char *path, const char *rel, struct err *err)
{
    const char *base = path_base(path);

    path_show(p->shown, sizeof p->shown, path, strlen(path));
    if ((size_t)snprintf(p->name, sizeof p->name, "%s", base) >= sizeof p->name || !*base)
        return err_fail(err, ERR_SOURCE_UNREADABLE, "%s is not the name of a file", p->shown);
    enum errc rc = path_parent(path, &p->dir, err);
    if (rc != ERR_OK)
        return rc;
    p->dir_fd = open_directory(path, p->dir, rel);
    if (p->dir_fd < 0)
        return err_sys(err, errno == ENOENT || errno == ENOTDIR ? ERR_SOURCE_MISSING : ERR_SOURCE_UNREADABLE, errno,
                       "cannot open the directory of %s", p->shown);
    return look(p, err);
}

static enum errc must_be_a_file(const struct place *p, struct err *err)
{
    if (p->st.st_mode != 0 && !S_ISREG(p->st.st_mode))
        return err_fail(err, ERR_SOURCE_UNREADABLE, "%s is not a regular file", p->shown);
    return ERR_OK;
}

enum errc place_open_in_tree(struct place *p, const char *path, const char *rel, struct err *err)
{
    *p = (struct place){.dir_fd = -1};
    enum errc rc = open_at(p, path, rel, err);

    return rc == ERR_OK ? must_be_a_file(p, err) : rc;
}

enum errc place_open(struct place *p, const char *path, bool follow, struct err *err)
{
    *p = (struct place){.dir_fd = -1};
    enum errc rc = open_at(p, path, NULL, err);

    if (rc == ERR_OK && S_ISLNK(p->st.st_mode) && follow) {
        char *real = realpath(path, NULL);
        if (!real)
            return err_sys(err, errno == ENOENT ? ERR_SOURCE_MISSING : ERR_SOURCE_UNREADABLE, errno,
                           "cannot follow the link %s", p->shown);
        place_release(p);
        rc = open_at(p, real, NULL, err);
        free(real);
    }
    return rc == ERR_OK ? must_be_a_file(p, err) : rc;
}

void place_release(struct place *p)
{
    io_close_quietly(&p->dir_fd);
    free(p->dir);
    p->dir = NULL;
}

bool place_stat(const struct place *p, const char *suffix, struct stat *out)
{
    char name[sizeof p->name + 16];

    snprintf(name, sizeof name, "%s%s", p->name, suffix);
    return fstatat(p->dir_fd, name, out, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(out->st_mode);
}

enum errc place_open_file(const struct place *p, const char *suffix, int *fd_out, struct err *err)
{
    char name[sizeof p->name + 16];
    struct stat st;

    snprintf(name, sizeof name, "%s%s", p->name, suffix);
    int fd = openat(p->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, ERR_SOURCE_UNREADABLE, errno, "cannot open %s%s", p->shown, suffix);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return err_fail(err, ERR_SOURCE_UNREADABLE, "%s%s is not a regular file", p->shown, suffix);
    }
    *fd_out = fd;
    return ERR_OK;
}

bool place_is_no_database(const struct place *p)
{
    uint8_t first[SQLITE_MAGIC_BYTES];
    struct stat st;
    struct err ignored;
    size_t got = 0;
    int fd;

    if (p->st.st_size == 0 || place_stat(p, "-journal", &st) || place_open_file(p, "", &fd, &ignored) != ERR_OK)
        return false;
    enum errc rc = io_pread(fd, first, sizeof first, 0, &got, p->shown, &ignored);
    io_close_quietly(&fd);
    return rc == ERR_OK && !sqlite_looks_like(first, got);
}
