/* Decoders of entry lists (entry.h). */
#include <string.h>

#include "format/entry_wire.h"
#include "format/fields.h"

/* A decoder below returns ERR_OK and leaves r failed when the bytes are malformed; other codes are final. */

static void get_core(struct reader *r, struct entry *e)
{
    uint64_t kind = get_varint_max(r, UINT32_MAX);
    e->type = (enum entry_type)(kind >> ENTRY_MODE_BITS);
    e->mode = kind & 07777;
    e->uid = (uint32_t)get_varint_max(r, UINT32_MAX);
    e->gid = (uint32_t)get_varint_max(r, UINT32_MAX);
    e->size = get_varint_max(r, INT64_MAX);
    get_time(r, &e->mtime);
    e->ctime.sec = (int64_t)((uint64_t)e->mtime.sec + (uint64_t)get_zigzag(r));
    int64_t nsec = get_zigzag(r);
    if (nsec < -999999999 || nsec > 999999999)
        r->failed = true;
    else
        e->ctime.nsec = (uint32_t)(nsec + e->mtime.nsec); /* below 0 becomes huge, and entry_fault refuses it */
    e->dev = get_varint(r);
    e->ino = get_varint(r);
    e->nlink = (uint32_t)get_varint_max(r, UINT32_MAX);
}

static struct bytes get_rest(struct reader *r)
{
    return get_bytes(r, reader_left(r));
}

static void get_text(struct reader *r, const char **text, size_t *len)
{
    struct bytes b = get_rest(r);
    *text = (const char *)b.data;
    *len = b.len;
}

static void get_blob(struct reader *r, const uint8_t **blob, size_t *len)
{
    struct bytes b = get_rest(r);
    *blob = b.data;
    *len = b.len;
}

static enum errc unknown_field(const struct field *field, struct err *err)
{
    if (!field->critical)
        return ERR_OK;
    return err_fail(err, ERR_FORMAT_NEWER, "an entry has a field %llu that this version does not know",
                    (unsigned long long)field->tag);
}

static enum errc get_entry_field(struct field *field, struct entry *e, struct err *err)
{
    struct reader *r = &field->value;
    switch (field->tag) {
    case ENTRY_PATH:
        get_text(r, &e->path, &e->path_len);
        return ERR_OK;
    case ENTRY_CORE:
        get_core(r, e);
        return ERR_OK;
    case ENTRY_USER:
        get_text(r, &e->user, &e->user_len);
        return ERR_OK;
    case ENTRY_GROUP:
        get_text(r, &e->group, &e->group_len);
        return ERR_OK;
    case ENTRY_LINK:
        get_text(r, &e->link_target, &e->link_target_len);
        return ERR_OK;
    case ENTRY_RDEV:
        e->rdev_major = (uint32_t)get_varint_max(r, UINT32_MAX);
        e->rdev_minor = (uint32_t)get_varint_max(r, UINT32_MAX);
        return ERR_OK;
    case ENTRY_XATTRS:
        get_blob(r, &e->xattrs, &e->xattrs_len);
        return ERR_OK;
    case ENTRY_XATTR_STREAMS:
        get_blob(r, &e->xattr_streams, &e->xattr_streams_len);
        return ERR_OK;
    case ENTRY_PROBE:
        get_blob(r, &e->probe, &e->probe_len);
        return ERR_OK;
    case ENTRY_FLAGS:
        e->flags = (uint32_t)get_varint_max(r, UINT32_MAX);
        return ERR_OK;
    default:
        (void)get_rest(r);
        return unknown_field(field, err);
    }
}

static enum errc get_entry(struct reader *r, struct entry *e, struct err *err)
{
    struct fields f = fields_of(*r);
    struct field field;
    bool path = false, core = false;
    while (fields_next(&f, &field)) {
        enum errc rc = get_entry_field(&field, e, err);
        if (rc != ERR_OK)
            return rc;
        bool known = field.tag >= ENTRY_PATH && field.tag <= ENTRY_FLAGS;
        if (!reader_ok(&field.value) || reader_left(&field.value) > 0 || (field.repeated && known))
            f.r.failed = true;
        path |= field.tag == ENTRY_PATH;
        core |= field.tag == ENTRY_CORE;
    }
    *r = f.r;
    if (!reader_ok(r) || !path || !core) {
        r->failed = true;
        return ERR_OK;
    }
    if (e->type > ENTRY_ABSENT || (e->flags & ~(uint32_t)ENTRY_FLAGS_KNOWN))
        return err_fail(err, ERR_FORMAT_NEWER, "an entry has type %u, flags %x", (unsigned)e->type, e->flags);
    const char *fault = entry_fault(e);
    return fault ? err_fail(err, ERR_DAMAGED, "an entry of a list is malformed: %s", fault) : ERR_OK;
}

