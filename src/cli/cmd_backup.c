#include <inttypes.h>
#include <string.h>

#include "base/path.h"
#include "cli/cli.h"
#include "cli/sets.h"
#include "cli/verbs.h"

static const char *set_label(const struct backup_outcome *o, const struct set_spec *set)
{
    return o->snap.set ? o->snap.set : set->name ? set->name : "";
}

static json_t *item_doc(const struct item *it)
{
    json_t *doc = json_doc();
    json_put_str(doc, "source", it->source);
    json_put_str(doc, "path", it->path);
    json_put_str(doc, "type", item_type_text(it->type));
    json_put_u64(doc, "entries", it->entries);
    json_put_u64(doc, "bytes", it->bytes);
    json_put_str(doc, "consistency", state_text(it->state));
    json_put_bool(doc, "good", it->good);
    json_put_facts(doc, "facts", &it->facts);
    return doc;
}

static void report_json(struct cli *c, const struct backup_outcome *o, const struct set_spec *set, bool dry_run,
                        enum errc rc)
{
    const struct snapshot *s = &o->snap;
    json_t *doc = json_doc(), *items = json_list();
    json_put_str(doc, "message_type", "summary");
    json_put_id(doc, "snapshot_id", o->made ? &s->id : NULL);
    json_put_str(doc, "set", set_label(o, set));
    if (o->made)
        json_put_u64(doc, "sequence", o->sequence);
    else
        json_put_str(doc, "sequence", NULL);
    json_put_bool(doc, "dry_run", dry_run);
    json_put_str(doc, "state", s->partial || rc == ERR_PARTIAL ? "partial" : "good");
    json_put_seconds(doc, "duration_s", s->duration_ms);
    json_put_u64(doc, "bytes_read", s->bytes_read);
    json_put_u64(doc, "bytes_source", s->bytes_source);
    json_put_u64(doc, "bytes_added", s->bytes_added);
    json_put_u64(doc, "chunks_new", s->chunks_new);
    json_put_u64(doc, "chunks_delta", s->chunks_delta);
    json_put_u64(doc, "failed", o->failed_count);
    for (size_t i = 0; i < s->item_count; i++)
        json_add(items, item_doc(&s->items[i]));
    json_put(doc, "items", items);
    ui_summary(&c->ui, doc);
}

static enum errc report_items(struct cli *c, const struct snapshot *s, struct err *err)
{
    static const char *const titles[] = {"SOURCE", "TYPE", "STATE", "ENTRIES", "SIZE"};
    struct columns *t;
    enum errc rc = columns_new(titles, 5, &t, err);
    if (rc != ERR_OK)
        return rc;
    columns_align_right(t, 3);
    columns_align_right(t, 4);
    for (size_t i = 0; rc == ERR_OK && i < s->item_count; i++) {
        const struct item *it = &s->items[i];
        char entries[24], size[32], state[32];
        snprintf(entries, sizeof entries, "%" PRIu64, it->entries);
        snprintf(state, sizeof state, "%s%s", state_text(it->state),
                 it->good || it->state >= STATE_RAW ? "" : ", not good");
        const char *cells[] = {it->source, item_type_text(it->type), state, entries, size_format(size, it->bytes)};
        rc = columns_add(t, cells, err);
    }
    if (rc == ERR_OK)
        columns_print(t, &c->ui, "  ");
    columns_free(t);
    return rc;
}

static enum errc report_text(struct cli *c, const struct backup_outcome *o, const struct set_spec *set, bool dry_run,
                             struct err *err)
{
    if (c->ui.quiet)
        return ERR_OK;
    const struct snapshot *s = &o->snap;
    char id[ID_HEX_BYTES], read[32], size[32], added[32], time[32];
    const char *label = set_label(o, set);
    if (o->made)
        ui_out(&c->ui, "%s %s of set ", s->partial ? "PARTIAL snapshot" : "snapshot", id_short(id, &s->id));
    else
        ui_out(&c->ui, "%s", dry_run ? "dry run, nothing stored: set " : "nothing stored of set ");
    ui_name(&c->ui, label, strlen(label));
    ui_out(&c->ui, ": %s, %s read, %s added, %s\n", size_format(size, s->bytes_source),
           size_format(read, s->bytes_read), size_format(added, s->bytes_added),
           duration_format(time, (double)s->duration_ms / 1000.0));
    return s->item_count > 0 ? report_items(c, s, err) : ERR_OK;
}

