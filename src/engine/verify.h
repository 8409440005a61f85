/* Proving what is stored. Layer: engine.
 *
 * Promises
 *   V1  finds all damage the chosen level can see, names the affected snapshots and entries, and changes nothing but
 * appending its record (I6); on a read-only repository it works and says that none was kept.
 */
#ifndef SNAP_ENGINE_VERIFY_H
#define SNAP_ENGINE_VERIFY_H

#include "store/store.h"

struct verify_options {
    const char *const *ids; /* snapshots (as the command line names them); 0: all */
    size_t id_count;
    bool databases; /* open stored databases: integrity_check and foreign_key_check */
    struct store_verify_options store;
    const char *self_exe;
    const struct diag *diag;
};
struct verify_database {
    char *source, *path;
    struct snapshot_id snapshot;
    bool sound;
    bool checkable;
    uint64_t foreign_key_violations;
    char *detail; /* the first messages; may be NULL */
};
struct verify_outcome {
    struct store_verify_result store; /* errors: those of databases included, kind "damaged-database" */
    struct verify_database *databases;
    size_t database_count;
    uint64_t duration_ms;
    bool recorded; /* the log has a record of it */
};
void verify_outcome_release(struct verify_outcome *o);
/* ERR_OK: all sound. ERR_DAMAGED: done, and damage was found (see out). Other errors: could not be done. */
MUST_USE enum errc verify_run(struct store *s, const struct verify_options *opt, struct verify_outcome *out,
                              struct err *err);

#endif
