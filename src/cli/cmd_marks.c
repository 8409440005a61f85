/* hold, release, forget, undelete: small changes of state. */
#include <stdio.h>
#include <string.h>

#include "cli/rows.h"
#include "cli/verbs.h"
#include "engine/marks.h"

enum errc cmd_hold(struct cli *c, struct err *err)
{
    const char *name = c->args.args[0];
    struct store *s = NULL;
    struct snapshot_id id;
    char hex[ID_HEX_BYTES];
    enum errc rc = cli_open(c, ACCESS_WRITE, &s, err);
    if (rc == ERR_OK)
        rc = marks_hold(s, name, c->args.args[1], &id, err);
    store_close(s);
    if (rc != ERR_OK)
        return rc;
    if (c->ui.json) {
        json_t *doc = json_doc();
        json_put_str(doc, "message_type", "summary");
        json_put_str(doc, "hold", name);
        json_put_id(doc, "snapshot_id", &id);
        ui_summary(&c->ui, doc);
    } else if (!c->ui.quiet) {
        ui_out(&c->ui, "snapshot %s is held as ", id_short(hex, &id));
        ui_name(&c->ui, name, strlen(name));
        ui_out(&c->ui, "\n");
    }
    return ERR_OK;
}

enum errc cmd_release(struct cli *c, struct err *err)
{
    const char *name = c->args.args[0];
    struct store *s = NULL;
    enum errc rc = cli_open(c, ACCESS_WRITE, &s, err);
    if (rc == ERR_OK)
        rc = marks_release(s, name, err);
    store_close(s);
    if (rc != ERR_OK)
        return rc;
    if (c->ui.json) {
        json_t *doc = json_doc();
        json_put_str(doc, "message_type", "summary");
        json_put_str(doc, "released", name);
        ui_summary(&c->ui, doc);
    } else if (!c->ui.quiet) {
        ui_out(&c->ui, "the hold ");
        ui_name(&c->ui, name, strlen(name));
        ui_out(&c->ui, " is released\n");
    }
    return ERR_OK;
}

/* The ids that the names stand for, to be told afterwards: "latest" may mean another one by then. */
static enum errc collect_ids(struct store *s, const struct parsed *p, json_t *ids, struct err *err)
{
    for (size_t i = 0; i < p->arg_count; i++) {
        struct snapshot snap;
        char hex[ID_HEX_BYTES];
        enum errc rc = cli_snapshot(s, p->args[i], &snap, err);
        if (rc != ERR_OK)
            return rc;
        json_add(ids, json_string(id_hex(hex, &snap.id)));
        snapshot_release(&snap);
    }
    return ERR_OK;
}

typedef enum errc marks_fn(struct store *s, const char *const *snapshots, size_t count, struct err *err);

static enum errc mark_all(struct cli *c, marks_fn *fn, const char *key, const char *text, struct err *err)
{
    struct store *s = NULL;
    json_t *ids = json_list();
    enum errc rc = cli_open(c, ACCESS_WRITE, &s, err);
    if (rc == ERR_OK)
        rc = collect_ids(s, &c->args, ids, err);
    if (rc == ERR_OK)
        rc = fn(s, c->args.args, c->args.arg_count, err);
    store_close(s);
    if (rc == ERR_OK && c->ui.json) {
        json_t *doc = json_doc();
        json_put_str(doc, "message_type", "summary");
        json_put(doc, key, json_incref(ids));
        ui_summary(&c->ui, doc);
    } else if (rc == ERR_OK && !c->ui.quiet) {
        for (size_t i = 0; i < json_array_size(ids); i++)
            ui_out(&c->ui, "%.8s %s\n", json_string_value(json_array_get(ids, i)), text);
    }
    json_decref(ids);
    return rc;
}

enum errc cmd_forget(struct cli *c, struct err *err)
{
    return mark_all(c, marks_forget, "forgotten", "is in the trash; 'snap undelete' takes it out again", err);
}

enum errc cmd_undelete(struct cli *c, struct err *err)
{
    return mark_all(c, marks_undelete, "undeleted", "is out of the trash", err);
}
