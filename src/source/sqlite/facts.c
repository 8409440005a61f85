#include "source/sqlite/facts.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "chunk/seal.h"
#include "source/sqlite/header.h"
#include "source/sqlite/vectors.h"

enum {
    CHECK_MESSAGES = 100,
    STUBS_MAX = 256,
    CHECK_CACHE_KIB = 16 * 1024,
    ROWS_BUDGET_BYTES = FACTS_MAX_BYTES / 2, /* of encoded facts, for counts of rows */
    TEXT_MAX = 1024,
};

/* Messages joined by "; ", cut at the end. */
struct text {
    char b[TEXT_MAX];
    size_t len;
};

static void text_add(struct text *t, const char *s)
{
    size_t room = sizeof t->b - t->len;
    int n = snprintf(t->b + t->len, room, "%s%s", t->len ? "; " : "", s ? s : "(no text)");

    if (n > 0)
        t->len = (size_t)n < room ? t->len + (size_t)n : sizeof t->b - 1;
}

static int compare_bytes(void *arg, int a_len, const void *a, int b_len, const void *b)
{
    int n = a_len < b_len ? a_len : b_len;
    int c = n > 0 ? memcmp(a, b, (size_t)n) : 0;

    (void)arg;
    return c != 0 ? c : (a_len > b_len) - (a_len < b_len);
}

static void need_collation(void *arg, sqlite3 *db, int encoding, const char *name)
{
    if (arg)
        ++*(unsigned *)arg;
    (void)sqlite3_create_collation_v2(db, name, encoding, NULL, compare_bytes, NULL);
}

static void stub_function(sqlite3_context *c, int n, sqlite3_value **values)
{
    (void)n;
    (void)values;
    sqlite3_result_null(c);
}

void facts_prepare_connection(sqlite3 *db)
{
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    (void)sqlite3_extended_result_codes(db, 1);
    (void)sqlite3_collation_needed(db, NULL, need_collation);
}

/* If the last error is an unknown function, give it a stub. */
static bool stub_missing_function(sqlite3 *db)
{
    static const char *const prefixes[] = {"no such function: ",
                                           "unknown function: "}; /* the latter with "()" behind */
    const char *message = sqlite3_errmsg(db), *at = NULL;
    char name[256];

    for (size_t i = 0; i < 2 && !at; i++) {
        at = message ? strstr(message, prefixes[i]) : NULL;
        at = at ? at + strlen(prefixes[i]) : NULL;
    }
    if (!at || strlen(at) >= sizeof name)
        return false;
    snprintf(name, sizeof name, "%s", at);
    size_t len = strlen(name);
    if (len > 2 && strcmp(name + len - 2, "()") == 0)
        name[len - 2] = '\0';
    return sqlite3_create_function_v2(db, name, -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL,
                                      stub_function, NULL, NULL, NULL) == SQLITE_OK;
}

void facts_count_stubs(sqlite3 *db, unsigned *stubs)
{
    (void)sqlite3_collation_needed(db, stubs, need_collation);
}

int facts_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, unsigned *stubs)
{
    int rc = SQLITE_ERROR;

    for (int i = 0; i < STUBS_MAX; i++) {
        rc = sqlite3_prepare_v2(db, sql, -1, out, NULL);
        if (rc == SQLITE_OK || !stub_missing_function(db))
            break;
        ++*stubs;
    }
    return rc;
}

static int prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out)
{
    unsigned stubs = 0;
    return facts_prepare(db, sql, out, &stubs);
}

/* Does a failure of a statement mean that the file is damaged? A schema that this version cannot parse is
 * SQLITE_CORRUPT too, but may be of a newer version or need a module. */
bool facts_means_damage(sqlite3 *db, int rc)
{
    const char *message = sqlite3_errmsg(db);

    if ((rc & 0xff) == SQLITE_NOTADB)
        return true;
    if ((rc & 0xff) != SQLITE_CORRUPT)
        return false;
    return !(strstr(message, "malformed database schema") &&
             (strstr(message, "syntax error") || strstr(message, "no such ") || strstr(message, "unknown ") ||
              strstr(message, "unrecognized token")));
}

