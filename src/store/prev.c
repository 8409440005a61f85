#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "store/internal.h"

/* The previous list is read along with the new one, as in a merge. The record one ahead is held back. */

struct prev_list {
    struct list_reader *reader;
    struct list_record rec; /* the record at hand; borrowed from the reader */
    bool have, at_end;
    bool in_entry;          /* seek found an entry with data and its end has not been handed out */
    struct buf entry_bytes; /* copy of the ENTRY record that seek found: it outlives reading on */
    struct entry entry;
};

enum errc prev_list_open(struct store *s, const struct stream_root *root, struct prev_list **out, struct err *err)
{
    struct prev_list *p;
    enum errc rc = mem_alloc(&p, sizeof *p, err);
    if (rc != ERR_OK)
        return rc;
    buf_init(&p->entry_bytes, LIST_RECORD_MAX_BYTES + 64);
    rc = list_reader_open(s, root, &p->reader, err);
    if (rc != ERR_OK) {
        prev_list_free(p);
        return rc;
    }
    *out = p;
    return ERR_OK;
}

void prev_list_free(struct prev_list *p)
{
    if (!p)
        return;
    list_reader_free(p->reader);
    buf_release(&p->entry_bytes);
    free(p);
}

static enum errc advance(struct prev_list *p, struct err *err)
{
    bool more;
    enum errc rc = list_reader_next(p->reader, &p->rec, &more, err);
    p->have = rc == ERR_OK && more;
    p->at_end = rc == ERR_OK && !more;
    return rc;
}

static enum errc keep_entry(struct prev_list *p, struct err *err)
{
    bool more;
    struct list_record copy;
    buf_clear(&p->entry_bytes);
    enum errc rc = buf_append(&p->entry_bytes, p->rec.raw.data, p->rec.raw.len, err);
    if (rc != ERR_OK)
        return rc;
    struct reader r = reader_of(p->entry_bytes.data, p->entry_bytes.len);
    rc = list_record_get(&r, &copy, &more, err);
    p->entry = copy.u.entry;
    return rc;
}

enum errc prev_list_seek(struct prev_list *p, const char *path, size_t len, const struct entry **out, struct err *err)
{
    *out = NULL;
    p->in_entry = false;
    while (!p->at_end) {
        if (p->have && p->rec.kind == LIST_ENTRY) {
            int order = path_compare(p->rec.u.entry.path, p->rec.u.entry.path_len, path, len);
            if (order > 0)
                return ERR_OK;
            if (order == 0) {
                enum errc rc = keep_entry(p, err);
                p->in_entry = rc == ERR_OK && entry_has_data(p->entry.type);
                *out = &p->entry;
                p->have = false; /* taken: the next seek reads on */
                return rc;
            }
        }
        enum errc rc = advance(p, err);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

enum errc prev_list_record(struct prev_list *p, const struct list_record **rec_out, struct err *err)
{
    *rec_out = NULL;
    if (!p->in_entry)
        return ERR_OK;
    enum errc rc = advance(p, err);
    if (rc != ERR_OK)
        return rc;
    if (!p->have || p->rec.kind == LIST_ENTRY) {
        p->in_entry = false; /* an entry without END: cut off by damage, or of another writer */
        return ERR_OK;
    }
    *rec_out = &p->rec;
    if (p->rec.kind == LIST_END)
        p->in_entry = false;
    return ERR_OK;
}
