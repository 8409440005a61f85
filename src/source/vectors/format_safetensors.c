/* safetensors: u64 length of a JSON object, the object, then the tensors' bytes, little-endian (github.com/huggingface/
 * safetensors, README "Format"). The object has for each name dtype, shape and data_offsets, which must cover the bytes
 * behind it without holes and overlaps; "__metadata__" is text.
 *
 * jansson makes some forty bytes of each byte of hostile JSON, so it is given one value of the object at a time.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "source/vectors/format.h"
#include "source/vectors/scan.h"

enum {
    LENGTH_BYTES = 8,
    JSON_MAX_BYTES = 3 << 20,
    VALUE_MAX_BYTES = 16 * 1024,
    RANK_MAX = 64,
};

static const struct {
    const char *name;
    unsigned bits; /* of an element */
    enum vector_dtype dtype;
} types[] = {
    {"F16", 16, VECTOR_F16},
    {"BF16", 16, VECTOR_BF16},
    {"F32", 32, VECTOR_F32},
    {"F64", 64, VECTOR_F64},
    {"I8", 8, VECTOR_I8},
    {"U8", 8, VECTOR_U8},
    {"I16", 16, VECTOR_I16},
    {"U16", 16, VECTOR_U16},
    {"I32", 32, VECTOR_I32},
    {"U32", 32, VECTOR_U32},
    {"I64", 64, VECTOR_I64},
    {"U64", 64, VECTOR_U64},
    {"BOOL", 8, VECTOR_DTYPE_NONE},
    {"F8_E5M2", 8, VECTOR_DTYPE_NONE},
    {"F8_E4M3", 8, VECTOR_DTYPE_NONE},
    {"F8_E8M0", 8, VECTOR_DTYPE_NONE},
    {"C64", 64, VECTOR_DTYPE_NONE},
    {"F4", 4, VECTOR_DTYPE_NONE},
    {"F6_E2M3", 6, VECTOR_DTYPE_NONE},
    {"F6_E3M2", 6, VECTOR_DTYPE_NONE},
};
enum { TYPES = sizeof types / sizeof *types };

struct extent {
    uint64_t begin, end;
};

struct tensors {
    const struct vector_input *in;
    struct vector_result *out;
    struct err *err;
    uint64_t data; /* where the tensors' bytes begin */
    struct extent *extents;
    size_t count, cap;
    uint64_t *begins; /* of each array of the result */
    size_t begins_cap;
};

static bool safetensors_claims(const uint8_t *head, size_t len, const struct vector_input *in)
{
    if (vector_name_ends(in, ".safetensors"))
        return true;
    if (len < LENGTH_BYTES + 2 || vector_le64(head) > in->size - LENGTH_BYTES || vector_le64(head) < 2)
        return false;
    return head[LENGTH_BYTES] == '{' && (head[LENGTH_BYTES + 1] == '"' || head[LENGTH_BYTES + 1] == '}');
}

/* --- one tensor ---
 */

struct tensor {
    unsigned type; /* TYPES: unknown */
    unsigned rank;
    int64_t shape[RANK_MAX];
    struct extent extent;
};

static bool natural(const json_t *v, int64_t *out)
{
    *out = json_is_integer(v) ? json_integer_value(v) : -1;
    return *out >= 0;
}

/* NULL, or what is wrong with it. */
static const char *tensor_get(const json_t *v, uint64_t data_bytes, struct tensor *t)
{
    const char *dtype = json_string_value(json_object_get(v, "dtype"));
    const json_t *shape = json_object_get(v, "shape"), *offsets = json_object_get(v, "data_offsets");
    int64_t begin, end;
    uint64_t bits = 1;
    if (!dtype || !json_is_array(shape) || json_array_size(shape) > RANK_MAX || json_array_size(offsets) != 2)
        return "is not described by a type, a shape and two offsets";
    t->rank = (unsigned)json_array_size(shape);
    for (unsigned i = 0; i < t->rank; i++)
        if (!natural(json_array_get(shape, i), &t->shape[i]) ||
            __builtin_mul_overflow(bits, (uint64_t)t->shape[i], &bits))
            return "has an impossible shape";
    if (!natural(json_array_get(offsets, 0), &begin) || !natural(json_array_get(offsets, 1), &end) || begin > end ||
        (uint64_t)end > data_bytes)
        return "lies outside of the file: it was cut off, or its header is damaged";
    t->extent = (struct extent){(uint64_t)begin, (uint64_t)end};
    t->type = 0;
    while (t->type < TYPES && strcmp(types[t->type].name, dtype) != 0)
        t->type++;
    if (t->type == TYPES)
        return NULL;
    if (__builtin_mul_overflow(bits, types[t->type].bits, &bits) || bits % 8 != 0 ||
        bits / 8 != t->extent.end - t->extent.begin)
        return "has another number of bytes than its shape says";
    return NULL;
}

