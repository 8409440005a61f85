#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/diag.h"
#include "base/err.h"

static void e1_failure_is_filled_in(void **state)
{
    (void)state;
    struct err err;
    memset(&err, 'Z', sizeof err);
    assert_int_equal(err_fail(&err, ERR_LOCKED, "%s is %s", "it", "locked"), ERR_LOCKED);
    assert_int_equal(err.code, ERR_LOCKED);
    assert_int_equal(err.sys_errno, 0);
    assert_string_equal(err.message, "it is locked");
    assert_string_equal(err.hint, "");
    assert_int_equal(err_hint(&err, "wait %d s", 5), ERR_LOCKED);
    assert_string_equal(err.hint, "wait 5 s");
    assert_int_equal(err_wrap(&err, "backup of %s", "x"), ERR_LOCKED);
    assert_string_equal(err.message, "backup of x: it is locked");
    assert_string_equal(err.hint, "wait 5 s");
    assert_int_equal(err_recode(&err, ERR_PARTIAL), ERR_PARTIAL);
    assert_int_equal(err.code, ERR_PARTIAL);
    assert_int_equal(err_fail(&err, ERR_IO, "again"), ERR_IO);
    assert_string_equal(err.hint, ""); /* of the former failure nothing stays */
}

static void system_errors(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_sys(&err, ERR_IO, ENOENT, "cannot open %s", "f"), ERR_IO);
    assert_int_equal(err.sys_errno, ENOENT);
    assert_string_equal(err.message, "cannot open f: No such file or directory");
    assert_int_equal(err_sys(&err, ERR_IO, ENOSPC, "x"), ERR_NO_SPACE);
    assert_int_equal(err_sys(&err, ERR_IO, EDQUOT, "x"), ERR_NO_SPACE);
    assert_int_equal(err_sys(&err, ERR_SOURCE_UNREADABLE, ENOSPC, "x"), ERR_SOURCE_UNREADABLE);
    assert_int_equal(err_sys(&err, ERR_SOURCE_UNREADABLE, ENOMEM, "x"), ERR_NO_MEMORY);
    assert_int_equal(err.code, ERR_NO_MEMORY);
}

static void null_takes_no_message(void **state)
{
    (void)state;
    assert_int_equal(err_fail(NULL, ERR_IO, "x"), ERR_IO);
    assert_int_equal(err_sys(NULL, ERR_IO, ENOSPC, "x"), ERR_NO_SPACE);
    assert_int_equal(err_recode(NULL, ERR_PARTIAL), ERR_PARTIAL);
    assert_true(err_wrap(NULL, "x") != ERR_OK);
    assert_true(err_hint(NULL, "x") != ERR_OK);
}

