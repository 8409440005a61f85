/* entry.h: entry lists, runs, extended attributes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/entry.h"

static struct err err;
#define OK(call) assert_int_equal((call), ERR_OK)

static struct entry small_file(void)
{
    return (struct entry){.path = "dir0042/f000123",
                          .path_len = 15,
                          .type = ENTRY_FILE,
                          .mode = 0644,
                          .uid = 1000,
                          .gid = 1000,
                          .size = 2100,
                          .mtime = {1790000000, 123456789},
                          .ctime = {1790000000, 127456789},
                          .dev = 2049,
                          .ino = 1234567,
                          .nlink = 1};
}

/* The one record that b holds. */
static enum errc get_one(const struct buf *b, struct list_record *out)
{
    struct reader r = reader_of(b->data, b->len);
    bool more;
    enum errc rc = list_record_get(&r, out, &more, &err);
    if (rc != ERR_OK)
        return rc;
    assert_true(more);
    assert_ptr_equal(out->raw.data, b->data);
    assert_int_equal(out->raw.len, b->len);
    assert_int_equal(reader_left(&r), 0);
    OK(list_record_get(&r, &(struct list_record){0}, &more, &err));
    assert_false(more);
    return ERR_OK;
}

static void assert_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
    assert_int_equal(a_len, b_len);
    if (a_len > 0)
        assert_memory_equal(a, b, a_len);
}

static void assert_same(const struct entry *a, const struct entry *b)
{
    assert_text(a->path, a->path_len, b->path, b->path_len);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->uid, b->uid);
    assert_int_equal(a->gid, b->gid);
    assert_text(a->user, a->user_len, b->user, b->user_len);
    assert_text(a->group, a->group_len, b->group, b->group_len);
    assert_true(a->size == b->size && a->dev == b->dev && a->ino == b->ino && a->nlink == b->nlink);
    assert_true(a->mtime.sec == b->mtime.sec && a->mtime.nsec == b->mtime.nsec);
    assert_true(a->ctime.sec == b->ctime.sec && a->ctime.nsec == b->ctime.nsec);
    assert_true(a->rdev_major == b->rdev_major && a->rdev_minor == b->rdev_minor && a->flags == b->flags);
    assert_text(a->link_target, a->link_target_len, b->link_target, b->link_target_len);
    assert_text((const char *)a->xattrs, a->xattrs_len, (const char *)b->xattrs, b->xattrs_len);
    assert_text((const char *)a->xattr_streams, a->xattr_streams_len, (const char *)b->xattr_streams,
                b->xattr_streams_len);
    assert_text((const char *)a->probe, a->probe_len, (const char *)b->probe, b->probe_len);
}

static void through(const struct entry *in)
{
    struct buf b;
    struct list_record rec;
    buf_init(&b, 1 << 20);
    OK(entry_put(&b, in, &err));
    OK(get_one(&b, &rec));
    assert_int_equal(rec.kind, LIST_ENTRY);
    assert_same(in, &rec.u.entry);
    buf_release(&b);
}

static void entries_of_every_type_round_trip(void **state)
{
    (void)state;
    for (int type = ENTRY_FILE; type <= ENTRY_ABSENT; type++) {
        struct entry e = small_file();
        e.type = (enum entry_type)type;
        if (type == ENTRY_SYMLINK || type == ENTRY_HARDLINK) {
            e.link_target = type == ENTRY_SYMLINK ? "../\n/x\xff" : "dir0042/first";
            e.link_target_len = strlen(e.link_target);
        }
        if (type == ENTRY_CHAR_DEV || type == ENTRY_BLOCK_DEV) {
            e.rdev_major = 259;
            e.rdev_minor = UINT32_MAX;
        }
        through(&e);
    }
    struct entry root = {.path = "", .type = ENTRY_DIR};
    through(&root);
}

