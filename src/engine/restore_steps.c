#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/path.h"
#include "engine/backup.h"
#include "engine/extract.h"
#include "engine/restore_work.h"

/* --- plan -----------------------------------------------------------------------------------------------------------
 */

static enum errc name_aside(struct restore_work *w, struct part *p, struct err *err)
{
    char run[17];
    struct buf text;
    buf_init(&text, 128 * 1024);
    enum errc rc =
        buf_append_fmt(&text, err, "%s.snap-replaced-%.8s", p->path, hex_encode(run, w->run.id.b, sizeof w->run.id.b));
    if (rc == ERR_OK)
        rc = mem_dup(&p->aside, text.data, text.len, err);
    buf_release(&text);
    return rc;
}

enum errc work_plan(struct restore_work *w, struct err *err)
{
    enum errc rc = pending_check(w, err);
    for (size_t i = 0; rc == ERR_OK && i < w->parts.count; i++) {
        struct part *p = &w->parts.parts[i];
        if (p->inside)
            continue;
        rc = swap_plan(p, w->opt, err);
        if (rc == ERR_OK && w->opt->forensic == FORENSIC_ASIDE && p->action == RESTORE_FILE_BY_FILE) {
            (void)err_fail(err, ERR_TARGET_IN_USE, "%s cannot be set aside as a whole: %s", p->path,
                           p->note ? p->note : "it is in use");
            rc = err_hint(err,
                          "Stop what uses it, or restore with a forensic copy in the repository (--forensic=copy).");
        }
        if (rc == ERR_OK && w->opt->forensic == FORENSIC_ASIDE)
            rc = name_aside(w, p, err);
        w->stage.bytes_total += p->bytes;
    }
    return rc;
}

/* The nearest directory that exists: beside the path (or, for what goes below a --target, at it) or above. */
static enum errc open_existing_parent(const char *path, bool beside, int *fd_out, struct stat *st, struct err *err)
{
    char *at;
    enum errc rc = beside ? path_parent(path, &at, err) : mem_strdup(&at, path, err);
    while (rc == ERR_OK) {
        struct err why;
        rc = io_open(AT_FDCWD, at, O_RDONLY | O_DIRECTORY, 0, fd_out, &why);
        if (rc == ERR_OK) {
            fstat(*fd_out, st);
            break;
        }
        if (why.sys_errno != ENOENT || strcmp(at, "/") == 0) {
            rc = err_sys(err, ERR_TARGET_UNSUITABLE, why.sys_errno, "cannot use %s", at);
            break;
        }
        char *up;
        rc = path_parent(at, &up, err);
        if (rc == ERR_OK) {
            free(at);
            at = up;
        }
    }
    free(at);
    return rc;
}

/* What a part takes beside its target: the staged copy, and for a database that is written into as much again for its
 * journal. */
static uint64_t bytes_needed(const struct part *p)
{
    return p->action == RESTORE_SQLITE_INTO ? 2 * p->bytes : p->bytes;
}

enum errc work_space(struct restore_work *w, struct err *err)
{
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < w->parts.count; i++) {
        struct stat st, other;
        uint64_t need = 0, have = 0;
        int fd;
        rc = open_existing_parent(w->parts.parts[i].path, !w->opt->target, &fd, &st, err);
        if (rc != ERR_OK)
            return rc;
        rc = io_free_space(fd, &have, err);
        io_close_quietly(&fd);
        for (size_t j = 0; rc == ERR_OK && j < w->parts.count; j++) {
            rc = open_existing_parent(w->parts.parts[j].path, !w->opt->target, &fd, &other, err);
            if (rc == ERR_OK)
                io_close_quietly(&fd);
            if (rc == ERR_OK && other.st_dev == st.st_dev)
                need += bytes_needed(&w->parts.parts[j]);
        }
        if (rc == ERR_OK && (need > w->out->space_needed || i == 0)) {
            w->out->space_needed = need;
            w->out->space_free = have;
        }
        if (rc == ERR_OK && need > have) {
            char a[32], b[32];
            rc = err_fail(err, ERR_NO_SPACE, "restoring %s takes %s beside it, and %s are free", w->parts.parts[i].path,
                          size_format(a, need), size_format(b, have));
        }
        if (w->parts.count > 64)
            break; /* one look will do for very many parts */
    }
    return rc;
}

