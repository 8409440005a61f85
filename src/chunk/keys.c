#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <string.h>

#include "base/io.h"
#include "base/limits.h"
#include "chunk/crypto.h"
#include "chunk/seal.h"

enum errc blob_wrap(const uint8_t wrapping[KEY_BYTES], const void *aad, size_t aad_len, const void *src, size_t len,
                    uint8_t *out, struct err *err)
{
    struct gcm g;
    enum errc rc = io_random(out, GCM_NONCE_BYTES, err);

    if (rc != ERR_OK)
        return rc;
    rc = gcm_init(&g, wrapping, err);
    if (rc != ERR_OK)
        return rc;
    uint8_t *body = out + GCM_NONCE_BYTES;
    rc = gcm_encrypt(&g, out, (struct span){aad, aad_len}, (struct span){src, len}, body, body + len, err);
    gcm_release(&g);
    return rc;
}

enum errc blob_unwrap(const uint8_t wrapping[KEY_BYTES], const void *aad, size_t aad_len, const uint8_t *src,
                      size_t len, void *out, struct err *err)
{
    struct gcm g;
    bool good = false;

    if (len < GCM_NONCE_BYTES + GCM_TAG_BYTES)
        return err_fail(err, ERR_DAMAGED, "wrapped key of %zu bytes is too short", len);
    enum errc rc = gcm_init(&g, wrapping, err);
    if (rc != ERR_OK)
        return rc;
    const uint8_t *body = src + GCM_NONCE_BYTES;
    size_t plain_len = len - GCM_NONCE_BYTES - GCM_TAG_BYTES;
    rc = gcm_decrypt(&g, src, (struct span){aad, aad_len}, (struct span){body, plain_len}, body + plain_len, out, &good,
                     err);
    gcm_release(&g);
    if (rc == ERR_OK && !good)
        rc = err_fail(err, ERR_WRONG_KEY, "the key does not open what was wrapped");
    return rc;
}

enum errc key_wrap(const uint8_t wrapping[KEY_BYTES], const void *aad, size_t aad_len, const uint8_t key[KEY_BYTES],
                   uint8_t out[WRAPPED_KEY_BYTES], struct err *err)
{
    return blob_wrap(wrapping, aad, aad_len, key, KEY_BYTES, out, err);
}

enum errc key_unwrap(const uint8_t wrapping[KEY_BYTES], const void *aad, size_t aad_len,
                     const uint8_t wrapped[WRAPPED_KEY_BYTES], uint8_t out[KEY_BYTES], struct err *err)
{
    return blob_unwrap(wrapping, aad, aad_len, wrapped, WRAPPED_KEY_BYTES, out, err);
}

/* OSSL_PARAM holds plain pointers, but the library only reads through them. */
static OSSL_PARAM octets(const char *key, struct span s)
{
    union {
        const void *in;
        void *out;
    } p = {.in = s.data ? s.data : ""};

    return OSSL_PARAM_construct_octet_string(key, p.out, s.len);
}

static enum errc derive(const char *algorithm, const OSSL_PARAM *params, uint8_t *out, size_t out_len, struct err *err)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, algorithm, NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    enum errc rc = ERR_OK;

    if (!ctx || EVP_KDF_derive(ctx, out, out_len, params) != 1) {
        explicit_bzero(out, out_len);
        rc = crypto_fail(err, "cannot derive a key");
    }
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return rc;
}

enum errc hkdf_fill(struct span secret, struct span salt, const char *info, uint8_t *out, size_t out_len,
                    struct err *err)
{
    char digest[] = "SHA2-256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        octets(OSSL_KDF_PARAM_KEY, secret),
        octets(OSSL_KDF_PARAM_INFO, (struct span){info, strlen(info)}),
        salt.len > 0 ? octets(OSSL_KDF_PARAM_SALT, salt) : OSSL_PARAM_construct_end(),
        OSSL_PARAM_construct_end(),
    };

    return derive("HKDF", params, out, out_len, err);
}

enum errc kdf_hkdf(const void *secret, size_t secret_len, const void *salt, size_t salt_len, const char *info,
                   uint8_t out[KEY_BYTES], struct err *err)
{
    return hkdf_fill((struct span){secret, secret_len}, (struct span){salt, salt_len}, info, out, KEY_BYTES, err);
}

enum errc kdf_scrypt(const void *pass, size_t pass_len, const void *salt, size_t salt_len,
                     const struct scrypt_params *p, uint8_t out[KEY_BYTES], struct err *err)
{
    if (p->log2_n < 1 || p->log2_n > SCRYPT_MAX_LOG2_N || p->r < 1 || p->r > SCRYPT_MAX_R || p->p < 1 ||
        p->p > SCRYPT_MAX_P)
        return err_fail(err, ERR_LIMIT, "scrypt parameters out of range: log2(N) %u, r %u, p %u", p->log2_n, p->r,
                        p->p);

    uint64_t n = UINT64_C(1) << p->log2_n;
    if (128 * n * p->r > UINT64_C(1) << 30)
        return err_fail(err, ERR_LIMIT, "scrypt parameters ask for %llu MiB of memory",
                        (unsigned long long)(128 * n * p->r >> 20));

    /* Without maxmem the library refuses anything above 32 MiB. */
    uint64_t max_bytes = 128 * (n + 2 + p->p) * p->r + 65536;
    uint32_t r = p->r, lanes = p->p;
    OSSL_PARAM params[] = {
        octets(OSSL_KDF_PARAM_PASSWORD, (struct span){pass, pass_len}),
        octets(OSSL_KDF_PARAM_SALT, (struct span){salt, salt_len}),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &lanes),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &max_bytes),
        OSSL_PARAM_construct_end(),
    };

    return derive("SCRYPT", params, out, KEY_BYTES, err);
}
