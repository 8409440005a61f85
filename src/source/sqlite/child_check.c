/* Check: integrity_check and foreign_key_check of a stored image, whose blocks the parent brings. */
#include "source/sqlite/child.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source/sqlite/facts.h"
#include "source/sqlite/image.h"
#include "source/sqlite/stored.h"

enum { MESSAGES_MAX = 100, TEXT_BYTES = 800, NO_BLOCK = 0 };

struct blocks {
    uint64_t size, slots;
    uint64_t *tags; /* of each slot: block + 1, or NO_BLOCK */
};

/* --- the image ------------------------------------------------------------------------------------------------------
 */

static bool bring(struct blocks *b, uint64_t block)
{
    uint8_t answer = 1;
    ssize_t n;

    if (!frame_send(CHILD_OUT_FD, FRAME_NEED, &block, sizeof block))
        return false;
    do
        n = read(STDIN_FILENO, &answer, 1);
    while (n < 0 && errno == EINTR);
    b->tags[block % b->slots] = n == 1 && answer == 0 ? block + 1 : NO_BLOCK;
    return n == 1 && answer == 0;
}

static bool read_block(struct blocks *b, uint64_t block, size_t from, uint8_t *dst, size_t len)
{
    uint64_t slot = block % b->slots;
    size_t got = 0;

    if (b->tags[slot] != block + 1 && !bring(b, block))
        return false;
    while (got < len) {
        ssize_t n = pread(CHILD_IMAGE_FD, dst + got, len - got, (off_t)(slot * STORED_BLOCK_BYTES + from + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

static bool blocks_read(void *arg, void *dst, size_t len, uint64_t offset)
{
    uint8_t *to = dst;

    while (len > 0) {
        size_t from = (size_t)(offset % STORED_BLOCK_BYTES), part = STORED_BLOCK_BYTES - from;
        if (part > len)
            part = len;
        if (!read_block(arg, offset / STORED_BLOCK_BYTES, from, to, part))
            return false;
        to += part;
        offset += part;
        len -= part;
    }
    return true;
}

static bool blocks_size(void *arg, uint64_t *out)
{
    *out = ((const struct blocks *)arg)->size;
    return true;
}

/* --- the checks ------------------------------------------------------------------------------------------------------
 */

struct text {
    char b[TEXT_BYTES];
    size_t len;
};

static void text_add(struct text *t, const char *s)
{
    size_t room = sizeof t->b - t->len;
    int n = snprintf(t->b + t->len, room, "%s%s", t->len ? "; " : "", s ? s : "(no text)");

    if (n > 0)
        t->len = (size_t)n < room ? t->len + (size_t)n : sizeof t->b - 1;
}

struct result {
    struct text damage, unchecked, notes;
    bool damaged, uncheckable;
    int64_t violations;
    unsigned stubs;
};

/* Whether an index agrees with its table is not to be told when an order or an expression was a stub's. */
static bool is_about_an_index(const char *m)
{
    return strstr(m, " missing from index ") || strncmp(m, "wrong # of entries in index ", 28) == 0 ||
           strstr(m, "rowid not at end-of-record for row ") || strstr(m, " values differ from index ");
}

static void take_message(struct result *r, const char *m)
{
    if (facts_is_constraint_message(m)) {
        text_add(&r->notes, m);
    } else if (r->stubs > 0 && is_about_an_index(m)) {
        if (!r->uncheckable)
            text_add(&r->unchecked, "an index needs a collation or function that its program brings along");
        r->uncheckable = true;
    } else {
        r->damaged = true;
        text_add(&r->damage, m);
    }
}

static void take_failure(struct result *r, sqlite3 *db, int rc)
{
    if (facts_means_damage(db, rc)) {
        r->damaged = true;
        text_add(&r->damage, sqlite3_errmsg(db));
    } else {
        r->uncheckable = true;
        text_add(&r->unchecked, sqlite3_errmsg(db));
    }
}

static void integrity(sqlite3 *db, struct result *r)
{
    sqlite3_stmt *s = NULL;
    char sql[48];

    snprintf(sql, sizeof sql, "PRAGMA integrity_check(%d)", MESSAGES_MAX);
    int rc = facts_prepare(db, sql, &s, &r->stubs);
    if (rc != SQLITE_OK) {
        take_failure(r, db, rc);
        return;
    }
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        const char *m = (const char *)sqlite3_column_text(s, 0);
        if (!m || strcmp(m, "ok") != 0)
            take_message(r, m ? m : "(no text)");
    }
    if (rc != SQLITE_DONE)
        take_failure(r, db, rc);
    sqlite3_finalize(s);
}

/* A reference that cannot be looked up at all (the parent's table or its index is missing) is a note. */
static void foreign_keys(sqlite3 *db, struct result *r)
{
    sqlite3_stmt *s = NULL;
    int rc = facts_prepare(db, "PRAGMA foreign_key_check", &s, &r->stubs);

    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(s);
        if (rc == SQLITE_ROW && r->violations++ == 0) {
            char note[300];
            const char *child = (const char *)sqlite3_column_text(s, 0);
            const char *parent = (const char *)sqlite3_column_text(s, 2);
            snprintf(note, sizeof note, "foreign keys: row %lld of %.100s refers to nothing in %.100s",
                     (long long)sqlite3_column_int64(s, 1), child ? child : "?", parent ? parent : "?");
            text_add(&r->notes, note);
        }
    }
    if (rc != SQLITE_DONE && facts_means_damage(db, rc)) {
        take_failure(r, db, rc);
    } else if (rc != SQLITE_DONE) {
        char note[300];
        snprintf(note, sizeof note, "foreign keys not checked: %.200s", sqlite3_errmsg(db));
        text_add(&r->notes, note);
    }
    sqlite3_finalize(s);
}

static void prepare_connection(sqlite3 *db, struct result *r)
{
    char sql[200];

    facts_prepare_connection(db);
    facts_count_stubs(db, &r->stubs);
    (void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
    /* CHECK constraints are other people's expressions, and what they say is no damage. */
    snprintf(sql, sizeof sql,
             "PRAGMA cache_size = -%d; PRAGMA cell_size_check = 1; PRAGMA ignore_check_constraints = 1;"
             " PRAGMA temp_store = 2; PRAGMA mmap_size = 0; PRAGMA query_only = 1",
             STORED_SQLITE_CACHE_KIB);
    (void)sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static enum errc put_facts(const struct result *r, struct fact_list *l, struct err *err)
{
    enum errc e = fact_set_bool(l, "damaged", r->damaged, err);

    if (e == ERR_OK)
        e = fact_set_bool(l, "checkable", r->damaged || !r->uncheckable, err);
    if (e == ERR_OK)
        e = fact_set_int(l, "violations", r->violations, err);
    if (e == ERR_OK)
        e = fact_set_text(l, "detail", r->damaged ? r->damage.b : r->uncheckable ? r->unchecked.b : "", err);
    return e == ERR_OK ? fact_set_text(l, "notes", r->notes.b, err) : e;
}

static void send_result(const struct result *r, struct done_report *report)
{
    struct fact_list list = {0};
    struct err err;
    struct buf b;

    buf_init(&b, FRAME_MAX_BYTES);
    enum errc e = put_facts(r, &list, &err);
    if (e == ERR_OK)
        e = fact_list_put(&b, &list, &err);
    if (e != ERR_OK)
        report_failure(report, OUTCOME_FAILED, err.message);
    else if (!frame_send(CHILD_OUT_FD, FRAME_FACTS, b.data, b.len))
        report_failure(report, OUTCOME_FAILED, "the parent is gone");
    buf_release(&b);
    fact_list_release(&list);
}

void child_check(const struct child_job *job, struct done_report *report)
{
    struct blocks b = {.size = job->image_bytes, .slots = job->image_slots};
    struct image_source source = {.read = blocks_read, .size = blocks_size, .arg = &b};
    struct result *r = calloc(1, sizeof *r);
    struct image m = {0};
    sqlite3 *db = NULL;

    if (b.slots > 0 && b.slots <= STORED_SLOTS_MAX)
        b.tags = calloc(b.slots, sizeof *b.tags);
    if (!r || !b.tags) {
        report_failure(report, OUTCOME_FAILED, "no memory");
        free(r);
        free(b.tags);
        return;
    }
    int rc = image_open_source(&m, &source, &db);
    if (rc == SQLITE_OK) {
        prepare_connection(db, r);
        integrity(db, r);
        if (!r->damaged)
            foreign_keys(db, r);
        send_result(r, report);
    } else {
        report_sqlite(report, db, rc, NULL, "cannot open the image");
    }
    (void)sqlite3_close(db);
    image_unregister(&m);
    free(r);
    free(b.tags);
}
