/* Streams in and out again: sizes at every edge, both kinds of cuts, holes, abandoned and reused entries, long chains
 * of deltas, long lists. */
#include "store_run.h"

enum { CUTS = 2 };
static const uint32_t fixed_of[CUTS] = {0, CUT_FIXED_BYTES};

static void sizes(void **state)
{
    (void)state;
    static const size_t edges[] = {0, 1, 64 << 10, 128 << 10, 256 << 10, 16 << 10, 1 << 20, 3000001, 5 << 20};
    struct stream streams[64];
    static char names[64][16];
    size_t count = 0;
    struct repo r;
    repo_new(&r);
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++)
        for (int d = -1; d <= 1; d++)
            for (int c = 0; c < CUTS; c++) {
                if (edges[i] <= 1 && d < 0)
                    continue;
                struct stream *s = &streams[count];
                snprintf(names[count], sizeof names[count], "f%02zu", count);
                *s = (struct stream){.path = names[count], .len = edges[i] + (size_t)d, .fixed = fixed_of[c]};
                s->data = count % 3 == 0 ? text_bytes(s->len, count) : random_bytes(s->len, count);
                count++;
            }
    struct snapshot snap, again;
    store_streams(r.store, streams, count, NULL, &snap);
    compare(r.store, &snap, streams, count);
    assert_true(snap.chunks_new > 0);
    assert_int_equal(snap.chunks_delta, 0);

    /* The same once more: nothing but what describes it is stored, with and without a previous list. */
    store_streams(r.store, streams, count, &snap, &again);
    compare(r.store, &again, streams, count);
    assert_int_equal(again.chunks_new, 0);
    snapshot_release(&again);
    store_streams(r.store, streams, count, NULL, &again);
    compare(r.store, &again, streams, count);
    assert_true(again.chunks_new <= 2); /* the list may differ in fingerprints */
    snapshot_release(&again);

    repo_close(&r);
    repo_open(&r);
    compare(r.store, &snap, streams, count);
    snapshot_release(&snap);
    for (size_t i = 0; i < count; i++)
        free(streams[i].data);
    repo_free(&r);
}

static void holes(void **state)
{
    (void)state;
    struct repo r;
    struct snapshot snap, next;
    struct stream s[] = {
        {.path = "a", .len = 300000, .hole_at = 100000, .hole_len = (uint64_t)8 << 40},
        {.path = "b", .len = 300000, .hole_at = 0, .hole_len = 4096},
        {.path = "c", .len = 128 << 10, .fixed = CUT_FIXED_BYTES, .hole_at = 128 << 10, .hole_len = 1 << 20},
        {.path = "d", .len = 0, .hole_at = 0, .hole_len = 1},
    };
    repo_new(&r);
    for (size_t i = 0; i < 4; i++)
        s[i].data = random_bytes(s[i].len, i);
    store_streams(r.store, s, 4, NULL, &snap);
    compare(r.store, &snap, s, 4);
    s[0].data[250000] ^= 1;
    store_streams(r.store, s, 4, &snap, &next);
    compare(r.store, &next, s, 4);
    assert_true(next.chunks_new <= 2); /* the chunk and the list */
    snapshot_release(&snap);
    snapshot_release(&next);
    for (size_t i = 0; i < 4; i++)
        free(s[i].data);
    repo_free(&r);
}

