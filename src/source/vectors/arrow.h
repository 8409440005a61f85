/* The schema of Apache Arrow, as far as it tells how long lists are. Layer: source (private to vectors/).
 *
 * Fact source: format/Message.fbs and format/Schema.fbs of Apache Arrow, "Encapsulated message format" of its columnar
 * format, and "FlatBuffers internals": a table begins with the distance back to its vtable (u16 bytes of the vtable,
 * u16 bytes of the table, u16 place of each field, 0 if absent); references are u32 distances forward; a vector is a
 * u32 count and its elements, a string too.
 */
#ifndef SNAP_SOURCE_VECTORS_ARROW_H
#define SNAP_SOURCE_VECTORS_ARROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Base64 in place: data[0..len) becomes the bytes it stands for; how many, or 0 when it is no base64. */
size_t arrow_base64(uint8_t *data, size_t len);

/* Each column that is a list of one fixed length, from an encapsulated schema message at data[0..len). False when it is
 * none that can be read; each was perhaps called before. */
bool arrow_fixed_lists(const uint8_t *data, size_t len,
                       void (*each)(void *arg, const char *name, size_t name_len, int64_t size), void *arg);

#endif
