/* Bringing a snapshot back, as a transaction. Layer: engine.
 *
 * Order: plan -> space and holders -> stage beside the target -> verify staged -> forensic copy -> intent (log, and a
 * file beside each target) -> swap item by item -> verify live -> done. States of a run, as its records in the log say:
 *
 *   (no record) --stage, verify, forensic--> intent --swap all, verify--> done
 *                                              |  \--step failed--> put back --> failed
 *                                              \--killed--> intent: `--resume` --> done, or `undo` --> undone
 *
 * Promises
 *   RS1  nothing at a target changes before the forensic copy is durable and read back (I7).
 *   RS2  an in-place target is wholly old or wholly new after a crash at any step, and resume or undo completes it.
 *   RS3  names of entries never lead out of the target.
 *   RS4  an undo brings back the bytes that were replaced, those of a damaged database included.
 */
#ifndef SNAP_ENGINE_RESTORE_H
#define SNAP_ENGINE_RESTORE_H

#include "store/store.h"

struct restore_outcome;
enum forensic_mode { FORENSIC_COPY, FORENSIC_ASIDE, FORENSIC_NONE };

struct restore_options {
    const char *snapshot;       /* as the command line names it */
    const char *target;         /* NULL: in place */
    const char *const *sources; /* only these items; 0: all */
    size_t source_count;
    const char *const *include; /* only these absolute source paths (and below); 0: all */
    size_t include_count;
    enum forensic_mode forensic;
    bool dry_run, force;
    bool accept_dimension; /* of vectors: another than is configured, or than was captured */
    /* Asked after the plan is made, before anything changes: false ends with ERR_NEEDS_YES. NULL: do not ask. */
    bool (*confirm)(void *arg, const struct restore_outcome *plan);
    void *confirm_arg;
    const char *self_exe;
    const struct diag *diag;
};

enum restore_action {
    RESTORE_CREATE,        /* nothing stands there */
    RESTORE_SQLITE_INTO,   /* written into under its users */
    RESTORE_SQLITE_RENAME, /* sidecars aside, image renamed in */
    RESTORE_EXCHANGE,      /* directory exchanged with the staged tree */
    RESTORE_FILE_BY_FILE,  /* where an exchange is not possible or only part is restored */
    RESTORE_FILE,          /* one file exchanged */
    RESTORE_REMOVE,        /* undo: nothing stood there before */
    RESTORE_RAW,           /* undo: raw database files put back */
};
const char *restore_action_text(enum restore_action a); /* for people */

struct restore_item {
    char *source, *path; /* path: where it goes */
    enum item_type type;
    enum restore_action action;
    uint64_t bytes, entries;
    char *note; /* holders, open files, why not an exchange; may be NULL */
    bool done, facts_match;
    char *state; /* "planned", "staged", "restored", "put-back", "failed" */
};
struct restore_outcome {
    struct snapshot_id snapshot, forensic;
    bool has_forensic;
    bool from_aside; /* an undo that puts back originals that were set aside */
    struct run_id run;
    char *target;
    uint64_t bytes, duration_ms, space_needed, space_free;
    struct restore_item *items;
    size_t item_count;
};
void restore_outcome_release(struct restore_outcome *o);

/* ERR_UNKNOWN_ID, ERR_TARGET_EXISTS, ERR_TARGET_IN_USE, ERR_TARGET_UNSUITABLE, ERR_NO_SPACE, ERR_RESTORE_PENDING (a
 * cut-off restore touches the same target), ERR_DAMAGED (nothing was touched), ERR_CHECK_FAILED ... *out is to be
 * released always. */
MUST_USE enum errc restore_run(struct store *s, const struct restore_options *opt, struct restore_outcome *out,
                               struct err *err);
/* Finish the newest restore that was cut off (or the one named by run, hex prefix). ERR_NOTHING_TO_DO. */
MUST_USE enum errc restore_resume(struct store *s, const char *run, const struct restore_options *opt,
                                  struct restore_outcome *out, struct err *err);
/* Put back what a restore replaced (run NULL: the newest restore or undo not yet undone); takes a forensic copy of its
 * own. */
MUST_USE enum errc restore_undo(struct store *s, const char *run, const struct restore_options *opt,
                                struct restore_outcome *out, struct err *err);

/* Restores that were cut off: for the note every command prints. At most max run ids. */
MUST_USE enum errc restore_pending(struct store *s, struct run_id *out, size_t max, size_t *count_out, struct err *err);

#endif
