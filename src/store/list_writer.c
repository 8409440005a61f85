#include <stdlib.h>
#include <string.h>

#include "store/pipeline.h"

/* The producer: cuts data, compares with the previous version, fills batches. An unchanged chunk is recognised by its
 * fingerprint alone; where the previous version's cut is expected, the fingerprint of that many bytes is tried before
 * any cut is looked for, because the cut is a function of these same bytes. */

/* LOOK_AHEAD_BYTES: what may wait for more data, so that a batch always has room for it. */
enum { OVERWRITTEN_MAX = 4, LOOK_AHEAD_BYTES = 2 * CHUNK_MAX_BYTES };

struct list_writer {
    struct session *session;
    struct list_encoder *encoder;
    struct pipeline *pipeline;
    struct batch *batch;        /* being filled; NULL after an error */
    struct prev_list *previous; /* NULL: none */
    bool failed, finished, in_entry;

    /* the entry at hand */
    uint32_t fixed;
    uint64_t data_offset, row_bytes; /* rows to cut between; row_bytes 0: none */
    uint64_t offset;                 /* of the first byte not yet cut */
    size_t start;                    /* the same, in batch->data */
    bool chunked;                    /* has at least one chunk already */
    struct matcher matcher;
    bool previous_found; /* seek found this path, its data records have not been used */
};

enum errc list_writer_open(struct session *x, const struct stream_root *previous, struct list_writer **out,
                           struct err *err)
{
    struct list_writer *w;
    REQUIRE(!x->in_list);
    enum errc rc = mem_alloc(&w, sizeof *w, err);
    if (rc != ERR_OK)
        return rc;
    w->session = x;
    rc = list_encoder_new(x, previous, &w->encoder, err);
    if (rc == ERR_OK && previous)
        rc = prev_list_open(x->store, previous, &w->previous, err);
    if (rc == ERR_OK)
        rc = pipeline_new(x, w->encoder, &w->pipeline, err);
    if (rc == ERR_OK)
        rc = pipeline_take(w->pipeline, &w->batch, err);
    if (rc != ERR_OK) {
        list_writer_free(w);
        return rc;
    }
    x->in_list = true;
    *out = w;
    return ERR_OK;
}

void list_writer_free(struct list_writer *w)
{
    if (!w)
        return;
    pipeline_free(w->pipeline);
    list_encoder_free(w->encoder);
    prev_list_free(w->previous);
    w->session->in_list = false;
    free(w);
}

/* Hand the batch on and take an empty one; bytes not yet cut move along. */
static enum errc next_batch(struct list_writer *w, struct err *err)
{
    struct batch *old = w->batch, *b;
    enum errc rc = pipeline_take(w->pipeline, &b, err);
    if (rc != ERR_OK)
        return rc;
    size_t tail = old->filled - w->start;
    memcpy(b->data, old->data + w->start, tail);
    b->filled = tail;
    old->filled = w->start;
    w->start = 0;
    w->batch = b;
    return pipeline_hand_in(w->pipeline, old, err);
}

static enum errc room(struct list_writer *w, struct err *err)
{
    const struct batch *b = w->batch;
    if (b->event_count + 4 >= BATCH_EVENTS || b->slot_count + 4 >= BATCH_SLOTS || b->meta.len >= BATCH_META_FULL)
        return next_batch(w, err);
    return ERR_OK;
}

static void push(struct list_writer *w, struct event e)
{
    w->batch->events[w->batch->event_count++] = e;
}

static struct slot *push_slot(struct list_writer *w, enum event_kind kind)
{
    struct slot *s = &w->batch->slots[w->batch->slot_count];
    memset(s, 0, sizeof *s);
    push(w, (struct event){.kind = kind, .at = (uint32_t)w->batch->slot_count++});
    return s;
}

/* --- the previous version ---------------------------------------------------------------------------------------- */

/* A damaged previous snapshot must not keep a new one from being made: it only costs time and space. */
static void give_up_previous(struct list_writer *w, const struct err *why)
{
    diag_message(w->session->diag, DIAG_WARNING, err_name(why->code),
                 "the previous snapshot cannot be read to the end (%s); what follows is read and stored anew",
                 why->message);
    prev_list_free(w->previous);
    w->previous = NULL;
    w->previous_found = false;
}

