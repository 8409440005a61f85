#include "chunk/planes.h"

#include <string.h>

enum {
    PIECES = 8,
    PIECE_BYTES = 512, /* a multiple of every width */
    STAGGER = 1536,    /* from piece to piece within PAGE, so that no fixed part of each page is all that is seen */
    PAGE = 4096,
    SAMPLED_MIN_BYTES = 2 * PIECES * PIECE_BYTES,
    HEADER_BYTES = 4, /* of each plane */
};

/* How often each byte value stands at each position of eight. */
struct counts {
    uint16_t of[PLANES_MAX_WIDTH][256];
};

static void count_piece(struct counts *c, const uint8_t *piece)
{
    for (size_t i = 0; i < PIECE_BYTES; i += PLANES_MAX_WIDTH)
        for (unsigned k = 0; k < PLANES_MAX_WIDTH; k++)
            c->of[k][piece[i + k]]++;
}

static const uint8_t *piece_of(const uint8_t *data, size_t len, size_t i)
{
    size_t step = len / PIECES & ~(size_t)(PLANES_MAX_WIDTH - 1);
    size_t within = (PAGE / 4 + i * STAGGER) % PAGE;

    return data + i * step + (within <= step - PIECE_BYTES ? within : 0);
}

/* All zero when there is not enough to sample. */
static void sample(const uint8_t *data, size_t len, struct counts pieces[PIECES])
{
    memset(pieces, 0, PIECES * sizeof *pieces);
    for (size_t i = 0; len >= SAMPLED_MIN_BYTES && i < PIECES; i++)
        count_piece(&pieces[i], piece_of(data, len, i));
}

/* How uneven the bytes of one plane are: the sum of squared counts. */
static uint32_t unevenness(const struct counts *c, unsigned width, unsigned plane)
{
    uint32_t sum = 0;

    for (unsigned v = 0; v < 256; v++) {
        uint32_t n = 0;
        for (unsigned k = plane; k < PLANES_MAX_WIDTH; k += width)
            n += c->of[k][v];
        sum += n * n;
    }
    return sum;
}

/* What unevenness is about for n bytes drawn evenly from 256 values; for even ones a quarter more is rare. */
static uint32_t even_for(uint32_t n)
{
    return n + n * n / 256;
}

static bool is_nearly_even(uint32_t u, uint32_t n)
{
    return u <= even_for(n) + even_for(n) / 4;
}

static unsigned even_pieces(const struct counts *pieces, unsigned width, unsigned plane)
{
    unsigned even = 0;

    for (size_t i = 0; i < PIECES; i++)
        even += is_nearly_even(unevenness(&pieces[i], width, plane), PIECE_BYTES / width);
    return even;
}

/* The mark of floating point: mantissa bytes that nothing compresses, beside an exponent that does. */
static bool looks_like_numbers(const struct counts *c, unsigned width)
{
    uint32_t n = PIECE_BYTES / width;
    unsigned skewed = 0, even = 0;

    for (unsigned k = 0; k < width; k++) {
        uint32_t u = unevenness(c, width, k);
        skewed += u >= 4 * even_for(n);
        even += is_nearly_even(u, n);
    }
    return skewed >= 1 && even >= width / 2;
}

/* Are the bytes at two positions of one kind? n at each. By the chances that two bytes of one, of the other, and one of
 * each are equal: for two of a kind the first two make twice the third. */
static bool alike(const uint16_t a[256], const uint16_t b[256], uint64_t n)
{
    uint64_t aa = 0, bb = 0, ab = 0;

    for (unsigned v = 0; v < 256; v++) {
        aa += (uint32_t)a[v] * a[v];
        bb += (uint32_t)b[v] * b[v];
        ab += (uint32_t)a[v] * b[v];
    }
    uint64_t apart = aa + bb - 2 * n; /* a byte is equal to itself, which tells nothing */
    return apart <= 2 * ab + (aa > bb ? aa : bb) / 4;
}

/* The smallest width at whose distance bytes are of one kind: 8, 4 or 2. */
static unsigned period(const struct counts *pieces)
{
    struct counts all = {0};
    unsigned width = PLANES_MAX_WIDTH;
    uint64_t n = PIECES * PIECE_BYTES / PLANES_MAX_WIDTH;

    for (size_t i = 0; i < PIECES; i++)
        for (unsigned k = 0; k < PLANES_MAX_WIDTH; k++)
            for (unsigned v = 0; v < 256; v++)
                all.of[k][v] = (uint16_t)(all.of[k][v] + pieces[i].of[k][v]);
    for (; width > 2; width /= 2, n *= 2) {
        for (unsigned k = 0; k < width / 2; k++)
            if (!alike(all.of[k], all.of[k + width / 2], n))
                return width;
        for (unsigned k = 0; k < width / 2; k++)
            for (unsigned v = 0; v < 256; v++)
                all.of[k][v] = (uint16_t)(all.of[k][v] + all.of[k + width / 2][v]);
    }
    return width;
}

unsigned planes_width(unsigned transform)
{
    switch (transform) {
    case TRANSFORM_PLANES_2:
        return 2;
    case TRANSFORM_PLANES_4:
        return 4;
    case TRANSFORM_PLANES_8:
        return 8;
    default:
        return 0;
    }
}

enum transform_id planes_choose(const uint8_t *data, size_t len)
{
    struct counts pieces[PIECES];
    unsigned votes = 0;

    if (len < SAMPLED_MIN_BYTES)
        return TRANSFORM_NONE;
    sample(data, len, pieces);
    unsigned width = period(pieces);
    for (size_t i = 0; i < PIECES; i++)
        votes += looks_like_numbers(&pieces[i], width);
    if (votes < PIECES / 2)
        return TRANSFORM_NONE;
    return width == 2 ? TRANSFORM_PLANES_2 : width == 4 ? TRANSFORM_PLANES_4 : TRANSFORM_PLANES_8;
}