static void abandoned_and_reused(void **state)
{
    (void)state;
    struct repo r;
    struct snapshot first, snap;
    struct session *x;
    struct list_writer *w;
    struct stream_root root;
    const struct entry *before;
    struct stream s[] = {{.path = "a", .len = 3 << 20}, {.path = "c", .len = 700000}};
    repo_new(&r);
    s[0].data = random_bytes(s[0].len, 1);
    s[1].data = text_bytes(s[1].len, 2);
    store_streams(r.store, s, 2, NULL, &first);

    uint8_t *other = random_bytes(2 << 20, 3);
    OK(session_begin(r.store, NULL, false, &x, &test_err));
    OK(list_writer_open(x, &first.items[0].list, &w, &test_err));
    OK(list_writer_previous(w, "a", 1, &before, &test_err));
    assert_non_null(before);
    struct entry e = {.path = "a", .path_len = 1, .type = ENTRY_FILE, .size = s[0].len, .mode = 0644, .nlink = 1};
    OK(list_writer_reuse(w, &e, &test_err));
    OK(list_writer_previous(w, "b", 1, &before, &test_err));
    assert_null(before);
    OK(list_writer_begin(w, 0, &test_err));
    OK(list_writer_data(w, other, 2 << 20, &test_err));
    OK(list_writer_abandon(w, &test_err));
    OK(list_writer_previous(w, "c", 1, &before, &test_err));
    assert_non_null(before);
    OK(list_writer_begin(w, 0, &test_err)); /* abandoned, and tried again */
    OK(list_writer_data(w, s[1].data, 10000, &test_err));
    OK(list_writer_abandon(w, &test_err));
    put_stream(w, &s[1]);
    OK(list_writer_finish(w, &root, &test_err));
    list_writer_free(w);
    fill_snapshot(&snap, &root);
    OK(session_commit(x, &snap, &test_err));
    session_free(x);
    compare(r.store, &snap, s, 2);
    snapshot_release(&snap);

    /* A reuse of everything costs one record of the log and no list. */
    snapshot_release(&first);
    free(other);
    free(s[0].data);
    free(s[1].data);
    repo_free(&r);
}

/* A stretch of one byte has no cut by content, so its chunks are the largest there are. */
static void constant_bytes(void **state)
{
    (void)state;
    struct repo r;
    struct snapshot first, snap;
    struct stream s = {.path = "a", .len = 6 << 20};
    repo_new(&r);
    s.data = malloc(s.len);
    memset(s.data, 'A', s.len);
    store_streams(r.store, &s, 1, NULL, &first);
    memset(s.data, 'B', s.len);
    store_streams(r.store, &s, 1, &first, &snap);
    compare(r.store, &snap, &s, 1);
    snapshot_release(&snap);
    for (size_t i = 0; i < s.len; i += 200000)
        s.data[i]++;
    store_streams(r.store, &s, 1, &first, &snap);
    compare(r.store, &snap, &s, 1);
    snapshot_release(&first);
    snapshot_release(&snap);
    free(s.data);
    repo_free(&r);
}

/* --- the delta rule ------------------------------------------------------------------------------------------------
 */

static enum errc check_desc(void *arg, const struct record_desc *d, struct err *err)
{
    struct store *s = arg;
    struct catalog_chunk copies[8];
    size_t count;
    bool found = d->n == 0;
    (void)err;
    assert_true(d->n <= DELTA_MAX_N);
    assert_true((d->n > 0) == (d->codec == CODEC_ZSTD_DELTA));
    if (d->n == 0)
        return ERR_OK;
    OK(chunk_find(s, &d->base, copies, 8, &count, &test_err));
    for (size_t i = 0; i < count; i++)
        found = found || copies[i].desc.n == delta_base_n(d->n);
    assert_true(found);
    assert_true(delta_base_n(d->n) < d->n);
    assert_true(delta_chain_len(d->n) <= DELTA_MAX_CHAIN);
    return ERR_OK;
}

static void check_records(struct repo *r)
{
    struct names packs;
    list_names(r, "packs", &packs);
    for (size_t i = 0; i < packs.count; i++) {
        struct digest name;
        struct pack_reader *p;
        assert_true(hex_decode(name.b, sizeof name.b, packs.at[i], strlen(packs.at[i])));
        OK(pack_reader_open(r->store, &name, &p, &test_err));
        OK(pack_reader_table(p, check_desc, r->store, &test_err));
        pack_reader_free(p);
    }
    free_names(&packs);
}

static uint32_t n_of(struct store *s, const struct stream_root *root)
{
    struct list_reader *l;
    struct list_record rec;
    uint32_t n = 0;
    bool more = true;
    OK(list_reader_open(s, root, &l, &test_err));
    while (more) {
        OK(list_reader_next(l, &rec, &more, &test_err));
        if (more && rec.kind == LIST_RUN) {
            struct reader refs = reader_of(rec.refs.data, rec.refs.len);
            struct chunk_ref ref;
            struct catalog_chunk copy;
            size_t count;
            OK(run_ref_get(&refs, &rec.u.run, &ref, &test_err));
            OK(chunk_find(s, &ref.name, &copy, 1, &count, &test_err));
            assert_int_equal(count, 1);
            n = copy.desc.n;
        }
    }
    list_reader_free(l);
    return n;
}

enum { GENERATIONS = 80 };

