/* ls, find, dump: what is in a snapshot. */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "cli/rows.h"
#include "cli/verbs.h"
#include "engine/look.h"
#include "source/vectors/vector_facts.h"

struct looking {
    struct cli *c;
    struct store *store;
    const struct snapshot *snap;
    const char *pattern; /* find; NULL: everything */
    bool name_only;      /* find: the pattern has no slash */
    bool prefix_id;      /* text: the snapshot's id before each path */
    uint64_t count;
};

static const char *entry_type_text(enum entry_type t)
{
    static const char *const names[] = {"",     "file",  "directory", "symlink",  "fifo",  "socket",
                                        "char", "block", "sqlite",    "hardlink", "absent"};
    return t >= ENTRY_FILE && t <= ENTRY_ABSENT ? names[t] : "unknown";
}

static char type_letter(enum entry_type t)
{
    static const char letters[] = "?-dlpscb-hA";
    return t >= ENTRY_FILE && t <= ENTRY_ABSENT ? letters[t] : '?';
}

static json_t *entry_doc(const struct looking *l, const struct look_entry *e)
{
    const struct entry *x = e->entry;
    json_t *doc = json_doc();
    json_put_id(doc, "snapshot_id", &l->snap->id);
    json_put_str(doc, "path", e->abs_path);
    json_put_str(doc, "source", e->item->source);
    json_put_str(doc, "type", entry_type_text(x->type));
    json_put_u64(doc, "size", e->size);
    char mode[8];
    snprintf(mode, sizeof mode, "%04o", (unsigned)x->mode);
    json_put_str(doc, "mode", mode);
    json_put_u64(doc, "uid", x->uid);
    json_put_u64(doc, "gid", x->gid);
    json_put_bytes(doc, "user", x->user ? x->user : "", x->user_len);
    json_put_bytes(doc, "group", x->group ? x->group : "", x->group_len);
    json_put_time(doc, "mtime", x->mtime);
    if (x->link_target)
        json_put_bytes(doc, "link_target", x->link_target, x->link_target_len);
    json_put_str(doc, "consistency", state_text(e->end ? e->end->state : STATE_EXACT));
    if (e->end && e->end->reason)
        json_put_bytes(doc, "reason", e->end->reason, e->end->reason_len);
    struct fact_list facts;
    if (e->end && e->end->facts && fact_list_get(e->end->facts, e->end->facts_len, &facts, NULL) == ERR_OK) {
        json_put_facts(doc, "facts", &facts);
        fact_list_release(&facts);
    }
    return doc;
}

/* What is known of its vectors: with -l all, else only what is wrong. */
static void print_vectors(struct ui *ui, const struct look_entry *e, bool all)
{
    char text[VECTOR_FACTS_TEXT_BYTES];
    struct fact_list facts;
    if (!e->end || !e->end->facts || fact_list_get(e->end->facts, e->end->facts_len, &facts, NULL) != ERR_OK)
        return;
    const struct fact *ok = fact_find(&facts, "vectors.ok");
    bool wrong = (ok && !ok->integer) || fact_find(&facts, "vectors.expected_dimension");
    if ((all || wrong) && *vector_facts_text(&facts, text, sizeof text)) {
        ui_out(ui, "  [");
        ui_name(ui, text, strlen(text));
        ui_out(ui, "]");
    }
    fact_list_release(&facts);
}

static void print_long(struct ui *ui, const struct look_entry *e)
{
    const struct entry *x = e->entry;
    char mode[11], time[TIME_TEXT_BYTES];
    static const char bits[] = "rwxrwxrwx";
    mode[0] = type_letter(x->type);
    for (int i = 0; i < 9; i++)
        mode[i + 1] = x->mode & (0400U >> i) ? bits[i] : '-';
    mode[10] = '\0';
    if (x->mode & 04000)
        mode[3] = x->mode & 0100 ? 's' : 'S';
    if (x->mode & 02000)
        mode[6] = x->mode & 0010 ? 's' : 'S';
    if (x->mode & 01000)
        mode[9] = x->mode & 0001 ? 't' : 'T';
    ui_out(ui, "%s %6u %6u %12" PRIu64 " %s ", mode, x->uid, x->gid, e->size, time_format(time, x->mtime));
}

static void print_entry(struct looking *l, const struct look_entry *e)
{
    struct ui *ui = &l->c->ui;
    char id[ID_HEX_BYTES];
    if (ui->json) {
        ui_out(ui, "%s", l->count == 0 ? "[\n" : ",\n");
        ui_element(ui, entry_doc(l, e));
        return;
    }
    if (l->prefix_id)
        ui_out(ui, "%s ", id_short(id, &l->snap->id));
    if (opt_given(&l->c->args, OPT_LONG))
        print_long(ui, e);
    ui_name(ui, e->abs_path, strlen(e->abs_path));
    if (opt_given(&l->c->args, OPT_LONG) && e->entry->link_target) {
        ui_out(ui, " -> ");
        ui_name(ui, e->entry->link_target, e->entry->link_target_len);
    }
    if (e->end && e->end->state != STATE_EXACT)
        ui_out(ui, "  [%s]", state_text(e->end->state));
    print_vectors(ui, e, opt_given(&l->c->args, OPT_LONG));
    ui_out(ui, "\n");
}

