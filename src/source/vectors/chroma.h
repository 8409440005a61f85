/* Chroma's index directories. Layer: source.
 *
 * Beside chroma.sqlite3 each collection that was large enough has a directory, named by the UUID of its vector segment:
 *
 *   header.bin             i32 1, then hnswlib's header (hnswlib.h), 100 bytes in all
 *   data_level0.bin        the rows; room for more of them than are taken
 *   length.bin             4 bytes for each row
 *   link_lists.bin         the links of each row; what an earlier state had may follow
 *   index_metadata.pickle  ids and labels. Never read: a pickle is a program.
 *
 * The files are written in place, one after the other, without fsync: a copy made meanwhile may hold pieces of two
 * states. Fact source: chroma-core/hnswlib, hnswalg.h (persistDirty), and a directory written by chromadb 1.5.
 *
 * Comparing an index with the database. NAME is the directory's name; all of it was tried on chromadb 1.5.9. The newest
 * vectors are in the queue only (sync_threshold is 1000 by default), so that an index which is behind is sound.
 *
 *   dimension      SELECT c.dimension FROM collections c JOIN segments s ON s.collection = c.id WHERE s.id = NAME
 *   how far the index is   SELECT seq_id FROM max_seq_id WHERE segment_id = NAME                   -> indexed
 *   vectors in all         SELECT count(*) FROM embeddings e JOIN segments m ON m.id = e.segment_id
 *                          WHERE m.scope = 'METADATA' AND m.collection =
 *                          (SELECT collection FROM segments WHERE id = NAME)                       -> embeddings
 *   not yet in the index   SELECT operation, count(*) FROM embeddings_queue WHERE seq_id > indexed AND topic LIKE
 *                          '%/' || (SELECT collection FROM segments WHERE id = NAME) GROUP BY operation
 *                          (0 add, 1 update, 2 upsert, 3 delete)
 *   orphans        a directory whose NAME is no segments.id WHERE scope = 'VECTOR': of a collection that was deleted
 *
 * c.dimension has to be the index's dimension. With additions and deletions alone,
 * embeddings = rows - deleted rows + additions in the queue - deletions in the queue; an upsert may be either, so with
 * upserts this is a range.
 */
#ifndef SNAP_SOURCE_VECTORS_CHROMA_H
#define SNAP_SOURCE_VECTORS_CHROMA_H

#include "source/vectors/dir.h"

/* Is this the name of an index directory: a UUID in lower case? */
bool chroma_is_index_name(const char *name);

/* The index directories of dir (where chroma.sqlite3 is), in no order. */
MUST_USE enum errc chroma_each_index(const struct vector_dir *dir,
                                     enum errc (*each)(void *arg, const char *name, struct err *err), void *arg,
                                     struct err *err);

struct chroma_index {
    struct vector_result result; /* released by vector_release; format "chroma" */
    int64_t room;                /* rows the files have room for */
    int64_t deleted;             /* of result.count; VECTOR_UNKNOWN unless depth is SCAN */
};

/* Look at the index directory name below dir. Errors are those of dir and its files, and ERR_NO_MEMORY; a file that is
 * missing, too short or contradicts another is a result that is not ok. */
MUST_USE enum errc chroma_read_index(const struct vector_dir *dir, const char *name, const struct vector_options *opt,
                                     struct chroma_index *out, struct err *err);

#endif
