/* integrity_check and foreign_key_check on images behind a function (source/sqlite/stored.h). */
#include "sqlite_run.h"

#include "base/io.h"
#include "source/sqlite/stored.h"

/* An image in a file, read through the function; what may go wrong on the way. */
struct source {
    int fd;
    uint64_t size, reads, bytes;
    uint64_t bad_from, bad_to; /* reads that touch these bytes fail */
    enum errc failure;
};

static enum errc read_source(void *arg, void *dst, size_t len, uint64_t offset, struct err *err)
{
    struct source *s = arg;

    s->reads++;
    s->bytes += len;
    assert_true(offset + len <= s->size);
    if (s->failure && offset < s->bad_to && offset + len > s->bad_from)
        return err_fail(err, s->failure, "chunk 0123 is gone");
    return io_pread_exact(s->fd, dst, len, offset, "an image", err);
}

static void source_open(struct source *s, const char *path)
{
    struct stat st;

    memset(s, 0, sizeof *s);
    s->fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(s->fd >= 0 && fstat(s->fd, &st) == 0);
    s->size = (uint64_t)st.st_size;
}

static enum errc try_check(struct source *s, const struct stored_check_options *opt, struct stored_verdict *v,
                           struct err *err)
{
    const struct stored_image image = {.read = read_source, .arg = s, .size = s->size};
    enum errc rc = stored_check(&image, opt, v, err);

    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no helper is left */
    return rc;
}

static struct stored_verdict check_file(const char *path, uint64_t slots_max, uint64_t *bytes_out)
{
    const struct stored_check_options opt = {.slots_max = slots_max};
    struct stored_verdict v;
    struct source s;
    struct err err;

    source_open(&s, path);
    if (try_check(&s, &opt, &v, &err) != ERR_OK)
        fail_msg("%s", err.message);
    if (bytes_out)
        *bytes_out = s.bytes;
    close(s.fd);
    return v;
}

static void assert_verdict_sound(const struct stored_verdict *v)
{
    if (!v->sound || !v->checkable || v->foreign_key_violations || v->detail[0])
        fail_msg("sound %d, checkable %d, %llu violations: %s", v->sound, v->checkable,
                 (unsigned long long)v->foreign_key_violations, v->detail);
}

