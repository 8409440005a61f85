#include "engine/restore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/path.h"
#include "engine/restore_work.h"

/* --- in place --------------------------------------------------------------------------------------------------------- */

/* Everything up to the intent can be left off without a trace; from the intent on, a crash is told by the next command. */
static enum errc run_in_place(struct restore_work *w, struct err *err)
{
    struct err ignored;
    pending_sweep(w);
    enum errc rc = work_stage(w, err);
    if (rc == ERR_OK)
        rc = work_forensic(w, err);
    if (rc == ERR_OK)
        rc = work_log(w, "intent", NULL, err);
    if (rc != ERR_OK) {
        work_unstage(w);
        return rc;
    }
    w->intent = true;
    rc = work_swap(w, err);
    (void)!work_outcome(w, &ignored);
    return rc;
}

static enum errc plan_and_ask(struct restore_work *w, bool *go, struct err *err)
{
    struct err ignored;
    *go = false;
    enum errc rc = work_plan(w, err);
    if (rc == ERR_OK)
        rc = work_space(w, err);
    if (rc != ERR_OK) {
        (void)!work_outcome(w, &ignored);
        return rc;
    }
    rc = work_outcome(w, err);
    if (rc != ERR_OK || w->opt->dry_run)
        return rc;
    if (w->opt->confirm && !w->opt->confirm(w->opt->confirm_arg, w->out))
        return err_fail(err, ERR_NEEDS_YES, "not confirmed; nothing was changed");
    *go = true;
    return ERR_OK;
}

enum errc restore_run(struct store *s, const struct restore_options *opt, struct restore_outcome *out, struct err *err)
{
    struct restore_work w;
    bool go = false;
    enum errc rc = work_begin(&w, s, "restore", opt, out, err);
    if (rc == ERR_OK)
        rc = store_find_snapshot(s, opt->snapshot, true, &w.snap, err);
    if (rc == ERR_OK)
        rc = parts_select(s, &w.snap, opt, &w.parts, err);
    if (rc == ERR_OK && opt->target) {
        rc = work_to_target(&w, err);
    } else if (rc == ERR_OK) {
        if (store_is_read_only(s))
            rc = err_fail(err, ERR_READ_ONLY,
                          "a restore in place keeps a forensic copy in the repository, and %s cannot be written to",
                          store_path(s));
        if (rc == ERR_OK)
            rc = plan_and_ask(&w, &go, err);
        if (rc == ERR_OK && go)
            rc = run_in_place(&w, err);
    }
    work_release(&w);
    return rc;
}

/* --- finding runs ----------------------------------------------------------------------------------------------------- */

struct choice {
    bool want_done;      /* done ones too, not only those that were cut off */
    bool found;
    struct run_row row;  /* taken over */
};

static enum errc choose(void *arg, struct run_row *row, struct err *err)
{
    struct choice *c = arg;
    (void)err;
    bool verb = strcmp(row->run.verb, "restore") == 0 || strcmp(row->run.verb, "undo") == 0;
    bool state = strcmp(row->run.state, "intent") == 0 || (c->want_done && strcmp(row->run.state, "done") == 0);
    if (c->found || !verb || !state || row->run.target)
        return ERR_OK;
    c->row = *row;
    memset(row, 0, sizeof *row);
    c->found = true;
    return ERR_OK;
}

