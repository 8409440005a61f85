#include "chunk/seal.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "chunk/crypto.h"

struct sealer {
    struct gcm gcm;
};

enum errc sealer_new(const uint8_t key[KEY_BYTES], struct sealer **out, struct err *err)
{
    struct sealer *s = NULL;
    enum errc rc = mem_alloc(&s, sizeof *s, err);

    if (rc == ERR_OK)
        rc = gcm_init(&s->gcm, key, err);
    if (rc != ERR_OK) {
        sealer_free(s);
        return rc;
    }
    *out = s;
    return ERR_OK;
}

void sealer_free(struct sealer *s)
{
    if (!s)
        return;
    gcm_release(&s->gcm);
    free(s);
}

static void nonce_of(uint32_t number, uint8_t nonce[GCM_NONCE_BYTES])
{
    memset(nonce, 0, GCM_NONCE_BYTES);
    nonce[8] = (uint8_t)(number >> 24);
    nonce[9] = (uint8_t)(number >> 16);
    nonce[10] = (uint8_t)(number >> 8);
    nonce[11] = (uint8_t)number;
}

enum errc seal(struct sealer *s, uint32_t number, const void *aad, size_t aad_len, const void *src, size_t len,
               uint8_t *dst, struct err *err)
{
    uint8_t nonce[GCM_NONCE_BYTES];

    nonce_of(number, nonce);
    return gcm_encrypt(&s->gcm, nonce, (struct span){aad, aad_len}, (struct span){src, len}, dst, dst + len, err);
}

enum errc seal_open(struct sealer *s, uint32_t number, const void *aad, size_t aad_len, const uint8_t *src, size_t len,
                    void *dst, struct err *err)
{
    uint8_t nonce[GCM_NONCE_BYTES];
    bool good = false;

    if (len < SEAL_TAG_BYTES)
        return err_fail(err, ERR_DAMAGED, "sealed data of %zu bytes is too short to hold its tag", len);
    nonce_of(number, nonce);
    size_t plain_len = len - SEAL_TAG_BYTES;
    enum errc rc = gcm_decrypt(&s->gcm, nonce, (struct span){aad, aad_len}, (struct span){src, plain_len},
                               src + plain_len, dst, &good, err);
    if (rc != ERR_OK)
        return rc;
    if (!good)
        return err_fail(err, ERR_DAMAGED, "sealed data does not verify");
    return ERR_OK;
}
