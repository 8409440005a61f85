#include <stdlib.h>
#include <string.h>

#include "format/log_fields.h"

void log_body_release(struct log_body *b)
{
    snapshot_release(&b->snapshot);
    run_record_release(&b->run);
    for (size_t i = 0; i < b->verified_count; i++)
        verified_release(&b->verified[i]);
    free(b->verified);
    free(b->ids);
    free(b->packs);
    free(b->name);
    *b = (struct log_body){0};
}

/* What a kind's record holds besides the head. */
enum { TAG_KIND = 1 };
enum part { PART_SNAPSHOT = 16, PART_RUN = 17, PART_VERIFIED = 18, PART_IDS = 19, PART_PACKS = 20, PART_NAME = 21 };

static bool kind_has(enum log_kind kind, enum part part)
{
    switch (part) {
    case PART_SNAPSHOT:
        return kind == LOG_SNAPSHOT;
    case PART_RUN:
        return kind == LOG_RUN;
    case PART_VERIFIED:
        return kind == LOG_VERIFIED;
    case PART_IDS:
        return kind == LOG_DROP || kind == LOG_TRASH || kind == LOG_UNTRASH || kind == LOG_HOLD;
    case PART_PACKS:
        return kind == LOG_DROP;
    default:
        return kind == LOG_HOLD || kind == LOG_RELEASE;
    }
}

/* A reader may do without knowing what a run did or what was verified; the other kinds change what there is. */
static bool kind_critical(enum log_kind kind)
{
    return kind != LOG_RUN && kind != LOG_VERIFIED;
}

static enum errc kind_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct log_body *body = object;
    return put_field_varint(b, s->tag, kind_critical(body->head.kind), body->head.kind, err);
}

static enum errc kind_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s, (void)err;
    struct log_body *body = object;
    body->head.kind = (enum log_kind)get_varint_max(value, UINT16_MAX);
    return ERR_OK;
}

static enum errc snapshot_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct log_body *body = object;
    if (!kind_has(body->head.kind, PART_SNAPSHOT))
        return ERR_OK;
    return nested_put(b, s, &SNAPSHOT_SCHEMA, &body->snapshot, err);
}

static enum errc snapshot_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s;
    struct log_body *body = object;
    struct bytes b = get_bytes(value, reader_left(value));
    return schema_get(reader_of(b.data, b.len), &SNAPSHOT_SCHEMA, &body->snapshot, err);
}

static enum errc run_put_part(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct log_body *body = object;
    return kind_has(body->head.kind, PART_RUN) ? nested_put(b, s, &RUN_RECORD_SCHEMA, &body->run, err) : ERR_OK;
}

static enum errc run_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s;
    struct log_body *body = object;
    struct bytes b = get_bytes(value, reader_left(value));
    return schema_get(reader_of(b.data, b.len), &RUN_RECORD_SCHEMA, &body->run, err);
}

static enum errc verified_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct log_body *body = object;
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && kind_has(body->head.kind, PART_VERIFIED) && i < body->verified_count; i++)
        rc = nested_put(b, s, &VERIFIED_SCHEMA, &body->verified[i], err);
    return rc;
}

static enum errc verified_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s;
    struct log_body *body = object;
    struct verified *v;
    struct bytes b = get_bytes(value, reader_left(value));
    enum errc rc = array_extend(&body->verified, &body->verified_count, LOG_RECORD_MAX_BYTES / sizeof v->id,
                                sizeof *body->verified, &v, err);
    return rc == ERR_OK ? schema_get(reader_of(b.data, b.len), &VERIFIED_SCHEMA, v, err) : rc;
}

static enum errc ids_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct log_body *body = object;
    size_t count = kind_has(body->head.kind, PART_IDS) ? body->id_count : 0;
    return packed_put(b, s, body->ids, count, sizeof *body->ids, err);
}

static enum errc ids_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s;
    struct log_body *body = object;
    return packed_get(value, &body->ids, &body->id_count, sizeof *body->ids, err);
}

static enum errc packs_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct log_body *body = object;
    size_t count = kind_has(body->head.kind, PART_PACKS) ? body->pack_count : 0;
    return packed_put(b, s, body->packs, count, sizeof *body->packs, err);
}

static enum errc packs_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s;
    struct log_body *body = object;
    return packed_get(value, &body->packs, &body->pack_count, sizeof *body->packs, err);
}

static enum errc name_put(struct buf *b, const struct field_spec *s, const void *object, struct err *err)
{
    const struct log_body *body = object;
    return kind_has(body->head.kind, PART_NAME) ? put_field_str(b, s->tag, s->critical, body->name, err) : ERR_OK;
}

static enum errc name_get(struct reader *value, const struct field_spec *s, void *object, struct err *err)
{
    (void)s;
    struct log_body *body = object;
    struct bytes text = get_bytes(value, reader_left(value));
    if (text.len > 0 && memchr(text.data, 0, text.len))
        value->failed = true;
    return reader_ok(value) ? mem_dup(&body->name, text.data, text.len, err) : ERR_OK;
}

