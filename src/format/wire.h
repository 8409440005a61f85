/* Reading and writing bytes of the formats. Layer: format.
 *
 * Integers are little-endian; varints are unsigned LEB128, at most 10 bytes, shortest form only; signed ones zigzag.
 * A typed field is varint(tag << 1 | critical), varint(length), bytes. A reader that meets an unknown field skips it,
 * or refuses the object when the field is critical. Fields stand in ascending order of tags; a repeated tag is a list.
 *
 * Promises
 *   W1  a reader never reads past its end; the first failure sticks, later gets return 0 and wire_ok() is false.
 */
#ifndef SNAP_FORMAT_WIRE_H
#define SNAP_FORMAT_WIRE_H

#include "base/buf.h"

struct reader {
    const uint8_t *p, *end;
    bool failed;
};
struct bytes {
    const uint8_t *data;
    size_t len;
};

static inline struct reader reader_of(const void *data, size_t len)
{
    return (struct reader){.p = data, .end = len > 0 ? (const uint8_t *)data + len : data};
}
static inline bool reader_ok(const struct reader *r)
{
    return !r->failed;
}
static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->p);
}
uint8_t get_u8(struct reader *r);
uint16_t get_u16(struct reader *r);
uint32_t get_u32(struct reader *r);
uint64_t get_u64(struct reader *r);
uint64_t get_varint(struct reader *r);
uint64_t get_varint_max(struct reader *r, uint64_t max); /* above max fails */
int64_t get_zigzag(struct reader *r);
struct bytes get_bytes(struct reader *r, size_t len);   /* borrowed; fails when fewer are left */
struct bytes get_counted(struct reader *r, size_t max); /* varint length, then bytes */
void get_copy(struct reader *r, void *dst, size_t len);

/* Next typed field: false at the end or on failure. */
bool get_field(struct reader *r, uint64_t *tag_out, bool *critical_out, struct reader *value_out);

MUST_USE enum errc put_u8(struct buf *b, uint8_t v, struct err *err);
MUST_USE enum errc put_u16(struct buf *b, uint16_t v, struct err *err);
MUST_USE enum errc put_u32(struct buf *b, uint32_t v, struct err *err);
MUST_USE enum errc put_u64(struct buf *b, uint64_t v, struct err *err);
MUST_USE enum errc put_varint(struct buf *b, uint64_t v, struct err *err);
MUST_USE enum errc put_zigzag(struct buf *b, int64_t v, struct err *err);
MUST_USE enum errc put_counted(struct buf *b, const void *data, size_t len, struct err *err);
MUST_USE enum errc put_field(struct buf *b, uint64_t tag, bool critical, const void *data, size_t len, struct err *err);
MUST_USE enum errc put_field_varint(struct buf *b, uint64_t tag, bool critical, uint64_t v, struct err *err);
MUST_USE enum errc put_field_str(struct buf *b, uint64_t tag, bool critical, const char *s,
                                 struct err *err); /* NULL: nothing */

/* Three copies of one small object in a file: each copy is "SNAPCOPY", u32 length, u32 zero, SHA-256 of the content,
 * content, zero bytes up to a multiple of 512. A single damaged copy is outvoted by its checksum. Content must not hold
 * such a copy itself: sealed bytes, keys and short labels do not. */
MUST_USE enum errc triple_encode(struct buf *out, const void *content, size_t len, struct err *err);
/* The first copy whose checksum holds; also finds copies when bytes before them were lost (scans for the magic at
 * multiples of 512 and, failing that, at any offset). *good_out: copies that are whole (1..3), may be NULL. ERR_DAMAGED
 * when none is. content is borrowed from data. */
MUST_USE enum errc triple_decode(const void *data, size_t len, size_t max, struct bytes *content_out,
                                 unsigned *good_out, struct err *err);

#endif
