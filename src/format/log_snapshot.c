/* A snapshot in the body of a log record (log_record.h). */
#include <stdlib.h>
#include <string.h>

#include "format/log_fields.h"

static void item_release(struct item *item)
{
    free(item->source);
    free(item->path);
    fact_list_release(&item->facts);
}

void snapshot_release(struct snapshot *s)
{
    free(s->set);
    free(s->host);
    free(s->user);
    for (size_t i = 0; i < s->tag_count; i++)
        free(s->tags[i]);
    free(s->tags);
    for (size_t i = 0; i < s->item_count; i++)
        item_release(&s->items[i]);
    free(s->items);
    free(s->packs);
    *s = (struct snapshot){0};
}

static enum errc facts_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct item *item = object;
    if (item->facts.count == 0)
        return ERR_OK;
    size_t start;
    enum errc rc = nest_open_field(b, s->tag, s->critical, &start, err);
    if (rc == ERR_OK)
        rc = fact_list_put(b, &item->facts, err);
    return rc == ERR_OK ? nest_close(b, start, err) : rc;
}

static enum errc facts_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s;
    struct item *item = object;
    struct bytes b = get_bytes(value, reader_left(value));
    return fact_list_get(b.data, b.len, &item->facts, err);
}

static enum errc root_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct item *item = object;
    size_t start;
    enum errc rc = nest_open_field(b, s->tag, s->critical, &start, err);
    if (rc == ERR_OK)
        rc = stream_root_put(b, &item->list, err);
    return rc == ERR_OK ? nest_close(b, start, err) : rc;
}

static enum errc root_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s;
    struct item *item = object;
    return stream_root_get(value, &item->list, err);
}

#define AT(member) offsetof(struct item, member)
static const struct field_spec ITEM_FIELDS[] = {
    {.tag = 1, .critical = true, .kind = FIELD_TEXT, .offset = AT(source), .max = PATH_MAX_BYTES},
    {.tag = 2, .critical = true, .kind = FIELD_TEXT, .offset = AT(path), .max = PATH_MAX_BYTES},
    {.tag = 3, .critical = true, .kind = FIELD_ENUM, .offset = AT(type), .max = ITEM_FILE},
    {.tag = 4, .critical = true, .kind = FIELD_ENUM, .offset = AT(state), .max = STATE_ERROR},
    {.tag = 5, .critical = true, .kind = FIELD_BOOL, .offset = AT(good), .max = 1},
    {.tag = 6, .kind = FIELD_U64, .offset = AT(entries), .max = UINT64_MAX},
    {.tag = 7, .kind = FIELD_U64, .offset = AT(bytes), .max = UINT64_MAX},
    {.tag = 8, .kind = FIELD_CUSTOM, .put = facts_put, .get = facts_get},
    {.tag = 9, .critical = true, .kind = FIELD_CUSTOM, .put = root_put, .get = root_get},
};
#undef AT
static const struct schema ITEM_SCHEMA = {"an item of a snapshot", ITEM_FIELDS,
                                          sizeof ITEM_FIELDS / sizeof *ITEM_FIELDS};

static enum errc items_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct snapshot *snapshot = object;
    enum errc rc = count_check("items", snapshot->item_count, ITEMS_MAX, err);
    for (size_t i = 0; rc == ERR_OK && i < snapshot->item_count; i++)
        rc = nested_put(b, s, &ITEM_SCHEMA, &snapshot->items[i], err);
    return rc;
}

static enum errc item_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s;
    struct snapshot *snapshot = object;
    struct item *item;
    enum errc rc =
        array_extend(&snapshot->items, &snapshot->item_count, ITEMS_MAX, sizeof *snapshot->items, &item, err);
    if (rc != ERR_OK)
        return rc;
    struct bytes b = get_bytes(value, reader_left(value));
    rc = schema_get(reader_of(b.data, b.len), &ITEM_SCHEMA, item, err);
    if (rc == ERR_OK && item->type == 0)
        rc = err_fail(err, ERR_DAMAGED, "an item of a snapshot has no type");
    return rc;
}

