#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/options.h"

enum { ARGS_MAX = 16 };

/* Words with blanks between; parsed strings borrow from the static copy. */
static enum errc parse(const char *line, struct parsed *p, struct err *err)
{
    static char text[400];
    char *argv[ARGS_MAX + 1] = {text}, *save = NULL;
    int argc = 0;
    snprintf(text, sizeof text, "snap %s", line);
    for (char *word = strtok_r(text, " ", &save); word && argc < ARGS_MAX; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    argv[argc] = NULL;
    return options_parse(argc, argv, p, err);
}

static void parses(const char *line, struct parsed *p)
{
    struct err err;
    enum errc rc = parse(line, p, &err);
    if (rc != ERR_OK)
        fail_msg("'%s': %s", line, err.message);
}

static void refused(const char *line, const char *word)
{
    struct parsed p;
    struct err err;
    assert_int_equal(parse(line, &p, &err), ERR_USAGE);
    if (!strstr(err.message, word) && !strstr(err.hint, word))
        fail_msg("'%s': neither '%s' nor '%s' holds '%s'", line, err.message, err.hint, word);
    options_release(&p);
}

static void forms_of_values(void **state)
{
    (void)state;
    static const char *const lines[] = {"--repo /r list", "--repo=/r list", "-r /r list",   "-r/r list",
                                        "list --repo /r", "list -r /r",     "-qvr /r list", "list -vqr/r"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct parsed p;
        parses(lines[i], &p);
        assert_string_equal(p.verb->name, "list");
        assert_string_equal(opt_last(&p, OPT_REPO), "/r");
        assert_int_equal(p.arg_count, 0);
        options_release(&p);
    }
}

static void an_empty_value_is_a_value(void **state)
{
    (void)state;
    struct parsed p;
    parses("list --set=", &p);
    assert_string_equal(opt_last(&p, OPT_SET), "");
    options_release(&p);
}

static void repeated_values_keep_their_order(void **state)
{
    (void)state;
    struct parsed p;
    parses("backup --tag a x --tag=b y --tag c", &p);
    assert_int_equal(p.counts[OPT_TAG], 3);
    assert_string_equal(p.values[OPT_TAG][0], "a");
    assert_string_equal(p.values[OPT_TAG][2], "c");
    assert_string_equal(opt_last(&p, OPT_TAG), "c");
    assert_int_equal(p.arg_count, 2);
    assert_string_equal(p.args[1], "y");
    options_release(&p);
}

static void double_dash_ends_options(void **state)
{
    (void)state;
    struct parsed p;
    parses("backup -- --tag -x --", &p);
    assert_int_equal(p.arg_count, 3);
    assert_string_equal(p.args[0], "--tag");
    assert_string_equal(p.args[2], "--");
    options_release(&p);
}

static void a_single_dash_is_an_argument(void **state)
{
    (void)state;
    struct parsed p;
    parses("backup -", &p);
    assert_string_equal(p.args[0], "-");
    options_release(&p);
}

static void wrong_lines_are_refused(void **state)
{
    (void)state;
    refused("", "no command");
    refused("lsit", "list");
    refused("resotre x", "restore");
    refused("zzzzzz", "zzzzzz");
    refused("list --kidn backup", "--kind");
    refused("--tag x backup", "--tag");
    refused("list --tag", "needs a value");
    refused("list -r", "needs a value");
    refused("list --deleted=1", "takes no value");
    refused("list -Z", "-Z");
    refused("list extra", "extra");
    refused("diff a", "ID ID");
    refused("diff a b c", "c");
    refused("forget", "ID");
}

static void nearest_is_near(void **state)
{
    (void)state;
    static const char *const names[] = {"backup", "restore", "verify", "version", NULL};
    assert_string_equal(nearest_name("bakcup", names), "backup");
    assert_string_equal(nearest_name("verfy", names), "verify");
    assert_string_equal(nearest_name("rest", names), "restore");
    assert_null(nearest_name("status", names));
    assert_null(nearest_name("prune", names));
    assert_null(nearest_name("", names));
    assert_null(nearest_name("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", names));
}

static void json_is_known_before_an_error(void **state)
{
    (void)state;
    struct parsed p;
    struct err err;
    assert_int_equal(parse("nonsense --json", &p, &err), ERR_USAGE);
    assert_true(p.json);
    options_release(&p);
    setenv("SNAP_JSON", "1", 1);
    assert_int_equal(parse("nonsense", &p, &err), ERR_USAGE);
    assert_true(p.json);
    options_release(&p);
    setenv("SNAP_JSON", "on", 1);
    refused("list", "SNAP_JSON");
    unsetenv("SNAP_JSON");
}

static void numbers(void **state)
{
    (void)state;
    struct err err;
    size_t n = 0;
    assert_int_equal(opt_number("--last", "7", 10, &n, &err), ERR_OK);
    assert_int_equal(n, 7);
    static const char *const bad[] = {"0", "11", "-1", "x", "", "1x", "99999999999999999999999", " 1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(opt_number("--last", bad[i], 10, &n, &err), ERR_USAGE);
}

static void words(void **state)
{
    (void)state;
    struct parsed p;
    struct err err;
    size_t i = 9;
    parses("restore abcd --forensic aside", &p);
    assert_int_equal(opt_word(&p, OPT_FORENSIC, 0, &i, &err), ERR_OK);
    assert_int_equal(i, 1);
    options_release(&p);
    parses("restore abcd", &p);
    assert_int_equal(opt_word(&p, OPT_FORENSIC, 0, &i, &err), ERR_OK);
    assert_int_equal(i, 0);
    options_release(&p);
    parses("restore abcd --forensic asid", &p);
    assert_int_equal(opt_word(&p, OPT_FORENSIC, 0, &i, &err), ERR_USAGE);
    assert_non_null(strstr(err.message, "copy|aside|none"));
    options_release(&p);
}

/* What parsing, help and completion rely on. */
static void the_table_is_sound(void **state)
{
    (void)state;
    for (enum opt_id a = 0; a < OPT_COUNT; a++) {
        const struct opt_def *d = opt_def(a);
        assert_non_null(d->name);
        assert_non_null(d->help);
        assert_int_equal(d->kind == VALUE_NONE, d->metavar == NULL);
        for (enum opt_id b = 0; b < a; b++) {
            assert_string_not_equal(d->name, opt_def(b)->name);
            assert_true(d->letter == 0 || d->letter != opt_def(b)->letter);
        }
    }
    const struct verb *v;
    for (size_t i = 0; (v = verb_at(i)) != NULL; i++) {
        assert_non_null(v->run);
        assert_true(v->min_args <= v->max_args);
        assert_ptr_equal(verb_find(v->name), v);
        if (v->alias)
            assert_ptr_equal(verb_find(v->alias), v);
    }
    assert_null(verb_find("prune"));
    assert_null(verb_find("__sqlite"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_of_values),
        cmocka_unit_test(an_empty_value_is_a_value),
        cmocka_unit_test(repeated_values_keep_their_order),
        cmocka_unit_test(double_dash_ends_options),
        cmocka_unit_test(a_single_dash_is_an_argument),
        cmocka_unit_test(wrong_lines_are_refused),
        cmocka_unit_test(nearest_is_near),
        cmocka_unit_test(json_is_known_before_an_error),
        cmocka_unit_test(numbers),
        cmocka_unit_test(words),
        cmocka_unit_test(the_table_is_sound),
    };
    unsetenv("SNAP_JSON");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
