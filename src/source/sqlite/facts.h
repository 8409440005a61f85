/* What a database says about itself, from one connection that holds a read transaction. Layer: source (private to
 * sqlite/; wraps sqlite3).
 *
 * Facts: page_size, page_count, freelist_count, user_version, application_id, encoding, journal_mode ("wal" or
 * "rollback"), schema_digest, rows.<table>, rows_omitted, quick_check ("ok", "damaged: ...", "not checkable: ..."),
 * quick_check_notes (a NULL where none may be, modules that are missing here). CHECK constraints are not evaluated.
 * With vectors, what source/sqlite/vectors.h finds too.
 *
 * Promises
 *   SQ1  only what SQLite calls structural damage makes a database damaged; a violated NOT NULL is a note, and
 *        what this SQLite cannot look into (a missing module or function) is not checkable.
 */
#ifndef SNAP_SOURCE_SQLITE_FACTS_H
#define SNAP_SOURCE_SQLITE_FACTS_H

#include <sqlite3.h>

#include "format/fact.h"

struct facts_result {
    struct fact_list list; /* released by the caller */
    bool damaged;
    char damage[400];
};

/* Trust nothing in the schema; collations that it names and this SQLite lacks get stubs (functions do so when they are
 * met). Once per connection, before use. */
void facts_prepare_connection(sqlite3 *db);
/* For other checks on such a connection: prepare, with stubs for functions that are missing here; *stubs counts them,
 * and collations too once facts_count_stubs was called. */
void facts_count_stubs(sqlite3 *db, unsigned *stubs);
int facts_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, unsigned *stubs);
/* Does a failure of a statement mean that the file is damaged? */
bool facts_means_damage(sqlite3 *db, int rc);
/* A message of integrity_check or quick_check about values, not structure. */
bool facts_is_constraint_message(const char *message);
/* page1: at least 100 bytes of page 1; NULL for an empty database. Only ERR_NO_MEMORY. */
MUST_USE enum errc facts_collect(sqlite3 *db, const uint8_t *page1, uint64_t page_count, bool vectors,
                                 struct facts_result *out, struct err *err);

#endif
