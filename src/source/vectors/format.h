/* What each vector format brings, and what they share. Layer: source (private to vectors/).
 *
 * One file a format. claims() looks at the first bytes and the name and says whether this file is of its kind, sound
 * or not; read() then fills the result. Formats are asked in the order of vector_formats: those with a magic first.
 */
#ifndef SNAP_SOURCE_VECTORS_FORMAT_H
#define SNAP_SOURCE_VECTORS_FORMAT_H

#include <string.h>
#include <strings.h>

#include "source/vectors/vectors.h"

struct vector_format {
    const char *name; /* what result.format becomes; a format may write a longer one */
    /* head[0..len): the first bytes of the file, at most VECTOR_HEAD_BYTES. */
    bool (*claims)(const uint8_t *head, size_t len, const struct vector_input *in);
    enum errc (*read)(const struct vector_input *in, const struct vector_options *opt, struct vector_result *out,
                      struct err *err);
};
extern const struct vector_format *const vector_formats[];
extern const size_t vector_format_count;
extern const struct vector_format vector_format_raw; /* for what none of them claims, when a dimension is configured */

/* --- for read() ----------------------------------------------------------------------------------------------------
 */

/* Say that the file is broken; the first such word stays. Returns ERR_OK, so that read() can end with it. */
enum errc vector_broken(struct vector_result *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Exactly len bytes at offset; *ok_out false (and the file called broken, naming what) when they are not all there. */
MUST_USE enum errc vector_bytes(const struct vector_input *in, void *dst, size_t len, uint64_t offset, const char *what,
                                struct vector_result *r, bool *ok_out, struct err *err);
/* A new array, zeroed but for counts that are VECTOR_UNKNOWN; NULL past VECTOR_ARRAYS_MAX (counted in
 * arrays_omitted) with ERR_OK. Valid until the next call. Bytes of name that are not printable become '?'. */
MUST_USE enum errc vector_add_array(struct vector_result *r, const char *name, size_t name_len,
                                    struct vector_array **out, struct err *err);
/* count vectors of this dimension were seen: into r->dims. */
void vector_add_dimension(struct vector_result *r, int64_t dimension, int64_t count);
/* rows * row_bytes from offset, contiguous, of one type: counts NaN, infinities and zeros into a (a->dimension,
 * a->dtype, a->count are set). The caller has checked that the bytes are in the file. */
MUST_USE enum errc vector_scan_rows(const struct vector_input *in, uint64_t offset, uint64_t stride_bytes,
                                    struct vector_array *a, struct vector_result *r, struct err *err);
/* Does the name end in this, upper case or lower? */
static inline bool vector_name_ends(const struct vector_input *in, const char *end)
{
    size_t len = strlen(in->name), end_len = strlen(end);
    return len > end_len && strcasecmp(in->name + len - end_len, end) == 0;
}
static inline uint16_t vector_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t vector_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t vector_le64(const uint8_t *p)
{
    return vector_le32(p) | (uint64_t)vector_le32(p + 4) << 32;
}
/* Sum the arrays up into r's own dtype, dimension, count, nan, inf, zero; called by vector_read after read(). Arrays
 * whose dimension is known and not mixed are put into r->dims here; mixed ones put theirs there themselves. */
void vector_sum_up(struct vector_result *r);

#endif
