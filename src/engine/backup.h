/* Taking a snapshot of a set. Layer: engine.
 *
 * Promises
 *   BK1  ERR_OK only if everything named was stored (I3); ERR_PARTIAL: a snapshot was made, but something is
 *        missing, raw or damaged; ERR_NOTHING_STORED: none was made.
 *   BK2  a dry run goes the same way and stores nothing.
 */
#ifndef SNAP_ENGINE_BACKUP_H
#define SNAP_ENGINE_BACKUP_H

#include "source/source.h"
#include "store/store.h"

struct source_spec {
    const char *name;    /* as configured; ad hoc: the absolute path */
    const char *path;    /* absolute */
    enum item_type type; /* as configured; backup_detect_type for ad hoc paths */
    bool detect;         /* find the type from the content at capture */
    enum checkpoint_mode checkpoint;
    bool one_file_system, exclude_caches;
    int64_t vector_dimension; /* 0: any */
    const char *const *exclude;
    size_t exclude_count;
};
struct set_spec {
    const char *name; /* NULL: ad hoc; the set's name is then made from the paths (backup_adhoc_set) */
    const struct source_spec *sources;
    size_t source_count;
};
struct backup_options {
    const struct set_spec *set;
    const char *const *tags;
    size_t tag_count;
    const char *hold; /* NULL: none */
    bool has_time;
    struct timestamp time; /* --time */
    bool force_read, dry_run;
    enum snapshot_kind kind;     /* SNAPSHOT_BACKUP, or SNAPSHOT_FORENSIC for restore's own use */
    const struct run_id *of_run; /* forensic */
    const char *self_exe;
    const struct diag *diag;
};
struct backup_outcome {
    struct snapshot snap; /* as stored; owned, backup_outcome_release */
    bool made;            /* a snapshot stands in the log (never in a dry run) */
    uint64_t sequence;
    uint64_t failed_count; /* things named that could not be stored */
};
void backup_outcome_release(struct backup_outcome *o);
/* *out is valid on ERR_OK and ERR_PARTIAL, and to be released always. A missing source is a warning through diag. */
MUST_USE enum errc backup_run(struct store *s, const struct backup_options *opt, struct backup_outcome *out,
                              struct err *err);

/* What stands at the path: directory, SQLite database or other. ERR_SOURCE_MISSING, ERR_SOURCE_UNREADABLE. */
MUST_USE enum errc backup_detect_type(const char *path, enum item_type *out, struct err *err);
/* The name of the set of an ad hoc list of absolute paths: the path itself for one, else the sorted paths joined by
 * ':', cut and digested when longer than NAME_MAX_BYTES. free(). */
MUST_USE enum errc backup_adhoc_set(const char *const *paths, size_t count, char **out, struct err *err);

#endif
