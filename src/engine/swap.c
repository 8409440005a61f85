#include "engine/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/path.h"
#include "source/source.h"
#include "source/sqlite/apply.h"

enum { EXCHANGE = 2 /* RENAME_EXCHANGE */, SHOWN = 4, PAUSE_NS = 20000000 };
static const uint64_t PATIENCE_NS = 10000000000;

static void note(struct part *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void note(struct part *p, const char *fmt, ...)
{
    char text[700];
    struct err ignored;
    va_list ap;
    size_t used = 0;
    if (p->note)
        used = (size_t)snprintf(text, sizeof text, "%.400s; ", p->note);
    va_start(ap, fmt);
    vsnprintf(text + used, sizeof text - used, fmt, ap);
    va_end(ap);
    free(p->note);
    p->note = NULL;
    (void)!mem_strdup(&p->note, text, &ignored);
}

/* --- planning ------------------------------------------------------------------------------------------------------
 */

static void note_holders(struct part *p, const struct holder *h, size_t count)
{
    for (size_t i = 0; i < count && i < SHOWN; i++)
        note(p, "in use by %s (process %ld)", h[i].name, (long)h[i].pid);
    if (count > SHOWN)
        note(p, "and %zu more", count - SHOWN);
}

static enum errc refuse_in_use(const struct part *p, const char *why, struct err *err)
{
    return err_fail(err, ERR_TARGET_IN_USE, "%s cannot be restored now: %s%s%s", p->path, why, p->note ? "; " : "",
                    p->note ? p->note : "");
}

/* A writer in rollback mode holds the database for itself again and again, each time for a moment. */
static enum errc look_patiently(const struct part *p, const struct restore_options *opt, struct sqlite_target *t,
                                struct err *err)
{
    uint64_t until = monotonic_ns() + PATIENCE_NS;
    memset(t, 0, sizeof *t);
    enum errc rc = sqlite_target_look(p->path, p->page_size, opt->self_exe, t, err);
    while (rc == ERR_OK && t->state == SQLITE_TARGET_BUSY && !opt->force && monotonic_ns() < until) {
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
        rc = sqlite_target_look(p->path, p->page_size, opt->self_exe, t, err);
    }
    return rc;
}

static enum errc plan_sqlite(struct part *p, const struct restore_options *opt, struct err *err)
{
    struct sqlite_target t;
    enum errc rc = look_patiently(p, opt, &t, err);
    if (rc != ERR_OK)
        return rc;
    note_holders(p, t.holders, t.holder_count);
    bool aside = opt->forensic == FORENSIC_ASIDE;
    switch (t.state) {
    case SQLITE_TARGET_ABSENT:
        p->action = RESTORE_CREATE;
        return ERR_OK;
    case SQLITE_TARGET_OPENABLE:
        p->action = aside ? RESTORE_SQLITE_RENAME : RESTORE_SQLITE_INTO;
        if (aside && t.holder_count > 0 && !opt->force)
            return refuse_in_use(p, "the original can only be set aside while nobody has it open", err);
        return ERR_OK;
    case SQLITE_TARGET_BUSY:
        p->action = RESTORE_SQLITE_RENAME;
        return opt->force ? ERR_OK : refuse_in_use(p, t.detail, err);
    case SQLITE_TARGET_PAGE_SIZE:
    case SQLITE_TARGET_NEEDS_RENAME:
        p->action = RESTORE_SQLITE_RENAME;
        note(p, "%s", t.detail);
        return t.holder_count > 0 && !opt->force ? refuse_in_use(p, "SQLite cannot write into it", err) : ERR_OK;
    }
    return err_fail(err, ERR_INTERNAL, "a target in an unknown state");
}

/* A database in the tree that somebody has open: can it be written into? */
static enum errc plan_live_database(struct part *p, const char *path, const struct restore_options *opt,
                                    struct err *err)
{
    struct sqlite_target t;
    struct err why;
    char shown[400];
    memset(&t, 0, sizeof t);
    if (sqlite_target_look(path, 0, opt->self_exe, &t, &why) != ERR_OK)
        return ERR_OK; /* gone, or no file: dealt with as a file */
    bool refused = t.state == SQLITE_TARGET_BUSY || (t.state == SQLITE_TARGET_NEEDS_RENAME && t.holder_count > 0);
    if (!refused || opt->force)
        return ERR_OK;
    return err_fail(err, ERR_TARGET_IN_USE, "%s cannot be restored now: the database %s in it is in use, and %s",
                    p->path, path_show(shown, sizeof shown, path, strlen(path)), t.detail);
}

/* A database's name from its own or a sidecar's; false when the file is none of either. */
static bool live_database_name(const char *path, char *dst, size_t cap)
{
    static const char *const ends[] = {"-wal", "-shm", "-journal", ""};
    size_t len = strlen(path);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t n = strlen(ends[i]);
        if (len < n || len - n >= cap || strcmp(path + len - n, ends[i]) != 0)
            continue;
        snprintf(dst, cap, "%.*s", (int)(len - n), path);
        if (file_is_database(AT_FDCWD, dst))
            return true;
    }
    return false;
}

