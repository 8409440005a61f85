#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "engine/stage.h"

/* Directories are flattened as they are met: a directory found deep down is first moved up to the top one, so the
 * depth of a tree costs neither stack nor descriptors. */

struct removal {
    int top_fd;
    uint64_t counter;
};

static enum errc empty_dir(struct removal *r, int fd, bool is_top, bool *again, struct err *err);

static enum errc drop_one(struct removal *r, int fd, const char *name, bool is_dir, bool is_top, bool *again,
                          struct err *err)
{
    struct err why;
    enum errc rc = io_unlinkat(fd, name, is_dir ? AT_REMOVEDIR : 0, &why);
    if (rc == ERR_OK || why.sys_errno == ENOENT)
        return ERR_OK;
    if (!is_dir || (why.sys_errno != ENOTEMPTY && why.sys_errno != EEXIST)) {
        if (err)
            *err = why;
        return rc;
    }
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
    rc = io_open(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &r.top_fd, err);
    bool again = rc == ERR_OK;
    while (rc == ERR_OK && again) {
        int fd;
        again = false;
        rc = io_open(r.top_fd, ".", O_RDONLY | O_DIRECTORY, 0, &fd, err);
        if (rc == ERR_OK)
            rc = empty_dir(&r, fd, true, &again, err);
    }
    io_close_quietly(&r.top_fd);
    return rc == ERR_OK ? io_unlinkat(dir_fd, name, AT_REMOVEDIR, err) : rc;
}
