#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "engine/restore_work.h"

/* Restores that were cut off: their newest record is an intent, and nobody holds the locks of their staging places. */

enum { UNDONE_MAX = 32 };

struct search {
    enum errc (*fn)(void *arg, const struct run_record *run, const struct parts *plan, struct err *err);
    void *arg;
};

static bool is_at_work(const struct parts *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (stage_is_at_work(&plan->parts[i]))
            return true;
    return false;
}

static enum errc on_run(void *arg, struct run_row *row, struct err *err)
{
    struct search *s = arg;
    struct parts plan = {0};
    if (!row->run.plan || (strcmp(row->run.verb, "restore") != 0 && strcmp(row->run.verb, "undo") != 0))
        return ERR_OK;
    enum errc rc = parts_get(row->run.plan, row->run.plan_len, &plan, err);
    if (rc == ERR_OK && !is_at_work(&plan))
        rc = s->fn(s->arg, &row->run, &plan, err);
    parts_release(&plan);
    return rc;
}

static enum errc each_pending(struct store *s, struct search *search, struct err *err)
{
    return catalog_run_records(store_catalog(s), NULL, "intent", on_run, search, err);
}

struct ids {
    struct run_id *out;
    size_t max, *count;
};

static enum errc note_id(void *arg, const struct run_record *run, const struct parts *plan, struct err *err)
{
    struct ids *ids = arg;
    (void)plan;
    (void)err;
    if (*ids->count < ids->max)
        ids->out[(*ids->count)++] = run->id;
    return ERR_OK;
}

enum errc restore_pending(struct store *s, struct run_id *out, size_t max, size_t *count_out, struct err *err)
{
    struct ids ids = {.out = out, .max = max, .count = count_out};
    struct search search = {.fn = note_id, .arg = &ids};
    *count_out = 0;
    return each_pending(s, &search, err);
}

static enum errc compare_targets(void *arg, const struct run_record *run, const struct parts *plan, struct err *err)
{
    struct restore_work *w = arg;
    char hex[17];
    const struct run_id *undone = w->parts.has_undoes ? &w->parts.undoes : NULL;
    if (memcmp(&w->run.id, &run->id, sizeof run->id) == 0)
        return ERR_OK;
    if (undone && memcmp(undone, &run->id, sizeof *undone) == 0)
        return ERR_OK;
    if (undone && plan->has_undoes && memcmp(undone, &plan->undoes, sizeof *undone) == 0)
        return ERR_OK; /* another try to take the same run back */
    for (size_t i = 0; i < plan->count; i++)
        for (size_t j = 0; j < w->parts.count; j++)
            if (path_is_within(plan->parts[i].path, w->parts.parts[j].path) ||
                path_is_within(w->parts.parts[j].path, plan->parts[i].path))
                return err_fail(err, ERR_RESTORE_PENDING, "the %s %s of %s was cut off", run->verb,
                                hex_encode(hex, run->id.b, sizeof run->id.b), plan->parts[i].path);
    return ERR_OK;
}

enum errc pending_check(struct restore_work *w, struct err *err)
{
    struct search search = {.fn = compare_targets, .arg = w};
    return each_pending(w->store, &search, err);
}

struct kept {
    const char *path;
    bool found;
};

static enum errc find_staging(void *arg, const struct run_record *run, const struct parts *plan, struct err *err)
{
    struct kept *k = arg;
    (void)run;
    (void)err;
    for (size_t i = 0; i < plan->count; i++)
        k->found = k->found || (plan->parts[i].staging && strcmp(plan->parts[i].staging, k->path) == 0);
    return ERR_OK;
}

static bool is_needed(void *arg, const char *path)
{
    struct restore_work *w = arg;
    struct kept kept = {.path = path};
    struct search search = {.fn = find_staging, .arg = &kept};
    struct err ignored;
    return each_pending(w->store, &search, &ignored) != ERR_OK || kept.found;
}

/* --- the end of a run that an undo took back -----------------------------------------------------------------------
 */

static enum errc mark_undone(struct store *s, struct run_record *run, struct err *err)
{
    char *state;
    enum errc rc = mem_strdup(&state, "undone", err);
    if (rc != ERR_OK)
        return rc;
    free(run->state);
    run->state = state;
    struct log_body body = {.head.kind = LOG_RUN, .run = *run};
    return store_append(s, &body, err);
}

/* The staging places of a run that was cut off are of no more use. */
static void drop_staging(struct run_record *run)
{
    struct parts plan = {0};
    struct err ignored;
    if (parts_get(run->plan, run->plan_len, &plan, &ignored) == ERR_OK)
        for (size_t i = 0; i < plan.count; i++) {
            bool there;
            if (stage_reopen(&plan.parts[i], &there, &ignored) == ERR_OK && there)
                (void)!stage_remove(&plan.parts[i], &ignored);
            stage_unlock(&plan.parts[i]);
        }
    parts_release(&plan);
}

struct ended {
    struct restore_work *w;
    struct run_record runs[UNDONE_MAX];
    size_t count;
};

static enum errc collect_undone(void *arg, struct run_row *row, struct err *err)
{
    struct ended *e = arg;
    struct parts plan = {0};
    const struct run_id *undone = &e->w->parts.undoes;
    (void)err;
    if (!row->run.plan || e->count == UNDONE_MAX || memcmp(&row->run.id, &e->w->run.id, sizeof row->run.id) == 0)
        return ERR_OK;
    bool is_it = memcmp(undone, &row->run.id, sizeof *undone) == 0;
    struct err ignored;
    if (!is_it && strcmp(row->run.state, "intent") == 0 &&
        parts_get(row->run.plan, row->run.plan_len, &plan, &ignored) == ERR_OK)
        is_it = plan.has_undoes && memcmp(undone, &plan.undoes, sizeof *undone) == 0;
    parts_release(&plan);
    if (is_it) {
        e->runs[e->count++] = row->run;
        memset(&row->run, 0, sizeof row->run);
    }
    return ERR_OK;
}

enum errc pending_end_undone(struct restore_work *w, struct err *err)
{
    struct ended *e;
    if (!w->parts.has_undoes)
        return ERR_OK;
    enum errc rc = mem_alloc(&e, sizeof *e, err);
    if (rc != ERR_OK)
        return rc;
    e->w = w;
    rc = catalog_run_records(store_catalog(w->store), NULL, NULL, collect_undone, e, err);
    for (size_t i = 0; i < e->count; i++) {
        bool cut_off = strcmp(e->runs[i].state, "intent") == 0;
        if (rc == ERR_OK && strcmp(e->runs[i].state, "undone") != 0)
            rc = mark_undone(w->store, &e->runs[i], err);
        if (rc == ERR_OK && cut_off)
            drop_staging(&e->runs[i]);
        run_record_release(&e->runs[i]);
    }
    free(e);
    return rc;
}

void pending_sweep(struct restore_work *w)
{
    for (size_t i = 0; i < w->parts.count; i++) {
        char *parent;
        struct err ignored;
        const char *path = w->opt->target ? w->opt->target : w->parts.parts[i].path;
        if (path_parent(path, &parent, &ignored) != ERR_OK)
            continue;
        stage_sweep(&w->stage, parent, is_needed, w);
        if (w->opt->target)
            stage_sweep(&w->stage, w->opt->target, is_needed, w);
        free(parent);
        if (w->opt->target)
            break;
    }
}
