/* Checking a database image that lies somewhere else than in a file: behind a function that reads it. Layer: source.
 *
 *   parent: reads blocks of the image through the function,     child: SQLite over a VFS that reads the file,
 *   into an unlinked file that the child may only read;   <-->  and asks for blocks it lacks
 *   answers "there" or "cannot be read"
 *
 * The file has room for the whole image where the disk has, so that each block is read once however SQLite walks; else
 * blocks take turns in the slots there are. The image may be hostile: only the child looks into it, without rights,
 * without keys, with little memory.
 *
 * Promises
 *   SI1  memory does not grow with the image, in neither process (but for a bit a page within SQLite's check).
 *   SI2  the image is not changed, and nothing of it is left in a file that has a name.
 */
#ifndef SNAP_SOURCE_SQLITE_STORED_H
#define SNAP_SOURCE_SQLITE_STORED_H

#include "base/diag.h"

enum {
    STORED_BLOCK_BYTES = 128 * 1024,
    STORED_SLOTS_MIN = 64,
    STORED_SLOTS_MAX = 1 << 20,
    STORED_SQLITE_CACHE_KIB = 24 * 1024,
};

struct stored_image {
    /* Exactly len bytes. ERR_DAMAGED, ERR_MISSING_OBJECT, ERR_FORMAT_NEWER and ERR_IO are the image's fault; another
     * error ends the check. Called by the thread that called stored_check. */
    enum errc (*read)(void *arg, void *dst, size_t len, uint64_t offset, struct err *err);
    void *arg;
    uint64_t size;
};
struct stored_check_options {
    const char *self_exe; /* program to run the helper process with; NULL: /proc/self/exe */
    const struct diag *diag;
    uint64_t deadline_ns; /* monotonic; 0: none */
    uint64_t slots_max;   /* at most so many blocks on disk; 0: as many as the disk has room for */
    const char *phase;    /* of progress; NULL: none */
};
struct stored_verdict {
    bool sound;       /* integrity_check found nothing */
    bool checkable;   /* false: this SQLite cannot tell (stubs, missing modules); sound is true then */
    bool out_of_time; /* nothing was found out */
    bool unreadable;  /* not sound: parts of the image could not be read */
    uint64_t foreign_key_violations;
    char detail[800]; /* the first messages; "" for none */
};
/* integrity_check and foreign_key_check. What is wrong with the image is a verdict. ERR_INTERRUPTED, ERR_NO_SPACE,
 * ERR_CHILD. */
MUST_USE enum errc stored_check(const struct stored_image *image, const struct stored_check_options *opt,
                                struct stored_verdict *out, struct err *err);

#endif
