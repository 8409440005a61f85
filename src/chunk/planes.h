/* Byte planes: a chunk of 2-, 4- or 8-byte numbers split by byte position, each plane compressed or kept by itself.
 * Layer: chunk.
 *
 * In a floating-point number the sign and most of the exponent share one byte; that plane compresses well, the
 * mantissa's not at all. Compressed as one stream they spoil each other's statistics: normalised random float32 vectors
 * take 0.926 of their size by zstd, 0.836 by planes, at three times the speed, because only one plane in four is worked
 * on (docs/adr/0014). Which byte comes first does not matter, so a chunk may begin anywhere in a number.
 *
 * Payload (docs/format.md, "Byte planes"): for each plane u32 stored length << 1 | is_zstd; then the planes' bytes.
 * Plane k holds the bytes at positions k, k + width, k + 2 width ...
 *
 * Promises
 *   PL1  join(split(x)) == x for every length.
 *   PL2  a decode yields exactly plain_len bytes or ERR_DAMAGED, whatever the payload says.
 */
#ifndef SNAP_CHUNK_PLANES_H
#define SNAP_CHUNK_PLANES_H

#include "chunk/codec.h"

enum { PLANES_MAX_WIDTH = 8 };

/* Bytes of an element: 2, 4 or 8; 0 for transforms that are not of byte planes. */
unsigned planes_width(unsigned transform);
/* Which transform a chunk is worth, from a sample of it; TRANSFORM_NONE when there is no sign of numbers. */
enum transform_id planes_choose(const uint8_t *data, size_t len);

/* The bytes of src[0..len) as planes, one behind the other in dst[0..len); and back. width 2, 4 or 8. No overlap. */
void planes_split(const uint8_t *src, size_t len, unsigned width, uint8_t *dst);
void planes_join(const uint8_t *src, size_t len, unsigned width, uint8_t *dst);

/* As codec_compress, by planes. scratch has room for len bytes. *len_out is 0 when the payload would not fit cap. */
MUST_USE enum errc planes_compress(struct codec *c, enum transform_id transform, const uint8_t *src, size_t len,
                                   uint8_t *scratch, uint8_t *dst, size_t cap, size_t *len_out, struct err *err);
/* scratch has room for plain_len bytes. */
MUST_USE enum errc planes_decompress(struct codec *c, enum transform_id transform, const uint8_t *src, size_t len,
                                     uint8_t *scratch, uint8_t *dst, size_t plain_len, struct err *err);

#endif
