#include "source/files/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/path.h"
#include "source/files/listing.h"

const char *capture_show(struct capture *c)
{
    return path_show(c->show, sizeof c->show, (const char *)c->abs.data, c->abs.len);
}

void capture_worst(struct capture *c, enum entry_state state)
{
    if (state > c->out->worst)
        c->out->worst = state;
}

void capture_incomplete(struct capture *c, const struct err *why)
{
    capture_worst(c, STATE_ERROR);
    c->out->good = false;
    c->sink->ops->failed(c->sink, (const char *)c->abs.data, why);
}

void capture_failed(struct capture *c, const struct err *why)
{
    if (!c->at_root) {
        capture_incomplete(c, why);
        return;
    }
    c->root_failed = true;
    c->root_err = *why;
}

void capture_failed_sys(struct capture *c, int sys_errno, const char *what)
{
    struct err why;
    (void)err_sys(&why, ERR_SOURCE_UNREADABLE, sys_errno, "%s: %s", capture_show(c), what);
    capture_failed(c, &why);
}

enum errc capture_check(struct capture *c, struct err *err)
{
    if (diag_interrupted(c->opt->diag))
        return err_fail(err, ERR_INTERRUPTED, "interrupted while reading %s", capture_show(c));
    return ERR_OK;
}

enum errc capture_entry(struct capture *c, const struct stat *st, struct err *err)
{
    struct entry *e = &c->meta.entry;
    enum errc rc = meta_from_stat(st, c->owners, e, err);
    if (rc != ERR_OK)
        return rc;
    e->path = capture_rel(c);
    e->path_len = capture_rel_len(c);
    return ERR_OK;
}

enum errc capture_xattrs(struct capture *c, int fd, const char *name, struct err *err)
{
    struct err why;
    bool cut;
    enum errc rc = meta_read_xattrs(fd, name, &c->meta.xattrs, &cut, "", &why);
    if (rc == ERR_NO_MEMORY) {
        if (err)
            *err = why;
        return rc;
    }
    if (rc != ERR_OK) {
        /* What could be read of them is not worth keeping: half an access list is worse than a named gap. */
        buf_clear(&c->meta.xattrs);
        int e = why.sys_errno;
        (void)err_sys(&why, ERR_SOURCE_UNREADABLE, e, "%s: is stored without its extended attributes", capture_show(c));
        if (e != ENOENT)
            capture_incomplete(c, &why);
    } else if (cut) {
        (void)err_fail(&why, ERR_LIMIT, "%s: has more than %d bytes of extended attributes; the rest is left out",
                       capture_show(c), (int)XATTR_INLINE_MAX_BYTES);
        capture_incomplete(c, &why);
    }
    struct entry *e = &c->meta.entry;
    e->xattrs = c->meta.xattrs.len > 0 ? c->meta.xattrs.data : NULL;
    e->xattrs_len = c->meta.xattrs.len;
    return ERR_OK;
}

int capture_open(const struct capture *c, int dirfd, const char *name, int extra_flags, uid_t owner)
{
    int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | extra_flags;
    int fd;
    struct err e;
    if (c->euid == 0 || c->euid == owner) {
        if (io_open(dirfd, name, flags | O_NOATIME, 0, &fd, &e) == ERR_OK)
            return fd;
        if (e.sys_errno != EPERM) {
            errno = e.sys_errno ? e.sys_errno : EIO;
            return -1;
        }
    }
    if (io_open(dirfd, name, flags, 0, &fd, &e) == ERR_OK)
        return fd;
    errno = e.sys_errno ? e.sys_errno : EIO;
    return -1;
}

enum errc capture_link(struct capture *c, const struct stat *st, bool *done_out, struct err *err)
{
    *done_out = false;
    if (st->st_nlink < 2)
        return ERR_OK;
    enum errc rc = hardlinks_find(c->links, st, &c->first_path, done_out, err);
    if (rc != ERR_OK || !*done_out)
        return rc;
    rc = capture_entry(c, st, err);
    if (rc != ERR_OK)
        return rc;
    struct entry *e = &c->meta.entry;
    e->type = ENTRY_HARDLINK;
    e->size = 0;
    e->rdev_major = e->rdev_minor = 0;
    e->link_target = (const char *)c->first_path.data;
    e->link_target_len = c->first_path.len;
    rc = c->sink->ops->node(c->sink, e, err);
    if (rc == ERR_OK)
        c->out->entries++;
    return rc;
}

enum errc capture_remember(struct capture *c, const struct stat *st, struct err *err)
{
    if (st->st_nlink < 2 || c->at_root)
        return ERR_OK;
    bool full;
    enum errc rc = hardlinks_add(c->links, st, capture_rel(c), capture_rel_len(c), &full, err);
    if (rc == ERR_OK && full && !c->links_full_said) {
        c->links_full_said = true;
        diag_message(c->opt->diag, DIAG_NOTE, "",
                     "%s: so many hard links are open at once that some are stored as files of their own",
                     capture_show(c));
    }
    return rc;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_bytes(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && (a->st_mode & S_IFMT) == (b->st_mode & S_IFMT) &&
           a->st_size == b->st_size && same_time(a->st_mtim, b->st_mtim);
}

bool stat_same(const struct stat *a, const struct stat *b)
{
    return same_bytes(a, b) && a->st_mode == b->st_mode && same_time(a->st_ctim, b->st_ctim);
}

static void take_look(const struct unit *u, int dirfd, struct look looks[3])
{
    /* -shm is left out: it is an index made anew by whoever opens the database, and changes without a meaning. */
    static const char *const suffixes[3] = {"", "-wal", "-journal"};
    char name[1024 + 16];
    for (size_t i = 0; i < 3; i++) {
        int n = snprintf(name, sizeof name, "%s%s", u->stem, suffixes[i]);
        looks[i].there =
            n > 0 && (size_t)n < sizeof name && fstatat(dirfd, name, &looks[i].st, AT_SYMLINK_NOFOLLOW) == 0;
    }
}

void unit_look(struct unit *u, int dirfd)
{
    take_look(u, dirfd, u->looks);
}

bool unit_held_still(const struct unit *u, int dirfd)
{
    struct look now[3];
    take_look(u, dirfd, now);
    for (size_t i = 0; i < 3; i++) {
        /* SQLite, run by root, gives its logs their owner anew at each opening: their ctime tells nothing. */
        if (now[i].there != u->looks[i].there || (now[i].there && !same_bytes(&now[i].st, &u->looks[i].st)))
            return false;
    }
    return true;
}
