/* Packs and chunks in the catalog. */
#include "test_catalog.h"

#include <sqlite3.h>

static long long query_int(const char *file, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    long long v;

    assert_int_equal(sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    v = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return v;
}

static void a_pack_is_added_once_and_found(void **state)
{
    struct place_for_test p;
    struct digest one = digest_of(1), two = digest_of(2);
    struct catalog_pack pack;
    uint32_t id, again;
    bool found;

    (void)state;
    place_begin(&p);
    struct catalog *c = open_catalog(&p);
    id = add_pack(c, 1, 0);
    OK(catalog_pack_add(c, &one, 1001, 10, 0, &again, err));
    assert_int_equal(id, again);
    OK(catalog_pack_find(c, &one, &found, &again, err));
    assert_true(found);
    assert_int_equal(id, again);
    OK(catalog_pack_find(c, &two, &found, &again, err));
    assert_false(found);
    OK(catalog_pack_by_id(c, id, &pack, err));
    assert_memory_equal(pack.name.b, one.b, sizeof one.b);
    assert_int_equal(pack.bytes, 1001);
    assert_int_equal(pack.records, 10);
    assert_int_equal(pack.run, 0);
    FAILS(ERR_MISSING_OBJECT, catalog_pack_by_id(c, 999, &pack, err));
    catalog_close(c);
    place_end(&p);
}

static void packs_come_in_order_and_without_uncommitted_ones(void **state)
{
    struct place_for_test p;
    struct catalog_pack pack = {0};
    uint32_t ids[4];
    bool found;

    (void)state;
    place_begin(&p);
    struct catalog *c = open_catalog(&p);
    for (unsigned i = 0; i < 4; i++)
        ids[i] = add_pack(c, i, i == 2 ? 77 : 0);
    OK(catalog_pack_next(c, 0, &pack, &found, err));
    assert_true(found && pack.id == ids[0]);
    OK(catalog_pack_next(c, pack.id, &pack, &found, err));
    assert_true(found && pack.id == ids[1]);
    OK(catalog_pack_next(c, pack.id, &pack, &found, err));
    assert_true(found && pack.id == ids[3]);
    OK(catalog_pack_next(c, pack.id, &pack, &found, err));
    assert_false(found);
    catalog_close(c);
    place_end(&p);
}

static void every_field_of_a_descriptor_comes_back(void **state)
{
    struct place_for_test p;
    struct catalog_chunk rows[2], out[2];
    size_t count;

    (void)state;
    place_begin(&p);
    struct catalog *c = open_catalog(&p);
    rows[0] = chunk_of(1, add_pack(c, 1, 0));
    rows[1] = chunk_of(2, rows[0].pack_id);
    rows[1].desc.number = PACK_MAX_RECORDS - 1;
    rows[1].desc.offset = PACK_MAX_BYTES - 5;
    rows[1].desc.stored_len = RECORD_MAX_BYTES;
    rows[1].desc.plain_len = CHUNK_MAX_BYTES;
    rows[1].desc.type = CHUNK_XATTR;
    rows[1].desc.codec = CODEC_ZSTD_DELTA;
    rows[1].desc.transform = TRANSFORM_PLANES_8;
    rows[1].desc.dict = UINT32_MAX;
    rows[1].desc.n = DELTA_MAX_N;
    fill_from(rows[1].desc.base.b, NAME_BYTES, 3);
    struct catalog_chunk copy[2] = {rows[0], rows[1]};
    OK(catalog_chunks_add(c, copy, 2, err));
    for (int i = 0; i < 2; i++) {
        const struct record_desc *w = &rows[i].desc, *g = &out[0].desc;

        OK(catalog_chunk_find(c, &w->name, 0, out, 2, &count, err));
        assert_int_equal(count, 1);
        assert_int_equal(out[0].pack_id, rows[i].pack_id);
        assert_memory_equal(g->name.b, w->name.b, NAME_BYTES);
        assert_true(g->offset == w->offset && g->number == w->number && g->stored_len == w->stored_len);
        assert_true(g->plain_len == w->plain_len && g->type == w->type && g->codec == w->codec);
        assert_true(g->transform == w->transform && g->dict == w->dict && g->n == w->n);
        assert_memory_equal(g->base.b, w->base.b, NAME_BYTES);
    }
    catalog_close(c);
    place_end(&p);
}

static void copies_come_whole_first_then_newest_pack(void **state)
{
    static const uint32_t n_of[] = {3, 0, 1, 0, 1};
    static const unsigned order[] = {3, 1, 4, 2, 0}; /* indices of n_of */
    struct place_for_test p;
    struct catalog_chunk row, out[5];
    uint32_t ids[5];
    size_t count;

    (void)state;
    place_begin(&p);
    struct catalog *c = open_catalog(&p);
    for (unsigned i = 0; i < 5; i++) {
        ids[i] = add_pack(c, i, 0);
        row = chunk_of(1, ids[i]);
        row.desc.n = n_of[i];
        OK(catalog_chunks_add(c, &row, 1, err));
        OK(catalog_chunks_add(c, &row, 1, err)); /* stands once */
    }
    for (size_t max = 0; max <= 5; max++) {
        OK(catalog_chunk_find(c, &row.desc.name, 0, out, max, &count, err));
        assert_int_equal(count, max);
        for (size_t i = 0; i < max; i++)
            assert_int_equal(out[i].pack_id, ids[order[i]]);
    }
    catalog_close(c);
    place_end(&p);
}

static void a_run_sees_its_packs_others_after_commit(void **state)
{
    struct place_for_test p;
    struct digest name = digest_of(1);
    uint32_t id;

    (void)state;
    place_begin(&p);
    struct catalog *c = open_catalog(&p);
    struct catalog_chunk row = chunk_of(1, add_pack(c, 1, 77));
    OK(catalog_chunks_add(c, &row, 1, err));
    assert_int_equal(copies_of(c, 1, 77), 1);
    assert_int_equal(copies_of(c, 1, 0), 0);
    assert_int_equal(copies_of(c, 1, 78), 0);
    OK(catalog_pack_add(c, &name, 1001, 10, 78, &id, err)); /* another run's word does not commit it */
    assert_int_equal(copies_of(c, 1, 0), 0);
    OK(catalog_pack_add(c, &name, 1001, 10, 0, &id, err));
    assert_int_equal(copies_of(c, 1, 0), 1);
    catalog_close(c);
    place_end(&p);
}

static void cut_off_runs_are_dropped_and_live_ones_stay(void **state)
{
    const uint64_t big = UINT64_MAX, live[] = {5, big};
    struct place_for_test p;
    uint64_t *runs;
    size_t count;

    (void)state;
    place_begin(&p);
    struct catalog *c = open_catalog(&p);
    const uint64_t of[] = {0, 5, 6, big, 6};
    for (unsigned i = 0; i < 5; i++) {
        struct catalog_chunk row = chunk_of(i, add_pack(c, i, of[i]));
        OK(catalog_chunks_add(c, &row, 1, err));
    }
    OK(catalog_runs(c, &runs, &count, err));
    assert_int_equal(count, 3);
    free(runs);
    OK(catalog_drop_runs(c, live, 2, err));
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(copies_of(c, i, of[i]), of[i] != 6);
    OK(catalog_runs(c, &runs, &count, err));
    assert_int_equal(count, 2);
    free(runs);
    OK(catalog_drop_runs(c, NULL, 0, err));
    OK(catalog_runs(c, &runs, &count, err));
    assert_int_equal(count, 0);
    assert_null(runs);
    assert_int_equal(copies_of(c, 0, 0), 1);
    catalog_close(c);
    place_end(&p);
}

static void a_removed_packs_chunks_are_gone_and_swept_at_close(void **state)
{
    struct place_for_test p;
    struct digest name = digest_of(1);
    struct catalog_chunk row;
    uint32_t old, id;

    (void)state;
    place_begin(&p);
    struct catalog *c = open_catalog(&p);
    add_pack(c, 0, 0);
    old = add_pack(c, 1, 0);
    for (unsigned i = 0; i < 2000; i++) {
        row = chunk_of(i, i % 2 ? old : old - 1);
        OK(catalog_chunks_add(c, &row, 1, err));
    }
    OK(catalog_pack_remove(c, &name, err));
    assert_int_equal(copies_of(c, 1, 0), 0);
    assert_int_equal(copies_of(c, 2, 0), 1);
    id = add_pack(c, 1, 0); /* again: a new number, or the old rows would be back */
    assert_int_not_equal(id, old);
    assert_int_equal(copies_of(c, 1, 0), 0);
    OK(catalog_pack_remove(c, &name, err));
    OK(catalog_pack_remove(c, &name, err)); /* absent is fine */
    assert_int_equal(query_int(p.file, "SELECT count(*) FROM chunk"), 2000);
    catalog_close(c);
    assert_int_equal(query_int(p.file, "SELECT count(*) FROM chunk"), 1000);
    assert_int_equal(query_int(p.file, "SELECT count(*) FROM meta WHERE key = 'rows_left'"), 0);
    c = open_catalog(&p);
    assert_int_equal(copies_of(c, 2, 0), 1);
    catalog_close(c);
    place_end(&p);
}

static void a_batch_is_all_or_nothing(void **state)
{
    struct place_for_test p;
    struct catalog_chunk row;

    (void)state;
    place_begin(&p);
    struct catalog *c = open_catalog(&p), *other = open_catalog(&p);
    OK(catalog_begin(c, err));
    row = chunk_of(1, add_pack(c, 1, 0));
    OK(catalog_chunks_add(c, &row, 1, err));
    assert_int_equal(copies_of(c, 1, 0), 1);
    assert_int_equal(copies_of(other, 1, 0), 0);
    catalog_rollback(c);
    assert_int_equal(copies_of(c, 1, 0), 0);
    OK(catalog_begin(c, err));
    row = chunk_of(1, add_pack(c, 1, 0));
    OK(catalog_chunks_add(c, &row, 1, err));
    OK(catalog_commit(c, err));
    assert_int_equal(copies_of(other, 1, 0), 1);
    OK(catalog_begin(c, err));
    add_pack(c, 2, 0);
    catalog_close(c); /* takes an open batch back */
    c = open_catalog(&p);
    struct digest two = digest_of(2);
    uint32_t id;
    bool found;
    OK(catalog_pack_find(c, &two, &found, &id, err));
    assert_false(found);
    catalog_close(c);
    catalog_close(other);
    place_end(&p);
}

static void many_chunks_are_found_again(void **state)
{
    enum { COUNT = 150000 };
    struct place_for_test p;
    struct catalog_chunk *rows = calloc(COUNT, sizeof *rows);

    (void)state;
    assert_non_null(rows);
    place_begin(&p);
    struct catalog *c = open_catalog(&p);
    uint32_t id = add_pack(c, 1, 0);
    for (unsigned i = 0; i < COUNT; i++)
        rows[i] = chunk_of(i, id);
    OK(catalog_begin(c, err));
    OK(catalog_chunks_add(c, rows, COUNT, err));
    OK(catalog_commit(c, err));
    for (unsigned i = 0; i < COUNT; i += 7)
        assert_int_equal(copies_of(c, i, 0), 1);
    assert_int_equal(copies_of(c, COUNT + 1, 0), 0);
    catalog_close(c);
    assert_int_equal(query_int(p.file, "SELECT count(*) FROM chunk"), COUNT);
    free(rows);
    place_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pack_is_added_once_and_found),
        cmocka_unit_test(packs_come_in_order_and_without_uncommitted_ones),
        cmocka_unit_test(every_field_of_a_descriptor_comes_back),
        cmocka_unit_test(copies_come_whole_first_then_newest_pack),
        cmocka_unit_test(a_run_sees_its_packs_others_after_commit),
        cmocka_unit_test(cut_off_runs_are_dropped_and_live_ones_stay),
        cmocka_unit_test(a_removed_packs_chunks_are_gone_and_swept_at_close),
        cmocka_unit_test(a_batch_is_all_or_nothing),
        cmocka_unit_test(many_chunks_are_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
