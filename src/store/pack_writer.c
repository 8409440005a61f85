#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "store/internal.h"

/* State of the pack being made:
 *   closed --add--> open --full or finish--> written (rows in the catalog, not durable) --sync--> published
 * Up to UNSYNCED_MAX packs wait as "written", so that their write-back has mostly happened when fdatasync is called. */

enum { WRITE_BUFFER = 1 << 20, UNSYNCED_MAX = 16, RECORDS_MAX = 8 * 1024, PACKS_PER_DOUBLING = 1024 };

struct written_pack {
    struct object_writer *writer;
    struct digest name;
};

struct pack_writer {
    struct store *store;
    struct session_index *index;
    bool dry, failed, finished;
    struct object_writer *writer; /* NULL: no pack is open */
    struct sealer *sealer;
    struct hasher *hasher;
    struct digest header_digest;
    struct buf out;  /* sealed bytes not yet handed to the writer */
    uint64_t offset; /* next record's */
    struct record_desc *descs;
    size_t desc_count, desc_cap;
    uint8_t *check; /* a record opened again */
    struct written_pack waiting[UNSYNCED_MAX];
    size_t waiting_count;
    struct digest *names; /* of every pack closed so far */
    size_t name_count, name_cap, published_count;
    struct pack_writer_sizes sizes;
};

enum errc pack_writer_new(struct store *s, bool dry, struct pack_writer **out, struct err *err)
{
    struct pack_writer *w;
    enum errc rc = mem_alloc(&w, sizeof *w, err);
    if (rc != ERR_OK)
        return rc;
    w->store = s;
    w->dry = dry;
    buf_init(&w->out, WRITE_BUFFER + RECORD_MAX_BYTES);
    rc = hasher_new(&w->hasher, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&w->check, RECORD_MAX_BYTES, err);
    if (rc == ERR_OK)
        rc = buf_reserve(&w->out, WRITE_BUFFER + RECORD_MAX_BYTES, err);
    if (rc != ERR_OK) {
        pack_writer_free(w);
        return rc;
    }
    *out = w;
    return ERR_OK;
}

void pack_writer_set_index(struct pack_writer *w, struct session_index *index)
{
    w->index = index;
}

static enum errc flush(struct pack_writer *w, struct err *err)
{
    enum errc rc = hasher_update(w->hasher, w->out.data, w->out.len, err);
    if (rc == ERR_OK && !w->dry)
        rc = object_writer_write(w->writer, w->out.data, w->out.len, err);
    buf_clear(&w->out);
    return rc;
}

static enum errc open_pack(struct pack_writer *w, struct err *err)
{
    const struct data_key *key = &w->store->keys.data[w->store->keys.data_count - 1];
    struct pack_header h = {.format = FORMAT_VERSION,
                            .cipher = CIPHER_AES_256_GCM,
                            .wrap = WRAP_AES_256_GCM,
                            .key_id = key->id,
                            .repo = w->store->config.id};
    uint8_t raw[PACK_HEADER_BYTES], pack_key[KEY_BYTES];
    memcpy(h.writer, w->store->writer, sizeof h.writer);
    enum errc rc = io_random(pack_key, sizeof pack_key, err);
    if (rc == ERR_OK) {
        pack_header_put(&h, raw);
        rc = key_wrap(key->key, raw, PACK_HEADER_AAD_BYTES, pack_key, h.wrapped_key, err);
    }
    if (rc == ERR_OK)
        rc = sealer_new(pack_key, &w->sealer, err);
    explicit_bzero(pack_key, sizeof pack_key);
    if (rc == ERR_OK && !w->dry)
        rc = object_writer_new(w->store->backend, &w->writer, err);
    if (rc != ERR_OK)
        return rc;
    pack_header_put(&h, raw);
    w->offset = PACK_HEADER_BYTES;
    w->desc_count = 0;
    rc = sha256(raw, sizeof raw, &w->header_digest, err);
    return rc == ERR_OK ? buf_append(&w->out, raw, sizeof raw, err) : rc;
}

