#include "engine/look.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "engine/list_walk.h"
#include "engine/name_window.h"

/* Two lists are read side by side. Whether data differ is told from the references alone: same sizes, and the same
 * chunks at the same places. What differs is counted by name: a chunk of the entry after counts when the entry before
 * has it nowhere within NAME_WINDOW / 2 chunks (4 GiB and more) of that place. */

struct side {
    struct list_walk walk;
    const struct item *item;
    bool open, there; /* there: walk.entry is one that was not dealt with yet */
    uint64_t refs;    /* of the entry's data so far */
    bool more_refs;
    struct hasher *hasher;
    struct digest digest; /* of references and places */
    uint64_t data_bytes;  /* without holes */
};

struct diff {
    struct store *store;
    enum errc (*fn)(void *arg, const struct look_diff *d, struct err *err);
    void *arg;
    struct side before, after;
    struct name_window names;
    uint64_t differ;
};

static enum errc side_next(struct side *s, struct err *err)
{
    enum errc rc = ERR_OK;
    s->there = false;
    if (!s->open)
        return ERR_OK;
    do {
        rc = list_walk_entry(&s->walk, &s->there, err);
    } while (rc == ERR_OK && s->there && s->walk.entry.type == ENTRY_ABSENT);
    s->refs = 0;
    s->data_bytes = 0;
    s->more_refs = s->there && entry_has_data(s->walk.entry.type);
    return rc;
}

static enum errc side_open(struct side *s, struct store *store, const struct item *item, struct err *err)
{
    s->item = item;
    s->open = item != NULL;
    s->there = false;
    if (!item)
        return ERR_OK;
    enum errc rc = list_walk_open(&s->walk, store, &item->list, err);
    return rc == ERR_OK ? side_next(s, err) : rc;
}

static void side_close(struct side *s)
{
    if (s->open)
        list_walk_close(&s->walk);
    s->open = false;
    s->there = false;
}

static enum errc side_ref(struct side *s, struct chunk_ref *ref, struct err *err)
{
    uint64_t offset;
    enum errc rc = list_walk_ref(&s->walk, ref, &offset, &s->more_refs, err);
    if (rc != ERR_OK || !s->more_refs)
        return rc;
    s->refs++;
    s->data_bytes += ref->len;
    const uint64_t place[2] = {offset, ref->len};
    rc = hasher_update(s->hasher, place, sizeof place, err);
    return rc == ERR_OK ? hasher_update(s->hasher, ref->name.b, sizeof ref->name.b, err) : rc;
}

static uint64_t side_bytes(const struct side *s)
{
    return s->there && s->walk.has_end ? s->walk.end.size : 0;
}

/* --- one pair -------------------------------------------------------------------------------------------------------
 */

/* All references of both, the names before kept half a window ahead of those after. */
static enum errc compare_data(struct diff *d, struct err *err)
{
    struct chunk_ref ref;
    enum errc rc = ERR_OK;
    name_window_clear(&d->names);
    d->differ = 0;
    while (rc == ERR_OK && (d->before.more_refs || d->after.more_refs)) {
        while (rc == ERR_OK && d->before.more_refs &&
               (!d->after.more_refs || d->before.refs < d->after.refs + NAME_WINDOW / 2)) {
            rc = side_ref(&d->before, &ref, err);
            if (rc == ERR_OK && d->before.more_refs)
                name_window_add(&d->names, &ref.name);
        }
        if (rc != ERR_OK || !d->after.more_refs)
            continue;
        rc = side_ref(&d->after, &ref, err);
        if (rc == ERR_OK && d->after.more_refs && !name_window_has(&d->names, &ref.name))
            d->differ += ref.len;
    }
    if (rc == ERR_OK)
        rc = hasher_final(d->before.hasher, &d->before.digest, err);
    return rc == ERR_OK ? hasher_final(d->after.hasher, &d->after.digest, err) : rc;
}

