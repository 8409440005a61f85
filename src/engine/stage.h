/* Staging places of a restore, and what is staged there. Layer: engine, private.
 *
 * A part's staging place is a directory of mode 0700 beside its target, `.snap-restore-<run>-<number>`:
 *   lock     kernel lock of the restore at work, so that one that was cut off is told from one that runs
 *   intent   text for people who find it: which run, which repository
 *   new...   what is to go in: a file, a directory, an image (raw: new-wal ...)
 *   old/     what is moved out
 */
#ifndef SNAP_ENGINE_STAGE_H
#define SNAP_ENGINE_STAGE_H

#include "engine/parts.h"

struct stage {
    struct store *store;
    const struct snapshot *snap;
    struct run_id run;
    const char *self_exe;
    const struct diag *diag;
    uint64_t bytes_done, bytes_total;
};

/* Make the staging place of part number index (its parent directories are made when absent, 0700) and lock it. */
MUST_USE enum errc stage_make(const struct stage *s, struct part *p, size_t index, struct err *err);
/* Open the one of a run that was cut off and take its lock. *there_out false: it is gone. ERR_LOCKED: its restore is at work. */
MUST_USE enum errc stage_reopen(struct part *p, bool *there_out, struct err *err);
/* Write the part's entries to staging/<root> ("new"; for a restore to --target a path below it) and prove them: names, facts of
 * databases against those captured. */
MUST_USE enum errc stage_fill(struct stage *s, struct part *p, const char *root, struct err *err);
/* Remove staging places in dir that nobody works on and that keep(arg, path) does not want: left by restores that were cut off
 * before they changed anything. */
void stage_sweep(const char *dir, bool (*keep)(void *arg, const char *path), void *arg);
/* One sync of the file system that the staging place is on. */
MUST_USE enum errc stage_sync(struct part *p, struct err *err);
/* Is there something at staging/new (or new-wal ...)? */
bool stage_has(const struct part *p, const char *name);
/* Remove the staging place with all that is in it; keep_old: but not old/, which becomes p->aside. */
MUST_USE enum errc stage_remove(struct part *p, struct err *err);
void stage_unlock(struct part *p);

/* Compare the facts that say something about data: rows, page size and count, schema, version. Differences into text. */
bool facts_agree(const struct fact_list *captured, const struct fact_list *seen, char *text, size_t cap);

/* Remove a directory tree below dir_fd, never following a link. Absent is fine. */
MUST_USE enum errc remove_tree(int dir_fd, const char *name, struct err *err);

#endif
