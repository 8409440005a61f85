#include "engine/verify_databases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "engine/chunk_map.h"
#include "source/sqlite/stored.h"

enum { SEEN_MAX = 1024, LISTED_MAX = 100 * 1000, PATHS_MAX = 64, ERRORS_MAX = 1000 };

struct seen {
    struct digest image;
    struct stored_verdict verdict;
};
struct databases {
    struct store *store;
    const struct verify_options *opt;
    struct verify_outcome *out;
    size_t out_cap;
    struct chunk_map *map;
    struct seen *seen; /* the last SEEN_MAX verdicts */
    size_t seen_count;
    struct snapshot_row row; /* the snapshot at hand */
    const struct item *item;
    bool out_of_time;
};

/* --- what is told ---------------------------------------------------------------------------------------------------
 */

static enum errc add_affected(struct store_verify_error *e, const struct snapshot_id *id, const char *path,
                              struct err *err)
{
    bool known = false;
    for (size_t i = 0; i < e->affects_count && !known; i++)
        known = memcmp(&e->affects[i], id, sizeof *id) == 0;
    if (!known) {
        struct snapshot_id *ids = reallocarray(e->affects, e->affects_count + 1, sizeof *ids);
        if (!ids)
            return err_fail(err, ERR_NO_MEMORY, "no memory for a list of snapshots");
        e->affects = ids;
        e->affects[e->affects_count++] = *id;
    }
    known = !path || e->path_count == PATHS_MAX;
    for (size_t i = 0; i < e->path_count && !known; i++)
        known = strcmp(e->paths[i], path) == 0;
    if (known)
        return ERR_OK;
    if (!e->paths && mem_alloc(&e->paths, PATHS_MAX * sizeof *e->paths, err) != ERR_OK)
        return ERR_NO_MEMORY;
    enum errc rc = mem_strdup(&e->paths[e->path_count], path, err);
    if (rc == ERR_OK)
        e->path_count++;
    return rc;
}

enum errc verify_outcome_add(struct verify_outcome *out, const char *kind, const char *object,
                             const struct snapshot_id *id, const char *path, const char *message, struct err *err)
{
    struct store_verify_result *r = &out->store;
    struct store_verify_error made = {0}, *errors;
    snprintf(made.kind, sizeof made.kind, "%s", kind);
    path_show(made.object, sizeof made.object, object, strlen(object));
    snprintf(made.message, sizeof made.message, "%.*s", (int)sizeof made.message - 1, message);
    for (size_t i = 0; i < r->error_count; i++) {
        struct store_verify_error *e = &r->errors[i];
        if (strcmp(e->kind, made.kind) == 0 && strcmp(e->object, made.object) == 0 &&
            strcmp(e->message, made.message) == 0)
            return add_affected(e, id, path, err);
    }
    if (r->error_count >= ERRORS_MAX)
        return ERR_OK;
    errors = reallocarray(r->errors, r->error_count + 1, sizeof *errors);
    if (!errors)
        return err_fail(err, ERR_NO_MEMORY, "no memory for a list of errors");
    r->errors = errors;
    errors[r->error_count++] = made;
    return add_affected(&errors[r->error_count - 1], id, path, err);
}

static enum errc add_database(struct databases *d, const char *abs_path, const struct stored_verdict *v,
                              struct err *err)
{
    struct verify_outcome *out = d->out;
    bool dull = v->sound && v->checkable && v->foreign_key_violations == 0 && !v->detail[0];
    if (dull && out->database_count >= LISTED_MAX)
        return ERR_OK;
    enum errc rc = mem_grow(&out->databases, &d->out_cap, out->database_count + 1, sizeof *out->databases, err);
    if (rc != ERR_OK)
        return rc;
    struct verify_database *x = &out->databases[out->database_count++];
    *x = (struct verify_database){.snapshot = d->row.snap.id,
                                  .sound = v->sound,
                                  .checkable = v->checkable,
                                  .foreign_key_violations = v->foreign_key_violations};
    rc = mem_strdup(&x->source, d->item->source, err);
    if (rc == ERR_OK)
        rc = mem_strdup(&x->path, abs_path, err);
    return rc == ERR_OK && v->detail[0] ? mem_strdup(&x->detail, v->detail, err) : rc;
}

static enum errc add_damaged(struct databases *d, const char *abs_path, const struct stored_verdict *v, struct err *err)
{
    struct buf where;
    buf_init(&where, SIZE_MAX / 4);
    enum errc rc = buf_append_fmt(&where, err, "%s:%s", d->item->source, abs_path);
    if (rc == ERR_OK)
        rc = verify_outcome_add(d->out, "damaged-database", abs_path, &d->row.snap.id, (const char *)where.data,
                                v->detail, err);
    buf_release(&where);
    return rc;
}

/* --- one database ---------------------------------------------------------------------------------------------------
 */

static enum errc read_image(void *arg, void *dst, size_t len, uint64_t offset, struct err *err)
{
    return chunk_map_read(arg, dst, len, offset, err);
}

static const struct stored_verdict *find_seen(const struct databases *d, const struct digest *image)
{
    size_t n = d->seen_count < SEEN_MAX ? d->seen_count : SEEN_MAX;
    for (size_t i = 0; i < n; i++)
        if (memcmp(&d->seen[i].image, image, sizeof *image) == 0)
            return &d->seen[i].verdict;
    return NULL;
}