static enum errc find_run(struct store *s, const char *prefix, bool want_done, struct run_row *out, struct err *err)
{
    struct choice c = {.want_done = want_done};
    memset(out, 0, sizeof *out);
    if (prefix) {
        enum errc rc = catalog_run(store_catalog(s), prefix, out, err);
        if (rc != ERR_OK)
            return rc;
        struct run_row given = *out;
        memset(out, 0, sizeof *out);
        rc = choose(&c, &given, err);
        run_record_release(&given.run);
        if (rc == ERR_OK && !c.found)
            rc = err_fail(err, ERR_NOTHING_TO_DO, "run '%s' is not a restore that %s", prefix,
                          want_done ? "can be undone" : "was cut off");
        *out = c.row;
        return rc;
    }
    enum errc rc = catalog_run_records(store_catalog(s), NULL, NULL, choose, &c, err);
    *out = c.row;
    if (rc == ERR_OK && !c.found)
        rc = err_fail(err, ERR_NOTHING_TO_DO, want_done ? "there is no restore that could be undone"
                                                        : "no restore was cut off");
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

/* --- resume ----------------------------------------------------------------------------------------------------------- */

/* Staged and not lost since, or in place already; else it is staged again. */
static enum errc restage(struct restore_work *w, size_t i, struct err *err)
{
    struct part *p = &w->parts.parts[i];
    bool there;
    enum errc rc = stage_reopen(p, &there, err);
    if (rc != ERR_OK || (there && (stage_has(p, "new") || p->ino != 0 || p->kind == PART_ABSENT)))
        return rc;
    if (!there) {
        free(p->staging);
        p->staging = NULL;
        rc = stage_make(&w->stage, p, i, err);
    }
    if (rc == ERR_OK)
        rc = stage_fill(&w->stage, p, "new", err);
    return rc == ERR_OK ? stage_sync(p, err) : rc;
}

enum errc restore_resume(struct store *s, const char *run, const struct restore_options *opt,
                         struct restore_outcome *out, struct err *err)
{
    struct restore_work w;
    struct run_row row;
    struct err ignored;
    enum errc rc = work_begin(&w, s, "restore", opt, out, err);
    if (rc != ERR_OK) {
        work_release(&w);
        return rc;
    }
    rc = find_run(s, run, false, &row, err);
    if (rc == ERR_OK) {
        run_record_release(&w.run);
        w.run = row.run;
        memset(&row.run, 0, sizeof row.run);
        w.stage.run = out->run = w.run.id;
        w.intent = true;
        out->has_forensic = w.run.has_forensic;
        out->forensic = w.run.forensic;
        rc = load_snapshot(s, &w.run.snapshot, &w.snap, err);
    }
    if (rc == ERR_OK)
        rc = parts_get(w.run.plan, w.run.plan_len, &w.parts, err);
    for (size_t i = 0; rc == ERR_OK && i < w.parts.count; i++)
        rc = part_read(s, &w.snap, &w.parts.parts[i], err);
    if (rc == ERR_OK)
        rc = work_outcome(&w, err);
    if (rc == ERR_OK && opt->dry_run) {
        work_release(&w);
        return ERR_OK;
    }
    if (rc == ERR_OK && opt->confirm && !opt->confirm(opt->confirm_arg, out))
        rc = err_fail(err, ERR_NEEDS_YES, "not confirmed; nothing was changed");
    for (size_t i = 0; rc == ERR_OK && i < w.parts.count; i++)
        rc = restage(&w, i, err);
    if (rc == ERR_OK) {
        rc = work_swap(&w, err);
        (void)!work_outcome(&w, &ignored);
    }
    run_record_release(&row.run);
    work_release(&w);
    return rc;
}

/* --- undo ------------------------------------------------------------------------------------------------------------- */

/* The parts of an undo: everything that the run touched, as the forensic copy has it. */
static enum errc undo_parts(struct restore_work *w, const struct run_record *undone, struct err *err)
{
    struct parts plan = {0};
    const char **paths = NULL;
    enum errc rc = parts_get(undone->plan, undone->plan_len, &plan, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&paths, (plan.count + 1) * sizeof *paths, err);
    for (size_t i = 0; rc == ERR_OK && i < plan.count; i++)
        paths[i] = plan.parts[i].path;
    if (rc == ERR_OK) {
        struct restore_options select = *w->opt;
        select.include = paths;
        select.include_count = plan.count;
        select.source_count = 0;
        select.target = NULL;
        rc = parts_select(w->store, &w->snap, &select, &w->parts, err);
    }
    free(paths);
    parts_release(&plan);
    return rc;
}

/* The staging places of a run that was cut off are of no more use. */
static void drop_staging(const struct run_record *undone)
{
    struct parts plan = {0};
    struct err ignored;
    if (parts_get(undone->plan, undone->plan_len, &plan, &ignored) == ERR_OK)
        for (size_t i = 0; i < plan.count; i++) {
            bool there;
            if (stage_reopen(&plan.parts[i], &there, &ignored) == ERR_OK && there)
                (void)!stage_remove(&plan.parts[i], &ignored);
            stage_unlock(&plan.parts[i]);
        }
    parts_release(&plan);
}

static enum errc mark_undone(struct store *s, struct run_record *undone, struct err *err)
{
    char *state;
    enum errc rc = mem_strdup(&state, "undone", err);
    if (rc != ERR_OK)
        return rc;
    free(undone->state);
    undone->state = state;
    struct log_body body = {.head.kind = LOG_RUN, .run = *undone};
    return store_append(s, &body, err);
}

static enum errc check_undoable(const struct run_record *r, struct err *err)
{
    char hex[17];
    if (r->has_forensic)
        return ERR_OK;
    hex_encode(hex, r->id.b, sizeof r->id.b);
    struct parts plan = {0};
    struct err ignored;
    bool aside = parts_get(r->plan, r->plan_len, &plan, &ignored) == ERR_OK && plan.count > 0 && plan.parts[0].aside;
    if (aside) {
        (void)err_fail(err, ERR_NOTHING_TO_DO, "run %s has no forensic copy: it set the originals aside, at %s%s", hex,
                       plan.parts[0].aside, plan.count > 1 ? " and likewise for the others" : "");
        (void)err_hint(err, "Stop what uses the data, move what stands there away, and move the originals back.");
    } else {
        (void)err_fail(err, ERR_NOTHING_TO_DO, "run %s was made with --forensic=none: there is nothing to go back to",
                       hex);
    }
    parts_release(&plan);
    return ERR_NOTHING_TO_DO;
}

enum errc restore_undo(struct store *s, const char *run, const struct restore_options *opt, struct restore_outcome *out,
                       struct err *err)
{
    struct restore_work w;
    struct run_row row = {0};
    bool go = false;
    enum errc rc = work_begin(&w, s, "undo", opt, out, err);
    if (rc == ERR_OK && store_is_read_only(s))
        rc = err_fail(err, ERR_READ_ONLY, "an undo keeps a forensic copy in the repository, and %s cannot be written to",
                      store_path(s));
    if (rc == ERR_OK)
        rc = find_run(s, run, true, &row, err);
    if (rc == ERR_OK)
        rc = check_undoable(&row.run, err);
    if (rc == ERR_OK) {
        w.undoes = row.run.id;
        w.has_undoes = true;
        rc = load_snapshot(s, &row.run.forensic, &w.snap, err);
    }
    if (rc == ERR_OK)
        rc = undo_parts(&w, &row.run, err);
    if (rc == ERR_OK)
        rc = plan_and_ask(&w, &go, err);
    if (rc == ERR_OK && go)
        rc = run_in_place(&w, err);
    if (rc == ERR_OK && go) {
        if (strcmp(row.run.state, "intent") == 0)
            drop_staging(&row.run);
        rc = mark_undone(s, &row.run, err);
    }
    run_record_release(&row.run);
    work_release(&w);
    return rc;
}
