#include "source/vectors/walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void walk_init(struct walk *w, const struct vector_input *in, struct vector_result *r, struct err *err)
{
    w->in = in;
    w->r = r;
    w->err = err;
    w->rc = ERR_OK;
    w->broken = false;
    w->what = "its header";
    w->at = 0;
    w->end = in->size;
    w->window_at = 0;
    w->window_len = 0;
}

uint64_t walk_left(const struct walk *w)
{
    return w->at < w->end ? w->end - w->at : 0;
}

bool walk_fail(struct walk *w, const char *fmt, ...)
{
    char text[VECTOR_DETAIL_BYTES];
    va_list ap;
    if (!walk_ok(w))
        return false;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    w->rc = vector_broken(w->r, "%s", text);
    w->broken = true;
    return false;
}

static bool ends_within(struct walk *w)
{
    return walk_fail(w, "it ends within %s", w->what);
}

/* From the input, past the window. */
static bool fetch(struct walk *w, void *dst, size_t len)
{
    bool there = false;
    w->rc = vector_bytes(w->in, dst, len, w->at, w->what, w->r, &there, w->err);
    if (w->rc == ERR_OK && !there)
        w->broken = true;
    return walk_ok(w);
}

bool walk_bytes(struct walk *w, void *dst, size_t len)
{
    memset(dst, 0, len);
    if (!walk_ok(w))
        return false;
    if (len > walk_left(w))
        return ends_within(w);
    if (len > sizeof w->window) {
        if (!fetch(w, dst, len))
            return false;
        w->at += len;
        return true;
    }
    if (w->at < w->window_at || w->at + len > w->window_at + w->window_len) {
        size_t want = walk_left(w) < sizeof w->window ? (size_t)walk_left(w) : sizeof w->window;
        w->window_len = 0;
        if (!fetch(w, w->window, want))
            return false;
        w->window_at = w->at;
        w->window_len = want;
    }
    memcpy(dst, w->window + (w->at - w->window_at), len);
    w->at += len;
    return true;
}

static uint64_t number(struct walk *w, size_t len)
{
    uint8_t b[8];
    uint64_t v = 0;
    walk_bytes(w, b, len);
    for (size_t i = len; i > 0; i--)
        v = v << 8 | b[i - 1];
    return v;
}

uint8_t walk_u8(struct walk *w)
{
    return (uint8_t)number(w, 1);
}

uint16_t walk_u16(struct walk *w)
{
    return (uint16_t)number(w, 2);
}

uint32_t walk_u32(struct walk *w)
{
    return (uint32_t)number(w, 4);
}

int32_t walk_i32(struct walk *w)
{
    return (int32_t)walk_u32(w);
}

uint64_t walk_u64(struct walk *w)
{
    return number(w, 8);
}

bool walk_skip(struct walk *w, uint64_t count, uint64_t size)
{
    uint64_t bytes;
    if (!walk_ok(w))
        return false;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > walk_left(w))
        return ends_within(w);
    w->at += bytes;
    return true;
}

uint64_t walk_counted(struct walk *w, uint64_t size)
{
    uint64_t count = walk_u64(w);
    return walk_skip(w, count, size) ? count : 0;
}
