/* Messages that are not errors: warnings and notes, handed to whoever listens. Layer: base.
 * The listener is passed down in options, never global; only cli/ prints. */
#ifndef SNAP_BASE_DIAG_H
#define SNAP_BASE_DIAG_H

#include <stdint.h>

#include "base/err.h"

enum diag_level { DIAG_VERBOSE, DIAG_NOTE, DIAG_WARNING };

struct progress {
    const char *phase;    /* "reading", "restoring" ...: a static string */
    uint64_t done, total; /* bytes; total 0: unknown */
    uint64_t items_done;  /* entries */
    const char *current;  /* path being worked on; borrowed for the call, may be NULL */
};

/* May be called from any thread; implementations lock. Any member may be NULL. */
struct diag {
    void (*message)(void *arg, enum diag_level level, const char *name,
                    const char *text); /* name: as in errors.def, or "" */
    void (*progress)(void *arg, const struct progress *p);
    bool (*interrupted)(void *arg); /* true: stop soon with ERR_INTERRUPTED */
    void *arg;
};

void diag_message(const struct diag *d, enum diag_level level, const char *name, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void diag_error(const struct diag *d, const struct err *err); /* a warning with the error's name and message */
void diag_progress(const struct diag *d, const struct progress *p);
bool diag_interrupted(const struct diag *d);

#endif