static bool same_bytes(const void *a, size_t a_len, const void *b, size_t b_len)
{
    return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

static bool same_metadata(const struct entry *a, const struct entry *b)
{
    return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid && a->mtime.sec == b->mtime.sec &&
           a->mtime.nsec == b->mtime.nsec && same_bytes(a->user, a->user_len, b->user, b->user_len) &&
           same_bytes(a->group, a->group_len, b->group, b->group_len) && a->rdev_major == b->rdev_major &&
           a->rdev_minor == b->rdev_minor && same_bytes(a->xattrs, a->xattrs_len, b->xattrs, b->xattrs_len) &&
           same_bytes(a->xattr_streams, a->xattr_streams_len, b->xattr_streams, b->xattr_streams_len);
}

static bool same_content(const struct diff *d)
{
    const struct entry *a = &d->before.walk.entry, *b = &d->after.walk.entry;
    return side_bytes(&d->before) == side_bytes(&d->after) &&
           memcmp(&d->before.digest, &d->after.digest, sizeof d->after.digest) == 0 &&
           same_bytes(a->link_target, a->link_target_len, b->link_target, b->link_target_len);
}

static enum errc tell(struct diff *d, enum look_change change, bool before, bool after, struct err *err)
{
    const struct side *named = after ? &d->after : &d->before;
    char *abs_path;
    enum errc rc = entry_abs_path(named->item, &named->walk.entry, &abs_path, err);
    if (rc != ERR_OK)
        return rc;
    struct look_diff out = {.change = change,
                            .abs_path = abs_path,
                            .before = before ? &d->before.walk.entry : NULL,
                            .end_before = before && d->before.walk.has_end ? &d->before.walk.end : NULL,
                            .end_after = after && d->after.walk.has_end ? &d->after.walk.end : NULL,
                            .after = after ? &d->after.walk.entry : NULL,
                            .bytes_before = before ? side_bytes(&d->before) : 0,
                            .bytes_after = after ? side_bytes(&d->after) : 0,
                            .bytes_differ = !after   ? 0
                                            : before ? d->differ
                                                     : d->after.data_bytes};
    rc = d->fn(d->arg, &out, err);
    free(abs_path);
    return rc;
}

static enum errc on_pair(struct diff *d, struct err *err)
{
    enum errc rc = compare_data(d, err);
    if (rc != ERR_OK)
        return rc;
    if (d->before.walk.entry.type != d->after.walk.entry.type)
        return tell(d, LOOK_TYPE, true, true, err);
    if (!same_content(d))
        return tell(d, LOOK_CONTENT, true, true, err);
    if (!same_metadata(&d->before.walk.entry, &d->after.walk.entry))
        return tell(d, LOOK_METADATA, true, true, err);
    return ERR_OK;
}

static enum errc on_single(struct diff *d, struct side *s, struct err *err)
{
    struct chunk_ref ref;
    enum errc rc = ERR_OK;
    while (rc == ERR_OK && s->more_refs)
        rc = side_ref(s, &ref, err);
    if (rc == ERR_OK)
        rc = hasher_final(s->hasher, &s->digest, err); /* starts anew */
    if (rc != ERR_OK)
        return rc;
    return s == &d->after ? tell(d, LOOK_ADDED, false, true, err) : tell(d, LOOK_REMOVED, true, false, err);
}

/* --- lists and items ------------------------------------------------------------------------------------------------
 */

static enum errc merge(struct diff *d, struct err *err)
{
    enum errc rc = ERR_OK;
    while (rc == ERR_OK && (d->before.there || d->after.there)) {
        const struct entry *a = &d->before.walk.entry, *b = &d->after.walk.entry;
        int order = !d->before.there  ? 1
                    : !d->after.there ? -1
                                      : path_compare(a->path, a->path_len, b->path, b->path_len);
        rc = order == 0 ? on_pair(d, err) : on_single(d, order < 0 ? &d->before : &d->after, err);
        if (rc == ERR_OK && order <= 0)
            rc = side_next(&d->before, err);
        if (rc == ERR_OK && order >= 0)
            rc = side_next(&d->after, err);
    }
    return rc;
}

static bool same_root(const struct stream_root *a, const struct stream_root *b)
{
    if (a->depth != b->depth || a->bytes != b->bytes || a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (a->refs[i].len != b->refs[i].len || memcmp(&a->refs[i].name, &b->refs[i].name, sizeof a->refs[i].name) != 0)
            return false;
    return true;
}

static enum errc diff_items(struct diff *d, const struct item *before, const struct item *after, struct err *err)
{
    if (before && after && same_root(&before->list, &after->list))
        return ERR_OK;
    enum errc rc = side_open(&d->before, d->store, before, err);
    if (rc == ERR_OK)
        rc = side_open(&d->after, d->store, after, err);
    if (rc == ERR_OK)
        rc = merge(d, err);
    side_close(&d->before);
    side_close(&d->after);
    return rc;
}

static int compare_items(const void *a, const void *b)
{
    const struct item *x = *(const struct item *const *)a, *y = *(const struct item *const *)b;
    return path_compare(x->path, strlen(x->path), y->path, strlen(y->path));
}

static enum errc sort_items(const struct snapshot *snap, const struct item ***out, struct err *err)
{
    enum errc rc = mem_alloc(out, (snap->item_count + 1) * sizeof(const struct item *), err);
    if (rc != ERR_OK)
        return rc;
    for (size_t i = 0; i < snap->item_count; i++)
        (*out)[i] = &snap->items[i];
    qsort(*out, snap->item_count, sizeof(const struct item *), compare_items);
    return ERR_OK;
}

static enum errc diff_snapshots(struct diff *d, const struct item **a, const struct item **b, struct err *err)
{
    enum errc rc = ERR_OK;
    while (rc == ERR_OK && (*a || *b)) {
        int order = !*a ? 1 : !*b ? -1 : compare_items(a, b);
        rc = diff_items(d, order <= 0 ? *a : NULL, order >= 0 ? *b : NULL, err);
        a += order <= 0;
        b += order >= 0;
    }
    return rc;
}

enum errc look_diff(struct store *s, const struct snapshot *a, const struct snapshot *b,
                    enum errc (*fn)(void *arg, const struct look_diff *d, struct err *err), void *arg, struct err *err)
{
    struct diff d = {.store = s, .fn = fn, .arg = arg};
    const struct item **before = NULL, **after = NULL;
    enum errc rc = name_window_init(&d.names, err);
    if (rc == ERR_OK)
        rc = hasher_new(&d.before.hasher, err);
    if (rc == ERR_OK)
        rc = hasher_new(&d.after.hasher, err);
    if (rc == ERR_OK)
        rc = sort_items(a, &before, err); /* a NULL ends each */
    if (rc == ERR_OK)
        rc = sort_items(b, &after, err);
    if (rc == ERR_OK)
        rc = diff_snapshots(&d, before, after, err);
    free(before);
    free(after);
    hasher_free(d.before.hasher);
    hasher_free(d.after.hasher);
    name_window_release(&d.names);
    return rc;
}
