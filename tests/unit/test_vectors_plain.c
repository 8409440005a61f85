/* format_fvecs.c, format_fbin.c, format_raw.c, format_safetensors.c (golden/vectors/make_fvecs.py,
 * make_safetensors.py). */
#include "vectors_golden.h"

static struct vector_result read_raw(struct golden *g, int64_t dimension, enum vector_dtype dtype)
{
    struct vector_result r;
    struct err err;
    struct vector_input in = {.read = golden_bytes, .arg = g, .size = g->len, .name = g->name};
    struct vector_options opt = {.depth = VECTOR_SCAN, .raw_dimension = dimension, .raw_dtype = dtype};
    assert_int_equal(vector_read(&in, &opt, &r, &err), ERR_OK);
    return r;
}

static void rows_of_one_dimension(void **state)
{
    (void)state;
    static const struct {
        const char *name, *format;
        enum vector_dtype dtype;
        int64_t nan, inf, zero;
        uint64_t data_offset, row_bytes;
    } samples[] = {
        {"rows.fvecs", "fvecs", VECTOR_F32, 1, 2, 3, 0, 28}, {"rows.ivecs", "ivecs", VECTOR_I32, 0, 0, 1, 0, 28},
        {"rows.bvecs", "bvecs", VECTOR_U8, 0, 0, 1, 0, 10},  {"rows.fbin", "fbin", VECTOR_F32, 1, 2, 3, 8, 24},
        {"rows.u8bin", "u8bin", VECTOR_U8, 0, 0, 1, 8, 6},   {"rows.i8bin", "i8bin", VECTOR_I8, 0, 0, 1, 8, 6},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        for (enum vector_depth depth = VECTOR_QUICK; depth <= VECTOR_SCAN; depth++) {
            struct golden g = golden_load(samples[i].name);
            struct vector_result r = golden_read(&g, depth);
            bool is_scan = depth == VECTOR_SCAN;
            assert_true(r.ok);
            assert_string_equal(r.format, samples[i].format);
            assert_int_equal(r.dtype, samples[i].dtype);
            assert_int_equal(r.dimension, 6);
            assert_int_equal(r.count, 20);
            assert_int_equal(r.dim_count, 1);
            assert_int_equal(r.dims[0].count, 20);
            assert_int_equal(r.nan, is_scan ? samples[i].nan : VECTOR_UNKNOWN);
            assert_int_equal(r.inf, is_scan ? samples[i].inf : VECTOR_UNKNOWN);
            assert_int_equal(r.zero, is_scan ? samples[i].zero : VECTOR_UNKNOWN);
            assert_int_equal(r.data_offset, samples[i].data_offset);
            assert_int_equal(r.row_bytes, samples[i].row_bytes);
            assert_in_range(g.reads, 1, 3);
            vector_release(&r);
            golden_free(&g);
        }
    static const char *const cut[] = {"rows.fbin", "rows.u8bin"};
    for (size_t i = 0; i < 2; i++)
        golden_cut_everywhere(cut[i], 0, VECTOR_QUICK);
}

/* Cut between two rows, such a file is as sound as it was. */
static void fvecs_cut_within_a_row_is_broken(void **state)
{
    (void)state;
    struct golden g = golden_load("rows.fvecs");
    for (size_t whole = g.len; g.len > 0; g.len--) {
        struct vector_result r = golden_read(&g, VECTOR_SCAN);
        assert_int_equal(r.ok, g.len % 28 == 0);
        assert_int_equal(r.count, g.len / 28); /* the whole rows before */
        assert_int_equal(r.zero >= 0, r.ok);
        assert_true(r.ok || strstr(r.detail, "cut off"));
        assert_true(g.len <= whole);
        vector_release(&r);
        r = golden_read(&g, VECTOR_QUICK);
        assert_int_equal(r.count, g.len % 28 == 0 ? (int64_t)(g.len / 28) : VECTOR_UNKNOWN);
        vector_release(&r);
    }
    struct vector_result r = golden_read(&g, VECTOR_QUICK);
    assert_true(r.ok);
    assert_int_equal(r.count, 0);
    vector_release(&r);
    golden_free(&g);
}

static void rows_of_several_dimensions_are_counted(void **state)
{
    (void)state;
    static const struct vector_dimension want[] = {{1, 1}, {4, 3}, {6, 2}, {9, 1}};
    struct golden g = golden_load("mixed.fvecs");
    for (enum vector_depth depth = VECTOR_SHAPE; depth <= VECTOR_SCAN; depth++) {
        struct vector_result r = golden_read(&g, depth);
        assert_true(r.ok);
        assert_int_equal(r.dimension, 0);
        assert_int_equal(r.count, 7);
        assert_int_equal(r.dim_count, 4);
        assert_int_equal(r.row_bytes, 0);
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(r.dims[i].dimension, want[i].dimension);
            assert_int_equal(r.dims[i].count, want[i].count);
        }
        assert_int_equal(r.nan, depth == VECTOR_SCAN ? 1 : VECTOR_UNKNOWN);
        assert_int_equal(r.zero, depth == VECTOR_SCAN ? 2 : VECTOR_UNKNOWN);
        vector_release(&r);
    }
    struct vector_result r = golden_read(&g, VECTOR_QUICK);
    assert_true(r.ok);
    assert_int_equal(r.count, VECTOR_UNKNOWN);
    assert_int_equal(r.dimension, VECTOR_UNKNOWN);
    vector_release(&r);
    g.len = 100; /* 4, 4, 9, 4: as long as five of 4, and begins and ends like them */
    r = golden_read(&g, VECTOR_SHAPE);
    assert_int_equal(r.dimension, 0);
    assert_int_equal(r.count, 4);
    vector_release(&r);
    golden_put_u32(&g, 40, 0);
    golden_is_broken(&g, VECTOR_SHAPE, "row 2, at byte 40, says that it has 0 elements");
    golden_put_u32(&g, 40, UINT32_MAX);
    golden_is_broken(&g, VECTOR_SHAPE, "row 2, at byte 40, says that it has -1 elements");
    golden_put_u32(&g, 40, 1000001);
    golden_is_broken(&g, VECTOR_SHAPE, "says that it has 1000001 elements");
    golden_put_u32(&g, 40, 15);
    golden_is_broken(&g, VECTOR_SHAPE, "it was cut off: row 2, at byte 40, has 15 elements");
    golden_put_u32(&g, 0, 0);
    golden_is_broken(&g, VECTOR_QUICK, "row 0");
    golden_free(&g);
}

