/* A read-only VFS over an image that nobody changes: one descriptor, or whatever a function reads from. Layer: source
 * (private to sqlite/; wraps sqlite3). It needs no rights to any path. An image in WAL mode opens like any other: there
 * is no WAL to it. */
#ifndef SNAP_SOURCE_SQLITE_IMAGE_H
#define SNAP_SOURCE_SQLITE_IMAGE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* read: exactly len bytes from offset on; false: it could not. They lie within the size. */
struct image_source {
    bool (*read)(void *arg, void *dst, size_t len, uint64_t offset);
    bool (*size)(void *arg, uint64_t *out);
    void *arg;
};
struct image {
    sqlite3_vfs vfs;
    struct image_source source;
    int fd; /* borrowed; -1 with another source */
};

/* Registers "snap-image" and opens the descriptor's database. SQLITE_OK or a code; *db_out is closed by the caller
 * (also after a failure, when not NULL), then image_unregister. */
int image_open(struct image *m, int fd, sqlite3 **db_out);
int image_open_source(struct image *m, const struct image_source *source, sqlite3 **db_out);
void image_unregister(struct image *m);

#endif
