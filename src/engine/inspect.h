/* What a file is: SQLite (vector formats come with their issue). Layer: engine. */
#ifndef SNAP_ENGINE_INSPECT_H
#define SNAP_ENGINE_INSPECT_H

#include "format/fact.h"

struct inspect_result {
    char format[32]; /* "sqlite", "directory", "file" */
    bool ok;
    struct fact_list facts; /* the caller releases (inspect_release) */
    char detail[400];
};
void inspect_release(struct inspect_result *r);
/* quick: headers only. ERR_SOURCE_MISSING, ERR_SOURCE_UNREADABLE. A broken file is a result with ok false. */
MUST_USE enum errc inspect_path(const char *path, bool quick, const char *self_exe, struct inspect_result *out,
                                struct err *err);

#endif
