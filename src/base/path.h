/* Paths as byte strings: any byte but NUL and '/' may stand in a name. Layer: base. */
#ifndef SNAP_BASE_PATH_H
#define SNAP_BASE_PATH_H

#include "base/buf.h"

/* Lexical and cwd-based: makes path absolute, drops "." and empty parts, resolves ".." lexically, no trailing slash.
 * Does not touch the file system beyond getcwd. *out is freed with free(). */
MUST_USE enum errc path_absolute(const char *path, char **out, struct err *err);
/* As path_absolute, with links in all but the last component resolved (realpath of the parent, where it exists). */
MUST_USE enum errc path_canonical(const char *path, char **out, struct err *err);
/* Parent "/a" of "/a/b"; "/" for "/a". Freed with free(). */
MUST_USE enum errc path_parent(const char *path, char **out, struct err *err);
const char *path_base(const char *path); /* "b" of "/a/b"; borrowed */
MUST_USE enum errc path_join(const char *dir, const char *name, char **out, struct err *err); /* one slash between */
bool path_is_within(const char *path, const char *dir); /* path == dir or below it, by components */

/* Order of entries in a list: component by component, bytes unsigned, so that '/' sorts before every byte: a
 * directory is followed by all that is in it. */
int path_compare(const char *a, size_t a_len, const char *b, size_t b_len);

/* True for a relative path without empty, "." or ".." components and NULs: the only kind stored in an entry ("" is
 * the root itself and is allowed). */
bool path_is_safe_relative(const char *path, size_t len);

/* Append path for a person: control bytes, backslash and invalid UTF-8 as \n, \t, \xHH, \\. */
MUST_USE enum errc path_escape(struct buf *out, const char *path, size_t len, struct err *err);
/* The same into a caller's buffer, cut with "..." when too small; returns dst. For messages. */
const char *path_show(char *dst, size_t cap, const char *path, size_t len);

/* Does path (relative, '/'-separated) match a restic-like pattern: '*' and '?' within a component, "**" across, '[...]'
 * classes; a pattern without a slash matches any component's name; one with a leading slash is anchored at absolute
 * paths; matching a directory excludes what is in it. abs_path is the absolute path of the entry. */
bool path_matches(const char *pattern, const char *abs_path);

#endif
