#include "cli/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"
#include "base/process.h"
#include "cli/signals.h"

enum { SECRET_FILE_MAX_BYTES = 64 * 1024, KEY_FILE_MAX_BYTES = 4096 };

void secret_free(char *s)
{
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
}

void secret_release(struct secret *s)
{
    free(s->key_file);
    secret_free(s->passphrase);
    secret_free(s->recovery);
    *s = (struct secret){0};
}

/* The first line of what a file or a command gave. from: for the message. */
static enum errc first_line(struct buf *b, const char *from, char **out, struct err *err)
{
    size_t len = 0;
    while (len < b->len && b->data[len] != '\n')
        len++;
    if (len > 0 && b->data[len - 1] == '\r')
        len--;
    if (len == 0)
        return err_fail(err, ERR_NO_KEY, "%s gave an empty passphrase", from);
    if (len > PASSPHRASE_MAX_BYTES)
        return err_fail(err, ERR_NO_KEY, "%s gave more than %d bytes before the line's end", from,
                        PASSPHRASE_MAX_BYTES);
    if (memchr(b->data, 0, len))
        return err_fail(err, ERR_NO_KEY, "%s gave a passphrase with a zero byte", from);
    return mem_dup(out, b->data, len, err);
}

static void warn_exposed(struct cli *c, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || !(st.st_mode & 077))
        return;
    char shown[256];
    ui_warning(&c->ui, err_name(ERR_KEY_FILE_EXPOSED),
               "other users can read or write %s (mode %04o); run 'chmod 600' on it",
               path_show(shown, sizeof shown, path, strlen(path)), (unsigned)(st.st_mode & 07777));
}

/* A pipe of the shell's (process substitution) has no name, and is open already. */
static bool is_named_fifo(const char *path, const struct stat *st)
{
    struct statfs fs;
    return S_ISFIFO(st->st_mode) && statfs(path, &fs) == 0 && fs.f_type != PIPEFS_MAGIC;
}

enum errc secret_check_key_file(const char *path, struct err *err)
{
    char shown[600];
    struct stat st;
    if (stat(path, &st) != 0)
        return ERR_OK; /* whoever opens it says so */
    path_show(shown, sizeof shown, path, strlen(path));
    if (is_named_fifo(path, &st) || !(S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode)))
        return err_fail(err, ERR_BAD_KEY_FILE, "the key file %s is %s, not a regular file", shown,
                        S_ISDIR(st.st_mode)    ? "a directory"
                        : S_ISFIFO(st.st_mode) ? "a FIFO"
                                               : "a device or a socket");
    if (st.st_size > KEY_FILE_MAX_BYTES)
        return err_fail(err, ERR_BAD_KEY_FILE, "%s has %lld bytes and is no key file", shown, (long long)st.st_size);
    return ERR_OK;
}

/* The next bytes, once there are any. Waiting ends with a signal, unlike in a read that is restarted after it; and by
 * the clock, for one that came just before. */
static enum errc read_some(int fd, struct buf *b, size_t *got_out, const char *path, struct err *err)
{
    for (;;) {
        struct pollfd in = {.fd = fd, .events = POLLIN};
        if (signals_interrupted())
            return err_fail(err, ERR_INTERRUPTED, "interrupted");
        if (poll(&in, 1, 200) < 1)
            continue;
        enum errc rc = buf_reserve(b, 4096, err);
        if (rc != ERR_OK)
            return rc;
        ssize_t got = read(fd, b->data + b->len, 4096);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0)
            return err_sys(err, ERR_IO, errno, "cannot read %s", path);
        *got_out = (size_t)got;
        b->len += (size_t)got;
        return ERR_OK;
    }
}

/* All of a file, a FIFO or a terminal. b grows once only, so that the secret is not strewn over the heap. */
static enum errc read_secret(const char *path, struct buf *b, struct err *err)
{
    char shown[600];
    size_t got = 1;
    int fd = -1;
    path_show(shown, sizeof shown, path, strlen(path));
    enum errc rc = buf_reserve(b, SECRET_FILE_MAX_BYTES + 2 * 4096, err);
    if (rc == ERR_OK)
        rc = io_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, err);
    while (rc == ERR_OK && got > 0) {
        rc = read_some(fd, b, &got, shown, err);
        if (rc == ERR_OK && b->len > SECRET_FILE_MAX_BYTES)
            rc = err_fail(err, ERR_LIMIT, "%s has more than %d bytes and is no file with a passphrase", shown,
                          SECRET_FILE_MAX_BYTES);
    }
    io_close_quietly(&fd);
    return rc;
}

enum errc secret_from_file(struct cli *c, const char *path, char **out, struct err *err)
{
    struct buf b;
    buf_init(&b, 2 * SECRET_FILE_MAX_BYTES);
    enum errc rc = read_secret(path, &b, err);
    if (rc == ERR_OK)
        rc = first_line(&b, path, out, err);
    else if (rc != ERR_INTERRUPTED)
        err_recode(err, rc = ERR_NO_KEY);
    buf_wipe(&b);
    if (rc == ERR_OK)
        warn_exposed(c, path);
    return rc;
}