/* Numbers in rows of none, or of more than a vector has: damage, when there are rows. */
static enum errc check_rows(struct vector_result *out, const char *name, const struct tensor *t)
{
    if (t->type == TYPES || types[t->type].dtype == VECTOR_DTYPE_NONE || t->rank != 2 ||
        vector_row_bytes(types[t->type].dtype, t->shape[1]) > 0)
        return ERR_OK;
    if (t->shape[0] > 0)
        return vector_broken(out, "tensor '%.80s': rows of %" PRId64 " elements: not taken for vectors", name,
                             t->shape[1]);
    if (!out->detail[0])
        snprintf(out->detail, sizeof out->detail, "rows of %" PRId64 " elements: not taken for vectors", t->shape[1]);
    return ERR_OK;
}

static enum errc tensor_add(struct tensors *ts, const char *name, size_t name_len, const struct tensor *t)
{
    struct vector_array *a;
    enum errc rc = mem_grow(&ts->extents, &ts->cap, ts->count + 1, sizeof *ts->extents, ts->err);
    if (rc == ERR_OK)
        rc = mem_grow(&ts->begins, &ts->begins_cap, ts->out->array_count + 1, sizeof *ts->begins, ts->err);
    if (rc == ERR_OK)
        rc = vector_add_array(ts->out, name, name_len, &a, ts->err);
    if (rc != ERR_OK)
        return rc;
    ts->extents[ts->count++] = t->extent;
    if (!a)
        return ERR_OK;
    ts->begins[ts->out->array_count - 1] = t->extent.begin;
    a->dtype = t->type < TYPES ? types[t->type].dtype : VECTOR_DTYPE_NONE;
    a->count = t->rank > 0 ? t->shape[0] : 1;
    uint64_t row = t->rank == 2 ? vector_row_bytes(a->dtype, t->shape[1]) : 0;
    ts->out->data_offset = ts->count == 1 && row > 0 ? ts->data + t->extent.begin : 0;
    ts->out->row_bytes = ts->count == 1 ? row : 0;
    if (row == 0)
        return ERR_OK;
    a->is_vectors = true;
    a->dimension = t->shape[1];
    return ERR_OK;
}

/* Only of tensors that do not overlap: then no byte is read twice, whatever the header says. */
static enum errc tensors_scan(struct tensors *ts)
{
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && ts->out->ok && i < ts->out->array_count; i++) {
        struct vector_array *a = &ts->out->arrays[i];
        if (a->is_vectors)
            rc = vector_scan_rows(ts->in, ts->data + ts->begins[i], vector_row_bytes(a->dtype, a->dimension), a,
                                  ts->out, ts->err);
    }
    return rc;
}

/* --- the header ---
 */

/* The end of the JSON value that begins at at: behind its closing quote or bracket; NULL when it has none. Whether it
 * is sound inside, jansson says. */
