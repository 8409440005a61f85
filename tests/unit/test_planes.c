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

static void pl1_split_and_join_for_every_length(void **state)
{
    (void)state;
    uint8_t in[67], planes[67], out[67];
    uint64_t seed = 1;
    for (size_t len = 0; len < sizeof in; len++) {
        for (size_t i = 0; i < len; i++)
            in[i] = (uint8_t)next_random(&seed);
        planes_split(in, len, 4, planes);
        planes_join(planes, len, 4, out);
        assert_memory_equal(in, out, len);
    }
    const uint8_t seven[] = {1, 2, 3, 4, 5, 6, 7}, expected[] = {1, 5, 2, 6, 3, 7, 4};
    planes_split(seven, sizeof seven, 4, planes);
    assert_memory_equal(planes, expected, sizeof expected);
}

static void floats_are_chosen_text_is_not(void **state)
{
    (void)state;
    static uint8_t data[CHUNK_MAX_BYTES];
    fill_floats(data, sizeof data, 7);
    for (size_t shift = 0; shift < 4; shift++)
        assert_int_equal(planes_choose(data + shift, 65536 + shift), TRANSFORM_PLANES_4);
    assert_int_equal(planes_choose(data, 100), TRANSFORM_NONE);
    uint64_t seed = 3;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)next_random(&seed);
    assert_int_equal(planes_choose(data, sizeof data), TRANSFORM_NONE);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)("the quick brown fox "[next_random(&seed) % 20]);
    assert_int_equal(planes_choose(data, sizeof data), TRANSFORM_NONE);
    memset(data, 0, sizeof data);
    assert_int_equal(planes_choose(data, sizeof data), TRANSFORM_NONE);
}

struct fixture {
    struct codec *codec;
    uint8_t data[CHUNK_MAX_BYTES], scratch[CHUNK_MAX_BYTES], packed[CHUNK_MAX_BYTES + 64], out[CHUNK_MAX_BYTES];
};

static int setup(void **state)
{
    struct fixture *f = malloc(sizeof *f);
    assert_non_null(f);
    assert_int_equal(codec_new(1, 3, &f->codec, NULL), ERR_OK);
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
    assert_int_equal(planes_compress(f->codec, TRANSFORM_PLANES_4, f->data, len, f->scratch, f->packed, cap, &n, NULL),
                     ERR_OK);
    return n;
}

static enum errc unpack(struct fixture *f, size_t packed_len, size_t len)
{
    struct err err;
    return planes_decompress(f->codec, TRANSFORM_PLANES_4, f->packed, packed_len, f->scratch, f->out, len, &err);
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
        cmocka_unit_test(floats_are_chosen_text_is_not),
        cmocka_unit_test_setup_teardown(pl1_round_trip_and_gain, setup, teardown),
        cmocka_unit_test_setup_teardown(pl2_malformed_payloads_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests_name("planes", tests, NULL, NULL);
}
