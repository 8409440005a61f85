/* What the golden repositories hold: written by test_golden_repository --make, read for ever. */
#ifndef SNAP_TESTS_GOLDEN_REPOSITORY_H
#define SNAP_TESTS_GOLDEN_REPOSITORY_H

#include "store_run.h"

enum { GOLDEN_SNAPSHOTS = 5, GOLDEN_STREAMS = 3, GOLDEN_LEN = 40000 };
static const char GOLDEN_PASSPHRASE[] = "golden passphrase";
static const char *const GOLDEN_KINDS[] = {"key-file", "passphrase", "clear"};

/* Text that changes a little each day, numbers that do not compress, and a sparse file: by plain arithmetic. */
static inline void golden_streams(struct stream s[GOLDEN_STREAMS], unsigned day)
{
    s[0] = (struct stream){.path = "db", .len = GOLDEN_LEN, .fixed = CUT_FIXED_BYTES, .data = malloc(GOLDEN_LEN)};
    s[1] = (struct stream){.path = "dir/random", .len = 9000, .data = malloc(9000)};
    s[2] = (struct stream){.path = "dir/sparse", .len = 300, .data = malloc(300), .hole_at = 100, .hole_len = 1 << 20};
    for (unsigned i = 0; i < GOLDEN_LEN; i++)
        s[0].data[i] = (uint8_t)("row "[i % 4] + (i / 4) % 61 % 7);
    for (unsigned d = 1; d <= day; d++)
        for (unsigned i = 0; i < 40; i++)
            s[0].data[d * 1000 + i] = (uint8_t)('0' + d);
    uint32_t x = 12345;
    for (unsigned i = 0; i < 9000; i++) {
        x = x * 1664525 + 1013904223;
        s[1].data[i] = (uint8_t)(x >> 24);
    }
    for (unsigned i = 0; i < 300; i++)
        s[2].data[i] = (uint8_t)i;
}

static inline void golden_free(struct stream s[GOLDEN_STREAMS])
{
    for (int i = 0; i < GOLDEN_STREAMS; i++)
        free(s[i].data);
}

#endif
