/* cut.h: C1, C2, and golden cuts that a change of table, masks or sizes would move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "chunk/cut.h"

enum { STREAM_BYTES = 1 << 20 };

struct fixture {
    struct gear gear;
    uint8_t *data;
};

/* Bytes everyone can make again: the top byte of a 64-bit linear congruential generator. */
static void fill(uint8_t *data, size_t len, uint64_t seed)
{
    uint64_t x = seed;

    for (size_t i = 0; i < len; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        data[i] = (uint8_t)(x >> 56);
    }
}

static int setup(void **state)
{
    static struct fixture f;
    uint8_t key[32];

    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    f.data = malloc(STREAM_BYTES);
    assert_non_null(f.data);
    fill(f.data, STREAM_BYTES, 1);
    assert_int_equal(gear_init(&f.gear, &CUT_FILES, key, NULL), ERR_OK);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    free(f->data);
    return 0;
}

/* Worked out by a second implementation from the description in the header and docs/adr/0002. */
static void golden_cuts(void **state)
{
    static const size_t expected[] = {110313, 66080, 84113, 75210, 94455, 83582, 74698,
                                      81638,  88661, 66148, 67955, 96568, 59155};
    const struct fixture *f = *state;
    size_t offset = 0;

    assert_true(f->gear.table[0] == UINT64_C(0x9ae86fb8d794a4a4));
    assert_true(f->gear.table[255] == UINT64_C(0x615e47359c93b0f8));
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        size_t n = cut_next(&f->gear, f->data + offset, STREAM_BYTES - offset, true);
        assert_int_equal(n, expected[i]);
        offset += n;
    }
    assert_int_equal(offset, STREAM_BYTES);
}

/* Small sizes: thousands of cuts, some right behind the minimum, so that the bytes before it must have been rolled in.
 */
static void golden_small_cuts(void **state)
{
    const struct fixture *f = *state;
    struct gear gear = f->gear;
    uint8_t key[32];
    uint32_t count = 0, sum = 0;

    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    assert_int_equal(gear_init(&gear, &(struct cut_params){64, 256, 1024}, key, NULL), ERR_OK);
    for (size_t offset = 0, n; offset < STREAM_BYTES; offset += n) {
        n = cut_next(&gear, f->data + offset, STREAM_BYTES - offset, true);
        sum = sum * 31 + (uint32_t)n;
        count++;
    }
    assert_int_equal(count, 3570);
    assert_int_equal(sum, 124563190u);
}

static void c1_lengths_are_within_bounds(void **state)
{
    const struct fixture *f = *state;
    uint8_t *same = calloc(1, STREAM_BYTES);
    const uint8_t *inputs[] = {f->data, same};

    assert_non_null(same);
    for (size_t k = 0; k < 2; k++)
        for (size_t offset = 0, n; offset < STREAM_BYTES; offset += n) {
            n = cut_next(&f->gear, inputs[k] + offset, STREAM_BYTES - offset, true);
            assert_true(n > 0 && n <= CUT_FILES.max);
            assert_true(n >= CUT_FILES.min || offset + n == STREAM_BYTES);
        }
    free(same);
}

/* However the bytes arrive, in steps of any size, the cuts are those of the whole. */
static void c2_cuts_do_not_depend_on_buffers(void **state)
{
    static const size_t steps[] = {997, 4096, 16384, 65537, 262144};
    const struct fixture *f = *state;

    for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
        size_t offset = 0, have = 0;

        while (offset < STREAM_BYTES) {
            size_t whole = cut_next(&f->gear, f->data + offset, STREAM_BYTES - offset, true);
            size_t n = 0;

            while (n == 0) {
                have = have + steps[s] < STREAM_BYTES ? have + steps[s] : STREAM_BYTES;
                n = cut_next(&f->gear, f->data + offset, have - offset, have == STREAM_BYTES);
            }
            assert_int_equal(n, whole);
            offset += n;
        }
    }
}

static void c2_cuts_depend_only_on_bytes_since_the_last(void **state)
{
    const struct fixture *f = *state;
    size_t first = cut_next(&f->gear, f->data, STREAM_BYTES, true);
    size_t second = cut_next(&f->gear, f->data + first, STREAM_BYTES - first, true);
    uint8_t *copy = malloc(second + 100);

    assert_non_null(copy);
    memcpy(copy, f->data + first, second);
    memset(copy + second, 7, 100);
    assert_int_equal(cut_next(&f->gear, copy, second + 100, true), second);
    free(copy);
}

