/* The kinds of FAISS indexes, and what each stores behind its header. */
#include <inttypes.h>
#include <stdio.h>

#include "source/vectors/faiss.h"

/* An index within x; as_large: it holds the same vectors. False when the walk is over or goes no further. */
static bool inner_index(struct faiss *f, const struct faiss_index *x, struct faiss_index *inner, bool as_large,
                        unsigned depth)
{
    size_t len = strlen(f->path);
    snprintf(f->path + len, sizeof f->path - len, " of ");
    if (!faiss_index(f, inner, depth + 1))
        return false;
    if (as_large && !inner->absent && inner->ntotal != x->ntotal)
        return walk_fail(&f->w, "its header says %" PRId64 " vectors, the index within it %" PRId64, x->ntotal,
                         inner->ntotal);
    return inner->whole;
}

static bool flat(struct faiss *f, struct faiss_index *x, const struct faiss_kind *kind, unsigned depth)
{
    (void)depth;
    x->dtype = kind->header == FAISS_BINARY ? VECTOR_BIT : VECTOR_F32;
    x->stored_d = x->d;
    return kind->header == FAISS_BINARY ? faiss_codes(f, x, (uint64_t)x->code_bytes, 1)
                                        : faiss_codes(f, x, (uint64_t)x->d * sizeof(float), sizeof(float));
}

/* Batches of vectors, whose order within the batch is its own. */
static bool panorama(struct faiss *f, struct faiss_index *x, const struct faiss_kind *kind, unsigned depth)
{
    (void)kind;
    (void)depth;
    x->dtype = VECTOR_F32;
    walk_counted(&f->w, 1);
    walk_counted(&f->w, sizeof(float));
    return walk_ok(&f->w);
}

static bool product(struct faiss *f, struct faiss_index *x, const struct faiss_kind *kind, unsigned depth)
{
    uint64_t code;
    (void)depth;
    if (!faiss_quantizer(f, x, &code) || !faiss_codes(f, x, code, 1))
        return false;
    return kind->variant == 0 || walk_skip(&f->w, 9, 1); /* search_type, encode_signs, polysemous_ht */
}

static bool product_fast(struct faiss *f, struct faiss_index *x, const struct faiss_kind *kind, unsigned depth)
{
    uint64_t code;
    (void)kind;
    (void)depth;
    if (!faiss_quantizer(f, x, &code))
        return false;
    f->w.what = "its vectors";
    walk_skip(&f->w, 3, 4); /* implem, bbs, qbs */
    uint64_t rounded = walk_u64(&f->w);
    walk_u64(&f->w);
    walk_counted(&f->w, 1);
    if (walk_ok(&f->w) && rounded < (uint64_t)x->ntotal)
        return walk_fail(&f->w, "its header says %" PRId64 " vectors, and there is room for %" PRIu64, x->ntotal,
                         rounded);
    return walk_ok(&f->w);
}

static bool scalar(struct faiss *f, struct faiss_index *x, const struct faiss_kind *kind, unsigned depth)
{
    uint64_t code;
    (void)kind;
    (void)depth;
    x->stored_d = x->d;
    return faiss_scalar(f, x, &code) && faiss_codes(f, x, code, 1);
}

static bool lsh(struct faiss *f, struct faiss_index *x, const struct faiss_kind *kind, unsigned depth)
{
    int64_t from, to;
    f->w.what = "its hashes";
    int32_t bits = walk_i32(&f->w);
    walk_skip(&f->w, 2, 1);
    walk_counted(&f->w, sizeof(float));
    int64_t code = (int64_t)walk_i32(&f->w) * kind->variant;
    if (walk_ok(&f->w) && (bits < 1 || code != ((int64_t)bits + 7) / 8))
        return walk_fail(&f->w, "its hashes are of %" PRId32 " bits in %" PRId64 " bytes", bits, code);
    return faiss_transform(f, &from, &to, depth) && faiss_codes(f, x, (uint64_t)code, 1);
}

static bool id_map(struct faiss *f, struct faiss_index *x, const struct faiss_kind *kind, unsigned depth)
{
    struct faiss_index inner;
    (void)kind;
    bool goes_on = inner_index(f, x, &inner, true, depth);
    faiss_take(x, &inner);
    x->whole = goes_on;
    if (!goes_on)
        return walk_ok(&f->w);
    f->w.what = "its ids";
    uint64_t ids = walk_counted(&f->w, sizeof(int64_t));
    if (walk_ok(&f->w) && ids != (uint64_t)x->ntotal)
        return walk_fail(&f->w, "its header says %" PRId64 " vectors, and it has %" PRIu64 " ids", x->ntotal, ids);
    return walk_ok(&f->w);
}

