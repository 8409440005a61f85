/* A restore at work: what its steps share. Layer: engine, private. */
#ifndef SNAP_ENGINE_RESTORE_WORK_H
#define SNAP_ENGINE_RESTORE_WORK_H

#include "engine/stage.h"
#include "engine/swap.h"

struct restore_work {
    struct store *store;
    const struct restore_options *opt;
    struct snapshot snap;         /* what is restored; owned */
    struct parts parts;
    struct run_record run;        /* owned */
    struct run_id undoes;         /* the run that this undo takes back; has_undoes */
    bool has_undoes;
    struct stage stage;
    uint64_t begun_ns;
    bool intent;                  /* the intent is in the log */
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

/* --- restore_target.c ---- */
MUST_USE enum errc work_to_target(struct restore_work *w, struct err *err);

#endif
