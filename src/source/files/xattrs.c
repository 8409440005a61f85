#include "source/files/xattrs.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

enum { XATTR_TRIES = 5 };

enum errc xattr_place_init(struct xattr_place *p, int fd, bool path_only, const char *name, const char *show,
                           struct err *err)
{
    p->fd = fd;
    p->show = show;
    p->kind = name ? PLACE_NAME : path_only ? PLACE_PATH_FD : PLACE_FD;
    if (p->kind == PLACE_FD)
        return ERR_OK;
    int n =
        snprintf(p->path, sizeof p->path, name ? "/proc/self/fd/%d/%s" : "/proc/self/fd/%d%s", fd, name ? name : "");
    if (n < 0 || (size_t)n >= sizeof p->path)
        return err_fail(err, ERR_LIMIT, "%s: its name is too long", show);
    return ERR_OK;
}

static ssize_t list_names(const struct xattr_place *p, char *buf, size_t cap)
{
    switch (p->kind) {
    case PLACE_FD:
        return flistxattr(p->fd, buf, cap);
    case PLACE_PATH_FD:
        return listxattr(p->path, buf, cap);
    case PLACE_NAME:
        break;
    }
    return llistxattr(p->path, buf, cap);
}

static ssize_t get_value(const struct xattr_place *p, const char *name, void *buf, size_t cap)
{
    switch (p->kind) {
    case PLACE_FD:
        return fgetxattr(p->fd, name, buf, cap);
    case PLACE_PATH_FD:
        return getxattr(p->path, name, buf, cap);
    case PLACE_NAME:
        break;
    }
    return lgetxattr(p->path, name, buf, cap);
}

int xattr_value_set(const struct xattr_place *p, const char *name, const void *value, size_t len)
{
    int rc;
    if (p->kind == PLACE_FD)
        rc = fsetxattr(p->fd, name, value, len, 0);
    else if (p->kind == PLACE_PATH_FD)
        rc = setxattr(p->path, name, value, len, 0);
    else
        rc = lsetxattr(p->path, name, value, len, 0);
    return rc ? errno : 0;
}

int xattr_remove(const struct xattr_place *p, const char *name)
{
    int rc;
    if (p->kind == PLACE_FD)
        rc = fremovexattr(p->fd, name);
    else if (p->kind == PLACE_PATH_FD)
        rc = removexattr(p->path, name);
    else
        rc = lremovexattr(p->path, name);
    return rc ? errno : 0;
}

static bool unsupported(int e)
{
    return e == ENOTSUP || e == ENOSYS || e == EPERM;
}

static enum errc read_text(const struct xattr_place *p, struct buf *text, struct err *err)
{
    /* nearly every file has none: ask with a small buffer first, allocate only when there is something */
    char first[256];
    ssize_t n = list_names(p, first, sizeof first);
    if (n == 0 || (n < 0 && unsupported(errno)))
        return ERR_OK;
    if (n > 0)
        return buf_append(text, first, (size_t)n, err);
    for (int i = 0; i < XATTR_TRIES; i++) {
        if (errno != ERANGE)
            return err_sys(err, ERR_IO, errno, "%s: cannot list its extended attributes", p->show);
        enum errc rc = buf_reserve(text, XATTR_LIST_MAX, err);
        if (rc != ERR_OK)
            return rc;
        n = list_names(p, (char *)text->data, text->cap);
        if (n >= 0) {
            text->len = (size_t)n;
            return ERR_OK;
        }
    }
    return err_fail(err, ERR_IO, "%s: its extended attributes keep changing", p->show);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum errc sort_names(struct xattr_names *n, struct err *err)
{
    size_t cap = 0;
    const char *text = (const char *)n->text.data;
    for (size_t at = 0; at < n->text.len;) {
        size_t len = strnlen(text + at, n->text.len - at);
        if (at + len == n->text.len)
            break; /* not terminated: not from a kernel */
        enum errc rc = mem_grow(&n->list, &cap, n->count + 1, sizeof *n->list, err);
        if (rc != ERR_OK)
            return rc;
        n->list[n->count++] = text + at;
        at += len + 1;
    }
    if (n->count > 1)
        qsort(n->list, n->count, sizeof *n->list, compare_names);
    return ERR_OK;
}

enum errc xattr_names_read(const struct xattr_place *p, struct xattr_names *out, struct err *err)
{
    *out = (struct xattr_names){.count = 0};
    buf_init(&out->text, 2 * XATTR_LIST_MAX);
    enum errc rc = read_text(p, &out->text, err);
    if (rc == ERR_OK)
        rc = sort_names(out, err);
    if (rc != ERR_OK)
        xattr_names_release(out);
    return rc;
}

void xattr_names_release(struct xattr_names *n)
{
    free(n->list);
    buf_release(&n->text);
    *n = (struct xattr_names){.count = 0};
}

enum errc xattr_value_read(const struct xattr_place *p, const char *name, struct buf *value, bool *gone_out,
                           struct err *err)
{
    *gone_out = false;
    buf_clear(value);
    enum errc rc = buf_reserve(value, 256, err);
    for (int i = 0; rc == ERR_OK && i < XATTR_TRIES; i++) {
        ssize_t n = get_value(p, name, value->data, value->cap);
        if (n >= 0) {
            value->len = (size_t)n;
            return ERR_OK;
        }
        if (errno == ENODATA || unsupported(errno)) {
            *gone_out = true;
            return ERR_OK;
        }
        if (errno != ERANGE)
            return err_sys(err, ERR_IO, errno, "%s: cannot read its extended attribute %s", p->show, name);
        rc = buf_reserve(value, XATTR_SIZE_MAX, err);
    }
    return rc != ERR_OK ? rc : err_fail(err, ERR_IO, "%s: its extended attribute %s keeps changing", p->show, name);
}
