/* Putting an image in place of a live database (SA1-SA3, SW1-SW3). */
#include <sys/prctl.h>

#include "source/sqlite/apply.h"
#include "sqlite_run.h"

/* A live database at b->db that says "live", an image that says "image". */
struct stage {
    struct bench b;
    char image[128], quarantine[128];
    struct heard heard;
    struct entry meta;
};

static void write_rows(const char *path, const char *setup, const char *word, int rows)
{
    char sql[700];

    snprintf(sql, sizeof sql,
             "%s; CREATE TABLE t(a INTEGER PRIMARY KEY, word, pad);"
             "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < %d)"
             " INSERT INTO t SELECT x, '%s', hex(randomblob(300)) FROM c",
             setup, rows, word);
    db_script(path, sql);
}

static void stage_new(struct stage *s, const char *live_setup, const char *image_setup)
{
    memset(s, 0, sizeof *s);
    bench_new(&s->b);
    snprintf(s->image, sizeof s->image, "%s/image", s->b.out);
    snprintf(s->quarantine, sizeof s->quarantine, "%s/quarantine", s->b.out);
    assert_int_equal(mkdir(s->quarantine, 0700), 0);
    if (live_setup)
        write_rows(s->b.db, live_setup, "live", 3000);
    write_rows(s->image, image_setup, "image", 1500);
    s->meta = (struct entry){
        .type = ENTRY_SQLITE, .mode = 0640, .uid = geteuid(), .gid = getegid(), .mtime = {.sec = 1000000000}};
}

static enum errc apply(struct stage *s, bool force, struct err *err)
{
    static struct diag diag;

    diag = (struct diag){.message = hear, .arg = &s->heard};
    struct sqlite_apply a = {.path = s->b.db,
                             .image = s->image,
                             .meta = &s->meta,
                             .quarantine = s->quarantine,
                             .force = force,
                             .diag = &diag};
    return sqlite_apply(&a, err);
}

/* What a user of the database reads now; "broken" when it is not sound. */
static void read_live(const char *path, char word[16])
{
    sqlite3 *db = db_open(path);
    sqlite3_stmt *q = NULL;

    snprintf(word, 16, "broken");
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &q, NULL), SQLITE_OK);
    bool ok = sqlite3_step(q) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(q, 0), "ok") == 0;
    sqlite3_finalize(q);
    if (ok && sqlite3_prepare_v2(db, "SELECT min(word), max(word), count(*) FROM t", -1, &q, NULL) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW) {
        const char *low = (const char *)sqlite3_column_text(q, 0), *high = (const char *)sqlite3_column_text(q, 1);
        int rows = sqlite3_column_int(q, 2);
        if (strcmp(low, high) == 0 && rows == (strcmp(low, "live") == 0 ? 3000 : 1500))
            snprintf(word, 16, "%s", low);
    }
    sqlite3_finalize(q);
    sqlite3_close(db);
}

static void assert_live(const struct stage *s, const char *word)
{
    char now[16];

    read_live(s->b.db, now);
    assert_string_equal(now, word);
}

static void must(enum errc rc, const struct err *err)
{
    if (rc != ERR_OK)
        fail_msg("%s: %s", err_name(rc), err->message);
}

/* Equal but for the counters of page 1 and the bytes that say WAL. */
static void assert_same_pages(const char *a, const char *b)
{
    size_t a_len, b_len;
    uint8_t *x = slurp(a, &a_len), *y = slurp(b, &b_len);
    static const int free_bytes[][2] = {{18, 2}, {24, 4}, {40, 4}, {92, 4}};

    assert_int_equal(a_len, b_len);
    for (size_t i = 0; i < sizeof free_bytes / sizeof free_bytes[0]; i++)
        memcpy(x + free_bytes[i][0], y + free_bytes[i][0], (size_t)free_bytes[i][1]);
    assert_memory_equal(x, y, a_len);
    free(x);
    free(y);
}

static const char WAL[] = "PRAGMA journal_mode = WAL";

