/* References to chunks, and the root of a stream (docs/format.md, "Streams"). Layer: format. */
#ifndef SNAP_FORMAT_ROOT_H
#define SNAP_FORMAT_ROOT_H

#include "base/limits.h"
#include "chunk/name.h"
#include "format/wire.h"

struct chunk_ref {
    struct chunk_name name;
    struct fingerprint print; /* all zero: not known */
    uint32_t len;             /* plain bytes */
};

/* A stream's root: references to its chunks, or to the chunks of a stream of such references when depth > 0. */
struct stream_root {
    uint32_t depth;
    uint64_t bytes; /* plain bytes of the stream at depth 0 */
    uint32_t count;
    struct chunk_ref refs[ROOT_MAX_REFS];
};
/* get reads to the end of r. ERR_DAMAGED for anything out of limits; bytes are not compared with the references. */
MUST_USE enum errc stream_root_put(struct buf *b, const struct stream_root *root, struct err *err);
MUST_USE enum errc stream_root_get(struct reader *r, struct stream_root *root, struct err *err);

#endif
