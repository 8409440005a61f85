#include "engine/parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/path.h"

enum { PLAN_VERSION = 1, PARTS_MAX = 65536 };

static void part_release(struct part *q)
{
    free(q->list_path);
    free(q->path);
    free(q->staging);
    free(q->aside);
    free(q->original);
    free(q->note);
    buf_release(&q->root_bytes);
    fact_list_release(&q->facts);
}

void parts_release(struct parts *p)
{
    for (size_t i = 0; i < p->count; i++)
        part_release(&p->parts[i]);
    free(p->parts);
    memset(p, 0, sizeof *p);
}

enum errc parts_add(struct parts *p, uint32_t item, const char *list_path, const char *path, struct err *err)
{
    enum errc rc = mem_grow(&p->parts, &p->cap, p->count + 1, sizeof *p->parts, err);
    if (rc != ERR_OK)
        return rc;
    struct part *q = &p->parts[p->count];
    memset(q, 0, sizeof *q);
    q->item = item;
    q->lock_fd = -1;
    buf_init(&q->root_bytes, LIST_RECORD_MAX_BYTES + 64);
    p->count++;
    rc = mem_strdup(&q->list_path, list_path, err);
    return rc == ERR_OK ? mem_strdup(&q->path, path, err) : rc;
}

/* --- reading the list --------------------------------------------------------------------------------------------- */

struct reading {
    struct part *part;
    const struct item *item;
    char *follow; /* the root is another name of this entry; owned */
    bool found, at_root, in_part, is_sqlite;
    uint64_t holes; /* in the entry at hand, so far */
};

static enum errc take_root(struct reading *r, const struct list_record *rec, struct err *err)
{
    struct part *p = r->part;
    struct list_record copy;
    bool more;
    enum errc rc = buf_append(&p->root_bytes, rec->raw.data, rec->raw.len, err);
    if (rc != ERR_OK)
        return rc;
    struct reader bytes = reader_of(p->root_bytes.data, p->root_bytes.len);
    rc = list_record_get(&bytes, &copy, &more, err);
    if (rc != ERR_OK)
        return rc;
    p->root = copy.u.entry;
    r->found = true;
    switch (p->root.type) {
    case ENTRY_DIR:
        p->kind = PART_DIR;
        return ERR_OK;
    case ENTRY_SQLITE:
        p->kind = PART_SQLITE;
        return ERR_OK;
    case ENTRY_ABSENT:
        p->kind = PART_ABSENT;
        return ERR_OK;
    case ENTRY_HARDLINK:
        return mem_dup(&r->follow, p->root.link_target, p->root.link_target_len, err);
    default:
        p->kind = r->item->type == ITEM_SQLITE ? PART_RAW : PART_FILE;
        return ERR_OK;
    }
}

static enum errc on_entry(struct reading *r, const struct list_record *rec, struct err *err)
{
    struct part *p = r->part;
    const struct entry *e = &rec->u.entry;
    size_t len = strlen(p->list_path);
    r->at_root = e->path_len == len && memcmp(e->path, p->list_path, len) == 0;
    bool below = len == 0 || (e->path_len > len && memcmp(e->path, p->list_path, len) == 0 && e->path[len] == '/');
    r->in_part = r->at_root || below;
    r->is_sqlite = e->type == ENTRY_SQLITE;
    r->holes = 0;
    if (!r->in_part)
        return ERR_OK;
    p->entries++;
    p->has_databases = p->has_databases || r->is_sqlite;
    return r->at_root ? take_root(r, rec, err) : ERR_OK;
}

static enum errc on_end(struct reading *r, const struct entry_end *end, struct err *err)
{
    struct part *p = r->part;
    if (!r->in_part)
        return ERR_OK;
    p->bytes += end->size - (r->holes < end->size ? r->holes : end->size); /* holes take no room */
    if (r->at_root && p->kind == PART_SQLITE && (end->state != STATE_EXACT || end->size == 0))
        p->kind = PART_RAW; /* its files as they were: SQLite could not read it, or there is nothing to write */
    if (!r->at_root || p->kind != PART_SQLITE || !end->facts)
        return ERR_OK;
    enum errc rc = fact_list_get(end->facts, end->facts_len, &p->facts, err);
    const struct fact *size = rc == ERR_OK ? fact_find(&p->facts, "page_size") : NULL;
    if (size && size->integer > 0 && size->integer <= 65536)
        p->page_size = (uint32_t)size->integer;
    return rc;
}

