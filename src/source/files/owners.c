#include "source/files/owners.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* One answer of the system; name NULL: it knows none for this id. */
struct by_id {
    bool used;
    uint32_t id;
    char *name;
};
struct by_name {
    char *name; /* NULL: slot unused */
    bool known;
    uint32_t id;
};
enum kind { KIND_USER, KIND_GROUP, KIND_COUNT };

/* Direct-mapped: a new answer takes the place of the one that shares its slot. */
struct owners {
    struct by_id ids[KIND_COUNT][OWNERS_MAX];
    struct by_name names[KIND_COUNT][OWNERS_MAX];
};

enum { LOOKUP_FIRST_BYTES = 4096, LOOKUP_MAX_BYTES = 1 << 20, OWNER_NAME_MAX_BYTES = 1024 };

enum errc owners_new(struct owners **out, struct err *err)
{
    return mem_alloc(out, sizeof(struct owners), err);
}

void owners_free(struct owners *o)
{
    if (!o)
        return;
    for (int k = 0; k < KIND_COUNT; k++) {
        for (size_t i = 0; i < OWNERS_MAX; i++) {
            free(o->ids[k][i].name);
            free(o->names[k][i].name);
        }
    }
    free(o);
}

/* What to ask the system: the name of an id (name NULL) or the id of a name. */
struct question {
    enum kind kind;
    const char *name;
    uint32_t id;
};

/* One try with a buffer of cap bytes; returns errno. *name_out points into buf. */
static int ask_once(const struct question *q, char *buf, size_t cap, const char **name_out, uint32_t *id_out)
{
    *name_out = NULL;
    if (q->kind == KIND_USER) {
        struct passwd pw, *found = NULL;
        int rc = q->name ? getpwnam_r(q->name, &pw, buf, cap, &found) : getpwuid_r(q->id, &pw, buf, cap, &found);
        if (found) {
            *name_out = pw.pw_name;
            *id_out = pw.pw_uid;
        }
        return rc;
    }
    struct group gr, *found = NULL;
    int rc = q->name ? getgrnam_r(q->name, &gr, buf, cap, &found) : getgrgid_r(q->id, &gr, buf, cap, &found);
    if (found) {
        *name_out = gr.gr_name;
        *id_out = gr.gr_gid;
    }
    return rc;
}

/* The answer as a copy in *name_out (NULL: unknown, or the system cannot tell; the number serves then). */
static void ask(const struct question *q, char **name_out, uint32_t *id_out)
{
    *name_out = NULL;
    for (size_t cap = LOOKUP_FIRST_BYTES; cap <= LOOKUP_MAX_BYTES; cap *= 4) {
        char *buf = malloc(cap);
        if (!buf)
            return;
        const char *name;
        int rc = ask_once(q, buf, cap, &name, id_out);
        if (rc == 0 && name && *name && strlen(name) <= OWNER_NAME_MAX_BYTES)
            *name_out = strdup(name);
        free(buf);
        if (rc != ERANGE && rc != EINTR)
            return;
    }
}

static const char *name_of(struct owners *o, enum kind kind, uint32_t id)
{
    struct by_id *slot = &o->ids[kind][id % OWNERS_MAX];
    if (slot->used && slot->id == id)
        return slot->name;
    free(slot->name);
    uint32_t ignored;
    ask(&(struct question){.kind = kind, .id = id}, &slot->name, &ignored);
    slot->used = true;
    slot->id = id;
    return slot->name;
}

static bool id_of(struct owners *o, enum kind kind, const char *name, size_t len, uint32_t *id_out)
{
    if (len == 0 || len > OWNER_NAME_MAX_BYTES || memchr(name, 0, len))
        return false;
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    struct by_name *slot = &o->names[kind][hash % OWNERS_MAX];
    if (!slot->name || strlen(slot->name) != len || memcmp(slot->name, name, len) != 0) {
        free(slot->name);
        slot->name = NULL;
        if (mem_dup(&slot->name, name, len, NULL) != ERR_OK)
            return false;
        char *found;
        ask(&(struct question){.kind = kind, .name = slot->name}, &found, &slot->id);
        slot->known = found != NULL;
        free(found);
    }
    *id_out = slot->id;
    return slot->known;
}

const char *owners_user_name(struct owners *o, uint32_t uid)
{
    return name_of(o, KIND_USER, uid);
}

const char *owners_group_name(struct owners *o, uint32_t gid)
{
    return name_of(o, KIND_GROUP, gid);
}

bool owners_user_id(struct owners *o, const char *name, size_t len, uint32_t *uid_out)
{
    return id_of(o, KIND_USER, name, len, uid_out);
}

bool owners_group_id(struct owners *o, const char *name, size_t len, uint32_t *gid_out)
{
    return id_of(o, KIND_GROUP, name, len, gid_out);
}
