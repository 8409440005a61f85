#include "base/path.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum errc append_cwd(struct buf *b, struct err *err)
{
    for (size_t size = 4096;; size *= 2) {
        enum errc rc = buf_reserve(b, size, err);
        if (rc != ERR_OK)
            return rc;
        if (getcwd((char *)b->data, size)) {
            b->len = strlen((char *)b->data);
            if (b->data[0] == '/')
                return ERR_OK;
            errno = ENOENT; /* "(unreachable)": the directory lies outside our root */
        }
        if (errno != ERANGE)
            return err_sys(err, ERR_IO, errno, "cannot tell the current directory");
    }
}

/* Rewrite the absolute path in place: parts "", "." and ".." taken out. */
static void normalise(char *path)
{
    size_t out = 0;
    for (const char *p = path; *p;) {
        while (*p == '/')
            p++;
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            while (out > 0 && path[--out] != '/')
                ;
        } else if (n > 0 && !(n == 1 && p[0] == '.')) {
            path[out++] = '/'; /* out lags behind p, so the part moves down or stays */
            memmove(path + out, p, n);
            out += n;
        }
        p += n;
    }
    if (out == 0)
        path[out++] = '/';
    path[out] = '\0';
}

enum errc path_absolute(const char *path, char **out, struct err *err)
{
    if (path[0] == '\0')
        return err_fail(err, ERR_USAGE, "a path is empty");
    struct buf b;
    buf_init(&b, SIZE_MAX / 4);
    enum errc rc = ERR_OK;
    if (path[0] != '/') {
        rc = append_cwd(&b, err);
        if (rc == ERR_OK)
            rc = buf_append_str(&b, "/", err);
    }
    if (rc == ERR_OK)
        rc = buf_append_str(&b, path, err);
    if (rc == ERR_OK)
        rc = buf_terminate(&b, err);
    if (rc != ERR_OK) {
        buf_release(&b);
        return rc;
    }
    normalise((char *)b.data);
    *out = (char *)b.data;
    return ERR_OK;
}

/* Is this why a path could not be resolved, but it may still be used as it stands? */
static bool is_unresolvable(int e)
{
    return e == ENOENT || e == ENOTDIR || e == EACCES || e == ENAMETOOLONG;
}

enum errc path_canonical(const char *path, char **out, struct err *err)
{
    char *abs, *real = NULL;
    enum errc rc = path_absolute(path, &abs, err);
    if (rc != ERR_OK)
        return rc;
    /* From the parent upwards, the first directory that can be resolved. */
    char *cut = strrchr(abs, '/');
    while (cut > abs) {
        *cut = '\0';
        real = realpath(abs, NULL);
        int e = errno;
        *cut = '/';
        if (real)
            break;
        if (!is_unresolvable(e)) {
            char shown[640];
            rc = err_sys(err, ERR_IO, e, "cannot resolve %s", path_show(shown, sizeof shown, abs, strlen(abs)));
            free(abs);
            return rc;
        }
        do
            cut--;
        while (*cut != '/');
    }
    if (!real) { /* nothing but the root */
        *out = abs;
        return ERR_OK;
    }
    rc = path_join(real, cut, out, err);
    free(real);
    free(abs);
    return rc;
}

enum errc path_parent(const char *path, char **out, struct err *err)
{
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    while (n > 1 && path[n - 1] == '/')
        n--;
    if (n == 0)
        return mem_strdup(out, path[0] == '/' ? "/" : ".", err);
    return mem_dup(out, path, n, err);
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

enum errc path_join(const char *dir, const char *name, char **out, struct err *err)
{
    size_t dir_len = strlen(dir), name_len;
    bool rooted = dir_len > 0 && dir[0] == '/';
    while (dir_len > 0 && dir[dir_len - 1] == '/')
        dir_len--;
    while (*name == '/')
        name++;
    name_len = strlen(name);
    bool slash = name_len > 0 ? dir_len > 0 || rooted : dir_len == 0 && rooted;
    char *p;
    enum errc rc = mem_alloc(&p, dir_len + name_len + 2, err);
    if (rc != ERR_OK)
        return rc;
    memcpy(p, dir, dir_len);
    if (slash)
        p[dir_len] = '/';
    memcpy(p + dir_len + slash, name, name_len);
    *out = p;
    return ERR_OK;
}

bool path_is_within(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    while (n > 0 && dir[n - 1] == '/')
        n--;
    if (n == 0) /* "/" holds what is absolute, "" what is relative */
        return (dir[0] == '/') == (path[0] == '/');
    return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static int rank(char c)
{
    return c == '/' ? 0 : 1 + (unsigned char)c;
}

int path_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t n = a_len < b_len ? a_len : b_len;
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i])
            return rank(a[i]) < rank(b[i]) ? -1 : 1;
    return (a_len > b_len) - (a_len < b_len);
}