static enum errc read_list(struct store *s, const struct snapshot *snap, struct reading *r, struct err *err)
{
    struct list_reader *list = NULL;
    bool more = true;
    enum errc rc = list_reader_open(s, &snap->items[r->part->item].list, &list, err);
    while (rc == ERR_OK && more) {
        struct list_record rec;
        rc = list_reader_next(list, &rec, &more, err);
        if (rc == ERR_OK && more && rec.kind == LIST_ENTRY)
            rc = on_entry(r, &rec, err);
        else if (rc == ERR_OK && more && rec.kind == LIST_HOLE)
            r->holes += rec.u.hole.len;
        else if (rc == ERR_OK && more && rec.kind == LIST_END)
            rc = on_end(r, &rec.u.end, err);
    }
    list_reader_free(list);
    return rc;
}

enum errc part_read(struct store *s, const struct snapshot *snap, struct part *p, struct err *err)
{
    if (p->item >= snap->item_count)
        return err_fail(err, ERR_DAMAGED, "a restore plan names an item that the snapshot does not have");
    for (int follow = 0; follow < 2; follow++) {
        struct reading r = {.part = p, .item = &snap->items[p->item]};
        p->bytes = p->entries = 0;
        buf_clear(&p->root_bytes);
        enum errc rc = read_list(s, snap, &r, err);
        if (rc != ERR_OK || !r.follow) {
            free(r.follow);
            if (rc == ERR_OK && !r.found)
                rc = err_fail(err, ERR_UNKNOWN_PATH, "the snapshot has no %s%s%s", r.item->path,
                              p->list_path[0] ? "/" : "", p->list_path);
            return rc;
        }
        free(p->list_path);
        p->list_path = r.follow;
    }
    return err_fail(err, ERR_DAMAGED, "a hard link in the snapshot leads to another hard link");
}

/* --- choosing -------------------------------------------------------------------------------------------------------
 */

static bool source_wanted(const struct restore_options *opt, const struct item *item)
{
    for (size_t i = 0; i < opt->source_count; i++)
        if (strcmp(opt->sources[i], item->source) == 0)
            return true;
    return opt->source_count == 0;
}

static enum errc check_sources(const struct snapshot *snap, const struct restore_options *opt, struct err *err)
{
    for (size_t i = 0; i < opt->source_count; i++) {
        bool found = false;
        for (size_t j = 0; j < snap->item_count; j++)
            found = found || strcmp(snap->items[j].source, opt->sources[i]) == 0;
        if (!found)
            return err_fail(err, ERR_UNKNOWN_PATH, "the snapshot has no source '%s'", opt->sources[i]);
    }
    return ERR_OK;
}

static enum errc add_at(struct parts *out, const struct restore_options *opt, uint32_t item, const char *list_path,
                        const char *path, struct err *err)
{
    if (!opt->target)
        return parts_add(out, item, list_path, path, err);
    char *joined;
    enum errc rc = path_join(opt->target, path[0] == '/' ? path + 1 : path, &joined, err);
    if (rc != ERR_OK)
        return rc;
    rc = parts_add(out, item, list_path, joined, err);
    free(joined);
    return rc;
}

static enum errc add_include(struct parts *out, const struct snapshot *snap, const struct restore_options *opt,
                             const char *include, struct err *err)
{
    bool matched = false;
    enum errc rc = ERR_OK;
    for (uint32_t i = 0; rc == ERR_OK && i < snap->item_count; i++) {
        const struct item *item = &snap->items[i];
        if (!source_wanted(opt, item))
            continue;
        if (path_is_within(item->path, include)) {
            matched = true;
            rc = add_at(out, opt, i, "", item->path, err);
        } else if (path_is_within(include, item->path)) {
            size_t skip = strcmp(item->path, "/") == 0 ? 1 : strlen(item->path) + 1;
            matched = true;
            rc = add_at(out, opt, i, include + skip, include, err);
        }
    }
    if (rc == ERR_OK && !matched)
        rc = err_fail(err, ERR_UNKNOWN_PATH, "the snapshot has nothing at %s", include);
    return rc;
}

