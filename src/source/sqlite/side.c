#include "source/sqlite/side.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "source/sqlite/facts.h"

struct side {
    struct child_db db;
    pthread_t thread;
    uint8_t before[WAL_INDEX_HEADER_BYTES];
    const uint8_t *page1;
    struct facts_result result;
    enum errc rc;
    struct err err;
};

struct side *side_new(const struct child_job *job, const struct child_db *first)
{
    struct side *s = calloc(1, sizeof *s);

    if (s && !child_db_open_second(&s->db, job, first)) {
        free(s);
        s = NULL;
    }
    return s;
}

void side_free(struct side *s)
{
    if (!s)
        return;
    child_db_close(&s->db);
    free(s);
}

bool side_ready(struct side *s)
{
    if (!s->db.wal)
        return true;
    /* A read maps the index. */
    return sqlite3_exec(s->db.db, "BEGIN; PRAGMA schema_version; COMMIT", NULL, NULL, NULL) == SQLITE_OK &&
           guard_wal_state(&s->db.guard, s->before);
}

bool side_follow(struct side *s)
{
    uint8_t now[WAL_INDEX_HEADER_BYTES];
    bool same = sqlite3_exec(s->db.db, "BEGIN; PRAGMA schema_version", NULL, NULL, NULL) == SQLITE_OK;

    /* An index although the header said rollback mode: somebody has changed the mode since. */
    if (same && s->db.wal)
        same = guard_wal_state(&s->db.guard, now) && memcmp(now, s->before, sizeof now) == 0;
    else if (same)
        same = s->db.guard.wal_index == NULL;
    if (!same && !sqlite3_get_autocommit(s->db.db))
        (void)sqlite3_exec(s->db.db, "ROLLBACK", NULL, NULL, NULL);
    return same;
}

static void *collect(void *arg)
{
    struct side *s = arg;

    s->rc = facts_collect(s->db.db, s->page1, 0, true, &s->result, &s->err);
    return NULL;
}

bool side_start(struct side *s, const uint8_t *page1)
{
    s->page1 = page1;
    return pthread_create(&s->thread, NULL, collect, s) == 0;
}

void side_finish(struct side *s, bool wanted, uint64_t page_count, struct done_report *report)
{
    if (!wanted)
        sqlite3_interrupt(s->db.db);
    (void)pthread_join(s->thread, NULL);
    if (wanted && s->rc == ERR_OK)
        s->rc = fact_set_int(&s->result.list, "page_count", (int64_t)page_count, &s->err);
    if (wanted && s->rc != ERR_OK)
        report_failure(report, OUTCOME_FAILED, s->err.message);
    else if (wanted)
        (void)child_send_result(&s->result, report);
    fact_list_release(&s->result.list);
}
