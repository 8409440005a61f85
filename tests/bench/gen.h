/* Makes the data that the benchmark measures on, and changes it as a day of use would. Deterministic by seed. */
#ifndef BENCH_GEN_H
#define BENCH_GEN_H

#include <stddef.h>
#include <stdint.h>

enum { GEN_DIM = 768 };

/* xoshiro256**, seeded through splitmix64. */
struct rng {
    uint64_t s[4];
};

void rng_seed(struct rng *r, uint64_t seed, uint64_t stream);
uint64_t rng_next(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* 0..n-1 */
double rng_unit(struct rng *r);                /* (0, 1) */

/* A vector of length 1, each direction equally likely. */
void rng_unit_vector(struct rng *r, float *v, size_t dim);

/* Words of plain text, about len bytes, at most cap - 1; returns the length. */
size_t gen_text(struct rng *r, char *out, size_t cap, size_t len);

struct gen_plan {
    const char *dir;
    double scale; /* 1.0: a database of 716 MB and what belongs to it */
    uint64_t seed;
    unsigned day; /* of a change: 1, 2, ... */
};

/* Each ends the program with a message when it fails. */
void gen_db_make(const struct gen_plan *p);      /* dir/app.db */
void gen_db_day(const struct gen_plan *p);       /* 1 % of task and of memory rows changed, 0.5 % appended */
void gen_vectors_make(const struct gen_plan *p); /* dir/vectors/embeddings.npy */
void gen_vectors_day(const struct gen_plan *p);  /* 0.2 % of rows overwritten, 0.5 % appended */
void gen_json_make(const struct gen_plan *p);    /* dir/json/memory.json */
void gen_json_day(const struct gen_plan *p);     /* 200 records edited, inserted or removed */
void gen_small_make(const struct gen_plan *p);   /* dir/dNNN/fNN: 100,000 files of 200-4,000 random bytes */

void gen_die(const char *what) __attribute__((noreturn));
void gen_mkdir(const char *path);

#endif
