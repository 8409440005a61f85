/* A repository that is open: what every engine verb starts from. Layer: store.
 *
 * Promises
 *   ST1  what is read is checked against its name, or against its fingerprint in the entry list: wrong bytes are an
 *        error.
 *   ST2  nothing in memory grows with the size of the repository or of a source.
 *   ST3  a snapshot is visible only after every byte it needs is durable.
 *   ST4  a catalog that is missing, damaged or behind is rebuilt or brought up from the log and the packs.
 */
#ifndef SNAP_STORE_STORE_H
#define SNAP_STORE_STORE_H

#include "base/diag.h"
#include "catalog/catalog.h"
#include "format/log_record.h"

struct store;

/* Secrets in order of preference; the first that is set is used. Borrowed for the call. */
struct store_secret {
    const char *key_file;   /* path */
    const char *passphrase; /* bytes, NUL-terminated */
    const char *recovery;   /* text of the recovery key */
};

struct store_options {
    const char *path;      /* directory of the repository */
    const char *cache_dir; /* where catalogs live; made 0700 when absent */
    struct store_secret secret;
    const struct diag *diag;
    bool write;             /* will append to the log */
    bool no_catalog_replay; /* for rebuild, which makes a new one */
    uint64_t lock_wait_ms;
};

struct store_init_options {
    const char *path;
    const char *key_file;   /* made (0600) when absent; may be NULL */
    const char *passphrase; /* may be NULL */
    bool clear;             /* --encryption none */
};
/* Make a repository. recovery_out gets the text of the recovery key (empty for clear); the caller wipes it.
 * ERR_REPOSITORY_EXISTS; a directory that is there and not empty is refused with ERR_TARGET_EXISTS. Either the whole
 * repository is there afterwards, or what was made is taken away again. */
MUST_USE enum errc store_init(const struct store_init_options *opt, struct repo_id *id_out,
                              char recovery_out[RECOVERY_TEXT_BYTES], struct err *err);

/* ERR_NO_REPOSITORY, ERR_FORMAT_NEWER, ERR_NO_KEY, ERR_WRONG_KEY, ERR_HISTORY (log shorter or other than last seen),
 * ERR_DAMAGED. Brings the catalog up to the log's head. A read-only repository opens for reading. */
MUST_USE enum errc store_open(const struct store_options *opt, struct store **out, struct err *err);
void store_close(struct store *s);

const struct repo_id *store_id(const struct store *s);
const char *store_path(const struct store *s);
const char *store_cache_dir(const struct store *s); /* of all repositories, as it was given */
const char *store_key_file(const struct store *s);  /* it was opened with; NULL: with none */
struct catalog *store_catalog(struct store *s);     /* for queries; one thread at a time */
bool store_is_clear(const struct store *s);         /* --encryption none */
bool store_is_read_only(const struct store *s);     /* the repository cannot be written to */
uint64_t store_head(const struct store *s);         /* number of the last log record */

/* --- reading -------------------------------------------------------------------------------------------------- */

/* One per thread; several may be at work on one store. */
struct chunk_reader;
MUST_USE enum errc chunk_reader_new(struct store *s, struct chunk_reader **out, struct err *err);
void chunk_reader_free(struct chunk_reader *r);
/* The chunk's plain bytes into dst[0..len). ERR_DAMAGED (tried every copy), ERR_MISSING_OBJECT. */
MUST_USE enum errc chunk_read(struct chunk_reader *r, const struct chunk_name *name, enum chunk_type type, uint8_t *dst,
                              size_t len, struct err *err);
/* The same of an entry's data, dst[0..ref->len): by the reference's fingerprint where it has one, which is as sure and
 * three times as fast (docs/adr/0016). */
MUST_USE enum errc chunk_read_ref(struct chunk_reader *r, const struct chunk_ref *ref, uint8_t *dst, struct err *err);

/* An entry list, record by record. */
struct list_reader;
MUST_USE enum errc list_reader_open(struct store *s, const struct stream_root *root, struct list_reader **out,
                                    struct err *err);
void list_reader_free(struct list_reader *r);
/* rec borrows until the next call. At the end *more is false. */
MUST_USE enum errc list_reader_next(struct list_reader *r, struct list_record *rec, bool *more, struct err *err);

/* --- history ---------------------------------------------------------------------------------------------------- */

/* Append one record; body->head is filled in (number, prev, writer, session, time when zero). The catalog follows. If
 * another process appended meanwhile, its records are replayed first. ERR_READ_ONLY. */
MUST_USE enum errc store_append(struct store *s, struct log_body *body, struct err *err);
/* Read one record. body_out is released by the caller. ERR_MISSING_OBJECT, ERR_DAMAGED. digest_out may be NULL. */
MUST_USE enum errc store_log_read(struct store *s, uint64_t number, struct log_body *body_out,
                                  struct digest *digest_out, struct err *err);
/* A snapshot by name as the command line has it: prefix of 4 or more hex digits, latest, latest~N, latest@SET, a hold's
 * name. ERR_UNKNOWN_ID, ERR_AMBIGUOUS_ID. out is released by the caller. include_deleted: ids in the trash are found
 * too. */
MUST_USE enum errc store_find_snapshot(struct store *s, const char *spec, bool include_deleted, struct snapshot *out,
                                       struct err *err);

/* --- writing ---------------------------------------------------------------------------------------------------- */

/* Everything one snapshot writes. One session at a time per store; other processes may have theirs. dry: the same way,
 * with nothing kept; it cannot be committed. */
struct session;
MUST_USE enum errc session_begin(struct store *s, const struct diag *diag, bool dry, struct session **out,
                                 struct err *err);
