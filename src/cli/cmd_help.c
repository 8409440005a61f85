#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/verbs.h"

enum errc cmd_version(struct cli *c, struct err *err)
{
    (void)err;
    if (c->ui.json) {
        json_t *doc = json_doc();
        json_put_str(doc, "name", "snap");
        json_put_str(doc, "version", SNAP_VERSION);
        json_put_u64(doc, "format", FORMAT_VERSION);
        ui_doc(&c->ui, doc);
    } else {
        ui_out(&c->ui, "snap %s\n", SNAP_VERSION);
    }
    return ERR_OK;
}

static void print_option(struct cli *c, enum opt_id id)
{
    const struct opt_def *d = opt_def(id);
    char left[80];
    int n = d->letter ? snprintf(left, sizeof left, "-%c, ", d->letter) : snprintf(left, sizeof left, "    ");
    snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s", d->name, d->metavar ? " " : "",
             d->metavar ? d->metavar : "");
    ui_out(&c->ui, "  %-36s  %s\n", left, d->help);
}

static void print_indented(struct cli *c, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        ui_out(&c->ui, "  %.*s\n", (int)len, text);
        text += len + (text[len] == '\n');
    }
}

static void help_verb(struct cli *c, const struct verb *v)
{
    ui_out(&c->ui, "usage: snap [global options] %s%s%s%s\n", v->name, v->opt_count ? " [options]" : "",
           v->synopsis[0] ? " " : "", v->synopsis);
    if (v->alias)
        ui_out(&c->ui, "       (also: snap %s)\n", v->alias);
    ui_out(&c->ui, "\n  %s\n\n", v->summary);
    if (v->text[0]) {
        print_indented(c, v->text);
        ui_out(&c->ui, "\n");
    }
    if (v->opt_count) {
        ui_out(&c->ui, "options:\n");
        for (size_t i = 0; i < v->opt_count; i++)
            print_option(c, v->opts[i]);
        ui_out(&c->ui, "\n");
    }
    if (v->examples[0]) {
        ui_out(&c->ui, "examples:\n");
        print_indented(c, v->examples);
        ui_out(&c->ui, "\n");
    }
    ui_out(&c->ui, "'snap help' lists the global options.\n");
}

static void help_all(struct cli *c)
{
    ui_out(&c->ui, "usage: snap [global options] COMMAND [options] [arguments]\n\ncommands:\n");
    const struct verb *v;
    for (size_t i = 0; (v = verb_at(i)) != NULL; i++)
        ui_out(&c->ui, "  %-12s  %s\n", v->name, v->summary);
    ui_out(&c->ui, "\nglobal options:\n");
    for (enum opt_id id = 0; id <= OPT_GLOBAL_LAST; id++)
        print_option(c, id);
    ui_out(&c->ui, "\nEnvironment: SNAP_REPOSITORY SNAP_CONFIG SNAP_KEY_FILE SNAP_PASSWORD_FILE SNAP_PASSWORD_COMMAND\n"
                   "SNAP_PASSWORD SNAP_CACHE_DIR SNAP_JSON. 'snap help COMMAND' tells more.\n");
}

enum errc cmd_help(struct cli *c, struct err *err)
{
    bool is_help = c->args.verb && !opt_given(&c->args, OPT_HELP); /* else it is --help after some command */
    const struct verb *v = is_help ? NULL : c->args.verb;
    if (is_help && c->args.arg_count > 0) {
        v = verb_find(c->args.args[0]);
        if (!v)
            return err_fail(err, ERR_USAGE, "there is no command '%s'", c->args.args[0]);
    }
    if (v)
        help_verb(c, v);
    else
        help_all(c);
    return ERR_OK;
}