static void extreme_entries_round_trip(void **state)
{
    (void)state;
    struct entry e = small_file();
    e.mode = 07777;
    e.uid = e.gid = e.nlink = UINT32_MAX;
    e.size = INT64_MAX;
    e.dev = e.ino = UINT64_MAX;
    e.mtime = (struct timestamp){INT64_MIN, 999999999};
    e.ctime = (struct timestamp){INT64_MAX, 0};
    e.user = "wheel\xfe", e.user_len = 6;
    e.group = "staff", e.group_len = 5;
    e.flags = ENTRY_FLAG_SIDECAR;
    e.probe = (const uint8_t *)"\0\1\2", e.probe_len = 3;
    through(&e);
    e.mtime = (struct timestamp){INT64_MAX, 0};
    e.ctime = (struct timestamp){INT64_MIN, 999999999};
    through(&e);
    char *path = malloc(PATH_MAX_BYTES + 2);
    for (size_t i = 0; i < PATH_MAX_BYTES + 2; i++)
        path[i] = i % 100 == 99 ? '/' : (char)(1 + i % 46);
    e.path = path;
    e.path_len = PATH_MAX_BYTES;
    through(&e);
    e.path_len++;
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_int_equal(entry_put(&b, &e, &err), ERR_LIMIT);
    assert_int_equal(b.len, 0);
    buf_release(&b);
    free(path);
}

static void xattrs_round_trip(void **state)
{
    (void)state;
    struct buf x, s;
    buf_init(&x, XATTR_INLINE_MAX_BYTES);
    buf_init(&s, XATTR_STREAMS_MAX_BYTES);
    OK(xattr_put(&x, "security.selinux", "a\0b", 3, &err));
    OK(xattr_put(&x, "user.empty", NULL, 0, &err));
    struct stream_root root = {.depth = 1, .bytes = 900000, .count = 2, .refs = {{.len = 70000}, {.len = 1}}}, got;
    memset(root.refs[0].name.b, 0x51, NAME_BYTES);
    memset(root.refs[1].print.b, 0x52, FINGERPRINT_BYTES);
    OK(xattr_stream_put(&s, "user.huge", &root, &err));
    struct entry e = small_file();
    e.xattrs = x.data, e.xattrs_len = x.len;
    e.xattr_streams = s.data, e.xattr_streams_len = s.len;
    through(&e);

    struct reader r = reader_of(x.data, x.len);
    struct bytes name, value;
    assert_true(xattr_next(&r, &name, &value));
    assert_text((const char *)name.data, name.len, "security.selinux", 16);
    assert_text((const char *)value.data, value.len, "a\0b", 3);
    assert_true(xattr_next(&r, &name, &value));
    assert_int_equal(value.len, 0);
    assert_false(xattr_next(&r, &name, &value));
    assert_true(reader_ok(&r));
    r = reader_of(s.data, s.len);
    assert_true(xattr_stream_next(&r, &name, &got));
    assert_text((const char *)name.data, name.len, "user.huge", 9);
    assert_memory_equal(&got, &root, sizeof root);
    assert_false(xattr_stream_next(&r, &name, &got));
    assert_true(reader_ok(&r));

    OK(xattr_put(&x, "user.a", "1", 1, &err)); /* out of order */
    e.xattrs_len = x.len, e.xattrs = x.data;
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_int_equal(entry_put(&b, &e, &err), ERR_LIMIT);
    buf_release(&b);
    buf_release(&x);
    buf_release(&s);
}

static void unsafe_entries_are_not_written(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    struct entry e;
#define REFUSED(change)                                    \
    e = small_file();                                      \
    change;                                                \
    assert_int_not_equal(entry_put(&b, &e, &err), ERR_OK); \
    assert_int_equal(b.len, 0)
    REFUSED((e.path = "/etc", e.path_len = 4));
    REFUSED((e.path = "a/../b", e.path_len = 6));
    REFUSED((e.path = "a\0b", e.path_len = 3));
    REFUSED((e.path = "a//b", e.path_len = 4));
    REFUSED(e.type = 0);
    REFUSED(e.type = (enum entry_type)11);
    REFUSED(e.mode = 010644);
    REFUSED(e.mtime.nsec = 1000000000);
    REFUSED(e.size = (uint64_t)INT64_MAX + 1);
    REFUSED((e.user = "a\0b", e.user_len = 3));
    REFUSED(e.type = ENTRY_SYMLINK); /* no target */
    REFUSED((e.link_target = "x", e.link_target_len = 1));
    REFUSED((e.type = ENTRY_HARDLINK, e.link_target = "../x", e.link_target_len = 4));
    REFUSED(e.flags = 2);
    REFUSED((e.xattrs = (const uint8_t *)"\1a", e.xattrs_len = 2));
#undef REFUSED
    buf_release(&b);
}

