#include "source/sqlite/vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "source/sqlite/facts.h"

enum { BUDGET_BYTES = FACTS_MAX_BYTES / 4 * 3, KEY_MAX = 600, MODULE_TABLES_MAX = 256 };

sqlite3_stmt *vectors_prepare(sqlite3 *db, char *sql)
{
    sqlite3_stmt *s = NULL;
    unsigned stubs = 0;
    if (sql && facts_prepare(db, sql, &s, &stubs) != SQLITE_OK) {
        sqlite3_finalize(s);
        s = NULL;
    }
    sqlite3_free(sql);
    return s;
}

bool vectors_ask(sqlite3 *db, char *sql, int64_t *out)
{
    sqlite3_stmt *s = vectors_prepare(db, sql);
    bool has = s && sqlite3_step(s) == SQLITE_ROW && sqlite3_column_type(s, 0) == SQLITE_INTEGER;
    if (has)
        *out = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return has;
}

/* False, and counted, when there is no room. */
static bool make_key(struct vectors_found *f, char key[KEY_MAX], const char *table, const char *column,
                     const char *what, size_t value_bytes)
{
    int n = column ? snprintf(key, KEY_MAX, "vectors.%s.%s.%s", table, column, what)
                   : snprintf(key, KEY_MAX, "vectors.%s.%s", table, what);
    bool fits = n > 0 && n < KEY_MAX && f->list->encoded_bytes + (size_t)n + value_bytes + 16 <= BUDGET_BYTES;
    f->omitted += !fits;
    return fits;
}

enum errc vectors_put_int(struct vectors_found *f, const char *table, const char *column, const char *what, int64_t v)
{
    char key[KEY_MAX];
    return make_key(f, key, table, column, what, 10) ? fact_set_int(f->list, key, v, f->err) : ERR_OK;
}

enum errc vectors_put_text(struct vectors_found *f, const char *table, const char *column, const char *what,
                           const char *text)
{
    char key[KEY_MAX];
    return make_key(f, key, table, column, what, strlen(text)) ? fact_set_text(f->list, key, text, f->err) : ERR_OK;
}

/* --- Chroma: the table collections, whose vectors lie in files beside the database --- */

static enum errc collect_chroma(struct vectors_found *f)
{
    static const char sql[] =
        "SELECT c.name, c.dimension, (SELECT count(*) FROM embeddings e JOIN segments s ON e.segment_id = s.id"
        " WHERE s.collection = c.id) FROM collections c ORDER BY c.name";
    sqlite3_stmt *s = vectors_prepare(f->db, sqlite3_mprintf("%s", sql));
    enum errc rc = ERR_OK;
    while (s && rc == ERR_OK && sqlite3_step(s) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(s, 0);
        if (!name)
            continue;
        if (sqlite3_column_type(s, 1) == SQLITE_INTEGER) /* NULL before the first vector */
            rc = vectors_put_int(f, "collections", name, "dimension", sqlite3_column_int64(s, 1));
        if (rc == ERR_OK)
            rc = vectors_put_int(f, "collections", name, "count", sqlite3_column_int64(s, 2));
    }
    sqlite3_finalize(s);
    return rc;
}

/* --- tables --- */

struct names {
    char *names[MODULE_TABLES_MAX];
    size_t count;
};

static bool is_kept_by_vec0(const struct names *n, const char *table)
{
    for (size_t i = 0; i < n->count; i++)
        if (vec0_is_shadow(n->names[i], table))
            return true;
    return false;
}

static enum errc collect_vec0(struct vectors_found *f, struct names *n)
{
    sqlite3_stmt *s = vectors_prepare(
        f->db, sqlite3_mprintf("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND rootpage = 0"
                               " AND sql LIKE '%%vec0%%' ORDER BY name"));
    enum errc rc = ERR_OK;
    while (s && rc == ERR_OK && n->count < MODULE_TABLES_MAX && sqlite3_step(s) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(s, 0), *sql = (const char *)sqlite3_column_text(s, 1);
        if (!name || !sql || !vec0_is(sql))
            continue;
        char *copy = strdup(name);
        if (!copy) {
            rc = err_fail(f->err, ERR_NO_MEMORY, "out of memory");
            break;
        }
        n->names[n->count++] = copy;
        rc = vec0_collect(f, name, sql);
    }
    sqlite3_finalize(s);
    return rc;
}

static enum errc collect_tables(struct vectors_found *f, const struct names *kept)
{
    sqlite3_stmt *s =
        vectors_prepare(f->db, sqlite3_mprintf("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0"
                                               " AND name NOT LIKE 'sqlite!_%%' ESCAPE '!' ORDER BY name"));
    enum errc rc = ERR_OK;
    while (s && rc == ERR_OK && sqlite3_step(s) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(s, 0);
        if (name && !is_kept_by_vec0(kept, name))
            rc = vectors_columns(f, name);
    }
    sqlite3_finalize(s);
    return rc;
}

enum errc vectors_collect(sqlite3 *db, struct fact_list *list, struct err *err)
{
    struct vectors_found f = {.db = db, .list = list, .err = err};
    struct names kept = {.count = 0};
    enum errc rc = collect_vec0(&f, &kept);
    if (rc == ERR_OK)
        rc = collect_chroma(&f);
    if (rc == ERR_OK)
        rc = chroma_segments_collect(&f);
    if (rc == ERR_OK)
        rc = collect_tables(&f, &kept);
    for (size_t i = 0; i < kept.count; i++)
        free(kept.names[i]);
    if (rc == ERR_OK && f.omitted > 0)
        rc = fact_set_int(list, "vectors_omitted", f.omitted, err);
    return rc;
}
