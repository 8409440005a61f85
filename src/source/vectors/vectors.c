#include "source/vectors/vectors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "source/vectors/format.h"

static const struct {
    const char *name;
    unsigned bytes;
} dtypes[VECTOR_DTYPES] = {
    [VECTOR_DTYPE_NONE] = {"", 0}, [VECTOR_F16] = {"float16", 2}, [VECTOR_BF16] = {"bfloat16", 2},
    [VECTOR_F32] = {"float32", 4}, [VECTOR_F64] = {"float64", 8}, [VECTOR_I8] = {"int8", 1},
    [VECTOR_U8] = {"uint8", 1},    [VECTOR_I16] = {"int16", 2},   [VECTOR_U16] = {"uint16", 2},
    [VECTOR_I32] = {"int32", 4},   [VECTOR_U32] = {"uint32", 4},  [VECTOR_I64] = {"int64", 8},
    [VECTOR_U64] = {"uint64", 8},  [VECTOR_BIT] = {"bit", 0},
};

const char *vector_dtype_name(enum vector_dtype t)
{
    return dtypes[(unsigned)t < VECTOR_DTYPES ? t : VECTOR_DTYPE_NONE].name;
}

unsigned vector_dtype_bytes(enum vector_dtype t)
{
    return dtypes[(unsigned)t < VECTOR_DTYPES ? t : VECTOR_DTYPE_NONE].bytes;
}

void vector_release(struct vector_result *r)
{
    free(r->arrays);
    *r = (struct vector_result){0};
}

/* What a file says about itself ends up on a terminal. */
static void make_printable(char *s)
{
    for (; *s; s++)
        if (*s < 0x20 || *s > 0x7e)
            *s = '?';
}

enum errc vector_broken(struct vector_result *r, const char *fmt, ...)
{
    if (!r->ok)
        return ERR_OK;
    r->ok = false;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->detail, sizeof r->detail, fmt, ap);
    va_end(ap);
    make_printable(r->detail);
    return ERR_OK;
}

enum errc vector_bytes(const struct vector_input *in, void *dst, size_t len, uint64_t offset, const char *what,
                       struct vector_result *r, bool *ok_out, struct err *err)
{
    size_t got = 0;
    *ok_out = false;
    if (offset <= in->size && len <= in->size - offset) {
        enum errc rc = in->read(in->arg, dst, len, offset, &got, err);
        if (rc != ERR_OK)
            return rc;
        *ok_out = got == len;
    }
    return *ok_out ? ERR_OK : vector_broken(r, "it ends within %s", what);
}

enum errc vector_add_array(struct vector_result *r, const char *name, size_t name_len, struct vector_array **out,
                           struct err *err)
{
    *out = NULL;
    if (r->array_count == VECTOR_ARRAYS_MAX) {
        r->arrays_omitted++;
        return ERR_OK;
    }
    enum errc rc = mem_grow(&r->arrays, &r->array_cap, r->array_count + 1, sizeof *r->arrays, err);
    if (rc != ERR_OK)
        return rc;
    struct vector_array *a = &r->arrays[r->array_count++];
    *a = (struct vector_array){.dimension = VECTOR_UNKNOWN,
                               .count = VECTOR_UNKNOWN,
                               .nan = VECTOR_UNKNOWN,
                               .inf = VECTOR_UNKNOWN,
                               .zero = VECTOR_UNKNOWN};
    size_t len = name_len < sizeof a->name ? name_len : sizeof a->name - 1;
    for (size_t i = 0; i < len; i++)
        a->name[i] = name[i] ? name[i] : '?';
    make_printable(a->name);
    *out = a;
    return ERR_OK;
}

