/* A read-only VFS over one descriptor: an image that nobody changes. Layer: source (private to sqlite/; wraps sqlite3).
 * It needs no rights to any path. An image in WAL mode opens like any other: there is no WAL to it. */
#ifndef SNAP_SOURCE_SQLITE_IMAGE_H
#define SNAP_SOURCE_SQLITE_IMAGE_H

#include <sqlite3.h>

struct image {
    sqlite3_vfs vfs;
    int fd; /* borrowed */
};

/* Registers "snap-image" and opens the descriptor's database. SQLITE_OK or a code; *db_out is closed by the caller (also
 * after a failure, when not NULL), then image_unregister. */
int image_open(struct image *m, int fd, sqlite3 **db_out);
void image_unregister(struct image *m);

#endif
