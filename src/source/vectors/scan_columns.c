#include "source/vectors/scan_columns.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "source/vectors/format.h"
#include "source/vectors/scan.h"

enum errc column_scan_start(struct column_scan *s, enum vector_dtype t, bool foreign, size_t rows, struct err *err)
{
    *s = (struct column_scan){.dtype = t, .foreign = foreign, .rows = rows};
    REQUIRE(rows > 0 && rows <= COLUMNS_MAX_ROWS && vector_dtype_bytes(t) > 0);
    return mem_alloc(&s->marks, rows, err);
}

void column_scan_release(struct column_scan *s)
{
    free(s->marks);
    *s = (struct column_scan){0};
}

static void take_elements(struct column_scan *s, const uint8_t *data, size_t count)
{
    unsigned bytes = vector_dtype_bytes(s->dtype);
    while (count > 0) {
        size_t left = s->rows - s->at, n = left < count ? left : count;
        vector_marks_each(s->dtype, s->foreign, data, n, s->marks + s->at);
        s->at = n == left ? 0 : s->at + n;
        data += n * bytes;
        count -= n;
    }
}

void column_scan_feed(struct column_scan *s, const uint8_t *data, size_t len)
{
    unsigned bytes = vector_dtype_bytes(s->dtype);
    if (s->rest_len > 0) {
        size_t n = bytes - s->rest_len;
        n = n < len ? n : len;
        memcpy(s->rest + s->rest_len, data, n);
        s->rest_len += (unsigned)n;
        data += n;
        len -= n;
        if (s->rest_len < bytes)
            return;
        take_elements(s, s->rest, 1);
    }
    take_elements(s, data, len / bytes);
    s->rest_len = (unsigned)(len % bytes);
    memcpy(s->rest, data + (len - s->rest_len), s->rest_len);
}

void column_scan_count(const struct column_scan *s, struct vector_array *a)
{
    for (size_t i = 0; i < s->rows; i++) {
        a->nan += (s->marks[i] & MARK_NAN) != 0;
        a->inf += (s->marks[i] & MARK_INF) != 0;
        a->zero += s->marks[i] == 0;
    }
}

static enum errc feed_range(const struct vector_input *in, uint64_t offset, uint64_t len, uint8_t *block,
                            struct column_scan *s, struct vector_result *r, bool *ok_out, struct err *err)
{
    enum errc rc = ERR_OK;
    *ok_out = true;
    while (rc == ERR_OK && *ok_out && len > 0) {
        size_t n = len < SCAN_BLOCK_BYTES ? (size_t)len : SCAN_BLOCK_BYTES;
        rc = vector_bytes(in, block, n, offset, "its vectors", r, ok_out, err);
        if (rc == ERR_OK && *ok_out)
            column_scan_feed(s, block, n);
        offset += n;
        len -= n;
    }
    return rc;
}

/* Rows first..first+rows of all columns; in one go when these are all rows. */
static enum errc scan_band(const struct vector_input *in, uint64_t offset, uint64_t first, size_t rows, uint8_t *block,
                           struct vector_array *a, struct vector_result *r, bool *ok_out, struct err *err)
{
    uint64_t bytes = vector_dtype_bytes(a->dtype), count = (uint64_t)a->count, columns = (uint64_t)a->dimension;
    struct column_scan s;
    enum errc rc = column_scan_start(&s, a->dtype, a->foreign_order, rows, err);
    *ok_out = true;
    if (rc == ERR_OK && rows == count)
        rc = feed_range(in, offset, count * columns * bytes, block, &s, r, ok_out, err);
    else
        for (uint64_t c = 0; rc == ERR_OK && *ok_out && c < columns; c++)
            rc = feed_range(in, offset + (c * count + first) * bytes, rows * bytes, block, &s, r, ok_out, err);
    if (rc == ERR_OK && *ok_out)
        column_scan_count(&s, a);
    column_scan_release(&s);
    return rc;
}

enum errc vector_scan_columns(const struct vector_input *in, uint64_t offset, struct vector_array *a,
                              struct vector_result *r, struct err *err)
{
    uint64_t row = vector_row_bytes(a->dtype, a->dimension), end, count = (uint64_t)a->count;
    if (a->dtype == VECTOR_BIT || row == 0 || a->count < 0)
        return ERR_OK; /* nothing is known, nothing is counted */
    if (__builtin_mul_overflow(count, row, &end) || __builtin_add_overflow(end, offset, &end) || end > in->size)
        return vector_broken(r, "it ends within its vectors");
    uint8_t *block;
    enum errc rc = mem_alloc(&block, SCAN_BLOCK_BYTES, err);
    bool ok = true;
    a->nan = a->inf = a->zero = 0;
    for (uint64_t first = 0; rc == ERR_OK && ok && first < count; first += COLUMNS_MAX_ROWS) {
        size_t rows = count - first < COLUMNS_MAX_ROWS ? (size_t)(count - first) : COLUMNS_MAX_ROWS;
        rc = scan_band(in, offset, first, rows, block, a, r, &ok, err);
    }
    free(block);
    if (!ok)
        a->nan = a->inf = a->zero = VECTOR_UNKNOWN;
    return rc;
}
