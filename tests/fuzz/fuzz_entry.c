/* Entry lists: whatever is read can be written, and reads the same again. */
#include <string.h>

#include "format/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_xattrs(const struct entry *e)
{
    struct bytes name, value;
    struct stream_root root;
    struct reader r = reader_of(e->xattrs, e->xattrs_len);
    while (xattr_next(&r, &name, &value))
        continue;
    REQUIRE(reader_ok(&r));
    r = reader_of(e->xattr_streams, e->xattr_streams_len);
    while (xattr_stream_next(&r, &name, &root))
        continue;
    REQUIRE(reader_ok(&r));
}

static void write_run(struct buf *b, const struct list_record *rec)
{
    struct chunk_ref refs[RUN_MAX_REFS];
    struct reader r = reader_of(rec->refs.data, rec->refs.len);
    for (uint32_t i = 0; i < rec->u.run.count; i++)
        REQUIRE(run_ref_get(&r, &rec->u.run, &refs[i], NULL) == ERR_OK);
    REQUIRE(reader_left(&r) == 0);
    REQUIRE(run_put(b, &rec->u.run, refs, NULL) == ERR_OK);
}

static void write_record(struct buf *b, const struct list_record *rec)
{
    switch (rec->kind) {
    case LIST_ENTRY:
        read_xattrs(&rec->u.entry);
        REQUIRE(entry_put(b, &rec->u.entry, NULL) == ERR_OK);
        break;
    case LIST_RUN:
        write_run(b, rec);
        break;
    case LIST_HOLE:
        REQUIRE(hole_put(b, rec->u.hole.offset, rec->u.hole.len, NULL) == ERR_OK);
        break;
    case LIST_END:
        REQUIRE(entry_end_put(b, &rec->u.end, NULL) == ERR_OK);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size);
    struct list_record rec, again;
    bool more;
    struct buf first, second;
    buf_init(&first, LIST_RECORD_MAX_BYTES);
    buf_init(&second, LIST_RECORD_MAX_BYTES);
    while (list_record_get(&r, &rec, &more, NULL) == ERR_OK && more) {
        buf_clear(&first);
        buf_clear(&second);
        write_record(&first, &rec);
        struct reader copy = reader_of(first.data, first.len);
        REQUIRE(list_record_get(&copy, &again, &more, NULL) == ERR_OK && more && again.kind == rec.kind);
        write_record(&second, &again);
        REQUIRE(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    }
    buf_release(&first);
    buf_release(&second);
    return 0;
}
