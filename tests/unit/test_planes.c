/* planes.h: PL1, PL2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "chunk/planes.h"

static uint64_t next_random(uint64_t *x)
{
    *x = *x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *x >> 33;
}

/* Numbers as an embedding has them: random mantissas, exponents of a few values. */
static void fill_floats(uint8_t *data, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++) {
        uint64_t r = next_random(&seed);
        data[i] = i % 4 == 3 ? (uint8_t)(0x3a + (r % 16 == 0 ? 0x82 : r % 4)) : (uint8_t)(r >> 3);
    }
}

/* What a plane is, word for word. */
static void plain_split(const uint8_t *src, size_t len, unsigned width, uint8_t *dst)
{
    for (unsigned k = 0; k < width; k++)
        for (size_t i = k; i < len; i += width)
            *dst++ = src[i];
}

static void pl1_split_and_join_for_every_length(void **state)
{
    (void)state;
    static uint8_t in[9001], planes[9001], expected[9001], out[9001];
    uint64_t seed = 1;
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)next_random(&seed);
    for (unsigned width = 2; width <= 8; width *= 2)
        for (size_t len = 0; len < sizeof in; len = len < 70 ? len + 1 : len * 2 + 5) {
            planes_split(in, len, width, planes);
            plain_split(in, len, width, expected);
            assert_memory_equal(planes, expected, len);
            planes_join(planes, len, width, out);
            assert_memory_equal(in, out, len);
        }
}

/* Elements of width bytes: random ones below, in the last of a few values. */
static void fill_numbers(uint8_t *data, size_t len, unsigned width, uint64_t seed)
{
    for (size_t i = 0; i < len; i++) {
        uint64_t r = next_random(&seed);
        data[i] = i % width == width - 1 ? (uint8_t)(0x3a + (r % 16 == 0 ? 0x82 : r % 4)) : (uint8_t)(r >> 3);
    }
}

static void numbers_of_each_width_are_chosen(void **state)
{
    (void)state;
    static uint8_t data[CHUNK_MAX_BYTES];
    static const enum transform_id expected[9] = {
        [2] = TRANSFORM_PLANES_2, [4] = TRANSFORM_PLANES_4, [8] = TRANSFORM_PLANES_8};
    for (unsigned width = 2; width <= 8; width *= 2)
        for (uint64_t seed = 1; seed <= 50; seed++) {
            fill_numbers(data, sizeof data, width, seed);
            size_t len = 16384 + seed * 4801; /* chunks end anywhere, and begin anywhere in a number */
            assert_int_equal(planes_choose(data + seed % width, len), expected[width]);
        }
    assert_int_equal(planes_choose(data, 100), TRANSFORM_NONE);
}

/* Pages of a database: a head, a gap of zeros, and a vector up to the end of the page. */
static void numbers_between_gaps_are_chosen(void **state)
{
    (void)state;
    static uint8_t data[128 * 1024];
    fill_floats(data, sizeof data, 5);
    for (size_t page = 0; page < sizeof data; page += 4096)
        memset(data + page, 0, 1000);
    assert_int_equal(planes_choose(data, sizeof data), TRANSFORM_PLANES_4);
}

static void other_bytes_are_not_chosen(void **state)
{
    (void)state;
    static uint8_t data[CHUNK_MAX_BYTES];
    for (uint64_t seed = 1; seed <= 50; seed++) {
        uint64_t x = seed;
        for (size_t i = 0; i < 65536; i++)
            data[i] = (uint8_t)next_random(&x);
        assert_int_equal(planes_choose(data, 65536), TRANSFORM_NONE);
        for (size_t i = 0; i < 65536; i++)
            data[i] = (uint8_t)("the quick brown fox "[next_random(&x) % 20]);
        assert_int_equal(planes_choose(data, 65536), TRANSFORM_NONE);
    }
    memset(data, 0, sizeof data);
    assert_int_equal(planes_choose(data, sizeof data), TRANSFORM_NONE);
}

struct fixture {
    struct codec *codec;
    enum transform_id transform;
    uint8_t data[CHUNK_MAX_BYTES], scratch[CHUNK_MAX_BYTES], packed[CHUNK_MAX_BYTES + 64], out[CHUNK_MAX_BYTES];
};

