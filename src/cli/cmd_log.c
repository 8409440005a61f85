#include <stdio.h>
#include <string.h>

#include "cli/rows.h"
#include "cli/verbs.h"

struct history {
    struct cli *c;
    struct columns *table;
    json_t *all;
    size_t count, max; /* max 0: no limit */
};

static json_t *run_doc(const struct run_row *row)
{
    const struct run_record *r = &row->run;
    char hex[ID_HEX_BYTES];
    json_t *doc = json_doc(), *steps = json_list();
    json_put_str(doc, "run_id", run_hex(hex, &r->id));
    json_put_u64(doc, "sequence", row->number);
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

static enum errc on_run(void *arg, struct run_row *row, struct err *err)
{
    struct history *h = arg;
    const struct run_record *r = &row->run;
    char run[ID_HEX_BYTES], time[TIME_TEXT_BYTES], took[32], snap[ID_HEX_BYTES] = "";
    if (h->max && h->count >= h->max)
        return ERR_OK;
    h->count++;
    if (h->c->ui.json) {
        json_add(h->all, run_doc(row));
        return ERR_OK;
    }
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
    return columns_add(h->table, cells, err);
}

static enum errc log_all(struct cli *c, struct store *s, size_t max, struct err *err)
{
    static const char *const titles[] = {"RUN", "TIME", "WHAT", "STATE", "TOOK", "USER", "SNAPSHOT", "DETAIL"};
    struct history h = {.c = c, .max = max};
    enum errc rc = columns_new(titles, 8, &h.table, err);
    if (rc != ERR_OK)
        return rc;
    columns_align_right(h.table, 4);
    h.all = json_list();
    rc = catalog_run_records(store_catalog(s), NULL, NULL, on_run, &h, err);
    if (rc == ERR_OK && c->ui.json)
        ui_doc(&c->ui, json_incref(h.all));
    else if (rc == ERR_OK && h.count == 0)
        ui_info(&c->ui, "Nothing has been recorded yet.");
    else if (rc == ERR_OK)
        columns_print(h.table, &c->ui, "");
    json_decref(h.all);
    columns_free(h.table);
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

static void show_run(struct cli *c, const struct run_row *row)
{
    const struct run_record *r = &row->run;
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

static enum errc log_one(struct cli *c, struct store *s, const char *run, struct err *err)
{
    struct run_row row = {0};
    enum errc rc = catalog_run(store_catalog(s), run, &row, err);
    if (rc != ERR_OK) {
        if (rc == ERR_UNKNOWN_ID)
            err_hint(err, "Run 'snap log' to see what there is.");
        return rc;
    }
    if (c->ui.json)
        ui_doc(&c->ui, run_doc(&row));
    else
        show_run(c, &row);
    run_record_release(&row.run);
    return ERR_OK;
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