static void load_refs(struct list_writer *w)
{
    if (!w->previous_found || w->matcher.count - w->matcher.next > MATCH_WINDOW / 4)
        return;
    for (size_t free_refs = matcher_room(&w->matcher); free_refs > 0; free_refs--) {
        struct match_ref ref;
        struct err why;
        bool more;
        enum errc rc = prev_list_ref(w->previous, &ref, &more, &why);
        if (rc != ERR_OK)
            give_up_previous(w, &why);
        if (rc != ERR_OK || !more) {
            w->previous_found = false;
            return;
        }
        matcher_load(&w->matcher, &ref);
    }
}

/* Does data[0..len) have the fingerprint of ref? Whatever was computed is kept in *print. */
static enum errc same_print(struct list_writer *w, const uint8_t *data, const struct match_ref *ref, bool *same,
                            struct fingerprint *print, struct err *err)
{
    static const struct fingerprint unknown;
    *same = false;
    if (memcmp(&ref->ref.print, &unknown, sizeof unknown) == 0)
        return ERR_OK;
    enum errc rc = namer_fingerprint(pipeline_namer(w->pipeline), data, ref->ref.len, print, err);
    *same = rc == ERR_OK && memcmp(print, &ref->ref.print, sizeof *print) == 0;
    return rc;
}

/* --- cutting ------------------------------------------------------------------------------------------------------ */

static void put_slot(struct list_writer *w, struct slot filled)
{
    struct slot *s = push_slot(w, EVENT_SLOT);
    filled.offset = w->offset;
    *s = filled;
    w->start += filled.ref.len;
    w->offset += filled.ref.len;
    w->chunked = true;
}

static void put_known(struct list_writer *w, const struct chunk_ref *ref)
{
    put_slot(w, (struct slot){.ref = *ref});
}

static void put_new(struct list_writer *w, uint32_t len, const struct fingerprint *print, const struct match_ref *base,
                    bool only_chunk)
{
    struct slot s = {.ref.len = len, .data = w->batch->data + w->start, .want_print = !only_chunk};
    if (print && !only_chunk) {
        s.ref.print = *print;
        s.has_print = true;
    }
    if (base) {
        s.base = base->ref.name;
        s.has_base = true;
    }
    w->batch->work = true;
    put_slot(w, s);
}

/* Fixed cuts: the reference at the same offset, same length or not, is what the chunk is compared with. */
static enum errc cut_fixed(struct list_writer *w, uint32_t len, struct err *err)
{
    struct fingerprint print;
    const struct match_ref *ref;
    bool same = false, printed = false;
    enum errc rc = ERR_OK;
    load_refs(w);
    while ((ref = matcher_expected(&w->matcher)) != NULL && ref->offset < w->offset) {
        w->matcher.next++;
        load_refs(w);
    }
    ref = matcher_expected(&w->matcher);
    if (ref && ref->offset != w->offset)
        ref = NULL;
    if (ref && ref->ref.len == len) {
        rc = same_print(w, w->batch->data + w->start, ref, &same, &print, err);
        printed = true;
    }
    if (rc != ERR_OK)
        return rc;
    if (same)
        put_known(w, &ref->ref);
    else
        put_new(w, len, printed ? &print : NULL, ref, false);
    return ERR_OK;
}

/* Content cuts, where the previous version's next cut is expected. *done: the chunk was taken. *wait: more bytes are
 * needed to tell. */
static enum errc cut_expected(struct list_writer *w, size_t avail, bool final, bool *done, bool *wait, struct err *err)
{
    const struct match_ref *ref = matcher_expected(&w->matcher);
    struct fingerprint print;
    *done = *wait = false;
    if (!ref)
        return ERR_OK;
    if (ref->ref.len > avail) {
        *wait = !final && ref->ref.len <= CHUNK_MAX_BYTES;
        return ERR_OK;
    }
    if (ref->last && !(final && avail == ref->ref.len)) {
        /* Its end was not a cut by content: only the same end makes it the same chunk. */
        *wait = !final && avail == ref->ref.len;
        return ERR_OK;
    }
    enum errc rc = same_print(w, w->batch->data + w->start, ref, done, &print, err);
    if (rc == ERR_OK && *done) {
        struct chunk_ref known = ref->ref;
        matcher_matched(&w->matcher, (int)w->matcher.next, w->offset);
        put_known(w, &known);
    }
    return rc;
}

/* Bytes overwritten in place move no cut: when what follows the expected chunk is still there at its old distance, the
 * old cut is kept, so that the delta's base covers just this chunk. Looks a few chunks on, for changes
 * that lie close together. */
