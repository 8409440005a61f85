/* The names in one directory, sorted, and which of them belong together. Layer: source; private to files/.
 * Memory: names and 24 bytes each, of one directory; freed when the walk leaves it. */
#ifndef SNAP_SOURCE_FILES_LISTING_H
#define SNAP_SOURCE_FILES_LISTING_H

#include <stdint.h>

#include "base/err.h"

enum { LISTING_BUFFER_BYTES = 64 * 1024 };

/* A name with -wal, -journal or -shm behind is a sidecar of the name without, its stem, when that is there. */
enum sidecar { SIDECAR_WAL = 1, SIDECAR_JOURNAL = 2, SIDECAR_SHM = 4 };

struct listed {
    const char *name; /* NUL-terminated */
    uint16_t len;
    uint8_t sidecar; /* enum sidecar when this is one; 0: not */
    uint8_t has;     /* bits of enum sidecar that this stem has; a sidecar has none */
    uint32_t stem;   /* of a sidecar: index of its stem */
    uint32_t unit;   /* of a stem: for the walk, 0 at first */
};

struct listing_block;
struct listing {
    struct listed *names; /* by unsigned bytes, each once */
    size_t count, cap;
    struct listing_block *blocks;
};

/* List the directory open at fd from where it stands (its beginning). buffer: LISTING_BUFFER_BYTES of scratch. After an
 * error (ERR_IO with sys_errno, ERR_NO_MEMORY) *out holds, sorted, what was listed until then. */
MUST_USE enum errc listing_read(int fd, void *buffer, struct listing *out, struct err *err);
void listing_release(struct listing *l);
/* NULL when there is none of that name. */
struct listed *listing_find(const struct listing *l, const char *name, size_t len);

#endif
