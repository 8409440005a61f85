/* Extended attributes of one file, listed, read, set and removed. Layer: source; private to files/. */
#ifndef SNAP_SOURCE_FILES_XATTRS_H
#define SNAP_SOURCE_FILES_XATTRS_H

#include "base/buf.h"

/* The file they belong to: a descriptor, or a path below /proc/self/fd. There is no xattr call with a directory's
 * descriptor before Linux 6.13; /proc/self/fd needs no path of the directory and follows no link of the tree. */
struct xattr_place {
    int fd;
    enum { PLACE_FD, PLACE_PATH_FD, PLACE_NAME } kind;
    char path[32 + 256];
    const char *show;
};

/* fd: readable or writable descriptor; O_PATH when path_only; with a name: of the directory. ERR_LIMIT: name too long.
 */
MUST_USE enum errc xattr_place_init(struct xattr_place *p, int fd, bool path_only, const char *name, const char *show,
                                    struct err *err);

/* Names, sorted by bytes. Where the file system has no xattrs: none. */
struct xattr_names {
    struct buf text;
    const char **list; /* into text */
    size_t count;
};
MUST_USE enum errc xattr_names_read(const struct xattr_place *p, struct xattr_names *out, struct err *err);
void xattr_names_release(struct xattr_names *n);

/* *gone_out: it is not there any more or cannot be read by this user (trusted, security). */
MUST_USE enum errc xattr_value_read(const struct xattr_place *p, const char *name, struct buf *value, bool *gone_out,
                                    struct err *err);

/* 0 or errno. */
int xattr_value_set(const struct xattr_place *p, const char *name, const void *value, size_t len);
int xattr_remove(const struct xattr_place *p, const char *name);

#endif
