/* One data file of Lance, alone. lance.h tells the layout. Pages are encoded and compressed, so no element is looked
 * at. */
#include <inttypes.h>
#include <stdio.h>

#include "source/vectors/lance_file.h"

static bool lance_claims(const uint8_t *head, size_t len, const struct vector_input *in)
{
    uint8_t magic[4];
    size_t got = 0;
    struct err ignored;
    (void)head;
    (void)len;
    if (vector_name_ends(in, ".lance"))
        return true;
    /* An error of the input is for the next to read. */
    return in->size >= 16 &&
           in->read(in->arg, magic, sizeof magic, in->size - sizeof magic, &got, &ignored) == ERR_OK &&
           got == sizeof magic && memcmp(magic, "LANC", sizeof magic) == 0 && !vector_name_ends(in, ".manifest");
}

/* FileDescriptor: 1 schema (1 fields), 2 rows. */
static int64_t read_descriptor(struct walk *w, const struct lance_footer *footer)
{
    struct proto_field f, s;
    uint64_t rows = 0;
    w->what = "its schema";
    w->at = footer->descriptor_at;
    w->end = footer->descriptor_at + footer->descriptor_len;
    while (proto_next(w, &f)) {
        if (f.id == 2 && f.wire == PROTO_VARINT) {
            rows = f.number;
        } else if (f.id == 1 && f.wire == PROTO_BYTES) {
            uint64_t end = proto_enter(w, &f);
            while (proto_next(w, &s)) {
                if (s.id == 1 && s.wire == PROTO_BYTES) {
                    uint64_t field_end = proto_enter(w, &s);
                    lance_field(w);
                    proto_leave(w, field_end);
                } else {
                    proto_skip(w, &s);
                }
            }
            proto_leave(w, end);
        } else {
            proto_skip(w, &f);
        }
    }
    if (walk_ok(w) && rows > INT64_MAX)
        walk_fail(w, "it says that it has %" PRIu64 " rows", rows);
    return walk_ok(w) ? (int64_t)rows : VECTOR_UNKNOWN;
}

static enum errc lance_read(const struct vector_input *in, const struct vector_options *opt, struct vector_result *out,
                            struct err *err)
{
    struct walk w;
    struct lance_footer footer;
    (void)opt;
    walk_init(&w, in, out, err);
    if (!lance_footer(&w, &footer))
        return w.rc;
    if (footer.descriptor_len > 0) {
        int64_t rows = read_descriptor(&w, &footer);
        for (size_t i = 0; i < out->array_count; i++)
            out->arrays[i].count = rows;
        if (walk_ok(&w))
            snprintf(out->detail, sizeof out->detail, "data file of version %u.%u, %" PRId64 " rows", footer.major,
                     footer.minor, rows);
        return w.rc;
    }
    snprintf(out->detail, sizeof out->detail, "data file of version %u.%u; only its footer was looked at", footer.major,
             footer.minor);
    struct vector_array *a;
    enum errc rc = vector_add_array(out, "", 0, &a, err);
    if (rc == ERR_OK && a)
        a->is_vectors = true; /* there may be some */
    return rc;
}

const struct vector_format vector_format_lance = {.name = "lance", .claims = lance_claims, .read = lance_read};
