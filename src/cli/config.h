/* The configuration file (docs/cli.md, "Configuration"). Layer: cli; the only user of inih.
 *
 * Promises
 *   CF1  an unknown section or key, a key given twice that takes one value, a value that does not parse, a line that is
 *        too long: ERR_CONFIG with file and line. Nothing is accepted and ignored.
 */
#ifndef SNAP_CLI_CONFIG_H
#define SNAP_CLI_CONFIG_H

#include "engine/backup.h"

struct strings {
    char **items;
    size_t count, cap;
};
MUST_USE enum errc strings_add(struct strings *s, const char *text, size_t len, struct err *err);
bool strings_have(const struct strings *s, const char *text);
void strings_release(struct strings *s);

struct config_source {
    char *name, *path;
    bool detect; /* no type is given: told from the content */
    enum item_type type;
    bool has_type, has_checkpoint, has_caches, has_one_fs;
    enum checkpoint_mode checkpoint;
    bool exclude_caches, one_file_system;
    int64_t dimension; /* that all vectors have to have; 0: not given */
    struct strings exclude;
    int line; /* of its section */
};
struct config_set {
    char *name;
    struct strings sources;
    int line;
};
struct config {
    char *file; /* NULL: none was read */
    char *repository, *key_file, *password_file, *password_command;
    struct config_source *sources;
    size_t source_count, source_cap;
    struct config_set *sets;
    size_t set_count, set_cap;
};

/* ERR_CONFIG; a file that cannot be read is ERR_CONFIG too. *out is to be released always. */
MUST_USE enum errc config_read(const char *file, struct config *out, struct err *err);
void config_release(struct config *c);

const struct config_source *config_find_source(const struct config *c, const char *name); /* NULL: none */
const struct config_set *config_find_set(const struct config *c, const char *name);
/* Is the source in any set? One that is in none is a set of its own, named as the source. */
bool config_source_in_set(const struct config *c, const char *name);

#endif