static int64_t saturating_sum(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

void vector_add_dimension(struct vector_result *r, int64_t dimension, int64_t count)
{
    size_t at = 0;
    if (count <= 0)
        return;
    while (at < r->dim_count && r->dims[at].dimension < dimension)
        at++;
    if (at < r->dim_count && r->dims[at].dimension == dimension) {
        r->dims[at].count = saturating_sum(r->dims[at].count, count);
    } else if (r->dim_count == VECTOR_DIMS_MAX) {
        r->dims_other = saturating_sum(r->dims_other, count);
    } else {
        memmove(&r->dims[at + 1], &r->dims[at], (r->dim_count - at) * sizeof *r->dims);
        r->dims[at] = (struct vector_dimension){dimension, count};
        r->dim_count++;
    }
}

/* Unknown stays unknown. */
static void add_known(int64_t *sum, int64_t v)
{
    if (*sum < 0 || v < 0 || __builtin_add_overflow(*sum, v, sum))
        *sum = VECTOR_UNKNOWN;
}

void vector_sum_up(struct vector_result *r)
{
    /* What was omitted may be vectors too. */
    bool is_whole = r->arrays_omitted == 0, is_first = true;
    r->count = r->nan = r->inf = r->zero = is_whole ? 0 : VECTOR_UNKNOWN;
    r->dtype = VECTOR_DTYPE_NONE;
    r->dimension = VECTOR_UNKNOWN;
    for (size_t i = 0; i < r->array_count; i++) {
        const struct vector_array *a = &r->arrays[i];
        if (!a->is_vectors)
            continue;
        if (a->dimension > 0)
            vector_add_dimension(r, a->dimension, a->count);
        add_known(&r->count, a->count);
        add_known(&r->nan, a->nan);
        add_known(&r->inf, a->inf);
        add_known(&r->zero, a->zero);
        if (is_first)
            r->dtype = a->dtype;
        else if (r->dtype != a->dtype)
            r->dtype = VECTOR_DTYPE_NONE;
        if (is_first)
            r->dimension = a->dimension;
        else if (r->dimension != a->dimension)
            r->dimension = r->dimension >= 0 && a->dimension >= 0 ? 0 : VECTOR_UNKNOWN;
        is_first = false;
    }
    if (is_first && !r->ok)
        r->count = r->nan = r->inf = r->zero = VECTOR_UNKNOWN;
    if (!is_whole && r->dimension > 0)
        r->dimension = VECTOR_UNKNOWN;
}

static enum errc read_as(const struct vector_format *f, const struct vector_input *in, const struct vector_options *opt,
                         struct vector_result *out, struct err *err)
{
    out->known = out->ok = true;
    snprintf(out->format, sizeof out->format, "%s", f->name);
    enum errc rc = f->read(in, opt, out, err);
    if (rc != ERR_OK)
        return rc;
    if (!out->ok)
        out->data_offset = out->row_bytes = 0;
    make_printable(out->detail);
    vector_sum_up(out);
    return ERR_OK;
}

enum errc vector_read(const struct vector_input *in, const struct vector_options *opt, struct vector_result *out,
                      struct err *err)
{
    uint8_t head[VECTOR_HEAD_BYTES];
    size_t len = in->size < sizeof head ? (size_t)in->size : sizeof head, got = 0;
    *out = (struct vector_result){.dimension = VECTOR_UNKNOWN,
                                  .count = VECTOR_UNKNOWN,
                                  .nan = VECTOR_UNKNOWN,
                                  .inf = VECTOR_UNKNOWN,
                                  .zero = VECTOR_UNKNOWN};
    enum errc rc = in->read(in->arg, head, len, 0, &got, err);
    const struct vector_format *format = opt->raw_dimension > 0 ? &vector_format_raw : NULL;
    for (size_t i = 0; rc == ERR_OK && i < vector_format_count; i++)
        if (vector_formats[i]->claims(head, got, in)) {
            format = vector_formats[i];
            break;
        }
    if (rc == ERR_OK && format)
        rc = read_as(format, in, opt, out, err);
    if (rc != ERR_OK)
        vector_release(out);
    return rc;
}
