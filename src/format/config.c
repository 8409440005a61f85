#include "format/config.h"

#include <string.h>

#include "base/limits.h"
#include "format/fields.h"

static const uint8_t MAGIC[8] = {'S', 'N', 'A', 'P', 'R', 'E', 'P', 'O'};

enum { NAMING_HMAC_SHA256 = 1, CUTTER_GEAR = 1 };

#define AT(member) offsetof(struct repo_config, member)
static const struct field_spec CONFIG_FIELDS[] = {
    {.tag = 1, .kind = FIELD_TIME, .offset = AT(created)},
    {.tag = 2, .critical = true, .kind = FIELD_U8, .offset = AT(naming), .max = UINT8_MAX},
    {.tag = 3, .critical = true, .kind = FIELD_U8, .offset = AT(cipher), .max = UINT8_MAX},
    {.tag = 4, .critical = true, .kind = FIELD_U8, .offset = AT(cutter), .max = UINT8_MAX},
};
#undef AT
static const struct schema CONFIG_SCHEMA = {"the repository's configuration", CONFIG_FIELDS,
                                            sizeof CONFIG_FIELDS / sizeof *CONFIG_FIELDS};

enum errc repo_config_put(struct buf *b, const struct repo_config *c, struct err *err)
{
    size_t before = b->len;
    enum errc rc = buf_append(b, MAGIC, sizeof MAGIC, err);
    if (rc == ERR_OK)
        rc = put_u16(b, c->format, err);
    if (rc == ERR_OK)
        rc = put_u16(b, c->flags_ignore, err);
    if (rc == ERR_OK)
        rc = put_u16(b, c->flags_readonly, err);
    if (rc == ERR_OK)
        rc = put_u16(b, c->flags_refuse, err);
    if (rc == ERR_OK)
        rc = buf_append(b, c->id.b, sizeof c->id.b, err);
    if (rc == ERR_OK)
        rc = schema_put(b, &CONFIG_SCHEMA, c, err);
    if (rc != ERR_OK)
        b->len = before;
    return rc;
}

enum errc repo_config_get(const void *data, size_t len, struct repo_config *c, struct err *err)
{
    *c = (struct repo_config){0};
    struct reader r = reader_of(data, len);
    struct bytes magic = get_bytes(&r, sizeof MAGIC);
    c->format = get_u16(&r);
    c->flags_ignore = get_u16(&r);
    c->flags_readonly = get_u16(&r);
    c->flags_refuse = get_u16(&r);
    get_copy(&r, c->id.b, sizeof c->id.b);
    if (!reader_ok(&r) || len > CONFIG_MAX_BYTES || memcmp(magic.data, MAGIC, sizeof MAGIC) != 0 || c->format == 0)
        return err_fail(err, ERR_DAMAGED, "the repository's configuration is malformed");
    if (c->format > FORMAT_VERSION)
        return err_fail(err, ERR_FORMAT_NEWER, "the repository has format %u; this program knows format %d", c->format,
                        FORMAT_VERSION);
    if (c->flags_refuse != 0)
        return err_fail(err, ERR_FORMAT_NEWER, "the repository uses features (%04x) that this program does not know",
                        c->flags_refuse);
    enum errc rc = schema_get(r, &CONFIG_SCHEMA, c, err);
    if (rc == ERR_OK &&
        (c->naming != NAMING_HMAC_SHA256 || c->cipher != CIPHER_AES_256_GCM || c->cutter != CUTTER_GEAR))
        rc = err_fail(err, ERR_FORMAT_NEWER, "the repository uses naming %u, cipher %u, cutter %u", c->naming,
                      c->cipher, c->cutter);
    return rc;
}
