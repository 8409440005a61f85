/* The SQLite source beside a database's users: writers, checkpointers of every mode, long readers (SO1, SO2). */
#include <sys/prctl.h>

#include "sqlite_run.h"

enum { ACCOUNTS = 2000, START = 1000, CAPTURES = 100 };

static const char bank[] = "CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, pad TEXT);"
                           "CREATE TABLE turn(n INTEGER);"
                           "INSERT INTO turn VALUES (0);"
                           "CREATE TABLE journal(x);"
                           "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 2000)"
                           " INSERT INTO account SELECT x, 1000, hex(randomblob(200)) FROM c;"
                           "CREATE INDEX by_balance ON account(balance, pad);";

/* A process that runs work until it is killed; work returns when it has nothing to do. */
static pid_t worker(const struct bench *b, void (*work)(sqlite3 *db, unsigned turn))
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        sqlite3 *db = NULL;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (sqlite3_open(b->db, &db) != SQLITE_OK)
            _exit(1);
        sqlite3_busy_timeout(db, 20000);
        sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
        for (unsigned i = 0;; i++)
            work(db, i);
    }
    return pid;
}

static void run_quietly(sqlite3 *db, const char *sql)
{
    (void)sqlite3_exec(db, sql, NULL, NULL, NULL);
}

/* Moves money about in transactions of many rows; the sum stays. */
static void transfer(sqlite3 *db, unsigned turn)
{
    char sql[600];
    unsigned a = turn * 7919 % ACCOUNTS + 1, c = turn * 104729 % ACCOUNTS + 1;

    snprintf(sql, sizeof sql,
             "BEGIN IMMEDIATE; UPDATE account SET balance = balance - 5, pad = hex(randomblob(200)) WHERE id = %u;"
             "UPDATE account SET balance = balance + 5 WHERE id = %u;"
             "UPDATE account SET balance = balance - 1 WHERE id %% 50 = 0;"
             "UPDATE account SET balance = balance + 1 WHERE id %% 50 = 1;"
             "UPDATE turn SET n = n + 1; INSERT INTO journal VALUES (1); COMMIT",
             a, c);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        run_quietly(db, "ROLLBACK");
    usleep(500);
}

static void checkpoint_all_ways(sqlite3 *db, unsigned turn)
{
    static const int modes[] = {SQLITE_CHECKPOINT_PASSIVE, SQLITE_CHECKPOINT_FULL, SQLITE_CHECKPOINT_RESTART,
                                SQLITE_CHECKPOINT_TRUNCATE};

    sqlite3_busy_timeout(db, 50);
    run_quietly(db, "SELECT n FROM turn");
    (void)sqlite3_wal_checkpoint_v2(db, NULL, modes[turn % 4], NULL, NULL);
    usleep(3000);
}

static void read_long(sqlite3 *db, unsigned turn)
{
    (void)turn;
    run_quietly(db, "BEGIN; SELECT sum(balance) FROM account");
    usleep(30000);
    run_quietly(db, "SELECT sum(balance) FROM account; COMMIT");
    usleep(10000);
}