/* What a record of its kind must have, for writing (code: ERR_INTERNAL) and for reading (ERR_DAMAGED). */
static enum errc body_check(const struct log_body *b, enum errc code, struct err *err)
{
    enum log_kind kind = b->head.kind;
    if (kind < LOG_SNAPSHOT || kind > LOG_CHECKPOINT || b->head.number == 0)
        return err_fail(err, code, "a log record has no number or no kind");
    if (kind == LOG_SNAPSHOT && b->snapshot.kind == 0)
        return err_fail(err, code, "the record of a snapshot has none");
    if (kind == LOG_RUN && !b->run.verb)
        return err_fail(err, code, "the record of a run has none");
    if (kind == LOG_HOLD && b->id_count != 1)
        return err_fail(err, code, "the record of a hold names %zu snapshots", b->id_count);
    if (kind_has(kind, PART_NAME) && (!b->name || !*b->name || strlen(b->name) > NAME_MAX_BYTES))
        return err_fail(err, code, "the name of a hold is empty or too long");
    return ERR_OK;
}

#define AT(member) offsetof(struct log_body, member)
static const struct field_spec BODY_FIELDS[] = {
    {.tag = TAG_KIND, .kind = FIELD_CUSTOM, .put = kind_put, .get = kind_get},
    {.tag = 2, .critical = true, .kind = FIELD_U64, .offset = AT(head.number), .max = UINT64_MAX},
    {.tag = 3, .critical = true, .kind = FIELD_FIXED, .offset = AT(head.prev), .max = sizeof(struct digest)},
    {.tag = 4, .kind = FIELD_FIXED, .offset = AT(head.writer), .max = 8},
    {.tag = 5, .kind = FIELD_FIXED, .offset = AT(head.session), .max = 8},
    {.tag = 6, .kind = FIELD_TIME, .offset = AT(head.time)},
    {.tag = PART_SNAPSHOT, .critical = true, .kind = FIELD_CUSTOM, .put = snapshot_put, .get = snapshot_get},
    {.tag = PART_RUN, .critical = true, .kind = FIELD_CUSTOM, .put = run_put_part, .get = run_get},
    {.tag = PART_VERIFIED,
     .critical = true,
     .list = true,
     .kind = FIELD_CUSTOM,
     .put = verified_put,
     .get = verified_get},
    {.tag = PART_IDS, .critical = true, .kind = FIELD_CUSTOM, .put = ids_put, .get = ids_get},
    {.tag = PART_PACKS, .critical = true, .kind = FIELD_CUSTOM, .put = packs_put, .get = packs_get},
    {.tag = PART_NAME, .critical = true, .kind = FIELD_CUSTOM, .put = name_put, .get = name_get},
};
#undef AT
static const struct schema BODY_SCHEMA = {"a log record", BODY_FIELDS, sizeof BODY_FIELDS / sizeof *BODY_FIELDS};

enum errc log_body_put(struct buf *b, const struct log_body *body, struct err *err)
{
    size_t before = b->len;
    enum errc rc = body_check(body, ERR_INTERNAL, err);
    if (rc == ERR_OK)
        rc = schema_put(b, &BODY_SCHEMA, body, err);
    if (rc == ERR_OK && b->len - before > LOG_RECORD_MAX_BYTES)
        rc = err_fail(err, ERR_LIMIT, "a log record of %zu bytes is above the limit of %d", b->len - before,
                      LOG_RECORD_MAX_BYTES);
    if (rc != ERR_OK)
        b->len = before;
    return rc;
}

/* First look: the kind, where the head ends, and whether only parts stand behind it that the kind has. */
struct outline {
    uint64_t kind;
    bool critical, parts_fit;
    size_t head_len;
};

static bool outline_get(const void *data, size_t len, struct outline *out)
{
    *out = (struct outline){.parts_fit = true};
    struct fields f = fields_of(reader_of(data, len));
    struct field field;
    while (fields_next(&f, &field)) {
        if (field.tag == TAG_KIND) {
            out->kind = get_varint(&field.value);
            out->critical = field.critical;
            if (!reader_ok(&field.value))
                return false;
        }
        if (field.tag < PART_SNAPSHOT)
            out->head_len = len - reader_left(&f.r);
        else if (field.tag <= PART_NAME && !kind_has((enum log_kind)out->kind, (enum part)field.tag))
            out->parts_fit = false;
    }
    return reader_ok(&f.r) && out->kind > 0;
}

enum errc log_body_get(const void *data, size_t len, struct log_body *out, struct err *err)
{
    *out = (struct log_body){0};
    struct outline outline;
    if (len > LOG_RECORD_MAX_BYTES || !outline_get(data, len, &outline))
        return err_fail(err, ERR_DAMAGED, "a log record is malformed");
    bool known = outline.kind <= LOG_CHECKPOINT;
    if (outline.kind > UINT16_MAX || (!known && outline.critical))
        return err_fail(err, ERR_FORMAT_NEWER, "a log record is of kind %llu, which this version does not know",
                        (unsigned long long)outline.kind);
    enum errc rc = ERR_OK;
    if (known && !outline.parts_fit)
        rc = err_fail(err, ERR_DAMAGED, "a log record holds what its kind does not have");
    if (rc == ERR_OK)
        rc = schema_get(reader_of(data, known ? len : outline.head_len), &BODY_SCHEMA, out, err);
    if (rc == ERR_OK && known)
        rc = body_check(out, ERR_DAMAGED, err);
    else if (rc == ERR_OK && out->head.number == 0)
        rc = err_fail(err, ERR_DAMAGED, "a log record has no number");
    if (rc != ERR_OK)
        log_body_release(out);
    return rc;
}
