#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "store/internal.h"

/* The previous list is read along with the new one, as in a merge. The record one ahead is held back. */

struct prev_list {
    struct list_reader *reader;
    struct list_record rec; /* the record at hand; borrowed from the reader */
    bool have, at_end;
    bool fresh;             /* seek found entry, and none of its data records was asked for */
    bool in_entry;          /* seek found an entry with data and its end has not been handed out */
    struct buf entry_bytes; /* copy of the ENTRY record that seek found: it outlives reading on */
    struct entry entry;
    struct run run; /* the run whose references are being handed out */
    struct bytes refs;
    uint32_t left;
    struct chunk_ref held; /* read, but not handed out until what follows it is known */
    uint64_t held_offset, offset;
    bool holding;
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
    if (p->fresh && path_compare(p->entry.path, p->entry.path_len, path, len) == 0) {
        *out = &p->entry; /* asked for again, and nothing of its data has been handed out */
        return ERR_OK;
    }
    p->fresh = p->in_entry = p->holding = false;
    p->left = 0;
    p->offset = 0;
    while (!p->at_end) {
        if (p->have && p->rec.kind == LIST_ENTRY) {
            int order = path_compare(p->rec.u.entry.path, p->rec.u.entry.path_len, path, len);
            if (order > 0)
                return ERR_OK;
            if (order == 0) {
                enum errc rc = keep_entry(p, err);
                p->fresh = rc == ERR_OK;
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
    p->fresh = false;
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

/* The next reference as it stands in the list; *contiguous tells that it follows the one before without a hole. */
static enum errc raw_ref(struct prev_list *p, struct chunk_ref *ref, uint64_t *offset, bool *contiguous, bool *more,
                         struct err *err)
{
    *contiguous = true;
    while (p->left == 0) {
        const struct list_record *rec;
        enum errc rc = prev_list_record(p, &rec, err);
        if (rc != ERR_OK)
            return rc;
        *more = rec && rec->kind != LIST_END;
        if (!*more)
            return ERR_OK;
        if (rec->kind == LIST_RUN) {
            p->run = rec->u.run;
            p->refs = rec->refs;
            p->left = rec->u.run.count;
            *contiguous = p->offset == p->run.offset;
            p->offset = p->run.offset;
        } else {
            *contiguous = false;
        }
    }
    struct reader refs = reader_of(p->refs.data, p->refs.len);
    enum errc rc = run_ref_get(&refs, &p->run, ref, err);
    p->refs = (struct bytes){refs.p, reader_left(&refs)};
    p->left--;
    *offset = p->offset;
    p->offset += ref->len;
    *more = true;
    return rc;
}

enum errc prev_list_ref(struct prev_list *p, struct match_ref *out, bool *more, struct err *err)
{
    struct chunk_ref next;
    uint64_t offset = 0;
    bool contiguous, any;
    enum errc rc = ERR_OK;
    if (!p->holding) {
        rc = raw_ref(p, &p->held, &p->held_offset, &contiguous, &any, err);
        p->holding = rc == ERR_OK && any;
    }
    *more = p->holding;
    if (rc != ERR_OK || !p->holding)
        return rc;
    rc = raw_ref(p, &next, &offset, &contiguous, &any, err);
    if (rc != ERR_OK)
        return rc;
    *out = (struct match_ref){.ref = p->held, .offset = p->held_offset, .last = !any || !contiguous};
    p->holding = any;
    p->held = next;
    p->held_offset = offset;
    return ERR_OK;
}