/* More dimensions than are told apart, and rows that end in another block than they begin in. */
static void many_rows_of_many_dimensions(void **state)
{
    (void)state;
    enum { KINDS = 40, ROUNDS = 3000 };
    struct golden g = {.name = "many.FVECS"};
    size_t zero = 0;
    for (size_t i = 0; i < KINDS * ROUNDS; i++)
        g.len += 4 + 4 * (1 + i % KINDS);
    g.data = calloc(1, g.len);
    assert_non_null(g.data);
    for (size_t i = 0, at = 0; i < KINDS * ROUNDS; i++) {
        golden_put_u32(&g, at, (uint32_t)(1 + i % KINDS));
        at += 4 + 4 * (1 + i % KINDS);
        zero += i % 7 == 0;
        if (i % 7 != 0)
            golden_put_u32(&g, at - 4, i % 7 == 1 ? 0x7fc00000 : 0x3f800000);
    }
    struct vector_result r = golden_read(&g, VECTOR_SCAN);
    assert_true(r.ok);
    assert_int_equal(r.count, KINDS * ROUNDS);
    assert_int_equal(r.zero, zero);
    assert_int_equal(r.nan, (KINDS * ROUNDS + 5) / 7);
    assert_int_equal(r.dim_count, VECTOR_DIMS_MAX);
    assert_int_equal(r.dims_other, (KINDS - VECTOR_DIMS_MAX) * ROUNDS);
    for (size_t i = 0; i < VECTOR_DIMS_MAX; i++)
        assert_int_equal(r.dims[i].count, ROUNDS);
    vector_release(&r);
    golden_free(&g);
    /* Two rows of the largest dimension: longer than a block. */
    g = (struct golden){.name = "long.bvecs", .len = 2 * 1000004 + 5};
    g.data = calloc(1, g.len);
    assert_non_null(g.data);
    golden_put_u32(&g, 0, 1000000);
    golden_put_u32(&g, 1000004, 1000000);
    golden_put_u32(&g, 2 * 1000004, 1);
    golden_put(&g, 2 * 1000004 - 1, "x", 1);
    for (enum vector_depth depth = VECTOR_SHAPE; depth <= VECTOR_SCAN; depth++) {
        r = golden_read(&g, depth);
        assert_true(r.ok);
        assert_int_equal(r.count, 3);
        assert_int_equal(r.zero, depth == VECTOR_SCAN ? 2 : VECTOR_UNKNOWN);
        vector_release(&r);
    }
    golden_free(&g);
}

