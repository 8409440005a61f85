/* The run record of an operation that is one piece: a verification, a backup that failed. Layer: engine, private to it.
 * Restores and undos have records of several states and steps: restore_work.h. A backup's snapshot is its own record.
 */
#ifndef SNAP_ENGINE_RUN_NOTE_H
#define SNAP_ENGINE_RUN_NOTE_H

#include "store/store.h"

struct run_note {
    const char *verb, *state, *detail; /* detail may be NULL */
    struct timestamp begun;
    uint64_t begun_ns; /* monotonic_ns() at the same moment */
};
/* Append it to the log. Errors are those of store_append. */
MUST_USE enum errc run_note_append(struct store *s, const struct run_note *n, struct err *err);

#endif