static bool transformed(struct faiss *f, struct faiss_index *x, const struct faiss_kind *kind, unsigned depth)
{
    struct faiss_index inner;
    int64_t d = x->d, from, to;
    int32_t count = walk_i32(&f->w);
    (void)kind;
    if (walk_ok(&f->w) && (count < 0 || count > FAISS_CHAIN_MAX))
        return walk_fail(&f->w, "its header says that it has %" PRId32 " transformations", count);
    for (int32_t i = 0; i < count; i++) {
        if (!faiss_transform(f, &from, &to, depth))
            return false;
        if (from != d)
            return walk_fail(&f->w, "a transformation takes %" PRId64 " dimensions, and gets %" PRId64, from, d);
        d = to;
    }
    x->whole = inner_index(f, x, &inner, true, depth);
    faiss_take(x, &inner);
    if (walk_ok(&f->w) && !inner.absent && inner.d != d)
        return walk_fail(&f->w, "its transformations give %" PRId64 " dimensions, the index within it has %" PRId64, d,
                         inner.d);
    return walk_ok(&f->w);
}

static bool refined(struct faiss *f, struct faiss_index *x, const struct faiss_kind *kind, unsigned depth)
{
    struct faiss_index base, exact;
    (void)kind;
    x->whole = inner_index(f, x, &base, true, depth);
    faiss_take(x, &base);
    if (!x->whole)
        return walk_ok(&f->w);
    size_t len = strlen(f->path);
    snprintf(f->path + len, sizeof f->path - len, " and, exactly,");
    x->whole = inner_index(f, x, &exact, true, depth);
    faiss_take(x, &exact);
    if (!x->whole)
        return walk_ok(&f->w);
    return walk_skip(&f->w, 1, sizeof(float));
}

/* The graph, of which only sizes are looked at: probabilities, neighbours of a level, levels, offsets, neighbours. */
static bool graph(struct faiss *f, const struct faiss_index *x)
{
    f->w.what = "its graph";
    walk_counted(&f->w, sizeof(double));
    walk_counted(&f->w, 4);
    uint64_t levels = walk_counted(&f->w, 4), offsets = walk_counted(&f->w, 8);
    walk_counted(&f->w, 4);
    int32_t entry = walk_i32(&f->w);
    walk_skip(&f->w, 4, 4); /* max_level, efConstruction, efSearch, one that is no longer used */
    if (!walk_ok(&f->w))
        return false;
    if (levels != (uint64_t)x->ntotal || offsets != levels + 1)
        return walk_fail(&f->w,
                         "its header says %" PRId64 " vectors, its graph has %" PRIu64 " nodes and %" PRIu64 " offsets",
                         x->ntotal, levels, offsets);
    if (entry < -1 || entry >= x->ntotal)
        return walk_fail(&f->w, "its graph is entered at node %" PRId32 " of %" PRIu64, entry, levels);
    return true;
}

static bool stored_within(struct faiss *f, struct faiss_index *x, unsigned depth)
{
    struct faiss_index inner;
    x->whole = inner_index(f, x, &inner, true, depth);
    faiss_take(x, &inner);
    if (walk_ok(&f->w) && !inner.absent && inner.d != x->d)
        return walk_fail(&f->w, "its header says %" PRId64 " dimensions, the index within it %" PRId64, x->d, inner.d);
    return walk_ok(&f->w);
}

enum { HNSW_PLAIN, HNSW_PANORAMA, HNSW_CAGRA, HNSW_CAGRA_TYPED };
static bool hnsw(struct faiss *f, struct faiss_index *x, const struct faiss_kind *kind, unsigned depth)
{
    if (kind->variant == HNSW_PANORAMA) {
        walk_u64(&f->w);
        walk_counted(&f->w, sizeof(float));
    } else if (kind->variant != HNSW_PLAIN) {
        walk_skip(&f->w, kind->variant == HNSW_CAGRA ? 6 : 10, 1);
    }
    return graph(f, x) && stored_within(f, x, depth);
}

static bool nsg(struct faiss *f, struct faiss_index *x, const struct faiss_kind *kind, unsigned depth)
{
    (void)kind;
    f->w.what = "its graph";
    walk_skip(&f->w, 21, 1); /* GK, build_type, nndescent_S, _R, _L, _iter */
    int32_t nodes = walk_i32(&f->w);
    walk_skip(&f->w, 5, 4); /* R, L, C, search_L, enterpoint */
    bool is_built = walk_u8(&f->w);
    if (!walk_ok(&f->w))
        return false;
    if (is_built && nodes != x->ntotal)
        return walk_fail(&f->w, "its header says %" PRId64 " vectors, its graph has %" PRId32 " nodes", x->ntotal,
                         nodes);
    if (is_built && f->depth == VECTOR_QUICK) {
        x->whole = false;
        return true;
    }
    /* Each node's neighbours end with -1. */
    for (int32_t i = 0; is_built && i < nodes && walk_ok(&f->w);)
        i += walk_i32(&f->w) == -1;
    return walk_ok(&f->w) && stored_within(f, x, depth);
}

