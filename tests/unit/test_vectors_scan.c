/* scan.h, scan_columns.h: what is found among numbers, against floating point's own answers. */
#include <math.h>

#include "base/err.h"
#include "source/vectors/format.h"
#include "source/vectors/scan.h"
#include "source/vectors/scan_columns.h"
#include "vectors_golden.h"

static struct err err;
#define OK(call) assert_int_equal((call), ERR_OK)

enum { ROWS = 40, DIMENSION_MAX = 70 };

static uint32_t state_of_dice = 1;

static uint32_t dice(void)
{
    state_of_dice = state_of_dice * 1664525 + 1013904223;
    return state_of_dice >> 8;
}

/* Half a float's value, from its definition. */
static double half_value(uint16_t u)
{
    int exponent = u >> 10 & 31, mantissa = u & 1023;
    double v = exponent == 31 ? (mantissa ? NAN : INFINITY)
               : exponent     ? ldexp(1024 + mantissa, exponent - 25)
                              : ldexp(mantissa, -24);
    return u >> 15 ? -v : v;
}

/* The value of one element in this machine's order. */
static double value_of(enum vector_dtype t, const uint8_t *p)
{
    uint16_t half;
    uint32_t single;
    float f;
    double d;
    switch (t) {
    case VECTOR_F16:
        memcpy(&half, p, sizeof half);
        return half_value(half);
    case VECTOR_BF16:
        memcpy(&half, p, sizeof half);
        single = (uint32_t)half << 16;
        memcpy(&f, &single, sizeof f);
        return (double)f;
    case VECTOR_F32:
        memcpy(&f, p, sizeof f);
        return (double)f;
    case VECTOR_F64:
        memcpy(&d, p, sizeof d);
        return d;
    default:
        for (unsigned i = 0; i < vector_dtype_bytes(t); i++)
            if (p[i])
                return 1;
        return 0;
    }
}

static unsigned plain_marks(enum vector_dtype t, bool foreign, const uint8_t *data, size_t count)
{
    unsigned bytes = vector_dtype_bytes(t), marks = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t own[8];
        for (unsigned k = 0; k < bytes; k++)
            own[k] = data[i * bytes + (foreign ? bytes - 1 - k : k)];
        double v = value_of(t, own);
        marks |= isnan(v) ? MARK_NAN : 0;
        marks |= isinf(v) ? MARK_INF : 0;
        marks |= isnan(v) || v != 0 ? MARK_VALUE : 0;
    }
    return marks;
}

/* Mostly zeros and small things, so that all kinds of rows are drawn; the edges between the kinds are in it. */
static void draw_element(enum vector_dtype t, bool foreign, uint8_t *p)
{
    static const struct {
        enum vector_dtype dtype;
        uint64_t infinity;
    } floats[] = {{VECTOR_F16, 0x7c00},
                  {VECTOR_BF16, 0x7f80},
                  {VECTOR_F32, 0x7f800000},
                  {VECTOR_F64, UINT64_C(0x7ff0000000000000)}};
    unsigned bytes = vector_dtype_bytes(t), kind = dice() % 400;
    uint64_t u = kind < 3 ? dice() : 0, infinity = 0;
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        if (floats[i].dtype == t)
            infinity = floats[i].infinity;
    if (kind >= 10 && kind < 16)
        u = infinity + (uint64_t)kind - 12; /* the largest numbers, infinity, the first NaNs */
    if (kind == 16)
        u = 1;
    if (kind == 17)
        u = UINT64_MAX >> (64 - 8 * bytes) >> 1;
    if (dice() % 2 && infinity)
        u |= UINT64_C(1) << (8 * bytes - 1);
    for (unsigned k = 0; k < bytes; k++)
        p[foreign ? bytes - 1 - k : k] = (uint8_t)(u >> (8 * k));
}

struct expected {
    int64_t nan, inf, zero;
};

static void scan_in_pieces(const uint8_t *data, size_t len, enum vector_dtype t, bool foreign, size_t dimension,
                           struct expected want)
{
    struct vector_scan s;
    vector_scan_start(&s, t, foreign, (int64_t)dimension);
    while (len > 0) {
        size_t n = 1 + dice() % (dice() % 4 ? 13 : 500);
        n = n < len ? n : len;
        vector_scan_feed(&s, data, n);
        data += n;
        len -= n;
    }
    assert_int_equal(s.rows, ROWS);
    assert_int_equal(s.nan, want.nan);
    assert_int_equal(s.inf, want.inf);
    assert_int_equal(s.zero, want.zero);
}