static enum errc look_at_open_files(struct part *p, const struct open_file *open, size_t count,
                                    const struct restore_options *opt, struct err *err)
{
    char last[sizeof open->path] = "", name[sizeof open->path];
    bool databases = false;
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < count; i++) {
        if (i < SHOWN)
            note(p, "%s is %s %s (process %ld)", open[i].path, open[i].is_cwd ? "the working directory of" : "open in",
                 open[i].name, (long)open[i].pid);
        if (!p->has_databases || open[i].is_cwd || !live_database_name(open[i].path, name, sizeof name))
            continue;
        databases = true;
        if (strcmp(name, last) != 0)
            rc = plan_live_database(p, name, opt, err);
        snprintf(last, sizeof last, "%s", name);
    }
    if (count > SHOWN)
        note(p, "and %zu more", count - SHOWN);
    if (databases && p->action == RESTORE_EXCHANGE) {
        p->action = RESTORE_FILE_BY_FILE;
        note(p, "file by file, because a database in it is in use");
    }
    return rc;
}

static enum errc refuse_mounts(const struct part *p, struct err *err)
{
    bool mounts;
    char mount[400];
    enum errc rc = mounts_below(p->path, &mounts, mount, sizeof mount, err);
    if (rc == ERR_OK && mounts) {
        rc = err_fail(err, ERR_TARGET_UNSUITABLE, "%s cannot be replaced: %s is a mount point", p->path, mount);
        (void)err_hint(err, "Unmount it, or restore what lies beside it with --include, or elsewhere with --target.");
    }
    return rc;
}

static enum errc plan_dir(struct part *p, const struct restore_options *opt, struct err *err)
{
    enum { MAX = 4096 };
    struct open_file *open;
    size_t count = 0;
    enum errc rc = refuse_mounts(p, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&open, MAX * sizeof *open, err);
    if (rc != ERR_OK)
        return rc;
    p->action = RESTORE_EXCHANGE;
    rc = open_files_below(p->path, open, MAX, &count, err);
    if (rc == ERR_OK && count > MAX && p->has_databases)
        p->action = RESTORE_FILE_BY_FILE; /* too many to look at each */
    if (rc == ERR_OK)
        rc = look_at_open_files(p, open, count < MAX ? count : MAX, opt, err);
    free(open);
    return rc;
}

static enum errc plan_file(struct part *p, const struct stat *st, struct err *err)
{
    struct holder h[16];
    size_t count = 0;
    bool incomplete;
    p->action = RESTORE_FILE;
    enum errc rc = refuse_mounts(p, err);
    if (rc != ERR_OK || !S_ISREG(st->st_mode))
        return rc;
    rc = process_find_holders(st->st_dev, st->st_ino, h, 16, &count, &incomplete, err);
    if (rc == ERR_OK)
        note_holders(p, h, count);
    return rc;
}

static enum errc plan_raw(struct part *p, const struct restore_options *opt, const struct stat *there, struct err *err)
{
    enum errc rc = ERR_OK;
    if (there && S_ISDIR(there->st_mode))
        return err_fail(err, ERR_TARGET_UNSUITABLE, "%s is a directory, where database files are to go", p->path);
    if (there)
        rc = plan_file(p, there, err);
    p->action = RESTORE_RAW;
    if (rc == ERR_OK && p->note && !opt->force)
        rc = refuse_in_use(p, "raw database files can only be put back while nobody has the database open", err);
    return rc;
}

