/* The catalog: a SQLite database of what one repository holds. Layer: catalog (the only user of sqlite3 beside
 * source/sqlite).
 *
 * Lives at <cache dir>/<repository id hex>/catalog.db (0700 directory, 0600 file). Never the only copy of anything: it
 * can be thrown away and made anew (store/replay.c). Several processes may have it open.
 *
 * Promises
 *   CA1  every change is one SQLite transaction; a kill leaves the old or the new state.
 *   CA2  a catalog of another schema version, or that SQLite calls damaged, is reported as ERR_CATALOG; the store then
 *        makes a new one.
 *   CA3  memory is bounded: page cache of CATALOG_CACHE_BYTES, results are handed out row by row.
 * Thread rule: one thread at a time; the store has the lock. A callback of a query may call the catalog again.
 */
#ifndef SNAP_CATALOG_CATALOG_H
#define SNAP_CATALOG_CATALOG_H

#include "format/log_record.h"

struct catalog;
enum { CATALOG_SCHEMA = 1, CATALOG_CACHE_BYTES = 1 << 20 };

/* dir is made (0700) when absent. ERR_CATALOG when what is there cannot be used. An absent one is made empty (head 0).
 * If dir cannot be written to, a temporary one in $TMPDIR (unlinked) serves this run and *temporary_out is set. */
MUST_USE enum errc catalog_open(const char *cache_dir, const struct repo_id *repo, struct catalog **out,
                                bool *temporary_out, struct err *err);
void catalog_close(struct catalog *c);
/* Remove the files of the catalog (not last-seen); it must be closed. Absent is fine. ERR_LOCKED when another process
 * still has it open after 5 s. */
MUST_USE enum errc catalog_remove(const char *cache_dir, const struct repo_id *repo, struct err *err);

/* A new, empty one beside the catalog that is in use, to take its place when it is complete. What a cut-off run left of
 * one is removed. ERR_LOCKED while another process makes one. Never temporary: fails where it cannot be written. */
MUST_USE enum errc catalog_open_beside(const char *cache_dir, const struct repo_id *repo, struct catalog **out,
                                       struct err *err);
/* Close it and rename it over the catalog, which must be closed (ERR_LOCKED when another process still has it open
 * after 5 s). After an error the old one is there as it was. */
MUST_USE enum errc catalog_replace(const char *cache_dir, const struct repo_id *repo, struct catalog *beside,
                                   struct err *err);
/* Close it and remove its files. */
void catalog_abandon(const char *cache_dir, const struct repo_id *repo, struct catalog *beside);

/* Number and digest of the last log record the catalog has taken in; 0 and zeros at first. */
MUST_USE enum errc catalog_head(struct catalog *c, uint64_t *number_out, struct digest *digest_out, struct err *err);
/* Random 8 bytes made with the catalog: the writer id of this machine. */
MUST_USE enum errc catalog_writer_id(struct catalog *c, uint8_t out[8], struct err *err);
/* "Last seen" head, kept beside the catalog in a file of its own (<dir>/last-seen, text: number, space, hex digest) so
 * that a removed catalog does not forget it. *number_out is 0 when there is none; ERR_CATALOG when it cannot be read as
 * written. */
MUST_USE enum errc catalog_last_seen(const char *cache_dir, const struct repo_id *repo, uint64_t *number_out,
                                     struct digest *digest_out, struct err *err);
MUST_USE enum errc catalog_set_last_seen(const char *cache_dir, const struct repo_id *repo, uint64_t number,
                                         const struct digest *digest, struct err *err);

/* --- packs and chunks --------------------------------------------------------------------------------------------- */

/* run 0: committed. Otherwise the pack belongs to a run that has not committed: invisible to others.
 * *pack_id_out is a small integer for the rows of its chunks. Adding one that is there returns its id and, with run 0,
 * commits it. */
MUST_USE enum errc catalog_pack_add(struct catalog *c, const struct digest *name, uint64_t bytes, uint32_t records,
                                    uint64_t run, uint32_t *pack_id_out, struct err *err);
