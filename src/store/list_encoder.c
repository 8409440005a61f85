#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "store/pipeline.h"

/* The records of an entry with data are held back until its END, because its ENTRY (written first) says what was seen
 * after reading, and because an entry may be abandoned. They wait in memory, and past SPOOL_BYTES in an unlinked
 * temporary file. */

enum { RUN_REFS = 256, SPOOL_BYTES = 512 * 1024 };

struct list_encoder {
    struct session *session;
    struct list_store *list;
    struct buf spool; /* RUN and HOLE records of the entry at hand */
    int spool_fd;     /* -1: everything is in spool */
    uint64_t spooled; /* bytes in the file */
    bool in_entry;
    struct run run;
    struct chunk_ref refs[RUN_REFS];
    struct buf record;  /* scratch */
    uint64_t entry_key; /* of the last ENTRY */
};

enum errc list_encoder_new(struct session *x, const struct stream_root *previous, struct list_encoder **out,
                           struct err *err)
{
    struct list_encoder *l;
    enum errc rc = mem_alloc(&l, sizeof *l, err);
    if (rc != ERR_OK)
        return rc;
    l->session = x;
    l->spool_fd = -1;
    buf_init(&l->spool, SPOOL_BYTES + LIST_RECORD_MAX_BYTES + 64);
    buf_init(&l->record, LIST_RECORD_MAX_BYTES + 64);
    rc = list_store_new(x, previous, &l->list, err);
    if (rc != ERR_OK) {
        list_encoder_free(l);
        return rc;
    }
    *out = l;
    return ERR_OK;
}

void list_encoder_free(struct list_encoder *l)
{
    if (!l)
        return;
    list_store_free(l->list);
    io_close_quietly(&l->spool_fd);
    buf_release(&l->spool);
    buf_release(&l->record);
    free(l);
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h ^ (h >> 32);
}

/* The key of a record: the path of its entry and, for runs and holes, the place in it. */
static uint64_t record_key(struct list_encoder *l, const struct list_record *rec)
{
    if (rec->kind == LIST_ENTRY) {
        uint64_t h = 0xcbf29ce484222325u;
        for (size_t i = 0; i < rec->u.entry.path_len; i++)
            h = (h ^ (uint8_t)rec->u.entry.path[i]) * 0x100000001b3u;
        l->entry_key = h;
        return mix(h, LIST_ENTRY);
    }
    uint64_t place = rec->kind == LIST_RUN ? rec->u.run.offset : rec->kind == LIST_HOLE ? rec->u.hole.offset : 0;
    return mix(mix(l->entry_key, rec->kind), place);
}

/* Hand whole records on, one by one. */
static enum errc pass_on(struct list_encoder *l, const uint8_t *data, size_t len, struct err *err)
{
    struct reader r = reader_of(data, len);
    for (;;) {
        struct list_record rec;
        bool more;
        enum errc rc = list_record_get(&r, &rec, &more, err);
        if (rc == ERR_OK && more)
            rc = list_store_add(l->list, rec.raw.data, rec.raw.len, record_key(l, &rec), err);
        if (rc != ERR_OK || !more)
            return rc;
    }
}

static enum errc spool(struct list_encoder *l, struct err *err)
{
    enum errc rc = buf_append(&l->spool, l->record.data, l->record.len, err);
    if (rc != ERR_OK || l->spool.len < SPOOL_BYTES)
        return rc;
    if (l->spool_fd < 0)
        rc = io_temp_file(&l->spool_fd, err);
    if (rc == ERR_OK)
        rc = io_pwrite(l->spool_fd, l->spool.data, l->spool.len, l->spooled, "a temporary file", err);
    l->spooled += l->spool.len;
    buf_clear(&l->spool);
    return rc;
}

static enum errc end_run(struct list_encoder *l, struct err *err)
{
    if (l->run.count == 0)
        return ERR_OK;
    buf_clear(&l->record);
    enum errc rc = run_put(&l->record, &l->run, l->refs, err);
    l->run.count = 0;
    return rc == ERR_OK ? spool(l, err) : rc;
}

