/* Facts beside a capture: a second connection in the very view that is being captured, at work in a thread. Layer:
 * source (private to sqlite/; wraps sqlite3).
 *
 * In rollback mode the first connection's shared lock keeps the database as it is. In WAL mode two transactions see the
 * same view if the index of the WAL had not changed between a moment before the first began and one after the second
 * did; else both begin again (docs/adr/0006).
 *
 * Promises
 *   SV1  facts are of the captured view, or this is not used.
 */
#ifndef SNAP_SOURCE_SQLITE_SIDE_H
#define SNAP_SOURCE_SQLITE_SIDE_H

#include "source/sqlite/child.h"

struct side;

/* NULL when there is none to be had. first outlives it. */
struct side *side_new(const struct child_job *job, const struct child_db *first);
void side_free(struct side *s); /* NULL is fine; the thread has been finished */
/* Before the first connection begins its transaction: note the WAL's state. */
bool side_ready(struct side *s);
/* After: begin here. True when both see one view; else no transaction is open here. */
bool side_follow(struct side *s);
/* Start to collect. page1 is borrowed until side_finish. */
bool side_start(struct side *s, const uint8_t *page1);
/* Wait (wanted), or stop (the capture failed). Sends the facts; page_count is put into them. */
void side_finish(struct side *s, bool wanted, uint64_t page_count, struct done_report *report);

#endif
