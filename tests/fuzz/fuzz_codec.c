/* Z1 under hostile frames. Input: flags, plain length (u24), prefix length (u16), prefix, then a frame (bit 1 of the
 * flags clear) or plain bytes from which a frame is made and then spoilt (set). A frame that decodes is made again from
 * its plain bytes and must come back. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "chunk/codec.h"

struct delta_base {
    const uint8_t *data; /* NULL: none */
    size_t len;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(struct codec *codec, const uint8_t *plain, size_t len, struct delta_base base)
{
    uint8_t *packed = malloc(RECORD_MAX_BYTES), *back = malloc(len + 1);
    struct err err;
    size_t n = 0;

    REQUIRE(packed && back);
    REQUIRE(codec_compress(codec, plain, len, base.data, base.len, packed, RECORD_MAX_BYTES, &n, &err) == ERR_OK);
    REQUIRE(n > 0);
    REQUIRE(codec_decompress(codec, packed, n, base.data, base.len, back, len, &err) == ERR_OK);
    REQUIRE(memcmp(plain, back, len) == 0);
    free(packed);
    free(back);
}

static void decode(struct codec *codec, const uint8_t *frame, size_t frame_len, size_t plain_len,
                   struct delta_base base)
{
    uint8_t *plain = malloc(plain_len ? plain_len : 1); /* of the exact size, so that a byte too many is seen */
    struct err err;

    REQUIRE(plain);
    if (codec_decompress(codec, frame, frame_len, base.data, base.len, plain, plain_len, &err) == ERR_OK)
        check_round_trip(codec, plain, plain_len, base);
    free(plain);
}

static void spoil(struct codec *codec, const uint8_t *plain, size_t len, size_t where, struct delta_base base)
{
    uint8_t *packed = malloc(RECORD_MAX_BYTES);
    struct err err;
    size_t n = 0;

    REQUIRE(packed);
    REQUIRE(codec_compress(codec, plain, len, base.data, base.len, packed, len + 64, &n, &err) == ERR_OK);
    if (n > 0) {
        packed[where % n] ^= (uint8_t)(where >> 16 | 1);
        decode(codec, packed, n, len, base);
    }
    free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct codec *codec;
    struct err err;

    if (!codec)
        REQUIRE(codec_new(2, 3, &codec, &err) == ERR_OK);
    if (size < 6)
        return 0;
    size_t number = data[1] | (size_t)data[2] << 8 | (size_t)data[3] << 16;
    size_t prefix_len = data[4] | (size_t)data[5] << 8;
    if (prefix_len > size - 6)
        prefix_len = size - 6;
    struct delta_base base = {data[0] & 1 ? data + 6 : NULL, data[0] & 1 ? prefix_len : 0};
    const uint8_t *rest = data + 6 + prefix_len;
    size_t rest_len = size - 6 - prefix_len;

    if (data[0] & 2)
        spoil(codec, rest, rest_len, number, base);
    else
        decode(codec, rest, rest_len, number & 0x7ffff, base);
    return 0;
}
