/* Sealing (AES-256-GCM) and keys. Layer: chunk (wraps libcrypto).
 *
 * An object (pack, log record) has a fresh random key; what is sealed with it is numbered, and the number is the nonce:
 * 12 bytes, 8 zero bytes then the number as u32 big-endian. A number is used once per object key.
 *
 * Promises
 *   S1  open succeeds only on bytes made by seal with the same key, number and associated data.
 *   S2  on failure nothing of the plain text is handed out (dst is wiped).
 *   S3  keys are wiped when freed.
 */
#ifndef SNAP_CHUNK_SEAL_H
#define SNAP_CHUNK_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { KEY_BYTES = 32, SEAL_TAG_BYTES = 16, WRAPPED_KEY_BYTES = 12 + KEY_BYTES + SEAL_TAG_BYTES };
/* Stored: never renumber. */
enum cipher_id { CIPHER_AES_256_GCM = 1 };
enum wrap_id { WRAP_AES_256_GCM = 1 };
enum kdf_id { KDF_NONE = 0, KDF_HKDF_SHA256 = 1, KDF_SCRYPT = 2 };

/* One per object and thread. */
struct sealer;
MUST_USE enum errc sealer_new(const uint8_t key[KEY_BYTES], struct sealer **out, struct err *err);
void sealer_free(struct sealer *s);
/* dst has room for len + SEAL_TAG_BYTES; cipher text then tag. dst and src must not overlap. */
MUST_USE enum errc seal(struct sealer *s, uint32_t number, const void *aad, size_t aad_len, const void *src, size_t len,
                        uint8_t *dst, struct err *err);
/* src is cipher text then tag (len bytes in all); dst has room for len - SEAL_TAG_BYTES. ERR_DAMAGED when it does not
 * verify. dst and src must not overlap. */
MUST_USE enum errc seal_open(struct sealer *s, uint32_t number, const void *aad, size_t aad_len, const uint8_t *src,
                             size_t len, void *dst, struct err *err);

/* A key under another key: 12 random bytes of nonce, cipher text, tag. */
MUST_USE enum errc key_wrap(const uint8_t wrapping[KEY_BYTES], const void *aad, size_t aad_len,
                            const uint8_t key[KEY_BYTES], uint8_t out[WRAPPED_KEY_BYTES], struct err *err);
/* ERR_WRONG_KEY when it does not verify. */
MUST_USE enum errc key_unwrap(const uint8_t wrapping[KEY_BYTES], const void *aad, size_t aad_len,
                              const uint8_t wrapped[WRAPPED_KEY_BYTES], uint8_t out[KEY_BYTES], struct err *err);
/* The same for more than one key: random nonce, cipher text, tag; out has room for 12 + len + 16. */
MUST_USE enum errc blob_wrap(const uint8_t wrapping[KEY_BYTES], const void *aad, size_t aad_len, const void *src,
                             size_t len, uint8_t *out, struct err *err);
MUST_USE enum errc blob_unwrap(const uint8_t wrapping[KEY_BYTES], const void *aad, size_t aad_len, const uint8_t *src,
                               size_t len, void *out, struct err *err);

MUST_USE enum errc kdf_hkdf(const void *secret, size_t secret_len, const void *salt, size_t salt_len, const char *info,
                            uint8_t out[KEY_BYTES], struct err *err);
struct scrypt_params {
    uint8_t log2_n, r, p; /* refused above SCRYPT_MAX_* (base/limits.h) and when 128*N*r exceeds 1 GiB */
};
MUST_USE enum errc kdf_scrypt(const void *pass, size_t pass_len, const void *salt, size_t salt_len,
                              const struct scrypt_params *p, uint8_t out[KEY_BYTES], struct err *err);

/* SHA-256, for names of packs and digests of log records. */
enum { DIGEST_BYTES = 32 };
struct digest {
    uint8_t b[DIGEST_BYTES];
};
struct hasher;
MUST_USE enum errc hasher_new(struct hasher **out, struct err *err);
void hasher_free(struct hasher *h);
MUST_USE enum errc hasher_update(struct hasher *h, const void *data, size_t len, struct err *err);
MUST_USE enum errc hasher_final(struct hasher *h, struct digest *out, struct err *err); /* and starts anew */
MUST_USE enum errc sha256(const void *data, size_t len, struct digest *out, struct err *err);

/* Lower-case hex; dst has room for 2*len + 1. */
const char *hex_encode(char *dst, const void *src, size_t len);
/* Exactly 2*len hex digits, either case; false otherwise. */
bool hex_decode(uint8_t *dst, size_t len, const char *hex, size_t hex_len);

#endif
