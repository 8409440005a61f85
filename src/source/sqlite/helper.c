#include "source/sqlite/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/process.h"
#include "source/sqlite/child.h"

enum { ARGS_MAX = 16, ARG_BYTES = 288, PIPE_BYTES = 1 << 20, NOBODY = 65534 };

struct arguments {
    char text[ARGS_MAX][ARG_BYTES];
    const char *argv[ARGS_MAX + 4];
    size_t count;
};

static void add_number(struct arguments *a, const char *key, uint64_t value)
{
    REQUIRE(a->count < ARGS_MAX);
    snprintf(a->text[a->count], ARG_BYTES, "%s=%" PRIu64, key, value);
    a->count++;
}

static void make_arguments(struct arguments *a, const struct helper_spec *spec)
{
    const struct place *p = spec->place;

    memset(a, 0, sizeof *a);
    if (p) {
        snprintf(a->text[a->count++], ARG_BYTES, "name=%s", p->name);
        add_number(a, "dev", p->st.st_dev);
        add_number(a, "ino", p->st.st_ino);
    }
    if (geteuid() == 0) {
        add_number(a, "uid", p ? p->st.st_uid : NOBODY);
        add_number(a, "gid", p ? p->st.st_gid : NOBODY);
    }
    add_number(a, "checkpoint", spec->checkpoint);
    add_number(a, "spool", spec->spool);
    add_number(a, "copy", spec->copy);
    add_number(a, "fast", spec->fast_fail);
    add_number(a, "size", spec->image_bytes);
    add_number(a, "slots", spec->image_slots);
    a->argv[0] = "snap";
    a->argv[1] = "__sqlite";
    a->argv[2] = spec->op;
    for (size_t i = 0; i < a->count; i++)
        a->argv[3 + i] = a->text[i];
    a->argv[3 + a->count] = NULL;
}

enum errc helper_start(const struct helper_spec *spec, struct helper *h, struct err *err)
{
    static const char *const blanked[] = {"SNAP_PASSWORD=", "SNAP_PASSWORD_COMMAND=", NULL};
    struct arguments a;
    int fds[2] = {-1, -1}, answers[2] = {-1, -1}, exe = -1, pass[2], as[2];
    size_t passed = 0;

    *h = (struct helper){.fd = -1};
    make_arguments(&a, spec);
    enum errc rc = io_open(AT_FDCWD, spec->self_exe ? spec->self_exe : "/proc/self/exe", O_RDONLY, 0, &exe, err);
    if (rc == ERR_OK && pipe2(fds, O_CLOEXEC) != 0)
        rc = err_sys(err, ERR_CHILD, errno, "cannot make a pipe");
    if (rc == ERR_OK && spec->answer_fd_out && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, answers) != 0)
        rc = err_sys(err, ERR_CHILD, errno, "cannot make a socket");
    if (rc == ERR_OK) {
        (void)fcntl(fds[0], F_SETPIPE_SZ, PIPE_BYTES);
        (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
        if (spec->place) {
            pass[passed] = spec->place->dir_fd;
            as[passed++] = CHILD_DIR_FD;
        }
        if (spec->image_fd >= 0) {
            pass[passed] = spec->image_fd;
            as[passed++] = CHILD_IMAGE_FD;
        }
        struct process_spec p = {.argv = a.argv,
                                 .exe_fd = exe,
                                 .stdin_fd = answers[1],
                                 .stdout_fd = fds[1],
                                 .stderr_fd = -1,
                                 .pass_fds = pass,
                                 .pass_as = as,
                                 .pass_count = passed,
                                 .extra_env = blanked};
        rc = process_start(&p, &h->pid, err);
    }
    io_close_quietly(&exe);
    io_close_quietly(&fds[1]);
    io_close_quietly(&answers[1]);
    if (rc != ERR_OK) {
        h->pid = 0;
        io_close_quietly(&fds[0]);
        io_close_quietly(&answers[0]);
    }
    if (spec->answer_fd_out)
        *spec->answer_fd_out = answers[0];
    h->fd = fds[0];
    return rc;
}

enum errc helper_finish(struct helper *h, struct err *err)
{
    int status = 0;

    io_close_quietly(&h->fd);
    pid_t pid = h->pid;
    h->pid = 0;
    enum errc rc = process_wait(pid, &status, err);
    if (rc == ERR_OK && status > 128)
        rc = err_fail(err, ERR_CHILD, "the SQLite helper process was ended by signal %d", status - 128);
    else if (rc == ERR_OK && status != 0)
        rc = err_fail(err, ERR_CHILD, "the SQLite helper process ended with exit status %d", status);
    return rc;
}

void helper_kill(struct helper *h)
{
    int status;

    io_close_quietly(&h->fd);
    if (h->pid > 0) {
        (void)kill(h->pid, SIGKILL);
        (void)!process_wait(h->pid, &status, NULL);
    }
    h->pid = 0;
}

static void make_printable(char *text, size_t cap)
{
    text[cap - 1] = '\0';
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
}

enum errc helper_read_done(struct helper *h, size_t len, const struct diag *diag, struct done_report *out,
                           struct err *err)
{
    if (len != sizeof *out)
        return err_fail(err, ERR_CHILD, "the SQLite helper process sent a report of a wrong length");
    enum errc rc = frame_body(h->fd, diag, out, len, err);
    if (rc == ERR_OK && out->outcome >= OUTCOME_COUNT)
        rc = err_fail(err, ERR_CHILD, "the SQLite helper process sent an unknown outcome");
    make_printable(out->text, sizeof out->text);
    return rc;
}

enum errc helper_read_facts(struct helper *h, size_t len, const struct diag *diag, struct fact_list *out,
                            struct err *err)
{
    struct buf b;

    buf_init(&b, FRAME_MAX_BYTES);
    enum errc rc = buf_reserve(&b, len, err);
    if (rc == ERR_OK && len > 0)
        rc = frame_body(h->fd, diag, b.data, len, err);
    if (rc == ERR_OK && fact_list_get(b.data, len, out, err) != ERR_OK)
        rc = err_recode(err, ERR_CHILD);
    buf_release(&b);
    return rc;
}

enum errc helper_read_note(struct helper *h, size_t len, const struct diag *diag, const char *shown, struct err *err)
{
    char text[FRAME_TEXT_MAX_BYTES] = "";

    if (len >= sizeof text)
        return err_fail(err, ERR_CHILD, "the SQLite helper process sent a note of a wrong length");
    enum errc rc = frame_body(h->fd, diag, text, len, err);
    make_printable(text, sizeof text);
    if (rc == ERR_OK)
        diag_message(diag, DIAG_WARNING, "", "%s: %s", shown, text);
    return rc;
}
