/* The small form of a snapshot: what a list shows, without facts, entry lists and packs. Local to the catalog:
 *   host, user, time, five counters and the duration, run, tags, items (source, path, type, state, good, entries,
 *   bytes); strings are counted, numbers varints. Id, kind, partial and set are columns. */
#include <string.h>

#include "catalog/db.h"

static enum errc put_text(struct buf *b, const char *s, struct err *err)
{
    return put_counted(b, s ? s : "", s ? strlen(s) : 0, err);
}

static enum errc put_varints(struct buf *b, const uint64_t *v, size_t count, struct err *err)
{
    enum errc rc = ERR_OK;

    for (size_t i = 0; i < count && rc == ERR_OK; i++)
        rc = put_varint(b, v[i], err);
    return rc;
}

static enum errc put_item(struct buf *b, const struct item *it, struct err *err)
{
    const uint64_t numbers[] = {(uint64_t)it->type, (uint64_t)it->state, it->good, it->entries, it->bytes};
    enum errc rc = put_text(b, it->source, err);

    if (rc == ERR_OK)
        rc = put_text(b, it->path, err);
    return rc == ERR_OK ? put_varints(b, numbers, sizeof numbers / sizeof numbers[0], err) : rc;
}

enum errc summary_put(struct buf *b, const struct snapshot *s, struct err *err)
{
    const uint64_t numbers[] = {s->time.nsec,   s->duration_ms, s->bytes_read,  s->bytes_source,
                                s->bytes_added, s->chunks_new,  s->chunks_delta};
    enum errc rc;

    buf_clear(b);
    rc = put_text(b, s->host, err);
    if (rc == ERR_OK)
        rc = put_text(b, s->user, err);
    if (rc == ERR_OK)
        rc = put_zigzag(b, s->time.sec, err);
    if (rc == ERR_OK)
        rc = put_varints(b, numbers, sizeof numbers / sizeof numbers[0], err);
    if (rc == ERR_OK)
        rc = buf_append(b, s->of_run.b, sizeof s->of_run.b, err);
    if (rc == ERR_OK)
        rc = put_varint(b, s->tag_count, err);
    for (size_t i = 0; i < s->tag_count && rc == ERR_OK; i++)
        rc = put_text(b, s->tags[i], err);
    if (rc == ERR_OK)
        rc = put_varint(b, s->item_count, err);
    for (size_t i = 0; i < s->item_count && rc == ERR_OK; i++)
        rc = put_item(b, &s->items[i], err);
    return rc;
}

static enum errc get_text(struct reader *r, char **out, struct err *err)
{
    struct bytes v = get_counted(r, PATH_MAX_BYTES);

    return mem_dup(out, v.data ? (const void *)v.data : "", v.len, err);
}

static enum errc get_tags(struct reader *r, struct snapshot *s, struct err *err)
{
    size_t count = (size_t)get_varint_max(r, reader_left(r));
    enum errc rc = ERR_OK;

    if (count == 0)
        return ERR_OK;
    rc = mem_alloc(&s->tags, count * sizeof *s->tags, err);
    for (; s->tag_count < count && rc == ERR_OK; s->tag_count++) {
        rc = get_text(r, &s->tags[s->tag_count], err);
        if (rc != ERR_OK)
            break;
    }
    return rc;
}

static enum errc get_item(struct reader *r, struct item *it, struct err *err)
{
    enum errc rc = get_text(r, &it->source, err);

    if (rc == ERR_OK)
        rc = get_text(r, &it->path, err);
    it->type = (enum item_type)get_varint_max(r, UINT8_MAX);
    it->state = (enum entry_state)get_varint_max(r, UINT8_MAX);
    it->good = get_varint_max(r, 1) != 0;
    it->entries = get_varint(r);
    it->bytes = get_varint(r);
    return rc;
}

static enum errc get_items(struct reader *r, struct snapshot *s, struct err *err)
{
    size_t count = (size_t)get_varint_max(r, ITEMS_MAX);
    enum errc rc = ERR_OK;

    if (count == 0)
        return ERR_OK;
    rc = mem_alloc(&s->items, count * sizeof *s->items, err);
    if (rc != ERR_OK)
        return rc;
    while (s->item_count < count && rc == ERR_OK)
        rc = get_item(r, &s->items[s->item_count++], err);
    return rc;
}

enum errc summary_get(const void *data, size_t len, struct snapshot *s, struct err *err)
{
    uint64_t *numbers[] = {&s->duration_ms, &s->bytes_read, &s->bytes_source,
                           &s->bytes_added, &s->chunks_new, &s->chunks_delta};
    struct reader r = reader_of(data, len);
    enum errc rc = get_text(&r, &s->host, err);

    if (rc == ERR_OK)
        rc = get_text(&r, &s->user, err);
    s->time.sec = get_zigzag(&r);
    s->time.nsec = (uint32_t)get_varint_max(&r, 999999999);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        *numbers[i] = get_varint(&r);
    get_copy(&r, s->of_run.b, sizeof s->of_run.b);
    if (rc == ERR_OK)
        rc = get_tags(&r, s, err);
    if (rc == ERR_OK)
        rc = get_items(&r, s, err);
    if (rc == ERR_OK && (!reader_ok(&r) || reader_left(&r) != 0))
        return db_bad_row(err, "a snapshot's summary");
    return rc;
}
