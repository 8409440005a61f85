/* One pack: every byte of it, or its structure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/verify.h"

struct pack_check {
    struct verify *v;
    struct chunk_reader *chunks;
    struct pack_reader *pack;
    struct hasher *hasher;
    const char *name;
    uint32_t pack_id;
    uint8_t *buffer;  /* VERIFY_READ_BYTES */
    uint8_t *scratch; /* behind it, RECORD_MAX_BYTES */
    uint64_t at;      /* bytes of the pack before buffer */
    size_t len, used; /* buffer[used..len) is not looked at yet */
    uint64_t records, bad;
    struct record_desc first, last;
};

/* Keep [used..len) and fill up behind it. */
static enum errc fill(struct pack_check *c, struct err *err)
{
    uint64_t size = pack_reader_size(c->pack);
    memmove(c->buffer, c->buffer + c->used, c->len - c->used);
    c->at += c->used;
    c->len -= c->used;
    c->used = 0;
    size_t want = VERIFY_READ_BYTES - c->len;
    if (size - c->at - c->len < want)
        want = (size_t)(size - c->at - c->len);
    enum errc rc = object_read(pack_reader_object(c->pack), c->buffer + c->len, want, c->at + c->len, err);
    c->len += want;
    return rc;
}

static enum errc on_record(void *arg, const struct record_desc *d, struct err *err)
{
    struct pack_check *c = arg;
    enum errc rc = ERR_OK;
    if (c->used + d->stored_len > c->len)
        rc = fill(c, err);
    if (rc != ERR_OK)
        return rc;
    struct err why;
    enum errc checked = chunk_check_stored(c->chunks, c->pack, d, c->buffer + c->used, &why);
    /* A delta whose base is damaged becomes readable again when the base is stored again. */
    bool base_only = checked != ERR_OK && d->n > 0 &&
                     pack_reader_unseal(c->pack, d, c->buffer + c->used, c->scratch, NULL) == ERR_OK;
    c->used += d->stored_len;
    if (c->records++ == 0)
        c->first = *d;
    c->last = *d;
    if (checked != ERR_OK) {
        c->bad++;
        rc = verify_bad_chunk(c->v, &d->name, c->pack_id, base_only, c->name, err);
        if (rc == ERR_OK)
            rc = verify_add_error(c->v, "damaged-record", c->name, why.message, err);
    }
    if (rc == ERR_OK && diag_interrupted(c->v->opt->diag))
        rc = err_fail(err, ERR_INTERRUPTED, "interrupted; no record of this verification was kept");
    return rc;
}

/* Every byte: each record opened, decoded and named again; header, table and trailer as they are opened and compared.
 */
static enum errc read_pack(struct pack_check *c, struct err *err)
{
    enum errc rc = fill(c, err);
    if (rc != ERR_OK)
        return rc;
    c->used = PACK_HEADER_BYTES; /* where the first record begins */
    return pack_reader_table(c->pack, on_record, c, err);
}

static enum errc is_in_catalog(struct pack_check *c, const struct record_desc *d, bool *yes, struct err *err)
{
    enum { COPIES_MAX = 8 };
    struct catalog_chunk copies[COPIES_MAX];
    size_t count;
    enum errc rc = chunk_find(c->v->store, &d->name, copies, COPIES_MAX, &count, err);
    *yes = false;
    for (size_t i = 0; rc == ERR_OK && i < count && !*yes; i++)
        *yes = copies[i].pack_id == c->pack_id && copies[i].desc.offset == d->offset;
    return rc;
}

enum errc verify_hash_pack(struct pack_reader *pack, struct hasher *hasher, uint8_t *buffer, struct digest *out,
                           struct err *err)
{
    uint64_t size = pack_reader_size(pack);
    enum errc rc = ERR_OK;
    for (uint64_t at = 0; rc == ERR_OK && at < size; at += VERIFY_READ_BYTES) {
        size_t want = size - at < VERIFY_READ_BYTES ? (size_t)(size - at) : VERIFY_READ_BYTES;
        rc = object_read(pack_reader_object(pack), buffer, want, at, err);
        if (rc == ERR_OK)
            rc = hasher_update(hasher, buffer, want, err);
    }
    return rc == ERR_OK ? hasher_final(hasher, out, err) : rc;
}

