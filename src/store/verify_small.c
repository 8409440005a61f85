#include <stdio.h>
#include <string.h>

#include "store/verify.h"

/* The configuration and the key slots: small files of three copies each, and each copy counts. */

enum { FILE_MAX_BYTES = 3 * (KEY_SLOT_MAX_BYTES + 1024) };

static enum errc check_copies(struct verify *v, const char *name, struct err *err)
{
    struct buf file;
    struct bytes content;
    struct err why;
    unsigned good = 0;
    buf_init(&file, FILE_MAX_BYTES);
    enum errc rc = backend_get(v->store->backend, name, FILE_MAX_BYTES, &file, &why);
    if (rc == ERR_OK)
        rc = triple_decode(file.data, file.len, KEY_SLOT_MAX_BYTES, &content, &good, &why);
    buf_release(&file);
    if (rc == ERR_NO_MEMORY) {
        if (err)
            *err = why;
        return rc;
    }
    if (rc != ERR_OK)
        return verify_add_error(v, rc == ERR_MISSING_OBJECT ? "missing-file" : "damaged-file", name, why.message, err);
    if (good < 3)
        return verify_add_error(v, "damaged-copy", name, "one of its three copies is damaged; the others still serve",
                                err);
    return ERR_OK;
}

static enum errc on_slot(void *arg, const char *name, struct err *err)
{
    char path[64];
    uint8_t id[8];
    if (!hex_decode(id, sizeof id, name, strlen(name)))
        return ERR_OK;
    snprintf(path, sizeof path, "keys/%.16s", name);
    return check_copies(arg, path, err);
}

enum errc verify_small_files(struct verify *v, struct err *err)
{
    enum errc rc = check_copies(v, "config", err);
    return rc == ERR_OK ? backend_list(v->store->backend, "keys", on_slot, v, err) : rc;
}
