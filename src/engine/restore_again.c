#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/own_places.h"
#include "engine/restore_work.h"

/* Runs that were made before: finished, or taken back. */

/* --- finding runs
 * ----------------------------------------------------------------------------------------------------- */

struct choice {
    bool want_done; /* done ones too, not only those that were cut off */
    bool named;     /* by the operator: also one that was taken back once, for it may have been done again since */
    bool found;
    struct run_row row; /* taken over */
};

static enum errc choose(void *arg, struct run_row *row, struct err *err)
{
    struct choice *c = arg;
    const char *state = row->run.state;
    (void)err;
    bool verb = strcmp(row->run.verb, "restore") == 0 || strcmp(row->run.verb, "undo") == 0;
    bool wanted = strcmp(state, "intent") == 0 || (c->want_done && strcmp(state, "done") == 0) ||
                  (c->want_done && c->named && strcmp(state, "undone") == 0);
    if (c->found || !verb || !wanted || row->run.target)
        return ERR_OK;
    c->row = *row;
    memset(row, 0, sizeof *row);
    c->found = true;
    return ERR_OK;
}

static enum errc find_named(struct store *s, const char *prefix, struct choice *c, struct err *err)
{
    struct run_row given;
    memset(&given, 0, sizeof given);
    enum errc rc = catalog_run(store_catalog(s), prefix, &given, err);
    if (rc != ERR_OK)
        return rc;
    c->named = true;
    rc = choose(c, &given, err);
    if (rc == ERR_OK && !c->found)
        rc = err_fail(err, ERR_NOTHING_TO_DO, "run '%s' (%s, %s) is not a restore that %s", prefix, given.run.verb,
                      given.run.state, c->want_done ? "can be undone" : "was cut off");
    run_record_release(&given.run);
    return rc;
}

static enum errc find_run(struct store *s, const char *prefix, bool want_done, struct run_row *out, struct err *err)
{
    struct choice c = {.want_done = want_done};
    memset(out, 0, sizeof *out);
    enum errc rc =
        prefix ? find_named(s, prefix, &c, err) : catalog_run_records(store_catalog(s), NULL, NULL, choose, &c, err);
    *out = c.row;
    if (rc == ERR_OK && !c.found)
        rc = err_fail(err, ERR_NOTHING_TO_DO,
                      want_done ? "there is no restore that could be undone" : "no restore was cut off");
    return rc;
}

/* A cut-off undo of a restore that was itself cut off: what the operator wants back is what stood there before the
 * restore, not the half of it that the undo found. */
static enum errc find_undoable(struct store *s, const char *prefix, struct run_row *out, struct err *err)
{
    enum errc rc = find_run(s, prefix, true, out, err);
    for (int i = 0; rc == ERR_OK && i < 16 && strcmp(out->run.state, "intent") == 0; i++) {
        struct parts plan = {0};
        struct run_row before;
        char hex[17];
        memset(&before, 0, sizeof before);
        rc = parts_get(out->run.plan, out->run.plan_len, &plan, err);
        bool follow = rc == ERR_OK && plan.has_undoes;
        if (follow)
            rc = catalog_run(store_catalog(s), hex_encode(hex, plan.undoes.b, sizeof plan.undoes.b), &before, err);
        parts_release(&plan);
        follow = follow && rc == ERR_OK && strcmp(before.run.state, "intent") == 0;
        if (follow) {
            run_record_release(&out->run);
            *out = before;
        } else {
            run_record_release(&before.run);
            break;
        }
    }
    return rc;
}

static enum errc load_snapshot(struct store *s, const struct snapshot_id *id, struct snapshot *out, struct err *err)
{
    struct snapshot_row row;
    bool found;
    memset(&row, 0, sizeof row);
    enum errc rc = catalog_snapshot(store_catalog(s), id, &row, &found, err);
    if (rc == ERR_OK && !found)
        rc = err_fail(err, ERR_UNKNOWN_ID, "the snapshot that the run used is gone");
    if (rc == ERR_OK) {
        *out = row.snap;
        memset(&row.snap, 0, sizeof row.snap);
    }
    snapshot_row_release(&row);
    return rc;
}

static enum errc ask(struct restore_work *w, bool *go, struct err *err)
{
    enum errc rc = work_outcome(w, err);
    *go = false;
    if (rc != ERR_OK || w->opt->dry_run)
        return rc;
    if (w->opt->confirm && !w->opt->confirm(w->opt->confirm_arg, w->out))
        return err_fail(err, ERR_NEEDS_YES, "not confirmed; nothing was changed");
    *go = true;
    return ERR_OK;
}

