/* Small objects in three copies (wire.h, docs/format.md "Three copies"). */
#include <string.h>

#include "chunk/seal.h"
#include "format/wire.h"

enum { COPY_HEADER_BYTES = 48, COPY_ALIGN = 512, COPIES = 3, CANDIDATES_MAX = 64 };
static const uint8_t MAGIC[8] = {'S', 'N', 'A', 'P', 'C', 'O', 'P', 'Y'};

static size_t copy_bytes(size_t content_len)
{
    return (COPY_HEADER_BYTES + content_len + COPY_ALIGN - 1) / COPY_ALIGN * COPY_ALIGN;
}

static enum errc copy_header(const void *content, size_t len, uint8_t out[COPY_HEADER_BYTES], struct err *err)
{
    struct digest digest;
    enum errc rc = sha256(content, len, &digest, err);
    if (rc != ERR_OK)
        return rc;
    memset(out, 0, COPY_HEADER_BYTES);
    memcpy(out, MAGIC, sizeof MAGIC);
    for (unsigned i = 0; i < 4; i++)
        out[8 + i] = (uint8_t)(len >> (8 * i));
    memcpy(out + 16, digest.b, sizeof digest.b);
    return ERR_OK;
}

enum errc triple_encode(struct buf *out, const void *content, size_t len, struct err *err)
{
    if (len > UINT32_MAX - COPY_ALIGN || len > out->max)
        return err_fail(err, ERR_LIMIT, "an object of %zu bytes is too large to be kept in three copies", len);
    uint8_t header[COPY_HEADER_BYTES];
    enum errc rc = copy_header(content, len, header, err);
    if (rc == ERR_OK)
        rc = buf_reserve(out, COPIES * copy_bytes(len), err);
    if (rc != ERR_OK)
        return rc;
    for (int i = 0; i < COPIES; i++) {
        uint8_t *p = out->data + out->len;
        memset(p, 0, copy_bytes(len));
        memcpy(p, header, sizeof header);
        if (len > 0)
            memcpy(p + COPY_HEADER_BYTES, content, len);
        out->len += copy_bytes(len);
    }
    return ERR_OK;
}

/* Is there a whole copy at data[0..len)? */
static enum errc copy_check(const uint8_t *data, size_t len, size_t max, struct bytes *content_out, bool *whole_out,
                            struct err *err)
{
    *whole_out = false;
    struct reader r = reader_of(data, len);
    struct bytes magic = get_bytes(&r, sizeof MAGIC);
    uint32_t content_len = get_u32(&r);
    (void)get_u32(&r);
    struct bytes sum = get_bytes(&r, DIGEST_BYTES);
    struct bytes content = get_bytes(&r, content_len);
    if (!reader_ok(&r) || content_len > max || memcmp(magic.data, MAGIC, sizeof MAGIC) != 0)
        return ERR_OK;
    struct digest digest;
    enum errc rc = sha256(content.data, content.len, &digest, err);
    if (rc != ERR_OK)
        return rc;
    *whole_out = memcmp(digest.b, sum.data, sizeof digest.b) == 0;
    *content_out = content;
    return ERR_OK;
}

/* Look for a copy at every step-th offset. Hashing is bounded: a file full of false beginnings is given up. */
static enum errc copy_find(const uint8_t *data, size_t len, size_t step, size_t max, struct bytes *content_out,
                           bool *found_out, struct err *err)
{
    unsigned candidates = 0;
    *found_out = false;
    for (size_t at = 0; at < len && len - at >= COPY_HEADER_BYTES && candidates < CANDIDATES_MAX; at += step) {
        if (step == 1) {
            const uint8_t *hit = memmem(data + at, len - at, MAGIC, sizeof MAGIC);
            if (!hit)
                break;
            at = (size_t)(hit - data);
        } else if (memcmp(data + at, MAGIC, sizeof MAGIC) != 0) {
            continue;
        }
        candidates++;
        enum errc rc = copy_check(data + at, len - at, max, content_out, found_out, err);
        if (rc != ERR_OK || *found_out)
            return rc;
    }
    return ERR_OK;
}

/* How many of the three places hold exactly what triple_encode puts there. */
static enum errc copies_in_place(const uint8_t *data, size_t len, struct bytes content, unsigned *good_out,
                                 struct err *err)
{
    uint8_t header[COPY_HEADER_BYTES];
    static const uint8_t zeros[COPY_ALIGN];
    enum errc rc = copy_header(content.data, content.len, header, err);
    if (rc != ERR_OK)
        return rc;
    size_t size = copy_bytes(content.len);
    size_t padding = size - COPY_HEADER_BYTES - content.len;
    unsigned good = 0;
    for (size_t i = 0; i < COPIES && (i + 1) * size <= len; i++) {
        const uint8_t *p = data + i * size;
        if (memcmp(p, header, COPY_HEADER_BYTES) == 0 &&
            memcmp(p + COPY_HEADER_BYTES, content.data, content.len) == 0 &&
            memcmp(p + COPY_HEADER_BYTES + content.len, zeros, padding) == 0)
            good++;
    }
    if (good == COPIES && len != COPIES * size)
        good = COPIES - 1; /* something stands behind them */
    *good_out = good > 0 ? good : 1;
    return ERR_OK;
}

enum errc triple_decode(const void *data, size_t len, size_t max, struct bytes *content_out, unsigned *good_out,
                        struct err *err)
{
    bool found = false;
    enum errc rc = copy_find(data, len, COPY_ALIGN, max, content_out, &found, err);
    if (rc == ERR_OK && !found)
        rc = copy_find(data, len, 1, max, content_out, &found, err);
    if (rc != ERR_OK)
        return rc;
    if (!found)
        return err_fail(err, ERR_DAMAGED, "none of the three copies is whole");
    return good_out ? copies_in_place(data, len, *content_out, good_out, err) : ERR_OK;
}
