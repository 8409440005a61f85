/* From cut chunks to records in packs, over threads. Layer: store, private to it.
 *
 *   producer (the source's thread)      workers                     collector
 *   fills a batch: events in order  ->  name, look up, encode  ->   walks the events in order: list records, packs
 *
 * A batch is handed on whole; its owner is the one thread that works on it. The collector takes batches in the order
 * in which the producer handed them in and waits for each to be encoded. The first error stops all three.
 *
 * Promises
 *   P1  memory is BATCHES batches, whatever the source holds.
 *   P2  the order of list records and of records in packs is the producer's.
 */
#ifndef SNAP_STORE_PIPELINE_H
#define SNAP_STORE_PIPELINE_H

#include "base/queue.h"
#include "store/internal.h"

enum {
    BATCHES = 5,
    BATCH_BYTES = 640 * 1024, /* data of one batch: what may wait to be cut (two chunks) and room to read */
    BATCH_SLOTS = 1024,       /* chunks and references of one batch */
    BATCH_EVENTS = 6 * 1024,
    BATCH_META_BYTES = 64 * 1024 + 2 * LIST_RECORD_MAX_BYTES, /* encoded list records */
    BATCH_META_FULL = 64 * 1024,
    WORKERS_MAX = 8,
};

enum event_kind {
    EVENT_RAW,   /* meta[at..at+len): list records to be taken over as they are */
    EVENT_BEGIN, /* at: fixed cut size or 0 */
    EVENT_SLOT,  /* at: slot with a reference, known or to be stored */
    EVENT_HOLE,  /* slot at: ref.len unused; offset and hole_len */
    EVENT_END,   /* meta: the ENTRY record (len bytes), then the END record (len2 bytes) */
    EVENT_ABANDON,
};
struct event {
    enum event_kind kind;
    uint32_t at, len, len2;
};

struct slot {
    struct chunk_ref ref;
    uint64_t offset; /* in the entry's data */
    uint64_t hole_len;
    const uint8_t *data; /* in the batch; NULL: ref is complete */
    bool want_print, has_print, has_base;
    struct chunk_name base; /* the previous version of this place */
    bool store;             /* by a worker: this slot's record is to be added to a pack */
    struct encoded encoded;
};

struct batch {
    uint8_t *data, *encoded; /* BATCH_BYTES each */
    size_t filled;           /* bytes of data in use */
    struct event *events;
    size_t event_count;
    struct slot *slots;
    size_t slot_count;
    struct buf meta;
    bool work;        /* has slots for the workers */
    bool last;        /* nothing follows */
    bool encoded_all; /* guarded by the pipeline's lock */
};

struct pipeline;
struct list_encoder;
MUST_USE enum errc pipeline_new(struct session *x, struct list_encoder *encoder, struct pipeline **out,
                                struct err *err);
/* An empty batch; blocks until there is one. The first error of any thread. */
MUST_USE enum errc pipeline_take(struct pipeline *p, struct batch **out, struct err *err);
MUST_USE enum errc pipeline_hand_in(struct pipeline *p, struct batch *b, struct err *err);
/* Hand in the last batch, wait for the workers and the collector. */
MUST_USE enum errc pipeline_finish(struct pipeline *p, struct batch *last, struct err *err);
struct namer *pipeline_namer(struct pipeline *p); /* the producer's own */
void pipeline_free(struct pipeline *p);           /* stops the threads if they run */

/* --- list_encoder.c: the collector's half: events to list records to list chunks to packs. One thread. ---- */
MUST_USE enum errc list_encoder_new(struct session *x, const struct stream_root *previous, struct list_encoder **out,
                                    struct err *err);
void list_encoder_free(struct list_encoder *l);
MUST_USE enum errc list_encoder_batch(struct list_encoder *l, struct batch *b, struct err *err);
MUST_USE enum errc list_encoder_finish(struct list_encoder *l, struct stream_root *out, struct err *err);

/* --- list_store.c: list records into list chunks, and the tree above them ---- */
struct list_store;
MUST_USE enum errc list_store_new(struct session *x, const struct stream_root *previous, struct list_store **out,
                                  struct err *err);
void list_store_free(struct list_store *l);
/* One whole list record; key: the same for the same record of another version (its path and place), so that cuts stay.
 */
MUST_USE enum errc list_store_add(struct list_store *l, const void *record, size_t len, uint64_t key, struct err *err);
MUST_USE enum errc list_store_finish(struct list_store *l, struct stream_root *out, struct err *err);

/* Add an encoded chunk to the packs and the session's counts. */
MUST_USE enum errc session_add_record(struct session *x, struct encoded *e, struct err *err);

#endif
