/* The directories of a tree, opened one after another. Layer: engine, private to it.
 *
 * A path longer than the kernel takes has to be walked name by name. From the directory last opened the next one in a
 * list's order is near, so that a tree of any depth costs a few steps for each of its directories, not its depth.
 *
 * Promises
 *   DC1  what is opened is below the root, and no link was followed: down by single names, up only to a directory that
 *        is known to be the one the way down came through.
 *   DC2  memory: one path, and some bytes for each directory on it.
 */
#ifndef SNAP_ENGINE_DIR_CURSOR_H
#define SNAP_ENGINE_DIR_CURSOR_H

#include <sys/types.h>

#include "base/buf.h"

struct dir_step {
    size_t len; /* of the path that ends here */
    dev_t dev;
    ino_t ino;
};
struct dir_cursor {
    int root_fd;
    int fd; /* where it stands; -1: nowhere */
    struct buf path;
    struct dir_step *steps;
    size_t depth, cap;
};

void dir_cursor_init(struct dir_cursor *c, int root_fd);
void dir_cursor_release(struct dir_cursor *c);
/* A descriptor of the directory at the first len bytes of path, a safe relative path; "" is the root. The caller's to
 * close. */
MUST_USE enum errc dir_cursor_open(struct dir_cursor *c, const char *path, size_t len, int *fd_out, struct err *err);

#endif
