#include "format/root.h"

#include <string.h>

#include "format/fields.h"

bool ref_any_print(const struct chunk_ref *refs, size_t count)
{
    static const struct fingerprint none;
    for (size_t i = 0; i < count; i++)
        if (memcmp(&refs[i].print, &none, sizeof none) != 0)
            return true;
    return false;
}

enum errc ref_put(struct buf *b, const struct chunk_ref *ref, bool prints, bool len_stored, struct err *err)
{
    if (ref->len < 1 || ref->len > CHUNK_MAX_BYTES)
        return err_fail(err, ERR_INTERNAL, "a reference to a chunk of %u bytes", ref->len);
    enum errc rc = buf_append(b, ref->name.b, NAME_BYTES, err);
    if (rc == ERR_OK && prints)
        rc = buf_append(b, ref->print.b, FINGERPRINT_BYTES, err);
    if (rc == ERR_OK && len_stored)
        rc = put_varint(b, ref->len, err);
    return rc;
}

void ref_get(struct reader *r, struct chunk_ref *ref, bool prints, bool len_stored)
{
    *ref = (struct chunk_ref){0};
    get_copy(r, ref->name.b, NAME_BYTES);
    if (prints)
        get_copy(r, ref->print.b, FINGERPRINT_BYTES);
    if (!len_stored)
        return;
    ref->len = (uint32_t)get_varint_max(r, CHUNK_MAX_BYTES);
    if (ref->len == 0)
        r->failed = true;
}

enum errc stream_root_put(struct buf *b, const struct stream_root *root, struct err *err)
{
    if (root->depth > ROOT_MAX_DEPTH || root->count > ROOT_MAX_REFS || root->bytes > INT64_MAX)
        return err_fail(err, ERR_LIMIT, "a stream's root of depth %u with %u references is above the limits",
                        root->depth, root->count);
    size_t start = b->len;
    bool prints = ref_any_print(root->refs, root->count);
    enum errc rc = put_varint(b, root->depth, err);
    if (rc == ERR_OK)
        rc = put_varint(b, root->bytes, err);
    if (rc == ERR_OK)
        rc = put_varint(b, (uint64_t)root->count << 1 | prints, err);
    for (uint32_t i = 0; rc == ERR_OK && i < root->count; i++)
        rc = ref_put(b, &root->refs[i], prints, true, err);
    if (rc != ERR_OK)
        b->len = start;
    return rc;
}

enum errc stream_root_get(struct reader *r, struct stream_root *root, struct err *err)
{
    *root = (struct stream_root){0};
    root->depth = (uint32_t)get_varint_max(r, ROOT_MAX_DEPTH);
    root->bytes = get_varint_max(r, INT64_MAX);
    uint64_t shape = get_varint_max(r, ROOT_MAX_REFS << 1 | 1);
    root->count = (uint32_t)(shape >> 1);
    bool prints = shape & 1;
    for (uint32_t i = 0; i < root->count; i++)
        ref_get(r, &root->refs[i], prints, true);
    if (prints && reader_ok(r) && !ref_any_print(root->refs, root->count))
        r->failed = true; /* not the one form there is */
    if (reader_ok(r) && reader_left(r) == 0)
        return ERR_OK;
    r->failed = true;
    return err_fail(err, ERR_DAMAGED, "the root of a stream is malformed");
}
