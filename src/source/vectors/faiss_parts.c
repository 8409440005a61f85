/* What FAISS indexes are made of: codes, quantizers, transformations. */
#include <inttypes.h>

#include "source/vectors/faiss.h"

const char *faiss_metric(int32_t metric)
{
    static const char *const first[] = {"inner product", "L2", "L1", "Linf", "Lp"};
    static const char *const more[] = {"Canberra", "Bray-Curtis",        "Jensen-Shannon",
                                       "Jaccard",  "L2 that skips NaNs", "Gower"};
    enum { MORE_AT = 20 };
    if (metric >= 0 && metric < (int32_t)(sizeof first / sizeof *first))
        return first[metric];
    if (metric >= MORE_AT && metric < MORE_AT + (int32_t)(sizeof more / sizeof *more))
        return more[metric - MORE_AT];
    return NULL;
}

void faiss_take(struct faiss_index *x, const struct faiss_index *inner)
{
    x->dtype = inner->dtype;
    x->residual = inner->residual;
    x->stored_d = inner->stored_d;
    x->rows_at = inner->rows_at;
    x->row_bytes = inner->row_bytes;
    x->has_lists = inner->has_lists;
    x->lists_sparse = inner->lists_sparse;
    x->list_sizes_at = inner->list_sizes_at;
    x->list_sizes_count = inner->list_sizes_count;
    x->lists_at = inner->lists_at;
    x->list_code_bytes = inner->list_code_bytes;
}

bool faiss_codes(struct faiss *f, struct faiss_index *x, uint64_t code_bytes, uint64_t element_bytes)
{
    uint64_t want, got;
    f->w.what = "its vectors";
    uint64_t elements = walk_u64(&f->w);
    if (!walk_ok(&f->w))
        return false;
    if (__builtin_mul_overflow((uint64_t)x->ntotal, code_bytes, &want) ||
        __builtin_mul_overflow(elements, element_bytes, &got) || got != want)
        return walk_fail(&f->w, "its header says %" PRId64 " vectors of %" PRIu64 " bytes, and %" PRIu64 " are stored",
                         x->ntotal, code_bytes, code_bytes ? elements * element_bytes / code_bytes : 0);
    x->rows_at = f->w.at;
    x->row_bytes = code_bytes;
    return walk_skip(&f->w, want, 1);
}

bool faiss_quantizer(struct faiss *f, const struct faiss_index *x, uint64_t *code_bytes_out)
{
    f->w.what = "its quantizer";
    uint64_t d = walk_u64(&f->w), parts = walk_u64(&f->w), bits = walk_u64(&f->w);
    *code_bytes_out = 0;
    if (!walk_ok(&f->w))
        return false;
    if (d != (uint64_t)x->d || parts < 1 || parts > d || bits < 1 || bits > 24)
        return walk_fail(&f->w, "its quantizer is for %" PRIu64 " dimensions in %" PRIu64 " parts of %" PRIu64 " bits",
                         d, parts, bits);
    uint64_t centroids = walk_counted(&f->w, sizeof(float));
    if (walk_ok(&f->w) && centroids != d << bits)
        return walk_fail(&f->w, "its quantizer has %" PRIu64 " numbers instead of %" PRIu64, centroids, d << bits);
    *code_bytes_out = (parts * bits + 7) / 8;
    return walk_ok(&f->w);
}

bool faiss_scalar(struct faiss *f, struct faiss_index *x, uint64_t *code_bytes_out)
{
    enum { FP16 = 4, UINT8 = 5, BF16 = 7 };
    f->w.what = "its quantizer";
    int32_t type = walk_i32(&f->w);
    walk_skip(&f->w, 2, 4); /* how ranges were found */
    uint64_t d = walk_u64(&f->w), code = walk_u64(&f->w);
    walk_counted(&f->w, sizeof(float));
    *code_bytes_out = code;
    if (!walk_ok(&f->w))
        return false;
    if (d != (uint64_t)x->d)
        return walk_fail(&f->w, "its quantizer is for %" PRIu64 " dimensions, its header says %" PRId64, d, x->d);
    x->dtype = type == FP16 ? VECTOR_F16 : type == UINT8 ? VECTOR_U8 : type == BF16 ? VECTOR_BF16 : VECTOR_DTYPE_NONE;
    uint64_t exact = d * vector_dtype_bytes(x->dtype);
    if (exact ? code != exact : code > d * sizeof(float) + 64)
        return walk_fail(&f->w, "its quantizer says that a code has %" PRIu64 " bytes", code);
    return true;
}

/* eigen_power, epsilon, random_rotation, balanced_bins; the middle of all linear ones follows. */
static bool pca(struct walk *w, const char *code)
{
    walk_skip(w, 4, 1);
    if (memcmp(code, "Pcam", 4) == 0)
        walk_skip(w, 4, 1);
    walk_skip(w, 1, 1);
    if (memcmp(code, "PCAm", 4) != 0)
        walk_skip(w, 4, 1);
    walk_counted(w, sizeof(float));
    walk_counted(w, sizeof(float));
    walk_counted(w, sizeof(float));
    return walk_ok(w);
}

static bool is_code(const char *code, const char *of)
{
    return memcmp(code, of, 4) == 0;
}

bool faiss_transform(struct faiss *f, int64_t *in_out, int64_t *out_out, unsigned depth)
{
    struct walk *w = &f->w;
    char code[5] = "";
    int64_t ignored;
    *in_out = *out_out = 0;
    w->what = "a transformation";
    if (!walk_bytes(w, code, 4))
        return false;
    bool is_pca = is_code(code, "PCAm") || is_code(code, "PcAm") || is_code(code, "Pcam");
    if (is_pca || is_code(code, "rrot") || is_code(code, "LTra") || is_code(code, "Viqm")) {
        if (is_pca)
            pca(w, code);
        else if (is_code(code, "Viqm"))
            walk_skip(w, 8, 1);
        walk_skip(w, 1, 1); /* have_bias */
        walk_counted(w, sizeof(float));
        walk_counted(w, sizeof(float));
    } else if (is_code(code, "RmDT") || is_code(code, "VCnt")) {
        walk_counted(w, 4);
    } else if (is_code(code, "VNrm") || is_code(code, "HRot")) {
        walk_skip(w, 4, 1);
    } else if (is_code(code, "Viqt") && depth < FAISS_DEPTH_MAX) {
        walk_counted(w, sizeof(float));
        walk_skip(w, 1, 1);
        for (int i = 0; i < 2; i++) /* the rotation, and what was before it */
            if (!faiss_transform(f, &ignored, &ignored, depth + 1))
                return false;
    } else {
        return walk_fail(w, "there is no transformation '%s'", code);
    }
    *in_out = walk_i32(w);
    *out_out = walk_i32(w);
    walk_u8(w); /* is_trained */
    if (walk_ok(w) &&
        (*in_out < 0 || *in_out > VECTOR_DIMENSION_MAX || *out_out < 0 || *out_out > VECTOR_DIMENSION_MAX))
        return walk_fail(w, "a transformation is from %" PRId64 " dimensions to %" PRId64, *in_out, *out_out);
    return walk_ok(w);
}
