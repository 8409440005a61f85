/* Which chunks an entry had, as far as a bounded memory goes. Layer: engine, private to it. One thread.
 *
 * Two generations of names: when the newer is full, the older is forgotten. So at least the last NAME_WINDOW names
 * added are known, at 4 MiB. A name is known by its first 8 bytes: it is a keyed hash, and a diff tells sizes to
 * people.
 */
#ifndef SNAP_ENGINE_NAME_WINDOW_H
#define SNAP_ENGINE_NAME_WINDOW_H

#include "chunk/name.h"

enum { NAME_WINDOW = 128 * 1024 };

struct name_window {
    uint64_t *slots[2]; /* open-addressed; 0: empty */
    size_t counts[2];
    int newer;
};
MUST_USE enum errc name_window_init(struct name_window *w, struct err *err);
void name_window_release(struct name_window *w);
void name_window_clear(struct name_window *w);
void name_window_add(struct name_window *w, const struct chunk_name *name);
bool name_window_has(const struct name_window *w, const struct chunk_name *name);

#endif
