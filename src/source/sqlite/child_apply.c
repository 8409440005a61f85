/* Apply: the pages of an image into the live database, in one transaction of SQLite's own (docs/adr/0007). */
#include "source/sqlite/child.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source/sqlite/image.h"

struct pair {
    struct child_db target;
    struct image image;
    sqlite3 *source;
};

/* In WAL mode the page size is fixed. Leaving WAL mode checkpoints and needs the database for itself: refused while
 * anybody else is connected. */
static bool leave_wal_mode(sqlite3 *db, struct done_report *report)
{
    sqlite3_stmt *s = NULL;
    bool left = sqlite3_prepare_v2(db, "PRAGMA journal_mode = DELETE", -1, &s, NULL) == SQLITE_OK &&
                sqlite3_step(s) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(s, 0), "delete") == 0;

    sqlite3_finalize(s);
    if (!left)
        report_failure(report, OUTCOME_PAGE_SIZE,
                       "it has another page size than the image, is in WAL mode, and is open elsewhere");
    return left;
}

/* A writer that commits without a pause leaves the lock free for moments only. SQLite's own handler sleeps longer and
 * longer between its tries and may miss them all; this one asks a thousand times a second. */
enum { EAGER_TRIES = 15000, EAGER_PAUSE_US = 1000 };

static int ask_again(void *unused, int tries)
{
    (void)unused;
    usleep(tries % 4 == 0 ? EAGER_PAUSE_US : EAGER_PAUSE_US / 4 * (useconds_t)(tries % 4 + 1));
    return tries < EAGER_TRIES;
}

static int copy_pages(struct pair *p)
{
    sqlite3_backup *b = sqlite3_backup_init(p->target.db, "main", p->source, "main");

    if (!b)
        return sqlite3_errcode(p->target.db);
    int rc = sqlite3_backup_step(b, -1);
    int end = sqlite3_backup_finish(b);
    return rc == SQLITE_DONE ? end : rc;
}

static void apply_with(struct pair *p, const struct child_job *job, struct done_report *report)
{
    uint8_t image_header[DB_HEADER_BYTES], header[DB_HEADER_BYTES];
    struct db_header image = {0}, live = {0};
    size_t len = 0;
    bool have_image = pread(CHILD_IMAGE_FD, image_header, sizeof image_header, 0) == (ssize_t)sizeof image_header &&
                      db_header_parse(image_header, sizeof image_header, &image);

    if (!have_image && lseek(CHILD_IMAGE_FD, 0, SEEK_END) != 0) {
        report_failure(report, OUTCOME_FAILED, "the image is not a database");
        return;
    }
    int rc = image_open(&p->image, CHILD_IMAGE_FD, &p->source);
    if (rc != SQLITE_OK) {
        report_sqlite(report, p->source, rc, NULL, "cannot open the image");
        report->outcome = OUTCOME_FAILED;
        return;
    }
    if (!child_peek(job, header, &len, report))
        return;
    child_db_open(&p->target, job, true, false, report);
    if (report->outcome != OUTCOME_OK)
        return;
    /* The last to leave takes a WAL into the database: nobody else is connected then, and the lock is exclusive. */
    (void)sqlite3_db_config(p->target.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    (void)sqlite3_exec(p->target.db, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
    if (have_image && db_header_parse(header, len, &live) && live.wal && live.page_size != image.page_size &&
        !leave_wal_mode(p->target.db, report))
        return;
    (void)sqlite3_busy_handler(p->target.db, ask_again, NULL);
    rc = copy_pages(p);
    if (rc == SQLITE_OK)
        return;
    if ((rc & 0xff) == SQLITE_READONLY && !p->target.guard.denied)
        report_failure(report, OUTCOME_UNREADABLE, "its owner may not write to it");
    else
        report_sqlite(report, p->target.db, rc, NULL, "cannot write into it");
}

void child_apply(const struct child_job *job, struct done_report *report)
{
    struct pair *p = calloc(1, sizeof *p);

    if (!p) {
        report_failure(report, OUTCOME_FAILED, "no memory");
        return;
    }
    apply_with(p, job, report);
    child_db_close(&p->target);
    (void)sqlite3_close(p->source);
    image_unregister(&p->image);
    free(p);
}
