/* What the files of store/ share. Layer: store, private to it.
 *
 * Lock order: store.lock only (it guards the catalog and the index of a session); nothing else is taken while it is
 * held.
 */
#ifndef SNAP_STORE_INTERNAL_H
#define SNAP_STORE_INTERNAL_H

#include <pthread.h>

#include "backend/backend.h"
#include "base/limits.h"
#include "chunk/cut.h"
#include "store/store.h"

struct store {
    struct backend *backend;
    char *path, *cache_dir, *key_file;
    struct repo_config config;
    struct key_bundle keys;
    char slot_id[17]; /* the slot that opened it */
    bool clear, read_only, temporary_catalog;
    bool accept_history; /* rebuild: the note of what was last seen does not bind */
    bool retried;        /* packs_retry was called */
    uint32_t
        *doubtful; /* packs that are there and not as they were written: read from, not relied on by new snapshots */
    size_t doubtful_count, doubtful_cap;
    bool lost_packs; /* the last session found packs missing: nothing may be reused unread */
    const struct diag *diag;
    struct catalog *catalog;
    pthread_mutex_t lock; /* the catalog, and head */
    uint64_t head;
    struct digest head_digest;
    uint8_t writer[8], session[8];
    uint64_t run; /* mark of this session's uncommitted packs; 0: none */
    struct gear gear;
};

/* --- log.c ---- */
enum { LOG_NAME_BYTES = 32 };
const char *log_name(char dst[LOG_NAME_BYTES], uint64_t number);
/* One record: body (released by the caller), digest of its frame, bytes of its file. good_copies_out may be NULL. */
MUST_USE enum errc log_load(struct store *s, uint64_t number, struct log_body *body_out, struct digest *digest_out,
                            unsigned *good_copies_out, struct err *err);
/* The hint of an error that only the right log record can mend. err may be NULL. */
void log_hint(uint64_t number, struct err *err);
/* Is there a record behind head + 1, which is not there? ERR_HISTORY. *again_out: head + 1 has just appeared. */
MUST_USE enum errc log_check_end(struct store *s, bool *again_out, struct err *err);
/* Append; s->lock is held. For LOG_SNAPSHOT bytes_added is completed here by the record's own size, and ERR_LOCKED is
 * returned when a drop record came after record number since. *stands_out tells after an error, too, whether the record
 * may be in the log (its name could be made but not synced): then what it names must stay. */
MUST_USE enum errc log_append(struct store *s, struct log_body *body, uint64_t since, bool *stands_out,
                              struct err *err);

/* --- replay.c ---- */
/* Bring the catalog up to the head of the log. s->lock is held. ERR_HISTORY. */
MUST_USE enum errc replay(struct store *s, struct err *err);

/* Compare the catalog's packs with those that are there: what a lost one held is forgotten, so that it is stored again;
 * one that came back is taken in. Sets s->lost_packs. s->lock is held. */
MUST_USE enum errc packs_look(struct store *s, struct err *err);
/* Packs that could not be read when they were entered, and now can: taken in. s->lock is held. */
MUST_USE enum errc packs_retry(struct store *s, bool *any_out, struct err *err);

/* A pack in doubt that is whole again: its length and all its rows are entered. s->lock is held. */
MUST_USE enum errc pack_trust(struct store *s, const struct catalog_pack *p, struct err *err);

/* --- runs.c: marks of sessions at work, by kernel locks on files beside the catalog ---- */
MUST_USE enum errc run_mark(struct store *s, uint64_t *run_out, int *lock_fd_out, struct err *err);
void run_unmark(struct store *s, uint64_t run, int *lock_fd);
/* Forget the uncommitted packs of sessions that are gone. s->lock is held. */
void runs_clean(struct store *s);

/* --- slots.c ---- */
/* Find the slot that opens: fills s->keys, s->slot_id, s->clear. */
MUST_USE enum errc slots_unlock(struct store *s, const struct store_secret *secret, struct err *err);

