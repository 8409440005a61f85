/* The sink a source writes to, over a list writer of the store. Layer: engine, private to it. */
#ifndef SNAP_ENGINE_SINK_H
#define SNAP_ENGINE_SINK_H

#include "engine/estimate.h"
#include "source/source.h"
#include "store/store.h"

struct engine_sink {
    struct sink sink; /* first: the source's view */
    struct list_writer *list;
    const struct diag *diag;
    const char *root;                /* absolute path of the item, for messages and progress */
    uint64_t failed_count;           /* things that could not be stored */
    uint64_t bytes, entries;         /* so far, for progress */
    uint64_t bytes_before;           /* of items before this one */
    const struct estimate *expected; /* NULL: unknown */
    char current[256];
};
void engine_sink_init(struct engine_sink *s, struct list_writer *list, const char *root, const struct diag *diag);

#endif
