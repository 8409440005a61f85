/* Opening stored databases where they lie. Layer: engine, private to it. */
#ifndef SNAP_ENGINE_VERIFY_DATABASES_H
#define SNAP_ENGINE_VERIFY_DATABASES_H

#include "engine/verify.h"

/* Append an error for object that affects the snapshot and, if not NULL, path; joined with an equal one that is there.
 */
MUST_USE enum errc verify_outcome_add(struct verify_outcome *out, const char *kind, const char *object,
                                      const struct snapshot_id *id, const char *path, const char *message,
                                      struct err *err);

/* Every database in the snapshots; what is found is added to out (a list that cannot be read too). An image that was
 * checked already is not checked again. *complete_out false: the deadline came first. */
MUST_USE enum errc verify_databases(struct store *s, const struct verify_options *opt, const struct snapshot_id *ids,
                                    size_t count, struct verify_outcome *out, bool *complete_out, struct err *err);

#endif
