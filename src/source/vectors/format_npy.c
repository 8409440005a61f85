/* .npy: one NumPy array (npy_header.h), or several one behind the other, as repeated np.save on one file leaves them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "source/vectors/format.h"
#include "source/vectors/npy_header.h"
#include "source/vectors/scan_columns.h"

static bool npy_claims(const uint8_t *head, size_t len, const struct vector_input *in)
{
    return npy_has_magic(head, len) || vector_name_ends(in, ".npy");
}

/* The header at offset; *data_out is where it ends. */
static enum errc read_header(const struct vector_input *in, uint64_t offset, struct npy_header *h, uint64_t *data_out,
                             struct vector_result *out, struct err *err)
{
    uint8_t prefix[NPY_PREFIX_BYTES];
    size_t text_offset;
    uint64_t text_len;
    bool ok;
    enum errc rc = vector_bytes(in, prefix, sizeof prefix, offset, "its header", out, &ok, err);
    if (rc != ERR_OK || !ok)
        return rc;
    if (!npy_has_magic(prefix, sizeof prefix))
        return vector_broken(out, "it does not begin as a NumPy array does");
    if (!npy_prefix(prefix, sizeof prefix, &text_offset, &text_len))
        return vector_broken(out, "its header names version %u.%u, which is unknown", prefix[6], prefix[7]);
    if (text_len > NPY_TEXT_MAX_BYTES)
        return vector_broken(out, "its header would have %" PRIu64 " bytes", text_len);
    struct buf text;
    buf_init(&text, NPY_TEXT_MAX_BYTES + 1); /* it ends with a NUL */
    rc = buf_reserve(&text, (size_t)text_len + 1, err);
    if (rc == ERR_OK)
        rc = vector_bytes(in, text.data, (size_t)text_len, offset + text_offset, "its header", out, &ok, err);
    if (rc == ERR_OK && ok) {
        const char *fault = npy_parse((const char *)text.data, (size_t)text_len, h);
        if (fault)
            rc = vector_broken(out, "%s", fault);
        *data_out = offset + text_offset + text_len;
    }
    buf_release(&text);
    return rc;
}

static enum errc scan(const struct vector_input *in, const struct npy_header *h, uint64_t data, struct vector_array *a,
                      struct vector_result *out, struct err *err)
{
    if (h->is_fortran)
        return vector_scan_columns(in, data, a, out, err);
    return vector_scan_rows(in, data, (uint64_t)a->dimension * h->element_bytes, a, out, err);
}

/* The array at *offset, which moves to where it ends. */
static enum errc read_array(const struct vector_input *in, const struct vector_options *opt, size_t number,
                            uint64_t *offset, struct vector_result *out, struct err *err)
{
    struct npy_header h = {0};
    struct vector_array *a;
    char name[16] = "";
    uint64_t data = 0;
    enum errc rc = read_header(in, *offset, &h, &data, out, err);
    if (rc != ERR_OK || !out->ok)
        return rc;
    int len = number > 0 ? snprintf(name, sizeof name, "%zu", number) : 0;
    rc = vector_add_array(out, name, (size_t)len, &a, err);
    if (rc != ERR_OK)
        return rc;
    uint64_t behind = in->size - data;
    if (h.has_objects)
        h.data_bytes = behind; /* how long a pickle is, only reading it would tell */
    if (a)
        npy_describe(&h, a);
    if (behind < h.data_bytes || (h.has_objects && behind == 0))
        return vector_broken(out, "it was cut off: its data have %" PRIu64 " bytes, and there are %" PRIu64,
                             h.data_bytes, behind);
    if (npy_has_odd_rows(&h) && h.shape[0] > 0)
        return vector_broken(out, "rows of %" PRId64 " elements: not taken for vectors", h.shape[1]);
    *offset = data + h.data_bytes;
    if (number == 0)
        npy_say(&h, out->detail);
    if (number == 0 && a && a->is_vectors && !h.is_fortran) {
        out->data_offset = data;
        out->row_bytes = (uint64_t)a->dimension * h.element_bytes;
    }
    return a && a->is_vectors && opt->depth >= VECTOR_SCAN ? scan(in, &h, data, a, out, err) : ERR_OK;
}

static enum errc npy_read(const struct vector_input *in, const struct vector_options *opt, struct vector_result *out,
                          struct err *err)
{
    uint64_t offset = 0;
    enum errc rc = read_array(in, opt, 0, &offset, out, err);
    size_t number = 1;
    for (; rc == ERR_OK && out->ok && offset < in->size && number < VECTOR_ARRAYS_MAX; number++) {
        uint8_t next[6];
        uint64_t left = in->size - offset;
        bool ok = left >= sizeof next;
        if (ok)
            rc = vector_bytes(in, next, sizeof next, offset, "its header", out, &ok, err);
        if (rc == ERR_OK && (!ok || !npy_has_magic(next, sizeof next)))
            return vector_broken(out, "%" PRIu64 " bytes stand behind its data", left);
        if (rc == ERR_OK)
            rc = read_array(in, opt, number, &offset, out, err);
    }
    if (rc != ERR_OK || !out->ok || number == 1)
        return rc;
    out->data_offset = out->row_bytes = 0;
    out->arrays_omitted += offset < in->size;
    snprintf(out->detail, sizeof out->detail, "%zu arrays, one behind the other", number);
    return ERR_OK;
}

const struct vector_format vector_format_npy = {.name = "npy", .claims = npy_claims, .read = npy_read};