/* --- stage ----------------------------------------------------------------------------------------------------------
 */

static const char *path_inside(const struct part *outer, const struct part *p)
{
    const char *rel = p->path + strlen(outer->path);
    return *rel == '/' ? rel + 1 : rel;
}

enum errc work_stage_part(struct restore_work *w, size_t i, struct err *err)
{
    struct part *p = &w->parts.parts[i], *outer = work_outer(w, p);
    struct timestamp begun = time_now();
    uint64_t ns = monotonic_ns();
    struct buf rel;
    buf_init(&rel, 2 * PATH_MAX_BYTES);
    enum errc rc = ERR_OK;
    if (p != outer) {
        rc = buf_append_fmt(&rel, err, "new/%s", path_inside(outer, p));
        if (rc == ERR_OK)
            rc = buf_terminate(&rel, err);
        if (rc == ERR_OK)
            rc = stage_fill_inside(&w->stage, p, outer, (char *)rel.data, err);
    } else {
        rc = stage_fill(&w->stage, p, "new", err);
    }
    buf_release(&rel);
    return rc == ERR_OK ? work_step(w, "stage and verify", p->path, begun, ns, true, NULL, err) : rc;
}

enum errc work_stage(struct restore_work *w, struct err *err)
{
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < w->parts.count; i++) {
        struct part *p = &w->parts.parts[i];
        if (!p->inside && !p->staging)
            rc = stage_make(&w->stage, p, i, err);
        if (rc == ERR_OK)
            rc = work_stage_part(w, i, err);
    }
    for (size_t i = 0; rc == ERR_OK && i < w->parts.count; i++) {
        struct part *p = &w->parts.parts[i];
        if (!p->inside)
            rc = stage_seal(p, err);
        if (rc == ERR_OK && !p->inside)
            rc = stage_sync(p, err);
    }
    return rc;
}

void work_unstage(struct restore_work *w)
{
    for (size_t i = 0; i < w->parts.count; i++) {
        struct err why;
        struct part *p = &w->parts.parts[i];
        if (p->staging && stage_remove(p, &why) != ERR_OK)
            diag_message(w->opt->diag, DIAG_WARNING, err_name(why.code), "%s could not be removed: %s", p->staging,
                         why.message);
    }
}

/* --- forensic copy --------------------------------------------------------------------------------------------------
 */

/* It has no --forensic. */
static bool is_undo(const struct restore_work *w)
{
    return strcmp(w->run.verb, "undo") == 0;
}

/* What an undo would read, read: chunks that the repository had before the copy too. */
static enum errc read_back(struct restore_work *w, const struct snapshot *snap, struct err *err)
{
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < snap->item_count; i++) {
        struct extract_result result;
        struct extract x = {.store = w->store,
                            .list = &snap->items[i].list,
                            .root_fd = -1,
                            .root_name = "copy",
                            .suffixes = true,
                            .discard = true,
                            .diag = w->opt->diag,
                            .bytes_total = snap->items[i].bytes};
        rc = extract_run(&x, &result, err);
    }
    if (rc != ERR_OK && rc != ERR_INTERRUPTED)
        (void)err_hint(err, "Nothing was changed. 'snap verify --read-data' names what is damaged in the repository%s",
                       is_undo(w) ? "." : "; --forensic=aside keeps the present files themselves instead.");
    return rc;
}

static enum errc take_forensic(struct restore_work *w, const struct source_spec *sources, size_t count, struct err *err)
{
    struct set_spec set = {.name = w->snap.set, .sources = sources, .source_count = count};
    struct backup_options opt = {.set = &set,
                                 .kind = SNAPSHOT_FORENSIC,
                                 .of_run = &w->run.id,
                                 .self_exe = w->opt->self_exe,
                                 .diag = w->opt->diag};
    struct backup_outcome made;
    enum errc rc = backup_run(w->store, &opt, &made, err);
    if (rc == ERR_PARTIAL && made.made && made.failed_count == 0)
        rc = ERR_OK; /* raw, damaged or fuzzy is what a forensic copy is for */
    else if (rc == ERR_PARTIAL)
        rc = err_fail(err, ERR_SOURCE_UNREADABLE,
                      "the present state could not be copied whole, so nothing was restored over it");
    if (rc == ERR_SOURCE_UNREADABLE)
        (void)err_hint(err, is_undo(w) ? "Nothing was changed. Mend what the warnings name, or move it out of the way, "
                                         "and run 'snap undo' again."
                                       : "Mend what the warnings name, or use --forensic=aside to keep the present "
                                         "files themselves.");
    if (rc == ERR_OK)
        rc = read_back(w, &made.snap, err);
    if (rc == ERR_OK) {
        w->run.has_forensic = true;
        w->run.forensic = made.snap.id;
        w->out->has_forensic = true;
        w->out->forensic = made.snap.id;
    }
    backup_outcome_release(&made);
    return rc == ERR_OK ? ERR_OK : err_wrap(err, "the forensic copy");
}