static struct chunk_ref ref_of(uint8_t seed, uint32_t len, bool print)
{
    struct chunk_ref ref = {.len = len};
    memset(ref.name.b, seed, NAME_BYTES);
    if (print)
        memset(ref.print.b, seed ^ 0x55, FINGERPRINT_BYTES);
    return ref;
}

static size_t run_through(const struct run *in, const struct chunk_ref *refs)
{
    struct buf b;
    struct list_record rec;
    buf_init(&b, 1 << 20);
    OK(run_put(&b, in, refs, &err));
    OK(get_one(&b, &rec));
    assert_int_equal(rec.kind, LIST_RUN);
    assert_true(rec.u.run.offset == in->offset && rec.u.run.fixed == in->fixed && rec.u.run.count == in->count);
    struct reader r = reader_of(rec.refs.data, rec.refs.len);
    for (uint32_t i = 0; i < in->count; i++) {
        struct chunk_ref ref;
        OK(run_ref_get(&r, &rec.u.run, &ref, &err));
        assert_memory_equal(&ref, &refs[i], sizeof ref);
    }
    assert_int_equal(reader_left(&r), 0);
    struct chunk_ref past;
    assert_int_equal(run_ref_get(&r, &rec.u.run, &past, &err), ERR_DAMAGED);
    size_t len = b.len;
    buf_release(&b);
    return len;
}

static void runs_round_trip(void **state)
{
    (void)state;
    enum { FIXED = 128 * 1024 };
    struct chunk_ref refs[RUN_MAX_REFS];
    for (uint32_t i = 0; i < RUN_MAX_REFS; i++)
        refs[i] = ref_of((uint8_t)i, FIXED, false);
    struct run run = {.offset = 0, .fixed = FIXED, .count = 4};
    assert_int_equal(run_through(&run, refs), 3 + 1 + 3 + 4 * 32 + 1);
    refs[3].len = 512;
    assert_int_equal(run_through(&run, refs), 3 + 1 + 3 + 4 * 32 + 2 + 1);
    refs[3].len = 1;
    run_through(&run, refs);
    run.count = 1, refs[0].len = FIXED - 1;
    run_through(&run, refs);
    run.count = RUN_MAX_REFS, refs[0].len = refs[3].len = FIXED, refs[500].print.b[15] = 1;
    run_through(&run, refs);
    run.offset = (uint64_t)1 << 50;
    run_through(&run, refs);
    for (uint32_t i = 0; i < RUN_MAX_REFS; i++)
        refs[i] = ref_of((uint8_t)i, 16384 + i, i % 2);
    run.fixed = 0;
    run_through(&run, refs);
    refs[0] = ref_of(1, 2100, false);
    run.count = 1;
    run.offset = 0;
    assert_int_equal(run_through(&run, refs), 2 + 1 + 1 + 32 + 2);
}

static void wrong_runs_are_not_written(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    struct chunk_ref refs[3] = {ref_of(1, 4096, false), ref_of(2, 4096, false), ref_of(3, 4096, false)};
    struct run run = {.fixed = 4096, .count = 3};
    refs[1].len = 4095;
    assert_int_not_equal(run_put(&b, &run, refs, &err), ERR_OK);
    refs[1].len = 4096, refs[2].len = 4097;
    assert_int_not_equal(run_put(&b, &run, refs, &err), ERR_OK);
    refs[2].len = 0;
    assert_int_not_equal(run_put(&b, &run, refs, &err), ERR_OK);
    refs[2].len = 1, run.count = 0;
    assert_int_not_equal(run_put(&b, &run, refs, &err), ERR_OK);
    run.count = 3, run.offset = INT64_MAX;
    assert_int_not_equal(run_put(&b, &run, refs, &err), ERR_OK);
    assert_int_equal(b.len, 0);
    buf_release(&b);
}