MUST_USE enum errc catalog_pack_remove(struct catalog *c, const struct digest *name,
                                       struct err *err); /* with its chunks: unseen at once, swept at close */
/* Its file is damaged, though some of its chunks may be readable: its size is set to 0, and its chunks stay. */
MUST_USE enum errc catalog_pack_doubt(struct catalog *c, const struct digest *name, struct err *err);
/* It was found whole (its bytes hash to its name) after it was doubted, or after rows of it were forgotten; the caller
 * has entered all of its rows. */
MUST_USE enum errc catalog_pack_trust(struct catalog *c, uint32_t pack_id, uint64_t bytes, struct err *err);
MUST_USE enum errc catalog_pack_find(struct catalog *c, const struct digest *name, bool *found_out,
                                     uint32_t *pack_id_out, struct err *err);
/* Forget packs and chunks of runs that are not in live[0..count): theirs was cut off. */
MUST_USE enum errc catalog_drop_runs(struct catalog *c, const uint64_t *live, size_t count, struct err *err);
/* Runs that have uncommitted packs. out is freed with free(). */
MUST_USE enum errc catalog_runs(struct catalog *c, uint64_t **out, size_t *count_out, struct err *err);

struct catalog_pack {
    uint32_t id;
    struct digest name;
    uint64_t bytes;
    uint32_t records;
    uint64_t run;
    bool hashed; /* this machine saw its bytes hash to its name: it wrote them, or verified them so */
    bool gaps;   /* rows of it were forgotten (catalog_chunk_remove) */
};
MUST_USE enum errc catalog_pack_hashed(struct catalog *c, uint32_t pack_id, struct err *err);
/* ERR_MISSING_OBJECT when it is not there (any more: another process may have removed it). */
MUST_USE enum errc catalog_pack_by_id(struct catalog *c, uint32_t pack_id, struct catalog_pack *out, struct err *err);
/* Committed packs in order of id, one a call: the first with an id above after. *found_out false at the end. */
MUST_USE enum errc catalog_pack_next(struct catalog *c, uint32_t after, struct catalog_pack *out, bool *found_out,
                                     struct err *err);
/* The same downwards: the first with an id below before; UINT32_MAX to begin. */
MUST_USE enum errc catalog_pack_prev(struct catalog *c, uint32_t before, struct catalog_pack *out, bool *found_out,
                                     struct err *err);

struct catalog_chunk {
    uint32_t pack_id;
    struct record_desc desc;
};
/* Insert rows; they are sorted by name here first (in place). Call inside a batch for speed. */
MUST_USE enum errc catalog_chunks_add(struct catalog *c, struct catalog_chunk *rows, size_t count, struct err *err);
/* Forget one copy of a chunk (its record was found damaged), so that a later backup stores it again. */
MUST_USE enum errc catalog_chunk_remove(struct catalog *c, const struct chunk_name *name, uint32_t pack_id,
                                        struct err *err);
/* Copies of a chunk, whole records first, then by smaller n, newest pack first: at most max. Packs of other runs than
 * `run` that have not committed are left out (run 0: only committed ones). */
MUST_USE enum errc catalog_chunk_find(struct catalog *c, const struct chunk_name *name, uint64_t run,
                                      struct catalog_chunk *out, size_t max, size_t *count_out, struct err *err);
/* Begin and end of a transaction around many calls. Other processes wait up to 60 s for their turn to write
 * (ERR_LOCKED): keep it short. */
MUST_USE enum errc catalog_begin(struct catalog *c, struct err *err);
MUST_USE enum errc catalog_commit(struct catalog *c, struct err *err);
void catalog_rollback(struct catalog *c);

/* --- history ------------------------------------------------------------------------------------------------------ */

