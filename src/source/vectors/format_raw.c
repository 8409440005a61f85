/* Numbers without a header: the dimension and the type are configured. */
#include <inttypes.h>

#include "source/vectors/format.h"
#include "source/vectors/scan.h"

static bool raw_claims(const uint8_t *head, size_t len, const struct vector_input *in)
{
    (void)head;
    (void)len;
    (void)in;
    return true;
}

static enum errc raw_read(const struct vector_input *in, const struct vector_options *opt, struct vector_result *out,
                          struct err *err)
{
    enum vector_dtype type = opt->raw_dtype == VECTOR_DTYPE_NONE ? VECTOR_F32 : opt->raw_dtype;
    uint64_t row = vector_row_bytes(type, opt->raw_dimension);
    if (row == 0 || in->size / row > INT64_MAX)
        return vector_broken(out, "%" PRId64 " is no possible dimension", opt->raw_dimension);
    struct vector_array *a;
    enum errc rc = vector_add_array(out, "", 0, &a, err);
    if (rc != ERR_OK)
        return rc;
    a->dtype = type;
    a->is_vectors = true;
    a->dimension = opt->raw_dimension;
    a->count = (int64_t)(in->size / row);
    if (in->size % row != 0)
        return vector_broken(out,
                             "its size is no multiple of the %" PRIu64
                             " bytes of a vector: it was cut off, or its dimension is not %" PRId64,
                             row, opt->raw_dimension);
    out->row_bytes = row;
    return opt->depth >= VECTOR_SCAN ? vector_scan_rows(in, 0, row, a, out, err) : ERR_OK;
}

const struct vector_format vector_format_raw = {.name = "raw", .claims = raw_claims, .read = raw_read};
