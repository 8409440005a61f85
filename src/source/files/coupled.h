/* Files that are one store, each stored alone: Chroma's database and its index directories, a FAISS index and the ids
 * beside it. Layer: source; private to files/.
 *
 * What each was when it was read is noted. When the last one was read and all the others still are what they were,
 * then all of them were that at one moment.
 *
 * Promises
 *   FC1  an entry of such a store is exact only if those read before it had not changed until it was read.
 */
#ifndef SNAP_SOURCE_FILES_COUPLED_H
#define SNAP_SOURCE_FILES_COUPLED_H

#include <stdint.h>
#include <sys/stat.h>

#include "source/files/listing.h"

enum { COUPLED_MAX = 512 }; /* members that are watched; of more the first ones are */

struct coupled;
MUST_USE enum errc coupled_new(struct coupled **out, struct err *err);
void coupled_free(struct coupled *g); /* NULL is fine */
/* name, below the store's directory, is being read, or was, and is st. */
MUST_USE enum errc coupled_note(struct coupled *g, const char *name, const struct stat *st, struct err *err);
/* Are all that were noted still that? Once they are not, it stays so. dirfd: the store's directory. */
bool coupled_held_still(struct coupled *g, int dirfd);
/* The first member that was seen to have changed; NULL: none. */
const char *coupled_changed(const struct coupled *g);

/* How many bytes of the name are its stem, if it is one of a FAISS index and its sidecars of which the listing has
 * both; 0: it is not. */
size_t coupled_faiss_stem(const struct listing *l, const struct listed *n);

#endif
