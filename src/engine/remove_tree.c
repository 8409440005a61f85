#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"
#include "engine/stage.h"

/* Directories are flattened as they are met: a directory found deep down is first moved up to the top one, so the
 * depth of a tree costs neither stack nor descriptors. */

struct removal {
    int top_fd;
    uint64_t counter;
};

static enum errc empty_dir(struct removal *r, int fd, bool is_top, bool *again, struct err *err);

/* What fails is told with its whole path: the names alone, deep in a tree, say little. */
static enum errc not_removed(int fd, const char *name, const struct err *why, struct err *err)
{
    char link[40], dir[600], path[900], shown[1000];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = fd == AT_FDCWD ? -1 : readlink(link, dir, sizeof dir - 1);
    dir[len > 0 ? len : 0] = '\0';
    snprintf(path, sizeof path, "%s%s%s", dir, len > 0 ? "/" : "", name);
    enum errc rc =
        err_sys(err, why->code, why->sys_errno, "cannot remove %s", path_show(shown, sizeof shown, path, strlen(path)));
    if (why->sys_errno == EPERM)
        err_hint(err, "It, or the directory it is in, may be immutable or append-only: see 'lsattr -d', and take that "
                      "away with 'chattr -i' or 'chattr -a'.");
    return rc;
}

static enum errc drop_one(struct removal *r, int fd, const char *name, bool is_dir, bool is_top, bool *again,
                          struct err *err)
{
    struct err why;
    enum errc rc = io_unlinkat(fd, name, is_dir ? AT_REMOVEDIR : 0, &why);
    if (rc == ERR_OK || why.sys_errno == ENOENT)
        return ERR_OK;
    if (!is_dir || (why.sys_errno != ENOTEMPTY && why.sys_errno != EEXIST))
        return not_removed(fd, name, &why, err);
    *again = true;
    if (!is_top) {
        char up[40];
        snprintf(up, sizeof up, ".moved-%016llx", (unsigned long long)r->counter++);
        return io_rename_new(fd, name, r->top_fd, up, err);
    }
    int sub;
    (void)!fchmodat(fd, name, 0700, 0); /* a directory without rights for its owner */
    rc = io_open(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &sub, err);
    if (rc != ERR_OK)
        return rc;
    rc = empty_dir(r, sub, false, again, err);
    return rc;
}

/* Closes fd. */
static enum errc empty_dir(struct removal *r, int fd, bool is_top, bool *again, struct err *err)
{
    enum errc rc = ERR_OK;
    DIR *d = fdopendir(fd);
    if (!d) {
        rc = err_sys(err, ERR_IO, errno, "cannot list a directory that is to be removed");
        io_close_quietly(&fd);
        return rc;
    }
    struct dirent *e;
    while (rc == ERR_OK && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        struct stat st;
        bool is_dir = e->d_type == DT_DIR;
        if (e->d_type == DT_UNKNOWN)
            is_dir = fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
        rc = drop_one(r, dirfd(d), e->d_name, is_dir, is_top, again, err);
    }
    closedir(d);
    return rc;
}

enum errc remove_tree(int dir_fd, const char *name, struct err *err)
{
    struct err why;
    enum errc rc = io_unlinkat(dir_fd, name, 0, &why);
    if (rc == ERR_OK || why.sys_errno == ENOENT)
        return ERR_OK;
    struct removal r = {.top_fd = -1, .counter = monotonic_ns()};
    struct err no_dir;
    rc = io_open(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &r.top_fd, &no_dir);
    if (rc != ERR_OK)
        return not_removed(dir_fd, name, no_dir.sys_errno == ENOTDIR ? &why : &no_dir, err);
    bool again = true;
    while (rc == ERR_OK && again) {
        int fd;
        again = false;
        rc = io_open(r.top_fd, ".", O_RDONLY | O_DIRECTORY, 0, &fd, err);
        if (rc == ERR_OK)
            rc = empty_dir(&r, fd, true, &again, err);
    }
    io_close_quietly(&r.top_fd);
    if (rc != ERR_OK)
        return rc;
    rc = io_unlinkat(dir_fd, name, AT_REMOVEDIR, &why);
    return rc == ERR_OK ? ERR_OK : not_removed(dir_fd, name, &why, err);
}