static void test_into_a_database_at_rest(void **state)
{
    static const char *const setups[][2] = {
        {WAL, WAL},
        {"", ""},
        {"", WAL},
        {WAL, ""},
        {"PRAGMA page_size = 1024", "PRAGMA page_size = 8192"},
        {"PRAGMA page_size = 8192", "PRAGMA page_size = 1024"},
        {"PRAGMA page_size = 1024; PRAGMA journal_mode = WAL", "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL"},
        {"PRAGMA auto_vacuum = 1", "PRAGMA encoding = 'UTF-16le'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof setups / sizeof setups[0]; i++) {
        struct stage s;
        struct err err;
        struct stat before, after;
        stage_new(&s, setups[i][0], setups[i][1]);
        assert_int_equal(chmod(s.b.db, 0604), 0);
        assert_int_equal(stat(s.b.db, &before), 0);
        must(apply(&s, false, &err), &err);
        assert_false(exists(beside(&s.b, "-wal")));
        assert_false(exists(beside(&s.b, "-journal")));
        assert_same_pages(s.b.db, s.image);
        assert_live(&s, "image");
        assert_int_equal(stat(s.b.db, &after), 0);
        assert_int_equal(before.st_ino, after.st_ino);
        assert_int_equal(before.st_mode, after.st_mode);
        assert_true(exists(s.image));
        bench_free(&s.b);
    }
}

/* A process that reads, and with write set also writes, until it is stopped; dies if it sees a mix. */
static pid_t user(const struct stage *s, bool write)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        sqlite3 *db = NULL;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (sqlite3_open(s->b.db, &db) != SQLITE_OK)
            _exit(1);
        sqlite3_busy_timeout(db, 20000);
        for (unsigned i = 0;; i++) {
            sqlite3_stmt *q = NULL;
            if (sqlite3_prepare_v2(db, "SELECT count(DISTINCT word), min(word), count(*) FROM t", -1, &q, NULL) ==
                    SQLITE_OK &&
                sqlite3_step(q) == SQLITE_ROW) {
                int rows = sqlite3_column_int(q, 2), kinds = sqlite3_column_int(q, 0);
                if (kinds != 1 || (rows != 3000 && rows != 1500))
                    _exit(2);
            }
            sqlite3_finalize(q);
            if (write)
                (void)sqlite3_exec(db, "UPDATE t SET pad = hex(randomblob(300)) WHERE a % 100 = 7", NULL, NULL, NULL);
            usleep(2000);
        }
    }
    return pid;
}

