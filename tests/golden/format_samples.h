/* Objects of the format with known values: what the golden files and the examples of docs/format.md hold. */
#ifndef SNAP_TESTS_FORMAT_SAMPLES_H
#define SNAP_TESTS_FORMAT_SAMPLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "format/log_record.h"

#define OK(call) assert_int_equal((call), ERR_OK)
#define STR(s) (s), sizeof(s) - 1

/* n bytes first, first + 1 ... */
static inline void count_up(uint8_t *dst, size_t n, unsigned first)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (uint8_t)(first + i);
}

static inline struct repo_id sample_repo(void)
{
    struct repo_id id;
    count_up(id.b, sizeof id.b, 0xa0);
    return id;
}

static inline struct key_bundle sample_keys(void)
{
    struct key_bundle k = {.data_count = 2};
    count_up(k.naming, KEY_BYTES, 0x00);
    count_up(k.fingerprint, KEY_BYTES, 0x20);
    count_up(k.gear, KEY_BYTES, 0x40);
    k.data[0].id = 1;
    count_up(k.data[0].key, KEY_BYTES, 0x60);
    k.data[1].id = 2;
    count_up(k.data[1].key, KEY_BYTES, 0x80);
    return k;
}

static inline void make_triple(struct buf *b)
{
    OK(triple_encode(b, STR("abc"), NULL));
}

static inline void make_config(struct buf *b)
{
    struct repo_config c = {
        .format = 1, .id = sample_repo(), .created = {1795230000, 500}, .naming = 1, .cipher = 1, .cutter = 1};
    OK(repo_config_put(b, &c, NULL));
}

static inline void make_bundle(struct buf *b)
{
    struct key_bundle k = sample_keys();
    OK(key_bundle_put(b, &k, NULL));
}

static inline void make_facts(struct buf *b)
{
    struct fact_list l = {0};
    OK(fact_set_int(&l, "page_size", 4096, NULL));
    OK(fact_set_text(&l, "quick_check", "ok", NULL));
    OK(fact_set_int(&l, "delta", -1, NULL));
    OK(fact_set_bool(&l, "wal", true, NULL));
    OK(fact_set_real(&l, "share", 0.5, NULL));
    OK(fact_list_put(b, &l, NULL));
    fact_list_release(&l);
}

static inline struct chunk_ref sample_ref(unsigned first, uint32_t len, bool print)
{
    struct chunk_ref ref = {.len = len};
    count_up(ref.name.b, NAME_BYTES, first);
    if (print)
        count_up(ref.print.b, FINGERPRINT_BYTES, first + 0x80);
    return ref;
}

static inline void make_list_file(struct buf *b)
{
    struct entry e = {.path = "a/b",
                      .path_len = 3,
                      .type = ENTRY_FILE,
                      .mode = 0644,
                      .uid = 1000,
                      .gid = 100,
                      .user = "ann",
                      .user_len = 3,
                      .size = 300,
                      .mtime = {1795230000, 5},
                      .ctime = {1795230001, 4},
                      .dev = 2049,
                      .ino = 77,
                      .nlink = 1};
    struct chunk_ref ref = sample_ref(0x10, 300, false);
    struct entry_end end = {.size = 300};
    OK(entry_put(b, &e, NULL));
    OK(run_put(b, &(struct run){.count = 1}, &ref, NULL));
    OK(entry_end_put(b, &end, NULL));
}

/* A database of two chunks and a bit, then a hole (as in a sparse file), fuzzy. */
static inline void make_list_fixed(struct buf *b)
{
    struct chunk_ref refs[3] = {sample_ref(0x10, 131072, true), sample_ref(0x30, 131072, true),
                                sample_ref(0x50, 4096, true)};
    struct entry_end end = {
        .state = STATE_FUZZY, .size = 270336, .facts = (const uint8_t *)"", .reason = "it grew", .reason_len = 7};
    OK(run_put(b, &(struct run){.fixed = 131072, .count = 3}, refs, NULL));
    OK(hole_put(b, 266240, 4096, NULL));
    OK(entry_end_put(b, &end, NULL));
}