static void e2_messages_are_cut(void **state)
{
    (void)state;
    struct {
        struct err err;
        char guard[64];
    } s;
    char longest[5000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    memset(&s, 'G', sizeof s);
    err_fail(&s.err, ERR_IO, "%s", longest);
    assert_int_equal(strlen(s.err.message), sizeof s.err.message - 1);
    err_sys(&s.err, ERR_IO, EIO, "%s", longest);
    err_wrap(&s.err, "%s", longest);
    err_wrap(&s.err, "short");
    assert_int_equal(strncmp(s.err.message, "short: xxx", 10), 0);
    err_hint(&s.err, "%s", longest);
    assert_int_equal(strlen(s.err.hint), sizeof s.err.hint - 1);
    for (size_t i = 0; i < sizeof s.guard; i++)
        assert_int_equal(s.guard[i], 'G');
}

/* The statuses of docs/cli.md; and a name is what scripts match on, so each is plain and stands once. */
static void table(void **state)
{
    (void)state;
    static const char statuses[] = {0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 16, (char)130};
    for (int i = 0; i < ERRC_COUNT; i++) {
        const char *name = err_name((enum errc)i);
        int status = err_exit_status((enum errc)i);
        assert_true(strlen(name) > 1 && strspn(name, "abcdefghijklmnopqrstuvwxyz-") == strlen(name));
        assert_non_null(memchr(statuses, status, sizeof statuses));
        assert_true((status == 0) == (i == ERR_OK));
        assert_non_null(err_default_hint((enum errc)i));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(name, err_name((enum errc)j));
    }
    assert_int_equal(err_exit_status(ERR_NO_REPOSITORY), 10);
    assert_int_equal(err_exit_status(ERR_LOCKED), 11);
    assert_int_equal(err_exit_status(ERR_WRONG_KEY), 12);
    assert_int_equal(err_exit_status(ERR_DAMAGED), 13);
    assert_int_equal(err_exit_status(ERR_TARGET_IN_USE), 14);
    assert_int_equal(err_exit_status(ERR_NO_SPACE), 15);
    assert_int_equal(err_exit_status(ERR_CHECK_FAILED), 16);
    assert_int_equal(err_exit_status(ERR_INTERRUPTED), 130);
    assert_int_equal(err_exit_status(ERRC_COUNT), 1);
    assert_string_equal(err_name(ERRC_COUNT), "internal");
}

static void require_aborts(void **state)
{
    (void)state;
    int fds[2], status;
    char text[200] = "";
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL); /* the test framework catches it */
        dup2(fds[1], 2);
        REQUIRE(1 + 1 == 2);
        REQUIRE(1 + 1 == 3);
        _exit(0);
    }
    close(fds[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_true(read(fds[0], text, sizeof text - 1) > 0);
    close(fds[0]);
    assert_non_null(strstr(text, "1 + 1 == 3 does not hold"));
}

/* ---- diag ---- */

struct heard {
    enum diag_level level;
    char name[32], text[2000];
    uint64_t done;
    int calls;
};

static void hear(void *arg, enum diag_level level, const char *name, const char *text)
{
    struct heard *h = arg;
    h->level = level;
    h->calls++;
    snprintf(h->name, sizeof h->name, "%s", name);
    snprintf(h->text, sizeof h->text, "%s", text);
}

static void watch(void *arg, const struct progress *p)
{
    ((struct heard *)arg)->done = p->done;
}

static bool stop(void *arg)
{
    return ((struct heard *)arg)->calls > 0;
}

static void diag_hands_over(void **state)
{
    (void)state;
    struct heard h = {.calls = 0};
    struct diag d = {hear, watch, stop, &h}, deaf = {NULL, NULL, NULL, NULL};
    struct err err;
    assert_false(diag_interrupted(&d));
    diag_message(&d, DIAG_NOTE, "", "%d of %d", 1, 2);
    assert_int_equal(h.level, DIAG_NOTE);
    assert_string_equal(h.name, "");
    assert_string_equal(h.text, "1 of 2");
    err_fail(&err, ERR_SOURCE_MISSING, "no /x with 100%% in it: %%s");
    diag_error(&d, &err);
    assert_int_equal(h.level, DIAG_WARNING);
    assert_string_equal(h.name, "source-missing");
    assert_string_equal(h.text, "no /x with 100% in it: %s");
    diag_progress(&d, &(struct progress){.done = 42});
    assert_int_equal(h.done, 42);
    assert_true(diag_interrupted(&d));
    diag_message(&deaf, DIAG_NOTE, "", "x");
    diag_message(NULL, DIAG_NOTE, "", "x");
    diag_error(NULL, &err);
    diag_progress(&deaf, &(struct progress){.done = 1});
    diag_progress(NULL, &(struct progress){.done = 1});
    assert_false(diag_interrupted(&deaf));
    assert_false(diag_interrupted(NULL));
    assert_int_equal(h.calls, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(e1_failure_is_filled_in),
        cmocka_unit_test(system_errors),
        cmocka_unit_test(null_takes_no_message),
        cmocka_unit_test(e2_messages_are_cut),
        cmocka_unit_test(table),
        cmocka_unit_test(require_aborts),
        cmocka_unit_test(diag_hands_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
