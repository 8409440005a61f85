/* Read bytes as one kind of object, and write again what was read. */
#ifndef SNAP_TESTS_FORMAT_READ_H
#define SNAP_TESTS_FORMAT_READ_H

#include "format_samples.h"

static inline enum errc reread_list(const uint8_t *data, size_t len, struct buf *again)
{
    struct reader r = reader_of(data, len);
    struct list_record rec;
    struct chunk_ref refs[RUN_MAX_REFS];
    bool more = true;
    for (;;) {
        enum errc rc = list_record_get(&r, &rec, &more, NULL);
        if (rc != ERR_OK || !more)
            return rc;
        struct reader all = reader_of(rec.refs.data, rec.refs.len);
        switch (rec.kind) {
        case LIST_ENTRY:
            rc = entry_put(again, &rec.u.entry, NULL);
            break;
        case LIST_RUN:
            for (uint32_t i = 0; rc == ERR_OK && i < rec.u.run.count; i++)
                rc = run_ref_get(&all, &rec.u.run, &refs[i], NULL);
            if (rc == ERR_OK)
                rc = run_put(again, &rec.u.run, refs, NULL);
            break;
        case LIST_HOLE:
            rc = hole_put(again, rec.u.hole.offset, rec.u.hole.len, NULL);
            break;
        case LIST_END:
            rc = entry_end_put(again, &rec.u.end, NULL);
            break;
        }
        OK(rc);
    }
}

static inline enum errc reread_table(const uint8_t *data, size_t len, struct buf *again)
{
    struct reader r = reader_of(data, len);
    uint64_t offset = PACK_HEADER_BYTES;
    for (uint32_t i = 0; reader_left(&r) > 0; i++) {
        struct record_desc d;
        enum errc rc = record_desc_get(&r, i, offset, &d, NULL);
        if (rc != ERR_OK)
            return rc;
        offset += d.stored_len;
        OK(record_desc_put(again, &d, NULL));
    }
    return ERR_OK;
}

static inline enum errc reread_log(const uint8_t *data, size_t len, struct buf *again)
{
    struct log_body body;
    enum errc rc = log_body_get(data, len, &body, NULL);
    if (rc != ERR_OK)
        return rc;
    if (body.head.kind <= LOG_CHECKPOINT)
        OK(log_body_put(again, &body, NULL));
    log_body_release(&body);
    return ERR_OK;
}

static inline enum errc reread_keys(const char *kind, const uint8_t *data, size_t len, struct buf *again)
{
    enum errc rc;
    if (strcmp(kind, "config") == 0) {
        struct repo_config c;
        rc = repo_config_get(data, len, &c, NULL);
        return rc == ERR_OK ? repo_config_put(again, &c, NULL) : rc;
    }
    if (strcmp(kind, "bundle") == 0) {
        struct key_bundle k;
        rc = key_bundle_get(data, len, &k, NULL);
        return rc == ERR_OK ? key_bundle_put(again, &k, NULL) : rc;
    }
    struct key_slot s;
    rc = key_slot_get(data, len, &s, NULL);
    if (rc != ERR_OK)
        return rc;
    OK(key_slot_put(again, &s, NULL));
    key_slot_release(&s);
    return ERR_OK;
}

static inline enum errc reread_pack_part(const char *kind, const uint8_t *data, size_t len, struct buf *again)
{
    uint8_t bytes[PACK_HEADER_BYTES] = {0}, out[PACK_HEADER_BYTES];
    size_t size = strcmp(kind, "header") == 0 ? (size_t)PACK_HEADER_BYTES : (size_t)PACK_TRAILER_BYTES;
    enum errc rc;
    assert_int_equal(len, size);
    memcpy(bytes, data, len);
    if (size == PACK_HEADER_BYTES) {
        struct pack_header h;
        rc = pack_header_get(bytes, &h, NULL);
        pack_header_put(&h, out);
    } else {
        struct pack_trailer t;
        rc = pack_trailer_get(bytes, 2224 + 127 + PACK_TRAILER_BYTES, &t, NULL);
        pack_trailer_put(&t, out);
    }
    return rc == ERR_OK ? buf_append(again, out, size, NULL) : rc;
}

/* name: "<kind>.<anything>". What was read is appended to again, in the form this program writes. */
static inline enum errc reread(const char *name, const uint8_t *data, size_t len, struct buf *again)
{
    char kind[16] = {0};
    memcpy(kind, name, strcspn(name, ".") < sizeof kind ? strcspn(name, ".") : 0);
    if (strcmp(kind, "list") == 0)
        return reread_list(data, len, again);
    if (strcmp(kind, "table") == 0)
        return reread_table(data, len, again);
    if (strcmp(kind, "log") == 0)
        return reread_log(data, len, again);
    if (strcmp(kind, "config") == 0 || strcmp(kind, "bundle") == 0 || strcmp(kind, "slot") == 0)
        return reread_keys(kind, data, len, again);
    if (strcmp(kind, "header") == 0 || strcmp(kind, "trailer") == 0)
        return reread_pack_part(kind, data, len, again);
    if (strcmp(kind, "facts") == 0) {
        struct fact_list l;
        enum errc rc = fact_list_get(data, len, &l, NULL);
        if (rc == ERR_OK)
            rc = fact_list_put(again, &l, NULL);
        fact_list_release(&l);
        return rc;
    }
    if (strcmp(kind, "triple") == 0) {
        struct bytes content;
        enum errc rc = triple_decode(data, len, 4096, &content, NULL, NULL);
        return rc == ERR_OK ? triple_encode(again, content.data, content.len, NULL) : rc;
    }
    if (strcmp(kind, "frame") == 0) {
        struct repo_id repo = sample_repo();
        struct key_bundle keys = sample_keys();
        struct buf body;
        buf_init(&body, LOG_RECORD_MAX_BYTES);
        enum errc rc = log_frame_open(data, len, &repo, &keys, 3, &body, NULL);
        buf_release(&body);
        return rc == ERR_OK ? buf_append(again, data, len, NULL) : rc;
    }
    if (strcmp(kind, "aad") == 0)
        return buf_append(again, data, len, NULL); /* made, never read */
    fail_msg("%s: nothing reads this kind", name);
    return ERR_INTERNAL;
}

#endif
