/* What every command starts from. Layer: cli. */
#ifndef SNAP_CLI_CLI_H
#define SNAP_CLI_CLI_H

#include "cli/config.h"
#include "cli/options.h"
#include "cli/output.h"
#include "store/store.h"

struct cli {
    struct parsed args;
    struct config config; /* after cli_load_config */
    bool config_loaded;
    struct ui ui;
    struct diag diag; /* borrows ui */
};

/* Read the configuration, once: --config, SNAP_CONFIG, or /etc/snap/snap.conf when it exists; else it is empty. */
MUST_USE enum errc cli_load_config(struct cli *c, struct err *err);
/* The repository's absolute path: option, environment, configuration. ERR_USAGE says how to give it. free(). */
MUST_USE enum errc cli_repository(struct cli *c, char **out, struct err *err);
MUST_USE enum errc cli_cache_dir(struct cli *c, char **out, struct err *err); /* free() */
enum cli_access {
    ACCESS_READ,
    ACCESS_WRITE,       /* appends to the log: ERR_READ_ONLY where that cannot be */
    ACCESS_WRITE_IF_CAN /* does its work on a read-only repository too */
};
/* Open the repository; asks for the passphrase where one is needed, none is given and there is a terminal. Says when a
 * restore was cut off. */
MUST_USE enum errc cli_open(struct cli *c, enum cli_access access, struct store **out, struct err *err);

/* A snapshot named on the command line. */
MUST_USE enum errc cli_snapshot(struct store *s, const char *spec, struct snapshot *out, struct err *err);
/* rc of a search for spec: when it is 'latest' and there is no good one, *err gets the one that could be meant. */
enum errc cli_explain_latest(struct store *s, const char *spec, enum errc rc, struct err *err);
/* "ID:PATH": the snapshot and the absolute path, NULL when there is none (ERR_USAGE if need_path). free(*path_out). */
MUST_USE enum errc cli_snapshot_path(struct store *s, const char *spec, bool need_path, struct snapshot *out,
                                     char **path_out, struct err *err);

/* Is the form of it right? To be asked before the repository is opened. */
MUST_USE enum errc cli_check_path_spec(const char *spec, bool need_path, struct err *err);

const char *kind_text(enum snapshot_kind k);                        /* "backup" */
const char *item_type_text(enum item_type t);                       /* "sqlite" */
const char *state_text(enum entry_state s);                         /* "exact" */
const char *row_state(const struct snapshot_row *row);              /* "good", "partial", "damaged", "deleted" */
void sources_text(char *dst, size_t cap, const struct snapshot *s); /* names, comma between, cut */

#endif