/* The rows as they would be read of a file, gap bytes of 0xff between them. */
static void scan_with_gaps(const uint8_t *data, size_t row, size_t gap, enum vector_dtype t, bool foreign,
                           size_t dimension, struct expected want)
{
    struct golden g = {.len = 7 + ROWS * (row + gap) - gap};
    struct vector_result r = {.ok = true};
    struct vector_array a = {.dtype = t, .foreign_order = foreign, .dimension = (int64_t)dimension, .count = ROWS};
    g.data = malloc(g.len);
    assert_non_null(g.data);
    memset(g.data, 0xff, g.len);
    for (size_t i = 0; i < ROWS; i++)
        memcpy(g.data + 7 + i * (row + gap), data + i * row, row);
    struct vector_input in = {.read = golden_bytes, .arg = &g, .size = g.len, .name = ""};
    OK(vector_scan_rows(&in, 7, row + gap, &a, &r, &err));
    assert_true(r.ok);
    assert_int_equal(a.nan, want.nan);
    assert_int_equal(a.inf, want.inf);
    assert_int_equal(a.zero, want.zero);
    golden_free(&g);
}

static void scan_by_columns(const uint8_t *data, enum vector_dtype t, bool foreign, size_t dimension,
                            struct expected want)
{
    size_t bytes = vector_dtype_bytes(t);
    struct golden g = {.len = ROWS * dimension * bytes};
    struct vector_result r = {.ok = true};
    struct vector_array a = {.dtype = t, .foreign_order = foreign, .dimension = (int64_t)dimension, .count = ROWS};
    g.data = malloc(g.len);
    assert_non_null(g.data);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t c = 0; c < dimension; c++)
            memcpy(g.data + (c * ROWS + i) * bytes, data + (i * dimension + c) * bytes, bytes);
    struct vector_input in = {.read = golden_bytes, .arg = &g, .size = g.len, .name = ""};
    OK(vector_scan_columns(&in, 0, &a, &r, &err));
    assert_int_equal(a.nan, want.nan);
    assert_int_equal(a.inf, want.inf);
    assert_int_equal(a.zero, want.zero);
    struct column_scan s;
    OK(column_scan_start(&s, t, foreign, ROWS, &err));
    a.nan = a.inf = a.zero = 0;
    for (size_t at = 0, n; at < g.len; at += n) {
        n = 1 + dice() % 19;
        n = n < g.len - at ? n : g.len - at;
        column_scan_feed(&s, g.data + at, n);
    }
    column_scan_count(&s, &a);
    column_scan_release(&s);
    assert_int_equal(a.nan, want.nan);
    assert_int_equal(a.inf, want.inf);
    assert_int_equal(a.zero, want.zero);
    golden_free(&g);
}

static void rows_are_what_their_elements_are(void **state)
{
    (void)state;
    static uint8_t data[ROWS * DIMENSION_MAX * 8 + 1];
    struct expected all = {0};
    for (unsigned t = VECTOR_F16; t < VECTOR_BIT; t++)
        for (size_t dimension = 1; dimension <= DIMENSION_MAX; dimension++)
            for (unsigned foreign = 0; foreign < 2; foreign++) {
                size_t row = dimension * vector_dtype_bytes(t);
                uint8_t *rows = data + dice() % 2; /* at any alignment */
                struct expected want = {0};
                for (size_t i = 0; i < ROWS * dimension; i++)
                    draw_element(t, foreign, rows + i * vector_dtype_bytes(t));
                for (size_t i = 0; i < ROWS; i++) {
                    unsigned marks = plain_marks(t, foreign, rows + i * row, dimension);
                    assert_int_equal(vector_marks(t, foreign, rows + i * row, dimension), marks);
                    want.nan += (marks & MARK_NAN) != 0;
                    want.inf += (marks & MARK_INF) != 0;
                    want.zero += marks == 0;
                }
                scan_in_pieces(rows, ROWS * row, t, foreign, dimension, want);
                scan_with_gaps(rows, row, 0, t, foreign, dimension, want);
                scan_with_gaps(rows, row, 4, t, foreign, dimension, want);
                scan_by_columns(rows, t, foreign, dimension, want);
                all.nan += want.nan;
                all.inf += want.inf;
                all.zero += want.zero;
            }
    assert_true(all.nan > 1000 && all.inf > 1000 && all.zero > 1000);
}