static inline void make_list_types(struct buf *b)
{
    struct buf x, s;
    buf_init(&x, 1000);
    buf_init(&s, 1000);
    struct stream_root root = {.bytes = 70000, .count = 1, .refs = {sample_ref(0x70, 70000, false)}};
    OK(xattr_put(&x, "user.a", STR("1"), NULL));
    OK(xattr_stream_put(&s, "user.big", &root, NULL));
    struct entry dir = {.path = "",
                        .type = ENTRY_DIR,
                        .mode = 01777,
                        .xattrs = x.data,
                        .xattrs_len = x.len,
                        .xattr_streams = s.data,
                        .xattr_streams_len = s.len};
    struct entry link = {
        .path = "l", .path_len = 1, .type = ENTRY_SYMLINK, .mode = 0777, .link_target = "../x", .link_target_len = 4};
    struct entry disk = {.path = "sda",
                         .path_len = 3,
                         .type = ENTRY_BLOCK_DEV,
                         .mode = 0660,
                         .gid = 6,
                         .group = "disk",
                         .group_len = 4,
                         .rdev_major = 8};
    struct entry wal = {.path = "x-wal",
                        .path_len = 5,
                        .type = ENTRY_FILE,
                        .mode = 0600,
                        .flags = ENTRY_FLAG_SIDECAR,
                        .probe = (const uint8_t *)"\x07\x08",
                        .probe_len = 2};
    OK(entry_put(b, &dir, NULL));
    OK(entry_put(b, &link, NULL));
    OK(entry_put(b, &disk, NULL));
    OK(entry_put(b, &wal, NULL));
    buf_release(&x);
    buf_release(&s);
}

static inline struct record_desc sample_desc(unsigned i)
{
    struct record_desc d = {
        .number = i, .stored_len = 1016, .plain_len = 131072, .type = CHUNK_DATA, .codec = CODEC_ZSTD};
    count_up(d.name.b, NAME_BYTES, 0x10);
    if (i == 1) {
        d.codec = CODEC_ZSTD_DELTA;
        d.n = 6;
        d.base = d.name;
        count_up(d.name.b, NAME_BYTES, 0x30);
    }
    return d;
}

static inline void make_table(struct buf *b)
{
    for (unsigned i = 0; i < 2; i++) {
        struct record_desc d = sample_desc(i);
        OK(record_desc_put(b, &d, NULL));
    }
}

static inline void make_record_aad(struct buf *b)
{
    uint8_t aad[RECORD_AAD_BYTES];
    struct record_desc d = sample_desc(1);
    record_aad(&d, aad);
    OK(buf_append(b, aad, sizeof aad, NULL));
}

static inline void make_table_aad(struct buf *b)
{
    uint8_t aad[TABLE_AAD_BYTES];
    pack_table_aad(2, 2224, aad);
    OK(buf_append(b, aad, sizeof aad, NULL));
}

static inline void make_header(struct buf *b)
{
    struct pack_header h = {
        .format = 1, .cipher = CIPHER_AES_256_GCM, .wrap = WRAP_AES_256_GCM, .key_id = 2, .repo = sample_repo()};
    uint8_t bytes[PACK_HEADER_BYTES];
    count_up(h.writer, sizeof h.writer, 0xe0);
    count_up(h.wrapped_key, WRAPPED_KEY_BYTES, 0x01);
    pack_header_put(&h, bytes);
    OK(buf_append(b, bytes, sizeof bytes, NULL));
}

static inline void make_trailer(struct buf *b)
{
    struct pack_trailer t = {.table_offset = 2224, .table_len = 127, .record_count = 2};
    uint8_t bytes[PACK_TRAILER_BYTES];
    count_up(t.header_digest.b, DIGEST_BYTES, 0xc0);
    pack_trailer_put(&t, bytes);
    OK(buf_append(b, bytes, sizeof bytes, NULL));
}

