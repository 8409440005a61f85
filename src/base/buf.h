/* A growable byte buffer with a cap. Layer: base.
 *
 * Promises
 *   B1  len <= cap <= max; growing past max is ERR_LIMIT, never an allocation.
 *   B2  after a failed append the buffer is as it was.
 */
#ifndef SNAP_BASE_BUF_H
#define SNAP_BASE_BUF_H

#include <stdint.h>

#include "base/err.h"

struct buf {
    uint8_t *data;
    size_t len; /* bytes in use */
    size_t cap; /* bytes allocated */
    size_t max; /* hard cap in bytes */
};

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b); /* frees; b may be used again after buf_init */
void buf_wipe(struct buf *b);    /* overwrites, then releases: for secrets */
static inline void buf_clear(struct buf *b)
{
    b->len = 0;
}

/* Make room for extra bytes behind len. */
MUST_USE enum errc buf_reserve(struct buf *b, size_t extra, struct err *err);
MUST_USE enum errc buf_append(struct buf *b, const void *data, size_t len, struct err *err);
MUST_USE enum errc buf_append_str(struct buf *b, const char *s, struct err *err);
MUST_USE enum errc buf_append_fmt(struct buf *b, struct err *err, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Put a NUL behind len (not counted in len), so that data is a C string. */
MUST_USE enum errc buf_terminate(struct buf *b, struct err *err);

/* malloc family that fills err; count * size is checked. Freed with free(). */
MUST_USE enum errc mem_alloc(void *ptr_out, size_t size, struct err *err); /* zeroed */
MUST_USE enum errc mem_strdup(char **out, const char *s, struct err *err);
MUST_USE enum errc mem_dup(void *ptr_out, const void *data, size_t len, struct err *err); /* adds a NUL behind */
/* Grow *array (element size size) so that it holds at least need elements; *cap is updated. */
MUST_USE enum errc mem_grow(void *array_inout, size_t *cap, size_t need, size_t size, struct err *err);

#endif
