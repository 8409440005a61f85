/* The places this program itself lives from: the repository, its key file, its cache. A backup leaves them out where it
 * must, and no restore replaces them. Places are compared by device and inode, along all directories above them.
 * Layer: engine, private.
 *
 * Promises
 *   OP1  no restore, undo or resume puts anything over, into or in place of the repository that it reads from, or its
 *        key file; force does not change that.
 */
#ifndef SNAP_ENGINE_OWN_PLACES_H
#define SNAP_ENGINE_OWN_PLACES_H

#include "engine/restore_work.h"

enum { OWN_REPOSITORY = 0, OWN_CACHE = 1, OWN_MAX = 2 };

/* What a capture leaves out, as capture_options want it; a place that is not there has no inode. */
void own_left_out(struct store *s, struct left_out out[OWN_MAX]);
/* ERR_USAGE for a source that is the repository, or lies in it. */
MUST_USE enum errc own_check_source(const struct store *s, const char *path, struct err *err);
/* ERR_TARGET_IN_USE when a part in place would replace one of them, or lies in one. A cache in a target is only told:
 * it can be made anew. */
MUST_USE enum errc own_check_parts(const struct restore_work *w, struct err *err);
/* The same of a --target, which can only lie in one. */
MUST_USE enum errc own_check_target(const struct restore_work *w, struct err *err);

#endif