bool facts_is_constraint_message(const char *m)
{
    return strncmp(m, "CHECK constraint failed", 23) == 0 || strncmp(m, "NULL value in ", 14) == 0 ||
           strncmp(m, "NUMERIC value in ", 17) == 0 || strncmp(m, "TEXT value in ", 14) == 0 ||
           (strncmp(m, "non-", 4) == 0 && strstr(m, " value in ")) || strncmp(m, "non-unique entry", 16) == 0;
}

struct findings {
    struct text damage, unchecked, notes;
    bool damaged, uncheckable;
};

static void note_failure(sqlite3 *db, int rc, struct findings *f)
{
    if (facts_means_damage(db, rc)) {
        f->damaged = true;
        text_add(&f->damage, sqlite3_errmsg(db));
    } else {
        f->uncheckable = true;
        text_add(&f->unchecked, sqlite3_errmsg(db));
    }
}

static void quick_check(sqlite3 *db, struct findings *f)
{
    sqlite3_stmt *s = NULL;
    char sql[48];

    snprintf(sql, sizeof sql, "PRAGMA quick_check(%d)", CHECK_MESSAGES);
    int rc = prepare(db, sql, &s);
    if (rc != SQLITE_OK) {
        note_failure(db, rc, f);
        return;
    }
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        const char *m = (const char *)sqlite3_column_text(s, 0);
        if (!m || strcmp(m, "ok") == 0)
            continue;
        if (facts_is_constraint_message(m)) {
            text_add(&f->notes, m);
        } else {
            f->damaged = true;
            text_add(&f->damage, m);
        }
    }
    if (rc != SQLITE_DONE)
        note_failure(db, rc, f);
    sqlite3_finalize(s);
}

static void hash_column(struct hasher *h, sqlite3_stmt *s, int column, bool *ok)
{
    const void *data = sqlite3_column_blob(s, column);
    uint64_t len = (uint64_t)sqlite3_column_bytes(s, column);
    uint8_t head[9] = {sqlite3_column_type(s, column) == SQLITE_NULL};

    for (int i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)(len >> (8 * i));
    *ok = *ok && hasher_update(h, head, sizeof head, NULL) == ERR_OK &&
          (len == 0 || hasher_update(h, data, len, NULL) == ERR_OK);
}

/* SHA-256 over the rows of the schema in order, each column as u8 is-null, u64 length, bytes. Root pages are left out:
 * they move in a VACUUM. */
static enum errc schema_digest(sqlite3 *db, struct findings *f, struct fact_list *list, struct err *err)
{
    static const char sql[] = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name, tbl_name, sql";
    sqlite3_stmt *s = NULL;
    struct hasher *h = NULL;
    struct digest d;
    char hex[2 * DIGEST_BYTES + 1];
    bool ok = true;
    int rc = prepare(db, sql, &s);

    if (rc != SQLITE_OK) {
        note_failure(db, rc, f);
        return ERR_OK;
    }
    enum errc e = hasher_new(&h, err);
    if (e == ERR_OK) {
        while ((rc = sqlite3_step(s)) == SQLITE_ROW)
            for (int i = 0; i < 4; i++)
                hash_column(h, s, i, &ok);
        if (rc != SQLITE_DONE)
            note_failure(db, rc, f);
        else if (ok && hasher_final(h, &d, NULL) == ERR_OK)
            e = fact_set_text(list, "schema_digest", hex_encode(hex, d.b, sizeof d.b), err);
    }
    hasher_free(h);
    sqlite3_finalize(s);
    return e;
}

/* One table; *rows_out -1 when it cannot be counted. */
static void count_rows(sqlite3 *db, const char *table, struct findings *f, int64_t *rows_out)
{
    sqlite3_stmt *s = NULL;
    char *sql = sqlite3_mprintf("SELECT count(*) FROM \"%w\"", table);
    int rc = sql ? prepare(db, sql, &s) : SQLITE_NOMEM;

    *rows_out = -1;
    if (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        *rows_out = sqlite3_column_int64(s, 0);
    } else if (facts_means_damage(db, rc)) {
        note_failure(db, rc, f);
    } else {
        char note[300];
        snprintf(note, sizeof note, "table %.100s: %.180s", table, sqlite3_errmsg(db));
        text_add(&f->notes, note);
    }
    sqlite3_finalize(s);
    sqlite3_free(sql);
}

