/* Log records (docs/format.md, "The log"). Layer: format.
 *
 * <repository>/log/<16 decimal digits>: three copies of a frame.
 *   frame = magic "SNAPLOG1", u16 format, u8 cipher, u8 wrap, u32 data key id, u64 number, repository id[16],
 *           60 bytes wrapped record key (associated data: the frame before it), 64 bytes room for a signature (zero),
 * u32 body length, sealed body (number 0; associated data: object type and the whole frame before the body) body  =
 * typed fields The digest of a record is the SHA-256 of its frame.
 */
#ifndef SNAP_FORMAT_LOG_RECORD_H
#define SNAP_FORMAT_LOG_RECORD_H

#include "base/timefmt.h"
#include "format/config.h"
#include "format/entry.h"
#include "format/fact.h"

/* Stored: never renumber. */
enum log_kind {
    LOG_SNAPSHOT = 1,
    LOG_DROP = 2,
    LOG_HOLD = 3,
    LOG_RELEASE = 4,
    LOG_TRASH = 5,
    LOG_UNTRASH = 6,
    LOG_VERIFIED = 7,
    LOG_RUN = 8,
    LOG_CHECKPOINT = 9,
};

struct snapshot_id {
    uint8_t b[16];
};
struct run_id {
    uint8_t b[8];
};

struct log_head {       /* what every record has */
    uint64_t number;    /* 1, 2, 3 ... */
    struct digest prev; /* digest of record number - 1; zero for number 1 */
    uint8_t writer[8];  /* of this catalog directory: random, made once */
    uint8_t session[8]; /* of this process run */
    struct timestamp time;
    enum log_kind kind;
};

enum snapshot_kind { SNAPSHOT_BACKUP = 1, SNAPSHOT_FORENSIC = 2, SNAPSHOT_IMPORTED = 3 };
enum item_type { ITEM_FILES = 1, ITEM_SQLITE = 2, ITEM_FILE = 3 };

struct item {
    char *source; /* name; for ad-hoc backups the absolute path */
    char *path;   /* absolute path on the host */
    enum item_type type;
    enum entry_state state;  /* the worst of its entries: exact, fuzzy, raw, error */
    bool good;               /* nothing missing, every check passed */
    uint64_t entries, bytes; /* entries; bytes of the source */
    struct fact_list facts;
    struct stream_root list;
};

struct snapshot {
    struct snapshot_id id;
    enum snapshot_kind kind;
    bool partial; /* something named was not stored, or is raw, damaged or an error */
    char *set, *host, *user;
    char **tags;
    size_t tag_count;
    struct timestamp time; /* what --time says, or when it began */
    uint64_t duration_ms;
    uint64_t bytes_read, bytes_source, bytes_added, chunks_new, chunks_delta;
    struct run_id of_run; /* forensic: the restore run it was made for */
    struct item *items;
    size_t item_count;
    struct digest *packs; /* added by this snapshot */
    size_t pack_count;
};
void snapshot_release(struct snapshot *s);

struct run_step {
    char *what; /* "stage", "verify", "forensic", "swap /srv/app.db" ... */
    struct timestamp begun;
    uint64_t duration_ms;
    bool ok;
    char *detail; /* may be NULL */
};
struct run_record {
    struct run_id id;
    char *verb;  /* "restore", "undo", "backup" ... */
    char *state; /* "intent", "done", "undone", "failed", "resumed" */
    char *user, *host;
    char *detail; /* human sentence */
    struct timestamp begun;
    uint64_t duration_ms;
    bool has_snapshot, has_forensic;
    struct snapshot_id snapshot, forensic;
    struct run_step *steps;
    size_t step_count;
    uint8_t *plan; /* restore: encoded plan for --resume (engine/plan.h); may be NULL */
    size_t plan_len;
    char *target; /* restore --target DIR; NULL in place */
};
void run_record_release(struct run_record *r);

struct verified { /* LOG_VERIFIED */
    struct snapshot_id id;
    uint32_t level; /* bits: 1 structure, 2 data read, 4 databases opened */
    bool ok;
    char *detail; /* may be NULL */
};

struct log_body {
    struct log_head head;
    struct snapshot snapshot;  /* LOG_SNAPSHOT */
    struct run_record run;     /* LOG_RUN */
    struct verified *verified; /* LOG_VERIFIED */
    size_t verified_count;
    struct snapshot_id *ids; /* LOG_DROP, LOG_TRASH, LOG_UNTRASH, LOG_HOLD (one) */
    size_t id_count;
    struct digest *packs; /* LOG_DROP */
    size_t pack_count;
    char *name; /* LOG_HOLD, LOG_RELEASE */
};
void log_body_release(struct log_body *b);

/* The body's plain bytes (typed fields). ERR_LIMIT above LOG_RECORD_MAX_BYTES. */
MUST_USE enum errc log_body_put(struct buf *b, const struct log_body *body, struct err *err);
/* An unknown kind decodes its head only when its kind field is not critical; ERR_FORMAT_NEWER otherwise. */
MUST_USE enum errc log_body_get(const void *data, size_t len, struct log_body *out, struct err *err);

/* The frame of a record under the current data key. */
MUST_USE enum errc log_frame_seal(struct buf *out, const struct repo_id *repo, const struct key_bundle *keys,
                                  uint64_t number, const void *body, size_t body_len, struct err *err);
/* Check and open: number and repository must agree. Plain body appended to out. ERR_DAMAGED, ERR_FORMAT_NEWER. */
MUST_USE enum errc log_frame_open(const void *frame, size_t len, const struct repo_id *repo,
                                  const struct key_bundle *keys, uint64_t number, struct buf *body_out,
                                  struct err *err);

#endif
