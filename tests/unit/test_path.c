#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "base/path.h"

static void expect_absolute(const char *path, const char *want)
{
    char *out;
    struct err err;
    assert_int_equal(path_absolute(path, &out, &err), ERR_OK);
    assert_string_equal(out, want);
    free(out);
}

static void absolute_is_lexical(void **state)
{
    (void)state;
    char *out;
    struct err err;
    expect_absolute("/", "/");
    expect_absolute("///", "/");
    expect_absolute("/.", "/");
    expect_absolute("/..", "/");
    expect_absolute("/../../a", "/a");
    expect_absolute("/a/b/", "/a/b");
    expect_absolute("//a//b//", "/a/b");
    expect_absolute("/a/./b/.", "/a/b");
    expect_absolute("/a/../b", "/b");
    expect_absolute("/a/b/../../c/..", "/");
    expect_absolute("/a/...", "/a/...");
    expect_absolute("/a/..b/.c", "/a/..b/.c");
    expect_absolute("/aa/../b", "/b");
    assert_int_equal(path_absolute("", &out, &err), ERR_USAGE);
    char *cwd = getcwd(NULL, 0);
    char want[4200];
    expect_absolute(".", cwd);
    snprintf(want, sizeof want, "%s%sx/y", cwd, strcmp(cwd, "/") == 0 ? "" : "/");
    expect_absolute("x//./y/", want);
    assert_int_equal(chdir("/"), 0);
    expect_absolute(".", "/");
    expect_absolute("..", "/");
    expect_absolute("x", "/x");
    assert_int_equal(chdir(cwd), 0);
    free(cwd);
}