bool path_is_safe_relative(const char *path, size_t len)
{
    if (len == 0)
        return true;
    if (memchr(path, '\0', len))
        return false;
    for (size_t at = 0;; at++) {
        const char *part = path + at, *slash = memchr(part, '/', len - at);
        size_t n = slash ? (size_t)(slash - part) : len - at;
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        at += n;
        if (at == len)
            return true;
    }
}

/* Bytes of the well-formed UTF-8 sequence at p[0..len), 0 if there is none: no overlong form, no surrogate. */
static size_t utf8_length(const unsigned char *p, size_t len)
{
    unsigned char c = p[0], low = 0x80, high = 0xBF;
    size_t n;
    if (c < 0x80)
        return 1;
    if (c < 0xC2 || c > 0xF4)
        return 0;
    n = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    if (c == 0xE0)
        low = 0xA0;
    else if (c == 0xED)
        high = 0x9F;
    else if (c == 0xF0)
        low = 0x90;
    else if (c == 0xF4)
        high = 0x8F;
    if (len < n || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return n;
}

#define UNIT_MAX 8 /* the longest of what show_unit writes: "\xc2\x9b" */

/* Write what stands at p[0..len) for a person, one character or one escape; *used_out bytes of p were taken. */
static size_t show_unit(const unsigned char *p, size_t len, char out[UNIT_MAX], size_t *used_out)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = utf8_length(p, len);
    *used_out = 1;
    if (p[0] == '\n' || p[0] == '\t' || p[0] == '\\') {
        out[0] = '\\';
        out[1] = p[0] == '\n' ? 'n' : p[0] == '\t' ? 't' : '\\';
        return 2;
    }
    /* U+0080..U+009F steer a terminal as ESC does. */
    bool control = n == 1 ? p[0] < 0x20 || p[0] == 0x7F : n == 2 && p[0] == 0xC2 && p[1] < 0xA0;
    if (n > 0 && !control) {
        memcpy(out, p, n);
        *used_out = n;
        return n;
    }
    *used_out = n > 0 ? n : 1;
    for (size_t i = 0; i < *used_out; i++) {
        out[4 * i] = '\\';
        out[4 * i + 1] = 'x';
        out[4 * i + 2] = hex[p[i] >> 4];
        out[4 * i + 3] = hex[p[i] & 15];
    }
    return 4 * *used_out;
}

enum errc path_escape(struct buf *out, const char *path, size_t len, struct err *err)
{
    const unsigned char *p = (const unsigned char *)path;
    size_t before = out->len;
    for (size_t i = 0, used; i < len; i += used) {
        char unit[UNIT_MAX];
        size_t n = show_unit(p + i, len - i, unit, &used);
        enum errc rc = buf_append(out, unit, n, err);
        if (rc != ERR_OK) {
            out->len = before;
            return rc;
        }
    }
    return ERR_OK;
}

const char *path_show(char *dst, size_t cap, const char *path, size_t len)
{
    static const char dots[] = "...";
    const unsigned char *p = (const unsigned char *)path;
    size_t at = 0, last_fit = 0; /* last_fit: the longest start that leaves room for the dots */
    REQUIRE(cap >= sizeof dots);
    for (size_t i = 0, used; i < len; i += used) {
        char unit[UNIT_MAX];
        size_t n = show_unit(p + i, len - i, unit, &used);
        if (at + n >= cap) {
            memcpy(dst + last_fit, dots, sizeof dots);
            return dst;
        }
        memcpy(dst + at, unit, n);
        at += n;
        if (at + sizeof dots <= cap)
            last_fit = at;
    }
    dst[at] = '\0';
    return dst;
}
