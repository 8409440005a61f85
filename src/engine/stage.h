/* Staging places of a restore, and what is staged there. Layer: engine, private.
 *
 * A part's staging place is a directory of mode 0700 beside its target, `.snap-restore-<run>-<number>`:
 *   lock     kernel lock of the restore at work, so that one that was cut off is told from one that runs
 *   intent   text for people who find it: which run, which repository
 *   new...   what is to go in: a file, a directory, an image (raw: new-wal ...); after an exchange, what stood there
 *   staged   is there when new... is whole
 *   swapped  is there when the part is in place: it is not put there again
 *   old/     what is moved out
 * A part that lies inside another one has none: it is staged into the other's.
 */
#ifndef SNAP_ENGINE_STAGE_H
#define SNAP_ENGINE_STAGE_H

#include "engine/parts.h"

struct stage {
    struct store *store;
    const struct snapshot *snap;
    struct run_id run;
    const char *self_exe;
    bool accept_dimension; /* of vectors: prove_vectors.h */
    const struct diag *diag;
    uint64_t bytes_done, bytes_total;
};

/* Make the staging place of part number index (its parent directories are made when absent, 0700) and lock it. */
MUST_USE enum errc stage_make(const struct stage *s, struct part *p, size_t index, struct err *err);
/* Open the one of a run that was cut off and take its lock. *there_out false: it is gone. ERR_LOCKED: its restore is at
 * work. */
MUST_USE enum errc stage_reopen(struct part *p, bool *there_out, struct err *err);
/* Is the restore that has this place at work? */
bool stage_is_at_work(const struct part *p);
/* Write the part's entries to staging/<root> ("new"; for a restore to --target a path below it) and prove them: names,
 * facts of databases against those captured. */
MUST_USE enum errc stage_fill(struct stage *s, struct part *p, const char *root, struct err *err);
/* The same for a part inside another, over what that brought under the name. rel: its path below place->staging. */
MUST_USE enum errc stage_fill_inside(struct stage *s, struct part *p, const struct part *place, const char *rel,
                                     struct err *err);
/* What is staged is whole: note its identity, and that in the staging place. */
MUST_USE enum errc stage_seal(struct part *p, struct err *err);
/* Remove staging places of the repository in dir that nobody works on and that keep(arg, path) does not want: left by
 * restores that were cut off before they changed anything, or after they were done. */
void stage_sweep(const struct stage *s, const char *dir, bool (*keep)(void *arg, const char *path), void *arg);
/* One sync of the file system that the staging place is on. */
MUST_USE enum errc stage_sync(struct part *p, struct err *err);
bool stage_has(const struct part *p, const char *name);
/* An empty file in the staging place. */
MUST_USE enum errc stage_mark(const struct part *p, const char *name, struct err *err);
/* Is staging/<name> the very thing that was staged? */
bool stage_is_ours(const struct part *p, const char *name);
/* Undo of such a run: the original goes from where it lies to staging/new. May be done again. */
MUST_USE enum errc stage_take_original(struct part *p, struct err *err);
MUST_USE enum errc stage_return_original(struct part *p, struct err *err); /* and back, unless p->swapped */
/* With --forensic=aside: what was moved out takes its place at p->aside. May be done again. */
MUST_USE enum errc stage_keep_old(struct part *p, struct err *err);
MUST_USE enum errc stage_return_old(struct part *p, struct err *err); /* and back to old/ */
/* Remove the staging place with all that is in it; an original that was to go back in returns to where it lay. */
MUST_USE enum errc stage_remove(struct part *p, struct err *err);
void stage_unlock(struct part *p);

/* Compare the facts that say something about data: rows, page size and count, schema, version. Differences into text.
 */
bool facts_agree(const struct fact_list *captured, const struct fact_list *seen, char *text, size_t cap);

/* Remove a directory tree below dir_fd, never following a link. Absent is fine. */
MUST_USE enum errc remove_tree(int dir_fd, const char *name, struct err *err);

#endif
