/* A write-only VFS that turns the destination of sqlite3_backup into a stream. Layer: source (private to sqlite/; wraps
 * sqlite3).
 *
 * With the destination's journal off and a small cache, sqlite3_backup writes pages 2, 3, 4 ... in order and page 1 at
 * the very end (it stays pinned until the commit; docs/adr/0006). So page 1 is handed in first by the caller, as read
 * in the same frozen view, and what the backup writes for it later is only compared.
 *
 * Promises
 *   SN1  emit sees each byte of the image once, in order; the lock page is zeros.
 *   SN2  pages in any other order end the backup with disorder set, and nothing wrong is emitted.
 */
#ifndef SNAP_SOURCE_SQLITE_FUNNEL_H
#define SNAP_SOURCE_SQLITE_FUNNEL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct funnel {
    sqlite3_vfs vfs;
    /* Set by the caller. */
    bool (*emit)(void *arg, const void *data, size_t len); /* false ends the backup */
    void *arg;
    const uint8_t *page1;
    uint32_t page_size;
    int spool_fd; /* >= 0: pages are written here at their places, none is emitted */
    /* Seen. */
    uint64_t next; /* offset of the next byte to be emitted, or the end of what was spooled */
    bool disorder, page1_seen;
    int write_errno;
};

/* Register f under the name "snap-funnel". Emits page 1 unless spooling. */
int funnel_register(struct funnel *f);
void funnel_unregister(struct funnel *f);
/* Pages are all there: false when the backup did not write page 1, or the lock page at the end is missing. */
bool funnel_complete(struct funnel *f, uint64_t page_count);

#endif
