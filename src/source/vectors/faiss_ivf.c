/* FAISS's inverted lists: a quantizer that says which list a vector is in, and the lists. */
#include <inttypes.h>
#include <stdio.h>

#include "source/vectors/faiss.h"

static bool head(struct faiss *f, const struct faiss_index *x, uint64_t *lists_out, bool *goes_on_out, unsigned depth)
{
    struct faiss_index coarse;
    char path[FAISS_PATH_BYTES]; /* what the coarse quantizer is does not matter to a reader */
    f->w.what = "its header";
    *lists_out = walk_u64(&f->w);
    *goes_on_out = false;
    walk_u64(&f->w); /* nprobe */
    memcpy(path, f->path, sizeof path);
    bool ok = faiss_index(f, &coarse, depth + 1);
    memcpy(f->path, path, sizeof path);
    if (!ok)
        return false;
    if (x->trained && coarse.trained && !coarse.absent && (uint64_t)coarse.ntotal != *lists_out)
        return walk_fail(&f->w, "it has %" PRIu64 " lists, and its quantizer knows %" PRId64, *lists_out,
                         coarse.ntotal);
    if (!coarse.whole)
        return true;
    f->w.what = "its map of ids";
    uint8_t map = walk_u8(&f->w);
    walk_counted(&f->w, 8);
    if (map == 2)
        walk_counted(&f->w, 16);
    *goes_on_out = walk_ok(&f->w);
    return *goes_on_out;
}

static bool fields(struct faiss *f, struct faiss_index *x, int variant, uint64_t *code_out)
{
    struct walk *w = &f->w;
    uint64_t code, stored;
    x->dtype = VECTOR_F32;
    x->stored_d = x->d;
    *code_out = (uint64_t)x->d * sizeof(float);
    switch (variant) {
    case IVF_DEDUP:
        walk_counted(w, 8);
        return walk_ok(w);
    case IVF_SCALAR_OLD:
    case IVF_SCALAR:
        if (!faiss_scalar(f, x, &code))
            return false;
        *code_out = walk_u64(w);
        x->residual = variant == IVF_SCALAR_OLD || walk_u8(w);
        return walk_ok(w) &&
               (*code_out == code || walk_fail(w, "a code has %" PRIu64 " bytes or %" PRIu64, code, *code_out));
    case IVF_PRODUCT:
    case IVF_PRODUCT_FAST:
        x->dtype = VECTOR_DTYPE_NONE;
        walk_u8(w); /* by_residual */
        stored = walk_u64(w);
        if (variant == IVF_PRODUCT_FAST)
            walk_skip(w, 24, 1); /* bbs, M2, implem, qbs2 */
        if (!faiss_quantizer(f, x, &code))
            return false;
        *code_out = stored;
        return variant == IVF_PRODUCT_FAST || stored == code ||
               walk_fail(w, "a code has %" PRIu64 " bytes or %" PRIu64, code, stored);
    case IVF_BINARY:
        x->dtype = VECTOR_BIT;
        *code_out = (uint64_t)x->code_bytes;
        return true;
    default:
        return true;
    }
}

/* Are there as many vectors in the lists as the header says? */
static bool sum_is(struct faiss *f, const struct faiss_index *x, uint64_t sum)
{
    return sum == (uint64_t)x->ntotal ||
           walk_fail(&f->w, "its header says %" PRId64 " vectors, its lists hold %" PRIu64, x->ntotal, sum);
}

static bool lists_here(struct faiss *f, struct faiss_index *x, uint64_t lists, uint64_t code)
{
    struct walk *w = &f->w;
    char form[5] = "";
    uint64_t sum = 0, before = 0, number = 0;
    walk_bytes(w, form, 4);
    uint64_t count = walk_u64(w);
    x->lists_sparse = memcmp(form, "sprs", 4) == 0;
    if (!walk_ok(w))
        return false;
    if (!x->lists_sparse && (memcmp(form, "full", 4) != 0 || count != lists))
        return walk_fail(w, "its lists are %" PRIu64 ", the sizes of %" PRIu64 " are given ('%s')", lists, count, form);
    if (x->lists_sparse && count % 2 != 0)
        return walk_fail(w, "the sizes of its lists do not come in pairs");
    x->list_sizes_count = x->lists_sparse ? count / 2 : count;
    x->list_sizes_at = w->at;
    x->list_code_bytes = code;
    for (uint64_t i = 0; i < x->list_sizes_count && walk_ok(w); i++) {
        if (x->lists_sparse)
            number = walk_u64(w);
        if (x->lists_sparse && (number >= lists || (i > 0 && number <= before)))
            return walk_fail(w, "its lists are not in order");
        before = number;
        if (__builtin_add_overflow(sum, walk_u64(w), &sum))
            return walk_fail(w, "its lists have impossible sizes");
    }
    if (!walk_ok(w) || !sum_is(f, x, sum))
        return false;
    x->lists_at = w->at;
    x->has_lists = true;
    w->what = "its lists";
    return code <= UINT32_MAX ? walk_skip(w, sum, code + sizeof(int64_t))
                              : walk_fail(w, "a vector has %" PRIu64 " bytes", code);
}

