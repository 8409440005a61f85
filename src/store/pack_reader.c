#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

struct pack_reader {
    struct object *object;
    struct sealer *sealer;
    struct pack_header header;
    struct pack_trailer trailer;
    char name[PACK_NAME_BYTES];
};

const char *pack_name(char dst[PACK_NAME_BYTES], const struct digest *name)
{
    memcpy(dst, "packs/", 6);
    hex_encode(dst + 6, name->b, DIGEST_BYTES);
    return dst;
}

static const struct data_key *find_key(const struct store *s, uint32_t id)
{
    for (uint32_t i = 0; i < s->keys.data_count; i++)
        if (s->keys.data[i].id == id)
            return &s->keys.data[i];
    return NULL;
}

static enum errc unwrap(struct store *s, struct pack_reader *p, const uint8_t *raw, struct err *err)
{
    enum errc rc = pack_header_get(raw, &p->header, err);
    if (rc == ERR_FORMAT_NEWER) /* the configuration names the newest format in a repository, and it was read */
        rc = err_fail(err, ERR_DAMAGED, "its header is damaged");
    if (rc != ERR_OK)
        return err_wrap(err, "%s", p->name);
    if (memcmp(p->header.repo.b, s->config.id.b, sizeof s->config.id.b) != 0)
        return err_fail(err, ERR_DAMAGED, "%s belongs to another repository", p->name);
    const struct data_key *key = find_key(s, p->header.key_id);
    if (!key)
        return err_fail(err, ERR_DAMAGED, "%s is under data key %u, which this repository does not have", p->name,
                        p->header.key_id);
    uint8_t pack_key[KEY_BYTES];
    rc = key_unwrap(key->key, raw, PACK_HEADER_AAD_BYTES, p->header.wrapped_key, pack_key, err);
    if (rc == ERR_WRONG_KEY)
        rc = err_fail(err, ERR_DAMAGED, "the header of %s is damaged: its key does not open", p->name);
    if (rc == ERR_OK)
        rc = sealer_new(pack_key, &p->sealer, err);
    explicit_bzero(pack_key, sizeof pack_key);
    return rc;
}

enum errc pack_reader_open(struct store *s, const struct digest *name, struct pack_reader **out, struct err *err)
{
    struct pack_reader *p;
    uint8_t header[PACK_HEADER_BYTES], trailer[PACK_TRAILER_BYTES];
    enum errc rc = mem_alloc(&p, sizeof *p, err);
    if (rc != ERR_OK)
        return rc;
    pack_name(p->name, name);
    rc = object_open(s->backend, p->name, &p->object, err);
    if (rc == ERR_OK)
        rc = object_read(p->object, header, sizeof header, 0, err);
    if (rc == ERR_OK && object_size(p->object) < sizeof header + sizeof trailer)
        rc = err_fail(err, ERR_DAMAGED, "%s is cut short: %llu bytes", p->name,
                      (unsigned long long)object_size(p->object));
    if (rc == ERR_OK)
        rc = unwrap(s, p, header, err);
    if (rc == ERR_OK)
        rc = object_read(p->object, trailer, sizeof trailer, object_size(p->object) - sizeof trailer, err);
    if (rc == ERR_OK) {
        /* Records can be read without the trailer: a damaged one only makes the table unreadable. */
        struct err cause;
        if (pack_trailer_get(trailer, object_size(p->object), &p->trailer, &cause) != ERR_OK)
            memset(&p->trailer, 0, sizeof p->trailer);
        *out = p;
        return ERR_OK;
    }
    pack_reader_free(p);
    return rc;
}

void pack_reader_free(struct pack_reader *p)
{
    if (!p)
        return;
    object_close(p->object);
    sealer_free(p->sealer);
    free(p);
}

uint64_t pack_reader_size(const struct pack_reader *p)
{
    return object_size(p->object);
}

uint32_t pack_reader_count(const struct pack_reader *p)
{
    return p->trailer.record_count;
}

struct object *pack_reader_object(struct pack_reader *p)
{
    return p->object;
}

