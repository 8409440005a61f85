/* The VFS through which the helper opens databases that others own. Layer: source (private to sqlite/; wraps sqlite3).
 *
 * It hands everything on to SQLite's own VFS, with these exceptions.
 *
 * Promises
 *   SG1  unless writable, no byte of the database, its journal or its WAL is written, truncated or deleted; an
 *        attempt is remembered in denied.
 *   SG2  a super-journal is never opened, and nothing but the database's own journal and WAL is ever deleted.
 *   SG3  names are taken as they are: relative to the working directory, links not followed.
 *   SG4  with tidy set, a -shm or an empty -wal that was not there before is taken away at the close, if nobody else
 *        is connected (the exclusive lock is held meanwhile, as SQLite itself does it).
 */
#ifndef SNAP_SOURCE_SQLITE_GUARD_H
#define SNAP_SOURCE_SQLITE_GUARD_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "source/sqlite/header.h"

enum { GUARD_NAME_MAX = 264, WAL_INDEX_HEADER_BYTES = 96 };

struct guard {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    char name[GUARD_NAME_MAX]; /* of the database */
    bool writable;
    bool tidy;
    bool frozen;           /* nobody writes: SQLite takes no locks and looks for no journal */
    bool denied;           /* a write was refused */
    bool had_wal, had_shm; /* when the guard was made */

    /* While armed, the last whole page read from database or WAL that begins as page 1 does is kept here. */
    bool armed;
    uint32_t page_len;
    uint8_t page[DB_PAGE_MAX];

    volatile const void *wal_index; /* its first region, while mapped */
};

/* Register g under vfs_name. name: the database, in the working directory. SQLITE_OK or a code. */
int guard_register(struct guard *g, const char *vfs_name, const char *name);
void guard_unregister(struct guard *g);
/* The header of the WAL's index as it is now (two equal copies of 48 bytes, else somebody is writing it: false). It is
 * another one after each commit (SQLite's "WAL-mode File Format", 2.1). */
bool guard_wal_state(const struct guard *g, uint8_t out[WAL_INDEX_HEADER_BYTES]);

#endif
