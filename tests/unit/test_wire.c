/* wire.h: primitives, typed fields, three copies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/fields.h"

static struct err err;
#define OK(call) assert_int_equal((call), ERR_OK)

static void varints_round_trip(void **state)
{
    (void)state;
    static const uint64_t values[] = {
        0, 1, 0x7f, 0x80, 0x3fff, 0x4000, UINT32_MAX, (uint64_t)UINT32_MAX + 1, INT64_MAX, UINT64_MAX};
    static const size_t lengths[] = {1, 1, 1, 2, 2, 3, 5, 5, 9, 10};
    struct buf b;
    buf_init(&b, 1000);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        buf_clear(&b);
        OK(put_varint(&b, values[i], &err));
        assert_int_equal(b.len, lengths[i]);
        struct reader r = reader_of(b.data, b.len);
        assert_true(get_varint(&r) == values[i]);
        assert_true(reader_ok(&r) && reader_left(&r) == 0);
        int64_t s;
        memcpy(&s, &values[i], sizeof s);
        buf_clear(&b);
        OK(put_zigzag(&b, s, &err));
        OK(put_zigzag(&b, -(s / 2), &err));
        r = reader_of(b.data, b.len);
        assert_true(get_zigzag(&r) == s);
        assert_true(get_zigzag(&r) == -(s / 2));
        assert_true(reader_ok(&r) && reader_left(&r) == 0);
    }
    buf_release(&b);
}

static void zigzag_is_small_for_small_numbers(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    OK(put_zigzag(&b, 0, &err));
    OK(put_zigzag(&b, -1, &err));
    OK(put_zigzag(&b, 1, &err));
    OK(put_zigzag(&b, INT64_MIN, &err));
    static const uint8_t expected[] = {0, 1, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
    assert_int_equal(b.len, sizeof expected);
    assert_memory_equal(b.data, expected, sizeof expected);
    buf_release(&b);
}

static void refuse_varint(const char *bytes, size_t len)
{
    struct reader r = reader_of(bytes, len);
    assert_true(get_varint(&r) == 0);
    assert_false(reader_ok(&r));
}

static void only_the_shortest_varint_is_read(void **state)
{
    (void)state;
    refuse_varint("", 0);
    refuse_varint("\x80", 1);
    refuse_varint("\x80\x00", 2);
    refuse_varint("\xff\x80\x00", 3);
    refuse_varint("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10);
    refuse_varint("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x01", 11);
    struct reader r = reader_of("\x05", 1);
    assert_true(get_varint_max(&r, 4) == 0);
    assert_false(reader_ok(&r));
}

static void w1_a_failure_sticks(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3, 4, 5};
    uint8_t copy[8] = {9, 9, 9, 9, 9, 9, 9, 9};
    struct reader r = reader_of(bytes, sizeof bytes);
    assert_int_equal(get_u16(&r), 0x0201);
    assert_true(get_u64(&r) == 0);
    assert_false(reader_ok(&r));
    assert_int_equal(get_u8(&r), 0);
    assert_true(get_varint(&r) == 0);
    assert_null(get_bytes(&r, 0).data);
    assert_null(get_counted(&r, 10).data);
    get_copy(&r, copy, sizeof copy);
    assert_int_equal(copy[0] | copy[7], 0);
    uint64_t tag;
    bool critical;
    struct reader value;
    assert_false(get_field(&r, &tag, &critical, &value));
    assert_true(r.p <= r.end);

    r = reader_of(NULL, 0);
    assert_int_equal(reader_left(&r), 0);
    assert_int_equal(get_u32(&r), 0);
    assert_false(reader_ok(&r));
}

static void fixed_integers_are_little_endian(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    OK(put_u8(&b, 0x11, &err));
    OK(put_u16(&b, 0x2233, &err));
    OK(put_u32(&b, 0x44556677, &err));
    OK(put_u64(&b, 0x8899aabbccddeeff, &err));
    assert_memory_equal(b.data, "\x11\x33\x22\x77\x66\x55\x44\xff\xee\xdd\xcc\xbb\xaa\x99\x88", 15);
    struct reader r = reader_of(b.data, b.len);
    assert_int_equal(get_u8(&r), 0x11);
    assert_int_equal(get_u16(&r), 0x2233);
    assert_int_equal(get_u32(&r), 0x44556677);
    assert_true(get_u64(&r) == 0x8899aabbccddeeff);
    buf_release(&b);
}

static void fields_are_walked_in_order(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    OK(put_field_varint(&b, 3, true, 300, &err));
    OK(put_field_str(&b, 3, false, "x", &err));
    OK(put_field_str(&b, 4, false, NULL, &err));
    OK(put_field(&b, 70, false, NULL, 0, &err));
    assert_memory_equal(b.data, "\x07\x02\xac\x02\x06\x01x\x8c\x01\x00", 10);
    struct fields f = fields_of(reader_of(b.data, b.len));
    struct field field;
    assert_true(fields_next(&f, &field));
    assert_true(field.tag == 3 && field.critical && !field.repeated && get_varint(&field.value) == 300);
    assert_true(fields_next(&f, &field));
    assert_true(field.tag == 3 && !field.critical && field.repeated && reader_left(&field.value) == 1);
    assert_true(fields_next(&f, &field));
    assert_true(field.tag == 70 && reader_left(&field.value) == 0);
    assert_false(fields_next(&f, &field));
    assert_true(reader_ok(&f.r));

    f = fields_of(reader_of("\x08\x00\x06\x00", 4)); /* tag 4, then tag 3 */
    assert_true(fields_next(&f, &field));
    assert_false(fields_next(&f, &field));
    assert_false(reader_ok(&f.r));

    f = fields_of(reader_of("\x08\x05xx", 4)); /* more promised than there is */
    assert_false(fields_next(&f, &field));
    assert_false(reader_ok(&f.r));
    buf_release(&b);
}

