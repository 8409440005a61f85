#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "source/sqlite/vectors.h"
#include "source/vectors/json_scan.h"

enum {
    SAMPLE_ROWS = 64,          /* from each end of the table */
    SAMPLE_BLOB_MAX = 4 << 20, /* a longer one is no vector */
    SAMPLE_BLOB_MIN = 8,
    STRANGERS_MAX = 8, /* values that are no vectors, until the column is given up */
    ELEMENTS_MIN = 64, /* of a sample, when the column's name tells nothing */
    COLUMNS_MAX = 256, /* of a table that are looked at */
    LENGTHS_MAX = 64,  /* told apart */
    MIXED_MAX = 16,    /* dimensions named in a fact */
};

struct lengths {
    int64_t length[LENGTHS_MAX], count[LENGTHS_MAX], other;
    size_t n;
};

static void add_length(struct lengths *l, int64_t length)
{
    size_t i = 0;
    while (i < l->n && l->length[i] != length)
        i++;
    if (i == LENGTHS_MAX) {
        l->other++;
        return;
    }
    if (i == l->n) {
        l->length[l->n] = length;
        l->count[l->n++] = 0;
    }
    l->count[i]++;
}

/* --- which columns --- */

/* A type that holds neither BLOBs nor texts. Columns without a type, or of one that says nothing, are looked at. */
static bool is_of_another_type(const char *type)
{
    static const char *const words[] = {"INT", "REAL", "DOUB", "BOOL", "DATE", "TIME", "NUM", "DEC"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(type, words[i]))
            return true;
    return false;
}

static bool is_likely(const char *name)
{
    static const char *const words[] = {"vec", "vecs", "emb", "embs"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(name, words[i]) == 0)
            return true;
    return strcasestr(name, "embedding") || strcasestr(name, "vector");
}

/* --- the sample --- */

struct sample {
    bool likely;
    int64_t vectors[VECTOR_DTYPES], elements, strangers;
    struct lengths texts; /* dimensions of texts that are arrays */
    int64_t text_count;
};

static void look_at_blob(struct sample *s, const uint8_t *p, size_t len)
{
    size_t zeros = 0;
    while (zeros < len && p[zeros] == 0)
        zeros++;
    if (zeros == len) /* may be a vector, or anything */
        return;
    enum vector_dtype t = vectors_guess(p, len, s->likely);
    s->strangers += t == VECTOR_DTYPE_NONE;
    s->vectors[t]++;
    if (t != VECTOR_DTYPE_NONE)
        s->elements += (int64_t)(len / vector_dtype_bytes(t));
}

static void look_at_text(struct sample *s, const char *text, size_t len)
{
    struct json_scan *scan = NULL;
    struct json_report r = {.found = NULL};
    if (len >= SAMPLE_BLOB_MIN && *text == '[' && json_scan_new(&scan, NULL) == ERR_OK) {
        (void)json_scan_push(scan, text, len);
        json_scan_end(scan);
        json_scan_report(scan, &r);
    }
    /* An array of arrays, or of objects, is something else. */
    if (!r.fault && r.found && r.found->rest.count == 1 && r.found->named_count == 0 && text[1] != '[') {
        s->text_count++;
        add_length(&s->texts, r.found->rest.dims[0].dimension);
    } else {
        s->strangers++;
    }
    json_scan_free(scan);
}

/* Values of BLOBs of other lengths come as NULL and are not read. */
static void look_at_rows(struct sample *s, sqlite3_stmt *rows)
{
    while (rows && s->strangers < STRANGERS_MAX && sqlite3_step(rows) == SQLITE_ROW) {
        int type = sqlite3_column_type(rows, 0);
        const void *p = type == SQLITE_BLOB ? sqlite3_column_blob(rows, 0) : NULL;
        if (type == SQLITE_TEXT)
            p = sqlite3_column_text(rows, 0);
        int len = sqlite3_column_bytes(rows, 0);
        if (!p || len <= 0)
            continue;
        if (type == SQLITE_BLOB)
            look_at_blob(s, p, (size_t)len);
        else
            look_at_text(s, p, (size_t)len);
    }
    sqlite3_finalize(rows);
}

static void take_sample(sqlite3 *db, const char *table, const char *column, bool both_ends, struct sample *s)
{
    static const char sql[] =
        "SELECT CASE typeof(v) WHEN 'blob' THEN CASE WHEN length(v) BETWEEN %d AND %d THEN v END WHEN 'text' THEN v END"
        " FROM (SELECT \"%w\" AS v FROM \"%w\" %s LIMIT %d)";
    look_at_rows(
        s, vectors_prepare(db, sqlite3_mprintf(sql, SAMPLE_BLOB_MIN, SAMPLE_BLOB_MAX, column, table, "", SAMPLE_ROWS)));
    if (both_ends)
        look_at_rows(s, vectors_prepare(db, sqlite3_mprintf(sql, SAMPLE_BLOB_MIN, SAMPLE_BLOB_MAX, column, table,
                                                            "ORDER BY _rowid_ DESC", SAMPLE_ROWS)));
}

