#include <stdlib.h>
#include <string.h>

#include "store/pipeline.h"

/* List records are gathered into chunks that are cut where a record's key says so: an entry that comes or goes moves
 * no other cut. References to list chunks are kept while they are few (they go into the log record) and else become
 * index chunks of up to INDEX_REFS references, level by level. */

enum { LIST_MIN_BYTES = 16 * 1024, LIST_SPREAD_BYTES = 48 * 1024, INDEX_REFS = 512 };

struct level {
    struct chunk_ref refs[INDEX_REFS];
    uint32_t count;
    bool spilled; /* some went up as an index chunk: the rest must follow */
};

struct list_store {
    struct session *session;
    struct encoder *encoder;
    struct buf chunk;
    uint8_t *dst;
    struct level *levels[ROOT_MAX_DEPTH + 1];
    uint64_t bytes;
    struct list_reader *previous; /* references of the previous list's chunks; NULL: none */
    struct matcher matcher;
    uint64_t previous_offset;
};

enum errc list_store_new(struct session *x, const struct stream_root *previous, struct list_store **out,
                         struct err *err)
{
    struct list_store *l;
    enum errc rc = mem_alloc(&l, sizeof *l, err);
    if (rc != ERR_OK)
        return rc;
    l->session = x;
    buf_init(&l->chunk, CHUNK_MAX_BYTES);
    rc = encoder_new(x->store, &l->encoder, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&l->dst, CHUNK_MAX_BYTES, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&l->levels[0], sizeof *l->levels[0], err);
    if (rc == ERR_OK && previous)
        rc = list_reader_open(x->store, previous, &l->previous, err);
    if (rc != ERR_OK) {
        list_store_free(l);
        return rc;
    }
    *out = l;
    return ERR_OK;
}

void list_store_free(struct list_store *l)
{
    if (!l)
        return;
    encoder_free(l->encoder);
    list_reader_free(l->previous);
    buf_release(&l->chunk);
    free(l->dst);
    for (int i = 0; i <= ROOT_MAX_DEPTH; i++)
        free(l->levels[i]);
    free(l);
}

/* References of the previous list, as far as the window takes them. A previous list that cannot be read only costs
 * deltas. */
static void load_previous(struct list_store *l)
{
    struct err ignored;
    for (size_t room = matcher_room(&l->matcher); l->previous && room > 0; room--) {
        struct match_ref ref = {.offset = l->previous_offset};
        bool more;
        if (list_reader_next_chunk(l->previous, &ref.ref, &more, &ignored) != ERR_OK || !more) {
            list_reader_free(l->previous);
            l->previous = NULL;
            return;
        }
        matcher_load(&l->matcher, &ref);
        l->previous_offset += ref.ref.len;
    }
}

static enum errc put_chunk(struct list_store *l, enum chunk_type type, struct chunk_ref *ref, struct err *err)
{
    bool known;
    const struct chunk_name *base = NULL;
    memset(ref, 0, sizeof *ref);
    ref->len = (uint32_t)l->chunk.len;
    enum errc rc = namer_name(encoder_namer(l->encoder), type, l->chunk.data, l->chunk.len, &ref->name, err);
    if (rc != ERR_OK)
        return rc;
    if (type == CHUNK_LIST) {
        load_previous(l);
        int i = matcher_find_name(&l->matcher, &ref->name);
        if (i >= 0) {
            matcher_matched(&l->matcher, i, l->bytes);
        } else {
            i = matcher_base(&l->matcher, l->bytes, ref->len);
            if (i >= 0)
                base = &l->matcher.refs[i].ref.name;
        }
        l->bytes += ref->len;
    }
    rc = session_index_claim(l->session->index, &ref->name, &known, err);
    if (rc != ERR_OK || known)
        return rc;
    struct encoded e;
    rc = encoder_encode(l->encoder, &ref->name, type, l->chunk.data, l->chunk.len, base, l->dst, &e, err);
    return rc == ERR_OK ? session_add_record(l->session, &e, err) : rc;
}

/* A reference into level k; a full level goes up as one index chunk. l->chunk is free for use here. */
static enum errc push_ref(struct list_store *l, uint32_t k, const struct chunk_ref *ref, struct err *err);

static enum errc spill(struct list_store *l, uint32_t k, struct err *err)
{
    struct level *level = l->levels[k];
    struct run run = {.count = level->count};
    struct chunk_ref up;
    if (k == ROOT_MAX_DEPTH)
        return err_fail(err, ERR_LIMIT, "the list of entries is longer than the format allows");
    buf_clear(&l->chunk);
    enum errc rc = run_put(&l->chunk, &run, level->refs, err);
    if (rc == ERR_OK)
        rc = put_chunk(l, CHUNK_INDEX, &up, err);
    buf_clear(&l->chunk);
    level->count = 0;
    level->spilled = true;
    return rc == ERR_OK ? push_ref(l, k + 1, &up, err) : rc;
}

static enum errc push_ref(struct list_store *l, uint32_t k, const struct chunk_ref *ref, struct err *err)
{
    enum errc rc = ERR_OK;
    if (!l->levels[k])
        rc = mem_alloc(&l->levels[k], sizeof *l->levels[k], err);
    if (rc == ERR_OK && l->levels[k]->count == INDEX_REFS)
        rc = spill(l, k, err);
    if (rc == ERR_OK)
        l->levels[k]->refs[l->levels[k]->count++] = *ref;
    return rc;
}

static enum errc flush(struct list_store *l, struct err *err)
{
    struct chunk_ref ref;
    if (l->chunk.len == 0)
        return ERR_OK;
    enum errc rc = put_chunk(l, CHUNK_LIST, &ref, err);
    buf_clear(&l->chunk);
    return rc == ERR_OK ? push_ref(l, 0, &ref, err) : rc;
}

enum errc list_store_add(struct list_store *l, const void *record, size_t len, uint64_t key, struct err *err)
{
    enum errc rc = ERR_OK;
    REQUIRE(len <= CHUNK_MAX_BYTES);
    if (l->chunk.len + len > CHUNK_MAX_BYTES)
        rc = flush(l, err);
    if (rc == ERR_OK)
        rc = buf_append(&l->chunk, record, len, err);
    if (rc != ERR_OK || l->chunk.len < LIST_MIN_BYTES)
        return rc;
    uint64_t h = (key ^ (key >> 29)) * 0xbf58476d1ce4e5b9u;
    uint64_t odds = len >= LIST_SPREAD_BYTES ? UINT32_MAX : ((uint64_t)len << 32) / LIST_SPREAD_BYTES;
    return (h >> 32) < odds ? flush(l, err) : ERR_OK;
}

enum errc list_store_finish(struct list_store *l, struct stream_root *out, struct err *err)
{
    enum errc rc = flush(l, err);
    uint32_t k = 0;
    while (rc == ERR_OK && (l->levels[k]->spilled || l->levels[k]->count > ROOT_MAX_REFS)) {
        if (l->levels[k]->count > 0)
            rc = spill(l, k, err);
        k++;
    }
    if (rc != ERR_OK)
        return rc;
    memset(out, 0, sizeof *out);
    out->depth = k;
    out->bytes = l->bytes;
    out->count = l->levels[k]->count;
    memcpy(out->refs, l->levels[k]->refs, out->count * sizeof out->refs[0]);
    return ERR_OK;
}
