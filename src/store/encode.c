#include <stdlib.h>
#include <string.h>

#include "chunk/planes.h"
#include "store/internal.h"

/* docs/adr/0001 (levels), 0003 (self-check and the delta rule). A delta is taken at once when it is at most an eighth
 * of the plain bytes; up to half, the whole is made too and the delta taken when it is at most half of that. */

enum { LEVEL = 1, DELTA_LEVEL = 3, COPIES_MAX = 8 };

struct encoder {
    struct store *store;
    struct codec *codec;
    struct namer *namer;
    struct chunk_reader *reader;
    uint8_t *base;   /* plain bytes of the base */
    uint8_t *whole;  /* the whole, when a delta is compared with it */
    uint8_t *check;  /* what decodes */
    uint8_t *planes; /* scratch */
};

enum errc encoder_new(struct store *s, struct encoder **out, struct err *err)
{
    struct encoder *e;
    enum errc rc = mem_alloc(&e, sizeof *e, err);
    if (rc != ERR_OK)
        return rc;
    e->store = s;
    rc = codec_new(LEVEL, DELTA_LEVEL, &e->codec, err);
    if (rc == ERR_OK)
        rc = namer_new(s->keys.naming, s->keys.fingerprint, &e->namer, err);
    if (rc == ERR_OK)
        rc = chunk_reader_new(s, &e->reader, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&e->base, CHUNK_MAX_BYTES, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&e->whole, CHUNK_MAX_BYTES, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&e->check, CHUNK_MAX_BYTES, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&e->planes, CHUNK_MAX_BYTES, err);
    if (rc != ERR_OK) {
        encoder_free(e);
        return rc;
    }
    *out = e;
    return ERR_OK;
}

void encoder_free(struct encoder *e)
{
    if (!e)
        return;
    codec_free(e->codec);
    namer_free(e->namer);
    chunk_reader_free(e->reader);
    free(e->base);
    free(e->whole);
    free(e->check);
    free(e->planes);
    free(e);
}

struct namer *encoder_namer(struct encoder *e)
{
    return e->namer;
}

/* From the previous version (n - 1) down its own bases to version delta_base_n(n): counting down the lowest digit of
 * n - 1 again and again passes through it. False when there is none that can serve. */
static bool find_base(struct encoder *e, const struct chunk_name *previous, struct catalog_chunk *base_out,
                      uint32_t *n_out)
{
    struct catalog_chunk copies[COPIES_MAX];
    struct err ignored;
    size_t count;
    if (chunk_find(e->store, previous, copies, COPIES_MAX, &count, &ignored) != ERR_OK || count == 0)
        return false;
    struct catalog_chunk at = copies[0];
    uint32_t n = at.desc.n + 1, wanted = delta_base_n(n);
    if (n > DELTA_MAX_N)
        return false;
    while (at.desc.n != wanted) {
        size_t i = 0;
        uint32_t next = delta_base_n(at.desc.n);
        if (at.desc.n < wanted || chunk_find(e->store, &at.desc.base, copies, COPIES_MAX, &count, &ignored) != ERR_OK)
            return false;
        while (i < count && copies[i].desc.n != next)
            i++;
        if (i == count)
            return false;
        at = copies[i];
    }
    *base_out = at;
    *n_out = n;
    return true;
}

static enum errc verify(struct encoder *e, const struct encoded *x, const uint8_t *src, size_t len, size_t base_len,
                        struct err *err)
{
    if (x->desc.codec == CODEC_RAW)
        return ERR_OK; /* the payload is the source itself */
    bool delta = x->desc.codec == CODEC_ZSTD_DELTA;
    struct err cause;
    enum errc rc = x->desc.transform != TRANSFORM_NONE
                       ? planes_decompress(e->codec, x->desc.transform, x->payload, x->payload_len, e->planes, e->check,
                                           len, &cause)
                       : codec_decompress(e->codec, x->payload, x->payload_len, delta ? e->base : NULL,
                                          delta ? base_len : 0, e->check, len, &cause);
    if (rc != ERR_OK || memcmp(e->check, src, len) != 0)
        return err_fail(err, ERR_INTERNAL,
                        "a chunk did not decode to what was compressed: faulty memory, processor or library");
    return ERR_OK;
}

static void take(struct encoded *out, enum codec_id codec, const uint8_t *payload, size_t len)
{
    out->desc.codec = (uint8_t)codec;
    out->payload = payload;
    out->payload_len = len;
}

/* *taken tells whether the delta was good enough. */
static enum errc try_delta(struct encoder *e, const struct chunk_name *previous, const uint8_t *src, size_t len,
                           uint8_t *dst, size_t *base_len, bool *taken, struct encoded *out, struct err *err)
{
    struct catalog_chunk base;
    struct err ignored;
    uint32_t n;
    size_t delta_len, whole_len;
    *taken = false;
    if (!find_base(e, previous, &base, &n) ||
        chunk_read_record(e->reader, &base, e->base, base_len, &ignored) != ERR_OK)
        return ERR_OK; /* a damaged base is verify's business; here the whole is stored */
    enum errc rc = codec_compress(e->codec, src, len, e->base, *base_len, dst, len / 2, &delta_len, err);
    if (rc != ERR_OK || delta_len == 0)
        return rc;
    if (delta_len > len / 8) {
        rc = codec_compress(e->codec, src, len, NULL, 0, e->whole, len, &whole_len, err);
        if (rc != ERR_OK || (whole_len != 0 && delta_len > whole_len / 2))
            return rc;
    }
    *taken = true;
    take(out, CODEC_ZSTD_DELTA, dst, delta_len);
    out->desc.n = n;
    out->desc.base = base.desc.name;
    return ERR_OK;
}

enum errc encoder_encode(struct encoder *e, const struct chunk_name *name, enum chunk_type type, const uint8_t *src,
                         size_t len, const struct chunk_name *base, uint8_t *dst, struct encoded *out, struct err *err)
{
    enum errc rc = ERR_OK;
    size_t base_len = 0, whole_len = 0;
    bool delta = false;
    memset(out, 0, sizeof *out);
    out->desc.name = *name;
    out->desc.type = (uint8_t)type;
    out->desc.plain_len = (uint32_t)len;
    if (base)
        rc = try_delta(e, base, src, len, dst, &base_len, &delta, out, err);
    if (rc == ERR_OK && !delta) {
        /* Worth it only when it saves something: a sixty-fourth. */
        size_t worth = len - len / 64;
        enum transform_id transform = planes_choose(src, len);
        if (transform != TRANSFORM_NONE)
            rc = planes_compress(e->codec, transform, src, len, e->planes, dst, worth, &whole_len, err);
        if (whole_len != 0)
            out->desc.transform = (uint8_t)transform;
        else if (rc == ERR_OK)
            rc = codec_compress(e->codec, src, len, NULL, 0, dst, worth, &whole_len, err);
        if (whole_len != 0)
            take(out, CODEC_ZSTD, dst, whole_len);
        else
            take(out, CODEC_RAW, src, len);
    }
    return rc == ERR_OK ? verify(e, out, src, len, base_len, err) : rc;
}
