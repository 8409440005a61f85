/* A sink that keeps what it is given, for tests of sources. It checks the promises of struct sink_ops as it goes: order
 * of paths, begin before data, end after it; and it gives out previous entries that are freed at the next call, so that
 * AddressSanitizer sees who keeps one too long. */
#ifndef SNAP_TESTS_FAKE_SINK_H
#define SNAP_TESTS_FAKE_SINK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/path.h"
#include "source/source.h"

enum { FAKE_SPACE_BYTES = 128 * 1024 };

struct fake_piece {
    uint64_t offset, len;
    uint8_t *data; /* NULL: a hole */
};

struct fake_entry {
    struct entry e; /* its pointers are owned */
    bool has_end, reused;
    struct entry_end end; /* its pointers are owned */
    uint32_t fixed;
    struct fake_piece *pieces;
    size_t piece_count;
    uint64_t size;
};

struct fake_sink {
    struct sink sink;
    struct fake_entry *entries;
    size_t count, cap;
    const struct fake_sink *before; /* the previous snapshot, or NULL */
    size_t before_at;
    bool keep_data;
    char *asked; /* last path given to previous() */
    size_t asked_len;
    bool open; /* between begin and end */
    struct fake_entry now;
    uint8_t *space;
    struct entry *lent;
    char **failed; /* "path: message" */
    size_t failed_count;
    size_t begins, abandons, reuses, nodes;
    long calls_left;             /* fail with ERR_IO when it gets to 0; < 0: never */
    void (*on_begin)(void *arg); /* called at each begin */
    void (*on_advance)(void *arg);
    void *arg;
};

static inline void *fake_dup(const void *p, size_t len)
{
    if (!p)
        return NULL;
    char *copy = malloc(len + 1);
    assert_non_null(copy);
    memcpy(copy, p, len);
    copy[len] = '\0';
    return copy;
}

static inline void fake_copy_entry(struct entry *dst, const struct entry *src)
{
    *dst = *src;
    dst->path = fake_dup(src->path, src->path_len);
    dst->user = fake_dup(src->user, src->user_len);
    dst->group = fake_dup(src->group, src->group_len);
    dst->link_target = fake_dup(src->link_target, src->link_target_len);
    dst->xattrs = fake_dup(src->xattrs, src->xattrs_len);
    dst->probe = fake_dup(src->probe, src->probe_len);
}

static inline void fake_free_const(const void *p)
{
    union {
        const void *in;
        void *out;
    } u = {.in = p};
    free(u.out);
}

static inline void fake_free_entry(struct entry *e)
{
    fake_free_const(e->path);
    fake_free_const(e->user);
    fake_free_const(e->group);
    fake_free_const(e->link_target);
    fake_free_const(e->xattrs);
    fake_free_const(e->probe);
}

static inline void fake_free_pieces(struct fake_entry *f)
{
    for (size_t i = 0; i < f->piece_count; i++)
        free(f->pieces[i].data);
    free(f->pieces);
    f->pieces = NULL;
    f->piece_count = 0;
    f->size = 0;
}

static inline struct fake_sink *fake_of(struct sink *s)
{
    return (struct fake_sink *)s;
}

static inline enum errc fake_enter(struct fake_sink *f, struct err *err)
{
    if (f->lent) {
        fake_free_entry(f->lent);
        free(f->lent);
        f->lent = NULL;
    }
    if (f->calls_left > 0 && --f->calls_left == 0)
        return err_fail(err, ERR_NO_SPACE, "the sink is full");
    return ERR_OK;
}

static inline enum errc fake_previous(struct sink *s, const char *path, size_t len, const struct entry **out,
                                      struct err *err)
{
    struct fake_sink *f = fake_of(s);
    enum errc rc = fake_enter(f, err);
    if (rc != ERR_OK)
        return rc;
    assert_false(f->open);
    if (f->asked)
        assert_true(path_compare(f->asked, f->asked_len, path, len) <= 0);
    free(f->asked);
    f->asked = fake_dup(path, len);
    f->asked_len = len;
    *out = NULL;
    if (!f->before)
        return ERR_OK;
    const struct fake_entry *e = NULL;
    for (; f->before_at < f->before->count; f->before_at++) {
        e = &f->before->entries[f->before_at];
        int c = path_compare(e->e.path, e->e.path_len, path, len);
        if (c == 0)
            break;
        if (c > 0)
            return ERR_OK;
    }
    if (f->before_at == f->before->count)
        return ERR_OK;
    f->lent = malloc(sizeof *f->lent);
    assert_non_null(f->lent);
    fake_copy_entry(f->lent, &e->e);
    *out = f->lent;
    return ERR_OK;
}

