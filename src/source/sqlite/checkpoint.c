#include "source/sqlite/checkpoint.h"

#include <sqlite3.h>

/* From 3.7.0 (the first WAL) to 3.51.2 a checkpoint in one process that races a write from another can lose commits.
 * Fixed in 3.51.3, and in the maintenance releases 3.50.7 and 3.44.6 (SQLite's "WAL-reset bug", its release notes). */
bool checkpoint_may_lose_commits(int version)
{
    static const struct {
        int first, end; /* affected from first up to, not including, end */
    } affected[] = {{3007000, 3044006}, {3045000, 3050007}, {3051000, 3051003}};

    for (size_t i = 0; i < sizeof affected / sizeof affected[0]; i++)
        if (version >= affected[i].first && version < affected[i].end)
            return true;
    return false;
}

void checkpoint_warn(const struct diag *diag, const char *shown)
{
    if (checkpoint_may_lose_commits(sqlite3_libversion_number()))
        diag_message(
            diag, DIAG_WARNING, "",
            "%s: 'checkpoint' is set, but SQLite %s can lose commits when a checkpoint races a write of another "
            "process; use 'checkpoint = none', or SQLite 3.51.3, 3.50.7, 3.44.6 or newer",
            shown, sqlite3_libversion());
}
