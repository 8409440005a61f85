/* record.h: descriptors, associated data, pack header and trailer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "format/record.h"

static struct err err;
#define OK(call) assert_int_equal((call), ERR_OK)

static struct record_desc whole_record(void)
{
    struct record_desc d = {
        .number = 7, .offset = 4000, .stored_len = 1016, .plain_len = 131072, .type = CHUNK_DATA, .codec = CODEC_ZSTD};
    memset(d.name.b, 0xa1, NAME_BYTES);
    return d;
}

static struct record_desc delta_record(void)
{
    struct record_desc d = whole_record();
    d.codec = CODEC_ZSTD_DELTA;
    d.n = 13;
    memset(d.base.b, 0xb2, NAME_BYTES);
    return d;
}

static enum errc through(const struct record_desc *in, struct record_desc *out, size_t *len_out)
{
    struct buf b;
    buf_init(&b, 1000);
    enum errc rc = record_desc_put(&b, in, &err);
    if (rc == ERR_OK) {
        struct reader r = reader_of(b.data, b.len);
        rc = record_desc_get(&r, in->number, in->offset, out, &err);
        assert_int_equal(reader_left(&r), 0);
        *len_out = b.len;
    }
    buf_release(&b);
    return rc;
}

static void assert_same(const struct record_desc *a, const struct record_desc *b)
{
    assert_memory_equal(&a->name, &b->name, sizeof a->name);
    assert_memory_equal(&a->base, &b->base, sizeof a->base);
    assert_true(a->offset == b->offset && a->number == b->number && a->stored_len == b->stored_len);
    assert_true(a->plain_len == b->plain_len && a->type == b->type && a->codec == b->codec);
    assert_true(a->transform == b->transform && a->dict == b->dict && a->n == b->n);
}

static void descriptors_round_trip(void **state)
{
    (void)state;
    struct record_desc in = whole_record(), out;
    size_t len;
    OK(through(&in, &out, &len));
    assert_same(&in, &out);
    assert_int_equal(len, 2 + 32 + 2 + 3);
    in = delta_record();
    in.type = CHUNK_LIST;
    in.transform = TRANSFORM_PLANES_4;
    OK(through(&in, &out, &len));
    assert_same(&in, &out);
    in = whole_record();
    in.codec = CODEC_RAW;
    in.plain_len = CHUNK_MAX_BYTES;
    in.stored_len = CHUNK_MAX_BYTES + SEAL_TAG_BYTES;
    OK(through(&in, &out, &len));
    assert_same(&in, &out);
}

/* What the encoder refuses, and the decoder too when it is written past the encoder. */
static void bad_descriptors_are_not_written(void **state)
{
    (void)state;
    struct record_desc good = delta_record(), d, out;
    size_t len;
#define REFUSED(change) \
    d = good;           \
    change;             \
    assert_int_not_equal(through(&d, &out, &len), ERR_OK)
    REFUSED(d.type = 0);
    REFUSED(d.type = CHUNK_XATTR + 1);
    REFUSED(d.codec = 3);
    REFUSED(d.codec = CODEC_ZSTD); /* n > 0 without a delta */
    REFUSED(d.n = 0);
    REFUSED(d.n = DELTA_MAX_N + 1);
    REFUSED(d.transform = 4);
    REFUSED(d.dict = 1);
    REFUSED(d.plain_len = 0);
    REFUSED(d.plain_len = CHUNK_MAX_BYTES + 1);
    REFUSED(d.stored_len = SEAL_TAG_BYTES);
    REFUSED(d.stored_len = RECORD_MAX_BYTES + 1);
    REFUSED(d.base = d.name);
    REFUSED(d.number = PACK_MAX_RECORDS);
    REFUSED(d.offset = PACK_MAX_BYTES - d.stored_len + 1);
    REFUSED(d.offset = UINT64_MAX);
    good = whole_record();
    REFUSED(d.codec = CODEC_RAW); /* lengths disagree */
#undef REFUSED
}

