#include "source/vectors/vector_facts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "vectors.";

bool vector_is_file_of_vectors(const struct vector_result *r)
{
    if (!r->known)
        return false;
    if (strncmp(r->format, "json", 4) != 0)
        return true;
    for (size_t i = 0; i < r->array_count; i++)
        if (r->arrays[i].is_vectors)
            return true;
    return false;
}

static void add_text(char *dst, size_t cap, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void add_text(char *dst, size_t cap, const char *fmt, ...)
{
    size_t used = strlen(dst);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(dst + used, cap - used, fmt, ap);
    va_end(ap);
}

const char *vector_dims_text(const struct vector_dimension *dims, size_t count, int64_t other, char *dst, size_t cap)
{
    dst[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char one[64];
        int n = snprintf(one, sizeof one, "%s%" PRId64 ": %" PRId64, i ? ", " : "", dims[i].dimension, dims[i].count);
        if (strlen(dst) + (size_t)n + sizeof ", ..." > cap) {
            add_text(dst, cap, ", ...");
            return dst;
        }
        add_text(dst, cap, "%s", one);
    }
    if (other > 0)
        add_text(dst, cap, ", others: %" PRId64, other);
    return dst;
}

enum errc vector_facts_put(const struct vector_result *r, struct fact_list *out, struct err *err)
{
    char mixed[VECTOR_FACTS_TEXT_BYTES];
    enum errc rc = fact_set_text(out, "vectors.format", r->format, err);
    if (rc == ERR_OK && r->dimension > 0)
        rc = fact_set_int(out, "vectors.dimension", r->dimension, err);
    if (rc == ERR_OK && r->dimension == 0)
        rc = fact_set_text(out, "vectors.mixed",
                           vector_dims_text(r->dims, r->dim_count, r->dims_other, mixed, sizeof mixed), err);
    if (rc == ERR_OK && r->count >= 0)
        rc = fact_set_int(out, "vectors.count", r->count, err);
    if (rc == ERR_OK && r->dtype != VECTOR_DTYPE_NONE)
        rc = fact_set_text(out, "vectors.dtype", vector_dtype_name(r->dtype), err);
    if (rc == ERR_OK)
        rc = fact_set_bool(out, "vectors.ok", r->ok, err);
    if (rc == ERR_OK && !r->ok)
        rc = fact_set_text(out, "vectors.detail", r->detail, err);
    return rc;
}

/* --- what facts tell --- */

/* Facts come from a repository, and say anything. */
static void add_count(int64_t *sum, int64_t count)
{
    if (count > 0 && __builtin_add_overflow(*sum, count, sum))
        *sum = INT64_MAX;
}

void vector_totals_add(struct vector_totals *t, int64_t dimension, int64_t count)
{
    size_t at = 0;
    count = count > 0 ? count : 0;
    t->any = true;
    add_count(&t->count, count);
    while (at < t->dim_count && t->dims[at].dimension < dimension)
        at++;
    if (at < t->dim_count && t->dims[at].dimension == dimension) {
        add_count(&t->dims[at].count, count);
    } else if (t->dim_count == VECTOR_DIMS_MAX) {
        add_count(&t->dims_other, count > 0 ? count : 1);
    } else {
        memmove(&t->dims[at + 1], &t->dims[at], (t->dim_count - at) * sizeof *t->dims);
        t->dims[at] = (struct vector_dimension){dimension, count};
        t->dim_count++;
    }
}

/* "768: 1200, 1536: 3"; of a sample "768, 1536", which counts nothing. */
static void add_mixed(struct vector_totals *t, const char *text)
{
    t->any = true;
    for (;;) {
        char *end;
        long long dimension = strtoll(text, &end, 10), count = 0;
        if (end == text || dimension < 0)
            break; /* "others", "..." */
        if (*end == ':')
            count = strtoll(end + 1, &end, 10);
        else
            t->unknown = true;
        vector_totals_add(t, dimension, count > 0 ? count : 0);
        if (*end != ',')
            return;
        text = end + 1 + (end[1] == ' ');
    }
    t->unknown = true;
    long long others = strncmp(text, "others: ", 8) == 0 ? strtoll(text + 8, NULL, 10) : 1;
    add_count(&t->dims_other, others > 0 ? others : 1);
}

/* The fact <group><what>; NULL when there is none. */
static const struct fact *sibling(const struct fact_list *l, const char *group, size_t len, const char *what)
{
    char key[1200];
    int n = snprintf(key, sizeof key, "%.*s%s", (int)len, group, what);
    return n > 0 && (size_t)n < sizeof key ? fact_find(l, key) : NULL;
}

static int64_t int_of(const struct fact *f, int64_t otherwise)
{
    return f && f->type == FACT_INT ? f->integer : otherwise;
}

static bool ends_with(const struct fact *f, const char *end, size_t *before)
{
    size_t len = strlen(end);
    if (f->key_len < len || memcmp(f->key + f->key_len - len, end, len) != 0)
        return false;
    *before = f->key_len - len;
    return true;
}

/* What Chroma has in its queue is counted with its collections. */
static bool is_counted_elsewhere(const struct fact_list *l, const struct fact *f)
{
    static const char queue[] = "vectors.embeddings_queue.";
    if (strncmp(f->key, queue, sizeof queue - 1) != 0)
        return false;
    for (size_t i = 0; i < l->count; i++)
        if (strncmp(l->facts[i].key, "vectors.collections.", 20) == 0)
            return true;
    return false;
}

void vector_totals_of(const struct fact_list *facts, struct vector_totals *out)
{
    *out = (struct vector_totals){.any = false};
    for (size_t i = 0; i < facts->count; i++) {
        const struct fact *f = &facts->facts[i];
        size_t group;
        if (strncmp(f->key, prefix, sizeof prefix - 1) != 0 || is_counted_elsewhere(facts, f))
            continue;
        if (ends_with(f, ".dimension", &group) && f->type == FACT_INT && f->integer > 0) {
            const struct fact *count = sibling(facts, f->key, group, ".count");
            out->unknown = out->unknown || !count;
            vector_totals_add(out, f->integer, int_of(count, 0));
        } else if (ends_with(f, ".mixed", &group) && f->type == FACT_TEXT) {
            add_mixed(out, f->text);
        } else if (ends_with(f, ".count", &group) && f->type == FACT_INT && f->integer > 0 &&
                   !sibling(facts, f->key, group, ".dimension") && !sibling(facts, f->key, group, ".mixed")) {
            out->any = out->unknown = true;
            add_count(&out->count, f->integer);
        } else if (strcmp(f->key, "vectors.format") == 0) {
            out->any = true;
        }
    }
}

static bool only_has(const struct vector_totals *t, int64_t dimension)
{
    return t->dim_count == 1 && t->dims[0].dimension == dimension && t->dims_other == 0;
}

static bool counted(const struct vector_totals *t)
{
    for (size_t i = 0; i < t->dim_count; i++)
        if (t->dims[i].count > 0)
            return true;
    return false;
}

bool vector_facts_fit(const struct fact_list *facts, int64_t dimension, char *text, size_t cap)
{
    struct vector_totals t;
    char dims[VECTOR_FACTS_TEXT_BYTES];
    text[0] = '\0';
    vector_totals_of(facts, &t);
    bool untold = t.count > 0 && t.dim_count == 0;
    if (!t.any || (only_has(&t, dimension) && !untold))
        return true;
    if (t.dim_count == 0) { /* an empty file has none */
        if (t.count == 0 && fact_find(facts, "vectors.count"))
            return true;
        snprintf(text, cap, "vectors of a dimension that cannot be told");
    } else if (t.dim_count == 1) {
        snprintf(text, cap, "vectors of dimension %" PRId64, t.dims[0].dimension);
    } else {
        vector_dims_text(t.dims, t.dim_count, t.dims_other, dims, sizeof dims);
        snprintf(text, cap, "vectors of mixed dimensions%s%.200s", counted(&t) ? ", " : "", counted(&t) ? dims : "");
    }
    return false;
}

/* --- in words --- */

static const char *text_of(const struct fact_list *l, const char *key)
{
    const struct fact *f = fact_find(l, key);
    return f && f->type == FACT_TEXT ? f->text : "";
}

const char *vector_facts_text(const struct fact_list *facts, char *dst, size_t cap)
{
    struct vector_totals t;
    char dims[VECTOR_FACTS_TEXT_BYTES];
    dst[0] = '\0';
    vector_totals_of(facts, &t);
    if (!t.any)
        return dst;
    const char *format = text_of(facts, "vectors.format"), *dtype = text_of(facts, "vectors.dtype");
    const struct fact *ok = fact_find(facts, "vectors.ok");
    snprintf(dst, cap, "%.32s", *format ? format : "with embeddings");
    if (t.dim_count == 1 && t.count > 0)
        add_text(dst, cap, ", %" PRId64 " x %" PRId64, t.count, t.dims[0].dimension);
    else if (t.dim_count == 1)
        add_text(dst, cap, ", dimension %" PRId64, t.dims[0].dimension);
    else if (t.dim_count > 1)
        add_text(dst, cap, ", mixed dimensions: %.200s",
                 vector_dims_text(t.dims, t.dim_count, t.dims_other, dims, sizeof dims));
    else if (t.count > 0)
        add_text(dst, cap, ", %" PRId64 " vectors", t.count);
    if (*dtype)
        add_text(dst, cap, " %.16s", dtype);
    if (ok && ok->integer == 0)
        add_text(dst, cap, ", BROKEN: %.200s", text_of(facts, "vectors.detail"));
    int64_t expected = int_of(fact_find(facts, "vectors.expected_dimension"), 0);
    if (expected > 0)
        add_text(dst, cap, ", NOT %" PRId64 " as configured", expected);
    return dst;
}

static void tell(char *text, size_t cap, const char *what, const struct fact *a, const struct fact *b)
{
    add_text(text, cap, "%s%s ", *text ? ", " : "", what);
    if (a && a->type == FACT_INT && b && b->type == FACT_INT)
        add_text(text, cap, "was %" PRId64 " and is %" PRId64, a->integer, b->integer);
    else if (a && a->type == FACT_TEXT && b && b->type == FACT_TEXT)
        add_text(text, cap, "was %.100s and is %.100s", a->text, b->text);
    else
        add_text(text, cap, "%s", b ? "is told in another way" : "was told and is not");
}

bool vector_facts_agree(const struct fact_list *captured, const struct fact_list *seen, char *text, size_t cap)
{
    static const struct {
        const char *key, *what;
    } compared[] = {{"vectors.format", "the format"},
                    {"vectors.dimension", "the dimension"},
                    {"vectors.mixed", "the dimensions"},
                    {"vectors.count", "the number of vectors"}};
    bool agree = true;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof compared / sizeof *compared; i++) {
        const struct fact *a = fact_find(captured, compared[i].key), *b = fact_find(seen, compared[i].key);
        if (!a || (b && fact_equal(a, b)))
            continue;
        agree = false;
        tell(text, cap, compared[i].what, a, b);
    }
    return agree;
}
