/* What the parts of inspect share. Layer: engine; private to inspect*.c.
 *
 * inspect.c a path, results, summary · inspect_sqlite.c databases · inspect_stores.c Chroma and Lance · inspect_walk.c
 * directories */
#ifndef SNAP_ENGINE_INSPECT_WORK_H
#define SNAP_ENGINE_INSPECT_WORK_H

#include <sys/stat.h>

#include "base/buf.h"
#include "engine/inspect.h"

enum { INSPECT_HEAD_BYTES = 100 };

struct inspection {
    const struct inspect_options *opt;
    const struct inspect_sink *sink;
    struct inspect_summary *sum;
};

/* Give a finished result away and count it; r is released. in_totals: its vectors are not those of another result. */
MUST_USE enum errc inspect_emit(struct inspection *x, const char *path, struct inspect_result *r, bool in_totals,
                                struct err *err);
void inspect_add_summary(struct inspect_summary *to, const struct inspect_summary *s);
/* Fill from what a format's reader said. */
void inspect_take_vectors(struct inspect_result *r, struct vector_result *v);
struct vector_options inspect_depth(const struct inspection *x);

/* head[0..got): its first bytes. root, rel: the same as path, when it was found in a walk; rel NULL: it was named. */
struct inspect_place {
    const char *path; /* for the eye */
    const char *abs, *rel;
};
MUST_USE enum errc inspect_sqlite(const struct inspection *x, const struct inspect_place *at, const uint8_t *head,
                                  size_t got, uint64_t size, struct inspect_result *out, struct err *err);
/* The regular file open at fd. */
MUST_USE enum errc inspect_open_file(const struct inspection *x, const struct inspect_place *at, int fd,
                                     const struct stat *st, struct inspect_result *out, struct err *err);

/* Is the open directory a Lance dataset? Then it is emitted. */
MUST_USE enum errc inspect_lance(struct inspection *x, const char *path, const int *fd, bool *is_one, struct err *err);
/* The index directories of the open directory, compared with what its database says (NULL: it was not looked into). */
MUST_USE enum errc inspect_chroma(struct inspection *x, const char *path, const int *fd, const struct fact_list *db,
                                  struct err *err);
MUST_USE enum errc inspect_chroma_index(struct inspection *x, const char *path, const int *parent, const char *name,
                                        const struct fact_list *db, struct err *err);

/* All below path, open at fd, which is taken over. abs: its absolute path. */
MUST_USE enum errc inspect_tree(struct inspection *x, const char *path, const char *abs, int fd, struct err *err);

#endif
