/* A database and its sidecars as plain bytes. Layer: source (private to sqlite/). */
#ifndef SNAP_SOURCE_SQLITE_RAW_H
#define SNAP_SOURCE_SQLITE_RAW_H

#include "source/sqlite/helper.h"

enum { RAW_FILES = 4 };
extern const char *const raw_suffixes[RAW_FILES]; /* in the order of entries: "", "-journal", "-shm", "-wal" */

/* Whether a database with its sidecars held still. */
struct raw_look {
    bool there[RAW_FILES];
    struct stat st[RAW_FILES];
};
void raw_look(const struct place *p, struct raw_look *out);
bool raw_look_same(const struct raw_look *a, const struct raw_look *b); /* -shm: only whether it is there */

/* Capture them as entries "", "-journal", "-shm", "-wal"; of a database in a tree (rel not empty) only itself.
 * STATE_RAW if all held still, else STATE_FUZZY after three readings. why: the reason kept with the entries. Only
 * errors of the sink are returned; what could not be read is told to the sink. *result is added to; good becomes false
 * and worst at least STATE_RAW. */
MUST_USE enum errc raw_capture(const struct place *p, const char *rel, const char *why, struct sink *sink,
                               const struct capture_options *opt, struct capture_result *result, struct err *err);

/* A private copy of database, journal and WAL, for what cannot be opened where it lies. Made while all held still
 * (ERR_SOURCE_BUSY otherwise, after three tries); owned by the owner of the database. ERR_NO_SPACE. */
struct private_copy {
    char dir[64];
    struct place place;
};
MUST_USE enum errc private_copy_make(const struct place *p, struct private_copy *out, struct err *err);
void private_copy_remove(struct private_copy *c);

#endif
