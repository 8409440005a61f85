/* Compression and deltas. Layer: chunk (the only user of zstd).
 *
 * Frames carry no content size, no checksum and no dictionary id: the record's descriptor has the lengths, the name
 * proves the bytes. A delta is a frame made with another chunk's plain bytes as prefix (ZSTD_CCtx_refPrefix).
 *
 * Promises
 *   Z1  a decode yields exactly plain_len bytes or ERR_DAMAGED; it never writes past dst[0..plain_len).
 *   Z2  memory is bounded by CHUNK_MAX_BYTES, whatever a frame's header asks for (windowLogMax is set).
 */
#ifndef SNAP_CHUNK_CODEC_H
#define SNAP_CHUNK_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Stored: never renumber. */
enum codec_id { CODEC_RAW = 0, CODEC_ZSTD = 1, CODEC_ZSTD_DELTA = 2 };
enum transform_id {
    TRANSFORM_NONE = 0,
    TRANSFORM_PLANES_2 = 1,
    TRANSFORM_PLANES_4 = 2,
    TRANSFORM_PLANES_8 = 3
}; /* planes: chunk/planes.h; 2 and 8 are reserved */

/* One per thread. */
struct codec;
MUST_USE enum errc codec_new(int level, int delta_level, struct codec **out, struct err *err);
void codec_free(struct codec *c);

/* Compress src[0..len) into dst[0..cap). *len_out is 0 when the result does not fit cap: not an error (give cap =
 * the largest result that is worth having). prefix may be NULL (then level is used, else delta_level). */
MUST_USE enum errc codec_compress(struct codec *c, const void *src, size_t len, const void *prefix, size_t prefix_len,
                                  void *dst, size_t cap, size_t *len_out, struct err *err);
/* The same for a byte plane, with next to no search. */
enum plane_kind {
    PLANE_SKEWED, /* few values in no order: entropy coding */
    PLANE_GAPS,   /* random bytes with runs of zeros between: only the runs are taken out */
    PLANE_KINDS
};
MUST_USE enum errc codec_compress_plane(struct codec *c, enum plane_kind kind, const void *src, size_t len, void *dst,
                                        size_t cap, size_t *len_out, struct err *err);
/* Decode a frame to exactly plain_len bytes in dst. */
MUST_USE enum errc codec_decompress(struct codec *c, const void *src, size_t len, const void *prefix, size_t prefix_len,
                                    void *dst, size_t plain_len, struct err *err);

#endif
