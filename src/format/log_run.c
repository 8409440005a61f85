/* A run record in the body of a log record (log_record.h). */
#include <stdlib.h>
#include <string.h>

#include "format/log_fields.h"

void run_record_release(struct run_record *r)
{
    free(r->verb);
    free(r->state);
    free(r->user);
    free(r->host);
    free(r->detail);
    for (size_t i = 0; i < r->step_count; i++) {
        free(r->steps[i].what);
        free(r->steps[i].detail);
    }
    free(r->steps);
    free(r->plan);
    free(r->target);
    *r = (struct run_record){0};
}

/* A step may name a path of the largest length, and a few words. */
enum { STEP_TEXT_MAX_BYTES = PATH_MAX_BYTES + NAME_MAX_BYTES };

#define AT(member) offsetof(struct run_step, member)
static const struct field_spec STEP_FIELDS[] = {
    {.tag = 1, .kind = FIELD_TEXT, .offset = AT(what), .max = STEP_TEXT_MAX_BYTES},
    {.tag = 2, .kind = FIELD_TIME, .offset = AT(begun)},
    {.tag = 3, .kind = FIELD_U64, .offset = AT(duration_ms), .max = UINT64_MAX},
    {.tag = 4, .kind = FIELD_BOOL, .offset = AT(ok), .max = 1},
    {.tag = 5, .kind = FIELD_TEXT_OR_NULL, .offset = AT(detail), .max = STEP_TEXT_MAX_BYTES},
};
#undef AT
static const struct schema STEP_SCHEMA = {"a step of a run", STEP_FIELDS, sizeof STEP_FIELDS / sizeof *STEP_FIELDS};

static enum errc steps_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct run_record *run = object;
    enum errc rc = count_check("steps", run->step_count, STEPS_MAX, err);
    for (size_t i = 0; rc == ERR_OK && i < run->step_count; i++)
        rc = nested_put(b, s, &STEP_SCHEMA, &run->steps[i], err);
    return rc;
}

static enum errc step_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s;
    struct run_record *run = object;
    struct run_step *step;
    enum errc rc = array_extend(&run->steps, &run->step_count, STEPS_MAX, sizeof *run->steps, &step, err);
    if (rc != ERR_OK)
        return rc;
    struct bytes b = get_bytes(value, reader_left(value));
    return schema_get(reader_of(b.data, b.len), &STEP_SCHEMA, step, err);
}

/* A snapshot's id that may be absent: offset and max tell the flag's and the id's places. */
static enum errc maybe_id_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    bool has;
    memcpy(&has, (const char *)object + s->max, sizeof has);
    if (!has)
        return ERR_OK;
    return put_field(b, s->tag, s->critical, (const char *)object + s->offset, sizeof(struct snapshot_id), err);
}

static enum errc maybe_id_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)err;
    const bool has = true;
    memcpy((char *)object + s->max, &has, sizeof has);
    get_copy(value, (char *)object + s->offset, sizeof(struct snapshot_id));
    return ERR_OK;
}

static enum errc plan_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct run_record *run = object;
    return packed_put(b, s, run->plan, run->plan_len, 1, err);
}

static enum errc plan_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s;
    struct run_record *run = object;
    return packed_get(value, &run->plan, &run->plan_len, 1, err);
}

#define AT(member) offsetof(struct run_record, member)
static const struct field_spec RUN_RECORD_FIELDS[] = {
    {.tag = 1, .critical = true, .kind = FIELD_FIXED, .offset = AT(id), .max = sizeof(struct run_id)},
    {.tag = 2, .critical = true, .kind = FIELD_TEXT, .offset = AT(verb), .max = NAME_MAX_BYTES},
    {.tag = 3, .critical = true, .kind = FIELD_TEXT, .offset = AT(state), .max = NAME_MAX_BYTES},
    {.tag = 4, .kind = FIELD_TEXT, .offset = AT(user), .max = NAME_MAX_BYTES},
    {.tag = 5, .kind = FIELD_TEXT, .offset = AT(host), .max = NAME_MAX_BYTES},
    {.tag = 6, .kind = FIELD_TEXT, .offset = AT(detail), .max = STEP_TEXT_MAX_BYTES},
    {.tag = 7, .kind = FIELD_TIME, .offset = AT(begun)},
    {.tag = 8, .kind = FIELD_U64, .offset = AT(duration_ms), .max = UINT64_MAX},
    {.tag = 9,
     .kind = FIELD_CUSTOM,
     .offset = AT(snapshot),
     .max = AT(has_snapshot),
     .put = maybe_id_put,
     .get = maybe_id_get},
    {.tag = 10,
     .kind = FIELD_CUSTOM,
     .offset = AT(forensic),
     .max = AT(has_forensic),
     .put = maybe_id_put,
     .get = maybe_id_get},
    {.tag = 11, .list = true, .kind = FIELD_CUSTOM, .put = steps_put, .get = step_get},
    {.tag = 12, .kind = FIELD_CUSTOM, .put = plan_put, .get = plan_get},
    {.tag = 13, .kind = FIELD_TEXT_OR_NULL, .offset = AT(target), .max = PATH_MAX_BYTES},
};
#undef AT
const struct schema RUN_RECORD_SCHEMA = {"a run record", RUN_RECORD_FIELDS,
                                         sizeof RUN_RECORD_FIELDS / sizeof *RUN_RECORD_FIELDS};
