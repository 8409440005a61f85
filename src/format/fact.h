/* Facts: typed keys and values observed on a source (docs/format.md, "Facts"). Layer: format.
 * Keys are dotted words: "rows.tasks", "page_size", "quick_check". Encoded: per fact counted key, u8 type, counted
 * value; in order of keys. */
#ifndef SNAP_FORMAT_FACT_H
#define SNAP_FORMAT_FACT_H

#include "format/wire.h"

enum fact_type { FACT_TEXT = 1, FACT_INT = 2, FACT_REAL = 3, FACT_BOOL = 4 };
struct fact {
    const char *key; /* NUL-terminated in lists, borrowed in decodes */
    size_t key_len;
    enum fact_type type;
    const char *text; /* FACT_TEXT */
    size_t text_len;
    int64_t integer; /* FACT_INT, FACT_BOOL */
    double real;
};

/* A list that owns its strings, in order of keys (bytes). Begins as {0}. */
struct fact_list {
    struct fact *facts;
    size_t count, cap;
    size_t encoded_bytes; /* what fact_list_put will append */
};
void fact_list_release(struct fact_list *l);
/* Set or replace. Past FACTS_MAX_BYTES of encoded size: ERR_LIMIT, list unchanged. */
MUST_USE enum errc fact_set_text(struct fact_list *l, const char *key, const char *text, struct err *err);
MUST_USE enum errc fact_set_int(struct fact_list *l, const char *key, int64_t v, struct err *err);
MUST_USE enum errc fact_set_real(struct fact_list *l, const char *key, double v, struct err *err);
MUST_USE enum errc fact_set_bool(struct fact_list *l, const char *key, bool v, struct err *err);
const struct fact *fact_find(const struct fact_list *l, const char *key); /* NULL if absent */
bool fact_equal(const struct fact *a, const struct fact *b);
MUST_USE enum errc fact_list_put(struct buf *b, const struct fact_list *l, struct err *err); /* sorted by key */
/* *out is overwritten (release an older one first), and empty after a failure. Facts of unknown types are passed over.
 */
MUST_USE enum errc fact_list_get(const void *data, size_t len, struct fact_list *out, struct err *err);
MUST_USE enum errc fact_list_copy(struct fact_list *dst, const struct fact_list *src, struct err *err);

#endif
