/* A restore at work: what its steps share. Layer: engine, private. */
#ifndef SNAP_ENGINE_RESTORE_WORK_H
#define SNAP_ENGINE_RESTORE_WORK_H

#include "engine/stage.h"
#include "engine/swap.h"

struct restore_work {
    struct store *store;
    const struct restore_options *opt;
    struct snapshot snap; /* what is restored; owned */
    struct parts parts;
    struct run_record run; /* owned */
    struct stage stage;
    uint64_t begun_ns;
    bool intent;   /* the intent is in the log */
    bool put_back; /* it failed, and everything is as it was */
    struct restore_outcome *out;
};

/* --- restore_run.c: run records ---- */
MUST_USE enum errc work_begin(struct restore_work *w, struct store *s, const char *verb,
                              const struct restore_options *opt, struct restore_outcome *out, struct err *err);
void work_release(struct restore_work *w);
/* Note a step that began at begun_ns and has ended. */
MUST_USE enum errc work_step(struct restore_work *w, const char *what, const char *object, struct timestamp begun,
                             uint64_t begun_ns, bool ok, const char *detail, struct err *err);
/* Append the run's record in this state; with the plan when it is an intent. */
MUST_USE enum errc work_log(struct restore_work *w, const char *state, const char *detail, struct err *err);
/* The plan as the operator sees it. */
MUST_USE enum errc work_outcome(struct restore_work *w, struct err *err);

/* --- restore_pending.c ---- */
/* ERR_RESTORE_PENDING when a restore that was cut off (other than w->undoes) touches one of the targets. */
MUST_USE enum errc pending_check(struct restore_work *w, struct err *err);
/* Done: the run that this undo takes back (and earlier tries of that, that were cut off) are undone. */
MUST_USE enum errc pending_end_undone(struct restore_work *w, struct err *err);
/* Staging places that nobody needs any more, beside the targets. */
void pending_sweep(struct restore_work *w);

/* --- restore_steps.c: the steps of an in-place restore ---- */
MUST_USE enum errc work_plan(struct restore_work *w, struct err *err);
MUST_USE enum errc work_space(struct restore_work *w, struct err *err);
MUST_USE enum errc work_stage(struct restore_work *w, struct err *err);
MUST_USE enum errc work_forensic(struct restore_work *w, struct err *err);
/* Swap, verify, log, clean up. On failure what was swapped is put back. */
MUST_USE enum errc work_swap(struct restore_work *w, struct err *err);
void work_unstage(struct restore_work *w);
/* Stage part number i, which has a staging place or lies inside one that has. */
MUST_USE enum errc work_stage_part(struct restore_work *w, size_t i, struct err *err);
/* Take back what is in place. False when something could not be. */
bool work_put_back(struct restore_work *w);
/* The part that part p goes in with: itself, or the one around it. */
struct part *work_outer(const struct restore_work *w, struct part *p);

/* --- restore.c ---- */
/* Plan, ask, and (not in a dry run) do what w->parts say, with all that belongs to a transaction. */
MUST_USE enum errc work_in_place(struct restore_work *w, struct err *err);

/* --- restore_target.c ---- */
MUST_USE enum errc work_to_target(struct restore_work *w, struct err *err);

#endif