static enum errc check_image(struct databases *d, struct stored_verdict *v, struct err *err)
{
    struct stored_image image = {.read = read_image, .arg = d->map, .size = chunk_map_size(d->map)};
    struct stored_check_options opt = {.self_exe = d->opt->self_exe,
                                       .diag = d->opt->diag,
                                       .deadline_ns = d->opt->store.deadline_ns,
                                       .phase = "checking databases"};
    enum errc rc = stored_check(&image, &opt, v, err);
    if (rc != ERR_OK || v->out_of_time)
        return rc;
    struct seen *s = &d->seen[d->seen_count++ % SEEN_MAX];
    s->image = *chunk_map_digest(d->map);
    s->verdict = *v;
    return ERR_OK;
}

static enum errc check_entry(struct databases *d, struct list_walk *w, const char *abs_path, struct err *err)
{
    struct stored_verdict v = {0};
    enum errc rc = chunk_map_load(d->map, w, err);
    if (rc != ERR_OK)
        return rc;
    const struct stored_verdict *known = find_seen(d, chunk_map_digest(d->map));
    if (w->end.state != STATE_EXACT) {
        v.sound = true; /* nothing is known; its bytes are the store's matter */
        snprintf(v.detail, sizeof v.detail, "it was stored as plain bytes: %.*s",
                 w->end.reason ? (int)(w->end.reason_len < 600 ? w->end.reason_len : 600) : 0,
                 w->end.reason ? w->end.reason : "");
    } else if (known) {
        v = *known;
    } else {
        rc = check_image(d, &v, err);
    }
    if (rc == ERR_OK && v.out_of_time) {
        d->out_of_time = true;
        return ERR_OK;
    }
    if (rc == ERR_OK)
        rc = add_database(d, abs_path, &v, err);
    if (rc == ERR_OK && !v.sound)
        rc = add_damaged(d, abs_path, &v, err);
    return rc != ERR_OK ? err_wrap(err, "%s", abs_path) : ERR_OK;
}

/* --- all of them ----------------------------------------------------------------------------------------------------
 */

static enum errc walk_list(struct databases *d, struct list_walk *w, bool *list_failed, struct err *err)
{
    while (!d->out_of_time) {
        bool more;
        char *abs_path;
        *list_failed = true;
        enum errc rc = list_walk_entry(w, &more, err);
        *list_failed = rc != ERR_OK;
        if (rc != ERR_OK || !more)
            return rc;
        if (diag_interrupted(d->opt->diag))
            return err_fail(err, ERR_INTERRUPTED, "interrupted; no record of this verification was kept");
        if (d->opt->store.deadline_ns != 0 && monotonic_ns() >= d->opt->store.deadline_ns)
            d->out_of_time = true;
        if (w->entry.type != ENTRY_SQLITE || d->out_of_time)
            continue;
        rc = entry_abs_path(d->item, &w->entry, &abs_path, err);
        if (rc != ERR_OK)
            return rc;
        rc = check_entry(d, w, abs_path, err);
        free(abs_path);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

/* A list that cannot be read is damage to tell of, not the end; the check of the store has said so, as a rule. */
static enum errc walk_item(struct databases *d, struct err *err)
{
    struct list_walk w;
    struct err why;
    bool list_failed = true;
    enum errc rc = list_walk_open(&w, d->store, &d->item->list, &why);
    if (rc == ERR_OK)
        rc = walk_list(d, &w, &list_failed, &why);
    list_walk_close(&w);
    if (rc == ERR_OK)
        return ERR_OK;
    if (rc == ERR_DAMAGED || rc == ERR_MISSING_OBJECT || (list_failed && rc == ERR_IO))
        return verify_outcome_add(d->out, "unreadable-list", d->item->path, &d->row.snap.id, d->item->path, why.message,
                                  err);
    *err = why;
    return rc;
}

static enum errc walk_snapshot(struct databases *d, const struct snapshot_id *id, struct err *err)
{
    bool found = false;
    enum errc rc = catalog_snapshot(store_catalog(d->store), id, &d->row, &found, err);
    for (size_t i = 0; rc == ERR_OK && found && !d->out_of_time && i < d->row.snap.item_count; i++) {
        d->item = &d->row.snap.items[i];
        rc = walk_item(d, err);
    }
    snapshot_row_release(&d->row);
    memset(&d->row, 0, sizeof d->row);
    return rc;
}

enum errc verify_databases(struct store *s, const struct verify_options *opt, const struct snapshot_id *ids,
                           size_t count, struct verify_outcome *out, bool *complete_out, struct err *err)
{
    struct databases d = {.store = s, .opt = opt, .out = out};
    enum errc rc = chunk_map_new(s, &d.map, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&d.seen, SEEN_MAX * sizeof *d.seen, err);
    for (size_t i = 0; rc == ERR_OK && !d.out_of_time && i < count; i++)
        rc = walk_snapshot(&d, &ids[i], err);
    *complete_out = !d.out_of_time;
    chunk_map_free(d.map);
    free(d.seen);
    return rc;
}
