/* .fvecs, .bvecs, .ivecs: each row is an i32 with the row's dimension, then its elements of float32, uint8 or int32,
 * all little-endian (corpus-texmex.irisa.fr, "File formats"). Nothing in it says what it is, so the name has to. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "source/vectors/format.h"
#include "source/vectors/scan.h"

static const struct {
    const char *end, *format;
    enum vector_dtype dtype;
} kinds[] = {{".fvecs", "fvecs", VECTOR_F32}, {".bvecs", "bvecs", VECTOR_U8}, {".ivecs", "ivecs", VECTOR_I32}};
enum { KINDS = sizeof kinds / sizeof *kinds, ROW_HEADER_BYTES = 4 };

static size_t kind_of(const struct vector_input *in)
{
    size_t k = 0;
    while (k < KINDS && !vector_name_ends(in, kinds[k].end))
        k++;
    return k;
}

static bool fvecs_claims(const uint8_t *head, size_t len, const struct vector_input *in)
{
    (void)head;
    (void)len;
    return kind_of(in) < KINDS;
}

/* One pass over the rows. */
struct pass {
    const struct vector_input *in;
    struct vector_array *a;
    struct vector_result *out;
    unsigned element_bytes;
    bool is_scan;
    uint64_t offset;   /* of the next byte to look at */
    uint64_t left;     /* bytes of the present row that were not looked at; 0: a row begins at offset */
    int64_t dimension; /* of the present row */
    int64_t run;       /* rows of this dimension, ended or not, that are not in out->dims yet */
    unsigned marks;    /* of the present row */
    int64_t rows, nan, inf, zero;
};

static void end_row(struct pass *p)
{
    p->rows++;
    p->run++;
    p->nan += (p->marks & MARK_NAN) != 0;
    p->inf += (p->marks & MARK_INF) != 0;
    p->zero += p->marks == 0;
}

static void begin_row(struct pass *p, const uint8_t *header)
{
    int64_t dimension = (int32_t)vector_le32(header);
    uint64_t row = vector_row_bytes(p->a->dtype, dimension);
    if (row == 0) {
        vector_broken(p->out, "row %" PRId64 ", at byte %" PRIu64 ", says that it has %" PRId64 " elements", p->rows,
                      p->offset, dimension);
    } else if (row > p->in->size - p->offset - ROW_HEADER_BYTES) {
        vector_broken(p->out, "it was cut off: row %" PRId64 ", at byte %" PRIu64 ", has %" PRId64 " elements", p->rows,
                      p->offset, dimension);
    } else {
        if (dimension != p->dimension) {
            vector_add_dimension(p->out, p->dimension, p->run);
            p->run = 0;
        }
        p->dimension = dimension;
        p->left = row;
        p->marks = 0;
        p->offset += ROW_HEADER_BYTES;
    }
}

/* block[0..len) are the bytes from p->offset; what is not taken of it is read again. */
static void take_block(struct pass *p, const uint8_t *block, size_t len)
{
    while (p->out->ok) {
        if (p->left == 0) {
            if (len < ROW_HEADER_BYTES)
                return;
            begin_row(p, block);
            block += ROW_HEADER_BYTES;
            len -= ROW_HEADER_BYTES;
            continue;
        }
        size_t n = p->left < len ? (size_t)p->left : len - len % p->element_bytes;
        if (n == 0)
            return;
        if (p->is_scan)
            p->marks |= vector_marks(p->a->dtype, false, block, n / p->element_bytes);
        block += n;
        len -= n;
        p->offset += n;
        p->left -= n;
        if (p->left == 0)
            end_row(p);
    }
}

