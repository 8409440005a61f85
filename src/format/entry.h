/* Entry lists (docs/format.md, "Entry lists"). Layer: format.
 *
 * A list is a sequence of records, each varint kind (kind << 1 | critical), varint length, payload. A list chunk begins
 * at a record and holds whole records, so each can be read alone. An entry with data is ENTRY, then RUN and HOLE
 * records in order of offsets, then END; an entry without (directory, symlink, device ...) is ENTRY alone. Order:
 * path_compare.
 */
#ifndef SNAP_FORMAT_ENTRY_H
#define SNAP_FORMAT_ENTRY_H

#include "base/timefmt.h"
#include "format/root.h"

enum list_record_kind { LIST_ENTRY = 1, LIST_RUN = 2, LIST_HOLE = 3, LIST_END = 4 };

/* Stored: never renumber. */
enum entry_type {
    ENTRY_FILE = 1,
    ENTRY_DIR = 2,
    ENTRY_SYMLINK = 3,
    ENTRY_FIFO = 4,
    ENTRY_SOCKET = 5,
    ENTRY_CHAR_DEV = 6,
    ENTRY_BLOCK_DEV = 7,
    ENTRY_SQLITE = 8,   /* a database's image, WAL folded in: file bytes, restored through SQLite */
    ENTRY_HARDLINK = 9, /* another name of an earlier entry: link_target is that entry's path */
    ENTRY_ABSENT = 10,  /* in forensic snapshots: nothing stood here */
};
enum entry_state { STATE_EXACT = 0, STATE_FUZZY = 1, STATE_RAW = 2, STATE_ERROR = 3 };
/* STATE_RAW: a database taken as plain bytes because SQLite could not read it; exact as bytes, never counted as good.
 */

struct entry {
    const char *path; /* relative to the item's root, "" is the root itself; not NUL-terminated when decoded */
    size_t path_len;
    enum entry_type type;
    uint32_t mode; /* permission and set-id bits, 07777 */
    uint32_t uid, gid;
    const char *user, *group; /* names, may be NULL/empty */
    size_t user_len, group_len;
    uint64_t size; /* bytes, at the time of the look */
    struct timestamp mtime, ctime;
    uint64_t dev, ino;
    uint32_t nlink;
    uint32_t rdev_major, rdev_minor;
    const char *link_target; /* symlink: its text; hard link: path of the first name */
    size_t link_target_len;
    const uint8_t *xattrs; /* encoded: counted name, counted value ... in order of names; NULL for none */
    size_t xattrs_len;
    const uint8_t
        *xattr_streams; /* encoded: those whose value is a stream, with its root, in order of names; or NULL */
    size_t xattr_streams_len;
    const uint8_t *probe; /* opaque "has it changed" note of the source (SQLite: header and WAL state) */
    size_t probe_len;
    uint32_t flags; /* ENTRY_FLAG_* */
};
enum { ENTRY_FLAG_SIDECAR = 1 /* a -wal, -shm or -journal stored beside a raw database */ };

static inline bool entry_has_data(enum entry_type t)
{
    return t == ENTRY_FILE || t == ENTRY_SQLITE;
}

struct run {
    uint64_t offset; /* of the first chunk in the entry's data */
    uint32_t fixed;  /* 0: cut by content; else every chunk but the entry's last has this many bytes */
    uint32_t count;  /* 1 .. RUN_MAX_REFS */
    bool has_prints; /* set by decoders; run_put sees for itself whether any fingerprint is known */
};
struct entry_end {
    enum entry_state state;
    uint64_t size;        /* bytes of data that were stored, holes included */
    const uint8_t *facts; /* encoded facts (format/fact.h), NULL for none */
    size_t facts_len;
    const char *reason; /* why the state is not exact; may be NULL */
    size_t reason_len;
};

/* Encoders append one whole list record, or nothing. What cannot be stored (too long, unsafe path, order of xattrs ...)
 * is ERR_LIMIT. */
MUST_USE enum errc entry_put(struct buf *b, const struct entry *e, struct err *err);
MUST_USE enum errc run_put(struct buf *b, const struct run *run, const struct chunk_ref *refs, struct err *err);
MUST_USE enum errc hole_put(struct buf *b, uint64_t offset, uint64_t len, struct err *err);
MUST_USE enum errc entry_end_put(struct buf *b, const struct entry_end *end, struct err *err);

/* One record at a time. Decoded pointers borrow from the input. */
struct list_record {
    enum list_record_kind kind;
    union {
        struct entry entry;
        struct run run;
        struct {
            uint64_t offset, len;
        } hole;
        struct entry_end end;
    } u;
    struct bytes raw;  /* the whole record as stored: copying it to another list is allowed */
    struct bytes refs; /* LIST_RUN: to be read with run_ref_get */
};
/* ERR_DAMAGED for anything out of limits or malformed, unsafe paths included; ERR_FORMAT_NEWER for what only a newer
 * version knows. Non-critical records of unknown kinds are passed over. At the end of the input *more is false. */
MUST_USE enum errc list_record_get(struct reader *r, struct list_record *out, bool *more, struct err *err);
/* The next of rec->u.run.count references; refs is advanced. */
MUST_USE enum errc run_ref_get(struct reader *refs, const struct run *run, struct chunk_ref *out, struct err *err);

/* xattrs: iterate names in order. false at the end. */
bool xattr_next(struct reader *r, struct bytes *name_out, struct bytes *value_out);
MUST_USE enum errc xattr_put(struct buf *b, const char *name, const void *value, size_t len, struct err *err);

/* The same for xattr_streams; r->failed tells malformed from the end. */
bool xattr_stream_next(struct reader *r, struct bytes *name_out, struct stream_root *root_out);
MUST_USE enum errc xattr_stream_put(struct buf *b, const char *name, const struct stream_root *root, struct err *err);

#endif
