#include "chunk/planes.h"

#include <string.h>

enum {
    SAMPLE_PIECES = 4,
    PIECE_BYTES = 1024, /* taken at even distances; a multiple of every width */
    PLANE_SAMPLE = SAMPLE_PIECES * PIECE_BYTES / PLANES_WIDTH_4,
    /* Sums of squared counts of PLANE_SAMPLE bytes: drawn evenly from 256 values, about N + N * N / 256 = 5,120. */
    EVEN = PLANE_SAMPLE + PLANE_SAMPLE * PLANE_SAMPLE / 256,
    NEARLY_EVEN = EVEN + EVEN / 4,
    SKEWED = EVEN * 4,
    HEADER_BYTES = 4, /* of each plane */
};

/* How uneven the bytes at one position are, in a sample. */
static uint32_t unevenness(const uint8_t *data, size_t len, unsigned width, unsigned plane)
{
    uint16_t counts[256] = {0};
    size_t step = (len / SAMPLE_PIECES) & ~(size_t)(width - 1);
    for (unsigned piece = 0; piece < SAMPLE_PIECES; piece++)
        for (size_t i = plane; i < PIECE_BYTES; i += width)
            counts[data[piece * step + i]]++;
    uint32_t sum = 0;
    for (unsigned i = 0; i < 256; i++)
        sum += (uint32_t)counts[i] * counts[i];
    return sum;
}

enum transform_id planes_choose(const uint8_t *data, size_t len)
{
    unsigned skewed = 0, even = 0;
    if (len < (size_t)SAMPLE_PIECES * PIECE_BYTES)
        return TRANSFORM_NONE;
    for (unsigned k = 0; k < PLANES_WIDTH_4; k++) {
        uint32_t u = unevenness(data, len, PLANES_WIDTH_4, k);
        skewed += u >= SKEWED;
        even += u <= NEARLY_EVEN;
    }
    /* The mark of float32: mantissa bytes that nothing compresses, beside an exponent that does. */
    return skewed >= 1 && even >= 2 ? TRANSFORM_PLANES_4 : TRANSFORM_NONE;
}

static size_t plane_len(size_t len, unsigned width, unsigned plane)
{
    return (len + width - 1 - plane) / width;
}

void planes_split(const uint8_t *src, size_t len, unsigned width, uint8_t *dst)
{
    REQUIRE(width == PLANES_WIDTH_4);
    uint8_t *p0 = dst, *p1 = p0 + plane_len(len, 4, 0), *p2 = p1 + plane_len(len, 4, 1),
            *p3 = p2 + plane_len(len, 4, 2);
    size_t whole = len / 4;
    for (size_t i = 0; i < whole; i++) {
        p0[i] = src[4 * i];
        p1[i] = src[4 * i + 1];
        p2[i] = src[4 * i + 2];
        p3[i] = src[4 * i + 3];
    }
    uint8_t *planes[] = {p0, p1, p2};
    for (size_t k = 0; k < len % 4; k++)
        planes[k][whole] = src[4 * whole + k];
}

void planes_join(const uint8_t *src, size_t len, unsigned width, uint8_t *dst)
{
    REQUIRE(width == PLANES_WIDTH_4);
    const uint8_t *p0 = src, *p1 = p0 + plane_len(len, 4, 0), *p2 = p1 + plane_len(len, 4, 1),
                  *p3 = p2 + plane_len(len, 4, 2);
    size_t whole = len / 4;
    for (size_t i = 0; i < whole; i++) {
        dst[4 * i] = p0[i];
        dst[4 * i + 1] = p1[i];
        dst[4 * i + 2] = p2[i];
        dst[4 * i + 3] = p3[i];
    }
    const uint8_t *planes[] = {p0, p1, p2};
    for (size_t k = 0; k < len % 4; k++)
        dst[4 * whole + k] = planes[k][whole];
}

static void put_head(uint8_t *head, size_t stored, bool is_zstd)
{
    uint32_t v = (uint32_t)(stored << 1) | is_zstd;
    for (unsigned i = 0; i < HEADER_BYTES; i++)
        head[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t get_head(const uint8_t *head)
{
    return (uint32_t)head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 24;
}

enum errc planes_compress(struct codec *c, enum transform_id transform, const uint8_t *src, size_t len,
                          uint8_t *scratch, uint8_t *dst, size_t cap, size_t *len_out, struct err *err)
{
    REQUIRE(transform == TRANSFORM_PLANES_4);
    unsigned width = PLANES_WIDTH_4;
    size_t at = (size_t)HEADER_BYTES * width;
    const uint8_t *plane = scratch;
    planes_split(src, len, width, scratch);
    *len_out = 0;
    for (unsigned k = 0; k < width; k++) {
        size_t n = plane_len(len, width, k), stored = 0;
        if (at + n / 2 > cap)
            return ERR_OK;
        if (len >= (size_t)SAMPLE_PIECES * PIECE_BYTES && unevenness(src, len, width, k) > NEARLY_EVEN) {
            size_t worth = n - n / 64;
            enum errc rc =
                codec_compress_plane(c, plane, n, dst + at, worth < cap - at ? worth : cap - at, &stored, err);
            if (rc != ERR_OK)
                return rc;
        }
        put_head(dst + (size_t)HEADER_BYTES * k, stored ? stored : n, stored != 0);
        if (stored == 0) {
            if (n > cap - at)
                return ERR_OK;
            memcpy(dst + at, plane, n);
            stored = n;
        }
        at += stored;
        plane += n;
    }
    *len_out = at;
    return ERR_OK;
}

enum errc planes_decompress(struct codec *c, enum transform_id transform, const uint8_t *src, size_t len,
                            uint8_t *scratch, uint8_t *dst, size_t plain_len, struct err *err)
{
    REQUIRE(transform == TRANSFORM_PLANES_4);
    unsigned width = PLANES_WIDTH_4;
    size_t at = (size_t)HEADER_BYTES * width;
    uint8_t *plane = scratch;
    if (len < at)
        return err_fail(err, ERR_DAMAGED, "a record of byte planes is cut short");
    for (unsigned k = 0; k < width; k++) {
        size_t n = plane_len(plain_len, width, k);
        uint32_t head = get_head(src + (size_t)HEADER_BYTES * k);
        size_t stored = head >> 1;
        bool is_zstd = head & 1;
        if (stored > len - at || (!is_zstd && stored != n))
            return err_fail(err, ERR_DAMAGED, "a record of byte planes does not add up");
        if (is_zstd) {
            enum errc rc = codec_decompress(c, src + at, stored, NULL, 0, plane, n, err);
            if (rc != ERR_OK)
                return rc;
        } else {
            memcpy(plane, src + at, n);
        }
        at += stored;
        plane += n;
    }
    if (at != len)
        return err_fail(err, ERR_DAMAGED, "a record of byte planes has bytes left over");
    planes_join(scratch, plain_len, width, dst);
    return ERR_OK;
}
