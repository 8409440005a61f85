#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "store/internal.h"

struct slot_file {
    char id[17];
    struct key_slot slot;
};
struct slot_files {
    struct store *store;
    struct slot_file *files;
    size_t count, cap;
    size_t unreadable;
};

static void release(struct slot_files *l)
{
    for (size_t i = 0; i < l->count; i++)
        key_slot_release(&l->files[i].slot);
    free(l->files);
}

static enum errc load_one(struct store *s, const char *id, struct key_slot *slot, struct err *err)
{
    char name[32];
    struct buf file;
    struct bytes content;
    snprintf(name, sizeof name, "keys/%s", id);
    buf_init(&file, 3 * (KEY_SLOT_MAX_BYTES + 1024));
    enum errc rc = backend_get(s->backend, name, file.max, &file, err);
    if (rc == ERR_OK)
        rc = triple_decode(file.data, file.len, KEY_SLOT_MAX_BYTES, &content, NULL, err);
    if (rc == ERR_OK)
        rc = key_slot_get(content.data, content.len, slot, err);
    if (rc == ERR_OK && memcmp(slot->repo.b, s->config.id.b, sizeof slot->repo.b) != 0) {
        key_slot_release(slot);
        rc = err_fail(err, ERR_DAMAGED, "it belongs to another repository");
    }
    if (rc != ERR_OK)
        (void)err_wrap(err, "key slot %s", id);
    buf_wipe(&file);
    return rc;
}

static enum errc on_name(void *arg, const char *name, struct err *err)
{
    struct slot_files *l = arg;
    struct err why;
    uint8_t id[8];
    if (!hex_decode(id, sizeof id, name, strlen(name)))
        return ERR_OK; /* not a slot */
    if (l->count == KEY_SLOTS_MAX)
        return err_fail(err, ERR_LIMIT, "the repository has more than %d key slots", KEY_SLOTS_MAX);
    enum errc rc = mem_grow(&l->files, &l->cap, l->count + 1, sizeof *l->files, err);
    if (rc != ERR_OK)
        return rc;
    struct slot_file *f = &l->files[l->count];
    memset(f, 0, sizeof *f);
    snprintf(f->id, sizeof f->id, "%s", name);
    rc = load_one(l->store, name, &f->slot, &why);
    if (rc == ERR_OK) {
        l->count++;
    } else {
        l->unreadable++;
        diag_message(l->store->diag, DIAG_WARNING, err_name(rc), "%s", why.message);
    }
    return ERR_OK;
}

static enum errc load_all(struct store *s, struct slot_files *l, struct err *err)
{
    *l = (struct slot_files){.store = s};
    enum errc rc = backend_list(s->backend, "keys", on_name, l, err);
    if (rc == ERR_OK && l->count == 0)
        rc = err_fail(err, ERR_DAMAGED, "the repository at %s has no readable key slot", s->path);
    return rc;
}

static enum errc read_key_file(const char *path, uint8_t key[KEY_BYTES], struct err *err)
{
    struct buf text;
    buf_init(&text, 4096);
    enum errc rc = io_read_file(AT_FDCWD, path, 4096, &text, err);
    if (rc != ERR_OK)
        rc = err_recode(err, err->sys_errno == ENOENT || err->sys_errno == EACCES ? ERR_BAD_KEY_FILE : rc);
    if (rc == ERR_OK)
        rc = key_file_parse((const char *)text.data, text.len, key, err);
    if (rc == ERR_OK)
        goto out;
    (void)err_wrap(err, "key file %s", path);
out:
    buf_wipe(&text);
    return rc;
}