/* The run that was cut off becomes this work's. Takes row's record over. */
static enum errc adopt(struct restore_work *w, struct run_row *row, struct err *err)
{
    run_record_release(&w->run);
    w->run = row->run;
    memset(&row->run, 0, sizeof row->run);
    w->stage.run = w->out->run = w->run.id;
    w->intent = true;
    w->out->has_forensic = w->run.has_forensic;
    w->out->forensic = w->run.forensic;
    enum errc rc = load_snapshot(w->store, &w->run.snapshot, &w->snap, err);
    if (rc == ERR_OK)
        rc = parts_get(w->run.plan, w->run.plan_len, &w->parts, err);
    for (size_t i = 0; rc == ERR_OK && i < w->parts.count; i++)
        if (!w->parts.parts[i].original) {
            rc = part_read(w->store, &w->snap, &w->parts.parts[i], err);
            w->stage.bytes_total += w->parts.parts[i].bytes;
        }
    return rc;
}

/* --- resume
 * ----------------------------------------------------------------------------------------------------------- */

/* A part whose staging place is lost, or was not whole, is staged again, with those that lie inside it. */
static enum errc restage(struct restore_work *w, size_t i, struct err *err)
{
    struct part *p = &w->parts.parts[i];
    bool there;
    enum errc rc = stage_reopen(p, &there, err);
    if (rc != ERR_OK || (there && stage_has(p, "staged")))
        return rc;
    if (there)
        rc = stage_remove(p, err);
    if (rc == ERR_OK)
        rc = stage_make(&w->stage, p, i, err);
    for (size_t j = i; rc == ERR_OK && j < w->parts.count; j++)
        if (work_outer(w, &w->parts.parts[j]) == p)
            rc = work_stage_part(w, j, err);
    if (rc == ERR_OK)
        rc = stage_seal(p, err);
    return rc == ERR_OK ? stage_sync(p, err) : rc;
}

static enum errc resume(struct restore_work *w, struct err *err)
{
    struct err ignored;
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < w->parts.count; i++)
        if (!w->parts.parts[i].inside)
            rc = restage(w, i, err);
    if (rc == ERR_OK)
        rc = work_log(w, "intent", "resumed", err); /* identities of what was staged again */
    if (rc == ERR_OK)
        rc = work_swap(w, err);
    (void)!work_outcome(w, &ignored);
    return rc;
}

enum errc restore_resume(struct store *s, const char *run, const struct restore_options *opt,
                         struct restore_outcome *out, struct err *err)
{
    struct restore_work w;
    struct run_row row = {0};
    bool go = false;
    enum errc rc = work_begin(&w, s, "restore", opt, out, err);
    w.stage.accept_dimension = true; /* it was asked when the run began */
    if (rc == ERR_OK)
        rc = find_run(s, run, false, &row, err);
    if (rc == ERR_OK && store_is_read_only(s) && !opt->dry_run)
        rc = err_fail(err, ERR_READ_ONLY,
                      "the end of a restore is noted in the repository, and %s cannot be written to", store_path(s));
    if (rc == ERR_OK)
        rc = adopt(&w, &row, err);
    if (rc == ERR_OK)
        rc = own_check_parts(&w, err);
    if (rc == ERR_OK)
        rc = pending_check(&w, err);
    if (rc == ERR_OK)
        rc = ask(&w, &go, err);
    if (rc == ERR_OK && go)
        rc = resume(&w, err);
    run_record_release(&row.run);
    work_release(&w);
    return rc;
}

/* --- undo
 * ------------------------------------------------------------------------------------------------------------- */

/* Everything that the run touched, as the forensic copy has it. */
static enum errc forensic_parts(struct restore_work *w, const struct parts *plan, struct err *err)
{
    const char **paths;
    size_t count = 0;
    enum errc rc = mem_alloc(&paths, (plan->count + 1) * sizeof *paths, err);
    if (rc != ERR_OK)
        return rc;
    for (size_t i = 0; i < plan->count; i++)
        if (!plan->parts[i].inside)
            paths[count++] = plan->parts[i].path;
    struct restore_options select = *w->opt;
    select.include = paths;
    select.include_count = count;
    select.source_count = 0;
    select.target = NULL;
    rc = parts_select(w->store, &w->snap, &select, &w->parts, err);
    free(paths);
    return rc;
}

static enum errc original_part(struct restore_work *w, const struct part *was, struct err *err)
{
    struct stat st;
    enum errc rc = parts_add(&w->parts, was->item, was->list_path, was->path, err);
    if (rc != ERR_OK)
        return rc;
    struct part *p = &w->parts.parts[w->parts.count - 1];
    p->facts_match = true;
    p->kind = PART_ABSENT;
    if (lstat(was->aside, &st) != 0) {
        if (errno == ENOENT && was->action == RESTORE_CREATE)
            return ERR_OK; /* nothing stood there */
        rc = err_sys(err, ERR_NOTHING_TO_DO, errno, "the original of %s, which was set aside at %s, cannot be used",
                     was->path, was->aside);
        return rc;
    }
    bool raw = was->kind == PART_SQLITE || was->kind == PART_RAW || file_is_database(AT_FDCWD, was->aside);
    p->kind = S_ISDIR(st.st_mode) ? PART_DIR : S_ISREG(st.st_mode) && raw ? PART_RAW : PART_FILE;
    p->dev = (uint64_t)st.st_dev;
    p->ino = (uint64_t)st.st_ino;
    p->entries = 1;
    p->has_databases = false;
    return mem_strdup(&p->original, was->aside, err);
}

