#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

/* A list is a tree: the root names list chunks, or index chunks that name them. One chunk of each level is held. */

struct level {
    uint8_t *chunk;        /* plain bytes of the index chunk being walked; NULL for the root */
    struct reader records; /* run records not yet begun */
    struct bytes refs;     /* of the run at hand */
    struct run run;
    uint32_t left; /* references not yet taken of the run at hand */
};

struct list_reader {
    struct chunk_reader *chunks;
    struct stream_root root;
    uint32_t root_next;
    struct level levels[ROOT_MAX_DEPTH];
    uint8_t *list; /* plain bytes of the list chunk at hand */
    struct reader records;
};

enum errc list_reader_open(struct store *s, const struct stream_root *root, struct list_reader **out, struct err *err)
{
    struct list_reader *r;
    if (root->depth > ROOT_MAX_DEPTH || root->count > ROOT_MAX_REFS)
        return err_fail(err, ERR_DAMAGED, "the root of an entry list is malformed");
    enum errc rc = mem_alloc(&r, sizeof *r, err);
    if (rc != ERR_OK)
        return rc;
    r->root = *root;
    rc = chunk_reader_new(s, &r->chunks, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&r->list, CHUNK_MAX_BYTES, err);
    for (uint32_t i = 0; rc == ERR_OK && i < root->depth; i++)
        rc = mem_alloc(&r->levels[i].chunk, CHUNK_MAX_BYTES, err);
    if (rc != ERR_OK) {
        list_reader_free(r);
        return rc;
    }
    *out = r;
    return ERR_OK;
}

void list_reader_free(struct list_reader *r)
{
    if (!r)
        return;
    chunk_reader_free(r->chunks);
    for (uint32_t i = 0; i < ROOT_MAX_DEPTH; i++)
        free(r->levels[i].chunk);
    free(r->list);
    free(r);
}

/* The next reference of level k: 0 is just above the list chunks, depth is the root. *more false at the end. */
static enum errc next_ref(struct list_reader *r, uint32_t k, struct chunk_ref *out, bool *more, struct err *err)
{
    enum errc rc;
    if (k == r->root.depth) {
        *more = r->root_next < r->root.count;
        if (*more)
            *out = r->root.refs[r->root_next++];
        return ERR_OK;
    }
    struct level *l = &r->levels[k];
    for (;;) {
        if (l->left > 0) {
            struct reader refs = reader_of(l->refs.data, l->refs.len);
            rc = run_ref_get(&refs, &l->run, out, err);
            l->refs = (struct bytes){refs.p, reader_left(&refs)};
            l->left--;
            *more = true;
            return rc;
        }
        struct list_record rec;
        rc = list_record_get(&l->records, &rec, more, err);
        if (rc != ERR_OK)
            return rc;
        if (*more) {
            if (rec.kind != LIST_RUN)
                return err_fail(err, ERR_DAMAGED, "an index chunk holds something other than references");
            l->run = rec.u.run;
            l->refs = rec.refs;
            l->left = rec.u.run.count;
            continue;
        }
        struct chunk_ref up;
        rc = next_ref(r, k + 1, &up, more, err);
        if (rc != ERR_OK || !*more)
            return rc;
        if (up.len > CHUNK_MAX_BYTES)
            return err_fail(err, ERR_DAMAGED, "an index chunk is longer than the format allows");
        rc = chunk_read(r->chunks, &up.name, CHUNK_INDEX, l->chunk, up.len, err);
        if (rc != ERR_OK)
            return rc;
        l->records = reader_of(l->chunk, up.len);
    }
}

enum errc list_reader_next(struct list_reader *r, struct list_record *rec, bool *more, struct err *err)
{
    for (;;) {
        enum errc rc = list_record_get(&r->records, rec, more, err);
        if (rc != ERR_OK || *more)
            return rc;
        struct chunk_ref ref;
        rc = next_ref(r, 0, &ref, more, err);
        if (rc != ERR_OK || !*more)
            return rc;
        if (ref.len > CHUNK_MAX_BYTES)
            return err_fail(err, ERR_DAMAGED, "a list chunk is longer than the format allows");
        rc = chunk_read(r->chunks, &ref.name, CHUNK_LIST, r->list, ref.len, err);
        if (rc != ERR_OK)
            return err_wrap(err, "the list of entries");
        r->records = reader_of(r->list, ref.len);
    }
}

enum errc list_reader_next_chunk(struct list_reader *r, struct chunk_ref *out, bool *more, struct err *err)
{
    return next_ref(r, 0, out, more, err);
}