static void get_run(struct reader *r, struct run *run, struct bytes *refs_out)
{
    uint64_t shape = get_varint_max(r, ((uint64_t)RUN_MAX_REFS << RUN_COUNT_SHIFT) | 7);
    run->count = (uint32_t)(shape >> RUN_COUNT_SHIFT);
    run->has_prints = shape & RUN_PRINTS;
    bool fixed = shape & RUN_FIXED, short_last = shape & RUN_SHORT_LAST;
    run->offset = get_varint_max(r, INT64_MAX);
    if (fixed)
        run->fixed = (uint32_t)get_varint_max(r, CHUNK_MAX_BYTES);
    if (run->count < 1 || fixed != (run->fixed > 0) || (short_last && !fixed)) {
        r->failed = true;
        return;
    }
    *refs_out = (struct bytes){.data = r->p, .len = reader_left(r)};
    uint64_t bytes = (uint64_t)run->fixed * run->count;
    for (uint32_t i = 0; i < run->count && reader_ok(r); i++) {
        struct chunk_ref ref;
        ref_get(r, &ref, run->has_prints, !fixed);
        bytes += ref.len;
    }
    if (short_last) {
        uint64_t last = get_varint_max(r, run->fixed - 1);
        if (last < 1)
            r->failed = true;
        bytes = bytes - run->fixed + last;
    }
    if (run->offset > INT64_MAX - bytes)
        r->failed = true;
}

enum errc run_ref_get(struct reader *refs, const struct run *run, struct chunk_ref *out, struct err *err)
{
    ref_get(refs, out, run->has_prints, run->fixed == 0);
    if (run->fixed > 0) {
        out->len = run->fixed;
        /* Less than another reference: the length of the one just read, the entry's last. */
        size_t left = reader_left(refs);
        if (left > 0 && left < NAME_BYTES)
            out->len = (uint32_t)get_varint_max(refs, run->fixed);
    }
    if (!reader_ok(refs))
        return err_fail(err, ERR_DAMAGED, "a run of chunks is malformed");
    return ERR_OK;
}

static enum errc get_end(struct reader *r, struct entry_end *end, struct err *err)
{
    end->size = get_varint_max(r, INT64_MAX);
    struct fields f = fields_of(*r);
    struct field field;
    while (fields_next(&f, &field)) {
        struct reader *v = &field.value;
        uint64_t state = 0;
        enum errc rc = ERR_OK;
        if (field.tag == END_STATE)
            state = get_varint(v);
        else if (field.tag == END_FACTS)
            get_blob(v, &end->facts, &end->facts_len);
        else if (field.tag == END_REASON)
            get_text(v, &end->reason, &end->reason_len);
        else
            rc = unknown_field(&field, err);
        if (state > STATE_ERROR)
            rc = err_fail(err, ERR_FORMAT_NEWER, "an entry has state %llu", (unsigned long long)state);
        if (rc != ERR_OK)
            return rc;
        bool known = field.tag >= END_STATE && field.tag <= END_REASON;
        if (field.tag == END_STATE)
            end->state = (enum entry_state)state;
        if (known && (!reader_ok(v) || reader_left(v) > 0 || field.repeated))
            f.r.failed = true;
    }
    *r = f.r;
    const char *fault = reader_ok(r) ? entry_end_fault(end) : NULL;
    return fault ? err_fail(err, ERR_DAMAGED, "the end of an entry is malformed: %s", fault) : ERR_OK;
}

static enum errc get_payload(uint64_t kind, struct reader *r, struct list_record *out, struct err *err)
{
    switch (kind) {
    case LIST_ENTRY:
        return get_entry(r, &out->u.entry, err);
    case LIST_RUN:
        get_run(r, &out->u.run, &out->refs);
        return ERR_OK;
    case LIST_HOLE:
        out->u.hole.offset = get_varint_max(r, INT64_MAX);
        out->u.hole.len = get_varint_max(r, INT64_MAX);
        if (out->u.hole.len < 1 || out->u.hole.offset > INT64_MAX - out->u.hole.len)
            r->failed = true;
        return ERR_OK;
    default:
        return get_end(r, &out->u.end, err);
    }
}

static enum errc malformed(struct reader *r, struct err *err)
{
    r->failed = true;
    return err_fail(err, ERR_DAMAGED, "an entry list is malformed");
}

enum errc list_record_get(struct reader *r, struct list_record *out, bool *more, struct err *err)
{
    *more = false;
    while (reader_ok(r) && reader_left(r) > 0) {
        *out = (struct list_record){0};
        out->raw.data = r->p;
        uint64_t key = get_varint(r);
        struct bytes payload = get_counted(r, LIST_RECORD_MAX_BYTES);
        out->raw.len = (size_t)(r->p - out->raw.data);
        if (!reader_ok(r) || out->raw.len > LIST_RECORD_MAX_BYTES)
            return malformed(r, err);
        uint64_t kind = key >> 1;
        bool known = kind >= LIST_ENTRY && kind <= LIST_END;
        if (!known && !(key & 1))
            continue;
        if (!known)
            return err_fail(err, ERR_FORMAT_NEWER, "an entry list has a record of kind %llu", (unsigned long long)kind);
        out->kind = (enum list_record_kind)kind;
        struct reader value = reader_of(payload.data, payload.len);
        enum errc rc = get_payload(kind, &value, out, err);
        if (rc != ERR_OK)
            return rc;
        if (!reader_ok(&value) || reader_left(&value) > 0)
            return malformed(r, err);
        *more = true;
        return ERR_OK;
    }
    return reader_ok(r) ? ERR_OK : malformed(r, err);
}