static bool from_float(struct faiss *f, struct faiss_index *x, const struct faiss_kind *kind, unsigned depth)
{
    (void)kind;
    return stored_within(f, x, depth);
}

static const struct faiss_kind kinds[] = {
    {"IxFI", "flat", flat, FAISS_PLAIN, 0},
    {"IxF2", "flat", flat, FAISS_PLAIN, 0},
    {"IxFl", "flat", flat, FAISS_PLAIN, 0},
    {"IxFP", "flat in batches", panorama, FAISS_PANORAMA, 0},
    {"IxFp", "flat in batches", panorama, FAISS_PANORAMA, 0},
    {"IxHE", "hashes (LSH)", lsh, FAISS_PLAIN, 8},
    {"IxHe", "hashes (LSH)", lsh, FAISS_PLAIN, 1},
    {"IxPQ", "product quantizer", product, FAISS_PLAIN, 0},
    {"IxPo", "product quantizer", product, FAISS_PLAIN, 1},
    {"IxPq", "product quantizer", product, FAISS_PLAIN, 1},
    {"IPfs", "product quantizer, fast scan", product_fast, FAISS_PLAIN, 0},
    {"IxSQ", "scalar quantizer", scalar, FAISS_PLAIN, 0},
    {"IxMp", "ID map", id_map, FAISS_PLAIN, 0},
    {"IxM2", "ID map", id_map, FAISS_PLAIN, 0},
    {"IxPT", "transformation", transformed, FAISS_PLAIN, 0},
    {"IxRF", "refinement", refined, FAISS_PLAIN, 0},
    {"IxRP", "refinement", refined, FAISS_PLAIN, 0},
    {"IH00", "HNSW graph", hnsw, FAISS_PLAIN, HNSW_PLAIN},
    {"IHNf", "HNSW graph", hnsw, FAISS_PLAIN, HNSW_PLAIN},
    {"IHNp", "HNSW graph", hnsw, FAISS_PLAIN, HNSW_PLAIN},
    {"IHNs", "HNSW graph", hnsw, FAISS_PLAIN, HNSW_PLAIN},
    {"IHN2", "HNSW graph", hnsw, FAISS_PLAIN, HNSW_PLAIN},
    {"IHfP", "HNSW graph", hnsw, FAISS_PLAIN, HNSW_PANORAMA},
    {"IHNc", "CAGRA graph", hnsw, FAISS_PLAIN, HNSW_CAGRA},
    {"IHc2", "CAGRA graph", hnsw, FAISS_PLAIN, HNSW_CAGRA_TYPED},
    {"INSf", "NSG graph", nsg, FAISS_PLAIN, 0},
    {"INSp", "NSG graph", nsg, FAISS_PLAIN, 0},
    {"INSs", "NSG graph", nsg, FAISS_PLAIN, 0},
    {"INNf", "NN-descent graph", NULL, FAISS_PLAIN, 0},
    {"IwFl", "inverted lists, flat", faiss_ivf, FAISS_PLAIN, IVF_FLAT},
    {"IwFd", "inverted lists, flat, deduplicated", faiss_ivf, FAISS_PLAIN, IVF_DEDUP},
    {"IwSQ", "inverted lists, scalar quantizer", faiss_ivf, FAISS_PLAIN, IVF_SCALAR_OLD},
    {"IwSq", "inverted lists, scalar quantizer", faiss_ivf, FAISS_PLAIN, IVF_SCALAR},
    {"IwPQ", "inverted lists, product quantizer", faiss_ivf, FAISS_PLAIN, IVF_PRODUCT},
    {"IwPf", "inverted lists, product quantizer, fast scan", faiss_ivf, FAISS_PLAIN, IVF_PRODUCT_FAST},
    {"IwQR", "inverted lists, product quantizer with refinement", NULL, FAISS_PLAIN, 0},
    {"IvFl", "inverted lists of an old version", NULL, FAISS_PLAIN, 0},
    {"IvFL", "inverted lists of an old version", NULL, FAISS_PLAIN, 0},
    {"IvSQ", "inverted lists of an old version", NULL, FAISS_PLAIN, 0},
    {"IvPQ", "inverted lists of an old version", NULL, FAISS_PLAIN, 0},
    {"IvQR", "inverted lists of an old version", NULL, FAISS_PLAIN, 0},
    {"IxRQ", "residual quantizer", NULL, FAISS_PLAIN, 0},
    {"IxRq", "residual quantizer", NULL, FAISS_PLAIN, 0},
    {"IxLS", "local search quantizer", NULL, FAISS_PLAIN, 0},
    {"IxPR", "product of residual quantizers", NULL, FAISS_PLAIN, 0},
    {"IxPL", "product of local search quantizers", NULL, FAISS_PLAIN, 0},
    {"IxLa", "lattice", NULL, FAISS_LATTICE, 0},
    {"Ix2L", "two layers", NULL, FAISS_PLAIN, 0},
    {"IBxF", "binary, flat", flat, FAISS_BINARY, 0},
    {"IBwF", "binary, inverted lists", faiss_ivf, FAISS_BINARY, IVF_BINARY},
    {"IBFf", "binary, from floats", from_float, FAISS_BINARY, 0},
    {"IBHf", "binary, HNSW graph", hnsw, FAISS_BINARY, HNSW_PLAIN},
    {"IBHc", "binary, CAGRA graph", hnsw, FAISS_BINARY, HNSW_CAGRA},
    {"IBMp", "binary, ID map", id_map, FAISS_BINARY, 0},
    {"IBM2", "binary, ID map", id_map, FAISS_BINARY, 0},
    {"IBHh", "binary, hashes", NULL, FAISS_BINARY, 0},
    {"IBHm", "binary, hashes", NULL, FAISS_BINARY, 0},
};

