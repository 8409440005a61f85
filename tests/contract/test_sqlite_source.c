/* The SQLite source: what it captures of databases at rest (SO1, SO2, SG1-SG4, SN1). */
#include "source/sqlite/helper.h"
#include "sqlite_run.h"

static void test_page_sizes_byte_for_byte(void **state)
{
    static const int sizes[] = {512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};
    static const char *const kinds[] = {"", "PRAGMA auto_vacuum = 1;", "PRAGMA auto_vacuum = 2;",
                                        "PRAGMA encoding = 'UTF-16le';"};
    struct bench b;
    struct captured o;
    char sql[400];

    (void)state;
    bench_new(&b);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        (void)unlink(b.db);
        snprintf(sql, sizeof sql, "PRAGMA page_size = %d; %s CREATE TABLE t(a INTEGER PRIMARY KEY, b); %s", sizes[i],
                 kinds[i % 4], ROWS(300, 2000));
        db_script(b.db, sql);
        db_script(b.db, "DELETE FROM t WHERE a % 3 = 0");
        capture_db(&o, &b);
        assert_exact(&o, &b);
        assert_true(same_files(b.db, image_of(&b, 0)));
        assert_int_equal(fact_int(&o, "page_size"), sizes[i]);
        assert_int_equal(fact_int(&o, "rows.t"), 200);
        assert_string_equal(fact_text(&o, "journal_mode"), "rollback");
        outcome_free(&o);
    }
    bench_free(&b);
}

static void test_embeddings_are_facts(void **state)
{
    struct bench b;
    struct captured o;

    (void)state;
    bench_new(&b);
    db_script(b.db, "CREATE TABLE t(a INTEGER PRIMARY KEY, embedding BLOB);"
                    "INSERT INTO t(embedding) VALUES (x'0000803f0000003f'), (x'0000803f0000003f'), (NULL)");
    capture_db(&o, &b);
    assert_exact(&o, &b);
    assert_string_equal(fact_text(&o, "vectors.t.embedding.dtype"), "float32");
    assert_int_equal(fact_int(&o, "vectors.t.embedding.dimension"), 2);
    assert_int_equal(fact_int(&o, "vectors.t.embedding.count"), 2);
    outcome_free(&o);
    bench_free(&b);
}

/* The version that a backup writes into page 1 is its own. */
static void test_written_by_another_sqlite(void **state)
{
    static const uint8_t version[] = {0, 46, 153, 145}; /* 3,054,001 */
    struct bench b;
    struct captured o;

    (void)state;
    bench_new(&b);
    db_script(b.db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b); " ROWS(300, 200));
    overwrite(b.db, 96, version, sizeof version);
    capture_db(&o, &b);
    assert_exact(&o, &b);
    assert_true(same_files(b.db, image_of(&b, 0)));
    outcome_free(&o);
    bench_free(&b);
}

static void test_reserved_bytes(void **state)
{
    struct bench b;
    struct captured o;
    int reserve = 32;

    (void)state;
    bench_new(&b);
    sqlite3 *db = db_open(b.db);
    assert_int_equal(sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve), SQLITE_OK);
    db_run(db, "VACUUM; CREATE TABLE t(a PRIMARY KEY, b) WITHOUT ROWID; " ROWS(500, 100));
    sqlite3_close(db);
    capture_db(&o, &b);
    assert_exact(&o, &b);
    assert_true(same_files(b.db, image_of(&b, 0)));
    size_t len;
    uint8_t *image = slurp(image_of(&b, 0), &len);
    assert_int_equal(image[20], 32);
    free(image);
    outcome_free(&o);
    bench_free(&b);
}