static enum errc read_bytes(const uint8_t *data, size_t len)
{
    struct reader r = reader_of(data, len);
    struct record_desc d;
    return record_desc_get(&r, 0, PACK_HEADER_BYTES, &d, &err);
}

static void bad_descriptors_are_not_read(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    struct record_desc d = delta_record();
    OK(record_desc_put(&b, &d, &err));
    OK(read_bytes(b.data, b.len));
    for (size_t len = 0; len < b.len; len++)
        assert_int_equal(read_bytes(b.data, len), ERR_DAMAGED);
    struct {
        size_t at;
        uint8_t value;
    } changes[] = {{0, 0}, {0, 5}, {1, 0x43}, {1, 0x41}, {1, 0x02}, {1, 0xc2}, {1, 0x52}, {1, 0x62}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        uint8_t old = b.data[changes[i].at];
        b.data[changes[i].at] = changes[i].value;
        assert_int_equal(read_bytes(b.data, b.len), ERR_DAMAGED);
        b.data[changes[i].at] = old;
    }
    buf_release(&b);
}

static void aad_tells_every_field(void **state)
{
    (void)state;
    struct record_desc good = delta_record(), d;
    uint8_t first[RECORD_AAD_BYTES], aad[RECORD_AAD_BYTES];
    record_aad(&good, first);
    assert_int_equal(first[0], OBJECT_PACK_RECORD);
    assert_int_equal(first[2], FORMAT_VERSION);
    assert_int_equal(first[60], 12); /* 13 & 12 */
#define DIFFERS(change)  \
    d = good;            \
    change;              \
    record_aad(&d, aad); \
    assert_memory_not_equal(aad, first, sizeof aad)
    DIFFERS(d.name.b[31] ^= 1);
    DIFFERS(d.base.b[31] ^= 1);
    DIFFERS(d.number ^= 1u << 31);
    DIFFERS(d.stored_len ^= 1);
    DIFFERS(d.plain_len ^= 1);
    DIFFERS(d.type ^= 1);
    DIFFERS(d.codec ^= 1);
    DIFFERS(d.transform ^= 1);
    DIFFERS(d.dict ^= 1);
    DIFFERS(d.n ^= 1);
#undef DIFFERS
    d = good;
    d.offset += 1; /* a record may move with its pack's making */
    record_aad(&d, aad);
    assert_memory_equal(aad, first, sizeof aad);
    uint8_t table[TABLE_AAD_BYTES], other[TABLE_AAD_BYTES];
    pack_table_aad(3, 4000, table);
    assert_int_equal(table[0], OBJECT_PACK_TABLE);
    pack_table_aad(4, 4000, other);
    assert_memory_not_equal(table, other, sizeof other);
    pack_table_aad(3, 4001, other);
    assert_memory_not_equal(table, other, sizeof other);
}

static struct pack_header sample_header(void)
{
    struct pack_header h = {.format = 1,
                            .cipher = CIPHER_AES_256_GCM,
                            .wrap = WRAP_AES_256_GCM,
                            .key_id = 0x01020304,
                            .flags_ignore = 5,
                            .flags_readonly = 6};
    memset(h.repo.b, 0x11, sizeof h.repo.b);
    memset(h.writer, 0x22, sizeof h.writer);
    memset(h.wrapped_key, 0x33, sizeof h.wrapped_key);
    return h;
}

