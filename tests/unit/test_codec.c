/* codec.h: Z1, Z2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "chunk/codec.h"

enum { CAP = CHUNK_MAX_BYTES + 1024 };

struct fixture {
    struct codec *codec;
    uint8_t *base, *next, *noise, *packed, *out;
};

/* Text-like bytes: words of a small vocabulary, so that they compress about as data does. */
static void fill_words(uint8_t *data, size_t len, uint64_t seed)
{
    uint64_t x = seed;

    for (size_t i = 0; i < len;) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t word = (x >> 40) % 5000 * UINT64_C(0x9e3779b97f4a7c15);
        for (size_t k = 0; k < 7 && i < len; k++)
            data[i++] = (uint8_t)(word >> 8 * k);
    }
}

static void fill_noise(uint8_t *data, size_t len)
{
    uint64_t x = 88172645463325252;

    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        data[i] = (uint8_t)(x >> 32);
    }
}

static int setup(void **state)
{
    static struct fixture f;

    assert_int_equal(codec_new(2, 3, &f.codec, NULL), ERR_OK);
    uint8_t **buffers[] = {&f.base, &f.next, &f.noise, &f.packed, &f.out};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        *buffers[i] = malloc(CAP);
        assert_non_null(*buffers[i]);
    }
    fill_words(f.base, CAP, 1);
    fill_noise(f.noise, CAP);
    memcpy(f.next, f.base, CAP);
    for (size_t at = 5000; at + 40 < CAP; at += 17000)
        memcpy(f.next + at, f.noise + at, 40);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    codec_free(f->codec);
    codec_free(NULL);
    free(f->base);
    free(f->next);
    free(f->noise);
    free(f->packed);
    free(f->out);
    return 0;
}

static size_t pack(struct fixture *f, const void *src, size_t len, const void *prefix, size_t prefix_len, size_t cap)
{
    size_t n = 12345;

    assert_int_equal(codec_compress(f->codec, src, len, prefix, prefix_len, f->packed, cap, &n, NULL), ERR_OK);
    return n;
}

static void assert_unpacks(struct fixture *f, size_t n, const void *src, size_t len, const void *prefix,
                           size_t prefix_len)
{
    memset(f->out, 0xcd, CAP);
    assert_int_equal(codec_decompress(f->codec, f->packed, n, prefix, prefix_len, f->out, len, NULL), ERR_OK);
    assert_memory_equal(f->out, src, len);
    for (size_t i = len; i < len + 64 && i < CAP; i++)
        assert_int_equal(f->out[i], 0xcd);
}

static void z1_round_trip_of_every_size(void **state)
{
    static const size_t lengths[] = {0, 1, 2, 100, 4096, 65536, 131072, 200001, CHUNK_MAX_BYTES};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t n = pack(f, f->next, lengths[i], NULL, 0, CAP);
        assert_true(n > 0);
        assert_unpacks(f, n, f->next, lengths[i], NULL, 0);
        for (size_t k = 0; k < sizeof lengths / sizeof lengths[0]; k++) {
            n = pack(f, f->next, lengths[i], f->base, lengths[k], CAP);
            assert_true(n > 0);
            assert_unpacks(f, n, f->next, lengths[i], f->base, lengths[k]);
        }
    }
}

/* The prefix has to be in reach from the last byte of the longest chunk. */
static void delta_holds_only_what_changed(void **state)
{
    static const size_t lengths[] = {65536, 131072, CHUNK_MAX_BYTES};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t changes = lengths[i] / 17000 + 1;
        size_t whole = pack(f, f->next, lengths[i], NULL, 0, CAP);
        size_t delta = pack(f, f->next, lengths[i], f->base, lengths[i], CAP);

        assert_true(whole > 20 * delta);
        assert_true(delta < changes * 80 + 50);
    }
}

/* A plain chunk after a delta, and after one that did not fit, must not see the old prefix. */
static void prefix_does_not_linger(void **state)
{
    struct fixture *f = *state;
    uint8_t *first = malloc(CAP);

    assert_non_null(first);
    size_t n = pack(f, f->next, 100000, NULL, 0, CAP);
    memcpy(first, f->packed, n);
    assert_true(pack(f, f->next, 100000, f->base, 100000, CAP) > 0);
    assert_int_equal(pack(f, f->noise, 100000, f->base, 100000, 1000), 0);
    assert_int_equal(pack(f, f->noise, 100000, NULL, 0, 1000), 0);
    assert_int_equal(pack(f, f->next, 100000, NULL, 0, CAP), n);
    assert_memory_equal(first, f->packed, n);

    size_t delta = pack(f, f->next, 100000, f->base, 100000, CAP);
    assert_unpacks(f, delta, f->next, 100000, f->base, 100000);
    assert_int_equal(codec_decompress(f->codec, f->packed, delta, NULL, 0, f->out, 100000, NULL), ERR_DAMAGED);
    assert_int_equal(codec_decompress(f->codec, f->packed, 3, f->base, 100000, f->out, 100000, NULL), ERR_DAMAGED);
    assert_unpacks(f, delta, f->next, 100000, f->base, 100000);
    memcpy(f->packed, first, n);
    assert_unpacks(f, n, f->next, 100000, NULL, 0);
    free(first);
}

