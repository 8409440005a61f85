#include "source/sqlite/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "source/sqlite/raw.h"

enum { NAMES_MAX = 1000, NAME_BYTES_MAX = 300 };

enum errc swap_open(struct swap *s, const struct place *p, const char *quarantine, struct err *err)
{
    *s = (struct swap){.place = p, .quarantine_fd = -1, .quarantine = quarantine};
    return io_open(AT_FDCWD, quarantine, O_RDONLY | O_DIRECTORY, 0, &s->quarantine_fd, err);
}

void swap_release(struct swap *s)
{
    io_close_quietly(&s->quarantine_fd);
}

/* Rename dirfd/name to a name in the quarantine that is free. *moved_out false: it was not there. */
static enum errc to_quarantine(struct swap *s, int dirfd, const char *from, const char *name, bool *moved_out,
                               struct err *err)
{
    char to[NAME_BYTES_MAX + 16];
    enum errc rc = ERR_OK;

    *moved_out = false;
    for (int i = 0; i < NAMES_MAX; i++) {
        snprintf(to, sizeof to, i ? "%s.%d" : "%s", name, i);
        rc = io_rename_new(dirfd, from, s->quarantine_fd, to, err);
        if (rc == ERR_OK) {
            *moved_out = true;
            return ERR_OK;
        }
        if (err->sys_errno == ENOENT)
            return ERR_OK;
        if (err->sys_errno != EEXIST)
            break;
    }
    return rc;
}

enum errc swap_out(struct swap *s, const char *suffix, struct err *err)
{
    char name[NAME_BYTES_MAX];
    bool moved;

    snprintf(name, sizeof name, "%s%s", s->place->name, suffix);
    return to_quarantine(s, s->place->dir_fd, name, name, &moved, err);
}

enum errc swap_sync(struct swap *s, struct err *err)
{
    int fd = -1;
    enum errc rc = io_open(s->place->dir_fd, ".", O_RDONLY | O_DIRECTORY, 0, &fd, err);

    if (rc == ERR_OK)
        rc = io_fsync(fd, s->place->dir, err);
    io_close_quietly(&fd);
    if (rc == ERR_OK)
        rc = io_fsync(s->quarantine_fd, s->quarantine, err);
    return rc;
}

enum errc swap_sidecars_out(struct swap *s, struct err *err)
{
    enum errc rc = ERR_OK;

    for (size_t i = 1; rc == ERR_OK && i < RAW_FILES; i++)
        rc = swap_out(s, raw_suffixes[i], err);
    return rc == ERR_OK ? swap_sync(s, err) : rc;
}

enum errc swap_in(struct swap *s, const char *from, struct err *err)
{
    const struct place *p = s->place;
    bool moved;
    enum errc rc = io_renameat2(AT_FDCWD, from, p->dir_fd, p->name, RENAME_EXCHANGE, err);

    if (rc == ERR_OK) {
        rc = swap_sync(s, err);
        if (rc == ERR_OK)
            rc = to_quarantine(s, AT_FDCWD, from, p->name, &moved, err);
    } else if (err->sys_errno == ENOENT) { /* nothing stood there */
        rc = io_rename_new(AT_FDCWD, from, p->dir_fd, p->name, err);
    } else if (io_is_unsupported(err)) {
        /* A file system that cannot exchange: keep the old one by a second name, then replace it. */
        rc = io_linkat(p->dir_fd, p->name, s->quarantine_fd, p->name, err);
        if (rc == ERR_OK || err->sys_errno == EEXIST) /* there from a try that was cut off */
            rc = io_renameat2(AT_FDCWD, from, p->dir_fd, p->name, 0, err);
    }
    return rc == ERR_OK ? swap_sync(s, err) : rc;
}

enum errc swap_put(struct swap *s, const char *suffix, const char *from, struct err *err)
{
    char name[NAME_BYTES_MAX];

    snprintf(name, sizeof name, "%s%s", s->place->name, suffix);
    return io_rename_new(AT_FDCWD, from, s->place->dir_fd, name, err);
}
