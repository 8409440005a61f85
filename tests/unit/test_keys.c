/* seal.h: wrapped keys, key derivation (RFC 5869, RFC 7914), SHA-256, hex. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "chunk/seal.h"

static void assert_hex(const void *bytes, size_t len, const char *hex)
{
    char text[2 * 64 + 1];

    assert_string_equal(hex_encode(text, bytes, len), hex);
}

static void keys_wrap_and_unwrap(void **state)
{
    const uint8_t wrapping[KEY_BYTES] = {1}, other[KEY_BYTES] = {2}, key[KEY_BYTES] = "a key of thirty-two bytes......";
    uint8_t wrapped[WRAPPED_KEY_BYTES], again[WRAPPED_KEY_BYTES], out[KEY_BYTES], zeros[KEY_BYTES] = {0};
    struct err err;

    (void)state;
    assert_int_equal(key_wrap(wrapping, "slot", 4, key, wrapped, NULL), ERR_OK);
    assert_int_equal(key_wrap(wrapping, "slot", 4, key, again, NULL), ERR_OK);
    assert_memory_not_equal(wrapped, again, 12); /* a fresh nonce each time */
    assert_int_equal(key_unwrap(wrapping, "slot", 4, wrapped, out, NULL), ERR_OK);
    assert_memory_equal(out, key, KEY_BYTES);

    assert_int_equal(key_unwrap(wrapping, "slop", 4, wrapped, out, &err), ERR_WRONG_KEY);
    assert_memory_equal(out, zeros, KEY_BYTES);
    assert_int_equal(key_unwrap(other, "slot", 4, wrapped, out, &err), ERR_WRONG_KEY);
    for (size_t i = 0; i < sizeof wrapped; i++) {
        wrapped[i] ^= 0x80;
        memset(out, 0xcd, sizeof out);
        assert_int_equal(key_unwrap(wrapping, "slot", 4, wrapped, out, &err), ERR_WRONG_KEY);
        assert_memory_equal(out, zeros, KEY_BYTES);
        wrapped[i] ^= 0x80;
    }
}

static void blobs_wrap_and_unwrap(void **state)
{
    const uint8_t wrapping[KEY_BYTES] = {1};
    uint8_t wrapped[12 + 100 + 16], blob[100], out[100];
    struct err err;

    (void)state;
    memset(blob, 0x42, sizeof blob);
    assert_int_equal(blob_wrap(wrapping, NULL, 0, blob, sizeof blob, wrapped, NULL), ERR_OK);
    assert_int_equal(blob_unwrap(wrapping, NULL, 0, wrapped, sizeof wrapped, out, NULL), ERR_OK);
    assert_memory_equal(out, blob, sizeof blob);
    assert_int_equal(blob_unwrap(wrapping, NULL, 0, wrapped, sizeof wrapped - 1, out, &err), ERR_WRONG_KEY);
    assert_int_equal(blob_unwrap(wrapping, NULL, 0, wrapped, 28, out, &err), ERR_WRONG_KEY);
    assert_int_equal(blob_unwrap(wrapping, NULL, 0, wrapped, 27, out, &err), ERR_DAMAGED);
    assert_int_equal(blob_unwrap(wrapping, NULL, 0, wrapped, 0, out, &err), ERR_DAMAGED);
}

