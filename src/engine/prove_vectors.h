/* Vectors at a restore: are they what was captured, and what is configured? Layer: engine, private.
 *
 * Promises
 *   PV1  vectors that are marked as of the wrong dimension, and staged vectors that are not those that were captured,
 *        are refused before anything at a target changes, unless that is accepted.
 *   PV2  a file that was damaged when it was captured is restored as it was, with a warning; it is refused only if it
 *        is marked, too.
 */
#ifndef SNAP_ENGINE_PROVE_VECTORS_H
#define SNAP_ENGINE_PROVE_VECTORS_H

#include "engine/stage.h"

/* Before anything is staged: ERR_CHECK_FAILED when a whole item that is to be restored has such marks. */
MUST_USE enum errc prove_items(const struct snapshot *snap, const struct parts *parts, bool accept, struct err *err);
/* One entry that was staged at rel below p->staging. p->vectors_differ is set when its vectors are not those of its
 * facts and s->accept_dimension is set. ERR_CHECK_FAILED, and errors of reading the staged file. */
MUST_USE enum errc prove_vectors(const struct stage *s, struct part *p, const struct entry *e,
                                 const struct entry_end *end, const char *rel, struct err *err);

#endif