enum errc swap_plan(struct part *p, const struct restore_options *opt, struct err *err)
{
    struct stat st;
    bool there = lstat(p->path, &st) == 0;
    if (!there && errno != ENOENT && errno != ENOTDIR)
        return err_sys(err, ERR_TARGET_UNSUITABLE, errno, "cannot look at %s", p->path);
    if (strcmp(p->path, "/") == 0)
        return err_fail(err, ERR_TARGET_UNSUITABLE, "the root directory cannot be replaced while it is in use");
    p->action = RESTORE_CREATE;
    switch (p->kind) {
    case PART_ABSENT:
        p->action = RESTORE_REMOVE;
        return there ? refuse_mounts(p, err) : ERR_OK;
    case PART_RAW:
        return plan_raw(p, opt, there ? &st : NULL, err);
    case PART_SQLITE:
        if (there && S_ISDIR(st.st_mode)) {
            (void)err_fail(err, ERR_TARGET_UNSUITABLE, "%s is a directory, where a database is to go", p->path);
            return err_hint(err, "Move the directory away first, or restore elsewhere with --target.");
        }
        return plan_sqlite(p, opt, err);
    case PART_DIR:
        return !there ? ERR_OK : S_ISDIR(st.st_mode) ? plan_dir(p, opt, err) : plan_file(p, &st, err);
    case PART_FILE:
        if (there && S_ISDIR(st.st_mode)) {
            enum errc rc = plan_dir(p, opt, err);
            p->action = RESTORE_EXCHANGE;
            return rc;
        }
        return there ? plan_file(p, &st, err) : ERR_OK;
    }
    return err_fail(err, ERR_INTERNAL, "a part of unknown kind");
}

/* --- doing -----------------------------------------------------------------------------------------------------------
 */

static enum errc staged_path(const struct part *p, const char *name, char **out, struct err *err)
{
    return path_join(p->staging, name, out, err);
}

/* A database's path may be a link, which is followed. */
static bool in_place(const struct part *p)
{
    struct stat st;
    bool database = p->kind == PART_SQLITE || p->kind == PART_RAW;
    return p->ino != 0 && (database ? stat(p->path, &st) : lstat(p->path, &st)) == 0 && (uint64_t)st.st_ino == p->ino &&
           (uint64_t)st.st_dev == p->dev;
}

static enum errc sync_dirs(const struct part *p, struct err *err)
{
    char *parent;
    int fd;
    enum errc rc = path_parent(p->path, &parent, err);
    if (rc != ERR_OK)
        return rc;
    rc = io_open(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY, 0, &fd, err);
    if (rc == ERR_OK) {
        rc = io_fsync(fd, parent, err);
        io_close_quietly(&fd);
    }
    free(parent);
    return rc;
}

/* Rename path<suffix> to staging/name<suffix>, where it is there. */
static enum errc move_to_staging(const struct part *p, const char *suffix, const char *name, struct err *err)
{
    struct buf from, to;
    struct err why;
    buf_init(&from, 2 * PATH_MAX_BYTES);
    buf_init(&to, 2 * PATH_MAX_BYTES);
    enum errc rc = buf_append_fmt(&from, err, "%s%s", p->path, suffix);
    if (rc == ERR_OK)
        rc = buf_append_fmt(&to, err, "%s/%s%s", p->staging, name, suffix);
    if (rc == ERR_OK)
        rc = buf_terminate(&from, err);
    if (rc == ERR_OK)
        rc = buf_terminate(&to, err);
    if (rc == ERR_OK && io_rename_new(AT_FDCWD, (char *)from.data, AT_FDCWD, (char *)to.data, &why) != ERR_OK &&
        why.sys_errno != ENOENT)
        rc = err_sys(err, ERR_IO, why.sys_errno, "cannot move %s out", (char *)from.data);
    buf_release(&from);
    buf_release(&to);
    return rc;
}

/* Where the file system cannot exchange: a file is linked to old/ and the staged one renamed over it. What cannot be
 * linked, or not be renamed over, is moved out first: for a moment nothing stands there. */
static enum errc replace(struct part *p, const char *staged, const struct stat *there, struct err *err)
{
    char *kept;
    struct err why;
    enum errc rc = staged_path(p, "old/moved", &kept, err);
    if (rc != ERR_OK)
        return rc;
    bool linked = false;
    if (!S_ISDIR(there->st_mode) && p->kind != PART_DIR)
        linked = io_linkat(AT_FDCWD, p->path, AT_FDCWD, kept, &why) == ERR_OK || why.sys_errno == EEXIST;
    free(kept);
    if (!linked)
        rc = move_to_staging(p, "", "old/moved", err);
    return rc == ERR_OK ? io_renameat2(AT_FDCWD, staged, AT_FDCWD, p->path, 0, err) : rc;
}

