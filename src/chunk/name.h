/* A chunk's name and its fingerprint. Layer: chunk (wraps libcrypto).
 *
 * Name: HMAC-SHA-256(naming key, type byte || plain bytes): proves bytes and meaning; checked after every decode.
 * Fingerprint: 16 bytes of GMAC (AES-256, fixed nonce) of the plain bytes, kept only inside sealed entry lists; tells
 * that the bytes at a place did not change (docs/adr/0004). Not a name: never used to find a chunk.
 *
 * Promises
 *   N1  equal (key, type, bytes) give equal names; another type gives another name.
 */
#ifndef SNAP_CHUNK_NAME_H
#define SNAP_CHUNK_NAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { NAME_BYTES = 32, FINGERPRINT_BYTES = 16 };

struct chunk_name {
    uint8_t b[NAME_BYTES];
};
struct fingerprint {
    uint8_t b[FINGERPRINT_BYTES];
};

/* What a chunk is; part of its name and of its record's associated data. Stored: never renumber. */
enum chunk_type {
    CHUNK_DATA = 1,  /* bytes of an entry */
    CHUNK_LIST = 2,  /* records of an entry list */
    CHUNK_INDEX = 3, /* references to list (or index) chunks */
    CHUNK_XATTR = 4, /* a large extended attribute */
};

/* One per thread. */
struct namer;
MUST_USE enum errc namer_new(const uint8_t naming_key[32], const uint8_t fingerprint_key[32], struct namer **out,
                             struct err *err);
void namer_free(struct namer *n);
MUST_USE enum errc namer_name(struct namer *n, enum chunk_type type, const void *data, size_t len,
                              struct chunk_name *out, struct err *err);
MUST_USE enum errc namer_fingerprint(struct namer *n, const void *data, size_t len, struct fingerprint *out,
                                     struct err *err);

#endif
