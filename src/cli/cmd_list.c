#include <stdio.h>
#include <string.h>

#include "cli/rows.h"
#include "cli/verbs.h"

struct listing {
    struct cli *c;
    struct columns *table; /* text */
    json_t *all;           /* JSON */
    size_t count;
};

static enum errc add_text(struct listing *l, const struct snapshot_row *row, struct err *err)
{
    const struct snapshot *s = &row->snap;
    char id[ID_HEX_BYTES], time[TIME_TEXT_BYTES], size[32], added[32], sources[256], holds[256], tags[256], marks[560];
    names_text(holds, sizeof holds, row->holds, row->hold_count);
    names_text(tags, sizeof tags, s->tags, s->tag_count);
    snprintf(marks, sizeof marks, "%s%s%s%s%s", holds[0] ? "held: " : "", holds, holds[0] && tags[0] ? "; " : "",
             tags[0] ? "tags: " : "", tags);
    sources_text(sources, sizeof sources, s);
    const char *cells[] = {id_short(id, &s->id),
                           time_format(time, s->time),
                           s->set ? s->set : "",
                           kind_text(s->kind),
                           row_state(row),
                           size_format(size, s->bytes_source),
                           size_format(added, s->bytes_added),
                           sources,
                           marks};
    return columns_add(l->table, cells, err);
}

static enum errc on_row(void *arg, struct snapshot_row *row, struct err *err)
{
    struct listing *l = arg;
    l->count++;
    if (!l->c->ui.json)
        return add_text(l, row, err);
    json_add(l->all, row_doc(row));
    return ERR_OK;
}

static enum errc read_filter(struct cli *c, struct snapshot_filter *f, struct err *err)
{
    const struct parsed *p = &c->args;
    *f = (struct snapshot_filter){.set = opt_last(p, OPT_SET),
                                  .source = opt_last(p, OPT_SOURCE),
                                  .tag = opt_last(p, OPT_TAG),
                                  .deleted = opt_given(p, OPT_DELETED)};
    size_t kind = 0;
    enum errc rc = opt_word(p, OPT_KIND, 0, &kind, err);
    f->kind = (int)kind; /* the words stand in the order of enum snapshot_kind, all is 0 */
    if (rc == ERR_OK && opt_given(p, OPT_LAST))
        rc = opt_number("--last", opt_last(p, OPT_LAST), 1000000000, &f->last, err);
    return rc;
}

static void finish(struct listing *l, const struct snapshot_filter *f)
{
    struct ui *ui = &l->c->ui;
    if (ui->json) {
        ui_doc(ui, l->all);
        l->all = NULL;
    } else if (l->count > 0) {
        columns_print(l->table, ui, "");
    } else if (f->deleted) {
        ui_info(ui, "The trash is empty.");
    } else if (f->set || f->source || f->tag || f->kind) {
        ui_info(ui, "No snapshot matches.");
    } else {
        ui_info(ui, "No snapshots yet. 'snap backup' takes one.");
    }
}

enum errc cmd_list(struct cli *c, struct err *err)
{
    static const char *const titles[] = {"ID",   "TIME",  "SET",     "KIND",       "STATE",
                                         "SIZE", "ADDED", "SOURCES", "HOLDS, TAGS"};
    struct snapshot_filter filter;
    struct store *s = NULL;
    struct listing l = {.c = c};
    enum errc rc = read_filter(c, &filter, err);
    if (rc == ERR_OK)
        rc = columns_new(titles, sizeof titles / sizeof titles[0], &l.table, err);
    if (rc != ERR_OK)
        return rc;
    columns_align_right(l.table, 5);
    columns_align_right(l.table, 6);
    l.all = json_list();
    rc = cli_open(c, ACCESS_READ, &s, err);
    if (rc == ERR_OK)
        rc = catalog_snapshots(store_catalog(s), &filter, on_row, &l, err);
    if (rc == ERR_OK)
        finish(&l, &filter);
    store_close(s);
    columns_free(l.table);
    json_decref(l.all);
    return rc;
}
