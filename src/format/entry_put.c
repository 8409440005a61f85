/* Encoders of entry lists (entry.h). */
#include <string.h>

#include "format/entry_wire.h"
#include "format/fields.h"

static enum errc record_open(struct buf *b, enum list_record_kind kind, size_t *start_out, struct err *err)
{
    enum errc rc = put_varint(b, (uint64_t)kind << 1 | 1, err);
    *start_out = b->len;
    return rc;
}

/* The limits of the parts keep every record within that of the whole: numbers and tags take less than the last term. */
_Static_assert(2 * PATH_MAX_BYTES + 2 * NAME_MAX_BYTES + XATTR_INLINE_MAX_BYTES + XATTR_STREAMS_MAX_BYTES +
                       PROBE_MAX_BYTES + 512 <=
                   LIST_RECORD_MAX_BYTES,
               "ENTRY");
_Static_assert(FACTS_MAX_BYTES + TEXT_MAX_BYTES + 512 <= LIST_RECORD_MAX_BYTES, "END");
_Static_assert(RUN_MAX_REFS *(NAME_BYTES + FINGERPRINT_BYTES + 3) + 512 <= LIST_RECORD_MAX_BYTES, "RUN");

/* Ends the record begun at b->data[start]; after a failure the buffer is as before it. */
static enum errc record_close(struct buf *b, size_t before, size_t start, enum errc rc, struct err *err)
{
    if (rc == ERR_OK)
        rc = nest_close(b, start, err);
    if (rc != ERR_OK)
        b->len = before;
    return rc;
}

static int64_t difference(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b); /* modulo 2^64: exact both ways */
}

/* Members that nearly every entry has, in one field to spare their tags. */
static enum errc put_core(struct buf *b, const struct entry *e, struct err *err)
{
    size_t start;
    enum errc rc = nest_open_field(b, ENTRY_CORE, true, &start, err);
    if (rc == ERR_OK)
        rc = put_varint(b, (uint64_t)e->type << ENTRY_MODE_BITS | e->mode, err);
    if (rc == ERR_OK)
        rc = put_varint(b, e->uid, err);
    if (rc == ERR_OK)
        rc = put_varint(b, e->gid, err);
    if (rc == ERR_OK)
        rc = put_varint(b, e->size, err);
    if (rc == ERR_OK)
        rc = put_time(b, &e->mtime, err);
    if (rc == ERR_OK)
        rc = put_zigzag(b, difference(e->ctime.sec, e->mtime.sec), err);
    if (rc == ERR_OK)
        rc = put_zigzag(b, (int64_t)e->ctime.nsec - (int64_t)e->mtime.nsec, err);
    if (rc == ERR_OK)
        rc = put_varint(b, e->dev, err);
    if (rc == ERR_OK)
        rc = put_varint(b, e->ino, err);
    if (rc == ERR_OK)
        rc = put_varint(b, e->nlink, err);
    return rc == ERR_OK ? nest_close(b, start, err) : rc;
}

static enum errc put_rdev(struct buf *b, const struct entry *e, struct err *err)
{
    if (e->rdev_major == 0 && e->rdev_minor == 0)
        return ERR_OK;
    size_t start;
    enum errc rc = nest_open_field(b, ENTRY_RDEV, true, &start, err);
    if (rc == ERR_OK)
        rc = put_varint(b, e->rdev_major, err);
    if (rc == ERR_OK)
        rc = put_varint(b, e->rdev_minor, err);
    return rc == ERR_OK ? nest_close(b, start, err) : rc;
}

static enum errc put_bytes(struct buf *b, uint64_t tag, bool critical, const void *data, size_t len, struct err *err)
{
    return len > 0 ? put_field(b, tag, critical, data, len, err) : ERR_OK;
}