static enum errc cut_overwritten(struct list_writer *w, size_t avail, bool final, bool *done, bool *wait,
                                 struct err *err)
{
    const struct match_ref *ref = matcher_expected(&w->matcher);
    const uint8_t *data = w->batch->data + w->start;
    *done = *wait = false;
    if (!ref || ref->last || ref->ref.len > avail)
        return ERR_OK;
    size_t at = ref->ref.len;
    for (size_t i = w->matcher.next + 1; i < w->matcher.count && i <= w->matcher.next + OVERWRITTEN_MAX; i++) {
        const struct match_ref *next = &w->matcher.refs[i];
        struct fingerprint print;
        if (at + next->ref.len > LOOK_AHEAD_BYTES)
            break;
        if (at + next->ref.len > avail) {
            *wait = !final;
            return ERR_OK;
        }
        enum errc rc = same_print(w, data + at, next, done, &print, err);
        if (rc != ERR_OK)
            return rc;
        if (*done || next->last)
            break;
        at += next->ref.len;
    }
    if (*done) {
        struct match_ref base = *ref;
        matcher_matched(&w->matcher, (int)w->matcher.next, w->offset);
        put_new(w, base.ref.len, NULL, &base, false);
    }
    return ERR_OK;
}

/* The rows as seen from the first byte not yet cut. */
static struct cut_rows rows_here(const struct list_writer *w)
{
    uint64_t into = w->offset < w->data_offset ? 0 : (w->offset - w->data_offset) % w->row_bytes;
    return (struct cut_rows){.row_bytes = w->row_bytes,
                             .to_border = w->offset < w->data_offset ? w->data_offset - w->offset
                                          : into > 0                 ? w->row_bytes - into
                                                                     : 0};
}

static size_t next_cut(const struct list_writer *w, const uint8_t *data, size_t avail, bool final)
{
    const struct gear *gear = &w->session->store->gear;
    if (w->row_bytes == 0)
        return cut_next(gear, data, avail, final);
    struct cut_rows rows = rows_here(w);
    return cut_next_row(gear, &rows, data, avail, final);
}

static size_t candidates(const struct list_writer *w, const uint8_t *data, size_t avail, size_t near, size_t *out,
                         size_t cap)
{
    const struct gear *gear = &w->session->store->gear;
    if (w->row_bytes == 0)
        return cut_candidates(gear, data, avail, near, out, cap);
    struct cut_rows rows = rows_here(w);
    return cut_candidates_row(gear, &rows, data, avail, near, out, cap);
}

/* A change that moved what follows: among the places where a cut could be, one has the chunk after the expected one
 * behind it. */
static enum errc cut_moved(struct list_writer *w, size_t avail, bool final, bool *done, bool *wait, struct err *err)
{
    enum { CANDIDATES = 8 };
    const struct match_ref *ref = matcher_expected(&w->matcher);
    const uint8_t *data = w->batch->data + w->start;
    size_t ends[CANDIDATES];
    *done = *wait = false;
    if (!ref || ref->last || w->matcher.next + 1 >= w->matcher.count)
        return ERR_OK;
    const struct match_ref *next = &w->matcher.refs[w->matcher.next + 1];
    *wait = !final && avail < w->session->store->gear.params.max + (size_t)next->ref.len;
    if (next->last || *wait)
        return ERR_OK;
    size_t count = candidates(w, data, avail, ref->ref.len, ends, CANDIDATES);
    for (size_t i = 0; i < count && !*done; i++) {
        struct fingerprint print;
        if (next->ref.len > avail - ends[i])
            continue;
        enum errc rc = same_print(w, data + ends[i], next, done, &print, err);
        if (rc != ERR_OK)
            return rc;
        if (*done) {
            struct match_ref base = *ref;
            matcher_matched(&w->matcher, (int)w->matcher.next, w->offset);
            w->matcher.anchor_new = w->offset + ends[i];
            put_new(w, (uint32_t)ends[i], NULL, &base, false);
        }
    }
    return ERR_OK;
}