/* One set. ERR_PARTIAL and ERR_NOTHING_STORED leave the rest to be done; *err says what happened. */
static enum errc take_set(struct cli *c, struct store *s, const struct plan_set *set, struct backup_options *opt,
                          struct err *err)
{
    struct backup_outcome out = {0};
    struct err shown;
    opt->set = &set->spec;
    enum errc rc = backup_run(s, opt, &out, err);
    enum errc report = ERR_OK;
    if (rc == ERR_OK || rc == ERR_PARTIAL) {
        if (c->ui.json)
            report_json(c, &out, &set->spec, opt->dry_run, rc);
        else
            report = report_text(c, &out, &set->spec, opt->dry_run, &shown);
    }
    backup_outcome_release(&out);
    if (report != ERR_OK)
        *err = shown;
    return report != ERR_OK ? report : rc;
}

/* The worst outcome wins: nothing stored, then partial. What is fatal has ended the loop already. */
static bool is_worse(enum errc rc, enum errc than)
{
    return rc != ERR_OK && (than == ERR_OK || (rc == ERR_NOTHING_STORED && than == ERR_PARTIAL));
}

static enum errc take_sets(struct cli *c, struct store *s, const struct backup_plan *plan, struct backup_options *opt,
                           struct err *err)
{
    enum errc worst = ERR_OK;
    for (size_t i = 0; i < plan->count; i++) {
        struct err one = {0};
        enum errc rc = take_set(c, s, &plan->sets[i], opt, &one);
        bool last = i + 1 == plan->count;
        if (rc != ERR_OK && rc != ERR_PARTIAL && rc != ERR_NOTHING_STORED) {
            c->ui.summary_printed = false; /* the error is the last line */
            *err = one;
            return rc;
        }
        if (rc == ERR_NOTHING_STORED) {
            c->ui.summary_printed = false;
            if (!last)
                ui_warning(&c->ui, err_name(rc), "%s", one.message);
        }
        if (is_worse(rc, worst)) {
            worst = rc;
            *err = one;
        }
    }
    return worst;
}

static enum errc read_options(struct cli *c, const struct backup_plan *plan, struct backup_options *opt,
                              struct err *err)
{
    const struct parsed *p = &c->args;
    *opt = (struct backup_options){.tags = p->values[OPT_TAG],
                                   .tag_count = p->counts[OPT_TAG],
                                   .hold = opt_last(p, OPT_HOLD),
                                   .force_read = opt_given(p, OPT_FORCE_READ),
                                   .dry_run = opt_given(p, OPT_DRY_RUN),
                                   .kind = SNAPSHOT_BACKUP,
                                   .diag = &c->diag};
    for (size_t i = 0; i < opt->tag_count; i++)
        if (!opt->tags[i][0])
            return err_fail(err, ERR_USAGE, "--tag is empty");
    if (opt->hold && plan->count > 1) {
        err_fail(err, ERR_USAGE, "--hold names one snapshot, but %zu sets would be taken", plan->count);
        err_hint(err, "Choose one of them with --set.");
        return ERR_USAGE;
    }
    const char *time = opt_last(p, OPT_TIME);
    opt->has_time = time != NULL;
    if (!time)
        return ERR_OK;
    enum errc rc = time_parse(time, &opt->time, err);
    if (rc != ERR_OK)
        err_wrap(err, "--time");
    return rc;
}

/* Said before the work, not after it. */
static enum errc check_hold(struct store *s, const char *name, struct err *err)
{
    struct snapshot_id id;
    bool found = false;
    enum errc rc = name ? catalog_hold(store_catalog(s), name, &id, &found, err) : ERR_OK;
    if (rc != ERR_OK || !found)
        return rc;
    char hex[ID_HEX_BYTES];
    return err_fail(err, ERR_NAME_TAKEN, "the hold '%s' is on snapshot %s", name, id_short(hex, &id));
}

enum errc cmd_backup(struct cli *c, struct err *err)
{
    struct backup_plan plan = {0};
    struct backup_options opt;
    struct store *s = NULL;
    enum errc rc = cli_load_config(c, err);
    if (rc == ERR_OK)
        rc = backup_plan_make(&c->config, &c->args, &plan, err);
    if (rc == ERR_OK)
        rc = read_options(c, &plan, &opt, err);
    if (rc == ERR_OK)
        rc = cli_open(c, opt.dry_run ? ACCESS_READ : ACCESS_WRITE, &s, err);
    if (rc == ERR_OK)
        rc = check_hold(s, opt.hold, err);
    if (rc == ERR_OK)
        rc = take_sets(c, s, &plan, &opt, err);
    store_close(s);
    backup_plan_release(&plan);
    return rc;
}
