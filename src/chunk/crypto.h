/* libcrypto as the files of this folder use it. Layer: chunk (private to it).
 *
 * struct gcm is AES-256-GCM with a 12-byte nonce and a 16-byte tag. It keeps the key schedule: a call only sets the
 * nonce.
 */
#ifndef SNAP_CHUNK_CRYPTO_H
#define SNAP_CHUNK_CRYPTO_H

#include <openssl/evp.h>
#include <stdint.h>

#include "base/err.h"

enum { GCM_KEY_BYTES = 32, GCM_NONCE_BYTES = 12, GCM_TAG_BYTES = 16 };

struct gcm {
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *ctx;
};

/* A borrowed byte string; data may be NULL when len is 0. */
struct span {
    const void *data;
    size_t len;
};

/* After a failure gcm_release is not needed, but does no harm. */
MUST_USE enum errc gcm_init(struct gcm *g, const uint8_t key[GCM_KEY_BYTES], struct err *err);
void gcm_release(struct gcm *g);
/* dst gets src.len bytes of cipher text (may be NULL when that is 0), tag the tag. */
MUST_USE enum errc gcm_encrypt(struct gcm *g, const uint8_t nonce[GCM_NONCE_BYTES], struct span aad, struct span src,
                               uint8_t *dst, uint8_t tag[GCM_TAG_BYTES], struct err *err);
/* dst gets src.len bytes. *good_out tells whether the tag was right; if not, or on an error, dst is wiped. */
MUST_USE enum errc gcm_decrypt(struct gcm *g, const uint8_t nonce[GCM_NONCE_BYTES], struct span aad, struct span src,
                               const uint8_t tag[GCM_TAG_BYTES], void *dst, bool *good_out, struct err *err);

/* Fill err with ERR_CRYPTO, what was tried and the library's reason; empties the library's error queue. */
enum errc crypto_fail(struct err *err, const char *what);

/* HKDF-SHA-256 (RFC 5869) to any length up to 8160 bytes; salt may be empty. out is wiped on failure. */
MUST_USE enum errc hkdf_fill(struct span secret, struct span salt, const char *info, uint8_t *out, size_t out_len,
                             struct err *err);

#endif