/* The entry takes over f->now's pieces. */
static inline void fake_take(struct fake_sink *f, const struct entry *e, const struct entry_end *end)
{
    assert_true(path_is_safe_relative(e->path, e->path_len));
    if (f->count > 0) {
        const struct entry *last = &f->entries[f->count - 1].e;
        assert_true(path_compare(last->path, last->path_len, e->path, e->path_len) < 0);
    }
    struct buf encoded; /* what the format refuses must not be given to a sink */
    buf_init(&encoded, 1 << 20);
    struct err err;
    if (entry_put(&encoded, e, &err) != ERR_OK)
        fail_msg("entry_put: %s", err.message);
    buf_release(&encoded);
    if (f->count == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 64;
        f->entries = realloc(f->entries, f->cap * sizeof *f->entries);
        assert_non_null(f->entries);
    }
    struct fake_entry *t = &f->entries[f->count++];
    *t = f->now;
    f->now = (struct fake_entry){.size = 0};
    fake_copy_entry(&t->e, e);
    if (end) {
        t->has_end = true;
        t->end = *end;
        t->end.facts = fake_dup(end->facts, end->facts_len);
        t->end.reason = fake_dup(end->reason, end->reason_len);
    }
}

static inline enum errc fake_node(struct sink *s, const struct entry *e, struct err *err)
{
    struct fake_sink *f = fake_of(s);
    enum errc rc = fake_enter(f, err);
    assert_false(f->open);
    assert_false(entry_has_data(e->type));
    if (rc == ERR_OK) {
        fake_take(f, e, NULL);
        f->nodes++;
    }
    return rc;
}

static inline enum errc fake_begin(struct sink *s, uint32_t fixed, struct err *err)
{
    struct fake_sink *f = fake_of(s);
    enum errc rc = fake_enter(f, err);
    assert_false(f->open);
    f->open = true;
    f->begins++;
    f->now = (struct fake_entry){.fixed = fixed};
    if (f->on_begin)
        f->on_begin(f->arg);
    return rc;
}

static inline void fake_piece_add(struct fake_sink *f, const void *data, uint64_t len)
{
    struct fake_entry *n = &f->now;
    if (len > 0 && f->keep_data) {
        n->pieces = realloc(n->pieces, (n->piece_count + 1) * sizeof *n->pieces);
        assert_non_null(n->pieces);
        n->pieces[n->piece_count++] =
            (struct fake_piece){.offset = n->size, .len = len, .data = fake_dup(data, data ? (size_t)len : 0)};
    }
    n->size += len;
}

static inline enum errc fake_space(struct sink *s, uint8_t **ptr, size_t *room, struct err *err)
{
    struct fake_sink *f = fake_of(s);
    enum errc rc = fake_enter(f, err);
    assert_true(f->open);
    *ptr = f->space;
    *room = FAKE_SPACE_BYTES;
    return rc;
}

static inline enum errc fake_advance(struct sink *s, size_t len, struct err *err)
{
    struct fake_sink *f = fake_of(s);
    enum errc rc = fake_enter(f, err);
    assert_true(f->open);
    assert_true(len <= FAKE_SPACE_BYTES);
    fake_piece_add(f, f->space, len);
    if (f->on_advance)
        f->on_advance(f->arg);
    return rc;
}

static inline enum errc fake_data(struct sink *s, const void *data, size_t len, struct err *err)
{
    struct fake_sink *f = fake_of(s);
    enum errc rc = fake_enter(f, err);
    assert_true(f->open);
    fake_piece_add(f, data, len);
    if (f->on_advance)
        f->on_advance(f->arg);
    return rc;
}

static inline enum errc fake_hole(struct sink *s, uint64_t len, struct err *err)
{
    struct fake_sink *f = fake_of(s);
    enum errc rc = fake_enter(f, err);
    assert_true(f->open);
    fake_piece_add(f, NULL, len);
    return rc;
}

