/* seal.h: S1, S2, and vectors of AES-256-GCM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chunk/seal.h"

static struct sealer *make(const uint8_t key[KEY_BYTES])
{
    struct sealer *s = NULL;

    assert_int_equal(sealer_new(key, &s, NULL), ERR_OK);
    return s;
}

static void assert_hex(const void *bytes, size_t len, const char *hex)
{
    char text[2 * 64 + 1];

    assert_string_equal(hex_encode(text, bytes, len), hex);
}

/* GCM specification, test cases 13 and 14; the third was made with another library. */
static void golden_seals(void **state)
{
    uint8_t key[KEY_BYTES] = {0}, out[64];
    const uint8_t zeros[16] = {0};

    (void)state;
    struct sealer *s = make(key);
    assert_int_equal(seal(s, 0, NULL, 0, NULL, 0, out, NULL), ERR_OK);
    assert_hex(out, 16, "530f8afbc74536b9a963b4f1c4cb738b");
    assert_int_equal(seal(s, 0, NULL, 0, zeros, 16, out, NULL), ERR_OK);
    assert_hex(out, 32, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
    sealer_free(s);

    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    s = make(key);
    assert_int_equal(seal(s, 0x01020304, "header", 6, "plain text", 10, out, NULL), ERR_OK);
    assert_hex(out, 26, "8f3dab673066008924b7185e3836e805ff079024fb9178534a8d");
    sealer_free(s);
    sealer_free(NULL);
}

/* Seals and opens in turn on one sealer: each call stands alone. */
static void what_is_sealed_opens(void **state)
{
    static const size_t lengths[] = {0, 1, 15, 16, 17, 200, 4096, 70001};
    const uint8_t key[KEY_BYTES] = {3};
    uint8_t *src = malloc(70001), *sealed = malloc(70001 + SEAL_TAG_BYTES), *plain = malloc(70001);

    (void)state;
    assert_true(src && sealed && plain);
    for (size_t i = 0; i < 70001; i++)
        src[i] = (uint8_t)(i * 31 + (i >> 8));
    struct sealer *s = make(key);
    for (uint32_t k = 0; k < sizeof lengths / sizeof lengths[0]; k++) {
        size_t len = lengths[k];

        assert_int_equal(seal(s, k, &k, sizeof k, src, len, sealed, NULL), ERR_OK);
        memset(plain, 0xee, 70001);
        assert_int_equal(seal_open(s, k, &k, sizeof k, sealed, len + SEAL_TAG_BYTES, plain, NULL), ERR_OK);
        assert_memory_equal(plain, src, len);
    }
    sealer_free(s);
    free(src);
    free(sealed);
    free(plain);
}

static void s1_any_changed_bit_is_refused_s2_and_nothing_handed_out(void **state)
{
    const uint8_t key[KEY_BYTES] = {5};
    uint8_t sealed[100 + SEAL_TAG_BYTES], plain[100], src[100], zeros[100] = {0};
    struct err err;

    (void)state;
    memset(src, 0xab, sizeof src);
    struct sealer *s = make(key);
    assert_int_equal(seal(s, 7, "aad", 3, src, sizeof src, sealed, NULL), ERR_OK);
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        memset(plain, 0xcd, sizeof plain);
        assert_int_equal(seal_open(s, 7, "aad", 3, sealed, sizeof sealed, plain, &err), ERR_DAMAGED);
        assert_memory_equal(plain, zeros, sizeof plain);
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(seal_open(s, 7, "aad", 3, sealed, sizeof sealed, plain, &err), ERR_OK);
    sealer_free(s);
}

static void s1_number_key_data_and_length_are_bound(void **state)
{
    const uint8_t key[KEY_BYTES] = {5}, other_key[KEY_BYTES] = {6};
    uint8_t sealed[10 + SEAL_TAG_BYTES], plain[16];
    struct err err;

    (void)state;
    struct sealer *s = make(key), *other = make(other_key);
    assert_int_equal(seal(s, 7, "aad", 3, "0123456789", 10, sealed, NULL), ERR_OK);
    assert_int_equal(seal_open(s, 8, "aad", 3, sealed, sizeof sealed, plain, &err), ERR_DAMAGED);
    assert_int_equal(seal_open(s, 7 + (1u << 24), "aad", 3, sealed, sizeof sealed, plain, &err), ERR_DAMAGED);
    assert_int_equal(seal_open(s, 7, "aae", 3, sealed, sizeof sealed, plain, &err), ERR_DAMAGED);
    assert_int_equal(seal_open(s, 7, "aad", 2, sealed, sizeof sealed, plain, &err), ERR_DAMAGED);
    assert_int_equal(seal_open(s, 7, NULL, 0, sealed, sizeof sealed, plain, &err), ERR_DAMAGED);
    assert_int_equal(seal_open(s, 7, "aad", 3, sealed, sizeof sealed - 1, plain, &err), ERR_DAMAGED);
    assert_int_equal(seal_open(s, 7, "aad", 3, sealed, SEAL_TAG_BYTES, plain, &err), ERR_DAMAGED);
    assert_int_equal(seal_open(s, 7, "aad", 3, sealed, SEAL_TAG_BYTES - 1, plain, &err), ERR_DAMAGED);
    assert_int_equal(seal_open(s, 7, "aad", 3, sealed, 0, plain, &err), ERR_DAMAGED);
    assert_int_equal(seal_open(other, 7, "aad", 3, sealed, sizeof sealed, plain, &err), ERR_DAMAGED);
    assert_int_equal(seal_open(s, 7, "aad", 3, sealed, sizeof sealed, plain, &err), ERR_OK);
    assert_memory_equal(plain, "0123456789", 10);
    sealer_free(s);
    sealer_free(other);
}

/* Every number gives another key stream: the nonce holds all 32 bits. */
static void numbers_give_distinct_nonces(void **state)
{
    const uint8_t key[KEY_BYTES] = {1}, zeros[16] = {0};
    uint8_t seen[33][16 + SEAL_TAG_BYTES];

    (void)state;
    struct sealer *s = make(key);
    for (uint32_t i = 0; i <= 32; i++) {
        uint32_t number = i == 0 ? 0 : 1u << (i - 1);
        assert_int_equal(seal(s, number, NULL, 0, zeros, 16, seen[i], NULL), ERR_OK);
        for (uint32_t k = 0; k < i; k++)
            assert_memory_not_equal(seen[i], seen[k], 16);
    }
    sealer_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_seals),
        cmocka_unit_test(what_is_sealed_opens),
        cmocka_unit_test(s1_any_changed_bit_is_refused_s2_and_nothing_handed_out),
        cmocka_unit_test(s1_number_key_data_and_length_are_bound),
        cmocka_unit_test(numbers_give_distinct_nonces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