static void fbin_whose_size_disagrees_is_broken(void **state)
{
    (void)state;
    struct golden g = golden_load("rows.fbin");
    golden_put_u32(&g, 0, 21);
    golden_is_broken(&g, VECTOR_QUICK, "21 vectors of 6 elements make 512 bytes, and it has 488");
    golden_put_u32(&g, 0, 19);
    golden_is_broken(&g, VECTOR_QUICK, "19 vectors of 6 elements make 464 bytes, and it has 488");
    golden_put_u32(&g, 0, 20);
    static const uint32_t dimensions[] = {0, 1000001, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        golden_put_u32(&g, 4, dimensions[i]);
        golden_is_broken(&g, VECTOR_QUICK, "says that a vector has");
    }
    golden_put_u32(&g, 0, UINT32_MAX);
    golden_put_u32(&g, 4, 1000000);
    golden_is_broken(&g, VECTOR_SCAN, "17179869180000008 bytes");
    memcpy(g.name, "rows.bin", 9);
    struct vector_result r = golden_read(&g, VECTOR_SCAN);
    assert_false(r.known);
    assert_int_equal(r.count, VECTOR_UNKNOWN);
    vector_release(&r);
    golden_free(&g);
}

static void raw_numbers_need_a_dimension(void **state)
{
    (void)state;
    struct golden g = golden_load("rows.f32");
    struct vector_result r = read_raw(&g, 0, VECTOR_DTYPE_NONE);
    assert_false(r.known);
    vector_release(&r);
    r = read_raw(&g, 6, VECTOR_DTYPE_NONE);
    assert_true(r.ok);
    assert_string_equal(r.format, "raw");
    assert_int_equal(r.dtype, VECTOR_F32);
    assert_int_equal(r.count, 20);
    assert_int_equal(r.nan, 1);
    assert_int_equal(r.inf, 2);
    assert_int_equal(r.zero, 3);
    assert_int_equal(r.row_bytes, 24);
    vector_release(&r);
    r = read_raw(&g, 7, VECTOR_DTYPE_NONE);
    assert_true(r.known && !r.ok);
    assert_non_null(strstr(r.detail, "no multiple of the 28 bytes"));
    vector_release(&r);
    r = read_raw(&g, INT64_MAX, VECTOR_DTYPE_NONE);
    assert_true(r.known && !r.ok);
    vector_release(&r);
    golden_free(&g);
    g = golden_load("rows.f16");
    r = read_raw(&g, 6, VECTOR_F16);
    assert_true(r.ok);
    assert_int_equal(r.count, 20);
    assert_int_equal(r.inf, 2);
    vector_release(&r);
    golden_free(&g);
    g = golden_load("rows.fbin"); /* a format explains this one */
    r = read_raw(&g, 7, VECTOR_F16);
    assert_string_equal(r.format, "fbin");
    vector_release(&r);
    golden_free(&g);
}

static void tensors_are_named_arrays(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum vector_dtype dtype;
        bool is_vectors;
        int64_t count, nan;
    } want[] = {{"f16", VECTOR_F16, true, 20, 1},   {"bf16", VECTOR_BF16, true, 20, 1},
                {"f64", VECTOR_F64, true, 20, 1},   {"i8", VECTOR_I8, true, 3, 0},
                {"ids", VECTOR_I64, false, 20, 0},  {"cube", VECTOR_F32, false, 4, 0},
                {"none", VECTOR_F32, true, 0, 0},   {"flag", VECTOR_DTYPE_NONE, false, 1, 0},
                {"w??rt?", VECTOR_F32, true, 20, 0}};
    struct vector_result r = golden_look("several.safetensors", VECTOR_SCAN);
    assert_true(r.ok);
    assert_int_equal(r.array_count, 9);
    assert_int_equal(r.count, 83);
    assert_int_equal(r.nan, 3);
    assert_int_equal(r.dimension, 0);
    assert_int_equal(r.row_bytes, 0);
    for (size_t i = 0; i < 9; i++) {
        size_t k = 0;
        while (k < 9 && strcmp(r.arrays[k].name, want[i].name) != 0)
            k++;
        assert_in_range(k, 0, 8);
        assert_int_equal(r.arrays[k].dtype, want[i].dtype);
        assert_int_equal(r.arrays[k].is_vectors, want[i].is_vectors);
        assert_int_equal(r.arrays[k].count, want[i].count);
        if (want[i].is_vectors)
            assert_int_equal(r.arrays[k].nan, want[i].nan);
    }
    vector_release(&r);
    r = golden_look("one.safetensors", VECTOR_SCAN);
    assert_true(r.ok);
    assert_int_equal(r.zero, 3);
    assert_int_equal(r.row_bytes, 24);
    assert_int_equal(r.data_offset, 560 - 480);
    vector_release(&r);
    r = golden_look("nothing.safetensors", VECTOR_QUICK);
    assert_true(r.ok);
    assert_int_equal(r.count, 0);
    vector_release(&r);
    golden_cut_everywhere("one.safetensors", 0, VECTOR_QUICK);
    golden_cut_everywhere("several.safetensors", 0, VECTOR_QUICK);
}

