/* format_usearch.c: index files as usearch's Python module writes them (golden/vectors/make_usearch.py). */
#include "vectors_golden.h"

static const struct {
    const char *name, *detail;
    enum vector_dtype dtype;
    int64_t count, nan, inf, zero;
    uint64_t row_bytes;
} samples[] = {
    {"f64", "HNSW index, L2, version 2.26.6", VECTOR_F64, 20, 1, 1, 1, 128},
    {"f32", "HNSW index, L2, version 2.26.6", VECTOR_F32, 20, 1, 1, 1, 64},
    {"f16", "HNSW index, L2, version 2.26.6", VECTOR_F16, 20, 1, 1, 1, 32},
    {"bf16", "HNSW index, L2, version 2.26.6", VECTOR_BF16, 20, 1, 1, 1, 32},
    {"i8", "HNSW index, L2, version 2.26.6", VECTOR_I8, 20, 0, 0, 1, 16},
    {"cos", "HNSW index, cosine, version 2.26.6", VECTOR_F32, 20, 0, 0, 1, 64},
    {"empty", "HNSW index, inner product, version 2.26.6", VECTOR_F32, 0, 0, 0, 0, 64},
    {"removed", "HNSW index, L2, version 2.26.6; 2 of them deleted", VECTOR_F32, 20, 0, 0, 1, 64},
    {"b1", "HNSW index, Hamming, version 2.26.6", VECTOR_BIT, 20, 0, 0, 1, 2},
};

static void each_kind_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char path[64];
        snprintf(path, sizeof path, "usearch_%s.usearch", samples[i].name);
        struct vector_result r = golden_look(path, VECTOR_SCAN);
        if (!r.ok || strcmp(r.detail, samples[i].detail) != 0 || r.nan != samples[i].nan || r.zero != samples[i].zero)
            fail_msg("%s: ok %d, '%s', %d NaN, %d zero", samples[i].name, r.ok, r.detail, (int)r.nan, (int)r.zero);
        assert_string_equal(r.format, "usearch");
        assert_int_equal(r.dimension, 16);
        assert_int_equal(r.count, samples[i].count);
        assert_int_equal(r.dtype, samples[i].dtype);
        assert_int_equal(r.inf, samples[i].inf);
        assert_int_equal(r.data_offset, 8);
        assert_int_equal(r.row_bytes, samples[i].row_bytes);
        vector_release(&r);
        golden_cut_everywhere(path, 0, VECTOR_SHAPE);
        golden_spoil_everywhere(path);
    }
}

/* The same index behind the other forms its vectors may have. */
static void the_other_forms_are_read(void **state)
{
    (void)state;
    struct golden g = golden_load("usearch_f32.usearch");
    uint8_t *wide = malloc(g.len + 8);
    assert_non_null(wide);
    memset(wide, 0, 16);
    wide[0] = 20;
    wide[8] = 64;
    memcpy(wide + 16, g.data + 8, g.len - 8);
    free(g.data);
    g.data = wide;
    g.len += 8;
    struct vector_result r = golden_read(&g, VECTOR_SCAN);
    assert_true(r.known && r.ok);
    assert_int_equal(r.data_offset, 16);
    assert_int_equal(r.nan, 1);
    vector_release(&r);
    size_t header = 16 + 20 * 64;
    memmove(g.data, g.data + header, g.len - header);
    g.len -= header;
    snprintf(g.name, sizeof g.name, "index");
    r = golden_read(&g, VECTOR_SCAN);
    assert_true(r.known && r.ok);
    assert_string_equal(r.detail, "HNSW index, L2, version 2.26.6; the vectors are stored elsewhere");
    assert_int_equal(r.count, 20);
    assert_int_equal(r.dimension, 16);
    assert_int_equal(r.nan, VECTOR_UNKNOWN);
    assert_int_equal(r.row_bytes, 0);
    vector_release(&r);
    /* Version 2.9 had other codes: 5 was float32, 8 a key of 8 bytes, 9 a slot of 4. */
    golden_put(&g, 9, "\x09", 1);
    golden_put(&g, 14, "\x05\x08\x09", 3);
    r = golden_read(&g, VECTOR_SHAPE);
    assert_true(r.known && r.ok);
    assert_int_equal(r.dtype, VECTOR_F32);
    vector_release(&r);
    golden_free(&g);
}

static void contradictions_are_said(void **state)
{
    (void)state;
    enum { HEADER = 8 + 20 * 64, GRAPH = HEADER + 64 };
    struct golden g = golden_load("usearch_f32.usearch");
    golden_put_u64(&g, HEADER + 17, 21);
    golden_is_broken(&g, VECTOR_QUICK, "it has 20 rows, its header says 21 vectors");
    golden_put_u64(&g, HEADER + 17, UINT64_MAX);
    golden_put_u64(&g, HEADER + 25, 21);
    golden_is_broken(&g, VECTOR_QUICK, "its header says 18446744073709551615 vectors");
    golden_put_u64(&g, HEADER + 17, 20);
    golden_put_u64(&g, HEADER + 25, 0);
    golden_put_u64(&g, HEADER + 33, 17);
    golden_is_broken(&g, VECTOR_QUICK, "17 elements of float32 make 68");
    golden_put_u64(&g, HEADER + 33, 16);
    golden_put_u64(&g, GRAPH, 19);
    golden_is_broken(&g, VECTOR_QUICK, "its graph has 19 nodes");
    golden_put_u64(&g, GRAPH, 20);
    golden_put_u64(&g, GRAPH + 32, 20);
    golden_is_broken(&g, VECTOR_QUICK, "entered at node 20 of 20");
    golden_put_u64(&g, GRAPH + 32, 0);
    golden_put(&g, GRAPH + 40, "\x09", 1);
    golden_is_broken(&g, VECTOR_SHAPE, "a node is on level 9");
    golden_free(&g);
    g = golden_load("usearch_f32.usearch");
    golden_put_u32(&g, 0, 19);
    golden_is_broken(&g, VECTOR_QUICK, "there is no header");
    golden_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_told),
        cmocka_unit_test(the_other_forms_are_read),
        cmocka_unit_test(contradictions_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
