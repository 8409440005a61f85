#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "cli/secret.h"
#include "cli/verbs.h"

static const char *slot_text(enum slot_kind k)
{
    return k == SLOT_KEY_FILE     ? "key-file"
           : k == SLOT_PASSPHRASE ? "passphrase"
           : k == SLOT_RECOVERY   ? "recovery"
                                  : "clear";
}

static enum errc list(struct cli *c, struct store *s, struct err *err)
{
    static const char *const titles[] = {"ID", "KIND", "CREATED", "LABEL", ""};
    struct slot_info *slots = NULL;
    size_t count = 0;
    struct columns *t = NULL;
    enum errc rc = store_slots(s, &slots, &count, err);
    if (rc == ERR_OK)
        rc = columns_new(titles, 5, &t, err);
    json_t *all = json_list();
    for (size_t i = 0; rc == ERR_OK && i < count; i++) {
        const struct slot_info *slot = &slots[i];
        char time[TIME_TEXT_BYTES];
        const char *cells[] = {slot->id, slot_text(slot->kind), time_format(time, slot->created), slot->label,
                               slot->opened_this ? "opened this" : ""};
        rc = columns_add(t, cells, err);
        json_t *doc = json_doc();
        json_put_str(doc, "id", slot->id);
        json_put_str(doc, "kind", slot_text(slot->kind));
        json_put_str(doc, "label", slot->label);
        json_put_time(doc, "created", slot->created);
        json_put_bool(doc, "opened_this", slot->opened_this);
        json_add(all, doc);
    }
    if (rc == ERR_OK && c->ui.json)
        ui_doc(&c->ui, json_incref(all));
    else if (rc == ERR_OK)
        columns_print(t, &c->ui, "");
    json_decref(all);
    columns_free(t);
    free(slots);
    return rc;
}

static void report_added(struct cli *c, enum slot_kind kind, const char *id, const char *removed, const char *recovery)
{
    if (c->ui.json) {
        json_t *doc = json_doc();
        json_put_str(doc, "message_type", "summary");
        json_put_str(doc, "id", id);
        json_put_str(doc, "kind", slot_text(kind));
        json_put_str(doc, "removed", removed);
        json_put_str(doc, "recovery_key", recovery);
        ui_summary(&c->ui, doc);
        return;
    }
    ui_out(&c->ui, "added slot %s (%s)\n", id, slot_text(kind));
    if (removed)
        ui_out(&c->ui, "removed slot %s\n", removed);
    if (recovery)
        ui_out(&c->ui,
               "\nrecovery key: %s\n\nWrite it down now and keep it away from this machine: it is shown this once.\n"
               "Earlier recovery keys still open the repository; 'snap key remove' takes them away.\n",
               recovery);
}

static enum errc new_passphrase(struct cli *c, char **out, struct err *err)
{
    const char *file = opt_last(&c->args, OPT_NEW_PASSWORD_FILE);
    if (file)
        return secret_from_file(c, file, out, err);
    enum errc rc = secret_ask(c, "New passphrase", true, out, err);
    if (rc == ERR_NO_KEY && !ui_can_ask()) {
        err_fail(err, ERR_NO_KEY, "no new key is given, and there is no terminal to ask on");
        err_hint(err, "Give --new-key-file FILE or --new-password-file FILE.");
    }
    return rc;
}

static enum errc add(struct cli *c, struct store *s, struct err *err)
{
    const struct parsed *p = &c->args;
    const char *key_file = opt_last(p, OPT_NEW_KEY_FILE), *label = opt_last(p, OPT_LABEL);
    char *path = NULL, *phrase = NULL, recovery[RECOVERY_TEXT_BYTES] = "", id[17] = "";
    if (key_file && opt_given(p, OPT_NEW_PASSWORD_FILE))
        return err_fail(err, ERR_USAGE, "give --new-key-file or --new-password-file, not both");
    enum errc rc = key_file ? secret_check_key_file(key_file, err) : new_passphrase(c, &phrase, err);
    if (rc == ERR_OK && key_file)
        rc = path_absolute(key_file, &path, err);
    enum slot_kind kind = key_file ? SLOT_KEY_FILE : SLOT_PASSPHRASE;
    if (rc == ERR_OK)
        rc = store_slot_add(s, kind, label ? label : "", path, phrase, recovery, id, err);
    if (rc == ERR_OK)
        report_added(c, kind, id, NULL, NULL);
    secret_free(phrase);
    free(path);
    return rc;
}

static enum errc recovery(struct cli *c, struct store *s, struct err *err)
{
    const char *label = opt_last(&c->args, OPT_LABEL);
    char text[RECOVERY_TEXT_BYTES] = "", id[17] = "";
    enum errc rc = store_slot_add(s, SLOT_RECOVERY, label ? label : "recovery key", NULL, NULL, text, id, err);
    if (rc == ERR_OK)
        report_added(c, SLOT_RECOVERY, id, NULL, text);
    explicit_bzero(text, sizeof text);
    return rc;
}

