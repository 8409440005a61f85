/* Index files of hnswlib's save_index: header, rows, links. hnswlib.h tells the layout. */
#include <inttypes.h>

#include "source/vectors/hnswlib.h"

static bool hnswlib_claims(const uint8_t *head, size_t len, const struct vector_input *in)
{
    struct hnswlib_head h;
    (void)in;
    if (len < HNSWLIB_HEADER_BYTES)
        return false;
    hnswlib_parse(head, &h);
    return hnswlib_layout_agrees(&h);
}

static enum errc hnswlib_read(const struct vector_input *in, const struct vector_options *opt,
                              struct vector_result *out, struct err *err)
{
    struct walk w;
    uint8_t head[HNSWLIB_HEADER_BYTES];
    struct hnswlib_head h;
    int64_t deleted;
    walk_init(&w, in, out, err);
    walk_bytes(&w, head, sizeof head);
    hnswlib_parse(head, &h);
    if (!walk_ok(&w) || !hnswlib_counts_agree(&w, &h))
        return w.rc;
    enum errc rc = hnswlib_rows(&w, &h, opt->depth, &deleted);
    if (rc != ERR_OK || !walk_ok(&w))
        return rc;
    /* hnswlib itself refuses a file that is longer. */
    if (opt->depth > VECTOR_QUICK && hnswlib_links(&w, &h) && walk_left(&w) > 0)
        walk_fail(&w, "%" PRIu64 " bytes follow its links", walk_left(&w));
    hnswlib_describe(out, &h, deleted);
    return w.rc;
}

const struct vector_format vector_format_hnswlib = {.name = "hnswlib", .claims = hnswlib_claims, .read = hnswlib_read};
