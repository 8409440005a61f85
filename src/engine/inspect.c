#include "engine/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/path.h"
#include "source/source.h"

enum { HEADER_BYTES = 100 };

void inspect_release(struct inspect_result *r)
{
    fact_list_release(&r->facts);
    memset(r, 0, sizeof *r);
}

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

/* --- SQLite --------------------------------------------------------------------------------------------------------- */

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
    if (got == HEADER_BYTES)
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
