/* Opening, losing, damaging and taking away the catalog's files. */
#include "test_catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "base/io.h"

static mode_t mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void sql(const char *file, const char *text)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void overwrite(const char *file, off_t offset, const void *data, size_t len)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, offset), (ssize_t)len);
    close(fd);
}

static void is_refused(const struct place_for_test *p)
{
    struct catalog *c = NULL;
    bool temporary;

    FAILS(ERR_CATALOG, catalog_open(p->cache, &p->repo, &c, &temporary, err));
    assert_null(c);
    assert_false(temporary);
}

static void everything_is_private(void **state)
{
    struct place_for_test p;
    mode_t before = umask(0);
    char path[256];

    (void)state;
    place_begin(&p);
    struct catalog *c = open_catalog(&p);
    add_pack(c, 1, 0);
    snprintf(path, sizeof path, "%s/deep", p.base);
    assert_int_equal(mode_of(path), 0700);
    assert_int_equal(mode_of(p.cache), 0700);
    assert_int_equal(mode_of(p.file), 0600);
    snprintf(path, sizeof path, "%s-wal", p.file);
    assert_int_equal(mode_of(path), 0600);
    snprintf(path, sizeof path, "%s-shm", p.file);
    assert_int_equal(mode_of(path), 0600);
    *strrchr(path, '/') = '\0';
    assert_int_equal(mode_of(path), 0700);
    catalog_close(c);
    assert_int_equal(chmod(path, 0755), 0); /* one that was opened to others is closed again */
    c = open_catalog(&p);
    assert_int_equal(mode_of(path), 0700);
    catalog_close(c);
    umask(before);
    place_end(&p);
}

static void the_writer_id_stays_and_is_the_catalogs_own(void **state)
{
    struct place_for_test p;
    uint8_t a[8], b[8];

    (void)state;
    place_begin(&p);
    struct catalog *c = open_catalog(&p);
    OK(catalog_writer_id(c, a, err));
    catalog_close(c);
    c = open_catalog(&p);
    OK(catalog_writer_id(c, b, err));
    catalog_close(c);
    assert_memory_equal(a, b, 8);
    OK(catalog_remove(p.cache, &p.repo, err));
    c = open_catalog(&p);
    OK(catalog_writer_id(c, b, err));
    catalog_close(c);
    assert_memory_not_equal(a, b, 8);
    place_end(&p);
}

/* CA2 */
static void another_schema_or_repository_is_refused(void **state)
{
    struct place_for_test p, q;
    char command[600];

    (void)state;
    place_begin(&p);
    catalog_close(open_catalog(&p));
    sql(p.file, "PRAGMA user_version = 2");
    is_refused(&p);
    sql(p.file, "PRAGMA user_version = 0"); /* tables, but no version */
    is_refused(&p);
    sql(p.file, "PRAGMA user_version = 1");
    catalog_close(open_catalog(&p));
    sql(p.file, "PRAGMA application_id = 5");
    is_refused(&p);
    OK(catalog_remove(p.cache, &p.repo, err));
    catalog_close(open_catalog(&p));
    q = p;
    q.repo.b[0] ^= 1;
    catalog_close(open_catalog(&q));
    snprintf(command, sizeof command, "cd %s && cp a0*/catalog.db a1*/catalog.db", p.cache);
    assert_int_equal(system(command), 0);
    is_refused(&q);
    place_end(&p);
}

/* CA2 */
static void a_missing_table_is_a_damaged_catalog(void **state)
{
    struct place_for_test p;
    struct catalog *c;
    bool temporary;

    (void)state;
    place_begin(&p);
    catalog_close(open_catalog(&p));
    sql(p.file, "DROP TABLE chunk");
    OK(catalog_open(p.cache, &p.repo, &c, &temporary, err));
    struct catalog_chunk row = chunk_of(1, 1);
    FAILS(ERR_CATALOG, catalog_chunks_add(c, &row, 1, err));
    catalog_close(c);
    place_end(&p);
}

/* CA2 */
static void what_is_no_database_is_refused(void **state)
{
    struct place_for_test p;
    uint8_t noise[8192];

    (void)state;
    place_begin(&p);
    fill_from(noise, sizeof noise, 5);
    catalog_close(open_catalog(&p));
    overwrite(p.file, 0, noise, 100);
    is_refused(&p);
    assert_int_equal(truncate(p.file, 0), 0);
    overwrite(p.file, 0, noise, sizeof noise);
    is_refused(&p);
    OK(catalog_remove(p.cache, &p.repo, err));
    catalog_close(open_catalog(&p));
    assert_int_equal(truncate(p.file, 0), 0); /* cut off while it was made: made now */
    catalog_close(open_catalog(&p));
    place_end(&p);
}