/* The secret as the slots of its kind want it. */
static enum errc take_secret(const struct store_secret *secret, enum slot_kind *kind, uint8_t key[KEY_BYTES],
                             const void **bytes, size_t *len, struct err *err)
{
    *bytes = key;
    *len = KEY_BYTES;
    if (secret->key_file) {
        *kind = SLOT_KEY_FILE;
        return read_key_file(secret->key_file, key, err);
    }
    if (secret->passphrase) {
        *kind = SLOT_PASSPHRASE;
        *bytes = secret->passphrase;
        *len = strlen(secret->passphrase);
        return ERR_OK;
    }
    *kind = SLOT_RECOVERY;
    return recovery_parse(secret->recovery, strlen(secret->recovery), key, err);
}

static bool try_slot(struct store *s, const struct slot_file *f, const void *secret, size_t len)
{
    struct err ignored;
    if (key_slot_open(&f->slot, secret, len, &s->keys, &ignored) != ERR_OK)
        return false;
    memcpy(s->slot_id, f->id, sizeof s->slot_id);
    return true;
}

static const struct slot_file *find_clear(const struct slot_files *l)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->files[i].slot.kind == SLOT_CLEAR)
            return &l->files[i];
    return NULL;
}

static enum errc unlock(struct store *s, const struct slot_files *l, const struct store_secret *secret, struct err *err)
{
    const struct slot_file *clear = find_clear(l);
    bool given = secret->key_file || secret->passphrase || secret->recovery;
    if (clear && !given) {
        s->clear = try_slot(s, clear, NULL, 0);
        return s->clear ? ERR_OK : err_fail(err, ERR_DAMAGED, "the open key slot of %s is damaged", s->path);
    }
    if (!given)
        return err_fail(err, ERR_NO_KEY, "the repository at %s is encrypted and no key was given", s->path);
    uint8_t key[KEY_BYTES];
    const void *bytes;
    size_t len;
    enum slot_kind kind;
    bool opened = false;
    enum errc rc = take_secret(secret, &kind, key, &bytes, &len, err);
    for (size_t i = 0; rc == ERR_OK && !opened && i < l->count; i++)
        if (l->files[i].slot.kind == kind)
            opened = try_slot(s, &l->files[i], bytes, len);
    explicit_bzero(key, sizeof key);
    if (rc == ERR_OK && !opened && clear) {
        /* Whoever can write there could have put it in the place of an encrypted one (docs/adr/0010). */
        (void)err_fail(err, ERR_WRONG_KEY, "a key was given, but the repository at %s is open to anyone", s->path);
        rc = err_hint(err,
                      "If it was made with --encryption none, use it without a key; else find out who replaced it.");
    } else if (rc == ERR_OK && !opened)
        rc = err_fail(err, ERR_WRONG_KEY, "%s opens no key slot of the repository at %s",
                      kind == SLOT_KEY_FILE     ? secret->key_file
                      : kind == SLOT_PASSPHRASE ? "the passphrase"
                                                : "the recovery key",
                      s->path);
    return rc;
}

enum errc slots_unlock(struct store *s, const struct store_secret *secret, struct err *err)
{
    struct slot_files l;
    enum errc rc = load_all(s, &l, err);
    if (rc == ERR_OK)
        rc = unlock(s, &l, secret, err);
    release(&l);
    return rc;
}

enum errc store_slots(struct store *s, struct slot_info **out, size_t *count_out, struct err *err)
{
    struct slot_files l;
    struct slot_info *info = NULL;
    enum errc rc = load_all(s, &l, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&info, l.count * sizeof *info, err);
    for (size_t i = 0; rc == ERR_OK && i < l.count; i++) {
        memcpy(info[i].id, l.files[i].id, sizeof info[i].id);
        info[i].kind = l.files[i].slot.kind;
        memcpy(info[i].label, l.files[i].slot.label, sizeof info[i].label);
        info[i].created = l.files[i].slot.created;
        info[i].opened_this = strcmp(l.files[i].id, s->slot_id) == 0;
    }
    *count_out = l.count;
    release(&l);
    *out = info;
    return rc;
}

