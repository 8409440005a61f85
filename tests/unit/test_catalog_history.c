/* The catalog takes in log records and answers about snapshots and runs. */
#include "test_catalog.h"

/* A catalog and the head it stands at. */
struct world {
    struct place_for_test p;
    struct catalog *c;
    uint64_t number;
    struct digest head;
};

static void world_begin(struct world *w)
{
    memset(w, 0, sizeof *w);
    place_begin(&w->p);
    w->c = open_catalog(&w->p);
}

static void world_end(struct world *w)
{
    catalog_close(w->c);
    place_end(&w->p);
}

/* Number the body and take it in. */
static void apply(struct world *w, struct log_body *body)
{
    struct digest d = digest_of(w->number + 1);

    body->head.number = w->number + 1;
    body->head.prev = w->head;
    if (body->head.time.sec == 0)
        body->head.time.sec = 1700000000 + (int64_t)w->number;
    OK(catalog_apply(w->c, body, &d, err));
    w->number++;
    w->head = d;
}

static struct snapshot_id id_of(uint64_t number)
{
    struct snapshot_id id;

    fill_from(id.b, sizeof id.b, number);
    return id;
}

struct brief { /* of a snapshot to be made */
    uint64_t id;
    const char *set, *source, *tag;
    enum snapshot_kind kind;
    bool partial;
};

static void add_snapshot(struct world *w, const struct brief *b)
{
    struct log_body body = {.head.kind = LOG_SNAPSHOT};
    struct snapshot *s = &body.snapshot;
    struct err e;
    enum errc rc;

    s->id = id_of(b->id);
    s->kind = b->kind ? b->kind : SNAPSHOT_BACKUP;
    s->partial = b->partial;
    s->time = (struct timestamp){1600000000 - (int64_t)b->id, 5}; /* not the order of the log */
    rc = mem_strdup(&s->set, b->set ? b->set : "main", &e);
    if (rc == ERR_OK)
        rc = mem_strdup(&s->host, "host", &e);
    if (rc == ERR_OK)
        rc = mem_strdup(&s->user, "user", &e);
    if (rc == ERR_OK)
        rc = mem_alloc(&s->items, sizeof *s->items, &e);
    assert_int_equal(rc, ERR_OK);
    s->item_count = 1;
    rc = mem_strdup(&s->items[0].source, b->source ? b->source : "db", &e);
    if (rc == ERR_OK)
        rc = mem_strdup(&s->items[0].path, "/srv/app.db", &e);
    s->items[0].type = ITEM_SQLITE;
    if (rc == ERR_OK && b->tag) {
        rc = mem_alloc(&s->tags, sizeof *s->tags, &e);
        assert_int_equal(rc, ERR_OK);
        s->tag_count = 1;
        rc = mem_strdup(&s->tags[0], b->tag, &e);
    }
    assert_int_equal(rc, ERR_OK);
    apply(w, &body);
    log_body_release(&body);
}

static void add_mark(struct world *w, enum log_kind kind, uint64_t id, const char *name)
{
    struct snapshot_id ids[1] = {id_of(id)};
    char text[64] = "";
    struct log_body body = {.head.kind = kind, .ids = ids, .id_count = id ? 1 : 0};

    if (name) {
        snprintf(text, sizeof text, "%s", name);
        body.name = text;
    }
    apply(w, &body);
}

static void add_note(struct world *w, uint64_t id, uint32_t level, bool ok)
{
    struct verified v[1] = {{.id = id_of(id), .level = level, .ok = ok}};
    struct log_body body = {.head.kind = LOG_VERIFIED, .verified = v, .verified_count = 1};

    apply(w, &body);
}

struct seen {
    uint64_t ids[32];
    size_t count, stop_after;
};

static enum errc note_row(void *arg, struct snapshot_row *row, struct err *err)
{
    struct seen *s = arg;

    for (uint64_t i = 1; i < 32; i++) {
        struct snapshot_id id = id_of(i);

        if (memcmp(id.b, row->snap.id.b, sizeof id.b) == 0)
            s->ids[s->count++] = i;
    }
    return s->stop_after && s->count >= s->stop_after ? err_fail(err, ERR_INTERRUPTED, "enough") : ERR_OK;
}

