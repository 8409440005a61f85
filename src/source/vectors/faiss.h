/* FAISS index files, taken apart. Layer: source (private to vectors/).
 *
 * A file is one index: four letters that name its kind, a header (dimension, count, metric), then what that kind
 * stores; many kinds hold another index. Fact source: faiss/impl/index_read.cpp and index_write.cpp,
 * faiss/invlists/{Block,OnDisk}InvertedLists.cpp of FAISS 1.15, MetricType.h, and files written by faiss-cpu.
 *
 *   header          i32 d, i64 ntotal, i64 1 << 20 twice, u8 is_trained, i32 metric, f32 argument if metric > 1
 *   binary header   i32 d, i32 bytes of a code, i64 ntotal, u8 is_trained, i32 metric
 *   a vector        u64 count of elements, elements
 */
#ifndef SNAP_SOURCE_VECTORS_FAISS_H
#define SNAP_SOURCE_VECTORS_FAISS_H

#include "source/vectors/walk.h"

enum {
    FAISS_DEPTH_MAX = 16, /* indexes within indexes; FAISS itself stops at 50, real ones at 4 */
    FAISS_CHAIN_MAX = 64, /* transformations before an index */
    FAISS_PATH_BYTES = 160,
};

struct faiss_index {
    bool absent; /* "null" */
    bool whole;  /* the walk stands behind its last byte */
    bool trained;
    int64_t d, ntotal;
    int32_t metric;
    int64_t code_bytes; /* of a vector in a binary index */
    /* Its vectors, where they are stored as they came or as codes of one length. */
    enum vector_dtype dtype; /* NONE: codes, or not found */
    bool residual;           /* what is stored is the difference from a centroid */
    int64_t stored_d;
    uint64_t rows_at, row_bytes; /* row_bytes 0: not in rows */
    /* Inverted lists; each is size * code_size bytes of rows, then size ids of 8 bytes. */
    bool has_lists, lists_sparse;
    uint64_t list_sizes_at, list_sizes_count, lists_at, list_code_bytes;
};

struct faiss {
    struct walk w;
    enum vector_depth depth;
    char path[FAISS_PATH_BYTES]; /* "ID map of HNSW graph of flat" */
};

/* One kind of index; what its header is followed by. NULL body: the walk ends behind its header. */
struct faiss_kind {
    const char *code, *says;
    bool (*body)(struct faiss *f, struct faiss_index *x, const struct faiss_kind *kind, unsigned depth);
    enum faiss_header { FAISS_PLAIN, FAISS_BINARY, FAISS_PANORAMA, FAISS_LATTICE } header;
    int variant;
};
const struct faiss_kind *faiss_kind_of(const uint8_t code[4]); /* NULL: not known */

/* The index at the walk's place. False when the walk is over: by an error, or because it is broken. */
bool faiss_index(struct faiss *f, struct faiss_index *x, unsigned depth);
const char *faiss_metric(int32_t metric); /* NULL: there is no such metric */

/* --- parts, each from the walk's place on; false when the walk is over */
bool faiss_codes(struct faiss *f, struct faiss_index *x, uint64_t code_bytes, uint64_t element_bytes);
bool faiss_quantizer(struct faiss *f, const struct faiss_index *x, uint64_t *code_bytes_out); /* of products */
bool faiss_scalar(struct faiss *f, struct faiss_index *x, uint64_t *code_bytes_out);
bool faiss_transform(struct faiss *f, int64_t *in_out, int64_t *out_out, unsigned depth);
/* The vectors of x are those of inner. */
void faiss_take(struct faiss_index *x, const struct faiss_index *inner);
bool faiss_ivf(struct faiss *f, struct faiss_index *x, const struct faiss_kind *kind, unsigned depth);
enum { IVF_FLAT, IVF_DEDUP, IVF_SCALAR_OLD, IVF_SCALAR, IVF_PRODUCT, IVF_PRODUCT_FAST, IVF_BINARY };

#endif