enum errc work_forensic(struct restore_work *w, struct err *err)
{
    struct source_spec *sources;
    struct timestamp begun = time_now();
    uint64_t ns = monotonic_ns();
    if (w->opt->forensic != FORENSIC_COPY)
        return ERR_OK;
    enum errc rc = mem_alloc(&sources, (w->parts.count + 1) * sizeof *sources, err);
    if (rc != ERR_OK)
        return rc;
    size_t count = 0;
    for (size_t i = 0; i < w->parts.count; i++) {
        const struct part *p = &w->parts.parts[i];
        bool database = p->kind == PART_SQLITE || p->kind == PART_RAW;
        if (!p->inside) /* else the copy of the outer one has it */
            sources[count++] = (struct source_spec){.name = w->snap.items[p->item].source,
                                                    .path = p->path,
                                                    .type = database ? ITEM_SQLITE : w->snap.items[p->item].type,
                                                    .detect = !database};
    }
    rc = take_forensic(w, sources, count, err);
    free(sources);
    if (rc == ERR_OK)
        rc = work_step(w, "forensic copy", NULL, begun, ns, true, NULL, err);
    return rc;
}

/* --- swap -----------------------------------------------------------------------------------------------------------
 */

/* A part that was overwritten, from the forensic copy. */
static enum errc put_back_from_forensic(struct restore_work *w, struct part *failed, struct err *err)
{
    struct restore_work back;
    struct restore_outcome ignored_outcome;
    struct restore_options opt = {.forensic = FORENSIC_NONE,
                                  .force = true,
                                  .accept_dimension = true,
                                  .self_exe = w->opt->self_exe,
                                  .diag = w->opt->diag};
    const char *only[1] = {failed->path};
    struct snapshot_row row;
    bool found;
    if (!w->run.has_forensic)
        return err_fail(err, ERR_INTERNAL, "there is no forensic copy to put %s back from", failed->path);
    opt.include = only;
    opt.include_count = 1;
    memset(&row, 0, sizeof row);
    enum errc rc = work_begin(&back, w->store, "restore", &opt, &ignored_outcome, err);
    if (rc == ERR_OK)
        rc = catalog_snapshot(store_catalog(w->store), &w->run.forensic, &row, &found, err);
    if (rc == ERR_OK && !found)
        rc = err_fail(err, ERR_UNKNOWN_ID, "the forensic copy is gone");
    if (rc == ERR_OK) {
        back.snap = row.snap;
        memset(&row.snap, 0, sizeof row.snap);
        rc = parts_select(w->store, &back.snap, &opt, &back.parts, err);
    }
    if (rc == ERR_OK)
        rc = swap_plan(&back.parts.parts[0], &opt, err);
    if (rc == ERR_OK)
        rc = work_stage(&back, err);
    if (rc == ERR_OK)
        rc = swap_do(&back.parts.parts[0], &opt, err);
    work_unstage(&back);
    restore_outcome_release(&ignored_outcome);
    snapshot_row_release(&row);
    work_release(&back);
    if (rc == ERR_OK)
        failed->swapped = false;
    return rc;
}