static void every_half_is_told(void **state)
{
    (void)state;
    static const enum vector_dtype halves[] = {VECTOR_F16, VECTOR_BF16};
    for (size_t k = 0; k < 2; k++)
        for (uint32_t u = 0; u <= UINT16_MAX; u++) {
            uint8_t own[2] = {(uint8_t)u, (uint8_t)(u >> 8)}, other[2] = {own[1], own[0]}, each = 0;
            unsigned marks = plain_marks(halves[k], false, own, 1);
            assert_int_equal(vector_marks(halves[k], false, own, 1), marks);
            assert_int_equal(vector_marks(halves[k], true, other, 1), marks);
            vector_marks_each(halves[k], true, other, 1, &each);
            assert_int_equal(each, marks);
        }
}

/* A row longer than a block, and more rows than a band of columns. */
static void long_things_are_scanned_in_parts(void **state)
{
    (void)state;
    enum { LONG = 300000, MANY = COLUMNS_MAX_ROWS + 5 };
    struct golden g = {.len = 3 * LONG * 8};
    struct vector_result r = {.ok = true};
    struct vector_array a = {.dtype = VECTOR_F64, .dimension = LONG, .count = 3};
    g.data = calloc(1, g.len);
    assert_non_null(g.data);
    struct vector_input in = {.read = golden_bytes, .arg = &g, .size = g.len, .name = ""};
    const double nan = NAN, one = 1;
    golden_put(&g, 8, &nan, 8);
    golden_put(&g, (2 * LONG - 1) * 8, &one, 8);
    OK(vector_scan_rows(&in, 0, LONG * 8, &a, &r, &err));
    assert_int_equal(a.nan, 1);
    assert_int_equal(a.zero, 1);
    memset(g.data, 0, g.len);
    a = (struct vector_array){.dtype = VECTOR_I8, .dimension = 3, .count = MANY};
    golden_put(&g, MANY, "x", 1);                        /* row 0, column 1 */
    golden_put(&g, 2 * MANY + COLUMNS_MAX_ROWS, "x", 1); /* the second band's first row, column 2 */
    OK(vector_scan_columns(&in, 0, &a, &r, &err));
    assert_int_equal(a.zero, MANY - 2);
    golden_free(&g);
}

static void a_shorter_file_is_broken_not_read(void **state)
{
    (void)state;
    struct golden g = {.len = 100};
    struct vector_array a = {.dtype = VECTOR_F32, .dimension = 5, .count = 5, .nan = -1, .inf = -1, .zero = -1};
    g.data = calloc(1, g.len);
    assert_non_null(g.data);
    struct vector_input in = {.read = golden_bytes, .arg = &g, .size = 100, .name = ""};
    static const struct {
        int64_t count;
        uint64_t offset, stride;
        bool is_sound;
    } cases[] = {{5, 0, 20, true},  {5, 1, 20, false},          {5, 0, 21, false},         {6, 0, 20, false},
                 {4, 20, 20, true}, {5, UINT64_MAX, 20, false}, {INT64_MAX, 0, 20, false}, {4, 0, 26, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vector_result r = {.ok = true};
        a.count = cases[i].count;
        a.zero = -1;
        OK(vector_scan_rows(&in, cases[i].offset, cases[i].stride, &a, &r, &err));
        assert_int_equal(r.ok, cases[i].is_sound);
        assert_int_equal(a.zero, cases[i].is_sound ? cases[i].count : -1);
        r.ok = true;
        if (cases[i].stride == 20) {
            OK(vector_scan_columns(&in, cases[i].offset, &a, &r, &err));
            assert_int_equal(r.ok, cases[i].is_sound);
        }
    }
    /* It became shorter since its size was taken. */
    struct vector_result r = {.ok = true};
    a.count = 5;
    g.len = 99;
    OK(vector_scan_rows(&in, 0, 20, &a, &r, &err));
    assert_false(r.ok);
    golden_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_what_their_elements_are),
        cmocka_unit_test(every_half_is_told),
        cmocka_unit_test(long_things_are_scanned_in_parts),
        cmocka_unit_test(a_shorter_file_is_broken_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