static void assert_verdict_damaged(const struct stored_verdict *v)
{
    if (v->sound || !v->checkable || v->out_of_time || !v->detail[0])
        fail_msg("sound %d, checkable %d: %s", v->sound, v->checkable, v->detail);
    for (const char *p = v->detail; *p; p++)
        assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static const char schema[] = "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c BLOB); CREATE INDEX tb ON t(b);"
                             "CREATE TABLE o(x TEXT UNIQUE, t REFERENCES t(a));";

static void fill(const char *path, const char *before, int rows)
{
    char sql[1200];

    snprintf(sql, sizeof sql,
             "%s; %s WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             " INSERT INTO t SELECT i, hex(randomblob(20)), randomblob(100 + i %% 400) FROM n;",
             before, schema, rows);
    db_script(path, sql);
}

static void test_sound_in_every_page_size(void **state)
{
    struct bench b;

    (void)state;
    bench_new(&b);
    for (int size = 512; size <= 65536; size *= 2) {
        char before[96];
        snprintf(before, sizeof before, "PRAGMA page_size = %d; PRAGMA journal_mode = %s", size,
                 size % 3 == 2 ? "WAL" : "DELETE");
        fill(b.db, before, 2000);
        struct stored_verdict v = check_file(b.db, 0, NULL);
        assert_verdict_sound(&v);
        assert_int_equal(unlink(b.db), 0);
    }
    bench_free(&b);
}

/* The header says WAL, and there is none: nothing is looked for beside the image. */
static void test_wal_mode_header(void **state)
{
    struct bench b;
    uint8_t mode[2];

    (void)state;
    bench_new(&b);
    fill(b.db, "PRAGMA journal_mode = WAL", 500);
    int fd = open(b.db, O_RDONLY);
    assert_true(fd >= 0 && pread(fd, mode, 2, 18) == 2);
    close(fd);
    assert_int_equal(mode[0], 2);
    struct stored_verdict v = check_file(b.db, 0, NULL);
    assert_verdict_sound(&v);
    assert_false(exists(beside(&b, "-wal")) || exists(beside(&b, "-shm")));
    bench_free(&b);
}

/* Fewer slots than blocks: the same verdict, at the price of more reads. With a slot for each, each is read once. */
static void test_few_slots(void **state)
{
    struct bench b;
    struct stat st;
    uint64_t bytes;

    (void)state;
    bench_new(&b);
    fill(b.db, "PRAGMA page_size = 4096", 20000);
    assert_int_equal(stat(b.db, &st), 0);
    assert_true(st.st_size > 40 * STORED_BLOCK_BYTES);
    struct stored_verdict v = check_file(b.db, 0, &bytes);
    assert_verdict_sound(&v);
    assert_true(bytes <= (uint64_t)st.st_size);
    v = check_file(b.db, 3, &bytes);
    assert_verdict_sound(&v);
    overwrite(b.db, 4096 * 700 + 3, "\xff\xff\xff", 3);
    v = check_file(b.db, 0, NULL);
    assert_verdict_damaged(&v);
    v = check_file(b.db, 3, NULL);
    assert_verdict_damaged(&v);
    bench_free(&b);
}

static void test_hostile_images(void **state)
{
    struct bench b;
    struct stat st;
    unsigned seed = 20261121;

    (void)state;
    bench_new(&b);
    fill(b.db, "PRAGMA page_size = 1024", 3000);
    assert_int_equal(stat(b.db, &st), 0);
    for (int round = 0; round < 40; round++) { /* any verdict, but one */
        uint8_t noise[64];
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (uint8_t)rand_r(&seed);
        overwrite(b.db, (off_t)(rand_r(&seed) % (unsigned)st.st_size), noise, sizeof noise);
        (void)check_file(b.db, 0, NULL);
    }
    struct stored_verdict v = check_file(b.db, 0, NULL);
    assert_verdict_damaged(&v);
    overwrite(b.db, 0, "no database", 11);
    v = check_file(b.db, 0, NULL);
    assert_verdict_damaged(&v);
    assert_int_equal(truncate(b.db, 50), 0);
    v = check_file(b.db, 0, NULL);
    assert_verdict_damaged(&v);
    assert_int_equal(truncate(b.db, 0), 0);
    v = check_file(b.db, 0, NULL);
    assert_verdict_sound(&v);
    bench_free(&b);
}

static void test_cut_short(void **state)
{
    struct bench b;
    struct stat st;

    (void)state;
    bench_new(&b);
    fill(b.db, "PRAGMA page_size = 4096", 3000);
    assert_int_equal(stat(b.db, &st), 0);
    assert_int_equal(truncate(b.db, st.st_size / 2), 0);
    struct stored_verdict v = check_file(b.db, 0, NULL);
    assert_verdict_damaged(&v);
    bench_free(&b);
}

static void test_foreign_keys(void **state)
{
    struct bench b;

    (void)state;
    bench_new(&b);
    fill(b.db, "PRAGMA page_size = 4096", 10);
    db_script(b.db, "INSERT INTO o VALUES('fine', 3), ('dangling', 77), ('too', 78);");
    struct stored_verdict v = check_file(b.db, 0, NULL);
    assert_true(v.sound && v.checkable);
    assert_int_equal(v.foreign_key_violations, 2);
    assert_non_null(strstr(v.detail, "refers to nothing in t"));
    /* A reference to a column that is not unique: SQLite cannot look, and the database is sound. */
    db_script(b.db, "DELETE FROM o; CREATE TABLE q(y REFERENCES t(b)); INSERT INTO q VALUES(1);");
    v = check_file(b.db, 0, NULL);
    assert_true(v.sound && v.checkable && v.foreign_key_violations == 0);
    assert_non_null(strstr(v.detail, "foreign keys not checked"));
    bench_free(&b);
}

/* An index that lacks entries: quick_check does not see it, this does. */
static void lose_index_entries(const char *path)
{
    db_script(path,
              "PRAGMA writable_schema = 1; UPDATE sqlite_master SET sql = 'CREATE INDEX tb ON t(c)' WHERE name = 'tb'");
}

static void test_index_and_table_disagree(void **state)
{
    struct bench b;

    (void)state;
    bench_new(&b);
    fill(b.db, "PRAGMA page_size = 4096", 100);
    lose_index_entries(b.db);
    struct stored_verdict v = check_file(b.db, 0, NULL);
    assert_verdict_damaged(&v);
    assert_non_null(strstr(v.detail, "missing from index tb"));
    bench_free(&b);
}

static int compare_reversed(void *arg, int a_len, const void *a, int b_len, const void *b)
{
    const char *x = a, *y = b;

    (void)arg;
    while (a_len > 0 && b_len > 0) {
        int c = (unsigned char)x[--a_len] - (unsigned char)y[--b_len];
        if (c)
            return c;
    }
    return a_len - b_len;
}

static void times_seven(sqlite3_context *c, int n, sqlite3_value **v)
{
    (void)n;
    sqlite3_result_int64(c, sqlite3_value_int64(v[0]) * 7 % 101);
}

/* Order and expressions that only the program itself knows: not to be told, which is neither sound nor damaged. */
static void test_stubs(void **state)
{
    struct bench b;

    (void)state;
    bench_new(&b);
    for (int with_function = 0; with_function < 2; with_function++) {
        sqlite3 *db = db_open(b.db);
        sqlite3_create_collation(db, "mine", SQLITE_UTF8, NULL, compare_reversed);
        sqlite3_create_function(db, "seven", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, times_seven, NULL, NULL);
        db_run(db, schema);
        db_run(db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
                   " INSERT INTO t SELECT i, hex(randomblob(20)), i FROM n;");
        db_run(db, with_function ? "CREATE INDEX f ON t(seven(a))" : "CREATE INDEX f ON t(b COLLATE mine)");
        sqlite3_close(db);
        struct stored_verdict v = check_file(b.db, 0, NULL);
        if (!v.sound || v.checkable)
            fail_msg("function %d: sound %d, checkable %d: %s", with_function, v.sound, v.checkable, v.detail);
        /* What is damaged in its structure is damaged all the same. */
        overwrite(b.db, 4096 * 20 + 1, "\xff\xff\xff\xff", 4);
        v = check_file(b.db, 0, NULL);
        assert_verdict_damaged(&v);
        assert_int_equal(unlink(b.db), 0);
    }
    bench_free(&b);
}

static void test_what_cannot_be_read(void **state)
{
    static const enum errc faults[] = {ERR_DAMAGED, ERR_MISSING_OBJECT, ERR_IO, ERR_FORMAT_NEWER};
    const struct stored_check_options opt = {0};
    struct stored_verdict v;
    struct bench b;
    struct source s;
    struct err err;

    (void)state;
    bench_new(&b);
    fill(b.db, "PRAGMA page_size = 4096", 5000);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        for (uint64_t at = 0; at < 700000; at += 500000) { /* the header, and a page in the middle */
            source_open(&s, b.db);
            s.failure = faults[i];
            s.bad_from = at;
            s.bad_to = at + 1;
            assert_int_equal(try_check(&s, &opt, &v, &err), ERR_OK);
            assert_verdict_damaged(&v);
            assert_true(v.unreadable);
            assert_non_null(strstr(v.detail, "chunk 0123 is gone"));
            close(s.fd);
        }
    source_open(&s, b.db); /* not the image's fault: no verdict */
    s.failure = ERR_NO_MEMORY;
    s.bad_from = 500000;
    s.bad_to = 500001;
    assert_int_equal(try_check(&s, &opt, &v, &err), ERR_NO_MEMORY);
    close(s.fd);
    bench_free(&b);
}

static bool interrupted(void *arg)
{
    return --*(int *)arg < 0;
}

static void test_limits_of_time(void **state)
{
    struct stored_check_options opt = {.deadline_ns = 1};
    int patience = 3;
    const struct diag diag = {.interrupted = interrupted, .arg = &patience};
    struct stored_verdict v;
    struct bench b;
    struct source s;
    struct err err;

    (void)state;
    bench_new(&b);
    fill(b.db, "PRAGMA page_size = 4096", 5000);
    source_open(&s, b.db);
    assert_int_equal(try_check(&s, &opt, &v, &err), ERR_OK);
    assert_true(v.out_of_time && !v.sound);
    opt = (struct stored_check_options){.diag = &diag};
    assert_int_equal(try_check(&s, &opt, &v, &err), ERR_INTERRUPTED);
    close(s.fd);
    bench_free(&b);
}

/* SI2 */
static void test_leaves_nothing(void **state)
{
    struct bench b;
    char command[128];

    (void)state;
    bench_new(&b);
    fill(b.db, "PRAGMA page_size = 4096", 500);
    assert_int_equal(setenv("TMPDIR", b.out, 1), 0);
    struct stored_verdict v = check_file(b.db, 0, NULL);
    assert_int_equal(unsetenv("TMPDIR"), 0);
    assert_verdict_sound(&v);
    snprintf(command, sizeof command, "test -z \"$(ls -A '%s')\"", b.out);
    assert_int_equal(system(command), 0);
    bench_free(&b);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_in_every_page_size),
        cmocka_unit_test(test_wal_mode_header),
        cmocka_unit_test(test_few_slots),
        cmocka_unit_test(test_hostile_images),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_foreign_keys),
        cmocka_unit_test(test_index_and_table_disagree),
        cmocka_unit_test(test_stubs),
        cmocka_unit_test(test_what_cannot_be_read),
        cmocka_unit_test(test_limits_of_time),
        cmocka_unit_test(test_leaves_nothing),
    };

    if (argc > 1 && strcmp(argv[1], "__sqlite") == 0)
        return sqlite_child_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
