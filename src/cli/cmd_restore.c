#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "cli/cli.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "engine/restore.h"

enum restore_verb { VERB_RESTORE, VERB_RESUME, VERB_UNDO };

struct restoring {
    struct cli *c;
    enum restore_verb verb;
    bool asked, declined;
    struct strings paths; /* --include, made absolute */
    char *target;
};

/* The plan as lines: on stdout for a dry run, else on stderr. */
static void say_line(struct restoring *r, bool dry_run, const char *text)
{
    if (dry_run)
        ui_out(&r->c->ui, "%s\n", text);
    else
        ui_info(&r->c->ui, "%s", text);
}

static void show_item(struct restoring *r, const struct restore_item *it, bool dry_run)
{
    char path[600], size[32], line[1400], note[600];
    path_show(path, sizeof path, it->path ? it->path : "", it->path ? strlen(it->path) : 0);
    snprintf(line, sizeof line, "  %s (%s, %s, %" PRIu64 " %s): %s", path, item_type_text(it->type),
             size_format(size, it->bytes), it->entries, it->entries == 1 ? "entry" : "entries",
             restore_action_text(it->action));
    say_line(r, dry_run, line);
    if (it->note && it->note[0]) {
        snprintf(line, sizeof line, "    note: %s", path_show(note, sizeof note, it->note, strlen(it->note)));
        say_line(r, dry_run, line);
    }
}

static void show_plan(struct restoring *r, const struct restore_outcome *plan, bool dry_run)
{
    char id[ID_HEX_BYTES], need[32], room[32], line[1400], target[600];
    const char *what = r->verb == VERB_UNDO ? "Undo: put back snapshot" : "Restore snapshot";
    if (plan->from_aside)
        snprintf(line, sizeof line, "Undo: put back the originals that were set aside:");
    else if (plan->target)
        snprintf(line, sizeof line, "%s %s below %s:", what, id_short(id, &plan->snapshot),
                 path_show(target, sizeof target, plan->target, strlen(plan->target)));
    else
        snprintf(line, sizeof line, "%s %s in place:", what, id_short(id, &plan->snapshot));
    say_line(r, dry_run, line);
    for (size_t i = 0; i < plan->item_count; i++)
        show_item(r, &plan->items[i], dry_run);
    snprintf(line, sizeof line, "Space: %s needed, %s free.", size_format(need, plan->space_needed),
             size_format(room, plan->space_free));
    say_line(r, dry_run, line);
}

/* Called by the engine when the plan is made and nothing has changed yet. */
static bool confirm(void *arg, const struct restore_outcome *plan)
{
    struct restoring *r = arg;
    bool yes = opt_given(&r->c->args, OPT_YES);
    show_plan(r, plan, false);
    if (yes)
        return true;
    if (!ui_can_ask())
        return false;
    r->asked = true;
    bool go = ui_ask_yes(&r->c->ui, r->verb == VERB_UNDO
                                        ? "This replaces what stands there now (it is kept, so that it can be undone)."
                                        : "This replaces what stands there now (a forensic copy is kept first).");
    r->declined = !go;
    return go;
}

static void report_json(struct restoring *r, const struct restore_outcome *o, bool dry_run)
{
    json_t *doc = json_doc(), *items = json_list();
    char run[ID_HEX_BYTES];
    json_put_str(doc, "message_type", "summary");
    json_put_id(doc, "snapshot_id", &o->snapshot);
    json_put_str(doc, "run_id", dry_run ? NULL : run_hex(run, &o->run));
    json_put_str(doc, "target", o->target);
    json_put_id(doc, "forensic_id", o->has_forensic ? &o->forensic : NULL);
    json_put_u64(doc, "bytes", o->bytes);
    json_put_seconds(doc, "duration_s", o->duration_ms);
    json_put_bool(doc, "dry_run", dry_run);
    json_put_u64(doc, "space_needed", o->space_needed);
    json_put_u64(doc, "space_free", o->space_free);
    for (size_t i = 0; i < o->item_count; i++) {
        const struct restore_item *it = &o->items[i];
        json_t *item = json_doc();
        json_put_str(item, "source", it->source);
        json_put_str(item, "path", it->path);
        json_put_str(item, "type", item_type_text(it->type));
        json_put_str(item, "action", restore_action_text(it->action));
        json_put_u64(item, "entries", it->entries);
        json_put_u64(item, "bytes", it->bytes);
        json_put_str(item, "state", it->state);
        json_put_bool(item, "facts_match", it->facts_match);
        json_put_str(item, "note", it->note);
        json_add(items, item);
    }
    json_put(doc, "items", items);
    ui_summary(&r->c->ui, doc);
}

