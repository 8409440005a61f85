#include "source/files/hardlinks.h"

#include <stdlib.h>
#include <string.h>

/* Neighbours share the text of their directory. */
struct link_dir {
    size_t uses, len;
    char text[]; /* with the slash behind, or empty */
};

struct group {
    struct group *next;
    struct link_dir *dir;
    dev_t dev;
    ino_t ino;
    uint64_t look; /* digest of type, size and mtime */
    uint32_t names_left;
    uint16_t name_len;
    char name[];
};

struct hardlinks {
    struct group **slots; /* chains */
    size_t slot_count;    /* a power of two */
    size_t count, bytes, max_bytes;
    struct link_dir *last_dir;
};

enum { FIRST_SLOTS = 256, ALLOCATION_OVERHEAD = 16 };

enum errc hardlinks_new(size_t max_bytes, struct hardlinks **out, struct err *err)
{
    struct hardlinks *h;
    enum errc rc = mem_alloc(&h, sizeof *h, err);
    if (rc != ERR_OK)
        return rc;
    rc = mem_alloc(&h->slots, FIRST_SLOTS * sizeof(struct group *), err);
    if (rc != ERR_OK) {
        free(h);
        return rc;
    }
    h->slot_count = FIRST_SLOTS;
    h->max_bytes = max_bytes;
    *out = h;
    return ERR_OK;
}

static size_t group_bytes(const struct group *g)
{
    return sizeof *g + g->name_len + ALLOCATION_OVERHEAD + sizeof(struct group *);
}

static void dir_drop(struct hardlinks *h, struct link_dir *d)
{
    if (--d->uses > 0)
        return;
    h->bytes -= sizeof *d + d->len + ALLOCATION_OVERHEAD;
    if (h->last_dir == d)
        h->last_dir = NULL;
    free(d);
}

static void group_drop(struct hardlinks *h, struct group *g)
{
    h->bytes -= group_bytes(g);
    h->count--;
    dir_drop(h, g->dir);
    free(g);
}

void hardlinks_free(struct hardlinks *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < h->slot_count; i++) {
        while (h->slots[i]) {
            struct group *g = h->slots[i];
            h->slots[i] = g->next;
            group_drop(h, g);
        }
    }
    free(h->slots);
    free(h);
}

static size_t slot_of(size_t slot_count, dev_t dev, ino_t ino)
{
    uint64_t x = ((uint64_t)ino + (uint64_t)dev * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
    return (size_t)(x >> 32) & (slot_count - 1);
}

static struct group **find_slot(struct hardlinks *h, const struct stat *st)
{
    struct group **at = &h->slots[slot_of(h->slot_count, st->st_dev, st->st_ino)];
    while (*at && ((*at)->ino != st->st_ino || (*at)->dev != st->st_dev))
        at = &(*at)->next;
    return at;
}

static uint64_t look_of(const struct stat *st)
{
    const uint64_t parts[] = {st->st_mode & S_IFMT, (uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec,
                              (uint64_t)st->st_mtim.tv_nsec};
    uint64_t x = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        x = (x ^ parts[i]) * 0xff51afd7ed558ccdu;
        x ^= x >> 29;
    }
    return x;
}

enum errc hardlinks_find(struct hardlinks *h, const struct stat *st, struct buf *first_path, bool *found_out,
                         struct err *err)
{
    *found_out = false;
    struct group **at = find_slot(h, st), *g = *at;
    if (!g)
        return ERR_OK;
    if (g->look == look_of(st)) {
        buf_clear(first_path);
        enum errc rc = buf_append(first_path, g->dir->text, g->dir->len, err);
        if (rc == ERR_OK)
            rc = buf_append(first_path, g->name, g->name_len, err);
        if (rc != ERR_OK)
            return rc;
        *found_out = true;
        if (--g->names_left > 0)
            return ERR_OK;
    }
    *at = g->next;
    group_drop(h, g);
    return ERR_OK;
}

/* More slots when chains get long; without memory for it, long chains do. */
static void grow_slots(struct hardlinks *h)
{
    size_t count = h->slot_count * 2;
    struct group **slots = calloc(count, sizeof *slots);
    if (!slots)
        return;
    for (size_t i = 0; i < h->slot_count; i++) {
        for (struct group *g = h->slots[i], *next; g; g = next) {
            next = g->next;
            struct group **slot = &slots[slot_of(count, g->dev, g->ino)];
            g->next = *slot;
            *slot = g;
        }
    }
    free(h->slots);
    h->slots = slots;
    h->slot_count = count;
}

/* The directory's text with one more use, or NULL without memory. */
static struct link_dir *dir_take(struct hardlinks *h, const char *path, size_t len)
{
    struct link_dir *d = h->last_dir;
    if (!d || d->len != len || memcmp(d->text, path, len) != 0) {
        d = malloc(sizeof *d + len);
        if (!d)
            return NULL;
        d->uses = 0;
        d->len = len;
        memcpy(d->text, path, len);
        h->bytes += sizeof *d + len + ALLOCATION_OVERHEAD;
        h->last_dir = d;
    }
    d->uses++;
    return d;
}

enum errc hardlinks_add(struct hardlinks *h, const struct stat *st, const char *path, size_t len, bool *full_out,
                        struct err *err)
{
    *full_out = h->bytes + sizeof(struct group) + len >= h->max_bytes;
    if (*full_out)
        return ERR_OK;
    size_t dir_len = len;
    while (dir_len > 0 && path[dir_len - 1] != '/')
        dir_len--;
    struct group *g = malloc(sizeof *g + (len - dir_len));
    struct link_dir *d = g ? dir_take(h, path, dir_len) : NULL;
    if (!d) {
        free(g);
        return err_fail(err, ERR_NO_MEMORY, "no memory for the table of hard links");
    }
    *g = (struct group){.dir = d,
                        .dev = st->st_dev,
                        .ino = st->st_ino,
                        .look = look_of(st),
                        .names_left = (uint32_t)st->st_nlink - 1,
                        .name_len = (uint16_t)(len - dir_len)};
    memcpy(g->name, path + dir_len, len - dir_len);
    if (h->count >= h->slot_count)
        grow_slots(h);
    struct group **slot = &h->slots[slot_of(h->slot_count, g->dev, g->ino)];
    g->next = *slot;
    *slot = g;
    h->count++;
    h->bytes += group_bytes(g);
    return ERR_OK;
}

size_t hardlinks_count(const struct hardlinks *h)
{
    return h->count;
}
