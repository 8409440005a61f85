#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"
#include "engine/swap.h"
#include "source/files/meta.h"
#include "source/source.h"
#include "source/sqlite/apply.h"

/* A directory is made equal to the staged one, file by file, for where an exchange is not possible or would take
 * databases away from under their users. Files are linked in, not moved, so that the staged tree stays whole and all
 * of this can be done again: a file whose inode is the staged one's is done. What is replaced or not in the snapshot is
 * moved (or linked) to old/. Databases go in through SQLite. */

enum { DEPTH_MAX = 400 };

struct merge {
    struct part *part;
    const struct restore_options *opt;
    struct owners *owners;
    unsigned depth;
};

static enum errc merge_dir(struct merge *m, int staged, int target, int old, const char *show, struct err *err);

static bool look(int dir, const char *name, struct stat *st)
{
    return fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) == 0;
}

static enum errc open_dir(int dir, const char *name, bool make, int *fd_out, struct err *err)
{
    struct err why;
    if (make) {
        enum errc rc = io_mkdirat(dir, name, 0700, &why);
        if (rc != ERR_OK && why.sys_errno != EEXIST) {
            if (err)
                *err = why;
            return rc;
        }
    }
    return io_open(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, fd_out, err);
}

/* A name in old/ that is free: name, or name with a number when a run before this one left one there. */
static enum errc move_out(int target, const char *name, int old, struct err *err)
{
    struct err why;
    enum errc rc = io_rename_new(target, name, old, name, &why);
    for (unsigned i = 1; rc != ERR_OK && why.sys_errno == EEXIST && i < 100; i++) {
        char other[300];
        snprintf(other, sizeof other, "%.240s.%u", name, i);
        rc = io_rename_new(target, name, old, other, &why);
    }
    if (rc != ERR_OK && why.sys_errno != ENOENT) {
        if (err)
            *err = why;
        return rc;
    }
    return ERR_OK;
}

static enum errc put_database(struct merge *m, int staged, const char *name, const char *show, struct err *err)
{
    char *image = NULL, *quarantine = NULL;
    struct err ignored;
    struct meta meta;
    meta_init(&meta);
    enum errc rc = path_join(m->part->staging, "image", &image, err);
    if (rc == ERR_OK)
        rc = path_join(m->part->staging, "old", &quarantine, err);
    if (rc == ERR_OK)
        (void)!io_unlinkat(AT_FDCWD, image, 0, &ignored);
    if (rc == ERR_OK)
        rc = io_linkat(staged, name, AT_FDCWD, image,
                       err); /* the image may be renamed in: the staged tree keeps its own */
    if (rc == ERR_OK)
        rc = meta_read(staged, name, m->owners, show, &meta, err);
    if (rc == ERR_OK) {
        struct sqlite_apply a = {.path = show,
                                 .image = image,
                                 .meta = &meta.entry,
                                 .quarantine = quarantine,
                                 .self_exe = m->opt->self_exe,
                                 .force = m->opt->force,
                                 .diag = m->opt->diag};
        rc = sqlite_apply(&a, err);
        (void)!io_unlinkat(AT_FDCWD, image, 0, &ignored);
    }
    meta_release(&meta);
    free(image);
    free(quarantine);
    return rc;
}