static void report_text(struct restoring *r, const struct restore_outcome *o)
{
    struct ui *ui = &r->c->ui;
    char id[ID_HEX_BYTES], run[ID_HEX_BYTES], size[32], time[32];
    if (ui->quiet)
        return;
    if (o->from_aside)
        ui_out(ui, "put back the originals that were set aside");
    else
        ui_out(ui, "%s snapshot %s", r->verb == VERB_UNDO ? "put back" : "restored", id_short(id, &o->snapshot));
    if (o->target) {
        ui_out(ui, " below ");
        ui_name(ui, o->target, strlen(o->target));
    }
    ui_out(ui, ": %zu %s, %s in %s\n", o->item_count, o->item_count == 1 ? "item" : "items",
           size_format(size, o->bytes), duration_format(time, (double)o->duration_ms / 1000.0));
    for (size_t i = 0; i < o->item_count; i++) {
        const struct restore_item *it = &o->items[i];
        ui_out(ui, "  ");
        ui_name(ui, it->path, strlen(it->path));
        ui_out(ui, ": %s%s\n", it->state ? it->state : "",
               it->done && !it->facts_match ? ", but its facts differ from the snapshot's" : "");
    }
    if (o->has_forensic)
        ui_out(ui, "What stood there before is kept as forensic snapshot %s; 'snap undo %s' puts it back.\n",
               id_short(id, &o->forensic), run_hex(run, &o->run));
    else if (!o->target)
        ui_out(ui, "This was run %s.\n", run_hex(run, &o->run));
}

static enum errc absolute_paths(struct restoring *r, struct restore_options *opt, struct err *err)
{
    const struct parsed *p = &r->c->args;
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < p->counts[OPT_INCLUDE]; i++) {
        const char *text = p->values[OPT_INCLUDE][i];
        char *path = NULL;
        if (text[0] != '/') {
            err_fail(err, ERR_USAGE, "--include takes the absolute path the file had, not '%s'", text);
            return ERR_USAGE;
        }
        rc = path_absolute(text, &path, err);
        if (rc == ERR_OK)
            rc = strings_add(&r->paths, path, strlen(path), err);
        free(path);
    }
    if (rc == ERR_OK && opt_given(p, OPT_TARGET)) {
        if (!opt_last(p, OPT_TARGET)[0])
            return err_fail(err, ERR_USAGE, "--target is empty");
        rc = path_absolute(opt_last(p, OPT_TARGET), &r->target, err);
    }
    opt->include = (const char *const *)r->paths.items;
    opt->include_count = r->paths.count;
    opt->target = r->target;
    return rc;
}

static enum errc read_options(struct restoring *r, struct restore_options *opt, struct err *err)
{
    const struct parsed *p = &r->c->args;
    *opt = (struct restore_options){.sources = p->values[OPT_SOURCE],
                                    .source_count = p->counts[OPT_SOURCE],
                                    .dry_run = opt_given(p, OPT_DRY_RUN),
                                    .force = opt_given(p, OPT_FORCE),
                                    .accept_dimension = opt_given(p, OPT_ACCEPT_DIMENSION),
                                    .diag = &r->c->diag};
    size_t word = 0;
    enum errc rc = opt_word(p, OPT_FORENSIC, 0, &word, err);
    opt->forensic = (enum forensic_mode)word; /* the words stand in the order of the enum */
    if (rc == ERR_OK)
        rc = absolute_paths(r, opt, err);
    if (rc != ERR_OK)
        return rc;
    if (r->verb == VERB_RESTORE && p->arg_count == 0) {
        rc = err_fail(err, ERR_USAGE, "'restore' needs the snapshot to bring back");
        err_hint(err, "Usage: snap restore [options] ID; 'snap list' shows the ids.");
        return rc;
    }
    if (r->verb == VERB_RESTORE)
        opt->snapshot = p->args[0];
    if (r->verb == VERB_RESUME && (opt->target || opt->source_count || opt->include_count))
        return err_fail(err, ERR_USAGE,
                        "--resume goes on with the plan that was begun; --target, --source and --include do "
                        "not go with it");
    if (r->verb != VERB_RESUME && !opt->target && !opt->dry_run) {
        opt->confirm = confirm;
        opt->confirm_arg = r;
    }
    return ERR_OK;
}

