/* verify and rebuild. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "cli/cli.h"
#include "cli/verbs.h"
#include "engine/verify.h"

/* "2/7": the second of seven parts. */
static enum errc parse_part(const char *text, struct store_verify_options *o, struct err *err)
{
    char first[16];
    size_t len = strcspn(text, "/"), n, t;
    enum errc rc = ERR_USAGE;
    if (len > 0 && len < sizeof first) {
        memcpy(first, text, len);
        first[len] = '\0';
        rc = opt_number("--read-data-subset", text + len + 1, 1000000, &t, err);
        if (rc == ERR_OK)
            rc = opt_number("--read-data-subset", first, t, &n, err);
    }
    if (rc != ERR_OK)
        return err_fail(err, ERR_USAGE, "--read-data-subset n/t takes n from 1 to t, not '%s'", text);
    o->subset_n = (uint32_t)n;
    o->subset_t = (uint32_t)t;
    return ERR_OK;
}

/* "10%": one of ten parts, another one every day, so that daily runs read all in ten days. */
static enum errc parse_percent(const char *text, struct store_verify_options *o, struct err *err)
{
    char *end;
    double percent = strtod(text, &end);
    if (strcmp(end, "%") != 0 || !(percent >= 0.0001 && percent <= 100.0))
        return err_fail(err, ERR_USAGE, "--read-data-subset takes a percentage up to 100%%, not '%s'", text);
    o->subset_t = (uint32_t)(100.0 / percent + 0.5);
    if (o->subset_t == 0)
        o->subset_t = 1;
    o->subset_n = (uint32_t)((uint64_t)(time_now().sec / 86400) % o->subset_t) + 1;
    return ERR_OK;
}

static enum errc read_options(struct cli *c, struct verify_options *o, struct err *err)
{
    const struct parsed *p = &c->args;
    const char *subset = opt_last(p, OPT_READ_DATA_SUBSET), *limit = opt_last(p, OPT_MAX_DURATION);
    *o = (struct verify_options){
        .ids = p->args, .id_count = p->arg_count, .databases = opt_given(p, OPT_DATABASES), .diag = &c->diag};
    o->store.diag = &c->diag;
    o->store.read_data = opt_given(p, OPT_READ_DATA) || subset;
    enum errc rc = ERR_OK;
    if (subset && opt_given(p, OPT_READ_DATA))
        return err_fail(err, ERR_USAGE, "give --read-data or --read-data-subset, not both");
    if (subset && strchr(subset, '/'))
        rc = parse_part(subset, &o->store, err);
    else if (subset && strchr(subset, '%'))
        rc = parse_percent(subset, &o->store, err);
    else if (subset && (rc = size_parse(subset, &o->store.subset_bytes, err)) != ERR_OK)
        err_wrap(err, "--read-data-subset");
    else if (subset && o->store.subset_bytes == 0)
        rc = err_fail(err, ERR_USAGE, "--read-data-subset is 0");
    if (rc == ERR_OK && limit) {
        uint64_t seconds;
        rc = duration_parse(limit, &seconds, err);
        if (rc != ERR_OK)
            err_wrap(err, "--max-duration");
        else if (seconds == 0)
            rc = err_fail(err, ERR_USAGE, "--max-duration is 0");
        else if (seconds < UINT32_MAX)
            o->store.deadline_ns = monotonic_ns() + seconds * 1000000000u;
    }
    return rc;
}

static json_t *error_doc(const struct store_verify_error *e)
{
    json_t *doc = json_doc(), *affects = json_list();
    char hex[ID_HEX_BYTES];
    json_put_str(doc, "kind", e->kind);
    json_put_str(doc, "object", e->object);
    for (size_t i = 0; i < e->affects_count; i++)
        json_add(affects, json_string(id_hex(hex, &e->affects[i])));
    json_put(doc, "affects", affects);
    json_put_strs(doc, "paths", e->paths, e->path_count);
    json_put_str(doc, "message", e->message);
    return doc;
}

static json_t *database_doc(const struct verify_database *d)
{
    json_t *doc = json_doc();
    json_put_str(doc, "source", d->source);
    json_put_str(doc, "path", d->path);
    json_put_id(doc, "snapshot_id", &d->snapshot);
    json_put_bool(doc, "sound", d->sound);
    json_put_bool(doc, "checkable", d->checkable);
    json_put_u64(doc, "foreign_key_violations", d->foreign_key_violations);
    json_put_str(doc, "detail", d->detail);
    return doc;
}

static void report_json(struct cli *c, const struct verify_outcome *o)
{
    json_t *doc = json_doc(), *errors = json_list(), *databases = json_list();
    json_put_str(doc, "message_type", "summary");
    json_put_u64(doc, "snapshots", o->store.snapshots);
    json_put_u64(doc, "packs", o->store.packs);
    json_put_u64(doc, "records", o->store.records);
    json_put_u64(doc, "bytes_read", o->store.bytes_read);
    json_put_u64(doc, "unreferenced_packs", o->store.unreferenced_packs);
    json_put_seconds(doc, "duration_s", o->duration_ms);
    json_put_bool(doc, "complete", o->store.complete);
    json_put_bool(doc, "recorded", o->recorded);
    for (size_t i = 0; i < o->store.error_count; i++)
        json_add(errors, error_doc(&o->store.errors[i]));
    json_put(doc, "errors", errors);
    for (size_t i = 0; i < o->database_count; i++)
        json_add(databases, database_doc(&o->databases[i]));
    json_put(doc, "databases", databases);
    json_put_u64(doc, "healed", 0);
    ui_summary(&c->ui, doc);
}

