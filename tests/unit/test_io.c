#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>
#include <dirent.h>

#include "base/io.h"

/* Every test works in a directory of its own; dir is its descriptor. */
static char dir_path[64];
static int dir = -1;

static int setup(void **state)
{
    (void)state;
    snprintf(dir_path, sizeof dir_path, "/tmp/snap-test-io-XXXXXX");
    if (!mkdtemp(dir_path))
        return -1;
    dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 ? -1 : 0;
}

static size_t count_entries(void)
{
    DIR *d = opendir(dir_path);
    size_t n = 0;
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static int teardown(void **state)
{
    (void)state;
    io_set_hook(NULL, NULL);
    DIR *d = opendir(dir_path);
    for (struct dirent *e; (e = readdir(d));)
        if (unlinkat(dir, e->d_name, 0) != 0)
            unlinkat(dir, e->d_name, AT_REMOVEDIR);
    closedir(d);
    close(dir);
    return rmdir(dir_path);
}

static void expect_content(const char *name, const char *want)
{
    struct buf b;
    struct err err;
    buf_init(&b, 4096);
    assert_int_equal(io_read_file(dir, name, 4096, &b, &err), ERR_OK);
    assert_int_equal(b.len, strlen(want));
    assert_memory_equal(b.data, want, b.len);
    buf_release(&b);
}

/* Fails the operation of kind op (any: -1) whose turn it is with error. */
struct fault {
    int op, error;
    unsigned turn, seen;
};

static int inject(enum io_op op, const char *what, void *arg)
{
    struct fault *f = arg;
    assert_non_null(what);
    if (f->op >= 0 && f->op != (int)op)
        return 0;
    return f->seen++ == f->turn ? f->error : 0;
}

static void write_then_read_back(void **state)
{
    (void)state;
    struct err err;
    char back[16];
    size_t got;
    int fd = -1;
    assert_int_equal(io_open(dir, "f", O_RDWR | O_CREAT | O_EXCL, 0600, &fd, &err), ERR_OK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(io_write(fd, "hello", 5, "f", &err), ERR_OK);
    assert_int_equal(io_pwrite(fd, "J", 1, 0, "f", &err), ERR_OK);
    assert_int_equal(io_pread(fd, back, sizeof back, 1, &got, "f", &err), ERR_OK);
    assert_int_equal(got, 4);
    assert_memory_equal(back, "ello", 4);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(io_read(fd, back, 5, &got, "f", &err), ERR_OK);
    assert_int_equal(got, 5);
    assert_memory_equal(back, "Jello", 5);
    io_start_writeback(fd, 0, 5);
    assert_int_equal(io_fdatasync(fd, "f", &err), ERR_OK);
    assert_int_equal(io_fsync(fd, "f", &err), ERR_OK);
    assert_int_equal(io_syncfs(fd, "f", &err), ERR_OK);
    assert_int_equal(io_close(&fd, "f", &err), ERR_OK);
    assert_int_equal(fd, -1);
    assert_int_equal(io_close(&fd, "f", &err), ERR_OK); /* closing nothing */
}

static void offsets_no_file_can_have(void **state)
{
    (void)state;
    struct err err;
    char c = 'x';
    size_t got = 7;
    int fd = -1;
    assert_int_equal(io_open(dir, "f", O_RDWR | O_CREAT, 0600, &fd, &err), ERR_OK);
    assert_int_equal(io_pwrite(fd, &c, 1, UINT64_MAX, "f", &err), ERR_NO_SPACE);
    assert_int_equal(io_pwrite(fd, &c, 1, INT64_MAX, "f", &err), ERR_NO_SPACE);
    assert_int_equal(io_pread(fd, &c, 1, UINT64_MAX, &got, "f", &err), ERR_OK);
    assert_int_equal(got, 0);
    assert_int_equal(io_pread(fd, &c, 1, INT64_MAX, &got, "f", &err), ERR_OK);
    assert_int_equal(got, 0);
    assert_int_equal(io_pread_exact(fd, &c, 1, UINT64_MAX, "f", &err), ERR_DAMAGED);
    io_close_quietly(&fd);
}

static void exact_read_of_a_short_file_is_damage(void **state)
{
    (void)state;
    struct err err;
    char back[8];
    int fd = -1;
    assert_int_equal(io_open(dir, "f", O_RDWR | O_CREAT, 0600, &fd, &err), ERR_OK);
    assert_int_equal(io_write(fd, "12345678", 8, "f", &err), ERR_OK);
    assert_int_equal(io_pread_exact(fd, back, 8, 0, "f", &err), ERR_OK);
    assert_memory_equal(back, "12345678", 8);
    assert_int_equal(io_pread_exact(fd, back, 8, 1, "f", &err), ERR_DAMAGED);
    assert_non_null(strstr(err.message, "f is too short"));
    io_close_quietly(&fd);
}

/* ---- IO1: interrupted and short transfers ---- */

static void on_alarm(int sig)
{
    (void)sig;
}

enum { PIPED_BYTES = 3 << 20 };

static void *drain_slowly(void *arg)
{
    int fd = *(int *)arg;
    size_t total = 0;
    unsigned char piece[20011];
    for (ssize_t n; (n = read(fd, piece, sizeof piece)) != 0;) {
        if (n < 0)
            continue;
        for (ssize_t i = 0; i < n; i++)
            if (piece[i] != (unsigned char)((total + (size_t)i) * 31 >> 4))
                return NULL;
        total += (size_t)n;
        if (total % 7 == 0)
            usleep(100);
    }
    return total == PIPED_BYTES ? arg : NULL;
}

static void io1_short_transfers_are_continued(void **state)
{
    (void)state;
    struct sigaction act = {.sa_handler = on_alarm}, old; /* without SA_RESTART */
    struct itimerval often = {{0, 500}, {0, 500}}, off = {{0, 0}, {0, 0}};
    int fds[2];
    unsigned char *data = malloc(PIPED_BYTES);
    struct err err;
    pthread_t thread;
    void *whole;
    for (size_t i = 0; i < PIPED_BYTES; i++)
        data[i] = (unsigned char)(i * 31 >> 4);
    assert_int_equal(pipe(fds), 0);
    sigaction(SIGALRM, &act, &old);
    assert_int_equal(pthread_create(&thread, NULL, drain_slowly, &fds[0]), 0);
    setitimer(ITIMER_REAL, &often, NULL);
    enum errc rc = io_write(fds[1], data, PIPED_BYTES, "a pipe", &err);
    setitimer(ITIMER_REAL, &off, NULL);
    close(fds[1]);
    pthread_join(thread, &whole);
    sigaction(SIGALRM, &old, NULL);
    close(fds[0]);
    free(data);
    assert_int_equal(rc, ERR_OK);
    assert_non_null(whole);
}

static void *feed_in_pieces(void *arg)
{
    int fd = *(int *)arg;
    for (int i = 0; i < 10; i++) {
        usleep(1000);
        if (write(fd, "piece", 5) != 5)
            break;
    }
    close(fd);
    return NULL;
}

static void io1_reads_until_full_or_end(void **state)
{
    (void)state;
    int fds[2];
    char back[100];
    size_t got;
    struct err err;
    pthread_t thread;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(pthread_create(&thread, NULL, feed_in_pieces, &fds[1]), 0);
    assert_int_equal(io_read(fds[0], back, 23, &got, "a pipe", &err), ERR_OK);
    assert_int_equal(got, 23);
    assert_int_equal(io_read(fds[0], back + 23, sizeof back - 23, &got, "a pipe", &err), ERR_OK);
    assert_int_equal(got, 27);
    assert_memory_equal(back, "piecepiecepiecepiecepiecepiece", 30);
    pthread_join(thread, NULL);
    close(fds[0]);
}

static void io1_eintr_is_retried(void **state)
{
    (void)state;
    struct err err;
    char back[4];
    size_t got;
    int fd = -1;
    struct fault f = {IO_OPEN, EINTR, 0, 0};
    io_set_hook(inject, &f);
    assert_int_equal(io_open(dir, "f", O_RDWR | O_CREAT, 0600, &fd, &err), ERR_OK);
    assert_int_equal(f.seen, 2);
    f = (struct fault){IO_WRITE, EINTR, 0, 0};
    assert_int_equal(io_write(fd, "data", 4, "f", &err), ERR_OK);
    assert_int_equal(f.seen, 2);
    f = (struct fault){IO_WRITE, EINTR, 0, 0};
    assert_int_equal(io_pwrite(fd, "D", 1, 0, "f", &err), ERR_OK);
    f = (struct fault){IO_READ, EINTR, 0, 0};
    assert_int_equal(io_pread(fd, back, 4, 0, &got, "f", &err), ERR_OK);
    assert_int_equal(got, 4);
    assert_memory_equal(back, "Data", 4);
    io_close_quietly(&fd);
}

/* ---- IO2: sync and close ---- */

static void io2_failed_sync_and_close_are_not_retried(void **state)
{
    (void)state;
    struct err err;
    int fd = -1;
    assert_int_equal(io_open(dir, "f", O_RDWR | O_CREAT, 0600, &fd, &err), ERR_OK);
    struct fault f = {IO_FSYNC, EINTR, 0, 0};
    io_set_hook(inject, &f);
    assert_int_equal(io_fsync(fd, "f", &err), ERR_IO);
    assert_int_equal(f.seen, 1);
    f = (struct fault){IO_FSYNC, EIO, 0, 0};
    assert_int_equal(io_fdatasync(fd, "f", &err), ERR_IO);
    assert_int_equal(err.sys_errno, EIO);
    f = (struct fault){IO_FSYNC, ENOSPC, 0, 0};
    assert_int_equal(io_syncfs(fd, "f", &err), ERR_NO_SPACE);
    f = (struct fault){IO_CLOSE, EIO, 0, 0};
    int number = fd;
    assert_int_equal(io_close(&fd, "f", &err), ERR_IO);
    assert_int_equal(f.seen, 1);
    assert_int_equal(fd, -1);
    assert_int_equal(fcntl(number, F_GETFD), -1); /* closed all the same */
}

/* ---- IO3: no space ---- */

static void io3_full_disk_is_no_space(void **state)
{
    (void)state;
    static const int errors[] = {ENOSPC, EDQUOT, EFBIG};
    struct err err;
    int fd = -1;
    assert_int_equal(io_open(dir, "name", O_RDWR | O_CREAT, 0600, &fd, &err), ERR_OK);
    for (size_t i = 0; i < 3; i++) {
        struct fault f = {IO_WRITE, errors[i], 0, 0};
        io_set_hook(inject, &f);
        assert_int_equal(io_write(fd, "x", 1, "name", &err), ERR_NO_SPACE);
        assert_int_equal(err.code, ERR_NO_SPACE);
        assert_int_equal(err.sys_errno, errors[i]);
        assert_non_null(strstr(err.message, "name"));
    }
    io_close_quietly(&fd);
}

static void io3_real_file_size_limit(void **state)
{
    (void)state;
    struct rlimit old, small;
    struct err err;
    char block[8192] = {0};
    int fd = -1;
    struct stat st;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 5000;
    assert_int_equal(io_open(dir, "f", O_RDWR | O_CREAT, 0600, &fd, &err), ERR_OK);
    setrlimit(RLIMIT_FSIZE, &small);
    enum errc rc = io_write(fd, block, sizeof block, "f", &err);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, handler);
    assert_int_equal(rc, ERR_NO_SPACE);
    assert_int_equal(err.sys_errno, EFBIG);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 5000); /* the short write came first and was continued */
    io_close_quietly(&fd);
}