/* A pack in which every byte was authenticated is whole; whether it is the one that its name says is known without
 * hashing it when this machine once saw it hash to that name, and still finds its first and last record where it noted
 * them (docs/adr/0016). */
static enum errc check_name(struct pack_check *c, const struct catalog_pack *p, struct err *err)
{
    struct digest digest;
    bool first = false, last = false;
    enum errc rc = ERR_OK;
    if (p->hashed)
        rc = is_in_catalog(c, &c->first, &first, err);
    if (rc == ERR_OK && first)
        rc = is_in_catalog(c, &c->last, &last, err);
    if (rc != ERR_OK || (first && last))
        return rc;
    rc = verify_hash_pack(c->pack, c->hasher, c->buffer, &digest, err);
    if (rc == ERR_OK && memcmp(&digest, &p->name, sizeof digest) != 0)
        return err_fail(err, ERR_DAMAGED, "%s is another pack than its name says", c->name);
    if (rc != ERR_OK || p->hashed || p->id == 0)
        return rc;
    pthread_mutex_lock(&c->v->store->lock);
    (void)!catalog_pack_hashed(c->v->store->catalog, p->id, NULL); /* it only saves time */
    pthread_mutex_unlock(&c->v->store->lock);
    return ERR_OK;
}

static enum errc note_pack(struct verify *v, const struct catalog_pack *p, const char *kind, const char *object,
                           const struct err *why, struct err *err)
{
    enum errc rc = verify_bad_pack(v, p->id, why->code == ERR_IO, err);
    return rc == ERR_OK ? verify_add_error(v, kind, object, why->message, err) : rc;
}

static enum errc no_record(void *arg, const struct record_desc *d, struct err *err)
{
    (void)d;
    (void)err;
    ++*(uint64_t *)arg;
    return ERR_OK;
}

static enum errc check_structure(struct verify *v, struct pack_reader *pack, struct err *err)
{
    uint64_t records = 0;
    enum errc rc = pack_reader_table(pack, no_record, &records, err);
    pthread_mutex_lock(&v->lock);
    v->result->records += records;
    pthread_mutex_unlock(&v->lock);
    return rc;
}

static enum errc check_data(struct verify *v, struct verify_worker *w, struct pack_reader *pack, const char *object,
                            const struct catalog_pack *p, struct err *err)
{
    struct pack_check c = {.v = v,
                           .chunks = w->chunks,
                           .pack = pack,
                           .hasher = w->hasher,
                           .name = object,
                           .pack_id = p->id,
                           .buffer = w->buffer,
                           .scratch = w->buffer + VERIFY_READ_BYTES};
    enum errc rc = read_pack(&c, err);
    pthread_mutex_lock(&v->lock);
    v->result->records += c.records;
    v->result->bytes_read += pack_reader_size(pack);
    struct progress progress = {.phase = "verifying",
                                .done = v->result->bytes_read,
                                .total = v->bytes_expected,
                                .items_done = v->result->packs};
    pthread_mutex_unlock(&v->lock);
    diag_progress(v->opt->diag, &progress);
    return rc == ERR_OK && c.bad == 0 ? check_name(&c, p, err) : rc;
}

enum errc verify_pack(struct verify *v, struct verify_worker *w, const struct catalog_pack *p, struct err *err)
{
    char object[PACK_NAME_BYTES];
    struct pack_reader *pack = NULL;
    struct err why;
    pack_name(object, &p->name);
    enum errc rc = pack_reader_open(v->store, &p->name, &pack, &why);
    if (rc == ERR_OK)
        rc = v->opt->read_data ? check_data(v, w, pack, object, p, &why) : check_structure(v, pack, &why);
    pack_reader_free(pack);
    if (rc == ERR_OK)
        return ERR_OK;
    if (rc == ERR_MISSING_OBJECT)
        return note_pack(v, p, "missing-pack", object, &why, err);
    if (rc == ERR_IO)
        return note_pack(v, p, "unreadable-pack", object, &why, err);
    if (rc == ERR_DAMAGED || rc == ERR_FORMAT_NEWER)
        return note_pack(v, p, "damaged-pack", object, &why, err);
    if (err)
        *err = why;
    return rc;
}
