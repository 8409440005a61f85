#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <grp.h>

#include "base/io.h"
#include "base/process.h"

static struct process_spec spec_of(const char *const *argv)
{
    return (struct process_spec){.argv = argv, .exe_fd = -1, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
}

/* Run spec with its output taken into text. */
static int run(struct process_spec spec, char *text, size_t cap)
{
    int fds[2], status = -1;
    pid_t pid;
    size_t got;
    struct err err;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    spec.stdout_fd = fds[1];
    enum errc rc = process_start(&spec, &pid, &err);
    close(fds[1]);
    if (rc != ERR_OK)
        fail_msg("%s", err.message);
    assert_int_equal(io_read(fds[0], text, cap - 1, &got, "output", &err), ERR_OK);
    text[got] = '\0';
    close(fds[0]);
    assert_int_equal(process_wait(pid, &status, &err), ERR_OK);
    return status;
}

static int run_shell(const char *script, char *text, size_t cap)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    return run(spec_of(argv), text, cap);
}

static void statuses(void **state)
{
    (void)state;
    char text[100];
    assert_int_equal(run_shell("echo hello; exit 0", text, sizeof text), 0);
    assert_string_equal(text, "hello\n");
    assert_int_equal(run_shell("exit 7", text, sizeof text), 7);
    assert_int_equal(run_shell("kill -TERM $$", text, sizeof text), 128 + SIGTERM);
    assert_int_equal(run_shell("cat; echo end", text, sizeof text), 0); /* stdin is /dev/null */
    assert_string_equal(text, "end\n");
}

static void what_cannot_run_is_said(void **state)
{
    (void)state;
    static const char *const names[] = {"no-such-program-anywhere", "/no/such/program", "/", "/etc/passwd"};
    static const int errors[] = {ENOENT, ENOENT, EACCES, EACCES};
    for (size_t i = 0; i < 4; i++) {
        const char *const argv[] = {names[i], NULL};
        struct process_spec spec = spec_of(argv);
        pid_t pid = -7;
        struct err err;
        assert_int_equal(process_start(&spec, &pid, &err), ERR_CHILD);
        assert_int_equal(err.sys_errno, errors[i]);
        assert_non_null(strstr(err.message, names[i]));
        assert_int_equal(pid, -7);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie stays */
    }
    struct err err;
    int status;
    assert_int_equal(process_wait(getpid(), &status, &err), ERR_CHILD);
}

static void executes_a_descriptor(void **state)
{
    (void)state;
    const char *const argv[] = {"any-name", "-c", "echo $0", NULL};
    struct process_spec spec = spec_of(argv);
    char text[100];
    spec.exe_fd = open("/bin/sh", O_RDONLY | O_CLOEXEC);
    assert_int_equal(run(spec, text, sizeof text), 0);
    assert_string_equal(text, "any-name\n");
    close(spec.exe_fd);
}