/* fdatasync and name the pack that has waited longest. */
static enum errc publish_first(struct pack_writer *w, struct err *err)
{
    char name[PACK_NAME_BYTES];
    struct written_pack first = w->waiting[0];
    w->waiting_count--;
    memmove(w->waiting, w->waiting + 1, w->waiting_count * sizeof w->waiting[0]);
    enum errc rc = object_writer_sync(first.writer, err);
    if (rc == ERR_OK)
        rc = object_writer_publish(first.writer, pack_name(name, &first.name), err);
    if (rc != ERR_OK) {
        object_writer_free(first.writer);
        return rc;
    }
    w->published_count++;
    return ERR_OK;
}

static enum errc put_table(struct pack_writer *w, struct err *err)
{
    struct buf plain;
    uint8_t *sealed = NULL, aad[TABLE_AAD_BYTES], raw[PACK_TRAILER_BYTES];
    buf_init(&plain, PACK_TABLE_MAX_BYTES - SEAL_TAG_BYTES);
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < w->desc_count; i++)
        rc = record_desc_put(&plain, &w->descs[i], err);
    size_t len = plain.len + SEAL_TAG_BYTES;
    if (rc == ERR_OK)
        rc = mem_alloc(&sealed, len, err);
    if (rc == ERR_OK) {
        pack_table_aad((uint32_t)w->desc_count, w->offset, aad);
        rc = seal(w->sealer, PACK_TABLE_NUMBER, aad, sizeof aad, plain.data, plain.len, sealed, err);
    }
    for (size_t done = 0; rc == ERR_OK && done < len;) {
        size_t n = len - done < WRITE_BUFFER ? len - done : WRITE_BUFFER;
        rc = flush(w, err);
        if (rc == ERR_OK)
            rc = buf_append(&w->out, sealed + done, n, err);
        done += n;
    }
    if (rc == ERR_OK) {
        struct pack_trailer t = {.table_offset = w->offset,
                                 .table_len = (uint32_t)len,
                                 .record_count = (uint32_t)w->desc_count,
                                 .header_digest = w->header_digest};
        pack_trailer_put(&t, raw);
        rc = buf_append(&w->out, raw, sizeof raw, err);
    }
    if (rc == ERR_OK)
        rc = flush(w, err);
    w->sizes.packs_bytes += w->offset + len + sizeof raw;
    free(sealed);
    buf_release(&plain);
    return rc;
}

static enum errc close_pack(struct pack_writer *w, struct err *err)
{
    struct digest name;
    uint64_t before = w->sizes.packs_bytes;
    enum errc rc = put_table(w, err);
    if (rc == ERR_OK)
        rc = hasher_final(w->hasher, &name, err);
    sealer_free(w->sealer);
    w->sealer = NULL;
    if (rc == ERR_OK)
        rc = mem_grow(&w->names, &w->name_cap, w->name_count + 1, sizeof *w->names, err);
    if (rc != ERR_OK || w->dry) {
        if (w->dry)
            session_index_forget(w->index, w->descs, w->desc_count);
        w->desc_count = 0;
        return rc;
    }
    if (w->waiting_count == UNSYNCED_MAX)
        rc = publish_first(w, err);
    if (rc != ERR_OK)
        return rc;
    w->waiting[w->waiting_count++] = (struct written_pack){.writer = w->writer, .name = name};
    w->names[w->name_count++] = name;
    w->writer = NULL;
    rc = session_index_pack(w->index, &name, w->sizes.packs_bytes - before, w->descs, w->desc_count, err);
    w->desc_count = 0;
    return rc;
}

/* Larger packs for very large snapshots, so that their names fit the log record. */
static uint64_t pack_target(const struct pack_writer *w)
{
    uint64_t target = PACK_TARGET_BYTES;
    for (size_t n = w->name_count; n >= PACKS_PER_DOUBLING && target < PACK_MAX_BYTES / 2; n -= PACKS_PER_DOUBLING)
        target *= 2;
    return target;
}