static enum errc on_entry(void *arg, const struct look_entry *e, struct err *err)
{
    struct looking *l = arg;
    if (l->pattern) {
        bool hit =
            l->name_only ? fnmatch(l->pattern, path_base(e->abs_path), 0) == 0 : path_matches(l->pattern, e->abs_path);
        if (!hit)
            return diag_interrupted(&l->c->diag) ? err_fail(err, ERR_INTERRUPTED, "interrupted") : ERR_OK;
    }
    print_entry(l, e);
    l->count++;
    if (diag_interrupted(&l->c->diag))
        return err_fail(err, ERR_INTERRUPTED, "interrupted");
    return ui_check(&l->c->ui, err);
}

/* JSON listings are written element by element: a snapshot may hold millions of entries. */
static void end_array(struct cli *c, uint64_t count, enum errc rc)
{
    if (c->ui.json && (count > 0 || rc == ERR_OK))
        ui_out(&c->ui, "%s]\n", count ? "\n" : "[");
}

enum errc cmd_ls(struct cli *c, struct err *err)
{
    struct store *s = NULL;
    struct snapshot snap = {0};
    char *path = NULL;
    enum errc rc = cli_check_path_spec(c->args.args[0], false, err);
    if (rc == ERR_OK)
        rc = cli_open(c, ACCESS_READ, &s, err);
    if (rc == ERR_OK)
        rc = cli_snapshot_path(s, c->args.args[0], false, &snap, &path, err);
    if (rc == ERR_OK) {
        struct looking l = {.c = c, .store = s, .snap = &snap};
        rc = look_ls(s, &snap, path, on_entry, &l, err);
        end_array(c, l.count, rc);
        snapshot_release(&snap);
    }
    free(path);
    store_close(s);
    return rc;
}

static enum errc find_in(struct looking *l, const struct snapshot *snap, struct err *err)
{
    l->snap = snap;
    return look_ls(l->store, snap, NULL, on_entry, l, err);
}

/* The catalog is not read while entries are: only ids are kept from it. */
struct ids {
    struct snapshot_id *items;
    size_t count, cap;
};

static enum errc keep_id(void *arg, struct snapshot_row *row, struct err *err)
{
    struct ids *ids = arg;
    enum errc rc = mem_grow(&ids->items, &ids->cap, ids->count + 1, sizeof *ids->items, err);
    if (rc == ERR_OK)
        ids->items[ids->count++] = row->snap.id;
    return rc;
}

static enum errc find_everywhere(struct looking *l, struct err *err)
{
    struct ids ids = {0};
    struct snapshot_filter filter = {.set = opt_last(&l->c->args, OPT_SET)};
    enum errc rc = catalog_snapshots(store_catalog(l->store), &filter, keep_id, &ids, err);
    for (size_t i = 0; rc == ERR_OK && i < ids.count; i++) {
        struct snapshot_row row = {0};
        rc = cli_row(l->store, &ids.items[i], &row, err);
        if (rc == ERR_OK)
            rc = find_in(l, &row.snap, err);
        snapshot_row_release(&row);
    }
    free(ids.items);
    return rc;
}

static enum errc find_in_named(struct looking *l, struct err *err)
{
    const struct parsed *p = &l->c->args;
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < p->counts[OPT_SNAPSHOT]; i++) {
        struct snapshot snap;
        rc = cli_snapshot(l->store, p->values[OPT_SNAPSHOT][i], &snap, err);
        if (rc != ERR_OK)
            break;
        rc = find_in(l, &snap, err);
        snapshot_release(&snap);
    }
    return rc;
}

enum errc cmd_find(struct cli *c, struct err *err)
{
    struct store *s = NULL;
    const char *pattern = c->args.args[0];
    if (!pattern[0])
        return err_fail(err, ERR_USAGE, "the pattern is empty");
    enum errc rc = cli_open(c, ACCESS_READ, &s, err);
    if (rc != ERR_OK)
        return rc;
    struct looking l = {.c = c, .store = s, .pattern = pattern, .name_only = !strchr(pattern, '/'), .prefix_id = true};
    rc = opt_given(&c->args, OPT_SNAPSHOT) ? find_in_named(&l, err) : find_everywhere(&l, err);
    end_array(c, l.count, rc);
    if (rc == ERR_OK && l.count == 0)
        ui_info(&c->ui, "Nothing matches.");
    store_close(s);
    return rc;
}

enum errc cmd_dump(struct cli *c, struct err *err)
{
    struct store *s = NULL;
    struct snapshot snap = {0};
    char *path = NULL;
    enum errc rc = cli_check_path_spec(c->args.args[0], true, err);
    if (rc == ERR_OK)
        rc = cli_open(c, ACCESS_READ, &s, err);
    if (rc == ERR_OK)
        rc = cli_snapshot_path(s, c->args.args[0], true, &snap, &path, err);
    if (rc == ERR_OK) {
        rc = look_dump(s, &snap, path, STDOUT_FILENO, err);
        c->ui.summary_printed = rc != ERR_UNKNOWN_PATH; /* stdout holds the file: no error line behind it */
        snapshot_release(&snap);
    }
    free(path);
    store_close(s);
    return rc;
}
