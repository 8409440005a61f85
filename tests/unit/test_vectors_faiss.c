/* format_faiss.c: FAISS index files, as faiss-cpu writes them (golden/vectors/make_faiss.py). */
#include "vectors_golden.h"

static const struct {
    const char *name, *detail;
    int64_t dimension, count, nan, inf, zero;
    enum vector_dtype dtype;
    uint64_t data_offset, row_bytes;
} samples[] = {
    {"flat_l2", "flat, L2", 8, 40, 0, 0, 0, VECTOR_F32, 45, 32},
    {"flat_ip", "flat, inner product", 8, 40, 0, 0, 0, VECTOR_F32, 45, 32},
    {"flat_lp", "flat, Lp", 8, 40, 0, 0, 0, VECTOR_F32, 49, 32},
    {"flat_marked", "flat, L2", 8, 40, 1, 2, 3, VECTOR_F32, 45, 32},
    {"empty", "flat, L2", 8, 0, 0, 0, 0, VECTOR_F32, 45, 32},
    {"hnsw", "HNSW graph of flat, L2", 8, 40, 1, 2, 3, VECTOR_F32, 2382, 32},
    {"idmap2", "ID map of flat, L2", 8, 40, 1, 2, 3, VECTOR_F32, 82, 32},
    {"idmap_hnsw", "ID map of HNSW graph of flat, L2", 8, 40, 0, 0, 0, VECTOR_F32, 2419, 32},
    {"pq", "product quantizer, L2", 8, 40, -1, -1, -1, VECTOR_DTYPE_NONE, 589, 1},
    {"sq8", "scalar quantizer, L2", 8, 40, -1, -1, -1, VECTOR_DTYPE_NONE, 145, 8},
    {"sqfp16", "scalar quantizer, L2", 8, 40, 1, 2, 3, VECTOR_F16, 81, 16},
    {"lsh", "hashes (LSH), L2", 8, 40, -1, -1, -1, VECTOR_DTYPE_NONE, 605, 2},
    {"ivf_flat", "inverted lists, flat, L2", 8, 40, 0, 0, 0, VECTOR_F32, 0, 0},
    {"ivf_zero", "inverted lists, flat, L2", 8, 40, 0, 0, 3, VECTOR_F32, 0, 0},
    {"ivf_sparse", "inverted lists, flat, L2", 8, 2, 0, 0, 0, VECTOR_F32, 0, 0},
    {"ivf_pq", "inverted lists, product quantizer, L2", 8, 40, -1, -1, -1, VECTOR_DTYPE_NONE, 0, 0},
    {"ivf_sq8", "inverted lists, scalar quantizer, L2", 8, 40, -1, -1, -1, VECTOR_DTYPE_NONE, 0, 0},
    {"ivf_sqfp16", "inverted lists, scalar quantizer, L2", 8, 40, -1, -1, -1, VECTOR_F16, 0, 0}, /* differences */
    {"ivf_ondisk", "inverted lists, flat in the file lists.ivfdata, L2", 8, 40, -1, -1, -1, VECTOR_F32, 0, 0},
    {"pca_flat", "transformation of flat, L2", 8, 40, 0, 0, 0, VECTOR_F32, 617, 16},
    {"opq", "transformation of flat, L2", 8, 256, 0, 0, 0, VECTOR_F32, 244, 16},
    {"refine", "refinement of scalar quantizer and, exactly, of flat, L2", 8, 40, 0, 0, 0, VECTOR_F32, 547, 32},
    {"nsg", "NSG graph of flat, L2", 4, 120, 0, 0, 0, VECTOR_F32, 3168, 16},
    {"binary_flat", "binary, flat, Hamming", 16, 40, 0, 0, 1, VECTOR_BIT, 33, 2},
    {"binary_hnsw", "binary, HNSW graph of binary, flat, Hamming", 16, 40, 0, 0, 1, VECTOR_BIT, 2358, 2},
    {"binary_ivf", "binary, inverted lists, Hamming", 16, 40, 0, 0, 1, VECTOR_BIT, 0, 0},
};

