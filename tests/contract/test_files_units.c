/* Databases and coupled files inside a tree. */
#include <sqlite3.h>

#include "files_run.h"

static void sql(sqlite3 *db, const char *text)
{
    char *message = NULL;
    if (sqlite3_exec(db, text, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", text, message);
}

/* A database in WAL mode that is kept open, so that its -wal and -shm stay. */
static sqlite3 *live_database(const struct tree *t, const char *name)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(tree_path(t, name), &db), SQLITE_OK);
    sql(db, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;"
            "CREATE TABLE t (x); INSERT INTO t VALUES (1), (2), (3);");
    return db;
}

/* The stored image of an entry, opened as a database: how many rows has t? */
static int rows_in(const struct tree *t, const struct fake_sink *f, const char *path)
{
    const struct fake_entry *e = fake_find(f, path);
    assert_non_null(e);
    char image[300];
    snprintf(image, sizeof image, "%s/image.db", t->dir);
    int fd = open(image, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t i = 0; i < e->piece_count; i++) {
        if (e->pieces[i].data)
            assert_int_equal(pwrite(fd, e->pieces[i].data, e->pieces[i].len, (off_t)e->pieces[i].offset),
                             (ssize_t)e->pieces[i].len);
    }
    close(fd);
    sqlite3 *db;
    sqlite3_stmt *q;
    assert_int_equal(sqlite3_open(image, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM t", -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int rows = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return rows;
}

static void test_a_live_database_is_one_image_without_sidecars(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_mkdir(&t, "d");
    sqlite3 *db = live_database(&t, "d/db");
    tree_text(&t, "d/db-old", "between the database and its log");
    tree_text(&t, "d/db.txt", "behind");
    struct capture_options opt = {.diag = NULL};
    struct capture_result r;
    struct fake_sink *f = run_with(&t, NULL, &opt, &r);
    static const char *const want[] = {"", "d", "d/db", "d/db-old", "d/db.txt"};
    assert_paths(f, want, sizeof want / sizeof want[0]);
    assert_int_equal(fake_find(f, "d/db")->e.type, ENTRY_SQLITE);
    assert_int_equal(fake_find(f, "d/db")->end.state, STATE_EXACT);
    assert_int_equal(rows_in(&t, f, "d/db"), 3);
    assert_true(r.good);
    sqlite3_close(db);
    fake_free(f);
    tree_free(&t);
}

static void test_an_unchanged_database_is_reused_and_a_changed_one_is_not(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    sqlite3_close(live_database(&t, "db"));
    struct fake_sink *first = run(&t);
    struct capture_options opt = {.previous_look = late_look()};
    struct fake_sink *second = run_with(&t, first, &opt, NULL);
    assert_true(fake_find(second, "db")->reused);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(tree_path(&t, "db"), &db), SQLITE_OK);
    sql(db, "PRAGMA wal_autocheckpoint = 0; INSERT INTO t VALUES (4)"); /* only the log changes */
    struct fake_sink *third = run_with(&t, second, &opt, NULL);
    assert_int_equal(rows_in(&t, third, "db"), 4);
    sqlite3_close(db);
    fake_free(third);
    fake_free(second);
    fake_free(first);
    tree_free(&t);
}

static void test_a_raw_database_keeps_its_sidecars(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    char page[4096] = "SQLite format 3";
    memset(page + 16, 0xee, sizeof page - 16);
    tree_write(&t, "db", page, sizeof page);
    tree_text(&t, "db-old", "between");
    tree_text(&t, "db-wal", "a log nobody can read");
    struct capture_options opt = {.diag = NULL};
    struct capture_result r;
    struct fake_sink *f = run_with(&t, NULL, &opt, &r);
    static const char *const want[] = {"", "db", "db-old", "db-wal"};
    assert_paths(f, want, sizeof want / sizeof want[0]);
    assert_int_equal(fake_find(f, "db")->e.type, ENTRY_SQLITE);
    assert_int_equal(fake_find(f, "db")->end.state, STATE_RAW);
    assert_true(fake_has(f, "db", page, sizeof page));
    assert_int_equal(fake_find(f, "db-wal")->e.flags, ENTRY_FLAG_SIDECAR);
    assert_int_equal(fake_find(f, "db-wal")->end.state, STATE_EXACT);
    assert_true(fake_has(f, "db-wal", "a log nobody can read", 21));
    assert_int_equal(fake_find(f, "db-old")->e.flags, 0);
    assert_int_equal(r.worst, STATE_RAW);
    assert_false(r.good);
    /* and again, with nothing changed */
    struct capture_options later = {.previous_look = late_look()};
    struct fake_sink *again = run_with(&t, f, &later, &r);
    assert_int_equal(fake_find(again, "db")->e.type, ENTRY_SQLITE);
    assert_true(fake_find(again, "db-old")->reused);
    assert_int_equal(fake_find(again, "db-wal")->e.flags, ENTRY_FLAG_SIDECAR);
    assert_int_equal(r.worst, STATE_RAW);
    fake_free(again);
    fake_free(f);
    tree_free(&t);
}

static void test_sidecars_without_a_database_are_files(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_text(&t, "lonely-wal", "1");
    tree_text(&t, "text", "2");
    tree_text(&t, "text-journal", "3");
    tree_text(&t, "text-shm", "4");
    tree_mkdir(&t, "dir");
    tree_text(&t, "dir-wal", "5");
    struct capture_options opt = {.diag = NULL};
    struct capture_result r;
    struct fake_sink *f = run_with(&t, NULL, &opt, &r);
    static const char *const want[] = {"", "dir", "dir-wal", "lonely-wal", "text", "text-journal", "text-shm"};
    assert_paths(f, want, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < f->count; i++) {
        assert_int_equal(f->entries[i].e.flags, 0);
        assert_int_equal(f->entries[i].end.state, STATE_EXACT);
    }
    assert_int_equal(r.worst, STATE_EXACT);
    struct capture_options later = {.previous_look = late_look()};
    struct fake_sink *again = run_with(&t, f, &later, &r);
    assert_int_equal(again->reuses, 5);
    fake_free(again);
    fake_free(f);
    tree_free(&t);
}

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

static struct fake_sink *run_meddled(const struct tree *t, const char *path, unsigned at)
{
    struct meddling m = {.t = t, .path = path, .at = at};
    struct fake_sink *f = fake_new(NULL);
    f->on_begin = change_at_begin;
    f->arg = &m;
    struct capture_options opt = {.diag = NULL};
    struct capture_result r;
    struct err err;
    assert_int_equal(files_capture(t->root, &f->sink, &opt, &r, &err), ERR_OK);
    fact_list_release(&r.facts);
    return f;
}

static void test_coupled_files_are_one_moment_or_fuzzy(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_text(&t, "store", "stem");
    tree_text(&t, "store-a", "between");
    tree_text(&t, "store-wal", "log");
    /* the log changes while the stem is read: the stem is read again, and both are of one moment */
    struct fake_sink *f = run_meddled(&t, "store-wal", 1);
    assert_int_equal(f->abandons, 1);
    assert_int_equal(fake_find(f, "store")->end.state, STATE_EXACT);
    assert_int_equal(fake_find(f, "store-wal")->end.state, STATE_EXACT);
    assert_true(fake_has(f, "store-wal", "changed!", 8));
    fake_free(f);
    /* the stem changes when its neighbour is read: too late to read it again, the log says so */
    f = run_meddled(&t, "store", 2);
    assert_int_equal(fake_find(f, "store")->end.state, STATE_EXACT);
    assert_true(fake_has(f, "store", "stem", 4));
    assert_int_equal(fake_find(f, "store-wal")->end.state, STATE_FUZZY);
    assert_int_equal(fake_find(f, "store-a")->end.state, STATE_EXACT);
    /* the next capture takes nothing of that for unchanged */
    struct capture_options later = {.previous_look = late_look()};
    struct fake_sink *next = run_with(&t, f, &later, NULL);
    assert_int_equal(fake_find(next, "store-wal")->end.state, STATE_EXACT);
    assert_false(fake_find(next, "store-wal")->reused);
    assert_true(fake_find(next, "store-a")->reused);
    fake_free(next);
    fake_free(f);
    tree_free(&t);
}

static void test_a_database_replaced_by_another_file_is_a_file(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    sqlite3_close(live_database(&t, "db"));
    struct fake_sink *first = run(&t);
    assert_int_equal(fake_find(first, "db")->e.type, ENTRY_SQLITE);
    tree_text(&t, "new", "no database");
    assert_int_equal(rename(tree_path(&t, "new"), tree_path(&t, "db")), 0);
    struct capture_options opt = {.previous_look = late_look()};
    struct fake_sink *f = run_with(&t, first, &opt, NULL);
    assert_int_equal(fake_find(f, "db")->e.type, ENTRY_FILE);
    assert_true(fake_has(f, "db", "no database", 11));
    fake_free(f);
    fake_free(first);
    tree_free(&t);
}

static void test_a_database_with_two_names(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    sqlite3_close(live_database(&t, "a"));
    assert_int_equal(link(tree_path(&t, "a"), tree_path(&t, "b")), 0);
    struct fake_sink *f = run(&t);
    assert_int_equal(fake_find(f, "a")->e.type, ENTRY_SQLITE);
    assert_int_equal(fake_find(f, "b")->e.type, ENTRY_HARDLINK);
    fake_free(f);
    /* under the second name rows are added that are in that name's log only */
    sqlite3 *db = live_database(&t, "c");
    sqlite3_close(db);
    assert_int_equal(link(tree_path(&t, "c"), tree_path(&t, "d")), 0);
    assert_int_equal(sqlite3_open(tree_path(&t, "d"), &db), SQLITE_OK);
    sql(db, "PRAGMA wal_autocheckpoint = 0; INSERT INTO t VALUES (4)");
    f = run(&t);
    assert_int_equal(rows_in(&t, f, "c"), 3);
    assert_int_equal(fake_find(f, "d")->e.type, ENTRY_SQLITE);
    assert_int_equal(rows_in(&t, f, "d"), 4);
    sqlite3_close(db);
    fake_free(f);
    tree_free(&t);
}

static void test_a_database_too_deep_for_sqlite_is_raw(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    sqlite3_close(live_database(&t, "db"));
    int from = open(tree_path(&t, "db"), O_RDONLY | O_CLOEXEC);
    static char data[65536];
    ssize_t len = read(from, data, sizeof data);
    close(from);
    assert_true(len > 0);
    int fd = open(t.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[201];
    memset(name, 'd', 200);
    name[200] = '\0';
    for (int i = 0; i < 21; i++) {
        assert_int_equal(mkdirat(fd, name, 0755), 0);
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(fd);
        fd = next;
    }
    int to = openat(fd, "deep.db", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(to, data, (size_t)len), len);
    close(to);
    to = openat(fd, "deep.db-wal", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(to, "log", 3), 3);
    close(to);
    close(fd);
    struct capture_options opt = {.diag = NULL};
    struct capture_result r;
    struct fake_sink *f = run_with(&t, NULL, &opt, &r);
    const struct fake_entry *wal = &f->entries[f->count - 1], *db = &f->entries[f->count - 2];
    assert_true(db->e.path_len > 4096);
    assert_int_equal(db->end.state, STATE_RAW);
    assert_true(fake_has(f, db->e.path, data, (size_t)len));
    assert_int_equal(wal->e.flags, ENTRY_FLAG_SIDECAR);
    assert_false(r.good);
    fake_free(f);
    tree_free(&t);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_live_database_is_one_image_without_sidecars),
    cmocka_unit_test(test_an_unchanged_database_is_reused_and_a_changed_one_is_not),
    cmocka_unit_test(test_a_raw_database_keeps_its_sidecars),
    cmocka_unit_test(test_sidecars_without_a_database_are_files),
    cmocka_unit_test(test_coupled_files_are_one_moment_or_fuzzy),
    cmocka_unit_test(test_a_database_replaced_by_another_file_is_a_file),
    cmocka_unit_test(test_a_database_with_two_names),
    cmocka_unit_test(test_a_database_too_deep_for_sqlite_is_raw),
};

FILES_TEST_MAIN(tests)
