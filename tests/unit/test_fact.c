/* fact.h: lists of facts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "format/fact.h"

static struct err err;
#define OK(call) assert_int_equal((call), ERR_OK)

static struct fact_list sample(void)
{
    struct fact_list l = {0};
    OK(fact_set_text(&l, "quick_check", "ok", &err));
    OK(fact_set_int(&l, "rows.tasks", -12345678901, &err));
    OK(fact_set_int(&l, "page_size", 4096, &err));
    OK(fact_set_real(&l, "mean", -0.125, &err));
    OK(fact_set_bool(&l, "wal", true, &err));
    OK(fact_set_text(&l, "empty", "", &err));
    return l;
}

static void facts_round_trip_in_order(void **state)
{
    (void)state;
    struct fact_list l = sample(), got, copy;
    struct buf b;
    buf_init(&b, FACTS_MAX_BYTES);
    OK(fact_list_put(&b, &l, &err));
    assert_int_equal(b.len, l.encoded_bytes);
    OK(fact_list_get(b.data, b.len, &got, &err));
    OK(fact_list_copy(&copy, &got, &err));
    assert_int_equal(got.count, 6);
    assert_int_equal(copy.count, 6);
    assert_int_equal(copy.encoded_bytes, b.len);
    for (size_t i = 0; i < got.count; i++) {
        assert_true(fact_equal(&l.facts[i], &got.facts[i]));
        assert_true(fact_equal(&copy.facts[i], &got.facts[i]));
        if (i > 0)
            assert_true(strcmp(got.facts[i - 1].key, got.facts[i].key) < 0);
    }
    assert_true(fact_find(&got, "rows.tasks")->integer == -12345678901);
    assert_string_equal(fact_find(&got, "quick_check")->text, "ok");
    assert_true(fact_find(&got, "mean")->real == -0.125);
    assert_true(fact_find(&got, "wal")->integer == 1);
    assert_null(fact_find(&got, "rows"));
    assert_null(fact_find(&got, "rows.tasks2"));
    fact_list_release(&l);
    fact_list_release(&got);
    fact_list_release(&copy);
    buf_release(&b);
}

static void setting_again_replaces(void **state)
{
    (void)state;
    struct fact_list l = sample();
    size_t before = l.encoded_bytes;
    OK(fact_set_text(&l, "page_size", "large", &err));
    assert_int_equal(l.count, 6);
    assert_int_equal(fact_find(&l, "page_size")->type, FACT_TEXT);
    OK(fact_set_int(&l, "page_size", 4096, &err));
    assert_int_equal(l.encoded_bytes, before);
    assert_null(fact_find(&l, "page_size")->text);
    fact_list_release(&l);
}

static void equality_looks_at_type_key_and_value(void **state)
{
    (void)state;
    struct fact a = {.key = "k", .key_len = 1, .type = FACT_INT, .integer = 1}, b = a;
    assert_true(fact_equal(&a, &b));
    b.type = FACT_BOOL;
    assert_false(fact_equal(&a, &b));
    b = a;
    b.integer = 2;
    assert_false(fact_equal(&a, &b));
    b = a;
    b.key = "l";
    assert_false(fact_equal(&a, &b));
    a = b = (struct fact){.key = "k", .key_len = 1, .type = FACT_REAL, .real = NAN};
    assert_true(fact_equal(&a, &b));
    b.real = 1;
    assert_false(fact_equal(&a, &b));
}

static void a_full_list_is_left_as_it_was(void **state)
{
    (void)state;
    struct fact_list l = {0};
    char key[32];
    enum errc rc = ERR_OK;
    size_t i;
    for (i = 0; i < 100000 && rc == ERR_OK; i++) {
        snprintf(key, sizeof key, "rows.t%06zu", i);
        rc = fact_set_int(&l, key, (int64_t)i, &err);
    }
    assert_int_equal(rc, ERR_LIMIT);
    assert_int_equal(l.count, i - 1);
    assert_in_range(l.encoded_bytes, FACTS_MAX_BYTES - 32, FACTS_MAX_BYTES);
    struct buf b;
    struct fact_list got;
    buf_init(&b, FACTS_MAX_BYTES);
    OK(fact_list_put(&b, &l, &err));
    OK(fact_list_get(b.data, b.len, &got, &err));
    assert_int_equal(got.count, l.count);
    assert_int_equal(fact_set_int(&l, "", 1, &err), ERR_LIMIT);
    fact_list_release(&l);
    fact_list_release(&got);
    buf_release(&b);
}

static enum errc read_list(const char *bytes, size_t len, size_t *count_out)
{
    struct fact_list l;
    enum errc rc = fact_list_get(bytes, len, &l, &err);
    *count_out = l.count;
    assert_true(rc == ERR_OK || (l.count == 0 && !l.facts));
    fact_list_release(&l);
    return rc;
}

static void malformed_lists_are_damage(void **state)
{
    (void)state;
    size_t n;
    OK(read_list("\1a\2\1\2\1b\x63\3xyz", 12, &n)); /* type 99 is passed over */
    assert_int_equal(n, 1);
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\1a\2\1", 4},                   /* cut */
        {"\1a\2\2\2\2", 6},               /* bytes behind the value */
        {"\1a\2\0", 4},                   /* no value */
        {"\1b\2\1\2\1a\2\1\2", 10},       /* order */
        {"\1a\2\1\2\1a\2\1\2", 10},       /* twice */
        {"\0\2\1\2", 4},                  /* no key */
        {"\2a\0\2\1\2", 6},               /* NUL in a key */
        {"\1a\1\2x\0", 6},                /* NUL in a text */
        {"\1a\4\1\2", 5},                 /* neither true nor false */
        {"\1a\3\4abcd", 8},               /* half a real */
        {"\1a\1\xff\xff\xff\xff\x0f", 8}, /* very long */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(read_list(bad[i].bytes, bad[i].len, &n), ERR_DAMAGED);
    OK(read_list(NULL, 0, &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_round_trip_in_order),
        cmocka_unit_test(setting_again_replaces),
        cmocka_unit_test(equality_looks_at_type_key_and_value),
        cmocka_unit_test(a_full_list_is_left_as_it_was),
        cmocka_unit_test(malformed_lists_are_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
