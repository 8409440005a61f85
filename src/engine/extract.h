/* Writing the entries of a list into a directory. Layer: engine, private to it.
 *
 * Promises
 *   EX1  nothing is made outside of the root directory: every path is checked, and opened below the root without
 *        following a link.
 *   EX2  every byte written has been checked against its chunk's name or fingerprint.
 *   EX3  memory is bounded, whatever the list holds.
 */
#ifndef SNAP_ENGINE_EXTRACT_H
#define SNAP_ENGINE_EXTRACT_H

#include "store/store.h"

struct extract {
    struct store *store;
    const struct stream_root *list;
    int root_fd;           /* the directory to write below; the caller's */
    const char *root_name; /* name below root_fd for the entry "" (a file's, a database's or a directory's own name) */
    bool suffixes;         /* a raw database: "-wal" becomes root_name-wal, not root_name/-wal */
    const char *only;      /* entries at or below this path of the list, which takes the place of ""; NULL or "": all */
    bool discard;          /* write nothing: every chunk is read and checked; root_fd is not used */
    const struct diag *diag;
    uint64_t bytes_before, bytes_total; /* for progress */
    /* Called by one thread for each entry with data and facts, as soon as its file is complete and while others are
     * written, in no order; may be NULL. rel is the path below root_fd. */
    enum errc (*each)(void *arg, const struct entry *e, const struct entry_end *end, const char *rel, struct err *err);
    void *arg;
};
struct extract_result {
    uint64_t entries, bytes;
    uint64_t owners_skipped, xattrs_skipped;
};
MUST_USE enum errc extract_run(const struct extract *x, struct extract_result *out, struct err *err);

/* Open the directory `path` below root_fd ("" is root_fd itself) without following links. */
MUST_USE enum errc open_beneath(int root_fd, const char *path, int flags, int *fd_out, struct err *err);

#endif