static void report_error(struct ui *ui, const struct store_verify_error *e)
{
    char hex[ID_HEX_BYTES];
    ui_out(ui, "DAMAGE  %s  ", e->kind);
    ui_name(ui, e->object, strlen(e->object));
    ui_out(ui, "\n        ");
    ui_name(ui, e->message, strlen(e->message));
    ui_out(ui, "\n        affects %zu %s:", e->affects_count, e->affects_count == 1 ? "snapshot" : "snapshots");
    for (size_t i = 0; i < e->affects_count; i++)
        ui_out(ui, " %s", id_short(hex, &e->affects[i]));
    ui_out(ui, "\n");
    for (size_t i = 0; i < e->path_count; i++) {
        ui_out(ui, "        - ");
        ui_name(ui, e->paths[i], strlen(e->paths[i]));
        ui_out(ui, "\n");
    }
}

static void report_database(struct ui *ui, const struct verify_database *d)
{
    char hex[ID_HEX_BYTES];
    if (d->sound && !ui->verbose && d->foreign_key_violations == 0)
        return;
    ui_out(ui, "%s  %s ",
           !d->checkable ? "not checkable"
           : d->sound    ? "sound"
                         : "DAMAGED DATABASE",
           id_short(hex, &d->snapshot));
    ui_name(ui, d->path, strlen(d->path));
    if (d->foreign_key_violations)
        ui_out(ui, ", %" PRIu64 " foreign key violations", d->foreign_key_violations);
    if (d->detail && d->detail[0]) {
        ui_out(ui, ": ");
        ui_name(ui, d->detail, strlen(d->detail));
    }
    ui_out(ui, "\n");
}

static void report_text(struct cli *c, const struct verify_outcome *o, const struct verify_options *opt)
{
    struct ui *ui = &c->ui;
    char read[32], time[32];
    for (size_t i = 0; i < o->store.error_count; i++)
        report_error(ui, &o->store.errors[i]);
    for (size_t i = 0; i < o->database_count; i++)
        report_database(ui, &o->databases[i]);
    if (!o->store.complete)
        ui_info(ui, "Stopped at the limit that was given: not everything was read.");
    if (ui->quiet)
        return;
    ui_out(ui, "verified %" PRIu64 " snapshots in %" PRIu64 " packs, %s read", o->store.snapshots, o->store.packs,
           size_format(read, o->store.bytes_read));
    if (opt->databases)
        ui_out(ui, ", %zu databases opened", o->database_count);
    if (o->store.error_count)
        ui_out(ui, ", in %s: DAMAGE in %zu %s\n", duration_format(time, (double)o->duration_ms / 1000.0),
               o->store.error_count, o->store.error_count == 1 ? "place" : "places");
    else
        ui_out(ui, ", in %s: no damage found\n", duration_format(time, (double)o->duration_ms / 1000.0));
    if (o->store.unreferenced_packs)
        ui_verbose(ui, "%" PRIu64 " packs belong to no snapshot: left by a run that was cut off, no harm.",
                   o->store.unreferenced_packs);
}

enum errc cmd_verify(struct cli *c, struct err *err)
{
    struct verify_options opt;
    struct verify_outcome out = {0};
    struct store *s = NULL;
    enum errc rc = read_options(c, &opt, err);
    if (rc == ERR_OK)
        rc = cli_open(c, ACCESS_WRITE_IF_CAN, &s, err);
    if (rc != ERR_OK)
        return rc;
    rc = verify_run(s, &opt, &out, err);
    for (size_t i = 0; i < opt.id_count; i++)
        rc = cli_explain_latest(s, opt.ids[i], rc, err);
    if (rc == ERR_OK || (rc == ERR_DAMAGED && out.store.error_count > 0)) {
        if (c->ui.json)
            report_json(c, &out);
        else
            report_text(c, &out, &opt);
    }
    verify_outcome_release(&out);
    store_close(s);
    return rc;
}

enum errc cmd_rebuild(struct cli *c, struct err *err)
{
    struct store *s = NULL;
    uint64_t begun = monotonic_ns();
    enum errc rc = cli_open(c, ACCESS_READ, &s, err);
    if (rc == ERR_OK)
        rc = store_rebuild(s, &c->diag, err);
    uint64_t ms = (monotonic_ns() - begun) / 1000000;
    if (rc == ERR_OK && c->ui.json) {
        json_t *doc = json_doc();
        json_put_str(doc, "message_type", "summary");
        json_put_u64(doc, "log_records", store_head(s));
        json_put_seconds(doc, "duration_s", ms);
        ui_summary(&c->ui, doc);
    } else if (rc == ERR_OK && !c->ui.quiet) {
        char time[32];
        ui_out(&c->ui, "made the catalog anew from %" PRIu64 " log records in %s\n", store_head(s),
               duration_format(time, (double)ms / 1000.0));
    }
    store_close(s);
    return rc;
}