/* One type for nine in ten; a column whose name is that of vectors may hold other things in half of its rows. */
static enum vector_dtype type_of_sample(const struct sample *s)
{
    enum vector_dtype best = VECTOR_F32;
    int64_t all = s->strangers + s->text_count;
    for (enum vector_dtype t = VECTOR_DTYPE_NONE + 1; t < VECTOR_DTYPES; t++) {
        all += s->vectors[t];
        if (s->vectors[t] > s->vectors[best])
            best = t;
    }
    int64_t n = s->vectors[best];
    bool enough = s->likely ? n > 0 && n * 2 >= all : n * 10 >= all * 9 && s->elements >= ELEMENTS_MIN;
    return enough ? best : VECTOR_DTYPE_NONE;
}

/* --- what is said --- */

/* "768: 1200, 1536: 3"; bare: without the counts. */
static void name_dimensions(const struct lengths *dims, bool bare, char *text, size_t cap)
{
    struct lengths left = *dims;
    size_t len = 0;
    text[0] = '\0';
    for (size_t named = 0; named < MIXED_MAX && left.n > 0 && len < cap; named++) {
        size_t least = 0;
        for (size_t i = 1; i < left.n; i++)
            if (left.length[i] < left.length[least])
                least = i;
        int n = bare ? snprintf(text + len, cap - len, "%s%" PRId64, len ? ", " : "", left.length[least])
                     : snprintf(text + len, cap - len, "%s%" PRId64 ": %" PRId64, len ? ", " : "", left.length[least],
                                left.count[least]);
        len += n > 0 ? (size_t)n : 0;
        left.n--;
        left.length[least] = left.length[left.n];
        left.count[least] = left.count[left.n];
    }
    for (size_t i = 0; i < left.n; i++)
        left.other += left.count[i];
    if (left.other > 0 && len < cap)
        snprintf(text + len, cap - len, bare ? ", others" : ", others: %" PRId64, left.other);
}

static enum errc put_dimensions(struct vectors_found *f, const char *table, const char *column,
                                const struct lengths *dims, bool sampled)
{
    char text[800];
    if (dims->n == 1 && dims->other == 0)
        return vectors_put_int(f, table, column, "dimension", dims->length[0]);
    name_dimensions(dims, sampled, text, sizeof text);
    return dims->n > 0 ? vectors_put_text(f, table, column, "mixed", text) : ERR_OK;
}

/* The lengths of all BLOBs; length() of a column knows them from the row's header. */
static bool count_lengths(sqlite3 *db, const char *table, const char *column, unsigned bytes, struct lengths *dims,
                          int64_t *count, int64_t *odd)
{
    sqlite3_stmt *s = vectors_prepare(
        db, sqlite3_mprintf("SELECT length(\"%w\") FROM \"%w\" WHERE typeof(\"%w\") = 'blob'", column, table, column));
    int rc = SQLITE_ERROR;
    *count = *odd = 0;
    while (s && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        int64_t len = sqlite3_column_int64(s, 0);
        ++*count;
        if (len % bytes == 0)
            add_length(dims, len / bytes);
        else
            ++*odd;
    }
    sqlite3_finalize(s);
    return rc == SQLITE_DONE;
}

static enum errc put_blobs(struct vectors_found *f, const char *table, const char *column, enum vector_dtype t)
{
    struct lengths dims = {.n = 0};
    int64_t count, odd;
    if (!count_lengths(f->db, table, column, vector_dtype_bytes(t), &dims, &count, &odd))
        return ERR_OK;
    enum errc rc = vectors_put_text(f, table, column, "dtype", vector_dtype_name(t));
    if (rc == ERR_OK)
        rc = vectors_put_int(f, table, column, "count", count - odd);
    if (rc == ERR_OK)
        rc = put_dimensions(f, table, column, &dims, false);
    if (rc == ERR_OK && odd > 0)
        rc = vectors_put_int(f, table, column, "odd", odd);
    return rc;
}

/* --- all texts --- */

/* The texts of a column as lines of one scan, which is begun anew where it has to be. */
struct texts {
    struct json_scan *scan;
    uint64_t lines;                /* of the scan */
    int64_t seen[VECTOR_DIMS_MAX]; /* of its dimensions */
    struct lengths dims;
    int64_t count, odd;
};

static enum errc begin_lines(struct texts *t, struct err *err)
{
    /* Without a line like this short vectors, and a single one of integers, would not be taken for vectors. */
    static const char telling[] = "[0.5,0,0,0,0,0,0,0]\n";
    json_scan_free(t->scan);
    t->scan = NULL;
    enum errc rc = json_scan_new(&t->scan, err);
    memset(t->seen, 0, sizeof t->seen);
    t->lines = t->seen[0] = 1;
    if (rc == ERR_OK)
        (void)json_scan_push(t->scan, telling, sizeof telling - 1);
    return rc;
}

