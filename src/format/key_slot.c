/* Key slots (config.h, docs/format.md "Key slots"). */
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/limits.h"
#include "format/config.h"
#include "format/fields.h"
#include "format/fixed.h"

static const uint8_t MAGIC[8] = {'S', 'N', 'A', 'P', 'S', 'L', 'O', 'T'};
static const struct scrypt_params SCRYPT_DEFAULT = {.log2_n = 16, .r = 8, .p = 1};

enum { WRAP_OVERHEAD_BYTES = WRAPPED_KEY_BYTES - KEY_BYTES, SLOT_AAD_BYTES = 56, PASSPHRASE_MAX_BYTES = 1024 };

void key_slot_release(struct key_slot *s)
{
    free(s->wrapped);
    s->wrapped = NULL;
    s->wrapped_len = 0;
}

static uint8_t kdf_of(enum slot_kind kind)
{
    switch (kind) {
    case SLOT_PASSPHRASE:
        return KDF_SCRYPT;
    case SLOT_CLEAR:
        return KDF_NONE;
    default:
        return KDF_HKDF_SHA256;
    }
}

/* A slot is read before any key is known, so whoever can write the file chooses its cost: bound it. */
static bool scrypt_allowed(const struct scrypt_params *p)
{
    return p->log2_n >= 1 && p->log2_n <= SCRYPT_MAX_LOG2_N && p->r >= 1 && p->r <= SCRYPT_MAX_R && p->p >= 1 &&
           p->p <= SCRYPT_MAX_P && (UINT64_C(128) << p->log2_n) * p->r <= UINT64_C(1) << 30;
}

static enum errc slot_check(const struct key_slot *s, struct err *err)
{
    if (s->kind < SLOT_KEY_FILE || s->kind > SLOT_CLEAR)
        return err_fail(err, ERR_FORMAT_NEWER, "a key slot is of kind %u, which this version does not know",
                        (unsigned)s->kind);
    if (s->kdf != kdf_of(s->kind))
        return err_fail(err, ERR_DAMAGED, "a key slot's kind and key derivation disagree");
    if (s->kdf == KDF_SCRYPT && !scrypt_allowed(&s->scrypt))
        return err_fail(err, ERR_DAMAGED,
                        "a key slot asks for scrypt parameters (log2 N %u, r %u, p %u) above the limits",
                        s->scrypt.log2_n, s->scrypt.r, s->scrypt.p);
    if (s->wrapped_len < WRAP_OVERHEAD_BYTES || s->wrapped_len > KEY_SLOT_MAX_BYTES)
        return err_fail(err, ERR_DAMAGED, "a key slot holds no keys");
    return ERR_OK;
}

static enum errc label_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct key_slot *slot = object;
    size_t len = strnlen(slot->label, sizeof slot->label);
    if (len == sizeof slot->label)
        return err_fail(err, ERR_LIMIT, "the label of a key slot is too long");
    return len > 0 ? put_field(b, s->tag, s->critical, slot->label, len, err) : ERR_OK;
}

static enum errc label_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s, (void)err;
    struct key_slot *slot = object;
    struct bytes text = get_bytes(value, reader_left(value));
    if (text.len >= sizeof slot->label || (text.len > 0 && memchr(text.data, 0, text.len)))
        value->failed = true;
    else if (text.len > 0)
        memcpy(slot->label, text.data, text.len);
    return ERR_OK;
}

static enum errc wrapped_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct key_slot *slot = object;
    return put_field(b, s->tag, s->critical, slot->wrapped, slot->wrapped_len, err);
}

static enum errc wrapped_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s;
    struct key_slot *slot = object;
    struct bytes wrapped = get_bytes(value, reader_left(value));
    slot->wrapped_len = wrapped.len;
    return mem_dup(&slot->wrapped, wrapped.data, wrapped.len, err);
}

