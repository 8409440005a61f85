/* What a helper process says to the process that started it. Layer: source (private to sqlite/).
 *
 * A frame is u32 kind, u32 length, payload, in the machine's byte order: both ends are one program. The parent takes
 * the helper for hostile: it worked on a file that anyone may have made.
 *
 * Promises
 *   SF1  the parent accepts no frame longer than FRAME_MAX_BYTES, no unknown kind, and nothing after FRAME_DONE.
 */
#ifndef SNAP_SOURCE_SQLITE_FRAME_H
#define SNAP_SOURCE_SQLITE_FRAME_H

#include "base/buf.h"
#include "base/diag.h"

enum frame_kind {
    FRAME_DATA = 1,   /* the next bytes of the image */
    FRAME_FACTS = 2,  /* encoded facts: the image is complete */
    FRAME_NOTE = 3,   /* text for the operator: a warning */
    FRAME_TARGET = 4, /* struct target_report */
    FRAME_DONE = 5,   /* struct done_report */
    FRAME_NEED = 6,   /* u64: the block of a stored image that is wanted; answered by one byte, 0 when it is there */
};
enum { FRAME_MAX_BYTES = 256 * 1024, FRAME_TEXT_MAX_BYTES = 600 };

/* How a helper's work ended. */
enum outcome {
    OUTCOME_OK = 0,
    OUTCOME_NOT_A_DATABASE, /* no magic, or encrypted */
    OUTCOME_DAMAGED,        /* SQLite calls it corrupt */
    OUTCOME_BUSY,           /* held by somebody for longer than the busy timeout */
    OUTCOME_HOT_JOURNAL,    /* a crash left a journal that has to be rolled back first */
    OUTCOME_NEEDS_COPY,     /* cannot be read in place: a WAL whose index cannot be made here */
    OUTCOME_UNREADABLE,     /* permissions, input/output */
    OUTCOME_MOVED,          /* the file is not the one the parent saw */
    OUTCOME_DISORDER,       /* pages came in an order that cannot be streamed: ask again with spool=1 */
    OUTCOME_PAGE_SIZE,      /* apply: another page size in WAL mode */
    OUTCOME_NO_SPACE,
    OUTCOME_FAILED,
    OUTCOME_COUNT,
};
struct done_report {
    uint32_t outcome;
    uint32_t damaged;    /* of what was read, though OUTCOME_OK */
    int32_t sqlite_code; /* extended */
    uint32_t sys_errno;
    char text[FRAME_TEXT_MAX_BYTES];
};
struct target_report {
    uint32_t page_size;
    uint32_t wal;
};

/* The helper's end. false: the parent is gone. */
bool frame_send(int fd, enum frame_kind kind, const void *payload, size_t len);

/* The parent's end; fd does not block. Header of the next frame; *kind_out is 0 at the end of the pipe. Waits, and
 * looks at diag_interrupted four times a second. ERR_CHILD for a frame that breaks SF1, ERR_INTERRUPTED. */
MUST_USE enum errc frame_head(int fd, const struct diag *diag, enum frame_kind *kind_out, size_t *len_out,
                              struct err *err);
/* Its payload or the next part of it, exactly len bytes. */
MUST_USE enum errc frame_body(int fd, const struct diag *diag, void *dst, size_t len, struct err *err);

#endif
