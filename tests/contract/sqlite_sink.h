/* A sink that keeps what a source gives it: entries in memory, their data in files. For tests of sources. */
#ifndef SNAP_TESTS_SQLITE_SINK_H
#define SNAP_TESTS_SQLITE_SINK_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source/source.h"

enum { SINK_ENTRIES = 16, SINK_ROOM = 128 * 1024 };

struct kept_entry {
    char path[64];
    struct entry e;
    struct entry_end end;
    char reason[700];
    uint8_t probe[512];
    struct fact_list facts;
    uint64_t size;
    bool reused;
};
struct memory_sink {
    struct sink sink;
    const char *dir; /* data of the n-th entry: dir/n; NULL: thrown away */
    struct kept_entry entries[SINK_ENTRIES];
    size_t count;
    const struct memory_sink *before; /* answers previous() */
    int fd;
    bool open;
    uint64_t size;
    uint8_t room[SINK_ROOM];
    unsigned failed_count, abandoned;
    enum errc last_failure;
    uint64_t fail_after;              /* bytes after which the sink itself fails; 0: never */
    const char *compare;              /* a file that the data have to be equal to, byte for byte */
    void (*on_first_data)(void *arg); /* called once, when the first bytes of an entry have come */
    void *arg;
};

static inline struct memory_sink *memory_of(struct sink *s)
{
    return (struct memory_sink *)(void *)s;
}

static inline enum errc sink_previous(struct sink *s, const char *path, size_t len, const struct entry **out,
                                      struct err *err)
{
    const struct memory_sink *b = memory_of(s)->before;

    (void)err;
    *out = NULL;
    for (size_t i = 0; b && i < b->count; i++)
        if (strlen(b->entries[i].path) == len && memcmp(b->entries[i].path, path, len) == 0)
            *out = &b->entries[i].e;
    return ERR_OK;
}

static inline enum errc sink_node(struct sink *s, const struct entry *e, struct err *err)
{
    (void)s;
    (void)e;
    return err_fail(err, ERR_INTERNAL, "a database source has no nodes");
}

static inline enum errc sink_begin(struct sink *s, uint32_t fixed, struct err *err)
{
    struct memory_sink *m = memory_of(s);
    char path[256];

    (void)fixed;
    if (m->open)
        return err_fail(err, ERR_INTERNAL, "begin within an entry");
    m->open = true;
    m->size = 0;
    m->fd = -1;
    if (m->dir) {
        snprintf(path, sizeof path, "%s/%zu", m->dir, m->count);
        m->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    }
    return ERR_OK;
}

static inline bool sink_agrees(const struct memory_sink *m, const void *data, size_t len)
{
    static uint8_t there[SINK_ROOM];
    int fd = open(m->compare, O_RDONLY | O_CLOEXEC);
    bool same = fd >= 0 && len <= sizeof there && pread(fd, there, len, (off_t)m->size) == (ssize_t)len &&
                memcmp(there, data, len) == 0;

    if (fd >= 0)
        close(fd);
    return same;
}

static inline enum errc sink_data(struct sink *s, const void *data, size_t len, struct err *err)
{
    struct memory_sink *m = memory_of(s);

    if (m->compare && !sink_agrees(m, data, len))
        return err_fail(err, ERR_INTERNAL, "the data differ at about %llu", (unsigned long long)m->size);
    if (m->on_first_data && m->size == 0)
        m->on_first_data(m->arg);
    m->size += len;
    if (m->fail_after && m->size > m->fail_after)
        return err_fail(err, ERR_NO_SPACE, "the sink is full");
    if (m->fd >= 0 && write(m->fd, data, len) != (ssize_t)len)
        return err_fail(err, ERR_IO, "the test's disk is full");
    return m->open ? ERR_OK : err_fail(err, ERR_INTERNAL, "data outside of an entry");
}

static inline enum errc sink_space(struct sink *s, uint8_t **out, size_t *room, struct err *err)
{
    (void)err;
    *out = memory_of(s)->room;
    *room = SINK_ROOM;
    return ERR_OK;
}

static inline enum errc sink_advance(struct sink *s, size_t len, struct err *err)
{
    return sink_data(s, memory_of(s)->room, len, err);
}

static inline enum errc sink_hole(struct sink *s, uint64_t len, struct err *err)
{
    (void)s;
    (void)len;
    return err_fail(err, ERR_INTERNAL, "a database has no holes");
}

static inline struct kept_entry *sink_keep(struct memory_sink *m, const struct entry *e)
{
    struct kept_entry *k = &m->entries[m->count++];

    if (m->count > SINK_ENTRIES || e->path_len >= sizeof k->path || e->probe_len > sizeof k->probe)
        abort();
    memset(k, 0, sizeof *k);
    k->e = *e;
    memcpy(k->path, e->path, e->path_len);
    if (e->probe_len)
        memcpy(k->probe, e->probe, e->probe_len);
    k->e.path = k->path;
    k->e.probe = k->probe;
    k->e.user = k->e.group = NULL;
    k->e.xattrs = NULL;
    return k;
}

static inline enum errc sink_end(struct sink *s, const struct entry *e, const struct entry_end *end, struct err *err)
{
    struct memory_sink *m = memory_of(s);

    if (!m->open || end->size != m->size)
        return err_fail(err, ERR_INTERNAL, "end does not fit");
    struct kept_entry *k = sink_keep(m, e);
    k->end = *end;
    k->size = m->size;
    if (end->reason)
        snprintf(k->reason, sizeof k->reason, "%.*s", (int)end->reason_len, end->reason);
    if (m->fd >= 0)
        close(m->fd);
    m->open = false;
    return end->facts_len ? fact_list_get(end->facts, end->facts_len, &k->facts, err) : ERR_OK;
}

static inline enum errc sink_abandon(struct sink *s, struct err *err)
{
    struct memory_sink *m = memory_of(s);

    if (!m->open)
        return err_fail(err, ERR_INTERNAL, "abandon outside of an entry");
    if (m->fd >= 0)
        close(m->fd);
    m->open = false;
    m->abandoned++;
    return ERR_OK;
}

static inline enum errc sink_reuse(struct sink *s, const struct entry *e, struct err *err)
{
    (void)err;
    sink_keep(memory_of(s), e)->reused = true;
    return ERR_OK;
}

static inline void sink_failed(struct sink *s, const char *path, const struct err *why)
{
    (void)path;
    memory_of(s)->failed_count++;
    memory_of(s)->last_failure = why->code;
}

static const struct sink_ops memory_sink_ops = {
    .previous = sink_previous,
    .node = sink_node,
    .begin = sink_begin,
    .space = sink_space,
    .advance = sink_advance,
    .data = sink_data,
    .hole = sink_hole,
    .end = sink_end,
    .reuse = sink_reuse,
    .failed = sink_failed,
    .abandon = sink_abandon,
};

static inline struct memory_sink *memory_sink_new(const char *dir)
{
    struct memory_sink *m = calloc(1, sizeof *m);

    if (!m)
        abort();
    m->sink.ops = &memory_sink_ops;
    m->dir = dir;
    m->fd = -1;
    return m;
}

static inline void memory_sink_free(struct memory_sink *m)
{
    if (m->open && m->fd >= 0)
        close(m->fd);
    for (size_t i = 0; i < m->count; i++)
        fact_list_release(&m->entries[i].facts);
    free(m);
}

#endif