#define AT(member) offsetof(struct key_slot, member)
static const struct field_spec SLOT_FIELDS[] = {
    {.tag = 1, .kind = FIELD_CUSTOM, .put = label_put, .get = label_get},
    {.tag = 2, .kind = FIELD_TIME, .offset = AT(created)},
    {.tag = 3, .critical = true, .kind = FIELD_U8, .offset = AT(scrypt.log2_n), .max = UINT8_MAX},
    {.tag = 4, .critical = true, .kind = FIELD_U8, .offset = AT(scrypt.r), .max = UINT8_MAX},
    {.tag = 5, .critical = true, .kind = FIELD_U8, .offset = AT(scrypt.p), .max = UINT8_MAX},
    {.tag = 6, .critical = true, .kind = FIELD_FIXED, .offset = AT(salt), .max = 32},
    {.tag = 7, .critical = true, .kind = FIELD_CUSTOM, .put = wrapped_put, .get = wrapped_get},
};
#undef AT
static const struct schema SLOT_SCHEMA = {"a key slot", SLOT_FIELDS, sizeof SLOT_FIELDS / sizeof *SLOT_FIELDS};

enum errc key_slot_put(struct buf *b, const struct key_slot *s, struct err *err)
{
    size_t before = b->len;
    enum errc rc = buf_append(b, MAGIC, sizeof MAGIC, err);
    if (rc == ERR_OK)
        rc = put_u16(b, FORMAT_VERSION, err);
    if (rc == ERR_OK)
        rc = put_u8(b, (uint8_t)s->kind, err);
    if (rc == ERR_OK)
        rc = put_u8(b, s->kdf, err);
    if (rc == ERR_OK)
        rc = buf_append(b, s->repo.b, sizeof s->repo.b, err);
    if (rc == ERR_OK)
        rc = schema_put(b, &SLOT_SCHEMA, s, err);
    if (rc == ERR_OK && b->len - before > KEY_SLOT_MAX_BYTES)
        rc = err_fail(err, ERR_LIMIT, "a key slot of %zu bytes is above the limit", b->len - before);
    if (rc != ERR_OK)
        b->len = before;
    return rc;
}

enum errc key_slot_get(const void *data, size_t len, struct key_slot *s, struct err *err)
{
    *s = (struct key_slot){0};
    struct reader r = reader_of(data, len);
    struct bytes magic = get_bytes(&r, sizeof MAGIC);
    uint16_t format = get_u16(&r);
    s->kind = (enum slot_kind)get_u8(&r);
    s->kdf = get_u8(&r);
    get_copy(&r, s->repo.b, sizeof s->repo.b);
    if (!reader_ok(&r) || len > KEY_SLOT_MAX_BYTES || memcmp(magic.data, MAGIC, sizeof MAGIC) != 0 || format == 0)
        return err_fail(err, ERR_DAMAGED, "a key slot is malformed");
    if (format > FORMAT_VERSION)
        return err_fail(err, ERR_FORMAT_NEWER, "a key slot has format %u", format);
    enum errc rc = schema_get(r, &SLOT_SCHEMA, s, err);
    if (rc == ERR_OK)
        rc = slot_check(s, err);
    if (rc != ERR_OK)
        key_slot_release(s);
    return rc;
}

/* Binds what decides how the slot is opened, and the repository; a label may be changed without the secret. */
static void slot_aad(const struct key_slot *s, uint8_t out[SLOT_AAD_BYTES])
{
    memset(out, 0, SLOT_AAD_BYTES);
    out[0] = OBJECT_KEY_SLOT;
    out[1] = (uint8_t)s->kind;
    set_u16(out + 2, FORMAT_VERSION);
    out[4] = s->kdf;
    out[5] = s->scrypt.log2_n;
    out[6] = s->scrypt.r;
    out[7] = s->scrypt.p;
    memcpy(out + 8, s->repo.b, sizeof s->repo.b);
    memcpy(out + 24, s->salt, sizeof s->salt);
}

static bool secret_fits(enum slot_kind kind, size_t len)
{
    switch (kind) {
    case SLOT_PASSPHRASE:
        return len >= 1 && len <= PASSPHRASE_MAX_BYTES;
    case SLOT_CLEAR:
        return len == 0;
    default:
        return len == KEY_BYTES;
    }
}

