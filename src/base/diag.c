#include "base/diag.h"

#include <stdarg.h>
#include <stdio.h>

void diag_message(const struct diag *d, enum diag_level level, const char *name, const char *fmt, ...)
{
    if (!d || !d->message)
        return;
    char text[1600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    d->message(d->arg, level, name, text);
}

void diag_error(const struct diag *d, const struct err *err)
{
    diag_message(d, DIAG_WARNING, err_name(err->code), "%s", err->message);
}

void diag_progress(const struct diag *d, const struct progress *p)
{
    if (d && d->progress)
        d->progress(d->arg, p);
}

bool diag_interrupted(const struct diag *d)
{
    return d && d->interrupted && d->interrupted(d->arg);
}
