#include "format/wire.h"

#include <string.h>

uint8_t get_u8(struct reader *r)
{
    struct bytes b = get_bytes(r, 1);
    return b.data ? b.data[0] : 0;
}

static uint64_t get_fixed(struct reader *r, unsigned width)
{
    struct bytes b = get_bytes(r, width);
    uint64_t v = 0;
    for (size_t i = 0; i < b.len; i++)
        v |= (uint64_t)b.data[i] << (8 * i);
    return v;
}

uint16_t get_u16(struct reader *r)
{
    return (uint16_t)get_fixed(r, 2);
}

uint32_t get_u32(struct reader *r)
{
    return (uint32_t)get_fixed(r, 4);
}

uint64_t get_u64(struct reader *r)
{
    return get_fixed(r, 8);
}

uint64_t get_varint(struct reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && !r->failed; shift += 7) {
        if (r->p == r->end)
            break;
        uint8_t byte = *r->p++;
        if (shift == 63 && byte > 1)
            break; /* more than 64 bits */
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if (byte == 0 && shift > 0)
            break; /* a shorter form exists */
        return v;
    }
    r->failed = true;
    return 0;
}

uint64_t get_varint_max(struct reader *r, uint64_t max)
{
    uint64_t v = get_varint(r);
    if (v <= max)
        return v;
    r->failed = true;
    return 0;
}

int64_t get_zigzag(struct reader *r)
{
    uint64_t v = get_varint(r);
    uint64_t bits = (v >> 1) ^ (0 - (v & 1));
    int64_t out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

struct bytes get_bytes(struct reader *r, size_t len)
{
    if (r->failed || len > reader_left(r)) {
        r->failed = true;
        return (struct bytes){0};
    }
    struct bytes b = {.data = r->p, .len = len};
    if (len > 0)
        r->p += len;
    return b;
}

struct bytes get_counted(struct reader *r, size_t max)
{
    uint64_t len = get_varint_max(r, max);
    return get_bytes(r, (size_t)len);
}

void get_copy(struct reader *r, void *dst, size_t len)
{
    struct bytes b = get_bytes(r, len);
    if (r->failed)
        memset(dst, 0, len);
    else if (len > 0)
        memcpy(dst, b.data, len);
}

bool get_field(struct reader *r, uint64_t *tag_out, bool *critical_out, struct reader *value_out)
{
    if (r->failed || reader_left(r) == 0)
        return false;
    uint64_t key = get_varint(r);
    struct bytes value = get_counted(r, reader_left(r));
    if (r->failed)
        return false;
    *tag_out = key >> 1;
    *critical_out = key & 1;
    *value_out = reader_of(value.data, value.len);
    return true;
}

static enum errc put_fixed(struct buf *b, uint64_t v, unsigned width, struct err *err)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < width; i++)
        bytes[i] = (uint8_t)(v >> (8 * i));
    return buf_append(b, bytes, width, err);
}

enum errc put_u8(struct buf *b, uint8_t v, struct err *err)
{
    return put_fixed(b, v, 1, err);
}

enum errc put_u16(struct buf *b, uint16_t v, struct err *err)
{
    return put_fixed(b, v, 2, err);
}

enum errc put_u32(struct buf *b, uint32_t v, struct err *err)
{
    return put_fixed(b, v, 4, err);
}

enum errc put_u64(struct buf *b, uint64_t v, struct err *err)
{
    return put_fixed(b, v, 8, err);
}

enum { VARINT_MAX_BYTES = 10 };

static size_t varint_encode(uint8_t out[VARINT_MAX_BYTES], uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

enum errc put_varint(struct buf *b, uint64_t v, struct err *err)
{
    uint8_t bytes[VARINT_MAX_BYTES];
    return buf_append(b, bytes, varint_encode(bytes, v), err);
}

enum errc put_zigzag(struct buf *b, int64_t v, struct err *err)
{
    uint64_t bits = (uint64_t)v;
    return put_varint(b, (bits << 1) ^ (v < 0 ? UINT64_MAX : 0), err);
}

/* head, then counted data, or nothing at all (B2). */
static enum errc put_head_counted(struct buf *b, const uint8_t *head, size_t head_len, const void *data, size_t len,
                                  struct err *err)
{
    uint8_t count[VARINT_MAX_BYTES];
    size_t count_len = varint_encode(count, len);
    if (len > b->max)
        return err_fail(err, ERR_LIMIT, "a field of %zu bytes does not fit a buffer of %zu bytes", len, b->max);
    enum errc rc = buf_reserve(b, head_len + count_len + len, err);
    if (rc == ERR_OK)
        rc = buf_append(b, head, head_len, err);
    if (rc == ERR_OK)
        rc = buf_append(b, count, count_len, err);
    if (rc == ERR_OK)
        rc = buf_append(b, data, len, err);
    return rc;
}

enum errc put_counted(struct buf *b, const void *data, size_t len, struct err *err)
{
    return put_head_counted(b, NULL, 0, data, len, err);
}

enum errc put_field(struct buf *b, uint64_t tag, bool critical, const void *data, size_t len, struct err *err)
{
    uint8_t key[VARINT_MAX_BYTES];
    size_t key_len = varint_encode(key, tag << 1 | critical);
    return put_head_counted(b, key, key_len, data, len, err);
}

enum errc put_field_varint(struct buf *b, uint64_t tag, bool critical, uint64_t v, struct err *err)
{
    uint8_t bytes[VARINT_MAX_BYTES];
    return put_field(b, tag, critical, bytes, varint_encode(bytes, v), err);
}

enum errc put_field_str(struct buf *b, uint64_t tag, bool critical, const char *s, struct err *err)
{
    return s ? put_field(b, tag, critical, s, strlen(s), err) : ERR_OK;
}