static enum errc cut_content(struct list_writer *w, size_t avail, bool final, bool *wait, struct err *err)
{
    bool done;
    load_refs(w);
    enum errc rc = cut_expected(w, avail, final, &done, wait, err);
    if (rc == ERR_OK && !done && !*wait)
        rc = cut_overwritten(w, avail, final, &done, wait, err);
    if (rc == ERR_OK && !done && !*wait)
        rc = cut_moved(w, avail, final, &done, wait, err);
    if (rc != ERR_OK || done || *wait)
        return rc;
    const uint8_t *data = w->batch->data + w->start;
    uint32_t len = (uint32_t)next_cut(w, data, avail, final);
    *wait = len == 0;
    if (*wait)
        return ERR_OK;
    if (w->matcher.count == 0) {
        put_new(w, len, NULL, NULL, final && len == avail && !w->chunked);
        return ERR_OK;
    }
    struct fingerprint print;
    rc = namer_fingerprint(pipeline_namer(w->pipeline), data, len, &print, err);
    if (rc != ERR_OK)
        return rc;
    int i = matcher_find(&w->matcher, len, &print);
    if (i >= 0) {
        struct chunk_ref known = w->matcher.refs[i].ref;
        matcher_matched(&w->matcher, i, w->offset);
        put_known(w, &known);
        return ERR_OK;
    }
    i = matcher_base(&w->matcher, w->offset, len);
    if (i >= 0)
        w->matcher.next = (size_t)i + 1;
    put_new(w, len, &print, i >= 0 ? &w->matcher.refs[i] : NULL, final && len == avail && !w->chunked);
    return ERR_OK;
}

/* Cut what can be cut. final: the data end here (or a hole begins). */
static enum errc cut(struct list_writer *w, bool final, struct err *err)
{
    enum errc rc = ERR_OK;
    bool wait = false;
    while (rc == ERR_OK && !wait && w->batch->filled > w->start) {
        size_t avail = w->batch->filled - w->start;
        rc = room(w, err);
        if (rc != ERR_OK)
            return rc;
        if (w->fixed == 0) {
            rc = cut_content(w, avail, final, &wait, err);
        } else if (avail >= w->fixed || final) {
            rc = cut_fixed(w, (uint32_t)(avail < w->fixed ? avail : w->fixed), err);
        } else {
            wait = true;
        }
    }
    return rc;
}

/* --- the interface --------------------------------------------------------------------------------------------------
 */

static enum errc done(struct list_writer *w, enum errc rc)
{
    if (rc != ERR_OK)
        w->failed = true;
    return rc;
}

enum errc list_writer_previous(struct list_writer *w, const char *path, size_t path_len, const struct entry **entry_out,
                               struct err *err)
{
    REQUIRE(!w->failed && !w->in_entry);
    *entry_out = NULL;
    w->previous_found = false;
    if (!w->previous)
        return ERR_OK;
    struct err why;
    if (prev_list_seek(w->previous, path, path_len, entry_out, &why) != ERR_OK) {
        give_up_previous(w, &why);
        *entry_out = NULL;
        return ERR_OK;
    }
    (void)err;
    w->previous_found = *entry_out != NULL && entry_has_data((*entry_out)->type);
    return ERR_OK;
}

enum errc list_writer_node(struct list_writer *w, const struct entry *e, struct err *err)
{
    REQUIRE(!w->failed && !w->in_entry);
    enum errc rc = room(w, err);
    size_t at = w->batch->meta.len;
    if (rc == ERR_OK)
        rc = entry_put(&w->batch->meta, e, err);
    if (rc == ERR_OK)
        push(w, (struct event){.kind = EVENT_RAW, .at = (uint32_t)at, .len = (uint32_t)(w->batch->meta.len - at)});
    return done(w, rc);
}

enum errc list_writer_begin(struct list_writer *w, uint32_t fixed, struct err *err)
{
    REQUIRE(!w->failed && !w->in_entry && fixed <= CHUNK_MAX_BYTES);
    enum errc rc = room(w, err);
    if (rc == ERR_OK) {
        push(w, (struct event){.kind = EVENT_BEGIN, .at = fixed});
        w->in_entry = true;
        w->fixed = fixed;
        w->row_bytes = 0;
        w->offset = 0;
        w->start = w->batch->filled;
        w->chunked = false;
        matcher_reset(&w->matcher);
    }
    return done(w, rc);
}

void list_writer_rows(struct list_writer *w, uint64_t data_offset, uint64_t row_bytes)
{
    REQUIRE(w->in_entry && w->offset == 0);
    if (row_bytes >= CUT_ROW_MIN_BYTES && row_bytes <= CHUNK_MAX_BYTES && data_offset <= INT64_MAX) {
        w->data_offset = data_offset;
        w->row_bytes = row_bytes;
    }
}

