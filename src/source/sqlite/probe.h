/* Has a database changed since the previous capture? Layer: source (private to sqlite/).
 *
 * Told from plain reads, in a process that does not have the database open through SQLite: closing a descriptor would
 * drop SQLite's locks. The note holds identity, size and times of the database, its first 100 bytes, and the state of
 * its WAL: size, times, salts and the checksum of the last commit.
 */
#ifndef SNAP_SOURCE_SQLITE_PROBE_H
#define SNAP_SOURCE_SQLITE_PROBE_H

#include "source/sqlite/helper.h"

enum { PROBE_CAP_BYTES = 512, PROBE_FRAMES_MAX = 1 << 20 };

struct probe {
    uint8_t data[PROBE_CAP_BYTES];
    size_t len;              /* 0: nothing could be said */
    struct timestamp newest; /* of all times in it */
};
/* Take the note. Never an error: what cannot be read, or has other names too, makes len 0. */
void probe_take(const struct place *p, struct probe *out);
/* Does it prove that nothing changed since a look that began at previous_look and left the note old? Not when a time is
 * as young as that look, less two seconds: a file system's clock may be coarse. */
bool probe_proves_unchanged(const struct probe *now, const uint8_t *old, size_t old_len,
                            struct timestamp previous_look);

/* Does the journal beside the database name a super-journal (SQLite's "Database File Format", 3: the record at its
 * end)? */
bool journal_names_super(const struct place *p);

#endif
