/* What the tests of the catalog share: a cache directory of their own, records with names made from a number. */
#ifndef SNAP_TESTS_TEST_CATALOG_H
#define SNAP_TESTS_TEST_CATALOG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/catalog.h"

#define OK(call)                                                           \
    do {                                                                   \
        struct err ok_err_ = {0};                                          \
        struct err *err = &ok_err_;                                        \
        enum errc ok_rc_ = (call);                                         \
        if (ok_rc_ != ERR_OK)                                              \
            fail_msg("%s: %s: %s", #call, err_name(ok_rc_), err->message); \
    } while (0)
#define FAILS(want, call)                                                                             \
    do {                                                                                              \
        struct err fails_err_ = {0};                                                                  \
        struct err *err = &fails_err_;                                                                \
        enum errc fails_rc_ = (call);                                                                 \
        if (fails_rc_ != (want) || err->code != (want))                                               \
            fail_msg("%s: %s, not %s: %s", #call, err_name(fails_rc_), err_name(want), err->message); \
    } while (0)

struct place_for_test {
    char base[64];  /* removed at the end */
    char cache[96]; /* <base>/deep/cache: not there yet */
    struct repo_id repo;
    char file[200]; /* of the catalog */
};

static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static inline void place_begin(struct place_for_test *p)
{
    char hex[33];

    snprintf(p->base, sizeof p->base, "/tmp/snap-catalog-XXXXXX");
    assert_non_null(mkdtemp(p->base));
    snprintf(p->cache, sizeof p->cache, "%s/deep/cache", p->base);
    for (size_t i = 0; i < sizeof p->repo.b; i++)
        p->repo.b[i] = (uint8_t)(0xa0 + i);
    snprintf(p->file, sizeof p->file, "%s/%s/catalog.db", p->cache, hex_encode(hex, p->repo.b, sizeof p->repo.b));
}

static inline void place_end(struct place_for_test *p)
{
    assert_int_equal(nftw(p->base, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline struct catalog *open_catalog(const struct place_for_test *p)
{
    struct catalog *c = NULL;
    bool temporary = true;

    OK(catalog_open(p->cache, &p->repo, &c, &temporary, err));
    assert_false(temporary);
    return c;
}

/* 64 mixed bits of a number. */
static inline uint64_t mix(uint64_t v)
{
    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9u;
    v = (v ^ (v >> 27)) * 0x94d049bb133111ebu;
    return v ^ (v >> 31);
}

static inline void fill_from(uint8_t *out, size_t len, uint64_t number)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(mix(number * 64 + i / 8 + 1) >> (8 * (i % 8)));
}

static inline struct digest digest_of(uint64_t number)
{
    struct digest d;

    fill_from(d.b, sizeof d.b, number + 1000000);
    return d;
}

static inline struct catalog_chunk chunk_of(uint64_t number, uint32_t pack)
{
    struct catalog_chunk c = {.pack_id = pack};

    fill_from(c.desc.name.b, sizeof c.desc.name.b, number);
    c.desc.number = (uint32_t)(number % 1000);
    c.desc.offset = 192 + number % 30000000;
    c.desc.stored_len = (uint32_t)(100 + number % 1000);
    c.desc.plain_len = 65536;
    c.desc.type = CHUNK_DATA;
    c.desc.codec = CODEC_ZSTD;
    return c;
}

static inline uint32_t add_pack(struct catalog *c, uint64_t number, uint64_t run)
{
    struct digest name = digest_of(number);
    uint32_t id = 0;

    OK(catalog_pack_add(c, &name, 1000 + number, 10, run, &id, err));
    assert_int_not_equal(id, 0);
    return id;
}

static inline size_t copies_of(struct catalog *c, uint64_t number, uint64_t run)
{
    struct catalog_chunk want = chunk_of(number, 0), out[8];
    size_t count = 0;

    OK(catalog_chunk_find(c, &want.desc.name, run, out, 8, &count, err));
    return count;
}

#endif
