/* Snapshots of the catalog as JSON and text. Layer: cli. */
#ifndef SNAP_CLI_ROWS_H
#define SNAP_CLI_ROWS_H

#include "cli/cli.h"

json_t *row_doc(const struct snapshot_row *row); /* as `list --json` has it */
/* The catalog's row of a snapshot that was found. ERR_CATALOG when it is not there. snapshot_row_release. */
MUST_USE enum errc cli_row(struct store *s, const struct snapshot_id *id, struct snapshot_row *out, struct err *err);
/* "v1_baseline, v2": names with a comma between, into dst. */
const char *names_text(char *dst, size_t cap, char *const *names, size_t count);
/* "structure, data, databases" for the bits of a verification. */
const char *level_text(char dst[40], uint32_t level);

#endif
