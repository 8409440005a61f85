#include "engine/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/path.h"

enum { EXCHANGE = 2 /* RENAME_EXCHANGE */ };
static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
enum { SUFFIXES = sizeof suffixes / sizeof suffixes[0] };

static enum errc full_path(const char *a, const char *b, const char *suffix, char **out, struct err *err)
{
    struct buf text;
    buf_init(&text, 2 * PATH_MAX_BYTES);
    enum errc rc =
        b ? buf_append_fmt(&text, err, "%s/%s%s", a, b, suffix) : buf_append_fmt(&text, err, "%s%s", a, suffix);
    if (rc == ERR_OK)
        rc = mem_dup(out, text.data, text.len, err);
    buf_release(&text);
    return rc;
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static bool target_is_ours(const struct part *p)
{
    struct stat st;
    return p->ino != 0 && lstat(p->path, &st) == 0 && (uint64_t)st.st_ino == p->ino && (uint64_t)st.st_dev == p->dev;
}

/* What lies in the staging place under `name` goes back to the target, which was moved out of the way. */
static enum errc bring_back(const struct part *p, const char *name, const char *suffix, struct err *err)
{
    char *from = NULL, *to = NULL;
    struct err why;
    enum errc rc = full_path(p->staging, name, suffix, &from, err);
    if (rc == ERR_OK)
        rc = full_path(p->path, NULL, suffix, &to, err);
    if (rc == ERR_OK && io_rename_new(AT_FDCWD, from, AT_FDCWD, to, &why) != ERR_OK && why.sys_errno != ENOENT)
        rc = err_sys(err, ERR_IO, why.sys_errno, "cannot put %s back", to);
    free(from);
    free(to);
    return rc;
}

/* The target goes to staging/<name>, out of the way. */
static enum errc take_out(const struct part *p, const char *name, const char *suffix, struct err *err)
{
    char *from = NULL, *to = NULL;
    struct err why;
    enum errc rc = full_path(p->path, NULL, suffix, &from, err);
    if (rc == ERR_OK)
        rc = full_path(p->staging, name, suffix, &to, err);
    if (rc == ERR_OK && io_rename_new(AT_FDCWD, from, AT_FDCWD, to, &why) != ERR_OK && why.sys_errno != ENOENT)
        rc = err_sys(err, ERR_IO, why.sys_errno, "cannot take %s out", from);
    free(from);
    free(to);
    return rc;
}

static enum errc exchange_back(const struct part *p, struct err *err)
{
    char *staged;
    struct err why;
    if (stage_has(p, "old/moved")) { /* the file system cannot exchange */
        enum errc rc = target_is_ours(p) ? take_out(p, "new", "", err) : ERR_OK;
        return rc == ERR_OK ? bring_back(p, "old/moved", "", err) : rc;
    }
    if (!stage_has(p, "new")) /* nothing stood there */
        return take_out(p, "new", "", err);
    enum errc rc = full_path(p->staging, "new", "", &staged, err);
    if (rc != ERR_OK)
        return rc;
    if (exists(p->path))
        rc = io_renameat2(AT_FDCWD, staged, AT_FDCWD, p->path, EXCHANGE, &why);
    else
        rc = io_rename_new(AT_FDCWD, staged, AT_FDCWD, p->path, &why);
    free(staged);
    return rc == ERR_OK ? ERR_OK : err_sys(err, ERR_IO, why.sys_errno, "cannot put %s back", p->path);
}

/* A database whose file was replaced: what was moved to old/ returns, sidecars before the database. */
static enum errc files_back(const struct part *p, struct err *err)
{
    char name[300];
    enum errc rc = ERR_OK;
    snprintf(name, sizeof name, "old/%.255s", path_base(p->path));
    if (!stage_has(p, name) && stage_has(p, "new") && !stage_is_ours(p, "new"))
        snprintf(name, sizeof name, "new"); /* exchanged, not yet moved on */
    const char *out = p->original ? "new" : "taken";
    if (strcmp(name, "new") == 0)
        out = "taken";
    for (size_t i = 1; rc == ERR_OK && i < SUFFIXES; i++)
        if (target_is_ours(p) || !exists(p->path))
            rc = take_out(p, out, suffixes[i], err);
    if (rc == ERR_OK && target_is_ours(p))
        rc = take_out(p, out, "", err);
    for (size_t i = SUFFIXES; rc == ERR_OK && i-- > 0;) {
        const char *from = i > 0 && strcmp(name, "new") == 0 ? NULL : name;
        char quarantine[300];
        snprintf(quarantine, sizeof quarantine, "old/%.255s", path_base(p->path));
        rc = bring_back(p, from ? from : quarantine, suffixes[i], err);
    }
    return rc;
}

static enum errc sync_parent(const struct part *p, struct err *err)
{
    char *parent;
    int fd = -1;
    enum errc rc = path_parent(p->path, &parent, err);
    if (rc != ERR_OK)
        return rc;
    rc = io_open(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY, 0, &fd, err);
    if (rc == ERR_OK)
        rc = io_fsync(fd, parent, err);
    io_close_quietly(&fd);
    free(parent);
    return rc;
}

static enum errc unmark(const struct part *p, struct err *err)
{
    char *path;
    struct err why;
    enum errc rc = path_join(p->staging, "swapped", &path, err);
    if (rc != ERR_OK)
        return rc;
    if (io_unlinkat(AT_FDCWD, path, 0, &why) != ERR_OK && why.sys_errno != ENOENT)
        rc = err_sys(err, ERR_IO, why.sys_errno, "cannot remove %s", path);
    free(path);
    return rc;
}

static bool has_old_files(const struct part *p)
{
    bool has = false;
    for (size_t i = 0; !has && i < SUFFIXES; i++) {
        char name[320];
        snprintf(name, sizeof name, "old/%.255s%s", path_base(p->path), suffixes[i]);
        has = stage_has(p, name);
    }
    return has;
}

/* Was the file replaced, rather than written into? */
static bool was_replaced(const struct part *p)
{
    return target_is_ours(p) || has_old_files(p) || p->action == RESTORE_RAW;
}

bool swap_has_begun(const struct part *p)
{
    return stage_has(p, "swapped") || target_is_ours(p) || has_old_files(p) || stage_has(p, "old/moved") ||
           stage_has(p, "old/removed") || stage_has(p, "old/tree") ||
           (p->action != RESTORE_SQLITE_INTO && p->ino != 0 && stage_has(p, "new") && !stage_is_ours(p, "new"));
}

enum errc swap_back(struct part *p, bool *needs_forensic_out, struct err *err)
{
    *needs_forensic_out = false;
    if (!p->swapped)
        return ERR_OK;
    enum errc rc = unmark(p, err);
    if (rc == ERR_OK)
        rc = stage_return_old(p, err);
    if (rc != ERR_OK)
        return rc;
    bool database = p->kind == PART_SQLITE || p->kind == PART_RAW;
    if (p->action == RESTORE_REMOVE) {
        for (size_t i = SUFFIXES; rc == ERR_OK && i-- > 0;)
            rc = bring_back(p, "old/removed", suffixes[i], err);
    } else if (database && was_replaced(p)) {
        rc = files_back(p, err);
    } else if (database || p->action == RESTORE_FILE_BY_FILE) {
        *needs_forensic_out = true;
        return ERR_OK;
    } else {
        rc = exchange_back(p, err);
    }
    if (rc == ERR_OK)
        rc = sync_parent(p, err);
    if (rc == ERR_OK)
        p->swapped = false;
    return rc;
}
