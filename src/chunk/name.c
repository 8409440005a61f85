#include "chunk/name.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "chunk/crypto.h"

enum { HMAC_BLOCK_BYTES = 64 };

/* HMAC is built from the plain digest: hashing the padded key again costs less than copying or re-making the library's
 * contexts, which decides for chunks of a few hundred bytes (docs/adr/0004). */
struct namer {
    EVP_MD *md;
    EVP_MD_CTX *ctx;
    struct gcm gcm;
    uint8_t inner[HMAC_BLOCK_BYTES + 1]; /* padded key, then a place for the type */
    uint8_t outer[HMAC_BLOCK_BYTES];
};

enum errc namer_new(const uint8_t naming_key[32], const uint8_t fingerprint_key[32], struct namer **out,
                    struct err *err)
{
    struct namer *n = NULL;
    enum errc rc = mem_alloc(&n, sizeof *n, err);

    if (rc != ERR_OK)
        return rc;
    memset(n->inner, 0x36, HMAC_BLOCK_BYTES);
    memset(n->outer, 0x5c, HMAC_BLOCK_BYTES);
    for (size_t i = 0; i < 32; i++) {
        n->inner[i] ^= naming_key[i];
        n->outer[i] ^= naming_key[i];
    }
    n->md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    n->ctx = EVP_MD_CTX_new();
    if (!n->md || !n->ctx || EVP_DigestInit_ex2(n->ctx, n->md, NULL) != 1)
        rc = crypto_fail(err, "cannot set up SHA-256");
    else
        rc = gcm_init(&n->gcm, fingerprint_key, err);
    if (rc != ERR_OK) {
        namer_free(n);
        return rc;
    }
    *out = n;
    return ERR_OK;
}

void namer_free(struct namer *n)
{
    if (!n)
        return;
    EVP_MD_CTX_free(n->ctx);
    EVP_MD_free(n->md);
    gcm_release(&n->gcm);
    explicit_bzero(n, sizeof *n);
    free(n);
}

enum errc namer_name(struct namer *n, enum chunk_type type, const void *data, size_t len, struct chunk_name *out,
                     struct err *err)
{
    uint8_t inner_sum[NAME_BYTES];

    n->inner[HMAC_BLOCK_BYTES] = (uint8_t)type;
    if (EVP_DigestInit_ex2(n->ctx, NULL, NULL) != 1 ||
        EVP_DigestUpdate(n->ctx, n->inner, sizeof n->inner) != 1 ||
        (len > 0 && EVP_DigestUpdate(n->ctx, data, len) != 1) ||
        EVP_DigestFinal_ex(n->ctx, inner_sum, NULL) != 1 ||
        EVP_DigestInit_ex2(n->ctx, NULL, NULL) != 1 ||
        EVP_DigestUpdate(n->ctx, n->outer, sizeof n->outer) != 1 ||
        EVP_DigestUpdate(n->ctx, inner_sum, sizeof inner_sum) != 1 ||
        EVP_DigestFinal_ex(n->ctx, out->b, NULL) != 1)
        return crypto_fail(err, "cannot name a chunk");
    return ERR_OK;
}

enum errc namer_fingerprint(struct namer *n, const void *data, size_t len, struct fingerprint *out, struct err *err)
{
    static const uint8_t nonce[GCM_NONCE_BYTES];

    return gcm_encrypt(&n->gcm, nonce, (struct span){data, len}, (struct span){NULL, 0}, NULL, out->b, err);
}