/* Backwards, so that what was done last is taken back first. False when something could not be taken back. */
bool work_put_back(struct restore_work *w)
{
    bool whole = true;
    for (size_t i = w->parts.count; i-- > 0;) {
        struct part *p = &w->parts.parts[i];
        struct err why;
        bool needs_forensic;
        struct timestamp begun = time_now();
        uint64_t ns = monotonic_ns();
        if (!p->swapped || p->inside)
            continue;
        enum errc rc = swap_back(p, &needs_forensic, &why);
        if (rc == ERR_OK && needs_forensic)
            rc = put_back_from_forensic(w, p, &why);
        if (rc != ERR_OK) {
            whole = false;
            diag_message(w->opt->diag, DIAG_WARNING, err_name(rc), "%s could not be put back: %s", p->path,
                         why.message);
        }
        char text[700];
        snprintf(text, sizeof text, "%.690s", rc == ERR_OK ? "" : why.message);
        (void)!work_step(w, "put back", p->path, begun, ns, rc == ERR_OK, text[0] ? text : NULL, &why);
        if (rc == ERR_OK && stage_return_original(p, &why) != ERR_OK)
            whole = false;
    }
    return whole;
}

static enum errc swap_all(struct restore_work *w, struct err *err)
{
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < w->parts.count; i++) {
        struct part *p = &w->parts.parts[i];
        if (p->inside)
            continue;
        struct timestamp begun = time_now();
        uint64_t ns = monotonic_ns();
        struct progress progress = {
            .phase = "putting in place", .done = i, .total = 0, .items_done = i, .current = p->path};
        diag_progress(w->opt->diag, &progress);
        rc = swap_do(p, w->opt, err);
        struct err ignored;
        (void)!work_step(w, "swap", p->path, begun, ns, rc == ERR_OK,
                         rc == ERR_OK ? NULL
                         : err        ? err->message
                                      : NULL,
                         &ignored);
    }
    return rc;
}

static enum errc verify_all(struct restore_work *w, struct err *err)
{
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < w->parts.count; i++) {
        struct part *p = &w->parts.parts[i];
        struct timestamp begun = time_now();
        uint64_t ns = monotonic_ns();
        char text[600];
        bool match;
        rc = swap_verify(p, w->opt, &match, text, sizeof text, err);
        if (rc != ERR_OK)
            return rc;
        p->facts_match = match;
        bool in_use = work_outer(w, p)->note != NULL; /* its users may have written since */
        if (!match && in_use)
            diag_message(w->opt->diag, DIAG_WARNING, "check-failed",
                         "%s is in use and has already changed since it was restored: %s", p->path, text);
        else if (!match)
            rc = err_fail(err, ERR_CHECK_FAILED, "%s is not what was restored: %s", p->path, text);
        struct err ignored;
        (void)!work_step(w, "verify", p->path, begun, ns, rc == ERR_OK, text[0] ? text : NULL, &ignored);
    }
    return rc;
}

/* The log says so before anything is cleaned up: what is left after a crash is swept by a later run, and nothing that
 * is half removed is ever taken for what was staged. */
static enum errc finish(struct restore_work *w, struct err *err)
{
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < w->parts.count; i++)
        if (!w->parts.parts[i].inside)
            rc = stage_keep_old(&w->parts.parts[i], err);
    if (rc == ERR_OK)
        rc = pending_end_undone(w, err);
    if (rc == ERR_OK)
        rc = work_log(w, "done", NULL, err);
    if (rc != ERR_OK) {
        (void)err_hint(err, "Everything is in place. Run 'snap restore --resume' to end the run.");
        return err_wrap(err, "the data are restored, but the end of the run could not be noted");
    }
    work_unstage(w);
    return ERR_OK;
}

static enum errc fail_whole(struct restore_work *w, struct err *err)
{
    struct err why;
    char detail[1400];
    snprintf(detail, sizeof detail, "%s", err ? err->message : "");
    w->put_back = true;
    if (work_log(w, "failed", detail, &why) == ERR_OK)
        work_unstage(w);
    else
        diag_error(w->opt->diag, &why);
    return err_wrap(err, "the restore failed, and everything was put back as it was");
}

enum errc work_swap(struct restore_work *w, struct err *err)
{
    enum errc rc = swap_all(w, err);
    if (rc == ERR_OK)
        rc = verify_all(w, err);
    if (rc == ERR_OK)
        return finish(w, err);
    if (work_put_back(w))
        return fail_whole(w, err);
    (void)err_wrap(err, "the restore failed half-way, and not everything could be put back");
    return err_hint(err, "Run 'snap restore --resume' to try again, or 'snap undo' to go back.");
}
