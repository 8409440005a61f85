/* The plain files of the benchmark: one array of vectors, one JSON document, and a tree of small files. */
#include "gen.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VECTORS = 200000, RECORDS = 11400, SMALL_DIRS = 1000, SMALL_PER_DIR = 100 };
enum { NPY_HEADER = 128, JSON_CHANGES = 200 };
enum { STREAM_VECTORS = 200, STREAM_JSON = 300, STREAM_SMALL = 400 };
enum { STREAM_VECTORS_DAY = 2000000, STREAM_JSON_DAY = 3000000 };

static FILE *open_file(const char *path, const char *mode)
{
    FILE *f = fopen(path, mode);
    if (!f)
        gen_die(path);
    setvbuf(f, NULL, _IOFBF, 1 << 20);
    return f;
}

static void close_file(FILE *f, const char *path)
{
    if (ferror(f) || fclose(f) != 0)
        gen_die(path);
}

static void npy_header(FILE *f, uint64_t rows)
{
    char head[NPY_HEADER + 1], dict[NPY_HEADER];
    int n = snprintf(dict, sizeof dict, "{'descr': '<f4', 'fortran_order': False, 'shape': (%llu, %d), }",
                     (unsigned long long)rows, GEN_DIM);
    memcpy(head, "\x93NUMPY\x01\x00", 8);
    head[8] = NPY_HEADER - 10;
    head[9] = 0;
    memset(head + 10, ' ', NPY_HEADER - 10);
    memcpy(head + 10, dict, (size_t)n);
    head[NPY_HEADER - 1] = '\n';
    rewind(f);
    fwrite(head, 1, NPY_HEADER, f);
}

static void put_vectors(FILE *f, struct rng *r, uint64_t count)
{
    float v[GEN_DIM];
    for (uint64_t i = 0; i < count; i++) {
        rng_unit_vector(r, v, GEN_DIM);
        fwrite(v, sizeof v, 1, f);
    }
}

void gen_vectors_make(const struct gen_plan *p)
{
    char path[PATH_MAX];
    struct rng r;
    uint64_t rows = (uint64_t)(VECTORS * p->scale);
    snprintf(path, sizeof path, "%s/vectors", p->dir);
    gen_mkdir(path);
    snprintf(path, sizeof path, "%s/vectors/embeddings.npy", p->dir);
    FILE *f = open_file(path, "w");
    rng_seed(&r, p->seed, STREAM_VECTORS);
    npy_header(f, rows);
    put_vectors(f, &r, rows);
    close_file(f, path);
}

void gen_vectors_day(const struct gen_plan *p)
{
    char path[PATH_MAX];
    struct rng r;
    snprintf(path, sizeof path, "%s/vectors/embeddings.npy", p->dir);
    FILE *f = open_file(path, "r+");
    rng_seed(&r, p->seed, STREAM_VECTORS_DAY + p->day);
    fseeko(f, 0, SEEK_END);
    uint64_t rows = ((uint64_t)ftello(f) - NPY_HEADER) / (GEN_DIM * sizeof(float));
    for (uint64_t i = 0; i < rows / 500; i++) {
        fseeko(f, (off_t)(NPY_HEADER + rng_below(&r, rows) * GEN_DIM * sizeof(float)), SEEK_SET);
        put_vectors(f, &r, 1);
    }
    fseeko(f, 0, SEEK_END);
    put_vectors(f, &r, rows / 200);
    npy_header(f, rows + rows / 200);
    close_file(f, path);
}

/* One record a line, so that a change can copy lines. */
static void put_record(FILE *f, struct rng *r, uint64_t number)
{
    char text[700];
    float v[GEN_DIM];
    gen_text(r, text, sizeof text, 100 + rng_below(r, 500));
    rng_unit_vector(r, v, GEN_DIM);
    fprintf(f, "{\"id\":\"mem-%08llu-%04x\",\"content\":\"%s\",\"importance\":0.%03u,\"tags\":[\"t%u\",\"t%u\"],",
            (unsigned long long)number, (unsigned)rng_below(r, 65536), text, (unsigned)rng_below(r, 1000),
            (unsigned)rng_below(r, 50), (unsigned)rng_below(r, 50));
    fputs("\"embedding\":[", f);
    for (int i = 0; i < GEN_DIM; i++)
        fprintf(f, i ? ",%.7f" : "%.7f", (double)v[i]);
    fputs("]}", f);
}