static void pack_headers_round_trip(void **state)
{
    (void)state;
    struct pack_header in = sample_header(), out;
    uint8_t bytes[PACK_HEADER_BYTES];
    pack_header_put(&in, bytes);
    OK(pack_header_get(bytes, &out, &err));
    assert_int_equal(out.key_id, in.key_id);
    assert_int_equal(out.flags_ignore, 5);
    assert_int_equal(out.flags_readonly, 6);
    assert_memory_equal(out.repo.b, in.repo.b, sizeof in.repo.b);
    assert_memory_equal(out.writer, in.writer, sizeof in.writer);
    assert_memory_equal(out.wrapped_key, in.wrapped_key, sizeof in.wrapped_key);
    assert_memory_equal(bytes + PACK_HEADER_AAD_BYTES, in.wrapped_key, WRAPPED_KEY_BYTES);
    bytes[0] ^= 1;
    assert_int_equal(pack_header_get(bytes, &out, &err), ERR_DAMAGED);
    static const size_t newer[] = {8, 10, 11, 20, 21}; /* format, cipher, wrap, refuse flags */
    for (size_t i = 0; i < sizeof newer / sizeof *newer; i++) {
        pack_header_put(&in, bytes);
        bytes[newer[i]] += 7;
        assert_int_equal(pack_header_get(bytes, &out, &err), ERR_FORMAT_NEWER);
    }
    pack_header_put(&in, bytes);
    bytes[8] = 0;
    assert_int_equal(pack_header_get(bytes, &out, &err), ERR_DAMAGED);
}

static enum errc trailer_of(uint64_t offset, uint32_t len, uint32_t count, uint64_t pack_len)
{
    struct pack_trailer in = {.table_offset = offset, .table_len = len, .record_count = count}, out;
    memset(in.header_digest.b, 0x44, DIGEST_BYTES);
    uint8_t bytes[PACK_TRAILER_BYTES];
    pack_trailer_put(&in, bytes);
    enum errc rc = pack_trailer_get(bytes, pack_len, &out, &err);
    if (rc == ERR_OK) {
        assert_true(out.table_offset == offset && out.table_len == len && out.record_count == count);
        assert_memory_equal(&out.header_digest, &in.header_digest, DIGEST_BYTES);
    }
    return rc;
}

static void trailers_must_fit_their_pack(void **state)
{
    (void)state;
    OK(trailer_of(1192, 16 + 3 * 40, 3, 1192 + 136 + 56));
    assert_int_equal(trailer_of(1192, 16 + 3 * 40, 3, 1192 + 136 + 57), ERR_DAMAGED);
    assert_int_equal(trailer_of(1192, 16 + 3 * 40, 0, 1192 + 136 + 56), ERR_DAMAGED);
    assert_int_equal(trailer_of(1192, 16 + 3 * 40, 4, 1192 + 136 + 56), ERR_DAMAGED); /* table too short for it */
    assert_int_equal(trailer_of(192 + 50, 16 + 3 * 40, 3, 192 + 50 + 136 + 56), ERR_DAMAGED); /* records too short */
    assert_int_equal(trailer_of(191, 136, 1, 191 + 136 + 56), ERR_DAMAGED);
    assert_int_equal(trailer_of(UINT64_MAX - 100, 136, 1, 191 + 136 + 56), ERR_DAMAGED);
    assert_int_equal(trailer_of(UINT64_MAX - 191, 136, 1, 0), ERR_DAMAGED); /* the sum wraps round to 0 */
    assert_int_equal(trailer_of(1192, 16, 1, 1192 + 16 + 56), ERR_DAMAGED);
    assert_int_equal(trailer_of(1192, UINT32_MAX, UINT32_MAX, 1192 + (uint64_t)UINT32_MAX + 56), ERR_DAMAGED);
    uint8_t bytes[PACK_TRAILER_BYTES] = {0};
    struct pack_trailer t;
    assert_int_equal(pack_trailer_get(bytes, 1000, &t, &err), ERR_DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_round_trip),       cmocka_unit_test(bad_descriptors_are_not_written),
        cmocka_unit_test(bad_descriptors_are_not_read), cmocka_unit_test(aad_tells_every_field),
        cmocka_unit_test(pack_headers_round_trip),      cmocka_unit_test(trailers_must_fit_their_pack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
