/* seal.h: S3. Every block that libcrypto gives back is searched for the key that was in use. */
#include <malloc.h>
#include <openssl/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chunk/name.h"
#include "chunk/seal.h"

static uint8_t key[KEY_BYTES];
static unsigned leaks, searched;

static void *take(size_t len, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(len);
}

static void *resize(void *p, size_t len, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(p, len);
}

static void give_back(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    size_t len = p ? malloc_usable_size(p) : 0;
    searched++;
    for (size_t i = 0; i + KEY_BYTES <= len; i++)
        if (memcmp((uint8_t *)p + i, key, KEY_BYTES) == 0) {
            leaks++;
            break;
        }
    free(p);
}

/* Before anything of libcrypto is used. */
static int watch(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)(i * 37 + 11);
    return CRYPTO_set_mem_functions(take, resize, give_back) ? 0 : -1;
}

static void the_search_finds_a_key(void **state)
{
    (void)state;
    uint8_t *p = OPENSSL_malloc(100);
    assert_non_null(p);
    memset(p, 0, 100);
    memcpy(p + 40, key, sizeof key);
    leaks = 0;
    OPENSSL_free(p);
    assert_int_equal(leaks, 1);
}

static void s3_keys_are_wiped_when_freed(void **state)
{
    (void)state;
    struct sealer *s;
    struct namer *n;
    struct err err;
    struct chunk_name name;
    struct fingerprint print;
    uint8_t sealed[100 + SEAL_TAG_BYTES], plain[100] = {1}, wrapped[WRAPPED_KEY_BYTES], inner[KEY_BYTES] = {7};

    leaks = searched = 0;
    assert_int_equal(sealer_new(key, &s, &err), ERR_OK);
    assert_int_equal(seal(s, 1, "a", 1, plain, sizeof plain, sealed, &err), ERR_OK);
    assert_int_equal(seal_open(s, 1, "a", 1, sealed, sizeof sealed, plain, &err), ERR_OK);
    sealer_free(s);
    assert_int_equal(key_wrap(key, "a", 1, inner, wrapped, &err), ERR_OK);
    assert_int_equal(namer_new(key, key, &n, &err), ERR_OK);
    assert_int_equal(namer_name(n, CHUNK_DATA, plain, sizeof plain, &name, &err), ERR_OK);
    assert_int_equal(namer_fingerprint(n, plain, sizeof plain, &print, &err), ERR_OK);
    namer_free(n);
    assert_true(searched > 0);
    assert_int_equal(leaks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_search_finds_a_key),
        cmocka_unit_test(s3_keys_are_wiped_when_freed),
    };
    return cmocka_run_group_tests(tests, watch, NULL);
}
