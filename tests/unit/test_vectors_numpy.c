/* format_npy.c, format_npz.c: files that NumPy wrote (golden/vectors/make_numpy.py). */
#include "vectors_golden.h"

static const struct {
    const char *name;
    enum vector_dtype dtype;
    int64_t nan, inf, zero;
    bool has_rows; /* that lie one behind the other */
} samples[] = {
    {"f2", VECTOR_F16, 2, 3, 4, true},          {"f2_big", VECTOR_F16, 2, 3, 4, true},
    {"f4", VECTOR_F32, 2, 3, 4, true},          {"f4_big", VECTOR_F32, 2, 3, 4, true},
    {"f8", VECTOR_F64, 2, 3, 4, true},          {"f8_big", VECTOR_F64, 2, 3, 4, true},
    {"i1", VECTOR_I8, 0, 0, 4, true},           {"u1", VECTOR_U8, 0, 0, 4, true},
    {"i2", VECTOR_I16, 0, 0, 4, true},          {"i4", VECTOR_I32, 0, 0, 4, true},
    {"i4_big", VECTOR_I32, 0, 0, 4, true},      {"u4", VECTOR_U32, 0, 0, 4, true},
    {"i8", VECTOR_I64, 0, 0, 4, true},          {"v2", VECTOR_F32, 2, 3, 4, true},
    {"v3", VECTOR_F32, 2, 3, 4, true},          {"fortran", VECTOR_F32, 2, 3, 4, false},
    {"fortran_i2", VECTOR_I16, 0, 0, 4, false}, {"fortran_f8_big", VECTOR_F64, 2, 3, 4, false},
};

static void each_number_type_is_scanned(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char path[64];
        snprintf(path, sizeof path, "numpy_%s.npy", samples[i].name);
        struct vector_result r = golden_look(path, VECTOR_SCAN);
        if (!r.ok || r.nan != samples[i].nan || r.inf != samples[i].inf || r.zero != samples[i].zero)
            fail_msg("%s: ok %d, '%s', %d NaN, %d inf, %d zero", path, r.ok, r.detail, (int)r.nan, (int)r.inf,
                     (int)r.zero);
        assert_string_equal(r.format, "npy");
        assert_int_equal(r.dtype, samples[i].dtype);
        assert_int_equal(r.dimension, 6);
        assert_int_equal(r.count, 20);
        assert_int_equal(r.dim_count, 1);
        assert_int_equal(r.dims[0].count, 20);
        assert_int_equal(r.data_offset, samples[i].has_rows ? 128 : 0);
        assert_int_equal(r.row_bytes, samples[i].has_rows ? 6 * vector_dtype_bytes(r.dtype) : 0);
        vector_release(&r);
    }
}

static void quick_reads_are_few(void **state)
{
    (void)state;
    struct golden g = golden_load("numpy_f4.npy");
    struct vector_result r = golden_read(&g, VECTOR_QUICK);
    assert_in_range(g.reads, 1, 4);
    assert_int_equal(r.count, 20);
    assert_int_equal(r.nan, VECTOR_UNKNOWN);
    assert_int_equal(r.zero, VECTOR_UNKNOWN);
    vector_release(&r);
    golden_free(&g);
}

static void what_is_no_list_of_vectors_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *name, *words;
        int64_t count;
    } others[] = {
        {"one", "an array of 6 float32", 6},
        {"scalar", "an array of one float32", 1},
        {"three", "an array of 4 x 5 x 6 float32", 4},
        {"record", "3 records of several fields", 3},
        {"titled", "2 records of several fields", 2},
        {"objects", "2 Python objects in a pickle", 2},
        {"bool", "20 x 6 elements that are no plain numbers", 20},
        {"complex", "20 x 6 elements that are no plain numbers", 20},
        {"bfloat16", "20 x 6 elements that are no plain numbers", 20},
        {"text", "2 x 2 elements that are no plain numbers", 2},
        {"dates", "2 elements that are no plain numbers", 2},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char path[64];
        snprintf(path, sizeof path, "numpy_%s.npy", others[i].name);
        struct vector_result r = golden_look(path, VECTOR_SCAN);
        if (!r.ok || !strstr(r.detail, others[i].words))
            fail_msg("%s: ok %d, '%s'", path, r.ok, r.detail);
        assert_int_equal(r.array_count, 1);
        assert_false(r.arrays[0].is_vectors);
        assert_int_equal(r.arrays[0].count, others[i].count);
        assert_int_equal(r.count, 0);
        assert_int_equal(r.dimension, VECTOR_UNKNOWN);
        assert_int_equal(r.row_bytes, 0);
        vector_release(&r);
        if (strcmp(others[i].name, "objects") != 0)
            golden_cut_everywhere(path, 0, VECTOR_QUICK);
    }
    struct vector_result r = golden_look("numpy_empty.npy", VECTOR_SCAN);
    assert_true(r.ok);
    assert_int_equal(r.dimension, 6);
    assert_int_equal(r.count, 0);
    assert_int_equal(r.nan, 0);
    vector_release(&r);
}