static enum errc exchange_with(struct part *p, const struct restore_options *opt, const char *staged, struct err *err)
{
    struct err why;
    struct stat st;
    bool there = lstat(p->path, &st) == 0;
    enum errc rc = there ? io_renameat2(AT_FDCWD, staged, AT_FDCWD, p->path, EXCHANGE, &why)
                         : io_rename_new(AT_FDCWD, staged, AT_FDCWD, p->path, &why);
    if (rc != ERR_OK && there && io_is_unsupported(&why)) {
        if (p->kind == PART_DIR && S_ISDIR(st.st_mode) && !p->aside) {
            p->action = RESTORE_FILE_BY_FILE;
            return merge_into(p, opt, err);
        }
        rc = replace(p, staged, &st, &why);
    }
    if (rc != ERR_OK)
        return err_sys(err, why.code == ERR_NO_SPACE ? ERR_NO_SPACE : ERR_IO, why.sys_errno,
                       "cannot put the restored %s in place", p->path);
    p->swapped = true;
    return sync_dirs(p, err);
}

static enum errc exchange(struct part *p, const struct restore_options *opt, struct err *err)
{
    char *staged;
    if (in_place(p) || !stage_is_ours(p, "new")) {
        p->swapped = true; /* before the crash; it may have been replaced by its users since */
        return sync_dirs(p, err);
    }
    enum errc rc = staged_path(p, "new", &staged, err);
    if (rc == ERR_OK) {
        rc = exchange_with(p, opt, staged, err);
        free(staged);
    }
    return rc;
}

/* The image was exchanged with the present file, and the crash came before that one was in old/. */
static enum errc finish_exchange(struct part *p, struct err *err)
{
    char *from = NULL, *to = NULL, name[300];
    struct err why;
    if (!stage_has(p, "new") || stage_is_ours(p, "new"))
        return ERR_OK;
    snprintf(name, sizeof name, "old/%.255s", path_base(p->path));
    enum errc rc = staged_path(p, "new", &from, err);
    if (rc == ERR_OK)
        rc = staged_path(p, name, &to, err);
    if (rc == ERR_OK && io_rename_new(AT_FDCWD, from, AT_FDCWD, to, &why) != ERR_OK && why.sys_errno != EEXIST)
        rc = err_sys(err, ERR_IO, why.sys_errno, "cannot move the replaced %s out", p->path);
    free(from);
    free(to);
    return rc;
}

/* A WAL that is moved out before the database is would leave, for that moment, an old state that looks whole. */
static void fold_wal(const struct part *p, const struct restore_options *opt)
{
    struct err ignored;
    (void)!database_read(p->path, CHECKPOINT_TRUNCATE, opt, NULL, NULL, &ignored);
}

static enum errc do_sqlite(struct part *p, const struct restore_options *opt, struct err *err)
{
    char *image = NULL, *old = NULL;
    if (in_place(p) || !stage_is_ours(p, "new")) {
        enum errc done = finish_exchange(p, err);
        p->swapped = done == ERR_OK; /* renamed in before the crash */
        return done == ERR_OK ? sync_dirs(p, err) : done;
    }
    enum errc rc = staged_path(p, "new", &image, err);
    if (rc == ERR_OK)
        rc = staged_path(p, "old", &old, err);
    struct sqlite_apply a = {.path = p->path,
                             .image = image,
                             .meta = &p->root,
                             .quarantine = old,
                             .self_exe = opt->self_exe,
                             .force = opt->force,
                             .diag = opt->diag};
    struct sqlite_raw_files by_rename = {.database = image};
    if (rc == ERR_OK && p->aside) {
        fold_wal(p, opt);
        rc = sqlite_apply_raw(&a, &by_rename, err);
    } else if (rc == ERR_OK) {
        uint64_t until = monotonic_ns() + PATIENCE_NS;
        rc = sqlite_apply(&a, err);
        while (rc == ERR_TARGET_IN_USE && p->action == RESTORE_SQLITE_INTO && monotonic_ns() < until) {
            nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL); /* refused means untouched (SA2) */
            rc = sqlite_apply(&a, err);
        }
    }
    p->swapped = rc == ERR_OK || in_place(p);
    free(image);
    free(old);
    return rc;
}

/* The database is in: what is left of its files goes beside it. */
static enum errc put_raw_sidecars(struct part *p, char *const paths[4], struct err *err)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    enum errc rc = ERR_OK;
    for (size_t i = 1; rc == ERR_OK && i < 4; i++) {
        struct buf to;
        if (!paths[i])
            continue;
        buf_init(&to, 2 * PATH_MAX_BYTES);
        rc = buf_append_fmt(&to, err, "%s%s", p->path, ends[i]);
        if (rc == ERR_OK)
            rc = buf_terminate(&to, err);
        if (rc == ERR_OK)
            rc = io_renameat2(AT_FDCWD, paths[i], AT_FDCWD, (char *)to.data, 0, err);
        buf_release(&to);
    }
    return rc == ERR_OK ? sync_dirs(p, err) : rc;
}

