/* Pieces that several tables of a log record's body use (log_fields.h). */
#include <stdlib.h>
#include <string.h>

#include "format/log_fields.h"

enum errc nested_put(struct buf *b, const struct field_spec *s, const struct schema *schema, const void *object,
                     struct err *err)
{
    size_t start;
    enum errc rc = nest_open_field(b, s->tag, s->critical, &start, err);
    if (rc == ERR_OK)
        rc = schema_put(b, schema, object, err);
    return rc == ERR_OK ? nest_close(b, start, err) : rc;
}

enum errc packed_put(struct buf *b, const struct field_spec *s, const void *array, size_t count, size_t size,
                     struct err *err)
{
    if (count == 0)
        return ERR_OK;
    if (count > LOG_RECORD_MAX_BYTES / size)
        return err_fail(err, ERR_LIMIT, "a list of %zu elements is too long for a log record", count);
    return put_field(b, s->tag, s->critical, array, count * size, err);
}

enum errc packed_get(struct reader *value, void *array_out, size_t *count_out, size_t size, struct err *err)
{
    struct bytes b = get_bytes(value, reader_left(value));
    if (b.len == 0 || b.len % size != 0) {
        value->failed = true;
        return ERR_OK;
    }
    enum errc rc = mem_dup(array_out, b.data, b.len, err);
    if (rc == ERR_OK)
        *count_out = b.len / size;
    return rc;
}

enum errc count_check(const char *what, size_t count, size_t max, struct err *err)
{
    return count > max ? err_fail(err, ERR_LIMIT, "there are %zu %s; %zu is the limit", count, what, max) : ERR_OK;
}

#define AT(member) offsetof(struct verified, member)
static const struct field_spec VERIFIED_FIELDS[] = {
    {.tag = 1, .critical = true, .kind = FIELD_FIXED, .offset = AT(id), .max = sizeof(struct snapshot_id)},
    {.tag = 2, .critical = true, .kind = FIELD_U32, .offset = AT(level), .max = UINT32_MAX},
    {.tag = 3, .critical = true, .kind = FIELD_BOOL, .offset = AT(ok), .max = 1},
    {.tag = 4, .kind = FIELD_TEXT_OR_NULL, .offset = AT(detail), .max = TEXT_MAX_BYTES},
};
#undef AT
const struct schema VERIFIED_SCHEMA = {"a verification", VERIFIED_FIELDS,
                                       sizeof VERIFIED_FIELDS / sizeof *VERIFIED_FIELDS};

void verified_release(struct verified *v)
{
    free(v->detail);
    *v = (struct verified){0};
}
