#include <stdio.h>
#include <string.h>

#include "base/path.h"
#include "cli/cli.h"
#include "cli/verbs.h"
#include "engine/inspect.h"

struct inspecting {
    struct cli *c;
    json_t *all;
    struct columns *table;
    size_t done, broken;
};

static json_t *result_doc(const char *path, const struct inspect_result *r)
{
    static const char *const vector_keys[] = {"dimension", "count", "dtype", "nan", "zero"};
    json_t *doc = json_doc();
    json_put_str(doc, "path", path);
    json_put_str(doc, "format", r->format);
    for (size_t i = 0; i < 5; i++) /* of vector formats; null for others */
        json_put_str(doc, vector_keys[i], NULL);
    json_put_bool(doc, "ok", r->ok);
    json_put_str(doc, "detail", r->detail);
    json_put_facts(doc, "facts", &r->facts);
    return doc;
}

static enum errc take(struct inspecting *x, const char *path, const struct inspect_result *r, struct err *err)
{
    x->done++;
    x->broken += !r->ok;
    if (x->c->ui.json) {
        json_add(x->all, result_doc(path, r));
        return ERR_OK;
    }
    const char *cells[] = {path, r->format, r->ok ? "sound" : "BROKEN", r->detail};
    return columns_add(x->table, cells, err);
}

static enum errc inspect_all(struct inspecting *x, struct err *err)
{
    const struct parsed *p = &x->c->args;
    struct err first = {0};
    for (size_t i = 0; i < p->arg_count; i++) {
        struct inspect_result r = {0};
        struct err one;
        enum errc rc = inspect_path(p->args[i], opt_given(p, OPT_QUICK), NULL, &r, &one);
        if (rc == ERR_OK) {
            rc = take(x, p->args[i], &r, err);
            inspect_release(&r);
            if (rc != ERR_OK)
                return rc;
            continue;
        }
        if (err_exit_status(rc) != 3) { /* not the file's fault: end here */
            *err = one;
            return rc;
        }
        if (p->arg_count > 1)
            ui_warning(&x->c->ui, err_name(rc), "%s", one.message);
        if (first.code == ERR_OK)
            first = one;
    }
    if (first.code != ERR_OK)
        *err = first;
    return first.code;
}

enum errc cmd_inspect(struct cli *c, struct err *err)
{
    static const char *const titles[] = {"PATH", "FORMAT", "STATE", "DETAIL"};
    struct inspecting x = {.c = c};
    enum errc rc = columns_new(titles, 4, &x.table, err);
    if (rc != ERR_OK)
        return rc;
    x.all = json_list();
    rc = inspect_all(&x, err);
    if (c->ui.json && x.done > 0)
        ui_doc(&c->ui, json_incref(x.all));
    else if (x.done > 0)
        columns_print(x.table, &c->ui, "");
    if (x.broken > 0 && (rc == ERR_OK || err_exit_status(rc) == 3)) {
        rc = err_fail(err, ERR_DAMAGED, "%zu of %zu files %s broken", x.broken, c->args.arg_count,
                      x.broken == 1 ? "is" : "are");
        err_hint(err,
                 "Restore it from a snapshot in which it was sound: 'snap list', 'snap restore ID --include PATH'.");
        c->ui.summary_printed = true; /* the array says it */
    }
    json_decref(x.all);
    columns_free(x.table);
    return rc;
}
