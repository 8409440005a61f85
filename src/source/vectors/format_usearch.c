/* Index files of usearch: the vectors, then a header, then the graph.
 *
 * Fact source: include/usearch/index_dense.hpp and index.hpp of usearch 2, and files written by its Python module.
 *
 *   vectors   u32 rows, u32 bytes of a vector, or two u64; the vectors. Left out when they are stored elsewhere.
 *   header    64 bytes: "usearch", u16 major, minor, patch, u8 metric, scalar, key, slot; u64 present, deleted,
 *             dimensions; u8 multi
 *   graph     u64 nodes, links of a node, links on level 0, highest level, node of entry; i16 level of each node; the
 *             nodes: key, i16 level, and for each level u32 count and room for its links
 *
 * Rows that were deleted are still rows, and count as vectors.
 */
#include <inttypes.h>
#include <stdio.h>

#include "source/vectors/walk.h"

enum { MAGIC_BYTES = 7, HEADER_BYTES = 64, ROWS_32_BYTES = 8, ROWS_64_BYTES = 16, LINKS_MAX = 1 << 16 };
static const char magic[] = "usearch";

struct usearch {
    uint64_t rows, row_bytes, rows_at, header_at;
    uint16_t major, minor, patch;
    uint8_t metric, scalar, key, slot;
    uint64_t present, deleted, dimensions;
};

/* The codes of version 2.10 and later; those before had other ones. */
enum { KIND_U40 = 2, KIND_UUID = 3, KIND_U64 = 14, KIND_U32 = 15 };
static uint8_t kind_now(const struct usearch *u, uint8_t kind)
{
    static const uint8_t now[] = {0, 1, KIND_U40, KIND_UUID, 10, 11, 12, 13, KIND_U64, KIND_U32, 17, 20, 21, 22, 23};
    return u->major == 2 && u->minor < 10 && kind < sizeof now ? now[kind] : kind;
}

static enum vector_dtype dtype_of(uint8_t scalar)
{
    static const enum vector_dtype kinds[] = {
        [1] = VECTOR_BIT,  [4] = VECTOR_BF16, [10] = VECTOR_F64, [11] = VECTOR_F32, [12] = VECTOR_F16,
        [14] = VECTOR_U64, [15] = VECTOR_U32, [16] = VECTOR_U16, [17] = VECTOR_U8,  [20] = VECTOR_I64,
        [21] = VECTOR_I32, [22] = VECTOR_I16, [23] = VECTOR_I8,
    };
    return scalar < sizeof kinds / sizeof *kinds ? kinds[scalar] : VECTOR_DTYPE_NONE;
}

static const char *metric_name(uint8_t metric)
{
    switch (metric) {
    case 'i':
        return "inner product";
    case 'c':
        return "cosine";
    case 'e':
        return "L2";
    case 'p':
        return "Pearson";
    case 'h':
        return "haversine";
    case 'd':
        return "divergence";
    case 'b':
        return "Hamming";
    case 't':
        return "Tanimoto";
    case 's':
        return "Sorensen";
    case 'j':
        return "Jaccard";
    default:
        return "a metric of its own";
    }
}

/* Is the header behind rows * row_bytes? An error of the input is for read() to see again. */
static bool header_behind(const struct vector_input *in, uint64_t rows, uint64_t row_bytes, uint64_t from,
                          uint64_t *at_out)
{
    uint8_t found[MAGIC_BYTES];
    size_t got = 0;
    struct err ignored;
    if (__builtin_mul_overflow(rows, row_bytes, at_out) || __builtin_add_overflow(*at_out, from, at_out) ||
        *at_out > in->size || in->size - *at_out < sizeof found)
        return false;
    return in->read(in->arg, found, sizeof found, *at_out, &got, &ignored) == ERR_OK && got == sizeof found &&
           memcmp(found, magic, sizeof found) == 0;
}

static bool find_header(const uint8_t *head, size_t len, const struct vector_input *in, struct usearch *u)
{
    *u = (struct usearch){0};
    if (len >= MAGIC_BYTES && memcmp(head, magic, MAGIC_BYTES) == 0)
        return true;
    if (len >= ROWS_32_BYTES) {
        u->rows = vector_le32(head);
        u->row_bytes = vector_le32(head + 4);
        u->rows_at = ROWS_32_BYTES;
        if (header_behind(in, u->rows, u->row_bytes, u->rows_at, &u->header_at))
            return true;
    }
    if (len >= ROWS_64_BYTES) {
        u->rows = vector_le64(head);
        u->row_bytes = vector_le64(head + 8);
        u->rows_at = ROWS_64_BYTES;
        if (header_behind(in, u->rows, u->row_bytes, u->rows_at, &u->header_at))
            return true;
    }
    return false;
}

static bool usearch_claims(const uint8_t *head, size_t len, const struct vector_input *in)
{
    struct usearch u;
    return find_header(head, len, in, &u) || vector_name_ends(in, ".usearch");
}