/* The key of a key file: read when the file is there, else made (0600) and written. */
static enum errc own_key_file(const char *path, uint8_t key[KEY_BYTES], struct err *err)
{
    char text[KEY_FILE_TEXT_BYTES];
    struct stat st;
    if (stat(path, &st) == 0)
        return read_key_file(path, key, err);
    enum errc rc = io_random(key, KEY_BYTES, err);
    if (rc == ERR_OK) {
        key_file_format(text, key);
        rc = io_create_file(AT_FDCWD, path, text, strlen(text), 0600, err);
    }
    explicit_bzero(text, sizeof text);
    return rc;
}

static enum errc write_slot(struct store *s, const struct key_slot *slot, char id_out[17], struct err *err)
{
    struct buf content, file;
    uint8_t id[8];
    char name[32];
    bool taken;
    buf_init(&content, KEY_SLOT_MAX_BYTES);
    buf_init(&file, 3 * (KEY_SLOT_MAX_BYTES + 1024));
    enum errc rc = io_random(id, sizeof id, err);
    if (rc == ERR_OK)
        rc = key_slot_put(&content, slot, err);
    if (rc == ERR_OK)
        rc = triple_encode(&file, content.data, content.len, err);
    if (rc == ERR_OK) {
        snprintf(name, sizeof name, "keys/%s", hex_encode(id_out, id, sizeof id));
        rc = backend_put(s->backend, name, file.data, file.len, &taken, err);
    }
    buf_wipe(&content);
    buf_wipe(&file);
    return rc;
}

enum errc store_slot_add(struct store *s, enum slot_kind kind, const char *label, const char *key_file,
                         const char *passphrase, char recovery_out[RECOVERY_TEXT_BYTES], char id_out[17],
                         struct err *err)
{
    uint8_t key[KEY_BYTES] = {0};
    struct key_slot slot;
    const void *secret = key;
    size_t len = kind == SLOT_CLEAR ? 0 : KEY_BYTES;
    enum errc rc =
        s->read_only ? err_fail(err, ERR_READ_ONLY, "the repository at %s cannot be written to", s->path) : ERR_OK;
    memset(&slot, 0, sizeof slot);
    if (rc == ERR_OK && kind == SLOT_KEY_FILE)
        rc = own_key_file(key_file, key, err);
    if (rc == ERR_OK && kind == SLOT_RECOVERY)
        rc = io_random(key, sizeof key, err);
    if (kind == SLOT_PASSPHRASE) {
        secret = passphrase;
        len = strlen(passphrase);
    }
    if (rc == ERR_OK)
        rc = key_slot_seal(&slot, kind, label, &s->config.id, secret, len, &s->keys, err);
    if (rc == ERR_OK)
        rc = write_slot(s, &slot, id_out, err);
    if (rc == ERR_OK && kind == SLOT_RECOVERY)
        recovery_format(recovery_out, key);
    explicit_bzero(key, sizeof key);
    key_slot_release(&slot);
    return rc;
}

enum errc store_slot_remove(struct store *s, const char *id, struct err *err)
{
    struct slot_files l;
    char name[32];
    bool found = false;
    enum errc rc = load_all(s, &l, err);
    for (size_t i = 0; rc == ERR_OK && i < l.count; i++)
        found = found || strcmp(l.files[i].id, id) == 0;
    if (rc == ERR_OK && !found)
        rc = err_fail(err, ERR_KEY_SLOT, "there is no key slot %s", id);
    if (rc == ERR_OK && l.count == 1)
        rc =
            err_fail(err, ERR_KEY_SLOT, "key slot %s is the last one: without it nobody could open the repository", id);
    if (rc == ERR_OK) {
        snprintf(name, sizeof name, "keys/%s", id);
        rc = backend_remove(s->backend, name, err);
    }
    if (rc == ERR_OK)
        rc = backend_sync_dir(s->backend, "keys", err);
    release(&l);
    return rc;
}
