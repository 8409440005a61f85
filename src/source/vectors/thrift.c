#include "source/vectors/thrift.h"

#include <inttypes.h>

enum { VARINT_MAX_BYTES = 10, DEPTH_MAX = 16, LONG_LIST = 15 };

static uint64_t varint(struct walk *w)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < VARINT_MAX_BYTES; i++) {
        uint8_t b = walk_u8(w);
        v |= (uint64_t)(b & 0x7f) << (7 * i);
        if (!(b & 0x80))
            return v;
    }
    walk_fail(w, "%s has a number that does not end", w->what);
    return 0;
}

int64_t thrift_integer(struct walk *w)
{
    uint64_t v = varint(w);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

bool thrift_next(struct walk *w, struct thrift_field *f)
{
    uint8_t b = walk_u8(w);
    f->type = b & 0x0f;
    if (!walk_ok(w) || f->type == THRIFT_STOP)
        return false;
    int64_t id = b >> 4 ? f->id + (b >> 4) : thrift_integer(w);
    if (id < INT16_MIN || id > INT16_MAX)
        return walk_fail(w, "%s has a field %" PRId64, w->what, id);
    f->id = (int32_t)id;
    return walk_ok(w);
}

uint64_t thrift_list(struct walk *w, uint8_t *type_out)
{
    uint8_t b = walk_u8(w);
    uint64_t count = b >> 4;
    *type_out = b & 0x0f;
    if (count == LONG_LIST)
        count = varint(w);
    /* No element is shorter than a byte. */
    if (walk_ok(w) && count > walk_left(w))
        walk_fail(w, "%s has a list of %" PRIu64, w->what, count);
    return walk_ok(w) ? count : 0;
}

uint64_t thrift_binary(struct walk *w)
{
    uint64_t len = varint(w);
    if (walk_ok(w) && len > walk_left(w))
        walk_fail(w, "it ends within %s", w->what);
    return walk_ok(w) ? len : 0;
}

void thrift_text(struct walk *w, char *out, size_t room, size_t *len_out)
{
    uint64_t len = thrift_binary(w);
    size_t keep = len < room ? (size_t)len : room - 1;
    walk_bytes(w, out, keep);
    out[keep] = 0;
    *len_out = keep;
    walk_skip(w, len - keep, 1);
}

static bool skip_within(struct walk *w, uint8_t type, bool is_element, unsigned depth)
{
    struct thrift_field f = {0};
    uint8_t of;
    uint64_t count;
    if (depth > DEPTH_MAX)
        return walk_fail(w, "%s is nested too deep", w->what);
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        return !is_element || walk_skip(w, 1, 1); /* a field's value is its type */
    case THRIFT_I8:
        return walk_skip(w, 1, 1);
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        varint(w);
        return walk_ok(w);
    case THRIFT_DOUBLE:
        return walk_skip(w, 8, 1);
    case THRIFT_UUID:
        return walk_skip(w, 16, 1);
    case THRIFT_BINARY:
        return walk_skip(w, thrift_binary(w), 1);
    case THRIFT_LIST:
    case THRIFT_SET:
        count = thrift_list(w, &of);
        for (uint64_t i = 0; i < count && walk_ok(w); i++)
            skip_within(w, of, true, depth + 1);
        return walk_ok(w);
    case THRIFT_MAP:
        count = varint(w);
        of = count ? walk_u8(w) : 0;
        for (uint64_t i = 0; i < count && walk_ok(w); i++) {
            skip_within(w, of >> 4, true, depth + 1);
            skip_within(w, of & 0x0f, true, depth + 1);
        }
        return walk_ok(w);
    case THRIFT_STRUCT:
        while (thrift_next(w, &f))
            skip_within(w, f.type, false, depth + 1);
        return walk_ok(w);
    default:
        return walk_fail(w, "%s has a value of type %u", w->what, type);
    }
}

bool thrift_skip(struct walk *w, uint8_t type)
{
    return walk_ok(w) && skip_within(w, type, false, 0);
}