static void holes_and_ends_round_trip(void **state)
{
    (void)state;
    struct buf b;
    struct list_record rec;
    buf_init(&b, 1 << 20);
    OK(hole_put(&b, 4096, (uint64_t)1 << 40, &err));
    OK(get_one(&b, &rec));
    assert_int_equal(rec.kind, LIST_HOLE);
    assert_true(rec.u.hole.offset == 4096 && rec.u.hole.len == (uint64_t)1 << 40);
    assert_int_not_equal(hole_put(&b, 0, 0, &err), ERR_OK);
    assert_int_not_equal(hole_put(&b, INT64_MAX, 1, &err), ERR_OK);
    for (int state_of = STATE_EXACT; state_of <= STATE_ERROR; state_of++) {
        struct entry_end end = {.state = (enum entry_state)state_of, .size = 123456};
        if (state_of != STATE_EXACT) {
            end.reason = "it changed";
            end.reason_len = 10;
            end.facts = (const uint8_t *)"facts";
            end.facts_len = 5;
        }
        buf_clear(&b);
        OK(entry_end_put(&b, &end, &err));
        OK(get_one(&b, &rec));
        assert_int_equal(rec.kind, LIST_END);
        assert_int_equal(rec.u.end.state, end.state);
        assert_true(rec.u.end.size == end.size);
        assert_text(rec.u.end.reason, rec.u.end.reason_len, end.reason, end.reason_len);
        assert_text((const char *)rec.u.end.facts, rec.u.end.facts_len, (const char *)end.facts, end.facts_len);
    }
    buf_release(&b);
}

static void a_small_file_takes_under_100_bytes(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    struct entry e = small_file();
    struct chunk_ref ref = ref_of(9, 2100, false);
    struct entry_end end = {.size = 2100};
    OK(entry_put(&b, &e, &err));
    OK(run_put(&b, &(struct run){.count = 1}, &ref, &err));
    OK(entry_end_put(&b, &end, &err));
    assert_in_range(b.len, 1, 99);
    buf_release(&b);
}

static enum errc read_list(const char *bytes, size_t len, size_t *records_out)
{
    struct reader r = reader_of(bytes, len);
    struct list_record rec;
    bool more = true;
    enum errc rc = ERR_OK;
    *records_out = 0;
    while (more && (rc = list_record_get(&r, &rec, &more, &err)) == ERR_OK)
        *records_out += more;
    return rc;
}

static void unknown_kinds_and_fields(void **state)
{
    (void)state;
    size_t n;
    OK(read_list("\x28\x03xyz\x09\x01\x05", 8, &n)); /* kind 20, not critical, then an END */
    assert_int_equal(n, 1);
    assert_int_equal(read_list("\x29\x03xyz", 5, &n), ERR_FORMAT_NEWER);
    OK(read_list("\x09\x04\x05\x14\x01z", 6, &n)); /* END with field 10, not critical */
    assert_int_equal(n, 1);
    assert_int_equal(read_list("\x09\x04\x05\x15\x01z", 6, &n), ERR_FORMAT_NEWER);
    assert_int_equal(read_list("\x09\x04\x05\x03\x01\x04", 6, &n), ERR_FORMAT_NEWER); /* state 4 */
    OK(read_list("", 0, &n));
    assert_int_equal(n, 0);
}

static void cut_or_altered_records_are_damage(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    struct entry e = small_file();
    OK(entry_put(&b, &e, &err));
    size_t n;
    for (size_t len = 1; len < b.len; len++)
        assert_int_equal(read_list((const char *)b.data, len, &n), ERR_DAMAGED);
    buf_release(&b);
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\x09\x00", 2},                             /* END without a size */
        {"\x09\x04\x05\x03\x01", 5},                 /* more promised than there is */
        {"\x09\x07\x05\x03\x01\x01\x03\x01\x01", 9}, /* the state twice */
        {"\x07\x02\x05\x00", 4},                     /* a hole of no length */
        {"\x05\x02\x08\x00", 4},                     /* a run without its reference */
        {"\x05\x02\x00\x00", 4},                     /* a run of nothing */
        {"\x05\xff\xff\xff\x7f", 5},                 /* a very long one */
        {"\x03\x02\x02\x00", 4},                     /* an entry without its core */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(read_list(bad[i].bytes, bad[i].len, &n), ERR_DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_of_every_type_round_trip),
        cmocka_unit_test(extreme_entries_round_trip),
        cmocka_unit_test(xattrs_round_trip),
        cmocka_unit_test(unsafe_entries_are_not_written),
        cmocka_unit_test(runs_round_trip),
        cmocka_unit_test(wrong_runs_are_not_written),
        cmocka_unit_test(holes_and_ends_round_trip),
        cmocka_unit_test(a_small_file_takes_under_100_bytes),
        cmocka_unit_test(unknown_kinds_and_fields),
        cmocka_unit_test(cut_or_altered_records_are_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
