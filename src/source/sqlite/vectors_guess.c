#include <string.h>

#include "source/sqlite/vectors.h"

enum { DIMENSION_MIN = 8, LIKELY_DIMENSION_MIN = 2 };

/* Numbers of which one element in twenty may be out of the way. */
static bool most(size_t fitting, size_t count)
{
    return fitting >= count - count / 20;
}

static uint64_t element(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

/* Elements that are zero, or of a magnitude from 2^-24 to 2^14: embeddings are, bytes in no order, texts and small
 * integers are not. */
static bool fits(const uint8_t *p, size_t len, unsigned bytes, unsigned exponent_bits, unsigned below, unsigned above)
{
    if (len % bytes != 0)
        return false;
    unsigned fraction_bits = 8 * bytes - 1 - exponent_bits;
    uint64_t bias = (UINT64_C(1) << (exponent_bits - 1)) - 1, mask = (UINT64_C(1) << exponent_bits) - 1;
    size_t fitting = 0, nonzero = 0, count = len / bytes;
    for (size_t i = 0; i < count; i++) {
        uint64_t v = element(p + i * bytes, bytes), exponent = v >> fraction_bits & mask;
        bool zero = v << (64 - 8 * bytes) << 1 == 0;
        nonzero += !zero;
        fitting += zero || (exponent + below >= bias && exponent <= bias + above);
    }
    return nonzero > 0 && most(fitting, count);
}

/* Float64 numbers of few digits have zeros in their lower halves, which are zeros as float32 too. */
static bool has_empty_halves(const uint8_t *p, size_t len)
{
    size_t empty = 0, count = len / 8;
    for (size_t i = 0; i < count; i++)
        empty += element(p + 8 * i, 4) == 0 && element(p + 8 * i + 4, 4) != 0;
    return len % 8 == 0 && count >= DIMENSION_MIN && empty > count / 2;
}

/* Digits could be numbers of 16 bits. */
static bool is_text(const uint8_t *p, size_t len)
{
    size_t i = 0;
    while (i < len && p[i] >= '\t' && p[i] < 0x7f)
        i++;
    return i == len;
}

enum vector_dtype vectors_guess(const void *blob, size_t len, bool likely)
{
    const uint8_t *p = blob;
    if (is_text(p, len))
        return VECTOR_DTYPE_NONE;
    size_t least = likely ? LIKELY_DIMENSION_MIN : DIMENSION_MIN;
    if (len >= 8 * least && has_empty_halves(p, len) && fits(p, len, 8, 11, 24, 14))
        return VECTOR_F64;
    if (len >= 4 * least && fits(p, len, 4, 8, 24, 14))
        return VECTOR_F32;
    if (len >= 8 * least && fits(p, len, 8, 11, 24, 14))
        return VECTOR_F64;
    return likely && len >= 2 * DIMENSION_MIN && fits(p, len, 2, 5, 14, 5) ? VECTOR_F16 : VECTOR_DTYPE_NONE;
}
