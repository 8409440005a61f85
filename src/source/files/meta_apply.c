#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "source/files/meta.h"
#include "source/files/xattrs.h"

enum { XATTR_NAME_BYTES = 256, NSEC_MAX = 999999999 };

struct target {
    int fd;
    bool path_only; /* O_PATH: most calls go through proc */
    char proc[32];  /* /proc/self/fd/<fd> */
    struct stat st;
    const struct entry *e;
    const struct meta_apply_options *opt;
    bool owner_skipped, xattr_skipped;
    uint32_t lost_bits; /* set-id bits that are not given */
    const char *show;
};

static enum errc set_owner(struct target *t, struct err *err)
{
    uint32_t uid = t->e->uid, gid = t->e->gid;
    if (!t->opt->numeric_ids && t->opt->owners) {
        uint32_t found;
        if (owners_user_id(t->opt->owners, t->e->user, t->e->user_len, &found))
            uid = found;
        if (owners_group_id(t->opt->owners, t->e->group, t->e->group_len, &found))
            gid = found;
    }
    if (t->st.st_uid == uid && t->st.st_gid == gid)
        return ERR_OK;
    if (fchownat(t->fd, "", uid, gid, AT_EMPTY_PATH) == 0)
        return ERR_OK;
    if (errno != EPERM || geteuid() == 0)
        return err_sys(err, ERR_IO, errno, "%s: cannot give it to owner %u:%u", t->show, uid, gid);
    /* Without root at least a group of one's own can be given. */
    if (t->st.st_gid != gid && fchownat(t->fd, "", (uid_t)-1, gid, AT_EMPTY_PATH) == 0)
        t->st.st_gid = gid;
    bool own_user = t->st.st_uid == uid, own_group = t->st.st_gid == gid;
    if (!own_user || !own_group)
        t->owner_skipped = true;
    uint32_t lost = (own_user ? 0 : S_ISUID) | (own_group ? 0 : S_ISGID);
    if (t->e->mode & lost && t->e->type != ENTRY_DIR)
        t->lost_bits = lost;
    return ERR_OK;
}

/* Not given for want of rights or support: counted by the caller instead of failing the restore. */
static bool may_skip(int e)
{
    return e == EPERM || e == ENOTSUP || (e == EACCES && geteuid() != 0);
}

static enum errc remove_one(struct target *t, const struct xattr_place *p, const char *name, struct err *err)
{
    int e = xattr_remove(p, name);
    if (e == 0 || e == ENODATA)
        return ERR_OK;
    /* Labels of the security modules belong to the system and often cannot be taken away. */
    if (may_skip(e) || strncmp(name, "security.", 9) == 0) {
        t->xattr_skipped = true;
        return ERR_OK;
    }
    return err_sys(err, ERR_IO, e, "%s: cannot remove the extended attribute %s", t->show, name);
}

static enum errc set_one(struct target *t, const struct xattr_place *p, struct bytes name, struct bytes value,
                         struct err *err)
{
    char text[XATTR_NAME_BYTES];
    if (name.len == 0 || name.len >= sizeof text || memchr(name.data, 0, name.len))
        return err_fail(err, ERR_DAMAGED, "%s: an extended attribute's name is malformed", t->show);
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    int e = xattr_value_set(p, text, value.data, value.len);
    if (e == 0)
        return ERR_OK;
    if (may_skip(e)) {
        t->xattr_skipped = true;
        return ERR_OK;
    }
    return err_sys(err, ERR_IO, e, "%s: cannot set the extended attribute %s", t->show, text);
}

/* strcmp with a string that is not terminated. */
static int compare_name(const char *a, struct bytes b)
{
    size_t len = strlen(a), common = len < b.len ? len : b.len;
    int c = memcmp(a, b.data, common);
    return c ? c : (len > b.len) - (len < b.len);
}

