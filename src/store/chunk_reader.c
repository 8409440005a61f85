#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chunk/planes.h"
#include "store/internal.h"

/* A delta is decoded from the whole record upwards: each record's plain bytes are the prefix of the next. Two buffers
 * take turns. Which base: only a copy whose n is delta_base_n(n), so the chain gets shorter at every step and cannot
 * turn in a circle, whatever two writers did. Another copy is tried when one cannot be read. */

enum { OPEN_PACKS = 24, COPIES_MAX = 8 };

struct open_pack {
    uint32_t id;
    struct pack_reader *reader;
    uint64_t used; /* tick of its last use */
};

struct chunk_reader {
    struct store *store;
    struct codec *codec;
    struct namer *namer;
    struct open_pack packs[OPEN_PACKS];
    uint64_t tick;
    uint8_t *stored, *payload, *scratch, *plain[2];
};

enum errc chunk_reader_new(struct store *s, struct chunk_reader **out, struct err *err)
{
    struct chunk_reader *r;
    enum errc rc = mem_alloc(&r, sizeof *r, err);
    if (rc != ERR_OK)
        return rc;
    r->store = s;
    rc = codec_new(1, 1, &r->codec, err);
    if (rc == ERR_OK)
        rc = namer_new(s->keys.naming, s->keys.fingerprint, &r->namer, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&r->stored, RECORD_MAX_BYTES, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&r->payload, RECORD_MAX_BYTES, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&r->scratch, CHUNK_MAX_BYTES, err);
    for (int i = 0; rc == ERR_OK && i < 2; i++)
        rc = mem_alloc(&r->plain[i], CHUNK_MAX_BYTES, err);
    if (rc != ERR_OK) {
        chunk_reader_free(r);
        return rc;
    }
    *out = r;
    return ERR_OK;
}

void chunk_reader_free(struct chunk_reader *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < OPEN_PACKS; i++)
        pack_reader_free(r->packs[i].reader);
    codec_free(r->codec);
    namer_free(r->namer);
    free(r->stored);
    free(r->payload);
    free(r->scratch);
    free(r->plain[0]);
    free(r->plain[1]);
    free(r);
}

