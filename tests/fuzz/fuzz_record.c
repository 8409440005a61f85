/* Pack tables, headers and trailers. */
#include <string.h>

#include "base/limits.h"
#include "format/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_table(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size);
    uint64_t offset = PACK_HEADER_BYTES;
    struct buf b;
    buf_init(&b, size);
    struct record_desc d;
    for (uint32_t number = 0; reader_left(&r) > 0; number++) {
        if (record_desc_get(&r, number, offset, &d, NULL) != ERR_OK)
            break;
        offset += d.stored_len;
        REQUIRE(offset <= PACK_MAX_BYTES && d.plain_len >= 1 && d.plain_len <= CHUNK_MAX_BYTES);
        REQUIRE(record_desc_put(&b, &d, NULL) == ERR_OK);
        uint8_t aad[RECORD_AAD_BYTES];
        record_aad(&d, aad);
    }
    REQUIRE(b.len <= size && (b.len == 0 || memcmp(b.data, data, b.len) == 0)); /* one form only */
    buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_table(data, size);
    uint8_t bytes[PACK_HEADER_BYTES] = {0}, again[PACK_HEADER_BYTES];
    memcpy(bytes, data, size < sizeof bytes ? size : sizeof bytes);
    struct pack_header h;
    if (pack_header_get(bytes, &h, NULL) == ERR_OK) {
        pack_header_put(&h, again);
        REQUIRE(memcmp(again, bytes, 22) == 0);
        REQUIRE(memcmp(again + 24, bytes + 24, PACK_HEADER_AAD_BYTES - 24 + WRAPPED_KEY_BYTES) == 0);
    }
    struct pack_trailer t;
    uint64_t pack_len = 0;
    for (size_t i = 0; i < 4 && size > PACK_TRAILER_BYTES + i; i++)
        pack_len = pack_len << 8 | data[PACK_TRAILER_BYTES + i];
    if (pack_trailer_get(bytes, pack_len, &t, NULL) == ERR_OK) {
        REQUIRE(t.table_offset + t.table_len + PACK_TRAILER_BYTES == pack_len);
        pack_trailer_put(&t, again);
        REQUIRE(memcmp(again, bytes, PACK_TRAILER_BYTES) == 0);
    }
    return 0;
}
