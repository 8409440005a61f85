/* Helper processes, seen from the program that starts them. Layer: source (private to sqlite/).
 *
 * Promises
 *   SH1  a helper that was started is always waited for; one that is given up is killed first.
 *   SH2  the helper of a root process runs as the owner of the database, or as nobody; it inherits no descriptor
 *        but those it is given, and no passphrase in its environment.
 */
#ifndef SNAP_SOURCE_SQLITE_HELPER_H
#define SNAP_SOURCE_SQLITE_HELPER_H

#include <sys/stat.h>
#include <sys/types.h>

#include "source/source.h"
#include "source/sqlite/frame.h"

/* A database file: its directory by descriptor, its name in there, and what was seen under it. */
struct place {
    int dir_fd; /* O_PATH */
    char *dir;  /* for messages and for opening by name */
    char name[256];
    char shown[512]; /* path for messages, escaped */
    struct stat st;  /* S_ISREG; st_mode 0: nothing there */
};
/* follow: a link at path itself is resolved first. ERR_SOURCE_MISSING (the directory is missing),
 * ERR_SOURCE_UNREADABLE, also for what is not a regular file. A missing file is no error. Released by place_release
 * also after a failure. */
MUST_USE enum errc place_open(struct place *p, const char *path, bool follow, struct err *err);
/* The same for a file in a tree: rel is the end of path, and no link in it is followed. */
MUST_USE enum errc place_open_in_tree(struct place *p, const char *path, const char *rel, struct err *err);
void place_release(struct place *p);
/* "<name><suffix>" there, links not followed; false: not there or not a regular file. */
bool place_stat(const struct place *p, const char *suffix, struct stat *out);
/* Open it for reading; ERR_SOURCE_UNREADABLE. sys_errno ENOENT when it is not there. */
MUST_USE enum errc place_open_file(const struct place *p, const char *suffix, int *fd_out, struct err *err);

/* No database by its first bytes, and no journal that could bring them back: nothing that SQLite should be let near,
 * for it would make files beside it (-shm) before it finds out. */
bool place_is_no_database(const struct place *p);

struct helper_spec {
    const char *op;
    const char *self_exe;
    const struct place *place; /* NULL: no directory, nobody's rights */
    int image_fd;              /* -1: none */
    enum checkpoint_mode checkpoint;
    bool spool, copy, fast_fail;
    uint64_t image_bytes, image_slots; /* check */
    int *answer_fd_out; /* check: a socket to answer FRAME_NEED on; NULL for none. The caller's to close */
};
struct helper {
    pid_t pid; /* 0: none */
    int fd;
};
MUST_USE enum errc helper_start(const struct helper_spec *spec, struct helper *h, struct err *err);
/* The frames up to FRAME_DONE have been read: wait. ERR_CHILD when it did not end well. */
MUST_USE enum errc helper_finish(struct helper *h, struct err *err);
void helper_kill(struct helper *h); /* no-op when there is none */

/* Read the payload of a FRAME_DONE. The texts in it are made printable. */
MUST_USE enum errc helper_read_done(struct helper *h, size_t len, const struct diag *diag, struct done_report *out,
                                    struct err *err);
/* Read facts. */
MUST_USE enum errc helper_read_facts(struct helper *h, size_t len, const struct diag *diag, struct fact_list *out,
                                     struct err *err);
/* Read a note and hand it to diag as a warning about shown. */
MUST_USE enum errc helper_read_note(struct helper *h, size_t len, const struct diag *diag, const char *shown,
                                    struct err *err);

#endif