enum errc chunk_find(struct store *s, const struct chunk_name *name, struct catalog_chunk *out, size_t max,
                     size_t *count_out, struct err *err)
{
    pthread_mutex_lock(&s->lock);
    enum errc rc = catalog_chunk_find(s->catalog, name, s->run, out, max, count_out, err);
    if (rc == ERR_OK && *count_out == 0 && !s->retried) {
        /* Its pack may have been out of reach for a moment when the catalog was made. Once is enough. */
        bool any;
        s->retried = true;
        rc = packs_retry(s, &any, err);
        if (rc == ERR_OK && any)
            rc = catalog_chunk_find(s->catalog, name, s->run, out, max, count_out, err);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static enum errc open_pack(struct chunk_reader *r, uint32_t id, struct pack_reader **out, struct err *err)
{
    struct open_pack *oldest = &r->packs[0];
    r->tick++;
    for (size_t i = 0; i < OPEN_PACKS; i++) {
        struct open_pack *p = &r->packs[i];
        if (p->reader && p->id == id) {
            p->used = r->tick;
            *out = p->reader;
            return ERR_OK;
        }
        if (p->used < oldest->used)
            oldest = p;
    }
    struct catalog_pack pack;
    pthread_mutex_lock(&r->store->lock);
    enum errc rc = catalog_pack_by_id(r->store->catalog, id, &pack, err);
    pthread_mutex_unlock(&r->store->lock);
    struct pack_reader *reader = NULL;
    if (rc == ERR_OK)
        rc = pack_reader_open(r->store, &pack.name, &reader, err);
    if (rc != ERR_OK)
        return rc;
    pack_reader_free(oldest->reader);
    *oldest = (struct open_pack){.id = id, .reader = reader, .used = r->tick};
    *out = reader;
    return ERR_OK;
}

/* Payload (in r->payload or, for raw ones, in dst) to plain bytes. */
static enum errc decode_payload(struct chunk_reader *r, const struct record_desc *d, const uint8_t *prefix,
                                size_t prefix_len, uint8_t *dst, struct err *err)
{
    size_t len = d->stored_len - SEAL_TAG_BYTES;
    bool planes = planes_width(d->transform) > 0 && d->codec == CODEC_ZSTD;
    if ((d->transform != TRANSFORM_NONE && !planes) || d->dict != 0)
        return err_fail(err, ERR_FORMAT_NEWER, "a record uses transform %u, which this program does not know",
                        d->transform);
    if (planes)
        return planes_decompress(r->codec, d->transform, r->payload, len, r->scratch, dst, d->plain_len, err);
    if (d->codec == CODEC_RAW) {
        if (len != d->plain_len)
            return err_fail(err, ERR_DAMAGED, "a raw record's length does not agree with its chunk's");
        memcpy(dst, r->payload, len);
        return ERR_OK;
    }
    return codec_decompress(r->codec, r->payload, len, prefix, prefix_len, dst, d->plain_len, err);
}

static enum errc read_copy(struct chunk_reader *r, const struct catalog_chunk *c, int into, unsigned depth,
                           struct err *err);

/* Plain bytes of the delta's base into r->plain[into]. */
static enum errc read_base(struct chunk_reader *r, const struct record_desc *d, int into, unsigned depth,
                           size_t *len_out, struct err *err)
{
    struct catalog_chunk copies[COPIES_MAX];
    size_t count;
    enum errc rc = chunk_find(r->store, &d->base, copies, COPIES_MAX, &count, err);
    if (rc != ERR_OK)
        return rc;
    rc = err_fail(err, ERR_DAMAGED, "the base of a delta is not in the repository");
    for (size_t i = 0; i < count; i++) {
        if (copies[i].desc.n != delta_base_n(d->n))
            continue;
        rc = read_copy(r, &copies[i], into, depth + 1, err);
        if (rc == ERR_OK) {
            *len_out = copies[i].desc.plain_len;
            return ERR_OK;
        }
    }
    return rc;
}

static enum errc read_copy(struct chunk_reader *r, const struct catalog_chunk *c, int into, unsigned depth,
                           struct err *err)
{
    const struct record_desc *d = &c->desc;
    struct pack_reader *pack;
    size_t base_len = 0;
    if (depth > DELTA_MAX_CHAIN)
        return err_fail(err, ERR_DAMAGED, "a chain of deltas is longer than the format allows");
    enum errc rc = d->n > 0 ? read_base(r, d, !into, depth, &base_len, err) : ERR_OK;
    if (rc == ERR_OK)
        rc = open_pack(r, c->pack_id, &pack, err);
    if (rc == ERR_OK)
        rc = pack_reader_get(pack, d, r->stored, r->payload, err);
    if (rc != ERR_OK)
        return rc;
    return decode_payload(r, d, d->n > 0 ? r->plain[!into] : NULL, base_len, r->plain[into], err);
}

enum errc chunk_read_record(struct chunk_reader *r, const struct catalog_chunk *c, uint8_t *dst, size_t *len_out,
                            struct err *err)
{
    enum errc rc = read_copy(r, c, 0, 0, err);
    if (rc == ERR_OK) {
        memcpy(dst, r->plain[0], c->desc.plain_len);
        *len_out = c->desc.plain_len;
    }
    return rc;
}

static enum errc check_name(struct chunk_reader *r, const struct chunk_name *name, enum chunk_type type,
                            const uint8_t *plain, size_t len, struct err *err)
{
    struct chunk_name again;
    enum errc rc = namer_name(r->namer, type, plain, len, &again, err);
    if (rc == ERR_OK && memcmp(&again, name, sizeof again) != 0)
        rc = err_fail(err, ERR_DAMAGED, "a chunk's bytes are not those it is named by");
    return rc;
}

static enum errc check_print(struct chunk_reader *r, const struct fingerprint *print, const uint8_t *plain, size_t len,
                             struct err *err)
{
    struct fingerprint again;
    enum errc rc = namer_fingerprint(r->namer, plain, len, &again, err);
    if (rc == ERR_OK && memcmp(&again, print, sizeof again) != 0)
        rc = err_fail(err, ERR_DAMAGED, "a chunk's bytes are not those that its entry names");
    return rc;
}

/* print: what to check against in place of the name, or NULL. */
static enum errc read_any_copy(struct chunk_reader *r, const struct chunk_name *name, const struct fingerprint *print,
                               enum chunk_type type, uint8_t *dst, size_t len, struct err *err)
{
    struct catalog_chunk copies[COPIES_MAX];
    size_t count;
    char hex[2 * NAME_BYTES + 1];
    enum errc rc = chunk_find(r->store, name, copies, COPIES_MAX, &count, err);
    if (rc != ERR_OK)
        return rc;
    if (count == 0)
        return err_fail(err, ERR_MISSING_OBJECT, "chunk %.16s is not in the repository",
                        hex_encode(hex, name->b, NAME_BYTES));
    for (size_t i = 0; i < count; i++) {
        const struct record_desc *d = &copies[i].desc;
        rc = ERR_OK;
        if (d->type != type || d->plain_len != len)
            rc = err_fail(err, ERR_DAMAGED, "chunk %.16s is of another kind or length than where it is named",
                          hex_encode(hex, name->b, NAME_BYTES));
        if (rc == ERR_OK)
            rc = read_copy(r, &copies[i], 0, 0, err);
        if (rc == ERR_OK)
            rc =
                print ? check_print(r, print, r->plain[0], len, err) : check_name(r, name, type, r->plain[0], len, err);
        if (rc == ERR_OK) {
            memcpy(dst, r->plain[0], len);
            return ERR_OK;
        }
    }
    return err_wrap(err, "chunk %.16s", hex_encode(hex, name->b, NAME_BYTES));
}

enum errc chunk_read(struct chunk_reader *r, const struct chunk_name *name, enum chunk_type type, uint8_t *dst,
                     size_t len, struct err *err)
{
    return read_any_copy(r, name, NULL, type, dst, len, err);
}

enum errc chunk_read_ref(struct chunk_reader *r, const struct chunk_ref *ref, uint8_t *dst, struct err *err)
{
    static const struct fingerprint unknown;
    bool has_print = memcmp(&ref->print, &unknown, sizeof unknown) != 0;
    return read_any_copy(r, &ref->name, has_print ? &ref->print : NULL, CHUNK_DATA, dst, ref->len, err);
}

enum errc chunk_check_stored(struct chunk_reader *r, struct pack_reader *p, const struct record_desc *d,
                             const uint8_t *stored, struct err *err)
{
    size_t base_len = 0;
    enum errc rc = d->n > 0 ? read_base(r, d, 1, 0, &base_len, err) : ERR_OK;
    if (rc == ERR_OK)
        rc = pack_reader_unseal(p, d, stored, r->payload, err);
    if (rc == ERR_OK)
        rc = decode_payload(r, d, d->n > 0 ? r->plain[1] : NULL, base_len, r->plain[0], err);
    if (rc == ERR_OK)
        rc = check_name(r, &d->name, d->type, r->plain[0], d->plain_len, err);
    return rc;
}
