#include "source/vectors/json_runs.h"

#include <endian.h>
#include <string.h>

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
#define HIGH_BITS EACH(0x80)

enum {
    /* Sign, 16 digits, point, 24 digits, "e+dd", and eight bytes beyond what is looked at. */
    NUMBER_MAX_BYTES = 1 + 16 + 1 + 24 + 4,
    SLACK_BYTES = NUMBER_MAX_BYTES + 10,
};

static inline uint64_t load(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return le64toh(w);
}

/* Digits at the start of these eight bytes; what is not '0' in them is put into *nonzero. */
static inline unsigned digits(const uint8_t *p, uint64_t *nonzero)
{
    uint64_t x = load(p) ^ EACH('0');
    /* A sum carries only out of a byte that is no digit, so the lowest mark is right. */
    uint64_t mark = ((x + EACH(0x76)) | x) & HIGH_BITS;
    *nonzero |= x & (((mark & -mark) >> 7) - 1);
    return mark ? (unsigned)__builtin_ctzll(mark) / 8 : 8;
}

/* Behind a number's digits, at most 16 (whole) or 24; NULL when there are none or more. */
static inline const uint8_t *pass_digits(const uint8_t *p, unsigned words, uint64_t *nonzero)
{
    const uint8_t *start = p;
    for (unsigned i = 0; i < words; i++) {
        unsigned n = digits(p, nonzero);
        p += n;
        if (n < 8)
            return p > start ? p : NULL;
    }
    return NULL;
}

/* Behind "e-7": one or two digits, which cannot overflow what pass_digits lets through. */
static const uint8_t *pass_exponent(const uint8_t *p)
{
    p++;
    p += *p == '+' || *p == '-';
    if (!json_is_digit(*p))
        return NULL;
    p++;
    p += json_is_digit(*p);
    return json_is_digit(*p) ? NULL : p;
}

static inline const uint8_t *pass_number(const uint8_t *p, uint64_t *nonzero, bool *fraction)
{
    p += *p == '-';
    if (*p == '0')
        p++;
    else if (!(p = pass_digits(p, 2, nonzero)))
        return NULL;
    if (*p == '.') {
        *fraction = true;
        if (!(p = pass_digits(p + 1, 3, nonzero)))
            return NULL;
    }
    if ((*p | 0x20) == 'e') {
        *fraction = true;
        return pass_exponent(p);
    }
    return p;
}

const uint8_t *json_run_numbers(const uint8_t *p, const uint8_t *end, struct json_run *run)
{
    uint64_t nonzero = 0;
    int64_t count = 0;
    bool comma = false, fraction = false;
    while (end - p >= SLACK_BYTES) {
        uint64_t seen = 0;
        bool point = false;
        const uint8_t *q = pass_number(p, &seen, &point);
        if (!q || json_is_digit(*q))
            break;
        nonzero |= seen;
        fraction |= point;
        count++;
        p = q;
        comma = *p == ',';
        if (!comma)
            break;
        p++;
        while (p < end && json_is_space(*p))
            p++;
    }
    *run = (struct json_run){.count = count, .nonzero = nonzero, .fraction = fraction, .comma = comma};
    return p;
}

const uint8_t *json_run_text(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 8) {
        uint64_t w = load(p), quote = w ^ EACH('"'), slash = w ^ EACH('\\');
        /* A byte that is zero, or below ' ', borrows; borrows run upwards, so the lowest mark is right. */
        uint64_t mark = ((quote - EACH(1)) & ~quote) | ((slash - EACH(1)) & ~slash) | ((w - EACH(' ')) & ~w) | w;
        mark &= HIGH_BITS;
        if (mark)
            return p + __builtin_ctzll(mark) / 8;
        p += 8;
    }
    while (p < end && *p >= ' ' && *p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

static inline bool follows(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

static inline bool is_three(const uint8_t *p)
{
    return (p[0] & 0xf0) == 0xe0 && follows(p[1]) && follows(p[2]) && !(p[0] == 0xe0 && p[1] < 0xa0) &&
           !(p[0] == 0xed && p[1] > 0x9f);
}

static inline bool is_four(const uint8_t *p)
{
    return p[0] >= 0xf0 && p[0] <= 0xf4 && follows(p[1]) && follows(p[2]) && follows(p[3]) &&
           !(p[0] == 0xf0 && p[1] < 0x90) && !(p[0] == 0xf4 && p[1] > 0x8f);
}

const uint8_t *json_run_characters(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 4) {
        if (is_three(p))
            p += 3;
        else if (p[0] >= 0xc2 && p[0] <= 0xdf && follows(p[1]))
            p += 2;
        else if (is_four(p))
            p += 4;
        else
            break;
    }
    return p;
}