static enum errc put_file(struct merge *m, int staged, int target, int old, const char *name, const char *show,
                          struct err *err)
{
    struct stat from, to;
    struct err why;
    if (!look(staged, name, &from))
        return err_sys(err, ERR_IO, errno, "the staged %s is gone", show);
    bool there = look(target, name, &to);
    if (there && to.st_ino == from.st_ino && to.st_dev == from.st_dev)
        return ERR_OK;
    if (there && S_ISREG(from.st_mode) && S_ISREG(to.st_mode) && file_is_database(staged, name))
        return put_database(m, staged, name, show, err);
    enum errc rc = ERR_OK;
    if (there && S_ISDIR(to.st_mode)) {
        rc = move_out(target, name, old, err);
    } else if (there) {
        /* A file that may not be linked (another owner's, or at its limit of links) is moved out. */
        if (io_linkat(target, name, old, name, &why) != ERR_OK && why.sys_errno != EEXIST)
            rc = move_out(target, name, old, err);
    }
    if (rc != ERR_OK)
        return rc;
    char temp[64];
    snprintf(temp, sizeof temp, ".snap-new-%ld", (long)getpid());
    (void)!io_unlinkat(target, temp, 0, &why);
    rc = io_linkat(staged, name, target, temp, err);
    return rc == ERR_OK ? io_renameat2(target, temp, target, name, 0, err) : rc;
}

/* The place in old/ for what is moved out of a directory; under another name where a file was moved to that one. */
static enum errc open_old_dir(int old, const char *name, int *fd_out, struct err *err)
{
    char other[300];
    struct err why;
    enum errc rc = open_dir(old, name, true, fd_out, &why);
    if (rc == ERR_OK || (why.sys_errno != ENOTDIR && why.sys_errno != ELOOP)) {
        if (rc != ERR_OK && err)
            *err = why;
        return rc;
    }
    snprintf(other, sizeof other, "%.240s.dir", name);
    return open_dir(old, other, true, fd_out, err);
}

static enum errc put_dir(struct merge *m, int staged, int target, int old, const char *name, const char *show,
                         struct err *err)
{
    struct stat to;
    struct meta meta;
    struct meta_apply_options opt = {.owners = m->owners};
    int s = -1, t = -1, o = -1;
    enum errc rc = ERR_OK;
    if (m->depth >= DEPTH_MAX)
        return err_fail(err, ERR_LIMIT, "%s lies too deep for a restore file by file", show);
    if (look(target, name, &to) && !S_ISDIR(to.st_mode))
        rc = move_out(target, name, old, err);
    if (rc == ERR_OK)
        rc = open_dir(staged, name, false, &s, err);
    if (rc == ERR_OK)
        rc = open_dir(target, name, true, &t, err);
    if (rc == ERR_OK)
        rc = open_old_dir(old, name, &o, err);
    m->depth++;
    if (rc == ERR_OK)
        rc = merge_dir(m, s, t, o, show, err);
    m->depth--;
    meta_init(&meta);
    if (rc == ERR_OK)
        rc = meta_read(s, NULL, m->owners, show, &meta, err);
    if (rc == ERR_OK)
        rc = meta_apply(t, NULL, &meta.entry, &opt, show, err);
    meta_release(&meta);
    io_close_quietly(&s);
    io_close_quietly(&t);
    io_close_quietly(&o);
    return rc;
}

