/* The SQLite source and databases that something is wrong with: damage, locks, crashes, malice (SO1-SO3, SG1, SG2, SQ1,
 * SH2), and databases that did not change. */
#include "sqlite_run.h"

#include <sys/prctl.h>

enum { NOBODY = 65534 };

static const char basic[] = "CREATE TABLE t(a INTEGER PRIMARY KEY, b); " ROWS(500, 1000);

static void test_damage_inside(void **state)
{
    struct bench b;
    struct captured o;

    (void)state;
    bench_new(&b);
    db_script(b.db, basic);
    overwrite(b.db, 5 * 4096, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    for (int i = 0; i < 2; i++) {
        struct memory_sink *before = i ? o.sink : NULL;
        struct memory_sink *sink = memory_sink_new(b.out);
        sink->before = before;
        capture_into(&o, &b, sink, (struct capture_options){.previous_look = {.sec = INT64_MAX / 2}});
        assert_int_equal(o.rc, ERR_OK);
        /* Its bytes are exact, but it is not good; and that is said again each time. */
        assert_int_equal(o.sink->entries[0].end.state, STATE_EXACT);
        assert_false(o.sink->entries[0].reused);
        assert_true(same_files(b.db, image_of(&b, 0)));
        assert_false(o.result.good);
        assert_int_equal(o.heard.warnings, 1);
        assert_string_equal(o.heard.last_name, err_name(ERR_SOURCE_DAMAGED));
        assert_memory_equal(fact_text(&o, "quick_check"), "damaged: ", 9);
        fact_list_release(&o.result.facts);
        if (before)
            memory_sink_free(before);
    }
    memory_sink_free(o.sink);
    bench_free(&b);
}

static void assert_raw(const struct captured *o, const struct bench *b, enum errc name)
{
    assert_int_equal(o->rc, ERR_OK);
    assert_false(o->result.good);
    assert_int_equal(o->result.worst, STATE_RAW);
    assert_int_equal(o->sink->entries[0].end.state, STATE_RAW);
    assert_int_equal(o->sink->entries[0].e.type, ENTRY_SQLITE);
    assert_int_equal(o->sink->entries[0].e.probe_len, 0);
    assert_true(strlen(o->sink->entries[0].reason) > 0);
    assert_true(same_files(b->db, image_of(b, 0)));
    assert_true(o->heard.warnings > 0);
    assert_string_equal(o->heard.last_name, err_name(name));
}

static void test_not_openable_is_raw(void **state)
{
    static const struct {
        off_t at;
        const char *bytes;
        size_t len;
    } wounds[] = {{0, "encrypted looks so", 18}, {16, "\0\7", 2}, {21, "\377", 1}, {28, "\0\177\0\0", 4}};
    struct bench b;
    struct captured o;

    (void)state;
    bench_new(&b);
    for (size_t i = 0; i < sizeof wounds / sizeof wounds[0]; i++) {
        (void)unlink(b.db);
        db_script(b.db, basic);
        overwrite(b.db, wounds[i].at, wounds[i].bytes, wounds[i].len);
        fclose(fopen(beside(&b, "-wal"), "w"));
        fclose(fopen(beside(&b, "-shm"), "w"));
        capture_db(&o, &b);
        assert_raw(&o, &b, ERR_SOURCE_DAMAGED);
        assert_int_equal(o.sink->count, 3);
        assert_string_equal(o.sink->entries[1].path, "-shm");
        assert_string_equal(o.sink->entries[2].path, "-wal");
        assert_int_equal(o.sink->entries[2].e.flags, ENTRY_FLAG_SIDECAR);
        assert_int_equal(o.sink->entries[2].e.type, ENTRY_FILE);
        outcome_free(&o);
    }
    bench_free(&b);
}

/* Runs sql in a process of its own that then holds on until it is killed. */
static pid_t hold(const struct bench *b, const char *sql)
{
    int ready[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        sqlite3 *db = NULL;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when the test fails */
        close(ready[0]);
        if (sqlite3_open(b->db, &db) == SQLITE_OK && sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
            (void)!write(ready[1], "x", 1);
        close(ready[1]);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void release(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_held_exclusively_is_raw(void **state)
{
    struct bench b;
    struct captured o;

    (void)state;
    bench_new(&b);
    db_script(b.db, basic);
    pid_t pid = hold(&b, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE t SET b = 1 WHERE a = 1; COMMIT");
    capture_db(&o, &b);
    release(pid);
    assert_raw(&o, &b, ERR_SOURCE_BUSY);
    outcome_free(&o);
    bench_free(&b);
}

/* A crash in the middle of a transaction that had spilled into the file. */
static void crash_with_hot_journal(const struct bench *b)
{
    db_script(b->db, basic);
    release(hold(b, "PRAGMA cache_size = 5; BEGIN; UPDATE t SET b = zeroblob(900); DELETE FROM t WHERE a > 250"));
    assert_true(exists(beside(b, "-journal")));
}

static void test_hot_journal_is_rolled_back_in_a_copy(void **state)
{
    struct bench b;
    struct captured o;
    char db[128], journal[128];

    (void)state;
    bench_new(&b);
    crash_with_hot_journal(&b);
    snprintf(db, sizeof db, "%s/db", b.root);
    snprintf(journal, sizeof journal, "%s/journal", b.root);
    copy_file(b.db, db);
    copy_file(beside(&b, "-journal"), journal);
    capture_db(&o, &b);
    assert_exact(&o, &b);
    assert_int_equal(image_int(image_of(&b, 0), "SELECT count(*) FROM t WHERE b LIKE '%-0000%'"), 500);
    assert_true(same_files(db, b.db));
    assert_true(same_files(journal, beside(&b, "-journal")));
    assert_int_equal(o.sink->entries[0].e.probe_len, 0);
    outcome_free(&o);
    bench_free(&b);
}

/* The journal names a victim as its super-journal: SQLite would delete that file. */
static void test_hostile_super_journal(void **state)
{
    struct bench b;
    struct captured o;
    char victim[128];
    uint8_t tail[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};
    uint32_t sum = 0;

    (void)state;
    bench_new(&b);
    crash_with_hot_journal(&b);
    snprintf(victim, sizeof victim, "%s/victim", b.root);
    copy_file(b.db, victim);
    size_t len = strlen(victim);
    for (size_t i = 0; i < len; i++)
        sum += (unsigned char)victim[i];
    tail[3] = (uint8_t)len;
    for (int i = 0; i < 4; i++)
        tail[4 + i] = (uint8_t)(sum >> (24 - 8 * i));
    FILE *f = fopen(beside(&b, "-journal"), "ab");
    assert_non_null(f);
    /* As SQLite writes it: the number of the lock page, the name, its length, its sum, the magic. */
    assert_int_equal(fwrite("\0\4\0\1", 1, 4, f), 4);
    assert_int_equal(fwrite(victim, 1, len, f), len);
    assert_int_equal(fwrite(tail, 1, sizeof tail, f), sizeof tail);
    assert_int_equal(fclose(f), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(b.data, NOBODY, NOBODY), 0);
        assert_int_equal(chown(b.db, NOBODY, NOBODY), 0);
        assert_int_equal(chown(beside(&b, "-journal"), NOBODY, NOBODY), 0);
    }
    capture_db(&o, &b);
    assert_raw(&o, &b, ERR_SOURCE_BUSY);
    assert_int_equal(o.sink->count, 2);
    assert_string_equal(o.sink->entries[1].path, "-journal");
    assert_true(exists(victim));
    outcome_free(&o);
    /* The crafted journal is one that does harm: plain SQLite deletes the victim. */
    db_script(b.db, "SELECT * FROM t");
    assert_false(exists(victim));
    bench_free(&b);
}

static void test_other_owner(void **state)
{
    struct bench b;
    struct captured o;

    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: a database of another owner\n");
        skip();
    }
    bench_new(&b);
    db_script(b.db, "PRAGMA journal_mode = WAL");
    db_script(b.db, basic);
    assert_int_equal(chown(b.data, NOBODY, NOBODY), 0);
    assert_int_equal(chown(b.db, NOBODY, NOBODY), 0);
    assert_int_equal(chmod(b.db, 0600), 0);
    capture_db(&o, &b);
    assert_exact(&o, &b);
    assert_false(exists(beside(&b, "-wal")));
    assert_int_equal(o.sink->entries[0].e.uid, NOBODY);
    outcome_free(&o);
    /* A directory its owner may not write to: no index can be made there, and none is needed. */
    assert_int_equal(chown(b.data, 0, 0), 0);
    capture_db(&o, &b);
    assert_exact(&o, &b);
    assert_false(exists(beside(&b, "-wal")));
    outcome_free(&o);
    /* One it may not even enter: the file itself can be read by us. */
    assert_int_equal(chmod(b.data, 0700), 0);
    capture_db(&o, &b);
    assert_raw(&o, &b, ERR_SOURCE_UNREADABLE);
    outcome_free(&o);
    bench_free(&b);
}

static void test_what_cannot_be_checked_is_not_damage(void **state)
{
    struct bench b;
    struct captured o;

    (void)state;
    bench_new(&b);
    sqlite3 *db = db_open(b.db);
    db_run(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b, c); INSERT INTO t VALUES (1, 99, NULL);"
               " CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('words');"
               "CREATE VIRTUAL TABLE r USING rtree(id, x0, x1); INSERT INTO r VALUES (1, 2, 3);"
               "PRAGMA writable_schema = 1;"
               "INSERT INTO sqlite_master VALUES"
               " ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING no_such_module(x)');"
               "UPDATE sqlite_master SET sql = 'CREATE TABLE t(a INTEGER PRIMARY KEY, b COLLATE mystery, c NOT NULL,"
               " d AS (odd_function(b)) NOT NULL, CHECK (b < 10 AND odder_function(b)))' WHERE name = 't'");
    sqlite3_close(db);
    capture_db(&o, &b);
    if (!o.result.good)
        fail_msg("%s", o.heard.last);
    if (strcmp(fact_text(&o, "quick_check"), "ok") != 0)
        fail_msg("%s", fact_text(&o, "quick_check"));
    assert_string_equal(fact_text(&o, "quick_check"), "ok");
    assert_non_null(strstr(fact_text(&o, "quick_check_notes"), "NULL value in t.c"));
    assert_non_null(strstr(fact_text(&o, "quick_check_notes"), "no such module"));
    assert_int_equal(fact_int(&o, "rows.t"), 1);
    assert_int_equal(fact_int(&o, "rows.f"), 1);
    assert_int_equal(fact_int(&o, "rows.r"), 1);
    assert_null(fact_find(&o.result.facts, "rows.v"));
    outcome_free(&o);
    /* A schema of a newer version. */
    db = db_open(b.db);
    db_run(
        db,
        "PRAGMA writable_schema = 1; UPDATE sqlite_master SET sql = 'CREATE TABLE t(a FUTURE<word>)' WHERE name = 't'");
    sqlite3_close(db);
    capture_db(&o, &b);
    assert_true(o.result.good);
    assert_memory_equal(fact_text(&o, "quick_check"), "not checkable: ", 15);
    outcome_free(&o);
    bench_free(&b);
}

static void test_many_tables(void **state)
{
    struct bench b;
    struct captured o;
    char sql[200];

    (void)state;
    bench_new(&b);
    sqlite3 *db = db_open(b.db);
    db_run(db, "PRAGMA page_size = 512; PRAGMA synchronous = OFF; BEGIN");
    for (int i = 0; i < 3000; i++) {
        snprintf(sql, sizeof sql, "CREATE TABLE a_table_with_quite_a_long_name_%d(x)", i);
        db_run(db, sql);
    }
    db_run(db, "COMMIT");
    sqlite3_close(db);
    capture_db(&o, &b);
    assert_exact(&o, &b);
    int64_t counted = 0;
    for (size_t i = 0; i < o.result.facts.count; i++)
        counted += strncmp(o.result.facts.facts[i].key, "rows.", 5) == 0;
    assert_int_equal(counted + fact_int(&o, "rows_omitted"), 3000);
    assert_true(counted > 500);
    outcome_free(&o);
    bench_free(&b);
}

/* --- unchanged --- */

struct again {
    struct bench b;
    struct memory_sink *first;
};

/* Capture with the first capture as the previous one, as if that had begun at look. True: it was reused. */
static bool reused(struct again *a, struct timestamp look, bool force)
{
    struct captured o;
    struct memory_sink *sink = memory_sink_new(a->b.out);

    sink->before = a->first;
    capture_into(&o, &a->b, sink, (struct capture_options){.previous_look = look, .force_read = force});
    assert_int_equal(o.rc, ERR_OK);
    assert_int_equal(o.sink->count, 1);
    assert_int_equal(o.result.bytes_read == 0, o.sink->entries[0].reused);
    bool was = o.sink->entries[0].reused;
    if (was)
        assert_memory_equal(o.sink->entries[0].probe, a->first->entries[0].probe, a->first->entries[0].e.probe_len);
    outcome_free(&o);
    return was;
}

static void look_first(struct again *a)
{
    struct captured o;

    if (a->first)
        memory_sink_free(a->first);
    capture_db(&o, &a->b);
    a->first = o.sink;
    fact_list_release(&o.result.facts);
}

static void test_unchanged_is_reused(void **state)
{
    struct again a = {0};
    struct timestamp late = {.sec = time(NULL) + 100}, young;
    struct timespec old[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};

    (void)state;
    bench_new(&a.b);
    db_script(a.b.db, "PRAGMA journal_mode = WAL");
    db_script(a.b.db, basic);
    look_first(&a);
    assert_true(reused(&a, late, false));
    assert_false(reused(&a, late, true));
    /* As young as the look: a change in the same tick of the clock would not show. */
    young = time_now();
    assert_false(reused(&a, young, false));
    assert_false(reused(&a, (struct timestamp){0}, false));
    /* A commit that is only in the WAL. */
    pid_t pid = hold(&a.b, "UPDATE t SET b = 1 WHERE a = 1");
    assert_false(reused(&a, late, false));
    look_first(&a);
    assert_true(reused(&a, late, false));
    release(pid);
    pid = hold(&a.b, "UPDATE t SET b = 2 WHERE a = 1");
    release(pid);
    assert_false(reused(&a, late, false));
    /* The same size and time, other bytes: ctime tells. */
    look_first(&a);
    overwrite(a.b.db, 40 * 4096 + 4000, "X", 1);
    assert_int_equal(utimensat(AT_FDCWD, a.b.db, old, 0), 0);
    assert_false(reused(&a, late, false));
    memory_sink_free(a.first);
    bench_free(&a.b);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damage_inside),
        cmocka_unit_test(test_not_openable_is_raw),
        cmocka_unit_test(test_held_exclusively_is_raw),
        cmocka_unit_test(test_hot_journal_is_rolled_back_in_a_copy),
        cmocka_unit_test(test_hostile_super_journal),
        cmocka_unit_test(test_other_owner),
        cmocka_unit_test(test_what_cannot_be_checked_is_not_damage),
        cmocka_unit_test(test_many_tables),
        cmocka_unit_test(test_unchanged_is_reused),
    };

    if (argc > 1 && strcmp(argv[1], "__sqlite") == 0)
        return sqlite_child_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
