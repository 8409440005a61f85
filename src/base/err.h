/* Errors: one table, one struct, no printing.
 *
 * Layer: base. Every function that can fail returns an `enum errc` (ERR_OK is 0) and, on failure, fills a
 * `struct err` with what failed, on which object, why, and what to do next. Callers add context with
 * err_wrap(); only cli/ prints. The table in errors.def maps a code to its name, exit status and hint, and is what
 * docs/errors.md describes.
 *
 * Promises
 *   E1  err is filled on every return that is not ERR_OK, and untouched otherwise.
 *   E2  messages are cut, never overflowed; they hold no secret.
 */
#ifndef SNAP_BASE_ERR_H
#define SNAP_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

enum errc {
#define X(id, name, status, hint) id,
#include "base/errors.def"
#undef X
    ERRC_COUNT
};

struct err {
    enum errc code;
    int sys_errno;      /* errno of the failing call, 0 if none */
    char message[1200]; /* what happened, to what, and the cause */
    char hint[400];     /* what to do; empty: the table's hint */
};

/* Fill *err (which may be NULL) and return code. Replaces what was there. */
enum errc err_fail(struct err *err, enum errc code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As err_fail, with ": <strerror(sys_errno)>" appended. ENOSPC and EDQUOT turn ERR_IO into ERR_NO_SPACE. */
enum errc err_sys(struct err *err, enum errc code, int sys_errno, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Put "<context>: " before the message; returns err->code. */
enum errc err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Replace the hint; returns err->code. */
enum errc err_hint(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Change the code, message kept (a source's I/O error becomes "partial"); returns code. */
enum errc err_recode(struct err *err, enum errc code);

const char *err_name(enum errc code);         /* "no-repository": the name in docs/errors.md */
int err_exit_status(enum errc code);          /* docs/cli.md, "Exit status" */
const char *err_default_hint(enum errc code); /* never NULL; may be "" */

/* A programmer's mistake: prints file, line and condition to stderr and aborts. Active in every build. */
#define REQUIRE(cond) ((cond) ? (void)0 : require_failed(#cond, __FILE__, __LINE__))
_Noreturn void require_failed(const char *cond, const char *file, int line);

#endif