/* RFC 5869, appendix A, cases 1 to 3: the first 32 bytes. */
static void hkdf_vectors(void **state)
{
    uint8_t ikm[80], salt[80], out[KEY_BYTES];
    char info[81];

    (void)state;
    memset(ikm, 0x0b, 22);
    for (int i = 0; i < 13; i++)
        salt[i] = (uint8_t)i;
    assert_int_equal(kdf_hkdf(ikm, 22, salt, 13, "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9", out, NULL), ERR_OK);
    assert_hex(out, 32, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
    assert_int_equal(kdf_hkdf(ikm, 22, NULL, 0, "", out, NULL), ERR_OK);
    assert_hex(out, 32, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
    for (int i = 0; i < 80; i++) {
        ikm[i] = (uint8_t)i;
        salt[i] = (uint8_t)(0x60 + i);
        info[i] = (char)(0xb0 + i);
    }
    info[80] = '\0';
    assert_int_equal(kdf_hkdf(ikm, 80, salt, 80, info, out, NULL), ERR_OK);
    assert_hex(out, 32, "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c");
}

/* RFC 7914, section 12: the first 32 bytes of each. */
static void scrypt_vectors(void **state)
{
    uint8_t out[KEY_BYTES];

    (void)state;
    assert_int_equal(kdf_scrypt("", 0, "", 0, &(struct scrypt_params){4, 1, 1}, out, NULL), ERR_OK);
    assert_hex(out, 32, "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442");
    assert_int_equal(
        kdf_scrypt("pleaseletmein", 13, "SodiumChloride", 14, &(struct scrypt_params){14, 8, 1}, out, NULL), ERR_OK);
    assert_hex(out, 32, "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2");
}

/* Slots made by others must not make this program take gigabytes; the program's own choice must work. */
static void scrypt_parameters_are_bounded(void **state)
{
    static const struct scrypt_params bad[] = {
        {0, 8, 1},  {SCRYPT_MAX_LOG2_N + 1, 8, 1}, {255, 1, 1}, {16, 0, 1}, {16, SCRYPT_MAX_R + 1, 1}, {16, 255, 1},
        {16, 8, 0}, {16, 8, SCRYPT_MAX_P + 1},     {20, 16, 1}, {20, 9, 1},
    };
    uint8_t out[KEY_BYTES];
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(kdf_scrypt("p", 1, "s", 1, &bad[i], out, &err), ERR_LIMIT);
    assert_int_equal(kdf_scrypt("p", 1, "s", 1, &(struct scrypt_params){16, 8, 1}, out, &err), ERR_OK);
    assert_int_equal(kdf_scrypt("p", 1, "s", 1, &(struct scrypt_params){10, SCRYPT_MAX_R, SCRYPT_MAX_P}, out, &err),
                     ERR_OK);
}

/* FIPS 180-4 examples. */
static void sha256_vectors(void **state)
{
    struct digest d;
    struct hasher *h = NULL;

    (void)state;
    assert_int_equal(sha256("abc", 3, &d, NULL), ERR_OK);
    assert_hex(d.b, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(sha256(NULL, 0, &d, NULL), ERR_OK);
    assert_hex(d.b, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

    assert_int_equal(hasher_new(&h, NULL), ERR_OK);
    for (int again = 0; again < 2; again++) { /* final starts anew */
        assert_int_equal(hasher_update(h, "ab", 2, NULL), ERR_OK);
        assert_int_equal(hasher_update(h, "", 0, NULL), ERR_OK);
        assert_int_equal(hasher_update(h, "c", 1, NULL), ERR_OK);
        assert_int_equal(hasher_final(h, &d, NULL), ERR_OK);
        assert_hex(d.b, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
    hasher_free(h);
    hasher_free(NULL);
}

static void hex_goes_both_ways(void **state)
{
    uint8_t bytes[4];
    char text[9];

    (void)state;
    assert_true(hex_decode(bytes, 4, "00fFa59C", 8));
    assert_string_equal(hex_encode(text, bytes, 4), "00ffa59c");
    assert_string_equal(hex_encode(text, bytes, 0), "");
    assert_false(hex_decode(bytes, 4, "00ffa59", 7));
    assert_false(hex_decode(bytes, 4, "00ffa59c1", 9));
    assert_false(hex_decode(bytes, 4, "00ffa59g", 8));
    assert_false(hex_decode(bytes, 4, "00 fa59c", 8));
    assert_true(hex_decode(bytes, 0, "", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_wrap_and_unwrap),
        cmocka_unit_test(blobs_wrap_and_unwrap),
        cmocka_unit_test(hkdf_vectors),
        cmocka_unit_test(scrypt_vectors),
        cmocka_unit_test(scrypt_parameters_are_bounded),
        cmocka_unit_test(sha256_vectors),
        cmocka_unit_test(hex_goes_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
