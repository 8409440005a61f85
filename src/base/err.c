#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int status;
    const char *hint;
} table[ERRC_COUNT] = {
#define X(id, name, status, hint) [id] = {name, status, hint},
#include "base/errors.def"
#undef X
};

static void fill(struct err *err, enum errc code, int sys_errno, const char *fmt, va_list ap)
{
    err->code = code;
    err->sys_errno = sys_errno;
    err->hint[0] = '\0';
    vsnprintf(err->message, sizeof err->message, fmt, ap);
    if (sys_errno != 0) {
        size_t used = strlen(err->message);
        char text[128];
        snprintf(err->message + used, sizeof err->message - used, ": %s", strerror_r(sys_errno, text, sizeof text));
    }
}

enum errc err_fail(struct err *err, enum errc code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        fill(err, code, 0, fmt, ap);
        va_end(ap);
    }
    return code;
}

enum errc err_sys(struct err *err, enum errc code, int sys_errno, const char *fmt, ...)
{
    if (code == ERR_IO && (sys_errno == ENOSPC || sys_errno == EDQUOT))
        code = ERR_NO_SPACE;
    if (sys_errno == ENOMEM)
        code = ERR_NO_MEMORY;
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        fill(err, code, sys_errno, fmt, ap);
        va_end(ap);
    }
    return code;
}

enum errc err_wrap(struct err *err, const char *fmt, ...)
{
    if (!err)
        return ERR_INTERNAL;
    char old[sizeof err->message];
    memcpy(old, err->message, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used, ": %.*s", (int)sizeof old - 1, old);
    return err->code;
}

enum errc err_hint(struct err *err, const char *fmt, ...)
{
    if (!err)
        return ERR_INTERNAL;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->hint, sizeof err->hint, fmt, ap);
    va_end(ap);
    return err->code;
}

enum errc err_recode(struct err *err, enum errc code)
{
    if (err)
        err->code = code;
    return code;
}

const char *err_name(enum errc code)
{
    return code < ERRC_COUNT ? table[code].name : "internal";
}

int err_exit_status(enum errc code)
{
    return code < ERRC_COUNT ? table[code].status : 1;
}

const char *err_default_hint(enum errc code)
{
    return code < ERRC_COUNT ? table[code].hint : "";
}

void require_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "snap: internal error: %s does not hold (%s:%d)\n", cond, file, line);
    abort();
}
