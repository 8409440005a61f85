#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "engine/restore_work.h"

/* Restores that were cut off: their newest record is an intent, and nobody holds the locks of their staging places. */

struct search {
    enum errc (*fn)(void *arg, const struct run_record *run, const struct parts *plan, struct err *err);
    void *arg;
};

/* Somebody has the lock: the restore is at work. */
static bool is_at_work(struct parts *plan)
{
    bool locked = false;
    for (size_t i = 0; !locked && i < plan->count; i++) {
        struct err ignored;
        bool there;
        locked = stage_reopen(&plan->parts[i], &there, &ignored) == ERR_LOCKED;
        stage_unlock(&plan->parts[i]);
    }
    return locked;
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
    if (w->has_undoes && memcmp(&w->undoes, &run->id, sizeof run->id) == 0)
        return ERR_OK;
    for (size_t i = 0; i < plan->count; i++)
        for (size_t j = 0; j < w->parts.count; j++)
            if (path_is_within(plan->parts[i].path, w->parts.parts[j].path) ||
                path_is_within(w->parts.parts[j].path, plan->parts[i].path))
                return err_fail(err, ERR_RESTORE_PENDING, "the restore run %s of %s was cut off",
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

void pending_sweep(struct restore_work *w)
{
    for (size_t i = 0; i < w->parts.count; i++) {
        char *parent;
        struct err ignored;
        const char *path = w->opt->target ? w->opt->target : w->parts.parts[i].path;
        if (path_parent(path, &parent, &ignored) != ERR_OK)
            continue;
        stage_sweep(parent, is_needed, w);
        free(parent);
        if (w->opt->target)
            break;
    }
}
