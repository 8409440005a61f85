#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

enum { FILE_MAX_BYTES = 3 * (LOG_RECORD_MAX_BYTES + 4096) };

const char *log_name(char dst[LOG_NAME_BYTES], uint64_t number)
{
    snprintf(dst, LOG_NAME_BYTES, "log/%016" PRIu64, number);
    return dst;
}

enum errc log_load(struct store *s, uint64_t number, struct log_body *body_out, struct digest *digest_out,
                   unsigned *good_copies_out, struct err *err)
{
    char name[LOG_NAME_BYTES];
    struct buf file, plain;
    struct bytes frame = {0};
    buf_init(&file, FILE_MAX_BYTES);
    buf_init(&plain, LOG_RECORD_MAX_BYTES + 64);
    memset(body_out, 0, sizeof *body_out);
    enum errc rc = backend_get(s->backend, log_name(name, number), FILE_MAX_BYTES, &file, err);
    if (rc == ERR_LIMIT)
        rc = err_fail(err, ERR_DAMAGED, "it is larger than any record that is written");
    if (rc == ERR_OK)
        rc = triple_decode(file.data, file.len, LOG_RECORD_MAX_BYTES + 1024, &frame, good_copies_out, err);
    if (rc == ERR_OK && digest_out)
        rc = sha256(frame.data, frame.len, digest_out, err);
    if (rc == ERR_OK)
        rc = log_frame_open(frame.data, frame.len, &s->config.id, &s->keys, number, &plain, err);
    if (rc == ERR_OK)
        rc = log_body_get(plain.data, plain.len, body_out, err);
    if (rc == ERR_OK && body_out->head.number != number) {
        log_body_release(body_out);
        rc = err_fail(err, ERR_DAMAGED, "it says that it is number %" PRIu64, body_out->head.number);
    }
    if (rc != ERR_OK && rc != ERR_MISSING_OBJECT)
        (void)err_wrap(err, "log record %" PRIu64, number);
    buf_wipe(&plain);
    buf_release(&file);
    return rc;
}

struct newest {
    uint64_t number;
};

static enum errc note_number(void *arg, const char *name, struct err *err)
{
    struct newest *newest = arg;
    (void)err;
    if (strlen(name) != 16 || strspn(name, "0123456789") != 16)
        return ERR_OK;
    uint64_t n = strtoull(name, NULL, 10);
    if (n > newest->number)
        newest->number = n;
    return ERR_OK;
}

void log_hint(uint64_t number, struct err *err)
{
    char name[LOG_NAME_BYTES];
    (void)err_hint(err,
                   "Bring %s back from a copy of the repository; 'snap rebuild' cannot make it again. A machine whose "
                   "cache knows the log from before can still restore its snapshots, and verify them.",
                   log_name(name, number));
}

enum errc log_check_end(struct store *s, bool *again_out, struct err *err)
{
    struct newest newest = {0};
    char name[LOG_NAME_BYTES];
    *again_out = false;
    enum errc rc = backend_list(s->backend, "log", note_number, &newest, err);
    if (rc != ERR_OK || newest.number <= s->head)
        return rc;
    rc = backend_exists(s->backend, log_name(name, s->head + 1), again_out, NULL, err);
    if (rc != ERR_OK || *again_out)
        return rc;
    (void)err_fail(err, ERR_HISTORY, "log record %" PRIu64 " is missing from %s, though record %" PRIu64 " is there",
                   s->head + 1, s->path, newest.number);
    log_hint(s->head + 1, err);
    return ERR_HISTORY;
}

enum errc store_log_read(struct store *s, uint64_t number, struct log_body *body_out, struct digest *digest_out,
                         struct err *err)
{
    return log_load(s, number, body_out, digest_out, NULL, err);
}

/* The record's file for the present head. */
static enum errc encode(struct store *s, struct log_body *body, struct buf *file, struct digest *digest,
                        struct err *err)
{
    struct buf plain, frame;
    buf_init(&plain, LOG_RECORD_MAX_BYTES);
    buf_init(&frame, LOG_RECORD_MAX_BYTES + 1024);
    buf_clear(file);
    enum errc rc = log_body_put(&plain, body, err);
    if (rc == ERR_OK)
        rc = log_frame_seal(&frame, &s->config.id, &s->keys, body->head.number, plain.data, plain.len, err);
    if (rc == ERR_OK)
        rc = sha256(frame.data, frame.len, digest, err);
    if (rc == ERR_OK)
        rc = triple_encode(file, frame.data, frame.len, err);
    buf_release(&plain);
    buf_release(&frame);
    return rc;
}