enum errc entry_put(struct buf *b, const struct entry *e, struct err *err)
{
    const char *fault = entry_fault(e);
    if (fault)
        return err_fail(err, ERR_LIMIT, "an entry cannot be stored: %s", fault);
    if (e->flags & ~(uint32_t)ENTRY_FLAGS_KNOWN)
        return err_fail(err, ERR_INTERNAL, "an entry has unknown flags %x", e->flags);
    size_t before = b->len, start = before;
    enum errc rc = record_open(b, LIST_ENTRY, &start, err);
    if (rc == ERR_OK)
        rc = put_field(b, ENTRY_PATH, true, e->path, e->path_len, err);
    if (rc == ERR_OK)
        rc = put_core(b, e, err);
    if (rc == ERR_OK)
        rc = put_bytes(b, ENTRY_USER, false, e->user, e->user_len, err);
    if (rc == ERR_OK)
        rc = put_bytes(b, ENTRY_GROUP, false, e->group, e->group_len, err);
    if (rc == ERR_OK)
        rc = put_bytes(b, ENTRY_LINK, true, e->link_target, e->link_target_len, err);
    if (rc == ERR_OK)
        rc = put_rdev(b, e, err);
    if (rc == ERR_OK)
        rc = put_bytes(b, ENTRY_XATTRS, true, e->xattrs, e->xattrs_len, err);
    if (rc == ERR_OK)
        rc = put_bytes(b, ENTRY_XATTR_STREAMS, true, e->xattr_streams, e->xattr_streams_len, err);
    if (rc == ERR_OK)
        rc = put_bytes(b, ENTRY_PROBE, false, e->probe, e->probe_len, err);
    if (rc == ERR_OK && e->flags != 0)
        rc = put_field_varint(b, ENTRY_FLAGS, true, e->flags, err);
    return record_close(b, before, start, rc, err);
}

/* Where the references lie within the data, and that fixed lengths are what they promise. */
static const char *run_fault(const struct run *run, const struct chunk_ref *refs)
{
    if (run->count < 1 || run->count > RUN_MAX_REFS || run->fixed > CHUNK_MAX_BYTES)
        return "its count or length is out of range";
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < run->count; i++) {
        bool last = i + 1 == run->count;
        if (refs[i].len < 1 || refs[i].len > CHUNK_MAX_BYTES)
            return "a chunk's length is out of range";
        if (run->fixed && (last ? refs[i].len > run->fixed : refs[i].len != run->fixed))
            return "a chunk has another length than the run's";
        bytes += refs[i].len;
    }
    return run->offset > INT64_MAX - bytes ? "its offset is out of range" : NULL;
}

enum errc run_put(struct buf *b, const struct run *run, const struct chunk_ref *refs, struct err *err)
{
    const char *fault = run_fault(run, refs);
    if (fault)
        return err_fail(err, ERR_INTERNAL, "a run of chunks cannot be stored: %s", fault);
    bool prints = ref_any_print(refs, run->count);
    bool short_last = run->fixed && refs[run->count - 1].len < run->fixed;
    uint64_t shape = (uint64_t)run->count << RUN_COUNT_SHIFT | (run->fixed ? RUN_FIXED : 0) |
                     (prints ? RUN_PRINTS : 0) | (short_last ? RUN_SHORT_LAST : 0);
    size_t before = b->len, start = before;
    enum errc rc = record_open(b, LIST_RUN, &start, err);
    if (rc == ERR_OK)
        rc = put_varint(b, shape, err);
    if (rc == ERR_OK)
        rc = put_varint(b, run->offset, err);
    if (rc == ERR_OK && run->fixed)
        rc = put_varint(b, run->fixed, err);
    for (uint32_t i = 0; rc == ERR_OK && i < run->count; i++)
        rc = ref_put(b, &refs[i], prints, !run->fixed, err);
    if (rc == ERR_OK && short_last)
        rc = put_varint(b, refs[run->count - 1].len, err);
    return record_close(b, before, start, rc, err);
}

enum errc hole_put(struct buf *b, uint64_t offset, uint64_t len, struct err *err)
{
    if (len < 1 || len > INT64_MAX || offset > INT64_MAX - len)
        return err_fail(err, ERR_INTERNAL, "a hole lies beyond the largest file");
    size_t before = b->len, start = before;
    enum errc rc = record_open(b, LIST_HOLE, &start, err);
    if (rc == ERR_OK)
        rc = put_varint(b, offset, err);
    if (rc == ERR_OK)
        rc = put_varint(b, len, err);
    return record_close(b, before, start, rc, err);
}

enum errc entry_end_put(struct buf *b, const struct entry_end *end, struct err *err)
{
    const char *fault = entry_end_fault(end);
    if (!fault && end->state > STATE_ERROR)
        fault = "its state is unknown";
    if (fault)
        return err_fail(err, ERR_LIMIT, "the end of an entry cannot be stored: %s", fault);
    size_t before = b->len, start = before;
    enum errc rc = record_open(b, LIST_END, &start, err);
    if (rc == ERR_OK)
        rc = put_varint(b, end->size, err);
    if (rc == ERR_OK && end->state != STATE_EXACT)
        rc = put_field_varint(b, END_STATE, true, end->state, err);
    if (rc == ERR_OK)
        rc = put_bytes(b, END_FACTS, false, end->facts, end->facts_len, err);
    if (rc == ERR_OK)
        rc = put_bytes(b, END_REASON, false, end->reason, end->reason_len, err);
    return record_close(b, before, start, rc, err);
}