/* --- pack_reader.c: one pack open for reading, for one thread ---- */
struct pack_reader;
MUST_USE enum errc pack_reader_open(struct store *s, const struct digest *name, struct pack_reader **out,
                                    struct err *err);
void pack_reader_free(struct pack_reader *p);
/* Open a sealed record: payload (stored_len - tag bytes) into dst. stored must have room for stored_len. */
MUST_USE enum errc pack_reader_get(struct pack_reader *p, const struct record_desc *d, uint8_t *stored, uint8_t *dst,
                                   struct err *err);
/* The same for stored bytes that are in memory already. */
MUST_USE enum errc pack_reader_unseal(struct pack_reader *p, const struct record_desc *d, const uint8_t *stored,
                                      uint8_t *dst, struct err *err);
/* The descriptors in order of numbers; fn's error stops. Bounded memory: one table (PACK_TABLE_MAX_BYTES is refused
 * above). */
MUST_USE enum errc pack_reader_table(struct pack_reader *p,
                                     enum errc (*fn)(void *arg, const struct record_desc *d, struct err *err),
                                     void *arg, struct err *err);
uint64_t pack_reader_size(const struct pack_reader *p);
uint32_t pack_reader_count(const struct pack_reader *p);
struct object *pack_reader_object(struct pack_reader *p);
enum { PACK_NAME_BYTES = 72 };
const char *pack_name(char dst[PACK_NAME_BYTES], const struct digest *name); /* "packs/<hex>" */

/* --- chunk_reader.c ---- */
/* The chunk of this very record. dst has room for CHUNK_MAX_BYTES; *len_out is its plain length. The name is not
 * checked. */
MUST_USE enum errc chunk_read_record(struct chunk_reader *r, const struct catalog_chunk *c, uint8_t *dst,
                                     size_t *len_out, struct err *err);
/* Copies of a chunk, under the lock. */
MUST_USE enum errc chunk_find(struct store *s, const struct chunk_name *name, struct catalog_chunk *out, size_t max,
                              size_t *count_out, struct err *err);
/* For verify: check one record whose sealed bytes are in memory. ERR_DAMAGED. */
MUST_USE enum errc chunk_check_stored(struct chunk_reader *r, struct pack_reader *p, const struct record_desc *d,
                                      const uint8_t *stored, struct err *err);

/* --- pack_writer.c: makes packs, for one thread (the collector) ---- */
struct pack_writer;
struct pack_writer_sizes {
    uint64_t packs_bytes;   /* of packs that were closed */
    uint64_t records_bytes; /* sealed bytes added so far */
};
MUST_USE enum errc pack_writer_new(struct store *s, bool dry, struct pack_writer **out, struct err *err);
/* Seal payload as the next record; d's name, lengths, codec, n, base ... are the caller's, number, offset and
 * stored_len are filled in. Opened again and compared before it counts. */
MUST_USE enum errc pack_writer_add(struct pack_writer *w, struct record_desc *d, const uint8_t *payload, size_t len,
                                   struct err *err);
/* Close what is open, make every pack durable and visible under its name. Names to *names_out (free()). */
MUST_USE enum errc pack_writer_finish(struct pack_writer *w, struct digest **names_out, size_t *count_out,
                                      struct pack_writer_sizes *sizes_out, struct err *err);
void pack_writer_keep(struct pack_writer *w); /* a log record names the packs now: they stay */
void pack_writer_free(struct pack_writer *w); /* not kept: what was published is removed again */

/* --- index.c: what is stored, claimed or being stored by this session; any thread ---- */
struct session_index;
void pack_writer_set_index(struct pack_writer *w, struct session_index *index); /* before the first add */
MUST_USE enum errc session_index_new(struct store *s, struct session_index **out, struct err *err);
void session_index_free(struct session_index *x);
/* *known_out: stored already, or claimed by another worker of this session. Otherwise it is the caller's to store now.
 */
MUST_USE enum errc session_index_claim(struct session_index *x, const struct chunk_name *name, bool *known_out,
                                       struct err *err);
