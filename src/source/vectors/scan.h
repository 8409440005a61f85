/* NaN, infinities and zeros in rows of numbers. Layer: source (private to vectors/).
 *
 * Elements are looked at as bits, so that nothing depends on the floating point environment: a NaN is an exponent of
 * all ones with a mantissa, an infinity one without, a zero of either sign is no bit but the sign.
 */
#ifndef SNAP_SOURCE_VECTORS_SCAN_H
#define SNAP_SOURCE_VECTORS_SCAN_H

#include "source/vectors/vectors.h"

enum { SCAN_BLOCK_BYTES = 1 << 20 };

/* What is among some elements. */
enum { MARK_NAN = 1, MARK_INF = 2, MARK_VALUE = 4 /* one that is not zero */ };

/* Of count elements at data, of any alignment; foreign: of the other byte order. BIT counts bytes. */
unsigned vector_marks(enum vector_dtype t, bool foreign, const uint8_t *data, size_t count);
/* marks[i] |= the marks of element i. */
void vector_marks_each(enum vector_dtype t, bool foreign, const uint8_t *data, size_t count, uint8_t *marks);

/* Bytes of a row; 0 when the type is NONE or the dimension is not within 1..VECTOR_DIMENSION_MAX. */
uint64_t vector_row_bytes(enum vector_dtype t, int64_t dimension);

/* Rows one behind the other that arrive in pieces of any length. */
struct vector_scan {
    enum vector_dtype dtype;
    bool foreign;
    unsigned element_bytes;
    uint64_t row_bytes, at; /* at: bytes of the present row that were seen */
    unsigned marks;         /* of the present row */
    uint8_t rest[8];        /* of an element that lies in two pieces */
    unsigned rest_len;
    int64_t rows, nan, inf, zero; /* of whole rows */
};
/* The row length must not be 0 (vector_row_bytes). */
void vector_scan_start(struct vector_scan *s, enum vector_dtype t, bool foreign, int64_t dimension);
void vector_scan_feed(struct vector_scan *s, const uint8_t *data, size_t len);

#endif
