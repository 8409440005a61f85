#include "engine/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"
#include "source/source.h"
#include "source/sqlite/apply.h"

enum { EXCHANGE = 2 /* RENAME_EXCHANGE */, NOREPLACE = 1 /* RENAME_NOREPLACE */, SHOWN = 4 };

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

/* --- planning ------------------------------------------------------------------------------------------------------ */

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

static enum errc plan_sqlite(struct part *p, const struct restore_options *opt, struct err *err)
{
    struct sqlite_target t;
    memset(&t, 0, sizeof t);
    enum errc rc = sqlite_target_look(p->path, p->page_size, opt->self_exe, &t, err);
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

static bool is_live_database(const char *path)
{
    enum { N = SQLITE_MAGIC_BYTES };
    static const char *const suffixes[] = {"-wal", "-shm", "-journal", ""};
    uint8_t first[N];
    size_t len = strlen(path);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char name[500];
        size_t n = strlen(suffixes[i]), got = 0;
        struct err ignored;
        int fd;
        if (len < n || len - n >= sizeof name || strcmp(path + len - n, suffixes[i]) != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(len - n), path);
        if (io_open(AT_FDCWD, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, &fd, &ignored) != ERR_OK)
            continue;
        bool yes = io_pread(fd, first, N, 0, &got, name, &ignored) == ERR_OK && sqlite_looks_like(first, got);
        io_close_quietly(&fd);
        if (yes)
            return true;
    }
    return false;
}

static enum errc plan_dir(struct part *p, struct err *err)
{
    enum { MAX = 64 };
    struct open_file *open;
    size_t count;
    bool mounts;
    char mount[400];
    enum errc rc = mounts_below(p->path, &mounts, mount, sizeof mount, err);
    if (rc == ERR_OK && mounts)
        rc = err_fail(err, ERR_TARGET_UNSUITABLE, "%s cannot be replaced: %s is a mount point", p->path, mount);
    if (rc == ERR_OK)
        rc = mem_alloc(&open, MAX * sizeof *open, err);
    if (rc != ERR_OK)
        return rc;
    p->action = RESTORE_EXCHANGE;
    rc = open_files_below(p->path, open, MAX, &count, err);
    for (size_t i = 0; rc == ERR_OK && i < count && i < MAX; i++) {
        if (p->has_databases && is_live_database(open[i].path))
            p->action = RESTORE_FILE_BY_FILE;
        if (i < SHOWN)
            note(p, "%s is open in %s (process %ld)", open[i].path, open[i].name, (long)open[i].pid);
    }
    if (p->action == RESTORE_FILE_BY_FILE)
        note(p, "file by file, because a database in it is in use");
    free(open);
    return rc;
}

static enum errc plan_file(struct part *p, const struct stat *st, struct err *err)
{
    struct holder h[16];
    size_t count = 0;
    bool incomplete;
    p->action = RESTORE_FILE;
    if (!S_ISREG(st->st_mode))
        return ERR_OK;
    enum errc rc = process_find_holders(st->st_dev, st->st_ino, h, 16, &count, &incomplete, err);
    if (rc == ERR_OK)
        note_holders(p, h, count);
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
    switch (p->kind) {
    case PART_ABSENT:
        p->action = RESTORE_REMOVE;
        return ERR_OK;
    case PART_RAW:
        p->action = RESTORE_RAW;
        return there ? plan_file(p, &st, err) == ERR_OK ? (p->action = RESTORE_RAW, ERR_OK) : err->code : ERR_OK;
    case PART_SQLITE:
        if (there && S_ISDIR(st.st_mode))
            return err_fail(err, ERR_TARGET_UNSUITABLE, "%s is a directory, where a database is to go", p->path);
        return plan_sqlite(p, opt, err);
    case PART_DIR:
        p->action = RESTORE_CREATE;
        return !there ? ERR_OK : S_ISDIR(st.st_mode) ? plan_dir(p, err) : plan_file(p, &st, err);
    case PART_FILE:
        p->action = RESTORE_CREATE;
        if (there && S_ISDIR(st.st_mode)) {
            enum errc rc = plan_dir(p, err);
            p->action = RESTORE_EXCHANGE;
            return rc;
        }
        return there ? plan_file(p, &st, err) : ERR_OK;
    }
    return err_fail(err, ERR_INTERNAL, "a part of unknown kind");
}

/* --- doing ----------------------------------------------------------------------------------------------------------- */

static enum errc staged_path(const struct part *p, const char *name, char **out, struct err *err)
{
    return path_join(p->staging, name, out, err);
}