static void stop(pid_t pid)
{
    int status = 0;
    pid_t got = waitpid(pid, &status, WNOHANG);

    if (got != 0)
        fail_msg("a user ended with %d", WEXITSTATUS(status));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_under_readers_and_writers(void **state)
{
    (void)state;
    for (int wal = 0; wal < 2; wal++) {
        struct stage s;
        struct err err;
        char word[16];
        stage_new(&s, wal ? WAL : "", WAL);
        pid_t pids[] = {user(&s, false), user(&s, false), user(&s, true)};
        usleep(50000);
        must(apply(&s, false, &err), &err);
        usleep(50000);
        for (size_t i = 0; i < 3; i++)
            stop(pids[i]);
        read_live(s.b.db, word);
        assert_string_equal(word, "image");
        bench_free(&s.b);
    }
}

static void test_nothing_there(void **state)
{
    struct stage s;
    struct err err;
    struct stat st;

    (void)state;
    stage_new(&s, NULL, WAL);
    /* What an earlier database left behind would be played into the new one. */
    FILE *f = fopen(beside(&s.b, "-wal"), "w");
    fputs("stale", f);
    fclose(f);
    must(apply(&s, false, &err), &err);
    assert_false(exists(beside(&s.b, "-wal")));
    assert_false(exists(s.image));
    char moved[160];
    snprintf(moved, sizeof moved, "%s/app.db-wal", s.quarantine);
    assert_true(exists(moved));
    assert_int_equal(stat(s.b.db, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_mtim.tv_sec, 1000000000);
    assert_live(&s, "image");
    bench_free(&s.b);
}

static void test_damaged_is_renamed_over(void **state)
{
    struct stage s;
    struct err err;
    struct stat before, after;
    struct sqlite_target t;
    char moved[160];

    (void)state;
    stage_new(&s, WAL, WAL);
    overwrite(s.b.db, 0, "no database at all", 18);
    fclose(fopen(beside(&s.b, "-wal"), "w"));
    fclose(fopen(beside(&s.b, "-journal"), "w"));
    assert_int_equal(chmod(s.b.db, 0604), 0);
    assert_int_equal(stat(s.b.db, &before), 0);
    must(sqlite_target_look(s.b.db, 4096, NULL, &t, &err), &err);
    assert_int_equal(t.state, SQLITE_TARGET_NEEDS_RENAME);
    assert_true(strlen(t.detail) > 0);
    /* Held by somebody: refused, untouched. */
    int fd = open(s.b.db, O_RDWR);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        for (;;)
            pause();
    close(fd);
    assert_int_equal(apply(&s, false, &err), ERR_TARGET_IN_USE);
    assert_true(exists(beside(&s.b, "-wal")));
    assert_int_equal(stat(s.b.db, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    /* Forced: done, and said. */
    must(apply(&s, true, &err), &err);
    assert_int_equal(s.heard.warnings, 1);
    assert_string_equal(s.heard.last_name, err_name(ERR_TARGET_IN_USE));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_false(exists(beside(&s.b, "-wal")));
    assert_false(exists(beside(&s.b, "-journal")));
    assert_int_equal(stat(s.b.db, &after), 0);
    assert_int_equal(after.st_mode & 07777, 0604); /* as the one it replaced */
    assert_live(&s, "image");
    snprintf(moved, sizeof moved, "%s/app.db", s.quarantine);
    assert_int_equal(stat(moved, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    bench_free(&s.b);
}

/* Runs sql and holds on. */
static pid_t hold(const struct stage *s, const char *sql)
{
    int ready[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        sqlite3 *db = NULL;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (sqlite3_open(s->b.db, &db) == SQLITE_OK && sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
            (void)!write(ready[1], "x", 1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void test_refused_and_untouched(void **state)
{
    struct stage s;
    struct err err;
    struct sqlite_target t;
    pid_t pid;
    char before[128];

    (void)state;
    /* Held exclusively. */
    stage_new(&s, "", "");
    snprintf(before, sizeof before, "%s/before", s.b.root);
    copy_file(s.b.db, before);
    pid = hold(&s, "BEGIN EXCLUSIVE");
    must(sqlite_target_look(s.b.db, 4096, NULL, &t, &err), &err);
    assert_int_equal(t.state, SQLITE_TARGET_BUSY);
    assert_true(t.holder_count > 0);
    assert_int_equal(apply(&s, false, &err), ERR_TARGET_IN_USE);
    stop(pid);
    assert_true(same_files(before, s.b.db));
    bench_free(&s.b);
    /* Another page size, in WAL mode, and open. */
    stage_new(&s, WAL, "PRAGMA page_size = 1024; PRAGMA journal_mode = WAL");
    pid = hold(&s, "SELECT * FROM t");
    must(sqlite_target_look(s.b.db, 1024, NULL, &t, &err), &err);
    assert_int_equal(t.state, SQLITE_TARGET_PAGE_SIZE);
    assert_int_equal(apply(&s, false, &err), ERR_TARGET_IN_USE);
    stop(pid);
    assert_live(&s, "live");
    bench_free(&s.b);
}

/* A hot journal belongs to what is replaced: it is rolled back, not played into the image. */
static void test_over_a_crashed_database(void **state)
{
    struct stage s;
    struct err err;
    struct sqlite_target t;

    (void)state;
    stage_new(&s, "", "");
    stop(hold(&s, "PRAGMA cache_size = 5; BEGIN; UPDATE t SET pad = 'x'"));
    assert_true(exists(beside(&s.b, "-journal")));
    must(sqlite_target_look(s.b.db, 4096, NULL, &t, &err), &err);
    assert_int_equal(t.state, SQLITE_TARGET_OPENABLE);
    assert_true(exists(beside(&s.b, "-journal"))); /* a look changes nothing */
    must(apply(&s, false, &err), &err);
    assert_false(exists(beside(&s.b, "-journal")));
    assert_live(&s, "image");
    bench_free(&s.b);
}

/* How long a whole one takes here. */
static uint64_t time_of_one(const char *live_setup, const char *image_setup)
{
    struct stage s;
    struct err err;

    stage_new(&s, live_setup, image_setup);
    uint64_t begin = monotonic_ns();
    must(apply(&s, false, &err), &err);
    uint64_t ns = monotonic_ns() - begin;
    remove_tree(s.b.root);
    return ns;
}

/* SA1: killed at any moment, with its helper. */
static void test_killed_at_any_moment(void **state)
{
    enum { ROUNDS = 3, KILLS = 20 };
    static const char *const setups[ROUNDS][2] = {{"", ""}, {WAL, WAL}, {"PRAGMA page_size = 1024", ""}};

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t ns = time_of_one(setups[round][0], setups[round][1]);
        unsigned old = 0, new = 0;
        for (unsigned i = 0; i < KILLS; i++) {
            struct stage s;
            char word[16];
            stage_new(&s, setups[round][0], setups[round][1]);
            pid_t pid = fork();
            assert_true(pid >= 0);
            if (pid == 0) {
                struct err err;
                (void)setpgid(0, 0);
                _exit(apply(&s, false, &err) == ERR_OK ? 0 : 1);
            }
            (void)setpgid(pid, pid);
            usleep((useconds_t)(ns / 1000 * (i + 1) / KILLS));
            (void)kill(-pid, SIGKILL);
            assert_int_equal(waitpid(pid, NULL, 0), pid);
            usleep(3000); /* the helper, too, has to be dead */
            read_live(s.b.db, word);
            if (strcmp(word, "live") != 0 && strcmp(word, "image") != 0)
                fail_msg("after a kill the database is %s", word);
            old += strcmp(word, "live") == 0;
            new += strcmp(word, "image") == 0;
            remove_tree(s.b.root);
        }
        print_message("killed %u times: %u old, %u new\n", KILLS, old, new);
    }
}

static void test_raw_bytes_back(void **state)
{
    struct stage s;
    struct err err;
    char raw[4][160], moved[160];
    struct sqlite_apply a;
    static const char *const names[] = {"raw", "raw-wal", "raw-shm", "raw-journal"};

    (void)state;
    stage_new(&s, WAL, WAL);
    for (size_t i = 0; i < 4; i++) {
        snprintf(raw[i], sizeof raw[i], "%s/%s", s.b.out, names[i]);
        FILE *f = fopen(raw[i], "w");
        fprintf(f, "raw bytes %zu", i);
        fclose(f);
    }
    a = (struct sqlite_apply){.path = s.b.db, .meta = &s.meta, .quarantine = s.quarantine};
    fclose(fopen(beside(&s.b, "-journal"), "w"));
    struct sqlite_raw_files files = {.database = raw[0], .wal = raw[1]};
    must(sqlite_apply_raw(&a, &files, &err), &err);
    size_t len;
    char *data = (char *)slurp(s.b.db, &len);
    assert_memory_equal(data, "raw bytes 0", len);
    free(data);
    data = (char *)slurp(beside(&s.b, "-wal"), &len);
    assert_memory_equal(data, "raw bytes 1", len);
    free(data);
    assert_false(exists(beside(&s.b, "-journal")));
    snprintf(moved, sizeof moved, "%s/app.db", s.quarantine);
    assert_true(exists(moved));
    /* And away with it, for one that was not there before. */
    files = (struct sqlite_raw_files){0};
    must(sqlite_apply_raw(&a, &files, &err), &err);
    assert_false(exists(s.b.db));
    assert_false(exists(beside(&s.b, "-wal")));
    snprintf(moved, sizeof moved, "%s/app.db.1", s.quarantine);
    assert_true(exists(moved)); /* SW3 */
    bench_free(&s.b);
}

static void test_as_its_owner(void **state)
{
    struct stage s;
    struct err err;
    struct stat st;

    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: a database of another owner\n");
        skip();
    }
    stage_new(&s, WAL, WAL);
    assert_int_equal(chown(s.b.data, 65534, 65534), 0);
    assert_int_equal(chown(s.b.db, 65534, 65534), 0);
    must(apply(&s, false, &err), &err);
    assert_int_equal(stat(s.b.db, &st), 0);
    assert_int_equal(st.st_uid, 65534);
    assert_live(&s, "image");
    bench_free(&s.b);
    /* The owner may not make a journal here: by rename, and the file is its own again. */
    stage_new(&s, "", "");
    assert_int_equal(chown(s.b.db, 65534, 65534), 0);
    must(apply(&s, false, &err), &err);
    assert_int_equal(stat(s.b.db, &st), 0);
    assert_int_equal(st.st_uid, 65534);
    assert_live(&s, "image");
    bench_free(&s.b);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_into_a_database_at_rest),
        cmocka_unit_test(test_under_readers_and_writers),
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_damaged_is_renamed_over),
        cmocka_unit_test(test_refused_and_untouched),
        cmocka_unit_test(test_over_a_crashed_database),
        cmocka_unit_test(test_killed_at_any_moment),
        cmocka_unit_test(test_raw_bytes_back),
        cmocka_unit_test(test_as_its_owner),
    };

    if (argc > 1 && strcmp(argv[1], "__sqlite") == 0)
        return sqlite_child_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
