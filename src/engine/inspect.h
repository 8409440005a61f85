/* What files are, and whether they are sound: SQLite, vector files, stores of several files, directories of them.
 * Layer: engine.
 *
 * Promises
 *   IN1  a directory is walked without following a link, in memory that does not grow with the number of its files;
 *        each result is handed over when it is there.
 *   IN2  nothing that is looked at is changed, locked or executed.
 */
#ifndef SNAP_ENGINE_INSPECT_H
#define SNAP_ENGINE_INSPECT_H

#include "base/diag.h"
#include "source/vectors/vector_facts.h"

struct inspect_options {
    bool quick;                  /* headers only */
    int64_t raw_dimension;       /* of files that no format explains; 0: those stay unknown */
    enum vector_dtype raw_dtype; /* F32 when NONE */
    int64_t expect_dimension;    /* 0: any */
    const char *self_exe;
    const struct diag *diag; /* may be NULL */
};

struct inspect_result {
    char format[VECTOR_FORMAT_BYTES]; /* "sqlite", "npy", ..., "chroma", "lance", "directory", "file" */
    bool ok;
    bool fits;                    /* no vectors of another dimension than the expected one */
    char detail[600];             /* what is wrong, or a short description */
    struct vector_result vectors; /* known: it holds vectors; of a database and a directory without arrays */
    struct fact_list facts;
};
void inspect_release(struct inspect_result *r);

/* Over all that was looked at; begins as {0}. */
struct inspect_summary {
    struct vector_dimension dims[VECTOR_DIMS_MAX]; /* ascending */
    int64_t dim_files[VECTOR_DIMS_MAX];            /* in how many files */
    size_t dim_count;
    int64_t files_beyond; /* with dimensions beyond VECTOR_DIMS_MAX */
    int64_t looked_at;    /* files and stores of a known format, and what was named */
    int64_t vector_files, databases, stores, others, directories;
    int64_t broken, unfit, unreadable;
};
/* What the facts of one entry tell of vectors. */
void inspect_summary_facts(struct inspect_summary *s, const struct fact_list *facts);
/* "768: 1,200 vectors in 3 files; 1536: 3 vectors in 1 file"; "" when there are none. */
const char *inspect_summary_text(const struct inspect_summary *s, char *dst, size_t cap);

struct inspect_sink {
    /* In the order in which they are found; a directory's own result comes behind those of what is in it. */
    enum errc (*each)(void *arg, const char *path, const struct inspect_result *r, struct err *err);
    void (*failed)(void *arg, const struct err *why); /* something below a directory could not be read */
    void *arg;
};
/* A file, or a directory and all below it. A broken file is a result with ok false. ERR_SOURCE_MISSING,
 * ERR_SOURCE_UNREADABLE: of path itself. ERR_INTERRUPTED, and what the sink returns, end the walk. */
MUST_USE enum errc inspect_path(const char *path, const struct inspect_options *opt, const struct inspect_sink *sink,
                                struct inspect_summary *summary, struct err *err);

#endif
