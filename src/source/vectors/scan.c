#include "source/vectors/scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "source/vectors/format.h"

/* One pass with an addition and two ors an element: adding the lowest bit of the exponent carries into the sign's
 * place only where the exponent is all ones. Rows that have such an element, and they are few, are looked at again. */
#define FLOAT_KERNELS(name, type, order, exponent, low)                                                               \
    static unsigned marks_##name(const uint8_t *data, size_t count)                                                   \
    {                                                                                                                 \
        const type magnitude = (type)((type) ~(type)0 >> 1);                                                          \
        type any = 0, special = 0;                                                                                    \
        for (size_t i = 0; i < count; i++) {                                                                          \
            type u;                                                                                                   \
            memcpy(&u, data + i * sizeof u, sizeof u);                                                                \
            u = (type)(order(u) & magnitude);                                                                         \
            any |= u;                                                                                                 \
            special |= (type)(u + (low));                                                                             \
        }                                                                                                             \
        unsigned marks = any ? MARK_VALUE : 0;                                                                        \
        if (special <= magnitude)                                                                                     \
            return marks;                                                                                             \
        type nan = 0, inf = 0;                                                                                        \
        for (size_t i = 0; i < count; i++) {                                                                          \
            type u;                                                                                                   \
            memcpy(&u, data + i * sizeof u, sizeof u);                                                                \
            u = (type)(order(u) & magnitude);                                                                         \
            nan |= (type)(u > (exponent));                                                                            \
            inf |= (type)(u == (exponent));                                                                           \
        }                                                                                                             \
        return marks | (nan ? MARK_NAN : 0) | (inf ? MARK_INF : 0);                                                   \
    }                                                                                                                 \
    static void each_##name(const uint8_t *data, size_t count, uint8_t *marks)                                        \
    {                                                                                                                 \
        for (size_t i = 0; i < count; i++) {                                                                          \
            type u;                                                                                                   \
            memcpy(&u, data + i * sizeof u, sizeof u);                                                                \
            u = (type)(order(u) & ((type) ~(type)0 >> 1));                                                            \
            marks[i] |=                                                                                               \
                (uint8_t)((u > (exponent) ? MARK_NAN : 0) | (u == (exponent) ? MARK_INF : 0) | (u ? MARK_VALUE : 0)); \
        }                                                                                                             \
    }

#define AS_IS(u) (u)
FLOAT_KERNELS(f16, uint16_t, AS_IS, 0x7c00, 0x0400)
FLOAT_KERNELS(f16_foreign, uint16_t, __builtin_bswap16, 0x7c00, 0x0400)
FLOAT_KERNELS(bf16, uint16_t, AS_IS, 0x7f80, 0x0080)
FLOAT_KERNELS(bf16_foreign, uint16_t, __builtin_bswap16, 0x7f80, 0x0080)
FLOAT_KERNELS(f32, uint32_t, AS_IS, 0x7f800000, 0x00800000)
FLOAT_KERNELS(f32_foreign, uint32_t, __builtin_bswap32, 0x7f800000, 0x00800000)
FLOAT_KERNELS(f64, uint64_t, AS_IS, UINT64_C(0x7ff0000000000000), UINT64_C(0x0010000000000000))
FLOAT_KERNELS(f64_foreign, uint64_t, __builtin_bswap64, UINT64_C(0x7ff0000000000000), UINT64_C(0x0010000000000000))

static unsigned marks_bytes(const uint8_t *data, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= data[i];
    return any ? MARK_VALUE : 0;
}

unsigned vector_marks(enum vector_dtype t, bool foreign, const uint8_t *data, size_t count)
{
    switch (t) {
    case VECTOR_F16:
        return foreign ? marks_f16_foreign(data, count) : marks_f16(data, count);
    case VECTOR_BF16:
        return foreign ? marks_bf16_foreign(data, count) : marks_bf16(data, count);
    case VECTOR_F32:
        return foreign ? marks_f32_foreign(data, count) : marks_f32(data, count);
    case VECTOR_F64:
        return foreign ? marks_f64_foreign(data, count) : marks_f64(data, count);
    case VECTOR_BIT:
        return marks_bytes(data, count);
    default:
        return marks_bytes(data, count * vector_dtype_bytes(t));
    }
}

static void each_integer(unsigned bytes, const uint8_t *data, size_t count, uint8_t *marks)
{
    for (size_t i = 0; i < count; i++)
        marks[i] |= (uint8_t)marks_bytes(data + i * bytes, bytes);
}

void vector_marks_each(enum vector_dtype t, bool foreign, const uint8_t *data, size_t count, uint8_t *marks)
{
    switch (t) {
    case VECTOR_F16:
        foreign ? each_f16_foreign(data, count, marks) : each_f16(data, count, marks);
        break;
    case VECTOR_BF16:
        foreign ? each_bf16_foreign(data, count, marks) : each_bf16(data, count, marks);
        break;
    case VECTOR_F32:
        foreign ? each_f32_foreign(data, count, marks) : each_f32(data, count, marks);
        break;
    case VECTOR_F64:
        foreign ? each_f64_foreign(data, count, marks) : each_f64(data, count, marks);
        break;
    default:
        each_integer(t == VECTOR_BIT ? 1 : vector_dtype_bytes(t), data, count, marks);
        break;
    }
}