static void canonical_resolves_all_but_the_last(void **state)
{
    (void)state;
    char dir[] = "/tmp/snap-test-path-XXXXXX", path[128], want[128], *out;
    struct err err;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(mkdir("real", 0700), 0);
    assert_int_equal(symlink("real", "link"), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    static const char *const cases[][2] = {
        {"link/file", "real/file"},       /* the file need not exist */
        {"link", "link"},                 /* the last component stays a link */
        {"link/no/such", "real/no/such"}, /* nor its parents */
        {"real/x/../y", "real/y"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(path_canonical(cases[i][0], &out, &err), ERR_OK);
        snprintf(want, sizeof want, "%s/%s", dir, cases[i][1]);
        assert_string_equal(out, want);
        free(out);
    }
    assert_int_equal(path_canonical("loop/x", &out, &err), ERR_IO);
    assert_int_equal(path_canonical("/", &out, &err), ERR_OK);
    assert_string_equal(out, "/");
    free(out);
    assert_int_equal(path_canonical("/no-such-name/x", &out, &err), ERR_OK);
    assert_string_equal(out, "/no-such-name/x");
    free(out);
    unlink("link");
    unlink("loop");
    rmdir("real");
    assert_int_equal(chdir("/"), 0);
    snprintf(path, sizeof path, "%s", dir);
    assert_int_equal(rmdir(path), 0);
}

static void parts_and_joins(void **state)
{
    (void)state;
    static const char *const parents[][2] = {
        {"/a/b", "/a"}, {"/a", "/"}, {"/", "/"},   {"/a/b/", "/a"},
        {"a/b", "a"},   {"a", "."},  {"//a", "/"}, {"/a//b", "/a"},
    };
    static const char *const joins[][3] = {
        {"/", "a", "/a"}, {"/a", "b", "/a/b"}, {"/a/", "b", "/a/b"}, {"/a/", "/b", "/a/b"}, {"", "b", "b"},
        {"/a", "", "/a"}, {"/", "", "/"},      {"", "", ""},         {"/", "/b/c", "/b/c"}, {"a", "b/c", "a/b/c"},
    };
    char *out;
    struct err err;
    for (size_t i = 0; i < sizeof parents / sizeof *parents; i++) {
        assert_int_equal(path_parent(parents[i][0], &out, &err), ERR_OK);
        assert_string_equal(out, parents[i][1]);
        free(out);
    }
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
        assert_int_equal(path_join(joins[i][0], joins[i][1], &out, &err), ERR_OK);
        assert_string_equal(out, joins[i][2]);
        free(out);
    }
    assert_string_equal(path_base("/a/b"), "b");
    assert_string_equal(path_base("b"), "b");
}

static void within_goes_by_components(void **state)
{
    (void)state;
    assert_true(path_is_within("/a/b", "/a"));
    assert_true(path_is_within("/a", "/a"));
    assert_true(path_is_within("/a", "/a/"));
    assert_true(path_is_within("/a", "/"));
    assert_true(path_is_within("/", "/"));
    assert_true(path_is_within("a/b", ""));
    assert_false(path_is_within("/ab", "/a"));
    assert_false(path_is_within("/a", "/a/b"));
    assert_false(path_is_within("/b", "/a"));
    assert_false(path_is_within("a", "/"));
}

static int compare(const char *a, const char *b)
{
    int forth = path_compare(a, strlen(a), b, strlen(b)), back = path_compare(b, strlen(b), a, strlen(a));
    assert_int_equal(forth, -back);
    return forth;
}

static void order_keeps_a_directory_together(void **state)
{
    (void)state;
    static const char *const sorted[] = {
        "", "a", "a/b", "a/b/c", "a/\xff", "a\x01", "a!", "a-b", "a.b", "a0", "aa", "b", "\x7f", "\x80", "\xff",
    };
    for (size_t i = 0; i < sizeof sorted / sizeof *sorted; i++)
        for (size_t j = 0; j < sizeof sorted / sizeof *sorted; j++)
            assert_int_equal(compare(sorted[i], sorted[j]), (i > j) - (i < j));
    assert_int_equal(path_compare("ab", 1, "ac", 1), 0); /* lengths count, not NULs */
    assert_int_equal(path_compare("a\0b", 3, "a/b", 3), 1);
}

static void safe_relative(void **state)
{
    (void)state;
    static const char *const good[] = {"", "a", "a/b", "...", "..a", ".a", "a..", "a/.../b", "\xff/\n", " "};
    static const char *const bad[] = {"/",    "/a",   "a/",  "a//b",  ".",      "..", "./a",
                                      "../a", "a/..", "a/.", "a/./b", "a/../b", "//", "a/b/.."};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(path_is_safe_relative(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (path_is_safe_relative(bad[i], strlen(bad[i])))
            fail_msg("'%s' was taken for safe", bad[i]);
    assert_false(path_is_safe_relative("a\0b", 3));
    assert_false(path_is_safe_relative("\0", 1));
    assert_true(path_is_safe_relative("a/", 1)); /* the length counts */
}

static void escapes_for_people(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"plain/name 1", "plain/name 1"},
        {"a\nb\tc\\d", "a\\nb\\tc\\\\d"},
        {"\x1b[31m\x7f\r", "\\x1b[31m\\x7f\\x0d"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xe2\x82\xac\xf0\x9f\x98\x80", "\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xff\xfe", "\\xff\\xfe"},
        {"\xc3", "\\xc3"},
        {"\xc3(", "\\xc3("},
        {"\xc0\xaf", "\\xc0\\xaf"},                   /* overlong '/' */
        {"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},          /* the same in three bytes */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* a surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* above U+10FFFF */
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b"
         "31m"}, /* CSI in one character */
        {"\xc2\xa0", "\xc2\xa0"},
    };
    struct buf b;
    struct err err;
    char shown[64];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_init(&b, 1000);
        assert_int_equal(path_escape(&b, cases[i][0], strlen(cases[i][0]), &err), ERR_OK);
        assert_int_equal(buf_terminate(&b, &err), ERR_OK);
        assert_string_equal((char *)b.data, cases[i][1]);
        assert_string_equal(path_show(shown, sizeof shown, cases[i][0], strlen(cases[i][0])), cases[i][1]);
        buf_release(&b);
    }
    assert_string_equal(path_show(shown, sizeof shown, "a\0b", 3), "a\\x00b");
    buf_init(&b, 10);
    assert_int_equal(buf_append(&b, "keep", 4, &err), ERR_OK);
    assert_int_equal(path_escape(&b, "0123456789", 10, &err), ERR_LIMIT);
    assert_int_equal(b.len, 4);
    buf_release(&b);
}

static void show_cuts_between_characters(void **state)
{
    (void)state;
    char dst[64];
    assert_string_equal(path_show(dst, 8, "1234567", 7), "1234567");
    assert_string_equal(path_show(dst, 8, "12345678", 8), "1234...");
    assert_string_equal(path_show(dst, 8, "123\n5678", 8), "123...");
    assert_string_equal(path_show(dst, 8,
                                  "123\xc3\xbc"
                                  "5678",
                                  9),
                        "123...");
    assert_string_equal(path_show(dst, 8,
                                  "12\xc3\xbc"
                                  "5678",
                                  8),
                        "12\xc3\xbc...");
    assert_string_equal(path_show(dst, 4, "1234", 4), "...");
    for (size_t cap = 4; cap < 40; cap++) {
        memset(dst, 'Z', sizeof dst);
        path_show(dst, cap,
                  "a\x1b"
                  "b\xc3\xbc"
                  "c\\d\xff"
                  "efghijklmn",
                  20);
        assert_non_null(memchr(dst, '\0', cap));
        assert_int_equal(dst[cap], 'Z');
    }
}

static const struct {
    const char *pattern, *path;
    bool want;
} matches[] = {
    /* a pattern without a slash: the name of any component */
    {"*.o", "/src/a.o", true},
    {"*.o", "/src/a.c", false},
    {"*.o", "/src/a.o/b.c", true},
    {"*.o", "/src/a.obj", false},
    {"node_modules", "/p/node_modules", true},
    {"node_modules", "/p/node_modules/x/y.js", true},
    {"node_modules", "/p/node_modules2", false},
    {"node_modules", "/p/my_node_modules", false},
    {"?", "/ab/c", true},
    {"?", "/ab/cd", false},
    {"*", "/a", true},
    {"*", "/", false},
    {".*", "/a/.git", true},
    {"*", "/.hidden", true},
    {"a*b*c", "/aXXbYYc", true},
    {"a*b*c", "/aXXbYYcZ", false},
    {"a*b*c", "/abcabc", true},
    {"*aab", "/aaaaaaaab", true},
    /* leading slash: anchored */
    {"/a", "/a", true},
    {"/a", "/a/b/c", true},
    {"/a", "/b/a", false},
    {"/a", "/ab", false},
    {"/a/*", "/a/b", true},
    {"/a/*", "/a", false},
    {"/a/*/c", "/a/b/c", true},
    {"/a/*/c", "/a/b/b/c", false},
    {"/*/b", "/a/b", true},
    {"/*/b", "/a/a/b", false},
    {"/", "/a", true},
    {"/", "/", true},
    /* a slash inside, none in front: components in a row, anywhere */
    {"b/c", "/a/b/c", true},
    {"b/c", "/a/b/c/d", true},
    {"b/c", "/a/b/x/c", false},
    {"b/c", "/a/bb/c", false},
    {"b/c", "/b/b/c", true},
    {"b/*.o", "/a/b/x.o", true},
    {"b/*.o", "/b/c/x.o", false},
    {"a/b/a/c", "/a/b/a/b/a/c", true},
    /* "**": any number of components, none included */
    {"/a/**/z", "/a/z", true},
    {"/a/**/z", "/a/b/z", true},
    {"/a/**/z", "/a/b/c/z", true},
    {"/a/**/z", "/a/b/c/z/y", true},
    {"/a/**/z", "/a/b/c", false},
    {"/a/**/z", "/b/a/z", false},
    {"**/z", "/a/b/z", true},
    {"/**/z", "/z", true},
    {"/a/**", "/a", true},
    {"/a/**", "/a/b/c", true},
    {"/a/**", "/b", false},
    {"/a/**/b/**/c", "/a/x/b/b/y/c", true},
    {"/a/**/b/**/c", "/a/x/c/b", false},
    {"x/**/*.o", "/p/x/q/r.o", true},
    {"a**b", "/aXXb", true}, /* inside a name it is a star */
    {"a**b", "/a/b", false},
    {"/*", "/a", true},
    /* a star does not cross a slash */
    {"/a*c", "/ab/c", false},
    {"/a?c", "/a/c", false},
    {"/a[/]c", "/a/c", false},
    /* classes */
    {"[abc]", "/b", true},
    {"[abc]", "/d", false},
    {"[a-c]x", "/bx", true},
    {"[a-c]x", "/dx", false},
    {"[^a-c]", "/b", false},
    {"[^a-c]", "/d", true},
    {"[!a-c]", "/b", false},
    {"[!a-c]", "/d", true},
    {"[]a]", "/]", true},
    {"[^]a]", "/]", false},
    {"[a-]", "/-", true},
    {"[\\]]", "/]", true},
    {"[a\\-c]", "/b", false},
    {"[a\\-c]", "/-", true},
    {"*[0-9].db", "/x12.db", true},
    {"*[0-9].db", "/x1y.db", false},
    {"[abc", "/[abc", true}, /* never closed: as it stands */
    {"[abc", "/a", false},
    {"x[", "/x[", true},
    /* escapes */
    {"\\*", "/*", true},
    {"\\*", "/a", false},
    {"\\?", "/?", true},
    {"\\[a]", "/[a]", true},
    {"a\\", "/a\\", true},
    /* letters of several bytes are one character; other bytes are one each */
    {"?", "/\xc3\xbc", true},
    {"??", "/\xc3\xbc", false},
    {"[\xc3\xa4-\xc3\xbc]", "/\xc3\xb6", true},
    {"[\xc3\xa4\xc3\xb6]", "/\xc3\xbc", false},
    {"*\xbc", "/\xc3\xbc", false},
    {"?", "/\xff", true},
    {"??", "/\xff\xfe", true},
    {"\xff*", "/\xff\n", true},
    /* slashes and dots that say nothing */
    {"cache/", "/a/cache", true},
    {"cache/", "/a/cache/x", true},
    {"//a//b", "/a/b", true},
    {"./b", "/a/b", true},
    {"/a/./b", "/a/b", true},
    /* nothing matches nothing */
    {"", "/a", false},
    {"", "/", false},
    {".", "/a", false},
    {"A", "/a", false},
    {"a", "/", false},
    {"/a/b", "/a", false},
    {"/a/b/c", "/a/b", false},
};

static void patterns(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++)
        if (path_matches(matches[i].pattern, matches[i].path) != matches[i].want)
            fail_msg("pattern '%s' %s '%s'", matches[i].pattern, matches[i].want ? "misses" : "matches",
                     matches[i].path);
}

