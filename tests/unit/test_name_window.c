#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/name_window.h"

static struct chunk_name name_of(uint64_t n)
{
    struct chunk_name name = {{0}};
    uint64_t mixed = n * 0x9e3779b97f4a7c15u;
    memcpy(name.b, &mixed, sizeof mixed);
    return name;
}

static void test_knows_the_last_ones(void **state)
{
    struct name_window w;
    struct err err;
    (void)state;
    assert_int_equal(name_window_init(&w, &err), ERR_OK);
    const uint64_t total = 5 * (uint64_t)NAME_WINDOW + 77;
    for (uint64_t i = 0; i < total; i++) {
        struct chunk_name name = name_of(i);
        assert_false(name_window_has(&w, &name));
        name_window_add(&w, &name);
        name_window_add(&w, &name); /* once more: takes no room */
        assert_true(name_window_has(&w, &name));
    }
    for (uint64_t i = total - NAME_WINDOW; i < total; i++) {
        struct chunk_name name = name_of(i);
        assert_true(name_window_has(&w, &name));
    }
    struct chunk_name old = name_of(1), last = name_of(total - 1);
    assert_false(name_window_has(&w, &old)); /* memory is bounded: it was forgotten */
    name_window_clear(&w);
    assert_false(name_window_has(&w, &last));
    name_window_release(&w);
}

/* A name of zeros is a name. */
static void test_zero(void **state)
{
    struct name_window w;
    struct err err;
    struct chunk_name zero = {{0}};
    (void)state;
    assert_int_equal(name_window_init(&w, &err), ERR_OK);
    assert_false(name_window_has(&w, &zero));
    name_window_add(&w, &zero);
    assert_true(name_window_has(&w, &zero));
    name_window_release(&w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_knows_the_last_ones),
        cmocka_unit_test(test_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