static bool lists_in_blocks(struct faiss *f, struct faiss_index *x, uint64_t lists)
{
    uint64_t sum = 0;
    walk_skip(&f->w, 2, 8); /* vectors and bytes of a block */
    for (uint64_t i = 0; i < lists && walk_ok(&f->w); i++) {
        if (__builtin_add_overflow(sum, walk_counted(&f->w, 8), &sum))
            return walk_fail(&f->w, "its lists have impossible sizes");
        walk_counted(&f->w, 1);
    }
    return walk_ok(&f->w) && sum_is(f, x, sum);
}

/* The lists are in another file; here are (size, room, offset) of each, then free places, its name, its size. */
static bool lists_elsewhere(struct faiss *f, struct faiss_index *x, uint64_t lists)
{
    char name[64] = "";
    uint64_t sum = 0, count = walk_u64(&f->w);
    if (walk_ok(&f->w) && count != lists)
        return walk_fail(&f->w, "its lists are %" PRIu64 ", the sizes of %" PRIu64 " are given", lists, count);
    for (uint64_t i = 0; i < count && walk_ok(&f->w); i++) {
        if (__builtin_add_overflow(sum, walk_u64(&f->w), &sum))
            return walk_fail(&f->w, "its lists have impossible sizes");
        walk_skip(&f->w, 2, 8);
    }
    walk_counted(&f->w, 16);
    uint64_t len = walk_u64(&f->w);
    uint64_t shown = len < sizeof name ? len : sizeof name - 1;
    walk_bytes(&f->w, name, (size_t)shown);
    walk_skip(&f->w, len - shown, 1);
    walk_u64(&f->w);
    size_t at = strlen(f->path);
    snprintf(f->path + at, sizeof f->path - at, " in the file %s", name);
    return walk_ok(&f->w) && sum_is(f, x, sum);
}

static bool lists_at(struct faiss *f, struct faiss_index *x, uint64_t lists, uint64_t code)
{
    char form[5] = "";
    f->w.what = "the sizes of its lists";
    if (!walk_bytes(&f->w, form, 4))
        return false;
    if (memcmp(form, "il00", 4) == 0) {
        size_t at = strlen(f->path);
        snprintf(f->path + at, sizeof f->path - at, " that are not stored with it");
        return true;
    }
    bool is_here = memcmp(form, "ilar", 4) == 0, is_blocks = memcmp(form, "ilbl", 4) == 0;
    if (!is_here && !is_blocks && memcmp(form, "ilod", 4) != 0) {
        x->whole = false;
        return memcmp(form, "il", 2) == 0 || walk_fail(&f->w, "where its lists should begin are none");
    }
    uint64_t count = walk_u64(&f->w), bytes = walk_u64(&f->w);
    if (!walk_ok(&f->w))
        return false;
    if (count != lists || (bytes != code && bytes != UINT64_MAX))
        return walk_fail(&f->w,
                         "its header says %" PRIu64 " lists of vectors of %" PRIu64 " bytes, its lists %" PRIu64
                         " and %" PRIu64,
                         lists, code, count, bytes);
    if (is_blocks)
        return lists_in_blocks(f, x, lists);
    return is_here ? lists_here(f, x, lists, code) : lists_elsewhere(f, x, lists);
}

bool faiss_ivf(struct faiss *f, struct faiss_index *x, const struct faiss_kind *kind, unsigned depth)
{
    uint64_t lists, code;
    bool goes_on;
    if (!head(f, x, &lists, &goes_on, depth))
        return false;
    x->whole = goes_on && f->depth > VECTOR_QUICK; /* list sizes are as many reads as there are lists */
    if (!goes_on)
        return true;
    if (!fields(f, x, kind->variant, &code))
        return false;
    return !x->whole || lists_at(f, x, lists, code);
}
