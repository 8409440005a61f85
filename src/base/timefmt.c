#include "base/timefmt.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Calendar arithmetic is done here and not by libc: no locale, no TZ, no lock, and any 64-bit second has a date. */

enum { DAY_SECONDS = 86400, ERA_DAYS = 146097 /* 400 years */ };

struct timestamp time_now(void)
{
    struct timespec ts;
    REQUIRE(clock_gettime(CLOCK_REALTIME, &ts) == 0);
    return (struct timestamp){.sec = ts.tv_sec, .nsec = (uint32_t)ts.tv_nsec};
}

uint64_t monotonic_ns(void)
{
    struct timespec ts;
    REQUIRE(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

struct date {
    int64_t year;
    int month, day; /* from 1 */
};

/* Years are counted from March, so that the leap day is the last of its year; day 0 of era 0 is 0000-03-01. */
static struct date date_from_days(int64_t days)
{
    days += 719468; /* from 1970-01-01 to 0000-03-01 */
    int64_t era = floor_div(days, ERA_DAYS), in_era = days - era * ERA_DAYS;
    int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
    int month = (int)((5 * in_year + 2) / 153); /* 0: March */
    int day = (int)(in_year - (153 * month + 2) / 5) + 1;
    month = month < 10 ? month + 3 : month - 9;
    return (struct date){era * 400 + year + (month <= 2), month, day};
}

static int64_t days_from_date(struct date d)
{
    int64_t year = d.year - (d.month <= 2), era = floor_div(year, 400), in_era = year - era * 400;
    int64_t in_year = (153 * (d.month > 2 ? d.month - 3 : d.month + 9) + 2) / 5 + d.day - 1;
    return era * ERA_DAYS + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

const char *time_format(char dst[TIME_TEXT_BYTES], struct timestamp t)
{
    int64_t days = floor_div(t.sec, DAY_SECONDS);
    unsigned sec = (unsigned)(t.sec % DAY_SECONDS + DAY_SECONDS) % DAY_SECONDS;
    struct date d = date_from_days(days);
    snprintf(dst, TIME_TEXT_BYTES, "%04lld-%02u-%02uT%02u:%02u:%02uZ", (long long)d.year, (unsigned)d.month % 100,
             (unsigned)d.day % 100, sec / 3600, sec / 60 % 60, sec % 60);
    return dst;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Exactly width digits, with a value in low..high. */
static bool take_number(const char **p, int width, int low, int high, int *out)
{
    int v = 0;
    for (int i = 0; i < width; i++, ++*p) {
        if (!is_digit(**p))
            return false;
        v = v * 10 + (**p - '0');
    }
    *out = v;
    return v >= low && v <= high;
}

static bool take_char(const char **p, const char *any_of)
{
    if (**p == '\0' || !strchr(any_of, **p))
        return false;
    ++*p;
    return true;
}

static bool take_date(const char **p, int64_t *days_out)
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!take_number(p, 4, 0, 9999, &year) || !take_char(p, "-") || !take_number(p, 2, 1, 12, &month) ||
        !take_char(p, "-") || !take_number(p, 2, 1, 31, &day))
        return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > month_days[month - 1] + (month == 2 && leap))
        return false;
    *days_out = days_from_date((struct date){year, month, day});
    return true;
}

/* ".5" and so on, as many digits as there are; what is below a nanosecond is cut off. */
static bool take_fraction(const char **p, uint32_t *nsec_out)
{
    uint32_t unit = 100000000;
    *nsec_out = 0;
    if (!take_char(p, "."))
        return true;
    if (!is_digit(**p))
        return false;
    for (; is_digit(**p); ++*p, unit /= 10)
        *nsec_out += unit * (uint32_t)(**p - '0');
    return true;
}

/* "Z", "+02:00" or nothing: seconds east of Greenwich. */
static bool take_offset(const char **p, int *seconds_out)
{
    int hours, minutes;
    char sign = **p;
    *seconds_out = 0;
    if (sign == '\0' || take_char(p, "Zz"))
        return true;
    if (!take_char(p, "+-") || !take_number(p, 2, 0, 23, &hours) || !take_char(p, ":") ||
        !take_number(p, 2, 0, 59, &minutes))
        return false;
    *seconds_out = (hours * 60 + minutes) * (sign == '-' ? -60 : 60);
    return true;
}

static bool parse_time(const char *p, struct timestamp *out)
{
    int64_t days;
    int hour = 0, minute = 0, second = 0, offset = 0;
    struct timestamp t = {0, 0};
    if (!take_date(&p, &days))
        return false;
    if (*p != '\0' && (!take_char(&p, "Tt ") || !take_number(&p, 2, 0, 23, &hour) || !take_char(&p, ":") ||
                       !take_number(&p, 2, 0, 59, &minute) || !take_char(&p, ":") ||
                       !take_number(&p, 2, 0, 60, &second) || !take_fraction(&p, &t.nsec) || !take_offset(&p, &offset)))
        return false;
    t.sec = days * DAY_SECONDS + hour * 3600 + minute * 60 + second - offset;
    if (second == 60 && t.sec % DAY_SECONDS != 0) /* a leap second stands at the end of a UTC day only */
        return false;
    *out = t;
    return *p == '\0';
}

enum errc time_parse(const char *text, struct timestamp *out, struct err *err)
{
    struct timestamp t;
    if (!parse_time(text, &t)) {
        err_fail(err, ERR_USAGE, "'%.64s' is not a time", text);
        err_hint(err, "Write it as 2026-11-21T03:04:05Z, with an offset as 2026-11-21T03:04:05+02:00, or as a date.");
        return ERR_USAGE;
    }
    *out = t;
    return ERR_OK;
}

/* Digits up to the first other byte; false if there are none or the value does not fit. */
static bool take_uint(const char **p, uint64_t *out)
{
    uint64_t v = 0;
    if (!is_digit(**p))
        return false;
    for (; is_digit(**p); ++*p)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(**p - '0'), &v))
            return false;
    *out = v;
    return true;
}