/* A file of this JSON and data_bytes of zeros behind it. */
static struct golden tensors_of(const char *json, size_t data_bytes)
{
    struct golden g = {.name = "x.safetensors", .len = 8 + strlen(json) + data_bytes};
    g.data = calloc(1, g.len);
    assert_non_null(g.data);
    golden_put_u64(&g, 0, strlen(json));
    golden_put(&g, 8, json, strlen(json));
    return g;
}

static void a_tensor_header_is_not_believed(void **state)
{
    (void)state;
    static const struct {
        const char *json, *words;
    } cases[] = {
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}", ""},
        {"{\"a\":{\"dtype\":\"F99\",\"shape\":[2,2],\"data_offsets\":[0,16]}} \n", ""},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,16]}}", "another number of bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4,1],\"data_offsets\":[0,16]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[3,0],\"data_offsets\":[16,16]}}",
         "tensor 'b': rows of 0 elements: not taken for vectors"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[0,12]}}", "4 bytes stand behind"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[4,16]}}", "leave a hole at byte"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}",
         "overlap at byte"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[4,20]}}", "outside of the file"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[16,0]}}", "outside of the file"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[-16,0]}}", "outside of the file"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967300],\"data_offsets\":[0,16]}}", "impossible shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2,-2],\"data_offsets\":[0,16]}}", "impossible shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0,2],\"data_offsets\":[0,16]}}", "impossible shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,16]}}", "is not described"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4]}}", "is not described"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", "malformed"},
        {"{\"a\":[]}", "is not described"},
        {"{\"a\":1}", "malformed"},
        {"{\"a\":{\"dtype\":\"F32\"", "malformed"},
        {"{\"a\":{]}}", "malformed"},
        {"{\"a\" {}}", "malformed"},
        {"{a:{}}", "malformed"},
        {"{\"a\":{},}", "is not described"},
        {"{\"a\\", "malformed"},
        {"{\"\\ud800\":{}}", "malformed"},
        {"{\"__metadata__\":{\"a\":}}", "malformed"},
        {"[]", "no JSON object"},
        {"{} x", "something stands behind"},
        {"{}", "16 bytes stand behind"},
        {"{,}", "malformed"},
        {"", "no JSON object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct golden g = tensors_of(cases[i].json, 16);
        struct vector_result r = golden_read(&g, VECTOR_SCAN);
        if (!r.known || r.ok != !*cases[i].words || !strstr(r.detail, cases[i].words))
            fail_msg("%s: known %d, ok %d, '%s'", cases[i].json, r.known, r.ok, r.detail);
        vector_release(&r);
        golden_free(&g);
    }
    struct golden g = tensors_of("{}", 0);
    golden_put_u64(&g, 0, UINT64_MAX);
    golden_is_broken(&g, VECTOR_QUICK, "it was cut off");
    golden_free(&g);
}

/* Text with a million brackets, values and tensors. */
static void a_long_header_is_bounded(void **state)
{
    (void)state;
    enum { LEN = 3 << 20 };
    static const char tensor[] = "\"\":{\"dtype\":\"F32\",\"shape\":[0,1],\"data_offsets\":[0,0]},";
    struct golden g = {.name = "x.safetensors", .len = 8 + LEN};
    g.data = malloc(g.len);
    assert_non_null(g.data);
    golden_put_u64(&g, 0, LEN);
    memset(g.data + 8, '[', LEN);
    golden_put(&g, 8, "{\"a\":", 5);
    golden_is_broken(&g, VECTOR_QUICK, "malformed");
    memset(g.data + 13, '{', LEN / 2);
    memset(g.data + 13 + LEN / 2, '}', LEN - 5 - LEN / 2);
    golden_is_broken(&g, VECTOR_QUICK, "malformed");
    memset(g.data + 8, ' ', LEN);
    golden_put(&g, 8, "{", 1);
    size_t at = 9, count = 0;
    for (; at + sizeof tensor < g.len; at += sizeof tensor - 1, count++)
        golden_put(&g, at, tensor, sizeof tensor - 1);
    golden_put(&g, at - 1, "}", 1);
    struct vector_result r = golden_read(&g, VECTOR_SCAN);
    assert_true(r.ok);
    assert_int_equal(r.array_count, VECTOR_ARRAYS_MAX);
    assert_int_equal(r.arrays_omitted, count - VECTOR_ARRAYS_MAX);
    assert_int_equal(r.count, VECTOR_UNKNOWN);
    vector_release(&r);
    golden_free(&g);
    g = (struct golden){.name = "x.safetensors", .len = 8 + LEN + 1};
    g.data = calloc(1, g.len);
    golden_put_u64(&g, 0, LEN + 1);
    golden_is_broken(&g, VECTOR_QUICK, "more than are looked at");
    golden_free(&g);
}