/* A line, which is one array with none within; false: it is something else. */
static bool take_line(struct texts *t, const char *line, size_t len, bool *is_spent)
{
    struct json_report r;
    bool is_vector = false, is_sound = json_scan_push(t->scan, line, len) && json_scan_push(t->scan, "\n", 1);
    json_scan_report(t->scan, &r);
    *is_spent = !is_sound || r.texts != ++t->lines;
    if (*is_spent || !r.found)
        return false;
    for (size_t i = 0; i < r.found->rest.dim_count; i++)
        if (r.found->rest.dims[i].count != t->seen[i]) {
            t->seen[i] = r.found->rest.dims[i].count;
            add_length(&t->dims, r.found->rest.dims[i].dimension);
            is_vector = true;
        }
    *is_spent = r.found->rest.dim_count == VECTOR_DIMS_MAX; /* the next might not be told apart */
    return is_vector;
}

/* text ends with a NUL. */
static enum errc count_text(struct texts *t, const char *text, size_t len, struct err *err)
{
    static const char space[] = " \t\r\n";
    const char *line = text + strspn(text, space), *end = text + len;
    const char *close = line < end && *line == '[' ? memchr(line, ']', (size_t)(end - line)) : NULL;
    bool is_spent = false, is_one = close && close + 1 + strspn(close + 1, space) == end;
    is_one = is_one && !memchr(line + 1, '[', (size_t)(close - line) - 1);
    if (is_one && take_line(t, line, (size_t)(close - line) + 1, &is_spent))
        t->count++;
    else
        t->odd++;
    return is_spent ? begin_lines(t, err) : ERR_OK;
}

/* Each text is read and looked at; *whole_out false: not all could be. */
static enum errc count_texts(struct vectors_found *f, const char *table, const char *column, struct texts *t,
                             bool *whole_out)
{
    int step = SQLITE_ERROR;
    *t = (struct texts){.scan = NULL};
    enum errc rc = begin_lines(t, f->err);
    sqlite3_stmt *s = vectors_prepare(
        f->db, sqlite3_mprintf("SELECT \"%w\" FROM \"%w\" WHERE typeof(\"%w\") = 'text'", column, table, column));
    while (s && rc == ERR_OK && (step = sqlite3_step(s)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(s, 0);
        if (!text) /* no memory for it */
            break;
        rc = count_text(t, text, (size_t)sqlite3_column_bytes(s, 0), f->err);
    }
    sqlite3_finalize(s);
    json_scan_free(t->scan);
    t->scan = NULL;
    *whole_out = step == SQLITE_DONE;
    return rc;
}

static enum errc put_texts(struct vectors_found *f, const char *table, const char *column, const struct lengths *sample)
{
    struct texts t;
    bool is_whole;
    enum errc rc = count_texts(f, table, column, &t, &is_whole);
    if (rc == ERR_OK)
        rc = vectors_put_text(f, table, column, "dtype", "json");
    if (rc == ERR_OK)
        rc = put_dimensions(f, table, column, is_whole ? &t.dims : sample, !is_whole);
    if (rc == ERR_OK)
        rc = vectors_put_int(f, table, column, is_whole ? "count" : "sampled", is_whole ? t.count : 1);
    if (rc == ERR_OK && is_whole && t.odd > 0)
        rc = vectors_put_int(f, table, column, "odd", t.odd);
    return rc;
}

static enum errc look_at_column(struct vectors_found *f, const char *table, const char *column, bool both_ends)
{
    struct sample s = {.likely = is_likely(column)};
    take_sample(f->db, table, column, both_ends, &s);
    enum vector_dtype t = type_of_sample(&s);
    if (t != VECTOR_DTYPE_NONE)
        return put_blobs(f, table, column, t);
    if (s.text_count == 0 || s.text_count * 10 < (s.text_count + s.strangers) * (s.likely ? 5 : 9))
        return ERR_OK;
    return put_texts(f, table, column, &s.texts);
}

enum errc vectors_columns(struct vectors_found *f, const char *table)
{
    /* Generated columns are not among these: their expressions are other people's. */
    sqlite3_stmt *s =
        vectors_prepare(f->db, sqlite3_mprintf("SELECT name, type, (SELECT count(*) = 0 FROM pragma_table_info(%Q)"
                                               " WHERE name LIKE '!_rowid!_' ESCAPE '!') FROM pragma_table_info(%Q)"
                                               " LIMIT %d",
                                               table, table, COLUMNS_MAX));
    enum errc rc = ERR_OK;
    while (s && rc == ERR_OK && sqlite3_step(s) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(s, 0), *type = (const char *)sqlite3_column_text(s, 1);
        /* A column that has the row number's name would have to be sorted by. */
        if (name && (is_likely(name) || !type || !is_of_another_type(type)))
            rc = look_at_column(f, table, name, sqlite3_column_int(s, 2) != 0);
    }
    sqlite3_finalize(s);
    return rc;
}