static bool read_header(struct walk *w, struct usearch *u)
{
    w->what = "its header";
    w->at = u->header_at;
    walk_skip(w, MAGIC_BYTES, 1);
    u->major = walk_u16(w);
    u->minor = walk_u16(w);
    u->patch = walk_u16(w);
    u->metric = walk_u8(w);
    u->scalar = kind_now(u, walk_u8(w));
    u->key = kind_now(u, walk_u8(w));
    u->slot = kind_now(u, walk_u8(w));
    u->present = walk_u64(w);
    u->deleted = walk_u64(w);
    u->dimensions = walk_u64(w);
    walk_skip(w, u->header_at + HEADER_BYTES - w->at, 1);
    if (walk_ok(w) && (u->dimensions < 1 || u->dimensions > (uint64_t)VECTOR_DIMENSION_MAX))
        return walk_fail(w, "its header says that a vector has %" PRIu64 " elements", u->dimensions);
    uint64_t all;
    if (walk_ok(w) && (__builtin_add_overflow(u->present, u->deleted, &all) || all > INT64_MAX))
        return walk_fail(w, "its header says %" PRIu64 " vectors and %" PRIu64 " deleted", u->present, u->deleted);
    if (walk_ok(w) && u->rows_at > 0 && u->rows != all)
        return walk_fail(w, "it has %" PRIu64 " rows, its header says %" PRIu64 " vectors and %" PRIu64 " deleted",
                         u->rows, u->present, u->deleted);
    return walk_ok(w);
}

/* A graph whose nodes end where the file does. */
static bool read_graph(struct walk *w, const struct usearch *u, enum vector_depth depth)
{
    w->what = "its graph";
    uint64_t nodes = walk_u64(w), links = walk_u64(w), links0 = walk_u64(w), highest = walk_u64(w), entry = walk_u64(w);
    uint64_t slot = u->slot == KIND_U40 ? 5 : u->slot == KIND_U32 ? 4 : 0, levels = 0, bytes, of_levels;
    uint64_t key = u->key == KIND_U64 ? 8 : u->key == KIND_U32 ? 4 : u->key == KIND_UUID ? 16 : 0;
    if (!walk_ok(w))
        return false;
    if (nodes != u->present + u->deleted)
        return walk_fail(w, "its header says %" PRIu64 " vectors, its graph has %" PRIu64 " nodes",
                         u->present + u->deleted, nodes);
    if (links > LINKS_MAX || links0 > LINKS_MAX || (nodes > 0 && (entry >= nodes || highest > INT16_MAX)))
        return walk_fail(w, "its graph is entered at node %" PRIu64 " of %" PRIu64 ", %" PRIu64 " links each", entry,
                         nodes, links);
    if (depth == VECTOR_QUICK || slot == 0 || key == 0)
        return true;
    for (uint64_t i = 0; i < nodes && walk_ok(w); i++) {
        uint16_t level = walk_u16(w);
        if (level > highest)
            return walk_fail(w, "a node is on level %" PRIu16 " of %" PRIu64, level, highest);
        levels += level;
    }
    /* The levels are in the file, so there are not more than it has bytes. */
    if (!walk_ok(w) || __builtin_mul_overflow(nodes, key + 2 + 4 + links0 * slot, &bytes) ||
        __builtin_mul_overflow(levels, 4 + links * slot, &of_levels) ||
        __builtin_add_overflow(bytes, of_levels, &bytes))
        return walk_fail(w, "its graph is larger than it can be");
    if (bytes != walk_left(w))
        return walk_fail(w, "its graph should have %" PRIu64 " bytes more, and there are %" PRIu64, bytes,
                         walk_left(w));
    return true;
}

static void describe(const struct usearch *u, struct vector_result *out)
{
    char rest[64] = "";
    if (!out->ok)
        return;
    if (u->deleted > 0)
        snprintf(rest, sizeof rest, "; %" PRIu64 " of them deleted", u->deleted);
    snprintf(out->detail, sizeof out->detail, "HNSW index, %s, version %" PRIu16 ".%" PRIu16 ".%" PRIu16 "%s%s",
             metric_name(u->metric), u->major, u->minor, u->patch,
             u->rows_at ? "" : "; the vectors are stored elsewhere", rest);
}

static enum errc usearch_read(const struct vector_input *in, const struct vector_options *opt,
                              struct vector_result *out, struct err *err)
{
    struct walk w;
    struct usearch u;
    uint8_t head[ROWS_64_BYTES];
    struct vector_array *a;
    walk_init(&w, in, out, err);
    size_t len = in->size < sizeof head ? (size_t)in->size : sizeof head;
    if (!walk_bytes(&w, head, len))
        return w.rc;
    if (!find_header(head, len, in, &u))
        return vector_broken(out, "behind its vectors there is no header: it was cut off, or is no index of usearch");
    if (!read_header(&w, &u))
        return w.rc;
    enum errc rc = vector_add_array(out, "", 0, &a, err);
    if (rc != ERR_OK)
        return rc;
    a->dtype = dtype_of(u.scalar);
    a->is_vectors = true;
    a->dimension = (int64_t)u.dimensions;
    a->count = (int64_t)(u.present + u.deleted);
    uint64_t bytes = a->dtype == VECTOR_BIT ? (u.dimensions + 7) / 8 : u.dimensions * vector_dtype_bytes(a->dtype);
    if (u.rows > 0 && bytes > 0 && u.row_bytes != bytes)
        walk_fail(&w, "a vector has %" PRIu64 " bytes, and %" PRIu64 " elements of %s make %" PRIu64, u.row_bytes,
                  u.dimensions, vector_dtype_name(a->dtype), bytes);
    if (!walk_ok(&w) || !read_graph(&w, &u, opt->depth))
        return w.rc;
    describe(&u, out);
    if (u.rows_at == 0)
        return ERR_OK;
    out->data_offset = u.rows_at;
    out->row_bytes = u.row_bytes;
    return opt->depth >= VECTOR_SCAN ? vector_scan_rows(in, u.rows_at, u.row_bytes, a, out, err) : ERR_OK;
}

const struct vector_format vector_format_usearch = {.name = "usearch", .claims = usearch_claims, .read = usearch_read};