/* The ids that the filter lets through, as text "1 2 3". */
static const char *listed(struct world *w, struct snapshot_filter f)
{
    static char text[128];
    struct seen seen = {.count = 0};
    size_t len = 0;

    OK(catalog_snapshots(w->c, &f, note_row, &seen, err));
    text[0] = '\0';
    for (size_t i = 0; i < seen.count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%d", i ? " " : "", (int)seen.ids[i]);
    return text;
}

static struct snapshot_row row_of(struct world *w, uint64_t number)
{
    struct snapshot_id id = id_of(number);
    struct snapshot_row row;
    bool found;

    OK(catalog_snapshot(w->c, &id, &row, &found, err));
    assert_true(found);
    return row;
}

static uint64_t latest(struct world *w, const char *set, uint64_t back)
{
    struct snapshot_id id;
    bool found;

    OK(catalog_latest(w->c, set, back, &id, &found, err));
    for (uint64_t i = 1; found && i < 32; i++) {
        struct snapshot_id want = id_of(i);

        if (memcmp(want.b, id.b, sizeof id.b) == 0)
            return i;
    }
    return 0;
}

static void the_head_follows_the_log(void **state)
{
    struct world w;
    struct digest d, zero = {{0}}, other = digest_of(999);
    uint64_t n = 7;

    (void)state;
    world_begin(&w);
    OK(catalog_head(w.c, &n, &d, err));
    assert_int_equal(n, 0);
    assert_memory_equal(d.b, zero.b, sizeof d.b);
    struct log_body body = {.head.kind = LOG_CHECKPOINT};
    apply(&w, &body);
    body.head.kind = (enum log_kind)200; /* of a later version, not critical */
    apply(&w, &body);
    OK(catalog_head(w.c, &n, &d, err));
    assert_int_equal(n, 2);
    assert_memory_equal(d.b, w.head.b, sizeof d.b);

    OK(catalog_apply(w.c, &body, &w.head, err)); /* number 2 again, the same: nothing to do */
    FAILS(ERR_HISTORY, catalog_apply(w.c, &body, &other, err));
    body.head.number = 4;
    body.head.prev = w.head;
    FAILS(ERR_HISTORY, catalog_apply(w.c, &body, &other, err));
    body.head.number = 3;
    body.head.prev = other;
    FAILS(ERR_HISTORY, catalog_apply(w.c, &body, &other, err));
    body.head.number = 0;
    FAILS(ERR_HISTORY, catalog_apply(w.c, &body, &other, err));
    OK(catalog_head(w.c, &n, &d, err));
    assert_int_equal(n, 2);
    catalog_close(w.c);
    w.c = open_catalog(&w.p);
    OK(catalog_head(w.c, &n, &d, err));
    assert_int_equal(n, 2);
    world_end(&w);
}

static void a_first_record_has_no_predecessor(void **state)
{
    struct world w;
    struct digest d = digest_of(1);
    struct log_body body = {.head.kind = LOG_CHECKPOINT, .head.number = 1, .head.prev = d};

    (void)state;
    world_begin(&w);
    FAILS(ERR_HISTORY, catalog_apply(w.c, &body, &d, err));
    world_end(&w);
}

static void fill_items(struct snapshot *s, struct item *items)
{
    for (int i = 0; i < 2; i++) {
        items[i] = (struct item){.type = i ? ITEM_FILES : ITEM_SQLITE,
                                 .state = i ? STATE_FUZZY : STATE_EXACT,
                                 .good = i == 0,
                                 .entries = 3 + (uint64_t)i,
                                 .bytes = 1ull << 40};
        OK(mem_strdup(&items[i].source, i ? "vectors" : "db", err));
        OK(mem_strdup(&items[i].path, i ? "/srv/v\n\xff" : "/srv/app.db", err));
        OK(fact_set_int(&items[i].facts, "rows.tasks", 12345, err));
        OK(fact_set_text(&items[i].facts, "quick_check", "sound", err));
        items[i].list.count = 1;
        items[i].list.bytes = 99;
        fill_from(items[i].list.refs[0].name.b, NAME_BYTES, 44);
        items[i].list.refs[0].len = 99;
    }
    s->items = items;
    s->item_count = 2;
}

static enum errc check_small(void *arg, struct snapshot_row *row, struct err *err)
{
    const struct snapshot *want = arg, *s = &row->snap;

    (void)err;
    assert_memory_equal(s->id.b, want->id.b, sizeof s->id.b);
    assert_int_equal(s->kind, want->kind);
    assert_string_equal(s->set, want->set);
    assert_string_equal(s->host, want->host);
    assert_string_equal(s->user, want->user);
    assert_true(s->time.sec == want->time.sec && s->time.nsec == want->time.nsec);
    assert_true(s->duration_ms == 77 && s->bytes_read == 1 && s->bytes_source == 2 && s->bytes_added == 3);
    assert_true(s->chunks_new == 4 && s->chunks_delta == 5);
    assert_memory_equal(s->of_run.b, want->of_run.b, sizeof s->of_run.b);
    assert_int_equal(s->tag_count, 2);
    assert_string_equal(s->tags[0], "daily");
    assert_string_equal(s->tags[1], "before upgrade");
    assert_int_equal(s->item_count, 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(s->items[i].source, want->items[i].source);
        assert_string_equal(s->items[i].path, want->items[i].path);
        assert_true(s->items[i].type == want->items[i].type && s->items[i].state == want->items[i].state);
        assert_true(s->items[i].good == want->items[i].good && s->items[i].entries == want->items[i].entries);
        assert_true(s->items[i].bytes == want->items[i].bytes);
    }
    assert_true(s->partial && !row->deleted && !row->damaged && row->sequence == 1 && row->hold_count == 0);
    assert_true(!row->verified_ok && row->verified_at.sec == 0);
    return ERR_OK;
}

static void a_snapshot_comes_back_whole_and_commits_its_packs(void **state)
{
    char set[] = "hybrid", host[] = "h\xc3\xb6st", user[] = "", t1[] = "daily", t2[] = "before upgrade";
    char *tags[] = {t1, t2};
    struct item items[2];
    struct digest packs[2] = {digest_of(1), digest_of(2)};
    struct world w;

    (void)state;
    world_begin(&w);
    struct log_body body = {.head.kind = LOG_SNAPSHOT};
    struct snapshot *s = &body.snapshot;
    *s = (struct snapshot){.id = id_of(1),
                           .kind = SNAPSHOT_FORENSIC,
                           .partial = true,
                           .set = set,
                           .host = host,
                           .user = user,
                           .tags = tags,
                           .tag_count = 2,
                           .time = {-5, 999999999},
                           .duration_ms = 77,
                           .bytes_read = 1,
                           .bytes_source = 2,
                           .bytes_added = 3,
                           .chunks_new = 4,
                           .chunks_delta = 5,
                           .of_run = {{1, 2, 3}},
                           .packs = packs,
                           .pack_count = 2};
    fill_items(s, items);
    struct catalog_chunk row = chunk_of(1, add_pack(w.c, 1, 77)); /* the second pack is not there: it was lost */
    OK(catalog_chunks_add(w.c, &row, 1, err));
    apply(&w, &body);
    assert_int_equal(copies_of(w.c, 1, 0), 1);

    struct snapshot_filter f = {.set = NULL};
    OK(catalog_snapshots(w.c, &f, check_small, s, err));
    f.with_items = true;
    OK(catalog_snapshots(w.c, &f, check_small, s, err));
    struct snapshot_row whole = row_of(&w, 1);
    struct err e;
    assert_int_equal(check_small(s, &whole, &e), ERR_OK);
    assert_int_equal(whole.snap.pack_count, 2);
    assert_memory_equal(whole.snap.packs, packs, sizeof packs);
    const struct fact *rows = fact_find(&whole.snap.items[1].facts, "rows.tasks");
    assert_non_null(rows);
    assert_int_equal(rows->integer, 12345);
    assert_int_equal(whole.snap.items[0].list.count, 1);
    assert_memory_equal(whole.snap.items[0].list.refs[0].name.b, items[0].list.refs[0].name.b, NAME_BYTES);
    snapshot_row_release(&whole);
    for (int i = 0; i < 2; i++) {
        free(items[i].source);
        free(items[i].path);
        fact_list_release(&items[i].facts);
    }
    world_end(&w);
}

static void lists_are_filtered_and_in_order_of_the_log(void **state)
{
    struct world w;

    (void)state;
    world_begin(&w);
    add_snapshot(&w, &(struct brief){.id = 1, .tag = "a"});
    add_snapshot(&w, &(struct brief){.id = 2, .set = "other", .source = "vec"});
    add_snapshot(&w, &(struct brief){.id = 3, .tag = "b", .kind = SNAPSHOT_FORENSIC});
    add_snapshot(&w, &(struct brief){.id = 4, .tag = "a", .partial = true});
    add_snapshot(&w, &(struct brief){.id = 5, .set = "Main"});
    add_mark(&w, LOG_TRASH, 4, NULL);
#define LIST(...) listed(&w, (struct snapshot_filter){__VA_ARGS__})
    assert_string_equal(LIST(.last = 0), "1 2 3 5");
    assert_string_equal(LIST(.deleted = true), "4");
    assert_string_equal(LIST(.any_deleted = true), "1 2 3 4 5");
    assert_string_equal(LIST(.set = "main"), "1 3");
    assert_string_equal(LIST(.set = "mai"), "");
    assert_string_equal(LIST(.source = "vec"), "2");
    assert_string_equal(LIST(.tag = "a", .any_deleted = true), "1 4");
    assert_string_equal(LIST(.tag = "a"), "1");
    assert_string_equal(LIST(.kind = SNAPSHOT_FORENSIC), "3");
    assert_string_equal(LIST(.kind = SNAPSHOT_BACKUP), "1 2 5");
    assert_string_equal(LIST(.last = 2), "3 5");
    assert_string_equal(LIST(.last = 99), "1 2 3 5");
    assert_string_equal(LIST(.last = SIZE_MAX), "1 2 3 5");
    assert_string_equal(LIST(.last = 1, .source = "db", .set = "main"), "3");
    add_mark(&w, LOG_UNTRASH, 4, NULL);
    assert_string_equal(LIST(.last = 2), "4 5");
    assert_string_equal(LIST(.deleted = true), "");
#undef LIST
    struct seen seen = {.stop_after = 2};
    struct snapshot_filter all = {.set = NULL};
    FAILS(ERR_INTERRUPTED, catalog_snapshots(w.c, &all, note_row, &seen, err));
    assert_int_equal(seen.count, 2);
    world_end(&w);
}

static enum errc look_again(void *arg, struct snapshot_row *row, struct err *err)
{
    struct world *w = arg;
    struct snapshot_filter all = {.with_items = true};
    struct seen seen = {.count = 0};
    struct snapshot_row again;
    bool found;
    enum errc rc = catalog_snapshots(w->c, &all, note_row, &seen, err);

    assert_int_equal(seen.count, 2);
    if (rc == ERR_OK)
        rc = catalog_snapshot(w->c, &row->snap.id, &again, &found, err);
    if (rc == ERR_OK)
        snapshot_row_release(&again);
    add_pack(w->c, row->sequence, 0);
    return rc;
}

static void a_list_can_be_asked_for_inside_a_list(void **state)
{
    struct world w;
    struct snapshot_filter all = {.set = NULL};

    (void)state;
    world_begin(&w);
    add_snapshot(&w, &(struct brief){.id = 1});
    add_snapshot(&w, &(struct brief){.id = 2});
    OK(catalog_snapshots(w.c, &all, look_again, &w, err));
    world_end(&w);
}

static void a_prefix_may_end_in_the_middle_of_a_byte(void **state)
{
    struct world w;
    struct snapshot_id out[4], one = id_of(1);
    char hex[40], same[40];
    size_t count;

    (void)state;
    world_begin(&w);
    add_snapshot(&w, &(struct brief){.id = 1});
    add_snapshot(&w, &(struct brief){.id = 2});
    hex_encode(hex, one.b, sizeof one.b);
    for (size_t digits = 4; digits <= 32; digits++) {
        snprintf(same, sizeof same, "%.*s", (int)digits, hex);
        OK(catalog_snapshot_prefix(w.c, same, false, out, 4, &count, err));
        assert_int_equal(count, 1);
        assert_memory_equal(out[0].b, one.b, sizeof one.b);
        same[digits - 1] = same[digits - 1] == '0' ? '1' : '0'; /* the last digit counts */
        OK(catalog_snapshot_prefix(w.c, same, false, out, 4, &count, err));
        assert_int_equal(count, 0);
    }
    const char *none[] = {"", "xyz", "12 4", "0123456789abcdef0123456789abcdef0"};
    for (size_t i = 0; i < 4; i++) {
        OK(catalog_snapshot_prefix(w.c, none[i], true, out, 4, &count, err));
        assert_int_equal(count, 0);
    }
    add_mark(&w, LOG_TRASH, 1, NULL);
    OK(catalog_snapshot_prefix(w.c, hex, false, out, 4, &count, err));
    assert_int_equal(count, 0);
    for (size_t i = 0; i < 32; i++)
        hex[i] = (char)(hex[i] >= 'a' ? hex[i] - 32 : hex[i]);
    OK(catalog_snapshot_prefix(w.c, hex, true, out, 4, &count, err));
    assert_int_equal(count, 1);
    world_end(&w);
}

static void two_that_share_a_prefix_are_both_given(void **state)
{
    struct world w;
    struct snapshot_id out[4];
    struct log_body body = {.head.kind = LOG_SNAPSHOT};
    size_t count;
    char text[] = "s";

    (void)state;
    world_begin(&w);
    body.snapshot.kind = SNAPSHOT_BACKUP;
    body.snapshot.set = body.snapshot.host = body.snapshot.user = text;
    for (uint8_t i = 0; i < 3; i++) {
        memset(body.snapshot.id.b, 0x5a, sizeof body.snapshot.id.b);
        body.snapshot.id.b[2] = (uint8_t)(0x70 + 8 * i); /* 70, 78, 80 */
        apply(&w, &body);
    }
    OK(catalog_snapshot_prefix(w.c, "5a5a", false, out, 4, &count, err));
    assert_int_equal(count, 3);
    OK(catalog_snapshot_prefix(w.c, "5a5a", false, out, 2, &count, err));
    assert_int_equal(count, 2);
    OK(catalog_snapshot_prefix(w.c, "5a5a7", false, out, 4, &count, err));
    assert_int_equal(count, 2);
    OK(catalog_snapshot_prefix(w.c, "5a5a78", false, out, 4, &count, err));
    assert_int_equal(count, 1);
    world_end(&w);
}

static void latest_is_good_and_previous_need_not_be(void **state)
{
    struct world w;
    struct snapshot_id id, want;
    bool found;

    (void)state;
    world_begin(&w);
    assert_int_equal(latest(&w, NULL, 0), 0);
    add_snapshot(&w, &(struct brief){.id = 1});
    add_snapshot(&w, &(struct brief){.id = 2, .set = "other"});
    add_snapshot(&w, &(struct brief){.id = 3});
    add_snapshot(&w, &(struct brief){.id = 4});
    add_snapshot(&w, &(struct brief){.id = 5, .partial = true});
    add_snapshot(&w, &(struct brief){.id = 6, .kind = SNAPSHOT_FORENSIC});
    add_snapshot(&w, &(struct brief){.id = 7, .kind = SNAPSHOT_IMPORTED});
    assert_int_equal(latest(&w, NULL, 0), 4);
    assert_int_equal(latest(&w, NULL, 1), 3);
    assert_int_equal(latest(&w, NULL, 2), 2);
    assert_int_equal(latest(&w, NULL, 3), 1);
    assert_int_equal(latest(&w, NULL, 4), 0);
    assert_int_equal(latest(&w, NULL, UINT64_MAX), 0);
    assert_int_equal(latest(&w, "main", 2), 1);
    assert_int_equal(latest(&w, "other", 0), 2);
    assert_int_equal(latest(&w, "nobody", 0), 0);
    add_note(&w, 4, 1, false);
    assert_int_equal(latest(&w, "main", 0), 3);
    add_mark(&w, LOG_TRASH, 3, NULL);
    assert_int_equal(latest(&w, "main", 0), 1);
    OK(catalog_previous(w.c, "main", &id, &found, err));
    want = id_of(5);
    assert_true(found);
    assert_memory_equal(id.b, want.b, sizeof id.b);
    OK(catalog_previous(w.c, "nobody", &id, &found, err));
    assert_false(found);
    world_end(&w);
}

static void damage_stands_until_it_is_looked_for_as_deeply(void **state)
{
    struct world w;
    struct snapshot_row r;
    uint64_t at;

    (void)state;
    world_begin(&w);
    add_snapshot(&w, &(struct brief){.id = 1});
    add_note(&w, 1, 1, true);
#define IS(damaged_, ok_, level_, number_)                                  \
    r = row_of(&w, 1);                                                      \
    assert_int_equal(r.damaged, damaged_);                                  \
    assert_int_equal(r.verified_ok, ok_);                                   \
    assert_int_equal(r.verified_level, level_);                             \
    assert_int_equal(r.verified_at.sec, 1700000000 + (int64_t)(number_)-1); \
    snapshot_row_release(&r)
    IS(false, true, 1, 2);
    add_note(&w, 1, 3, true); /* number 3 */
    IS(false, true, 3, 3);
    add_note(&w, 1, 1, true); /* 4: weaker, does not count */
    IS(false, true, 3, 3);
    add_note(&w, 1, 3, true); /* 5 */
    IS(false, true, 3, 5);
    add_note(&w, 1, 5, true); /* 6: another kind of look */
    IS(false, true, 7, 6);
    add_note(&w, 1, 3, false); /* 7 */
    IS(true, false, 0, 6);
    add_note(&w, 1, 1, true); /* 8: too weak to clear it */
    IS(true, false, 0, 6);
    add_note(&w, 1, 1, false); /* 9: and the deeper damage is not forgotten */
    add_note(&w, 1, 1, true);  /* 10 */
    IS(true, false, 0, 6);
    add_note(&w, 1, 3, true); /* 11 */
    at = w.number;
    IS(false, true, 3, at);
#undef IS
    add_note(&w, 9, 1, false); /* unknown: passed over */
    world_end(&w);
}

static void holds_are_named_and_let_go(void **state)
{
    struct world w;
    struct snapshot_id id, want = id_of(1);
    struct snapshot_row r;
    bool found;

    (void)state;
    world_begin(&w);
    add_snapshot(&w, &(struct brief){.id = 1});
    add_snapshot(&w, &(struct brief){.id = 2});
    add_mark(&w, LOG_HOLD, 1, "v1_baseline");
    add_mark(&w, LOG_HOLD, 1, "audit");
    OK(catalog_hold(w.c, "v1_baseline", &id, &found, err));
    assert_true(found);
    assert_memory_equal(id.b, want.b, sizeof id.b);
    r = row_of(&w, 1);
    assert_int_equal(r.hold_count, 2);
    assert_string_equal(r.holds[0], "audit");
    assert_string_equal(r.holds[1], "v1_baseline");
    snapshot_row_release(&r);
    add_mark(&w, LOG_HOLD, 2, "audit"); /* two at once: both stay held, the newest answers to the name */
    OK(catalog_hold(w.c, "audit", &id, &found, err));
    want = id_of(2);
    assert_memory_equal(id.b, want.b, sizeof id.b);
    r = row_of(&w, 1);
    assert_int_equal(r.hold_count, 2);
    snapshot_row_release(&r);
    add_mark(&w, LOG_RELEASE, 0, "audit");
    OK(catalog_hold(w.c, "audit", &id, &found, err));
    assert_false(found);
    r = row_of(&w, 2);
    assert_int_equal(r.hold_count, 0);
    snapshot_row_release(&r);
    world_end(&w);
}

static void a_drop_takes_snapshots_and_packs(void **state)
{
    struct world w;
    struct snapshot_id ids[2] = {id_of(1), id_of(9)}, id;
    struct digest packs[1] = {digest_of(1)};
    struct snapshot_row r;
    bool found;

    (void)state;
    world_begin(&w);
    for (unsigned i = 1; i <= 2; i++) {
        struct catalog_chunk row = chunk_of(i, add_pack(w.c, i, 0));
        OK(catalog_chunks_add(w.c, &row, 1, err));
        add_snapshot(&w, &(struct brief){.id = i, .tag = "t", .set = i == 1 ? "one" : "two"});
    }
    add_mark(&w, LOG_HOLD, 1, "h");
    struct log_body body = {.head.kind = LOG_DROP, .ids = ids, .id_count = 2, .packs = packs, .pack_count = 1};
    apply(&w, &body);
    OK(catalog_snapshot(w.c, &ids[0], &r, &found, err));
    assert_false(found);
    OK(catalog_hold(w.c, "h", &id, &found, err));
    assert_false(found);
    assert_int_equal(copies_of(w.c, 1, 0), 0);
    assert_int_equal(copies_of(w.c, 2, 0), 1);
    assert_string_equal(listed(&w, (struct snapshot_filter){.tag = "t", .any_deleted = true}), "2");
    world_end(&w);
}

static enum errc join_sets(void *arg, const char *set, struct err *err)
{
    (void)err;
    strcat(strcat(arg, set), ";");
    return ERR_OK;
}

static void sets_come_once_in_order(void **state)
{
    struct world w;
    char text[64] = "";

    (void)state;
    world_begin(&w);
    add_snapshot(&w, &(struct brief){.id = 1, .set = "b"});
    add_snapshot(&w, &(struct brief){.id = 2, .set = "a"});
    add_snapshot(&w, &(struct brief){.id = 3, .set = "b"});
    OK(catalog_sets(w.c, join_sets, text, err));
    assert_string_equal(text, "a;b;");
    world_end(&w);
}

static void a_snapshot_id_that_comes_twice_counts_once(void **state)
{
    struct world w;

    (void)state;
    world_begin(&w);
    add_snapshot(&w, &(struct brief){.id = 1, .set = "first"});
    add_snapshot(&w, &(struct brief){.id = 1, .set = "second"});
    assert_string_equal(listed(&w, (struct snapshot_filter){.set = "first"}), "1");
    assert_string_equal(listed(&w, (struct snapshot_filter){.set = "second"}), "");
    assert_int_equal(w.number, 2);
    world_end(&w);
}

static void add_run(struct world *w, uint8_t id, const char *verb, const char *state)
{
    char v[16], st[16], text[] = "x", what[] = "stage";
    struct run_step step = {.what = what, .ok = true};
    struct log_body body = {.head.kind = LOG_RUN};

    snprintf(v, sizeof v, "%s", verb);
    snprintf(st, sizeof st, "%s", state);
    body.run = (struct run_record){.id = {{0xab, id}},
                                   .verb = v,
                                   .state = st,
                                   .user = text,
                                   .host = text,
                                   .detail = text,
                                   .steps = &step,
                                   .step_count = 1};
    apply(w, &body);
}

static enum errc join_runs(void *arg, struct run_row *row, struct err *err)
{
    char *text = arg;

    (void)err;
    sprintf(text + strlen(text), "%d:%s:%s:%d;", row->run.id.b[1], row->run.verb, row->run.state, (int)row->number);
    return ERR_OK;
}

static void runs_show_their_newest_state(void **state)
{
    struct world w;
    struct run_row row;
    char text[128] = "";

    (void)state;
    world_begin(&w);
    add_run(&w, 1, "restore", "intent");
    add_run(&w, 2, "backup", "done");
    add_run(&w, 0x21, "undo", "failed");
    add_run(&w, 1, "restore", "done");
    OK(catalog_run_records(w.c, NULL, NULL, join_runs, text, err));
    assert_string_equal(text, "1:restore:done:4;33:undo:failed:3;2:backup:done:2;");
    text[0] = '\0';
    OK(catalog_run_records(w.c, "backup", NULL, join_runs, text, err));
    assert_string_equal(text, "2:backup:done:2;");
    text[0] = '\0';
    OK(catalog_run_records(w.c, NULL, "done", join_runs, text, err));
    assert_string_equal(text, "1:restore:done:4;2:backup:done:2;");
    text[0] = '\0';
    OK(catalog_run_records(w.c, "restore", "intent", join_runs, text, err));
    assert_string_equal(text, "");
    OK(catalog_run(w.c, "ab01", &row, err));
    assert_string_equal(row.run.state, "done");
    assert_int_equal(row.number, 4);
    assert_int_equal(row.run.step_count, 1);
    run_record_release(&row.run);
    OK(catalog_run(w.c, "AB2", &row, err));
    assert_string_equal(row.run.verb, "undo");
    run_record_release(&row.run);
    FAILS(ERR_AMBIGUOUS_ID, catalog_run(w.c, "ab0", &row, err));
    FAILS(ERR_UNKNOWN_ID, catalog_run(w.c, "ab03", &row, err));
    FAILS(ERR_UNKNOWN_ID, catalog_run(w.c, "", &row, err));
    FAILS(ERR_UNKNOWN_ID, catalog_run(w.c, "zz", &row, err));
    world_end(&w);
}

/* CA1: a record that cannot be taken in leaves no part of itself, and the batch around it as it was. */
static void a_record_that_fails_leaves_nothing(void **state)
{
    enum { TOO_MANY_PACKS = LOG_RECORD_MAX_BYTES / 32 + 1 };
    struct world w;
    struct digest d = digest_of(1), pack = digest_of(1);
    struct digest *packs = calloc(TOO_MANY_PACKS, sizeof *packs);
    char text[] = "x", sets[64] = "";
    struct log_body body = {.head.kind = LOG_SNAPSHOT, .head.number = 1};
    uint64_t n;
    uint32_t id;
    bool found;

    (void)state;
    assert_non_null(packs);
    world_begin(&w);
    body.snapshot = (struct snapshot){.id = id_of(1),
                                      .kind = SNAPSHOT_BACKUP,
                                      .set = text,
                                      .host = text,
                                      .user = text,
                                      .packs = packs,
                                      .pack_count = TOO_MANY_PACKS};
    FAILS(ERR_LIMIT, catalog_apply(w.c, &body, &d, err)); /* its row is in by then */
    OK(catalog_begin(w.c, err));
    add_pack(w.c, 1, 0);
    FAILS(ERR_LIMIT, catalog_apply(w.c, &body, &d, err));
    add_snapshot(&w, &(struct brief){.id = 2, .set = "good"});
    OK(catalog_commit(w.c, err));
    OK(catalog_head(w.c, &n, &d, err));
    assert_int_equal(n, 1);
    OK(catalog_sets(w.c, join_sets, sets, err));
    assert_string_equal(sets, "good;");
    OK(catalog_pack_find(w.c, &pack, &found, &id, err));
    assert_true(found);
    free(packs);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_head_follows_the_log),
        cmocka_unit_test(a_first_record_has_no_predecessor),
        cmocka_unit_test(a_snapshot_comes_back_whole_and_commits_its_packs),
        cmocka_unit_test(lists_are_filtered_and_in_order_of_the_log),
        cmocka_unit_test(a_list_can_be_asked_for_inside_a_list),
        cmocka_unit_test(a_prefix_may_end_in_the_middle_of_a_byte),
        cmocka_unit_test(two_that_share_a_prefix_are_both_given),
        cmocka_unit_test(latest_is_good_and_previous_need_not_be),
        cmocka_unit_test(damage_stands_until_it_is_looked_for_as_deeply),
        cmocka_unit_test(holds_are_named_and_let_go),
        cmocka_unit_test(a_drop_takes_snapshots_and_packs),
        cmocka_unit_test(sets_come_once_in_order),
        cmocka_unit_test(a_snapshot_id_that_comes_twice_counts_once),
        cmocka_unit_test(runs_show_their_newest_state),
        cmocka_unit_test(a_record_that_fails_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