/* Use everything once; the first error is the result. */
static enum errc use_all(struct catalog *c, struct err *err)
{
    struct catalog_chunk out[4], fresh = chunk_of(5000000, 1), known;
    struct log_body body = {.head.kind = LOG_CHECKPOINT};
    struct digest d = digest_of(77);
    struct catalog_pack pack = {0};
    bool found = true;
    size_t count;
    enum errc rc = ERR_OK;

    for (unsigned i = 0; i < 20000 && rc == ERR_OK; i += 50) {
        known = chunk_of(i, 1);
        rc = catalog_chunk_find(c, &known.desc.name, 0, out, 4, &count, err);
    }
    while (rc == ERR_OK && found)
        rc = catalog_pack_next(c, pack.id, &pack, &found, err);
    if (rc == ERR_OK)
        rc = catalog_head(c, &body.head.number, &body.head.prev, err);
    body.head.number++;
    if (rc == ERR_OK)
        rc = catalog_apply(c, &body, &d, err);
    if (rc == ERR_OK)
        rc = catalog_chunks_add(c, &fresh, 1, err);
    if (rc == ERR_OK)
        rc = catalog_pack_remove(c, &d, err);
    return rc;
}

static void make_full(const struct place_for_test *p)
{
    struct catalog *c = open_catalog(p);
    struct catalog_chunk *rows = calloc(20000, sizeof *rows);

    assert_non_null(rows);
    for (unsigned i = 0; i < 20000; i++)
        rows[i] = chunk_of(i, 1);
    for (unsigned i = 0; i < 300; i++)
        add_pack(c, i, 0);
    OK(catalog_chunks_add(c, rows, 20000, err));
    catalog_close(c);
    free(rows);
}

/* CA2: bytes that turned over are found (or do no harm), and never crash. */
static void damage_inside_is_reported_as_the_catalogs(void **state)
{
    struct place_for_test p;
    struct stat st;
    unsigned refused = 0;
    char command[800];

    (void)state;
    place_begin(&p);
    make_full(&p);
    assert_int_equal(stat(p.file, &st), 0);
    snprintf(command, sizeof command, "cp %s %s/good", p.file, p.base);
    assert_int_equal(system(command), 0);
    for (unsigned round = 0; round < 150; round++) {
        struct catalog *c = NULL;
        struct err e = {0};
        uint8_t noise[64];
        bool temporary;
        enum errc rc;

        snprintf(command, sizeof command, "cp %s/good %s; rm -f %s-wal %s-shm", p.base, p.file, p.file, p.file);
        assert_int_equal(system(command), 0);
        fill_from(noise, sizeof noise, round);
        if (round % 10 == 9) {
            assert_int_equal(truncate(p.file, (off_t)(mix(round) % (uint64_t)st.st_size)), 0);
        } else {
            /* the head of a page, where its structure is, every other time; page 1 often */
            uint64_t at = mix(round + 500) % (uint64_t)(round % 3 ? st.st_size - 64 : 4096);

            overwrite(p.file, (off_t)(round % 2 ? at & ~4095ull : at), noise, 1 + round % 64);
        }
        rc = catalog_open(p.cache, &p.repo, &c, &temporary, &e);
        if (rc == ERR_OK)
            rc = use_all(c, &e);
        catalog_close(c);
        if (rc != ERR_OK && rc != ERR_CATALOG && rc != ERR_HISTORY)
            fail_msg("round %u: %s: %s", round, err_name(rc), e.message);
        refused += rc == ERR_CATALOG;
    }
    assert_true(refused > 50);
    place_end(&p);
}

static void an_absent_catalog_can_be_removed(void **state)
{
    struct place_for_test p;

    (void)state;
    place_begin(&p);
    OK(catalog_remove(p.cache, &p.repo, err));
    catalog_close(open_catalog(&p));
    OK(catalog_remove(p.cache, &p.repo, err));
    assert_int_equal(access(p.file, F_OK), -1);
    OK(catalog_remove(p.cache, &p.repo, err));
    place_end(&p);
}

