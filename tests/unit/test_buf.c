#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void grows_and_keeps(void **state)
{
    (void)state;
    struct buf b;
    struct err err;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf_append_fmt(&b, &err, "%04d", i), ERR_OK);
    assert_int_equal(b.len, 4000);
    assert_true(b.len <= b.cap && b.cap <= b.max);
    assert_memory_equal(b.data + 4 * 567, "0567", 4);
    assert_int_equal(buf_append_str(&b, "end", &err), ERR_OK);
    assert_int_equal(buf_terminate(&b, &err), ERR_OK);
    assert_int_equal(b.len, 4003);
    assert_string_equal((char *)b.data + 4000, "end");
    assert_int_equal(buf_append(&b, NULL, 0, &err), ERR_OK);
    buf_clear(&b);
    assert_int_equal(b.len, 0);
    buf_release(&b);
    assert_null(b.data);
    assert_int_equal(b.max, 1 << 20);
}

static void b1_never_past_the_cap(void **state)
{
    (void)state;
    struct buf b;
    struct err err;
    for (size_t max = 0; max < 200; max++) {
        buf_init(&b, max);
        for (size_t i = 0; i < max; i++) {
            assert_int_equal(buf_append(&b, "x", 1, &err), ERR_OK);
            assert_true(b.cap <= max);
        }
        assert_int_equal(buf_append(&b, "x", 1, &err), ERR_LIMIT);
        assert_int_equal(buf_reserve(&b, SIZE_MAX, &err), ERR_LIMIT); /* len + extra overflows */
        if (max > 0)                                                  /* here it wraps to 0 */
            assert_int_equal(buf_reserve(&b, SIZE_MAX - max + 1, &err), ERR_LIMIT);
        assert_int_equal(b.len, max);
        buf_release(&b);
    }
}

static void b2_failed_append_changes_nothing(void **state)
{
    (void)state;
    struct buf b;
    struct err err;
    buf_init(&b, 8);
    assert_int_equal(buf_append_str(&b, "12345", &err), ERR_OK);
    assert_int_equal(buf_append_str(&b, "6789", &err), ERR_LIMIT);
    assert_int_equal(buf_append_fmt(&b, &err, "%d", 6789), ERR_LIMIT);
    assert_int_equal(b.len, 5);
    assert_memory_equal(b.data, "12345", 5);
    assert_int_equal(buf_append_str(&b, "678", &err), ERR_OK);
    assert_int_equal(buf_terminate(&b, &err), ERR_LIMIT); /* the NUL needs room too */
    assert_memory_equal(b.data, "12345678", 8);
    buf_release(&b);
}

/* AddressSanitizer would end the program where malloc returns NULL. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    struct err err;
    void *p = &err;
    struct buf b;
    assert_int_equal(mem_alloc(&p, (size_t)PTRDIFF_MAX, &err), ERR_NO_MEMORY);
    assert_ptr_equal(p, &err);
    buf_init(&b, SIZE_MAX);
    assert_int_equal(buf_append_str(&b, "kept", &err), ERR_OK);
    assert_int_equal(buf_reserve(&b, (size_t)PTRDIFF_MAX, &err), ERR_NO_MEMORY);
    assert_memory_equal(b.data, "kept", 4);
    buf_wipe(&b);
    assert_null(b.data);
    assert_int_equal(mem_dup(&p, "", SIZE_MAX, &err), ERR_LIMIT);
}

static void memory_helpers(void **state)
{
    (void)state;
    struct err err;
    unsigned char *zeroed;
    char *s;
    assert_int_equal(mem_alloc(&zeroed, 100, &err), ERR_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(zeroed[i], 0);
    free(zeroed);
    assert_int_equal(mem_alloc(&zeroed, 0, &err), ERR_OK);
    assert_non_null(zeroed);
    free(zeroed);
    assert_int_equal(mem_strdup(&s, "text", &err), ERR_OK);
    assert_string_equal(s, "text");
    free(s);
    assert_int_equal(mem_dup(&s, "a\0b", 3, &err), ERR_OK);
    assert_memory_equal(s, "a\0b\0", 4);
    free(s);
    assert_int_equal(mem_dup(&s, NULL, 0, &err), ERR_OK);
    assert_string_equal(s, "");
    free(s);
}

static void arrays_grow(void **state)
{
    (void)state;
    struct err err;
    uint32_t *array = NULL;
    size_t cap = 0;
    for (size_t i = 0; i < 5000; i++) {
        assert_int_equal(mem_grow(&array, &cap, i + 1, sizeof *array, &err), ERR_OK);
        assert_true(cap > i);
        array[i] = (uint32_t)i;
    }
    size_t before = cap;
    assert_int_equal(mem_grow(&array, &cap, SIZE_MAX / 2, sizeof *array, &err), ERR_LIMIT);
    assert_int_equal(mem_grow(&array, &cap, SIZE_MAX, sizeof *array, &err), ERR_LIMIT);
    assert_int_equal(cap, before);
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(array[i], i);
    free(array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_keeps),
        cmocka_unit_test(b1_never_past_the_cap),
        cmocka_unit_test(b2_failed_append_changes_nothing),
        cmocka_unit_test(no_memory_is_an_error),
        cmocka_unit_test(memory_helpers),
        cmocka_unit_test(arrays_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