static void arrays_behind_each_other_are_all_read(void **state)
{
    (void)state;
    struct vector_result r = golden_look("numpy_two.npy", VECTOR_SCAN);
    assert_true(r.ok);
    assert_int_equal(r.array_count, 2);
    assert_int_equal(r.count, 40);
    assert_int_equal(r.zero, 8);
    assert_int_equal(r.dtype, VECTOR_DTYPE_NONE);
    assert_int_equal(r.dimension, 6);
    assert_int_equal(r.row_bytes, 0);
    assert_string_equal(r.arrays[1].name, "1");
    vector_release(&r);
    struct golden g = golden_load("numpy_two.npy");
    g.len -= 1;
    golden_is_broken(&g, VECTOR_QUICK, "it was cut off");
    g.len = 608 + 50;
    golden_is_broken(&g, VECTOR_QUICK, "ends within its header");
    g.len = 608 + 3;
    golden_is_broken(&g, VECTOR_QUICK, "3 bytes stand behind its data");
    golden_free(&g);
}

/* The header of a good file becomes this text, padded as it was. */
static void hostile_header(const char *text, const char *words)
{
    struct golden g = golden_load("numpy_f4.npy");
    memset(g.data + 10, ' ', 118);
    golden_put(&g, 10, text, strlen(text));
    golden_is_broken(&g, VECTOR_SCAN, words);
    golden_free(&g);
}

static void a_header_is_not_believed(void **state)
{
    (void)state;
    static const char type[] = "names no data type", shape[] = "impossible shape", malformed[] = "malformed";
    hostile_header("{'descr': '<f4', 'fortran_order': False, 'shape': (21, 6), }", "cut off");
    hostile_header("{'descr': '<f4', 'fortran_order': False, 'shape': (19, 6), }", "24 bytes stand behind");
    hostile_header("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", shape);
    hostile_header("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", shape);
    hostile_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2305843009213693951,), }", "cut off");
    hostile_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 6), }", shape);
    hostile_header("{'descr': '<f4', 'fortran_order': False, 'shape': (20 6), }", shape);
    hostile_header("{'descr': '<f4', 'fortran_order': False, 'shape': (20, 6", shape);
    hostile_header("{'descr': '<f4', 'fortran_order': False, 'shape': (20, 6), } os.system(1)", "behind it");
    hostile_header("{'descr': '<f4', 'fortran_order': False, }", "incomplete");
    hostile_header("{'descr': '<f4', 'fortran_order': 0, 'shape': (20, 6), }", "neither");
    hostile_header("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (20, 6), }", "belong");
    hostile_header("{'descr': '<f4', 'x': '', 'fortran_order': False, 'shape': (20, 6), }", "belong");
    hostile_header("{'descr': '<f4' 'fortran_order': False, 'shape': (20, 6), }", malformed);
    hostile_header("{descr: '<f4', 'fortran_order': False, 'shape': (20, 6), }", malformed);
    hostile_header("['descr']", "no dictionary");
    hostile_header("", "no dictionary");
    hostile_header("{'descr': 'f4', 'fortran_order': False, 'shape': (20, 6), }", type);
    hostile_header("{'descr': '<f', 'fortran_order': False, 'shape': (20, 6), }", type);
    hostile_header("{'descr': '<q4', 'fortran_order': False, 'shape': (20, 6), }", type);
    hostile_header("{'descr': '<f4x', 'fortran_order': False, 'shape': (20, 6), }", type);
    hostile_header("{'descr': '<U9223372036854775807', 'fortran_order': False, 'shape': (20, 6), }", type);
    hostile_header("{'descr': [('a', '<f4'), ('b', '<f4'], 'fortran_order': False, 'shape': (20, 6), }", type);
    hostile_header("{'descr': '<f4\\', 'fortran_order': False, 'shape': (20, 6), }", "");
    hostile_header("{'descr':[('',[('',[('',[('',[('',[('',[('',[('',[('','<f4')])])])])])])])])],"
                   "'fortran_order':False,'shape':()}",
                   type); /* nine deep */
    hostile_header("{'descr':[('',[('',[('',[('',[('',[('',[('','<f4')])])])])])])],"
                   "'fortran_order':False,'shape':()}",
                   "476 bytes stand behind");
    hostile_header("{'descr': [('a',[('a',[('a',[('a',[('a',[('a',[('a',[('a',[('a',[('a',[('a', '<f4')", type);
    hostile_header(
        "{'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,", shape);
    struct golden g = golden_load("numpy_f4.npy");
    golden_put(&g, 6, "\4", 1);
    golden_is_broken(&g, VECTOR_QUICK, "version 4.0");
    golden_put(&g, 6, "\2\0\xff\xff\xff\xff", 6);
    golden_is_broken(&g, VECTOR_QUICK, "would have 4294967295 bytes");
    golden_put(&g, 6, "\2\0\xff\xff\0\0", 6);
    golden_is_broken(&g, VECTOR_QUICK, "ends within its header");
    memset(g.data, 0, g.len);
    golden_is_broken(&g, VECTOR_QUICK, "does not begin as a NumPy array");
    g.len = 0;
    golden_is_broken(&g, VECTOR_QUICK, "ends within its header");
    golden_free(&g);
}

