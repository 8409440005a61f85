/* A directory for one test, and what is put into it. */
#ifndef SNAP_TESTS_TREE_H
#define SNAP_TESTS_TREE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct tree {
    char dir[256];  /* deleted with all in it */
    char root[280]; /* dir/root: what is captured */
};

static inline void tree_new(struct tree *t)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(t->dir, sizeof t->dir, "%s/snap-test-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(t->dir));
    assert_int_equal(chmod(t->dir, 0755), 0);
    snprintf(t->root, sizeof t->root, "%s/root", t->dir);
    assert_int_equal(mkdir(t->root, 0755), 0);
}

static inline void tree_free(struct tree *t)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", t->dir, (char *)NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* dir/path; one of four buffers in turn */
static inline const char *tree_path(const struct tree *t, const char *path)
{
    static char text[4][4096];
    static unsigned at;
    char *p = text[at++ % 4];
    snprintf(p, sizeof text[0], "%s/%s", t->root, path);
    return p;
}

static inline void tree_write(const struct tree *t, const char *path, const void *data, size_t len)
{
    int fd = open(tree_path(t, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    assert_int_equal(close(fd), 0);
}

static inline void tree_text(const struct tree *t, const char *path, const char *text)
{
    tree_write(t, path, text, strlen(text));
}

static inline void tree_mkdir(const struct tree *t, const char *path)
{
    assert_int_equal(mkdir(tree_path(t, path), 0755), 0);
}

/* Modification time so many seconds ago; the change time can only be waited for. */
static inline void tree_age(const struct tree *t, const char *path, time_t seconds)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec -= seconds;
    struct timespec times[2] = {now, now};
    assert_int_equal(utimensat(AT_FDCWD, tree_path(t, path), times, AT_SYMLINK_NOFOLLOW), 0);
}

#endif
