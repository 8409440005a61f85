/* Records and packs (docs/format.md, "Packs"). Layer: format.
 *
 *   pack    = header, sealed record 0, sealed record 1, ..., sealed table, trailer
 *   header  = PACK_HEADER_BYTES in the clear: magic "SNAPPACK", u16 format, u8 cipher, u8 wrap, u32 data key id,
 *             feature flags u16 x3 (ignore, read only, refuse), u16 zero, repository id[16], writer id[8], 60 bytes
 * wrapped pack key (associated data: the header before it), 64 bytes room for a signature (zero), padding to 192
 *   trailer = PACK_TRAILER_BYTES: u64 table offset, u32 table stored length, u32 record count, SHA-256 of the
 *             header, magic "SNAPTAIL"
 * Record i is sealed with number i under the pack key; the table with number 0xffffffff. Its plain form is
 * varint-coded descriptors, one per record in order (offsets are sums of stored lengths, from PACK_HEADER_BYTES).
 */
#ifndef SNAP_FORMAT_RECORD_H
#define SNAP_FORMAT_RECORD_H

#include "chunk/codec.h"
#include "chunk/name.h"
#include "chunk/seal.h"
#include "format/wire.h"

enum { PACK_HEADER_BYTES = 192, PACK_TRAILER_BYTES = 56, PACK_TABLE_NUMBER = 0xffffffffu, RECORD_AAD_BYTES = 128 };
enum object_type {
    OBJECT_PACK_RECORD = 1,
    OBJECT_PACK_TABLE = 2,
    OBJECT_LOG_BODY = 3,
    OBJECT_LOG_KEY = 4,
    OBJECT_PACK_KEY = 5,
    OBJECT_KEY_SLOT = 6
};

struct repo_id {
    uint8_t b[16];
};

/* What is known of a record without opening it. */
struct record_desc {
    struct chunk_name name;
    uint64_t offset;        /* in the pack, bytes */
    uint32_t number;        /* in the pack */
    uint32_t stored_len;    /* bytes in the pack, tag included */
    uint32_t plain_len;     /* bytes of the chunk */
    uint8_t type;           /* enum chunk_type */
    uint8_t codec;          /* enum codec_id */
    uint8_t transform;      /* enum transform_id */
    uint32_t dict;          /* 0: none */
    uint32_t n;             /* versions since the last whole record; 0: a whole record */
    struct chunk_name base; /* meaningful when n > 0; the base's own n is delta_base_n(n) */
};

/* The version that version n is based on: n with its lowest digit that is not 0, in base 4, made one less. So a chunk
 * is rebuilt from at most 1 + the sum of n's digits records (docs/adr/0003). n > 0. */
static inline uint32_t delta_base_n(uint32_t n)
{
    return n - (1u << (__builtin_ctz(n) & ~1));
}

static inline unsigned delta_chain_len(uint32_t n)
{
    unsigned records = 1;
    for (; n > 0; n /= 4)
        records += n % 4;
    return records;
}

/* Table form of one descriptor, without name's pack position (number and offset are implied by order). */
MUST_USE enum errc record_desc_put(struct buf *b, const struct record_desc *d, struct err *err);
/* *d gets number and offset from the caller. ERR_DAMAGED for anything out of limits: lengths, unknown type, codec or
 * transform, n > DELTA_MAX_N, n > 0 without CODEC_ZSTD_DELTA or the reverse. */
MUST_USE enum errc record_desc_get(struct reader *r, uint32_t number, uint64_t offset, struct record_desc *d,
                                   struct err *err);
/* The associated data of a record: every field of the descriptor but the offset, the format version and object type. */
void record_aad(const struct record_desc *d, uint8_t out[RECORD_AAD_BYTES]);

struct pack_header {
    uint16_t format;
    uint8_t cipher, wrap;
    uint32_t key_id;
    uint16_t flags_ignore, flags_readonly, flags_refuse;
    struct repo_id repo;
    uint8_t writer[8];
    uint8_t wrapped_key[WRAPPED_KEY_BYTES];
};
/* Bytes of the header that are associated data of the wrapped key: header[0..PACK_HEADER_AAD_BYTES). */
enum { PACK_HEADER_AAD_BYTES = 48 };
void pack_header_put(const struct pack_header *h, uint8_t out[PACK_HEADER_BYTES]);
/* ERR_DAMAGED, or ERR_FORMAT_NEWER for a newer format or a set refuse flag. */
MUST_USE enum errc pack_header_get(const uint8_t in[PACK_HEADER_BYTES], struct pack_header *h, struct err *err);

struct pack_trailer {
    uint64_t table_offset;
    uint32_t table_len; /* stored bytes, tag included */
    uint32_t record_count;
    struct digest header_digest;
};
void pack_trailer_put(const struct pack_trailer *t, uint8_t out[PACK_TRAILER_BYTES]);
/* ERR_DAMAGED also when the numbers cannot be those of a pack of pack_len bytes. */
MUST_USE enum errc pack_trailer_get(const uint8_t in[PACK_TRAILER_BYTES], uint64_t pack_len, struct pack_trailer *t,
                                    struct err *err);
/* Associated data of the sealed table: object type, format, record count, table offset. */
enum { TABLE_AAD_BYTES = 24 };
void pack_table_aad(uint32_t record_count, uint64_t table_offset, uint8_t out[TABLE_AAD_BYTES]);

#endif
