#include "source/sqlite/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/process.h"

static bool parse_number(const char *s, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(s, &end, 10);
    return errno == 0 && end != s && *end == '\0';
}

static bool parse_pair(struct child_job *job, const char *pair)
{
    const char *value = strchr(pair, '=');
    size_t key_len = value ? (size_t)(value - pair) : 0;
    uint64_t n = 0;

    if (!value)
        return false;
    value++;
    if (key_len == 4 && memcmp(pair, "name", 4) == 0) {
        if (!*value || strchr(value, '/') || strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
            return false;
        return (size_t)snprintf(job->name, sizeof job->name, "./%s", value) < sizeof job->name;
    }
    if (!parse_number(value, &n))
        return false;
    const struct {
        const char *key;
        uint64_t *wide;
        bool *flag;
    } keys[] = {{"dev", &job->dev, NULL},          {"ino", &job->ino, NULL},        {"spool", NULL, &job->spool},
                {"copy", NULL, &job->copy},        {"fast", NULL, &job->fast_fail}, {"size", &job->image_bytes, NULL},
                {"slots", &job->image_slots, NULL}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strlen(keys[i].key) == key_len && memcmp(pair, keys[i].key, key_len) == 0) {
            if (keys[i].wide)
                *keys[i].wide = n;
            else
                *keys[i].flag = n != 0;
            return true;
        }
    if (key_len == 3 && memcmp(pair, "uid", 3) == 0) {
        job->become = true;
        job->uid = (uid_t)n;
        return true;
    }
    if (key_len == 3 && memcmp(pair, "gid", 3) == 0) {
        job->gid = (gid_t)n;
        return true;
    }
    if (key_len == 10 && memcmp(pair, "checkpoint", 10) == 0 && n <= CHECKPOINT_TRUNCATE) {
        job->checkpoint = (enum checkpoint_mode)n;
        return true;
    }
    return false;
}

void report_failure(struct done_report *report, enum outcome outcome, const char *text)
{
    report->outcome = outcome;
    snprintf(report->text, sizeof report->text, "%.*s", FRAME_TEXT_MAX_BYTES - 1, text);
}

void report_sqlite(struct done_report *report, sqlite3 *db, int rc, const struct guard *guard, const char *what)
{
    enum outcome o = OUTCOME_FAILED;
    int extended = db ? sqlite3_extended_errcode(db) : rc;

    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        o = OUTCOME_BUSY;
        break;
    case SQLITE_NOTADB:
        o = OUTCOME_NOT_A_DATABASE;
        break;
    case SQLITE_CORRUPT:
        o = OUTCOME_DAMAGED;
        break;
    case SQLITE_READONLY:
        o = OUTCOME_HOT_JOURNAL;
        break;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_IOERR:
    case SQLITE_AUTH:
        o = OUTCOME_UNREADABLE;
        break;
    case SQLITE_FULL:
        o = OUTCOME_NO_SPACE;
        break;
    default:
        break;
    }
    if (guard && guard->denied)
        o = OUTCOME_HOT_JOURNAL;
    report->outcome = o;
    report->sqlite_code = extended;
    report->sys_errno = db ? (uint32_t)sqlite3_system_errno(db) : 0;
    snprintf(report->text, sizeof report->text, "%s: %s (SQLite code %d)", what,
             db ? sqlite3_errmsg(db) : sqlite3_errstr(rc), extended);
}

bool child_file_there(const struct child_job *job, const char *suffix, uint64_t *size_out)
{
    char path[GUARD_NAME_MAX + 16];
    struct stat st;

    snprintf(path, sizeof path, "%s%s", job->name, suffix);
    if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    if (size_out)
        *size_out = (uint64_t)st.st_size;
    return true;
}

bool child_peek(const struct child_job *job, uint8_t header[DB_HEADER_BYTES], size_t *len_out,
                struct done_report *report)
{
    struct stat st;
    int fd = open(job->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

    if (fd < 0) {
        report->outcome = errno == ENOENT || errno == ELOOP ? OUTCOME_MOVED : OUTCOME_UNREADABLE;
        report->sys_errno = (uint32_t)errno;
        snprintf(report->text, sizeof report->text, "cannot open it as its owner: %s", strerror(errno));
        return false;
    }
    bool same = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_dev == job->dev && st.st_ino == job->ino;
    struct err err;
    enum errc rc = same ? io_pread(fd, header, DB_HEADER_BYTES, 0, len_out, "the database", &err) : ERR_OK;
    io_close_quietly(&fd);
    if (!same)
        report_failure(report, OUTCOME_MOVED, "another file has taken its place");
    else if (rc != ERR_OK)
        report_failure(report, OUTCOME_UNREADABLE, err.message);
    return same && rc == ERR_OK;
}

static int run_op(const char *op, const struct child_job *job, struct done_report *report)
{
    static const struct {
        const char *name;
        void (*run)(const struct child_job *job, struct done_report *report);
    } ops[] = {{"capture", child_capture},
               {"observe", child_observe},
               {"look", child_look},
               {"apply", child_apply},
               {"check", child_check}};

    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (strcmp(ops[i].name, op) == 0 &&
            (job->name[0] || ops[i].run == child_observe || ops[i].run == child_check)) {
            ops[i].run(job, report);
            return 0;
        }
    return 2;
}

/* No core with other people's data in it; no more memory than a hostile schema may ask for. */
static void set_limits(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN); /* the parent decides, and closes the pipe */
    (void)umask(077);
    (void)sqlite3_hard_heap_limit64(HEAP_LIMIT_BYTES);
}

int sqlite_child_main(int argc, char **argv)
{
    struct child_job job = {0};
    struct done_report report = {0};
    struct err err = {0};

    if (argc < 3)
        return 2;
    clearenv(); /* a passphrase may be in there */
    for (int i = 3; i < argc; i++)
        if (!parse_pair(&job, argv[i]))
            return 2;
    set_limits();
    if (job.become && process_become(job.uid, job.gid, &err) != ERR_OK)
        report_failure(&report, OUTCOME_FAILED, err.message);
    else if (job.name[0] && fchdir(CHILD_DIR_FD) != 0) {
        report.sys_errno = (uint32_t)errno;
        snprintf(report.text, sizeof report.text, "its owner may not enter the directory: %s", strerror(errno));
        report.outcome = OUTCOME_UNREADABLE;
    } else if (run_op(argv[2], &job, &report) != 0) {
        return 2;
    }
    int status = frame_send(CHILD_OUT_FD, FRAME_DONE, &report, sizeof report) ? 0 : 1;
    if (job.become)
        _exit(status); /* a leak checker at exit could not look into a process that has given up its rights */
    return status;
}