/* ---- whole files ---- */

static void missing_file_tells_enoent(void **state)
{
    (void)state;
    struct err err;
    int fd = 5;
    assert_int_equal(io_open(dir, "no\nsuch", O_RDONLY, 0, &fd, &err), ERR_IO);
    assert_int_equal(err.sys_errno, ENOENT);
    assert_int_equal(fd, 5);
    assert_string_equal(err.message, "cannot open no\\nsuch: No such file or directory");
}

static void read_file_is_capped(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 70000};
    struct err err;
    char *data = calloc(1, 70000);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buf b;
        buf_init(&b, SIZE_MAX);
        assert_int_equal(buf_append(&b, "old", 3, &err), ERR_OK);
        assert_int_equal(io_replace_file(dir, "f", data, sizes[i], 0600, &err), ERR_OK);
        assert_int_equal(io_read_file(dir, "f", sizes[i], &b, &err), ERR_OK);
        assert_int_equal(b.len, 3 + sizes[i]);
        if (sizes[i] > 0) {
            assert_int_equal(io_read_file(dir, "f", sizes[i] - 1, &b, &err), ERR_LIMIT);
            assert_int_equal(b.len, 3 + sizes[i]);
        }
        buf_release(&b);
    }
    struct buf small;
    buf_init(&small, 100); /* the buffer's own cap holds too */
    assert_int_equal(io_read_file(dir, "f", 70000, &small, &err), ERR_LIMIT);
    assert_int_equal(small.len, 0);
    buf_release(&small);
    free(data);
}

