#include "source/vectors/json_tally.h"

#include <string.h>
#include <strings.h>

enum { VECTOR_MIN = 2, TELLING_MIN = 8 };

/* --- names --- */

static bool is(const char *name, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(name, word, len) == 0;
}

static bool ends_in(const char *name, size_t len, const char *word)
{
    size_t n = strlen(word);
    return len >= n && strncasecmp(name + len - n, word, n) == 0;
}

bool json_name_is_strong(const char *name, size_t len)
{
    static const char *const ends[] = {"embedding", "embeddings", "vector", "vectors"};
    static const char *const words[] = {"emb", "embs", "vec", "vecs"};
    for (size_t i = 0; i < 4; i++)
        if (ends_in(name, len, ends[i]) || is(name, len, words[i]))
            return true;
    return false;
}

static bool is_weak(const char *name, size_t len)
{
    return is(name, len, "values") || is(name, len, "features");
}

static bool is_sparse(const char *name, size_t len)
{
    for (size_t i = 0; i + 6 <= len; i++)
        if (strncasecmp(name + i, "sparse", 6) == 0)
            return true;
    return false;
}

enum json_place json_place_of(const char *name, size_t len, bool object_strong, bool object_direct)
{
    if (is_sparse(name, len))
        return PLACE_NONE;
    if (json_name_is_strong(name, len))
        return PLACE_STRONG;
    if (is_weak(name, len))
        return object_strong ? PLACE_STRONG : PLACE_WEAK;
    return object_direct ? PLACE_INSIDE : PLACE_OTHER;
}

/* --- counting --- */

static void add_dimension(struct json_tally *t, int64_t dimension, int64_t count)
{
    size_t i = 0;
    while (i < t->dim_count && t->dims[i].dimension != dimension)
        i++;
    if (i == VECTOR_DIMS_MAX) {
        t->dims_other += count;
        return;
    }
    if (i == t->dim_count)
        t->dims[t->dim_count++] = (struct vector_dimension){.dimension = dimension};
    t->dims[i].count += count;
}

static void merge(struct json_place_tally *p)
{
    struct json_tally *to = &p->rest;
    for (size_t n = 0; n < p->named_count; n++) {
        const struct json_tally *from = &p->named[n];
        for (size_t i = 0; i < from->dim_count; i++)
            add_dimension(to, from->dims[i].dimension, from->dims[i].count);
        to->dims_other += from->dims_other;
        to->count += from->count;
        to->nan += from->nan;
        to->inf += from->inf;
        to->zero += from->zero;
        to->empty_members += from->empty_members;
        to->empty_elements += from->empty_elements;
        to->members |= from->members;
        to->largest = to->largest > from->largest ? to->largest : from->largest;
        to->fraction |= from->fraction;
    }
    p->named_count = 0;
    p->merged = true;
}

static struct json_tally *tally_of(struct json_place_tally *p, const char *name, size_t len)
{
    if (len == 0 || p->merged)
        return &p->rest;
    for (size_t i = 0; i < p->named_count; i++)
        if (p->named[i].name_len == len && memcmp(p->named[i].name, name, len) == 0)
            return &p->named[i];
    if (p->named_count == JSON_NAMES_MAX) {
        merge(p);
        return &p->rest;
    }
    struct json_tally *t = &p->named[p->named_count++];
    memset(t, 0, sizeof *t);
    memcpy(t->name, name, len);
    t->name_len = len;
    return t;
}

bool json_tallies_add(struct json_tallies *tallies, enum json_place place, const char *name, size_t name_len,
                      const struct json_vector *v)
{
    int64_t least = place == PLACE_STRONG ? 1 : VECTOR_MIN;
    if (place == PLACE_NONE || v->dimension < least || v->dimension > VECTOR_DIMENSION_MAX)
        return false;
    if (place == PLACE_OTHER && (v->dimension < TELLING_MIN || !(v->fraction || v->zero)))
        return false;
    struct json_tally *t = tally_of(&tallies->places[place], name, name_len);
    add_dimension(t, v->dimension, 1);
    t->count++;
    t->nan += v->nan;
    t->inf += v->inf;
    t->zero += v->zero;
    t->fraction |= v->fraction;
    t->members |= v->member;
    if (t->largest < v->dimension)
        t->largest = v->dimension;
    return true;
}

void json_tallies_add_empty(struct json_tallies *tallies, enum json_place place, const char *name, size_t name_len,
                            bool member)
{
    if (place != PLACE_STRONG)
        return;
    struct json_tally *t = tally_of(&tallies->places[place], name, name_len);
    t->empty_members += member;
    t->empty_elements += !member;
}

int64_t json_tally_empty(const struct json_tally *t)
{
    return t->count > 0 ? t->empty_elements + (t->members ? t->empty_members : 0) : 0;
}

/* --- choosing --- */

/* One array that has no telling name is anything: a histogram, weights. */
static bool is_repeated(const struct json_place_tally *p)
{
    bool repeated = p->rest.count > 1;
    for (size_t i = 0; i < p->named_count; i++) {
        repeated |= p->named[i].count > 1;
        for (size_t k = 0; k < i; k++)
            repeated |= p->named[k].dims[0].dimension == p->named[i].dims[0].dimension;
    }
    return repeated;
}

static bool counts(const struct json_place_tally *p, enum json_place place)
{
    int64_t count = p->rest.count, largest = p->rest.largest;
    bool fraction = p->rest.fraction;
    for (size_t i = 0; i < p->named_count; i++) {
        count += p->named[i].count;
        fraction |= p->named[i].fraction;
        if (largest < p->named[i].largest)
            largest = p->named[i].largest;
    }
    if (count == 0 || (largest < TELLING_MIN && (place == PLACE_BARE || place == PLACE_WEAK)))
        return false;
    if (place == PLACE_OTHER)
        return is_repeated(p);
    return place != PLACE_BARE || count > 1 || fraction;
}

const struct json_place_tally *json_tallies_choose(struct json_tallies *t)
{
    for (enum json_place place = PLACE_STRONG; place > PLACE_NONE; place--) {
        struct json_place_tally *p = &t->places[place];
        if (!counts(p, place))
            continue;
        bool are_ids = place == PLACE_INSIDE || place == PLACE_OTHER;
        for (size_t i = 0; are_ids && i < p->named_count; i++)
            are_ids = p->named[i].count == 1;
        if (are_ids)
            merge(p);
        p->lone = place == PLACE_BARE && p->rest.count == 1;
        return p;
    }
    return NULL;
}
