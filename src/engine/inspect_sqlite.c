#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "engine/inspect_work.h"
#include "source/source.h"

static const char *fact_text(const struct fact_list *l, const char *key)
{
    const struct fact *f = fact_find(l, key);
    return f && f->type == FACT_TEXT ? f->text : "";
}

static int64_t fact_int(const struct fact_list *l, const char *key)
{
    const struct fact *f = fact_find(l, key);
    return f && f->type == FACT_INT ? f->integer : 0;
}

static uint32_t be32_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Facts from the first 100 bytes (SQLite's "Database File Format", 1.3); *fault_out says why they cannot be. */
static enum errc header_facts(const uint8_t *h, uint64_t size, struct fact_list *l, const char **fault_out,
                              struct err *err)
{
    static const char *const encodings[] = {"none", "UTF-8", "UTF-16le", "UTF-16be"};
    uint32_t page_size = (uint32_t)h[16] << 8 | h[17], encoding = be32_at(h + 56), version = be32_at(h + 96);
    char text[48];
    *fault_out = NULL;
    if (page_size == 1)
        page_size = 65536;
    if (page_size < 512 || (page_size & (page_size - 1)) != 0)
        *fault_out = "its header has an impossible page size";
    else if (h[18] < 1 || h[18] > 2 || h[19] < 1 || h[19] > 2)
        *fault_out = "its header names an unknown file format version";
    else if (h[21] != 64 || h[22] != 32 || h[23] != 32)
        *fault_out = "its header is damaged";
    else if (encoding > 3)
        *fault_out = "its header names an unknown text encoding";
    else if (size % page_size != 0)
        *fault_out = "its size is not a whole number of pages: it was cut off";
    if (*fault_out)
        return ERR_OK;
    enum errc rc = fact_set_int(l, "page_size", page_size, err);
    if (rc == ERR_OK)
        rc = fact_set_int(l, "page_count", (int64_t)(size / page_size), err);
    if (rc == ERR_OK)
        rc = fact_set_text(l, "encoding", encodings[encoding], err);
    if (rc == ERR_OK)
        rc = fact_set_text(l, "journal_mode", h[18] == 2 ? "wal" : "rollback", err);
    if (rc == ERR_OK)
        rc = fact_set_int(l, "user_version", (int32_t)be32_at(h + 60), err);
    if (rc == ERR_OK)
        rc = fact_set_int(l, "application_id", (int32_t)be32_at(h + 68), err);
    snprintf(text, sizeof text, "%u.%u.%u", version / 1000000, version / 1000 % 1000, version % 1000);
    return rc == ERR_OK ? fact_set_text(l, "sqlite_version", text, err) : rc;
}

static enum errc quick_sqlite(const uint8_t *header, size_t got, uint64_t size, struct inspect_result *out,
                              struct err *err)
{
    const char *fault = "it ends within its header";
    enum errc rc = ERR_OK;
    if (got >= INSPECT_HEAD_BYTES)
        rc = header_facts(header, size, &out->facts, &fault, err);
    out->ok = !fault;
    if (fault)
        snprintf(out->detail, sizeof out->detail, "%s", fault);
    else
        snprintf(out->detail, sizeof out->detail,
                 "%" PRId64 " pages of %" PRId64 " bytes, %s, %s; only its header was read",
                 fact_int(&out->facts, "page_count"), fact_int(&out->facts, "page_size"),
                 fact_text(&out->facts, "journal_mode"), fact_text(&out->facts, "encoding"));
    return rc;
}

static int64_t count_tables(const struct fact_list *l, int64_t *rows_out)
{
    int64_t tables = 0;
    *rows_out = 0;
    for (size_t i = 0; i < l->count; i++)
        if (strncmp(l->facts[i].key, "rows.", 5) == 0 && l->facts[i].type == FACT_INT) {
            tables++;
            *rows_out += l->facts[i].integer;
        }
    return tables;
}

/* A capture that keeps nothing: the way to see a database that others are writing to in one state, its WAL included. */
struct null_sink {
    struct sink sink;
    uint8_t room[128 * 1024];
    struct diag diag;
    bool damaged;           /* the warning says so */
    char said[400];         /* why it is not exact */
    struct fact_list facts; /* of a database found in a tree */
};

static enum errc drop_previous(struct sink *s, const char *path, size_t len, const struct entry **out, struct err *err)
{
    (void)s;
    (void)path;
    (void)len;
    (void)err;
    *out = NULL;
    return ERR_OK;
}

static enum errc drop_entry(struct sink *s, const struct entry *e, struct err *err)
{
    (void)s;
    (void)e;
    (void)err;
    return ERR_OK;
}

static enum errc drop_begin(struct sink *s, uint32_t fixed, struct err *err)
{
    (void)s;
    (void)fixed;
    (void)err;
    return ERR_OK;
}

static enum errc drop_space(struct sink *s, uint8_t **ptr, size_t *room, struct err *err)
{
    struct null_sink *n = (struct null_sink *)s;
    (void)err;
    *ptr = n->room;
    *room = sizeof n->room;
    return ERR_OK;
}

static enum errc drop_advance(struct sink *s, size_t len, struct err *err)
{
    (void)s;
    (void)len;
    (void)err;
    return ERR_OK;
}

static enum errc drop_data(struct sink *s, const void *data, size_t len, struct err *err)
{
    (void)data;
    return drop_advance(s, len, err);
}

static enum errc drop_hole(struct sink *s, uint64_t len, struct err *err)
{
    (void)len;
    return drop_advance(s, 0, err);
}

static enum errc note_end(struct sink *s, const struct entry *e, const struct entry_end *end, struct err *err)
{
    struct null_sink *n = (struct null_sink *)s;
    if (end->state != STATE_EXACT && end->reason && !n->said[0])
        snprintf(n->said, sizeof n->said, "%.*s", (int)(end->reason_len < 380 ? end->reason_len : 380), end->reason);
    if (end->facts && n->facts.count == 0)
        return fact_list_get(end->facts, end->facts_len, &n->facts, err);
    return drop_entry(s, e, err);
}

static enum errc drop_abandon(struct sink *s, struct err *err)
{
    return drop_advance(s, 0, err);
}

static void note_failed(struct sink *s, const char *path, const struct err *why)
{
    struct null_sink *n = (struct null_sink *)s;
    (void)path;
    snprintf(n->said, sizeof n->said, "%.*s", (int)sizeof n->said - 1, why->message);
}

static void note_message(void *arg, enum diag_level level, const char *name, const char *text)
{
    struct null_sink *n = arg;
    (void)text;
    if (level == DIAG_WARNING && strcmp(name, err_name(ERR_SOURCE_DAMAGED)) == 0)
        n->damaged = true;
}

static const struct sink_ops null_ops = {.previous = drop_previous,
                                         .node = drop_entry,
                                         .begin = drop_begin,
                                         .space = drop_space,
                                         .advance = drop_advance,
                                         .data = drop_data,
                                         .hole = drop_hole,
                                         .end = note_end,
                                         .abandon = drop_abandon,
                                         .reuse = drop_entry,
                                         .failed = note_failed};

static void describe_sqlite(struct inspect_result *out)
{
    const char *check = fact_text(&out->facts, "quick_check"), *notes = fact_text(&out->facts, "quick_check_notes");
    int64_t rows, tables = count_tables(&out->facts, &rows);
    out->ok = strncmp(check, "damaged", 7) != 0;
    if (strcmp(check, "ok") != 0)
        snprintf(out->detail, sizeof out->detail, "%.*s", (int)sizeof out->detail - 1, check);
    else
        snprintf(out->detail, sizeof out->detail,
                 "%" PRId64 " %s, %" PRId64 " %s, %" PRId64 " pages of %" PRId64 " bytes, %s%s%.200s", tables,
                 tables == 1 ? "table" : "tables", rows, rows == 1 ? "row" : "rows",
                 fact_int(&out->facts, "page_count"), fact_int(&out->facts, "page_size"),
                 fact_text(&out->facts, "journal_mode"), *notes ? "; " : "", notes);
}

static enum errc capture_nothing(const struct inspection *x, const struct inspect_place *at, struct null_sink *n,
                                 struct capture_result *result, struct err *err)
{
    struct capture_options opt = {.diag = &n->diag, .self_exe = x->opt->self_exe, .force_read = true};
    if (!at->rel)
        return sqlite_capture(at->path, &n->sink, &opt, result, err);
    *result = (struct capture_result){.worst = STATE_EXACT, .good = true};
    enum errc rc = sqlite_capture_entry(at->abs, at->rel, &n->sink, &opt, result, err);
    if (rc == ERR_OK && result->entries == 0)
        rc = err_fail(err, ERR_SOURCE_UNREADABLE, "%s", n->said);
    if (rc == ERR_OK) {
        result->facts = n->facts;
        n->facts = (struct fact_list){0};
    }
    return rc;
}

/* The dimensions that the facts tell of. */
static void take_totals(struct inspect_result *out)
{
    struct vector_totals t;
    struct vector_result *v = &out->vectors;
    vector_totals_of(&out->facts, &t);
    if (!t.any)
        return;
    v->known = v->ok = true;
    v->count = t.unknown ? VECTOR_UNKNOWN : t.count;
    v->nan = v->inf = v->zero = VECTOR_UNKNOWN;
    memcpy(v->dims, t.dims, sizeof v->dims);
    v->dim_count = t.dim_count;
    v->dims_other = t.dims_other;
    v->dimension = t.dim_count == 1 && t.dims_other == 0 ? t.dims[0].dimension : t.dim_count == 0 ? VECTOR_UNKNOWN : 0;
}

static enum errc full_sqlite(const struct inspection *x, const struct inspect_place *at, struct inspect_result *out,
                             struct err *err)
{
    struct null_sink *n;
    struct capture_result result = {0};
    enum errc rc = mem_alloc(&n, sizeof *n, err);
    if (rc != ERR_OK)
        return rc;
    n->sink.ops = &null_ops;
    n->diag = (struct diag){.message = note_message, .arg = n};
    rc = capture_nothing(x, at, n, &result, err);
    if (rc == ERR_OK && result.worst != STATE_EXACT && !n->damaged) {
        char shown[512];
        rc = err_fail(err, ERR_SOURCE_UNREADABLE, "%s: %s", path_show(shown, sizeof shown, at->path, strlen(at->path)),
                      n->said);
    } else if (rc == ERR_OK && result.worst != STATE_EXACT) {
        out->ok = false;
        snprintf(out->detail, sizeof out->detail, "%s", n->said);
    }
    if (rc == ERR_OK && result.worst == STATE_EXACT) {
        out->facts = result.facts;
        memset(&result.facts, 0, sizeof result.facts);
        describe_sqlite(out);
        take_totals(out);
    }
    fact_list_release(&result.facts);
    fact_list_release(&n->facts);
    free(n);
    return rc;
}

enum errc inspect_sqlite(const struct inspection *x, const struct inspect_place *at, const uint8_t *head, size_t got,
                         uint64_t size, struct inspect_result *out, struct err *err)
{
    snprintf(out->format, sizeof out->format, "sqlite");
    return x->opt->quick || got < INSPECT_HEAD_BYTES ? quick_sqlite(head, got, size, out, err)
                                                     : full_sqlite(x, at, out, err);
}
