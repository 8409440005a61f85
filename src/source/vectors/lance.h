/* Lance: a directory of data files that are never changed, and a manifest for each version. Layer: source.
 *
 *   data/<name>.lance           ends with u64 where column metadata, its places and the places of global buffers begin,
 *                               u32 global buffers, u32 columns, u16 major, u16 minor, "LANC"; before version 2 with
 *                               u64 where metadata begins, and the last 8 bytes
 *   _versions/<n>.manifest      u32 bytes and a protobuf Manifest, at the u64 that stands before the last 8 bytes,
 *                               u16 major, u16 minor, "LANC"; n is the version, or 2^64 - 1 - version in 20 digits
 *   _deletions/<fragment>-<version>-<id>.arrow or .bin    rows that are no longer
 *
 * Fact source: protos/{table,file,file2}.proto of Lance, and datasets written by pylance 14. Rows that were deleted are
 * not counted: they are no part of the newest version.
 */
#ifndef SNAP_SOURCE_VECTORS_LANCE_H
#define SNAP_SOURCE_VECTORS_LANCE_H

#include "source/vectors/dir.h"

struct lance_dataset {
    struct vector_result result; /* of the newest version; released by vector_release; format "lance" */
    uint64_t version;            /* the newest */
    int64_t versions;            /* manifests there are */
    int64_t fragments, files;    /* in the newest version; VECTOR_UNKNOWN when not read to the end */
    int64_t deleted;             /* rows of its files that are no longer; VECTOR_UNKNOWN likewise */
};

/* Look at the dataset in dir. Without a manifest the result has known false. From depth SHAPE on each file that the
 * newest version names has to be there, as long as it says, with its footer. Errors are those of dir and its files, and
 * ERR_NO_MEMORY. */
MUST_USE enum errc lance_read_dataset(const struct vector_dir *dir, const struct vector_options *opt,
                                      struct lance_dataset *out, struct err *err);

#endif
