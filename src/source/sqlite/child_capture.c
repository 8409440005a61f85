/* Capture: one frozen view of the database as a stream of pages in order (docs/adr/0006). */
#include "source/sqlite/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/sqlite/funnel.h"
#include "source/sqlite/side.h"

enum { FREEZE_TRIES = 4, SIDE_MIN_BYTES = 1 << 20 };

/* Bytes on their way to the parent. */
struct outflow {
    uint8_t *data; /* FRAME_MAX_BYTES */
    size_t len;
    bool broken;
};

static bool outflow_flush(struct outflow *o)
{
    if (o->len > 0 && !o->broken)
        o->broken = !frame_send(CHILD_OUT_FD, FRAME_DATA, o->data, o->len);
    o->len = 0;
    return !o->broken;
}

static bool outflow_emit(void *arg, const void *data, size_t len)
{
    struct outflow *o = arg;

    if (o->len + len > FRAME_MAX_BYTES && !outflow_flush(o))
        return false;
    memcpy(o->data + o->len, data, len); /* a page is never longer than a frame */
    o->len += len;
    return true;
}

/* Begin a read transaction and keep page 1 as it is in that view. */
static int begin(struct child_db *c)
{
    c->guard.armed = true;
    int rc = sqlite3_exec(c->db, "BEGIN; PRAGMA schema_version", NULL, NULL, NULL);
    c->guard.armed = false;
    return rc;
}

