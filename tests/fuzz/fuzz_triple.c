/* Three copies: what comes out lies in what went in; a whole file with any one byte altered still gives its content. */
#include <stdlib.h>
#include <string.h>

#include "format/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MAX = 64 * 1024 };
    struct bytes content;
    unsigned good;
    if (triple_decode(data, size, MAX, &content, &good, NULL) == ERR_OK) {
        REQUIRE(content.data >= data && content.len <= size && content.data + content.len <= data + size);
        REQUIRE(content.len <= MAX && good >= 1 && good <= 3);
    }
    if (size < 8 || size > 4096 || memmem(data + 4, size - 4, "SNAPCOPY", 8))
        return 0; /* what is kept this way holds no copy of something else (wire.h) */
    struct buf b;
    buf_init(&b, 4 * MAX);
    REQUIRE(triple_encode(&b, data + 4, size - 4, NULL) == ERR_OK);
    size_t at = ((size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2]) % b.len;
    b.data[at] ^= (uint8_t)(data[3] | 1);
    REQUIRE(triple_decode(b.data, b.len, MAX, &content, &good, NULL) == ERR_OK && good == 2);
    REQUIRE(content.len == size - 4 && memcmp(content.data, data + 4, content.len) == 0);
    buf_release(&b);
    return 0;
}
