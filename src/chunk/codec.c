#include "chunk/codec.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/buf.h"
#include "base/limits.h"

enum {
    WINDOW_LOG_WHOLE = 18, /* CHUNK_MAX_BYTES */
    WINDOW_LOG_DELTA = 19, /* prefix and chunk: both must be in reach */
    DIGIT_SAMPLES = 256,
};

/* 0 leaves the choice to zstd. */
struct tuning {
    int level, window_log, strategy, hash_log, min_match, acceleration;
};

struct codec {
    /* Apart: changing the level of one context would set up its tables anew each time. */
    ZSTD_CCtx *whole, *delta, *planes[PLANE_KINDS];
    ZSTD_DCtx *decode;
    int min_match, min_match_digits; /* of whole */
};

static enum errc codec_fail(struct err *err, enum errc code, const char *what, size_t result)
{
    if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation)
        code = ERR_NO_MEMORY;
    return err_fail(err, code, "%s: %s", what, ZSTD_getErrorName(result));
}

static enum errc make_encoder(const struct tuning *t, ZSTD_CCtx **out, struct err *err)
{
    const struct {
        ZSTD_cParameter name;
        int value;
    } settings[] = {
        {ZSTD_c_compressionLevel, t->level},
        {ZSTD_c_windowLog, t->window_log},
        {ZSTD_c_strategy, t->strategy},
        {ZSTD_c_hashLog, t->hash_log},
        {ZSTD_c_minMatch, t->min_match},
        {ZSTD_c_targetLength, t->acceleration}, /* of ZSTD_fast; above 0, literals stay as they are */
        {ZSTD_c_contentSizeFlag, 0},
        {ZSTD_c_checksumFlag, 0},
        {ZSTD_c_dictIDFlag, 0},
    };

    *out = ZSTD_createCCtx();
    if (!*out)
        return err_fail(err, ERR_NO_MEMORY, "out of memory for a compressor");
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        size_t r = ZSTD_CCtx_setParameter(*out, settings[i].name, settings[i].value);
        if (ZSTD_isError(r))
            return codec_fail(err, ERR_INTERNAL, "cannot set up the compressor", r);
    }
    return ERR_OK;
}

/* Level 2 for wholes and 3 for deltas have parameters measured on chunks (docs/adr/0002); the others are zstd's own. */
static struct tuning tuning_whole(int level)
{
    if (level == 2)
        return (struct tuning){level, WINDOW_LOG_WHOLE, ZSTD_fast, 15, 5, 0};
    return (struct tuning){level, WINDOW_LOG_WHOLE, 0, 0, 0, 0};
}

static struct tuning tuning_delta(int level)
{
    if (level == 3)
        return (struct tuning){level, WINDOW_LOG_DELTA, ZSTD_dfast, 17, 5, 0};
    return (struct tuning){level, WINDOW_LOG_DELTA, 0, 0, 0, 0};
}

static enum errc make_contexts(struct codec *c, int level, int delta_level, struct err *err)
{
    struct tuning whole = tuning_whole(level), delta = tuning_delta(delta_level);
    static const struct tuning planes[PLANE_KINDS] = {
        /* Few values and no order: a search for matches finds short ones that cost more than they save. */
        [PLANE_SKEWED] = {1, WINDOW_LOG_WHOLE, ZSTD_fast, 6, 7, 0},
        /* Between its runs of zeros there is nothing to find. */
        [PLANE_GAPS] = {1, WINDOW_LOG_WHOLE, ZSTD_fast, 10, 7, 4},
    };
    enum errc rc = make_encoder(&whole, &c->whole, err);

    if (rc == ERR_OK)
        rc = make_encoder(&delta, &c->delta, err);
    for (size_t i = 0; rc == ERR_OK && i < PLANE_KINDS; i++)
        rc = make_encoder(&planes[i], &c->planes[i], err);
    if (rc != ERR_OK)
        return rc;
    c->min_match = whole.min_match;
    c->min_match_digits = level >= 1 && level <= 4 ? 6 : whole.min_match;
    c->decode = ZSTD_createDCtx();
    if (!c->decode || ZSTD_isError(ZSTD_DCtx_setParameter(c->decode, ZSTD_d_windowLogMax, WINDOW_LOG_DELTA)))
        return err_fail(err, ERR_NO_MEMORY, "out of memory for a decompressor");
    return ERR_OK;
}

enum errc codec_new(int level, int delta_level, struct codec **out, struct err *err)
{
    struct codec *c = NULL;

