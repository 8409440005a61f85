#include "format/record.h"

#include <string.h>

#include "base/limits.h"
#include "format/fixed.h"

/* The second byte of a descriptor: codec in the low bits, then what follows. */
enum {
    DESC_CODEC_MASK = 0x0f,
    DESC_HAS_TRANSFORM = 0x10,
    DESC_HAS_DICT = 0x20,
    DESC_IS_DELTA = 0x40,
    DESC_RESERVED = 0x80
};

static const char *desc_fault(const struct record_desc *d)
{
    if (d->type < CHUNK_DATA || d->type > CHUNK_XATTR)
        return "unknown chunk type";
    if (d->codec > CODEC_ZSTD_DELTA)
        return "unknown codec";
    if (d->transform > TRANSFORM_PLANES_8)
        return "unknown transform";
    if (d->plain_len < 1 || d->plain_len > CHUNK_MAX_BYTES)
        return "chunk length out of range";
    if (d->stored_len <= SEAL_TAG_BYTES || d->stored_len > RECORD_MAX_BYTES)
        return "record length out of range";
    if (d->codec == CODEC_RAW && d->stored_len != d->plain_len + SEAL_TAG_BYTES)
        return "lengths of a raw record disagree";
    if ((d->n > 0) != (d->codec == CODEC_ZSTD_DELTA))
        return "delta count and codec disagree";
    if (d->n > DELTA_MAX_N || delta_chain_len(d->n) > DELTA_MAX_CHAIN)
        return "delta chain too long";
    if (d->n > 0 && memcmp(&d->base, &d->name, sizeof d->base) == 0)
        return "a delta of itself";
    if (d->number >= PACK_MAX_RECORDS)
        return "too many records";
    return NULL;
}

enum errc record_desc_put(struct buf *b, const struct record_desc *d, struct err *err)
{
    const char *fault = desc_fault(d);
    if (fault)
        return err_fail(err, ERR_INTERNAL, "a record cannot be described: %s", fault);
    size_t start = b->len;
    uint8_t shape = (uint8_t)(d->codec | (d->transform ? DESC_HAS_TRANSFORM : 0) | (d->dict ? DESC_HAS_DICT : 0) |
                              (d->n ? DESC_IS_DELTA : 0));
    enum errc rc = put_u8(b, d->type, err);
    if (rc == ERR_OK)
        rc = put_u8(b, shape, err);
    if (rc == ERR_OK)
        rc = buf_append(b, d->name.b, NAME_BYTES, err);
    if (rc == ERR_OK)
        rc = put_varint(b, d->stored_len, err);
    if (rc == ERR_OK)
        rc = put_varint(b, d->plain_len, err);
    if (rc == ERR_OK && d->transform)
        rc = put_u8(b, d->transform, err);
    if (rc == ERR_OK && d->dict)
        rc = put_varint(b, d->dict, err);
    if (rc == ERR_OK && d->n)
        rc = put_varint(b, d->n, err);
    if (rc == ERR_OK && d->n)
        rc = buf_append(b, d->base.b, NAME_BYTES, err);
    if (rc != ERR_OK)
        b->len = start;
    return rc;
}

enum errc record_desc_get(struct reader *r, uint32_t number, uint64_t offset, struct record_desc *d, struct err *err)
{
    *d = (struct record_desc){.number = number, .offset = offset};
    d->type = get_u8(r);
    uint8_t shape = get_u8(r);
    get_copy(r, d->name.b, NAME_BYTES);
    d->stored_len = (uint32_t)get_varint_max(r, RECORD_MAX_BYTES);
    d->plain_len = (uint32_t)get_varint_max(r, CHUNK_MAX_BYTES);
    d->codec = shape & DESC_CODEC_MASK;
    if (shape & DESC_HAS_TRANSFORM)
        d->transform = get_u8(r);
    if (shape & DESC_HAS_DICT)
        d->dict = (uint32_t)get_varint_max(r, UINT32_MAX);
    if (shape & DESC_IS_DELTA) {
        d->n = (uint32_t)get_varint_max(r, DELTA_MAX_N);
        get_copy(r, d->base.b, NAME_BYTES);
    }
    if (!reader_ok(r))
        return err_fail(err, ERR_DAMAGED, "record %u of the table is cut short or out of limits", number);
    bool shortest = !(shape & DESC_RESERVED) && !((shape & DESC_HAS_TRANSFORM) && !d->transform) &&
                    !((shape & DESC_HAS_DICT) && !d->dict) && !((shape & DESC_IS_DELTA) && !d->n);
    const char *fault = shortest ? desc_fault(d) : "malformed";
    if (!fault && (offset > PACK_MAX_BYTES || d->stored_len > PACK_MAX_BYTES - offset))
        fault = "beyond the largest pack";
    if (fault)
        return err_fail(err, ERR_DAMAGED, "record %u of the table: %s", number, fault);
    if (d->dict)
        return err_fail(err, ERR_FORMAT_NEWER, "record %u of the table needs dictionary %u", number, d->dict);
    return ERR_OK;
}

void record_aad(const struct record_desc *d, uint8_t out[RECORD_AAD_BYTES])
{
    memset(out, 0, RECORD_AAD_BYTES);
    out[0] = OBJECT_PACK_RECORD;
    set_u16(out + 2, FORMAT_VERSION);
    set_u32(out + 4, d->number);
    memcpy(out + 8, d->name.b, NAME_BYTES);
    out[40] = d->type;
    out[41] = d->codec;
    out[42] = d->transform;
    set_u32(out + 44, d->plain_len);
    set_u32(out + 48, d->stored_len);
    set_u32(out + 52, d->dict);
    set_u32(out + 56, d->n);
    set_u32(out + 60, d->n > 0 ? delta_base_n(d->n) : 0);
    if (d->n > 0)
        memcpy(out + 64, d->base.b, NAME_BYTES);
}
