#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_release(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.max = b->max};
}

void buf_wipe(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    buf_release(b);
}

enum errc buf_reserve(struct buf *b, size_t extra, struct err *err)
{
    if (extra > b->max || b->len > b->max - extra)
        return err_fail(err, ERR_LIMIT, "a buffer would grow past its cap of %zu bytes", b->max);
    size_t need = b->len + extra;
    if (need <= b->cap)
        return ERR_OK;
    size_t cap = b->cap ? b->cap : b->max < 64 ? b->max : 64;
    while (cap < need)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    uint8_t *data = realloc(b->data, cap);
    if (!data)
        return err_fail(err, ERR_NO_MEMORY, "no memory for a buffer of %zu bytes", cap);
    b->data = data;
    b->cap = cap;
    return ERR_OK;
}

enum errc buf_append(struct buf *b, const void *data, size_t len, struct err *err)
{
    enum errc rc = buf_reserve(b, len, err);
    if (rc == ERR_OK && len > 0) {
        memcpy(b->data + b->len, data, len);
        b->len += len;
    }
    return rc;
}

enum errc buf_append_str(struct buf *b, const char *s, struct err *err)
{
    return buf_append(b, s, strlen(s), err);
}

enum errc buf_append_fmt(struct buf *b, struct err *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0)
        return err_fail(err, ERR_INTERNAL, "a message could not be formatted");
    enum errc rc = buf_reserve(b, (size_t)len + 1, err);
    if (rc != ERR_OK)
        return rc;
    va_start(ap, fmt);
    vsnprintf((char *)b->data + b->len, (size_t)len + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)len;
    return ERR_OK;
}

enum errc buf_terminate(struct buf *b, struct err *err)
{
    enum errc rc = buf_reserve(b, 1, err);
    if (rc == ERR_OK)
        b->data[b->len] = '\0';
    return rc;
}

enum errc mem_alloc(void *ptr_out, size_t size, struct err *err)
{
    void *p = calloc(1, size ? size : 1);
    if (!p)
        return err_fail(err, ERR_NO_MEMORY, "no memory for %zu bytes", size);
    memcpy(ptr_out, &p, sizeof p);
    return ERR_OK;
}

enum errc mem_dup(void *ptr_out, const void *data, size_t len, struct err *err)
{
    char *p = NULL;
    if (len == SIZE_MAX)
        return err_fail(err, ERR_LIMIT, "a length overflows");
    enum errc rc = mem_alloc(&p, len + 1, err);
    if (rc != ERR_OK)
        return rc;
    if (len > 0)
        memcpy(p, data, len);
    memcpy(ptr_out, &p, sizeof p);
    return ERR_OK;
}

enum errc mem_strdup(char **out, const char *s, struct err *err)
{
    return mem_dup(out, s, strlen(s), err);
}

enum errc mem_grow(void *array_inout, size_t *cap, size_t need, size_t size, struct err *err)
{
    if (need <= *cap)
        return ERR_OK;
    size_t grown = *cap ? *cap : 8;
    while (grown < need) {
        if (grown > SIZE_MAX / 2 / size)
            return err_fail(err, ERR_LIMIT, "an array would grow past what memory can hold");
        grown *= 2;
    }
    void *old;
    memcpy(&old, array_inout, sizeof old);
    void *data = reallocarray(old, grown, size);
    if (!data)
        return err_fail(err, ERR_NO_MEMORY, "no memory for %zu elements", grown);
    memcpy(array_inout, &data, sizeof data);
    *cap = grown;
    return ERR_OK;
}
