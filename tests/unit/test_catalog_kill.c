/* CA1: a kill at any moment leaves the old or the new state; two processes that write do each other no harm. */
#include "test_catalog.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

static void check_whole(const char *file)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;

    assert_int_equal(sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(s, 0), "ok");
    sqlite3_finalize(s);
    sqlite3_close(db);
}

enum { STEP_CHUNKS = 300 };

/* Record `number` with its pack and chunks, in one batch. */
static enum errc write_step(struct catalog *c, uint64_t number, struct err *err)
{
    struct digest pack = digest_of(number), d = digest_of(number + 500000);
    struct catalog_chunk rows[STEP_CHUNKS];
    struct log_body body = {.head.kind = LOG_CHECKPOINT, .head.number = number};
    uint32_t id = 0;
    enum errc rc = catalog_begin(c, err);

    if (rc != ERR_OK)
        return rc;
    if (number > 1)
        body.head.prev = digest_of(number - 1 + 500000);
    rc = catalog_pack_add(c, &pack, 1, STEP_CHUNKS, 0, &id, err);
    for (unsigned i = 0; i < STEP_CHUNKS; i++)
        rows[i] = chunk_of(number * STEP_CHUNKS + i, id);
    if (rc == ERR_OK)
        rc = catalog_chunks_add(c, rows, STEP_CHUNKS, err);
    if (rc == ERR_OK)
        rc = catalog_apply(c, &body, &d, err);
    return rc == ERR_OK ? catalog_commit(c, err) : rc;
}

static pid_t start(const struct place_for_test *p, int (*work)(const struct place_for_test *p, unsigned arg),
                   unsigned arg)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(work(p, arg));
    return pid;
}

static int write_until_killed(const struct place_for_test *p, unsigned arg)
{
    struct catalog *c = NULL;
    struct digest d;
    bool temporary;
    uint64_t n;

    (void)arg;
    if (catalog_open(p->cache, &p->repo, &c, &temporary, NULL) != ERR_OK || temporary)
        return 1;
    if (catalog_head(c, &n, &d, NULL) != ERR_OK)
        return 2;
    for (;;)
        if (write_step(c, ++n, NULL) != ERR_OK)
            return 3;
}

/* The head is n: exactly packs 1..n are there with all their chunks. */
static uint64_t check_state(const struct place_for_test *p)
{
    struct catalog *c = open_catalog(p);
    struct digest d;
    uint64_t n;

    OK(catalog_head(c, &n, &d, err));
    for (uint64_t i = 1; i <= n + 1; i++) {
        struct digest pack = digest_of(i);
        uint32_t id;
        bool found;

        OK(catalog_pack_find(c, &pack, &found, &id, err));
        assert_int_equal(found, i <= n);
        for (unsigned k = 0; k < STEP_CHUNKS; k += 99)
            assert_int_equal(copies_of(c, i * STEP_CHUNKS + k, 0), i <= n);
    }
    catalog_close(c);
    return n;
}

static void a_kill_leaves_the_old_or_the_new_state(void **state)
{
    struct place_for_test p;
    uint64_t last = 0;
    int status;

    (void)state;
    place_begin(&p);
    for (unsigned round = 0; round < 25; round++) {
        pid_t pid = start(&p, write_until_killed, 0);

        usleep((useconds_t)(mix(round) % 40000));
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        uint64_t now = check_state(&p);
        assert_true(now >= last);
        last = now;
    }
    assert_true(last > 0);
    check_whole(p.file);
    place_end(&p);
}

static int die_in_the_middle(const struct place_for_test *p, unsigned arg)
{
    struct catalog *c = NULL;
    bool temporary;
    struct digest pack = digest_of(1);
    struct catalog_chunk *rows = calloc(100000, sizeof *rows);
    uint32_t id;

    (void)arg;
    if (!rows || catalog_open(p->cache, &p->repo, &c, &temporary, NULL) != ERR_OK || catalog_begin(c, NULL) != ERR_OK ||
        catalog_pack_add(c, &pack, 1, 1, 0, &id, NULL) != ERR_OK)
        return 1;
    for (unsigned i = 0; i < 100000; i++)
        rows[i] = chunk_of(i, id);
    if (catalog_chunks_add(c, rows, 100000, NULL) != ERR_OK) /* more than the cache: part is in the log already */
        return 2;
    (void)raise(SIGKILL);
    return 3;
}

