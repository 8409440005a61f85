/* What stands where a database is to be restored to. Layer: source (private to sqlite/). */
#ifndef SNAP_SOURCE_SQLITE_TARGET_H
#define SNAP_SOURCE_SQLITE_TARGET_H

#include "source/sqlite/apply.h"
#include "source/sqlite/helper.h"

/* place_open with errors of a restore. Released by place_release also after a failure. */
MUST_USE enum errc target_place(struct place *p, const char *path, struct err *err);
/* As sqlite_target_look, of a place. */
MUST_USE enum errc target_look(const struct place *p, uint32_t image_page_size, const char *self_exe,
                               struct sqlite_target *out, struct err *err);
/* Run a helper that reports on a target. ERR_CHILD when it does not answer. */
MUST_USE enum errc target_ask(const struct helper_spec *spec, struct target_report *target, struct done_report *report,
                              struct err *err);

#endif
