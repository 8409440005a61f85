/* SIGINT, SIGTERM and SIGHUP ask the work to stop; a second one ends the process at once with 130. Layer: cli.
 * A signal handler cannot be handed an argument, so its flag is the one mutable global here. */
#ifndef SNAP_CLI_SIGNALS_H
#define SNAP_CLI_SIGNALS_H

#include <stdbool.h>

void signals_install(void); /* SIGPIPE is ignored too: a write to a closed pipe is an error like any other */
bool signals_interrupted(void);

#endif
