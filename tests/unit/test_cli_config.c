#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/sets.h"

static char file[64];

static enum errc read_text(const char *text, struct config *c, struct err *err)
{
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    return config_read(file, c, err);
}

static void refused(const char *text, int line, const char *word)
{
    struct config c;
    struct err err;
    char where[100];
    assert_int_equal(read_text(text, &c, &err), ERR_CONFIG);
    snprintf(where, sizeof where, "%s:%d: ", file, line);
    if (strncmp(err.message, where, strlen(where)) != 0 || !strstr(err.message, word))
        fail_msg("'%s' does not begin with '%s' and hold '%s'", err.message, where, word);
    config_release(&c);
}

static const char whole[] = "\xEF\xBB\xBF# head\n"
                            "[repository]\n"
                            "path = /r ; the place\n"
                            "key-file = /k#1\n"
                            "\n"
                            "[source db]\n"
                            "type = sqlite\n"
                            "path = /srv/a b/app.db\n"
                            "checkpoint = passive\n"
                            "[ source tree ]\n"
                            "path: /srv/tree\n"
                            "exclude = *.tmp   *.log\n"
                            "exclude = cache\n"
                            "one-file-system = yes\n"
                            "[set app]\n"
                            "sources = db\n"
                            "  tree\n";

static void all_is_read(void **state)
{
    (void)state;
    struct config c;
    struct err err;
    enum errc rc = read_text(whole, &c, &err);
    if (rc != ERR_OK)
        fail_msg("%s", err.message);
    assert_string_equal(c.repository, "/r");
    assert_string_equal(c.key_file, "/k#1");
    assert_int_equal(c.source_count, 2);
    assert_string_equal(c.sources[0].path, "/srv/a b/app.db");
    assert_int_equal(c.sources[0].type, ITEM_SQLITE);
    assert_false(c.sources[0].detect);
    assert_int_equal(c.sources[0].checkpoint, CHECKPOINT_PASSIVE);
    assert_string_equal(c.sources[1].name, "tree");
    assert_true(c.sources[1].detect);
    assert_true(c.sources[1].one_file_system);
    assert_false(c.sources[1].exclude_caches);
    assert_int_equal(c.sources[1].exclude.count, 3);
    assert_string_equal(c.sources[1].exclude.items[2], "cache");
    assert_int_equal(c.set_count, 1);
    assert_int_equal(c.sets[0].sources.count, 2);
    assert_string_equal(c.sets[0].sources.items[1], "tree");
    config_release(&c);
}

static void an_empty_file_is_fine(void **state)
{
    (void)state;
    struct config c;
    struct err err;
    assert_int_equal(read_text("", &c, &err), ERR_OK);
    config_release(&c);
    assert_int_equal(read_text("; only\n\n# comments\n", &c, &err), ERR_OK);
    config_release(&c);
}

static void cf1_nothing_is_accepted_and_ignored(void **state)
{
    (void)state;
    refused("x = 1\n", 1, "section");
    refused("[repository]\nfoo = 1\n", 2, "'foo'");
    refused("[repository]\n\n;\nPath = /x\n", 4, "'Path'");
    refused("[repo]\n", 1, "repo");
    refused("\n[nothing here]\n", 2, "nothing here");
    refused("[source]\n", 1, "NAME");
    refused("[source a b]\n", 1, "one word");
    refused("[source a:b]\n", 1, "one word");
    refused("[repository]\npath = /a\npath = /b\n", 3, "twice");
    refused("[repository]\npath = /a\n   /b\n", 3, "twice");
    refused("[repository]\npath = rel\n", 2, "absolute");
    refused("[repository]\npath =\n", 2, "no value");
    refused("[source a]\npath = /a\ntype = qdrant\n", 3, "unknown type");
    refused("[source a]\npath = /a\ndimension = 0\n", 3, "'dimension' is a number from 1");
    refused("[source a]\npath = /a\ndimension = 768d\n", 3, "'dimension' is a number from 1");
    refused("[source a]\npath = /a\ndimension = 1000001\n", 3, "'dimension' is a number from 1");
    refused("[source a]\npath = /a\ndimension = 768\ndimension = 768\n", 4, "twice");
    refused("[source a]\npath = /a\ntype = sqlite\ndimensions = 768\n", 4, "unknown key");
    refused("[source a]\npath = /a\ncheckpoint = restart\n", 3, "none, passive, truncate");
    refused("[source a]\npath = /a\nexclude-caches = 1\n", 3, "yes");
    refused("[source a]\ntype = sqlite\n", 1, "no path");
    refused("[source a]\npath = /a\n[source a]\n", 3, "twice");
    refused("[source a]\npath = /a\n[set s]\nsources = a b\n", 3, "'b'");
    refused("[set s]\n\n", 1, "no sources");
    refused("[set s]\nsources =\n", 2, "no value");
    refused("[repository\n", 1, "']'");
    refused("[repository]\nno equals sign\n", 2, "key = value");
    refused("[repository]\npath = /x\n [source a]\n", 3, "start of its line");
}

