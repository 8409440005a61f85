/* The one table of commands and options: parsing, help and completion are all made from it, so they cannot drift apart.
 * Layer: cli. */
#ifndef SNAP_CLI_TABLE_H
#define SNAP_CLI_TABLE_H

#include "base/err.h"

enum opt_id {
    /* global */
    OPT_REPO,
    OPT_CONFIG,
    OPT_KEY_FILE,
    OPT_PASSWORD_FILE,
    OPT_PASSWORD_COMMAND,
    OPT_RECOVERY_KEY_FILE,
    OPT_CACHE_DIR,
    OPT_JSON,
    OPT_QUIET,
    OPT_VERBOSE,
    OPT_YES,
    OPT_NO_PROGRESS,
    OPT_LOCK_WAIT,
    OPT_HELP,
    OPT_VERSION,
    /* of commands */
    OPT_ENCRYPTION,
    OPT_SET,
    OPT_SOURCE,
    OPT_TAG,
    OPT_HOLD,
    OPT_TIME,
    OPT_FORCE_READ,
    OPT_EXCLUDE,
    OPT_EXCLUDE_CACHES,
    OPT_ONE_FILE_SYSTEM,
    OPT_DRY_RUN,
    OPT_KIND,
    OPT_LAST,
    OPT_DELETED,
    OPT_SNAPSHOT,
    OPT_LONG,
    OPT_TARGET,
    OPT_INCLUDE,
    OPT_FORENSIC,
    OPT_FORCE,
    OPT_RESUME,
    OPT_READ_DATA,
    OPT_READ_DATA_SUBSET,
    OPT_MAX_DURATION,
    OPT_DATABASES,
    OPT_NEW_KEY_FILE,
    OPT_NEW_PASSWORD_FILE,
    OPT_LABEL,
    OPT_QUICK,
    OPT_EXPECT_DIMENSION,
    OPT_DIMENSION,
    OPT_DTYPE,
    OPT_ACCEPT_DIMENSION,
    OPT_COUNT,
    OPT_GLOBAL_LAST = OPT_VERSION /* ids up to it are understood by every command */
};

/* In the order of enum vector_dtype. */
#define INSPECT_DTYPES "float16|bfloat16|float32|float64|int8|uint8|int16|uint16|int32|uint32|int64|uint64|bit"

enum opt_value { VALUE_NONE, VALUE_TEXT, VALUE_PATH, VALUE_DIR, VALUE_WORDS };

struct opt_def {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    enum opt_value kind;
    const char *metavar; /* "PATH"; for VALUE_WORDS the words, "copy|aside|none" */
    const char *help;
};
const struct opt_def *opt_def(enum opt_id id);

struct cli;
enum arg_kind { ARGS_NONE, ARGS_PATHS, ARGS_SNAPSHOTS, ARGS_OTHER };
struct verb {
    const char *name, *alias; /* alias: NULL for none */
    const char *synopsis;     /* arguments, "[PATH…]" */
    const char *summary;      /* one line */
    const char *text;         /* a paragraph or two for `snap help VERB` */
    const char *examples;     /* lines */
    const enum opt_id *opts;
    size_t opt_count;
    const char *words; /* fixed words of the first argument, "list|add"; NULL */
    enum arg_kind args;
    size_t min_args, max_args;
    enum errc (*run)(struct cli *c, struct err *err);
};
/* In the order of help. */
const struct verb *verb_at(size_t index);                   /* NULL at the end */
const struct verb *verb_find(const char *name);             /* by name or alias; NULL */
bool verb_has_option(const struct verb *v, enum opt_id id); /* globals are in every verb; v may be NULL */

#endif