static void a_full_buffer_is_left_as_it_was(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 8);
    OK(put_u32(&b, 1, &err));
    assert_int_equal(put_field(&b, 1, true, "12345", 5, &err), ERR_LIMIT);
    assert_int_equal(put_counted(&b, "1234", 4, &err), ERR_LIMIT);
    assert_int_equal(put_u64(&b, 1, &err), ERR_LIMIT);
    assert_int_equal(b.len, 4);
    OK(put_counted(&b, "123", 3, &err));
    buf_release(&b);
}

/* Three copies */

static struct buf triple_of(const char *content, size_t len)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    OK(triple_encode(&b, content, len, &err));
    return b;
}

static unsigned good_copies(const uint8_t *data, size_t len, const char *content)
{
    struct bytes out;
    unsigned good;
    if (triple_decode(data, len, 4096, &out, &good, &err) != ERR_OK)
        return 0;
    assert_int_equal(out.len, strlen(content));
    assert_memory_equal(out.data, content, out.len);
    assert_true(out.data >= data && out.data + out.len <= data + len);
    return good;
}

static void three_copies_round_trip(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 463, 464, 465, 976, 977, 5000};
    char *content = calloc(1, 5001);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memset(content, 'a' + (int)i, lengths[i]);
        struct buf b = triple_of(content, lengths[i]);
        assert_int_equal(b.len % (3 * 512), 0);
        assert_int_equal(b.len, 3 * ((48 + lengths[i] + 511) / 512 * 512));
        struct bytes out;
        unsigned good = 0;
        OK(triple_decode(b.data, b.len, 5000, &out, &good, &err));
        assert_int_equal(good, 3);
        assert_int_equal(out.len, lengths[i]);
        assert_memory_equal(out.data, content, out.len);
        buf_release(&b);
    }
    free(content);
}

static void every_single_bit_flip_is_seen_and_survived(void **state)
{
    (void)state;
    struct buf b = triple_of("precious", 8);
    for (size_t i = 0; i < b.len; i++) {
        b.data[i] ^= 0x10;
        assert_int_equal(good_copies(b.data, b.len, "precious"), 2);
        b.data[i] ^= 0x10;
    }
    assert_int_equal(good_copies(b.data, b.len, "precious"), 3);
    buf_release(&b);
}

static void copies_are_found_where_bytes_were_lost(void **state)
{
    (void)state;
    struct buf b = triple_of("precious", 8);
    for (size_t lost = 1; lost <= 2 * 512; lost++)
        assert_in_range(good_copies(b.data + lost, b.len - lost, "precious"), 1, 2);
    assert_int_equal(good_copies(b.data, 512, "precious"), 1);
    assert_int_equal(good_copies(b.data, 56, "precious"), 1); /* cut behind the first content */
    assert_int_equal(good_copies(b.data, 55, "precious"), 0);
    struct buf longer = triple_of("precious", 8);
    OK(buf_append(&longer, "?", 1, &err));
    assert_int_equal(good_copies(longer.data, longer.len, "precious"), 2);
    buf_release(&longer);
    buf_release(&b);
}

static void three_bad_copies_are_damage(void **state)
{
    (void)state;
    struct buf b = triple_of("precious", 8);
    struct bytes out;
    b.data[50] ^= 1;
    b.data[512 + 20] ^= 1;
    b.data[1024 + 8] ^= 1;
    assert_int_equal(triple_decode(b.data, b.len, 4096, &out, NULL, &err), ERR_DAMAGED);
    assert_int_equal(triple_decode(b.data, 0, 4096, &out, NULL, &err), ERR_DAMAGED);
    buf_release(&b);
    b = triple_of("precious", 8);
    assert_int_equal(triple_decode(b.data, b.len, 7, &out, NULL, &err), ERR_DAMAGED); /* above max */
    buf_release(&b);
}

static void a_file_full_of_false_beginnings_is_given_up(void **state)
{
    (void)state;
    enum { BYTES = 16 << 20 };
    uint8_t *data = calloc(1, BYTES);
    for (size_t i = 0; i + 16 <= BYTES; i += 16)
        memcpy(data + i, "SNAPCOPY\x00\x00\x40\x00\x00\x00\x00", 16); /* 4 MiB each */
    struct bytes out;
    assert_int_equal(triple_decode(data, BYTES, 4 << 20, &out, NULL, &err), ERR_DAMAGED);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_round_trip),
        cmocka_unit_test(zigzag_is_small_for_small_numbers),
        cmocka_unit_test(only_the_shortest_varint_is_read),
        cmocka_unit_test(w1_a_failure_sticks),
        cmocka_unit_test(fixed_integers_are_little_endian),
        cmocka_unit_test(fields_are_walked_in_order),
        cmocka_unit_test(a_full_buffer_is_left_as_it_was),
        cmocka_unit_test(three_copies_round_trip),
        cmocka_unit_test(every_single_bit_flip_is_seen_and_survived),
        cmocka_unit_test(copies_are_found_where_bytes_were_lost),
        cmocka_unit_test(three_bad_copies_are_damage),
        cmocka_unit_test(a_file_full_of_false_beginnings_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