/* The names in a directory, all at once: the directory is changed while they are used. */
static enum errc read_names(int dir, struct buf *names, struct err *err)
{
    int fd;
    enum errc rc = io_open(dir, ".", O_RDONLY | O_DIRECTORY, 0, &fd, err);
    if (rc != ERR_OK)
        return rc;
    DIR *d = fdopendir(fd);
    if (!d) {
        rc = err_sys(err, ERR_IO, errno, "cannot list a directory");
        io_close_quietly(&fd);
        return rc;
    }
    struct dirent *e;
    while (rc == ERR_OK && (e = readdir(d)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            rc = buf_append(names, e->d_name, strlen(e->d_name) + 1, err);
    closedir(d);
    return rc;
}

/* SQLite's own files beside a database that is restored stay until SQLite has dealt with them. */
static bool is_sidecar_of_staged(int staged, const char *name)
{
    static const char *const suffixes[] = {"-wal", "-shm", "-journal"};
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        size_t n = strlen(suffixes[i]);
        char database[256];
        if (len <= n || len - n >= sizeof database || strcmp(name + len - n, suffixes[i]) != 0)
            continue;
        snprintf(database, sizeof database, "%.*s", (int)(len - n), name);
        if (file_is_database(staged, database))
            return true;
    }
    return false;
}

static enum errc take_out_extra(int staged, int target, int old, struct err *err)
{
    struct buf names;
    struct stat st;
    buf_init(&names, (size_t)1 << 30);
    enum errc rc = read_names(target, &names, err);
    for (size_t i = 0; rc == ERR_OK && i < names.len;) {
        const char *name = (const char *)names.data + i;
        i += strlen(name) + 1;
        if (!look(staged, name, &st) && strncmp(name, ".snap-restore-", 14) != 0 && !is_sidecar_of_staged(staged, name))
            rc = move_out(target, name, old, err);
    }
    buf_release(&names);
    return rc;
}

static enum errc merge_dir(struct merge *m, int staged, int target, int old, const char *show, struct err *err)
{
    struct buf names;
    buf_init(&names, (size_t)1 << 30);
    enum errc rc = take_out_extra(staged, target, old, err);
    if (rc == ERR_OK)
        rc = read_names(staged, &names, err);
    for (size_t i = 0; rc == ERR_OK && i < names.len;) {
        const char *name = (const char *)names.data + i;
        struct stat st;
        char *path;
        i += strlen(name) + 1;
        rc = path_join(show, name, &path, err);
        if (rc != ERR_OK)
            break;
        if (look(staged, name, &st) && S_ISDIR(st.st_mode))
            rc = put_dir(m, staged, target, old, name, path, err);
        else
            rc = put_file(m, staged, target, old, name, path, err);
        free(path);
    }
    buf_release(&names);
    return rc;
}

enum errc merge_into(struct part *p, const struct restore_options *opt, struct err *err)
{
    struct merge m = {.part = p, .opt = opt};
    char *old_path = NULL;
    const char *name = path_base(p->path);
    char *parent_path = NULL;
    int staging = -1, parent = -1, old = -1;
    enum errc rc = path_parent(p->path, &parent_path, err);
    if (rc == ERR_OK)
        rc = path_join(p->staging, "old", &old_path, err);
    if (rc == ERR_OK)
        rc = owners_new(&m.owners, err);
    if (rc == ERR_OK)
        rc = io_open(AT_FDCWD, parent_path, O_RDONLY | O_DIRECTORY, 0, &parent, err);
    if (rc == ERR_OK)
        rc = io_open(AT_FDCWD, p->staging, O_RDONLY | O_DIRECTORY, 0, &staging, err);
    if (rc == ERR_OK)
        rc = open_dir(AT_FDCWD, old_path, true, &old, err);
    if (rc == ERR_OK) {
        /* The staged root is called "new"; below it names agree with the target's. */
        int s = -1, t = -1, o = -1;
        struct meta meta;
        struct meta_apply_options apply = {.owners = m.owners};
        meta_init(&meta);
        p->swapped = true; /* from here on it may be half done */
        rc = open_dir(staging, "new", false, &s, err);
        if (rc == ERR_OK)
            rc = open_dir(parent, name, true, &t, err);
        if (rc == ERR_OK)
            rc = open_dir(old, "tree", true, &o, err);
        if (rc == ERR_OK)
            rc = merge_dir(&m, s, t, o, p->path, err);
        if (rc == ERR_OK)
            rc = meta_read(s, NULL, m.owners, p->path, &meta, err);
        if (rc == ERR_OK)
            rc = meta_apply(t, NULL, &meta.entry, &apply, p->path, err);
        if (rc == ERR_OK)
            rc = io_syncfs(t, p->path, err);
        meta_release(&meta);
        io_close_quietly(&s);
        io_close_quietly(&t);
        io_close_quietly(&o);
    }
    io_close_quietly(&staging);
    io_close_quietly(&parent);
    io_close_quietly(&old);
    owners_free(m.owners);
    free(parent_path);
    free(old_path);
    return rc == ERR_OK ? ERR_OK : err_wrap(err, "restoring %s file by file", p->path);
}