static int compare_paths(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    int order = path_compare(x->path, strlen(x->path), y->path, strlen(y->path));
    return order ? order : (x->item > y->item) - (x->item < y->item);
}

/* In order of paths; what a part before it restores as well is left out. */
static void drop_doubles(struct parts *p)
{
    size_t kept = 0;
    qsort(p->parts, p->count, sizeof *p->parts, compare_paths);
    for (size_t i = 0; i < p->count; i++) {
        struct part *q = &p->parts[i];
        bool is_double = false;
        for (size_t j = kept; !is_double && j-- > 0;) {
            const struct part *before = &p->parts[j];
            is_double = path_is_within(q->path, before->path) &&
                        (before->item == q->item || strcmp(before->path, q->path) == 0);
        }
        if (is_double)
            part_release(q);
        else
            p->parts[kept++] = *q;
    }
    p->count = kept;
}

/* Sources may lie in one another: a database that is a source of its own in a directory that is one. What lies inside
 * goes in with the outer one, over what that has under the name. */
static void nest(struct parts *p)
{
    size_t outer = 0;
    for (size_t i = 1; i < p->count; i++) {
        struct part *at = &p->parts[i], *around = &p->parts[outer];
        if (around->kind != PART_DIR || !path_is_within(at->path, around->path)) {
            outer = i;
            continue;
        }
        at->inside = (uint32_t)outer + 1;
        around->has_databases = around->has_databases || at->kind == PART_SQLITE || at->has_databases;
    }
}

enum errc parts_select(struct store *s, const struct snapshot *snap, const struct restore_options *opt,
                       struct parts *out, struct err *err)
{
    enum errc rc = check_sources(snap, opt, err);
    for (uint32_t i = 0; rc == ERR_OK && opt->include_count == 0 && i < snap->item_count; i++)
        if (source_wanted(opt, &snap->items[i]))
            rc = add_at(out, opt, i, "", snap->items[i].path, err);
    for (size_t i = 0; rc == ERR_OK && i < opt->include_count; i++)
        rc = add_include(out, snap, opt, opt->include[i], err);
    if (rc == ERR_OK && out->count > 0)
        drop_doubles(out);
    for (size_t i = 0; rc == ERR_OK && i < out->count; i++)
        rc = part_read(s, snap, &out->parts[i], err);
    if (rc == ERR_OK)
        nest(out);
    return rc;
}

/* --- plans ----------------------------------------------------------------------------------------------------------
 */

enum plan_field { PLAN_PART = 1, PLAN_UNDOES = 2 };
enum part_field {
    PART_ITEM = 1,
    PART_KIND = 2,
    PART_ACTION = 3,
    PART_LIST_PATH = 4,
    PART_PATH = 5,
    PART_STAGING = 6,
    PART_ASIDE = 7,
    PART_DEV = 8,
    PART_INO = 9,
    PART_ORIGINAL = 10,
    PART_INSIDE = 11
};

static enum errc put_part(struct buf *b, const struct part *p, struct err *err)
{
    struct buf one;
    buf_init(&one, LOG_RECORD_MAX_BYTES);
    enum errc rc = put_field_varint(&one, PART_ITEM, true, p->item, err);
    if (rc == ERR_OK)
        rc = put_field_varint(&one, PART_KIND, true, p->kind, err);
    if (rc == ERR_OK)
        rc = put_field_varint(&one, PART_ACTION, true, p->action, err);
    if (rc == ERR_OK)
        rc = put_field_str(&one, PART_LIST_PATH, true, p->list_path, err);
    if (rc == ERR_OK)
        rc = put_field_str(&one, PART_PATH, true, p->path, err);
    if (rc == ERR_OK)
        rc = put_field_str(&one, PART_STAGING, true, p->staging, err);
    if (rc == ERR_OK)
        rc = put_field_str(&one, PART_ASIDE, false, p->aside, err);
    if (rc == ERR_OK)
        rc = put_field_str(&one, PART_ORIGINAL, true, p->original, err);
    if (rc == ERR_OK)
        rc = put_field_varint(&one, PART_INSIDE, true, p->inside, err);
    if (rc == ERR_OK)
        rc = put_field_varint(&one, PART_DEV, false, p->dev, err);
    if (rc == ERR_OK)
        rc = put_field_varint(&one, PART_INO, false, p->ino, err);
    if (rc == ERR_OK)
        rc = put_field(b, PLAN_PART, true, one.data, one.len, err);
    buf_release(&one);
    return rc;
}