enum errc pack_reader_unseal(struct pack_reader *p, const struct record_desc *d, const uint8_t *stored, uint8_t *dst,
                             struct err *err)
{
    uint8_t aad[RECORD_AAD_BYTES];
    record_aad(d, aad);
    enum errc rc = seal_open(p->sealer, d->number, aad, sizeof aad, stored, d->stored_len, dst, err);
    if (rc != ERR_OK)
        return err_wrap(err, "record %u at byte %llu of %s", d->number, (unsigned long long)d->offset, p->name);
    return ERR_OK;
}

enum errc pack_reader_get(struct pack_reader *p, const struct record_desc *d, uint8_t *stored, uint8_t *dst,
                          struct err *err)
{
    if (d->stored_len < SEAL_TAG_BYTES || d->stored_len > RECORD_MAX_BYTES)
        return err_fail(err, ERR_DAMAGED, "record %u of %s has an impossible length", d->number, p->name);
    enum errc rc = object_read(p->object, stored, d->stored_len, d->offset, err);
    return rc == ERR_OK ? pack_reader_unseal(p, d, stored, dst, err) : rc;
}

static enum errc walk_table(struct pack_reader *p, const uint8_t *plain, size_t len,
                            enum errc (*fn)(void *, const struct record_desc *, struct err *), void *arg,
                            struct err *err)
{
    struct reader r = reader_of(plain, len);
    uint64_t offset = PACK_HEADER_BYTES;
    for (uint32_t i = 0; i < p->trailer.record_count; i++) {
        struct record_desc d;
        enum errc rc = record_desc_get(&r, i, offset, &d, err);
        if (rc != ERR_OK)
            return err_wrap(err, "the table of %s", p->name);
        offset += d.stored_len;
        if (offset > p->trailer.table_offset)
            return err_fail(err, ERR_DAMAGED, "the table of %s names more bytes than there are", p->name);
        rc = fn(arg, &d, err);
        if (rc != ERR_OK)
            return rc;
    }
    if (offset != p->trailer.table_offset || reader_left(&r) != 0)
        return err_fail(err, ERR_DAMAGED, "the table of %s does not add up", p->name);
    return ERR_OK;
}

enum errc pack_reader_table(struct pack_reader *p, enum errc (*fn)(void *, const struct record_desc *, struct err *),
                            void *arg, struct err *err)
{
    const struct pack_trailer *t = &p->trailer;
    if (t->table_len < SEAL_TAG_BYTES || t->table_len > PACK_TABLE_MAX_BYTES)
        return err_fail(err, ERR_DAMAGED, "the end of %s is damaged: its table cannot be found", p->name);
    uint8_t header[PACK_HEADER_BYTES], *stored = NULL, *plain = NULL;
    struct digest digest;
    enum errc rc = object_read(p->object, header, sizeof header, 0, err);
    if (rc == ERR_OK)
        rc = sha256(header, sizeof header, &digest, err);
    if (rc == ERR_OK && memcmp(&digest, &t->header_digest, sizeof digest) != 0)
        rc = err_fail(err, ERR_DAMAGED, "the header of %s is not the one it was written with", p->name);
    if (rc == ERR_OK)
        rc = mem_alloc(&stored, t->table_len, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&plain, t->table_len, err);
    if (rc == ERR_OK)
        rc = object_read(p->object, stored, t->table_len, t->table_offset, err);
    if (rc == ERR_OK) {
        uint8_t aad[TABLE_AAD_BYTES];
        pack_table_aad(t->record_count, t->table_offset, aad);
        rc = seal_open(p->sealer, PACK_TABLE_NUMBER, aad, sizeof aad, stored, t->table_len, plain, err);
        if (rc != ERR_OK)
            (void)err_wrap(err, "the table of %s", p->name);
    }
    if (rc == ERR_OK)
        rc = walk_table(p, plain, t->table_len - SEAL_TAG_BYTES, fn, arg, err);
    free(stored);
    free(plain);
    return rc;
}