static enum errc tags_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct snapshot *snapshot = object;
    enum errc rc = count_check("tags", snapshot->tag_count, TAGS_MAX, err);
    for (size_t i = 0; rc == ERR_OK && i < snapshot->tag_count; i++) {
        if (strlen(snapshot->tags[i]) > NAME_MAX_BYTES)
            return err_fail(err, ERR_LIMIT, "a tag of %zu bytes is too long", strlen(snapshot->tags[i]));
        rc = put_field_str(b, s->tag, s->critical, snapshot->tags[i], err);
    }
    return rc;
}

static enum errc tag_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s;
    struct snapshot *snapshot = object;
    struct bytes text = get_bytes(value, reader_left(value));
    if (text.len > NAME_MAX_BYTES || (text.len > 0 && memchr(text.data, 0, text.len))) {
        value->failed = true;
        return ERR_OK;
    }
    char **tag;
    enum errc rc = array_extend(&snapshot->tags, &snapshot->tag_count, TAGS_MAX, sizeof *snapshot->tags, &tag, err);
    return rc == ERR_OK ? mem_dup(tag, text.data, text.len, err) : rc;
}

static enum errc packs_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct snapshot *snapshot = object;
    return packed_put(b, s, snapshot->packs, snapshot->pack_count, sizeof *snapshot->packs, err);
}

static enum errc packs_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s;
    struct snapshot *snapshot = object;
    return packed_get(value, &snapshot->packs, &snapshot->pack_count, sizeof *snapshot->packs, err);
}

#define AT(member) offsetof(struct snapshot, member)
static const struct field_spec SNAPSHOT_FIELDS[] = {
    {.tag = 1, .critical = true, .kind = FIELD_FIXED, .offset = AT(id), .max = sizeof(struct snapshot_id)},
    {.tag = 2, .critical = true, .kind = FIELD_ENUM, .offset = AT(kind), .max = SNAPSHOT_IMPORTED},
    {.tag = 3, .critical = true, .kind = FIELD_BOOL, .offset = AT(partial), .max = 1},
    {.tag = 4, .critical = true, .kind = FIELD_TEXT, .offset = AT(set), .max = NAME_MAX_BYTES},
    {.tag = 5, .kind = FIELD_TEXT, .offset = AT(host), .max = NAME_MAX_BYTES},
    {.tag = 6, .kind = FIELD_TEXT, .offset = AT(user), .max = NAME_MAX_BYTES},
    {.tag = 7, .list = true, .kind = FIELD_CUSTOM, .put = tags_put, .get = tag_get},
    {.tag = 8, .critical = true, .kind = FIELD_TIME, .offset = AT(time)},
    {.tag = 9, .kind = FIELD_U64, .offset = AT(duration_ms), .max = UINT64_MAX},
    {.tag = 10, .kind = FIELD_U64, .offset = AT(bytes_read), .max = UINT64_MAX},
    {.tag = 11, .kind = FIELD_U64, .offset = AT(bytes_source), .max = UINT64_MAX},
    {.tag = 12, .kind = FIELD_U64, .offset = AT(bytes_added), .max = UINT64_MAX},
    {.tag = 13, .kind = FIELD_U64, .offset = AT(chunks_new), .max = UINT64_MAX},
    {.tag = 14, .kind = FIELD_U64, .offset = AT(chunks_delta), .max = UINT64_MAX},
    {.tag = 15, .kind = FIELD_FIXED, .offset = AT(of_run), .max = sizeof(struct run_id)},
    {.tag = 16, .critical = true, .list = true, .kind = FIELD_CUSTOM, .put = items_put, .get = item_get},
    {.tag = 17, .critical = true, .kind = FIELD_CUSTOM, .put = packs_put, .get = packs_get},
};
#undef AT
const struct schema SNAPSHOT_SCHEMA = {"a snapshot", SNAPSHOT_FIELDS, sizeof SNAPSHOT_FIELDS / sizeof *SNAPSHOT_FIELDS};
