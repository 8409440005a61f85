/* What encoder and decoder of entry lists share. Layer: format, private. */
#ifndef SNAP_FORMAT_ENTRY_WIRE_H
#define SNAP_FORMAT_ENTRY_WIRE_H

#include "format/entry.h"

/* Tags of the typed fields. Stored: never renumber. */
enum entry_field {
    ENTRY_PATH = 1,
    ENTRY_CORE = 2,
    ENTRY_USER = 3,
    ENTRY_GROUP = 4,
    ENTRY_LINK = 5,
    ENTRY_RDEV = 6,
    ENTRY_XATTRS = 7,
    ENTRY_XATTR_STREAMS = 8,
    ENTRY_PROBE = 9,
    ENTRY_FLAGS = 10,
};
enum end_field { END_STATE = 1, END_FACTS = 2, END_REASON = 3 };

enum { ENTRY_MODE_BITS = 12, ENTRY_FLAGS_KNOWN = ENTRY_FLAG_SIDECAR };

/* Bits of a run's first number, under its count. */
enum { RUN_FIXED = 1, RUN_PRINTS = 2, RUN_SHORT_LAST = 4, RUN_COUNT_SHIFT = 3 };

/* NULL, or what is wrong with it. */
const char *entry_fault(const struct entry *e);
const char *entry_end_fault(const struct entry_end *end);
bool xattrs_well_formed(const uint8_t *xattrs, size_t len);
bool xattr_streams_well_formed(const uint8_t *streams, size_t len);

#endif
