/* Parquet: only the footer is read, never a page, so no element is looked at.
 *
 * Fact source: parquet.thrift and README.md of apache/parquet-format; Arrow's "ARROW:schema" key, which pyarrow and
 * others write, is the one place that says how long a list is.
 *
 *   "PAR1", pages, footer (FileMetaData in Thrift's compact protocol), u32 bytes of the footer, "PAR1"; "PARE" at the
 *   end when the footer is encrypted
 *   FileMetaData   2 schema: a tree in preorder, 3 rows, 4 row groups, 5 keys and values
 *
 * A column of vectors is a list of FLOAT or DOUBLE, or a FIXED_LEN_BYTE_ARRAY that has no other meaning and is long
 * enough to be no digest or UUID, taken as float32. Rows without a vector are counted as rows.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "source/vectors/arrow.h"
#include "source/vectors/thrift.h"

enum {
    MAGIC_BYTES = 4,
    TAIL_BYTES = 8,
    SCHEMA_DEPTH_MAX = 32,
    DIGEST_MAX_BYTES = 64,
    ARROW_MAX_BYTES = 1 << 20,
    QUICK_MAX_BYTES = 256 * 1024, /* of a footer */
};
enum { TYPE_FLOAT = 4, TYPE_DOUBLE = 5, TYPE_FIXED = 7, CONVERTED_LIST = 3, LOGICAL_LIST = 3, NONE = -1 };

struct node {
    char name[VECTOR_NAME_BYTES];
    size_t name_len;
    int64_t type, length, converted, logical, children;
};

struct parquet {
    struct walk w;
    struct node top;   /* the column that the schema is in */
    uint64_t elements; /* of the schema, not read yet */
    int64_t columns, rows, group_rows;
};

static int64_t logical_type(struct walk *w)
{
    struct thrift_field f = {0};
    int64_t kind = NONE;
    while (thrift_next(w, &f)) {
        kind = f.id;
        thrift_skip(w, f.type);
    }
    return kind;
}

static bool read_node(struct walk *w, struct node *n)
{
    struct thrift_field f = {0};
    *n = (struct node){.type = NONE, .converted = NONE, .logical = NONE};
    while (thrift_next(w, &f)) {
        bool is_integer = f.type == THRIFT_I32;
        if (f.id == 1 && is_integer)
            n->type = thrift_integer(w);
        else if (f.id == 2 && is_integer)
            n->length = thrift_integer(w);
        else if (f.id == 4 && f.type == THRIFT_BINARY)
            thrift_text(w, n->name, sizeof n->name, &n->name_len);
        else if (f.id == 5 && is_integer)
            n->children = thrift_integer(w);
        else if (f.id == 6 && is_integer)
            n->converted = thrift_integer(w);
        else if (f.id == 10 && f.type == THRIFT_STRUCT)
            n->logical = logical_type(w);
        else
            thrift_skip(w, f.type);
    }
    return walk_ok(w);
}

static void add_column(struct parquet *p, enum vector_dtype dtype, int64_t dimension)
{
    struct vector_array *a;
    p->w.rc = vector_add_array(p->w.r, p->top.name, p->top.name_len, &a, p->w.err);
    if (p->w.rc != ERR_OK || !a)
        return;
    a->is_vectors = true;
    a->dtype = dtype;
    a->dimension = dimension;
}

static bool is_list(const struct node *n)
{
    return n->converted == CONVERTED_LIST || n->logical == LOGICAL_LIST;
}

/* The children of a node, whose columns they may make: lists are a group, in it a repeated group, in it the element;
 * old writers leave one of these out. */
static bool read_children(struct parquet *p, int64_t count, bool in_list, unsigned depth)
{
    struct node n;
    if (depth > SCHEMA_DEPTH_MAX)
        return walk_fail(&p->w, "its schema is nested too deep");
    for (int64_t i = 0; i < count; i++) {
        if (p->elements == 0)
            return walk_fail(&p->w, "its schema ends too early");
        p->elements--;
        if (!read_node(&p->w, &n))
            return false;
        if (n.children < 0)
            return walk_fail(&p->w, "its schema has a group of %" PRId64, n.children);
        if (depth == 0) {
            p->top = n;
            p->columns++;
        }
        bool is_plain = n.converted == NONE && n.logical == NONE, only = count == 1;
        if (depth == 0 && n.type == TYPE_FIXED && is_plain && n.length > DIGEST_MAX_BYTES &&
            n.length % (int64_t)sizeof(float) == 0 && n.length / (int64_t)sizeof(float) <= VECTOR_DIMENSION_MAX)
            add_column(p, VECTOR_F32, n.length / (int64_t)sizeof(float));
        else if (in_list && only && n.children == 0 && (n.type == TYPE_FLOAT || n.type == TYPE_DOUBLE))
            add_column(p, n.type == TYPE_FLOAT ? VECTOR_F32 : VECTOR_F64, VECTOR_UNKNOWN);
        bool within = depth == 0 ? is_list(&n) : depth == 1 && in_list && only && !is_list(&n);
        if (!walk_ok(&p->w) || (n.children > 0 && !read_children(p, n.children, within, depth + 1)))
            return false;
    }
    return true;
}