static void long_lines_are_not_cut(void **state)
{
    (void)state;
    char text[600];
    for (size_t n = 150; n < 260; n++) {
        struct config c;
        struct err err;
        char path[300] = "/";
        memset(path + 1, 'p', n);
        path[n + 1] = '\0';
        snprintf(text, sizeof text, "[repository]\npath = %s\n", path);
        enum errc rc = read_text(text, &c, &err);
        if (rc == ERR_OK)
            assert_string_equal(c.repository, path);
        else
            assert_non_null(strstr(err.message, ":2: "));
        config_release(&c);
    }
    char key[200];
    memset(key, 'k', 120);
    key[120] = '\0';
    snprintf(text, sizeof text, "[repository]\n%s = 1\n", key);
    refused(text, 2, "");
}

static void a_file_that_cannot_be_read(void **state)
{
    (void)state;
    struct config c;
    struct err err;
    assert_int_equal(config_read("/nonexistent/snap.conf", &c, &err), ERR_CONFIG);
    config_release(&c);
}

static void plan(const char *const *args, size_t count, const char *sets_wanted, enum errc want)
{
    struct config c;
    struct parsed p;
    struct backup_plan made;
    struct err err;
    char *argv[12] = {NULL}, got[200] = "";
    argv[0] = strdup("snap");
    for (size_t i = 0; i < count; i++)
        argv[i + 1] = strdup(args[i]);
    assert_int_equal(read_text("[source a]\npath = /a\nexclude = x\n[source b]\npath = /b\n[source c]\npath = /c\n"
                               "[set s]\nsources = a b\n",
                               &c, &err),
                     ERR_OK);
    assert_int_equal(options_parse((int)count + 1, argv, &p, &err), ERR_OK);
    assert_int_equal(backup_plan_make(&c, &p, &made, &err), want);
    for (size_t i = 0; want == ERR_OK && i < made.count; i++) {
        size_t used = strlen(got);
        snprintf(got + used, sizeof got - used, "%s:", made.sets[i].spec.name ? made.sets[i].spec.name : "");
        for (size_t k = 0; k < made.sets[i].spec.source_count; k++) {
            const struct source_spec *s = &made.sets[i].spec.sources[k];
            used = strlen(got);
            snprintf(got + used, sizeof got - used, "%s%zu ", s->name, s->exclude_count);
        }
    }
    if (want == ERR_OK)
        assert_string_equal(got, sets_wanted);
    backup_plan_release(&made);
    options_release(&p);
    config_release(&c);
    for (size_t i = 0; i <= count; i++)
        free(argv[i]);
}
#define PLAN(want, sets, ...) \
    plan((const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), sets, want)

static void what_is_backed_up(void **state)
{
    (void)state;
    PLAN(ERR_OK, "s:a1 b0 c:c0 ", "backup");
    PLAN(ERR_OK, "s:a2 b1 c:c1 ", "backup", "-e", "y");
    PLAN(ERR_OK, "s:a1 b0 ", "backup", "--set", "s", "--set", "s");
    PLAN(ERR_OK, "c:c0 ", "backup", "--set", "c");
    PLAN(ERR_OK, "a:a1 ", "backup", "--source", "a");
    PLAN(ERR_OK, "b:b0 a:a1 ", "backup", "--source", "b", "--source", "a", "--source", "b");
    PLAN(ERR_OK, ":/x0 /y0 ", "backup", "/x", "/y/", "/x/../x");
    PLAN(ERR_OK, "n:/x1 ", "backup", "/x", "--set", "n", "-e", "p");
    PLAN(ERR_USAGE, "", "backup", "--set", "a");
    PLAN(ERR_USAGE, "", "backup", "--set", "none");
    PLAN(ERR_USAGE, "", "backup", "--source", "none");
    PLAN(ERR_USAGE, "", "backup", "--set", "s", "--source", "c");
    PLAN(ERR_USAGE, "", "backup", "/x", "--source", "a");
    PLAN(ERR_USAGE, "", "backup", "/x", "--set", "m", "--set", "n");
}

static int make_file(void **state)
{
    (void)state;
    strcpy(file, "/tmp/snap-config-XXXXXX");
    int fd = mkstemp(file);
    if (fd >= 0)
        close(fd);
    return fd < 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_read),
        cmocka_unit_test(an_empty_file_is_fine),
        cmocka_unit_test(cf1_nothing_is_accepted_and_ignored),
        cmocka_unit_test(long_lines_are_not_cut),
        cmocka_unit_test(a_file_that_cannot_be_read),
        cmocka_unit_test(what_is_backed_up),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
