#include "source/vectors/npy_header.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "source/vectors/format.h"

static const uint8_t magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

bool npy_has_magic(const uint8_t *head, size_t len)
{
    return len >= sizeof magic && memcmp(head, magic, sizeof magic) == 0;
}

bool npy_prefix(const uint8_t *head, size_t len, size_t *text_offset_out, uint64_t *text_len_out)
{
    if (len < NPY_PREFIX_BYTES || !npy_has_magic(head, len) || head[6] < 1 || head[6] > 3 || head[7] != 0)
        return false;
    *text_offset_out = head[6] == 1 ? 10 : 12;
    *text_len_out = head[6] == 1 ? vector_le16(head + 8) : vector_le32(head + 8);
    return true;
}

/* --- the dictionary ---
 */

struct text {
    const char *at, *end;
};

static void skip_space(struct text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\n' || *t->at == '\t'))
        t->at++;
}

static bool take(struct text *t, char c)
{
    skip_space(t);
    if (t->at == t->end || *t->at != c)
        return false;
    t->at++;
    return true;
}

static bool next_is(struct text *t, char c)
{
    skip_space(t);
    return t->at < t->end && *t->at == c;
}

static bool take_word(struct text *t, const char *word)
{
    size_t len = strlen(word);
    skip_space(t);
    if ((size_t)(t->end - t->at) < len || memcmp(t->at, word, len) != 0)
        return false;
    t->at += len;
    return true;
}

/* A string as it is written; a backslash hides what follows it. */
static bool take_string(struct text *t, struct text *out)
{
    skip_space(t);
    if (t->at == t->end || (*t->at != '\'' && *t->at != '"'))
        return false;
    char quote = *t->at++;
    out->at = t->at;
    while (t->at < t->end && *t->at != quote)
        t->at += *t->at == '\\' && t->end - t->at > 1 ? 2 : 1;
    out->end = t->at;
    return take(t, quote);
}

static bool take_number(struct text *t, int64_t *out)
{
    *out = 0;
    skip_space(t);
    const char *first = t->at;
    for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++)
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, *t->at - '0', out))
            return false;
    if (t->at == first)
        return false;
    if (t->at < t->end && *t->at == 'L') /* Python 2 */
        t->at++;
    return true;
}

static bool take_shape(struct text *t, int64_t *shape, unsigned *count_out)
{
    *count_out = 0;
    if (!take(t, '('))
        return false;
    while (!take(t, ')')) {
        if (*count_out == NPY_DIMENSIONS_MAX || !take_number(t, &shape[*count_out]))
            return false;
        ++*count_out;
        if (!take(t, ',') && !next_is(t, ')'))
            return false;
    }
    return true;
}

static bool product(const int64_t *shape, unsigned count, uint64_t *bytes_inout)
{
    for (unsigned i = 0; i < count; i++)
        if (__builtin_mul_overflow(*bytes_inout, (uint64_t)shape[i], bytes_inout))
            return false;
    return *bytes_inout <= INT64_MAX;
}

static enum vector_dtype number_type(char kind, int64_t bytes)
{
    static const struct {
        char kind;
        int bytes;
        enum vector_dtype dtype;
    } types[] = {{'f', 2, VECTOR_F16}, {'f', 4, VECTOR_F32}, {'f', 8, VECTOR_F64}, {'i', 1, VECTOR_I8},
                 {'u', 1, VECTOR_U8},  {'i', 2, VECTOR_I16}, {'u', 2, VECTOR_U16}, {'i', 4, VECTOR_I32},
                 {'u', 4, VECTOR_U32}, {'i', 8, VECTOR_I64}, {'u', 8, VECTOR_U64}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].kind == kind && types[i].bytes == bytes)
            return types[i].dtype;
    return VECTOR_DTYPE_NONE;
}

/* "<f4", "|u1", ">U12", "<M8[ns]", "|O": byte order, kind, bytes (characters of four bytes for U). */
static bool parse_simple(struct text s, struct npy_header *h, uint64_t *bytes_out)
{
    int64_t count = 0;
    if (s.end - s.at < 2 || !memchr("<>|=", *s.at, 4))
        return false;
    h->foreign_order = *s.at == '>';
    char kind = s.at[1];
    s.at += 2;
    if (!memchr("biufcmMOSaUV", kind, 12) || ((kind != 'O' || s.at < s.end) && !take_number(&s, &count)))
        return false;
    if (kind == 'O')
        h->has_objects = true;
    bool has_unit = (kind == 'm' || kind == 'M') && take(&s, '[');
    while (has_unit && s.at < s.end && *s.at != ']')
        s.at++;
    if (has_unit && !take(&s, ']'))
        return false;
    h->dtype = number_type(kind, count);
    *bytes_out = (uint64_t)count;
    return s.at == s.end && !(kind == 'U' && __builtin_mul_overflow(*bytes_out, 4, bytes_out));
}

static bool parse_type(struct text *t, unsigned depth, struct npy_header *h, uint64_t *bytes_out);

/* A tuple of name, type, and perhaps a shape. A name may be a tuple of title and name. */
static bool parse_field(struct text *t, unsigned depth, struct npy_header *h, uint64_t *bytes_out)
{
    struct text name;
    int64_t shape[NPY_DIMENSIONS_MAX];
    unsigned dimensions = 0;
    if (!take(t, '('))
        return false;
    if (take(t, '(')) {
        if (!take_string(t, &name) || !take(t, ',') || !take_string(t, &name) || !take(t, ')'))
            return false;
    } else if (!take_string(t, &name)) {
        return false;
    }
    if (!take(t, ',') || !parse_type(t, depth, h, bytes_out))
        return false;
    if (take(t, ',') && !take_shape(t, shape, &dimensions))
        return false;
    return take(t, ')') && product(shape, dimensions, bytes_out);
}