static bool read_schema(struct parquet *p)
{
    uint8_t type;
    struct node root;
    p->elements = thrift_list(&p->w, &type);
    if (walk_ok(&p->w) && (type != THRIFT_STRUCT || p->elements == 0))
        return walk_fail(&p->w, "it has no schema");
    p->elements--;
    if (!read_node(&p->w, &root) || !read_children(p, root.children, false, 0))
        return false;
    return p->elements == 0 || walk_fail(&p->w, "its schema has elements that are in no group");
}

/* Pages have to lie before the footer. */
static void read_chunk(struct parquet *p)
{
    struct thrift_field f = {0}, m;
    int64_t bytes = 0, first = INT64_MAX;
    bool elsewhere = false;
    while (thrift_next(&p->w, &f)) {
        elsewhere |= f.id == 1;
        if (f.id != 3 || f.type != THRIFT_STRUCT) {
            thrift_skip(&p->w, f.type);
            continue;
        }
        m = (struct thrift_field){0};
        while (thrift_next(&p->w, &m)) {
            bool is_place = (m.id == 9 || m.id == 11) && m.type == THRIFT_I64;
            int64_t v = is_place || (m.id == 7 && m.type == THRIFT_I64) ? thrift_integer(&p->w) : 0;
            if (is_place && v > 0 && v < first)
                first = v;
            else if (m.id == 7 && m.type == THRIFT_I64)
                bytes = v;
            else if (!is_place)
                thrift_skip(&p->w, m.type);
        }
    }
    if (walk_ok(&p->w) && !elsewhere && first != INT64_MAX &&
        (bytes < 0 || (uint64_t)first > p->w.in->size || (uint64_t)bytes > p->w.in->size - (uint64_t)first))
        walk_fail(&p->w, "a column's pages, %" PRId64 " bytes at %" PRId64 ", are not in the file", bytes, first);
}

static void read_group(struct parquet *p)
{
    struct thrift_field f = {0};
    uint8_t type;
    int64_t rows = 0;
    while (thrift_next(&p->w, &f)) {
        if (f.id == 1 && f.type == THRIFT_LIST) {
            uint64_t chunks = thrift_list(&p->w, &type);
            if (chunks > 0 && type != THRIFT_STRUCT)
                walk_fail(&p->w, "a row group has no columns");
            for (uint64_t i = 0; i < chunks && walk_ok(&p->w); i++)
                read_chunk(p);
        } else if (f.id == 3 && f.type == THRIFT_I64) {
            rows = thrift_integer(&p->w);
        } else {
            thrift_skip(&p->w, f.type);
        }
    }
    if (walk_ok(&p->w) && (rows < 0 || __builtin_add_overflow(p->group_rows, rows, &p->group_rows)))
        walk_fail(&p->w, "a row group has %" PRId64 " rows", rows);
}

static void column_is_fixed(void *arg, const char *name, size_t name_len, int64_t size)
{
    struct vector_result *r = arg;
    if (size < 1 || size > VECTOR_DIMENSION_MAX)
        return;
    for (size_t i = 0; i < r->array_count; i++) {
        struct vector_array *a = &r->arrays[i];
        if (a->dimension == VECTOR_UNKNOWN && strlen(a->name) == name_len && memcmp(a->name, name, name_len) == 0)
            a->dimension = size;
    }
}

/* A value that cannot be read says nothing about the file: dimensions stay unknown. */
static void read_arrow(struct parquet *p)
{
    uint8_t *text;
    uint64_t len = thrift_binary(&p->w);
    if (len == 0 || len > ARROW_MAX_BYTES) {
        walk_skip(&p->w, len, 1);
        return;
    }
    p->w.rc = mem_alloc(&text, (size_t)len, p->w.err);
    if (p->w.rc != ERR_OK)
        return;
    if (walk_bytes(&p->w, text, (size_t)len))
        arrow_fixed_lists(text, arrow_base64(text, (size_t)len), column_is_fixed, p->w.r);
    free(text);
}

