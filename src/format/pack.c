/* The fixed parts of a pack: header, trailer, associated data of its table (record.h). */
#include "format/record.h"

#include <string.h>

#include "base/limits.h"
#include "format/fixed.h"

static const uint8_t PACK_MAGIC[8] = {'S', 'N', 'A', 'P', 'P', 'A', 'C', 'K'};
static const uint8_t TAIL_MAGIC[8] = {'S', 'N', 'A', 'P', 'T', 'A', 'I', 'L'};

void pack_header_put(const struct pack_header *h, uint8_t out[PACK_HEADER_BYTES])
{
    memset(out, 0, PACK_HEADER_BYTES);
    memcpy(out, PACK_MAGIC, sizeof PACK_MAGIC);
    set_u16(out + 8, h->format);
    out[10] = h->cipher;
    out[11] = h->wrap;
    set_u32(out + 12, h->key_id);
    set_u16(out + 16, h->flags_ignore);
    set_u16(out + 18, h->flags_readonly);
    set_u16(out + 20, h->flags_refuse);
    memcpy(out + 24, h->repo.b, sizeof h->repo.b);
    memcpy(out + 40, h->writer, sizeof h->writer);
    memcpy(out + 48, h->wrapped_key, sizeof h->wrapped_key);
}

enum errc pack_header_get(const uint8_t in[PACK_HEADER_BYTES], struct pack_header *h, struct err *err)
{
    struct reader r = reader_of(in, PACK_HEADER_BYTES);
    struct bytes magic = get_bytes(&r, sizeof PACK_MAGIC);
    h->format = get_u16(&r);
    h->cipher = get_u8(&r);
    h->wrap = get_u8(&r);
    h->key_id = get_u32(&r);
    h->flags_ignore = get_u16(&r);
    h->flags_readonly = get_u16(&r);
    h->flags_refuse = get_u16(&r);
    (void)get_u16(&r);
    get_copy(&r, h->repo.b, sizeof h->repo.b);
    get_copy(&r, h->writer, sizeof h->writer);
    get_copy(&r, h->wrapped_key, sizeof h->wrapped_key);
    REQUIRE(reader_ok(&r));
    if (memcmp(magic.data, PACK_MAGIC, sizeof PACK_MAGIC) != 0 || h->format == 0)
        return err_fail(err, ERR_DAMAGED, "the header is not that of a pack");
    if (h->format > FORMAT_VERSION || h->flags_refuse != 0)
        return err_fail(err, ERR_FORMAT_NEWER, "the pack has format %u, feature flags %04x", h->format,
                        h->flags_refuse);
    if (h->cipher != CIPHER_AES_256_GCM || h->wrap != WRAP_AES_256_GCM)
        return err_fail(err, ERR_FORMAT_NEWER, "the pack uses cipher %u, key wrap %u", h->cipher, h->wrap);
    return ERR_OK;
}

void pack_trailer_put(const struct pack_trailer *t, uint8_t out[PACK_TRAILER_BYTES])
{
    set_u64(out, t->table_offset);
    set_u32(out + 8, t->table_len);
    set_u32(out + 12, t->record_count);
    memcpy(out + 16, t->header_digest.b, DIGEST_BYTES);
    memcpy(out + 48, TAIL_MAGIC, sizeof TAIL_MAGIC);
}

/* The smallest descriptor: type, shape, name, two lengths of one byte. */
enum { DESC_MIN_BYTES = 2 + NAME_BYTES + 2, RECORD_MIN_BYTES = SEAL_TAG_BYTES + 1 };

enum errc pack_trailer_get(const uint8_t in[PACK_TRAILER_BYTES], uint64_t pack_len, struct pack_trailer *t,
                           struct err *err)
{
    struct reader r = reader_of(in, PACK_TRAILER_BYTES);
    t->table_offset = get_u64(&r);
    t->table_len = get_u32(&r);
    t->record_count = get_u32(&r);
    get_copy(&r, t->header_digest.b, DIGEST_BYTES);
    struct bytes magic = get_bytes(&r, sizeof TAIL_MAGIC);
    REQUIRE(reader_ok(&r));
    if (memcmp(magic.data, TAIL_MAGIC, sizeof TAIL_MAGIC) != 0)
        return err_fail(err, ERR_DAMAGED, "the pack has no trailer at its end");
    uint64_t count = t->record_count;
    bool sane = pack_len <= PACK_MAX_BYTES && t->table_offset >= PACK_HEADER_BYTES && t->table_offset <= pack_len &&
                t->table_len > SEAL_TAG_BYTES && t->table_len <= PACK_TABLE_MAX_BYTES &&
                t->table_offset + t->table_len + PACK_TRAILER_BYTES == pack_len && count >= 1 &&
                count <= PACK_MAX_RECORDS && count * DESC_MIN_BYTES <= t->table_len - SEAL_TAG_BYTES &&
                count * RECORD_MIN_BYTES <= t->table_offset - PACK_HEADER_BYTES;
    if (!sane)
        return err_fail(err, ERR_DAMAGED, "the pack's trailer does not fit a pack of %llu bytes",
                        (unsigned long long)pack_len);
    return ERR_OK;
}

void pack_table_aad(uint32_t record_count, uint64_t table_offset, uint8_t out[TABLE_AAD_BYTES])
{
    memset(out, 0, TABLE_AAD_BYTES);
    out[0] = OBJECT_PACK_TABLE;
    set_u16(out + 2, FORMAT_VERSION);
    set_u32(out + 4, record_count);
    set_u64(out + 8, table_offset);
}