/* A file whose content is text, open for reading at its start. */
static int open_with(const char *text)
{
    char name[] = "/tmp/snap-test-fd-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void only_named_descriptors_pass(void **state)
{
    (void)state;
    int loose = fcntl(open_with("loose"), F_DUPFD, 40); /* not close-on-exec: someone's mistake */
    int kept = open_with("kept\n");
    const int pass[] = {kept}, as[] = {9};
    const char *const argv[] = {"sh", "-c", "ls /proc/self/fd | tr '\\n' ' '; cat <&9", NULL};
    struct process_spec spec = spec_of(argv);
    char text[100];
    assert_true(loose >= 40);
    spec.pass_fds = pass;
    spec.pass_as = as;
    spec.pass_count = 1;
    assert_int_equal(run(spec, text, sizeof text), 0);
    assert_string_equal(text, "0 1 2 3 9 kept\n"); /* 3 is ls's own */
    spec.pass_count = 0;
    const char *const again[] = {"sh", "-c", "ls /proc/self/fd | tr '\\n' ' '", NULL};
    spec.argv = again;
    assert_int_equal(run(spec, text, sizeof text), 0);
    assert_string_equal(text, "0 1 2 3 ");
    close(loose);
    close(kept);
}

/* a goes to b's number and b to a's, and both overlap the descriptors used to report and for stdout. */
static void descriptors_may_swap_numbers(void **state)
{
    (void)state;
    int a = open_with("a"), b = open_with("b"), c = open_with("c"), in = open_with("in");
    char script[200], text[100];
    for (int shift = 0; shift < 12; shift++) {
        const int pass[] = {a, b, c}, as[] = {b, a, c + 1 + shift};
        /* Through /proc: "<&10" is not POSIX shell. */
        snprintf(script, sizeof script, "cat - /proc/self/fd/%d /proc/self/fd/%d /proc/self/fd/%d", as[0], as[1],
                 as[2]);
        const char *const argv[] = {"sh", "-c", script, NULL};
        struct process_spec spec = spec_of(argv);
        spec.stdin_fd = in;
        spec.pass_fds = pass;
        spec.pass_as = as;
        spec.pass_count = 3;
        assert_int_equal(lseek(in, 0, SEEK_SET), 0);
        assert_int_equal(run(spec, text, sizeof text), 0);
        assert_string_equal(text, "inabc");
    }
    close(a);
    close(b);
    close(c);
    close(in);
}

static void stdio_may_be_crossed(void **state)
{
    (void)state;
    int fds[2], status;
    char text[100];
    size_t got;
    struct err err;
    pid_t pid;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    const char *const argv[] = {"sh", "-c", "echo out; echo error >&2", NULL};
    struct process_spec spec = spec_of(argv);
    spec.stdout_fd = spec.stderr_fd = fds[1];
    assert_int_equal(process_start(&spec, &pid, &err), ERR_OK);
    close(fds[1]);
    assert_int_equal(io_read(fds[0], text, sizeof text - 1, &got, "output", &err), ERR_OK);
    text[got] = '\0';
    close(fds[0]);
    assert_int_equal(process_wait(pid, &status, &err), ERR_OK);
    assert_string_equal(text, "out\nerror\n");
}

static void environment_is_extended(void **state)
{
    (void)state;
    const char *const extra[] = {"SNAP_TEST_A=new=1", "SNAP_TEST_C=c", NULL};
    const char *const argv[] = {
        "sh", "-c", "echo $SNAP_TEST $SNAP_TEST_A $SNAP_TEST_AB $SNAP_TEST_C; env | grep -c ^SNAP_TEST_A=", NULL};
    struct process_spec spec = spec_of(argv);
    char text[100];
    setenv("SNAP_TEST", "short", 1);
    setenv("SNAP_TEST_A", "old", 1);
    setenv("SNAP_TEST_AB", "kept", 1);
    spec.extra_env = extra;
    assert_int_equal(run(spec, text, sizeof text), 0);
    assert_string_equal(text, "short new=1 kept c\n1\n");
    unsetenv("SNAP_TEST");
    unsetenv("SNAP_TEST_A");
    unsetenv("SNAP_TEST_AB");
}

static void on_signal(int sig)
{
    (void)sig;
}

/* The child's ignored and blocked signals, as /proc tells. */
static void signals_are_reset(void **state)
{
    (void)state;
    char text[4000];
    sigset_t block, before;
    sigemptyset(&block);
    sigaddset(&block, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &block, &before);
    void (*pipe_before)(int) = signal(SIGPIPE, SIG_IGN);
    void (*xfsz_before)(int) = signal(SIGXFSZ, SIG_IGN);
    void (*hup_before)(int) = signal(SIGHUP, SIG_IGN); /* nohup */
    void (*usr_before)(int) = signal(SIGUSR1, on_signal);
    const char *const argv[] = {"cat", "/proc/self/status", NULL};
    int status = run(spec_of(argv), text, sizeof text);
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, &before, &now);
    signal(SIGPIPE, pipe_before);
    signal(SIGXFSZ, xfsz_before);
    signal(SIGHUP, hup_before);
    signal(SIGUSR1, usr_before);
    assert_int_equal(status, 0);
    assert_non_null(strstr(text, "SigBlk:\t0000000000000000"));
    assert_non_null(strstr(text, "SigIgn:\t0000000000000001")); /* SIGHUP alone */
    assert_non_null(strstr(text, "SigCgt:\t0000000000000000"));
    assert_int_equal(sigismember(&now, SIGTERM), 1); /* ours is as it was */
    assert_int_equal(sigismember(&now, SIGUSR2), 0);
}

/* Threads that hold malloc's lock as often as not: a child that allocated before exec would hang. */
static atomic_bool churning;

