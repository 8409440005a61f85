/* What each command does. Layer: cli. Data goes to stdout through cli/output.h, the rest to stderr; the result is the
 * exit status. */
#ifndef SNAP_CLI_VERBS_H
#define SNAP_CLI_VERBS_H

#include "base/err.h"

struct cli;

MUST_USE enum errc cmd_init(struct cli *c, struct err *err);
MUST_USE enum errc cmd_backup(struct cli *c, struct err *err);
MUST_USE enum errc cmd_list(struct cli *c, struct err *err);
MUST_USE enum errc cmd_show(struct cli *c, struct err *err);
MUST_USE enum errc cmd_ls(struct cli *c, struct err *err);
MUST_USE enum errc cmd_find(struct cli *c, struct err *err);
MUST_USE enum errc cmd_dump(struct cli *c, struct err *err);
MUST_USE enum errc cmd_diff(struct cli *c, struct err *err);
MUST_USE enum errc cmd_restore(struct cli *c, struct err *err);
MUST_USE enum errc cmd_undo(struct cli *c, struct err *err);
MUST_USE enum errc cmd_verify(struct cli *c, struct err *err);
MUST_USE enum errc cmd_rebuild(struct cli *c, struct err *err);
MUST_USE enum errc cmd_key(struct cli *c, struct err *err);
MUST_USE enum errc cmd_log(struct cli *c, struct err *err);
MUST_USE enum errc cmd_inspect(struct cli *c, struct err *err);
MUST_USE enum errc cmd_hold(struct cli *c, struct err *err);
MUST_USE enum errc cmd_release(struct cli *c, struct err *err);
MUST_USE enum errc cmd_forget(struct cli *c, struct err *err);
MUST_USE enum errc cmd_undelete(struct cli *c, struct err *err);
MUST_USE enum errc cmd_version(struct cli *c, struct err *err);
MUST_USE enum errc cmd_help(struct cli *c, struct err *err);
MUST_USE enum errc cmd_completion(struct cli *c, struct err *err);

#endif