/* A dry run: nothing is kept, so what was claimed may be claimed again. Memory stays bounded. */
void session_index_forget(struct session_index *x, const struct record_desc *descs, size_t count);
/* A pack was closed: its rows go to the catalog, marked with the run, and its claims are forgotten. */
MUST_USE enum errc session_index_pack(struct session_index *x, const struct digest *pack, uint64_t bytes,
                                      struct record_desc *descs, size_t count, struct err *err);

/* --- encode.c: one chunk to one payload, for one thread ---- */
struct encoder;
struct encoded {
    struct record_desc desc; /* without number, offset, stored_len */
    const uint8_t *payload;  /* in dst, or src itself when stored raw */
    size_t payload_len;
};
MUST_USE enum errc encoder_new(struct store *s, struct encoder **out, struct err *err);
void encoder_free(struct encoder *e);
struct namer *encoder_namer(struct encoder *e);
/* base NULL: no delta is tried. dst has room for len. Decoded and compared before it returns (docs/adr/0003). */
MUST_USE enum errc encoder_encode(struct encoder *e, const struct chunk_name *name, enum chunk_type type,
                                  const uint8_t *src, size_t len, const struct chunk_name *base, uint8_t *dst,
                                  struct encoded *out, struct err *err);

/* --- list_reader.c: only the references to the list's chunks; not to be mixed with list_reader_next ---- */
MUST_USE enum errc list_reader_next_chunk(struct list_reader *r, struct chunk_ref *out, bool *more, struct err *err);

/* --- match.c: finding a chunk's place in the previous version ---- */
struct match_ref {
    struct chunk_ref ref;
    uint64_t offset;
    bool last; /* the entry's last chunk: its cut was forced */
};
enum { MATCH_WINDOW = 128 };
struct matcher {
    struct match_ref refs[MATCH_WINDOW];
    size_t count;                    /* refs[0..count) are loaded */
    size_t next;                     /* the successor of the last match (or of the last base): index in refs */
    uint64_t anchor_old, anchor_new; /* end of the last match in the old and the new stream */
};
void matcher_reset(struct matcher *m);
/* Room for refs to be loaded: drops those well before next. */
size_t matcher_room(struct matcher *m);
void matcher_load(struct matcher *m, const struct match_ref *ref);
const struct match_ref *matcher_expected(const struct matcher *m); /* NULL: none */
/* The ref in the window that has this length and fingerprint; index or -1. */
int matcher_find(const struct matcher *m, uint32_t len, const struct fingerprint *print);
int matcher_find_name(const struct matcher *m, const struct chunk_name *name);
void matcher_matched(struct matcher *m, int index, uint64_t new_offset);
/* The ref that stands where new_offset would be in the old stream: a delta's base; index or -1. */
int matcher_base(const struct matcher *m, uint64_t new_offset, uint32_t len);

/* --- prev.c: the previous list's entries and the references of its data, read along with the new ones ---- */
struct prev_list;
MUST_USE enum errc prev_list_open(struct store *s, const struct stream_root *root, struct prev_list **out,
                                  struct err *err);
void prev_list_free(struct prev_list *p);
/* Move on to path; NULL when the list has no such entry. Ascending order; the same path may be asked for again. */
MUST_USE enum errc prev_list_seek(struct prev_list *p, const char *path, size_t len, const struct entry **out,
                                  struct err *err);
/* The next data record (run, hole, end) of the entry last found; *rec_out NULL after its end. Borrowed until the next
 * call. */
MUST_USE enum errc prev_list_record(struct prev_list *p, const struct list_record **rec_out, struct err *err);
/* Instead of records: the references of its data one by one. Not to be mixed with prev_list_record. */
MUST_USE enum errc prev_list_ref(struct prev_list *p, struct match_ref *out, bool *more, struct err *err);

struct session {
    struct store *store;
    const struct diag *diag;
    bool dry;
    uint64_t since; /* head of the log when the session began */
    int run_lock;   /* kernel lock of the run's mark */
    struct pack_writer *packs;
    struct session_index *index;
    struct session_stats stats; /* the collector's, read after it has stopped */
    bool in_list;
};

#endif
