#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/rows.h"
#include "cli/verbs.h"

/* Backups are told by their snapshots, everything else by its run record: two lists, merged by log number. */

struct entry_of_log {
    uint64_t number;
    struct run_record run;
};
struct history {
    struct entry_of_log *all;
    size_t count, cap;
};

static enum errc add_run(struct history *h, uint64_t number, const struct run_record *run, struct err *err)
{
    enum errc rc = mem_grow(&h->all, &h->cap, h->count + 1, sizeof *h->all, err);
    if (rc == ERR_OK)
        h->all[h->count++] = (struct entry_of_log){.number = number, .run = *run};
    return rc;
}

static enum errc on_run(void *arg, struct run_row *row, struct err *err)
{
    enum errc rc = add_run(arg, row->number, &row->run, err);
    if (rc == ERR_OK)
        memset(&row->run, 0, sizeof row->run);
    return rc;
}

/* A backup's run has the first digits of its snapshot's id. */
static enum errc run_of_snapshot(const struct snapshot *snap, struct run_record *r, struct err *err)
{
    char text[160], read[32], added[32];
    memset(r, 0, sizeof *r);
    memcpy(r->id.b, snap->id.b, sizeof r->id.b);
    r->begun = snap->time;
    r->duration_ms = snap->duration_ms;
    r->has_snapshot = true;
    r->snapshot = snap->id;
    snprintf(text, sizeof text, "%s read, %s added", size_format(read, snap->bytes_read),
             size_format(added, snap->bytes_added));
    enum errc rc = mem_strdup(&r->verb, snap->kind == SNAPSHOT_IMPORTED ? "import" : "backup", err);
    if (rc == ERR_OK)
        rc = mem_strdup(&r->state, snap->partial ? "partial" : "done", err);
    if (rc == ERR_OK)
        rc = mem_strdup(&r->detail, text, err);
    if (rc == ERR_OK && snap->user)
        rc = mem_strdup(&r->user, snap->user, err);
    if (rc == ERR_OK && snap->host)
        rc = mem_strdup(&r->host, snap->host, err);
    if (rc != ERR_OK)
        run_record_release(r);
    return rc;
}

static enum errc on_snapshot(void *arg, struct snapshot_row *row, struct err *err)
{
    struct run_record run;
    if (row->snap.kind == SNAPSHOT_FORENSIC) /* part of a restore */
        return ERR_OK;
    enum errc rc = run_of_snapshot(&row->snap, &run, err);
    if (rc == ERR_OK && (rc = add_run(arg, row->sequence, &run, err)) != ERR_OK)
        run_record_release(&run);
    return rc;
}

static int newest_first(const void *a, const void *b)
{
    const struct entry_of_log *x = a, *y = b;
    return x->number < y->number ? 1 : x->number > y->number ? -1 : 0;
}

/* max 0: all. */
static enum errc load_history(struct store *s, size_t max, struct history *h, struct err *err)
{
    struct snapshot_filter every = {.any_deleted = true, .last = max};
    enum errc rc = catalog_run_records(store_catalog(s), NULL, NULL, on_run, h, err);
    if (rc == ERR_OK)
        rc = catalog_snapshots(store_catalog(s), &every, on_snapshot, h, err);
    if (h->count > 0)
        qsort(h->all, h->count, sizeof *h->all, newest_first);
    while (max > 0 && h->count > max)
        run_record_release(&h->all[--h->count].run);
    return rc;
}

static void history_release(struct history *h)
{
    for (size_t i = 0; i < h->count; i++)
        run_record_release(&h->all[i].run);
    free(h->all);
}

static json_t *run_doc(const struct run_record *r, uint64_t number)
{
    char hex[ID_HEX_BYTES];
    json_t *doc = json_doc(), *steps = json_list();
    json_put_str(doc, "run_id", run_hex(hex, &r->id));
    json_put_u64(doc, "sequence", number);
    json_put_str(doc, "verb", r->verb);
    json_put_str(doc, "state", r->state);
    json_put_time(doc, "time", r->begun);
    json_put_seconds(doc, "duration_s", r->duration_ms);
    json_put_str(doc, "user", r->user);
    json_put_str(doc, "host", r->host);
    json_put_str(doc, "detail", r->detail);
    json_put_str(doc, "target", r->target);
    json_put_id(doc, "snapshot_id", r->has_snapshot ? &r->snapshot : NULL);
    json_put_id(doc, "forensic_id", r->has_forensic ? &r->forensic : NULL);
    for (size_t i = 0; i < r->step_count; i++) {
        const struct run_step *s = &r->steps[i];
        json_t *one = json_doc();
        json_put_str(one, "what", s->what);
        json_put_time(one, "time", s->begun);
        json_put_seconds(one, "duration_s", s->duration_ms);
        json_put_bool(one, "ok", s->ok);
        json_put_str(one, "detail", s->detail);
        json_add(steps, one);
    }
    json_put(doc, "steps", steps);
    return doc;
}

static enum errc add_line(struct columns *table, const struct run_record *r, struct err *err)
{
    char run[ID_HEX_BYTES], time[TIME_TEXT_BYTES], took[32], snap[ID_HEX_BYTES] = "";
    if (r->has_snapshot)
        id_short(snap, &r->snapshot);
    const char *cells[] = {run_hex(run, &r->id),
                           time_format(time, r->begun),
                           r->verb ? r->verb : "",
                           r->state ? r->state : "",
                           duration_format(took, (double)r->duration_ms / 1000.0),
                           r->user ? r->user : "",
                           snap,
                           r->detail ? r->detail : ""};
    return columns_add(table, cells, err);
}

