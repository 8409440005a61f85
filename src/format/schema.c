/* Structures described by tables of their fields (fields.h): one table for both directions. */
#include <stdlib.h>
#include <string.h>

#include "base/timefmt.h"
#include "format/fields.h"

_Static_assert(sizeof(enum field_kind) == sizeof(uint32_t), "enums are stored through uint32_t");

static uint64_t load_number(const struct field_spec *s, const char *member)
{
    uint8_t u8 = 0;
    uint32_t u32 = 0;
    uint64_t u64 = 0;
    switch (s->kind) {
    case FIELD_U8:
    case FIELD_BOOL:
        memcpy(&u8, member, sizeof u8);
        return u8;
    case FIELD_U32:
    case FIELD_ENUM:
        memcpy(&u32, member, sizeof u32);
        return u32;
    default:
        memcpy(&u64, member, sizeof u64);
        return u64;
    }
}

static void store_number(const struct field_spec *s, char *member, uint64_t v)
{
    uint8_t u8 = (uint8_t)v;
    uint32_t u32 = (uint32_t)v;
    if (s->kind == FIELD_U8 || s->kind == FIELD_BOOL)
        memcpy(member, &u8, sizeof u8);
    else if (s->kind == FIELD_U32 || s->kind == FIELD_ENUM)
        memcpy(member, &u32, sizeof u32);
    else
        memcpy(member, &v, sizeof v);
}

static bool all_zero(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static enum errc put_number(struct buf *b, const struct field_spec *s, uint64_t v, struct err *err)
{
    if (v == 0)
        return ERR_OK;
    if (v > s->max)
        return err_fail(err, ERR_LIMIT, "the value %llu is above the limit of %zu", (unsigned long long)v, s->max);
    return put_field_varint(b, s->tag, s->critical, v, err);
}

static enum errc put_text(struct buf *b, const struct field_spec *s, const char *member, struct err *err)
{
    const char *text;
    memcpy(&text, member, sizeof text);
    if (s->kind == FIELD_TEXT && text && !*text)
        return ERR_OK; /* absent reads as "" */
    if (text && strlen(text) > s->max)
        return err_fail(err, ERR_LIMIT, "a text of %zu bytes is above the limit of %zu", strlen(text), s->max);
    return put_field_str(b, s->tag, s->critical, text, err);
}

static enum errc put_member(struct buf *b, const struct field_spec *s, const char *object, struct err *err)
{
    const char *member = object + s->offset;
    if (s->kind == FIELD_CUSTOM)
        return s->put(b, s, object, err);
    if (s->kind == FIELD_TEXT || s->kind == FIELD_TEXT_OR_NULL)
        return put_text(b, s, member, err);
    if (s->kind == FIELD_FIXED)
        return all_zero(member, s->max) ? ERR_OK : put_field(b, s->tag, s->critical, member, s->max, err);
    if (s->kind != FIELD_TIME)
        return put_number(b, s, load_number(s, member), err);
    struct timestamp t;
    memcpy(&t, member, sizeof t);
    if (t.sec == 0 && t.nsec == 0)
        return ERR_OK;
    size_t start;
    enum errc rc = nest_open_field(b, s->tag, s->critical, &start, err);
    if (rc == ERR_OK)
        rc = put_time(b, &t, err);
    return rc == ERR_OK ? nest_close(b, start, err) : rc;
}

enum errc schema_put(struct buf *b, const struct schema *s, const void *object, struct err *err)
{
    size_t start = b->len;
    for (size_t i = 0; i < s->count; i++) {
        enum errc rc = put_member(b, &s->specs[i], object, err);
        if (rc != ERR_OK) {
            b->len = start;
            return rc;
        }
    }
    return ERR_OK;
}

static enum errc get_text(struct reader *v, const struct field_spec *s, char *member, struct err *err)
{
    struct bytes text = get_bytes(v, reader_left(v));
    if (text.len > s->max || (text.len > 0 && memchr(text.data, 0, text.len))) {
        v->failed = true;
        return ERR_OK;
    }
    return mem_dup(member, text.data, text.len, err);
}

static enum errc get_member(struct reader *v, const struct field_spec *s, char *object, struct err *err)
{
    char *member = object + s->offset;
    struct timestamp t;
    switch (s->kind) {
    case FIELD_CUSTOM:
        return s->get(v, s, object, err);
    case FIELD_TEXT:
    case FIELD_TEXT_OR_NULL:
        return get_text(v, s, member, err);
    case FIELD_FIXED:
        get_copy(v, member, s->max);
        return ERR_OK;
    case FIELD_TIME:
        get_time(v, &t);
        memcpy(member, &t, sizeof t);
        return ERR_OK;
    case FIELD_ENUM: {
        uint64_t value = get_varint(v);
        if (value > s->max)
            return err_fail(err, ERR_FORMAT_NEWER, "the value %llu of field %u is not known", (unsigned long long)value,
                            s->tag);
        store_number(s, member, value);
        return ERR_OK;
    }
    default:
        store_number(s, member, get_varint_max(v, s->max));
        return ERR_OK;
    }
}

static const struct field_spec *spec_of(const struct schema *s, uint64_t tag)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->specs[i].tag == tag)
            return &s->specs[i];
    return NULL;
}

static enum errc fill_texts(const struct schema *s, char *object, struct err *err)
{
    for (size_t i = 0; i < s->count; i++) {
        char *text;
        if (s->specs[i].kind != FIELD_TEXT)
            continue;
        memcpy(&text, object + s->specs[i].offset, sizeof text);
        if (text)
            continue;
        enum errc rc = mem_dup(object + s->specs[i].offset, "", 0, err);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

enum errc schema_get(struct reader r, const struct schema *s, void *object, struct err *err)
{
    struct fields f = fields_of(r);
    struct field field;
    while (fields_next(&f, &field)) {
        const struct field_spec *spec = spec_of(s, field.tag);
        if (!spec && field.critical)
            return err_fail(err, ERR_FORMAT_NEWER, "%s has a field %llu that this version does not know", s->what,
                            (unsigned long long)field.tag);
        if (!spec)
            continue;
        if (field.repeated && !spec->list)
            return err_fail(err, ERR_DAMAGED, "%s is malformed: field %u stands twice", s->what, spec->tag);
        enum errc rc = get_member(&field.value, spec, object, err);
        if (rc != ERR_OK)
            return err_wrap(err, "%s", s->what), rc;
        if (!reader_ok(&field.value) || reader_left(&field.value) > 0)
            return err_fail(err, ERR_DAMAGED, "%s is malformed in field %u", s->what, spec->tag);
    }
    if (!reader_ok(&f.r))
        return err_fail(err, ERR_DAMAGED, "%s is cut short or malformed", s->what);
    return fill_texts(s, object, err);
}
