/* Key files and passphrases: where they come from, and asking for them. Layer: cli. Everything secret is wiped. */
#ifndef SNAP_CLI_SECRET_H
#define SNAP_CLI_SECRET_H

#include "cli/cli.h"

enum { PASSPHRASE_MAX_BYTES = 1024 };

struct secret {
    char *key_file; /* a path */
    char *passphrase;
    char *recovery;
};
/* Options win over the environment, that over the configuration; nothing given leaves all NULL. ERR_USAGE when options
 * name several, but both (init: a slot for each) allows a key file with a passphrase. Warns when a file can be read by
 * others. */
MUST_USE enum errc secret_resolve(struct cli *c, bool both, struct secret *out, struct err *err);
void secret_release(struct secret *s);

/* ERR_BAD_KEY_FILE when what stands at path cannot be a key file, a FIFO among others; what is not there yet can. */
MUST_USE enum errc secret_check_key_file(const char *path, struct err *err);

/* The first line of a file; warns like above. A FIFO is waited for until a signal comes. */
MUST_USE enum errc secret_from_file(struct cli *c, const char *path, char **out, struct err *err);
/* Ask on the terminal, without echo; twice: again, and both must agree. ERR_NO_KEY without a terminal. */
MUST_USE enum errc secret_ask(struct cli *c, const char *what, bool twice, char **out, struct err *err);
void secret_free(char *s); /* wipes a string */

#endif
