/* The members of a zip archive, through libarchive. Layer: source (private to vectors/).
 *
 * libarchive goes by the central directory and skips by seeking, so a member's first bytes are had without
 * decompressing what lies before it. It keeps the whole directory in memory, so how much it may read for that is
 * limited.
 */
#ifndef SNAP_SOURCE_VECTORS_NPZ_ARCHIVE_H
#define SNAP_SOURCE_VECTORS_NPZ_ARCHIVE_H

#include "source/vectors/vectors.h"

enum { NPZ_DIRECTORY_MAX_BYTES = 512 * 1024 }; /* some 5,000 members */

struct npz_archive;
struct npz_member {
    const char *name; /* valid until the next member */
    bool is_size_known, is_method_known;
    uint64_t size; /* as the directory says, decompressed */
};
enum npz_step {
    NPZ_MEMBER,
    NPZ_END,
    NPZ_FAULT,     /* npz_fault() says which; there is no going on */
    NPZ_TOO_LARGE, /* a directory above the limit */
};

/* Errors of all three: those of in->read, ERR_NO_MEMORY. in and err live as long as *out; npz_close frees it. */
MUST_USE enum errc npz_open(const struct vector_input *in, struct npz_archive **out, struct err *err);
MUST_USE enum errc npz_next(struct npz_archive *z, struct npz_member *m, enum npz_step *step_out);
/* Bytes of the present member; *got_out is less than len only at its end. *ok_out false: see npz_fault(). */
MUST_USE enum errc npz_bytes(struct npz_archive *z, void *dst, size_t len, size_t *got_out, bool *ok_out);
const char *npz_fault(struct npz_archive *z); /* valid until the next call */
void npz_close(struct npz_archive *z);        /* NULL is fine */

#endif
