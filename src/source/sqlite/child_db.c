#include "source/sqlite/child.h"

#include <string.h>
#include <sys/stat.h>

#include "source/sqlite/facts.h"

static void configure(struct child_db *c, const struct child_job *job)
{
    (void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_busy_timeout(c->db, job->fast_fail ? BUSY_TIMEOUT_MS / 5 : BUSY_TIMEOUT_MS);
    (void)sqlite3_wal_autocheckpoint(c->db, 0);
    facts_prepare_connection(c->db);
}

/* Is the open file the one the parent saw? SQLite can tell whether its own still has that name. */
static bool is_the_file(struct child_db *c, const struct child_job *job)
{
    struct stat st;
    int moved = 1;

    return sqlite3_file_control(c->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && !moved &&
           lstat(job->name, &st) == 0 && st.st_dev == job->dev && st.st_ino == job->ino;
}

void child_db_open(struct child_db *c, const struct child_job *job, bool writable, bool frozen,
                   struct done_report *report)
{
    uint8_t header[DB_HEADER_BYTES];
    size_t len = 0;
    struct db_header h = {0};

    memset(c, 0, sizeof *c);
    if (!child_peek(job, header, &len, report))
        return;
    c->wal = db_header_parse(header, len, &h) && h.wal;
    int rc = guard_register(&c->guard, "snap-guard", job->name);
    c->registered = rc == SQLITE_OK;
    c->guard.writable = writable;
    c->guard.frozen = frozen;
    c->guard.tidy = !writable && !frozen;
    /* A WAL's reader needs a descriptor it can take an exclusive lock with, to tidy up; the guard sees to it that
     * nothing is written. */
    int flags = writable || (c->wal && !frozen) ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    if (rc == SQLITE_OK)
        rc = sqlite3_open_v2(job->name, &c->db, flags | SQLITE_OPEN_NOMUTEX, "snap-guard");
    if (rc != SQLITE_OK) {
        report_sqlite(report, c->db, rc, &c->guard, "cannot open it");
        return;
    }
    configure(c, job);
    /* Nothing may read page 1 before the read transaction begins: it would come from the cache then, unseen. */
    if (!is_the_file(c, job))
        report_failure(report, OUTCOME_MOVED, "another file has taken its place");
}

bool child_db_open_second(struct child_db *c, const struct child_job *job, const struct child_db *first)
{
    int flags = first->wal ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;

    memset(c, 0, sizeof *c);
    c->wal = first->wal;
    int rc = guard_register(&c->guard, "snap-guard-2", job->name);
    c->registered = rc == SQLITE_OK;
    if (rc == SQLITE_OK)
        rc = sqlite3_open_v2(job->name, &c->db, flags | SQLITE_OPEN_NOMUTEX, "snap-guard-2");
    if (rc == SQLITE_OK) {
        configure(c, job);
        if (is_the_file(c, job))
            return true;
    }
    child_db_close(c);
    return false;
}

void child_db_close(struct child_db *c)
{
    if (c->db)
        (void)sqlite3_close(c->db);
    if (c->registered)
        guard_unregister(&c->guard);
    c->db = NULL;
    c->registered = false;
}

bool child_send_result(const struct facts_result *r, struct done_report *report)
{
    struct err err;
    struct buf b;

    buf_init(&b, FRAME_MAX_BYTES);
    enum errc rc = fact_list_put(&b, &r->list, &err);
    bool sent = rc == ERR_OK && frame_send(CHILD_OUT_FD, FRAME_FACTS, b.data, b.len);
    if (rc != ERR_OK) {
        report_failure(report, OUTCOME_FAILED, err.message);
    } else if (r->damaged) {
        report->damaged = 1;
        memcpy(report->text, r->damage, sizeof r->damage);
    }
    if (!sent && rc == ERR_OK)
        report_failure(report, OUTCOME_FAILED, "the parent is gone");
    buf_release(&b);
    return sent;
}

bool child_send_facts(sqlite3 *db, const uint8_t *page1, uint64_t page_count, struct done_report *report)
{
    struct facts_result r;
    struct err err;
    bool sent = false;

    if (facts_collect(db, page1, page_count, true, &r, &err) != ERR_OK)
        report_failure(report, OUTCOME_FAILED, err.message);
    else
        sent = child_send_result(&r, report);
    fact_list_release(&r.list);
    return sent;
}
