/* PL2 under hostile payloads. Input: width (2, 4 or 8) and plain length (22 bits), then a payload. What decodes is of
 * the exact length. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "chunk/planes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct codec *codec;
    struct err err;
    if (!codec)
        REQUIRE(codec_new(1, 1, &codec, &err) == ERR_OK);
    if (size < 3)
        return 0;
    static const enum transform_id transforms[] = {TRANSFORM_PLANES_4, TRANSFORM_PLANES_2, TRANSFORM_PLANES_8,
                                                   TRANSFORM_PLANES_4};
    enum transform_id transform = transforms[data[2] >> 6];
    size_t len = ((size_t)data[0] | (size_t)data[1] << 8 | (size_t)(data[2] & 0x3f) << 16) % (CHUNK_MAX_BYTES + 1);
    uint8_t *scratch = malloc(len + 1), *plain = malloc(len + 1);
    REQUIRE(scratch && plain);
    (void)!planes_decompress(codec, transform, data + 3, size - 3, scratch, plain, len, &err);
    if (size >= 3 && size - 3 <= CHUNK_MAX_BYTES) {
        /* The input itself as plain bytes: there and back. */
        size_t n, in = size - 3;
        uint8_t *s = malloc(in + 1), *packed = malloc(in + 64), *back = malloc(in + 1);
        REQUIRE(s && packed && back);
        REQUIRE(planes_compress(codec, transform, data + 3, in, s, packed, in + 64, &n, &err) == ERR_OK);
        if (n > 0) {
            REQUIRE(planes_decompress(codec, transform, packed, n, s, back, in, &err) == ERR_OK);
            REQUIRE(memcmp(back, data + 3, in) == 0);
        }
        free(s);
        free(packed);
        free(back);
    }
    free(scratch);
    free(plain);
    return 0;
}
