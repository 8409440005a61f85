/* Where a stream is cut into chunks. Layer: chunk (pure, no I/O).
 *
 * Content-defined cutting in the manner of FastCDC (Xia et al., 2016): a rolling "gear" sum over a table keyed per
 * repository, a stricter mask before the average size and a looser one after it ("normalised chunking"). A cut depends
 * only on the bytes since the previous cut.
 *
 * Promises
 *   C1  min <= length <= max for every chunk but the last of a stream.
 *   C2  the same bytes from the same start give the same cut, however they are handed in.
 *   C3  where rows are given, every cut but one forced by a row longer than max is at a border of rows.
 */
#ifndef SNAP_CHUNK_CUT_H
#define SNAP_CHUNK_CUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct cut_params {
    uint32_t min, avg, max; /* bytes; avg a power of two, min < avg < max <= CHUNK_MAX_BYTES */
};

/* The defaults, measured in docs/adr/0002: files 16/64/256 KiB. */
extern const struct cut_params CUT_FILES;
/* Fixed cuts for SQLite images: 128 KiB, a multiple of every page size. */
enum { CUT_FIXED_BYTES = 128 * 1024 };

struct gear {
    uint64_t table[256];
    uint64_t mask_small, mask_large; /* for the params given to gear_init */
    struct cut_params params;
};

/* Fill the table from a 32-byte key. */
MUST_USE enum errc gear_init(struct gear *g, const struct cut_params *params, const uint8_t key[32], struct err *err);

/* Length of the first chunk of data[0..len), or 0 when more data is needed (never when final or len >= max).
 * final: the stream ends at len. Pure; any thread. */
size_t cut_next(const struct gear *g, const uint8_t *data, size_t len, bool final);

/* Lengths at which the first chunk of data[0..len) could end, the nearest to near first; at most cap of them, all in
 * min..max. Every cut of cut_next is one, but those made at max and at the end. With them a writer finds the next known
 * chunk again behind a change that moved it: a candidate is the right one when the bytes behind it have that chunk's
 * fingerprint (docs/adr/0002). Pure; any thread. Returns the count. */
size_t cut_candidates(const struct gear *g, const uint8_t *data, size_t len, size_t near, size_t *out, size_t cap);

/* Rows of equal length, for files whose format is known: a row of numbers stays whole, and only the bytes before each
 * border are looked at. */
struct cut_rows {
    uint64_t row_bytes; /* at least CUT_ROW_MIN_BYTES */
    uint64_t to_border; /* from data[0] to the first border: 0 when data begins with a row */
};
enum { CUT_ROW_MIN_BYTES = 256 };
/* As cut_next and cut_candidates, at borders of rows only. */
size_t cut_next_row(const struct gear *g, const struct cut_rows *rows, const uint8_t *data, size_t len, bool final);
size_t cut_candidates_row(const struct gear *g, const struct cut_rows *rows, const uint8_t *data, size_t len,
                          size_t near, size_t *out, size_t cap);

#endif
