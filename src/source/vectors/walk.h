/* A way through a file of counted pieces, front to back. Layer: source (private to vectors/).
 *
 * The first thing that is wrong ends the walk: what was asked for after that is zero, and walk_ok is false. So a reader
 * asks for a few fields and looks once. Numbers are little-endian, as all these formats are.
 *
 * Promises
 *   VW1  nothing is skipped or believed to be there that is not in [0, end).
 *   VW2  small fields in a row cost one read of the input for WALK_WINDOW_BYTES.
 */
#ifndef SNAP_SOURCE_VECTORS_WALK_H
#define SNAP_SOURCE_VECTORS_WALK_H

#include "source/vectors/format.h"

enum { WALK_WINDOW_BYTES = 4096 };

struct walk {
    const struct vector_input *in;
    struct vector_result *r;
    struct err *err;
    enum errc rc;     /* of the input */
    bool broken;      /* the file was called so */
    const char *what; /* being read, for "it ends within ..." */
    uint64_t at, end;
    uint64_t window_at;
    size_t window_len;
    uint8_t window[WALK_WINDOW_BYTES];
};

void walk_init(struct walk *w, const struct vector_input *in, struct vector_result *r, struct err *err);
static inline bool walk_ok(const struct walk *w)
{
    return w->rc == ERR_OK && !w->broken;
}
uint64_t walk_left(const struct walk *w); /* bytes up to the end */

/* Say that the file is broken, and end the walk; always false. */
bool walk_fail(struct walk *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* dst[0..len) from where the walk is; zeroed when they are not there. */
bool walk_bytes(struct walk *w, void *dst, size_t len);
uint8_t walk_u8(struct walk *w);
uint16_t walk_u16(struct walk *w);
uint32_t walk_u32(struct walk *w);
int32_t walk_i32(struct walk *w);
uint64_t walk_u64(struct walk *w);
/* Over count elements of size bytes each, without reading them. */
bool walk_skip(struct walk *w, uint64_t count, uint64_t size);
/* A u64 count, then so many elements of size bytes, skipped: the count. */
uint64_t walk_counted(struct walk *w, uint64_t size);

#endif