/* The originals that the run set aside go back in, and what stands there now is set aside. */
static enum errc aside_parts(struct restore_work *w, const struct parts *plan, struct err *err)
{
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < plan->count; i++)
        if (!plan->parts[i].inside)
            rc = original_part(w, &plan->parts[i], err);
    return rc;
}

/* A run that was cut off and has no forensic copy: what it moved out lies in its staging places, and goes back from
 * there. */
static enum errc take_back(struct restore_work *w, struct run_row *row, struct err *err)
{
    bool go = false;
    enum errc rc = adopt(w, row, err);
    if (rc == ERR_OK)
        rc = own_check_parts(w, err);
    for (size_t i = 0; rc == ERR_OK && i < w->parts.count; i++)
        w->parts.parts[i].swapped = !w->parts.parts[i].inside && swap_has_begun(&w->parts.parts[i]);
    if (rc == ERR_OK)
        rc = ask(w, &go, err);
    if (rc != ERR_OK || !go)
        return rc;
    for (size_t i = 0; rc == ERR_OK && i < w->parts.count; i++) {
        bool there;
        if (!w->parts.parts[i].inside)
            rc = stage_reopen(&w->parts.parts[i], &there, err);
    }
    if (rc == ERR_OK && !work_put_back(w)) {
        (void)err_fail(err, ERR_NOTHING_TO_DO, "not everything could be taken back: the run kept no forensic copy");
        return err_hint(err, "'snap restore --resume' finishes the restore instead.");
    }
    for (size_t i = 0; rc == ERR_OK && i < w->parts.count; i++)
        if (!w->parts.parts[i].inside)
            rc = stage_return_original(&w->parts.parts[i], err);
    if (rc == ERR_OK)
        rc = work_log(w, "undone", "cut off, and taken back", err);
    if (rc == ERR_OK) {
        work_unstage(w);
        for (size_t i = 0; i < w->out->item_count; i++)
            w->out->items[i].done = true;
    }
    return rc;
}

static enum errc nothing_kept(const struct run_record *r, struct err *err)
{
    char hex[17];
    return err_fail(err, ERR_NOTHING_TO_DO, "run %s was made with --forensic=none: there is nothing to go back to",
                    hex_encode(hex, r->id.b, sizeof r->id.b));
}

static bool kept_aside(const struct parts *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->parts[i].aside)
            return true;
    return false;
}

static enum errc undo_run(struct restore_work *w, struct run_row *row, struct err *err)
{
    struct parts plan = {0};
    struct restore_options aside = *w->opt;
    const struct restore_options *given = w->opt;
    enum errc rc = parts_get(row->run.plan, row->run.plan_len, &plan, err);
    if (rc == ERR_OK && !row->run.has_forensic && strcmp(row->run.state, "intent") == 0) {
        parts_release(&plan);
        return take_back(w, row, err);
    }
    if (rc == ERR_OK && !row->run.has_forensic && !kept_aside(&plan))
        rc = nothing_kept(&row->run, err);
    if (rc == ERR_OK)
        rc = load_snapshot(w->store, row->run.has_forensic ? &row->run.forensic : &row->run.snapshot, &w->snap, err);
    if (rc == ERR_OK && row->run.has_forensic) {
        rc = forensic_parts(w, &plan, err);
    } else if (rc == ERR_OK) {
        aside.forensic = FORENSIC_ASIDE;
        w->opt = &aside;
        w->out->from_aside = true;
        rc = aside_parts(w, &plan, err);
    }
    parts_release(&plan);
    w->parts.has_undoes = true;
    w->parts.undoes = row->run.id;
    if (rc == ERR_OK)
        rc = work_in_place(w, err);
    w->opt = given;
    return rc;
}

enum errc restore_undo(struct store *s, const char *run, const struct restore_options *opt, struct restore_outcome *out,
                       struct err *err)
{
    struct restore_work w;
    struct run_row row = {0};
    enum errc rc = work_begin(&w, s, "undo", opt, out, err);
    w.stage.accept_dimension = true; /* what stood there comes back, whatever it was */
    if (rc == ERR_OK && store_is_read_only(s) && !opt->dry_run)
        rc = err_fail(err, ERR_READ_ONLY,
                      "an undo keeps a forensic copy in the repository, and %s cannot be written to", store_path(s));
    if (rc == ERR_OK)
        rc = find_undoable(s, run, &row, err);
    if (rc == ERR_OK)
        rc = undo_run(&w, &row, err);
    run_record_release(&row.run);
    work_release(&w);
    return rc;
}