/* A file of this shape, of bytes, and data_bytes of zeros behind it. */
static struct golden array_of(const char *shape, size_t data_bytes)
{
    struct golden g = {.name = "x.npy", .len = 128 + data_bytes};
    char text[119];
    g.data = calloc(1, g.len);
    assert_non_null(g.data);
    golden_put(&g, 0, "\x93NUMPY\1\0\x76\0", 10);
    int len = snprintf(text, sizeof text, "{'descr': '|u1', 'fortran_order': False, 'shape': (%s), }", shape);
    memset(text + len, ' ', sizeof text - 1 - (size_t)len);
    golden_put(&g, 10, text, 118);
    return g;
}

static void rows_of_no_vector_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *shape, *words;
        size_t bytes;
        bool ok;
    } cases[] = {
        {"0, 1000000", "", 0, true},
        {"0, 0", "rows of 0 elements: not taken for vectors", 0, true},
        {"0, 2147483648", "rows of 2147483648 elements: not taken for vectors", 0, true},
        {"1, 1000000", "", 1000000, true},
        {"1, 1000001", "rows of 1000001 elements: not taken for vectors", 1000001, false},
        {"1, 2147483648", "it was cut off: its data have 2147483648 bytes, and there are 9", 9, false},
        {"2000000, 0", "rows of 0 elements: not taken for vectors", 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct golden g = array_of(cases[i].shape, cases[i].bytes);
        struct vector_result r = golden_read(&g, VECTOR_SCAN);
        assert_int_equal(r.ok, cases[i].ok);
        assert_string_equal(r.detail, cases[i].words);
        assert_int_equal(r.count, !r.ok ? VECTOR_UNKNOWN : (int64_t)cases[i].bytes / 1000000);
        vector_release(&r);
        golden_free(&g);
    }
    struct golden g = golden_load("numpy_no_columns.npy");
    golden_is_broken(&g, VECTOR_QUICK, "rows of 0 elements: not taken for vectors");
    golden_free(&g);
    g = golden_load("numpy_no_columns.npz");
    golden_is_broken(&g, VECTOR_QUICK, "member 'e.npy': rows of 0 elements: not taken for vectors");
    size_t shape = 0;
    while (memcmp(g.data + shape, "(20, 0)", 7) != 0)
        assert_in_range(++shape, 1, g.len - 7);
    golden_put(&g, shape, "(0, 0) ", 7); /* its checksum is another, which a quick look does not see */
    struct vector_result r = golden_read(&g, VECTOR_QUICK);
    assert_true(r.ok);
    assert_string_equal(r.detail, "rows of 0 elements: not taken for vectors");
    assert_int_equal(r.count, 0);
    vector_release(&r);
    golden_free(&g);
}

static const struct vector_array *array_named(const struct vector_result *r, const char *name)
{
    for (size_t i = 0; i < r->array_count; i++)
        if (strcmp(r->arrays[i].name, name) == 0)
            return &r->arrays[i];
    fail_msg("there is no array %s", name);
    return NULL;
}