/* A delta that did not fit must not block the next one. */
static void a_failed_delta_leaves_the_codec_usable(void **state)
{
    struct fixture *f = *state;

    for (int again = 0; again < 2; again++) {
        assert_int_equal(pack(f, f->noise, 100000, f->base, 100000, 1000), 0);
        size_t n = pack(f, f->next, 100000, f->base, 100000, CAP);
        assert_true(n > 0 && n < 1000);
        assert_unpacks(f, n, f->next, 100000, f->base, 100000);
    }
}

/* A prefix that begins like a zstd dictionary is still only bytes. */
static void prefix_that_looks_like_a_dictionary(void **state)
{
    struct fixture *f = *state;
    uint8_t *trap = malloc(100000);

    assert_non_null(trap);
    memcpy(trap, f->base, 100000);
    memcpy(trap, "\x37\xa4\x30\xec\x01\x02\x03\x04", 8);
    size_t n = pack(f, f->next, 100000, trap, 100000, CAP);
    assert_true(n > 0 && n < 1000);
    assert_unpacks(f, n, f->next, 100000, trap, 100000);
    free(trap);
}

static void what_does_not_fit_is_no_error(void **state)
{
    struct fixture *f = *state;
    size_t n = pack(f, f->next, 100000, NULL, 0, CAP);

    assert_int_equal(pack(f, f->next, 100000, NULL, 0, n - 1), 0);
    assert_int_equal(pack(f, f->noise, 100000, NULL, 0, 99000), 0);
    assert_int_equal(pack(f, f->noise, 100000, NULL, 0, 0), 0);
    assert_int_equal(pack(f, f->noise, 100000, NULL, 0, 1), 0);
}

static void z1_wrong_length_or_prefix_is_damage(void **state)
{
    struct fixture *f = *state;
    struct err err;
    size_t n = pack(f, f->next, 50000, NULL, 0, CAP);

    assert_int_equal(codec_decompress(f->codec, f->packed, n, NULL, 0, f->out, 50001, &err), ERR_DAMAGED);
    memset(f->out, 0xcd, CAP);
    assert_int_equal(codec_decompress(f->codec, f->packed, n, NULL, 0, f->out, 49999, &err), ERR_DAMAGED);
    assert_int_equal(f->out[49999], 0xcd);
    assert_int_equal(codec_decompress(f->codec, f->packed, n, NULL, 0, f->out, 0, &err), ERR_DAMAGED);
    assert_int_equal(codec_decompress(f->codec, f->packed, 0, NULL, 0, f->out, 50000, &err), ERR_DAMAGED);
    for (size_t cut = 1; cut < n; cut += 997)
        assert_int_equal(codec_decompress(f->codec, f->packed, n - cut, NULL, 0, f->out, 50000, &err), ERR_DAMAGED);
    assert_int_equal(codec_decompress(f->codec, f->noise, 50000, NULL, 0, f->out, 50000, &err), ERR_DAMAGED);
    n = pack(f, f->next, 50000, f->base, 50000, CAP);
    assert_int_equal(codec_decompress(f->codec, f->packed, n, f->base, 1000, f->out, 50000, &err), ERR_DAMAGED);
}

static void frames_tell_no_size_and_no_checksum(void **state)
{
    struct fixture *f = *state;

    assert_true(pack(f, f->next, 50000, NULL, 0, CAP) > 6);
    assert_memory_equal(f->packed, "\x28\xb5\x2f\xfd", 4);
    assert_int_equal(f->packed[4], 0); /* no single segment, no size, no checksum, no dictionary id */
    assert_true(pack(f, f->next, 50000, f->base, 50000, CAP) > 6);
    assert_int_equal(f->packed[4], 0);
}