/* Files are not taken away under another process: its close would unlink the next catalog's log. */
static void removing_waits_for_other_users(void **state)
{
    struct place_for_test p;
    int ready[2], status;
    char byte;
    pid_t child;

    (void)state;
    place_begin(&p);
    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        struct catalog *c = NULL;
        bool temporary;

        if (catalog_open(p.cache, &p.repo, &c, &temporary, NULL) != ERR_OK || write(ready[1], "x", 1) != 1)
            _exit(1);
        usleep(400 * 1000);
        _exit(access(p.file, F_OK) == 0 ? 0 : 2); /* without a close: the kernel lets go */
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    OK(catalog_remove(p.cache, &p.repo, err));
    assert_int_equal(access(p.file, F_OK), -1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct catalog *c = open_catalog(&p);
    FAILS(ERR_LOCKED, catalog_remove(p.cache, &p.repo, err));
    catalog_close(c);
    close(ready[0]);
    close(ready[1]);
    place_end(&p);
}

/* --- a place that cannot be written ------------------------------------------------------------------------------- */

struct refusal {
    enum io_op op;
    int error;
    const char *below;
};

static int refuse(enum io_op op, const char *what, void *arg)
{
    const struct refusal *r = arg;

    return op == r->op && strstr(what, r->below) ? r->error : 0;
}

static void a_temporary_one_serves_where_nothing_can_be_written(void **state)
{
    static const struct refusal refusals[] = {
        {IO_MKDIR, EROFS, "cache"},   {IO_MKDIR, ENOSPC, "cache"},     {IO_MKDIR, EACCES, "cache"},
        {IO_OPEN, EACCES, "catalog"}, {IO_OPEN, EDQUOT, "catalog.db"},
    };
    struct place_for_test p;

    (void)state;
    place_begin(&p);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct refusal r = refusals[i];
        struct catalog *c = NULL;
        bool temporary = false;
        uint64_t n;
        struct digest d;

        io_set_hook(refuse, &r);
        OK(catalog_open(p.cache, &p.repo, &c, &temporary, err));
        io_set_hook(NULL, NULL);
        assert_true(temporary);
        OK(catalog_head(c, &n, &d, err));
        assert_int_equal(n, 0);
        struct catalog_chunk row = chunk_of(1, add_pack(c, 1, 0));
        OK(catalog_chunks_add(c, &row, 1, err));
        assert_int_equal(copies_of(c, 1, 0), 1);
        catalog_close(c);
        assert_int_equal(access(p.file, F_OK), -1);
    }
    struct refusal broken = {IO_MKDIR, EIO, "cache"};
    struct catalog *c = NULL;
    place_end(&p);
    place_begin(&p);
    bool temporary = true;
    io_set_hook(refuse, &broken);
    FAILS(ERR_IO, catalog_open(p.cache, &p.repo, &c, &temporary, err));
    io_set_hook(NULL, NULL);
    assert_false(temporary);
    place_end(&p);
}

