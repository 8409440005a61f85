/* Whole immutable objects under names like "packs/<hex>". Layer: backend.
 *
 * A backend is described by what it can do (features), not by its type. Today: a local directory.
 *
 * Promises
 *   BE1  an object appears under its name whole and durable, or not at all.
 *   BE2  an object that is there is never replaced (but backend_replace, for key slots and configuration).
 *   BE3  temporary files of writers that died are removed by a later writer; those of living writers are not.
 */
#ifndef SNAP_BACKEND_BACKEND_H
#define SNAP_BACKEND_BACKEND_H

#include <stdint.h>

#include "base/buf.h"

enum backend_feature {
    BACKEND_WRITABLE = 1, /* objects can be made and removed */
    BACKEND_LOCKS = 2,    /* kernel locks that die with their process */
};

struct backend;
struct object;        /* one open for reading; any thread may read from it */
struct object_writer; /* one being made; one thread */

/* ERR_NO_REPOSITORY when the directory is not there. */
MUST_USE enum errc backend_open_local(const char *path, struct backend **out, struct err *err);
void backend_close(struct backend *b);
unsigned backend_features(const struct backend *b);

/* Make a sub-directory ("packs"); there already is fine. */
MUST_USE enum errc backend_make_dir(struct backend *b, const char *dir, struct err *err);

/* ERR_MISSING_OBJECT when it is not there. */
MUST_USE enum errc object_open(struct backend *b, const char *name, struct object **out, struct err *err);
void object_close(struct object *o);
uint64_t object_size(const struct object *o);
/* ERR_DAMAGED when fewer bytes are there. */
MUST_USE enum errc object_read(struct object *o, void *dst, size_t len, uint64_t offset, struct err *err);

/* Whole small object, appended to out. ERR_MISSING_OBJECT, ERR_LIMIT above max. */
MUST_USE enum errc backend_get(struct backend *b, const char *name, size_t max, struct buf *out, struct err *err);
/* Make a small object, durably. *taken_out is true, and nothing is done, when the name is taken. */
MUST_USE enum errc backend_put(struct backend *b, const char *name, const void *data, size_t len, bool *taken_out,
                               struct err *err);
MUST_USE enum errc backend_replace(struct backend *b, const char *name, const void *data, size_t len, struct err *err);
MUST_USE enum errc backend_remove(struct backend *b, const char *name, struct err *err); /* absent is fine */
MUST_USE enum errc backend_exists(struct backend *b, const char *name, bool *yes_out, uint64_t *size_out,
                                  struct err *err);
/* Names in dir (without the directory), in no order. fn's error stops the listing. */
MUST_USE enum errc backend_list(struct backend *b, const char *dir,
                                enum errc (*fn)(void *arg, const char *name, struct err *err), void *arg,
                                struct err *err);

/* A large object: write, then make durable (sync), then give it its name (publish). Write-back is started as it grows.
 */
MUST_USE enum errc object_writer_new(struct backend *b, struct object_writer **out, struct err *err);
MUST_USE enum errc object_writer_write(struct object_writer *w, const void *data, size_t len, struct err *err);
MUST_USE enum errc object_writer_sync(struct object_writer *w, struct err *err);
/* Only after sync. The name lasts after backend_sync_dir of its directory. Frees w on success. */
MUST_USE enum errc object_writer_publish(struct object_writer *w, const char *name, struct err *err);
void object_writer_free(struct object_writer *w); /* unpublished: removed */
MUST_USE enum errc backend_sync_dir(struct backend *b, const char *dir, struct err *err);

/* Remove temporary files of dead writers. */
void backend_clean(struct backend *b);

/* Kernel lock of the repository. shared: held by everybody who reads packs. exclusive: by who deletes. Released by
 * backend_unlock or with the process. ERR_LOCKED after wait_ms. Without BACKEND_LOCKS or on a read-only place: nothing
 * is done. */
MUST_USE enum errc backend_lock(struct backend *b, bool exclusive, uint64_t wait_ms, struct err *err);
void backend_unlock(struct backend *b);

#endif