static void rows_of_no_vector_are_told(void **state)
{
    (void)state;
    static const struct {
        int64_t rows, dimension;
        const char *dtype, *words;
        bool ok;
    } cases[] = {
        {0, 1000000, "U8", "", true},
        {0, 0, "U8", "rows of 0 elements: not taken for vectors", true},
        {0, 1000001, "U8", "rows of 1000001 elements: not taken for vectors", true},
        {1, 1000000, "U8", "", true},
        {1, 1000001, "U8", "tensor 'a': rows of 1000001 elements: not taken for vectors", false},
        {1, 1000001, "BOOL", "", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[200];
        size_t bytes = (size_t)(cases[i].rows * cases[i].dimension);
        snprintf(json, sizeof json, "{\"a\":{\"dtype\":\"%s\",\"shape\":[%d,%d],\"data_offsets\":[0,%zu]}}",
                 cases[i].dtype, (int)cases[i].rows, (int)cases[i].dimension, bytes);
        struct golden g = tensors_of(json, bytes);
        struct vector_result r = golden_read(&g, VECTOR_SCAN);
        assert_int_equal(r.ok, cases[i].ok);
        assert_string_equal(r.detail, cases[i].words);
        assert_int_equal(r.count, !r.ok ? VECTOR_UNKNOWN : r.arrays[0].is_vectors ? cases[i].rows : 0);
        vector_release(&r);
        golden_free(&g);
    }
}

/* Many tensors of the same bytes: what they hold is not read, so the reads are those of a quick look. */
static void tensors_that_overlap_are_not_read(void **state)
{
    (void)state;
    enum { TENSORS = 1024, DATA = 1 << 16, TEXT = 100 };
    char *json = malloc(TENSORS * TEXT);
    size_t len = 0;
    assert_non_null(json);
    for (int i = 0; i < TENSORS; i++)
        len +=
            (size_t)snprintf(json + len, TEXT, "%s\"%d\":{\"dtype\":\"F32\",\"shape\":[%d,4],\"data_offsets\":[0,%d]}",
                             i > 0 ? "," : "{", i, DATA / 16, DATA);
    snprintf(json + len, TEXT, "}");
    struct golden g = tensors_of(json, DATA);
    struct vector_result r = golden_read(&g, VECTOR_SCAN);
    assert_false(r.ok);
    assert_non_null(strstr(r.detail, "overlap at byte"));
    assert_int_equal(r.nan, VECTOR_UNKNOWN);
    assert_in_range(g.reads, 1, 3);
    vector_release(&r);
    golden_free(&g);
    free(json);
}

static void no_spoilt_byte_does_harm(void **state)
{
    (void)state;
    golden_spoil_everywhere("several.safetensors");
    golden_spoil_everywhere("mixed.fvecs");
    golden_spoil_everywhere("rows.u8bin");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_one_dimension),
        cmocka_unit_test(fvecs_cut_within_a_row_is_broken),
        cmocka_unit_test(rows_of_several_dimensions_are_counted),
        cmocka_unit_test(many_rows_of_many_dimensions),
        cmocka_unit_test(fbin_whose_size_disagrees_is_broken),
        cmocka_unit_test(raw_numbers_need_a_dimension),
        cmocka_unit_test(tensors_are_named_arrays),
        cmocka_unit_test(a_tensor_header_is_not_believed),
        cmocka_unit_test(a_long_header_is_bounded),
        cmocka_unit_test(rows_of_no_vector_are_told),
        cmocka_unit_test(tensors_that_overlap_are_not_read),
        cmocka_unit_test(no_spoilt_byte_does_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
