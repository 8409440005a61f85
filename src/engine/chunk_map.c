#include "engine/chunk_map.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/limits.h"

enum { BATCH = 512 };

/* As it lies in the file, in order of offsets. */
struct place {
    uint64_t offset;
    uint32_t len, zero;
    struct chunk_name name;
};

struct chunk_map {
    struct chunk_reader *chunks;
    struct hasher *hasher;
    int fd;
    uint64_t count, size;
    struct digest digest;
    struct place batch[BATCH];
    size_t batched;
    uint8_t *plain;      /* the chunk read last */
    struct place loaded; /* len 0: none */
};

static const char what[] = "a temporary file";

enum errc chunk_map_new(struct store *s, struct chunk_map **out, struct err *err)
{
    struct chunk_map *m;
    enum errc rc = mem_alloc(&m, sizeof *m, err);
    if (rc != ERR_OK)
        return rc;
    m->fd = -1;
    rc = chunk_reader_new(s, &m->chunks, err);
    if (rc == ERR_OK)
        rc = hasher_new(&m->hasher, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&m->plain, CHUNK_MAX_BYTES, err);
    if (rc == ERR_OK)
        rc = io_temp_file(&m->fd, err);
    if (rc != ERR_OK) {
        chunk_map_free(m);
        return rc;
    }
    *out = m;
    return ERR_OK;
}

void chunk_map_free(struct chunk_map *m)
{
    if (!m)
        return;
    chunk_reader_free(m->chunks);
    hasher_free(m->hasher);
    io_close_quietly(&m->fd);
    free(m->plain);
    free(m);
}

static enum errc write_batch(struct chunk_map *m, struct err *err)
{
    size_t len = m->batched * sizeof m->batch[0];
    enum errc rc = io_pwrite(m->fd, m->batch, len, m->count * sizeof m->batch[0], what, err);
    if (rc == ERR_OK)
        rc = hasher_update(m->hasher, m->batch, len, err);
    m->count += m->batched;
    m->batched = 0;
    return rc;
}

enum errc chunk_map_load(struct chunk_map *m, struct list_walk *w, struct err *err)
{
    enum errc rc = hasher_final(m->hasher, &m->digest, err); /* starts anew */
    m->count = 0;
    m->batched = 0;
    m->loaded.len = 0;
    while (rc == ERR_OK) {
        struct chunk_ref ref;
        uint64_t offset;
        bool more;
        rc = list_walk_ref(w, &ref, &offset, &more, err);
        if (rc != ERR_OK || !more)
            break;
        m->batch[m->batched++] = (struct place){.offset = offset, .len = ref.len, .name = ref.name};
        if (m->batched == BATCH)
            rc = write_batch(m, err);
    }
    if (rc == ERR_OK)
        rc = write_batch(m, err);
    m->size = rc == ERR_OK && w->has_end ? w->end.size : 0;
    if (rc == ERR_OK)
        rc = hasher_update(m->hasher, &m->size, sizeof m->size, err);
    return rc == ERR_OK ? hasher_final(m->hasher, &m->digest, err) : rc;
}

uint64_t chunk_map_size(const struct chunk_map *m)
{
    return m->size;
}

const struct digest *chunk_map_digest(const struct chunk_map *m)
{
    return &m->digest;
}

static enum errc place_at(const struct chunk_map *m, uint64_t index, struct place *out, struct err *err)
{
    return io_pread_exact(m->fd, out, sizeof *out, index * sizeof *out, what, err);
}

/* The first place that ends behind offset; count when there is none. */
static enum errc find_place(const struct chunk_map *m, uint64_t offset, uint64_t *index_out, struct err *err)
{
    uint64_t low = 0, high = m->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct place p;
        enum errc rc = place_at(m, middle, &p, err);
        if (rc != ERR_OK)
            return rc;
        if (p.offset + p.len > offset)
            high = middle;
        else
            low = middle + 1;
    }
    *index_out = low;
    return ERR_OK;
}

static enum errc load_chunk(struct chunk_map *m, const struct place *p, struct err *err)
{
    if (m->loaded.len == p->len && m->loaded.offset == p->offset)
        return ERR_OK;
    m->loaded.len = 0;
    enum errc rc = chunk_read(m->chunks, &p->name, CHUNK_DATA, m->plain, p->len, err);
    if (rc == ERR_OK)
        m->loaded = *p;
    return rc;
}

enum errc chunk_map_read(struct chunk_map *m, void *dst, size_t len, uint64_t offset, struct err *err)
{
    uint64_t index, end = offset + len;
    if (offset > m->size || len > m->size - offset)
        return err_fail(err, ERR_INTERNAL, "a read behind the end of an entry");
    enum errc rc = find_place(m, offset, &index, err);
    memset(dst, 0, len);
    for (; rc == ERR_OK && index < m->count; index++) {
        struct place p;
        rc = place_at(m, index, &p, err);
        if (rc != ERR_OK || p.offset >= end)
            break;
        if (p.len == 0)
            continue;
        rc = load_chunk(m, &p, err);
        if (rc != ERR_OK)
            break;
        uint64_t from = p.offset > offset ? p.offset : offset, to = p.offset + p.len < end ? p.offset + p.len : end;
        memcpy((uint8_t *)dst + (from - offset), m->plain + (from - p.offset), (size_t)(to - from));
    }
    return rc;
}
