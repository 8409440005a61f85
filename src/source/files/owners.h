/* Names of users and groups for numeric ids and back, remembered. Layer: source.
 * Bounded: at most OWNERS_MAX answers a table are kept, older ones are then forgotten. One thread an object. */
#ifndef SNAP_SOURCE_FILES_OWNERS_H
#define SNAP_SOURCE_FILES_OWNERS_H

#include <stdint.h>

#include "base/err.h"

enum { OWNERS_MAX = 512 };

struct owners;
MUST_USE enum errc owners_new(struct owners **out, struct err *err);
void owners_free(struct owners *o);

/* The name of an id, or NULL when the system knows none. Borrowed until the next call of the same function. */
const char *owners_user_name(struct owners *o, uint32_t uid);
const char *owners_group_name(struct owners *o, uint32_t gid);
/* The id of name[0..len); false when the system knows none (an empty name included). */
bool owners_user_id(struct owners *o, const char *name, size_t len, uint32_t *uid_out);
bool owners_group_id(struct owners *o, const char *name, size_t len, uint32_t *gid_out);

#endif
