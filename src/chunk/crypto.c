#include "chunk/crypto.h"

#include <limits.h>
#include <openssl/err.h>
#include <string.h>

enum errc crypto_fail(struct err *err, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    return err_fail(err, ERR_CRYPTO, "%s: %s", what, reason ? reason : "no reason given");
}

enum errc gcm_init(struct gcm *g, const uint8_t key[GCM_KEY_BYTES], struct err *err)
{
    g->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    g->ctx = EVP_CIPHER_CTX_new();
    if (!g->cipher || !g->ctx || EVP_EncryptInit_ex2(g->ctx, g->cipher, key, NULL, NULL) != 1) {
        gcm_release(g);
        return crypto_fail(err, "cannot set up AES-256-GCM");
    }
    return ERR_OK;
}

void gcm_release(struct gcm *g)
{
    EVP_CIPHER_CTX_free(g->ctx); /* wipes the key schedule */
    EVP_CIPHER_free(g->cipher);
    g->ctx = NULL;
    g->cipher = NULL;
}

/* The library counts in int. */
static bool fits(struct span a, struct span b)
{
    return a.len <= INT_MAX && b.len <= INT_MAX;
}

enum errc gcm_encrypt(struct gcm *g, const uint8_t nonce[GCM_NONCE_BYTES], struct span aad, struct span src,
                      uint8_t *dst, uint8_t tag[GCM_TAG_BYTES], struct err *err)
{
    int n = 0;

    if (!fits(aad, src))
        return err_fail(err, ERR_LIMIT, "too much data to encrypt at once");
    if (EVP_EncryptInit_ex2(g->ctx, NULL, NULL, nonce, NULL) != 1 ||
        (aad.len > 0 && EVP_EncryptUpdate(g->ctx, NULL, &n, aad.data, (int)aad.len) != 1) ||
        (src.len > 0 && EVP_EncryptUpdate(g->ctx, dst, &n, src.data, (int)src.len) != 1) ||
        EVP_EncryptFinal_ex(g->ctx, tag, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(g->ctx, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_BYTES, tag) != 1)
        return crypto_fail(err, "cannot encrypt");
    return ERR_OK;
}

enum errc gcm_decrypt(struct gcm *g, const uint8_t nonce[GCM_NONCE_BYTES], struct span aad, struct span src,
                      const uint8_t tag[GCM_TAG_BYTES], void *dst, bool *good_out, struct err *err)
{
    uint8_t expected[GCM_TAG_BYTES], none[GCM_TAG_BYTES];
    int n = 0;

    *good_out = false;
    if (!fits(aad, src))
        return err_fail(err, ERR_LIMIT, "too much data to decrypt at once");
    memcpy(expected, tag, sizeof expected);
    if (EVP_DecryptInit_ex2(g->ctx, NULL, NULL, nonce, NULL) != 1 ||
        EVP_CIPHER_CTX_ctrl(g->ctx, EVP_CTRL_AEAD_SET_TAG, GCM_TAG_BYTES, expected) != 1 ||
        (aad.len > 0 && EVP_DecryptUpdate(g->ctx, NULL, &n, aad.data, (int)aad.len) != 1) ||
        (src.len > 0 && EVP_DecryptUpdate(g->ctx, dst, &n, src.data, (int)src.len) != 1)) {
        if (src.len > 0)
            explicit_bzero(dst, src.len);
        return crypto_fail(err, "cannot decrypt");
    }
    *good_out = EVP_DecryptFinal_ex(g->ctx, none, &n) == 1;
    if (!*good_out) {
        if (src.len > 0)
            explicit_bzero(dst, src.len);
        ERR_clear_error();
    }
    return ERR_OK;
}