/* Z2: a header may ask for a window of terabytes; one call with a bounded output never allocates it. */
static void z2_lengths_above_the_limits_are_refused(void **state)
{
    static const uint8_t huge_window[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 0x01, 0x00, 0x00};
    struct fixture *f = *state;
    struct err err;
    size_t n;

    assert_int_equal(codec_decompress(f->codec, huge_window, sizeof huge_window, NULL, 0, f->out, 10, &err),
                     ERR_DAMAGED);
    assert_int_equal(codec_decompress(f->codec, f->packed, 100, NULL, 0, f->out, CHUNK_MAX_BYTES + 1, &err),
                     ERR_DAMAGED);
    assert_int_equal(codec_decompress(f->codec, f->packed, RECORD_MAX_BYTES + 1, NULL, 0, f->out, 10, &err),
                     ERR_DAMAGED);
    assert_int_equal(codec_decompress(f->codec, f->packed, 100, f->base, CHUNK_MAX_BYTES + 1, f->out, 10, &err),
                     ERR_DAMAGED);
    assert_int_equal(codec_compress(f->codec, f->next, CHUNK_MAX_BYTES + 1, NULL, 0, f->packed, CAP, &n, &err),
                     ERR_LIMIT);
    assert_int_equal(codec_compress(f->codec, f->next, 10, f->base, CHUNK_MAX_BYTES + 1, f->packed, CAP, &n, &err),
                     ERR_LIMIT);
}

/* Frames in a row decode as one; together they must not pass the limit either. */
static void z2_frames_in_a_row_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct err err;
    size_t n = pack(f, f->next, CHUNK_MAX_BYTES - 1, NULL, 0, CAP);

    uint8_t *row = malloc(2 * n), *out = malloc(2 * CHUNK_MAX_BYTES);
    assert_true(row && out);
    memcpy(row, f->packed, n);
    size_t more = pack(f, f->next, 2, NULL, 0, CAP);
    memcpy(row + n, f->packed, more);
    assert_int_equal(codec_decompress(f->codec, row, n, NULL, 0, out, CHUNK_MAX_BYTES - 1, &err), ERR_OK);
    assert_int_equal(codec_decompress(f->codec, row, n + more, NULL, 0, out, CHUNK_MAX_BYTES + 1, &err), ERR_DAMAGED);
    free(row);
    free(out);
}

/* Numbers as text are compressed with other settings: they, and what follows them, still come back. */
static void digits_round_trip(void **state)
{
    struct fixture *f = *state;
    uint8_t *text = malloc(100000);

    assert_non_null(text);
    for (size_t i = 0; i < 100000; i++)
        text[i] = i % 12 < 9 ? (uint8_t)('0' + f->noise[i] % 10) : (uint8_t) ", 0"[i % 12 - 9];
    for (int level = 1; level <= 5; level++) {
        struct codec *other = f->codec;

        assert_int_equal(codec_new(level, level, &f->codec, NULL), ERR_OK);
        size_t n = pack(f, text, 100000, NULL, 0, 60000);
        assert_true(n > 0);
        assert_unpacks(f, n, text, 100000, NULL, 0);
        assert_int_equal(pack(f, text, 100000, NULL, 0, CAP), n); /* the same after other chunks as before */
        n = pack(f, f->next, 100000, NULL, 0, CAP);
        assert_unpacks(f, n, f->next, 100000, NULL, 0);
        n = pack(f, text, 200, NULL, 0, CAP);
        assert_unpacks(f, n, text, 200, NULL, 0);
        codec_free(f->codec);
        f->codec = other;
    }
    free(text);
}

static void levels_are_checked(void **state)
{
    struct codec *c = NULL;
    struct err err;

    (void)state;
    assert_int_equal(codec_new(100, 3, &c, &err), ERR_LIMIT);
    assert_int_equal(codec_new(1, 100, &c, &err), ERR_LIMIT);
    assert_null(c);
    for (int level = -5; level <= 22; level++) {
        assert_int_equal(codec_new(level, level, &c, &err), ERR_OK);
        codec_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(z1_round_trip_of_every_size),
        cmocka_unit_test(delta_holds_only_what_changed),
        cmocka_unit_test(prefix_does_not_linger),
        cmocka_unit_test(a_failed_delta_leaves_the_codec_usable),
        cmocka_unit_test(prefix_that_looks_like_a_dictionary),
        cmocka_unit_test(what_does_not_fit_is_no_error),
        cmocka_unit_test(z1_wrong_length_or_prefix_is_damage),
        cmocka_unit_test(frames_tell_no_size_and_no_checksum),
        cmocka_unit_test(z2_lengths_above_the_limits_are_refused),
        cmocka_unit_test(z2_frames_in_a_row_are_bounded),
        cmocka_unit_test(digits_round_trip),
        cmocka_unit_test(levels_are_checked),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
