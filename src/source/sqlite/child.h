/* The helper process: one job, one database. Layer: source (private to sqlite/; wraps sqlite3).
 *
 *   snap __sqlite <op> key=value ...      op: capture, observe, look, apply, check
 *
 * Descriptors: 0 answers (check), 1 frames to the parent, 3 the directory of the database (becomes the working
 * directory), 4 the image.
 */
#ifndef SNAP_SOURCE_SQLITE_CHILD_H
#define SNAP_SOURCE_SQLITE_CHILD_H

#include <sqlite3.h>
#include <sys/types.h>

#include "source/source.h"
#include "source/sqlite/frame.h"
#include "source/sqlite/guard.h"

enum { CHILD_OUT_FD = 1, CHILD_DIR_FD = 3, CHILD_IMAGE_FD = 4, BUSY_TIMEOUT_MS = 5000, HEAP_LIMIT_BYTES = 64 << 20 };

struct child_job {
    char name[GUARD_NAME_MAX]; /* "./app.db" */
    bool become;               /* uid, gid are to be taken on */
    uid_t uid;
    gid_t gid;
    uint64_t dev, ino; /* of the file as the parent saw it */
    enum checkpoint_mode checkpoint;
    bool spool;           /* capture: by way of a temporary file */
    bool copy;            /* the database is a private copy: it may be written to */
    bool fast_fail;       /* look: a short busy timeout */
    uint64_t image_bytes; /* check: of the stored image */
    uint64_t image_slots; /* check: blocks that the file at CHILD_IMAGE_FD has room for */
};

/* A connection through a guard. */
struct child_db {
    struct guard guard;
    bool registered;
    bool wal; /* as the header said before it was opened */
    sqlite3 *db;
};
/* Opens job->name; frozen: nobody writes to it, no locks are taken. Fills report on failure (outcome is not OK then).
 */
void child_db_open(struct child_db *c, const struct child_job *job, bool writable, bool frozen,
                   struct done_report *report);
/* One more connection to the same database, read only, while first is open. Opens no other descriptor on the file, for
 * closing that would drop first's locks. */
bool child_db_open_second(struct child_db *c, const struct child_job *job, const struct child_db *first);
void child_db_close(struct child_db *c);

/* Map a failure of SQLite to an outcome; guard may be NULL. */
void report_sqlite(struct done_report *report, sqlite3 *db, int rc, const struct guard *guard, const char *what);
void report_failure(struct done_report *report, enum outcome outcome, const char *text);

/* First bytes of the database and whether it is still the file the parent saw; before SQLite has it open. */
bool child_peek(const struct child_job *job, uint8_t header[DB_HEADER_BYTES], size_t *len_out,
                struct done_report *report);
bool child_file_there(const struct child_job *job, const char *suffix, uint64_t *size_out);

/* Collect facts and send them; false after filling the report. */
struct facts_result;
bool child_send_result(const struct facts_result *r, struct done_report *report);
bool child_send_facts(sqlite3 *db, const uint8_t *page1, uint64_t page_count, struct done_report *report);

/* The ops. */
void child_capture(const struct child_job *job, struct done_report *report);
void child_observe(const struct child_job *job, struct done_report *report);
void child_look(const struct child_job *job, struct done_report *report);
void child_apply(const struct child_job *job, struct done_report *report);
void child_check(const struct child_job *job, struct done_report *report);

#endif
