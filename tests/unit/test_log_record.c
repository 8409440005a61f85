/* log_record.h: bodies of every kind, frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "format/log_record.h"

static struct err err;
#define OK(call) assert_int_equal((call), ERR_OK)

static struct log_body head_of(enum log_kind kind)
{
    struct log_body b = {
        .head = {.number = 42, .writer = {1, 2}, .session = {3, 4}, .time = {1795230000, 123}, .kind = kind}};
    memset(b.head.prev.b, 0xcd, sizeof b.head.prev.b);
    return b;
}

static char *text(const char *s)
{
    char *copy = strdup(s);
    assert_non_null(copy);
    return copy;
}

static struct log_body snapshot_body(void)
{
    struct log_body b = head_of(LOG_SNAPSHOT);
    struct snapshot *s = &b.snapshot;
    *s = (struct snapshot){.id = {{1, 2, 3}},
                           .kind = SNAPSHOT_FORENSIC,
                           .partial = true,
                           .set = text("hybridflow"),
                           .host = text("db1"),
                           .user = text("root"),
                           .tag_count = 2,
                           .time = {1795220000, 999999999},
                           .duration_ms = 1234,
                           .bytes_read = 1,
                           .bytes_source = UINT64_MAX,
                           .bytes_added = 3,
                           .chunks_new = 4,
                           .chunks_delta = 5,
                           .of_run = {{7}},
                           .item_count = 2,
                           .pack_count = 3};
    s->tags = calloc(2, sizeof *s->tags);
    s->tags[0] = text("nightly");
    s->tags[1] = text("");
    s->items = calloc(2, sizeof *s->items);
    s->items[0] = (struct item){.source = text("metadata"),
                                .path = text("/srv/app/metadata.db"),
                                .type = ITEM_SQLITE,
                                .state = STATE_EXACT,
                                .good = true,
                                .entries = 1,
                                .bytes = 716000000,
                                .list = {.depth = 2, .bytes = 1 << 30, .count = 32}};
    for (uint32_t i = 0; i < 32; i++) {
        s->items[0].list.refs[i].len = 1000 + i;
        memset(s->items[0].list.refs[i].name.b, (int)i, NAME_BYTES);
        s->items[0].list.refs[i].print.b[3] = (uint8_t)i;
    }
    OK(fact_set_int(&s->items[0].facts, "rows.tasks", 70000, &err));
    s->items[1] = (struct item){
        .source = text("/srv/\n\xff"), .path = text("/srv/\n\xff"), .type = ITEM_FILES, .state = STATE_ERROR};
    s->packs = calloc(3, sizeof *s->packs);
    memset(s->packs, 0x5a, 3 * sizeof *s->packs);
    return b;
}

static struct log_body run_body(void)
{
    struct log_body b = head_of(LOG_RUN);
    b.run = (struct run_record){.id = {{8, 8}},
                                .verb = text("restore"),
                                .state = text("intent"),
                                .user = text("root"),
                                .host = text("db1"),
                                .detail = text("a sentence"),
                                .begun = {-5, 1},
                                .duration_ms = 99,
                                .has_snapshot = true,
                                .snapshot = {{0}},
                                .step_count = 2,
                                .plan = (uint8_t *)text("plan"),
                                .plan_len = 4,
                                .target = text("/tmp/x")};
    b.run.steps = calloc(2, sizeof *b.run.steps);
    b.run.steps[0] = (struct run_step){.what = text("stage"), .begun = {1, 2}, .duration_ms = 3, .ok = true};
    b.run.steps[1] = (struct run_step){.what = text("swap /srv/app.db"), .detail = text("")};
    return b;
}

static struct log_body verified_body(void)
{
    struct log_body b = head_of(LOG_VERIFIED);
    b.verified_count = 2;
    b.verified = calloc(2, sizeof *b.verified);
    b.verified[0] = (struct verified){.id = {{1}}, .level = 7, .ok = true};
    b.verified[1] = (struct verified){.id = {{2}}, .level = 1, .detail = text("a pack is missing")};
    return b;
}

static struct log_body ids_body(enum log_kind kind, size_t ids, size_t packs, const char *name)
{
    struct log_body b = head_of(kind);
    b.id_count = ids;
    b.ids = calloc(ids ? ids : 1, sizeof *b.ids);
    memset(b.ids, 0x77, ids * sizeof *b.ids);
    b.pack_count = packs;
    b.packs = calloc(packs ? packs : 1, sizeof *b.packs);
    memset(b.packs, 0x66, packs * sizeof *b.packs);
    b.name = name ? text(name) : NULL;
    return b;
}

/* Encode, decode, encode: the same bytes, so nothing was lost. Decoding what was decoded is up to the caller. */
static void through(struct log_body *in, struct log_body *out)
{
    struct buf b, again;
    buf_init(&b, 2 * LOG_RECORD_MAX_BYTES);
    buf_init(&again, 2 * LOG_RECORD_MAX_BYTES);
    OK(log_body_put(&b, in, &err));
    OK(log_body_get(b.data, b.len, out, &err));
    OK(log_body_put(&again, out, &err));
    assert_int_equal(b.len, again.len);
    assert_memory_equal(b.data, again.data, b.len);
    for (size_t len = 0; len < b.len; len++) { /* cut anywhere: no crash, and an error unless a whole field is gone */
        struct log_body cut;
        if (log_body_get(b.data, len, &cut, &err) == ERR_OK)
            log_body_release(&cut);
    }
    assert_int_equal(out->head.kind, in->head.kind);
    assert_true(out->head.number == in->head.number);
    assert_memory_equal(&out->head.prev, &in->head.prev, sizeof in->head.prev);
    assert_memory_equal(out->head.writer, in->head.writer, 8);
    assert_memory_equal(out->head.session, in->head.session, 8);
    assert_true(out->head.time.sec == in->head.time.sec && out->head.time.nsec == in->head.time.nsec);
    buf_release(&b);
    buf_release(&again);
}

