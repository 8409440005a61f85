/* What the files of the verification share. Layer: store, private to it. */
#ifndef SNAP_STORE_VERIFY_H
#define SNAP_STORE_VERIFY_H

#include "store/internal.h"

enum { VERIFY_ERRORS_MAX = 1000, VERIFY_WORKERS_MAX = 8, VERIFY_PATHS_MAX = 64, VERIFY_READ_BYTES = 1 << 20 };

struct bad_chunk {
    struct chunk_name name;
    uint32_t pack_id;
    bool base_only; /* its own bytes are whole: what it is a delta of is damaged */
    char object[PACK_NAME_BYTES];
};

struct bad_pack {
    uint32_t id;
    bool unread; /* an error of the disk or the way to it: nothing is known against the pack itself */
};

struct verify {
    struct store *store;
    const struct store_verify_options *opt;
    struct store_verify_result *result;
    pthread_mutex_t lock; /* result and what was found bad; taken without store.lock */
    size_t error_cap;
    bool more_errors, limited;
    uint64_t bytes_expected, bytes_begun; /* the last, and what follows: under store.lock */
    uint32_t last_pack, top, floor;       /* of this round: where it is, its highest; all up to floor are done */
    struct bad_chunk *chunks;             /* damaged records */
    size_t chunk_count, chunk_cap;
    struct bad_pack *packs; /* packs that are missing or cannot be read, */
    size_t pack_count, pack_cap;
};

struct verify_worker {
    struct verify *v;
    struct chunk_reader *chunks;
    struct hasher *hasher;
    uint8_t *buffer; /* VERIFY_READ_BYTES, and RECORD_MAX_BYTES behind them */
    pthread_t thread;
    bool running;
    enum errc rc;
    struct err err;
};

MUST_USE enum errc verify_add_error(struct verify *v, const char *kind, const char *object, const char *message,
                                    struct err *err);
MUST_USE enum errc verify_bad_chunk(struct verify *v, const struct chunk_name *name, uint32_t pack_id, bool base_only,
                                    const char *object, struct err *err);
MUST_USE enum errc verify_bad_pack(struct verify *v, uint32_t pack_id, bool unread, struct err *err);
bool verify_out_of_time(const struct verify *v);
void verify_release(struct verify *v);

/* --- verify_pack.c: one pack ---- */
/* Its structure, or (read_data) every byte. What is wrong with it is noted, and is no error. */
MUST_USE enum errc verify_pack(struct verify *v, struct verify_worker *w, const struct catalog_pack *p,
                               struct err *err);
/* SHA-256 of the whole file; buffer has VERIFY_READ_BYTES. */
MUST_USE enum errc verify_hash_pack(struct pack_reader *pack, struct hasher *hasher, uint8_t *buffer,
                                    struct digest *out, struct err *err);

/* --- verify_small.c: configuration and key slots ---- */
MUST_USE enum errc verify_small_files(struct verify *v, struct err *err);

/* --- verify_lists.c: everything that the snapshots name is there; who needs what is bad ---- */
MUST_USE enum errc verify_lists(struct verify *v, struct err *err);
MUST_USE enum errc verify_forget_bad(struct verify *v, struct err *err);

#endif