static bool in_place(const struct part *p)
{
    struct stat st;
    return p->ino != 0 && lstat(p->path, &st) == 0 && (uint64_t)st.st_ino == p->ino && (uint64_t)st.st_dev == p->dev;
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

/* A file where the file system cannot exchange: the present one is linked to old/, the staged one renamed over it. */
static enum errc replace_file(struct part *p, const char *staged, struct err *err)
{
    char *kept;
    struct err why;
    enum errc rc = staged_path(p, "old/file", &kept, err);
    if (rc != ERR_OK)
        return rc;
    rc = io_linkat(AT_FDCWD, p->path, AT_FDCWD, kept, &why);
    if (rc != ERR_OK && why.sys_errno != EEXIST && why.sys_errno != ENOENT) {
        free(kept);
        return err_sys(err, ERR_IO, why.sys_errno, "cannot keep the present %s", p->path);
    }
    free(kept);
    return io_renameat2(AT_FDCWD, staged, AT_FDCWD, p->path, 0, err);
}

static enum errc exchange(struct part *p, const struct restore_options *opt, struct err *err)
{
    char *staged;
    struct err why;
    struct stat st;
    if (in_place(p)) {
        p->swapped = true;
        return ERR_OK;
    }
    enum errc rc = staged_path(p, "new", &staged, err);
    if (rc != ERR_OK)
        return rc;
    bool there = lstat(p->path, &st) == 0;
    rc = io_renameat2(AT_FDCWD, staged, AT_FDCWD, p->path, there ? EXCHANGE : NOREPLACE, &why);
    if (rc == ERR_OK) {
        p->swapped = true;
    } else if (there && (why.sys_errno == EINVAL || why.sys_errno == ENOSYS || why.sys_errno == ENOTSUP)) {
        if (p->kind == PART_DIR && S_ISDIR(st.st_mode)) {
            free(staged);
            p->action = RESTORE_FILE_BY_FILE;
            return merge_into(p, opt, err);
        }
        rc = replace_file(p, staged, err);
        p->swapped = rc == ERR_OK;
    } else {
        rc = err_sys(err, ERR_IO, why.sys_errno, "cannot put the restored %s in place", p->path);
    }
    free(staged);
    return rc == ERR_OK ? sync_dirs(p, err) : rc;
}

static enum errc do_sqlite(struct part *p, const struct restore_options *opt, struct err *err)
{
    char *image = NULL, *old = NULL;
    if (!stage_has(p, "new")) {
        p->swapped = true; /* it was renamed in before the crash */
        return ERR_OK;
    }
    enum errc rc = staged_path(p, "new", &image, err);
    if (rc == ERR_OK)
        rc = staged_path(p, "old", &old, err);
    struct sqlite_apply a = {.path = p->path, .image = image, .meta = &p->root, .quarantine = old,
                             .self_exe = opt->self_exe, .force = opt->force, .diag = opt->diag};
    struct sqlite_raw_files by_rename = {.database = image};
    if (rc == ERR_OK)
        rc = opt->forensic == FORENSIC_ASIDE && p->action == RESTORE_SQLITE_RENAME
                 ? sqlite_apply_raw(&a, &by_rename, err)
                 : sqlite_apply(&a, err);
    p->swapped = rc == ERR_OK;
    free(image);
    free(old);
    return rc;
}

static enum errc do_raw(struct part *p, const struct restore_options *opt, struct err *err)
{
    static const char *const names[] = {"new", "new-wal", "new-shm", "new-journal"};
    char *paths[4] = {0}, *old = NULL;
    enum errc rc = staged_path(p, "old", &old, err);
    bool any = false;
    for (size_t i = 0; rc == ERR_OK && i < 4; i++)
        if (stage_has(p, names[i])) {
            rc = staged_path(p, names[i], &paths[i], err);
            any = true;
        }
    if (rc == ERR_OK && any) {
        struct sqlite_apply a = {.path = p->path, .image = paths[0], .meta = &p->root, .quarantine = old,
                                 .self_exe = opt->self_exe, .force = opt->force, .diag = opt->diag};
        struct sqlite_raw_files raw = {.database = paths[0], .wal = paths[1], .shm = paths[2], .journal = paths[3]};
        rc = sqlite_apply_raw(&a, &raw, err);
    }
    p->swapped = rc == ERR_OK;
    for (size_t i = 0; i < 4; i++)
        free(paths[i]);
    free(old);
    return rc;
}

/* What did not stand there before is moved out, with SQLite's files beside it. */
static enum errc do_remove(struct part *p, struct err *err)
{
    static const char *const suffixes[] = {"-wal", "-shm", "-journal", ""};
    enum errc rc = ERR_OK;
    bool database = is_live_database(p->path);
    for (size_t i = 0; rc == ERR_OK && i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char name[64], *to = NULL;
        struct buf from;
        struct err why;
        if (suffixes[i][0] && !database)
            continue;
        buf_init(&from, 128 * 1024);
        snprintf(name, sizeof name, "old/removed%s", suffixes[i]);
        rc = buf_append_fmt(&from, err, "%s%s", p->path, suffixes[i]);
        if (rc == ERR_OK)
            rc = buf_terminate(&from, err);
        if (rc == ERR_OK)
            rc = staged_path(p, name, &to, err);
        if (rc == ERR_OK && io_renameat2(AT_FDCWD, (const char *)from.data, AT_FDCWD, to, NOREPLACE, &why) != ERR_OK &&
            why.sys_errno != ENOENT)
            rc = err_sys(err, ERR_IO, why.sys_errno, "cannot move %s out", p->path);
        buf_release(&from);
        free(to);
    }
    p->swapped = rc == ERR_OK;
    return rc == ERR_OK ? sync_dirs(p, err) : rc;
}

enum errc swap_do(struct part *p, const struct restore_options *opt, struct err *err)
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

/* --- taking back --------------------------------------------------------------------------------------------------- */

enum errc swap_back(struct part *p, bool *needs_forensic_out, struct err *err)
{
    char *staged;
    *needs_forensic_out = false;
    if (!p->swapped)
        return ERR_OK;
    bool plain = (p->action == RESTORE_EXCHANGE || p->action == RESTORE_FILE || p->action == RESTORE_CREATE) &&
                 p->kind != PART_SQLITE && in_place(p);
    if (!plain) {
        *needs_forensic_out = true;
        return ERR_OK;
    }
    enum errc rc = staged_path(p, "new", &staged, err);
    if (rc != ERR_OK)
        return rc;
    rc = io_renameat2(AT_FDCWD, p->path, AT_FDCWD, staged, stage_has(p, "new") ? EXCHANGE : NOREPLACE, err);
    free(staged);
    if (rc == ERR_OK) {
        p->swapped = false;
        rc = sync_dirs(p, err);
    }
    return rc;
}

/* --- looking at the result ----------------------------------------------------------------------------------------- */

struct null_sink {
    struct sink sink;
    uint8_t scratch[128 * 1024];
};

static enum errc null_previous(struct sink *s, const char *path, size_t len, const struct entry **out, struct err *err)
{
    (void)s, (void)path, (void)len, (void)err;
    *out = NULL;
    return ERR_OK;
}
static enum errc null_entry(struct sink *s, const struct entry *e, struct err *err)
{
    (void)s, (void)e, (void)err;
    return ERR_OK;
}
static enum errc null_begin(struct sink *s, uint32_t fixed, struct err *err)
{
    (void)s, (void)fixed, (void)err;
    return ERR_OK;
}
static enum errc null_space(struct sink *s, uint8_t **ptr, size_t *room, struct err *err)
{
    (void)err;
    *ptr = ((struct null_sink *)s)->scratch;
    *room = sizeof ((struct null_sink *)s)->scratch;
    return ERR_OK;
}
static enum errc null_advance(struct sink *s, size_t len, struct err *err)
{
    (void)s, (void)len, (void)err;
    return ERR_OK;
}
static enum errc null_data(struct sink *s, const void *data, size_t len, struct err *err)
{
    (void)s, (void)data, (void)len, (void)err;
    return ERR_OK;
}
static enum errc null_hole(struct sink *s, uint64_t len, struct err *err)
{
    (void)s, (void)len, (void)err;
    return ERR_OK;
}
static enum errc null_end(struct sink *s, const struct entry *e, const struct entry_end *end, struct err *err)
{
    (void)s, (void)e, (void)end, (void)err;
    return ERR_OK;
}
static enum errc null_abandon(struct sink *s, struct err *err)
{
    (void)s, (void)err;
    return ERR_OK;
}
static void null_failed(struct sink *s, const char *path, const struct err *why)
{
    (void)s, (void)path, (void)why;
}

static const struct sink_ops null_ops = {
    .previous = null_previous, .node = null_entry, .begin = null_begin, .space = null_space, .advance = null_advance,
    .data = null_data, .hole = null_hole, .end = null_end, .abandon = null_abandon, .reuse = null_entry,
    .failed = null_failed,
};

/* A live database may be in use: it is looked at as a capture does, in one frozen view, and the pages are let go. */
static enum errc verify_database(struct part *p, const struct restore_options *opt, bool *match, char *text, size_t cap,
                                 struct err *err)
{
    struct null_sink *sink;
    struct capture_options capture = {.self_exe = opt->self_exe, .force_read = true};
    struct capture_result result;
    memset(&result, 0, sizeof result);
    enum errc rc = mem_alloc(&sink, sizeof *sink, err);
    if (rc != ERR_OK)
        return rc;
    sink->sink.ops = &null_ops;
    rc = sqlite_capture(p->path, &sink->sink, &capture, &result, err);
    if (rc == ERR_OK) {
        *match = facts_agree(&p->facts, &result.facts, text, cap);
        if (result.worst == STATE_RAW) {
            *match = false;
            snprintf(text, cap, "SQLite cannot open it");
        }
    }
    fact_list_release(&result.facts);
    free(sink);
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
    else if (p->action == RESTORE_EXCHANGE || p->action == RESTORE_FILE || p->action == RESTORE_CREATE)
        *match_out = in_place(p) || (p->kind == PART_SQLITE && there);
    else
        *match_out = there;
    if (!*match_out)
        snprintf(text, cap, "what stands there now is not what was put there");
    return ERR_OK;
}
