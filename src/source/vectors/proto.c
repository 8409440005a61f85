#include "source/vectors/proto.h"

#include <inttypes.h>

enum { VARINT_MAX_BYTES = 10 };

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

bool proto_next(struct walk *w, struct proto_field *f)
{
    *f = (struct proto_field){0};
    if (!walk_ok(w) || walk_left(w) == 0)
        return false;
    uint64_t tag = varint(w);
    f->wire = tag & 7;
    if (tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3)
        return walk_fail(w, "%s has a field %" PRIu64, w->what, tag >> 3);
    f->id = (uint32_t)(tag >> 3);
    switch (f->wire) {
    case PROTO_VARINT:
        f->number = varint(w);
        return walk_ok(w);
    case PROTO_8:
    case PROTO_4:
        return walk_ok(w);
    case PROTO_BYTES:
        f->number = varint(w);
        return walk_ok(w) && (f->number <= walk_left(w) || walk_fail(w, "it ends within %s", w->what));
    default:
        return walk_fail(w, "%s has a value of type %u", w->what, f->wire);
    }
}

bool proto_skip(struct walk *w, const struct proto_field *f)
{
    switch (f->wire) {
    case PROTO_8:
        return walk_skip(w, 8, 1);
    case PROTO_4:
        return walk_skip(w, 4, 1);
    case PROTO_BYTES:
        return walk_skip(w, f->number, 1);
    default:
        return walk_ok(w);
    }
}

size_t proto_text(struct walk *w, const struct proto_field *f, char *out, size_t room)
{
    size_t keep = f->number < room ? (size_t)f->number : room - 1;
    walk_bytes(w, out, keep);
    out[keep] = 0;
    walk_skip(w, f->number - keep, 1);
    return keep;
}

uint64_t proto_enter(struct walk *w, const struct proto_field *f)
{
    uint64_t end = w->end;
    w->end = w->at + f->number; /* proto_next saw that it is within */
    return end;
}

void proto_leave(struct walk *w, uint64_t end)
{
    if (walk_ok(w))
        w->at = w->end;
    w->end = end;
}
