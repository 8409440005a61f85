/* Which arrays of numbers in a JSON text are vectors, and how many there are. Layer: source (private to vectors/).
 *
 * An array of two numbers or more (STRONG: of one) that holds nothing else is counted by the place it is found at. Of
 * the places in which something was counted, the first of these is what the file's vectors are; the others are other
 * numbers:
 *
 *   STRONG  the nearest member name is emb, embs, vec, vecs or ends in embedding(s) or vector(s), in any case; or it is
 *           values or features and its object lies under such a name: {"embedding": {"values": [...]}}
 *   INSIDE  the nearest name's object is the value of such a name: {"vectors": {"id 1": [...]}}
 *   WEAK    the nearest name is values or features; one such array has eight elements or more
 *   BARE    no name at all: an array of arrays, or a line each; one has eight elements or more, and there are two. One
 *           alone with a fraction is found too, for texts of a column, but is lone: a file of it has no vectors
 *   OTHER   any other name: arrays of eight elements or more of which one is written with a fraction, or all are zero;
 *           two are of one name, or of names that occur only once two have the same length
 *
 * An empty array is a vector of dimension 0 where it stands for one: at STRONG, beside others of its name that are not
 * empty. As a member's value it may be an empty list as well, so there one of those others has to be one too.
 *
 * Below a name with "sparse" in it nothing counts. Fields are told apart by name as long as a place has few names;
 * names of INSIDE and OTHER that occur only once are ids. A null or a quoted "NaN" among numbers is a NaN, as in what
 * JSON.stringify and some exporters write.
 */
#ifndef SNAP_SOURCE_VECTORS_JSON_TALLY_H
#define SNAP_SOURCE_VECTORS_JSON_TALLY_H

#include "source/vectors/vectors.h"

enum json_place { PLACE_NONE, PLACE_OTHER, PLACE_BARE, PLACE_WEAK, PLACE_INSIDE, PLACE_STRONG, PLACES };
enum { JSON_NAME_BYTES = 64, JSON_NAMES_MAX = 16 };

/* One array of numbers. */
struct json_vector {
    int64_t dimension;
    bool nan, inf, zero, fraction;
    bool member; /* it is a member's value, not an element of an array that is */
};

struct json_tally {
    char name[JSON_NAME_BYTES];
    size_t name_len; /* 0: of more than one name, or of none */
    struct vector_dimension dims[VECTOR_DIMS_MAX];
    size_t dim_count;
    int64_t dims_other, count, nan, inf, zero, largest; /* without empty ones */
    int64_t empty_members, empty_elements;
    bool fraction, members; /* one was a member's value */
};

struct json_place_tally {
    struct json_tally named[JSON_NAMES_MAX], rest;
    size_t named_count;
    bool merged; /* names are no longer told apart */
    bool lone;   /* one array that nothing tells to be a vector */
};
struct json_tallies {
    struct json_place_tally places[PLACES];
};

/* Of a member name; object_strong: its object lies under a strong name, object_direct: and is its very value. */
enum json_place json_place_of(const char *name, size_t len, bool object_strong, bool object_direct);
bool json_name_is_strong(const char *name, size_t len);

/* name_len 0: it has none, or one that is too long. False: it does not count at this place. */
bool json_tallies_add(struct json_tallies *t, enum json_place place, const char *name, size_t name_len,
                      const struct json_vector *v);
/* One without elements. */
void json_tallies_add_empty(struct json_tallies *t, enum json_place place, const char *name, size_t name_len,
                            bool member);
/* Those of them that stand for vectors. */
int64_t json_tally_empty(const struct json_tally *t);
/* The place whose arrays are the file's vectors; NULL when there are none. May put names together. */
const struct json_place_tally *json_tallies_choose(struct json_tallies *t);

#endif