static enum errc from_command(const char *command, char **out, struct err *err)
{
    struct buf b;
    buf_init(&b, 64 * 1024);
    enum errc rc = process_capture(command, 64 * 1024, &b, err);
    if (rc == ERR_OK)
        rc = first_line(&b, "the password command", out, err);
    else
        err_recode(err, rc = ERR_NO_KEY);
    buf_wipe(&b);
    return rc;
}

/* One line from the terminal, echo off. dst holds PASSPHRASE_MAX_BYTES + 2. */
static enum errc read_hidden(struct cli *c, const char *prompt, char *dst, struct err *err)
{
    struct termios old;
    bool echo_off = tcgetattr(STDIN_FILENO, &old) == 0;
    if (echo_off) {
        struct termios quiet = old;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        quiet.c_lflag |= ECHONL;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    pthread_mutex_lock(&c->ui.lock);
    ui_clear_line(&c->ui);
    fprintf(stderr, "%s: ", prompt);
    fflush(stderr);
    pthread_mutex_unlock(&c->ui.lock);
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    bool ready = poll(&in, 1, -1) == 1; /* not restarted after a signal, unlike read: the echo comes back on */
    ssize_t got = ready ? read(STDIN_FILENO, dst, PASSPHRASE_MAX_BYTES + 1) : 0;
    int cause = errno;
    if (echo_off)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
    if (got < 0)
        return err_sys(err, ERR_NO_KEY, cause, "cannot read from the terminal");
    dst[got] = '\0';
    if (!ready || signals_interrupted())
        return err_fail(err, ERR_INTERRUPTED, "interrupted");
    dst[strcspn(dst, "\r\n")] = '\0';
    if (!dst[0])
        return err_fail(err, ERR_NO_KEY, "nothing was typed");
    return ERR_OK;
}

enum errc secret_ask(struct cli *c, const char *what, bool twice, char **out, struct err *err)
{
    if (!ui_can_ask())
        return err_fail(err, ERR_NO_KEY, "no key file and no passphrase is given, and there is no terminal to ask on");
    char first[PASSPHRASE_MAX_BYTES + 2], again[PASSPHRASE_MAX_BYTES + 2], prompt[128];
    enum errc rc = read_hidden(c, what, first, err);
    if (rc == ERR_OK && twice) {
        snprintf(prompt, sizeof prompt, "%s, again", what);
        rc = read_hidden(c, prompt, again, err);
        if (rc == ERR_OK && strcmp(first, again) != 0) {
            rc = err_fail(err, ERR_NO_KEY, "the two passphrases differ");
            err_hint(err, "Run the command again.");
        }
        explicit_bzero(again, sizeof again);
    }
    if (rc == ERR_OK)
        rc = mem_strdup(out, first, err);
    explicit_bzero(first, sizeof first);
    return rc;
}

struct origin { /* one level: options, environment or configuration */
    const char *key_file, *password_file, *password_command, *password, *recovery_file;
};

static bool names_any(const struct origin *o)
{
    return o->key_file || o->password_file || o->password_command || o->password || o->recovery_file;
}

static enum errc take(struct cli *c, const struct origin *o, bool both, struct secret *out, struct err *err)
{
    enum errc rc = ERR_OK;
    if (o->recovery_file)
        return strcmp(o->recovery_file, "-") == 0 ? secret_ask(c, "Recovery key", false, &out->recovery, err)
                                                  : secret_from_file(c, o->recovery_file, &out->recovery, err);
    if (o->key_file) {
        rc = secret_check_key_file(o->key_file, err);
        if (rc == ERR_OK)
            warn_exposed(c, o->key_file);
        if (rc == ERR_OK)
            rc = mem_strdup(&out->key_file, o->key_file, err);
        if (rc != ERR_OK || !both)
            return rc;
    }
    if (o->password_file)
        return secret_from_file(c, o->password_file, &out->passphrase, err);
    if (o->password_command)
        return from_command(o->password_command, &out->passphrase, err);
    return o->password ? mem_strdup(&out->passphrase, o->password, err) : rc;
}

static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

enum errc secret_resolve(struct cli *c, bool both, struct secret *out, struct err *err)
{
    *out = (struct secret){0};
    const struct parsed *p = &c->args;
    struct origin levels[3] = {
        {opt_last(p, OPT_KEY_FILE), opt_last(p, OPT_PASSWORD_FILE), opt_last(p, OPT_PASSWORD_COMMAND), NULL,
         opt_last(p, OPT_RECOVERY_KEY_FILE)},
        {env("SNAP_KEY_FILE"), env("SNAP_PASSWORD_FILE"), env("SNAP_PASSWORD_COMMAND"), env("SNAP_PASSWORD"), NULL},
        {c->config.key_file, c->config.password_file, c->config.password_command, NULL, NULL},
    };
    const struct origin *o = &levels[0];
    int phrases = (o->password_file != NULL) + (o->password_command != NULL);
    if (phrases > 1 || (o->recovery_file && (phrases || o->key_file)) || (!both && phrases && o->key_file))
        return err_fail(err, ERR_USAGE,
                        "give one of --key-file, --password-file, --password-command and "
                        "--recovery-key-file");
    for (size_t i = 0; i < 3; i++)
        if (names_any(&levels[i])) {
            enum errc rc = take(c, &levels[i], both, out, err);
            if (rc != ERR_OK)
                secret_release(out);
            return rc;
        }
    return ERR_OK;
}