static void stop(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* it is alive: nothing stopped it */
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void capture_beside_users(const struct bench *b, unsigned captures)
{
    sqlite3_int64 turn = -1, first = 0;

    for (unsigned i = 0; i < captures; i++) {
        struct captured o;
        capture_db(&o, b);
        assert_exact(&o, b);
        assert_int_equal(image_int(image_of(b, 0), "SELECT sum(balance) FROM account"), ACCOUNTS * START);
        assert_int_equal(image_int(image_of(b, 0), "SELECT count(*) FROM account"), fact_int(&o, "rows.account"));
        sqlite3_int64 now = image_int(image_of(b, 0), "SELECT n FROM turn");
        assert_int_equal(now, image_int(image_of(b, 0), "SELECT count(*) FROM journal"));
        assert_int_equal(now, fact_int(&o, "rows.journal")); /* facts are of the captured view (SV1) */
        assert_true(now >= turn);
        turn = now;
        first = i == 0 ? now : first;
        outcome_free(&o);
    }
    assert_true(turn > first); /* the writer was not kept from writing */
}

static void test_wal_writer_checkpointer_reader(void **state)
{
    struct bench b;

    (void)state;
    bench_new(&b);
    db_script(b.db, "PRAGMA journal_mode = WAL");
    db_script(b.db, bank);
    pid_t pids[] = {worker(&b, transfer), worker(&b, checkpoint_all_ways), worker(&b, read_long)};
    capture_beside_users(&b, CAPTURES);
    for (size_t i = 0; i < 3; i++)
        stop(pids[i]);
    bench_free(&b);
}

/* One small commit after the other: facts that came from a view of their own would be of another moment (SV1). */
static void commit_fast(sqlite3 *db, unsigned turn)
{
    (void)turn;
    run_quietly(db, "BEGIN IMMEDIATE; UPDATE turn SET n = n + 1; INSERT INTO journal VALUES (1); COMMIT");
}

static void test_facts_beside_fast_commits(void **state)
{
    struct bench b;

    (void)state;
    bench_new(&b);
    db_script(b.db, "PRAGMA journal_mode = WAL");
    db_script(b.db, bank);
    pid_t pids[] = {worker(&b, commit_fast), worker(&b, commit_fast)};
    capture_beside_users(&b, CAPTURES / 2);
    for (size_t i = 0; i < 2; i++)
        stop(pids[i]);
    bench_free(&b);
}

static void test_rollback_writer_reader(void **state)
{
    struct bench b;

    (void)state;
    bench_new(&b);
    db_script(b.db, bank);
    pid_t pids[] = {worker(&b, transfer), worker(&b, read_long)};
    capture_beside_users(&b, CAPTURES / 4);
    for (size_t i = 0; i < 2; i++)
        stop(pids[i]);
    bench_free(&b);
}

/* --- what happens in the middle of a capture --- */

struct middle {
    const struct bench *b;
    bool wrote;
};

/* The capture has begun, the helper is stuck behind a full pipe: a writer changes every page, checkpoints, and starts
 * the WAL anew. */
static void write_in_the_middle(void *arg)
{
    struct middle *m = arg;
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        sqlite3 *db = NULL;
        int wal_frames = 0, done = 0;
        bool ok = sqlite3_open(m->b->db, &db) == SQLITE_OK && sqlite3_busy_timeout(db, 200) == SQLITE_OK;
        ok = ok && sqlite3_exec(db, "UPDATE t SET b = replace(b, '0', '1')", NULL, NULL, NULL) == SQLITE_OK;
        for (int mode = SQLITE_CHECKPOINT_PASSIVE; mode <= SQLITE_CHECKPOINT_TRUNCATE; mode++)
            (void)sqlite3_wal_checkpoint_v2(db, NULL, mode, &wal_frames, &done);
        ok = ok && sqlite3_exec(db, "UPDATE t SET b = replace(b, '1', '2'); DELETE FROM t WHERE a % 5 = 0", NULL, NULL,
                                NULL) == SQLITE_OK;
        (void)sqlite3_close(db);
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    m->wrote = status == 0;
}

static void capture_with_writer_in_the_middle(const struct bench *b)
{
    struct middle m = {.b = b};
    struct captured o;
    struct memory_sink *sink = memory_sink_new(b->out);

    sink->on_first_data = write_in_the_middle;
    sink->arg = &m;
    capture_into(&o, b, sink, (struct capture_options){0});
    assert_int_equal(o.rc, ERR_OK);
    assert_true(m.wrote); /* in WAL mode nobody waits */
    assert_exact(&o, b);
    assert_int_equal(image_int(image_of(b, 0), "SELECT count(*) FROM t"), 4000);
    assert_int_equal(image_int(image_of(b, 0), "SELECT count(*) FROM t WHERE b LIKE '%000000%'"), 4000);
    assert_int_equal(fact_int(&o, "rows.t"), 4000);
    outcome_free(&o);
    /* And the writer's rows are all there. */
    capture_db(&o, b);
    assert_int_equal(image_int(image_of(b, 0), "SELECT count(*) FROM t WHERE b LIKE '%222222%'"), 3200);
    outcome_free(&o);
}

static void test_writer_in_the_middle(void **state)
{
    struct bench b;

    (void)state;
    bench_new(&b);
    db_script(b.db, "PRAGMA journal_mode = WAL; CREATE TABLE t(a INTEGER PRIMARY KEY, b); " ROWS(4000, 3000));
    capture_with_writer_in_the_middle(&b);
    bench_free(&b);
}

/* The WAL is fully checkpointed when the capture begins, so that its reader needs none of it: the writer may restart
 * it, and does. */
static void test_wal_restarted_in_the_middle(void **state)
{
    struct bench b;

    (void)state;
    bench_new(&b);
    db_script(b.db, "PRAGMA journal_mode = WAL; CREATE TABLE t(a INTEGER PRIMARY KEY, b); " ROWS(4000, 3000));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* keeps the WAL there, checkpointed to its end */
        sqlite3 *db = NULL;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        sqlite3_open(b.db, &db);
        run_quietly(db, "CREATE TABLE u(x); INSERT INTO u VALUES (1)");
        (void)sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_FULL, NULL, NULL);
        fclose(fopen(beside(&b, ".ready"), "w"));
        for (;;)
            pause();
    }
    while (!exists(beside(&b, ".ready")))
        usleep(1000);
    capture_with_writer_in_the_middle(&b);
    stop(pid);
    bench_free(&b);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_writer_checkpointer_reader), cmocka_unit_test(test_facts_beside_fast_commits),
        cmocka_unit_test(test_rollback_writer_reader),         cmocka_unit_test(test_writer_in_the_middle),
        cmocka_unit_test(test_wal_restarted_in_the_middle),
    };

    if (argc > 1 && strcmp(argv[1], "__sqlite") == 0)
        return sqlite_child_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
