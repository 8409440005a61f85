/* Stores of several files in a tree: Chroma's database and indexes, FAISS and what is beside it (FC1). */
#include "engine_run.h"

#include "engine/stage.h"
#include "fake_sink.h"
#include "files_run.h"

static const char index_a[] = "00000000-0000-4000-8000-00000000000a",
                  index_f[] = "ffffffff-0000-4000-8000-00000000000f";

/* Changes a file when the walk reads another. */
struct meddling {
    const struct tree *t;
    const char *path;
    unsigned at, begins;
};

static void change_at_begin(void *arg)
{
    struct meddling *m = arg;
    if (++m->begins == m->at)
        tree_text(m->t, m->path, "changed!");
}

static struct fake_sink *run_meddled(const struct tree *t, const struct fake_sink *before, const char *path,
                                     unsigned at, struct capture_result *r)
{
    struct meddling m = {.t = t, .path = path, .at = at};
    struct fake_sink *f = fake_new(before);
    f->on_begin = change_at_begin;
    f->arg = &m;
    struct capture_options opt = {.diag = NULL};
    struct err err;
    if (before)
        opt.previous_look = late_look();
    if (files_capture(t->root, &f->sink, &opt, r, &err) != ERR_OK)
        fail_msg("%s", err.message);
    fact_list_release(&r->facts);
    return f;
}

static void state_is(const struct fake_sink *f, const char *path, enum entry_state state)
{
    const struct fake_entry *e = fake_find(f, path);
    if (!e || e->end.state != state)
        fail_msg("%s: %d", path, e ? (int)e->end.state : -1);
}

static void write_faiss(const struct tree *t)
{
    tree_text(t, "a.json", "of its own");
    tree_text(t, "index.bak", "another");
    tree_text(t, "index.faiss", "vectors");
    tree_text(t, "index.pkl", "ids");
}

static void test_an_index_and_its_ids(void **state)
{
    (void)state;
    struct tree t;
    struct capture_result r;
    tree_new(&t);
    write_faiss(&t);
    struct fake_sink *f = run_with(&t, NULL, &(struct capture_options){.diag = NULL}, &r);
    state_is(f, "index.pkl", STATE_EXACT);
    assert_int_equal(r.disturbed, 0);
    assert_int_equal(r.worst, STATE_EXACT);
    fake_free(f);
    /* The fourth file that is read is the ids: meanwhile the index changes. */
    f = run_meddled(&t, NULL, "index.faiss", 4, &r);
    state_is(f, "index.faiss", STATE_EXACT);
    state_is(f, "index.pkl", STATE_FUZZY);
    assert_non_null(strstr(fake_find(f, "index.pkl")->end.reason, "index.faiss, which belongs to it, changed"));
    assert_int_equal(r.disturbed, 1);
    assert_int_equal(r.worst, STATE_FUZZY);
    assert_true(r.good);
    /* Then nothing of it is taken for unchanged but what was exact. */
    struct capture_options later = {.previous_look = late_look()};
    struct fake_sink *next = run_with(&t, f, &later, &r);
    assert_false(fake_find(next, "index.pkl")->reused);
    state_is(next, "index.pkl", STATE_EXACT);
    assert_int_equal(r.disturbed, 0);
    fake_free(next);
    fake_free(f);
    tree_free(&t);
}

/* What has no partner, or another stem, is nobody's business. */
static void test_files_that_are_no_store(void **state)
{
    static const char *const others[] = {"a.json", "index.bak"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tree t;
        struct capture_result r;
        tree_new(&t);
        write_faiss(&t);
        struct fake_sink *f = run_meddled(&t, NULL, others[i], 4, &r);
        state_is(f, "index.pkl", STATE_EXACT);
        assert_int_equal(r.disturbed, 0);
        fake_free(f);
        tree_free(&t);
    }
}

/* The ids that had not changed are read all the same when their index did. */
static void test_unchanged_ids_of_a_changed_index(void **state)
{
    (void)state;
    struct tree t;
    struct capture_result r;
    tree_new(&t);
    write_faiss(&t);
    struct fake_sink *first = run_with(&t, NULL, &(struct capture_options){.diag = NULL}, &r);
    tree_text(&t, "index.faiss", "more vectors");
    struct fake_sink *f = run_meddled(&t, first, "index.faiss", 1, &r); /* again, while it is read */
    assert_true(fake_find(f, "index.pkl")->reused);
    assert_int_equal(r.disturbed, 0); /* it was read again then */
    assert_true(fake_has(f, "index.faiss", "changed!", 8));
    fake_free(f);
    fake_free(first);
    tree_free(&t);
}