static enum errc do_raw(struct part *p, const struct restore_options *opt, struct err *err)
{
    static const char *const names[] = {"new", "new-wal", "new-shm", "new-journal"};
    char *paths[4] = {0}, *old = NULL;
    enum errc rc = in_place(p) ? finish_exchange(p, err) : ERR_OK;
    if (rc == ERR_OK)
        rc = staged_path(p, "old", &old, err);
    for (size_t i = 0; rc == ERR_OK && i < 4; i++)
        if (stage_has(p, names[i]))
            rc = staged_path(p, names[i], &paths[i], err);
    struct sqlite_apply a = {.path = p->path,
                             .image = paths[0],
                             .meta = p->original ? NULL : &p->root,
                             .quarantine = old,
                             .self_exe = opt->self_exe,
                             .force = opt->force,
                             .diag = opt->diag};
    struct sqlite_raw_files raw = {.database = paths[0], .wal = paths[1], .shm = paths[2], .journal = paths[3]};
    if (rc == ERR_OK && in_place(p))
        rc = put_raw_sidecars(p, paths, err);
    else if (rc == ERR_OK)
        rc = sqlite_apply_raw(&a, &raw, err);
    p->swapped = rc == ERR_OK || in_place(p);
    for (size_t i = 0; i < 4; i++)
        free(paths[i]);
    free(old);
    return rc;
}

/* What did not stand there before is moved out, with SQLite's files beside it. */
static enum errc do_remove(struct part *p, struct err *err)
{
    static const char *const ends[] = {"-wal", "-shm", "-journal"};
    enum errc rc = ERR_OK;
    if (file_is_database(AT_FDCWD, p->path))
        for (size_t i = 0; rc == ERR_OK && i < sizeof ends / sizeof ends[0]; i++)
            rc = move_to_staging(p, ends[i], "old/removed", err);
    if (rc == ERR_OK)
        rc = move_to_staging(p, "", "old/removed", err);
    p->swapped = rc == ERR_OK;
    return rc == ERR_OK ? sync_dirs(p, err) : rc;
}

static enum errc do_action(struct part *p, const struct restore_options *opt, struct err *err)
{
    switch (p->action) {
    case RESTORE_CREATE:
        return p->kind == PART_SQLITE ? do_sqlite(p, opt, err) : exchange(p, opt, err);
    case RESTORE_EXCHANGE:
    case RESTORE_FILE:
        return exchange(p, opt, err);
    case RESTORE_SQLITE_INTO:
    case RESTORE_SQLITE_RENAME:
        return do_sqlite(p, opt, err);
    case RESTORE_FILE_BY_FILE:
        return merge_into(p, opt, err);
    case RESTORE_REMOVE:
        return do_remove(p, err);
    case RESTORE_RAW:
        return do_raw(p, opt, err);
    }
    return err_fail(err, ERR_INTERNAL, "an action of unknown kind");
}

enum errc swap_do(struct part *p, const struct restore_options *opt, struct err *err)
{
    if (stage_has(p, "swapped")) {
        p->swapped = true;
        return ERR_OK;
    }
    enum errc rc = stage_take_original(p, err);
    if (rc == ERR_OK)
        rc = do_action(p, opt, err);
    return rc == ERR_OK ? stage_mark(p, "swapped", err) : rc;
}

/* --- looking at the result -----------------------------------------------------------------------------------------
 */

static enum errc verify_database(struct part *p, const struct restore_options *opt, bool *match, char *text, size_t cap,
                                 struct err *err)
{
    struct fact_list facts = {0};
    enum entry_state state;
    enum errc rc = database_read(p->path, CHECKPOINT_NONE, opt, &facts, &state, err);
    if (rc == ERR_OK) {
        *match = facts_agree(&p->facts, &facts, text, cap);
        if (state == STATE_RAW) {
            *match = false;
            snprintf(text, cap, "SQLite cannot open it");
        }
    }
    fact_list_release(&facts);
    return rc;
}

enum errc swap_verify(struct part *p, const struct restore_options *opt, bool *match_out, char *text, size_t cap,
                      struct err *err)
{
    struct stat st;
    *match_out = true;
    text[0] = '\0';
    if (p->kind == PART_SQLITE && p->facts.count > 0)
        return verify_database(p, opt, match_out, text, cap, err);
    bool there = lstat(p->path, &st) == 0;
    if (p->kind == PART_ABSENT)
        *match_out = !there;
    else
        *match_out = there;
    if (!*match_out)
        snprintf(text, cap, "%s", there ? "something stands there" : "nothing stands there");
    return ERR_OK;
}
