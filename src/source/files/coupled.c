#include "source/files/coupled.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

struct member {
    char *name;
    struct stat st;
};
struct coupled {
    struct member *members;
    size_t count, cap;
    char *changed;
    bool disturbed;
};

enum errc coupled_new(struct coupled **out, struct err *err)
{
    return mem_alloc(out, sizeof **out, err);
}

void coupled_free(struct coupled *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->count; i++)
        free(g->members[i].name);
    free(g->members);
    free(g->changed);
    free(g);
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* SQLite, run by root, gives its logs their owner anew at each opening: their ctime tells nothing. */
static bool is_log(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && strcmp(name + len - 4, "-wal") == 0;
}

static bool same(const struct member *m, const struct stat *now)
{
    const struct stat *a = &m->st;
    return a->st_ino == now->st_ino && a->st_dev == now->st_dev && a->st_size == now->st_size &&
           same_time(a->st_mtim, now->st_mtim) && (is_log(m->name) || same_time(a->st_ctim, now->st_ctim));
}

enum errc coupled_note(struct coupled *g, const char *name, const struct stat *st, struct err *err)
{
    for (size_t i = 0; i < g->count; i++)
        if (strcmp(g->members[i].name, name) == 0) {
            g->members[i].st = *st;
            return ERR_OK;
        }
    if (g->count == COUPLED_MAX)
        return ERR_OK;
    enum errc rc = mem_grow(&g->members, &g->cap, g->count + 1, sizeof *g->members, err);
    if (rc == ERR_OK)
        rc = mem_strdup(&g->members[g->count].name, name, err);
    if (rc == ERR_OK)
        g->members[g->count++].st = *st;
    return rc;
}

bool coupled_held_still(struct coupled *g, int dirfd)
{
    struct stat now;
    for (size_t i = 0; !g->disturbed && i < g->count; i++) {
        const struct member *m = &g->members[i];
        if (fstatat(dirfd, m->name, &now, AT_SYMLINK_NOFOLLOW) == 0 && same(m, &now))
            continue;
        g->disturbed = true;
        g->changed = strdup(m->name); /* for the message only */
    }
    return !g->disturbed;
}

const char *coupled_changed(const struct coupled *g)
{
    return !g->disturbed ? NULL : g->changed ? g->changed : "a file";
}

/* --- FAISS ----------------------------------------------------------------------------------------------------------
 */

static const char *const indexes[] = {".faiss", ".index"};
static const char *const sidecars[] = {".pkl", ".json", ".ids", ".npy"};
enum { INDEXES = sizeof indexes / sizeof *indexes, SIDECARS = sizeof sidecars / sizeof *sidecars };

static size_t stem_before(const struct listed *n, const char *const *ends, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(ends[i]);
        if (n->len > len && strcmp(n->name + n->len - len, ends[i]) == 0)
            return n->len - len;
    }
    return 0;
}

static bool has_one(const struct listing *l, const struct listed *n, size_t stem, const char *const *ends, size_t count)
{
    char name[1024];
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(ends[i]);
        if (stem + len >= sizeof name)
            continue;
        memcpy(name, n->name, stem);
        memcpy(name + stem, ends[i], len);
        if (listing_find(l, name, stem + len))
            return true;
    }
    return false;
}

size_t coupled_faiss_stem(const struct listing *l, const struct listed *n)
{
    size_t stem = stem_before(n, indexes, INDEXES);
    if (stem > 0)
        return has_one(l, n, stem, sidecars, SIDECARS) ? stem : 0;
    stem = stem_before(n, sidecars, SIDECARS);
    return stem > 0 && has_one(l, n, stem, indexes, INDEXES) ? stem : 0;
}
