#include <string.h>

#include "base/io.h"
#include "format/fixed.h"
#include "format/log_record.h"

/* Places in a frame (docs/format.md, "The log"). */
enum {
    AT_FORMAT = 8,
    AT_CIPHER = 10,
    AT_WRAP = 11,
    AT_KEY_ID = 12,
    AT_NUMBER = 16,
    AT_REPO = 24,
    AT_WRAPPED_KEY = 40,
    AT_SIGNATURE = 100,
    AT_BODY_LEN = 164,
    FRAME_HEADER_BYTES = 168,
    SIGNATURE_BYTES = 64,
    BODY_AAD_BYTES = 1 + FRAME_HEADER_BYTES,
};
static const uint8_t MAGIC[8] = {'S', 'N', 'A', 'P', 'L', 'O', 'G', '1'};

/* A signature is made over the sealed body, so it cannot be part of what the seal binds: zeros stand in for it. */
static void body_aad(const uint8_t *header, uint8_t out[BODY_AAD_BYTES])
{
    out[0] = OBJECT_LOG_BODY;
    memcpy(out + 1, header, FRAME_HEADER_BYTES);
    memset(out + 1 + AT_SIGNATURE, 0, SIGNATURE_BYTES);
}

static enum errc fill_header(uint8_t header[FRAME_HEADER_BYTES], const struct repo_id *repo,
                             const struct key_bundle *keys, uint64_t number, size_t body_len,
                             uint8_t record_key[KEY_BYTES], struct err *err)
{
    const struct data_key *current = &keys->data[keys->data_count - 1];
    memset(header, 0, FRAME_HEADER_BYTES);
    memcpy(header, MAGIC, sizeof MAGIC);
    set_u16(header + AT_FORMAT, FORMAT_VERSION);
    header[AT_CIPHER] = CIPHER_AES_256_GCM;
    header[AT_WRAP] = WRAP_AES_256_GCM;
    set_u32(header + AT_KEY_ID, current->id);
    set_u64(header + AT_NUMBER, number);
    memcpy(header + AT_REPO, repo->b, sizeof repo->b);
    set_u32(header + AT_BODY_LEN, (uint32_t)(body_len + SEAL_TAG_BYTES));
    enum errc rc = io_random(record_key, KEY_BYTES, err);
    return rc == ERR_OK ? key_wrap(current->key, header, AT_WRAPPED_KEY, record_key, header + AT_WRAPPED_KEY, err) : rc;
}

enum errc log_frame_seal(struct buf *out, const struct repo_id *repo, const struct key_bundle *keys, uint64_t number,
                         const void *body, size_t body_len, struct err *err)
{
    REQUIRE(keys->data_count >= 1 && keys->data_count <= DATA_KEYS_MAX);
    if (body_len > LOG_RECORD_MAX_BYTES)
        return err_fail(err, ERR_LIMIT, "a log record of %zu bytes is above the limit", body_len);
    uint8_t header[FRAME_HEADER_BYTES], aad[BODY_AAD_BYTES], key[KEY_BYTES];
    struct sealer *sealer = NULL;
    size_t before = out->len;
    enum errc rc = fill_header(header, repo, keys, number, body_len, key, err);
    if (rc == ERR_OK)
        rc = sealer_new(key, &sealer, err);
    explicit_bzero(key, sizeof key);
    if (rc == ERR_OK)
        rc = buf_reserve(out, FRAME_HEADER_BYTES + body_len + SEAL_TAG_BYTES, err);
    if (rc == ERR_OK)
        rc = buf_append(out, header, sizeof header, err);
    if (rc == ERR_OK) {
        body_aad(header, aad);
        rc = seal(sealer, 0, aad, sizeof aad, body, body_len, out->data + out->len, err);
    }
    out->len = rc == ERR_OK ? out->len + body_len + SEAL_TAG_BYTES : before;
    sealer_free(sealer);
    return rc;
}

