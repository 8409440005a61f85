#include "engine/list_walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/path.h"

enum errc list_walk_open(struct list_walk *w, struct store *s, const struct stream_root *root, struct err *err)
{
    memset(w, 0, sizeof *w);
    buf_init(&w->kept, LIST_RECORD_MAX_BYTES + 64);
    buf_init(&w->kept_before, LIST_RECORD_MAX_BYTES + 64);
    return list_reader_open(s, root, &w->list, err);
}

void list_walk_close(struct list_walk *w)
{
    list_reader_free(w->list);
    buf_release(&w->kept);
    buf_release(&w->kept_before);
    memset(w, 0, sizeof *w);
}

/* The record borrows from the reader's chunk, which is gone once the entry's references are read. */
static enum errc keep_entry(struct list_walk *w, struct err *err)
{
    struct list_record copy;
    struct buf spare = w->kept_before;
    const struct entry before = w->entry;
    bool first = w->kept.len == 0, more;
    w->kept_before = w->kept;
    w->kept = spare;
    buf_clear(&w->kept);
    enum errc rc = buf_append(&w->kept, w->rec.raw.data, w->rec.raw.len, err);
    if (rc != ERR_OK)
        return rc;
    struct reader r = reader_of(w->kept.data, w->kept.len);
    rc = list_record_get(&r, &copy, &more, err);
    if (rc != ERR_OK)
        return rc;
    w->entry = copy.u.entry;
    if (!first && path_compare(before.path, before.path_len, w->entry.path, w->entry.path_len) >= 0)
        return err_fail(err, ERR_DAMAGED, "the entries of a list are out of order");
    return ERR_OK;
}

static enum errc take_end(struct list_walk *w, struct err *err)
{
    if (w->at > w->rec.u.end.size)
        return err_fail(err, ERR_DAMAGED, "an entry has more data than its size says");
    w->end = w->rec.u.end;
    w->has_end = true;
    w->in_data = false;
    return ERR_OK;
}

static enum errc take_run(struct list_walk *w, struct err *err)
{
    if (w->rec.u.run.offset < w->at)
        return err_fail(err, ERR_DAMAGED, "the parts of an entry overlap");
    w->at = w->rec.u.run.offset;
    w->refs = reader_of(w->rec.refs.data, w->rec.refs.len);
    w->refs_left = w->rec.u.run.count;
    return ERR_OK;
}

enum errc list_walk_ref(struct list_walk *w, struct chunk_ref *ref, uint64_t *offset, bool *more, struct err *err)
{
    *more = false;
    while (w->in_data && w->refs_left == 0) {
        bool any;
        enum errc rc = list_reader_next(w->list, &w->rec, &any, err);
        if (rc != ERR_OK)
            return rc;
        if (!any || w->rec.kind == LIST_ENTRY)
            return err_fail(err, ERR_DAMAGED, "an entry's data has no end");
        if (w->rec.kind == LIST_RUN)
            rc = take_run(w, err);
        else if (w->rec.kind == LIST_END)
            rc = take_end(w, err);
        if (rc != ERR_OK)
            return rc;
    }
    if (!w->in_data)
        return ERR_OK;
    enum errc rc = run_ref_get(&w->refs, &w->rec.u.run, ref, err);
    if (rc != ERR_OK)
        return rc;
    w->refs_left--;
    if (ref->len > CHUNK_MAX_BYTES || w->at > (uint64_t)INT64_MAX - ref->len)
        return err_fail(err, ERR_DAMAGED, "an entry is longer than a file can be");
    *offset = w->at;
    w->at += ref->len;
    *more = true;
    return ERR_OK;
}

enum errc list_walk_entry(struct list_walk *w, bool *more, struct err *err)
{
    enum errc rc = ERR_OK;
    while (rc == ERR_OK && w->in_data) {
        struct chunk_ref ref;
        uint64_t offset;
        bool any;
        rc = list_walk_ref(w, &ref, &offset, &any, err);
    }
    if (rc == ERR_OK)
        rc = list_reader_next(w->list, &w->rec, more, err);
    if (rc != ERR_OK || !*more)
        return rc;
    if (w->rec.kind != LIST_ENTRY)
        return err_fail(err, ERR_DAMAGED, "a list has data that belongs to no entry");
    w->has_end = false;
    w->at = 0;
    w->refs_left = 0;
    rc = keep_entry(w, err);
    w->in_data = rc == ERR_OK && entry_has_data(w->entry.type);
    return rc;
}

enum errc entry_abs_path(const struct item *item, const struct entry *e, char **out, struct err *err)
{
    if (e->path_len == 0)
        return mem_strdup(out, item->path, err);
    /* A database's sidecars: "/srv/app.db" and "-wal". */
    bool beside = item->type == ITEM_SQLITE && (e->flags & ENTRY_FLAG_SIDECAR) != 0;
    size_t dir_len = strlen(item->path);
    bool slash = !beside && !(dir_len > 0 && item->path[dir_len - 1] == '/');
    char *p;
    enum errc rc = mem_alloc(&p, dir_len + slash + e->path_len + 1, err);
    if (rc != ERR_OK)
        return rc;
    memcpy(p, item->path, dir_len);
    if (slash)
        p[dir_len] = '/';
    memcpy(p + dir_len + slash, e->path, e->path_len);
    *out = p;
    return ERR_OK;
}