/* With a side connection in the same view, if side is not NULL and that can be had: *sided_out. */
static bool freeze(struct child_db *c, struct side *side, bool *sided_out, struct done_report *report)
{
    int rc = SQLITE_OK;

    *sided_out = false;
    for (int i = 0; side && rc == SQLITE_OK && !*sided_out && i < FREEZE_TRIES; i++) {
        if (i > 0)
            (void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
        bool ready = side_ready(side);
        rc = begin(c);
        if (rc == SQLITE_OK && ready)
            *sided_out = side_follow(side);
    }
    if (!side)
        rc = begin(c);
    if (rc != SQLITE_OK) {
        report_sqlite(report, c->db, rc, &c->guard, "cannot read it");
        return false;
    }
    (void)sqlite3_exec(c->db, "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -512", NULL, NULL, NULL);
    return true;
}

/* No page was read to begin the transaction: is the database empty indeed? */
static bool is_empty(struct child_db *c, struct done_report *report)
{
    sqlite3_stmt *s = NULL;
    bool empty = sqlite3_prepare_v2(c->db, "PRAGMA page_count", -1, &s, NULL) == SQLITE_OK &&
                 sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int64(s, 0) == 0;

    sqlite3_finalize(s);
    if (!empty)
        report_failure(report, OUTCOME_FAILED, "its first page was not seen");
    return empty;
}

static bool run_backup(struct child_db *c, struct funnel *f, uint64_t *pages_out, struct done_report *report)
{
    static const char setup[] = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE;"
                                "PRAGMA cache_size=-512";
    sqlite3 *sink = NULL;
    sqlite3_backup *b = NULL;
    int rc = sqlite3_open_v2("image", &sink, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                             "snap-funnel");
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(sink, setup, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        b = sqlite3_backup_init(sink, "main", c->db, "main");
    if (b) {
        rc = sqlite3_backup_step(b, -1);
        *pages_out = (uint64_t)sqlite3_backup_pagecount(b);
        int end = sqlite3_backup_finish(b);
        rc = rc == SQLITE_DONE ? end : rc;
    }
    if (rc != SQLITE_OK || !b) {
        /* What the sink itself refused is not the source's fault. */
        if (f->disorder)
            report_failure(report, OUTCOME_DISORDER, "its pages came out of order");
        else if (f->write_errno != 0)
            report_failure(report, OUTCOME_NO_SPACE, "no space for a temporary copy");
        else
            report_sqlite(report, sink, b ? rc : SQLITE_ERROR, NULL, "cannot copy it");
    }
    (void)sqlite3_close(sink);
    return report->outcome == OUTCOME_OK;
}

/* An unlinked file for a copy whose pages come in no order. */
static int open_spool(void)
{
    static const char *const dirs[] = {"/var/tmp", "/tmp", "/dev/shm"};

    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        int fd = open(dirs[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fd >= 0)
            return fd;
    }
    return -1;
}

static bool emit_spool(const struct funnel *f, struct outflow *o, uint64_t pages, struct done_report *report)
{
    uint8_t *page = calloc(1, f->page_size);
    bool ok = page && outflow_emit(o, f->page1, f->page_size);

    for (uint64_t i = 1; ok && i < pages; i++) {
        memset(page, 0, f->page_size); /* the lock page may lie behind the end */
        ssize_t n = pread(f->spool_fd, page, f->page_size, (off_t)(i * f->page_size));
        ok = n >= 0 && outflow_emit(o, page, f->page_size);
    }
    if (!ok)
        report_failure(report, OUTCOME_FAILED, "cannot read back a temporary copy");
    free(page);
    return ok;
}

static bool stream_pages(struct child_db *c, const struct child_job *job, struct outflow *o, uint64_t *pages_out,
                         struct done_report *report)
{
    struct db_header h;

    if (c->guard.page_len < DB_HEADER_BYTES || !db_header_parse(c->guard.page, c->guard.page_len, &h) ||
        h.page_size != c->guard.page_len) {
        report_failure(report, OUTCOME_FAILED, "its first page was not seen");
        return false;
    }
    struct funnel f = {
        .emit = outflow_emit, .arg = o, .page1 = c->guard.page, .page_size = h.page_size, .spool_fd = -1};
    if (job->spool && (f.spool_fd = open_spool()) < 0) {
        report_failure(report, OUTCOME_NO_SPACE, "cannot make a temporary file");
        return false;
    }
    bool ok = funnel_register(&f) == SQLITE_OK;
    if (!ok)
        report_failure(report, OUTCOME_FAILED, "cannot set up the copy");
    ok = ok && run_backup(c, &f, pages_out, report);
    if (!ok && o->broken)
        report_failure(report, OUTCOME_FAILED, "the parent is gone");
    if (ok && !funnel_complete(&f, *pages_out)) {
        report_failure(report, OUTCOME_DISORDER, "its pages came out of order");
        ok = false;
    }
    if (ok && f.spool_fd >= 0)
        ok = emit_spool(&f, o, *pages_out, report);
    funnel_unregister(&f);
    if (f.spool_fd >= 0)
        close(f.spool_fd);
    return ok && outflow_flush(o);
}

static void checkpoint(const struct child_job *job)
{
    struct child_db c;
    struct done_report ignored = {0};
    int mode = job->checkpoint == CHECKPOINT_TRUNCATE ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    int rc = SQLITE_ERROR;
    char note[200];

    child_db_open(&c, job, true, false, &ignored);
    if (ignored.outcome == OUTCOME_OK) /* SQLite learns that there is a WAL by reading */
        rc = sqlite3_exec(c.db, "PRAGMA schema_version", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_wal_checkpoint_v2(c.db, NULL, mode, NULL, NULL);
    if (rc != SQLITE_OK) {
        snprintf(note, sizeof note, "the checkpoint was not made: %.150s",
                 ignored.outcome != OUTCOME_OK ? ignored.text : sqlite3_errmsg(c.db));
        (void)frame_send(CHILD_OUT_FD, FRAME_NOTE, note, strlen(note));
    }
    child_db_close(&c);
}

/* True when the database is in WAL mode, has no WAL, and cannot be given one here: then the file alone is the database,
 * and it is read as frozen if it holds still. */
static bool may_read_frozen(const struct child_job *job, const struct done_report *report)
{
    return (report->sqlite_code & 0xff) == SQLITE_CANTOPEN && !child_file_there(job, "-wal", NULL) &&
           !child_file_there(job, "-journal", NULL);
}

static bool same_times(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* The pages, and beside them or after them the facts. */
static void capture_view(struct child_db *c, struct side *side, const struct child_job *job, struct outflow *o,
                         struct done_report *report)
{
    uint64_t pages = 0;
    bool sided = false;

    if (!freeze(c, side, &sided, report))
        return;
    sided = sided && c->guard.page_len > 0 && side_start(side, c->guard.page);
    /* A database without a page is an empty file. */
    bool ok = c->guard.page_len > 0 ? stream_pages(c, job, o, &pages, report) : is_empty(c, report);
    if (sided)
        side_finish(side, ok, pages, report);
    else if (ok)
        (void)child_send_facts(c->db, pages > 0 ? c->guard.page : NULL, pages, report);
}

static void capture_with(const struct child_job *job, struct done_report *report)
{
    struct child_db *c = calloc(1, sizeof *c);
    struct outflow o = {.data = malloc(FRAME_MAX_BYTES)};
    struct side *side = NULL;
    uint64_t size = 0;

    if (!c || !o.data) {
        report_failure(report, OUTCOME_FAILED, "no memory");
    } else {
        child_db_open(c, job, job->copy, false, report);
        if (report->outcome == OUTCOME_OK) {
            /* Not worth a thread for a small one; and a copy may have to be recovered first. */
            if (!job->copy && child_file_there(job, "", &size) && size >= SIDE_MIN_BYTES)
                side = side_new(job, c);
            capture_view(c, side, job, &o, report);
            side_free(side);
        }
        child_db_close(c);
    }
    free(o.data);
    free(c);
}

/* As a file that nobody writes to: no locks; it has to hold still meanwhile. */
static void capture_frozen(const struct child_job *job, struct done_report *report)
{
    struct child_db *c = calloc(1, sizeof *c);
    struct outflow o = {.data = malloc(FRAME_MAX_BYTES)};
    struct stat before, after;

    if (!c || !o.data || lstat(job->name, &before) != 0) {
        report_failure(report, OUTCOME_FAILED, "no memory");
    } else {
        child_db_open(c, job, false, true, report);
        if (report->outcome == OUTCOME_OK)
            capture_view(c, NULL, job, &o, report);
        if (report->outcome == OUTCOME_OK &&
            (lstat(job->name, &after) != 0 || !same_times(&before, &after) || child_file_there(job, "-wal", NULL)))
            report_failure(report, OUTCOME_NEEDS_COPY, "it was written to while it was read");
        child_db_close(c);
    }
    free(o.data);
    free(c);
}

/* SQLite finds a WAL or a journal by the name under which a database was opened. */
static void tell_of_links(const struct child_job *job)
{
    struct stat st;
    char note[256];

    if (job->copy || job->spool || lstat(job->name, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink < 2)
        return; /* these follow upon a first try, which told it */
    snprintf(note, sizeof note,
             "it has %llu names (hard links): what a program writes that opened it by another one can lie in a WAL or "
             "journal beside that name, and is not captured",
             (unsigned long long)st.st_nlink);
    (void)frame_send(CHILD_OUT_FD, FRAME_NOTE, note, strlen(note));
}

void child_capture(const struct child_job *job, struct done_report *report)
{
    uint64_t wal_size = 0;

    tell_of_links(job);
    if (job->checkpoint != CHECKPOINT_NONE && child_file_there(job, "-wal", &wal_size) && wal_size > 0)
        checkpoint(job);
    capture_with(job, report);
    if (report->outcome == OUTCOME_UNREADABLE && may_read_frozen(job, report)) {
        *report = (struct done_report){0};
        capture_frozen(job, report);
    } else if (report->outcome == OUTCOME_UNREADABLE && (report->sqlite_code & 0xff) == SQLITE_CANTOPEN &&
               child_file_there(job, "-wal", NULL)) {
        report->outcome = OUTCOME_NEEDS_COPY;
    }
}