const struct faiss_kind *faiss_kind_of(const uint8_t code[4])
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (memcmp(kinds[i].code, code, 4) == 0)
            return &kinds[i];
    return NULL;
}

static bool plain_header(struct walk *w, struct faiss_index *x)
{
    x->d = walk_i32(w);
    x->ntotal = (int64_t)walk_u64(w);
    walk_skip(w, 2, 8);
    x->trained = walk_u8(w);
    x->metric = walk_i32(w);
    return x->metric <= 1 || walk_skip(w, 1, 4);
}

static bool binary_header(struct walk *w, struct faiss_index *x)
{
    x->d = walk_i32(w);
    x->code_bytes = walk_i32(w);
    x->ntotal = (int64_t)walk_u64(w);
    x->trained = walk_u8(w);
    x->metric = walk_i32(w);
    if (walk_ok(w) && (x->d < 8 || x->d % 8 != 0 || x->code_bytes != x->d / 8))
        return walk_fail(w, "its header says that a vector of %" PRId64 " bits has %" PRId64 " bytes", x->d,
                         x->code_bytes);
    return walk_ok(w);
}

static void header(struct walk *w, enum faiss_header form, struct faiss_index *x)
{
    w->what = "its header";
    if (form == FAISS_BINARY) {
        binary_header(w, x);
    } else if (form == FAISS_PANORAMA) {
        x->d = walk_i32(w);
        walk_skip(w, 2, 8);
        x->ntotal = (int64_t)walk_u64(w);
        x->trained = walk_u8(w);
        x->metric = -1; /* its name says it */
    } else {
        if (form == FAISS_LATTICE)
            walk_skip(w, 4, 4);
        plain_header(w, x);
    }
    if (walk_ok(w) && (x->d < 0 || x->d > VECTOR_DIMENSION_MAX || x->ntotal < 0)) {
        walk_fail(w, "its header says %" PRId64 " vectors of %" PRId64 " dimensions", x->ntotal, x->d);
        x->d = 0;
    } else if (walk_ok(w) && form != FAISS_PANORAMA && !faiss_metric(x->metric)) {
        walk_fail(w, "its header names metric %" PRId32 ", which there is none of", x->metric);
    }
}

bool faiss_index(struct faiss *f, struct faiss_index *x, unsigned depth)
{
    static const struct faiss_kind unknown = {"", "a kind that is not known", NULL, FAISS_PLAIN, 0};
    uint8_t code[4];
    *x = (struct faiss_index){0};
    f->w.what = "the name of an index";
    if (!walk_bytes(&f->w, code, sizeof code))
        return false;
    size_t len = strlen(f->path);
    if (memcmp(code, "null", sizeof code) == 0) {
        snprintf(f->path + len, sizeof f->path - len, "nothing");
        x->absent = x->whole = true;
        return true;
    }
    if (depth >= FAISS_DEPTH_MAX)
        return walk_fail(&f->w, "indexes are within indexes more than %d deep", FAISS_DEPTH_MAX);
    const struct faiss_kind *kind = faiss_kind_of(code);
    if (!kind && depth > 0 && code[0] != 'I')
        return walk_fail(&f->w, "where an index within it begins there is none");
    kind = kind ? kind : &unknown;
    snprintf(f->path + len, sizeof f->path - len, "%s", kind->says);
    header(&f->w, kind->header, x);
    if (!walk_ok(&f->w) || !kind->body)
        return walk_ok(&f->w);
    x->whole = true; /* a body that goes no further says so */
    return kind->body(f, x, kind, depth);
}
