/* Reading an entry's bytes at any place. Layer: engine, private to it. One thread.
 *
 * Memory does not grow with the entry: its references lie in an unlinked temporary file.
 */
#ifndef SNAP_ENGINE_CHUNK_MAP_H
#define SNAP_ENGINE_CHUNK_MAP_H

#include "engine/list_walk.h"

struct chunk_map;
MUST_USE enum errc chunk_map_new(struct store *s, struct chunk_map **out, struct err *err);
void chunk_map_free(struct chunk_map *m);
/* Take the references of the entry the walk stands at, instead of those of the one before. The walk is at its end then.
 */
MUST_USE enum errc chunk_map_load(struct chunk_map *m, struct list_walk *w, struct err *err);
uint64_t chunk_map_size(const struct chunk_map *m);
/* Of the references and their places: equal bytes cut alike have equal digests. */
const struct digest *chunk_map_digest(const struct chunk_map *m);
/* Exactly len bytes from offset on, holes as zeros; behind the end ERR_INTERNAL. Errors of chunk_read. */
MUST_USE enum errc chunk_map_read(struct chunk_map *m, void *dst, size_t len, uint64_t offset, struct err *err);

#endif
