/* Vector files: what they hold, and whether it is sound. Layer: source.
 *
 * A file is recognised by its content; by its name only where content cannot tell (.fvecs, .fbin). It is read through
 * vector_input, so a live file, a staged one and an open database's neighbour are all the same. Nothing in a file is
 * executed, and no length in it is believed before it is compared with the file's size.
 *
 * Promises
 *   VF1  memory is bounded whatever the file says or holds: VECTOR_MEMORY_MAX_BYTES, of which arrays are the most.
 *   VF2  a file that is truncated or contradicts itself is a result with ok false and says in detail what is wrong;
 *        only what the input's read returns, and ERR_NO_MEMORY, are errors.
 *   VF3  a file that no format claims is a result with known false.
 *   VF4  each count is exact when it is given: what was not looked at is VECTOR_UNKNOWN.
 */
#ifndef SNAP_SOURCE_VECTORS_VECTORS_H
#define SNAP_SOURCE_VECTORS_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    VECTOR_FORMAT_BYTES = 32,
    VECTOR_NAME_BYTES = 128,
    VECTOR_DETAIL_BYTES = 400,
    VECTOR_ARRAYS_MAX = 1024, /* named arrays kept of one file; more are counted in arrays_omitted */
    VECTOR_DIMS_MAX = 32,     /* different dimensions told apart */
    VECTOR_HEAD_BYTES = 4096, /* of the file, for recognition */
    VECTOR_MEMORY_MAX_BYTES = 8 << 20,
};
#define VECTOR_DIMENSION_MAX INT64_C(1000000) /* a larger one is damage, not a vector */
#define VECTOR_UNKNOWN INT64_C(-1)

/* Bytes of one file. read fills dst[0..len) from offset; *got_out is less only at the end of the file. */
struct vector_input {
    enum errc (*read)(void *arg, void *dst, size_t len, uint64_t offset, size_t *got_out, struct err *err);
    void *arg;
    uint64_t size;
    const char *name; /* last component of its path */
};

enum vector_dtype {
    VECTOR_DTYPE_NONE, /* unknown, or not one of these */
    VECTOR_F16,
    VECTOR_BF16,
    VECTOR_F32,
    VECTOR_F64,
    VECTOR_I8,
    VECTOR_U8,
    VECTOR_I16,
    VECTOR_U16,
    VECTOR_I32,
    VECTOR_U32,
    VECTOR_I64,
    VECTOR_U64,
    VECTOR_BIT, /* eight to a byte; the dimension counts bits */
    VECTOR_DTYPES
};
const char *vector_dtype_name(enum vector_dtype t); /* "float32", ...; "" for NONE */
unsigned vector_dtype_bytes(enum vector_dtype t);   /* of one element; 0 for NONE and BIT */

enum vector_depth {
    VECTOR_QUICK, /* headers and footers: a fixed number of reads, whatever the size */
    VECTOR_SHAPE, /* what it takes to know every dimension and count exactly */
    VECTOR_SCAN,  /* each element too: NaN, infinities, zero vectors */
};
struct vector_options {
    enum vector_depth depth;
    int64_t raw_dimension;       /* for files no format explains; 0: those stay unknown */
    enum vector_dtype raw_dtype; /* F32 when NONE */
};

/* One array, table column or index of vectors in a file. */
struct vector_array {
    char name[VECTOR_NAME_BYTES]; /* "" when the format has just one; printable */
    enum vector_dtype dtype;
    bool foreign_order;       /* elements are of the other byte order (big-endian .npy) */
    bool is_vectors;          /* two-dimensional numbers, so it counts below; else listed only (ids, labels, offsets) */
    int64_t dimension, count; /* VECTOR_UNKNOWN; dimension 0 when mixed */
    int64_t nan, inf, zero;   /* vectors that have one NaN or more, one infinity or more, only zeros; from SCAN on */
};
struct vector_dimension {
    int64_t dimension, count;
};

struct vector_result {
    bool known;                       /* a format claimed it */
    char format[VECTOR_FORMAT_BYTES]; /* "npy", "faiss", ... */
    bool ok;
    char detail[VECTOR_DETAIL_BYTES]; /* what is wrong, or a short description ("HNSW flat index, L2") */
    /* Over all arrays with is_vectors. */
    enum vector_dtype dtype;                       /* NONE when they differ */
    int64_t dimension;                             /* 0 when mixed; VECTOR_UNKNOWN when there is none */
    int64_t count, nan, inf, zero;                 /* VECTOR_UNKNOWN when not looked at */
    struct vector_dimension dims[VECTOR_DIMS_MAX]; /* ascending; how many vectors of each */
    size_t dim_count;
    int64_t dims_other; /* vectors of dimensions beyond VECTOR_DIMS_MAX */
    /* Rows of equal length that lie one behind the other: for cuts at their borders. row_bytes 0: none. */
    uint64_t data_offset, row_bytes;
    struct vector_array *arrays; /* released by vector_release */
    size_t array_count, array_cap;
    int64_t arrays_omitted;
};
void vector_release(struct vector_result *r); /* {0} is fine */

/* Look at one file. *out is overwritten, and empty after an error. Errors: those of read, ERR_NO_MEMORY. */
MUST_USE enum errc vector_read(const struct vector_input *in, const struct vector_options *opt,
                               struct vector_result *out, struct err *err);

#endif
