#include "source/vectors/format.h"

extern const struct vector_format vector_format_npy;
extern const struct vector_format vector_format_npz;
extern const struct vector_format vector_format_safetensors;
extern const struct vector_format vector_format_fvecs;
extern const struct vector_format vector_format_faiss;
extern const struct vector_format vector_format_fbin;
extern const struct vector_format vector_format_hnswlib;
extern const struct vector_format vector_format_lance;
extern const struct vector_format vector_format_parquet;
extern const struct vector_format vector_format_usearch;
extern const struct vector_format vector_format_json;

const struct vector_format *const vector_formats[] = {
    /* Told by a magic. */
    &vector_format_npy,
    &vector_format_npz,
    &vector_format_faiss,
    &vector_format_parquet,

    /* Told by their structure. */
    &vector_format_hnswlib,
    &vector_format_safetensors,
    &vector_format_json,

    /* Told by their name. */
    &vector_format_fvecs,
    &vector_format_fbin,

    /* Told by a magic that is not at the beginning: asking costs reads. */
    &vector_format_lance,
    &vector_format_usearch,
};
const size_t vector_format_count = sizeof vector_formats / sizeof *vector_formats;