static int setup(void **state)
{
    struct fixture *f = malloc(sizeof *f);
    assert_non_null(f);
    assert_int_equal(codec_new(1, 3, &f->codec, NULL), ERR_OK);
    f->transform = TRANSFORM_PLANES_4;
    fill_floats(f->data, sizeof f->data, 11);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    codec_free(f->codec);
    free(f);
    return 0;
}

static size_t pack(struct fixture *f, size_t len, size_t cap)
{
    size_t n;
    assert_int_equal(planes_compress(f->codec, f->transform, f->data, len, f->scratch, f->packed, cap, &n, NULL),
                     ERR_OK);
    return n;
}

static enum errc unpack(struct fixture *f, size_t packed_len, size_t len)
{
    struct err err;
    return planes_decompress(f->codec, f->transform, f->packed, packed_len, f->scratch, f->out, len, &err);
}

static void pl1_round_trip_and_gain(void **state)
{
    struct fixture *f = *state;
    const size_t lengths[] = {1, 2, 3, 4, 5, 4095, 4096, 65537, 65538, 65539, CHUNK_MAX_BYTES};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t n = pack(f, lengths[i], lengths[i] + 64);
        assert_true(n > 0);
        assert_int_equal(unpack(f, n, lengths[i]), ERR_OK);
        assert_memory_equal(f->out, f->data, lengths[i]);
        if (lengths[i] >= 65536)
            assert_true(n < lengths[i] * 87 / 100);
    }
    for (unsigned t = TRANSFORM_PLANES_2; t <= TRANSFORM_PLANES_8; t++) {
        f->transform = (enum transform_id)t;
        fill_numbers(f->data, sizeof f->data, planes_width(t), t);
        for (size_t page = 0; page < sizeof f->data / 2; page += 4096)
            memset(f->data + page, 0, 1000); /* planes with gaps, too */
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            size_t n = pack(f, lengths[i], lengths[i] + 64);
            assert_true(n > 0);
            assert_int_equal(unpack(f, n, lengths[i]), ERR_OK);
            assert_memory_equal(f->out, f->data, lengths[i]);
        }
    }
    assert_int_equal(pack(f, 65536, 1000), 0); /* does not fit: said, not overflowed */
}

static void pl2_malformed_payloads_are_refused(void **state)
{
    struct fixture *f = *state;
    size_t n = pack(f, 65537, 65537);
    assert_int_equal(unpack(f, n - 1, 65537), ERR_DAMAGED);
    assert_int_equal(unpack(f, n + 1, 65537), ERR_DAMAGED);
    assert_int_equal(unpack(f, 15, 65537), ERR_DAMAGED);
    assert_int_equal(unpack(f, n, 65536), ERR_DAMAGED);
    assert_int_equal(unpack(f, n, 65541), ERR_DAMAGED);
    for (unsigned k = 0; k < 4; k++) {
        uint8_t *head = f->packed + 4 * k;
        uint8_t kept[4];
        memcpy(kept, head, 4);
        memset(head, 0xff, 4);
        assert_int_equal(unpack(f, n, 65537), ERR_DAMAGED);
        memset(head, 0, 4);
        assert_int_equal(unpack(f, n, 65537), ERR_DAMAGED);
        memcpy(head, kept, 4);
        head[0] ^= 1; /* a frame taken for bytes, or the reverse */
        assert_int_equal(unpack(f, n, 65537), ERR_DAMAGED);
        memcpy(head, kept, 4);
    }
    assert_int_equal(unpack(f, n, 65537), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pl1_split_and_join_for_every_length),
        cmocka_unit_test(numbers_of_each_width_are_chosen),
        cmocka_unit_test(numbers_between_gaps_are_chosen),
        cmocka_unit_test(other_bytes_are_not_chosen),
        cmocka_unit_test_setup_teardown(pl1_round_trip_and_gain, setup, teardown),
        cmocka_unit_test_setup_teardown(pl2_malformed_payloads_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests_name("planes", tests, NULL, NULL);
}