static void snapshots_round_trip(void **state)
{
    (void)state;
    struct log_body in = snapshot_body(), out;
    through(&in, &out);
    const struct snapshot *a = &in.snapshot, *b = &out.snapshot;
    assert_memory_equal(&b->id, &a->id, sizeof a->id);
    assert_true(b->kind == a->kind && b->partial && b->time.nsec == 999999999 && b->duration_ms == 1234);
    assert_true(b->bytes_read == 1 && b->bytes_source == UINT64_MAX && b->bytes_added == 3 && b->chunks_new == 4 &&
                b->chunks_delta == 5);
    assert_string_equal(b->set, "hybridflow");
    assert_string_equal(b->host, "db1");
    assert_string_equal(b->user, "root");
    assert_int_equal(b->tag_count, 2);
    assert_string_equal(b->tags[0], "nightly");
    assert_string_equal(b->tags[1], "");
    assert_memory_equal(&b->of_run, &a->of_run, sizeof a->of_run);
    assert_int_equal(b->item_count, 2);
    assert_memory_equal(&b->items[0].list, &a->items[0].list, sizeof a->items[0].list);
    assert_true(fact_find(&b->items[0].facts, "rows.tasks")->integer == 70000);
    assert_true(b->items[0].good && !b->items[1].good && b->items[1].state == STATE_ERROR);
    assert_true(b->items[0].bytes == 716000000 && b->items[0].entries == 1 && b->items[0].type == ITEM_SQLITE);
    assert_string_equal(b->items[1].path, "/srv/\n\xff");
    assert_int_equal(b->pack_count, 3);
    assert_memory_equal(b->packs, a->packs, 3 * sizeof *a->packs);
    log_body_release(&in);
    log_body_release(&out);
}

static void runs_round_trip(void **state)
{
    (void)state;
    struct log_body in = run_body(), out;
    through(&in, &out);
    const struct run_record *r = &out.run;
    assert_string_equal(r->verb, "restore");
    assert_string_equal(r->state, "intent");
    assert_string_equal(r->detail, "a sentence");
    assert_string_equal(r->target, "/tmp/x");
    assert_true(r->has_snapshot && !r->has_forensic && r->begun.sec == -5 && r->duration_ms == 99);
    assert_int_equal(r->step_count, 2);
    assert_string_equal(r->steps[1].what, "swap /srv/app.db");
    assert_string_equal(r->steps[1].detail, "");
    assert_null(r->steps[0].detail);
    assert_true(r->steps[0].ok && !r->steps[1].ok);
    assert_int_equal(r->plan_len, 4);
    assert_memory_equal(r->plan, "plan", 4);
    log_body_release(&in);
    log_body_release(&out);
    in = head_of(LOG_RUN);
    in.run.verb = text("backup");
    through(&in, &out);
    assert_string_equal(out.run.state, "");
    assert_string_equal(out.run.host, "");
    assert_null(out.run.target);
    log_body_release(&in);
    log_body_release(&out);
}

