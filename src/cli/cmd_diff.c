#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/verbs.h"
#include "engine/look.h"
#include "source/vectors/vector_facts.h"

struct comparing {
    struct cli *c;
    uint64_t counts[LOOK_TYPE + 1];
    uint64_t total, bytes_added, bytes_removed, bytes_differ;
};

static const char *const words[] = {[LOOK_ADDED] = "added",
                                    [LOOK_REMOVED] = "removed",
                                    [LOOK_CONTENT] = "content",
                                    [LOOK_METADATA] = "metadata",
                                    [LOOK_TYPE] = "type"};

/* What one side's facts tell of vectors; "" when nothing. */
static const char *vectors_text(const struct entry_end *end, char *dst, size_t cap)
{
    struct fact_list facts;
    dst[0] = '\0';
    if (end && end->facts && fact_list_get(end->facts, end->facts_len, &facts, NULL) == ERR_OK) {
        vector_facts_text(&facts, dst, cap);
        fact_list_release(&facts);
    }
    return dst;
}

static void put_text(json_t *doc, const char *key, const char *text)
{
    json_put_str(doc, key, *text ? text : NULL);
}

static void print_json(struct comparing *x, const struct look_diff *d)
{
    json_t *doc = json_doc();
    json_put_str(doc, "change", words[d->change]);
    json_put_str(doc, "path", d->abs_path);
    if (d->before)
        json_put_u64(doc, "bytes_before", d->bytes_before);
    else
        json_put_str(doc, "bytes_before", NULL);
    if (d->after)
        json_put_u64(doc, "bytes_after", d->bytes_after);
    else
        json_put_str(doc, "bytes_after", NULL);
    json_put_u64(doc, "bytes_differ", d->bytes_differ);
    char text[VECTOR_FACTS_TEXT_BYTES];
    put_text(doc, "vectors_before", vectors_text(d->end_before, text, sizeof text));
    put_text(doc, "vectors_after", vectors_text(d->end_after, text, sizeof text));
    ui_out(&x->c->ui, "%s", x->total ? ",\n" : "\n");
    ui_element(&x->c->ui, doc);
}

/* "  [npy, 5 x 768 float32]", both sides when they differ. */
static void print_vectors(struct ui *ui, const struct look_diff *d)
{
    char before[VECTOR_FACTS_TEXT_BYTES], after[VECTOR_FACTS_TEXT_BYTES];
    vectors_text(d->end_before, before, sizeof before);
    vectors_text(d->end_after, after, sizeof after);
    if (!*before && !*after)
        return;
    ui_out(ui, "  [");
    ui_name(ui, before, strlen(before));
    if (strcmp(before, after) != 0) {
        ui_out(ui, "%s", *before && *after ? " -> " : "");
        ui_name(ui, after, strlen(after));
    }
    ui_out(ui, "]");
}

static void print_text(struct comparing *x, const struct look_diff *d)
{
    static const char marks[] = {
        [LOOK_ADDED] = '+', [LOOK_REMOVED] = '-', [LOOK_CONTENT] = 'M', [LOOK_METADATA] = 'U', [LOOK_TYPE] = 'T'};
    struct ui *ui = &x->c->ui;
    char before[32], after[32], differ[32];
    ui_out(ui, "%c  ", marks[d->change]);
    ui_name(ui, d->abs_path, strlen(d->abs_path));
    if (d->change == LOOK_CONTENT)
        ui_out(ui, "  (%s -> %s, %s differ)", size_format(before, d->bytes_before), size_format(after, d->bytes_after),
               size_format(differ, d->bytes_differ));
    print_vectors(ui, d);
    ui_out(ui, "\n");
}

static enum errc on_diff(void *arg, const struct look_diff *d, struct err *err)
{
    struct comparing *x = arg;
    REQUIRE(d->change <= LOOK_TYPE);
    if (x->c->ui.json)
        print_json(x, d);
    else
        print_text(x, d);
    x->total++;
    x->counts[d->change]++;
    if (d->after && !d->before)
        x->bytes_added += d->bytes_after;
    if (d->before && !d->after)
        x->bytes_removed += d->bytes_before;
    x->bytes_differ += d->bytes_differ;
    if (diag_interrupted(&x->c->diag))
        return err_fail(err, ERR_INTERRUPTED, "interrupted");
    return ui_check(&x->c->ui, err);
}

static void begin(struct comparing *x, const struct snapshot *a, const struct snapshot *b)
{
    char before[ID_HEX_BYTES], after[ID_HEX_BYTES];
    if (x->c->ui.json)
        ui_out(&x->c->ui, "{\"before\":\"%s\",\"after\":\"%s\",\"changes\":[", id_hex(before, &a->id),
               id_hex(after, &b->id));
}

static void finish(struct comparing *x, bool complete)
{
    struct ui *ui = &x->c->ui;
    if (!ui->json) {
        char added[32], removed[32], differ[32];
        if (complete && x->total == 0)
            ui_info(ui, "The two snapshots do not differ.");
        else if (complete)
            ui_out(ui,
                   "\n%" PRIu64 " added (%s), %" PRIu64 " removed (%s), %" PRIu64 " with other content, %" PRIu64
                   " with other metadata, %" PRIu64 " of another type; %s of data differ\n",
                   x->counts[LOOK_ADDED], size_format(added, x->bytes_added), x->counts[LOOK_REMOVED],
                   size_format(removed, x->bytes_removed), x->counts[LOOK_CONTENT], x->counts[LOOK_METADATA],
                   x->counts[LOOK_TYPE], size_format(differ, x->bytes_differ));
        return;
    }
    json_t *totals = json_doc();
    for (int i = 0; i <= LOOK_TYPE; i++)
        json_put_u64(totals, words[i], x->counts[i]);
    json_put_u64(totals, "bytes_added", x->bytes_added);
    json_put_u64(totals, "bytes_removed", x->bytes_removed);
    json_put_u64(totals, "bytes_differ", x->bytes_differ);
    ui_out(ui, "%s],\"totals\":", x->total ? "\n" : "");
    ui_element(ui, totals);
    ui_out(ui, "}\n");
}

enum errc cmd_diff(struct cli *c, struct err *err)
{
    struct store *s = NULL;
    struct snapshot a = {0}, b = {0};
    enum errc rc = cli_open(c, ACCESS_READ, &s, err);
    if (rc == ERR_OK)
        rc = cli_snapshot(s, c->args.args[0], &a, err);
    if (rc == ERR_OK) {
        rc = cli_snapshot(s, c->args.args[1], &b, err);
        if (rc == ERR_OK) {
            struct comparing x = {.c = c};
            begin(&x, &a, &b);
            rc = look_diff(s, &a, &b, on_diff, &x, err);
            finish(&x, rc == ERR_OK);
            snapshot_release(&b);
        }
        snapshot_release(&a);
    }
    store_close(s);
    return rc;
}