static void *churn(void *arg)
{
    while (churning)
        free(malloc(100 + (size_t)rand() % 5000));
    return arg;
}

static void starts_beside_busy_threads(void **state)
{
    (void)state;
    pthread_t threads[2];
    const char *const argv[] = {"true", NULL};
    churning = true;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (int i = 0; i < 100; i++) {
        char text[8];
        assert_int_equal(run(spec_of(argv), text, sizeof text), 0);
    }
    churning = false;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static enum errc capture(const char *command, size_t max, char *text, size_t cap)
{
    struct buf b;
    struct err err;
    buf_init(&b, 4096);
    assert_int_equal(buf_append_str(&b, "<", &err), ERR_OK);
    enum errc rc = process_capture(command, max, &b, &err);
    if (rc == ERR_OK)
        snprintf(text, cap, "%.*s", (int)b.len, (char *)b.data);
    else {
        assert_int_equal(b.len, 1);
        snprintf(text, cap, "%s", err.message);
    }
    buf_wipe(&b);
    return rc;
}

static void captures_output(void **state)
{
    (void)state;
    char text[1300];
    assert_int_equal(capture("printf 'pass word'", 100, text, sizeof text), ERR_OK);
    assert_string_equal(text, "<pass word");
    assert_int_equal(capture("cat; printf x", 100, text, sizeof text), ERR_OK); /* stdin is empty */
    assert_string_equal(text, "<x");
    assert_int_equal(capture("printf 12345", 5, text, sizeof text), ERR_OK);
    assert_string_equal(text, "<12345");
    assert_int_equal(capture("printf 123456", 5, text, sizeof text), ERR_LIMIT);
    assert_int_equal(capture("yes secret", 1000, text, sizeof text), ERR_LIMIT);
    assert_int_equal(capture("trap '' PIPE; while :; do echo secret 2>&-; done", 1000, text, sizeof text), ERR_LIMIT);
    assert_int_equal(capture("echo hunter2; exit 3", 100, text, sizeof text), ERR_CHILD);
    assert_non_null(strstr(text, "exit status 3"));
    assert_null(strstr(text, "hunter2"));
    assert_int_equal(capture("kill -KILL $$", 100, text, sizeof text), ERR_CHILD);
    assert_non_null(strstr(text, "signal 9"));
    assert_int_equal(capture("no-such-program-anywhere 2>/dev/null", 100, text, sizeof text), ERR_CHILD);
}

/* Exit status of fn in a process of its own. */
static int in_child(int (*fn)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(fn());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int drop_root(void)
{
    struct err err;
    gid_t groups[2] = {1, 2};
    if (setgroups(2, groups) != 0 || process_become(65534, 65533, &err) != ERR_OK)
        return 1;
    if (getuid() != 65534 || geteuid() != 65534 || getgid() != 65533 || getgroups(0, NULL) != 0)
        return 2;
    if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0)
        return 3;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return 4;
    if (process_become(65534, 65533, &err) != ERR_OK) /* nothing to do */
        return 5;
    return process_become(1, 65533, &err) == ERR_CHILD && process_become(0, 0, &err) == ERR_CHILD ? 0 : 6;
}

static int stay_root(void)
{
    struct err err;
    return process_become(0, 0, &err) == ERR_OK && getuid() == 0 && getgroups(0, NULL) == 0 ? 0 : 1;
}

static int keep_self(void)
{
    struct err err;
    if (process_become(getuid(), getgid(), &err) != ERR_OK || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return 1;
    return process_become(getuid() + 1, getgid(), &err) == ERR_CHILD ? 0 : 2;
}

static void becomes_another_user(void **state)
{
    (void)state;
    if (geteuid() != 0) { /* what can be seen without root */
        assert_int_equal(in_child(keep_self), 0);
        return;
    }
    assert_int_equal(in_child(drop_root), 0);
    assert_int_equal(in_child(stay_root), 0);
}

/* ---- holders ---- */

enum hold { HOLD_READ, HOLD_WRITE, HOLD_MAP_SHARED, HOLD_MAP_READ, HOLD_MAP_PRIVATE, HOLD_NOTHING };

/* A child that holds the file in one way, until it is killed. */
static pid_t start_holder(const char *path, enum hold how)
{
    int ready[2];
    char c;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the test itself die */
        int fd = open(path, how == HOLD_READ || how == HOLD_MAP_READ ? O_RDONLY : O_RDWR);
        int prot = how == HOLD_MAP_READ ? PROT_READ : PROT_READ | PROT_WRITE;
        if (how >= HOLD_MAP_SHARED && how != HOLD_NOTHING &&
            mmap(NULL, 4096, prot, how == HOLD_MAP_PRIVATE ? MAP_PRIVATE : MAP_SHARED, fd, 0) == MAP_FAILED)
            _exit(1);
        if (how >= HOLD_MAP_SHARED)
            close(fd);
        prctl(PR_SET_NAME, "a (odd) name");
        if (write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    return pid;
}

static void finds_holders(void **state)
{
    (void)state;
    static const bool held[] = {true, true, true, true, true, false};
    static const bool writable[] = {false, true, true, false, false, false};
    char path[] = "/tmp/snap-test-hold-XXXXXX";
    int fd = mkstemp(path);
    struct stat st;
    struct err err;
    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_int_equal(fstat(fd, &st), 0);
    for (int how = HOLD_READ; how <= HOLD_NOTHING; how++) {
        struct holder holders[4];
        size_t count = 99;
        bool incomplete;
        close(fd);
        pid_t pid = start_holder(path, (enum hold)how);
        fd = open(path, O_RDWR | O_CLOEXEC); /* ours does not count */
        assert_int_equal(process_find_holders(st.st_dev, st.st_ino, holders, 4, &count, &incomplete, &err), ERR_OK);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        assert_int_equal(count, held[how]);
        if (held[how]) {
            assert_int_equal(holders[0].pid, pid);
            assert_int_equal(holders[0].writable, writable[how]);
            assert_string_equal(holders[0].name, "a (odd) name");
        }
    }
    close(fd);
    unlink(path);
}

static void holders_of_a_removed_file_and_a_cap(void **state)
{
    (void)state;
    char path[] = "/tmp/snap-test-hold-XXXXXX";
    int fd = mkstemp(path);
    struct stat st;
    struct err err;
    struct holder holders[2];
    size_t count;
    bool incomplete;
    pid_t pids[3];
    assert_int_equal(fstat(fd, &st), 0);
    close(fd);
    for (int i = 0; i < 3; i++)
        pids[i] = start_holder(path, HOLD_WRITE);
    unlink(path);
    assert_int_equal(process_find_holders(st.st_dev, st.st_ino, holders, 2, &count, &incomplete, &err), ERR_OK);
    assert_int_equal(count, 2);
    assert_int_equal(process_find_holders(st.st_dev, st.st_ino, NULL, 0, &count, &incomplete, &err), ERR_OK);
    assert_int_equal(count, 0);
    for (int i = 0; i < 3; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    assert_int_equal(process_find_holders(st.st_dev, st.st_ino, holders, 2, &count, &incomplete, &err), ERR_OK);
    assert_int_equal(count, 0);
}

static int look_without_rights(void)
{
    struct holder holders[2];
    struct err err;
    size_t count;
    bool incomplete = false;
    if (geteuid() == 0 && process_become(65534, 65534, &err) != ERR_OK)
        return 1;
    if (process_find_holders(1, 1, holders, 2, &count, &incomplete, &err) != ERR_OK)
        return 2;
    return incomplete ? 0 : 3; /* process 1 is not ours */
}

static void without_rights_the_answer_is_incomplete(void **state)
{
    (void)state;
    assert_int_equal(in_child(look_without_rights), 0);
}

int main(void)
{
    alarm(120);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses),
        cmocka_unit_test(what_cannot_run_is_said),
        cmocka_unit_test(executes_a_descriptor),
        cmocka_unit_test(only_named_descriptors_pass),
        cmocka_unit_test(descriptors_may_swap_numbers),
        cmocka_unit_test(stdio_may_be_crossed),
        cmocka_unit_test(environment_is_extended),
        cmocka_unit_test(signals_are_reset),
        cmocka_unit_test(starts_beside_busy_threads),
        cmocka_unit_test(captures_output),
        cmocka_unit_test(becomes_another_user),
        cmocka_unit_test(finds_holders),
        cmocka_unit_test(holders_of_a_removed_file_and_a_cap),
        cmocka_unit_test(without_rights_the_answer_is_incomplete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
