/* Objects that are sealed under random keys: made once, then only opened. */
#ifndef SNAP_TESTS_FORMAT_SEALED_H
#define SNAP_TESTS_FORMAT_SEALED_H

#include "format_samples.h"

static const char PASSPHRASE[] = "correct horse";

static const struct {
    const char *name;
    enum slot_kind kind;
} SLOTS[] = {
    {"slot.key-file", SLOT_KEY_FILE},
    {"slot.passphrase", SLOT_PASSPHRASE},
    {"slot.recovery", SLOT_RECOVERY},
    {"slot.clear", SLOT_CLEAR},
};
enum { SLOT_SAMPLES = sizeof SLOTS / sizeof *SLOTS };

static inline const void *slot_secret(enum slot_kind kind, uint8_t key[KEY_BYTES], size_t *len_out)
{
    count_up(key, KEY_BYTES, 0x00);
    *len_out = kind == SLOT_CLEAR ? 0 : kind == SLOT_PASSPHRASE ? strlen(PASSPHRASE) : (size_t)KEY_BYTES;
    return kind == SLOT_PASSPHRASE ? (const void *)PASSPHRASE : key;
}

static inline void seal_slot(struct buf *b, enum slot_kind kind)
{
    struct key_slot s;
    struct repo_id repo = sample_repo();
    struct key_bundle keys = sample_keys();
    uint8_t key[KEY_BYTES];
    size_t len;
    const void *secret = slot_secret(kind, key, &len);
    OK(key_slot_seal(&s, kind, "ops", &repo, secret, len, &keys, NULL));
    s.created = (struct timestamp){1795230000, 0};
    OK(key_slot_put(b, &s, NULL));
    key_slot_release(&s);
}

static inline void check_slot(const struct buf *b, enum slot_kind kind)
{
    struct key_slot s;
    struct repo_id repo = sample_repo();
    struct key_bundle keys = sample_keys(), opened;
    uint8_t key[KEY_BYTES];
    size_t len;
    const void *secret = slot_secret(kind, key, &len);
    OK(key_slot_get(b->data, b->len, &s, NULL));
    assert_int_equal(s.kind, kind);
    assert_string_equal(s.label, "ops");
    assert_memory_equal(&s.repo, &repo, sizeof repo);
    OK(key_slot_open(&s, secret, len, &opened, NULL));
    assert_memory_equal(&opened, &keys, sizeof keys);
    key_slot_release(&s);
}

static inline void seal_frame(struct buf *b)
{
    struct repo_id repo = sample_repo();
    struct key_bundle keys = sample_keys();
    struct buf body;
    buf_init(&body, LOG_RECORD_MAX_BYTES);
    make_log_release(&body);
    OK(log_frame_seal(b, &repo, &keys, 3, body.data, body.len, NULL));
    buf_release(&body);
}

static inline void check_frame(const struct buf *b)
{
    struct repo_id repo = sample_repo();
    struct key_bundle keys = sample_keys();
    struct buf body, expected;
    buf_init(&body, LOG_RECORD_MAX_BYTES);
    buf_init(&expected, LOG_RECORD_MAX_BYTES);
    make_log_release(&expected);
    OK(log_frame_open(b->data, b->len, &repo, &keys, 3, &body, NULL));
    assert_int_equal(body.len, expected.len);
    assert_memory_equal(body.data, expected.data, body.len);
    buf_release(&body);
    buf_release(&expected);
}

/* The pack: chunk 0 as it is, chunk 1 compressed, chunk 2 as a delta of chunk 1. */
enum { PACK_CHUNKS = 3, PACK_PLAIN_MAX = 600 };

static inline size_t pack_plain(unsigned i, uint8_t out[PACK_PLAIN_MAX])
{
    if (i == 0) {
        memcpy(out, "hello pack", 10);
        return 10;
    }
    for (size_t k = 0; k < PACK_PLAIN_MAX; k++)
        out[k] = (uint8_t)('a' + (k * k >> 5) % 13);
    if (i == 2)
        memcpy(out + 300, "changed", 7);
    return PACK_PLAIN_MAX;
}

static inline struct chunk_name pack_plain_name(unsigned i)
{
    struct key_bundle keys = sample_keys();
    struct namer *namer;
    struct chunk_name name;
    uint8_t plain[PACK_PLAIN_MAX];
    size_t len = pack_plain(i, plain);
    OK(namer_new(keys.naming, keys.fingerprint, &namer, NULL));
    OK(namer_name(namer, CHUNK_DATA, plain, len, &name, NULL));
    namer_free(namer);
    return name;
}

static inline void seal_record(struct buf *b, struct buf *table, struct sealer *sealer, unsigned i)
{
    struct codec *codec;
    uint8_t plain[PACK_PLAIN_MAX], base[PACK_PLAIN_MAX], payload[PACK_PLAIN_MAX], aad[RECORD_AAD_BYTES];
    size_t len = pack_plain(i, plain), base_len = pack_plain(1, base), payload_len = len;
    struct record_desc d = {
        .number = i, .name = pack_plain_name(i), .type = CHUNK_DATA, .codec = (uint8_t)i, .plain_len = (uint32_t)len};
    OK(codec_new(3, 3, &codec, NULL));
    memcpy(payload, plain, len);
    if (i > 0)
        OK(codec_compress(codec, plain, len, i == 2 ? base : NULL, i == 2 ? base_len : 0, payload, sizeof payload,
                          &payload_len, NULL));
    assert_true(payload_len > 0);
    codec_free(codec);
    if (i == 2) {
        d.n = 1;
        d.base = pack_plain_name(1);
    }
    d.stored_len = (uint32_t)payload_len + SEAL_TAG_BYTES;
    record_aad(&d, aad);
    OK(buf_reserve(b, d.stored_len, NULL));
    OK(seal(sealer, i, aad, sizeof aad, payload, payload_len, b->data + b->len, NULL));
    b->len += d.stored_len;
    OK(record_desc_put(table, &d, NULL));
}