static enum errc wrapping_key(const struct key_slot *s, const void *secret, size_t len, uint8_t out[KEY_BYTES],
                              struct err *err)
{
    switch (s->kind) {
    case SLOT_KEY_FILE:
        return kdf_hkdf(secret, len, s->salt, sizeof s->salt, "snap 1 slot key file", out, err);
    case SLOT_RECOVERY:
        return kdf_hkdf(secret, len, s->salt, sizeof s->salt, "snap 1 slot recovery", out, err);
    case SLOT_PASSPHRASE:
        return kdf_scrypt(secret, len, s->salt, sizeof s->salt, &s->scrypt, out, err);
    default:
        memset(out, 0, KEY_BYTES); /* SLOT_CLEAR protects nothing */
        return ERR_OK;
    }
}

static enum errc wrap_bundle(struct key_slot *s, const void *secret, size_t secret_len, const struct key_bundle *bundle,
                             struct err *err)
{
    struct buf plain;
    uint8_t key[KEY_BYTES], aad[SLOT_AAD_BYTES];
    buf_init(&plain, KEY_SLOT_MAX_BYTES);
    enum errc rc = key_bundle_put(&plain, bundle, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&s->wrapped, plain.len + WRAP_OVERHEAD_BYTES, err);
    if (rc == ERR_OK)
        rc = wrapping_key(s, secret, secret_len, key, err);
    if (rc == ERR_OK) {
        slot_aad(s, aad);
        s->wrapped_len = plain.len + WRAP_OVERHEAD_BYTES;
        rc = blob_wrap(key, aad, sizeof aad, plain.data, plain.len, s->wrapped, err);
    }
    explicit_bzero(key, sizeof key);
    buf_wipe(&plain);
    return rc;
}

enum errc key_slot_seal(struct key_slot *s, enum slot_kind kind, const char *label, const struct repo_id *repo,
                        const void *secret, size_t secret_len, const struct key_bundle *bundle, struct err *err)
{
    *s = (struct key_slot){.kind = kind, .kdf = kdf_of(kind), .repo = *repo, .created = time_now()};
    if (kind < SLOT_KEY_FILE || kind > SLOT_CLEAR || !secret_fits(kind, secret_len))
        return err_fail(err, ERR_USAGE, "a secret of %zu bytes cannot be used for this kind of key slot", secret_len);
    size_t label_len = label ? strlen(label) : 0;
    if (label_len >= sizeof s->label)
        return err_fail(err, ERR_LIMIT, "the label of a key slot is longer than %zu bytes", sizeof s->label - 1);
    if (label_len > 0)
        memcpy(s->label, label, label_len);
    if (s->kdf == KDF_SCRYPT)
        s->scrypt = SCRYPT_DEFAULT;
    enum errc rc = io_random(s->salt, sizeof s->salt, err);
    if (rc == ERR_OK)
        rc = wrap_bundle(s, secret, secret_len, bundle, err);
    if (rc != ERR_OK)
        key_slot_release(s);
    return rc;
}

enum errc key_slot_open(const struct key_slot *s, const void *secret, size_t secret_len, struct key_bundle *out,
                        struct err *err)
{
    enum errc rc = slot_check(s, err);
    if (rc == ERR_OK && !secret_fits(s->kind, secret_len))
        rc = err_fail(err, ERR_WRONG_KEY, "the secret does not open key slot '%s'", s->label);
    if (rc != ERR_OK)
        return rc;
    uint8_t key[KEY_BYTES], aad[SLOT_AAD_BYTES], *plain;
    size_t plain_len = s->wrapped_len - WRAP_OVERHEAD_BYTES;
    rc = mem_alloc(&plain, plain_len, err);
    if (rc != ERR_OK)
        return rc;
    rc = wrapping_key(s, secret, secret_len, key, err);
    if (rc == ERR_OK) {
        slot_aad(s, aad);
        rc = blob_unwrap(key, aad, sizeof aad, s->wrapped, s->wrapped_len, plain, err);
    }
    if (rc == ERR_WRONG_KEY)
        rc = err_fail(err, ERR_WRONG_KEY, "the secret does not open key slot '%s'", s->label);
    if (rc == ERR_OK)
        rc = key_bundle_get(plain, plain_len, out, err);
    explicit_bzero(key, sizeof key);
    explicit_bzero(plain, plain_len);
    free(plain);
    return rc;
}
