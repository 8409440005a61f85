/* Index files, columns and stores of more than one file: the first byte says what the rest is. What is said of it
 * agrees with itself, and with what is said when less of it is looked at. */
#include <string.h>

#include "source/vectors/arrow.h"
#include "source/vectors/chroma.h"
#include "source/vectors/lance.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { A_FILE, A_DATASET = 4, A_CHROMA_INDEX, A_SCHEMA, KINDS };
#define INDEX "5f0c9a52-7c1e-4c62-9d0b-0a1b2c3d4e5f"

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

static void check(const struct vector_result *r, enum vector_depth depth)
{
    REQUIRE(memchr(r->detail, 0, sizeof r->detail));
    for (const char *s = r->detail; *s; s++)
        REQUIRE(*s >= 0x20 && *s <= 0x7e);
    REQUIRE((r->known || !r->ok) && (!r->known || r->ok || *r->detail));
    REQUIRE(r->array_count <= VECTOR_ARRAYS_MAX && r->dim_count <= VECTOR_DIMS_MAX);
    REQUIRE(r->nan <= r->count && r->inf <= r->count && r->zero <= r->count);
    REQUIRE(depth == VECTOR_SCAN || r->count == 0 || (r->nan < 0 && r->inf < 0 && r->zero < 0));
}

static void one_file(struct bytes *b, uint8_t kind)
{
    static const char *const names[] = {"a", "a.usearch", "a.lance", "a.parquet"};
    struct vector_input in = {.read = read_bytes, .arg = b, .size = b->len, .name = names[kind % A_DATASET]};
    bool ok[VECTOR_SCAN + 1];
    for (enum vector_depth depth = VECTOR_QUICK; depth <= VECTOR_SCAN; depth++) {
        struct vector_options opt = {.depth = depth};
        struct vector_result r;
        REQUIRE(vector_read(&in, &opt, &r, NULL) == ERR_OK);
        check(&r, depth);
        if (r.ok && r.row_bytes > 0) {
            uint64_t bytes;
            REQUIRE(r.count >= 0 && !__builtin_mul_overflow((uint64_t)r.count, r.row_bytes, &bytes));
            REQUIRE(r.data_offset <= b->len && bytes <= b->len - r.data_offset);
        }
        ok[depth] = r.ok;
        vector_release(&r);
    }
    REQUIRE((ok[VECTOR_SHAPE] || !ok[VECTOR_SCAN]) && (ok[VECTOR_QUICK] || !ok[VECTOR_SHAPE]));
}

/* --- a directory: of a dataset every file is all the bytes; of an index the header is the first 100, the rest is the
 * other files' */
static enum errc dir_open(void *arg, const char *name, struct vector_input *in, bool *there_out, struct err *err)
{
    enum { HEADER = 100 };
    static struct bytes parts[2];
    const struct bytes *b = arg;
    (void)err;
    bool is_header = strstr(name, "header.bin"), is_index = strncmp(name, INDEX, sizeof INDEX - 1) == 0;
    size_t cut = !is_index ? 0 : b->len < HEADER ? b->len : HEADER;
    parts[0] = (struct bytes){b->data, cut};
    parts[1] = (struct bytes){b->data + cut, b->len - cut};
    *in = (struct vector_input){
        .read = read_bytes, .arg = &parts[!is_header], .size = parts[!is_header].len, .name = name};
    *there_out = b->len % 7 != 0;
    return ERR_OK;
}

static void dir_close(void *arg, struct vector_input *in)
{
    (void)arg;
    (void)in;
}

static enum errc dir_list(void *arg, const char *sub, enum errc (*each)(void *, const char *, struct err *),
                          void *each_arg, struct err *err)
{
    (void)arg;
    (void)sub;
    return each(each_arg, "1.manifest", err);
}

static void count_names(void *arg, const char *name, size_t name_len, int64_t size)
{
    size_t *sum = arg;
    (void)size;
    for (size_t i = 0; i < name_len; i++)
        *sum += (uint8_t)name[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct bytes b = {data + 1, size - 1};
    struct vector_dir dir = {.open = dir_open, .close = dir_close, .list = dir_list, .arg = &b};
    struct vector_options opt = {.depth = VECTOR_SCAN};
    size_t sum = 0;
    if (data[0] % KINDS == A_DATASET) {
        struct lance_dataset d;
        REQUIRE(lance_read_dataset(&dir, &opt, &d, NULL) == ERR_OK);
        check(&d.result, VECTOR_SCAN);
        vector_release(&d.result);
    } else if (data[0] % KINDS == A_CHROMA_INDEX) {
        struct chroma_index index;
        REQUIRE(chroma_read_index(&dir, INDEX, &opt, &index, NULL) == ERR_OK);
        check(&index.result, VECTOR_SCAN);
        vector_release(&index.result);
    } else if (data[0] % KINDS == A_SCHEMA) {
        arrow_fixed_lists(b.data, b.len, count_names, &sum);
    } else {
        one_file(&b, data[0] % KINDS);
    }
    return 0;
}
