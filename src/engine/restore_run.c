#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/process.h"
#include "engine/restore_work.h"

enum errc work_begin(struct restore_work *w, struct store *s, const char *verb, const struct restore_options *opt,
                     struct restore_outcome *out, struct err *err)
{
    memset(w, 0, sizeof *w);
    memset(out, 0, sizeof *out);
    w->store = s;
    w->opt = opt;
    w->out = out;
    w->begun_ns = monotonic_ns();
    w->run.begun = time_now();
    enum errc rc = io_random(w->run.id.b, sizeof w->run.id.b, err);
    if (rc == ERR_OK)
        rc = mem_strdup(&w->run.verb, verb, err);
    if (rc == ERR_OK)
        rc = process_who(&w->run.host, &w->run.user, err);
    w->stage = (struct stage){.store = s,
                              .snap = &w->snap,
                              .run = w->run.id,
                              .self_exe = opt->self_exe,
                              .accept_dimension = opt->accept_dimension,
                              .diag = opt->diag};
    out->run = w->run.id;
    return rc;
}

void work_release(struct restore_work *w)
{
    for (size_t i = 0; i < w->parts.count; i++)
        stage_unlock(&w->parts.parts[i]);
    parts_release(&w->parts);
    snapshot_release(&w->snap);
    run_record_release(&w->run);
}

enum errc work_step(struct restore_work *w, const char *what, const char *object, struct timestamp begun,
                    uint64_t begun_ns, bool ok, const char *detail, struct err *err)
{
    struct run_record *r = &w->run;
    struct run_step *steps = reallocarray(r->steps, r->step_count + 1, sizeof *steps);
    if (!steps)
        return err_fail(err, ERR_NO_MEMORY, "no memory for a run record");
    r->steps = steps;
    struct run_step *step = &steps[r->step_count];
    struct buf text;
    memset(step, 0, sizeof *step);
    buf_init(&text, TEXT_MAX_BYTES);
    enum errc rc = object ? buf_append_fmt(&text, err, "%s %.4000s", what, object) : buf_append_str(&text, what, err);
    if (rc == ERR_OK)
        rc = mem_dup(&step->what, text.data, text.len, err);
    buf_release(&text);
    if (rc == ERR_OK && detail)
        rc = mem_strdup(&step->detail, detail, err);
    step->begun = begun;
    step->duration_ms = (monotonic_ns() - begun_ns) / 1000000;
    step->ok = ok;
    r->step_count++;
    return rc;
}

static enum errc replace(char **slot, const char *text, struct err *err)
{
    char *copy = NULL;
    enum errc rc = text ? mem_strdup(&copy, text, err) : ERR_OK;
    if (rc == ERR_OK) {
        free(*slot);
        *slot = copy;
    }
    return rc;
}

enum errc work_log(struct restore_work *w, const char *state, const char *detail, struct err *err)
{
    struct run_record *r = &w->run;
    struct buf plan;
    buf_init(&plan, LOG_RECORD_MAX_BYTES / 2);
    r->snapshot = w->snap.id;
    r->has_snapshot = true;
    r->duration_ms = (monotonic_ns() - w->begun_ns) / 1000000;
    enum errc rc = replace(&r->state, state, err);
    if (rc == ERR_OK)
        rc = replace(&r->detail, detail, err);
    if (rc == ERR_OK)
        rc = replace(&r->target, w->opt->target, err);
    if (rc == ERR_OK)
        rc = parts_put(&plan, &w->parts, err);
    if (rc == ERR_OK) {
        free(r->plan);
        r->plan = NULL;
        rc = mem_dup(&r->plan, plan.data, plan.len, err);
        r->plan_len = plan.len;
    }
    buf_release(&plan);
    if (rc != ERR_OK)
        return rc;
    struct log_body body = {.head.kind = LOG_RUN, .run = *r};
    return store_append(w->store, &body, err);
}

static const char *item_state(const struct restore_work *w, const struct part *p)
{
    return p->swapped    ? "restored"
           : w->put_back ? "put-back"
           : w->intent   ? "failed"
           : p->staging  ? "staged"
                         : "planned";
}

struct part *work_outer(const struct restore_work *w, struct part *p)
{
    return p->inside ? &w->parts.parts[p->inside - 1] : p;
}

enum errc work_outcome(struct restore_work *w, struct err *err)
{
    struct restore_outcome *o = w->out;
    for (size_t i = 0; i < o->item_count; i++) {
        free(o->items[i].source);
        free(o->items[i].path);
        free(o->items[i].note);
        free(o->items[i].state);
    }
    free(o->items);
    o->items = NULL;
    o->item_count = 0;
    o->bytes = 0;
    o->snapshot = w->snap.id;
    o->duration_ms = (monotonic_ns() - w->begun_ns) / 1000000;
    enum errc rc = mem_alloc(&o->items, (w->parts.count + 1) * sizeof *o->items, err);
    if (rc == ERR_OK && w->opt->target)
        rc = replace(&o->target, w->opt->target, err);
    for (size_t i = 0; rc == ERR_OK && i < w->parts.count; i++) {
        const struct part *p = &w->parts.parts[i];
        struct restore_item *item = &o->items[o->item_count++];
        const struct item *from = p->item < w->snap.item_count ? &w->snap.items[p->item] : NULL;
        item->type = from ? from->type : ITEM_FILE;
        const struct part *outer = work_outer(w, &w->parts.parts[i]);
        item->action = outer->action;
        item->bytes = p->bytes;
        item->entries = p->entries;
        item->done = outer->swapped;
        item->facts_match = p->facts_match && !p->vectors_differ;
        o->bytes += p->bytes;
        rc = mem_strdup(&item->source, from ? from->source : "", err);
        if (rc == ERR_OK)
            rc = mem_strdup(&item->path, p->path, err);
        if (rc == ERR_OK && p->note)
            rc = mem_strdup(&item->note, p->note, err);
        if (rc == ERR_OK)
            rc = mem_strdup(&item->state, item_state(w, outer), err);
    }
    return rc;
}

void restore_outcome_release(struct restore_outcome *o)
{
    for (size_t i = 0; i < o->item_count; i++) {
        free(o->items[i].source);
        free(o->items[i].path);
        free(o->items[i].note);
        free(o->items[i].state);
    }
    free(o->items);
    free(o->target);
    memset(o, 0, sizeof *o);
}

const char *restore_action_text(enum restore_action a)
{
    switch (a) {
    case RESTORE_CREATE:
        return "create";
    case RESTORE_SQLITE_INTO:
        return "write into the database, under its users";
    case RESTORE_SQLITE_RENAME:
        return "replace the database file";
    case RESTORE_EXCHANGE:
        return "exchange the directory";
    case RESTORE_FILE_BY_FILE:
        return "restore file by file";
    case RESTORE_FILE:
        return "exchange the file";
    case RESTORE_REMOVE:
        return "take away";
    case RESTORE_RAW:
        return "put the raw files back";
    }
    return "";
}