/* The database is there but may not be written to (root may write anything: then it is let be). */
static void a_read_only_catalog_is_replaced_by_a_temporary_one(void **state)
{
    struct place_for_test p;
    int status;
    pid_t child;

    (void)state;
    place_begin(&p);
    catalog_close(open_catalog(&p));
    if (geteuid() != 0)
        assert_int_equal(chmod(p.file, 0400), 0);
    child = fork();
    if (child == 0) { /* as root: become somebody who may not even look */
        struct catalog *c = NULL;
        bool temporary = false;

        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(3);
        if (catalog_open(p.cache, &p.repo, &c, &temporary, NULL) != ERR_OK)
            _exit(1);
        catalog_close(c);
        _exit(temporary ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    place_end(&p);
}

static char temporary_dir[] = "/tmp/snap-temporary-XXXXXX";

/* CA3: a temporary one that outgrows its cache goes to a nameless file in $TMPDIR. */
static void a_large_temporary_one_is_on_disk(void **state)
{
    struct refusal r = {IO_MKDIR, EROFS, "cache"};
    struct place_for_test p;
    struct catalog *c = NULL;
    struct catalog_chunk *rows = calloc(400000, sizeof *rows);
    bool temporary = false;
    char command[300];

    (void)state;
    assert_non_null(rows);
    place_begin(&p);
    io_set_hook(refuse, &r);
    OK(catalog_open(p.cache, &p.repo, &c, &temporary, err));
    io_set_hook(NULL, NULL);
    assert_true(temporary);
    for (unsigned i = 0; i < 400000; i++)
        rows[i] = chunk_of(i, 1);
    add_pack(c, 1, 0);
    OK(catalog_chunks_add(c, rows, 400000, err));
    assert_int_equal(copies_of(c, 399999, 0), 1);
    snprintf(command, sizeof command, "ls -l /proc/%d/fd | grep -q '%s.*(deleted)'", (int)getpid(), temporary_dir);
    assert_int_equal(system(command), 0);
    catalog_close(c);
    free(rows);
    place_end(&p);
}

/* --- last seen ---------------------------------------------------------------------------------------------------- */

static void last_seen_outlives_the_catalog(void **state)
{
    struct place_for_test p;
    struct digest d, want = digest_of(5), zero = {{0}};
    uint64_t n = 9;

    (void)state;
    place_begin(&p);
    OK(catalog_last_seen(p.cache, &p.repo, &n, &d, err));
    assert_int_equal(n, 0);
    assert_memory_equal(d.b, zero.b, sizeof d.b);
    OK(catalog_set_last_seen(p.cache, &p.repo, 12, &want, err));
    catalog_close(open_catalog(&p));
    OK(catalog_set_last_seen(p.cache, &p.repo, UINT64_MAX, &want, err));
    OK(catalog_remove(p.cache, &p.repo, err));
    OK(catalog_last_seen(p.cache, &p.repo, &n, &d, err));
    assert_true(n == UINT64_MAX);
    assert_memory_equal(d.b, want.b, sizeof d.b);
    place_end(&p);
}

static void a_last_seen_that_cannot_be_read_is_not_passed_over(void **state)
{
    static const char *const bad[] = {"", "12", "12 ", "12 00ff\n", "-1 ", "x"};
    struct place_for_test p;
    struct digest d, want = digest_of(5);
    char path[256], text[160], hex[65];
    uint64_t n;

    (void)state;
    place_begin(&p);
    OK(catalog_set_last_seen(p.cache, &p.repo, 12, &want, err));
    snprintf(path, sizeof path, "%s", p.file);
    strcpy(strrchr(path, '/'), "/last-seen");
    assert_int_equal(mode_of(path), 0600);
    for (size_t i = 0; i < 9; i++) {
        hex_encode(hex, want.b, sizeof want.b);
        if (i < 6)
            snprintf(text, sizeof text, "%s", bad[i]);
        else
            snprintf(text, sizeof text, "%s%s%s",
                     i == 6   ? "0 "
                     : i == 7 ? "99999999999999999999 "
                              : "12 ",
                     hex, i == 8 ? " 3\n" : "\n");
        assert_int_equal(truncate(path, 0), 0);
        overwrite(path, 0, text, strlen(text));
        FAILS(ERR_CATALOG, catalog_last_seen(p.cache, &p.repo, &n, &d, err));
    }
    snprintf(text, sizeof text, "12 %s\n", hex);
    assert_int_equal(truncate(path, 0), 0);
    overwrite(path, 0, text, strlen(text));
    OK(catalog_last_seen(p.cache, &p.repo, &n, &d, err));
    assert_int_equal(n, 12);
    place_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_private),
        cmocka_unit_test(the_writer_id_stays_and_is_the_catalogs_own),
        cmocka_unit_test(another_schema_or_repository_is_refused),
        cmocka_unit_test(a_missing_table_is_a_damaged_catalog),
        cmocka_unit_test(what_is_no_database_is_refused),
        cmocka_unit_test(damage_inside_is_reported_as_the_catalogs),
        cmocka_unit_test(an_absent_catalog_can_be_removed),
        cmocka_unit_test(removing_waits_for_other_users),
        cmocka_unit_test(a_temporary_one_serves_where_nothing_can_be_written),
        cmocka_unit_test(a_read_only_catalog_is_replaced_by_a_temporary_one),
        cmocka_unit_test(a_large_temporary_one_is_on_disk),
        cmocka_unit_test(last_seen_outlives_the_catalog),
        cmocka_unit_test(a_last_seen_that_cannot_be_read_is_not_passed_over),
    };
    int failed;

    /* Before the first use of SQLite, which reads it once. */
    if (!mkdtemp(temporary_dir) || setenv("TMPDIR", temporary_dir, 1) != 0)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(temporary_dir) == 0 ? failed : 1; /* nothing may be left in it */
}
