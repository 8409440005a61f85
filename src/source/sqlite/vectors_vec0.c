/* Tables of sqlite-vec. What it keeps (its source, sqlite-vec.c, "shadow tables"): <t>_rowids has a row for each
 * vector; <t>_chunks has a row for each chunk of size slots, with a bitmap of those in use; <t>_vector_chunksNN has one
 * BLOB for each chunk, of the NNth vector column. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "source/sqlite/vectors.h"

enum { COLUMNS_MAX = 16, COLUMN_NAME_BYTES = 128, COUNTED_MAX_BYTES = 1 << 20 };

static const char *spaces(const char *p)
{
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

/* Behind a word, in any case; NULL when it is another. */
static const char *word(const char *p, const char *w)
{
    size_t n = strlen(w);
    return strncasecmp(p, w, n) == 0 && !isalnum((unsigned char)p[n]) && p[n] != '_' ? p + n : NULL;
}

/* Behind the "(" of the arguments. */
static const char *arguments(const char *sql)
{
    const char *p = word(sql, "CREATE");
    p = p ? word(spaces(p), "VIRTUAL") : NULL;
    p = p ? strcasestr(p, "USING") : NULL;
    for (; p; p = strcasestr(p + 1, "USING")) {
        const char *at = word(spaces(p + strlen("USING")), "vec0");
        if (at && *(at = spaces(at)) == '(')
            return at + 1;
    }
    return NULL;
}

bool vec0_is(const char *sql)
{
    return arguments(sql) != NULL;
}

bool vec0_is_shadow(const char *table, const char *name)
{
    static const char *const ends[] = {"_info",           "_chunks",       "_rowids",   "_vector_chunks",
                                       "_metadatachunks", "_metadatatext", "_auxiliary"};
    size_t n = strlen(table);
    if (strncasecmp(table, name, n) != 0)
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t len = strlen(ends[i]);
        if (strncmp(name + n, ends[i], len) == 0 && strspn(name + n + len, "0123456789") == strlen(name + n + len))
            return true;
    }
    return false;
}

struct column {
    char name[COLUMN_NAME_BYTES];
    enum vector_dtype dtype;
    int64_t dimension;
};

/* "embedding float[768] ..." */
static bool parse_column(const char *p, struct column *c)
{
    static const struct {
        const char *word;
        enum vector_dtype dtype;
    } types[] = {
        {"float", VECTOR_F32}, {"f32", VECTOR_F32}, {"int8", VECTOR_I8}, {"i8", VECTOR_I8}, {"bit", VECTOR_BIT}};
    size_t n = 0;
    p = spaces(p);
    while (isalnum((unsigned char)p[n]) || p[n] == '_' || (p[n] & 0x80))
        n++;
    if (n == 0 || n >= sizeof c->name)
        return false;
    memcpy(c->name, p, n);
    c->name[n] = '\0';
    p = spaces(p + n);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const char *at = word(p, types[i].word);
        if (!at || *(at = spaces(at)) != '[')
            continue;
        char *end;
        c->dtype = types[i].dtype;
        at = spaces(at + 1);
        c->dimension = isdigit((unsigned char)*at) ? strtoll(at, &end, 10) : 0;
        return c->dimension > 0 && c->dimension <= VECTOR_DIMENSION_MAX && *spaces(end) == ']';
    }
    return false;
}

/* Behind this argument's comma; NULL at the last. */
static const char *next_argument(const char *p)
{
    int depth = 0;
    for (; *p; p++) {
        if (*p == '\'' || *p == '"') {
            const char *end = strchr(p + 1, *p);
            if (!end)
                return NULL;
            p = end;
        } else if (*p == '(' || *p == '[') {
            depth++;
        } else if ((*p == ')' || *p == ']') && depth-- == 0) {
            return NULL;
        } else if (*p == ',' && depth == 0) {
            return p + 1;
        }
    }
    return NULL;
}

/* Slots in use, by the bitmaps. */
static bool count_valid(sqlite3 *db, const char *table, int64_t *out)
{
    sqlite3_stmt *s =
        vectors_prepare(db, sqlite3_mprintf("SELECT CASE WHEN typeof(validity) = 'blob' AND length(validity) <= %d"
                                            " THEN validity END FROM \"%w_chunks\"",
                                            COUNTED_MAX_BYTES, table));
    int rc = SQLITE_ERROR;
    *out = 0;
    while (s && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        const uint8_t *bits = sqlite3_column_blob(s, 0);
        int len = sqlite3_column_bytes(s, 0);
        for (int i = 0; bits && i < len; i++)
            *out += __builtin_popcount(bits[i]);
    }
    sqlite3_finalize(s);
    return rc == SQLITE_DONE;
}

/* Chunks whose BLOB of this column is missing or of another size. */
static bool count_misfits(sqlite3 *db, const char *table, const struct column *c, unsigned n, int64_t *out)
{
    int64_t bits = (c->dtype == VECTOR_BIT ? 1 : 8 * (int64_t)vector_dtype_bytes(c->dtype)) * c->dimension;
    return vectors_ask(db,
                       sqlite3_mprintf("SELECT count(*) FROM \"%w_chunks\" c LEFT JOIN \"%w_vector_chunks%02u\" v"
                                       " ON v.rowid = c.chunk_id WHERE typeof(v.vectors) <> 'blob'"
                                       " OR length(v.vectors) <> c.size * %lld",
                                       table, table, n, (long long)((bits + 7) / 8)),
                       out);
}

static enum errc put_column(struct vectors_found *f, const char *table, const struct column *c, int64_t rows)
{
    enum errc rc = vectors_put_text(f, table, c->name, "dtype", vector_dtype_name(c->dtype));
    if (rc == ERR_OK)
        rc = vectors_put_int(f, table, c->name, "dimension", c->dimension);
    if (rc == ERR_OK && rows >= 0)
        rc = vectors_put_int(f, table, c->name, "count", rows);
    return rc;
}

enum errc vec0_collect(struct vectors_found *f, const char *table, const char *sql)
{
    char text[200] = "";
    struct column c;
    unsigned n = 0;
    enum errc rc = ERR_OK;
    int64_t rows = -1, valid, misfits;
    (void)vectors_ask(f->db, sqlite3_mprintf("SELECT count(*) FROM \"%w_rowids\"", table), &rows);
    for (const char *p = arguments(sql); p && rc == ERR_OK && n < COLUMNS_MAX; p = next_argument(p)) {
        if (!parse_column(p, &c))
            continue;
        rc = put_column(f, table, &c, rows);
        if (count_misfits(f->db, table, &c, n, &misfits) && misfits > 0 && !*text)
            snprintf(text, sizeof text, "%.100s: %lld chunks lack their vectors or are of another size", c.name,
                     (long long)misfits);
        n++;
    }
    if (rows >= 0 && count_valid(f->db, table, &valid) && valid != rows && !*text)
        snprintf(text, sizeof text, "%lld rows, but %lld slots of the chunks are in use", (long long)rows,
                 (long long)valid);
    return rc == ERR_OK && *text ? vectors_put_text(f, table, NULL, "differs", text) : rc;
}