uint64_t vector_row_bytes(enum vector_dtype t, int64_t dimension)
{
    if (dimension < 1 || dimension > VECTOR_DIMENSION_MAX)
        return 0;
    return t == VECTOR_BIT ? ((uint64_t)dimension + 7) / 8 : (uint64_t)dimension * vector_dtype_bytes(t);
}

void vector_scan_start(struct vector_scan *s, enum vector_dtype t, bool foreign, int64_t dimension)
{
    *s = (struct vector_scan){.dtype = t,
                              .foreign = foreign,
                              .element_bytes = t == VECTOR_BIT ? 1 : vector_dtype_bytes(t),
                              .row_bytes = vector_row_bytes(t, dimension)};
    REQUIRE(s->row_bytes > 0);
}

/* Whole elements, of one row. */
static void take_elements(struct vector_scan *s, const uint8_t *data, size_t len)
{
    s->marks |= vector_marks(s->dtype, s->foreign, data, len / s->element_bytes);
    s->at += len;
    if (s->at < s->row_bytes)
        return;
    s->rows++;
    s->nan += (s->marks & MARK_NAN) != 0;
    s->inf += (s->marks & MARK_INF) != 0;
    s->zero += s->marks == 0;
    s->marks = 0;
    s->at = 0;
}

void vector_scan_feed(struct vector_scan *s, const uint8_t *data, size_t len)
{
    if (s->rest_len > 0) {
        size_t take = s->element_bytes - s->rest_len;
        take = take < len ? take : len;
        memcpy(s->rest + s->rest_len, data, take);
        s->rest_len += (unsigned)take;
        data += take;
        len -= take;
        if (s->rest_len < s->element_bytes)
            return;
        s->rest_len = 0;
        take_elements(s, s->rest, s->element_bytes);
    }
    size_t rest = len % s->element_bytes;
    len -= rest;
    while (len > 0) {
        uint64_t left = s->row_bytes - s->at;
        size_t take = left < len ? (size_t)left : len;
        take_elements(s, data, take);
        data += take;
        len -= take;
    }
    if (rest > 0)
        memcpy(s->rest, data, rest);
    s->rest_len = (unsigned)rest;
}

/* A block of bytes that holds rows and the gaps between them; *skip is what is left of a gap. */
static void feed_strided(struct vector_scan *s, uint64_t gap, uint64_t *skip, const uint8_t *data, size_t len)
{
    while (len > 0) {
        size_t pass = *skip < len ? (size_t)*skip : len;
        data += pass;
        len -= pass;
        *skip -= pass;
        uint64_t left = s->row_bytes - s->at - s->rest_len;
        size_t take = left < len ? (size_t)left : len;
        if (take == 0)
            continue;
        vector_scan_feed(s, data, take);
        data += take;
        len -= take;
        if (s->at == 0 && s->rest_len == 0)
            *skip = gap;
    }
}

enum errc vector_scan_rows(const struct vector_input *in, uint64_t offset, uint64_t stride_bytes,
                           struct vector_array *a, struct vector_result *r, struct err *err)
{
    uint64_t row = vector_row_bytes(a->dtype, a->dimension), end, skip = 0;
    if (a->count == 0) {
        a->nan = a->inf = a->zero = 0;
        return ERR_OK;
    }
    if (row == 0 || a->count < 0 || stride_bytes < row)
        return ERR_OK; /* nothing is known, nothing is counted */
    if (__builtin_mul_overflow((uint64_t)a->count - 1, stride_bytes, &end) || __builtin_add_overflow(end, row, &end) ||
        __builtin_add_overflow(end, offset, &end) || end > in->size)
        return vector_broken(r, "it ends within its vectors");
    uint8_t *block;
    enum errc rc = mem_alloc(&block, SCAN_BLOCK_BYTES, err);
    struct vector_scan s;
    vector_scan_start(&s, a->dtype, a->foreign_order, a->dimension);
    bool ok = true;
    while (rc == ERR_OK && ok && offset < end) {
        size_t len = end - offset < SCAN_BLOCK_BYTES ? (size_t)(end - offset) : SCAN_BLOCK_BYTES;
        rc = vector_bytes(in, block, len, offset, "its vectors", r, &ok, err);
        if (rc == ERR_OK && ok && stride_bytes == row)
            vector_scan_feed(&s, block, len);
        else if (rc == ERR_OK && ok)
            feed_strided(&s, stride_bytes - row, &skip, block, len);
        offset += len;
    }
    free(block);
    if (rc == ERR_OK && ok) {
        a->nan = s.nan;
        a->inf = s.inf;
        a->zero = s.zero;
    }
    return rc;
}