/* The header's fields against what this program knows and what is expected here. */
static enum errc check_header(struct reader *r, const struct repo_id *repo, uint64_t number, uint32_t *key_id_out,
                              struct err *err)
{
    struct bytes magic = get_bytes(r, sizeof MAGIC);
    uint16_t format = get_u16(r);
    uint8_t cipher = get_u8(r), wrap = get_u8(r);
    *key_id_out = get_u32(r);
    uint64_t stored_number = get_u64(r);
    struct bytes stored_repo = get_bytes(r, sizeof repo->b);
    if (!reader_ok(r) || memcmp(magic.data, MAGIC, sizeof MAGIC) != 0 || format == 0)
        return err_fail(err, ERR_DAMAGED, "log record %llu is not one", (unsigned long long)number);
    if (format > FORMAT_VERSION || cipher != CIPHER_AES_256_GCM || wrap != WRAP_AES_256_GCM)
        return err_fail(err, ERR_FORMAT_NEWER, "log record %llu has format %u, cipher %u, key wrap %u",
                        (unsigned long long)number, format, cipher, wrap);
    if (stored_number != number)
        return err_fail(err, ERR_DAMAGED, "log record %llu says that it is number %llu", (unsigned long long)number,
                        (unsigned long long)stored_number);
    if (memcmp(stored_repo.data, repo->b, sizeof repo->b) != 0)
        return err_fail(err, ERR_DAMAGED, "log record %llu is of another repository", (unsigned long long)number);
    return ERR_OK;
}

static enum errc unwrap_record_key(const uint8_t *frame, const struct key_bundle *keys, uint32_t key_id, uint8_t *key,
                                   struct err *err)
{
    for (uint32_t i = 0; i < keys->data_count; i++) {
        if (keys->data[i].id != key_id)
            continue;
        enum errc rc = key_unwrap(keys->data[i].key, frame, AT_WRAPPED_KEY, frame + AT_WRAPPED_KEY, key, err);
        return rc == ERR_WRONG_KEY ? err_fail(err, ERR_DAMAGED, "the key of a log record does not open") : rc;
    }
    return err_fail(err, ERR_DAMAGED, "a log record is sealed under data key %u, which this repository does not have",
                    key_id);
}

enum errc log_frame_open(const void *frame, size_t len, const struct repo_id *repo, const struct key_bundle *keys,
                         uint64_t number, struct buf *body_out, struct err *err)
{
    struct reader r = reader_of(frame, len);
    uint32_t key_id;
    enum errc rc = check_header(&r, repo, number, &key_id, err);
    if (rc != ERR_OK)
        return rc;
    (void)get_bytes(&r, WRAPPED_KEY_BYTES + SIGNATURE_BYTES);
    uint32_t sealed_len = get_u32(&r);
    struct bytes body = get_bytes(&r, sealed_len);
    if (!reader_ok(&r) || reader_left(&r) > 0 || sealed_len < SEAL_TAG_BYTES ||
        sealed_len > LOG_RECORD_MAX_BYTES + SEAL_TAG_BYTES)
        return err_fail(err, ERR_DAMAGED, "log record %llu has a wrong length", (unsigned long long)number);
    uint8_t key[KEY_BYTES], aad[BODY_AAD_BYTES];
    struct sealer *sealer = NULL;
    size_t plain_len = body.len - SEAL_TAG_BYTES;
    rc = unwrap_record_key(frame, keys, key_id, key, err);
    if (rc == ERR_OK)
        rc = sealer_new(key, &sealer, err);
    explicit_bzero(key, sizeof key);
    if (rc == ERR_OK)
        rc = buf_reserve(body_out, plain_len > 0 ? plain_len : 1, err);
    if (rc == ERR_OK) {
        body_aad(frame, aad);
        rc = seal_open(sealer, 0, aad, sizeof aad, body.data, body.len, body_out->data + body_out->len, err);
    }
    if (rc == ERR_OK)
        body_out->len += plain_len;
    sealer_free(sealer);
    return rc;
}
