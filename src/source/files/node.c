/* One name: looked at, and handed to what takes its type. All that has no data is taken here. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "source/files/capture.h"

/* Of something that is swapped all the time, so many looks are taken before it is given up. */
enum { LOOKS_MAX = 8 };

static enum errc send_node(struct capture *c, struct err *err)
{
    enum errc rc = c->sink->ops->node(c->sink, &c->meta.entry, err);
    if (rc == ERR_OK)
        c->out->entries++;
    return rc;
}

/* Links, pipes, sockets, devices: never opened. */
static enum errc take_node(struct capture *c, int dirfd, const char *name, const struct stat *st, enum outcome *outcome,
                           struct err *err)
{
    bool done;
    *outcome = TOOK;
    enum errc rc = capture_link(c, st, &done, err);
    if (rc != ERR_OK || done)
        return rc;
    rc = capture_entry(c, st, err);
    if (rc != ERR_OK)
        return rc;
    struct entry *e = &c->meta.entry;
    if (e->type == ENTRY_SYMLINK) {
        struct err why = {.sys_errno = 0};
        rc = meta_read_link(dirfd, name, &c->meta.link, "", &why);
        if (rc != ERR_OK && why.sys_errno == 0) {
            if (err)
                *err = why;
            return rc;
        }
        if (rc != ERR_OK) {
            *outcome = why.sys_errno == ENOENT ? GONE : why.sys_errno == EINVAL ? AGAIN : SKIPPED;
            if (*outcome == SKIPPED)
                capture_failed_sys(c, why.sys_errno, "cannot read the link");
            return ERR_OK;
        }
        e->link_target = (const char *)c->meta.link.data;
        e->link_target_len = e->size = c->meta.link.len;
    }
    rc = capture_xattrs(c, dirfd, name, err);
    if (rc == ERR_OK)
        rc = send_node(c, err);
    return rc == ERR_OK ? capture_remember(c, st, err) : rc;
}

/* A directory that is not to be entered, or cannot be: its entry, empty. */
static enum errc take_closed_directory(struct capture *c, int dirfd, const char *name, const struct stat *st,
                                       struct err *err)
{
    enum errc rc = capture_entry(c, st, err);
    if (rc == ERR_OK)
        rc = capture_xattrs(c, dirfd, name, err);
    if (rc == ERR_OK)
        rc = send_node(c, err);
    c->directories += rc == ERR_OK;
    return rc;
}

static enum errc unreadable_directory(struct capture *c, int dirfd, const char *name, const struct stat *st,
                                      int sys_errno, enum outcome *outcome, struct err *err)
{
    *outcome = SKIPPED;
    if (c->at_root) {
        capture_failed_sys(c, sys_errno, "cannot be opened");
        return ERR_OK;
    }
    struct err why;
    (void)err_sys(&why, ERR_SOURCE_UNREADABLE, sys_errno,
                  "%s: the directory cannot be opened, what is in it is missing", capture_show(c));
    capture_incomplete(c, &why);
    return take_closed_directory(c, dirfd, name, st, err);
}

/* With everything in it, and without an entry. The root is what was asked for. */
static bool is_left_out(struct capture *c, const struct stat *st)
{
    for (size_t i = 0; !c->at_root && i < c->opt->left_out_count; i++) {
        const struct left_out *l = &c->opt->left_out[i];
        if (l->ino == 0 || l->ino != st->st_ino || l->dev != st->st_dev)
            continue;
        c->out->left_out |= 1U << i;
        diag_message(c->opt->diag, DIAG_NOTE, "", "%s is %s and was left out", capture_show(c), l->what);
        return true;
    }
    return false;
}

static enum errc take_directory(struct capture *c, int dirfd, const char *name, const struct stat *st, int *dir_fd,
                                enum outcome *outcome, struct err *err)
{
    *outcome = TOOK;
    if (c->opt->one_file_system && !c->at_root && st->st_dev != c->root_dev)
        return take_closed_directory(c, dirfd, name, st, err);
    int fd = capture_open(c, dirfd, name, O_DIRECTORY, st->st_uid);
    if (fd < 0 && errno == ENOENT)
        *outcome = GONE;
    else if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        *outcome = AGAIN; /* a link or something else stands there now: it is not followed */
    else if (fd < 0)
        return unreadable_directory(c, dirfd, name, st, errno, outcome, err);
    if (fd < 0)
        return ERR_OK;
    struct stat now; /* of what is open; it may have been swapped for another directory */
    enum errc rc = ERR_OK;
    if (fstat(fd, &now))
        now = *st;
    if (is_left_out(c, &now)) {
        io_close_quietly(&fd);
        return ERR_OK;
    }
    if (c->opt->one_file_system && !c->at_root && now.st_dev != c->root_dev) {
        *outcome = AGAIN;
        io_close_quietly(&fd);
        return ERR_OK;
    }
    if (c->at_root)
        c->root_dev = now.st_dev;
    rc = capture_entry(c, &now, err);
    if (rc == ERR_OK)
        rc = capture_xattrs(c, fd, NULL, err);
    if (rc == ERR_OK)
        rc = send_node(c, err);
    c->directories += rc == ERR_OK;
    if (rc == ERR_OK)
        *dir_fd = fd;
    else
        io_close_quietly(&fd);
    return rc;
}

static enum errc take_any(struct capture *c, int dirfd, const char *name, struct part *part, int *dir_fd,
                          enum outcome *outcome, struct err *err)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW)) {
        *outcome = errno == ENOENT ? GONE : SKIPPED;
        if (*outcome == SKIPPED)
            capture_failed_sys(c, errno, "cannot be looked at");
        return ERR_OK;
    }
    if (S_ISREG(st.st_mode))
        return capture_regular(c, dirfd, name, &st, part, outcome, err);
    if (S_ISDIR(st.st_mode))
        return take_directory(c, dirfd, name, &st, dir_fd, outcome, err);
    return take_node(c, dirfd, name, &st, outcome, err);
}

enum errc capture_name(struct capture *c, int dirfd, const char *name, struct part *part, int *dir_fd, struct err *err)
{
    *dir_fd = -1;
    for (part->looks = 0; part->looks < LOOKS_MAX; part->looks++) {
        enum outcome outcome;
        enum errc rc = take_any(c, dirfd, name, part, dir_fd, &outcome, err);
        if (rc != ERR_OK)
            return rc;
        if (outcome == GONE) {
            struct err why;
            (void)err_fail(&why, ERR_SOURCE_MISSING, "%s: went away before it was read", capture_show(c));
            if (c->at_root)
                capture_failed(c, &why);
            else
                diag_message(c->opt->diag, DIAG_VERBOSE, "", "%s", why.message);
        }
        if (outcome != AGAIN)
            return ERR_OK;
    }
    struct err why;
    (void)err_fail(&why, ERR_SOURCE_UNREADABLE, "%s: changes into something else each time it is looked at",
                   capture_show(c));
    capture_failed(c, &why);
    return ERR_OK;
}
