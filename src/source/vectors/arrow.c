#include "source/vectors/arrow.h"

#include <string.h>

#include "source/vectors/format.h"

enum { HEADER_SCHEMA = 1, TYPE_FIXED_LIST = 16, MARK_BYTES = 4 };
enum {
    MESSAGE_HEADER_TYPE = 1,
    MESSAGE_HEADER = 2,
    SCHEMA_FIELDS = 1,
    FIELD_NAME = 0,
    FIELD_TYPE_TYPE = 2,
    FIELD_TYPE = 3
};

static int base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

size_t arrow_base64(uint8_t *data, size_t len)
{
    uint32_t bits = 0;
    size_t out = 0;
    while (len > 0 && data[len - 1] == '=')
        len--;
    for (size_t i = 0; i < len; i++) {
        int digit = base64_digit(data[i]);
        if (digit < 0)
            return 0;
        bits = bits << 6 | (uint32_t)digit;
        /* Never more bytes out than digits in. */
        if (i % 4 > 0)
            data[out++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    return out;
}

struct flat {
    const uint8_t *data;
    size_t len;
};

/* Are n bytes at at within? */
static bool has(const struct flat *f, size_t at, size_t n)
{
    return at <= f->len && n <= f->len - at;
}

/* Where the reference at at leads; 0, where no table can be, when outside. */
static size_t follow(const struct flat *f, size_t at)
{
    if (at == 0 || !has(f, at, 4))
        return 0;
    uint32_t distance = vector_le32(f->data + at);
    return distance > 0 && distance < f->len - at ? at + distance : 0;
}

/* Where field number i of the table at at is, if size bytes of it are there; 0 when absent. */
static size_t field(const struct flat *f, size_t at, unsigned i, size_t size)
{
    if (at == 0 || !has(f, at, 4))
        return 0;
    int64_t vtable = (int64_t)at - (int32_t)vector_le32(f->data + at);
    size_t place = 4 + 2 * (size_t)i;
    if (vtable < 0 || !has(f, (size_t)vtable, 4) || vector_le16(f->data + vtable) < place + 2 ||
        !has(f, (size_t)vtable, place + 2))
        return 0;
    uint16_t offset = vector_le16(f->data + (size_t)vtable + place);
    return offset > 0 && has(f, at, (size_t)offset + size) ? at + offset : 0;
}

static void column(const struct flat *f, size_t at, void (*each)(void *, const char *, size_t, int64_t), void *arg)
{
    size_t type = field(f, at, FIELD_TYPE_TYPE, 1), name = follow(f, field(f, at, FIELD_NAME, 4));
    if (type == 0 || f->data[type] != TYPE_FIXED_LIST || name == 0 || !has(f, name, 4))
        return;
    size_t len = vector_le32(f->data + name), size = field(f, follow(f, field(f, at, FIELD_TYPE, 4)), 0, 4);
    if (size > 0 && has(f, name + 4, len))
        each(arg, (const char *)f->data + name + 4, len, (int32_t)vector_le32(f->data + size));
}

bool arrow_fixed_lists(const uint8_t *data, size_t len,
                       void (*each)(void *arg, const char *name, size_t name_len, int64_t size), void *arg)
{
    /* Since 0.15 a mark stands before the length. */
    size_t skip = len >= 8 && vector_le32(data) == UINT32_MAX ? 2 * MARK_BYTES : MARK_BYTES;
    if (len <= skip + 4)
        return false;
    struct flat f = {.data = data + skip, .len = len - skip};
    uint32_t root = vector_le32(f.data);
    if (!has(&f, root, 4))
        return false;
    size_t kind = field(&f, root, MESSAGE_HEADER_TYPE, 1);
    if (kind == 0 || f.data[kind] != HEADER_SCHEMA)
        return false;
    size_t fields = follow(&f, field(&f, follow(&f, field(&f, root, MESSAGE_HEADER, 4)), SCHEMA_FIELDS, 4));
    if (fields == 0 || !has(&f, fields, 4))
        return false;
    size_t count = vector_le32(f.data + fields);
    if (count > (f.len - fields - 4) / 4)
        return false;
    for (size_t i = 0; i < count; i++)
        column(&f, follow(&f, fields + 4 + 4 * i), each, arg);
    return true;
}
