/* Putting a database image in place of a live database. Layer: source.
 *
 * The backup API writes the image *into* the database, inside one SQLite transaction of its own: running readers see
 * old or new; inode, owner, ACLs and bind mounts stay. Where SQLite cannot open the target, sidecars are moved to a
 * quarantine and the image is renamed in.
 *
 * Promises
 *   SA1  after a kill at any moment the database is wholly old or wholly new once SQLite has opened it.
 *   SA2  a target that is refused (ERR_TARGET_IN_USE) is untouched.
 *   SA3  no stale -wal, -shm or -journal stays beside a new image.
 */
#ifndef SNAP_SOURCE_SQLITE_APPLY_H
#define SNAP_SOURCE_SQLITE_APPLY_H

#include "base/diag.h"
#include "base/process.h"
#include "format/entry.h"

enum sqlite_target_state {
    SQLITE_TARGET_ABSENT,       /* nothing there: the image is renamed in */
    SQLITE_TARGET_OPENABLE,     /* written into under its users */
    SQLITE_TARGET_NEEDS_RENAME, /* damaged, not a database, or not openable: renamed over */
    SQLITE_TARGET_BUSY,         /* held exclusively: refused unless forced */
    SQLITE_TARGET_PAGE_SIZE,    /* another page size in WAL mode: by rename, so only without holders, unless forced */
};

struct sqlite_target {
    enum sqlite_target_state state;
    struct holder holders[16];
    size_t holder_count;
    bool holders_incomplete;
    char detail[256]; /* for people: what was found */
};

/* Look without changing anything (not even a hot journal is rolled back); runs in a child as the file's owner. */
MUST_USE enum errc sqlite_target_look(const char *path, uint32_t image_page_size, const char *self_exe,
                                      struct sqlite_target *out, struct err *err);

struct sqlite_apply {
    const char *path;         /* the live database */
    const char *image;        /* verified staged image, on the same file system when it may have to be renamed */
    const struct entry *meta; /* owner, mode, times for a target that is absent or renamed over */
    const char
        *quarantine; /* directory that replaced files and sidecars are moved to; on the same file system, exists */
    const char *self_exe;
    bool force;
    const struct diag *diag;
};
/* Refused: ERR_TARGET_IN_USE, nothing changed. The image is consumed when renamed, else left to the caller. */
MUST_USE enum errc sqlite_apply(const struct sqlite_apply *a, struct err *err);

/* Put raw bytes back as they were: database and sidecars, each moved in from staged files (any may be NULL: then
 * what stands there is moved to quarantine). For undo of a restore over a damaged database. */
struct sqlite_raw_files {
    const char *database, *wal, *shm, *journal;
};
MUST_USE enum errc sqlite_apply_raw(const struct sqlite_apply *a, const struct sqlite_raw_files *raw, struct err *err);

#endif
