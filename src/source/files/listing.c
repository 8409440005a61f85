#include "source/files/listing.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { FIRST_BLOCK_BYTES = 2048, BLOCK_BYTES = 64 * 1024 };

struct listing_block {
    struct listing_block *next;
    size_t used, cap;
    char text[];
};

static enum errc keep_name(struct listing *l, const char *name, size_t len, struct err *err)
{
    struct listing_block *b = l->blocks;
    if (!b || b->cap - b->used < len + 1) {
        size_t cap = b ? BLOCK_BYTES : FIRST_BLOCK_BYTES;
        struct listing_block *fresh;
        enum errc rc = mem_alloc(&fresh, sizeof *fresh + cap, err);
        if (rc != ERR_OK)
            return rc;
        fresh->next = b;
        fresh->cap = cap;
        l->blocks = b = fresh;
    }
    enum errc rc = mem_grow(&l->names, &l->cap, l->count + 1, sizeof *l->names, err);
    if (rc != ERR_OK)
        return rc;
    char *kept = b->text + b->used;
    memcpy(kept, name, len + 1);
    b->used += len + 1;
    l->names[l->count++] = (struct listed){.name = kept, .len = (uint16_t)len};
    return ERR_OK;
}

static bool is_dot(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static enum errc read_names(int fd, char *buffer, struct listing *l, struct err *err)
{
    for (;;) {
        ssize_t n = getdents64(fd, buffer, LISTING_BUFFER_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        /* A directory that was removed while it was open has nothing left to list. */
        if (n == 0 || (n < 0 && errno == ENOENT))
            return ERR_OK;
        if (n < 0)
            return err_sys(err, ERR_IO, errno, "cannot list the directory");
        for (ssize_t at = 0; at < n;) {
            struct dirent64 d_head;
            memcpy(&d_head, buffer + at, offsetof(struct dirent64, d_name));
            const char *name = buffer + at + offsetof(struct dirent64, d_name);
            size_t len = strlen(name);
            at += d_head.d_reclen;
            if (is_dot(name))
                continue;
            if (len == 0 || len > 255 * 4 || memchr(name, '/', len))
                return err_fail(err, ERR_IO, "the directory holds a name that cannot be one");
            enum errc rc = keep_name(l, name, len, err);
            if (rc != ERR_OK)
                return rc;
        }
    }
}

static int compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int c = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return c ? c : (a_len > b_len) - (a_len < b_len);
}

static int compare_listed(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    return compare_bytes(x->name, x->len, y->name, y->len);
}

/* A name can be listed twice when the directory changes meanwhile. */
static void sort_unique(struct listing *l)
{
    if (l->count < 2)
        return;
    qsort(l->names, l->count, sizeof *l->names, compare_listed);
    size_t kept = 1;
    for (size_t i = 1; i < l->count; i++) {
        if (compare_listed(&l->names[kept - 1], &l->names[i]) != 0)
            l->names[kept++] = l->names[i];
    }
    l->count = kept;
}

struct listed *listing_find(const struct listing *l, const char *name, size_t len)
{
    size_t low = 0, high = l->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = compare_bytes(l->names[mid].name, l->names[mid].len, name, len);
        if (c == 0)
            return &l->names[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static enum sidecar sidecar_kind(const struct listed *n, size_t *stem_len)
{
    static const struct {
        const char *suffix;
        size_t len;
        enum sidecar kind;
    } kinds[] = {{"-wal", 4, SIDECAR_WAL}, {"-journal", 8, SIDECAR_JOURNAL}, {"-shm", 4, SIDECAR_SHM}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (n->len > kinds[i].len && memcmp(n->name + n->len - kinds[i].len, kinds[i].suffix, kinds[i].len) == 0) {
            *stem_len = n->len - kinds[i].len;
            return kinds[i].kind;
        }
    }
    return 0;
}

/* In ascending order, so that a sidecar is known as one before anything could take it for a stem. */
static void find_sidecars(struct listing *l)
{
    for (size_t i = 0; i < l->count && i < UINT32_MAX; i++) {
        size_t stem_len;
        enum sidecar kind = sidecar_kind(&l->names[i], &stem_len);
        struct listed *stem = kind ? listing_find(l, l->names[i].name, stem_len) : NULL;
        if (!stem || stem->sidecar)
            continue;
        stem->has |= kind;
        l->names[i].sidecar = kind;
        l->names[i].stem = (uint32_t)(stem - l->names);
    }
}

enum errc listing_read(int fd, void *buffer, struct listing *out, struct err *err)
{
    *out = (struct listing){.count = 0};
    enum errc rc = read_names(fd, buffer, out, err);
    sort_unique(out);
    find_sidecars(out);
    return rc;
}

void listing_release(struct listing *l)
{
    while (l->blocks) {
        struct listing_block *next = l->blocks->next;
        free(l->blocks);
        l->blocks = next;
    }
    free(l->names);
    *l = (struct listing){.count = 0};
}