static inline struct log_body sample_body(enum log_kind kind)
{
    struct log_body b = {.head = {.number = 3, .time = {1795230000, 0}, .kind = kind}};
    count_up(b.head.prev.b, DIGEST_BYTES, 0xb0);
    count_up(b.head.writer, 8, 0xe0);
    count_up(b.head.session, 8, 0xf0);
    return b;
}

static inline char *text_of(const char *s)
{
    char *copy = NULL;
    OK(mem_strdup(&copy, s, NULL));
    return copy;
}

static inline void put_body(struct buf *b, struct log_body *body)
{
    OK(log_body_put(b, body, NULL));
    log_body_release(body);
}

static inline void make_log_snapshot(struct buf *b)
{
    struct log_body body = sample_body(LOG_SNAPSHOT);
    struct snapshot *s = &body.snapshot;
    *s = (struct snapshot){.kind = SNAPSHOT_BACKUP,
                           .partial = true,
                           .set = text_of("app"),
                           .host = text_of("db1"),
                           .user = text_of("root"),
                           .time = {1795229990, 1},
                           .duration_ms = 1500,
                           .bytes_read = 4096,
                           .bytes_source = 8192,
                           .bytes_added = 700,
                           .chunks_new = 2,
                           .chunks_delta = 1};
    count_up(s->id.b, sizeof s->id.b, 0xd0);
    OK(mem_alloc(&s->tags, sizeof *s->tags, NULL));
    s->tags[s->tag_count++] = text_of("nightly");
    OK(mem_alloc(&s->items, sizeof *s->items, NULL));
    s->item_count = 1;
    s->items[0] = (struct item){.source = text_of("meta"),
                                .path = text_of("/srv/m.db"),
                                .type = ITEM_SQLITE,
                                .state = STATE_EXACT,
                                .good = true,
                                .entries = 1,
                                .bytes = 8192,
                                .list = {.bytes = 120, .count = 1, .refs = {sample_ref(0x10, 120, false)}}};
    OK(fact_set_int(&s->items[0].facts, "rows.t", 7, NULL));
    OK(mem_alloc(&s->packs, sizeof *s->packs, NULL));
    count_up(s->packs[0].b, DIGEST_BYTES, 0x90);
    s->pack_count = 1;
    put_body(b, &body);
}

static inline void make_log_run(struct buf *b)
{
    struct log_body body = sample_body(LOG_RUN);
    struct run_record *r = &body.run;
    *r = (struct run_record){.verb = text_of("restore"),
                             .state = text_of("done"),
                             .user = text_of("root"),
                             .host = text_of("db1"),
                             .detail = text_of("all well"),
                             .begun = {1795229000, 2},
                             .duration_ms = 9,
                             .has_snapshot = true,
                             .has_forensic = true,
                             .target = text_of("/tmp/x"),
                             .plan_len = 2,
                             .step_count = 1};
    count_up(r->id.b, sizeof r->id.b, 0x30);
    count_up(r->snapshot.b, sizeof r->snapshot.b, 0xd0);
    count_up(r->forensic.b, sizeof r->forensic.b, 0xc0);
    OK(mem_dup(&r->plan, "\x01\x02", 2, NULL));
    OK(mem_alloc(&r->steps, sizeof *r->steps, NULL));
    r->steps[0] = (struct run_step){
        .what = text_of("stage"), .begun = {1795229000, 2}, .duration_ms = 4, .ok = true, .detail = text_of("d")};
    put_body(b, &body);
}

static inline void make_log_verified(struct buf *b)
{
    struct log_body body = sample_body(LOG_VERIFIED);
    OK(mem_alloc(&body.verified, sizeof *body.verified, NULL));
    body.verified_count = 1;
    body.verified[0] = (struct verified){.level = 3, .ok = true, .detail = text_of("whole")};
    count_up(body.verified[0].id.b, 16, 0xd0);
    put_body(b, &body);
}