/* Both lists are sorted: remove what is only there, set all that is wanted. Stale ones go first, to make room. */
static enum errc sync_xattrs(struct target *t, const struct xattr_place *p, const struct xattr_names *have,
                             struct err *err)
{
    struct reader wanted = reader_of(t->e->xattrs, t->e->xattrs_len);
    struct bytes name = {NULL, 0}, value;
    bool more = xattr_next(&wanted, &name, &value);
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < have->count; i++) {
        while (more && compare_name(have->list[i], name) > 0)
            more = xattr_next(&wanted, &name, &value);
        if (!more || compare_name(have->list[i], name) != 0)
            rc = remove_one(t, p, have->list[i], err);
    }
    wanted = reader_of(t->e->xattrs, t->e->xattrs_len);
    while (rc == ERR_OK && xattr_next(&wanted, &name, &value))
        rc = set_one(t, p, name, value, err);
    if (rc == ERR_OK && !reader_ok(&wanted))
        rc = err_fail(err, ERR_DAMAGED, "%s: its extended attributes are malformed", t->show);
    return rc;
}

static int change_mode(const struct target *t, uint32_t mode)
{
    return (t->path_only ? chmod(t->proc, mode) : fchmod(t->fd, mode)) ? errno : 0;
}

static enum errc set_xattrs(struct target *t, struct err *err)
{
    struct xattr_place place;
    enum errc rc = xattr_place_init(&place, t->fd, t->path_only, NULL, t->show, err);
    if (rc != ERR_OK)
        return rc;
    struct xattr_names have;
    rc = xattr_names_read(&place, &have, err);
    if (rc != ERR_OK)
        return rc;
    if (have.count > 0 || t->e->xattrs_len > 0) {
        /* Without root the owner, too, needs write permission for user attributes; the mode proper comes next. */
        if (geteuid() != 0 && !(t->st.st_mode & S_IWUSR) && !S_ISLNK(t->st.st_mode))
            (void)change_mode(t, (t->st.st_mode & 0777) | S_IWUSR);
        rc = sync_xattrs(t, &place, &have, err);
    }
    xattr_names_release(&have);
    return rc;
}

static enum errc set_mode(struct target *t, struct err *err)
{
    if (t->e->type == ENTRY_SYMLINK)
        return ERR_OK;
    uint32_t mode = t->e->mode & 07777 & ~t->lost_bits;
    int e = change_mode(t, mode);
    return e ? err_sys(err, ERR_IO, e, "%s: cannot set its mode to %04o", t->show, mode) : ERR_OK;
}

static enum errc set_times(struct target *t, struct err *err)
{
    uint32_t nsec = t->e->mtime.nsec;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                {.tv_sec = t->e->mtime.sec, .tv_nsec = nsec > NSEC_MAX ? NSEC_MAX : nsec}};
    int rc = t->path_only ? utimensat(t->fd, "", times, AT_EMPTY_PATH) : futimens(t->fd, times);
    return rc ? err_sys(err, ERR_IO, errno, "%s: cannot set its modification time", t->show) : ERR_OK;
}

static enum errc apply_all(struct target *t, struct err *err)
{
    if (fstat(t->fd, &t->st))
        return err_sys(err, ERR_IO, errno, "%s", t->show);
    if ((t->st.st_mode & S_IFMT) != meta_format_bits(t->e->type))
        return err_fail(err, ERR_TARGET_UNSUITABLE, "%s: is not of the stored type", t->show);
    enum errc rc = set_owner(t, err);
    if (rc == ERR_OK)
        rc = set_xattrs(t, err);
    if (rc == ERR_OK)
        rc = set_mode(t, err);
    if (rc == ERR_OK)
        rc = set_times(t, err);
    return rc;
}

enum errc meta_apply(int fd, const char *name, const struct entry *e, const struct meta_apply_options *opt,
                     const char *show, struct err *err)
{
    if (meta_format_bits(e->type) == 0)
        return ERR_OK;
    struct target t = {.fd = fd, .e = e, .opt = opt, .show = show};
    int opened = -1;
    if (name) {
        enum errc rc = io_open(fd, name, O_PATH | O_NOFOLLOW, 0, &opened, err);
        if (rc != ERR_OK)
            return err_wrap(err, "%s", show);
        t.fd = opened;
        t.path_only = true;
    } else {
        int flags = fcntl(fd, F_GETFL);
        t.path_only = flags >= 0 && flags & O_PATH;
    }
    snprintf(t.proc, sizeof t.proc, "/proc/self/fd/%d", t.fd);
    enum errc rc = apply_all(&t, err);
    io_close_quietly(&opened);
    if (rc == ERR_OK && opt->skipped) {
        opt->skipped->owners += t.owner_skipped;
        opt->skipped->xattrs += t.xattr_skipped;
        opt->skipped->special_bits += t.lost_bits != 0;
    }
    return rc;
}