/* Make packs durable, then append the log record for snap (kind, set, items ... filled in by the caller; id, packs and
 * bytes_added, chunks_* are filled in here), then bring the catalog up. The session is over either way; free it. */
MUST_USE enum errc session_commit(struct session *x, struct snapshot *snap, struct err *err);
void session_free(struct session *x); /* without commit: packs made are removed */

/* Packs that snapshots need are gone: an unchanged file may not be taken over from the previous snapshot unread. */
bool session_lost_packs(const struct session *x);

struct session_stats {
    uint64_t chunks_new, chunks_delta, bytes_stored;
};
struct session_stats session_stats(const struct session *x);

/* An entry list being written; one at a time per session. previous: root of the same item's list in the previous
 * snapshot, NULL for none; its entries are compared with and are the bases of deltas. One thread; work is spread over
 * the session's workers. The functions mirror struct sink_ops (source/source.h) and are unusable after their first
 * error. */
struct list_writer;
MUST_USE enum errc list_writer_open(struct session *x, const struct stream_root *previous, struct list_writer **out,
                                    struct err *err);
void list_writer_free(struct list_writer *w);
MUST_USE enum errc list_writer_previous(struct list_writer *w, const char *path, size_t path_len,
                                        const struct entry **entry_out, struct err *err);
MUST_USE enum errc list_writer_node(struct list_writer *w, const struct entry *e, struct err *err);
MUST_USE enum errc list_writer_begin(struct list_writer *w, uint32_t fixed, struct err *err);
/* Right after begin, for content cuts: from data_offset on the data are rows of row_bytes each. Cuts then lie between
 * rows. A hint: wrong or useless (under CUT_ROW_MIN_BYTES, over the largest chunk) does no harm. */
void list_writer_rows(struct list_writer *w, uint64_t data_offset, uint64_t row_bytes);
MUST_USE enum errc list_writer_space(struct list_writer *w, uint8_t **ptr_out, size_t *room_out, struct err *err);
MUST_USE enum errc list_writer_advance(struct list_writer *w, size_t len, struct err *err);
MUST_USE enum errc list_writer_data(struct list_writer *w, const void *data, size_t len, struct err *err);
MUST_USE enum errc list_writer_hole(struct list_writer *w, uint64_t len, struct err *err);
MUST_USE enum errc list_writer_end(struct list_writer *w, const struct entry *e, const struct entry_end *end,
                                   struct err *err);
MUST_USE enum errc list_writer_abandon(struct list_writer *w, struct err *err);
MUST_USE enum errc list_writer_reuse(struct list_writer *w, const struct entry *e, struct err *err);
/* Wait for the workers; the list's root. */
MUST_USE enum errc list_writer_finish(struct list_writer *w, struct stream_root *root_out, struct err *err);

/* --- verification ------------------------------------------------------------------------------------------------ */

struct store_verify_options {
    bool read_data;              /* decode and re-name every record */
    uint32_t subset_n, subset_t; /* packs with (id - 1) % t == n - 1; t = 0: all */
    uint64_t subset_bytes;       /* stop after that many; 0: no limit */
    uint64_t deadline_ns;        /* monotonic; 0: none */
    const struct diag *diag;
};
struct store_verify_error {
    char kind[32];   /* "missing-pack", "damaged-pack", "damaged-record", "damaged-log", "unreadable-chunk" ... */
    char object[96]; /* "packs/<hex>", "log/<number>", chunk name */
    struct snapshot_id *affects; /* snapshots that need it */
    size_t affects_count;
    char **paths; /* "<source>:<path>" of affected entries, at most 64 */
    size_t path_count;
    char message[400];
};
struct store_verify_result {
    uint64_t snapshots, packs, records, bytes_read;
    uint64_t unreferenced_packs; /* left by a run that was cut off: no harm */
    struct store_verify_error *errors;
    size_t error_count;
    bool complete; /* false when a limit stopped it */
};
/* The outcome is in *out (released by the caller) also when damage was found: that is ERR_OK here. */
MUST_USE enum errc store_verify(struct store *s, const struct store_verify_options *opt,
                                struct store_verify_result *out, struct err *err);
void store_verify_result_release(struct store_verify_result *r);

/* Read these packs back: every record decoded and named again. ERR_DAMAGED, ERR_MISSING_OBJECT. */
MUST_USE enum errc store_check_packs(struct store *s, const struct digest *packs, size_t count, const struct diag *diag,
                                     struct err *err);

/* Make the catalog anew from the log and the packs. The old one is replaced only when the new one is complete. */
MUST_USE enum errc store_rebuild(struct store *s, const struct diag *diag, struct err *err);

/* --- keys --------------------------------------------------------------------------------------------------------- */

struct slot_info {
    char id[17]; /* 16 hex digits: file name in keys/ */
    enum slot_kind kind;
    char label[256];
    struct timestamp created;
    bool opened_this; /* the slot this store was opened with */
};
MUST_USE enum errc store_slots(struct store *s, struct slot_info **out, size_t *count_out,
                               struct err *err); /* free() */
/* Add a slot. For SLOT_RECOVERY the text is returned; SLOT_KEY_FILE makes the file when absent. */
MUST_USE enum errc store_slot_add(struct store *s, enum slot_kind kind, const char *label, const char *key_file,
                                  const char *passphrase, char recovery_out[RECOVERY_TEXT_BYTES], char id_out[17],
                                  struct err *err);
/* ERR_KEY_SLOT for an unknown id, or when it is the last one. */
MUST_USE enum errc store_slot_remove(struct store *s, const char *id, struct err *err);

#endif