static void write_chroma(const struct tree *t)
{
    char path[300];
    const char *const dirs[] = {index_a, index_f};
    for (size_t i = 0; i < 2; i++) {
        tree_mkdir(t, dirs[i]);
        snprintf(path, sizeof path, "%s/data_level0.bin", dirs[i]);
        tree_text(t, path, "rows");
        snprintf(path, sizeof path, "%s/header.bin", dirs[i]);
        tree_text(t, path, "header");
    }
    sqlite3 *db;
    assert_int_equal(sqlite3_open(tree_path(t, "chroma.sqlite3"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE IF NOT EXISTS t(x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* Read in this order: a/data, a/header, the database, f/data, f/header. */
static void test_chroma(void **state)
{
    static const struct {
        const char *dir, *file;
        unsigned at;
        enum entry_state last;
        uint64_t disturbed;
    } tries[] = {
        {index_a, "data_level0.bin", 3, STATE_FUZZY, 1}, /* when the database is read */
        {index_a, "header.bin", 5, STATE_FUZZY, 1},      /* when the last file is */
        {index_f, "data_level0.bin", 5, STATE_FUZZY, 1},
        {index_f, "header.bin", 3, STATE_EXACT, 0}, /* before it was read itself */
    };
    char path[300], last[300];
    (void)state;
    snprintf(last, sizeof last, "%s/header.bin", index_f);
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct tree t;
        struct capture_result r;
        tree_new(&t);
        write_chroma(&t);
        snprintf(path, sizeof path, "%s/%s", tries[i].dir, tries[i].file);
        struct fake_sink *f = run_meddled(&t, NULL, path, tries[i].at, &r);
        state_is(f, last, tries[i].last);
        if (r.disturbed != tries[i].disturbed)
            fail_msg("%zu: %llu", i, (unsigned long long)r.disturbed);
        fake_free(f);
        tree_free(&t);
    }
}

/* Nothing is read behind the database: the store as a whole says so. */
static void test_chroma_whose_database_is_last(void **state)
{
    (void)state;
    struct tree t;
    struct capture_result r;
    char path[300];
    struct err err;
    tree_new(&t);
    write_chroma(&t);
    assert_int_equal(remove_tree(AT_FDCWD, tree_path(&t, index_f), &err), ERR_OK);
    snprintf(path, sizeof path, "%s/header.bin", index_a);
    struct fake_sink *f = run_meddled(&t, NULL, path, 3, &r);
    state_is(f, "chroma.sqlite3", STATE_EXACT);
    assert_int_equal(r.disturbed, 1);
    assert_int_equal(r.worst, STATE_FUZZY);
    fake_free(f);
    tree_free(&t);
}

/* --- a backup captures such a source again --- */

struct watching {
    const struct tree *t;
    unsigned times, warnings;
    bool was_in_ids;
};

static void meddle_in_ids(void *arg, const struct progress *p)
{
    struct watching *w = arg;
    bool in_ids = p->current && strstr(p->current, "index.pkl");
    if (in_ids && !w->was_in_ids && w->times > 0) {
        w->times--;
        tree_text(w->t, "index.faiss", w->times % 2 ? "other vectors" : "and others");
    }
    w->was_in_ids = in_ids;
}

static void count_warnings(void *arg, enum diag_level level, const char *name, const char *text)
{
    struct watching *w = arg;
    (void)name;
    (void)text;
    w->warnings += level == DIAG_WARNING;
}

static void backup_meddled(unsigned times, enum entry_state state, bool warned)
{
    struct world w;
    struct err err;
    world_new(&w);
    write_faiss(&w.t);
    struct watching watch = {.t = &w.t, .times = times};
    struct diag diag = {.progress = meddle_in_ids, .message = count_warnings, .arg = &watch};
    struct source_spec source = {.name = "tree", .path = w.t.root, .type = ITEM_FILES};
    struct set_spec set = {.name = "s", .sources = &source, .source_count = 1};
    struct backup_options opt = {.set = &set, .kind = SNAPSHOT_BACKUP, .diag = &diag};
    struct backup_outcome out = {0};
    if (backup_run(w.store, &opt, &out, &err) != ERR_OK)
        fail_msg("%s", err.message);
    assert_int_equal(watch.times, times > 3 ? times - 3 : 0);
    assert_int_equal(out.snap.items[0].state, state);
    assert_int_equal(out.snap.items[0].entries, 5);
    assert_true(out.snap.items[0].good);
    assert_int_equal(watch.warnings > 0, warned);
    backup_outcome_release(&out);
    world_free(&w);
}

static void test_a_store_is_captured_again(void **state)
{
    (void)state;
    backup_meddled(0, STATE_EXACT, false);
    backup_meddled(1, STATE_EXACT, false);
    backup_meddled(2, STATE_EXACT, false);
    backup_meddled(3, STATE_FUZZY, true);
    backup_meddled(9, STATE_FUZZY, true);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_an_index_and_its_ids),
    cmocka_unit_test(test_files_that_are_no_store),
    cmocka_unit_test(test_unchanged_ids_of_a_changed_index),
    cmocka_unit_test(test_chroma),
    cmocka_unit_test(test_chroma_whose_database_is_last),
    cmocka_unit_test(test_a_store_is_captured_again),
};

FILES_TEST_MAIN(tests)