/* What descr says: a string, or a list of fields. */
static bool parse_type(struct text *t, unsigned depth, struct npy_header *h, uint64_t *bytes_out)
{
    struct text s;
    *bytes_out = 0;
    if (depth == NPY_NESTING_MAX)
        return false;
    if (!take(t, '['))
        return take_string(t, &s) && parse_simple(s, h, bytes_out);
    while (!take(t, ']')) {
        uint64_t field;
        if (!parse_field(t, depth + 1, h, &field) || __builtin_add_overflow(*bytes_out, field, bytes_out))
            return false;
        if (!take(t, ',') && !next_is(t, ']'))
            return false;
    }
    h->is_structured = true;
    h->dtype = VECTOR_DTYPE_NONE;
    h->foreign_order = false;
    return true;
}

static bool parse_order(struct text *t, bool *is_fortran_out)
{
    *is_fortran_out = take_word(t, "True");
    return *is_fortran_out || take_word(t, "False");
}

static bool string_is(struct text s, const char *want)
{
    return (size_t)(s.end - s.at) == strlen(want) && memcmp(s.at, want, strlen(want)) == 0;
}

const char *npy_parse(const char *text, size_t len, struct npy_header *out)
{
    struct text t = {text, text + len}, key;
    enum { DESCR = 1, ORDER = 2, SHAPE = 4 };
    unsigned seen = 0;
    *out = (struct npy_header){0};
    if (!take(&t, '{'))
        return "its header is no dictionary";
    while (!take(&t, '}')) {
        if (!take_string(&t, &key) || !take(&t, ':'))
            return "its header is malformed";
        unsigned now = string_is(key, "descr")           ? DESCR
                       : string_is(key, "fortran_order") ? ORDER
                       : string_is(key, "shape")         ? SHAPE
                                                         : 0;
        if (now == 0 || (seen & now))
            return "its header has a key that does not belong there";
        if (now == DESCR && !parse_type(&t, 0, out, &out->element_bytes))
            return "its header names no data type that NumPy writes";
        if (now == ORDER && !parse_order(&t, &out->is_fortran))
            return "its header says neither that it is in Fortran order nor that it is not";
        if (now == SHAPE && !take_shape(&t, out->shape, &out->dimensions))
            return "its header has an impossible shape";
        seen |= now;
        if (!take(&t, ',') && !next_is(&t, '}'))
            return "its header is malformed";
    }
    skip_space(&t);
    if (t.at != t.end || seen != (DESCR | ORDER | SHAPE))
        return "its header is incomplete or has something behind it";
    out->data_bytes = out->element_bytes;
    if (!out->has_objects && !product(out->shape, out->dimensions, &out->data_bytes))
        return "its header has an impossible shape";
    return NULL;
}

/* --- what it means ---
 */

bool npy_has_odd_rows(const struct npy_header *h)
{
    return h->dimensions == 2 && h->dtype != VECTOR_DTYPE_NONE &&
           (h->shape[1] < 1 || h->shape[1] > VECTOR_DIMENSION_MAX);
}

void npy_describe(const struct npy_header *h, struct vector_array *a)
{
    a->dtype = h->dtype;
    a->foreign_order = h->foreign_order && h->element_bytes > 1;
    a->count = h->dimensions > 0 ? h->shape[0] : 1;
    if (h->dimensions != 2)
        return;
    a->is_vectors = h->dtype != VECTOR_DTYPE_NONE && !npy_has_odd_rows(h);
    if (a->is_vectors)
        a->dimension = h->shape[1];
}

void npy_say(const struct npy_header *h, char *detail)
{
    size_t at = 0;
    const char *what = h->has_objects                  ? "Python objects in a pickle, which is not looked into"
                       : h->is_structured              ? "records of several fields"
                       : h->dtype == VECTOR_DTYPE_NONE ? "elements that are no plain numbers"
                                                       : vector_dtype_name(h->dtype);
    if (npy_has_odd_rows(h)) {
        snprintf(detail, VECTOR_DETAIL_BYTES, "rows of %" PRId64 " elements: not taken for vectors", h->shape[1]);
        return;
    }
    if (h->dimensions == 2 && h->dtype != VECTOR_DTYPE_NONE) {
        snprintf(detail, VECTOR_DETAIL_BYTES, "%s%s", h->is_fortran ? "in Fortran order" : "",
                 h->foreign_order && h->element_bytes > 1 ? (h->is_fortran ? ", big-endian" : "big-endian") : "");
        return;
    }
    at = (size_t)snprintf(detail, VECTOR_DETAIL_BYTES, "an array of ");
    for (unsigned i = 0; i < h->dimensions && at < VECTOR_DETAIL_BYTES - 100; i++)
        at += (size_t)snprintf(detail + at, VECTOR_DETAIL_BYTES - at, "%s%" PRId64, i > 0 ? " x " : "", h->shape[i]);
    snprintf(detail + at, VECTOR_DETAIL_BYTES - at, "%s%s", h->dimensions > 0 ? " " : "one ", what);
}
