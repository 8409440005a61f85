/* Files of numbers: the first byte chooses a name, the rest is the file. What is said of it agrees with itself, and
 * with what is said when less of it is looked at. */
#include <string.h>

#include "source/vectors/vectors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
    const uint8_t *data;
    size_t len;
};

static enum errc read_bytes(void *arg, void *dst, size_t len, uint64_t offset, size_t *got_out, struct err *err)
{
    const struct bytes *b = arg;
    (void)err;
    size_t left = offset < b->len ? b->len - (size_t)offset : 0;
    *got_out = len < left ? len : left;
    if (*got_out > 0)
        memcpy(dst, b->data + offset, *got_out);
    return ERR_OK;
}

static void check_text(const char *s, size_t room)
{
    REQUIRE(memchr(s, 0, room));
    for (; *s; s++)
        REQUIRE(*s >= 0x20 && *s <= 0x7e);
}

static void check(const struct vector_result *r, size_t size, enum vector_depth depth)
{
    int64_t listed = r->dims_other;
    check_text(r->detail, sizeof r->detail);
    check_text(r->format, sizeof r->format);
    REQUIRE(!r->known == !*r->format && (r->known || !r->ok) && (!r->known || r->ok || *r->detail));
    REQUIRE(r->array_count <= VECTOR_ARRAYS_MAX && r->dim_count <= VECTOR_DIMS_MAX);
    REQUIRE(r->nan <= r->count && r->inf <= r->count && r->zero <= r->count);
    REQUIRE(depth == VECTOR_SCAN || r->count == 0 || (r->nan < 0 && r->inf < 0 && r->zero < 0));
    for (size_t i = 0; i < r->array_count; i++)
        check_text(r->arrays[i].name, sizeof r->arrays[i].name);
    for (size_t i = 0; i < r->dim_count; i++) {
        listed += r->dims[i].count;
        REQUIRE(r->dims[i].count > 0 && (i == 0 || r->dims[i - 1].dimension < r->dims[i].dimension));
    }
    REQUIRE(!r->ok || r->count < 0 || listed == r->count || r->dimension == VECTOR_UNKNOWN);
    if (r->ok && r->row_bytes > 0)
        REQUIRE(r->count >= 0 && r->data_offset + (uint64_t)r->count * r->row_bytes <= size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"a",       "a.npy",  "a.npz",   "a.fvecs",      "a.bvecs",
                                        "a.ivecs", "a.fbin", "a.u8bin", "a.safetensors"};
    if (size < 1)
        return 0;
    struct bytes b = {data + 1, size - 1};
    struct vector_input in = {.read = read_bytes, .arg = &b, .size = b.len, .name = names[data[0] % 9]};
    struct vector_result r[3];
    for (enum vector_depth depth = VECTOR_QUICK; depth <= VECTOR_SCAN; depth++) {
        struct vector_options opt = {.depth = depth, .raw_dimension = data[0] / 9};
        REQUIRE(vector_read(&in, &opt, &r[depth], NULL) == ERR_OK);
        check(&r[depth], b.len, depth);
    }
    REQUIRE(r[VECTOR_QUICK].known == r[VECTOR_SCAN].known && (r[VECTOR_SHAPE].ok || !r[VECTOR_SCAN].ok));
    if (r[VECTOR_SCAN].ok)
        REQUIRE(r[VECTOR_SHAPE].count == r[VECTOR_SCAN].count);
    for (enum vector_depth depth = VECTOR_QUICK; depth <= VECTOR_SCAN; depth++)
        vector_release(&r[depth]);
    return 0;
}