enum errc duration_parse(const char *text, uint64_t *seconds_out, struct err *err)
{
    static const struct {
        const char *name;
        uint64_t seconds;
    } units[] = {{"s", 1},
                 {"min", 60},
                 {"h", 3600},
                 {"d", DAY_SECONDS},
                 {"w", 7 * DAY_SECONDS},
                 {"mo", 30 * DAY_SECONDS},
                 {"y", 365 * DAY_SECONDS}};
    uint64_t total = 0, count, term;
    const char *p = text;
    do {
        if (!take_uint(&p, &count))
            goto bad;
        size_t len = strspn(p, "abcdefghijklmnopqrstuvwxyz"), i = 0;
        while (i < sizeof units / sizeof *units &&
               (strlen(units[i].name) != len || strncmp(units[i].name, p, len) != 0))
            i++;
        if (i == sizeof units / sizeof *units)
            goto bad;
        p += len;
        /* Callers add it to or take it from a signed time. */
        if (__builtin_mul_overflow(count, units[i].seconds, &term) || __builtin_add_overflow(total, term, &total) ||
            total > INT64_MAX)
            goto bad;
    } while (*p != '\0');
    *seconds_out = total;
    return ERR_OK;
bad:
    err_fail(err, ERR_USAGE, "'%.64s' is not a duration", text);
    err_hint(err, "Write it as 30s, 5min, 12h, 7d, 4w, 6mo, 1y or a sum of these, such as 1d12h.");
    return ERR_USAGE;
}

enum errc size_parse(const char *text, uint64_t *bytes_out, struct err *err)
{
    static const char letters[] = "KMGT";
    const char *p = text;
    uint64_t count, unit = 1;
    bool ok = take_uint(&p, &count);
    const char *letter = *p != '\0' ? strchr(letters, *p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p) : NULL;
    if (letter) {
        unit <<= 10 * (letter - letters + 1);
        p++;
    }
    ok = ok && (*p == '\0' || strcmp(p, "B") == 0 || (letter && strcmp(p, "iB") == 0));
    if (!ok || __builtin_mul_overflow(count, unit, &count)) {
        err_fail(err, ERR_USAGE, "'%.64s' is not a size", text);
        err_hint(err, "Write it as 512, 64K, 200M, 5G or 1T; these are powers of 1024.");
        return ERR_USAGE;
    }
    *bytes_out = count;
    return ERR_OK;
}

const char *size_format(char dst[32], uint64_t bytes)
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(dst, 32, "%u B", (unsigned)bytes);
        return dst;
    }
    uint64_t unit = 1024, tenths;
    size_t i = 0;
    for (;; unit *= 1024, i++) {
        tenths = bytes / unit * 10 + (bytes % unit * 10 + unit / 2) / unit;
        if (tenths < 10235 || i + 1 == sizeof names / sizeof *names) /* 1023.5 would be shown as 1024 */
            break;
    }
    if (tenths < 1000)
        snprintf(dst, 32, "%u.%u %s", (unsigned)(tenths / 10), (unsigned)(tenths % 10), names[i]);
    else
        snprintf(dst, 32, "%u %s", (unsigned)((tenths + 5) / 10), names[i]);
    return dst;
}

const char *duration_format(char dst[32], double seconds)
{
    if (!(seconds > 0)) /* NaN too */
        seconds = 0;
    if (seconds > 1e15)
        seconds = 1e15;
    if (seconds < 59.95) {
        snprintf(dst, 32, "%.1f s", seconds);
        return dst;
    }
    unsigned long long whole = (unsigned long long)(seconds + 0.5);
    if (whole < 3600)
        snprintf(dst, 32, "%llu min %02llu s", whole / 60, whole % 60);
    else
        snprintf(dst, 32, "%llu h %02llu min", (whole + 30) / 3600, (whole + 30) / 60 % 60);
    return dst;
}