static void read_key_value(struct parquet *p)
{
    struct thrift_field f = {0};
    char key[32] = "";
    size_t key_len = 0;
    while (thrift_next(&p->w, &f)) {
        if (f.id == 1 && f.type == THRIFT_BINARY)
            thrift_text(&p->w, key, sizeof key, &key_len);
        else if (f.id == 2 && f.type == THRIFT_BINARY && strcmp(key, "ARROW:schema") == 0)
            read_arrow(p);
        else
            thrift_skip(&p->w, f.type);
    }
}

static bool read_list_of(struct parquet *p, void (*one)(struct parquet *))
{
    uint8_t type;
    uint64_t count = thrift_list(&p->w, &type);
    if (count > 0 && type != THRIFT_STRUCT)
        return walk_fail(&p->w, "its footer is damaged");
    for (uint64_t i = 0; i < count && walk_ok(&p->w); i++)
        one(p);
    return walk_ok(&p->w);
}

static bool read_footer(struct parquet *p, bool whole)
{
    struct thrift_field f = {0};
    bool has_schema = false;
    p->rows = NONE;
    while (thrift_next(&p->w, &f)) {
        if (f.id == 2 && f.type == THRIFT_LIST && !has_schema)
            has_schema = read_schema(p);
        else if (f.id == 3 && f.type == THRIFT_I64)
            p->rows = thrift_integer(&p->w);
        else if (f.id == 4 && f.type == THRIFT_LIST && !whole)
            break;
        else if (f.id == 4 && f.type == THRIFT_LIST)
            read_list_of(p, read_group);
        else if (f.id == 5 && f.type == THRIFT_LIST)
            read_list_of(p, read_key_value);
        else
            thrift_skip(&p->w, f.type);
    }
    if (walk_ok(&p->w) && (!has_schema || p->rows < 0))
        return walk_fail(&p->w, "its footer does not say how many rows it has");
    if (walk_ok(&p->w) && whole && p->group_rows != p->rows)
        return walk_fail(&p->w, "its footer says %" PRId64 " rows, its row groups have %" PRId64, p->rows,
                         p->group_rows);
    return walk_ok(&p->w);
}

static bool parquet_claims(const uint8_t *head, size_t len, const struct vector_input *in)
{
    (void)in;
    return len >= MAGIC_BYTES && (memcmp(head, "PAR1", MAGIC_BYTES) == 0 || memcmp(head, "PARE", MAGIC_BYTES) == 0);
}

static enum errc parquet_read(const struct vector_input *in, const struct vector_options *opt,
                              struct vector_result *out, struct err *err)
{
    struct parquet p = {0};
    char magic[MAGIC_BYTES + 1] = "";
    walk_init(&p.w, in, out, err);
    if (in->size < MAGIC_BYTES + TAIL_BYTES)
        return vector_broken(out, "it ends within its header");
    p.w.at = in->size - TAIL_BYTES;
    p.w.what = "its last bytes";
    uint32_t bytes = walk_u32(&p.w);
    walk_bytes(&p.w, magic, MAGIC_BYTES);
    if (!walk_ok(&p.w))
        return p.w.rc;
    bool is_encrypted = strcmp(magic, "PARE") == 0;
    if (!is_encrypted && strcmp(magic, "PAR1") != 0)
        return vector_broken(out, "its end is missing: it was cut off, or is still being written");
    if (bytes > in->size - MAGIC_BYTES - TAIL_BYTES)
        return vector_broken(out, "its footer should have %" PRIu32 " bytes, and it has %" PRIu64, bytes, in->size);
    if (is_encrypted) {
        /* There may be vectors: as many as nobody knows. */
        snprintf(out->detail, sizeof out->detail, "encrypted: nothing in it can be looked at");
        add_column(&p, VECTOR_DTYPE_NONE, VECTOR_UNKNOWN);
        return p.w.rc;
    }
    p.w.end = in->size - TAIL_BYTES;
    p.w.at = p.w.end - bytes;
    p.w.what = "its footer";
    bool is_read = read_footer(&p, opt->depth > VECTOR_QUICK || bytes <= QUICK_MAX_BYTES);
    for (size_t i = 0; p.rows >= 0 && i < out->array_count; i++)
        out->arrays[i].count = p.rows;
    if (is_read)
        snprintf(out->detail, sizeof out->detail, "%" PRId64 " rows, %" PRId64 " columns, %zu of them vectors", p.rows,
                 p.columns, out->array_count + (size_t)out->arrays_omitted);
    return p.w.rc;
}

const struct vector_format vector_format_parquet = {.name = "parquet", .claims = parquet_claims, .read = parquet_read};
