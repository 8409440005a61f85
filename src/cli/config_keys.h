/* Sections and keys of the configuration. Layer: cli, private to config*.c. */
#ifndef SNAP_CLI_CONFIG_KEYS_H
#define SNAP_CLI_CONFIG_KEYS_H

#include <stdio.h>

#include "cli/config.h"

enum config_section { SECTION_NONE, SECTION_REPOSITORY, SECTION_SOURCE, SECTION_SET };

struct config_parse {
    struct config *config;
    FILE *file;
    int line;                    /* being read, from 1 */
    size_t bytes;                /* read */
    enum config_section section; /* the newest source or set is the one meant */
    bool repository_seen;
    enum errc rc;
    struct err *err;
};

/* ERR_CONFIG with "<file>:<line>: " before the message. */
enum errc config_fail(struct config_parse *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
MUST_USE enum errc config_open_section(struct config_parse *p, const char *header);
MUST_USE enum errc config_take_key(struct config_parse *p, const char *key, const char *value);

#endif
