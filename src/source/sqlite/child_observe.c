/* Observe: the facts of an image. Look: what stands at a restore's target. */
#include "source/sqlite/child.h"

#include <stdlib.h>
#include <unistd.h>

#include "source/sqlite/facts.h"
#include "source/sqlite/image.h"

static void observe_with(sqlite3 *db, struct done_report *report)
{
    uint8_t page1[DB_HEADER_BYTES];
    struct db_header h;
    off_t size = lseek(CHILD_IMAGE_FD, 0, SEEK_END);

    facts_prepare_connection(db);
    if (size == 0) {
        (void)child_send_facts(db, NULL, 0, report);
        return;
    }
    if (pread(CHILD_IMAGE_FD, page1, sizeof page1, 0) != (ssize_t)sizeof page1 ||
        !db_header_parse(page1, sizeof page1, &h)) {
        report_failure(report, OUTCOME_NOT_A_DATABASE, "file is not a database");
        return;
    }
    /* The pages that are there, whatever the header says. */
    (void)child_send_facts(db, page1, (uint64_t)size / h.page_size, report);
}

void child_observe(const struct child_job *job, struct done_report *report)
{
    struct image m;
    sqlite3 *db = NULL;

    (void)job;
    int rc = image_open(&m, CHILD_IMAGE_FD, &db);
    if (rc == SQLITE_OK)
        observe_with(db, report);
    else
        report_sqlite(report, db, rc, NULL, "cannot open the image");
    (void)sqlite3_close(db);
    image_unregister(&m);
}

void child_look(const struct child_job *job, struct done_report *report)
{
    struct child_db *c = calloc(1, sizeof *c);
    struct target_report target = {0};
    uint8_t header[DB_HEADER_BYTES];
    struct db_header h = {0};
    size_t len = 0;

    if (!c) {
        report_failure(report, OUTCOME_FAILED, "no memory");
        return;
    }
    if (child_peek(job, header, &len, report)) {
        child_db_open(c, job, false, false, report);
        if (report->outcome == OUTCOME_OK) {
            int rc = sqlite3_exec(c->db, "BEGIN; PRAGMA schema_version", NULL, NULL, NULL);
            if (rc != SQLITE_OK)
                report_sqlite(report, c->db, rc, &c->guard, "cannot read it");
        }
        child_db_close(c);
        if (db_header_parse(header, len, &h)) {
            target.page_size = h.page_size;
            target.wal = h.wal;
        }
        (void)frame_send(CHILD_OUT_FD, FRAME_TARGET, &target, sizeof target);
    }
    free(c);
}