    if (level < ZSTD_minCLevel() || level > ZSTD_maxCLevel() || delta_level < ZSTD_minCLevel() ||
        delta_level > ZSTD_maxCLevel())
        return err_fail(err, ERR_LIMIT, "no such compression level: %d, %d", level, delta_level);
    enum errc rc = mem_alloc(&c, sizeof *c, err);
    if (rc == ERR_OK)
        rc = make_contexts(c, level, delta_level, err);
    if (rc != ERR_OK) {
        codec_free(c);
        return rc;
    }
    *out = c;
    return ERR_OK;
}

void codec_free(struct codec *c)
{
    if (!c)
        return;
    ZSTD_freeCCtx(c->whole);
    ZSTD_freeCCtx(c->delta);
    for (size_t i = 0; i < PLANE_KINDS; i++)
        ZSTD_freeCCtx(c->planes[i]);
    ZSTD_freeDCtx(c->decode);
    free(c);
}

/* Numbers written as text: a digit takes 3.3 bits alone, so that a match of five saves nothing. */
static bool mostly_digits(const uint8_t *data, size_t len)
{
    size_t step = len / DIGIT_SAMPLES, digits = 0;

    if (step == 0)
        return false;
    for (size_t i = 0; i < DIGIT_SAMPLES; i++)
        digits += (unsigned)data[i * step] - '0' < 10;
    return digits * 8 > DIGIT_SAMPLES * 3;
}

static enum errc finish(ZSTD_CCtx *encoder, const void *src, size_t len, void *dst, size_t cap, size_t *len_out,
                        struct err *err)
{
    size_t n = ZSTD_compress2(encoder, dst, cap, src, len);
    if (!ZSTD_isError(n)) {
        *len_out = n;
        return ERR_OK;
    }
    /* A frame that was cut off blocks the next refPrefix until the context is reset. */
    ZSTD_CCtx_reset(encoder, ZSTD_reset_session_only);
    if (ZSTD_getErrorCode(n) != ZSTD_error_dstSize_tooSmall)
        return codec_fail(err, ERR_INTERNAL, "cannot compress", n);
    return ERR_OK;
}

enum errc codec_compress_plane(struct codec *c, enum plane_kind kind, const void *src, size_t len, void *dst,
                               size_t cap, size_t *len_out, struct err *err)
{
    *len_out = 0;
    if (len > CHUNK_MAX_BYTES)
        return err_fail(err, ERR_LIMIT, "a chunk of %zu bytes is too long to compress", len);
    return finish(c->planes[kind], src, len, dst, cap, len_out, err);
}

enum errc codec_compress(struct codec *c, const void *src, size_t len, const void *prefix, size_t prefix_len, void *dst,
                         size_t cap, size_t *len_out, struct err *err)
{
    ZSTD_CCtx *encoder = prefix ? c->delta : c->whole;
    size_t r;

    *len_out = 0;
    if (len > CHUNK_MAX_BYTES || prefix_len > CHUNK_MAX_BYTES)
        return err_fail(err, ERR_LIMIT, "a chunk of %zu bytes is too long to compress", len);
    if (prefix)
        r = ZSTD_CCtx_refPrefix(encoder, prefix, prefix_len);
    else
        r = ZSTD_CCtx_setParameter(encoder, ZSTD_c_minMatch,
                                   mostly_digits(src, len) ? c->min_match_digits : c->min_match);
    if (ZSTD_isError(r))
        return codec_fail(err, ERR_INTERNAL, "cannot set up the compressor", r);
    return finish(encoder, src, len, dst, cap, len_out, err);
}

enum errc codec_decompress(struct codec *c, const void *src, size_t len, const void *prefix, size_t prefix_len,
                           void *dst, size_t plain_len, struct err *err)
{
    if (len > RECORD_MAX_BYTES || prefix_len > CHUNK_MAX_BYTES || plain_len > CHUNK_MAX_BYTES)
        return err_fail(err, ERR_DAMAGED, "compressed data is longer than the format allows");
    if (prefix) {
        size_t r = ZSTD_DCtx_refPrefix(c->decode, prefix, prefix_len);
        if (ZSTD_isError(r))
            return codec_fail(err, ERR_INTERNAL, "cannot set up a delta", r);
    }
    /* One call, no streaming: the output buffer is the window, nothing is allocated for what a header asks. */
    size_t n = ZSTD_decompressDCtx(c->decode, dst, plain_len, src, len);
    if (ZSTD_isError(n))
        return codec_fail(err, ERR_DAMAGED, "cannot decompress", n);
    if (n != plain_len)
        return err_fail(err, ERR_DAMAGED, "decompressed to %zu bytes instead of %zu", n, plain_len);
    return ERR_OK;
}