static void archives_have_named_arrays(void **state)
{
    (void)state;
    struct vector_result r = golden_look("numpy_stored.npz", VECTOR_SCAN);
    assert_true(r.ok);
    assert_string_equal(r.format, "npz");
    assert_int_equal(r.array_count, 2);
    assert_false(array_named(&r, "ids")->is_vectors);
    assert_int_equal(array_named(&r, "ids")->count, 20);
    assert_int_equal(array_named(&r, "embeddings")->nan, 2);
    assert_int_equal(r.count, 20);
    assert_int_equal(r.dimension, 6);
    vector_release(&r);
    r = golden_look("numpy_deflated.npz", VECTOR_SCAN);
    assert_true(r.ok);
    assert_int_equal(r.array_count, 7);
    assert_int_equal(r.dimension, 0);
    assert_int_equal(r.count, 80);
    assert_int_equal(r.nan, 6);
    assert_int_equal(r.dim_count, 2);
    static const char *const floats[] = {"a", "b", "f"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(array_named(&r, floats[i])->nan, 2);
        assert_int_equal(array_named(&r, floats[i])->inf, 3);
        assert_int_equal(array_named(&r, floats[i])->zero, 4);
    }
    assert_true(array_named(&r, "b")->foreign_order);
    assert_int_equal(array_named(&r, "w")->dimension, 3);
    assert_false(array_named(&r, "names")->is_vectors);
    vector_release(&r);
    r = golden_look("numpy_deflated.npz", VECTOR_QUICK);
    assert_int_equal(r.count, 80);
    assert_int_equal(r.nan, VECTOR_UNKNOWN);
    vector_release(&r);
    r = golden_look("numpy_nothing.npz", VECTOR_SCAN);
    assert_true(r.ok);
    assert_int_equal(r.count, 0);
    vector_release(&r);
    r = golden_look("numpy_zeros.npz", VECTOR_SCAN);
    assert_true(r.ok);
    assert_int_equal(r.zero, 50000);
    vector_release(&r);
}

static size_t find_bytes(const struct golden *g, const char *bytes, size_t from)
{
    for (size_t i = from; i + strlen(bytes) <= g->len; i++)
        if (memcmp(g->data + i, bytes, strlen(bytes)) == 0)
            return i;
    fail_msg("not found: %s", bytes);
    return 0;
}

static void damaged_archives_are_broken(void **state)
{
    (void)state;
    golden_cut_everywhere("numpy_stored.npz", 0, VECTOR_QUICK);
    golden_cut_everywhere("numpy_deflated.npz", 0, VECTOR_QUICK);
    struct golden g = golden_load("numpy_stored.npz");
    size_t shape = find_bytes(&g, "(20, 6)", 0);
    golden_put(&g, shape, "(21, 6)", 7);
    golden_is_broken(&g, VECTOR_QUICK, "member 'embeddings.npy' has 608 bytes, and its shape says 632");
    size_t other = find_bytes(&g, "(20,)", 0);
    golden_put(&g, other, "(21,)", 5);
    golden_is_broken(&g, VECTOR_QUICK, "member 'embeddings.npy'"); /* the first fault is the one that is told */
    golden_put(&g, other, "(20,)", 5);
    golden_put(&g, shape, "(20; 6)", 7);
    golden_is_broken(&g, VECTOR_QUICK, "member 'embeddings.npy': its header has an impossible shape");
    struct vector_result r = golden_read(&g, VECTOR_SCAN);
    assert_int_equal(r.count, VECTOR_UNKNOWN); /* one member was vectors, perhaps */
    vector_release(&r);
    golden_put(&g, shape, "(20, 6)", 7);
    g.data[shape + 100] ^= 1; /* an element: only its checksum tells */
    golden_is_broken(&g, VECTOR_SCAN, "CRC");
    golden_free(&g);
    g = golden_load("numpy_deflated.npz");
    for (size_t at = find_bytes(&g, "a.npy", 0) + 60, end = at + 20; at < end; at++)
        g.data[at] = 0xff;
    golden_is_broken(&g, VECTOR_SCAN, "member 'a.npy'");
    golden_free(&g);
    /* A name that says what it is, and content that does not. */
    g = golden_load("numpy_stored.npz");
    memset(g.data, 0, g.len);
    golden_is_broken(&g, VECTOR_QUICK, "is no zip archive");
    g.len = 0;
    golden_is_broken(&g, VECTOR_QUICK, "is no zip archive");
    golden_free(&g);
}