static inline void add_id(struct log_body *body)
{
    OK(mem_alloc(&body->ids, sizeof *body->ids, NULL));
    body->id_count = 1;
    count_up(body->ids[0].b, 16, 0xd0);
}

static inline void make_log_drop(struct buf *b)
{
    struct log_body body = sample_body(LOG_DROP);
    add_id(&body);
    OK(mem_alloc(&body.packs, sizeof *body.packs, NULL));
    body.pack_count = 1;
    count_up(body.packs[0].b, DIGEST_BYTES, 0x90);
    put_body(b, &body);
}

static inline void make_log_hold(struct buf *b)
{
    struct log_body body = sample_body(LOG_HOLD);
    add_id(&body);
    body.name = text_of("v1_baseline");
    put_body(b, &body);
}

static inline void make_log_release(struct buf *b)
{
    struct log_body body = sample_body(LOG_RELEASE);
    body.name = text_of("v1_baseline");
    put_body(b, &body);
}

static inline void make_log_trash(struct buf *b)
{
    struct log_body body = sample_body(LOG_TRASH);
    add_id(&body);
    put_body(b, &body);
}

static inline void make_log_untrash(struct buf *b)
{
    struct log_body body = sample_body(LOG_UNTRASH);
    add_id(&body);
    put_body(b, &body);
}

static inline void make_log_checkpoint(struct buf *b)
{
    struct log_body body = sample_body(LOG_CHECKPOINT);
    put_body(b, &body);
}

/* The part of a name before the first dot says what it is read as (format_read.h). */
static const struct sample {
    const char *name;
    void (*make)(struct buf *b);
} SAMPLES[] = {
    {"triple.abc", make_triple},
    {"config.plain", make_config},
    {"bundle.two-keys", make_bundle},
    {"facts.each-type", make_facts},
    {"list.file", make_list_file},
    {"list.fixed", make_list_fixed},
    {"list.types", make_list_types},
    {"table.whole-and-delta", make_table},
    {"aad.record", make_record_aad},
    {"aad.table", make_table_aad},
    {"header.pack", make_header},
    {"trailer.pack", make_trailer},
    {"log.snapshot", make_log_snapshot},
    {"log.run", make_log_run},
    {"log.verified", make_log_verified},
    {"log.drop", make_log_drop},
    {"log.hold", make_log_hold},
    {"log.release", make_log_release},
    {"log.trash", make_log_trash},
    {"log.untrash", make_log_untrash},
    {"log.checkpoint", make_log_checkpoint},
};
enum { SAMPLE_COUNT = sizeof SAMPLES / sizeof *SAMPLES };

/* Hex digits, blanks, and comments from '#' to the end of the line. */
static inline void hex_text_read(const char *text, size_t len, struct buf *out)
{
    int high = -1;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '#')
            while (i < len && text[i] != '\n')
                i++;
        if (i == len || strchr(" \t\r\n", text[i]))
            continue;
        const char *digits = "0123456789abcdef", *at = strchr(digits, text[i]);
        assert_non_null(at);
        int digit = (int)(at - digits);
        if (high >= 0)
            OK(buf_append(out, &(uint8_t){(uint8_t)(high << 4 | digit)}, 1, NULL));
        high = high >= 0 ? -1 : digit;
    }
    assert_int_equal(high, -1);
}

static inline void file_read(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s cannot be opened", path);
    char bytes[4096];
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, f)) > 0;)
        OK(buf_append(out, bytes, n, NULL));
    fclose(f);
}

static inline void hex_file_read(const char *path, struct buf *out)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    file_read(path, &text);
    hex_text_read((const char *)text.data, text.len, out);
    buf_release(&text);
}

#endif
