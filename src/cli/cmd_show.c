#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/rows.h"
#include "cli/verbs.h"
#include "engine/inspect.h"
#include "engine/look.h"

struct check { /* one verification of this snapshot */
    struct timestamp time;
    uint32_t level;
    bool ok;
    char *detail;
};
struct checks {
    struct check *items;
    size_t count, cap;
};

static void checks_release(struct checks *h)
{
    for (size_t i = 0; i < h->count; i++)
        free(h->items[i].detail);
    free(h->items);
}

static enum errc take_checks(struct checks *h, const struct log_body *body, const struct snapshot_id *id,
                             struct err *err)
{
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && body->head.kind == LOG_VERIFIED && i < body->verified_count; i++) {
        const struct verified *v = &body->verified[i];
        if (memcmp(v->id.b, id->b, sizeof id->b) != 0)
            continue;
        rc = mem_grow(&h->items, &h->cap, h->count + 1, sizeof *h->items, err);
        if (rc != ERR_OK)
            break;
        struct check *one = &h->items[h->count];
        *one = (struct check){.time = body->head.time, .level = v->level, .ok = v->ok};
        if (v->detail)
            rc = mem_strdup(&one->detail, v->detail, err);
        h->count++;
    }
    return rc;
}

/* The catalog knows the newest verification only; the log knows all, behind the snapshot's own record. */
static enum errc read_checks(struct cli *c, struct store *s, const struct snapshot_row *row, struct checks *h,
                             struct err *err)
{
    for (uint64_t n = row->sequence + 1; n <= store_head(s); n++) {
        struct log_body body;
        enum errc rc = diag_interrupted(&c->diag) ? err_fail(err, ERR_INTERRUPTED, "interrupted")
                                                  : store_log_read(s, n, &body, NULL, err);
        if (rc != ERR_OK)
            return rc;
        rc = take_checks(h, &body, &row->snap.id, err);
        log_body_release(&body);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

/* How many vectors of which dimension, over all entries; null when there are none. */
static json_t *vectors_doc(const struct inspect_summary *v)
{
    if (v->looked_at == 0)
        return json_null();
    json_t *doc = json_doc(), *dims = json_list();
    json_put_u64(doc, "files", (uint64_t)(v->vector_files + v->databases));
    json_put_u64(doc, "broken", (uint64_t)v->broken);
    json_put_u64(doc, "wrong_dimension", (uint64_t)v->unfit);
    for (size_t i = 0; i < v->dim_count; i++) {
        json_t *one = json_doc();
        json_put_u64(one, "dimension", (uint64_t)v->dims[i].dimension);
        json_put_u64(one, "count", (uint64_t)v->dims[i].count);
        json_put_u64(one, "files", (uint64_t)v->dim_files[i]);
        json_add(dims, one);
    }
    json_put(doc, "dimensions", dims);
    return doc;
}

static json_t *item_doc(const struct item *it, const struct inspect_summary *v)
{
    json_t *doc = json_doc();
    json_put_str(doc, "source", it->source);
    json_put_str(doc, "path", it->path);
    json_put_str(doc, "type", item_type_text(it->type));
    json_put_str(doc, "consistency", state_text(it->state));
    json_put_bool(doc, "good", it->good);
    json_put_u64(doc, "entries", it->entries);
    json_put_u64(doc, "bytes", it->bytes);
    json_put_facts(doc, "facts", &it->facts);
    json_put(doc, "vectors", vectors_doc(v));
    return doc;
}

static void show_json(struct cli *c, const struct snapshot_row *row, const struct inspect_summary *vectors,
                      const struct checks *h)
{
    const struct snapshot *s = &row->snap;
    json_t *doc = row_doc(row), *items = json_list(), *history = json_list();
    char run[ID_HEX_BYTES];
    json_put_seconds(doc, "duration_s", s->duration_ms);
    json_put_u64(doc, "bytes_read", s->bytes_read);
    json_put_u64(doc, "chunks_new", s->chunks_new);
    json_put_u64(doc, "chunks_delta", s->chunks_delta);
    json_put_u64(doc, "packs_added", s->pack_count);
    json_put_str(doc, "of_run", s->kind == SNAPSHOT_FORENSIC ? run_hex(run, &s->of_run) : NULL);
    for (size_t i = 0; i < s->item_count; i++)
        json_add(items, item_doc(&s->items[i], &vectors[i]));
    json_put(doc, "items", items);
    for (size_t i = 0; i < h->count; i++) {
        char level[40];
        json_t *one = json_doc();
        json_put_time(one, "time", h->items[i].time);
        json_put_str(one, "level", level_text(level, h->items[i].level));
        json_put_bool(one, "ok", h->items[i].ok);
        json_put_str(one, "detail", h->items[i].detail);
        json_add(history, one);
    }
    json_put(doc, "verifications", history);
    ui_doc(&c->ui, doc);
}

static void line(struct ui *ui, const char *label, const char *text)
{
    if (!text || !text[0])
        return;
    ui_out(ui, "%-10s", label);
    ui_name(ui, text, strlen(text));
    ui_out(ui, "\n");
}

static void show_fact(struct ui *ui, const struct fact *f)
{
    ui_out(ui, "      ");
    ui_name(ui, f->key, f->key_len);
    ui_out(ui, " = ");
    switch (f->type) {
    case FACT_TEXT:
        ui_name(ui, f->text, f->text_len);
        break;
    case FACT_INT:
        ui_out(ui, "%" PRId64, f->integer);
        break;
    case FACT_REAL:
        ui_out(ui, "%g", f->real);
        break;
    case FACT_BOOL:
        ui_out(ui, "%s", f->integer ? "yes" : "no");
        break;
    }
    ui_out(ui, "\n");
}

static void show_vectors(struct ui *ui, const struct inspect_summary *v)
{
    char text[2048];
    if (v->looked_at == 0)
        return;
    ui_out(ui, "    vectors %s", *inspect_summary_text(v, text, sizeof text) ? text : "of no dimension that is told");
    if (v->broken > 0)
        ui_out(ui, "; %" PRId64 " BROKEN %s", v->broken, v->broken == 1 ? "file" : "files");
    if (v->unfit > 0)
        ui_out(ui, "; %" PRId64 " %s NOT of the configured dimension", v->unfit, v->unfit == 1 ? "file" : "files");
    ui_out(ui, "\n");
}

static void show_items(struct ui *ui, const struct snapshot *s, const struct inspect_summary *vectors)
{
    for (size_t i = 0; i < s->item_count; i++) {
        const struct item *it = &s->items[i];
        char size[32];
        ui_out(ui, "\n  source ");
        ui_name(ui, it->source, strlen(it->source));
        ui_out(ui, "\n    path ");
        ui_name(ui, it->path, strlen(it->path));
        ui_out(ui, "\n    %s, %" PRIu64 " %s, %s, %s%s\n", item_type_text(it->type), it->entries,
               it->entries == 1 ? "entry" : "entries", size_format(size, it->bytes), state_text(it->state),
               it->good ? "" : ", NOT GOOD");
        show_vectors(ui, &vectors[i]);
        for (size_t k = 0; k < it->facts.count; k++)
            show_fact(ui, &it->facts.facts[k]);
    }
}

static void show_head(struct ui *ui, const struct snapshot_row *row)
{
    const struct snapshot *s = &row->snap;
    char hex[ID_HEX_BYTES], time[TIME_TEXT_BYTES], size[32], read[32], added[32], took[32], names[1024];
    line(ui, "snapshot", id_hex(hex, &s->id));
    line(ui, "state", row_state(row));
    line(ui, "kind", kind_text(s->kind));
    if (s->kind == SNAPSHOT_FORENSIC)
        line(ui, "of run", run_hex(hex, &s->of_run));
    line(ui, "set", s->set);
    line(ui, "time", time_format(time, s->time));
    line(ui, "host", s->host);
    line(ui, "user", s->user);
    line(ui, "tags", names_text(names, sizeof names, s->tags, s->tag_count));
    line(ui, "holds", names_text(names, sizeof names, row->holds, row->hold_count));
    ui_out(ui, "%-10s%" PRIu64 "\n", "sequence", row->sequence);
    ui_out(ui, "%-10s%s, %s read, %s added, %" PRIu64 " new chunks (%" PRIu64 " as deltas)\n", "size",
           size_format(size, s->bytes_source), size_format(read, s->bytes_read), size_format(added, s->bytes_added),
           s->chunks_new, s->chunks_delta);
    line(ui, "took", duration_format(took, (double)s->duration_ms / 1000.0));
}

static void show_checks(struct ui *ui, const struct checks *h)
{
    ui_out(ui, "\n");
    if (h->count == 0)
        ui_out(ui, "never verified\n");
    for (size_t i = 0; i < h->count; i++) {
        char time[TIME_TEXT_BYTES], level[40];
        const struct check *one = &h->items[i];
        ui_out(ui, "verified  %s  %s: %s", time_format(time, one->time), level_text(level, one->level),
               one->ok ? "sound" : "DAMAGED");
        if (one->detail && one->detail[0]) {
            ui_out(ui, ", ");
            ui_name(ui, one->detail, strlen(one->detail));
        }
        ui_out(ui, "\n");
    }
}

/* A snapshot whose lists are damaged can still be shown. */
static enum errc sum_vectors(struct cli *c, struct store *s, const struct snapshot_row *row,
                             struct inspect_summary *out, struct err *err)
{
    struct err why;
    enum errc rc = look_vectors(s, &row->snap, out, &why);
    if (rc == ERR_OK)
        return ERR_OK;
    if (rc == ERR_DAMAGED || rc == ERR_MISSING_OBJECT || rc == ERR_IO) {
        ui_warning(&c->ui, err_name(rc), "%s", why.message);
        return ERR_OK;
    }
    if (err)
        *err = why;
    return rc;
}

enum errc cmd_show(struct cli *c, struct err *err)
{
    struct store *s = NULL;
    struct snapshot snap = {0};
    struct snapshot_row row = {0};
    struct checks checks = {0};
    struct inspect_summary *vectors = NULL;
    enum errc rc = cli_open(c, ACCESS_READ, &s, err);
    if (rc == ERR_OK)
        rc = cli_snapshot(s, c->args.args[0], &snap, err);
    if (rc == ERR_OK) {
        rc = cli_row(s, &snap.id, &row, err);
        snapshot_release(&snap);
    }
    if (rc == ERR_OK)
        rc = read_checks(c, s, &row, &checks, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&vectors, (row.snap.item_count + 1) * sizeof *vectors, err);
    if (rc == ERR_OK)
        rc = sum_vectors(c, s, &row, vectors, err);
    if (rc == ERR_OK && c->ui.json) {
        show_json(c, &row, vectors, &checks);
    } else if (rc == ERR_OK) {
        show_head(&c->ui, &row);
        show_items(&c->ui, &row.snap, vectors);
        show_checks(&c->ui, &checks);
    }
    free(vectors);
    checks_release(&checks);
    snapshot_row_release(&row);
    store_close(s);
    return rc;
}
