/* format_parquet.c, thrift.c, arrow.c: what pyarrow writes (golden/vectors/make_parquet.py). */
#include "vectors_golden.h"

#include "source/vectors/arrow.h"

static void each_file_is_told(void **state)
{
    static const struct {
        const char *name, *detail;
        int64_t dimension, count;
        enum vector_dtype dtype;
        size_t arrays;
    } samples[] = {
        {"vectors", "30 rows, 3 columns, 1 of them vectors", 8, 30, VECTOR_F32, 1},
        {"two", "30 rows, 3 columns, 2 of them vectors", 8, 60, VECTOR_DTYPE_NONE, 2},
        {"plain", "30 rows, 1 columns, 1 of them vectors", VECTOR_UNKNOWN, 30, VECTOR_F32, 1},
        {"variable", "30 rows, 1 columns, 1 of them vectors", VECTOR_UNKNOWN, 30, VECTOR_F32, 1},
        {"bytes", "30 rows, 2 columns, 1 of them vectors", 32, 30, VECTOR_F32, 1},
        {"nothing", "30 rows, 1 columns, 0 of them vectors", VECTOR_UNKNOWN, 0, VECTOR_DTYPE_NONE, 0},
        {"encrypted", "encrypted: nothing in it can be looked at", VECTOR_UNKNOWN, VECTOR_UNKNOWN, VECTOR_DTYPE_NONE,
         1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char path[64];
        snprintf(path, sizeof path, "parquet_%s.parquet", samples[i].name);
        for (int depth = VECTOR_QUICK; depth <= VECTOR_SCAN; depth++) {
            struct vector_result r = golden_look(path, (enum vector_depth)depth);
            assert_true(r.known);
            if (!r.ok || strcmp(r.detail, samples[i].detail) != 0)
                fail_msg("%s: ok %d, '%s'", path, r.ok, r.detail);
            assert_string_equal(r.format, "parquet");
            assert_int_equal(r.dimension, samples[i].dimension);
            assert_int_equal(r.count, samples[i].count);
            assert_int_equal(r.dtype, samples[i].dtype);
            assert_int_equal(r.array_count, samples[i].arrays);
            assert_true(r.array_count == 0 || r.nan == VECTOR_UNKNOWN);
            vector_release(&r);
        }
        golden_cut_everywhere(path, 4, VECTOR_SHAPE);
        golden_spoil_everywhere(path);
    }
    struct vector_result r = golden_look("parquet_two.parquet", VECTOR_QUICK);
    assert_string_equal(r.arrays[0].name, "a");
    assert_string_equal(r.arrays[1].name, "b");
    assert_int_equal(r.arrays[1].dtype, VECTOR_F64);
    vector_release(&r);
}

/* Where bytes are, from the end. */
static size_t place_of(const struct golden *g, const char *bytes, size_t len)
{
    for (size_t i = g->len - len; i > 0; i--)
        if (memcmp(g->data + i, bytes, len) == 0)
            return i;
    fail_msg("it is not there");
    return 0;
}

static void contradictions_are_said(void **state)
{
    (void)state;
    struct golden g = golden_load("parquet_vectors.parquet");
    size_t tail = g.len - 8;
    golden_put_u32(&g, tail, (uint32_t)g.len);
    golden_is_broken(&g, VECTOR_QUICK, "its footer should have");
    golden_put_u32(&g, tail, 0);
    golden_is_broken(&g, VECTOR_QUICK, "it ends within its footer");
    golden_put(&g, tail + 4, "PAR2", 4);
    golden_is_broken(&g, VECTOR_QUICK, "its end is missing");
    golden_free(&g);
    g = golden_load("parquet_vectors.parquet");
    /* "element", no children: then 0x16 and the rows, 30 as a zigzag. */
    size_t rows = place_of(&g, "element\x00\x16\x3c", 10) + 9;
    g.data[rows] = 62;
    golden_is_broken(&g, VECTOR_SHAPE, "its footer says 31 rows, its row groups have 30");
    g.data[rows] = 61;
    golden_is_broken(&g, VECTOR_SHAPE, "does not say how many rows");
    golden_free(&g);
}

static void count_lists(void *arg, const char *name, size_t name_len, int64_t size)
{
    size_t *count = arg;
    assert_int_equal(name_len, 6);
    assert_memory_equal(name, "vector", 6);
    assert_int_equal(size, 8);
    ++*count;
}

static void any_list(void *arg, const char *name, size_t name_len, int64_t size)
{
    volatile char *sum = arg;
    (void)size;
    for (size_t i = 0; i < name_len; i++)
        *sum = (char)(*sum ^ name[i]);
}

/* Arrow's schema of the golden file, spoiled at each byte and cut at each length. */
static void a_schema_is_read_within_its_bounds(void **state)
{
    (void)state;
    struct golden g = golden_load("parquet_vectors.parquet");
    size_t from = place_of(&g, "ARROW:schema", 12) + 15, to = from, lists = 0;
    while (to < g.len && g.data[to] >= '+')
        to++;
    size_t len = arrow_base64(g.data + from, to - from);
    assert_true(len > 100);
    assert_true(arrow_fixed_lists(g.data + from, len, count_lists, &lists));
    assert_int_equal(lists, 1);
    char sum = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t *copy = malloc(i + 1);
        assert_non_null(copy);
        memcpy(copy, g.data + from, i);
        arrow_fixed_lists(copy, i, any_list, &sum);
        free(copy);
    }
    uint8_t *whole = malloc(len);
    assert_non_null(whole);
    for (size_t i = 0; i < len; i++)
        for (int v = 0; v < 256; v++) {
            memcpy(whole, g.data + from, len);
            whole[i] = (uint8_t)v;
            arrow_fixed_lists(whole, len, any_list, &sum);
        }
    free(whole);
    golden_free(&g);
}

static void base64_is_decoded(void **state)
{
    (void)state;
    char text[] = "Zm9vYg==", bad[] = "Zm9*";
    assert_int_equal(arrow_base64((uint8_t *)text, 8), 4);
    assert_memory_equal(text, "foob", 4);
    assert_int_equal(arrow_base64((uint8_t *)bad, 4), 0);
    assert_int_equal(arrow_base64((uint8_t *)bad, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_file_is_told),
        cmocka_unit_test(contradictions_are_said),
        cmocka_unit_test(a_schema_is_read_within_its_bounds),
        cmocka_unit_test(base64_is_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
