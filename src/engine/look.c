#include "engine/look.h"

#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/path.h"
#include "engine/inspect.h"
#include "engine/list_walk.h"

/* Lists hold paths relative to their item's; people name absolute ones. */

static enum errc unknown_path(const char *path, struct err *err)
{
    char shown[512];
    return err_fail(err, ERR_UNKNOWN_PATH, "the snapshot holds no %s",
                    path_show(shown, sizeof shown, path, strlen(path)));
}

/* Can the item hold the path or anything below it? A raw database's sidecars stand beside it. */
static bool item_may_hold(const struct item *item, const char *path)
{
    size_t len = strlen(item->path);
    return !path || path_is_within(item->path, path) || path_is_within(path, item->path) ||
           (item->type == ITEM_SQLITE && strncmp(path, item->path, len) == 0);
}

/* --- ls -------------------------------------------------------------------------------------------------------------
 */

struct listing {
    struct store *store;
    const char *path; /* absolute, NULL: all */
    look_fn *fn;
    void *arg;
    uint64_t count;
};

static enum errc list_one(struct listing *l, const struct item *item, struct list_walk *w, const char *abs_path,
                          struct err *err)
{
    struct chunk_ref ref;
    uint64_t offset;
    bool more = true;
    while (more) {
        enum errc rc = list_walk_ref(w, &ref, &offset, &more, err);
        if (rc != ERR_OK)
            return rc;
    }
    struct look_entry e = {.item = item,
                           .entry = &w->entry,
                           .abs_path = abs_path,
                           .end = w->has_end ? &w->end : NULL,
                           .size = w->has_end ? w->end.size : 0};
    l->count++;
    return l->fn(l->arg, &e, err);
}

static enum errc list_item(struct listing *l, const struct item *item, struct err *err)
{
    struct list_walk w;
    uint64_t before = l->count;
    bool more = true;
    enum errc rc = list_walk_open(&w, l->store, &item->list, err);
    while (rc == ERR_OK) {
        char *abs_path;
        rc = list_walk_entry(&w, &more, err);
        if (rc != ERR_OK || !more)
            break;
        rc = entry_abs_path(item, &w.entry, &abs_path, err);
        if (rc != ERR_OK)
            break;
        bool wanted = !l->path || path_is_within(abs_path, l->path);
        if (wanted)
            rc = list_one(l, item, &w, abs_path, err);
        free(abs_path);
        if (!wanted && l->count > before)
            break; /* what is below a path stands together */
    }
    list_walk_close(&w);
    return rc;
}

enum errc look_ls(struct store *s, const struct snapshot *snap, const char *path, look_fn *fn, void *arg,
                  struct err *err)
{
    struct listing l = {.store = s, .path = path, .fn = fn, .arg = arg};
    for (size_t i = 0; i < snap->item_count; i++) {
        if (!item_may_hold(&snap->items[i], path))
            continue;
        enum errc rc = list_item(&l, &snap->items[i], err);
        if (rc != ERR_OK)
            return rc;
    }
    return path && l.count == 0 ? unknown_path(path, err) : ERR_OK;
}

/* --- vectors --------------------------------------------------------------------------------------------------------
 */

struct adding {
    const struct snapshot *snap;
    struct inspect_summary *sums;
};

static enum errc add_facts(void *arg, const struct look_entry *e, struct err *err)
{
    const struct adding *a = arg;
    struct fact_list facts;
    if (!e->end || !e->end->facts)
        return ERR_OK;
    enum errc rc = fact_list_get(e->end->facts, e->end->facts_len, &facts, err);
    if (rc != ERR_OK)
        return rc;
    inspect_summary_facts(&a->sums[e->item - a->snap->items], &facts);
    fact_list_release(&facts);
    return ERR_OK;
}

enum errc look_vectors(struct store *s, const struct snapshot *snap, struct inspect_summary *sums, struct err *err)
{
    struct adding a = {.snap = snap, .sums = sums};
    for (size_t i = 0; i < snap->item_count; i++)
        sums[i] = (struct inspect_summary){.looked_at = 0};
    return look_ls(s, snap, NULL, add_facts, &a, err);
}

/* --- dump -----------------------------------------------------------------------------------------------------------
 */

enum { ZERO_BYTES = 64 * 1024 };

struct dump {
    struct store *store;
    int fd;
    const char *path; /* for messages */
    struct chunk_reader *chunks;
    uint8_t *plain, *zeros;
};