static enum errc log_all(struct cli *c, struct store *s, size_t max, struct err *err)
{
    static const char *const titles[] = {"RUN", "TIME", "WHAT", "STATE", "TOOK", "USER", "SNAPSHOT", "DETAIL"};
    struct history h = {0};
    struct columns *table = NULL;
    json_t *docs = json_list();
    enum errc rc = load_history(s, max, &h, err);
    if (rc == ERR_OK)
        rc = columns_new(titles, 8, &table, err);
    if (rc == ERR_OK)
        columns_align_right(table, 4);
    for (size_t i = 0; rc == ERR_OK && i < h.count; i++)
        if (c->ui.json)
            json_add(docs, run_doc(&h.all[i].run, h.all[i].number));
        else
            rc = add_line(table, &h.all[i].run, err);
    if (rc == ERR_OK && c->ui.json)
        ui_doc(&c->ui, json_incref(docs));
    else if (rc == ERR_OK && h.count == 0)
        ui_info(&c->ui, "Nothing has been recorded yet.");
    else if (rc == ERR_OK)
        columns_print(table, &c->ui, "");
    json_decref(docs);
    columns_free(table);
    history_release(&h);
    return rc;
}

static void head_line(struct ui *ui, const char *label, const char *text)
{
    if (!text || !text[0])
        return;
    ui_out(ui, "%-10s", label);
    ui_name(ui, text, strlen(text));
    ui_out(ui, "\n");
}

static void show_run(struct cli *c, const struct run_record *r)
{
    char hex[ID_HEX_BYTES], time[TIME_TEXT_BYTES], took[32];
    struct ui *ui = &c->ui;
    head_line(ui, "run", run_hex(hex, &r->id));
    head_line(ui, "what", r->verb);
    head_line(ui, "state", r->state);
    head_line(ui, "time", time_format(time, r->begun));
    head_line(ui, "took", duration_format(took, (double)r->duration_ms / 1000.0));
    head_line(ui, "user", r->user);
    head_line(ui, "host", r->host);
    head_line(ui, "snapshot", r->has_snapshot ? id_hex(hex, &r->snapshot) : NULL);
    head_line(ui, "forensic", r->has_forensic ? id_hex(hex, &r->forensic) : NULL);
    head_line(ui, "target", r->target);
    head_line(ui, "detail", r->detail);
    for (size_t i = 0; i < r->step_count; i++) {
        const struct run_step *s = &r->steps[i];
        ui_out(ui, "  %s  %9s  %s  ", time_format(time, s->begun),
               duration_format(took, (double)s->duration_ms / 1000.0), s->ok ? "ok    " : "FAILED");
        ui_name(ui, s->what, strlen(s->what));
        if (s->detail && s->detail[0]) {
            ui_out(ui, ": ");
            ui_name(ui, s->detail, strlen(s->detail));
        }
        ui_out(ui, "\n");
    }
}

static enum errc show_one(struct cli *c, const struct run_record *r, uint64_t number)
{
    if (c->ui.json)
        ui_doc(&c->ui, run_doc(r, number));
    else
        show_run(c, r);
    return ERR_OK;
}

/* A backup, by its snapshot's id. *found_out false: no snapshot has it. */
static enum errc log_backup(struct cli *c, struct store *s, const char *prefix, bool *found_out, struct err *err)
{
    struct snapshot_id ids[2];
    size_t count = 0;
    struct snapshot_row row = {0};
    struct run_record run;
    enum errc rc = catalog_snapshot_prefix(store_catalog(s), prefix, true, ids, 2, &count, err);
    *found_out = count > 0;
    if (rc == ERR_OK && count > 1)
        rc = err_fail(err, ERR_AMBIGUOUS_ID, "more than one backup has an id that begins with '%s'", prefix);
    if (rc != ERR_OK || count == 0)
        return rc;
    rc = cli_row(s, &ids[0], &row, err);
    if (rc == ERR_OK && (rc = run_of_snapshot(&row.snap, &run, err)) == ERR_OK) {
        rc = show_one(c, &run, row.sequence);
        run_record_release(&run);
    }
    snapshot_row_release(&row);
    return rc;
}

static enum errc log_one(struct cli *c, struct store *s, const char *prefix, struct err *err)
{
    struct run_row row = {0};
    struct err why;
    bool found;
    enum errc rc = catalog_run(store_catalog(s), prefix, &row, &why);
    if (rc == ERR_OK) {
        rc = show_one(c, &row.run, row.number);
        run_record_release(&row.run);
        return rc;
    }
    if (rc == ERR_UNKNOWN_ID) {
        rc = log_backup(c, s, prefix, &found, err);
        if (rc != ERR_OK || found)
            return rc;
        rc = ERR_UNKNOWN_ID;
        err_hint(&why, "Run 'snap log' to see what there is.");
    }
    *err = why;
    return rc;
}

enum errc cmd_log(struct cli *c, struct err *err)
{
    size_t max = 0;
    struct store *s = NULL;
    enum errc rc = ERR_OK;
    if (opt_given(&c->args, OPT_LAST))
        rc = opt_number("--last", opt_last(&c->args, OPT_LAST), 1000000000, &max, err);
    if (rc == ERR_OK)
        rc = cli_open(c, ACCESS_READ, &s, err);
    if (rc == ERR_OK)
        rc = c->args.arg_count ? log_one(c, s, c->args.args[0], err) : log_all(c, s, max, err);
    store_close(s);
    return rc;
}