enum errc parts_put(struct buf *b, const struct parts *p, struct err *err)
{
    enum errc rc = put_u8(b, PLAN_VERSION, err);
    for (size_t i = 0; rc == ERR_OK && i < p->count; i++)
        rc = put_part(b, &p->parts[i], err);
    if (rc == ERR_OK && p->has_undoes)
        rc = put_field(b, PLAN_UNDOES, true, p->undoes.b, sizeof p->undoes.b, err);
    return rc;
}

static enum errc get_text(struct reader *v, char **out, struct err *err)
{
    size_t len = reader_left(v);
    struct bytes text = get_bytes(v, len);
    if (memchr(text.data, '\0', text.len))
        return err_fail(err, ERR_DAMAGED, "a restore plan has a path with a NUL in it");
    free(*out);
    *out = NULL;
    return mem_dup(out, text.data, text.len, err);
}

static enum errc get_part(struct reader r, struct part *p, struct err *err)
{
    uint64_t tag;
    bool critical;
    struct reader v;
    enum errc rc = ERR_OK;
    while (rc == ERR_OK && get_field(&r, &tag, &critical, &v)) {
        switch (tag) {
        case PART_ITEM:
            p->item = (uint32_t)get_varint_max(&v, ITEMS_MAX);
            break;
        case PART_KIND:
            p->kind = (enum part_kind)get_varint_max(&v, PART_ABSENT);
            break;
        case PART_ACTION:
            p->action = (enum restore_action)get_varint_max(&v, RESTORE_RAW);
            break;
        case PART_LIST_PATH:
            rc = get_text(&v, &p->list_path, err);
            break;
        case PART_PATH:
            rc = get_text(&v, &p->path, err);
            break;
        case PART_STAGING:
            rc = get_text(&v, &p->staging, err);
            break;
        case PART_ASIDE:
            rc = get_text(&v, &p->aside, err);
            break;
        case PART_ORIGINAL:
            rc = get_text(&v, &p->original, err);
            break;
        case PART_INSIDE:
            p->inside = (uint32_t)get_varint_max(&v, PARTS_MAX);
            break;
        case PART_DEV:
            p->dev = get_varint(&v);
            break;
        case PART_INO:
            p->ino = get_varint(&v);
            break;
        default:
            if (critical)
                return err_fail(err, ERR_FORMAT_NEWER, "a restore plan was made by a newer snap");
        }
        if (rc == ERR_OK && !reader_ok(&v))
            rc = err_fail(err, ERR_DAMAGED, "a restore plan is malformed");
    }
    if (rc == ERR_OK && (!reader_ok(&r) || !p->path || p->path[0] != '/' || !p->list_path || p->kind == 0))
        rc = err_fail(err, ERR_DAMAGED, "a restore plan is malformed");
    return rc;
}

enum errc parts_get(const void *data, size_t len, struct parts *out, struct err *err)
{
    struct reader r = reader_of(data, len), v;
    uint64_t tag;
    bool critical;
    enum errc rc = ERR_OK;
    if (get_u8(&r) != PLAN_VERSION)
        return err_fail(err, ERR_FORMAT_NEWER, "a restore plan was made by another version of snap");
    while (rc == ERR_OK && get_field(&r, &tag, &critical, &v)) {
        if (tag == PLAN_UNDOES && reader_left(&v) == sizeof out->undoes.b) {
            memcpy(out->undoes.b, get_bytes(&v, sizeof out->undoes.b).data, sizeof out->undoes.b);
            out->has_undoes = true;
            continue;
        }
        if (tag != PLAN_PART || out->count == PARTS_MAX)
            return err_fail(err, ERR_DAMAGED, "a restore plan is malformed");
        rc = parts_add(out, 0, "", "", err);
        if (rc == ERR_OK)
            rc = get_part(v, &out->parts[out->count - 1], err);
    }
    for (size_t i = 0; rc == ERR_OK && i < out->count; i++)
        if (out->parts[i].inside > i)
            rc = err_fail(err, ERR_DAMAGED, "a restore plan is malformed");
    if (rc == ERR_OK && !reader_ok(&r))
        rc = err_fail(err, ERR_DAMAGED, "a restore plan is malformed");
    return rc;
}
