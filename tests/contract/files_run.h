/* Running files_capture in tests. */
#ifndef SNAP_TESTS_FILES_RUN_H
#define SNAP_TESTS_FILES_RUN_H

#include "base/io.h"
#include "fake_sink.h"
#include "source/source.h"
#include "tree.h"

/* A capture that has to succeed. *r may be NULL. */
static inline struct fake_sink *run_with(const struct tree *t, const struct fake_sink *before,
                                         const struct capture_options *opt, struct capture_result *r)
{
    struct fake_sink *f = fake_new(before);
    struct capture_result result;
    struct err err = {.code = ERR_OK};
    if (files_capture(t->root, &f->sink, opt, &result, &err) != ERR_OK)
        fail_msg("files_capture: %s", err.message);
    fact_list_release(&result.facts);
    if (r)
        *r = result;
    assert_int_equal(result.entries, f->count);
    assert_false(f->open);
    return f;
}

static inline struct fake_sink *run(const struct tree *t)
{
    struct capture_options opt = {.diag = NULL};
    return run_with(t, NULL, &opt, NULL);
}

/* A look so late that all times lie well before it. */
static inline struct timestamp late_look(void)
{
    struct timestamp t = time_now();
    t.sec += 3600;
    return t;
}

/* All paths in order, with a newline behind each, are expected to be these. */
static inline void assert_paths(const struct fake_sink *f, const char *const *paths, size_t count)
{
    for (size_t i = 0; i < f->count && i < count; i++)
        assert_string_equal(f->entries[i].e.path, paths[i]);
    assert_int_equal(f->count, count);
}

/* The helper process of the sqlite source is this program, called again. */
#define FILES_TEST_MAIN(tests)                            \
    int main(int argc, char **argv)                       \
    {                                                     \
        if (argc > 1 && strcmp(argv[1], "__sqlite") == 0) \
            return sqlite_child_main(argc, argv);         \
        return cmocka_run_group_tests(tests, NULL, NULL); \
    }

#endif