/* What went to the file comes back through a window; a record cut by the window's end is read again. */
static enum errc unspool(struct list_encoder *l, struct err *err)
{
    uint8_t *window = NULL;
    size_t cap = SPOOL_BYTES + LIST_RECORD_MAX_BYTES;
    enum errc rc = l->spooled > 0 ? mem_alloc(&window, cap, err) : ERR_OK;
    for (uint64_t at = 0; rc == ERR_OK && at < l->spooled;) {
        size_t got;
        size_t want = l->spooled - at < cap ? (size_t)(l->spooled - at) : cap;
        rc = io_pread(l->spool_fd, window, want, at, &got, "a temporary file", err);
        struct reader r = reader_of(window, rc == ERR_OK ? got : 0);
        const uint8_t *whole = r.p; /* end of the last whole record */
        while (rc == ERR_OK && reader_left(&r) > 0) {
            struct reader ahead = r;
            (void)get_varint(&ahead);
            (void)get_counted(&ahead, LIST_RECORD_MAX_BYTES);
            if (!reader_ok(&ahead))
                break;
            r = ahead;
            whole = r.p;
        }
        if (rc == ERR_OK && whole == window)
            rc = err_fail(err, ERR_IO, "a temporary file does not hold what was written to it");
        if (rc == ERR_OK)
            rc = pass_on(l, window, (size_t)(whole - window), err);
        at += (uint64_t)(whole - window);
    }
    free(window);
    l->spooled = 0;
    if (rc == ERR_OK)
        rc = pass_on(l, l->spool.data, l->spool.len, err);
    buf_clear(&l->spool);
    return rc;
}

static enum errc on_slot(struct list_encoder *l, struct slot *s, struct err *err)
{
    enum errc rc = ERR_OK;
    if (s->store)
        rc = session_add_record(l->session, &s->encoded, err);
    if (rc == ERR_OK && l->run.count == RUN_REFS)
        rc = end_run(l, err);
    if (rc != ERR_OK)
        return rc;
    if (l->run.count == 0)
        l->run.offset = s->offset;
    l->refs[l->run.count++] = s->ref;
    return ERR_OK;
}

static enum errc on_hole(struct list_encoder *l, const struct slot *s, struct err *err)
{
    enum errc rc = end_run(l, err);
    buf_clear(&l->record);
    if (rc == ERR_OK)
        rc = hole_put(&l->record, s->offset, s->hole_len, err);
    return rc == ERR_OK ? spool(l, err) : rc;
}

static enum errc on_end(struct list_encoder *l, const struct batch *b, const struct event *e, struct err *err)
{
    enum errc rc = end_run(l, err);
    if (rc == ERR_OK)
        rc = pass_on(l, b->meta.data + e->at, e->len, err);
    if (rc == ERR_OK)
        rc = unspool(l, err);
    if (rc == ERR_OK)
        rc = pass_on(l, b->meta.data + e->at + e->len, e->len2, err);
    l->in_entry = false;
    return rc;
}

static enum errc on_event(struct list_encoder *l, struct batch *b, const struct event *e, struct err *err)
{
    switch (e->kind) {
    case EVENT_RAW:
        return pass_on(l, b->meta.data + e->at, e->len, err);
    case EVENT_BEGIN:
        l->in_entry = true;
        l->run = (struct run){.fixed = e->at};
        return ERR_OK;
    case EVENT_SLOT:
        return on_slot(l, &b->slots[e->at], err);
    case EVENT_HOLE:
        return on_hole(l, &b->slots[e->at], err);
    case EVENT_END:
        return on_end(l, b, e, err);
    case EVENT_ABANDON:
        l->run.count = 0;
        l->spooled = 0;
        buf_clear(&l->spool);
        l->in_entry = false;
        return ERR_OK;
    }
    return err_fail(err, ERR_INTERNAL, "an event of unknown kind");
}

enum errc list_encoder_batch(struct list_encoder *l, struct batch *b, struct err *err)
{
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < b->event_count; i++)
        rc = on_event(l, b, &b->events[i], err);
    return rc;
}

enum errc list_encoder_finish(struct list_encoder *l, struct stream_root *out, struct err *err)
{
    REQUIRE(!l->in_entry);
    return list_store_finish(l->list, out, err);
}