static inline void seal_pack(struct buf *b)
{
    struct key_bundle keys = sample_keys();
    struct pack_header h = {.format = 1, .cipher = 1, .wrap = 1, .key_id = 2, .repo = sample_repo()};
    uint8_t head[PACK_HEADER_BYTES], key[KEY_BYTES], aad[TABLE_AAD_BYTES], tail[PACK_TRAILER_BYTES];
    struct sealer *sealer;
    struct buf table;
    buf_init(&table, 4096);
    count_up(key, KEY_BYTES, 0xc0);
    pack_header_put(&h, head);
    OK(key_wrap(keys.data[1].key, head, PACK_HEADER_AAD_BYTES, key, h.wrapped_key, NULL));
    pack_header_put(&h, head);
    OK(buf_append(b, head, sizeof head, NULL));
    OK(sealer_new(key, &sealer, NULL));
    for (unsigned i = 0; i < PACK_CHUNKS; i++)
        seal_record(b, &table, sealer, i);
    struct pack_trailer t = {
        .table_offset = b->len, .table_len = (uint32_t)table.len + SEAL_TAG_BYTES, .record_count = PACK_CHUNKS};
    OK(sha256(head, sizeof head, &t.header_digest, NULL));
    pack_table_aad(PACK_CHUNKS, b->len, aad);
    OK(buf_reserve(b, t.table_len, NULL));
    OK(seal(sealer, PACK_TABLE_NUMBER, aad, sizeof aad, table.data, table.len, b->data + b->len, NULL));
    b->len += t.table_len;
    pack_trailer_put(&t, tail);
    OK(buf_append(b, tail, sizeof tail, NULL));
    sealer_free(sealer);
    buf_release(&table);
}

static inline void check_record(const uint8_t *pack, const struct record_desc *d, struct sealer *sealer)
{
    struct codec *codec;
    uint8_t plain[PACK_PLAIN_MAX], base[PACK_PLAIN_MAX], payload[PACK_PLAIN_MAX], got[PACK_PLAIN_MAX],
        aad[RECORD_AAD_BYTES];
    size_t len = pack_plain(d->number, plain), base_len = pack_plain(1, base),
           payload_len = d->stored_len - SEAL_TAG_BYTES;
    struct chunk_name name = pack_plain_name(d->number), base_name = pack_plain_name(1);
    assert_true(d->stored_len <= sizeof payload && d->plain_len == len && d->codec == d->number);
    assert_memory_equal(&d->name, &name, sizeof name);
    record_aad(d, aad);
    OK(seal_open(sealer, d->number, aad, sizeof aad, pack + d->offset, d->stored_len, payload, NULL));
    OK(codec_new(1, 1, &codec, NULL));
    if (d->codec == CODEC_RAW)
        memcpy(got, payload, payload_len);
    else
        OK(codec_decompress(codec, payload, payload_len, d->n ? base : NULL, d->n ? base_len : 0, got, len, NULL));
    codec_free(codec);
    if (d->n > 0)
        assert_memory_equal(&d->base, &base_name, sizeof base_name);
    assert_memory_equal(got, plain, len);
}

static inline void check_pack(const struct buf *b)
{
    struct key_bundle keys = sample_keys();
    struct pack_header h;
    struct pack_trailer t;
    struct sealer *sealer;
    struct digest digest;
    struct record_desc d;
    uint8_t key[KEY_BYTES], aad[TABLE_AAD_BYTES], table[1024];
    OK(pack_header_get(b->data, &h, NULL));
    OK(pack_trailer_get(b->data + b->len - PACK_TRAILER_BYTES, b->len, &t, NULL));
    OK(sha256(b->data, PACK_HEADER_BYTES, &digest, NULL));
    assert_memory_equal(&digest, &t.header_digest, sizeof digest);
    assert_int_equal(h.key_id, 2);
    OK(key_unwrap(keys.data[1].key, b->data, PACK_HEADER_AAD_BYTES, h.wrapped_key, key, NULL));
    OK(sealer_new(key, &sealer, NULL));
    pack_table_aad(t.record_count, t.table_offset, aad);
    assert_true(t.table_len <= sizeof table && t.record_count == PACK_CHUNKS);
    OK(seal_open(sealer, PACK_TABLE_NUMBER, aad, sizeof aad, b->data + t.table_offset, t.table_len, table, NULL));
    struct reader r = reader_of(table, t.table_len - SEAL_TAG_BYTES);
    uint64_t offset = PACK_HEADER_BYTES;
    for (uint32_t i = 0; i < t.record_count; i++) {
        OK(record_desc_get(&r, i, offset, &d, NULL));
        check_record(b->data, &d, sealer);
        offset += d.stored_len;
    }
    assert_int_equal(reader_left(&r), 0);
    assert_true(offset == t.table_offset);
    sealer_free(sealer);
}

/* Does this program open it, to the values it was made with? */
static inline bool check_sealed(const char *name, const struct buf *b)
{
    for (size_t i = 0; i < SLOT_SAMPLES; i++)
        if (strcmp(name, SLOTS[i].name) == 0)
            return check_slot(b, SLOTS[i].kind), true;
    if (strcmp(name, "frame.release") == 0)
        return check_frame(b), true;
    if (strcmp(name, "pack.three-records") == 0)
        return check_pack(b), true;
    return false;
}

#endif