static void generations(void **state)
{
    (void)state;
    for (int c = 0; c < CUTS; c++) {
        struct repo r;
        static struct snapshot snaps[GENERATIONS];
        static struct stream streams[GENERATIONS];
        repo_new(&r);
        for (uint32_t i = 0; i < GENERATIONS; i++) {
            streams[i] = (struct stream){.path = "db", .len = 150000, .fixed = fixed_of[c]};
            streams[i].data = i == 0 ? random_bytes(150000, 7) : malloc(150000);
            if (i > 0)
                memcpy(streams[i].data, streams[i - 1].data, 150000);
            memset(streams[i].data + 1000, (int)i + 1, 40);
            memset(streams[i].data + 300 + 300 * i, (int)i + 1, 100);
            store_streams(r.store, &streams[i], 1, i > 0 ? &snaps[i - 1] : NULL, &snaps[i]);
            assert_int_equal(n_of(r.store, &snaps[i].items[0].list), i);
            assert_true(i == 0 || snaps[i].bytes_added < 20000);
        }
        check_records(&r);
        repo_close(&r);
        run_command("rm -rf %s", r.cache);
        repo_open(&r);
        for (uint32_t i = 0; i < GENERATIONS; i++)
            compare(r.store, &snaps[i], &streams[i], 1);
        for (uint32_t i = 0; i < GENERATIONS; i++) {
            snapshot_release(&snaps[i]);
            free(streams[i].data);
        }
        repo_free(&r);
    }
}

/* What changes, and how little of a stream is stored again. */
static void changes(void **state)
{
    (void)state;
    enum { LEN = 4 << 20 };
    struct repo r;
    struct snapshot first, snap;
    struct stream a = {.path = "f", .len = LEN}, b = {.path = "f"};
    repo_new(&r);
    a.data = random_bytes(LEN, 11);
    b.data = malloc(LEN + 100000);
    store_streams(r.store, &a, 1, NULL, &first);
    for (int how = 0; how < 6; how++) {
        size_t at = 1500000;
        uint8_t *p = b.data;
        memcpy(p, a.data, LEN);
        b.len = LEN;
        if (how == 0) { /* insert */
            memmove(p + at + 10, p + at, LEN - at);
            memset(p + at, 'x', 10);
            b.len = LEN + 10;
        } else if (how == 1) { /* remove */
            memmove(p + at, p + at + 1000, LEN - at - 1000);
            b.len = LEN - 1000;
        } else if (how == 2) { /* overwrite in place */
            memset(p + at, 'x', 5000);
        } else if (how == 3) { /* append */
            memset(p + LEN, 'y', 1000);
            b.len = LEN + 1000;
        } else if (how == 4) { /* cut short */
            b.len = LEN - 12345;
        } else { /* at the very front */
            memmove(p + 1, p, LEN);
            b.len = LEN + 1;
        }
        store_streams(r.store, &b, 1, &first, &snap);
        compare(r.store, &snap, &b, 1);
        if (snap.bytes_added > 16000)
            fail_msg("change %d stored %llu bytes", how, (unsigned long long)snap.bytes_added);
        snapshot_release(&snap);
    }
    snapshot_release(&first);
    free(a.data);
    free(b.data);
    repo_free(&r);
}

/* --- long lists ------------------------------------------------------------------------------------------------------
 */

enum { ENTRIES = 200000 };

/* Every cut of the first entry but its end lies between rows. */
static void must_cut_between_rows(struct store *s, const struct snapshot *snap, const struct stream *st)
{
    struct list_reader *l;
    uint64_t offset = 0;
    bool more = true;
    OK(list_reader_open(s, &snap->items[0].list, &l, &test_err));
    while (more) {
        struct list_record rec;
        OK(list_reader_next(l, &rec, &more, &test_err));
        if (!more || rec.kind != LIST_RUN)
            continue;
        struct reader refs = reader_of(rec.refs.data, rec.refs.len);
        for (uint32_t i = 0; i < rec.u.run.count; i++) {
            struct chunk_ref ref;
            OK(run_ref_get(&refs, &rec.u.run, &ref, &test_err));
            offset += ref.len;
            if (offset != st->len && (offset - st->rows_at) % st->row_bytes != 0)
                fail_msg("a cut at %llu", (unsigned long long)offset);
        }
    }
    assert_int_equal(offset, st->len);
    list_reader_free(l);
}

/* Rows of numbers behind a header: cut between rows; a row gone from the middle, one overwritten and some appended cost
 * no more than a few chunks. */
