/* The pure parts of the SQLite source: headers, versions, frames of a helper that may lie (SF1), the rule for what is
 * unchanged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "source/source.h"
#include "source/sqlite/checkpoint.h"
#include "source/sqlite/frame.h"
#include "source/sqlite/funnel.h"
#include "source/sqlite/header.h"
#include "source/sqlite/probe.h"

static void make_header(uint8_t h[DB_HEADER_BYTES], unsigned page_size_field)
{
    memset(h, 0, DB_HEADER_BYTES);
    memcpy(h, "SQLite format 3", 16);
    h[16] = (uint8_t)(page_size_field >> 8);
    h[17] = (uint8_t)page_size_field;
    h[18] = h[19] = 2;
    h[63] = 9;
}

static void test_header(void **state)
{
    static const unsigned bad[] = {0, 2, 256, 511, 513, 3000, 65535};
    uint8_t h[DB_HEADER_BYTES];
    struct db_header out;

    (void)state;
    for (unsigned size = 512; size <= 32768; size *= 2) {
        make_header(h, size);
        assert_true(db_header_parse(h, sizeof h, &out));
        assert_int_equal(out.page_size, size);
    }
    make_header(h, 1);
    assert_true(db_header_parse(h, sizeof h, &out));
    assert_int_equal(out.page_size, 65536);
    assert_true(out.wal);
    assert_int_equal(out.user_version, 9);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        make_header(h, bad[i]);
        assert_false(db_header_parse(h, sizeof h, &out));
    }
    make_header(h, 4096);
    assert_false(db_header_parse(h, sizeof h - 1, &out));
    assert_true(sqlite_looks_like(h, 16));
    assert_false(sqlite_looks_like(h, 15));
    h[15] = '\n';
    assert_false(sqlite_looks_like(h, sizeof h));
}

static void test_page1_differs_only_where_a_backup_writes(void **state)
{
    uint8_t a[512], b[512];

    (void)state;
    for (size_t i = 0; i < sizeof a; i++) {
        memset(a, 7, sizeof a);
        memset(b, 7, sizeof b);
        b[i] = 8;
        bool may = i == 18 || i == 19 || (i >= 24 && i < 28) || (i >= 40 && i < 44) || (i >= 92 && i < 100);
        assert_int_equal(db_page1_same(a, b, sizeof a), may);
    }
}

static void test_affected_versions(void **state)
{
    static const int affected[] = {3007000, 3040001, 3044005, 3045000, 3050006, 3051000, 3051002};
    static const int fine[] = {3006023, 3044006, 3044099, 3050007, 3051003, 3052000};

    (void)state;
    for (size_t i = 0; i < sizeof affected / sizeof affected[0]; i++)
        assert_true(checkpoint_may_lose_commits(affected[i]));
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
        assert_false(checkpoint_may_lose_commits(fine[i]));
}

static enum errc head_of(const void *data, size_t len, enum frame_kind *kind, size_t *frame_len)
{
    int fds[2];
    struct err err;

    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(write(fds[1], data, len), len);
    close(fds[1]);
    enum errc rc = frame_head(fds[0], NULL, kind, frame_len, &err);
    close(fds[0]);
    return rc;
}

static void test_frames_of_a_liar(void **state)
{
    static const uint32_t lies[][2] = {{0, 0}, {99, 1}, {FRAME_DATA, FRAME_MAX_BYTES + 1}, {FRAME_DONE, ~0u}};
    uint32_t fine[2] = {FRAME_DATA, FRAME_MAX_BYTES};
    enum frame_kind kind;
    size_t len;
    uint8_t body[8];
    struct err err;
    int fds[2];

    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++)
        assert_int_equal(head_of(lies[i], sizeof lies[i], &kind, &len), ERR_CHILD);
    assert_int_equal(head_of(fine, 5, &kind, &len), ERR_CHILD);
    assert_int_equal(head_of(fine, sizeof fine, &kind, &len), ERR_OK);
    assert_int_equal(kind, FRAME_DATA);
    assert_int_equal(len, FRAME_MAX_BYTES);
    assert_int_equal(head_of(fine, 0, &kind, &len), ERR_OK);
    assert_int_equal(kind, 0);
    /* A frame that ends before its length. */
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(write(fds[1], "1234", 4), 4);
    close(fds[1]);
    assert_int_equal(frame_body(fds[0], NULL, body, sizeof body, &err), ERR_CHILD);
    close(fds[0]);
}

/* --- the funnel --- */

struct emitted {
    uint8_t data[8 * 512];
    size_t len;
};