static void other_kinds_round_trip(void **state)
{
    (void)state;
    struct log_body in = verified_body(), out;
    through(&in, &out);
    assert_int_equal(out.verified_count, 2);
    assert_true(out.verified[0].ok && out.verified[0].level == 7 && !out.verified[0].detail);
    assert_string_equal(out.verified[1].detail, "a pack is missing");
    log_body_release(&in);
    log_body_release(&out);
    struct log_body bodies[] = {
        ids_body(LOG_DROP, 3, 2, NULL),
        ids_body(LOG_DROP, 0, 0, NULL),
        ids_body(LOG_TRASH, 2, 0, NULL),
        ids_body(LOG_UNTRASH, 1, 0, NULL),
        ids_body(LOG_HOLD, 1, 0, "v1_baseline"),
        ids_body(LOG_RELEASE, 0, 0, "v1_baseline"),
        head_of(LOG_CHECKPOINT),
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        through(&bodies[i], &out);
        assert_int_equal(out.id_count, bodies[i].id_count);
        assert_int_equal(out.pack_count, bodies[i].pack_count);
        if (out.id_count)
            assert_memory_equal(out.ids, bodies[i].ids, out.id_count * sizeof *out.ids);
        if (bodies[i].name)
            assert_string_equal(out.name, "v1_baseline");
        log_body_release(&out);
        log_body_release(&bodies[i]);
    }
}

static void what_is_too_much_is_not_written(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4 * LOG_RECORD_MAX_BYTES);
    struct log_body body = ids_body(LOG_DROP, 0, LOG_RECORD_MAX_BYTES / 32 + 1, NULL);
    assert_int_equal(log_body_put(&b, &body, &err), ERR_LIMIT);
    body.pack_count = LOG_RECORD_MAX_BYTES / 32 - 1; /* fits, head included? no: 32 bytes are too few for the head */
    assert_int_equal(log_body_put(&b, &body, &err), ERR_LIMIT);
    assert_int_equal(b.len, 0);
    log_body_release(&body);
    body = ids_body(LOG_HOLD, 2, 0, "two");
    assert_int_not_equal(log_body_put(&b, &body, &err), ERR_OK);
    body.id_count = 1;
    body.name[0] = '\0';
    assert_int_not_equal(log_body_put(&b, &body, &err), ERR_OK);
    log_body_release(&body);
    body = head_of(LOG_CHECKPOINT);
    body.head.number = 0;
    assert_int_not_equal(log_body_put(&b, &body, &err), ERR_OK);
    body = snapshot_body();
    body.snapshot.time.nsec = 1000000000;
    assert_int_not_equal(log_body_put(&b, &body, &err), ERR_OK);
    log_body_release(&body);
    assert_int_equal(b.len, 0);
    buf_release(&b);
}

/* A body of fields made by hand. */
static enum errc read_fields(uint64_t kind, bool critical, const char *rest, size_t rest_len, struct log_body *out)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    OK(put_field_varint(&b, 1, critical, kind, &err));
    OK(put_field_varint(&b, 2, true, 5, &err));
    OK(buf_append(&b, rest, rest_len, &err));
    enum errc rc = log_body_get(b.data, b.len, out, &err);
    buf_release(&b);
    return rc;
}

static void unknown_kinds(void **state)
{
    (void)state;
    struct log_body out;
    assert_int_equal(read_fields(77, true, "", 0, &out), ERR_FORMAT_NEWER);
    OK(read_fields(77, false, "\xc9\x01\x01x", 4,
                   &out)); /* field 100, critical, behind the head of a kind nobody needs */
    assert_int_equal(out.head.kind, 77);
    assert_true(out.head.number == 5);
    log_body_release(&out);
    OK(read_fields(LOG_CHECKPOINT, true, "\xc8\x01\x01x", 4, &out)); /* field 100, not critical */
    log_body_release(&out);
    assert_int_equal(read_fields(LOG_CHECKPOINT, true, "\xc9\x01\x01x", 4, &out), ERR_FORMAT_NEWER);
}

