#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/timefmt.h"

static void times_are_parsed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t sec;
        uint32_t nsec;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0, 0},
        {"1970-01-01", 0, 0},
        {"2026-11-21T03:04:05Z", 1795230245, 0},
        {"2026-11-21t03:04:05z", 1795230245, 0},
        {"2026-11-21 03:04:05", 1795230245, 0},
        {"2026-11-21T03:04:05", 1795230245, 0},
        {"2026-11-21", 1795219200, 0},
        {"2026-11-21T05:04:05+02:00", 1795230245, 0},
        {"2026-11-20T21:34:05-05:30", 1795230245, 0},
        {"2026-11-21 03:04:05+00:00", 1795230245, 0},
        {"2026-11-21T03:04:05-00:00", 1795230245, 0},
        {"2026-11-21T03:04:05.5Z", 1795230245, 500000000},
        {"2026-11-21T03:04:05.000000001Z", 1795230245, 1},
        {"2026-11-21T03:04:05.1234567899999Z", 1795230245, 123456789},
        {"1969-12-31T23:59:59.25Z", -1, 250000000},
        {"2000-02-29", 951782400, 0},
        {"2024-02-29", 1709164800, 0},
        {"0000-01-01", -62167219200, 0},
        {"0000-03-01", -62162035200, 0},
        {"9999-12-31T23:59:59Z", 253402300799, 0},
        {"2016-12-31T23:59:60Z", 1483228800, 0}, /* a leap second */
        {"2017-01-01T01:59:60+02:00", 1483228800, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct timestamp t;
        struct err err;
        if (time_parse(cases[i].text, &t, &err) != ERR_OK)
            fail_msg("%s: %s", cases[i].text, err.message);
        if (t.sec != cases[i].sec || t.nsec != cases[i].nsec)
            fail_msg("%s: read as %lld.%09u", cases[i].text, (long long)t.sec, (unsigned)t.nsec);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "now",
        "2026",
        "2026-11",
        "2026-11-21T",
        "2026-11-21 ",
        "2026-11-21Z",
        "2026-11-21T03:04",
        "2026-11-21T03:04Z",
        "2026-13-01",
        "2026-00-01",
        "2026-11-00",
        "2026-11-31",
        "2026-02-29",
        "1900-02-29",
        "2100-02-29",
        "2026-11-21T24:00:00Z",
        "2026-11-21T23:60:00Z",
        "2026-11-21T23:59:61Z",
        "2026-11-21T03:04:60Z",
        "2026-11-21T03:04:05.Z",
        "2026-11-21T03:04:05,5Z",
        "2026-11-21T03:04:05+0200",
        "2026-11-21T03:04:05+2:00",
        "2026-11-21T03:04:05+24:00",
        "2026-11-21T03:04:05+02:60",
        "2026-11-21T03:04:05Zx",
        "2026-11-21T03:04:05Z ",
        " 2026-11-21",
        "26-11-21",
        "+2026-11-21",
        "-001-11-21",
        "2026-1-21",
        "2026/11/21",
        "2026-11-21T3:04:05Z",
        "12026-11-21",
        "2026-11-21T03:04:05+02:00:00",
        "2026-11-21T-3:04:05Z",
        "1795230245",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct timestamp t = {77, 77};
        struct err err;
        if (time_parse(bad[i], &t, &err) != ERR_USAGE)
            fail_msg("'%s' was taken for a time", bad[i]);
        assert_int_equal(err.code, ERR_USAGE);
        assert_true(err.hint[0] != '\0');
        assert_int_equal(t.sec, 77);
    }
}

static void expect_format(int64_t sec, const char *want)
{
    char dst[TIME_TEXT_BYTES];
    assert_string_equal(time_format(dst, (struct timestamp){sec, 999999999}), want);
}

static void times_are_written(void **state)
{
    (void)state;
    expect_format(0, "1970-01-01T00:00:00Z");
    expect_format(1795230245, "2026-11-21T03:04:05Z");
    expect_format(-1, "1969-12-31T23:59:59Z");
    expect_format(951782400, "2000-02-29T00:00:00Z");
    expect_format(-62167219200, "0000-01-01T00:00:00Z");
    expect_format(253402300799, "9999-12-31T23:59:59Z");
    expect_format(253402300800, "10000-01-01T00:00:00Z");
    /* what a hostile record may hold */
    expect_format(INT64_MAX, "292277026596-12-04T15:30:07Z");
    expect_format(INT64_MIN, "-292277022657-01-27T08:29:52Z");
}

