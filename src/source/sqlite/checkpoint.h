/* Which SQLite versions a checkpoint is a risk with. Layer: source (private to sqlite/). Pure but for checkpoint_warn.
 */
#ifndef SNAP_SOURCE_SQLITE_CHECKPOINT_H
#define SNAP_SOURCE_SQLITE_CHECKPOINT_H

#include "base/diag.h"

/* version as sqlite3_libversion_number(): 3.40.1 is 3040001. */
bool checkpoint_may_lose_commits(int version);
/* A warning when the SQLite this program runs with is one of them. */
void checkpoint_warn(const struct diag *diag, const char *shown);

#endif