enum errc list_writer_space(struct list_writer *w, uint8_t **ptr_out, size_t *room_out, struct err *err)
{
    REQUIRE(!w->failed && w->in_entry);
    enum errc rc = ERR_OK;
    if (BATCH_BYTES - w->batch->filled < 64 * 1024)
        rc = next_batch(w, err);
    *ptr_out = w->batch->data + w->batch->filled;
    *room_out = BATCH_BYTES - w->batch->filled;
    return done(w, rc);
}

enum errc list_writer_advance(struct list_writer *w, size_t len, struct err *err)
{
    REQUIRE(!w->failed && w->in_entry && len <= BATCH_BYTES - w->batch->filled);
    w->batch->filled += len;
    return done(w, cut(w, false, err));
}

enum errc list_writer_data(struct list_writer *w, const void *data, size_t len, struct err *err)
{
    const uint8_t *from = data;
    while (len > 0) {
        uint8_t *to;
        size_t room_left;
        enum errc rc = list_writer_space(w, &to, &room_left, err);
        if (rc != ERR_OK)
            return rc;
        size_t n = len < room_left ? len : room_left;
        memcpy(to, from, n);
        rc = list_writer_advance(w, n, err);
        if (rc != ERR_OK)
            return rc;
        from += n;
        len -= n;
    }
    return ERR_OK;
}

enum errc list_writer_hole(struct list_writer *w, uint64_t len, struct err *err)
{
    REQUIRE(!w->failed && w->in_entry);
    enum errc rc = cut(w, true, err);
    if (rc == ERR_OK)
        rc = room(w, err);
    if (rc == ERR_OK) {
        struct slot *s = push_slot(w, EVENT_HOLE);
        s->offset = w->offset;
        s->hole_len = len;
        w->offset += len;
        w->chunked = true;
    }
    return done(w, rc);
}

enum errc list_writer_end(struct list_writer *w, const struct entry *e, const struct entry_end *end, struct err *err)
{
    REQUIRE(!w->failed && w->in_entry);
    enum errc rc = cut(w, true, err);
    if (rc == ERR_OK)
        rc = room(w, err);
    size_t at = w->batch->meta.len, middle = at;
    if (rc == ERR_OK) {
        rc = entry_put(&w->batch->meta, e, err);
        middle = w->batch->meta.len;
    }
    if (rc == ERR_OK)
        rc = entry_end_put(&w->batch->meta, end, err);
    if (rc == ERR_OK)
        push(w, (struct event){.kind = EVENT_END,
                               .at = (uint32_t)at,
                               .len = (uint32_t)(middle - at),
                               .len2 = (uint32_t)(w->batch->meta.len - middle)});
    w->in_entry = false;
    w->previous_found = false;
    return done(w, rc);
}

enum errc list_writer_abandon(struct list_writer *w, struct err *err)
{
    REQUIRE(!w->failed && w->in_entry);
    w->batch->filled = w->start; /* what was not cut yet */
    enum errc rc = room(w, err);
    if (rc == ERR_OK)
        push(w, (struct event){.kind = EVENT_ABANDON});
    w->in_entry = false;
    w->previous_found = false;
    return done(w, rc);
}

enum errc list_writer_reuse(struct list_writer *w, const struct entry *e, struct err *err)
{
    REQUIRE(!w->failed && !w->in_entry && w->previous_found);
    enum errc rc = list_writer_node(w, e, err);
    bool ended = false;
    while (rc == ERR_OK) {
        const struct list_record *rec;
        rc = prev_list_record(w->previous, &rec, err);
        if (rc != ERR_OK || !rec)
            break;
        rc = room(w, err);
        size_t at = w->batch->meta.len;
        if (rc == ERR_OK)
            rc = buf_append(&w->batch->meta, rec->raw.data, rec->raw.len, err);
        if (rc == ERR_OK)
            push(w, (struct event){.kind = EVENT_RAW, .at = (uint32_t)at, .len = (uint32_t)rec->raw.len});
        ended = rec->kind == LIST_END;
    }
    if (rc == ERR_OK && !ended)
        rc = err_fail(err, ERR_DAMAGED, "an entry of the previous snapshot has no end");
    w->previous_found = false;
    return done(w, rc);
}

enum errc list_writer_finish(struct list_writer *w, struct stream_root *root_out, struct err *err)
{
    REQUIRE(!w->failed && !w->finished && !w->in_entry);
    w->finished = true;
    enum errc rc = pipeline_finish(w->pipeline, w->batch, err);
    if (rc == ERR_OK)
        rc = list_encoder_finish(w->encoder, root_out, err);
    return done(w, rc);
}
