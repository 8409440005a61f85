/* As scan.h, for arrays that are kept column after column (Fortran order). Layer: source (private to vectors/).
 *
 * A row's marks are complete only with the last column, so there is a byte of marks for each of up to
 * COLUMNS_MAX_ROWS rows; an input that can be read anywhere is taken in bands of so many.
 */
#ifndef SNAP_SOURCE_VECTORS_SCAN_COLUMNS_H
#define SNAP_SOURCE_VECTORS_SCAN_COLUMNS_H

#include "source/vectors/vectors.h"

enum { COLUMNS_MAX_ROWS = 2 << 20 };

struct column_scan {
    enum vector_dtype dtype;
    bool foreign;
    size_t rows, at; /* at: the row of the next element */
    uint8_t *marks;
    uint8_t rest[8]; /* of an element that lies in two pieces */
    unsigned rest_len;
};
/* rows: 1..COLUMNS_MAX_ROWS. */
MUST_USE enum errc column_scan_start(struct column_scan *s, enum vector_dtype t, bool foreign, size_t rows,
                                     struct err *err);
/* Pieces of any length; behind the last row comes the first one of the next column. */
void column_scan_feed(struct column_scan *s, const uint8_t *data, size_t len);
/* Add what was found to a's counts, which must be known. */
void column_scan_count(const struct column_scan *s, struct vector_array *a);
void column_scan_release(struct column_scan *s); /* {0} is fine */

/* As vector_scan_rows. */
MUST_USE enum errc vector_scan_columns(const struct vector_input *in, uint64_t offset, struct vector_array *a,
                                       struct vector_result *r, struct err *err);

#endif
