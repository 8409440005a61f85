#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

/* Names claimed by this session whose pack is not closed yet: an open-addressed table. It holds at most the records of
 * one pack and what the workers have in hand, so it does not grow with the source. */

struct session_index {
    struct store *store;
    struct chunk_name *slots; /* all zero: free */
    size_t cap, used;         /* cap is a power of two */
};

enum { FIRST_CAP = 4096 };

static bool is_free(const struct chunk_name *n)
{
    static const struct chunk_name zero;
    return memcmp(n, &zero, sizeof zero) == 0;
}

/* Names are keyed hashes: their first bytes are as good as any hash of them. */
static size_t place(const struct chunk_name *slots, size_t cap, const struct chunk_name *name)
{
    uint64_t h;
    memcpy(&h, name->b, sizeof h);
    size_t i = (size_t)h & (cap - 1);
    while (!is_free(&slots[i]) && memcmp(&slots[i], name, sizeof *name) != 0)
        i = (i + 1) & (cap - 1);
    return i;
}

static enum errc resize(struct session_index *x, size_t cap, struct err *err)
{
    struct chunk_name *slots;
    enum errc rc = mem_alloc(&slots, cap * sizeof *slots, err);
    if (rc != ERR_OK)
        return rc;
    for (size_t i = 0; i < x->cap; i++)
        if (!is_free(&x->slots[i]))
            slots[place(slots, cap, &x->slots[i])] = x->slots[i];
    free(x->slots);
    x->slots = slots;
    x->cap = cap;
    return ERR_OK;
}

enum errc session_index_new(struct store *s, struct session_index **out, struct err *err)
{
    struct session_index *x;
    enum errc rc = mem_alloc(&x, sizeof *x, err);
    if (rc != ERR_OK)
        return rc;
    x->store = s;
    rc = resize(x, FIRST_CAP, err);
    if (rc != ERR_OK) {
        free(x);
        return rc;
    }
    *out = x;
    return ERR_OK;
}

void session_index_free(struct session_index *x)
{
    if (!x)
        return;
    free(x->slots);
    free(x);
}

static bool is_doubtful(const struct store *s, uint32_t pack_id)
{
    for (size_t i = 0; i < s->doubtful_count; i++)
        if (s->doubtful[i] == pack_id)
            return true;
    return false;
}

/* Is there a copy with all that it is rebuilt from? A delta whose base was lost is no reason not to store the chunk. n:
 * of the copies that count, or -1 for any. */
static enum errc stands(struct store *s, const struct chunk_name *name, int64_t n, unsigned depth, bool *yes,
                        struct err *err)
{
    enum { COPIES_MAX = 8 };
    struct catalog_chunk copies[COPIES_MAX];
    size_t count = 0;
    *yes = false;
    enum errc rc = catalog_chunk_find(s->catalog, name, s->run, copies, COPIES_MAX, &count, err);
    for (size_t i = 0; rc == ERR_OK && i < count && !*yes; i++) {
        const struct record_desc *d = &copies[i].desc;
        if ((n >= 0 && d->n != n) || is_doubtful(s, copies[i].pack_id))
            continue;
        if (d->n == 0)
            *yes = true;
        else if (depth < DELTA_MAX_CHAIN)
            rc = stands(s, &d->base, delta_base_n(d->n), depth + 1, yes, err);
    }
    return rc;
}

static enum errc claim(struct session_index *x, const struct chunk_name *name, bool *known_out, struct err *err)
{
    size_t i = place(x->slots, x->cap, name);
    *known_out = true;
    if (!is_free(&x->slots[i]))
        return ERR_OK;
    enum errc rc = stands(x->store, name, -1, 0, known_out, err);
    if (rc != ERR_OK || *known_out)
        return rc;
    if ((x->used + 1) * 2 > x->cap) {
        rc = resize(x, x->cap * 2, err);
        if (rc != ERR_OK)
            return rc;
        i = place(x->slots, x->cap, name);
    }
    x->slots[i] = *name;
    x->used++;
    return ERR_OK;
}

enum errc session_index_claim(struct session_index *x, const struct chunk_name *name, bool *known_out, struct err *err)
{
    pthread_mutex_lock(&x->store->lock);
    enum errc rc = claim(x, name, known_out, err);
    pthread_mutex_unlock(&x->store->lock);
    return rc;
}

/* Take a name out and close the gap, so that later probes still find what stood behind it. */
static void forget(struct session_index *x, const struct chunk_name *name)
{
    size_t i = place(x->slots, x->cap, name);
    if (is_free(&x->slots[i]))
        return;
    memset(&x->slots[i], 0, sizeof x->slots[i]);
    x->used--;
    for (size_t j = (i + 1) & (x->cap - 1); !is_free(&x->slots[j]); j = (j + 1) & (x->cap - 1)) {
        struct chunk_name moved = x->slots[j];
        memset(&x->slots[j], 0, sizeof x->slots[j]);
        x->slots[place(x->slots, x->cap, &moved)] = moved;
    }
}

void session_index_forget(struct session_index *x, const struct record_desc *descs, size_t count)
{
    pthread_mutex_lock(&x->store->lock);
    for (size_t i = 0; i < count; i++)
        forget(x, &descs[i].name);
    pthread_mutex_unlock(&x->store->lock);
}

static enum errc add_rows(struct session_index *x, uint32_t pack_id, const struct record_desc *descs, size_t count,
                          struct err *err)
{
    struct catalog_chunk *rows;
    enum errc rc = mem_alloc(&rows, count * sizeof *rows, err);
    if (rc != ERR_OK)
        return rc;
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct catalog_chunk){.pack_id = pack_id, .desc = descs[i]};
    rc = catalog_chunks_add(x->store->catalog, rows, count, err);
    free(rows);
    return rc;
}

enum errc session_index_pack(struct session_index *x, const struct digest *pack, uint64_t bytes,
                             struct record_desc *descs, size_t count, struct err *err)
{
    struct catalog *c = x->store->catalog;
    uint32_t pack_id;
    pthread_mutex_lock(&x->store->lock);
    enum errc rc = catalog_begin(c, err);
    if (rc == ERR_OK) {
        rc = catalog_pack_add(c, pack, bytes, (uint32_t)count, x->store->run, &pack_id, err);
        if (rc == ERR_OK)
            rc = add_rows(x, pack_id, descs, count, err);
        if (rc == ERR_OK)
            rc = catalog_commit(c, err);
        if (rc != ERR_OK)
            catalog_rollback(c);
    }
    if (rc == ERR_OK)
        for (size_t i = 0; i < count; i++)
            forget(x, &descs[i].name);
    pthread_mutex_unlock(&x->store->lock);
    return rc;
}