static enum errc row_counts(sqlite3 *db, struct findings *f, struct fact_list *list, struct err *err)
{
    sqlite3_stmt *s = NULL;
    size_t used = 0;
    int64_t omitted = 0, rows;
    enum errc e = ERR_OK;

    if (prepare(db,
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
                " ORDER BY name",
                &s) != SQLITE_OK)
        return ERR_OK; /* said by schema_digest */
    while (e == ERR_OK && sqlite3_step(s) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(s, 0);
        char key[512];
        if (!name)
            continue;
        int n = snprintf(key, sizeof key, "rows.%s", name);
        if ((size_t)n >= sizeof key || used + (size_t)n + 16 > ROWS_BUDGET_BYTES) {
            omitted++;
            continue;
        }
        count_rows(db, name, f, &rows);
        if (rows >= 0) {
            used += (size_t)n + 16;
            e = fact_set_int(list, key, rows, err);
        }
    }
    sqlite3_finalize(s);
    if (e == ERR_OK && omitted > 0)
        e = fact_set_int(list, "rows_omitted", omitted, err);
    return e;
}

static enum errc header_facts(const uint8_t *page1, uint64_t page_count, struct fact_list *list, struct err *err)
{
    static const char *const encodings[] = {"none", "UTF-8", "UTF-16le", "UTF-16be"};
    struct db_header h = {0};

    if (page1 && !db_header_parse(page1, DB_HEADER_BYTES, &h))
        return ERR_OK;
    enum errc e = fact_set_int(list, "page_size", h.page_size, err);
    if (e == ERR_OK)
        e = fact_set_int(list, "page_count", (int64_t)page_count, err);
    if (e == ERR_OK)
        e = fact_set_int(list, "freelist_count", h.freelist_count, err);
    if (e == ERR_OK)
        e = fact_set_int(list, "user_version", (int32_t)h.user_version, err);
    if (e == ERR_OK)
        e = fact_set_int(list, "application_id", (int32_t)h.application_id, err);
    if (e == ERR_OK)
        e = fact_set_text(list, "encoding", h.encoding < 4 ? encodings[h.encoding] : "unknown", err);
    if (e == ERR_OK)
        e = fact_set_text(list, "journal_mode", h.wal ? "wal" : "rollback", err);
    return e;
}

static enum errc verdict_facts(const struct findings *f, struct facts_result *out, struct err *err)
{
    char text[TEXT_MAX + 32];
    enum errc e;

    if (f->damaged)
        snprintf(text, sizeof text, "damaged: %s", f->damage.b);
    else if (f->uncheckable)
        snprintf(text, sizeof text, "not checkable: %s", f->unchecked.b);
    else
        snprintf(text, sizeof text, "ok");
    out->damaged = f->damaged;
    snprintf(out->damage, sizeof out->damage, "%.*s", (int)sizeof out->damage - 1, f->damage.b);
    e = fact_set_text(&out->list, "quick_check", text, err);
    if (e == ERR_OK && f->notes.len > 0)
        e = fact_set_text(&out->list, "quick_check_notes", f->notes.b, err);
    return e;
}

enum errc facts_collect(sqlite3 *db, const uint8_t *page1, uint64_t page_count, bool vectors, struct facts_result *out,
                        struct err *err)
{
    struct findings f = {0};
    char sql[64];

    *out = (struct facts_result){0};
    snprintf(sql, sizeof sql, "PRAGMA cache_size = -%d", CHECK_CACHE_KIB);
    (void)sqlite3_exec(db, sql, NULL, NULL, NULL);
    /* A connection that only reads does not know CHECK constraints, one in WAL mode does: the same facts from both. It
     * also keeps expressions of other people from being run. */
    (void)sqlite3_exec(db, "PRAGMA ignore_check_constraints = 1", NULL, NULL, NULL);
    enum errc e = header_facts(page1, page_count, &out->list, err);
    if (e == ERR_OK)
        quick_check(db, &f);
    if (e == ERR_OK)
        e = schema_digest(db, &f, &out->list, err);
    if (e == ERR_OK)
        e = row_counts(db, &f, &out->list, err);
    if (e == ERR_OK)
        e = verdict_facts(&f, out, err);
    if (e == ERR_OK && vectors && !f.damaged)
        e = vectors_collect(db, &out->list, err);
    return e;
}
