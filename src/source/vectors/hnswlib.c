#include "source/vectors/hnswlib.h"

#include <inttypes.h>
#include <stdio.h>

enum { LINK_BYTES = 4, LABEL_BYTES = 8, LINKS_MAX = 1 << 16, ROW_MAX_BYTES = 1 << 26 };

void hnswlib_parse(const uint8_t b[HNSWLIB_HEADER_BYTES], struct hnswlib_head *h)
{
    *h = (struct hnswlib_head){
        .first = vector_le64(b),
        .room = vector_le64(b + 8),
        .rows = vector_le64(b + 16),
        .row_bytes = vector_le64(b + 24),
        .label_at = vector_le64(b + 32),
        .vector_at = vector_le64(b + 40),
        .level = (int32_t)vector_le32(b + 48),
        .entry = vector_le32(b + 52),
        .links = vector_le64(b + 56),
        .links0 = vector_le64(b + 64),
        .m = vector_le64(b + 72),
    };
}

bool hnswlib_layout_agrees(const struct hnswlib_head *h)
{
    return h->first == 0 && h->m > 0 && h->m <= LINKS_MAX && h->links == h->m && h->links0 == 2 * h->m &&
           h->vector_at == (h->links0 + 1) * LINK_BYTES && h->row_bytes <= ROW_MAX_BYTES &&
           h->label_at > h->vector_at && h->row_bytes == h->label_at + LABEL_BYTES;
}

bool hnswlib_counts_agree(struct walk *w, const struct hnswlib_head *h)
{
    if (h->rows > h->room || h->room > INT64_MAX)
        return walk_fail(w, "its header says that %" PRIu64 " of %" PRIu64 " rows are taken", h->rows, h->room);
    if (h->rows > 0 && (h->entry >= h->rows || h->level < 0))
        return walk_fail(w, "its header says that it is entered at row %" PRIu32 " of %" PRIu64 ", level %" PRId32,
                         h->entry, h->rows, h->level);
    return true;
}

bool hnswlib_links(struct walk *w, const struct hnswlib_head *h)
{
    uint64_t level_bytes = (h->links + 1) * LINK_BYTES;
    w->what = "its links";
    for (uint64_t i = 0; i < h->rows && walk_ok(w); i++) {
        uint32_t bytes = walk_u32(w);
        if (bytes % level_bytes != 0 || bytes / level_bytes > (uint64_t)(h->level < 0 ? 0 : h->level))
            return walk_fail(w, "row %" PRIu64 " has %" PRIu32 " bytes of links, of %" PRIu64 " bytes a level", i,
                             bytes, level_bytes);
        walk_skip(w, bytes, 1);
    }
    return walk_ok(w);
}

/* What stands before each vector: how many links, and whether it was deleted. */
static int64_t count_deleted(struct walk *w, const struct hnswlib_head *h)
{
    int64_t deleted = 0;
    w->what = "its vectors";
    for (uint64_t i = 0; i < h->rows && walk_ok(w); i++) {
        uint16_t links = walk_u16(w);
        deleted += walk_u8(w) & 1;
        walk_skip(w, h->row_bytes - 3, 1);
        if (links > h->links0)
            walk_fail(w, "row %" PRIu64 " has %" PRIu16 " links, and there is room for %" PRIu64, i, links, h->links0);
    }
    return walk_ok(w) ? deleted : VECTOR_UNKNOWN;
}

enum errc hnswlib_rows(struct walk *w, const struct hnswlib_head *h, enum vector_depth depth, int64_t *deleted_out)
{
    uint64_t at = w->at, bytes = h->label_at - h->vector_at;
    struct vector_array *a;
    *deleted_out = VECTOR_UNKNOWN;
    enum errc rc = vector_add_array(w->r, "", 0, &a, w->err);
    if (rc != ERR_OK)
        return rc;
    a->is_vectors = true;
    a->count = (int64_t)h->rows;
    if (bytes % sizeof(float) == 0 && bytes / sizeof(float) <= (uint64_t)VECTOR_DIMENSION_MAX) {
        a->dtype = VECTOR_F32;
        a->dimension = (int64_t)(bytes / sizeof(float));
    }
    w->what = "its vectors";
    if (!walk_skip(w, h->rows, h->row_bytes))
        return w->rc;
    w->r->data_offset = at;
    w->r->row_bytes = h->row_bytes;
    if (depth < VECTOR_SCAN)
        return ERR_OK;
    w->at = at;
    *deleted_out = count_deleted(w, h);
    if (!walk_ok(w))
        return w->rc;
    return vector_scan_rows(w->in, at + h->vector_at, h->row_bytes, a, w->r, w->err);
}

void hnswlib_describe(struct vector_result *r, const struct hnswlib_head *h, int64_t deleted)
{
    char rest[64] = "";
    if (!r->ok)
        return;
    if (deleted > 0)
        snprintf(rest, sizeof rest, "; %" PRId64 " of them deleted", deleted);
    snprintf(r->detail, sizeof r->detail, "HNSW index, M %" PRIu64 ", %" PRIu64 " of %" PRIu64 " rows taken%s", h->m,
             h->rows, h->room, rest);
}
