/* Extended attributes of an entry: those kept in it, and those whose value is a stream (entry.h). */
#include <string.h>

#include "format/entry_wire.h"

static bool name_next(struct reader *r, struct bytes *name_out)
{
    if (!reader_ok(r) || reader_left(r) == 0)
        return false;
    *name_out = get_counted(r, XATTR_NAME_MAX_BYTES);
    if (reader_ok(r) && (name_out->len == 0 || memchr(name_out->data, 0, name_out->len)))
        r->failed = true;
    return reader_ok(r);
}

bool xattr_next(struct reader *r, struct bytes *name_out, struct bytes *value_out)
{
    if (!name_next(r, name_out))
        return false;
    *value_out = get_counted(r, XATTR_INLINE_MAX_BYTES);
    return reader_ok(r);
}

/* The longest root: three numbers, then references with fingerprints. */
enum { ROOT_MAX_BYTES = 30 + ROOT_MAX_REFS * (NAME_BYTES + FINGERPRINT_BYTES + 3) };

bool xattr_stream_next(struct reader *r, struct bytes *name_out, struct stream_root *root_out)
{
    if (!name_next(r, name_out))
        return false;
    struct bytes root = get_counted(r, ROOT_MAX_BYTES);
    struct reader value = reader_of(root.data, root.len);
    if (!reader_ok(r) || stream_root_get(&value, root_out, NULL) != ERR_OK)
        r->failed = true;
    return reader_ok(r);
}

static bool ascends(struct bytes before, struct bytes name)
{
    if (!before.data)
        return true;
    size_t common = before.len < name.len ? before.len : name.len;
    int order = memcmp(before.data, name.data, common);
    return order < 0 || (order == 0 && before.len < name.len);
}

bool xattrs_well_formed(const uint8_t *xattrs, size_t len)
{
    struct reader r = reader_of(xattrs, len);
    struct bytes before = {0}, name, value;
    while (xattr_next(&r, &name, &value)) {
        if (!ascends(before, name))
            return false;
        before = name;
    }
    return reader_ok(&r);
}

bool xattr_streams_well_formed(const uint8_t *streams, size_t len)
{
    struct reader r = reader_of(streams, len);
    struct bytes before = {0}, name;
    struct stream_root root;
    while (xattr_stream_next(&r, &name, &root)) {
        if (!ascends(before, name))
            return false;
        before = name;
    }
    return reader_ok(&r);
}

static enum errc name_check(const char *name, struct err *err)
{
    size_t len = strlen(name);
    if (len < 1 || len > XATTR_NAME_MAX_BYTES)
        return err_fail(err, ERR_LIMIT, "the name of an extended attribute has %zu bytes", len);
    return ERR_OK;
}

enum errc xattr_put(struct buf *b, const char *name, const void *value, size_t len, struct err *err)
{
    enum errc rc = name_check(name, err);
    if (rc == ERR_OK && len > XATTR_INLINE_MAX_BYTES)
        rc = err_fail(err, ERR_LIMIT, "an extended attribute of %zu bytes is too long to be kept in its entry", len);
    size_t before = b->len;
    if (rc == ERR_OK)
        rc = put_counted(b, name, strlen(name), err);
    if (rc == ERR_OK)
        rc = put_counted(b, value, len, err);
    if (rc != ERR_OK)
        b->len = before;
    return rc;
}

enum errc xattr_stream_put(struct buf *b, const char *name, const struct stream_root *root, struct err *err)
{
    enum errc rc = name_check(name, err);
    size_t before = b->len;
    struct buf value;
    buf_init(&value, ROOT_MAX_BYTES);
    if (rc == ERR_OK)
        rc = stream_root_put(&value, root, err);
    if (rc == ERR_OK)
        rc = put_counted(b, name, strlen(name), err);
    if (rc == ERR_OK)
        rc = put_counted(b, value.data, value.len, err);
    if (rc != ERR_OK)
        b->len = before;
    buf_release(&value);
    return rc;
}