static void an_insertion_moves_few_cuts(void **state)
{
    struct fixture *f = *state;
    uint8_t *edited = malloc(STREAM_BYTES + 3);
    size_t ends[64], count = 0, common = 0;

    assert_non_null(edited);
    memcpy(edited, f->data, 200000);
    memset(edited + 200000, 0x55, 3);
    memcpy(edited + 200003, f->data + 200000, STREAM_BYTES - 200000);
    for (size_t offset = 0; offset < STREAM_BYTES;) {
        offset += cut_next(&f->gear, f->data + offset, STREAM_BYTES - offset, true);
        ends[count++] = offset;
    }
    for (size_t offset = 0; offset < STREAM_BYTES + 3;) {
        offset += cut_next(&f->gear, edited + offset, STREAM_BYTES + 3 - offset, true);
        for (size_t i = 0; i < count; i++)
            common += ends[i] == offset - (offset > 200000 ? 3 : 0);
    }
    assert_true(common + 3 >= count);
    free(edited);
}

static void another_key_cuts_elsewhere(void **state)
{
    const struct fixture *f = *state;
    struct gear other;
    const uint8_t key[32] = {1};

    assert_int_equal(gear_init(&other, &CUT_FILES, key, NULL), ERR_OK);
    assert_int_not_equal(cut_next(&other, f->data, STREAM_BYTES, true),
                         cut_next(&f->gear, f->data, STREAM_BYTES, true));
}

static void more_data_is_asked_for_only_when_needed(void **state)
{
    const struct fixture *f = *state;

    assert_int_equal(cut_next(&f->gear, f->data, 0, false), 0);
    assert_int_equal(cut_next(&f->gear, f->data, 0, true), 0);
    assert_int_equal(cut_next(&f->gear, f->data, 100, false), 0);
    assert_int_equal(cut_next(&f->gear, f->data, 100, true), 100);
    assert_int_equal(cut_next(&f->gear, f->data, 110312, false), 0);
    assert_int_equal(cut_next(&f->gear, f->data, 110313, false), 110313);
    assert_true(cut_next(&f->gear, f->data, CUT_FILES.max, false) > 0);
}

/* All cuts of a stream of rows behind a header; borders, bounds and an average near avg. */
static size_t cut_rows(const struct fixture *f, const uint8_t *data, size_t len, size_t header, size_t row,
                       size_t *cuts, bool *at_borders)
{
    size_t offset = 0, count = 0;

    *at_borders = true;
    while (offset < len) {
        struct cut_rows rows = {
            .row_bytes = row, .to_border = offset <= header ? header - offset : (row - (offset - header) % row) % row};
        size_t n = cut_next_row(&f->gear, &rows, data + offset, len - offset, true);
        assert_true(n > 0 && n <= CUT_FILES.max && (n >= CUT_FILES.min || offset + n == len));
        offset += n;
        *at_borders = *at_borders && (offset == len || (offset - header) % row == 0);
        cuts[count++] = offset;
    }
    return count;
}

