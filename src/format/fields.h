/* Typed fields, over wire.h: order checked, structures described by tables. Layer: format, private. */
#ifndef SNAP_FORMAT_FIELDS_H
#define SNAP_FORMAT_FIELDS_H

#include "format/root.h"

/* Walks typed fields and checks that tags ascend. */
struct fields {
    struct reader r;
    uint64_t last;
    bool any;
};
struct field {
    uint64_t tag;
    bool critical;
    bool repeated; /* same tag as the field before */
    struct reader value;
};
static inline struct fields fields_of(struct reader r)
{
    return (struct fields){.r = r};
}
bool fields_next(struct fields *f, struct field *out); /* false at the end or when malformed: look at f->r.failed */

/* A counted part whose length is known only behind it: note b->len as start, append the part, then close it. */
MUST_USE enum errc nest_close(struct buf *b, size_t start, struct err *err);
/* The key of a field that nest_close will end. *start_out is where its value begins. */
MUST_USE enum errc nest_open_field(struct buf *b, uint64_t tag, bool critical, size_t *start_out, struct err *err);

/* How a member of a structure is stored. A zero member (0, NULL, all zero bytes) is left out. */
enum field_kind {
    FIELD_U8,
    FIELD_U32,
    FIELD_U64,
    FIELD_BOOL,  /* varint, at most max */
    FIELD_ENUM,  /* varint; above max needs a newer version */
    FIELD_TIME,  /* struct timestamp: zigzag seconds, varint nanoseconds */
    FIELD_FIXED, /* max bytes */
    FIELD_TEXT,  /* char *, at most max bytes, "" when absent */
    FIELD_TEXT_OR_NULL,
    FIELD_CUSTOM, /* put writes any number of fields; get reads one */
};
struct field_spec {
    uint8_t tag;
    bool critical;
    bool list; /* may be repeated */
    enum field_kind kind;
    size_t offset, max;
    enum errc (*put)(struct buf *b, const struct field_spec *s, const void *object, struct err *err);
    enum errc (*get)(struct reader *value, const struct field_spec *s, void *object, struct err *err);
};
struct schema {
    const char *what; /* for messages: "a snapshot" */
    const struct field_spec *specs;
    size_t count;
};

MUST_USE enum errc schema_put(struct buf *b, const struct schema *s, const void *object, struct err *err);
/* object comes zeroed; on failure the caller releases what was filled in. */
MUST_USE enum errc schema_get(struct reader r, const struct schema *s, void *object, struct err *err);

/* One reference: name, fingerprint when prints, varint length when len_stored. */
MUST_USE enum errc ref_put(struct buf *b, const struct chunk_ref *ref, bool prints, bool len_stored, struct err *err);
void ref_get(struct reader *r, struct chunk_ref *ref, bool prints, bool len_stored); /* fails r when out of limits */
bool ref_any_print(const struct chunk_ref *refs, size_t count);

struct timestamp;
MUST_USE enum errc put_time(struct buf *b, const struct timestamp *t, struct err *err);
void get_time(struct reader *r, struct timestamp *t);

/* A new zeroed element at the end of an array with a count; capacities are powers of two and follow from the count. */
MUST_USE enum errc array_extend(void *array_inout, size_t *count, size_t max, size_t size, void *element_out,
                                struct err *err);

#endif
