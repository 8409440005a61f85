/* JSON, JSON Lines and concatenated JSON texts, checked byte by byte and searched for vectors, as the bytes come.
 * Layer: source (private to vectors/).
 *
 * The grammar is RFC 8259, strings are valid UTF-8. Beyond it, and counted: NaN, Infinity and -Infinity as Python's
 * json writes them; a byte order mark at the start; further texts behind the first, each after a line feed. Which
 * arrays are vectors: json_tally.h. docs/adr/0015 says why this is not a library.
 *
 * Promises
 *   JS1  memory is constant, and time linear in the bytes, whatever they are; deeper than JSON_DEPTH_MAX is broken.
 *   JS2  the result does not depend on how the bytes are cut into blocks.
 */
#ifndef SNAP_SOURCE_VECTORS_JSON_SCAN_H
#define SNAP_SOURCE_VECTORS_JSON_SCAN_H

#include "source/vectors/json_tally.h"

enum { JSON_DEPTH_MAX = 65536 };

struct json_scan;

struct json_report {
    const char *fault; /* what is wrong, at byte fault_offset; NULL: sound so far */
    uint64_t fault_offset;
    uint64_t bytes, texts;                  /* looked at; ended */
    int64_t bare, quoted, nulls, overflows; /* NaN and Infinity as words, in quotes; null among numbers; 1e999 */
    int64_t empty;                          /* arrays without elements where a vector should be */
    int64_t unfinished; /* numbers in the array that is open; 0 when it is no vector, or may be none */
    const struct json_place_tally *found; /* NULL: no vectors; of the scan */
};

MUST_USE enum errc json_scan_new(struct json_scan **out, struct err *err);
void json_scan_free(struct json_scan *s);
/* The next bytes; false when the text is broken, which it stays. */
bool json_scan_push(struct json_scan *s, const void *data, size_t len);
/* No more bytes: what is open is now a fault. */
void json_scan_end(struct json_scan *s);
/* May be asked at any time, but found then belongs to this report only until the next push. */
void json_scan_report(struct json_scan *s, struct json_report *out);

#endif
