#include <stdlib.h>
#include <string.h>

#include "catalog/db.h"

/* A descriptor without its name, as in a row: varints number, offset, stored length, plain length, u8 type, u8 codec,
 * u8 transform, varints dict, n, then the base's name when n > 0. Local to the catalog. */
static enum errc desc_put(struct buf *b, const struct record_desc *d, struct err *err)
{
    const uint64_t head[] = {d->number, d->offset, d->stored_len, d->plain_len};
    const uint8_t kinds[] = {d->type, d->codec, d->transform};
    enum errc rc = ERR_OK;

    buf_clear(b);
    for (size_t i = 0; i < sizeof head / sizeof head[0] && rc == ERR_OK; i++)
        rc = put_varint(b, head[i], err);
    if (rc == ERR_OK)
        rc = buf_append(b, kinds, sizeof kinds, err);
    if (rc == ERR_OK)
        rc = put_varint(b, d->dict, err);
    if (rc == ERR_OK)
        rc = put_varint(b, d->n, err);
    if (rc == ERR_OK && d->n > 0)
        rc = buf_append(b, d->base.b, sizeof d->base.b, err);
    return rc;
}

static bool desc_get(struct bytes v, struct record_desc *d)
{
    struct reader r = reader_of(v.data, v.len);

    d->number = (uint32_t)get_varint_max(&r, UINT32_MAX);
    d->offset = get_varint_max(&r, PACK_MAX_BYTES);
    d->stored_len = (uint32_t)get_varint_max(&r, RECORD_MAX_BYTES);
    d->plain_len = (uint32_t)get_varint_max(&r, CHUNK_MAX_BYTES);
    d->type = get_u8(&r);
    d->codec = get_u8(&r);
    d->transform = get_u8(&r);
    d->dict = (uint32_t)get_varint_max(&r, UINT32_MAX);
    d->n = (uint32_t)get_varint_max(&r, DELTA_MAX_N);
    if (reader_ok(&r) && d->n > 0)
        get_copy(&r, d->base.b, sizeof d->base.b);
    else
        memset(&d->base, 0, sizeof d->base);
    return reader_ok(&r) && reader_left(&r) == 0;
}

static int by_name(const void *a, const void *b)
{
    const struct catalog_chunk *x = a, *y = b;

    return memcmp(x->desc.name.b, y->desc.name.b, NAME_BYTES);
}

enum errc catalog_chunks_add(struct catalog *c, struct catalog_chunk *rows, size_t count, struct err *err)
{
    sqlite3_stmt *s;
    struct change x;
    enum errc rc;

    if (count == 0)
        return ERR_OK;
    qsort(rows, count, sizeof *rows, by_name); /* random order is five times slower */
    rc = change_begin(c, &x, err);
    if (rc != ERR_OK)
        return rc;
    rc = db_stmt(c, STMT_CHUNK_ADD, &s, err);
    for (size_t i = 0; i < count && rc == ERR_OK; i++) {
        rc = desc_put(&c->scratch, &rows[i].desc, err);
        if (rc != ERR_OK)
            break;
        db_bind_blob(s, 1, rows[i].desc.name.b, NAME_BYTES);
        db_bind_int(s, 2, rows[i].pack_id);
        db_bind_blob(s, 3, c->scratch.data, c->scratch.len);
        rc = db_run(c, s, err);
    }
    return change_end(c, &x, rc, err);
}

static bool better(const struct catalog_chunk *a, const struct catalog_chunk *b)
{
    return a->desc.n != b->desc.n ? a->desc.n < b->desc.n : a->pack_id > b->pack_id;
}

/* Keep the best max in order. */
static void place_copy(struct catalog_chunk *out, size_t max, size_t *count, const struct catalog_chunk *copy)
{
    size_t i = *count;

    if (i == max && !better(copy, &out[max - 1]))
        return;
    if (i < max)
        (*count)++;
    else
        i--;
    for (; i > 0 && better(copy, &out[i - 1]); i--)
        out[i] = out[i - 1];
    out[i] = *copy;
}

enum errc catalog_chunk_find(struct catalog *c, const struct chunk_name *name, uint64_t run, struct catalog_chunk *out,
                             size_t max, size_t *count_out, struct err *err)
{
    struct catalog_chunk copy = {.desc.name = *name};
    sqlite3_stmt *s;
    bool row;
    enum errc rc = db_stmt(c, STMT_CHUNK_FIND, &s, err);

    *count_out = 0;
    if (rc != ERR_OK || max == 0)
        return rc;
    db_bind_blob(s, 1, name->b, NAME_BYTES);
    db_bind_int(s, 2, run);
    while ((rc = db_row(c, s, &row, err)) == ERR_OK && row) {
        copy.pack_id = (uint32_t)db_int(s, 0);
        if (!desc_get(db_bytes(s, 1), &copy.desc)) {
            rc = db_bad_row(err, "a chunk's row");
            db_done(s);
            break;
        }
        place_copy(out, max, count_out, &copy);
    }
    return rc;
}

enum errc catalog_chunk_remove(struct catalog *c, const struct chunk_name *name, uint32_t pack_id, struct err *err)
{
    sqlite3_stmt *s;
    struct change x;
    enum errc rc = change_begin(c, &x, err);

    if (rc != ERR_OK)
        return rc;
    rc = db_stmt(c, STMT_CHUNK_REMOVE, &s, err);
    if (rc == ERR_OK) {
        db_bind_blob(s, 1, name->b, NAME_BYTES);
        db_bind_int(s, 2, pack_id);
        rc = db_run(c, s, err);
    }
    if (rc == ERR_OK)
        rc = db_stmt(c, STMT_PACK_GAPS, &s, err);
    if (rc == ERR_OK) {
        db_bind_int(s, 1, pack_id);
        rc = db_run(c, s, err);
    }
    return change_end(c, &x, rc, err);
}
