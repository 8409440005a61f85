/* Renaming files in and out of a database's place. Layer: source (private to sqlite/).
 *
 * Promises
 *   SW1  sidecars are away, and that is durable, before another database stands in their place.
 *   SW2  there is no moment without a file under the database's name, where there was one before.
 *   SW3  nothing in the quarantine is overwritten.
 */
#ifndef SNAP_SOURCE_SQLITE_SWAP_H
#define SNAP_SOURCE_SQLITE_SWAP_H

#include "source/sqlite/apply.h"
#include "source/sqlite/helper.h"

struct swap {
    const struct place *place;
    int quarantine_fd;
    const char *quarantine; /* for messages */
};
MUST_USE enum errc swap_open(struct swap *s, const struct place *p, const char *quarantine, struct err *err);
void swap_release(struct swap *s);
/* Move -journal, -shm and -wal to the quarantine and make that durable. */
MUST_USE enum errc swap_sidecars_out(struct swap *s, struct err *err);
/* Move "<name><suffix>" to the quarantine, if it is there. */
MUST_USE enum errc swap_out(struct swap *s, const char *suffix, struct err *err);
/* The file at from becomes "<name>"; what stood there goes to the quarantine. */
MUST_USE enum errc swap_in(struct swap *s, const char *from, struct err *err);
/* The file at from becomes "<name><suffix>", where nothing stands. */
MUST_USE enum errc swap_put(struct swap *s, const char *suffix, const char *from, struct err *err);
MUST_USE enum errc swap_sync(struct swap *s, struct err *err);

#endif