/* A pattern that makes a backtracking matcher run for years. */
static void patterns_cost_little(void **state)
{
    (void)state;
    char pattern[2001], path[8003];
    for (size_t i = 0; i < 2000; i += 4)
        memcpy(pattern + i, "a*a*", 4);
    pattern[1999] = 'b';
    pattern[2000] = '\0';
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[8002] = '\0';
    assert_false(path_matches(pattern, path));
    for (size_t i = 0; i < 1998; i += 5)
        memcpy(pattern + i, i % 10 ? "**/a/" : "**/*/", 5);
    memcpy(pattern + 1995, "b", 2);
    for (size_t i = 0; i < 8000; i += 2)
        memcpy(path + i, "/a", 2);
    path[8000] = '\0';
    assert_false(path_matches(pattern, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absolute_is_lexical),
        cmocka_unit_test(canonical_resolves_all_but_the_last),
        cmocka_unit_test(parts_and_joins),
        cmocka_unit_test(within_goes_by_components),
        cmocka_unit_test(order_keeps_a_directory_together),
        cmocka_unit_test(safe_relative),
        cmocka_unit_test(escapes_for_people),
        cmocka_unit_test(show_cuts_between_characters),
        cmocka_unit_test(patterns),
        cmocka_unit_test(patterns_cost_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