static inline enum errc fake_end(struct sink *s, const struct entry *e, const struct entry_end *end, struct err *err)
{
    struct fake_sink *f = fake_of(s);
    enum errc rc = fake_enter(f, err);
    assert_true(f->open);
    assert_true(entry_has_data(e->type));
    if (rc == ERR_OK) {
        assert_int_equal(f->now.size, end->size);
        f->open = false;
        fake_take(f, e, end);
    }
    return rc;
}

static inline enum errc fake_abandon(struct sink *s, struct err *err)
{
    struct fake_sink *f = fake_of(s);
    enum errc rc = fake_enter(f, err);
    assert_true(f->open);
    f->open = false;
    f->abandons++;
    fake_free_pieces(&f->now);
    return rc;
}

static inline enum errc fake_reuse(struct sink *s, const struct entry *e, struct err *err)
{
    struct fake_sink *f = fake_of(s);
    enum errc rc = fake_enter(f, err);
    assert_false(f->open);
    assert_non_null(f->asked);
    assert_int_equal(path_compare(f->asked, f->asked_len, e->path, e->path_len), 0);
    assert_non_null(f->before);
    if (rc == ERR_OK) {
        fake_take(f, e, NULL);
        f->entries[f->count - 1].reused = true;
        f->reuses++;
    }
    return rc;
}

static inline void fake_failed(struct sink *s, const char *path, const struct err *why)
{
    struct fake_sink *f = fake_of(s);
    f->failed = realloc(f->failed, (f->failed_count + 1) * sizeof *f->failed);
    assert_non_null(f->failed);
    size_t cap = strlen(path) + strlen(why->message) + 3;
    char *text = malloc(cap);
    assert_non_null(text);
    (void)snprintf(text, cap, "%s: %s", path, why->message);
    f->failed[f->failed_count++] = text;
}

static const struct sink_ops fake_ops = {
    .previous = fake_previous,
    .node = fake_node,
    .begin = fake_begin,
    .space = fake_space,
    .advance = fake_advance,
    .data = fake_data,
    .hole = fake_hole,
    .end = fake_end,
    .abandon = fake_abandon,
    .reuse = fake_reuse,
    .failed = fake_failed,
};

static inline struct fake_sink *fake_new(const struct fake_sink *before)
{
    struct fake_sink *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->sink.ops = &fake_ops;
    f->before = before;
    f->keep_data = true;
    f->calls_left = -1;
    f->space = malloc(FAKE_SPACE_BYTES);
    assert_non_null(f->space);
    return f;
}

static inline void fake_free(struct fake_sink *f)
{
    if (!f)
        return;
    f->calls_left = -1;
    (void)fake_enter(f, NULL);
    fake_free_pieces(&f->now);
    for (size_t i = 0; i < f->count; i++) {
        fake_free_entry(&f->entries[i].e);
        fake_free_const(f->entries[i].end.reason);
        fake_free_const(f->entries[i].end.facts);
        fake_free_pieces(&f->entries[i]);
    }
    for (size_t i = 0; i < f->failed_count; i++)
        free(f->failed[i]);
    free(f->failed);
    free(f->entries);
    free(f->asked);
    free(f->space);
    free(f);
}

static inline struct fake_entry *fake_find(const struct fake_sink *f, const char *path)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct entry *e = &f->entries[i].e;
        if (e->path_len == strlen(path) && memcmp(e->path, path, e->path_len) == 0)
            return &f->entries[i];
    }
    return NULL;
}

/* Is there an entry of the path whose data are content[0..len)? Holes count as zeros. */
static inline bool fake_has(const struct fake_sink *f, const char *path, const void *content, size_t len)
{
    const struct fake_entry *e = fake_find(f, path);
    if (!e || !e->has_end || e->size != len)
        return false;
    const uint8_t *want = content;
    for (size_t i = 0; i < e->piece_count; i++) {
        const struct fake_piece *p = &e->pieces[i];
        for (uint64_t k = 0; !p->data && k < p->len; k++) {
            if (want[p->offset + k] != 0)
                return false;
        }
        if (p->data && memcmp(p->data, want + p->offset, p->len) != 0)
            return false;
    }
    return true;
}

#endif