static size_t plane_len(size_t len, unsigned width, unsigned plane)
{
    return (len + width - 1 - plane) / width;
}

/* One loop for each width, on pointers of its own: what the compiler turns into vector instructions. */

static void split_2(const uint8_t *restrict src, size_t whole, uint8_t *const *planes)
{
    uint8_t *restrict p0 = planes[0], *restrict p1 = planes[1];
    for (size_t i = 0; i < whole; i++) {
        p0[i] = src[2 * i];
        p1[i] = src[2 * i + 1];
    }
}

static void split_4(const uint8_t *restrict src, size_t whole, uint8_t *const *planes)
{
    uint8_t *restrict p0 = planes[0], *restrict p1 = planes[1], *restrict p2 = planes[2], *restrict p3 = planes[3];
    for (size_t i = 0; i < whole; i++) {
        p0[i] = src[4 * i];
        p1[i] = src[4 * i + 1];
        p2[i] = src[4 * i + 2];
        p3[i] = src[4 * i + 3];
    }
}

static void join_2(uint8_t *restrict dst, size_t whole, const uint8_t *const *planes)
{
    const uint8_t *restrict p0 = planes[0], *restrict p1 = planes[1];
    for (size_t i = 0; i < whole; i++) {
        dst[2 * i] = p0[i];
        dst[2 * i + 1] = p1[i];
    }
}

static void join_4(uint8_t *restrict dst, size_t whole, const uint8_t *const *planes)
{
    const uint8_t *restrict p0 = planes[0], *restrict p1 = planes[1], *restrict p2 = planes[2],
                            *restrict p3 = planes[3];
    for (size_t i = 0; i < whole; i++) {
        dst[4 * i] = p0[i];
        dst[4 * i + 1] = p1[i];
        dst[4 * i + 2] = p2[i];
        dst[4 * i + 3] = p3[i];
    }
}

/* Eight by way of two halves of four, a block at a time: eight streams at once are more than compilers vectorise well.
 * Plane k of width 8 is every second byte of plane k % 4 of width 4. */
enum { BLOCK = 512 };

static void split_8(const uint8_t *src, size_t whole, uint8_t *const *planes)
{
    uint8_t half[4][2 * BLOCK];
    uint8_t *const halves[] = {half[0], half[1], half[2], half[3]};
    for (size_t at = 0; at < whole; at += BLOCK) {
        size_t n = whole - at < BLOCK ? whole - at : BLOCK;
        split_4(src + 8 * at, 2 * n, halves);
        for (unsigned k = 0; k < 4; k++)
            split_2(half[k], n, (uint8_t *const[]){planes[k] + at, planes[k + 4] + at});
    }
}

static void join_8(uint8_t *dst, size_t whole, const uint8_t *const *planes)
{
    uint8_t half[4][2 * BLOCK];
    const uint8_t *const halves[] = {half[0], half[1], half[2], half[3]};
    for (size_t at = 0; at < whole; at += BLOCK) {
        size_t n = whole - at < BLOCK ? whole - at : BLOCK;
        for (unsigned k = 0; k < 4; k++)
            join_2(half[k], n, (const uint8_t *const[]){planes[k] + at, planes[k + 4] + at});
        join_4(dst + 8 * at, 2 * n, halves);
    }
}

void planes_split(const uint8_t *src, size_t len, unsigned width, uint8_t *dst)
{
    REQUIRE(width == 2 || width == 4 || width == 8);
    uint8_t *planes[PLANES_MAX_WIDTH] = {NULL};
    size_t whole = len / width;
    for (unsigned k = 0; k < width; k++) {
        planes[k] = dst;
        dst += plane_len(len, width, k);
    }
    (width == 2 ? split_2 : width == 4 ? split_4 : split_8)(src, whole, planes);
    for (size_t k = 0; k < len % width; k++)
        planes[k][whole] = src[width * whole + k];
}

void planes_join(const uint8_t *src, size_t len, unsigned width, uint8_t *dst)
{
    REQUIRE(width == 2 || width == 4 || width == 8);
    const uint8_t *planes[PLANES_MAX_WIDTH] = {NULL};
    size_t whole = len / width;
    for (unsigned k = 0; k < width; k++) {
        planes[k] = src;
        src += plane_len(len, width, k);
    }
    (width == 2 ? join_2 : width == 4 ? join_4 : join_8)(dst, whole, planes);
    for (size_t k = 0; k < len % width; k++)
        dst[width * whole + k] = planes[k][whole];
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
    unsigned width = planes_width(transform);
    size_t at = (size_t)HEADER_BYTES * width;
    const uint8_t *plane = scratch;
    struct counts pieces[PIECES];
    REQUIRE(width > 0);
    sample(src, len, pieces);
    planes_split(src, len, width, scratch);
    *len_out = 0;
    for (unsigned k = 0; k < width; k++) {
        size_t n = plane_len(len, width, k), stored = 0;
        if (at + n / 2 > cap)
            return ERR_OK;
        unsigned even = even_pieces(pieces, width, k);
        if (even < PIECES - 1) { /* one may be uneven by chance */
            size_t worth = n - n / 64;
            enum plane_kind kind = even >= PIECES / 2 ? PLANE_GAPS : PLANE_SKEWED;
            enum errc rc =
                codec_compress_plane(c, kind, plane, n, dst + at, worth < cap - at ? worth : cap - at, &stored, err);
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
    unsigned width = planes_width(transform);
    size_t at = (size_t)HEADER_BYTES * width;
    uint8_t *plane = scratch;
    REQUIRE(width > 0);
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
