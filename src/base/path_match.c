/* Exclude patterns. Both levels, components of a path and characters of a name, are matched by going back to the last
 * star only, so no pattern takes more than (pattern length x path length) steps. */
#include "base/path.h"

#include <string.h>

struct part {
    const char *p;
    size_t len;
};

/* The next component at *at that is neither empty nor ".", false at the end. */
static bool next_part(const char **at, struct part *out)
{
    for (;;) {
        while (**at == '/')
            ++*at;
        if (**at == '\0')
            return false;
        *out = (struct part){*at, strcspn(*at, "/")};
        *at += out->len;
        if (out->len != 1 || out->p[0] != '.')
            return true;
    }
}

/* Bytes of one character: a whole UTF-8 sequence where there is one, so that '?' is a letter and not a half. */
static size_t char_len(const char *p, const char *end)
{
    unsigned char c = (unsigned char)*p;
    size_t n = c < 0xC2 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 1;
    if (n > (size_t)(end - p))
        return 1;
    for (size_t i = 1; i < n; i++)
        if (((unsigned char)p[i] & 0xC0) != 0x80)
            return 1;
    return n;
}

/* Characters as numbers that keep their order: the bytes, most significant first. */
static unsigned long char_value(const char *p, size_t n)
{
    unsigned long v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

/* Take one character of a class, a backslash before it taken off. */
static unsigned long class_char(const char **p, const char *end)
{
    if (**p == '\\' && *p + 1 < end)
        ++*p;
    size_t n = char_len(*p, end);
    unsigned long v = char_value(*p, n);
    *p += n;
    return v;
}

/* Match the class that starts at p, behind its '['. Returns what follows its ']', NULL if it never ends. */
static const char *match_class(const char *p, const char *end, unsigned long c, bool *hit_out)
{
    bool negated = p < end && (*p == '^' || *p == '!'), hit = false;
    if (negated)
        p++;
    for (bool first = true; p < end && (first || *p != ']'); first = false) {
        unsigned long low = class_char(&p, end), high = low;
        if (end - p >= 2 && p[0] == '-' && p[1] != ']') {
            p++;
            high = class_char(&p, end);
        }
        hit = hit || (low <= c && c <= high);
    }
    *hit_out = hit != negated;
    return p < end ? p + 1 : NULL;
}

/* Match the one-character pattern element at *p against the n bytes at s; on a match *p moves behind the element. */
static bool match_one(const char **p, const char *end, const char *s, size_t n)
{
    const char *at = *p;
    if (*at == '?') {
        *p = at + 1;
        return true;
    }
    if (*at == '[') {
        bool hit;
        const char *behind = match_class(at + 1, end, char_value(s, n), &hit);
        if (behind) {
            *p = hit ? behind : at;
            return hit;
        } /* without a ']' it is a '[' like any other character */
    }
    if (*at == '\\' && at + 1 < end)
        at++;
    size_t want = char_len(at, end);
    if (want != n || memcmp(at, s, n) != 0)
        return false;
    *p = at + n;
    return true;
}

static bool match_name(struct part pattern, struct part name)
{
    const char *p = pattern.p, *end = p + pattern.len, *s = name.p, *s_end = s + name.len;
    const char *star = NULL, *resume = NULL; /* behind the last '*', and where what follows it was tried last */
    while (s < s_end) {
        if (p < end && *p == '*') {
            star = ++p;
            resume = s;
            continue;
        }
        size_t n = char_len(s, s_end);
        if (p < end && match_one(&p, end, s, n)) {
            s += n;
            continue;
        }
        if (!star)
            return false;
        p = star;
        resume += char_len(resume, s_end);
        s = resume;
    }
    while (p < end && *p == '*')
        p++;
    return p == end;
}

static bool is_double_star(struct part part)
{
    return part.len == 2 && part.p[0] == '*' && part.p[1] == '*';
}

bool path_matches(const char *pattern, const char *abs_path)
{
    const char *p = pattern, *s = abs_path;
    const char *star = NULL, *resume = NULL;
    struct part want, name;
    if (pattern[0] != '/') { /* not anchored: as if "**" stood before it */
        const char *peek = pattern;
        if (!next_part(&peek, &want))
            return false; /* an empty pattern excludes nothing */
        star = p;
        resume = s;
    }
    for (;;) {
        if (!next_part(&p, &want))
            return true; /* all matched: this entry, or a directory that it is in */
        if (is_double_star(want)) {
            star = p;
            resume = s;
            continue;
        }
        if (next_part(&s, &name) && match_name(want, name))
            continue;
        if (!star || !next_part(&resume, &name))
            return false;
        p = star;
        s = resume;
    }
}
