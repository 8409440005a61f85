#include <stdio.h>

#include "base/limits.h"
#include "source/sqlite/vectors.h"

enum { SEGMENTS_MAX = 256, SEGMENT_NAME_MAX = 64, SEGMENT_FACTS_BYTES = 5 * (SEGMENT_NAME_MAX + 32) };

/* Operations as the queue numbers them. */
enum { OPERATION_ADD = 0, OPERATION_DELETE = 3 };

static enum errc put(struct vectors_found *f, const char *segment, const char *what, int64_t v)
{
    char key[SEGMENT_NAME_MAX + 32];
    snprintf(key, sizeof key, "chroma.%.*s.%s", SEGMENT_NAME_MAX, segment, what);
    return fact_set_int(f->list, key, v, f->err);
}

/* What is in the queue behind the index's last operation; nothing when that cannot be told. */
static enum errc put_queue(struct vectors_found *f, const char *segment)
{
    sqlite3_stmt *s = vectors_prepare(
        f->db, sqlite3_mprintf("SELECT operation, count(*) FROM embeddings_queue WHERE seq_id >"
                               " (SELECT coalesce(max(seq_id), 0) FROM max_seq_id WHERE segment_id = %Q)"
                               " AND topic LIKE '%%/' || (SELECT collection FROM segments WHERE id = %Q)"
                               " GROUP BY operation",
                               segment, segment));
    int64_t added = 0, changed = 0, deleted = 0;
    int step = SQLITE_ERROR;
    while (s && (step = sqlite3_step(s)) == SQLITE_ROW) {
        int64_t operation = sqlite3_column_int64(s, 0), n = sqlite3_column_int64(s, 1);
        *(operation == OPERATION_ADD ? &added : operation == OPERATION_DELETE ? &deleted : &changed) += n;
    }
    sqlite3_finalize(s);
    if (step != SQLITE_DONE)
        return ERR_OK;
    enum errc rc = put(f, segment, "added", added);
    if (rc == ERR_OK)
        rc = put(f, segment, "changed", changed);
    return rc == ERR_OK ? put(f, segment, "deleted", deleted) : rc;
}

static enum errc put_segment(struct vectors_found *f, sqlite3_stmt *s)
{
    const char *segment = (const char *)sqlite3_column_text(s, 0);
    enum errc rc = ERR_OK;
    if (!segment || sqlite3_column_bytes(s, 0) > SEGMENT_NAME_MAX)
        return ERR_OK;
    if (f->list->encoded_bytes + SEGMENT_FACTS_BYTES > FACTS_MAX_BYTES / 4 * 3) {
        f->omitted++;
        return ERR_OK;
    }
    if (sqlite3_column_type(s, 1) == SQLITE_INTEGER)
        rc = put(f, segment, "dimension", sqlite3_column_int64(s, 1));
    if (rc == ERR_OK)
        rc = put(f, segment, "embeddings", sqlite3_column_int64(s, 2));
    return rc == ERR_OK ? put_queue(f, segment) : rc;
}

enum errc chroma_segments_collect(struct vectors_found *f)
{
    sqlite3_stmt *s = vectors_prepare(
        f->db, sqlite3_mprintf("SELECT s.id, c.dimension, (SELECT count(*) FROM embeddings e JOIN segments m"
                               " ON m.id = e.segment_id WHERE m.scope = 'METADATA' AND m.collection = s.collection)"
                               " FROM segments s JOIN collections c ON c.id = s.collection WHERE s.scope = 'VECTOR'"
                               " ORDER BY s.id LIMIT %d",
                               SEGMENTS_MAX));
    enum errc rc = ERR_OK;
    while (s && rc == ERR_OK && sqlite3_step(s) == SQLITE_ROW)
        rc = put_segment(f, s);
    sqlite3_finalize(s);
    return rc;
}