/* Said before any work is done where it is known from the start. */
static enum errc check_can_ask(const struct restoring *r, const struct restore_options *opt, struct err *err)
{
    if (!opt->confirm || opt_given(&r->c->args, OPT_YES) || ui_can_ask())
        return ERR_OK;
    return err_fail(err, ERR_NEEDS_YES, "%s replaces data in place and there is no terminal to ask on",
                    r->verb == VERB_UNDO ? "'snap undo'" : "'snap restore'");
}

/* A wrong id is no question of --yes. */
static enum errc check_snapshot(const struct restoring *r, struct store *s, const struct restore_options *opt,
                                struct err *err)
{
    struct snapshot snap;
    enum errc rc = cli_snapshot(s, opt->snapshot, &snap, err);
    if (rc != ERR_OK)
        return rc;
    snapshot_release(&snap);
    return check_can_ask(r, opt, err);
}

static enum errc run(struct restoring *r, const struct restore_options *opt, struct restore_outcome *out,
                     struct err *err)
{
    const struct parsed *p = &r->c->args;
    const char *named = p->arg_count ? p->args[0] : NULL;
    struct store *s = NULL;
    enum cli_access access = opt->dry_run ? ACCESS_READ : opt->target ? ACCESS_WRITE_IF_CAN : ACCESS_WRITE;
    enum errc rc = cli_open(r->c, access, &s, err);
    if (rc != ERR_OK)
        return rc;
    if (r->verb == VERB_RESTORE)
        rc = check_snapshot(r, s, opt, err);
    if (rc != ERR_OK) {
        store_close(s);
        return rc;
    }
    if (r->verb == VERB_RESTORE)
        rc = restore_run(s, opt, out, err);
    else if (r->verb == VERB_RESUME)
        rc = restore_resume(s, named, opt, out, err);
    else
        rc = restore_undo(s, named, opt, out, err);
    store_close(s);
    if (rc == ERR_NEEDS_YES && r->declined) {
        rc = err_fail(err, signals_interrupted() ? ERR_INTERRUPTED : ERR_NEEDS_YES,
                      "not confirmed; nothing was changed");
        err_hint(err, "Type the whole word 'yes' to confirm, or use --yes.");
    }
    return rc;
}

static enum errc perform(struct cli *c, enum restore_verb verb, struct err *err)
{
    struct restoring r = {.c = c, .verb = verb};
    struct restore_options opt;
    struct restore_outcome out = {0};
    enum errc rc = read_options(&r, &opt, err);
    if (rc == ERR_OK && verb != VERB_RESTORE)
        rc = check_can_ask(&r, &opt, err);
    if (rc == ERR_OK)
        rc = run(&r, &opt, &out, err);
    if (rc == ERR_OK && c->ui.json)
        report_json(&r, &out, opt.dry_run);
    else if (rc == ERR_OK && opt.dry_run)
        show_plan(&r, &out, true);
    else if (rc == ERR_OK)
        report_text(&r, &out);
    restore_outcome_release(&out);
    strings_release(&r.paths);
    free(r.target);
    return rc;
}

enum errc cmd_restore(struct cli *c, struct err *err)
{
    return perform(c, opt_given(&c->args, OPT_RESUME) ? VERB_RESUME : VERB_RESTORE, err);
}

enum errc cmd_undo(struct cli *c, struct err *err)
{
    return perform(c, VERB_UNDO, err);
}