void gen_json_make(const struct gen_plan *p)
{
    char path[PATH_MAX];
    struct rng r;
    uint64_t records = (uint64_t)(RECORDS * p->scale);
    snprintf(path, sizeof path, "%s/json", p->dir);
    gen_mkdir(path);
    snprintf(path, sizeof path, "%s/json/memory.json", p->dir);
    FILE *f = open_file(path, "w");
    rng_seed(&r, p->seed, STREAM_JSON);
    fputs("[\n", f);
    for (uint64_t i = 0; i < records; i++) {
        put_record(f, &r, i);
        fputs(i + 1 < records ? ",\n" : "\n", f);
    }
    fputs("]\n", f);
    close_file(f, path);
}

static uint64_t count_records(FILE *f)
{
    char *line = NULL;
    size_t cap = 0;
    uint64_t lines = 0;
    while (getline(&line, &cap, f) > 0)
        lines += line[0] == '{';
    free(line);
    rewind(f);
    return lines;
}

/* Copy one record; its text gets a new sentence when it is edited. */
static void copy_record(FILE *out, struct rng *r, char *line, size_t len, int edit)
{
    char *text = strstr(line, "\"content\":\"");
    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == ','))
        len--;
    if (edit && text) {
        char fresh[120];
        size_t at = (size_t)(text - line) + strlen("\"content\":\"");
        size_t n = gen_text(r, fresh, sizeof fresh, 60);
        fwrite(line, 1, at, out);
        fprintf(out, "%s. ", fresh);
        at += n < 60 ? n : 60; /* what it replaces */
        fwrite(line + at, 1, len - at, out);
    } else {
        fwrite(line, 1, len, out);
    }
}

void gen_json_day(const struct gen_plan *p)
{
    char path[PATH_MAX], fresh[PATH_MAX];
    struct rng r;
    snprintf(path, sizeof path, "%s/json/memory.json", p->dir);
    snprintf(fresh, sizeof fresh, "%s/json/memory.json.new", p->dir);
    FILE *in = open_file(path, "r"), *out = open_file(fresh, "w");
    uint64_t records = count_records(in), changes = JSON_CHANGES < records ? JSON_CHANGES : records;
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    const char *before = "[\n";
    rng_seed(&r, p->seed, STREAM_JSON_DAY + p->day);
    for (uint64_t i = 0; (len = getline(&line, &cap, in)) > 0;) {
        if (line[0] != '{')
            continue;
        /* each of the remaining changes falls on each of the remaining records with the same chance */
        int change = rng_below(&r, records - i) < changes;
        uint64_t kind = rng_below(&r, 3); /* edit, insert, remove */
        changes -= (uint64_t)change;
        i++;
        if (change && kind == 2)
            continue;
        fputs(before, out);
        before = ",\n";
        copy_record(out, &r, line, (size_t)len, change && kind == 0);
        if (change && kind == 1) {
            fputs(before, out);
            put_record(out, &r, 10000000u + p->day * 1000u + i % 1000);
        }
    }
    free(line);
    fputs("\n]\n", out);
    fclose(in);
    close_file(out, fresh);
    if (rename(fresh, path) != 0)
        gen_die(path);
}

void gen_small_make(const struct gen_plan *p)
{
    char path[PATH_MAX];
    uint64_t words[500];
    struct rng r;
    unsigned dirs = (unsigned)(SMALL_DIRS * p->scale);
    rng_seed(&r, p->seed, STREAM_SMALL);
    for (unsigned d = 0; d < dirs; d++) {
        snprintf(path, sizeof path, "%s/d%03u", p->dir, d);
        gen_mkdir(path);
        for (unsigned i = 0; i < SMALL_PER_DIR; i++) {
            size_t size = 200 + rng_below(&r, 3801);
            for (size_t w = 0; w < sizeof words / sizeof *words; w++)
                words[w] = rng_next(&r);
            snprintf(path, sizeof path, "%s/d%03u/f%02u", p->dir, d, i);
            FILE *f = fopen(path, "w");
            if (!f || fwrite(words, 1, size, f) != size || fclose(f) != 0)
                gen_die(path);
        }
    }
}