static void read_file_reads_what_has_no_size(void **state)
{
    (void)state;
    struct buf b;
    struct err err;
    buf_init(&b, 1 << 20);
    assert_int_equal(io_read_file(AT_FDCWD, "/proc/self/status", 1 << 20, &b, &err), ERR_OK);
    assert_true(b.len > 100);
    assert_int_equal(io_read_file(AT_FDCWD, dir_path, 100, &b, &err), ERR_IO);
    assert_int_equal(err.sys_errno, EISDIR);
    buf_release(&b);
}

static void replace_and_create(void **state)
{
    (void)state;
    struct err err;
    struct stat st;
    char path[128];
    mode_t mask = umask(022);
    assert_int_equal(io_create_file(dir, "f", "one", 3, 0600, &err), ERR_OK);
    expect_content("f", "one");
    assert_int_equal(fstatat(dir, "f", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(io_create_file(dir, "f", "two", 3, 0600, &err), ERR_IO);
    assert_int_equal(err.sys_errno, EEXIST);
    expect_content("f", "one");
    assert_int_equal(io_replace_file(dir, "f", "three", 5, 0644, &err), ERR_OK);
    expect_content("f", "three");
    snprintf(path, sizeof path, "%s/g", dir_path); /* a path with a directory in it */
    assert_int_equal(io_create_file(AT_FDCWD, path, "", 0, 0600, &err), ERR_OK);
    expect_content("g", "");
    assert_int_equal(count_entries(), 2); /* no temporary file stayed */
    umask(mask);
}

/* Each operation in turn fails: old or new content, never a third thing, and nothing left beside it. */
static void replace_is_whole_under_faults(void **state)
{
    (void)state;
    struct err err;
    unsigned turn = 0, failures = 0;
    for (bool done = false; !done; turn++) {
        struct fault f = {-1, EIO, turn, 0};
        assert_int_equal(io_replace_file(dir, "f", "old", 3, 0600, &err), ERR_OK);
        io_set_hook(inject, &f);
        enum errc rc = io_replace_file(dir, "f", "new", 3, 0600, &err);
        io_set_hook(NULL, NULL);
        struct buf b;
        buf_init(&b, 100);
        assert_int_equal(io_read_file(dir, "f", 100, &b, NULL), ERR_OK);
        assert_int_equal(b.len, 3);
        assert_true(memcmp(b.data, "new", 3) == 0 || (rc != ERR_OK && memcmp(b.data, "old", 3) == 0));
        buf_release(&b);
        assert_int_equal(count_entries(), 1);
        failures += rc != ERR_OK;
        done = f.seen <= turn; /* this round none was left to fail */
    }
    assert_true(failures >= 7); /* open, write, fsync, close, rename, open the directory, fsync it */
}

static void create_is_whole_under_faults(void **state)
{
    (void)state;
    struct err err;
    unsigned failures = 0;
    for (unsigned turn = 0;; turn++) {
        struct fault f = {-1, EIO, turn, 0};
        io_set_hook(inject, &f);
        enum errc rc = io_create_file(dir, "f", "new", 3, 0600, &err);
        io_set_hook(NULL, NULL);
        struct stat st;
        bool there = fstatat(dir, "f", &st, 0) == 0;
        assert_true(there || rc != ERR_OK);
        if (there)
            expect_content("f", "new");
        if (f.seen <= turn)
            break;
        failures += rc != ERR_OK;
        if (there)
            assert_int_equal(unlinkat(dir, "f", 0), 0);
        /* Only the failed removal of the temporary file itself may leave it. */
        if (count_entries() != 0) {
            assert_int_equal(rc, ERR_OK);
            assert_int_equal(count_entries(), 1);
            teardown(NULL);
            setup(NULL);
        }
    }
    assert_true(failures >= 7);
}

static void names(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(io_mkdirat(dir, "d", 0700, &err), ERR_OK);
    assert_int_equal(io_mkdirat(dir, "d", 0700, &err), ERR_IO);
    assert_int_equal(err.sys_errno, EEXIST);
    assert_int_equal(io_create_file(dir, "a", "a", 1, 0600, &err), ERR_OK);
    assert_int_equal(io_linkat(dir, "a", dir, "b", &err), ERR_OK);
    assert_int_equal(io_linkat(dir, "a", dir, "b", &err), ERR_IO);
    assert_int_equal(err.sys_errno, EEXIST);
    assert_int_equal(io_renameat2(dir, "a", dir, "b", RENAME_NOREPLACE, &err), ERR_IO);
    assert_int_equal(err.sys_errno, EEXIST);
    assert_int_equal(io_renameat2(dir, "a", dir, "c", 0, &err), ERR_OK);
    assert_int_equal(io_renameat2(dir, "c", dir, "d", RENAME_EXCHANGE, &err), ERR_OK);
    assert_int_equal(io_unlinkat(dir, "c", 0, &err), ERR_IO); /* now the directory */
    assert_int_equal(io_unlinkat(dir, "c", AT_REMOVEDIR, &err), ERR_OK);
    expect_content("d", "a");
}

static void every_change_passes_the_hook(void **state)
{
    (void)state;
    static const enum io_op ops[] = {IO_LINK, IO_RENAME, IO_UNLINK, IO_MKDIR};
    struct err err;
    assert_int_equal(io_create_file(dir, "a", "a", 1, 0600, &err), ERR_OK);
    for (size_t i = 0; i < 4; i++) {
        struct fault f = {(int)ops[i], EROFS, 0, 0};
        io_set_hook(inject, &f);
        enum errc rc = i == 0   ? io_linkat(dir, "a", dir, "b", &err)
                       : i == 1 ? io_renameat2(dir, "a", dir, "b", 0, &err)
                       : i == 2 ? io_unlinkat(dir, "a", 0, &err)
                                : io_mkdirat(dir, "b", 0700, &err);
        io_set_hook(NULL, NULL);
        assert_int_equal(rc, ERR_IO);
        assert_int_equal(err.sys_errno, EROFS);
        assert_int_equal(f.seen, 1);
        assert_int_equal(count_entries(), 1); /* not tried */
    }
}

static void random_and_free_space(void **state)
{
    (void)state;
    uint8_t a[600] = {0}, b[600] = {0};
    uint64_t bytes = 0;
    struct err err;
    assert_int_equal(io_random(a, sizeof a, &err), ERR_OK);
    assert_int_equal(io_random(b, sizeof b, &err), ERR_OK);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + 300, (uint8_t[300]){0}, 300);
    assert_int_equal(io_free_space(dir, &bytes, &err), ERR_OK);
    assert_true(bytes > 0);
    assert_int_equal(io_free_space(-1, &bytes, &err), ERR_IO);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(write_then_read_back),
        T(offsets_no_file_can_have),
        T(exact_read_of_a_short_file_is_damage),
        T(io1_short_transfers_are_continued),
        T(io1_reads_until_full_or_end),
        T(io1_eintr_is_retried),
        T(io2_failed_sync_and_close_are_not_retried),
        T(io3_full_disk_is_no_space),
        T(io3_real_file_size_limit),
        T(missing_file_tells_enoent),
        T(read_file_is_capped),
        T(read_file_reads_what_has_no_size),
        T(replace_and_create),
        T(replace_is_whole_under_faults),
        T(create_is_whole_under_faults),
        T(names),
        T(every_change_passes_the_hook),
        T(random_and_free_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