static void each_kind_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char path[64];
        snprintf(path, sizeof path, "faiss_%s.index", samples[i].name);
        struct vector_result r = golden_look(path, VECTOR_SCAN);
        if (!r.known || !r.ok || strcmp(r.detail, samples[i].detail) != 0 || r.nan != samples[i].nan ||
            r.inf != samples[i].inf || r.zero != samples[i].zero || r.row_bytes != samples[i].row_bytes)
            fail_msg("%s: known %d, ok %d, '%s', %d NaN, %d inf, %d zero, rows of %d at %d", samples[i].name, r.known,
                     r.ok, r.detail, (int)r.nan, (int)r.inf, (int)r.zero, (int)r.row_bytes, (int)r.data_offset);
        assert_string_equal(r.format, "faiss");
        assert_int_equal(r.dimension, samples[i].dimension);
        assert_int_equal(r.count, samples[i].count);
        assert_int_equal(r.dtype, samples[i].dtype);
        assert_int_equal(r.array_count, 1);
        if (samples[i].row_bytes)
            assert_int_equal(r.data_offset, samples[i].data_offset);
        vector_release(&r);
    }
}

static void quick_reads_are_few(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char path[64];
        snprintf(path, sizeof path, "faiss_%s.index", samples[i].name);
        struct golden g = golden_load(path);
        struct vector_result r = golden_read(&g, VECTOR_QUICK);
        assert_true(r.known && r.ok);
        assert_int_equal(r.dimension, samples[i].dimension);
        assert_int_equal(r.count, samples[i].count);
        assert_int_equal(r.nan, VECTOR_UNKNOWN);
        assert_true(g.reads <= 16);
        vector_release(&r);
        golden_free(&g);
    }
}

static void a_cut_is_seen(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char path[64];
        snprintf(path, sizeof path, "faiss_%s.index", samples[i].name);
        golden_cut_everywhere(path, 4, VECTOR_SHAPE);
    }
}

static void a_changed_byte_harms_no_reader(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char path[64];
        snprintf(path, sizeof path, "faiss_%s.index", samples[i].name);
        golden_spoil_everywhere(path);
    }
}

static void contradictions_are_said(void **state)
{
    (void)state;
    struct golden g = golden_load("faiss_flat_l2.index");
    golden_put_u64(&g, 8, 41);
    golden_is_broken(&g, VECTOR_QUICK, "its header says 41 vectors of 32 bytes, and 40 are stored");
    golden_put_u64(&g, 8, 39);
    golden_is_broken(&g, VECTOR_QUICK, "its header says 39 vectors of 32 bytes, and 40 are stored");
    golden_put_u64(&g, 8, UINT64_MAX);
    golden_is_broken(&g, VECTOR_QUICK, "-1 vectors");
    golden_put_u64(&g, 8, UINT64_C(1) << 59); /* times 32 overflows */
    golden_put_u64(&g, 37, 0);
    golden_is_broken(&g, VECTOR_QUICK, "are stored");
    golden_put_u64(&g, 8, 40);
    golden_put_u32(&g, 4, 1u << 30);
    golden_is_broken(&g, VECTOR_QUICK, "1073741824 dimensions");
    golden_put_u32(&g, 4, 8);
    golden_put_u32(&g, 33, 7);
    golden_is_broken(&g, VECTOR_QUICK, "names metric 7");
    golden_free(&g);

    g = golden_load("faiss_idmap2.index");
    golden_put_u64(&g, 8, 39);
    golden_is_broken(&g, VECTOR_QUICK, "its header says 39 vectors, the index within it 40");
    golden_free(&g);
    g = golden_load("faiss_idmap2.index");
    golden_put_u64(&g, g.len - 328, 39); /* 40 ids and their count */
    golden_is_broken(&g, VECTOR_QUICK, "it has 39 ids");
    golden_free(&g);

    g = golden_load("faiss_hnsw.index");
    golden_put_u32(&g, 2337 + 4, 9); /* the dimension of what is within */
    golden_is_broken(&g, VECTOR_QUICK, "vectors of 36 bytes");
    golden_put_u64(&g, 8, 39);
    golden_is_broken(&g, VECTOR_QUICK, "its header says 39 vectors, its graph has 40 nodes");
    golden_free(&g);
}

