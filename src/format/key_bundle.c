/* The keys that slots protect (config.h). */
#include <string.h>

#include "base/limits.h"
#include "format/config.h"
#include "format/fields.h"

void key_bundle_wipe(struct key_bundle *k)
{
    explicit_bzero(k, sizeof *k);
}

static enum errc data_keys_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct key_bundle *k = object;
    enum errc rc = ERR_OK;
    for (uint32_t i = 0; rc == ERR_OK && i < k->data_count; i++) {
        size_t start;
        rc = nest_open_field(b, s->tag, s->critical, &start, err);
        if (rc == ERR_OK)
            rc = put_u32(b, k->data[i].id, err);
        if (rc == ERR_OK)
            rc = buf_append(b, k->data[i].key, KEY_BYTES, err);
        if (rc == ERR_OK)
            rc = nest_close(b, start, err);
    }
    return rc;
}

static enum errc data_key_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s;
    struct key_bundle *k = object;
    if (k->data_count == DATA_KEYS_MAX)
        return err_fail(err, ERR_DAMAGED, "more than %d data keys", DATA_KEYS_MAX);
    struct data_key *key = &k->data[k->data_count];
    key->id = get_u32(value);
    get_copy(value, key->key, KEY_BYTES);
    for (uint32_t i = 0; i < k->data_count; i++)
        if (k->data[i].id == key->id)
            value->failed = true;
    k->data_count++;
    return ERR_OK;
}

#define AT(member) offsetof(struct key_bundle, member)
static const struct field_spec BUNDLE_FIELDS[] = {
    {.tag = 1, .critical = true, .kind = FIELD_FIXED, .offset = AT(naming), .max = KEY_BYTES},
    {.tag = 2, .critical = true, .kind = FIELD_FIXED, .offset = AT(fingerprint), .max = KEY_BYTES},
    {.tag = 3, .critical = true, .kind = FIELD_FIXED, .offset = AT(gear), .max = KEY_BYTES},
    {.tag = 4, .critical = true, .list = true, .kind = FIELD_CUSTOM, .put = data_keys_put, .get = data_key_get},
};
#undef AT
static const struct schema BUNDLE_SCHEMA = {"a key bundle", BUNDLE_FIELDS,
                                            sizeof BUNDLE_FIELDS / sizeof *BUNDLE_FIELDS};

enum { BUNDLE_MAX_BYTES = (3 + DATA_KEYS_MAX) * (KEY_BYTES + 8) };

enum errc key_bundle_put(struct buf *b, const struct key_bundle *k, struct err *err)
{
    if (k->data_count < 1 || k->data_count > DATA_KEYS_MAX)
        return err_fail(err, ERR_INTERNAL, "a key bundle with %u data keys", k->data_count);
    /* All at once: growing on the way would leave copies of keys in freed memory. */
    enum errc rc = buf_reserve(b, BUNDLE_MAX_BYTES, err);
    return rc == ERR_OK ? schema_put(b, &BUNDLE_SCHEMA, k, err) : rc;
}

enum errc key_bundle_get(const void *data, size_t len, struct key_bundle *k, struct err *err)
{
    memset(k, 0, sizeof *k);
    enum errc rc = schema_get(reader_of(data, len), &BUNDLE_SCHEMA, k, err);
    if (rc == ERR_OK && k->data_count == 0)
        rc = err_fail(err, ERR_DAMAGED, "a key bundle has no data key");
    if (rc != ERR_OK)
        key_bundle_wipe(k);
    return rc;
}