static void a_kill_inside_a_large_batch_leaves_nothing_of_it(void **state)
{
    struct place_for_test p;
    int status;

    (void)state;
    place_begin(&p);
    pid_t pid = start(&p, die_in_the_middle, 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    struct catalog *c = open_catalog(&p); /* and the right to write is free again */
    assert_int_equal(copies_of(c, 5, 0), 0);
    add_pack(c, 1, 0);
    assert_int_equal(copies_of(c, 5, 0), 0);
    catalog_close(c);
    check_whole(p.file);
    place_end(&p);
}

enum { WRITERS = 3, WRITER_PACKS = 40, PACK_CHUNKS = 1500 };

static int write_packs(const struct place_for_test *p, unsigned writer)
{
    struct catalog_chunk *rows = calloc(PACK_CHUNKS, sizeof *rows);

    for (unsigned i = 0; rows && i < WRITER_PACKS; i++) {
        unsigned number = writer * WRITER_PACKS + i;
        struct digest pack = digest_of(number);
        struct catalog *c = NULL;
        struct err e = {0};
        bool temporary;
        uint32_t id;
        enum errc rc = catalog_open(p->cache, &p->repo, &c, &temporary, &e);

        if (rc == ERR_OK)
            rc = catalog_begin(c, &e);
        if (rc == ERR_OK)
            rc = catalog_pack_add(c, &pack, 1, PACK_CHUNKS, writer + 1, &id, &e);
        for (unsigned k = 0; rc == ERR_OK && k < PACK_CHUNKS; k++)
            rows[k] = chunk_of(number * PACK_CHUNKS + k, id);
        if (rc == ERR_OK)
            rc = catalog_chunks_add(c, rows, PACK_CHUNKS, &e);
        if (rc == ERR_OK)
            rc = catalog_commit(c, &e);
        if (rc == ERR_OK)
            rc = catalog_pack_add(c, &pack, 1, PACK_CHUNKS, 0, &id, &e);
        catalog_close(c);
        if (rc != ERR_OK) {
            fprintf(stderr, "writer %u: %s: %s\n", writer, err_name(rc), e.message);
            return 1;
        }
    }
    free(rows);
    return 0;
}

static void several_writers_lose_nothing(void **state)
{
    struct place_for_test p;
    pid_t pids[WRITERS];
    int status;

    (void)state;
    place_begin(&p);
    for (unsigned i = 0; i < WRITERS; i++)
        pids[i] = start(&p, write_packs, i);
    for (unsigned i = 0; i < WRITERS; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    struct catalog *c = open_catalog(&p);
    for (unsigned i = 0; i < WRITERS * WRITER_PACKS * PACK_CHUNKS; i += 11)
        assert_int_equal(copies_of(c, i, 0), 1);
    catalog_close(c);
    check_whole(p.file);
    place_end(&p);
}

static bool others_may_write(const struct place_for_test *p)
{
    struct flock f = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1};
    char path[256];
    int fd, r;

    snprintf(path, sizeof path, "%s", p->file);
    strcpy(strrchr(path, '/'), "/catalog.lock");
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    r = fcntl(fd, F_OFD_SETLK, &f);
    close(fd);
    return r == 0;
}

/* SQLite before 3.51.3 may lose a commit when another process checkpoints at that moment: there is one writer at a
 * time. */
static void a_writer_keeps_others_out_until_it_has_committed(void **state)
{
    struct place_for_test p;

    (void)state;
    place_begin(&p);
    struct catalog *c = open_catalog(&p);
    assert_true(others_may_write(&p));
    OK(catalog_begin(c, err));
    assert_false(others_may_write(&p));
    add_pack(c, 1, 0); /* inside the batch: does not let go */
    assert_false(others_may_write(&p));
    OK(catalog_commit(c, err));
    assert_true(others_may_write(&p));
    OK(catalog_begin(c, err));
    catalog_rollback(c);
    assert_true(others_may_write(&p));
    catalog_close(c);
    place_end(&p);
}

/* Both have the same log to take in: one takes a record, for the other it is there already. */
static int follow_log(const struct place_for_test *p, unsigned arg)
{
    struct catalog *c = NULL;
    struct err e = {0};
    bool temporary;
    enum errc rc = catalog_open(p->cache, &p->repo, &c, &temporary, &e);

    (void)arg;
    for (uint64_t n = 1; n <= 400 && rc == ERR_OK; n++) {
        struct digest d = digest_of(n);
        struct log_body body = {.head.kind = LOG_CHECKPOINT, .head.number = n};

        if (n > 1)
            body.head.prev = digest_of(n - 1);
        rc = catalog_apply(c, &body, &d, &e);
    }
    catalog_close(c);
    if (rc != ERR_OK)
        fprintf(stderr, "%s: %s\n", err_name(rc), e.message);
    return rc == ERR_OK ? 0 : 1;
}

static void two_may_follow_the_log_at_once(void **state)
{
    struct place_for_test p;
    struct digest d;
    pid_t pids[2];
    uint64_t n;
    int status;

    (void)state;
    place_begin(&p);
    for (unsigned i = 0; i < 2; i++)
        pids[i] = start(&p, follow_log, 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    struct catalog *c = open_catalog(&p);
    OK(catalog_head(c, &n, &d, err));
    assert_int_equal(n, 400);
    catalog_close(c);
    place_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kill_leaves_the_old_or_the_new_state),
        cmocka_unit_test(a_kill_inside_a_large_batch_leaves_nothing_of_it),
        cmocka_unit_test(several_writers_lose_nothing),
        cmocka_unit_test(a_writer_keeps_others_out_until_it_has_committed),
        cmocka_unit_test(two_may_follow_the_log_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
