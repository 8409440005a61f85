/* The command line, parsed. Layer: cli.
 *
 * Global options may stand before or after the command. `--name=value`, `--name value`, `-xvalue`, `-x value` and
 * clusters of letters are understood; `--` ends the options. Strings borrow from argv.
 */
#ifndef SNAP_CLI_OPTIONS_H
#define SNAP_CLI_OPTIONS_H

#include "cli/table.h"

struct parsed {
    const struct verb *verb;        /* NULL: none was given (then help or version is set) */
    const char **values[OPT_COUNT]; /* in order; for flags "" */
    size_t counts[OPT_COUNT];
    const char **args;
    size_t arg_count;
    bool json; /* --json or SNAP_JSON; set as well as can be when parsing fails */
};

/* ERR_USAGE with the nearest name in the hint. *out is to be released always. */
MUST_USE enum errc options_parse(int argc, char **argv, struct parsed *out, struct err *err);
void options_release(struct parsed *p);

bool opt_given(const struct parsed *p, enum opt_id id);
const char *opt_last(const struct parsed *p, enum opt_id id); /* the last value, NULL when not given */
/* An option's value, else that of the environment variable when it is set and not empty, else NULL. */
const char *opt_or_env(const struct parsed *p, enum opt_id id, const char *env);
/* Which of the words "a|b|c" the value is. ERR_USAGE names option, value and words. */
MUST_USE enum errc opt_word(const struct parsed *p, enum opt_id id, size_t fallback, size_t *index_out,
                            struct err *err);
/* A whole number 1 .. max. */
MUST_USE enum errc opt_number(const char *option, const char *text, size_t max, size_t *out, struct err *err);

/* The name most like word, by edit distance, when it is near enough to be meant; else NULL. names is NULL-terminated.
 */
const char *nearest_name(const char *word, const char *const *names);

#endif
