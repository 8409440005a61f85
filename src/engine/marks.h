/* Holds and the trash: small changes of state in the log. Layer: engine. */
#ifndef SNAP_ENGINE_MARKS_H
#define SNAP_ENGINE_MARKS_H

#include "store/store.h"

/* May a hold be called this? ERR_USAGE. */
MUST_USE enum errc marks_check_name(const char *name, struct err *err);
/* ERR_NAME_TAKEN when the name holds another snapshot; the same one again is fine. A name that looks like an id (4+ hex
 * digits) or like latest is ERR_USAGE. */
MUST_USE enum errc marks_hold(struct store *s, const char *name, const char *snapshot, struct snapshot_id *id_out,
                              struct err *err);
MUST_USE enum errc marks_release(struct store *s, const char *name, struct err *err); /* ERR_UNKNOWN_ID */
/* All or none. ERR_HELD when one is held. */
MUST_USE enum errc marks_forget(struct store *s, const char *const *snapshots, size_t count, struct err *err);
MUST_USE enum errc marks_undelete(struct store *s, const char *const *snapshots, size_t count, struct err *err);

#endif