static void lists_have_to_sum_up(void **state)
{
    (void)state;
    struct golden g = golden_load("faiss_ivf_flat.index");
    size_t sizes = 0;
    for (size_t i = 0; i + 4 < g.len && !sizes; i++)
        if (memcmp(g.data + i, "full", 4) == 0)
            sizes = i + 12;
    assert_true(sizes > 0);
    uint8_t first = g.data[sizes];
    g.data[sizes]++;
    golden_is_broken(&g, VECTOR_SHAPE, "its header says 40 vectors, its lists hold 41");
    g.data[sizes] = first;
    golden_put_u64(&g, sizes, UINT64_MAX);
    golden_is_broken(&g, VECTOR_SHAPE, "impossible sizes");
    golden_put_u64(&g, sizes, first);
    golden_put_u64(&g, sizes - 8, 5);
    golden_is_broken(&g, VECTOR_SHAPE, "its lists are 4");
    golden_free(&g);
}

static void what_follows_is_no_part(void **state)
{
    (void)state;
    struct golden g = golden_load("faiss_flat_l2.index");
    g.data[g.len++] = 'x';
    struct vector_result r = golden_read(&g, VECTOR_SHAPE);
    assert_true(r.ok);
    assert_string_equal(r.detail, "flat, L2; 1 bytes behind it are no part of it");
    vector_release(&r);
    golden_free(&g);
}

static void an_unknown_kind_needs_a_plausible_header(void **state)
{
    (void)state;
    struct golden g = golden_load("faiss_flat_l2.index");
    golden_put(&g, 0, "IxZz", 4);
    struct vector_result r = golden_read(&g, VECTOR_SCAN);
    assert_true(r.known && r.ok);
    assert_string_equal(r.detail, "a kind that is not known, L2; not looked at beyond its header");
    assert_int_equal(r.dimension, 8);
    assert_int_equal(r.count, 40);
    assert_int_equal(r.zero, VECTOR_UNKNOWN);
    vector_release(&r);
    golden_put_u32(&g, 16, 1);
    r = golden_read(&g, VECTOR_SCAN);
    assert_false(r.known);
    vector_release(&r);
    golden_free(&g);
}

/* Index in index in index, one more than may be. */
static void nesting_is_bounded(void **state)
{
    (void)state;
    enum { HEADER = 37, LEVELS = 17 };
    struct golden g = golden_load("faiss_idmap2.index");
    uint8_t *deep = malloc((size_t)HEADER * LEVELS);
    assert_non_null(deep);
    for (size_t i = 0; i < LEVELS; i++)
        memcpy(deep + i * HEADER, g.data, HEADER);
    free(g.data);
    g.data = deep;
    g.len = (size_t)HEADER * LEVELS;
    golden_is_broken(&g, VECTOR_QUICK, "more than 16 deep");
    golden_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_told),       cmocka_unit_test(quick_reads_are_few),
        cmocka_unit_test(a_cut_is_seen),           cmocka_unit_test(a_changed_byte_harms_no_reader),
        cmocka_unit_test(contradictions_are_said), cmocka_unit_test(lists_have_to_sum_up),
        cmocka_unit_test(what_follows_is_no_part), cmocka_unit_test(an_unknown_kind_needs_a_plausible_header),
        cmocka_unit_test(nesting_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
