#include "base/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"

enum { PASS_MAX = 16 };

/* All the child needs, made before the fork: behind it, in a program with threads, another thread may have held the
 * lock of malloc, so the child only makes system calls. */
struct launch {
    const struct process_spec *spec;
    const char *path; /* what to execute; owned, NULL with exe_fd */
    char **envp;      /* owned array of borrowed strings */
    int null_fd;      /* /dev/null, -1 if not needed */
    int report_fd;    /* the child writes errno here if it cannot execute; closed by a successful exec */
};

/* ---- in the child ---- */

static _Noreturn void child_fail(int report_fd, int e)
{
    ssize_t n;
    do
        n = write(report_fd, &e, sizeof e);
    while (n < 0 && errno == EINTR);
    _exit(127);
}

/* Kernels before 5.11: mark what /proc/self/fd lists, without opendir, which allocates. */
static bool mark_by_listing(void)
{
    _Alignas(struct dirent64) char names[4096];
    int dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ssize_t n = -1;
    while (dir >= 0 && (n = getdents64(dir, names, sizeof names)) > 0) {
        for (ssize_t at = 0; at < n;) {
            struct dirent64 *entry = (struct dirent64 *)(void *)(names + at);
            int fd = 0;
            for (const char *p = entry->d_name; *p >= '0' && *p <= '9'; p++)
                fd = fd * 10 + (*p - '0');
            if (fd >= 3)
                fcntl(fd, F_SETFD, FD_CLOEXEC);
            at += entry->d_reclen;
        }
    }
    return n == 0; /* dir itself goes with the exec */
}

/* Lay out the descriptors. Each is first copied above all numbers that are asked for, so that no placement can
 * overwrite one that is still to be placed. Returns 0 or errno; *exe_fd and *report_fd are moved along. */
static int place_descriptors(const struct launch *l, int *exe_fd, int *report_fd)
{
    const struct process_spec *s = l->spec;
    struct {
        int from, to;
    } moves[PASS_MAX + 3];
    int floor = 3, *movable[2] = {exe_fd, report_fd};
    size_t count = 0;
    moves[count].from = s->stdin_fd >= 0 ? s->stdin_fd : l->null_fd;
    moves[count++].to = 0;
    moves[count].from = s->stdout_fd >= 0 ? s->stdout_fd : l->null_fd;
    moves[count++].to = 1;
    if (s->stderr_fd >= 0) {
        moves[count].from = s->stderr_fd;
        moves[count++].to = 2;
    }
    for (size_t i = 0; i < s->pass_count; i++) {
        moves[count].from = s->pass_fds[i];
        moves[count++].to = s->pass_as[i];
    }
    for (size_t i = 0; i < count; i++)
        floor = moves[i].to >= floor ? moves[i].to + 1 : floor;
    for (size_t i = 0; i < 2; i++)
        if (*movable[i] >= 0) {
            int fd = fcntl(*movable[i], F_DUPFD_CLOEXEC, floor);
            if (fd < 0)
                return errno;
            *movable[i] = fd;
        }
    for (size_t i = 0; i < count; i++)
        if ((moves[i].from = fcntl(moves[i].from, F_DUPFD_CLOEXEC, floor)) < 0)
            return errno;
    if (syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) != 0 && !mark_by_listing())
        return errno ? errno : EIO;
    for (size_t i = 0; i < count; i++)
        if (dup2(moves[i].from, moves[i].to) < 0) /* the copy is not close-on-exec */
            return errno;
    return 0;
}

/* Handlers of ours must not run in the child; what a nohup ignores stays ignored. SIGPIPE and SIGXFSZ are ignored by
 * programs like this one for themselves, not for their children. */
