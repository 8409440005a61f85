#include "gen.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const words[] = {
    "the",      "of",        "and",      "to",       "a",         "in",         "is",       "for",      "that",
    "with",     "it",        "as",       "on",       "was",       "by",         "this",     "be",       "are",
    "from",     "or",        "at",       "not",      "an",        "which",      "have",     "when",     "one",
    "before",   "after",     "all",      "new",      "result",    "task",       "agent",    "memory",   "query",
    "vector",   "row",       "user",     "request",  "answer",    "step",       "plan",     "check",    "index",
    "chapter",  "paragraph", "document", "source",   "found",     "updated",    "stored",   "returned", "failed",
    "because",  "there",     "should",   "would",    "could",     "more",       "than",     "other",    "some",
    "time",     "first",     "last",     "value",    "state",     "error",      "retry",    "message",  "context",
    "search",   "similar",   "score",    "distance", "embedding", "collection", "graph",    "node",     "relation",
    "schema",   "column",    "table",    "database", "migration", "version",    "release",  "deploy",   "service",
    "customer", "order",     "invoice",  "payment",  "report",    "summary",    "review",   "comment",  "issue",
    "branch",   "commit",    "merge",    "test",     "build",     "pipeline",   "stage",    "worker",   "queue",
    "timeout",  "latency",   "cache",    "session",  "token",     "model",      "prompt",   "response", "language",
    "learn",    "pattern",   "feature",  "training", "sample",    "batch",      "weight",   "layer",    "network",
    "river",    "mountain",  "harbour",  "garden",   "window",    "bridge",     "station",  "market",   "library",
    "morning",  "evening",   "winter",   "summer",   "between",   "without",    "against",  "during",   "through",
    "measure",  "compare",   "confirm",  "reject",   "approve",   "assign",     "complete", "continue", "prepare",
    "quickly",  "slowly",    "rarely",   "often",    "always",    "never",      "perhaps",  "nearly",   "exactly",
    "small",    "large",     "early",    "late",     "possible",  "necessary",  "relevant", "missing",  "duplicate",
    "normal",   "urgent",    "blocked",  "pending",  "resolved",  "archived",   "external", "internal", "temporary",
};

void gen_die(const char *what)
{
    fprintf(stderr, "bench_gen: %s: %s\n", what, errno ? strerror(errno) : "failed");
    exit(1);
}

void gen_mkdir(const char *path)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        gen_die(path);
}

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void rng_seed(struct rng *r, uint64_t seed, uint64_t stream)
{
    uint64_t x = seed * 0xd1342543de82ef95u + stream;
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix(&x);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t rng_next(struct rng *r)
{
    uint64_t result = rotl(r->s[1] * 5, 7) * 9;
    uint64_t t = r->s[1] << 17;
    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotl(r->s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)rng_next(r) * n) >> 64);
}

double rng_unit(struct rng *r)
{
    return ((double)(rng_next(r) >> 11) + 0.5) * 0x1p-53;
}

void rng_unit_vector(struct rng *r, float *v, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i += 2) { /* Box and Muller: two normal values from two uniform ones */
        float radius = sqrtf(-2.0f * logf((float)rng_unit(r) + 1e-30f));
        float angle = 6.28318531f * (float)rng_unit(r);
        v[i] = radius * cosf(angle);
        v[i + 1] = radius * sinf(angle);
        sum += (double)v[i] * v[i] + (double)v[i + 1] * v[i + 1];
    }
    float norm = (float)(1.0 / sqrt(sum));
    for (size_t i = 0; i < dim; i++)
        v[i] *= norm;
}

/* Frequent words come first in the list; the square gives them the larger share. */
static const char *any_word(struct rng *r)
{
    double u = rng_unit(r);
    return words[(size_t)(u * u * (double)(sizeof words / sizeof *words))];
}

size_t gen_text(struct rng *r, char *out, size_t cap, size_t len)
{
    size_t n = 0;
    if (len > cap - 40)
        len = cap - 40;
    while (n < len) {
        uint64_t kind = rng_below(r, 40);
        int put;
        if (kind == 0)
            put = snprintf(out + n, cap - n, "%s-%04x ", any_word(r), (unsigned)rng_below(r, 65536));
        else if (kind == 1)
            put = snprintf(out + n, cap - n, "%u.%02u ", (unsigned)rng_below(r, 1000), (unsigned)rng_below(r, 100));
        else
            put = snprintf(out + n, cap - n, "%s%s", any_word(r), kind < 5 ? ". " : kind < 8 ? ", " : " ");
        n += (size_t)put;
    }
    out[--n] = '\0';
    return n;
}

static void usage(void)
{
    fputs("usage: bench_gen make DIR   [--scale F] [--seed N] [--only db|vectors|json]\n"
          "       bench_gen day  DIR   [--scale F] [--seed N] [--only db|vectors|json] --day N\n"
          "       bench_gen small DIR  [--scale F] [--seed N]\n",
          stderr);
    exit(2);
}

static void run(const char *verb, const struct gen_plan *p, const char *only)
{
    int day = strcmp(verb, "day") == 0;
    if (strcmp(verb, "small") == 0) {
        gen_small_make(p);
        return;
    }
    if (!day && strcmp(verb, "make") != 0)
        usage();
    if (!only || strcmp(only, "db") == 0)
        (day ? gen_db_day : gen_db_make)(p);
    if (!only || strcmp(only, "vectors") == 0)
        (day ? gen_vectors_day : gen_vectors_make)(p);
    if (!only || strcmp(only, "json") == 0)
        (day ? gen_json_day : gen_json_make)(p);
}

int main(int argc, char **argv)
{
    struct gen_plan p = {.scale = 1.0, .seed = 1, .day = 1};
    const char *only = NULL;
    if (argc < 3 || argc % 2 == 0)
        usage();
    p.dir = argv[2];
    for (int i = 3; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--scale") == 0)
            p.scale = strtod(argv[i + 1], NULL);
        else if (strcmp(argv[i], "--seed") == 0)
            p.seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--day") == 0)
            p.day = (unsigned)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--only") == 0)
            only = argv[i + 1];
        else
            usage();
    }
    if (!(p.scale > 0.0 && p.scale <= 100.0))
        usage();
    gen_mkdir(p.dir);
    run(argv[1], &p, only);
    return 0;
}
