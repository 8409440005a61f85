/* Hard maxima of format version 1 (docs/format.md, "Limits"). A decoder refuses anything above them before it
 * allocates. Layer: base (shared by chunk and format). */
#ifndef SNAP_BASE_LIMITS_H
#define SNAP_BASE_LIMITS_H

enum {
    FORMAT_VERSION = 1,
    CHUNK_MAX_BYTES = 256 * 1024,              /* plain bytes of one chunk */
    RECORD_MAX_BYTES = CHUNK_MAX_BYTES + 1024, /* stored bytes of one record, tag included */
    DELTA_MAX_N = 1 << 14,                     /* versions since the last whole record */
    DELTA_MAX_CHAIN = 24,                      /* records a chunk is rebuilt from, at most */
    PACK_MAX_RECORDS = 1 << 20,
    PACK_TARGET_BYTES = 32 << 20,
    PACK_TABLE_MAX_BYTES = 96 << 20, /* a full pack of the smallest records; readers stream it */
    PACK_MAX_BYTES = 256 << 20,
    LOG_RECORD_MAX_BYTES = 4 << 20, /* plain body of one log record */
    KEY_SLOT_MAX_BYTES = 64 * 1024,
    KEY_SLOTS_MAX = 64,
    CONFIG_MAX_BYTES = 64 * 1024,
    PATH_MAX_BYTES = 64 * 1024,         /* one entry's path */
    NAME_MAX_BYTES = 1024,              /* a set, host, user, tag, source, hold or label */
    XATTR_INLINE_MAX_BYTES = 64 * 1024, /* name and value of all inline xattrs of one entry together */
    XATTR_NAME_MAX_BYTES = 255,
    XATTR_STREAMS_MAX_BYTES = 32 * 1024, /* names and roots of all xattrs of one entry that are streams */
    PROBE_MAX_BYTES = 4 * 1024,          /* a source's note on whether an entry has changed */
    TEXT_MAX_BYTES = 16 * 1024,          /* a reason or a detail for people */
    FACTS_MAX_BYTES = 128 * 1024,        /* encoded facts of one entry */
    LIST_RECORD_MAX_BYTES = 250 * 1024,  /* one record of an entry list, so that a list chunk holds it whole */
    RUN_MAX_REFS = 1024,                 /* chunk references in one run record */
    TAGS_MAX = 256,                      /* tags of a snapshot */
    STEPS_MAX = 64 * 1024,               /* steps of a run record */
    ITEMS_MAX = 4096,                    /* items of a snapshot */
    ROOT_MAX_REFS = 32,                  /* references kept in the log record itself */
    ROOT_MAX_DEPTH = 8,
    SCRYPT_MAX_LOG2_N = 20,
    SCRYPT_MAX_R = 16,
    SCRYPT_MAX_P = 4,
};

#endif