static void malformed_bodies_are_damage(void **state)
{
    (void)state;
    static const struct {
        enum log_kind kind;
        const char *rest;
        size_t len;
    } bad[] = {
        {LOG_SNAPSHOT, "", 0},         /* no snapshot in it */
        {LOG_SNAPSHOT, "\x21\x00", 2}, /* one without a kind */
        {LOG_RUN, "", 0},              /* no run in it */
        {LOG_HOLD,
         "\x27\x03"
         "abc",
         5},                  /* half an id */
        {LOG_RELEASE, "", 0}, /* no name */
        {LOG_RELEASE,
         "\x2b\x02"
         "a\0",
         4}, /* NUL in a name */
        {LOG_CHECKPOINT,
         "\x2b\x01"
         "a",
         3},                                             /* what its kind does not have */
        {LOG_CHECKPOINT, "\x05\x01\x01", 3},             /* the number twice */
        {LOG_CHECKPOINT, "\x0c\x02\x00\x00\x0a\x00", 6}, /* order */
        {LOG_DROP, "\x2b", 1},                           /* cut */
    };
    struct log_body out;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(read_fields(bad[i].kind, true, bad[i].rest, bad[i].len, &out), ERR_DAMAGED);
    assert_int_equal(log_body_get("", 0, &out, &err), ERR_DAMAGED);
}

/* Frames */

static const struct repo_id REPO = {{1, 2, 3}};

static struct key_bundle two_keys(void)
{
    struct key_bundle k = {.data_count = 2, .data = {{.id = 10, .key = {1}}, {.id = 11, .key = {2}}}};
    return k;
}

static void frames_open_as_they_were_sealed(void **state)
{
    (void)state;
    struct key_bundle keys = two_keys(), old = two_keys();
    struct buf frame, body;
    buf_init(&frame, 1 << 20);
    buf_init(&body, 1 << 20);
    OK(log_frame_seal(&frame, &REPO, &keys, 7, "a body", 6, &err));
    assert_int_equal(frame.len, 168 + 6 + 16);
    OK(log_frame_open(frame.data, frame.len, &REPO, &keys, 7, &body, &err));
    assert_int_equal(body.len, 6);
    assert_memory_equal(body.data, "a body", 6);

    struct repo_id other = {{1, 2, 4}};
    assert_int_equal(log_frame_open(frame.data, frame.len, &REPO, &keys, 8, &body, &err), ERR_DAMAGED);
    assert_int_equal(log_frame_open(frame.data, frame.len, &other, &keys, 7, &body, &err), ERR_DAMAGED);
    old.data_count = 1; /* sealed under the current key, which this bundle lacks */
    assert_int_equal(log_frame_open(frame.data, frame.len, &REPO, &old, 7, &body, &err), ERR_DAMAGED);
    buf_clear(&frame);
    OK(log_frame_seal(&frame, &REPO, &old, 7, "", 0, &err));
    OK(log_frame_open(frame.data, frame.len, &REPO, &keys, 7, &body, &err)); /* an earlier key still opens */
    assert_int_equal(body.len, 6);
    buf_release(&frame);
    buf_release(&body);
}

static void altered_frames_do_not_open(void **state)
{
    (void)state;
    struct key_bundle keys = two_keys();
    struct buf frame, body;
    buf_init(&frame, 1 << 20);
    buf_init(&body, 1 << 20);
    OK(log_frame_seal(&frame, &REPO, &keys, 7, "a body", 6, &err));
    for (size_t i = 0; i < frame.len; i++) {
        if (i >= 100 && i < 164)
            continue; /* room for a signature */
        frame.data[i] ^= 0x40;
        enum errc rc = log_frame_open(frame.data, frame.len, &REPO, &keys, 7, &body, &err);
        assert_int_equal(rc, i >= 8 && i < 12 ? ERR_FORMAT_NEWER : ERR_DAMAGED);
        frame.data[i] ^= 0x40;
    }
    for (size_t len = 0; len < frame.len; len++)
        assert_int_equal(log_frame_open(frame.data, len, &REPO, &keys, 7, &body, &err), ERR_DAMAGED);
    assert_int_equal(body.len, 0);
    buf_release(&frame);
    buf_release(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshots_round_trip),
        cmocka_unit_test(runs_round_trip),
        cmocka_unit_test(other_kinds_round_trip),
        cmocka_unit_test(what_is_too_much_is_not_written),
        cmocka_unit_test(unknown_kinds),
        cmocka_unit_test(malformed_bodies_are_damage),
        cmocka_unit_test(frames_open_as_they_were_sealed),
        cmocka_unit_test(altered_frames_do_not_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
