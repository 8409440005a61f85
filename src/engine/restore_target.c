#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/path.h"
#include "engine/own_places.h"
#include "engine/restore_work.h"

/* Elsewhere: everything is staged beside the target, proven, and appears under its name at once. */

static enum errc check_target(const char *target, bool *exists, struct stat *st, struct err *err)
{
    *exists = lstat(target, st) == 0;
    if (!*exists)
        return errno == ENOENT || errno == ENOTDIR ? ERR_OK : err_sys(err, ERR_TARGET_UNSUITABLE, errno, "%s", target);
    if (!S_ISDIR(st->st_mode))
        return err_fail(err, ERR_TARGET_EXISTS, "%s exists and is not a directory", target);
    DIR *d = opendir(target);
    if (!d)
        return err_sys(err, ERR_TARGET_UNSUITABLE, errno, "%s", target);
    bool empty = true;
    struct dirent *e;
    while ((e = readdir(d)) != NULL)
        empty = empty && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                          strcmp(e->d_name, "lost+found") == 0); /* a new file system is empty */
    closedir(d);
    return empty ? ERR_OK : err_fail(err, ERR_TARGET_EXISTS, "%s is not empty", target);
}

/* The directories between the target and a part: its path's parents, below staging. */
static enum errc make_between(const char *staging, const char *rel, struct err *err)
{
    enum errc rc = ERR_OK;
    for (const char *slash = strchr(rel, '/'); rc == ERR_OK && slash; slash = strchr(slash + 1, '/')) {
        struct buf path;
        struct err why;
        buf_init(&path, 128 * 1024);
        rc = buf_append_fmt(&path, err, "%s/%.*s", staging, (int)(slash - rel), rel);
        if (rc == ERR_OK)
            rc = buf_terminate(&path, err);
        if (rc == ERR_OK && io_mkdirat(AT_FDCWD, (const char *)path.data, 0700, &why) != ERR_OK &&
            why.sys_errno != EEXIST)
            rc = err_sys(err, ERR_IO, why.sys_errno, "cannot make %s", (const char *)path.data);
        buf_release(&path);
    }
    return rc;
}

static enum errc stage_part(struct restore_work *w, struct part *p, const struct part *place, struct err *err)
{
    struct buf root;
    struct timestamp begun = time_now();
    uint64_t ns = monotonic_ns();
    buf_init(&root, 2 * PATH_MAX_BYTES);
    const char *rel = p->path + strlen(w->opt->target);
    while (*rel == '/')
        rel++;
    enum errc rc = buf_append_fmt(&root, err, "new%s%s", *rel ? "/" : "", rel);
    if (rc == ERR_OK)
        rc = buf_terminate(&root, err);
    if (rc == ERR_OK && p->inside) {
        rc = stage_fill_inside(&w->stage, p, place, (const char *)root.data, err);
    } else if (rc == ERR_OK) {
        rc = make_between(place->staging, (const char *)root.data, err);
        p->staging = place->staging;
        if (rc == ERR_OK)
            rc = stage_fill(&w->stage, p, (const char *)root.data, err);
        p->staging = NULL;
    }
    if (rc == ERR_OK)
        rc = work_step(w, "stage and verify", p->path, begun, ns, true, NULL, err);
    buf_release(&root);
    return rc;
}

static enum errc sync_dir(const char *path, struct err *err)
{
    int fd = -1;
    enum errc rc = io_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, &fd, err);
    if (rc == ERR_OK)
        rc = io_fsync(fd, path, err);
    io_close_quietly(&fd);
    return rc;
}

/* All at once, under a new name. */
static enum errc publish(const char *new_dir, const char *target, struct err *err)
{
    char *parent = NULL;
    enum errc rc = io_rename_new(AT_FDCWD, new_dir, AT_FDCWD, target, err);
    if (rc == ERR_OK)
        rc = path_parent(target, &parent, err);
    if (rc == ERR_OK)
        rc = sync_dir(parent, err);
    free(parent);
    return rc;
}

/* Into a directory that is there, and may be a mount point: name by name, which for one source is one. */
static enum errc publish_into(const char *new_dir, const char *target, struct err *err)
{
    DIR *d = opendir(new_dir);
    struct dirent *e;
    enum errc rc = ERR_OK;
    if (!d)
        return err_sys(err, ERR_IO, errno, "cannot list %s", new_dir);
    while (rc == ERR_OK && (e = readdir(d)) != NULL) {
        char *to;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        rc = path_join(target, e->d_name, &to, err);
        if (rc == ERR_OK) {
            rc = io_rename_new(dirfd(d), e->d_name, AT_FDCWD, to, err);
            free(to);
        }
    }
    closedir(d);
    return rc == ERR_OK ? sync_dir(target, err) : rc;
}

static enum errc run(struct restore_work *w, struct part *place, bool exists, struct err *err)
{
    char *new_dir = NULL;
    enum errc rc = stage_make(&w->stage, place, 0, err);
    if (rc == ERR_OK)
        rc = path_join(place->staging, "new", &new_dir, err);
    if (rc == ERR_OK)
        rc = io_mkdirat(AT_FDCWD, new_dir, 0700, err);
    for (size_t i = 0; rc == ERR_OK && i < w->parts.count; i++)
        rc = stage_part(w, &w->parts.parts[i], place, err);
    if (rc == ERR_OK)
        rc = stage_sync(place, err);
    if (rc == ERR_OK)
        rc = exists ? publish_into(new_dir, w->opt->target, err) : publish(new_dir, w->opt->target, err);
    for (size_t i = 0; rc == ERR_OK && i < w->parts.count; i++)
        w->parts.parts[i].swapped = true;
    free(new_dir);
    return rc;
}

enum errc work_to_target(struct restore_work *w, struct err *err)
{
    struct part place = {.lock_fd = -1};
    struct stat st;
    bool exists = false;
    enum errc rc = own_check_target(w, err);
    if (rc == ERR_OK && !w->opt->dry_run)
        pending_sweep(w); /* what a restore to here that was cut off has left does not make it unfit */
    if (rc == ERR_OK)
        rc = check_target(w->opt->target, &exists, &st, err);
    for (size_t i = 0; i < w->parts.count; i++) {
        w->parts.parts[i].action = RESTORE_CREATE;
        w->stage.bytes_total += w->parts.parts[i].bytes;
    }
    if (rc == ERR_OK)
        rc = work_space(w, err);
    struct err ignored;
    if (rc != ERR_OK || w->opt->dry_run) {
        (void)!work_outcome(w, &ignored);
        return rc;
    }
    /* Staged beside the target; within it when it is there, for it may be a mount point. */
    rc =
        exists ? path_join(w->opt->target, "restored", &place.path, err) : mem_strdup(&place.path, w->opt->target, err);
    if (rc == ERR_OK)
        rc = run(w, &place, exists, err);
    if (place.staging && stage_remove(&place, &ignored) != ERR_OK)
        diag_error(w->opt->diag, &ignored);
    free(place.staging);
    free(place.path);
    if (rc == ERR_OK && !store_is_read_only(w->store)) {
        struct err why;
        if (work_log(w, "done", NULL, &why) != ERR_OK)
            diag_message(w->opt->diag, DIAG_WARNING, err_name(why.code), "no record of this restore was kept: %s",
                         why.message);
    } else if (rc == ERR_OK) {
        diag_message(w->opt->diag, DIAG_NOTE, "read-only",
                     "the repository is read-only: no record of this restore was kept");
    }
    (void)!work_outcome(w, &ignored);
    return rc;
}