/* Take in one log record (number must be head + 1) and set the head, in one transaction: LOG_SNAPSHOT adds it and
 * commits its packs (already added; run cleared), LOG_TRASH, LOG_HOLD ... change states, LOG_RUN adds or updates a run
 * record, LOG_VERIFIED notes. Inside catalog_begin it joins that transaction. ERR_HISTORY when it does not follow the
 * head; a record that was taken in already (same number and digest) is passed over. After an error nothing of the
 * record is there, and a transaction around it can go on. */
MUST_USE enum errc catalog_apply(struct catalog *c, const struct log_body *body, const struct digest *digest,
                                 struct err *err);

struct snapshot_row {
    struct snapshot snap; /* owned; snapshot_row_release */
    uint64_t sequence;    /* number of its log record */
    bool deleted;         /* in the trash */
    bool damaged;         /* a verify found damage that affects it, and none later found it whole */
    char **holds;
    size_t hold_count;
    bool verified_ok; /* verified_level: union of levels of the last ok verification at least this strong */
    uint32_t verified_level;
    struct timestamp verified_at; /* {0,0}: never */
};
void snapshot_row_release(struct snapshot_row *r);

struct snapshot_filter {
    const char *set, *source, *tag; /* NULL: any */
    int kind;                       /* enum snapshot_kind, 0: all */
    bool deleted;                   /* only those in the trash; else only those not in it */
    bool any_deleted;               /* both */
    size_t last;                    /* newest N only; 0: all */
    bool with_items; /* facts, lists and packs filled in; else items have only source, path, type, state, sizes */
};
/* Oldest first (by sequence). fn returns an error code to stop with. The row is the callee's only for the call. */
MUST_USE enum errc catalog_snapshots(struct catalog *c, const struct snapshot_filter *f,
                                     enum errc (*fn)(void *arg, struct snapshot_row *row, struct err *err), void *arg,
                                     struct err *err);
/* One by id, with items. *found_out. */
MUST_USE enum errc catalog_snapshot(struct catalog *c, const struct snapshot_id *id, struct snapshot_row *out,
                                    bool *found_out, struct err *err);
/* Ids that begin with the hex digits: at most max; none for no digits or other text. */
MUST_USE enum errc catalog_snapshot_prefix(struct catalog *c, const char *hex, bool include_deleted,
                                           struct snapshot_id *out, size_t max, size_t *count_out, struct err *err);
/* The back-th newest good (not partial, not deleted, not damaged) snapshot of kind backup; set NULL: any. */
MUST_USE enum errc catalog_latest(struct catalog *c, const char *set, uint64_t back, struct snapshot_id *out,
                                  bool *found_out, struct err *err);
/* The newest snapshot of kind `backup`, partial or not, in the set (NULL: any), not in the trash: what the next one is
 * compared with. */
MUST_USE enum errc catalog_previous(struct catalog *c, const char *set, struct snapshot_id *out, bool *found_out,
                                    struct err *err);
/* When two processes gave one name to two snapshots at once, both are held and the newest is found. */
MUST_USE enum errc catalog_hold(struct catalog *c, const char *name, struct snapshot_id *out, bool *found_out,
                                struct err *err);

struct run_row {
    struct run_record run; /* owned; run_record_release */
    uint64_t number;       /* of its newest log record */
};
/* Newest state of each run, newest first. verb NULL: any; state NULL: any. */
MUST_USE enum errc catalog_run_records(struct catalog *c, const char *verb, const char *state,
                                       enum errc (*fn)(void *arg, struct run_row *row, struct err *err), void *arg,
                                       struct err *err);
/* By prefix of hex digits. ERR_UNKNOWN_ID, ERR_AMBIGUOUS_ID. */
MUST_USE enum errc catalog_run(struct catalog *c, const char *hex_prefix, struct run_row *out, struct err *err);

/* Sets with any snapshot, in order of name. */
MUST_USE enum errc catalog_sets(struct catalog *c, enum errc (*fn)(void *arg, const char *set, struct err *err),
                                void *arg, struct err *err);

#endif
