/* Vector files of tests/golden/vectors, in memory so that a test can spoil them. */
#ifndef TESTS_UNIT_VECTORS_GOLDEN_H
#define TESTS_UNIT_VECTORS_GOLDEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "source/vectors/vectors.h"

struct golden {
    uint8_t *data;
    size_t len, reads;
    char name[64];
};

static inline struct golden golden_load(const char *name)
{
    struct golden g = {0};
    char path[2048];
    snprintf(path, sizeof path, "%s/golden/vectors/%s", TESTS_DIR, name);
    snprintf(g.name, sizeof g.name, "%.63s", strrchr(name, '/') ? strrchr(name, '/') + 1 : name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    g.len = (size_t)ftell(f);
    rewind(f);
    g.data = malloc(g.len + 1);
    assert_non_null(g.data);
    assert_int_equal(fread(g.data, 1, g.len, f), g.len);
    fclose(f);
    return g;
}

static inline void golden_free(struct golden *g)
{
    free(g->data);
    *g = (struct golden){0};
}

static inline enum errc golden_bytes(void *arg, void *dst, size_t len, uint64_t offset, size_t *got_out,
                                     struct err *err)
{
    struct golden *g = arg;
    (void)err;
    size_t left = offset < g->len ? g->len - (size_t)offset : 0;
    *got_out = len < left ? len : left;
    g->reads++;
    memcpy(dst, g->data + (offset < g->len ? offset : 0), *got_out);
    return ERR_OK;
}

static inline struct vector_result golden_read(struct golden *g, enum vector_depth depth)
{
    struct vector_result r;
    struct err err;
    struct vector_input in = {.read = golden_bytes, .arg = g, .size = g->len, .name = g->name};
    struct vector_options opt = {.depth = depth};
    assert_int_equal(vector_read(&in, &opt, &r, &err), ERR_OK);
    return r;
}

static inline struct vector_result golden_look(const char *name, enum vector_depth depth)
{
    struct golden g = golden_load(name);
    struct vector_result r = golden_read(&g, depth);
    golden_free(&g);
    return r;
}

static inline void golden_put(struct golden *g, size_t at, const void *bytes, size_t len)
{
    assert_true(at + len <= g->len);
    memcpy(g->data + at, bytes, len);
}

static inline void golden_put_u32(struct golden *g, size_t at, uint32_t v)
{
    uint8_t b[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    golden_put(g, at, b, sizeof b);
}

static inline void golden_put_u64(struct golden *g, size_t at, uint64_t v)
{
    golden_put_u32(g, at, (uint32_t)v);
    golden_put_u32(g, at + 4, (uint32_t)(v >> 32));
}

/* The file as it is now is claimed and broken, and the reason has these words. */
static inline void golden_is_broken(struct golden *g, enum vector_depth depth, const char *words)
{
    struct vector_result r = golden_read(g, depth);
    if (!r.known || r.ok || !strstr(r.detail, words))
        fail_msg("%s: known %d, ok %d, '%s' instead of '%s'", g->name, r.known, r.ok, r.detail, words);
    vector_release(&r);
}

/* Cut anywhere from from on, it is broken or no longer claimed, never sound. */
static inline void golden_cut_everywhere(const char *name, size_t from, enum vector_depth depth)
{
    struct golden g = golden_load(name);
    size_t whole = g.len;
    for (g.len = from; g.len < whole; g.len++) {
        struct vector_result r = golden_read(&g, depth);
        if (r.known && r.ok)
            fail_msg("%s cut at %zu of %zu bytes is sound: %s", name, g.len, whole, r.detail);
        vector_release(&r);
    }
    golden_free(&g);
}

/* Each byte in turn becomes another: whatever is said then, it is said, and bounded. */
static inline void golden_spoil_everywhere(const char *name)
{
    static const uint8_t values[] = {0x00, 0x7f, 0xff};
    struct golden g = golden_load(name);
    for (size_t i = 0; i < g.len; i++) {
        uint8_t was = g.data[i];
        g.data[i] = values[i % sizeof values];
        struct vector_result r = golden_read(&g, i % 8 == 0 ? VECTOR_SCAN : VECTOR_SHAPE);
        vector_release(&r);
        g.data[i] = was;
    }
    golden_free(&g);
}

#endif