static bool keep(void *arg, const void *data, size_t len)
{
    struct emitted *e = arg;

    assert_true(e->len + len <= sizeof e->data);
    memcpy(e->data + e->len, data, len);
    e->len += len;
    return true;
}

/* Write pages (by number) as SQLite does; true when all were taken. */
static bool pour(struct funnel *f, const int *pages, size_t count, const uint8_t *page1)
{
    _Alignas(16) char space[256];
    sqlite3_file *file = (sqlite3_file *)(void *)space;
    uint8_t page[512];

    assert_int_equal(funnel_register(f), SQLITE_OK);
    assert_true(f->vfs.szOsFile <= (int)sizeof space);
    assert_int_equal(f->vfs.xOpen(&f->vfs, "image", file, SQLITE_OPEN_MAIN_DB, NULL), SQLITE_OK);
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        memset(page, pages[i], sizeof page);
        ok = file->pMethods->xWrite(file, pages[i] == 1 ? page1 : page, sizeof page, (pages[i] - 1) * 512) == SQLITE_OK;
    }
    funnel_unregister(f);
    return ok;
}

/* SN1, SN2 */
static void test_funnel_takes_pages_in_order_only(void **state)
{
    uint8_t page1[512], changed[512], other[512];
    struct emitted e = {.len = 0};
    const struct funnel fresh = {.emit = keep, .arg = &e, .page1 = page1, .page_size = 512, .spool_fd = -1};
    struct funnel f = fresh;

    (void)state;
    memset(page1, 1, sizeof page1);
    memset(changed, 1, sizeof changed);
    changed[27] = 9; /* a counter */
    memset(other, 1, sizeof other);
    other[100] = 9;
    assert_true(pour(&f, (const int[]){2, 3, 1, 4}, 4, changed));
    assert_true(funnel_complete(&f, 4));
    assert_false(funnel_complete(&f, 5));
    assert_int_equal(e.len, 4 * 512);
    for (size_t i = 0; i < e.len; i++)
        assert_int_equal(e.data[i], i / 512 + 1);
    static const int wrong[][3] = {{2, 4, 3}, {3, 2, 1}, {2, 2, 3}};
    for (size_t i = 0; i < 3; i++) {
        e.len = 0;
        f = fresh;
        assert_false(pour(&f, wrong[i], 3, page1));
        assert_true(f.disorder);
    }
    f = fresh;
    e.len = 0;
    assert_false(pour(&f, (const int[]){2, 1}, 2, other));
    assert_true(f.disorder);
    f = fresh;
    e.len = 0;
    assert_true(pour(&f, (const int[]){2, 3}, 2, page1));
    assert_false(funnel_complete(&f, 3)); /* page 1 was never seen */
}

static bool yes(void *arg)
{
    (void)arg;
    return true;
}

static void test_interrupted_while_waiting(void **state)
{
    const struct diag diag = {.interrupted = yes};
    enum frame_kind kind;
    struct err err;
    size_t len;
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(frame_head(fds[0], &diag, &kind, &len, &err), ERR_INTERRUPTED);
    close(fds[0]);
    close(fds[1]);
}

static void test_rule_for_unchanged(void **state)
{
    struct probe now = {.len = 4, .data = "abcd", .newest = {.sec = 1000, .nsec = 5}};

    (void)state;
    assert_true(probe_proves_unchanged(&now, (const uint8_t *)"abcd", 4, (struct timestamp){.sec = 1003}));
    assert_false(probe_proves_unchanged(&now, (const uint8_t *)"abcd", 4, (struct timestamp){.sec = 1002}));
    assert_true(probe_proves_unchanged(&now, (const uint8_t *)"abcd", 4, (struct timestamp){.sec = 1002, .nsec = 6}));
    assert_false(probe_proves_unchanged(&now, (const uint8_t *)"abcd", 4, (struct timestamp){.sec = 1002, .nsec = 5}));
    assert_false(probe_proves_unchanged(&now, (const uint8_t *)"abcx", 4, (struct timestamp){.sec = 2000}));
    assert_false(probe_proves_unchanged(&now, (const uint8_t *)"abc", 3, (struct timestamp){.sec = 2000}));
    assert_false(probe_proves_unchanged(&now, (const uint8_t *)"abcd", 4, (struct timestamp){0}));
    now.len = 0;
    assert_false(probe_proves_unchanged(&now, NULL, 0, (struct timestamp){.sec = 2000}));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_page1_differs_only_where_a_backup_writes),
        cmocka_unit_test(test_affected_versions),
        cmocka_unit_test(test_frames_of_a_liar),
        cmocka_unit_test(test_funnel_takes_pages_in_order_only),
        cmocka_unit_test(test_interrupted_while_waiting),
        cmocka_unit_test(test_rule_for_unchanged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
