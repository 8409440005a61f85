#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/limits.h"
#include "source/files/meta.h"
#include "source/files/xattrs.h"

enum { LINK_TEXT_MAX_BYTES = PATH_MAX_BYTES };

void meta_init(struct meta *m)
{
    *m = (struct meta){.xattrs_cut = false};
    buf_init(&m->xattrs, XATTR_INLINE_MAX_BYTES);
    buf_init(&m->link, LINK_TEXT_MAX_BYTES + 1);
}

void meta_release(struct meta *m)
{
    buf_release(&m->xattrs);
    buf_release(&m->link);
}

uint32_t meta_format_bits(enum entry_type type)
{
    switch (type) {
    case ENTRY_FILE:
    case ENTRY_SQLITE:
        return S_IFREG;
    case ENTRY_DIR:
        return S_IFDIR;
    case ENTRY_SYMLINK:
        return S_IFLNK;
    case ENTRY_FIFO:
        return S_IFIFO;
    case ENTRY_SOCKET:
        return S_IFSOCK;
    case ENTRY_CHAR_DEV:
        return S_IFCHR;
    case ENTRY_BLOCK_DEV:
        return S_IFBLK;
    case ENTRY_HARDLINK:
    case ENTRY_ABSENT:
        break;
    }
    return 0;
}

static bool type_from_mode(mode_t mode, enum entry_type *out)
{
    static const enum entry_type types[] = {ENTRY_FILE,   ENTRY_DIR,      ENTRY_SYMLINK,  ENTRY_FIFO,
                                            ENTRY_SOCKET, ENTRY_CHAR_DEV, ENTRY_BLOCK_DEV};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (meta_format_bits(types[i]) == (mode & S_IFMT)) {
            *out = types[i];
            return true;
        }
    }
    return false;
}

static struct timestamp timestamp_of(struct timespec t)
{
    return (struct timestamp){.sec = t.tv_sec, .nsec = (uint32_t)t.tv_nsec};
}

enum errc meta_from_stat(const struct stat *st, struct owners *owners, struct entry *e, struct err *err)
{
    *e = (struct entry){.path = ""};
    if (!type_from_mode(st->st_mode, &e->type))
        return err_fail(err, ERR_UNSUPPORTED, "a file of an unknown type (mode %o)", (unsigned)st->st_mode);
    e->mode = st->st_mode & 07777;
    e->uid = st->st_uid;
    e->gid = st->st_gid;
    e->user = owners_user_name(owners, st->st_uid);
    e->user_len = e->user ? strlen(e->user) : 0;
    e->group = owners_group_name(owners, st->st_gid);
    e->group_len = e->group ? strlen(e->group) : 0;
    /* The size of a directory is the file system's affair, and would only make noise in the list. */
    e->size = e->type == ENTRY_FILE && st->st_size > 0 ? (uint64_t)st->st_size : 0;
    e->mtime = timestamp_of(st->st_mtim);
    e->ctime = timestamp_of(st->st_ctim);
    e->dev = st->st_dev;
    e->ino = st->st_ino;
    e->nlink = (uint32_t)st->st_nlink;
    if (e->type == ENTRY_CHAR_DEV || e->type == ENTRY_BLOCK_DEV) {
        e->rdev_major = major(st->st_rdev);
        e->rdev_minor = minor(st->st_rdev);
    }
    return ERR_OK;
}

static enum errc encode_all(const struct xattr_place *p, const struct xattr_names *names, struct buf *out,
                            bool *cut_out, struct err *err)
{
    struct buf value;
    buf_init(&value, XATTR_SIZE_MAX + 256);
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < names->count; i++) {
        bool gone;
        rc = xattr_value_read(p, names->list[i], &value, &gone, err);
        if (rc != ERR_OK || gone)
            continue;
        /* name and value, with their counts of up to 3 bytes each */
        if (strlen(names->list[i]) + value.len + 6 > out->max - out->len)
            *cut_out = true;
        else
            rc = xattr_put(out, names->list[i], value.data, value.len, err);
    }
    buf_release(&value);
    return rc;
}

enum errc meta_read_xattrs(int fd, const char *name, struct buf *out, bool *cut_out, const char *show, struct err *err)
{
    *cut_out = false;
    buf_clear(out);
    struct xattr_place place;
    enum errc rc = xattr_place_init(&place, fd, false, name, show, err);
    if (rc != ERR_OK)
        return rc;
    struct xattr_names names;
    rc = xattr_names_read(&place, &names, err);
    if (rc != ERR_OK)
        return rc;
    if (names.count > 0)
        rc = encode_all(&place, &names, out, cut_out, err);
    xattr_names_release(&names);
    return rc;
}

enum errc meta_read_link(int dirfd, const char *name, struct buf *out, const char *show, struct err *err)
{
    buf_clear(out);
    enum errc rc = buf_reserve(out, 512, err);
    while (rc == ERR_OK) {
        ssize_t n = readlinkat(dirfd, name, (char *)out->data, out->cap);
        if (n < 0)
            return err_sys(err, ERR_IO, errno, "%s: cannot read the link", show);
        if ((size_t)n < out->cap) {
            out->len = (size_t)n;
            return buf_terminate(out, err);
        }
        rc = buf_reserve(out, out->cap * 2, err);
    }
    return rc;
}

enum errc meta_read(int fd, const char *name, struct owners *owners, const char *show, struct meta *m, struct err *err)
{
    struct stat st;
    if (name ? fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) : fstat(fd, &st))
        return err_sys(err, ERR_IO, errno, "%s", show);
    enum errc rc = meta_from_stat(&st, owners, &m->entry, err);
    if (rc != ERR_OK)
        return err_wrap(err, "%s", show);
    buf_clear(&m->link);
    if (m->entry.type == ENTRY_SYMLINK) {
        rc = meta_read_link(fd, name ? name : "", &m->link, show, err);
        m->entry.link_target = (const char *)m->link.data;
        m->entry.link_target_len = m->entry.size = m->link.len;
    }
    if (rc == ERR_OK)
        rc = meta_read_xattrs(fd, name, &m->xattrs, &m->xattrs_cut, show, err);
    if (rc == ERR_OK && m->xattrs.len > 0) {
        m->entry.xattrs = m->xattrs.data;
        m->entry.xattrs_len = m->xattrs.len;
    }
    return rc;
}