/* What the directory says, what the shape says and what there is. */
static void a_member_of_another_size_is_broken(void **state)
{
    (void)state;
    struct golden g = golden_load("numpy_zeros.npz");
    size_t directory = find_bytes(&g, "PK\1\2", 0);
    golden_put_u32(&g, directory + 24, 128 + 1280);
    golden_put_u32(&g, 22, 128 + 1280);
    golden_is_broken(&g, VECTOR_QUICK, "member 'z.npy' has 1408 bytes, and its shape says 6400128");
    golden_free(&g);
    struct vector_result r = golden_look("numpy_lies.npz", VECTOR_QUICK);
    assert_true(r.ok);
    assert_int_equal(r.count, 10);
    vector_release(&r);
    g = golden_load("numpy_lies.npz");
    golden_is_broken(&g, VECTOR_SCAN, "member 'z.npy' has more bytes than its shape says");
    golden_free(&g);
}

static void a_directory_without_end_is_not_read(void **state)
{
    (void)state;
    struct golden one = golden_load("numpy_stored.npz"), g = {.name = "many.npz"};
    size_t directory = find_bytes(&one, "PK\1\2", 0), end = find_bytes(&one, "PK\5\6", 0), entry = 46 + 14;
    enum { MANY = 20000 };
    g.len = directory + MANY * entry + (one.len - end);
    g.data = malloc(g.len);
    assert_non_null(g.data);
    memcpy(g.data, one.data, directory);
    for (size_t i = 0; i < MANY; i++)
        memcpy(g.data + directory + i * entry, one.data + directory, entry);
    memcpy(g.data + g.len - (one.len - end), one.data + end, one.len - end);
    golden_put_u32(&g, g.len - 10, MANY * (uint32_t)entry);
    struct vector_result r = golden_read(&g, VECTOR_QUICK);
    assert_true(r.known);
    assert_int_equal(r.array_count, 0);
    assert_int_equal(r.count, VECTOR_UNKNOWN);
    assert_true(r.arrays_omitted > 0);
    assert_in_range(g.reads, 1, 30);
    vector_release(&r);
    golden_free(&g);
    golden_free(&one);
}

struct failing {
    struct golden file;
    size_t left; /* reads that succeed */
};

static enum errc failing_bytes(void *arg, void *dst, size_t len, uint64_t offset, size_t *got_out, struct err *err)
{
    struct failing *f = arg;
    if (f->left == 0)
        return err_fail(err, ERR_IO, "the disk is gone");
    f->left--;
    return golden_bytes(&f->file, dst, len, offset, got_out, err);
}

static void an_error_of_the_input_is_an_error(void **state)
{
    (void)state;
    static const char *const names[] = {"numpy_f4.npy", "numpy_fortran.npy", "numpy_two.npy",      "numpy_deflated.npz",
                                        "mixed.fvecs",  "rows.fbin",         "several.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct golden g = golden_load(names[i]);
        struct vector_result r = golden_read(&g, VECTOR_SCAN);
        size_t reads = g.reads;
        vector_release(&r);
        for (size_t n = 0; n <= reads; n++) {
            struct failing f = {.file = g, .left = n};
            struct err err = {0};
            struct vector_input in = {.read = failing_bytes, .arg = &f, .size = g.len, .name = g.name};
            struct vector_options opt = {.depth = VECTOR_SCAN};
            enum errc rc = vector_read(&in, &opt, &r, &err);
            assert_int_equal(rc, n < reads ? ERR_IO : ERR_OK);
            assert_string_equal(err.message, n < reads ? "the disk is gone" : "");
            assert_true(n == reads || (!r.known && !r.arrays));
            vector_release(&r);
        }
        golden_free(&g);
    }
}

static void no_spoilt_byte_does_harm(void **state)
{
    (void)state;
    golden_spoil_everywhere("numpy_f2.npy");
    golden_spoil_everywhere("numpy_record.npy");
    golden_spoil_everywhere("numpy_stored.npz");
    golden_spoil_everywhere("numpy_deflated.npz");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_number_type_is_scanned),
        cmocka_unit_test(quick_reads_are_few),
        cmocka_unit_test(what_is_no_list_of_vectors_is_named),
        cmocka_unit_test(arrays_behind_each_other_are_all_read),
        cmocka_unit_test(a_header_is_not_believed),
        cmocka_unit_test(rows_of_no_vector_are_told),
        cmocka_unit_test(archives_have_named_arrays),
        cmocka_unit_test(damaged_archives_are_broken),
        cmocka_unit_test(a_member_of_another_size_is_broken),
        cmocka_unit_test(a_directory_without_end_is_not_read),
        cmocka_unit_test(an_error_of_the_input_is_an_error),
        cmocka_unit_test(no_spoilt_byte_does_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