static void rows(void **state)
{
    (void)state;
    enum { ROW = 3072, HEAD = 128, ROWS = 2000, GONE = 900 };
    struct repo r;
    struct snapshot first, next;
    struct stream st = {.path = "v", .len = HEAD + ROW * ROWS, .row_bytes = ROW, .rows_at = HEAD};
    repo_new(&r);
    st.data = random_bytes(st.len + 10 * ROW, 5);
    store_streams(r.store, &st, 1, NULL, &first);
    compare(r.store, &first, &st, 1);
    must_cut_between_rows(r.store, &first, &st);

    memmove(st.data + HEAD + ROW * GONE, st.data + HEAD + ROW * (GONE + 1), ROW * (ROWS - GONE - 1));
    st.len -= ROW;
    store_streams(r.store, &st, 1, &first, &next);
    compare(r.store, &next, &st, 1);
    must_cut_between_rows(r.store, &next, &st);
    assert_true(next.chunks_new + next.chunks_delta <= 6);
    assert_true(next.bytes_added < 20000);
    snapshot_release(&first);

    for (size_t i = 0; i < ROW; i++)
        st.data[HEAD + ROW * 1500 + i] ^= 0x5a;
    st.len += 10 * ROW;
    store_streams(r.store, &st, 1, &next, &first);
    compare(r.store, &first, &st, 1);
    must_cut_between_rows(r.store, &first, &st);
    assert_true(first.bytes_added < 11 * ROW + 20000 + 2 * 65536);
    snapshot_release(&first);
    snapshot_release(&next);
    free(st.data);
    repo_free(&r);
}

static void write_long_list(struct store *s, const struct snapshot *previous, size_t left_out, struct snapshot *snap)
{
    struct session *x;
    struct list_writer *w;
    struct stream_root root;
    char path[80];
    OK(session_begin(s, NULL, false, &x, &test_err));
    OK(list_writer_open(x, previous ? &previous->items[0].list : NULL, &w, &test_err));
    for (size_t i = 0; i < ENTRIES; i++) {
        if (i == left_out)
            continue;
        uint64_t mixed = i;
        snprintf(path, sizeof path, "d%06zu-%016llx%016llx", i, (unsigned long long)next_random(&(uint64_t){mixed + 1}),
                 (unsigned long long)next_random(&(uint64_t){mixed + 7}));
        struct entry e = {.path = path, .path_len = strlen(path), .type = ENTRY_DIR, .mode = 0700, .nlink = 2};
        OK(list_writer_node(w, &e, &test_err));
    }
    OK(list_writer_finish(w, &root, &test_err));
    list_writer_free(w);
    fill_snapshot(snap, &root);
    OK(session_commit(x, snap, &test_err));
    session_free(x);
}

static void read_long_list(struct store *s, const struct snapshot *snap, size_t left_out)
{
    struct list_reader *l;
    struct list_record rec;
    bool more = true;
    OK(list_reader_open(s, &snap->items[0].list, &l, &test_err));
    for (size_t i = 0; more; i++) {
        if (i == left_out)
            i++;
        OK(list_reader_next(l, &rec, &more, &test_err));
        assert_int_equal(more, i < ENTRIES);
        if (more) {
            assert_int_equal(rec.kind, LIST_ENTRY);
            assert_int_equal(strtoul((const char *)rec.u.entry.path + 1, NULL, 10), i);
        }
    }
    list_reader_free(l);
}

static void long_lists(void **state)
{
    (void)state;
    struct repo r;
    struct snapshot first, snap;
    repo_new(&r);
    write_long_list(r.store, NULL, SIZE_MAX, &first);
    assert_true(first.items[0].list.depth > 0);
    read_long_list(r.store, &first, SIZE_MAX);
    write_long_list(r.store, &first, 123456, &snap);
    read_long_list(r.store, &snap, 123456);
    assert_true(snap.chunks_new < 6); /* the list chunk, and the index chunks above it */
    assert_true(snap.bytes_added < 120000);
    snapshot_release(&first);
    snapshot_release(&snap);
    repo_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),          cmocka_unit_test(holes),      cmocka_unit_test(abandoned_and_reused),
        cmocka_unit_test(constant_bytes), cmocka_unit_test(rows),       cmocka_unit_test(generations),
        cmocka_unit_test(changes),        cmocka_unit_test(long_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
