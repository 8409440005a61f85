/* Looking inside snapshots: entries, single files, differences. Layer: engine. Results are handed out one by one. */
#ifndef SNAP_ENGINE_LOOK_H
#define SNAP_ENGINE_LOOK_H

#include "store/store.h"

struct look_entry {
    const struct item *item;
    const struct entry *entry;
    const char *abs_path;        /* the item's path and the entry's, joined; NUL-terminated */
    const struct entry_end *end; /* NULL for entries without data */
    uint64_t size;               /* bytes of data; 0 without */
};
typedef enum errc look_fn(void *arg, const struct look_entry *e, struct err *err); /* a function type, not a struct */

/* Every entry of the snapshot at or below path (absolute; NULL: all). ERR_UNKNOWN_PATH when path names nothing. */
MUST_USE enum errc look_ls(struct store *s, const struct snapshot *snap, const char *path, look_fn *fn, void *arg,
                           struct err *err);
struct inspect_summary;
/* What the facts of all entries tell of vectors, into sums[0..snap->item_count), which are zeroed. */
MUST_USE enum errc look_vectors(struct store *s, const struct snapshot *snap, struct inspect_summary *sums,
                                struct err *err);
/* Write one entry's bytes to fd (a pipe or file), holes as zeros. path is absolute. ERR_UNKNOWN_PATH. A damaged chunk
 * is an error before any of that chunk's bytes are written. */
MUST_USE enum errc look_dump(struct store *s, const struct snapshot *snap, const char *path, int fd, struct err *err);

enum look_change { LOOK_ADDED, LOOK_REMOVED, LOOK_CONTENT, LOOK_METADATA, LOOK_TYPE };
struct look_diff {
    enum look_change change;
    const char *abs_path;
    const struct entry *before, *after;               /* NULL when absent */
    const struct entry_end *end_before, *end_after;   /* NULL without data, too */
    uint64_t bytes_before, bytes_after, bytes_differ; /* bytes of chunks of after that before does not have at all */
};
/* In order of paths; both snapshots' items matched by path. */
MUST_USE enum errc look_diff(struct store *s, const struct snapshot *a, const struct snapshot *b,
                             enum errc (*fn)(void *arg, const struct look_diff *d, struct err *err), void *arg,
                             struct err *err);

#endif
