/* Child processes. Layer: base. */
#ifndef SNAP_BASE_PROCESS_H
#define SNAP_BASE_PROCESS_H

#include <sys/types.h>

#include "base/buf.h"

struct process_spec {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH unless exe_fd >= 0 */
    int exe_fd;              /* execute this descriptor (fexecve), -1 for argv[0] */
    int stdin_fd, stdout_fd; /* -1: /dev/null */
    int stderr_fd;           /* -1: inherit */
    const int *pass_fds;     /* kept open in the child under the numbers pass_as[i] (>= 3) */
    const int *pass_as;
    size_t pass_count;
    const char *const *extra_env; /* "K=V" strings, NULL-terminated; NULL for none */
};

/* Start a child. Every descriptor that is not named is closed in it. *pid_out is to be waited for. */
MUST_USE enum errc process_start(const struct process_spec *spec, pid_t *pid_out, struct err *err);
/* Wait; *status_out is the exit status, or 128 + signal. */
MUST_USE enum errc process_wait(pid_t pid, int *status_out, struct err *err);
/* Give up root for good: supplementary groups cleared, gid then uid set, checked. No-op when already (uid, gid) and
 * not root. Also PR_SET_NO_NEW_PRIVS. */
MUST_USE enum errc process_become(uid_t uid, gid_t gid, struct err *err);
/* The name of this machine and of the user this process acts as (its number where it has no name). Both free(). */
MUST_USE enum errc process_who(char **host_out, char **user_out, struct err *err);
/* Run `sh -c command`, read at most max bytes of stdout into out; a non-zero exit is an error. stdin is /dev/null.
 * For password commands: out is the caller's to wipe. */
MUST_USE enum errc process_capture(const char *command, size_t max, struct buf *out, struct err *err);

/* Processes that hold the file (dev, ino) open or mapped, from /proc; at most max of them. Own process left out.
 * Without the right to look into a process it is skipped and *incomplete_out set. */
struct holder {
    pid_t pid;
    bool writable; /* open for writing, or a shared writable mapping */
    char name[64]; /* comm */
};
MUST_USE enum errc process_find_holders(dev_t dev, ino_t ino, struct holder *out, size_t max, size_t *count_out,
                                        bool *incomplete_out, struct err *err);

#endif