static unsigned files_in(const char *dir)
{
    DIR *d = opendir(dir);
    unsigned n = 0;

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* WAL at rest: the file alone; nothing is left beside it, and the file keeps its bytes. */
static void test_wal_at_rest_leaves_no_trace(void **state)
{
    struct bench b;
    struct captured o;
    char before[128];

    (void)state;
    bench_new(&b);
    db_script(b.db, "PRAGMA journal_mode = WAL; CREATE TABLE t(a INTEGER PRIMARY KEY, b); " ROWS(2000, 500));
    assert_int_equal(files_in(b.data), 1);
    snprintf(before, sizeof before, "%s/before", b.root);
    copy_file(b.db, before);
    capture_db(&o, &b);
    assert_exact(&o, &b);
    assert_int_equal(files_in(b.data), 1);
    assert_true(same_files(before, b.db));
    assert_true(same_files(before, image_of(&b, 0)));
    assert_string_equal(fact_text(&o, "journal_mode"), "wal");
    outcome_free(&o);
    bench_free(&b);
}

/* A process that has written and dies without closing: what it committed is only in the WAL. */
static void leave_wal(const struct bench *b, const char *sql)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        sqlite3 *db = db_open(b->db);
        sqlite3_wal_autocheckpoint(db, 0);
        db_run(db, sql);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_wal_content_is_in_the_image(void **state)
{
    struct bench b;
    struct captured o;
    char wal[128], db[128], first[128];

    (void)state;
    bench_new(&b);
    db_script(b.db, "PRAGMA journal_mode = WAL; CREATE TABLE t(a INTEGER PRIMARY KEY, b); " ROWS(1000, 500));
    leave_wal(&b, "DELETE FROM t WHERE a % 2 = 0; CREATE TABLE u(x); INSERT INTO u VALUES (7)");
    assert_true(exists(beside(&b, "-wal")));
    (void)unlink(beside(&b, "-shm")); /* as after a restart of the machine */
    snprintf(wal, sizeof wal, "%s/wal", b.root);
    snprintf(db, sizeof db, "%s/db", b.root);
    snprintf(first, sizeof first, "%s/first", b.root);
    copy_file(beside(&b, "-wal"), wal);
    copy_file(b.db, db);
    for (int i = 0; i < 2; i++) {
        capture_db(&o, &b);
        assert_exact(&o, &b);
        assert_int_equal(fact_int(&o, "rows.t"), 500);
        assert_int_equal(fact_int(&o, "rows.u"), 1);
        assert_int_equal(image_int(image_of(&b, 0), "SELECT x FROM u"), 7);
        if (i == 0)
            copy_file(image_of(&b, 0), first);
        else
            assert_true(same_files(first, image_of(&b, 0)));
        outcome_free(&o);
        /* SO2: nothing was checkpointed, nothing recovered into the files. */
        assert_true(same_files(wal, beside(&b, "-wal")));
        assert_true(same_files(db, b.db));
        assert_false(exists(beside(&b, "-shm")));
    }
    bench_free(&b);
}

static void test_empty_file(void **state)
{
    struct bench b;
    struct captured o;

    (void)state;
    bench_new(&b);
    fclose(fopen(b.db, "w"));
    capture_db(&o, &b);
    assert_int_equal(o.sink->count, 1);
    assert_int_equal(o.sink->entries[0].size, 0);
    assert_int_equal(o.sink->entries[0].end.state, STATE_EXACT);
    assert_true(o.result.good);
    assert_int_equal(fact_int(&o, "page_count"), 0);
    outcome_free(&o);
    bench_free(&b);
}

/* A database that reaches over the lock page: made sparse, with the pages in between on the free list. */
static void make_huge(const char *path)
{
    enum { PAGE = 65536, LOCK_PAGE = (1 << 30) / PAGE + 1, LAST = LOCK_PAGE + 8, PER_TRUNK = PAGE / 4 - 8 };
    uint8_t *trunk = calloc(1, PAGE), word[4];
    size_t len;

    db_script(path,
              "PRAGMA page_size = 65536; CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES (1, 'x')");
    free(slurp(path, &len));
    uint32_t page = (uint32_t)(len / PAGE) + 1, first = page, count = 0, trunk_page = 0;
    assert_int_equal(truncate(path, (off_t)LAST * PAGE), 0);
#define PUT32(p, v) \
    ((p)[0] = (uint8_t)((v) >> 24), (p)[1] = (uint8_t)((v) >> 16), (p)[2] = (uint8_t)((v) >> 8), (p)[3] = (uint8_t)(v))
    while (page <= LAST) {
        uint32_t leaves = 0;
        trunk_page = page++;
        count++;
        memset(trunk, 0, PAGE);
        for (; page <= LAST && leaves < PER_TRUNK; page++) {
            if (page == LOCK_PAGE)
                continue;
            leaves++;
            count++;
            PUT32(trunk + 4 + 4 * leaves, page);
        }
        PUT32(trunk + 4, leaves);
        if (page <= LAST)
            PUT32(trunk, page == LOCK_PAGE ? page + 1 : page);
        overwrite(path, (off_t)(trunk_page - 1) * PAGE, trunk, PAGE);
        if (page == LOCK_PAGE)
            page++;
    }
    PUT32(word, LAST);
    overwrite(path, 28, word, 4);
    PUT32(word, first);
    overwrite(path, 32, word, 4);
    PUT32(word, count);
    overwrite(path, 36, word, 4);
    free(trunk);
}

static void test_lock_page(void **state)
{
    struct bench b;
    struct captured o;
    struct stat st;

    (void)state;
    bench_new(&b);
    make_huge(b.db);
    struct memory_sink *sink = memory_sink_new(NULL);
    sink->compare = b.db;
    capture_into(&o, &b, sink, (struct capture_options){0});
    if (o.rc != ERR_OK)
        fail_msg("%s", o.err.message);
    assert_int_equal(stat(b.db, &st), 0);
    assert_int_equal(o.result.bytes, st.st_size);
    assert_true(st.st_size > (1 << 30));
    assert_string_equal(fact_text(&o, "quick_check"), "ok");
    assert_true(o.result.good);
    outcome_free(&o);
    bench_free(&b);
}

static void test_checkpoint_when_asked(void **state)
{
    struct bench b;
    struct captured o;
    struct stat st;

    (void)state;
    bench_new(&b);
    db_script(b.db, "PRAGMA journal_mode = WAL; CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
    for (int mode = CHECKPOINT_PASSIVE; mode <= CHECKPOINT_TRUNCATE; mode++) {
        leave_wal(&b, "DELETE FROM t; " ROWS(100, 500));
        capture_into(&o, &b, memory_sink_new(b.out),
                     (struct capture_options){.checkpoint = (enum checkpoint_mode)mode});
        assert_int_equal(o.rc, ERR_OK);
        assert_true(o.result.good);
        /* The main file alone has the rows now. */
        copy_file(b.db, image_of(&b, 9));
        assert_int_equal(image_int(image_of(&b, 9), "SELECT count(*) FROM t"), 100);
        assert_int_equal(stat(beside(&b, "-wal"), &st), 0);
        assert_true(mode == CHECKPOINT_TRUNCATE ? st.st_size == 0 : st.st_size > 0);
        if (sqlite3_libversion_number() < 3044006) {
            assert_int_equal(o.heard.warnings, 1);
            assert_non_null(strstr(o.heard.last, "can lose commits"));
        }
        outcome_free(&o);
    }
    bench_free(&b);
}

static void test_sink_error_ends_the_capture(void **state)
{
    struct bench b;
    struct captured o;

    (void)state;
    bench_new(&b);
    db_script(b.db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b); " ROWS(2000, 2000));
    struct memory_sink *sink = memory_sink_new(NULL);
    sink->fail_after = 1 << 20;
    capture_into(&o, &b, sink, (struct capture_options){0});
    assert_int_equal(o.rc, ERR_NO_SPACE);
    assert_string_equal(o.err.message, "the sink is full");
    assert_int_equal(o.sink->count, 0);
    outcome_free(&o);
    bench_free(&b);
}

/* Should pages ever come in another order, the helper is asked again to go by way of a temporary file: the same bytes.
 */
static void test_by_way_of_a_temporary_file(void **state)
{
    struct bench b;
    struct place p;
    struct helper h;
    struct err err;
    enum frame_kind kind;
    size_t len, got = 0, want;
    static uint8_t data[4 << 20];

    (void)state;
    bench_new(&b);
    db_script(b.db, "PRAGMA journal_mode = WAL; CREATE TABLE t(a INTEGER PRIMARY KEY, b); " ROWS(1000, 2000));
    assert_int_equal(place_open(&p, b.db, false, &err), ERR_OK);
    struct helper_spec spec = {.op = "capture", .place = &p, .image_fd = -1, .spool = true};
    assert_int_equal(helper_start(&spec, &h, &err), ERR_OK);
    do {
        assert_int_equal(frame_head(h.fd, NULL, &kind, &len, &err), ERR_OK);
        assert_true(kind == FRAME_DATA || kind == FRAME_FACTS || kind == FRAME_DONE);
        assert_true(got + len <= sizeof data);
        assert_int_equal(frame_body(h.fd, NULL, data + got, len, &err), ERR_OK);
        if (kind == FRAME_DATA)
            got += len;
    } while (kind != FRAME_DONE);
    assert_int_equal(helper_finish(&h, &err), ERR_OK);
    uint8_t *there = slurp(b.db, &want);
    assert_int_equal(got, want);
    assert_memory_equal(there, data, want);
    free(there);
    place_release(&p);
    bench_free(&b);
}

static void test_missing_and_not_a_file(void **state)
{
    struct bench b;
    struct captured o;
    struct capture_result r = {.good = true};
    struct capture_options opt = {0};
    struct err err;

    (void)state;
    bench_new(&b);
    capture_into(&o, &b, memory_sink_new(NULL), opt);
    assert_int_equal(o.rc, ERR_SOURCE_MISSING);
    outcome_free(&o);
    assert_int_equal(mkfifo(b.db, 0600), 0);
    capture_into(&o, &b, memory_sink_new(NULL), opt);
    assert_int_equal(o.rc, ERR_SOURCE_UNREADABLE);
    outcome_free(&o);
    /* In a tree it is one failure among others, and a link is not followed. */
    assert_int_equal(unlink(b.db), 0);
    assert_int_equal(symlink("/etc/passwd", b.db), 0);
    struct memory_sink *sink = memory_sink_new(NULL);
    assert_int_equal(sqlite_capture_entry(b.db, "data/app.db", &sink->sink, &opt, &r, &err), ERR_OK);
    assert_int_equal(sink->failed_count, 1);
    assert_false(r.good);
    assert_int_equal(r.entries, 0);
    memory_sink_free(sink);
    /* Nor is a directory on the way that has become one. */
    assert_int_equal(unlink(b.db), 0);
    db_script(b.db, "CREATE TABLE t(a)");
    for (int linked = 0; linked < 2; linked++) {
        char path[160], rel[32], link[100];
        snprintf(link, sizeof link, "%s/link", b.root);
        snprintf(rel, sizeof rel, "%s/app.db", linked ? "link" : "data");
        snprintf(path, sizeof path, "%s/%s", b.root, rel);
        assert_int_equal(linked ? symlink(b.data, link) : 0, 0);
        sink = memory_sink_new(NULL);
        assert_int_equal(sqlite_capture_entry(path, rel, &sink->sink, &opt, &r, &err), ERR_OK);
        assert_int_equal(sink->failed_count, linked);
        assert_int_equal(sink->count, !linked);
        memory_sink_free(sink);
    }
    bench_free(&b);
}

static void test_observe(void **state)
{
    struct bench b;
    struct captured o;
    struct fact_list seen;
    struct err err;

    (void)state;
    bench_new(&b);
    db_script(b.db, "PRAGMA journal_mode = WAL; PRAGMA user_version = 42; PRAGMA application_id = -5;"
                    "CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE INDEX i ON t(b); " ROWS(100, 500));
    capture_db(&o, &b);
    assert_exact(&o, &b);
    assert_int_equal(fact_int(&o, "user_version"), 42);
    assert_int_equal(fact_int(&o, "application_id"), -5);
    if (sqlite_observe(image_of(&b, 0), NULL, &seen, &err) != ERR_OK)
        fail_msg("%s", err.message);
    assert_int_equal(seen.count, o.result.facts.count);
    for (size_t i = 0; i < seen.count; i++)
        assert_true(fact_equal(&seen.facts[i], &o.result.facts.facts[i]));
    assert_int_equal(strlen(fact_text(&o, "schema_digest")), 64);
    fact_list_release(&seen);
    /* Damage is a fact. */
    overwrite(image_of(&b, 0), 4096 + 2, "garbage", 7);
    assert_int_equal(sqlite_observe(image_of(&b, 0), NULL, &seen, &err), ERR_OK);
    assert_memory_equal(fact_find(&seen, "quick_check")->text, "damaged: ", 9);
    fact_list_release(&seen);
    overwrite(image_of(&b, 0), 0, "garbage", 7);
    assert_int_equal(sqlite_observe(image_of(&b, 0), NULL, &seen, &err), ERR_OK);
    assert_memory_equal(fact_find(&seen, "quick_check")->text, "damaged: ", 9);
    fact_list_release(&seen);
    outcome_free(&o);
    bench_free(&b);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_sizes_byte_for_byte),
        cmocka_unit_test(test_embeddings_are_facts),
        cmocka_unit_test(test_written_by_another_sqlite),
        cmocka_unit_test(test_reserved_bytes),
        cmocka_unit_test(test_wal_at_rest_leaves_no_trace),
        cmocka_unit_test(test_wal_content_is_in_the_image),
        cmocka_unit_test(test_empty_file),
        cmocka_unit_test(test_lock_page),
        cmocka_unit_test(test_checkpoint_when_asked),
        cmocka_unit_test(test_sink_error_ends_the_capture),
        cmocka_unit_test(test_by_way_of_a_temporary_file),
        cmocka_unit_test(test_missing_and_not_a_file),
        cmocka_unit_test(test_observe),
    };

    if (argc > 1 && strcmp(argv[1], "__sqlite") == 0)
        return sqlite_child_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
