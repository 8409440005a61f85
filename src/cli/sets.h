/* Which sets a backup takes: configured ones, or one made of paths. Layer: cli. Pure but for resolving paths. */
#ifndef SNAP_CLI_SETS_H
#define SNAP_CLI_SETS_H

#include "cli/config.h"
#include "cli/options.h"

struct plan_set {
    struct set_spec spec; /* borrows from below, from the configuration and from the command line */
    struct source_spec *sources;
    struct strings paths;  /* ad hoc: canonical */
    const char **excludes; /* pointers only: configured patterns and those of the command line */
};
struct backup_plan {
    struct plan_set *sets;
    size_t count, cap;
};
/* ERR_USAGE when nothing is there to back up, a name is unknown, or a combination makes no sense. Release always. */
MUST_USE enum errc backup_plan_make(const struct config *config, const struct parsed *args, struct backup_plan *out,
                                    struct err *err);
void backup_plan_release(struct backup_plan *p);

#endif
