/* What is kept of a vector file in the facts of its entry, and what those facts tell. Layer: source.
 *
 * Facts of a file: vectors.format, vectors.dimension (when all have the same), vectors.count (when it is exact),
 * vectors.dtype (when all have the same), vectors.mixed ("768: 1200, 1536: 3"), vectors.ok, vectors.detail (when not
 * ok), vectors.expected_dimension (when one is configured and the vectors do not have it). A fuzzy file
 * has none but, with the last, what format and dimensions were seen. Those of a database stand under
 * vectors.<table>.<column>. instead: source/sqlite/vectors.h.
 *
 * Promises
 *   VA1  vectors whose dimension nobody knows do not fit an expected one.
 */
#ifndef SNAP_SOURCE_VECTORS_VECTOR_FACTS_H
#define SNAP_SOURCE_VECTORS_VECTOR_FACTS_H

#include "format/fact.h"
#include "source/vectors/vectors.h"

enum { VECTOR_FACTS_TEXT_BYTES = 512 };

/* Is it a vector file, so that its facts are kept? A JSON text without vectors is none, however broken. */
bool vector_is_file_of_vectors(const struct vector_result *r);
/* The facts of a file that is one. */
MUST_USE enum errc vector_facts_put(const struct vector_result *r, struct fact_list *out, struct err *err);
/* "768: 1200, 1536: 3"; what there is no room for becomes "...". */
const char *vector_dims_text(const struct vector_dimension *dims, size_t count, int64_t other, char *dst, size_t cap);

/* All that facts, of a file or of a database, say about vectors, in one. */
struct vector_totals {
    bool any;                                      /* there is something about vectors in them */
    bool unknown;                                  /* there are vectors of a dimension, or a number, that is not told */
    int64_t count;                                 /* of those that were counted */
    struct vector_dimension dims[VECTOR_DIMS_MAX]; /* ascending; count 0: there is such a column, not counted */
    size_t dim_count;
    int64_t dims_other;
};
void vector_totals_of(const struct fact_list *facts, struct vector_totals *out);
void vector_totals_add(struct vector_totals *t, int64_t dimension, int64_t count);
/* Do all vectors that the facts tell of have this dimension? If not, text says what they have: "mixed: 768: 5, 1536:
 * 1". */
bool vector_facts_fit(const struct fact_list *facts, int64_t dimension, char *text, size_t cap);
/* In few words: "npy, 1200 x 768 float32"; "" when they tell nothing about vectors. */
const char *vector_facts_text(const struct fact_list *facts, char *dst, size_t cap);
/* Format, dimensions and count: does what was captured tell of none that is not so in what is seen? What it does not
 * tell, of a file that was written to, is not compared. Differences into text. */
bool vector_facts_agree(const struct fact_list *captured, const struct fact_list *seen, char *text, size_t cap);

#endif
