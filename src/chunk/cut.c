#include "chunk/cut.h"

#include <string.h>

#include "base/limits.h"
#include "chunk/crypto.h"

const struct cut_params CUT_FILES = {16 * 1024, 64 * 1024, 256 * 1024};

enum {
    GEAR_WINDOW = 64, /* bytes the sum remembers: each one is shifted out after 64 more */
    GEAR_NORMALISE = 2,
};

/* n bits at the top: those that depend on the most bytes. */
static uint64_t top_bits(unsigned n)
{
    return ~UINT64_C(0) << (64 - n);
}

enum errc gear_init(struct gear *g, const struct cut_params *params, const uint8_t key[32], struct err *err)
{
    uint8_t raw[sizeof g->table];
    uint32_t avg = params->avg;

    if (params->min < GEAR_WINDOW || avg <= params->min || params->max <= avg || params->max > CHUNK_MAX_BYTES ||
        (avg & (avg - 1)) != 0)
        return err_fail(err, ERR_LIMIT, "cut sizes %u/%u/%u are not usable", params->min, avg, params->max);

    enum errc rc = hkdf_fill((struct span){key, 32}, (struct span){NULL, 0}, "snap gear table", raw, sizeof raw, err);
    if (rc != ERR_OK)
        return rc;
    for (size_t i = 0; i < 256; i++) {
        uint64_t v = 0;
        for (size_t k = 8; k-- > 0;)
            v = v << 8 | raw[8 * i + k];
        g->table[i] = v;
    }
    explicit_bzero(raw, sizeof raw);

    unsigned bits = 0;
    while (avg >> bits > 1)
        bits++;
    g->mask_small = top_bits(bits + GEAR_NORMALISE);
    g->mask_large = top_bits(bits - GEAR_NORMALISE);
    g->params = *params;
    return ERR_OK;
}

/* Roll over data[from..to): the place behind the first byte after which the sum has no bit of mask, or 0. Four bytes a
 * turn, each sum made from the turn's first, so that a turn waits for one shift and one addition, not for four. */
static size_t scan(const uint64_t table[256], uint64_t mask, const uint8_t *data, size_t from, size_t to,
                   uint64_t *sum_inout)
{
    uint64_t sum = *sum_inout;
    size_t i = from;

    for (; i + 3 < to; i += 4) {
        uint64_t one = table[data[i]];
        uint64_t two = (one << 1) + table[data[i + 1]];
        uint64_t three = (two << 1) + table[data[i + 2]];
        uint64_t four = (three << 1) + table[data[i + 3]];

        if ((((sum << 1) + one) & mask) == 0)
            return i + 1;
        if ((((sum << 2) + two) & mask) == 0)
            return i + 2;
        if ((((sum << 3) + three) & mask) == 0)
            return i + 3;
        sum = (sum << 4) + four;
        if ((sum & mask) == 0)
            return i + 4;
    }
    for (; i < to; i++) {
        sum = (sum << 1) + table[data[i]];
        if ((sum & mask) == 0)
            return i + 1;
    }
    *sum_inout = sum;
    return 0;
}

/* The sum of the bytes before a place. */
static uint64_t sum_before(const struct gear *g, const uint8_t *place)
{
    uint64_t sum = 0;

    for (const uint8_t *p = place - GEAR_WINDOW; p < place; p++)
        sum = (sum << 1) + g->table[*p];
    return sum;
}

size_t cut_next(const struct gear *g, const uint8_t *data, size_t len, bool final)
{
    const struct cut_params *p = &g->params;
    size_t end = len < p->max ? len : p->max;
    size_t normal = end < p->avg ? end : p->avg;

    if (len < p->min)
        return final ? len : 0;
    uint64_t sum = sum_before(g, data + p->min);
    size_t cut = scan(g->table, g->mask_small, data, p->min, normal, &sum);
    if (cut == 0)
        cut = scan(g->table, g->mask_large, data, normal, end, &sum);
    if (cut > 0)
        return cut;
    return final || len >= p->max ? end : 0;
}

static size_t distance(size_t a, size_t b)
{
    return a < b ? b - a : a - b;
}

/* Keep place `at` among out[0..count), the nearest to near first. False when it is too far, and those behind it are,
 * too.
 */
static bool keep_nearest(size_t at, size_t near, size_t *out, size_t *count, size_t cap)
{
    size_t far = distance(at, near), place = *count;

    if (*count == cap && distance(out[cap - 1], near) <= far)
        return false; /* up to near each is nearer than the last; behind it they only get farther */
    if (*count == cap)
        place--;
    else
        ++*count;
    for (; place > 0 && distance(out[place - 1], near) > far; place--)
        out[place] = out[place - 1];
    out[place] = at;
    return true;
}

size_t cut_candidates(const struct gear *g, const uint8_t *data, size_t len, size_t near, size_t *out, size_t cap)
{
    size_t end = len < g->params.max ? len : g->params.max, count = 0;

    if (end < g->params.min || cap == 0)
        return 0;
    uint64_t sum = sum_before(g, data + g->params.min);
    for (size_t i = g->params.min; i < end; i++) {
        sum = (sum << 1) + g->table[data[i]];
        if ((sum & g->mask_large) == 0 && !keep_nearest(i + 1, near, out, &count, cap))
            break;
    }
    return count;
}

/* --- at borders of rows ---------------------------------------------------------------------------------------------
 */

/* A mask that one border in (bytes / row) passes, with as many bits more or less as the plain masks have. */
static uint64_t row_mask(const struct gear *g, uint64_t row_bytes, int more)
{
    int bits = more;

    for (uint64_t n = g->params.avg / row_bytes; n > 1; n /= 2)
        bits++;
    return bits <= 0 ? 0 : top_bits((unsigned)bits);
}

static size_t first_border(const struct gear *g, const struct cut_rows *rows)
{
    uint64_t min = g->params.min, at = rows->to_border;

    return (size_t)(at >= min ? at : at + (min - at + rows->row_bytes - 1) / rows->row_bytes * rows->row_bytes);
}

size_t cut_next_row(const struct gear *g, const struct cut_rows *rows, const uint8_t *data, size_t len, bool final)
{
    const struct cut_params *p = &g->params;
    uint64_t small = row_mask(g, rows->row_bytes, GEAR_NORMALISE),
             large = row_mask(g, rows->row_bytes, -GEAR_NORMALISE);
    size_t end = len < p->max ? len : p->max, last = 0;

    if (len < p->min)
        return final ? len : 0;
    if (rows->to_border <= end)
        for (size_t at = first_border(g, rows); at <= end; at += (size_t)rows->row_bytes) {
            if ((sum_before(g, data + at) & (at < p->avg ? small : large)) == 0)
                return at;
            last = at;
        }
    if (len >= p->max)
        return last > 0 && !(final && len == p->max) ? last : end;
    return final ? end : 0;
}

size_t cut_candidates_row(const struct gear *g, const struct cut_rows *rows, const uint8_t *data, size_t len,
                          size_t near, size_t *out, size_t cap)
{
    size_t end = len < g->params.max ? len : g->params.max, count = 0;
    uint64_t large = row_mask(g, rows->row_bytes, -GEAR_NORMALISE);

    if (end < g->params.min || cap == 0 || rows->to_border > end)
        return 0;
    for (size_t at = first_border(g, rows); at <= end; at += (size_t)rows->row_bytes)
        if ((sum_before(g, data + at) & large) == 0 && !keep_nearest(at, near, out, &count, cap))
            break;
    return count;
}
