/* FAISS: the file as a whole. faiss.h tells the layout. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "source/vectors/faiss.h"

enum { PLAIN_HEADER_BYTES = 37, FILLER = 1 << 20 };

/* A kind that is not known yet is FAISS's when its header could hardly be anything else. */
static bool plausible_header(const uint8_t *head, size_t len)
{
    if (len < PLAIN_HEADER_BYTES || head[0] != 'I')
        return false;
    for (size_t i = 1; i < 4; i++)
        if (head[i] < '0' || head[i] > 'z')
            return false;
    uint32_t d = vector_le32(head + 4);
    return d > 0 && d <= VECTOR_DIMENSION_MAX && vector_le64(head + 8) <= INT64_MAX &&
           vector_le64(head + 16) == FILLER && vector_le64(head + 24) == FILLER && head[32] <= 1 &&
           faiss_metric((int32_t)vector_le32(head + 33));
}

static bool faiss_claims(const uint8_t *head, size_t len, const struct vector_input *in)
{
    (void)in;
    return (len >= 4 && faiss_kind_of(head)) || plausible_header(head, len);
}

/* The sizes of inverted lists, one after the other, and where each list's rows are. */
struct list_walk {
    struct walk *w; /* over the sizes */
    const struct faiss_index *x;
    uint64_t done, next_at, rows_at, size;
};

static bool next_list(struct list_walk *l)
{
    if (l->done == l->x->list_sizes_count)
        return false;
    if (l->x->lists_sparse)
        walk_u64(l->w); /* the list's number */
    l->size = walk_u64(l->w);
    l->done++;
    l->rows_at = l->next_at;
    /* The sum of all was compared with the file before. */
    l->next_at += l->size * (l->x->list_code_bytes + sizeof(uint64_t));
    return walk_ok(l->w);
}

static enum errc scan_lists(struct walk *w, const struct faiss_index *x, struct vector_array *a)
{
    struct list_walk l = {.w = w, .x = x, .next_at = x->lists_at};
    struct vector_array sum = {0};
    w->at = x->list_sizes_at;
    while (next_list(&l)) {
        struct vector_array part = *a;
        part.count = (int64_t)l.size;
        enum errc rc = vector_scan_rows(w->in, l.rows_at, x->list_code_bytes, &part, w->r, w->err);
        if (rc != ERR_OK)
            return rc;
        if (part.nan < 0)
            return ERR_OK;
        sum.nan += part.nan;
        sum.inf += part.inf;
        sum.zero += part.zero;
    }
    if (walk_ok(w)) {
        a->nan = sum.nan;
        a->inf = sum.inf;
        a->zero = sum.zero;
    }
    return w->rc;
}

/* The vectors as they are stored, which a transformation may have given another dimension than x has. */
static enum errc scan(struct walk *w, const struct faiss_index *x, struct vector_array *a)
{
    struct vector_array stored = *a;
    enum errc rc = ERR_OK;
    stored.dimension = x->stored_d;
    if (x->residual || stored.dtype == VECTOR_DTYPE_NONE)
        return ERR_OK;
    if (x->has_lists)
        rc = scan_lists(w, x, &stored);
    else if (x->row_bytes > 0)
        rc = vector_scan_rows(w->in, x->rows_at, x->row_bytes, &stored, w->r, w->err);
    a->nan = stored.nan;
    a->inf = stored.inf;
    a->zero = stored.zero;
    return rc;
}

static void describe(const struct faiss *f, const struct faiss_index *x, struct vector_result *out)
{
    const char *metric = faiss_metric(x->metric);
    char rest[64] = "";
    if (!out->ok)
        return;
    if (x->whole && walk_left(&f->w) > 0)
        snprintf(rest, sizeof rest, "; %" PRIu64 " bytes behind it are no part of it", walk_left(&f->w));
    else if (!x->whole)
        snprintf(rest, sizeof rest, "; not looked at beyond its header%s", f->depth == VECTOR_QUICK ? "s" : "");
    snprintf(out->detail, sizeof out->detail, "%s%s%s%s%s", f->path,
             x->code_bytes ? ", Hamming"
             : metric      ? ", "
                           : "",
             x->code_bytes || !metric ? "" : metric, x->trained ? "" : ", not trained", rest);
}

static enum errc faiss_read(const struct vector_input *in, const struct vector_options *opt, struct vector_result *out,
                            struct err *err)
{
    struct faiss f = {.depth = opt->depth};
    struct faiss_index x;
    struct vector_array *a;
    walk_init(&f.w, in, out, err);
    faiss_index(&f, &x, 0);
    if (f.w.rc != ERR_OK)
        return f.w.rc;
    describe(&f, &x, out);
    if (x.d <= 0)
        return ERR_OK;
    enum errc rc = vector_add_array(out, "", 0, &a, err);
    if (rc != ERR_OK)
        return rc;
    a->dtype = x.dtype;
    a->is_vectors = true;
    a->dimension = x.d;
    a->count = x.ntotal;
    if (!out->ok)
        return ERR_OK;
    if (x.row_bytes > 0 && !x.has_lists) {
        out->data_offset = x.rows_at;
        out->row_bytes = x.row_bytes;
    }
    return opt->depth >= VECTOR_SCAN ? scan(&f.w, &x, a) : ERR_OK;
}

const struct vector_format vector_format_faiss = {.name = "faiss", .claims = faiss_claims, .read = faiss_read};
