/* The header of a NumPy array file. Layer: source (private to vectors/).
 *
 * From NumPy's documentation, "numpy.lib.format": 93 'NUMPY', version, the header's length (u16 in version 1, u32 in 2
 * and 3), and the literal of a Python dictionary of exactly 'descr', 'fortran_order' and 'shape'. The literal is parsed
 * here by a grammar that knows no more than NumPy writes; nothing is evaluated.
 */
#ifndef SNAP_SOURCE_VECTORS_NPY_HEADER_H
#define SNAP_SOURCE_VECTORS_NPY_HEADER_H

#include "source/vectors/vectors.h"

enum {
    NPY_PREFIX_BYTES = 12, /* the most that stands before the dictionary */
    NPY_TEXT_MAX_BYTES = 1 << 20,
    NPY_DIMENSIONS_MAX = 64, /* NumPy's own limit */
    NPY_NESTING_MAX = 8,     /* of structured types */
};

struct npy_header {
    enum vector_dtype dtype; /* NONE for what is no plain number */
    bool foreign_order, is_fortran;
    bool has_objects;       /* a pickle follows, which is never looked into */
    bool is_structured;     /* records of several fields */
    uint64_t element_bytes; /* not when has_objects */
    unsigned dimensions;
    int64_t shape[NPY_DIMENSIONS_MAX];
    uint64_t data_bytes; /* not when has_objects */
};

bool npy_has_magic(const uint8_t *head, size_t len);
/* Where the dictionary begins and how long it is, from the first bytes of a file that has the magic; false when there
 * are too few or the version is unknown. */
bool npy_prefix(const uint8_t *head, size_t len, size_t *text_offset_out, uint64_t *text_len_out);
/* NULL, or what is wrong with it. */
const char *npy_parse(const char *text, size_t len, struct npy_header *out);

/* Numbers in rows of none or of more than VECTOR_DIMENSION_MAX: no vectors, and damage when there are rows. */
bool npy_has_odd_rows(const struct npy_header *h);
/* Shape and type into a; into detail (of VECTOR_DETAIL_BYTES) what there is to say about an array that is no list of
 * vectors. */
void npy_describe(const struct npy_header *h, struct vector_array *a);
void npy_say(const struct npy_header *h, char *detail);

#endif