/* The passphrase to replace: the one that opened the repository, or the only one there is. */
static enum errc find_passphrase(struct store *s, char id_out[17], struct err *err)
{
    struct slot_info *slots = NULL;
    size_t count = 0, found = 0;
    enum errc rc = store_slots(s, &slots, &count, err);
    for (size_t i = 0; rc == ERR_OK && i < count; i++) {
        if (slots[i].kind != SLOT_PASSPHRASE)
            continue;
        if (found == 0 || slots[i].opened_this)
            memcpy(id_out, slots[i].id, 17);
        found = slots[i].opened_this ? 1 : found + 1;
        if (slots[i].opened_this)
            break;
    }
    free(slots);
    if (rc != ERR_OK || found == 1)
        return rc;
    err_fail(err, ERR_KEY_SLOT,
             found ? "there are several passphrases, and none of them opened the repository"
                   : "the repository has no passphrase to replace");
    err_hint(err, found ? "Open it with the passphrase to be replaced, or use 'snap key add' and 'snap key remove'."
                        : "Use 'snap key add' to add one.");
    return ERR_KEY_SLOT;
}

static enum errc passwd(struct cli *c, struct store *s, struct err *err)
{
    char old[17] = "", id[17] = "", unused[RECOVERY_TEXT_BYTES] = "", *phrase = NULL;
    const char *label = opt_last(&c->args, OPT_LABEL);
    enum errc rc = find_passphrase(s, old, err);
    if (rc == ERR_OK)
        rc = new_passphrase(c, &phrase, err);
    if (rc == ERR_OK)
        rc = store_slot_add(s, SLOT_PASSPHRASE, label ? label : "", NULL, phrase, unused, id, err);
    if (rc == ERR_OK && (rc = store_slot_remove(s, old, err)) != ERR_OK)
        err_wrap(err, "the new passphrase is in slot %s, but the old slot %s is still there", id, old);
    if (rc == ERR_OK)
        report_added(c, SLOT_PASSPHRASE, id, old, NULL);
    secret_free(phrase);
    return rc;
}

static enum errc remove_slot(struct cli *c, struct store *s, struct err *err)
{
    const char *id = c->args.args[1];
    char shown[64], question[160];
    path_show(shown, sizeof shown, id, strlen(id));
    snprintf(question, sizeof question, "Key slot %s will be removed; what it was opened with opens nothing any more.",
             shown);
    if (!opt_given(&c->args, OPT_YES) && !ui_ask_yes(&c->ui, question))
        return err_fail(err, ERR_NEEDS_YES, "not confirmed; nothing was changed");
    enum errc rc = store_slot_remove(s, id, err);
    if (rc != ERR_OK)
        return rc;
    if (c->ui.json) {
        json_t *doc = json_doc();
        json_put_str(doc, "message_type", "summary");
        json_put_str(doc, "removed", id);
        ui_summary(&c->ui, doc);
    } else if (!c->ui.quiet) {
        ui_out(&c->ui, "removed slot %s\n", shown);
    }
    return ERR_OK;
}

struct key_verb {
    const char *name;
    bool write, takes_id;
    unsigned options; /* bits: 1 --new-key-file, 2 --new-password-file, 4 --label */
    enum errc (*run)(struct cli *c, struct store *s, struct err *err);
};
static const struct key_verb key_verbs[] = {
    {"list", false, false, 0, list},    {"add", true, false, 7, add},           {"remove", true, true, 0, remove_slot},
    {"passwd", true, false, 6, passwd}, {"recovery", true, false, 4, recovery},
};

static enum errc choose(struct cli *c, const struct key_verb **out, struct err *err)
{
    static const struct {
        enum opt_id id;
        unsigned bit;
    } limited[] = {{OPT_NEW_KEY_FILE, 1}, {OPT_NEW_PASSWORD_FILE, 2}, {OPT_LABEL, 4}};
    const struct parsed *p = &c->args;
    const struct key_verb *v = NULL;
    for (size_t i = 0; i < sizeof key_verbs / sizeof key_verbs[0]; i++)
        if (strcmp(key_verbs[i].name, p->args[0]) == 0)
            v = &key_verbs[i];
    if (!v)
        return err_fail(err, ERR_USAGE, "'key' does one of %s, not '%s'", p->verb->words, p->args[0]);
    for (size_t i = 0; i < 3; i++)
        if (opt_given(p, limited[i].id) && !(v->options & limited[i].bit))
            return err_fail(err, ERR_USAGE, "'key %s' has no option '--%s'", v->name, opt_def(limited[i].id)->name);
    if (v->takes_id != (p->arg_count == 2))
        return err_fail(err, ERR_USAGE,
                        v->takes_id ? "'key remove' needs the id of the slot" : "'key %s' takes no argument", v->name);
    if (v->run == remove_slot && !opt_given(p, OPT_YES) && !ui_can_ask())
        return err_fail(err, ERR_NEEDS_YES,
                        "'snap key remove' cannot be taken back and there is no terminal to ask on");
    *out = v;
    return ERR_OK;
}

enum errc cmd_key(struct cli *c, struct err *err)
{
    const struct key_verb *v = NULL;
    struct store *s = NULL;
    enum errc rc = choose(c, &v, err);
    if (rc == ERR_OK)
        rc = cli_open(c, v->write ? ACCESS_WRITE : ACCESS_READ, &s, err);
    if (rc == ERR_OK)
        rc = v->run(c, s, err);
    store_close(s);
    return rc;
}
