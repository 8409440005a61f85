/* name.h: N1, and vectors of HMAC-SHA-256 (RFC 4231) and GMAC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chunk/name.h"
#include "chunk/seal.h"

static void assert_hex(const void *bytes, size_t len, const char *hex)
{
    char text[2 * 64 + 1];

    assert_string_equal(hex_encode(text, bytes, len), hex);
}

static struct namer *make(const uint8_t naming[32], const uint8_t fingerprint[32])
{
    struct namer *n = NULL;

    assert_int_equal(namer_new(naming, fingerprint, &n, NULL), ERR_OK);
    return n;
}

/* RFC 4231 case 1: its key padded with zeros is the same HMAC key, its first byte takes the type's place. */
static void name_is_hmac_sha256(void **state)
{
    uint8_t key[32] = {0};
    struct chunk_name name;

    (void)state;
    memset(key, 0x0b, 20);
    struct namer *n = make(key, key);
    for (int again = 0; again < 3; again++) {
        assert_int_equal(namer_name(n, (enum chunk_type)'H', "i There", 7, &name, NULL), ERR_OK);
        assert_hex(name.b, sizeof name.b, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    }
    namer_free(n);
}

static void n1_type_key_and_bytes_make_the_name(void **state)
{
    uint8_t key[32];
    struct chunk_name name;

    (void)state;
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    struct namer *n = make(key, key);
    assert_int_equal(namer_name(n, CHUNK_DATA, "abc", 3, &name, NULL), ERR_OK);
    assert_hex(name.b, 32, "4befc27d483bc3db31820ca39ed188e03e76c7559cda6f293419dc8216eac36b");
    assert_int_equal(namer_name(n, CHUNK_LIST, "abc", 3, &name, NULL), ERR_OK);
    assert_hex(name.b, 32, "fdcf35082757ce99a348f5b12a1577f1d4ca7e94c4d41599d4a221ef5235b327");
    assert_int_equal(namer_name(n, CHUNK_DATA, NULL, 0, &name, NULL), ERR_OK);
    assert_hex(name.b, 32, "9b4c8120a4823a95f47cde17a244f4507244ee6e3957d1fab9fa29b44d3829b7");
    namer_free(n);
}

static void fingerprint_is_gmac(void **state)
{
    uint8_t key[32] = {0};
    struct fingerprint f;

    (void)state;
    struct namer *n = make(key, key);
    assert_int_equal(namer_fingerprint(n, NULL, 0, &f, NULL), ERR_OK);
    assert_hex(f.b, sizeof f.b, "530f8afbc74536b9a963b4f1c4cb738b"); /* GCM specification, test case 13 */
    namer_free(n);
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    n = make(key, key);
    for (int again = 0; again < 3; again++) {
        assert_int_equal(namer_fingerprint(n, "abc", 3, &f, NULL), ERR_OK);
        assert_hex(f.b, sizeof f.b, "f6e9addf71d44fda7b56e10407827468");
    }
    namer_free(n);
}

/* Zeros at the end must count: a chunk that grew by zeros is another chunk. */
static void fingerprint_sees_every_bit_and_the_length(void **state)
{
    const uint8_t key[32] = {9};
    uint8_t data[257] = {0};
    struct fingerprint base, other;

    (void)state;
    struct namer *n = make(key, key);
    assert_int_equal(namer_fingerprint(n, data, 256, &base, NULL), ERR_OK);
    for (size_t bit = 0; bit < 256 * 8; bit++) {
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(namer_fingerprint(n, data, 256, &other, NULL), ERR_OK);
        assert_memory_not_equal(base.b, other.b, sizeof base.b);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(namer_fingerprint(n, data, 257, &other, NULL), ERR_OK);
    assert_memory_not_equal(base.b, other.b, sizeof base.b);
    assert_int_equal(namer_fingerprint(n, data, 255, &other, NULL), ERR_OK);
    assert_memory_not_equal(base.b, other.b, sizeof base.b);
    namer_free(n);
}

static void the_two_keys_are_not_mixed_up(void **state)
{
    const uint8_t a[32] = {1}, b[32] = {2};
    struct chunk_name name_a, name_b;
    struct fingerprint f_a, f_b;

    (void)state;
    struct namer *aa = make(a, a), *ab = make(a, b);
    assert_int_equal(namer_name(aa, CHUNK_DATA, "x", 1, &name_a, NULL), ERR_OK);
    assert_int_equal(namer_name(ab, CHUNK_DATA, "x", 1, &name_b, NULL), ERR_OK);
    assert_memory_equal(name_a.b, name_b.b, sizeof name_a.b);
    assert_int_equal(namer_fingerprint(aa, "x", 1, &f_a, NULL), ERR_OK);
    assert_int_equal(namer_fingerprint(ab, "x", 1, &f_b, NULL), ERR_OK);
    assert_memory_not_equal(f_a.b, f_b.b, sizeof f_a.b);
    namer_free(aa);
    namer_free(ab);
    namer_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_is_hmac_sha256),           cmocka_unit_test(n1_type_key_and_bytes_make_the_name),
        cmocka_unit_test(fingerprint_is_gmac),           cmocka_unit_test(fingerprint_sees_every_bit_and_the_length),
        cmocka_unit_test(the_two_keys_are_not_mixed_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