static enum errc walk(struct pass *p, struct err *err)
{
    uint8_t *block;
    enum errc rc = mem_alloc(&block, SCAN_BLOCK_BYTES, err);
    while (rc == ERR_OK && p->out->ok && p->offset < p->in->size) {
        /* The rest of a long row need not be read to know where it ends. */
        if (!p->is_scan && p->left > 0) {
            p->offset += p->left;
            p->left = 0;
            end_row(p);
            continue;
        }
        uint64_t left = p->in->size - p->offset;
        size_t len = left < SCAN_BLOCK_BYTES ? (size_t)left : SCAN_BLOCK_BYTES;
        bool ok;
        rc = vector_bytes(p->in, block, len, p->offset, "its rows", p->out, &ok, err);
        if (rc == ERR_OK && ok && left < ROW_HEADER_BYTES)
            vector_broken(p->out, "it was cut off within row %" PRId64, p->rows);
        else if (rc == ERR_OK && ok)
            take_block(p, block, len);
    }
    free(block);
    return rc;
}

/* Every row, in one pass. */
static enum errc read_rows(struct pass *p, struct err *err)
{
    enum errc rc = walk(p, err);
    if (rc != ERR_OK)
        return rc;
    struct vector_result *out = p->out;
    vector_add_dimension(out, p->dimension, p->run);
    p->a->count = p->rows;
    if (p->is_scan && out->ok) {
        p->a->nan = p->nan;
        p->a->inf = p->inf;
        p->a->zero = p->zero;
    }
    if (out->dim_count > 1) {
        p->a->dimension = 0;
        if (out->ok)
            snprintf(out->detail, sizeof out->detail, "its rows have different dimensions");
    } else if (out->dim_count == 1) {
        p->a->dimension = out->dims[0].dimension;
        out->dim_count = 0; /* summing up puts it back */
        out->row_bytes = ROW_HEADER_BYTES + vector_row_bytes(p->a->dtype, p->a->dimension);
    }
    return ERR_OK;
}

/* The first row and the last one: they agree unless the file is cut off, or mixed. */
static enum errc read_ends(struct pass *p, struct err *err)
{
    uint8_t header[ROW_HEADER_BYTES];
    struct vector_result *out = p->out;
    bool ok;
    enum errc rc = vector_bytes(p->in, header, sizeof header, 0, "its first row", out, &ok, err);
    if (rc != ERR_OK || !ok)
        return rc;
    int64_t dimension = (int32_t)vector_le32(header);
    begin_row(p, header);
    if (!out->ok)
        return ERR_OK;
    uint64_t row = ROW_HEADER_BYTES + p->left;
    if (p->in->size % row == 0) {
        rc = vector_bytes(p->in, header, sizeof header, p->in->size - row, "its last row", out, &ok, err);
        if (rc != ERR_OK || !ok)
            return rc;
        if ((int32_t)vector_le32(header) == dimension) {
            p->a->dimension = dimension;
            p->a->count = (int64_t)(p->in->size / row);
            out->row_bytes = row;
            snprintf(out->detail, sizeof out->detail, "only its first and last rows were looked at");
            return ERR_OK;
        }
    }
    snprintf(out->detail, sizeof out->detail, "its rows have different dimensions, or it was cut off");
    return ERR_OK;
}

static enum errc fvecs_read(const struct vector_input *in, const struct vector_options *opt, struct vector_result *out,
                            struct err *err)
{
    size_t kind = kind_of(in);
    struct pass p = {.in = in, .out = out, .is_scan = opt->depth >= VECTOR_SCAN};
    snprintf(out->format, sizeof out->format, "%s", kinds[kind].format);
    enum errc rc = vector_add_array(out, "", 0, &p.a, err);
    if (rc != ERR_OK)
        return rc;
    p.a->dtype = kinds[kind].dtype;
    p.a->is_vectors = true;
    p.element_bytes = vector_dtype_bytes(p.a->dtype);
    return opt->depth == VECTOR_QUICK && in->size > 0 ? read_ends(&p, err) : read_rows(&p, err);
}

const struct vector_format vector_format_fvecs = {.name = "fvecs", .claims = fvecs_claims, .read = fvecs_read};
