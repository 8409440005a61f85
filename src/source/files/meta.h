/* Metadata of one file: read into an entry, and put back onto a file. Layer: source. Independent of capture, so that
 * restore can use it on staged files.
 *
 * A file is given as a descriptor (name NULL) or as a name of one component within a directory's descriptor; a link is
 * never followed. Not stored: access time, inode flags (immutable, append-only, no-dump), birth time.
 *
 * Promises
 *   FM1  owner before xattrs before mode before times, so that a set-id bit, a capability or an ACL is neither lost to
 *        the chown nor ever in force for the wrong owner.
 *   FM2  after meta_apply no xattr or ACL is left that the entry does not have.
 *   FM3  set-id bits are dropped when the owner they were meant for could not be given.
 */
#ifndef SNAP_SOURCE_FILES_META_H
#define SNAP_SOURCE_FILES_META_H

#include <sys/stat.h>

#include "format/entry.h"
#include "source/files/owners.h"

/* An entry and what its pointers point to. */
struct meta {
    struct entry entry; /* path, probe and flags are the caller's; zero after meta_read */
    struct buf xattrs, link;
    bool xattrs_cut; /* some did not fit into XATTR_INLINE_MAX_BYTES and were left out */
};
void meta_init(struct meta *m);
void meta_release(struct meta *m);

/* Everything of the file dirfd/name, or of the descriptor fd itself (not O_PATH) when name is NULL: type, owner and
 * names, mode, times, link text, xattrs. *m is overwritten (its buffers are used again). Type is never SQLITE, HARDLINK
 * or ABSENT. Errors: ERR_IO with sys_errno (ENOENT: gone), ERR_UNSUPPORTED for an unknown type. show: for messages. */
MUST_USE enum errc meta_read(int fd, const char *name, struct owners *owners, const char *show, struct meta *m,
                             struct err *err);

/* The parts of meta_read. Fields that stat knows; names are borrowed from owners until its next call for each table. */
MUST_USE enum errc meta_from_stat(const struct stat *st, struct owners *owners, struct entry *e, struct err *err);
/* The xattrs of the file, encoded, replacing what is in out; without support of the file system: empty. */
MUST_USE enum errc meta_read_xattrs(int fd, const char *name, struct buf *out, bool *cut_out, const char *show,
                                    struct err *err);
/* The text of the link dirfd/name, NUL-terminated, len in out->len. EINVAL in sys_errno: not a link (any more). */
MUST_USE enum errc meta_read_link(int dirfd, const char *name, struct buf *out, const char *show, struct err *err);

/* What could not be given for want of rights (without root) or of support in the file system: counted, not an error. */
struct meta_skipped {
    uint64_t owners, xattrs, special_bits; /* files */
};

struct meta_apply_options {
    struct owners *owners;        /* for names; NULL: as numeric_ids */
    bool numeric_ids;             /* take uid and gid as they are stored; else a known name wins over the number */
    struct meta_skipped *skipped; /* added to; may be NULL */
};

/* Give e's owner, xattrs and ACLs, mode and times to the file dirfd/name, or to the descriptor fd when name is NULL (it
 * may be O_PATH). ERR_TARGET_UNSUITABLE when the file is not of e's type (nothing was changed then); ERR_IO. A hard
 * link's entry changes nothing. A directory's times change again when something is put in it: directories come last. */
MUST_USE enum errc meta_apply(int fd, const char *name, const struct entry *e, const struct meta_apply_options *opt,
                              const char *show, struct err *err);

/* The S_IFMT bits that an entry of this type is made as; 0 for ENTRY_HARDLINK and ENTRY_ABSENT. */
uint32_t meta_format_bits(enum entry_type type);

#endif