/* bytes_added counts the record itself, whose length depends on it a little: encoded until it agrees. */
static enum errc encode_counted(struct store *s, struct log_body *body, struct buf *file, struct digest *digest,
                                struct err *err)
{
    uint64_t packs = body->snapshot.bytes_added;
    size_t before = 0;
    for (int i = 0; i < 4; i++) {
        enum errc rc = encode(s, body, file, digest, err);
        if (rc != ERR_OK || body->head.kind != LOG_SNAPSHOT || file->len == before)
            return rc;
        before = file->len;
        body->snapshot.bytes_added = packs + file->len;
    }
    return ERR_OK;
}

/* The record stands: the catalog takes it in, and the note outside the repository is brought up. */
static enum errc take_in(struct store *s, const struct log_body *body, const struct digest *digest, struct err *err)
{
    enum errc rc = catalog_apply(s->catalog, body, digest, err);
    if (rc != ERR_OK)
        return rc;
    s->head = body->head.number;
    s->head_digest = *digest;
    if (s->temporary_catalog)
        return ERR_OK;
    return catalog_set_last_seen(s->cache_dir, &s->config.id, s->head, &s->head_digest, err);
}

/* Were snapshots dropped by a record after number since? What this session relies on may have gone with them. */
static enum errc check_drops(struct store *s, uint64_t since, struct err *err)
{
    enum errc rc = ERR_OK;
    for (uint64_t n = since + 1; rc == ERR_OK && n <= s->head; n++) {
        struct log_body body;
        rc = log_load(s, n, &body, NULL, NULL, err);
        if (rc == ERR_OK && body.head.kind == LOG_DROP)
            rc = err_fail(err, ERR_LOCKED, "snapshots were dropped from the repository while this backup ran");
        log_body_release(&body);
    }
    return rc;
}

static enum errc try_append(struct store *s, struct log_body *body, struct buf *file, bool *taken, bool *stands,
                            struct err *err)
{
    char name[LOG_NAME_BYTES];
    struct digest digest;
    body->head.number = s->head + 1;
    body->head.prev = s->head_digest;
    enum errc rc = encode_counted(s, body, file, &digest, err);
    if (rc != ERR_OK)
        return rc;
    rc = backend_put(s->backend, log_name(name, body->head.number), file->data, file->len, taken, err);
    if (rc != ERR_OK && backend_exists(s->backend, name, stands, NULL, NULL) != ERR_OK)
        *stands = true;
    if (rc != ERR_OK || *taken)
        return rc;
    *stands = true;
    struct err why;
    if (take_in(s, body, &digest, &why) != ERR_OK) /* the log is the truth: the catalog catches up later */
        diag_message(s->diag, DIAG_WARNING, err_name(why.code), "the catalog could not follow the log: %s",
                     why.message);
    return ERR_OK;
}

enum errc log_append(struct store *s, struct log_body *body, uint64_t since, bool *stands_out, struct err *err)
{
    *stands_out = false;
    if (s->read_only)
        return err_fail(err, ERR_READ_ONLY, "the repository at %s cannot be written to", s->path);
    struct buf file;
    buf_init(&file, FILE_MAX_BYTES);
    uint64_t packs_bytes = body->snapshot.bytes_added;
    bool taken = true;
    enum errc rc = ERR_OK;
    if (body->head.time.sec == 0)
        body->head.time = time_now();
    memcpy(body->head.writer, s->writer, sizeof s->writer);
    memcpy(body->head.session, s->session, sizeof s->session);
    while (rc == ERR_OK && taken) {
        rc = replay(s, err); /* another process may have been first: look at what it did, then try the next number */
        if (rc == ERR_OK && body->head.kind == LOG_SNAPSHOT)
            rc = check_drops(s, since, err);
        bool again = false;
        if (rc == ERR_OK)
            rc = log_check_end(s, &again, err); /* never into a gap: what is behind it would be lost for good */
        if (again)
            continue;
        body->snapshot.bytes_added = packs_bytes;
        if (rc == ERR_OK)
            rc = try_append(s, body, &file, &taken, stands_out, err);
    }
    buf_release(&file);
    return rc;
}

enum errc store_append(struct store *s, struct log_body *body, struct err *err)
{
    pthread_mutex_lock(&s->lock);
    bool stands;
    enum errc rc = log_append(s, body, s->head, &stands, err);
    pthread_mutex_unlock(&s->lock);
    return rc;
}
