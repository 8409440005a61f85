#include <stdlib.h>

#include "base/buf.h"
#include "chunk/crypto.h"
#include "chunk/seal.h"

struct hasher {
    EVP_MD *md;
    EVP_MD_CTX *ctx;
};

enum errc hasher_new(struct hasher **out, struct err *err)
{
    struct hasher *h = NULL;
    enum errc rc = mem_alloc(&h, sizeof *h, err);

    if (rc != ERR_OK)
        return rc;
    h->md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    h->ctx = EVP_MD_CTX_new();
    if (!h->md || !h->ctx || EVP_DigestInit_ex2(h->ctx, h->md, NULL) != 1) {
        hasher_free(h);
        return crypto_fail(err, "cannot set up SHA-256");
    }
    *out = h;
    return ERR_OK;
}

void hasher_free(struct hasher *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->ctx);
    EVP_MD_free(h->md);
    free(h);
}

enum errc hasher_update(struct hasher *h, const void *data, size_t len, struct err *err)
{
    if (EVP_DigestUpdate(h->ctx, data, len) != 1)
        return crypto_fail(err, "cannot compute SHA-256");
    return ERR_OK;
}

enum errc hasher_final(struct hasher *h, struct digest *out, struct err *err)
{
    if (EVP_DigestFinal_ex(h->ctx, out->b, NULL) != 1 || EVP_DigestInit_ex2(h->ctx, h->md, NULL) != 1)
        return crypto_fail(err, "cannot compute SHA-256");
    return ERR_OK;
}

enum errc sha256(const void *data, size_t len, struct digest *out, struct err *err)
{
    if (EVP_Digest(data, len, out->b, NULL, EVP_sha256(), NULL) != 1)
        return crypto_fail(err, "cannot compute SHA-256");
    return ERR_OK;
}

const char *hex_encode(char *dst, const void *src, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = src;

    for (size_t i = 0; i < len; i++) {
        dst[2 * i] = digits[bytes[i] >> 4];
        dst[2 * i + 1] = digits[bytes[i] & 15];
    }
    dst[2 * len] = '\0';
    return dst;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool hex_decode(uint8_t *dst, size_t len, const char *hex, size_t hex_len)
{
    if (hex_len / 2 != len || hex_len % 2 != 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        dst[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
