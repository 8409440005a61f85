#include "chunk/name.h"

#include <openssl/core_names.h>
#include <stdlib.h>

#include "base/buf.h"
#include "chunk/crypto.h"

struct namer {
    EVP_MAC *mac;
    EVP_MAC_CTX *ctx; /* keyed once; each name starts from that state */
    struct gcm gcm;
};

static enum errc keyed_hmac(struct namer *n, const uint8_t key[32], struct err *err)
{
    char digest[] = "SHA2-256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    n->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    n->ctx = n->mac ? EVP_MAC_CTX_new(n->mac) : NULL;
    if (!n->ctx || EVP_MAC_init(n->ctx, key, 32, params) != 1)
        return crypto_fail(err, "cannot set up HMAC-SHA-256");
    return ERR_OK;
}

enum errc namer_new(const uint8_t naming_key[32], const uint8_t fingerprint_key[32], struct namer **out,
                    struct err *err)
{
    struct namer *n = NULL;
    enum errc rc = mem_alloc(&n, sizeof *n, err);

    if (rc != ERR_OK)
        return rc;
    rc = keyed_hmac(n, naming_key, err);
    if (rc == ERR_OK)
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
    EVP_MAC_CTX_free(n->ctx); /* wipes the key */
    EVP_MAC_free(n->mac);
    gcm_release(&n->gcm);
    free(n);
}

enum errc namer_name(struct namer *n, enum chunk_type type, const void *data, size_t len, struct chunk_name *out,
                     struct err *err)
{
    uint8_t type_byte = (uint8_t)type;
    size_t out_len = 0;

    /* No key: back to the state after the key. Half the cost of a new context, and nothing is allocated. */
    if (EVP_MAC_init(n->ctx, NULL, 0, NULL) != 1 || EVP_MAC_update(n->ctx, &type_byte, 1) != 1 ||
        (len > 0 && EVP_MAC_update(n->ctx, data, len) != 1) ||
        EVP_MAC_final(n->ctx, out->b, &out_len, sizeof out->b) != 1)
        return crypto_fail(err, "cannot name a chunk");
    return ERR_OK;
}

enum errc namer_fingerprint(struct namer *n, const void *data, size_t len, struct fingerprint *out, struct err *err)
{
    static const uint8_t nonce[GCM_NONCE_BYTES];

    return gcm_encrypt(&n->gcm, nonce, (struct span){data, len}, (struct span){NULL, 0}, NULL, out->b, err);
}
