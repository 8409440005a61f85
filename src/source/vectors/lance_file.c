#include "source/vectors/lance_file.h"

#include <inttypes.h>
#include <stdlib.h>

enum { FOOTER_BYTES = 40, FOOTER_OLD_BYTES = 16, PLACE_BYTES = 16 };

bool lance_footer(struct walk *w, struct lance_footer *out)
{
    char magic[5] = "";
    uint64_t size = w->in->size;
    *out = (struct lance_footer){0};
    w->what = "its footer";
    if (size < FOOTER_OLD_BYTES)
        return walk_fail(w, "it ends within its footer");
    w->at = size - 8;
    out->major = walk_u16(w);
    out->minor = walk_u16(w);
    walk_bytes(w, magic, 4);
    if (walk_ok(w) && memcmp(magic, "LANC", 4) != 0)
        return walk_fail(w, "its end is missing: it was cut off, or is still being written");
    /* Version 2.0 calls itself 0.3. */
    out->is_old = out->major == 0 && out->minor < 3;
    if (out->is_old || !walk_ok(w))
        return walk_ok(w);
    if (size < FOOTER_BYTES)
        return walk_fail(w, "it ends within its footer");
    w->at = size - FOOTER_BYTES;
    uint64_t metadata = walk_u64(w), columns_at = walk_u64(w), globals_at = walk_u64(w);
    uint32_t globals = walk_u32(w), columns = walk_u32(w);
    if (!walk_ok(w))
        return false;
    if (metadata > columns_at || columns_at > globals_at || globals_at > size ||
        globals_at - columns_at != (uint64_t)columns * PLACE_BYTES ||
        size - globals_at != (uint64_t)globals * PLACE_BYTES + FOOTER_BYTES)
        return walk_fail(w,
                         "its footer has %" PRIu32 " columns and %" PRIu32 " buffers at %" PRIu64 " and %" PRIu64
                         ", and it has %" PRIu64 " bytes",
                         columns, globals, columns_at, globals_at, size);
    if (globals == 0)
        return true;
    w->at = globals_at;
    out->descriptor_at = walk_u64(w);
    out->descriptor_len = walk_u64(w);
    if (walk_ok(w) && (out->descriptor_at > metadata || out->descriptor_len > metadata - out->descriptor_at))
        return walk_fail(w, "its schema is not in the file");
    return walk_ok(w);
}

/* "fixed_size_list:float:768" */
static bool vector_type(const char *type, enum vector_dtype *dtype_out, int64_t *dimension_out)
{
    static const struct {
        const char *name;
        enum vector_dtype dtype;
    } elements[] = {
        {"float", VECTOR_F32}, {"double", VECTOR_F64}, {"halffloat", VECTOR_F16}, {"lance.bfloat16", VECTOR_BF16},
        {"int8", VECTOR_I8},   {"uint8", VECTOR_U8},   {"int16", VECTOR_I16},     {"uint16", VECTOR_U16},
        {"int32", VECTOR_I32}, {"uint32", VECTOR_U32}, {"int64", VECTOR_I64},     {"uint64", VECTOR_U64},
    };
    static const char prefix[] = "fixed_size_list:";
    const char *last = strrchr(type, ':');
    char *end;
    if (strncmp(type, prefix, sizeof prefix - 1) != 0 || last < type + sizeof prefix - 1 || last[1] < '0' ||
        last[1] > '9')
        return false;
    long long dimension = strtoll(last + 1, &end, 10);
    if (*end || dimension < 1 || dimension > VECTOR_DIMENSION_MAX)
        return false;
    const char *element = type + sizeof prefix - 1;
    size_t len = (size_t)(last - element);
    *dimension_out = dimension;
    *dtype_out = VECTOR_DTYPE_NONE;
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (strlen(elements[i].name) == len && memcmp(elements[i].name, element, len) == 0)
            *dtype_out = elements[i].dtype;
    return true;
}

void lance_field(struct walk *w)
{
    enum { FIELD_NAME = 2, FIELD_TYPE = 5 };
    struct proto_field f;
    char name[VECTOR_NAME_BYTES] = "", type[96] = "";
    size_t name_len = 0;
    enum vector_dtype dtype;
    int64_t dimension;
    struct vector_array *a;
    while (proto_next(w, &f)) {
        if (f.id == FIELD_NAME && f.wire == PROTO_BYTES)
            name_len = proto_text(w, &f, name, sizeof name);
        else if (f.id == FIELD_TYPE && f.wire == PROTO_BYTES)
            proto_text(w, &f, type, sizeof type);
        else
            proto_skip(w, &f);
    }
    if (!walk_ok(w) || !vector_type(type, &dtype, &dimension))
        return;
    w->rc = vector_add_array(w->r, name, name_len, &a, w->err);
    if (w->rc != ERR_OK || !a)
        return;
    a->is_vectors = true;
    a->dtype = dtype;
    a->dimension = dimension;
}
