/* Files that were met under one name and have others. Layer: source; private to files/.
 *
 * Bounded: when the groups whose names have not all been met yet take more than max_bytes, no new ones are remembered;
 * their further names are then stored as files of their own (bytes are not lost, the link is). A group is forgotten
 * when all its names have been met. */
#ifndef SNAP_SOURCE_FILES_HARDLINKS_H
#define SNAP_SOURCE_FILES_HARDLINKS_H

#include <sys/stat.h>

#include "base/buf.h"

enum { HARDLINKS_MAX_BYTES = 40 << 20 /* about half a million groups */ };

struct hardlinks;
MUST_USE enum errc hardlinks_new(size_t max_bytes, struct hardlinks **out, struct err *err);
void hardlinks_free(struct hardlinks *h);

/* Is st's file known under an earlier name? Then that path replaces what is in first_path, and this name counts as met.
 * A file whose type, size or mtime is another is not the same one: inode numbers are given out again. */
MUST_USE enum errc hardlinks_find(struct hardlinks *h, const struct stat *st, struct buf *first_path, bool *found_out,
                                  struct err *err);
/* Remember path[0..len) as the first name of st's file. *full_out: there was no room. */
MUST_USE enum errc hardlinks_add(struct hardlinks *h, const struct stat *st, const char *path, size_t len,
                                 bool *full_out, struct err *err);
size_t hardlinks_count(const struct hardlinks *h); /* groups remembered */

#endif