static void reset_signals(void)
{
    struct sigaction act, deflt = {.sa_handler = SIG_DFL};
    for (int sig = 1; sig < NSIG; sig++) {
        bool ours = sig == SIGPIPE || sig == SIGXFSZ;
        if (ours || (sigaction(sig, NULL, &act) == 0 && act.sa_handler != SIG_IGN))
            sigaction(sig, &deflt, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void child_main(const struct launch *l, char *const *argv)
{
    int exe_fd = l->spec->exe_fd, report_fd = l->report_fd;
    int e = place_descriptors(l, &exe_fd, &report_fd);
    if (e != 0)
        child_fail(report_fd, e);
    reset_signals();
    if (exe_fd >= 0)
        syscall(SYS_execveat, exe_fd, "", argv, l->envp, AT_EMPTY_PATH);
    else
        execve(l->path, argv, l->envp);
    child_fail(report_fd, errno);
}

/* ---- in the parent ---- */

static bool is_executable(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

/* The file that name stands for, as a shell finds it; freed with free(). */
static enum errc find_program(const char *name, char **out, struct err *err)
{
    if (strchr(name, '/'))
        return mem_strdup(out, name, err);
    const char *dirs = getenv("PATH");
    if (!dirs || !*dirs)
        dirs = "/usr/local/bin:/usr/bin:/bin";
    struct buf b;
    buf_init(&b, 64 * 1024);
    for (const char *p = dirs;; p++) {
        size_t n = strcspn(p, ":");
        /* An empty part means the current directory to a shell; never taken here. */
        if (n > 0 && p[0] == '/') {
            buf_clear(&b);
            enum errc rc = buf_append_fmt(&b, err, "%.*s/%s", (int)n, p, name);
            if (rc != ERR_OK) {
                buf_release(&b);
                return rc;
            }
            if (is_executable((char *)b.data)) {
                *out = (char *)b.data;
                return ERR_OK;
            }
        }
        p += n;
        if (*p == '\0')
            break;
    }
    buf_release(&b);
    return err_sys(err, ERR_CHILD, ENOENT, "cannot find the program %s", name);
}

/* Our environment with extra's variables put in the place of ours of that name. */
static enum errc make_environment(const char *const *extra, char ***out, struct err *err)
{
    size_t ours = 0, more = 0, count = 0, cap = 0;
    char **envp = NULL;
    while (environ && environ[ours])
        ours++;
    while (extra && extra[more])
        more++;
    enum errc rc = mem_grow(&envp, &cap, ours + more + 1, sizeof *envp, err);
    if (rc != ERR_OK)
        return rc;
    for (size_t i = 0; i < ours; i++) {
        size_t n = strcspn(environ[i], "="), j = 0;
        while (j < more && !(strncmp(extra[j], environ[i], n) == 0 && extra[j][n] == '='))
            j++;
        if (j == more)
            envp[count++] = environ[i];
    }
    if (more > 0)
        memcpy(envp + count, extra, more * sizeof *envp); /* execve takes char **, and does not write */
    envp[count + more] = NULL;
    *out = envp;
    return ERR_OK;
}

static void launch_release(struct launch *l)
{
    union {
        const char *borrowed;
        char *owned;
    } path = {l->path};
    free(path.owned);
    free(l->envp);
    io_close_quietly(&l->null_fd);
    io_close_quietly(&l->report_fd);
}

/* Fork with all signals blocked, so that none of our handlers runs in the child before it has reset them. */
static pid_t fork_child(const struct launch *l, char *const *argv)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        child_main(l, argv);
    int e = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = e;
    return pid;
}

static enum errc launch(struct launch *l, int report_read, pid_t *pid_out, struct err *err)
{
    const char *name = l->path ? l->path : l->spec->argv[0];
    char *const *argv;
    memcpy(&argv, &l->spec->argv, sizeof argv);
    pid_t pid = fork_child(l, argv);
    if (pid < 0)
        return err_sys(err, ERR_CHILD, errno, "cannot start %s", name);
    io_close_quietly(&l->report_fd);
    int e = 0;
    size_t got;
    enum errc rc = io_read(report_read, &e, sizeof e, &got, "the start of a program", err);
    if (rc == ERR_OK && got == 0) {
        *pid_out = pid;
        return ERR_OK;
    }
    int status;
    if (rc != ERR_OK)
        kill(pid, SIGKILL);
    (void)!process_wait(pid, &status, NULL);
    return rc != ERR_OK ? rc : err_sys(err, ERR_CHILD, got == sizeof e ? e : EIO, "cannot run %s", name);
}

static void check_spec(const struct process_spec *spec)
{
    REQUIRE(spec->argv && spec->argv[0]);
    REQUIRE(spec->pass_count <= PASS_MAX);
    for (size_t i = 0; i < spec->pass_count; i++) {
        REQUIRE(spec->pass_as[i] >= 3);
        for (size_t j = 0; j < i; j++)
            REQUIRE(spec->pass_as[i] != spec->pass_as[j]);
    }
}

enum errc process_start(const struct process_spec *spec, pid_t *pid_out, struct err *err)
{
    check_spec(spec);
    struct launch l = {.spec = spec, .null_fd = -1, .report_fd = -1};
    int report[2] = {-1, -1};
    char *path = NULL;
    enum errc rc = ERR_OK;
    if (spec->exe_fd < 0)
        rc = find_program(spec->argv[0], &path, err);
    l.path = path;
    if (rc == ERR_OK)
        rc = make_environment(spec->extra_env, &l.envp, err);
    if (rc == ERR_OK && (spec->stdin_fd < 0 || spec->stdout_fd < 0))
        rc = io_open(AT_FDCWD, "/dev/null", O_RDWR, 0, &l.null_fd, err);
    if (rc == ERR_OK && pipe2(report, O_CLOEXEC) != 0)
        rc = err_sys(err, ERR_CHILD, errno, "cannot make a pipe");
    l.report_fd = report[1];
    if (rc == ERR_OK)
        rc = launch(&l, report[0], pid_out, err);
    io_close_quietly(&report[0]);
    launch_release(&l);
    return rc;
}

enum errc process_wait(pid_t pid, int *status_out, struct err *err)
{
    int status;
    pid_t got;
    do
        got = waitpid(pid, &status, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_sys(err, ERR_CHILD, errno, "cannot wait for process %ld", (long)pid);
    *status_out = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return ERR_OK;
}

static bool runs_as(uid_t uid, gid_t gid)
{
    uid_t u[3];
    gid_t g[3];
    return getresuid(&u[0], &u[1], &u[2]) == 0 && getresgid(&g[0], &g[1], &g[2]) == 0 && u[0] == uid && u[1] == uid &&
           u[2] == uid && g[0] == gid && g[1] == gid && g[2] == gid;
}

enum errc process_become(uid_t uid, gid_t gid, struct err *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_sys(err, ERR_CHILD, errno, "cannot forswear new privileges");
    if (geteuid() != 0 && runs_as(uid, gid))
        return ERR_OK;
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return err_sys(err, ERR_CHILD, errno, "cannot become user %lu, group %lu", (unsigned long)uid,
                       (unsigned long)gid);
    /* Trust nothing: a set-id call that returned 0 but left a way back has happened. */
    if (!runs_as(uid, gid) || getgroups(0, NULL) != 0 || (uid != 0 && setresuid((uid_t)-1, 0, (uid_t)-1) == 0))
        return err_fail(err, ERR_CHILD, "cannot give up the rights of the former user for good");
    return ERR_OK;
}

/* Read the child's output, and one byte more to see that it ended. */
static enum errc read_output(int fd, size_t max, struct buf *out, struct err *err)
{
    size_t got, more = 0;
    uint8_t extra;
    enum errc rc = buf_reserve(out, max, err); /* at once: growing by steps would leave copies of a secret behind */
    if (rc == ERR_OK)
        rc = io_read(fd, out->data + out->len, max, &got, "the output of a command", err);
    if (rc != ERR_OK)
        return rc;
    out->len += got;
    if (got == max)
        rc = io_read(fd, &extra, 1, &more, "the output of a command", err);
    if (rc == ERR_OK && more > 0)
        rc = err_fail(err, ERR_LIMIT, "the command wrote more than %zu bytes", max);
    return rc;
}

enum errc process_capture(const char *command, size_t max, struct buf *out, struct err *err)
{
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    size_t before = out->len;
    int fds[2], status = 0;
    pid_t pid;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return err_sys(err, ERR_CHILD, errno, "cannot make a pipe");
    struct process_spec spec = {.argv = argv, .exe_fd = -1, .stdin_fd = -1, .stdout_fd = fds[1], .stderr_fd = -1};
    enum errc rc = process_start(&spec, &pid, err);
    io_close_quietly(&fds[1]);
    if (rc != ERR_OK) {
        io_close_quietly(&fds[0]);
        return rc;
    }
    rc = read_output(fds[0], max, out, err);
    if (rc != ERR_OK)
        kill(pid, SIGKILL); /* it may go on for ever */
    io_close_quietly(&fds[0]);
    enum errc waited = process_wait(pid, &status, rc == ERR_OK ? err : NULL);
    rc = rc == ERR_OK ? waited : rc;
    /* The command may hold a secret, so the message does not repeat it. */
    if (rc == ERR_OK && status > 128)
        rc = err_fail(err, ERR_CHILD, "the command was ended by signal %d", status - 128);
    else if (rc == ERR_OK && status != 0)
        rc = err_fail(err, ERR_CHILD, "the command ended with exit status %d", status);
    if (rc != ERR_OK && out->data) {
        explicit_bzero(out->data + before, out->cap - before);
        out->len = before;
    }
    return rc;
}

enum errc process_who(char **host_out, char **user_out, struct err *err)
{
    char host[256] = "localhost", text[1024];
    struct passwd pw, *found = NULL;
    gethostname(host, sizeof host - 1);
    enum errc rc = mem_strdup(host_out, host, err);
    if (rc != ERR_OK)
        return rc;
    if (getpwuid_r(geteuid(), &pw, text, sizeof text, &found) == 0 && found)
        return mem_strdup(user_out, found->pw_name, err);
    snprintf(text, sizeof text, "%u", (unsigned)geteuid());
    return mem_strdup(user_out, text, err);
}