static enum errc add(struct pack_writer *w, struct record_desc *d, const uint8_t *payload, size_t len, struct err *err)
{
    enum errc rc = ERR_OK;
    if (!w->sealer)
        rc = open_pack(w, err);
    if (rc == ERR_OK)
        rc = mem_grow(&w->descs, &w->desc_cap, w->desc_count + 1, sizeof *w->descs, err);
    if (rc != ERR_OK)
        return rc;
    d->number = (uint32_t)w->desc_count;
    d->offset = w->offset;
    d->stored_len = (uint32_t)(len + SEAL_TAG_BYTES);
    uint8_t aad[RECORD_AAD_BYTES];
    record_aad(d, aad);
    rc = buf_reserve(&w->out, d->stored_len, err);
    if (rc != ERR_OK)
        return rc;
    uint8_t *sealed = w->out.data + w->out.len;
    rc = seal(w->sealer, d->number, aad, sizeof aad, payload, len, sealed, err);
    if (rc == ERR_OK)
        rc = seal_open(w->sealer, d->number, aad, sizeof aad, sealed, d->stored_len, w->check, err);
    if (rc == ERR_OK && memcmp(w->check, payload, len) != 0)
        rc = err_fail(err, ERR_CRYPTO, "a record did not open to what was sealed: faulty memory or processor");
    if (rc != ERR_OK)
        return rc;
    w->out.len += d->stored_len;
    w->offset += d->stored_len;
    w->sizes.records_bytes += d->stored_len;
    w->descs[w->desc_count++] = *d;
    if (w->out.len >= WRITE_BUFFER)
        rc = flush(w, err);
    if (rc == ERR_OK && (w->offset >= pack_target(w) || w->desc_count == RECORDS_MAX))
        rc = close_pack(w, err);
    return rc;
}

enum errc pack_writer_add(struct pack_writer *w, struct record_desc *d, const uint8_t *payload, size_t len,
                          struct err *err)
{
    REQUIRE(!w->failed && !w->finished && len <= CHUNK_MAX_BYTES);
    enum errc rc = add(w, d, payload, len, err);
    if (rc != ERR_OK)
        w->failed = true;
    return rc;
}

enum errc pack_writer_finish(struct pack_writer *w, struct digest **names_out, size_t *count_out,
                             struct pack_writer_sizes *sizes_out, struct err *err)
{
    REQUIRE(!w->failed && !w->finished);
    enum errc rc = w->sealer ? close_pack(w, err) : ERR_OK;
    bool any = w->name_count > 0;
    while (rc == ERR_OK && w->waiting_count > 0)
        rc = publish_first(w, err);
    if (rc == ERR_OK && any)
        rc = backend_sync_dir(w->store->backend, "packs", err);
    if (rc == ERR_OK && w->name_count > 0)
        rc = mem_dup(names_out, w->names, w->name_count * sizeof *w->names, err);
    else
        *names_out = NULL;
    if (rc != ERR_OK) {
        w->failed = true;
        return rc;
    }
    *count_out = w->name_count;
    *sizes_out = w->sizes;
    w->finished = true;
    return ERR_OK;
}

/* Everything published is taken away again; the caller made sure that no log record names it. */
static void unpublish(struct pack_writer *w)
{
    struct err ignored;
    char name[PACK_NAME_BYTES];
    for (size_t i = 0; i < w->published_count; i++)
        (void)!backend_remove(w->store->backend, pack_name(name, &w->names[i]), &ignored);
}

void pack_writer_keep(struct pack_writer *w)
{
    w->published_count = 0;
}

void pack_writer_free(struct pack_writer *w)
{
    if (!w)
        return;
    unpublish(w);
    for (size_t i = 0; i < w->waiting_count; i++)
        object_writer_free(w->waiting[i].writer);
    object_writer_free(w->writer);
    sealer_free(w->sealer);
    hasher_free(w->hasher);
    buf_release(&w->out);
    free(w->descs);
    free(w->check);
    free(w->names);
    free(w);
}
