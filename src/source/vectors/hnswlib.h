/* What hnswlib and Chroma, which carries its own hnswlib, write. Layer: source (private to vectors/).
 *
 * Fact source: hnswlib/hnswalg.h of hnswlib 0.8 and of chroma-core/hnswlib, and files written by both.
 *
 *   header    six u64: 0, room in rows, rows, bytes of a row, place of the label in a row, place of the vector;
 *             i32 highest level, u32 row of entry; u64 links of a row above level 0, on level 0, M; f64; u64
 *   a row     u16 count of links, u8 bit 0: deleted, u8; u32 links, as many as fit; the vector; u64 label
 *   links     for each row: u32 bytes, then so many: its links on level 1, 2, ...
 *
 * Neither says what a vector's elements are: float32 is what the Python modules write. Rows that were deleted are still
 * rows, and count as vectors.
 */
#ifndef SNAP_SOURCE_VECTORS_HNSWLIB_H
#define SNAP_SOURCE_VECTORS_HNSWLIB_H

#include "source/vectors/walk.h"

enum { HNSWLIB_HEADER_BYTES = 96 };

struct hnswlib_head {
    uint64_t first, room, rows, row_bytes, label_at, vector_at;
    int32_t level;
    uint32_t entry;
    uint64_t links, links0, m;
};

void hnswlib_parse(const uint8_t b[HNSWLIB_HEADER_BYTES], struct hnswlib_head *h);
/* Do the places within a row agree? There is no magic: this is what tells such a file. */
bool hnswlib_layout_agrees(const struct hnswlib_head *h);
/* Do counts and entry agree? False: the walk's file is called broken. */
bool hnswlib_counts_agree(struct walk *w, const struct hnswlib_head *h);
/* From the walk's place on: the links of each row, which have to be there. */
bool hnswlib_links(struct walk *w, const struct hnswlib_head *h);
/* The rows from the walk's place on, of the walk's file: an array for them; looked at when depth is SCAN. *deleted_out
 * is VECTOR_UNKNOWN when they were not. */
MUST_USE enum errc hnswlib_rows(struct walk *w, const struct hnswlib_head *h, enum vector_depth depth,
                                int64_t *deleted_out);
/* The result's words about an index that is sound. */
void hnswlib_describe(struct vector_result *r, const struct hnswlib_head *h, int64_t deleted);

#endif
