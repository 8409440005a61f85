/* How fast one core compresses a file in chunks and takes them back: by planes as snap does it, and by plain zstd at
 * level 3. No hashing, no sealing, no disk. Prints one JSON object; megabytes of 10^6 bytes of the file a second. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chunk/planes.h"

enum { CHUNK = 64 * 1024, RUNS = 3, PLANES_LEVEL = 1, PLAIN_LEVEL = 3, DELTA_LEVEL = 3 };

struct work {
    const char *path;
    uint8_t *data, *stored, *back, *scratch; /* stored: chunk i at i * CHUNK */
    size_t len, chunks;
    size_t *stored_len; /* of each chunk; its whole length: kept as it is */
    uint8_t *transform; /* of each chunk */
    struct codec *codec;
    bool by_planes;
};

static void die(const char *what)
{
    fprintf(stderr, "planes_speed: %s\n", what);
    exit(1);
}

static void *must_alloc(size_t size)
{
    void *p = malloc(size);
    if (!p)
        die("no memory");
    memset(p, 1, size); /* touched before anything is timed */
    return p;
}

static size_t chunk_len(const struct work *w, size_t i)
{
    return i + 1 < w->chunks ? CHUNK : w->len - i * CHUNK;
}

static void read_file(struct work *w)
{
    FILE *f = fopen(w->path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        die("the file cannot be read");
    long end = ftell(f);
    if (end <= 0)
        die("the file is empty or cannot be measured");
    w->len = (size_t)end;
    w->chunks = (w->len + CHUNK - 1) / CHUNK;
    w->data = must_alloc(w->len);
    rewind(f);
    if (fread(w->data, 1, w->len, f) != w->len)
        die("the file cannot be read");
    fclose(f);
    w->stored = must_alloc(w->len);
    w->back = must_alloc(w->len);
    w->scratch = must_alloc(CHUNK);
    w->stored_len = must_alloc(w->chunks * sizeof *w->stored_len);
    w->transform = must_alloc(w->chunks);
}

static void encode(struct work *w)
{
    for (size_t i = 0; i < w->chunks; i++) {
        const uint8_t *src = w->data + i * CHUNK;
        uint8_t *dst = w->stored + i * CHUNK;
        size_t len = chunk_len(w, i), out = 0;
        enum transform_id t = w->by_planes ? planes_choose(src, len) : TRANSFORM_NONE;
        enum errc rc = t != TRANSFORM_NONE
                           ? planes_compress(w->codec, t, src, len, w->scratch, dst, len - 1, &out, NULL)
                           : codec_compress(w->codec, src, len, NULL, 0, dst, len - 1, &out, NULL);
        if (rc != ERR_OK)
            die("a chunk was not compressed");
        if (out == 0)
            memcpy(dst, src, len);
        w->stored_len[i] = out ? out : len;
        w->transform[i] = (uint8_t)t;
    }
}

static void decode(struct work *w)
{
    for (size_t i = 0; i < w->chunks; i++) {
        const uint8_t *src = w->stored + i * CHUNK;
        uint8_t *dst = w->back + i * CHUNK;
        size_t len = chunk_len(w, i), stored = w->stored_len[i];
        enum transform_id t = (enum transform_id)w->transform[i];
        enum errc rc = ERR_OK;
        if (stored == len)
            memcpy(dst, src, len);
        else if (t != TRANSFORM_NONE)
            rc = planes_decompress(w->codec, t, src, stored, w->scratch, dst, len, NULL);
        else
            rc = codec_decompress(w->codec, src, stored, NULL, 0, dst, len, NULL);
        if (rc != ERR_OK)
            die("a chunk was not decompressed");
    }
}

/* Of this thread: what another program takes of the core does not count. */
static double core_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double best_rate(struct work *w, void (*step)(struct work *))
{
    double best = 0;
    for (int i = 0; i < RUNS; i++) {
        double start = core_seconds();
        step(w);
        double rate = (double)w->len / 1e6 / (core_seconds() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

static void measure(struct work *w, const char *name, const char *end)
{
    double encoded = best_rate(w, encode), decoded = best_rate(w, decode);
    size_t stored = 0;

    if (memcmp(w->data, w->back, w->len) != 0)
        die("what came back is not what was given");
    for (size_t i = 0; i < w->chunks; i++)
        stored += w->stored_len[i];
    printf("\"%s\": {\"encode\": %.1f, \"decode\": %.1f, \"stored\": %.4f}%s", name, encoded, decoded,
           (double)stored / (double)w->len, end);
}

int main(int argc, char **argv)
{
    struct work w = {.path = argc == 2 ? argv[1] : NULL, .by_planes = true};

    if (!w.path)
        die("usage: planes_speed FILE");
    read_file(&w);
    if (codec_new(PLANES_LEVEL, DELTA_LEVEL, &w.codec, NULL) != ERR_OK)
        die("no memory");
    printf("{");
    measure(&w, "planes", ", ");
    codec_free(w.codec);
    w.by_planes = false;
    if (codec_new(PLAIN_LEVEL, DELTA_LEVEL, &w.codec, NULL) != ERR_OK)
        die("no memory");
    measure(&w, "zstd -3", "}\n");
    codec_free(w.codec);
    return 0;
}
