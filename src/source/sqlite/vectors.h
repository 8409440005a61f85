/* Embeddings inside a database, as facts. Layer: source (private to sqlite/; wraps sqlite3).
 *
 * Looked for: tables of sqlite-vec (vec0; the module itself is never loaded), columns of BLOBs that look like float32
 * or float64 vectors, columns of texts that are JSON arrays of numbers, and the collections of Chroma.
 *
 * Facts: vectors.<table>.<column>.dtype, .dimension (when all rows have the same), .count (rows that hold one), .mixed
 * ("768: 1200, 1536: 3", when not), .odd (BLOBs that are no whole number of elements, texts that are no array of two
 * numbers or more), .sampled (1: not all texts could be read, the dimension is that of a sample);
 * vectors.<table>.differs (shadow tables of a vec0 table contradict each other); vectors.collections.<name>.dimension
 * and .count (Chroma); chroma.<segment>.* for each index directory that Chroma knows, see below; vectors_omitted (facts
 * for which there was no room). Columns are chosen by a sample of their first and last rows; then the length of each
 * BLOB is looked at, which reads no overflow pages, or each text is read.
 *
 * Promises
 *   SX1  what cannot be read here leaves facts out; it is never an error, and no verdict on the database.
 *   SX2  facts stay within three quarters of FACTS_MAX_BYTES together with what was in the list.
 */
#ifndef SNAP_SOURCE_SQLITE_VECTORS_H
#define SNAP_SOURCE_SQLITE_VECTORS_H

#include <sqlite3.h>

#include "format/fact.h"
#include "source/vectors/vectors.h"

/* Only ERR_NO_MEMORY. */
MUST_USE enum errc vectors_collect(sqlite3 *db, struct fact_list *list, struct err *err);

/* --- within ---------------------------------------------------------------------------------------------------------
 */

struct vectors_found {
    sqlite3 *db;
    struct fact_list *list;
    int64_t omitted;
    struct err *err;
};
/* A statement made by sqlite3_mprintf, which is freed; NULL when it cannot be prepared. */
sqlite3_stmt *vectors_prepare(sqlite3 *db, char *sql);
/* The integer in its first row; false when there is none. */
bool vectors_ask(sqlite3 *db, char *sql, int64_t *out);
/* vectors.<table>.<column>.<what>; column NULL: without it. */
MUST_USE enum errc vectors_put_int(struct vectors_found *f, const char *table, const char *column, const char *what,
                                   int64_t v);
MUST_USE enum errc vectors_put_text(struct vectors_found *f, const char *table, const char *column, const char *what,
                                    const char *text);

/* Is this the SQL of a vec0 table? Is the table called name one of those that vec0 keeps for table? */
bool vec0_is(const char *sql);
bool vec0_is_shadow(const char *table, const char *name);
MUST_USE enum errc vec0_collect(struct vectors_found *f, const char *table, const char *sql);

/* What an index directory of Chroma has to agree with, for each vector segment: chroma.<segment>.dimension (when the
 * collection has one), .embeddings, and of the operations that are in the queue and not in the index .added, .changed
 * (updates and upserts) and .deleted. What the SQL is made from: source/vectors/chroma.h. */
MUST_USE enum errc chroma_segments_collect(struct vectors_found *f);

/* How a BLOB looks: F32, F64, F16 (when likely), or NONE. likely: its column's name says that it is a vector. */
enum vector_dtype vectors_guess(const void *blob, size_t len, bool likely);
/* The columns of an ordinary table. */
MUST_USE enum errc vectors_columns(struct vectors_found *f, const char *table);

#endif
