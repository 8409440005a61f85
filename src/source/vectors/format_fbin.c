/* .fbin, .u8bin, .i8bin: u32 count, u32 dimension, then the elements, all little-endian (big-ann-benchmarks.com,
 * "Bigger datasets": "Each file is in binary format"). Nothing in it says what it is, so the name has to. */
#include <inttypes.h>
#include <stdio.h>

#include "source/vectors/format.h"
#include "source/vectors/scan.h"

enum { FBIN_HEADER_BYTES = 8 };

static const struct {
    const char *end, *format;
    enum vector_dtype dtype;
} fbin_kinds[] = {{".fbin", "fbin", VECTOR_F32}, {".u8bin", "u8bin", VECTOR_U8}, {".i8bin", "i8bin", VECTOR_I8}};
enum { FBIN_KINDS = sizeof fbin_kinds / sizeof *fbin_kinds };

static size_t fbin_kind(const struct vector_input *in)
{
    size_t k = 0;
    while (k < FBIN_KINDS && !vector_name_ends(in, fbin_kinds[k].end))
        k++;
    return k;
}

static bool fbin_claims(const uint8_t *head, size_t len, const struct vector_input *in)
{
    (void)head;
    (void)len;
    return fbin_kind(in) < FBIN_KINDS;
}

static enum errc fbin_read(const struct vector_input *in, const struct vector_options *opt, struct vector_result *out,
                           struct err *err)
{
    size_t kind = fbin_kind(in);
    uint8_t head[FBIN_HEADER_BYTES];
    bool ok;
    snprintf(out->format, sizeof out->format, "%s", fbin_kinds[kind].format);
    enum errc rc = vector_bytes(in, head, sizeof head, 0, "its header", out, &ok, err);
    if (rc != ERR_OK || !ok)
        return rc;
    uint32_t count = vector_le32(head), dimension = vector_le32(head + 4);
    uint64_t row = vector_row_bytes(fbin_kinds[kind].dtype, dimension);
    if (row == 0)
        return vector_broken(out, "its header says that a vector has %" PRIu32 " elements", dimension);
    struct vector_array *a;
    rc = vector_add_array(out, "", 0, &a, err);
    if (rc != ERR_OK)
        return rc;
    a->dtype = fbin_kinds[kind].dtype;
    a->is_vectors = true;
    a->dimension = dimension;
    a->count = count;
    /* At most 2^32 rows of 4 MB: no overflow. */
    if (in->size - sizeof head != count * row)
        return vector_broken(out,
                             "%" PRIu32 " vectors of %" PRIu32 " elements make %" PRIu64 " bytes, and it has %" PRIu64,
                             count, dimension, count * row + sizeof head, in->size);
    out->data_offset = sizeof head;
    out->row_bytes = row;
    return opt->depth >= VECTOR_SCAN ? vector_scan_rows(in, sizeof head, row, a, out, err) : ERR_OK;
}

const struct vector_format vector_format_fbin = {.name = "fbin", .claims = fbin_claims, .read = fbin_read};