static enum errc write_zeros(struct dump *d, uint64_t len, struct err *err)
{
    enum errc rc = ERR_OK;
    while (rc == ERR_OK && len > 0) {
        size_t step = len < ZERO_BYTES ? (size_t)len : ZERO_BYTES;
        rc = io_write(d->fd, d->zeros, step, "the output", err);
        len -= step;
    }
    return rc;
}

static enum errc dump_data(struct dump *d, struct list_walk *w, struct err *err)
{
    uint64_t written = 0;
    for (;;) {
        struct chunk_ref ref;
        uint64_t offset;
        bool more;
        enum errc rc = list_walk_ref(w, &ref, &offset, &more, err);
        if (rc == ERR_OK)
            rc = write_zeros(d, (more ? offset : w->end.size) - written, err);
        if (rc != ERR_OK || !more)
            return rc;
        rc = chunk_read_ref(d->chunks, &ref, d->plain, err);
        if (rc == ERR_OK)
            rc = io_write(d->fd, d->plain, ref.len, "the output", err);
        if (rc != ERR_OK)
            return rc;
        written = offset + ref.len;
    }
}

static enum errc no_data(const struct dump *d, const struct entry *e, struct err *err)
{
    static const char *const kinds[] = {
        [ENTRY_DIR] = "a directory",      [ENTRY_SYMLINK] = "a symbolic link", [ENTRY_FIFO] = "a named pipe",
        [ENTRY_SOCKET] = "a socket",      [ENTRY_CHAR_DEV] = "a device",       [ENTRY_BLOCK_DEV] = "a device",
        [ENTRY_HARDLINK] = "a hard link", [ENTRY_ABSENT] = "noted as absent"};
    char shown[512];
    err_fail(err, ERR_UNKNOWN_PATH, "%s is %s in the snapshot: it has no bytes to write out",
             path_show(shown, sizeof shown, d->path, strlen(d->path)), kinds[e->type]);
    return err_hint(err, "'snap restore ID --include PATH --target DIR' brings it back; 'snap ls ID:PATH' lists it.");
}

/* Looks for the path in the item; for another name of an earlier entry, *link_out becomes that entry's path. */
static enum errc dump_from(struct dump *d, const struct item *item, const char *abs_wanted, bool *found,
                           char **link_out, struct err *err)
{
    struct list_walk w;
    bool more = true;
    *found = false;
    *link_out = NULL;
    enum errc rc = list_walk_open(&w, d->store, &item->list, err);
    while (rc == ERR_OK && !*found) {
        char *abs_path;
        rc = list_walk_entry(&w, &more, err);
        if (rc != ERR_OK || !more)
            break;
        rc = entry_abs_path(item, &w.entry, &abs_path, err);
        if (rc != ERR_OK)
            break;
        *found = strcmp(abs_path, abs_wanted) == 0;
        free(abs_path);
    }
    if (rc == ERR_OK && *found) {
        struct entry target = {.path = w.entry.link_target, .path_len = w.entry.link_target_len};
        if (entry_has_data(w.entry.type))
            rc = dump_data(d, &w, err);
        else if (w.entry.type == ENTRY_HARDLINK)
            rc = entry_abs_path(item, &target, link_out, err);
        else
            rc = no_data(d, &w.entry, err);
    }
    list_walk_close(&w);
    return rc;
}

static enum errc dump_item(struct dump *d, const struct item *item, bool *found, struct err *err)
{
    char *link = NULL;
    enum errc rc = dump_from(d, item, d->path, found, &link, err);
    if (rc != ERR_OK || !link)
        return rc;
    char *again = NULL;
    bool there;
    rc = dump_from(d, item, link, &there, &again, err);
    if (rc == ERR_OK && (!there || again))
        rc = err_fail(err, ERR_DAMAGED, "a hard link leads to no file in the snapshot");
    free(again);
    free(link);
    return rc;
}

enum errc look_dump(struct store *s, const struct snapshot *snap, const char *path, int fd, struct err *err)
{
    struct dump d = {.store = s, .fd = fd, .path = path};
    bool found = false;
    enum errc rc = chunk_reader_new(s, &d.chunks, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&d.plain, CHUNK_MAX_BYTES, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&d.zeros, ZERO_BYTES, err);
    for (size_t i = 0; rc == ERR_OK && !found && i < snap->item_count; i++)
        if (item_may_hold(&snap->items[i], path))
            rc = dump_item(&d, &snap->items[i], &found, err);
    if (rc == ERR_OK && !found)
        rc = unknown_path(path, err);
    chunk_reader_free(d.chunks);
    free(d.plain);
    free(d.zeros);
    return rc;
}