/* Against libc, over every day of a few centuries and a stride through the rest. */
static void dates_agree_with_libc(void **state)
{
    (void)state;
    char ours[TIME_TEXT_BYTES], theirs[TIME_TEXT_BYTES];
    for (int64_t day = -719528; day<2932896; day += day> - 10000 && day < 90000 ? 1 : 13) {
        time_t sec = day * 86400 + (day * 7919 % 86400 + 86400) % 86400;
        struct tm tm;
        struct timestamp back;
        struct err err;
        assert_non_null(gmtime_r(&sec, &tm));
        snprintf(theirs, sizeof theirs, "%04d-%02u-%02uT%02u:%02u:%02uZ", tm.tm_year + 1900,
                 (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
                 (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
        time_format(ours, (struct timestamp){sec, 0});
        assert_string_equal(ours, theirs);
        assert_int_equal(time_parse(ours, &back, &err), ERR_OK);
        assert_true(back.sec == sec);
    }
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t seconds;
    } cases[] = {
        {"0s", 0},
        {"30s", 30},
        {"5min", 300},
        {"12h", 43200},
        {"7d", 604800},
        {"4w", 2419200},
        {"6mo", 15552000},
        {"1y", 31536000},
        {"1d12h", 129600},
        {"1h30min15s", 5415},
        {"1min1mo", 2592060},
        {"007s", 7},
        {"9223372036854775807s", INT64_MAX},
    };
    static const char *const bad[] = {
        "",
        "5",
        "0",
        "m",
        "5m",
        "5 min",
        "-5s",
        "+5s",
        "5S",
        "5sec",
        "5mins",
        "h",
        "1d12",
        "1d 12h",
        "1.5h",
        "5min ",
        " 5s",
        "9223372036854775808s",
        "18446744073709551616s",
        "99999999999999999999999y",
        "9223372036854775807s1s",
        "292471208678y",
        "5moo",
        "5x",
        "1dd",
        "\xc2\xb5s",
    };
    struct err err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t got = 77;
        if (duration_parse(cases[i].text, &got, &err) != ERR_OK)
            fail_msg("%s: %s", cases[i].text, err.message);
        assert_true(got == cases[i].seconds);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t got = 77;
        if (duration_parse(bad[i], &got, &err) != ERR_USAGE)
            fail_msg("'%s' was taken for a duration", bad[i]);
        assert_true(got == 77);
    }
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        {"0", 0},
        {"512", 512},
        {"512B", 512},
        {"64K", 65536},
        {"64k", 65536},
        {"64KB", 65536},
        {"64KiB", 65536},
        {"5G", 5368709120},
        {"1T", 1099511627776},
        {"3MiB", 3145728},
        {"16777215T", UINT64_C(16777215) << 40},
        {"18446744073709551615", UINT64_MAX},
    };
    static const char *const bad[] = {
        "",
        "K",
        "B",
        "5iB",
        "5X",
        "5KK",
        "5Ki",
        "5 K",
        "-5",
        "+5",
        "1.5G",
        "5Kb",
        "0x10",
        "5P",
        " 5",
        "5 ",
        "18446744073709551616",
        "16777216T",
        "18446744073709551615K",
    };
    struct err err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t got = 77;
        if (size_parse(cases[i].text, &got, &err) != ERR_OK)
            fail_msg("%s: %s", cases[i].text, err.message);
        assert_true(got == cases[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t got = 77;
        if (size_parse(bad[i], &got, &err) != ERR_USAGE)
            fail_msg("'%s' was taken for a size", bad[i]);
        assert_true(got == 77);
    }
}

static void sizes_are_written(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *want;
    } cases[] =
        {
            {0, "0 B"},           {12, "12 B"},          {1023, "1023 B"},         {1024, "1.0 KiB"},
            {1536, "1.5 KiB"},    {102399, "100 KiB"},   {750780416, "716 MiB"},   {1503238554, "1.4 GiB"},
            {1048575, "1.0 MiB"}, /* not "1024 KiB" */
            {1048166, "1.0 MiB"}, {1047552, "1023 KiB"}, {UINT64_MAX, "16.0 EiB"},
        };
    char dst[32];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(size_format(dst, cases[i].bytes), cases[i].want);
}

static void durations_are_written(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *want;
    } cases[] = {
        {0, "0.0 s"},         {3.2, "3.2 s"},          {59.94, "59.9 s"},      {59.96, "1 min 00 s"},
        {245, "4 min 05 s"},  {3599.4, "59 min 59 s"}, {3599.6, "1 h 00 min"}, {7800, "2 h 10 min"},
        {7500, "2 h 05 min"}, {7199, "2 h 00 min"},    {-5, "0.0 s"},          {360000, "100 h 00 min"},
    };
    char dst[32];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(duration_format(dst, cases[i].seconds), cases[i].want);
    assert_string_equal(duration_format(dst, (double)NAN), "0.0 s");
    duration_format(dst, (double)INFINITY);
    assert_true(strlen(dst) < sizeof dst);
}

static void clocks(void **state)
{
    (void)state;
    struct timestamp t = time_now();
    uint64_t a = monotonic_ns(), b = monotonic_ns();
    assert_true(t.sec > 1700000000 && t.nsec < 1000000000);
    assert_true(b >= a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_parsed),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(times_are_written),
        cmocka_unit_test(dates_agree_with_libc),
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(sizes_are_written),
        cmocka_unit_test(durations_are_written),
        cmocka_unit_test(clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