static const char *value_end(const char *at, const char *end)
{
    unsigned depth = 0;
    bool in_string = false;
    for (; at < end; at++) {
        if (in_string) {
            if (*at == '\\')
                at++;
            else if (*at == '"')
                in_string = false;
        } else if (*at == '"') {
            in_string = true;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            if (depth == 0)
                return NULL;
            depth--;
        } else if (depth == 0) {
            return NULL; /* a number, true, false, null: nothing that stands here */
        }
        if (!in_string && depth == 0)
            return at + 1;
    }
    return NULL;
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* A name and its value, each a piece of JSON. */
static enum errc entry_get(struct tensors *ts, const char *key, size_t key_len, const char *value, size_t value_len)
{
    enum errc rc = ERR_OK;
    struct tensor t = {0};
    json_t *name = NULL, *v = NULL;
    if (key_len <= VALUE_MAX_BYTES)
        name = json_loadb(key, key_len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (value_len <= VALUE_MAX_BYTES)
        v = json_loadb(value, value_len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    const char *text = name ? json_string_value(name) : "?", *fault;
    bool is_metadata = strcmp(text, "__metadata__") == 0;
    if (!name || (!v && (!is_metadata || value_len <= VALUE_MAX_BYTES)))
        rc = vector_broken(ts->out, "'%.80s' in its header is malformed JSON", text);
    else if (!is_metadata && (fault = tensor_get(v, ts->in->size - ts->data, &t)))
        rc = vector_broken(ts->out, "tensor '%.80s' %s", text, fault);
    else if (!is_metadata)
        rc = tensor_add(ts, text, json_string_length(name), &t);
    if (rc == ERR_OK && ts->out->ok && !is_metadata)
        rc = check_rows(ts->out, text, &t);
    json_decref(v);
    json_decref(name);
    return rc;
}

static enum errc header_get(struct tensors *ts, const char *at, const char *end)
{
    enum errc rc = ERR_OK;
    at = skip_space(at, end);
    if (at == end || *at++ != '{')
        return vector_broken(ts->out, "its header is no JSON object");
    at = skip_space(at, end);
    bool is_over = at < end && *at == '}';
    at += is_over;
    while (rc == ERR_OK && ts->out->ok && !is_over) {
        const char *key = skip_space(at, end), *key_end = key < end && *key == '"' ? value_end(key, end) : NULL;
        const char *colon = key_end ? skip_space(key_end, end) : end;
        const char *value = colon < end && *colon == ':' ? skip_space(colon + 1, end) : end;
        const char *behind = value_end(value, end);
        at = behind ? skip_space(behind, end) : end;
        if (at == end || (*at != ',' && *at != '}'))
            return vector_broken(ts->out, "its header is malformed JSON");
        is_over = *at++ == '}';
        rc = entry_get(ts, key, (size_t)(key_end - key), value, (size_t)(behind - value));
    }
    if (rc == ERR_OK && ts->out->ok && skip_space(at, end) != end)
        rc = vector_broken(ts->out, "something stands behind the JSON of its header");
    return rc;
}

static int extent_compare(const void *left, const void *right)
{
    const struct extent *a = left, *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return (a->end > b->end) - (a->end < b->end);
}

static enum errc check_extents(struct tensors *ts)
{
    uint64_t at = 0, size = ts->in->size - ts->data;
    if (ts->count > 0)
        qsort(ts->extents, ts->count, sizeof *ts->extents, extent_compare);
    for (size_t i = 0; i < ts->count; i++) {
        if (ts->extents[i].begin != at)
            return vector_broken(ts->out, "its tensors %s at byte %" PRIu64,
                                 ts->extents[i].begin < at ? "overlap" : "leave a hole", ts->data + at);
        at = ts->extents[i].end;
    }
    return at == size ? ERR_OK : vector_broken(ts->out, "%" PRIu64 " bytes stand behind its tensors", size - at);
}

static enum errc safetensors_read(const struct vector_input *in, const struct vector_options *opt,
                                  struct vector_result *out, struct err *err)
{
    struct tensors ts = {.in = in, .out = out, .err = err};
    uint8_t length[LENGTH_BYTES];
    char *text = NULL;
    bool ok;
    enum errc rc = vector_bytes(in, length, sizeof length, 0, "its header", out, &ok, err);
    if (rc != ERR_OK || !ok)
        return rc;
    uint64_t len = vector_le64(length);
    if (len > in->size - LENGTH_BYTES)
        return vector_broken(out, "it was cut off: its header would have %" PRIu64 " bytes", len);
    if (len > JSON_MAX_BYTES)
        return vector_broken(out, "its header would have %" PRIu64 " bytes, more than are looked at", len);
    ts.data = LENGTH_BYTES + len;
    rc = mem_alloc(&text, (size_t)len + 1, err);
    if (rc == ERR_OK)
        rc = vector_bytes(in, text, (size_t)len, LENGTH_BYTES, "its header", out, &ok, err);
    if (rc == ERR_OK && ok)
        rc = header_get(&ts, text, text + len);
    if (rc == ERR_OK && out->ok)
        rc = check_extents(&ts);
    if (rc == ERR_OK && out->ok && opt->depth >= VECTOR_SCAN)
        rc = tensors_scan(&ts);
    free(ts.begins);
    free(ts.extents);
    free(text);
    return rc;
}

const struct vector_format vector_format_safetensors = {
    .name = "safetensors", .claims = safetensors_claims, .read = safetensors_read};