/* C3; and a row taken out moves the cuts behind it by a row, no more. */
static void cuts_at_borders_of_rows(void **state)
{
    static size_t cuts[400], again[400];
    static uint8_t without[STREAM_BYTES];
    const struct fixture *f = *state;
    static const size_t sizes[] = {256, 300, 1536, 3072, 6144, 40000, 100000, 200000};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t row = sizes[i], gone = 128 + row * (STREAM_BYTES / row / 2), found = 0;
        bool at_borders;
        size_t count = cut_rows(f, f->data, STREAM_BYTES, 128, row, cuts, &at_borders);
        assert_true(at_borders);
        assert_true(count >= STREAM_BYTES / CUT_FILES.max && (row > 65536 || count <= STREAM_BYTES / 30000));
        memcpy(without, f->data, gone);
        memcpy(without + gone, f->data + gone + row, STREAM_BYTES - gone - row);
        size_t fewer = cut_rows(f, without, STREAM_BYTES - row, 128, row, again, &at_borders);
        assert_true(at_borders);
        for (size_t k = 0, j = 0; k < count; k++) {
            size_t expected = cuts[k] <= gone ? cuts[k] : cuts[k] - row;
            while (j < fewer && again[j] < expected)
                j++;
            found += j < fewer && again[j] == expected;
        }
        assert_true(found + 3 >= count);
    }
    /* A row longer than max: cut all the same. More is asked for where it could matter. */
    struct cut_rows huge = {.row_bytes = 600000, .to_border = 600000}, rows = {.row_bytes = 3072};
    assert_int_equal(cut_next_row(&f->gear, &huge, f->data, STREAM_BYTES, true), CUT_FILES.max);
    assert_int_equal(cut_next_row(&f->gear, &huge, f->data, 100000, false), 0);
    assert_int_equal(cut_next_row(&f->gear, &huge, f->data, 100000, true), 100000);
    assert_int_equal(cut_next_row(&f->gear, &rows, f->data, 100, false), 0);
    assert_int_equal(cut_next_row(&f->gear, &rows, f->data, 0, true), 0);
    size_t whole = cut_next_row(&f->gear, &rows, f->data, STREAM_BYTES, true);
    for (size_t len = CUT_FILES.min; len <= CUT_FILES.max; len += 997) {
        size_t n = cut_next_row(&f->gear, &rows, f->data, len, false); /* C2 */
        assert_true(n == whole || (n == 0 && len < whole));
    }
    size_t ends[64], n = cut_candidates_row(&f->gear, &rows, f->data, STREAM_BYTES, whole, ends, 64);
    assert_true(n > 0 && ends[0] == whole);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ends[i] % 3072, 0);
}

/* A cut that cut_next makes is a candidate; all are in bounds, nearest first, and the same however many are wanted. */
static void candidates_hold_every_cut(void **state)
{
    const struct fixture *f = *state;
    size_t all[64], few[3], offset = 0;

    while (offset + CUT_FILES.max < STREAM_BYTES) {
        size_t n = cut_next(&f->gear, f->data + offset, STREAM_BYTES - offset, true);
        size_t near = n - 5000, count = cut_candidates(&f->gear, f->data + offset, CUT_FILES.max, near, all, 64);
        bool found = n == CUT_FILES.max;

        assert_in_range(count, 3, 63);
        for (size_t i = 0; i < count; i++) {
            found = found || all[i] == n;
            assert_in_range(all[i], CUT_FILES.min, CUT_FILES.max);
            if (i > 0)
                assert_true(labs((long)all[i] - (long)near) >= labs((long)all[i - 1] - (long)near));
        }
        assert_true(found);
        assert_int_equal(cut_candidates(&f->gear, f->data + offset, CUT_FILES.max, near, few, 3), 3);
        assert_memory_equal(few, all, sizeof few);
        offset += n;
    }
    assert_int_equal(cut_candidates(&f->gear, f->data, CUT_FILES.min - 1, 100, all, 64), 0);
    assert_int_equal(cut_candidates(&f->gear, f->data, CUT_FILES.max, 100, all, 0), 0);
}

static void unusable_sizes_are_refused(void **state)
{
    static const struct cut_params bad[] = {
        {0, 65536, 262144},    {63, 65536, 262144},   {65536, 65536, 262144},
        {16384, 65536, 65536}, {16384, 65535, 70000}, {16384, 65536, CHUNK_MAX_BYTES + 1},
    };
    const uint8_t key[32] = {0};
    struct gear g;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(gear_init(&g, &bad[i], key, NULL), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_at_borders_of_rows),
        cmocka_unit_test(golden_cuts),
        cmocka_unit_test(golden_small_cuts),
        cmocka_unit_test(c1_lengths_are_within_bounds),
        cmocka_unit_test(c2_cuts_do_not_depend_on_buffers),
        cmocka_unit_test(c2_cuts_depend_only_on_bytes_since_the_last),
        cmocka_unit_test(an_insertion_moves_few_cuts),
        cmocka_unit_test(another_key_cuts_elsewhere),
        cmocka_unit_test(more_data_is_asked_for_only_when_needed),
        cmocka_unit_test(candidates_hold_every_cut),
        cmocka_unit_test(unusable_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
