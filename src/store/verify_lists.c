#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/verify.h"

/* Each snapshot's lists are walked and every chunk they name is looked up: stored, and not through anything that was
 * found bad. A list chunk that was walked already (most of a day's lists are the day before's) is passed over, as far
 * as a bounded table of them remembers; when damage was found all of them are walked again, to name whom it hits. */

enum { SEEN_MAX = 256 * 1024, COPIES_MAX = 8 };

struct walk {
    struct verify *v;
    const struct snapshot *snap;
    const struct item *item;
    char path[4096];         /* of the entry at hand, for people */
    struct chunk_name *seen; /* open-addressed, 2 * SEEN_MAX places */
    size_t seen_count;
    bool blame; /* damage is known: name the affected */
    uint64_t missing_noted;
};

enum errc verify_bad_chunk(struct verify *v, const struct chunk_name *name, uint32_t pack_id, bool base_only,
                           const char *object, struct err *err)
{
    pthread_mutex_lock(&v->lock);
    enum errc rc = mem_grow(&v->chunks, &v->chunk_cap, v->chunk_count + 1, sizeof *v->chunks, err);
    if (rc == ERR_OK && v->chunk_count < VERIFY_ERRORS_MAX) {
        struct bad_chunk *b = &v->chunks[v->chunk_count++];
        b->name = *name;
        b->pack_id = pack_id;
        b->base_only = base_only;
        snprintf(b->object, sizeof b->object, "%s", object);
    }
    pthread_mutex_unlock(&v->lock);
    return rc;
}

enum errc verify_bad_pack(struct verify *v, uint32_t pack_id, bool unread, struct err *err)
{
    pthread_mutex_lock(&v->lock);
    enum errc rc = mem_grow(&v->packs, &v->pack_cap, v->pack_count + 1, sizeof *v->packs, err);
    if (rc == ERR_OK)
        v->packs[v->pack_count++] = (struct bad_pack){.id = pack_id, .unread = unread};
    pthread_mutex_unlock(&v->lock);
    return rc;
}

void verify_release(struct verify *v)
{
    free(v->chunks);
    free(v->packs);
}

static bool is_bad_pack(const struct verify *v, uint32_t id)
{
    for (size_t i = 0; i < v->pack_count; i++)
        if (v->packs[i].id == id)
            return true;
    return false;
}

/* The damaged record of this chunk in this pack; any_pack: in whichever. */
static const struct bad_chunk *bad_record(const struct verify *v, const struct chunk_name *name, uint32_t pack_id,
                                          bool any_pack)
{
    for (size_t i = 0; i < v->chunk_count; i++)
        if ((any_pack || v->chunks[i].pack_id == pack_id) && memcmp(&v->chunks[i].name, name, sizeof *name) == 0)
            return &v->chunks[i];
    return NULL;
}

static bool copy_is_good(struct verify *v, const struct catalog_chunk *c, unsigned depth, char *object, size_t cap);

static void name_pack(struct verify *v, uint32_t id, char *object, size_t cap)
{
    struct catalog_pack p;
    struct err ignored;
    pthread_mutex_lock(&v->store->lock);
    if (catalog_pack_by_id(v->store->catalog, id, &p, &ignored) == ERR_OK && cap >= PACK_NAME_BYTES)
        pack_name(object, &p.name);
    pthread_mutex_unlock(&v->store->lock);
}

/* Which of the lost packs had it, the catalog cannot tell: it is counted with the first. */
static void name_lost_pack(struct verify *v, char *object, size_t cap)
{
    name_pack(v, v->packs[0].id, object, cap);
}

/* Is there any copy that can be rebuilt? object gets what stands in the way. */
static bool chunk_is_good(struct verify *v, const struct chunk_name *name, uint32_t wanted_n, bool any_n,
                          unsigned depth, char *object, size_t cap)
{
    struct catalog_chunk copies[COPIES_MAX];
    struct err ignored;
    size_t count = 0;
    char hex[2 * NAME_BYTES + 1];
    snprintf(object, cap, "chunk %.16s", hex_encode(hex, name->b, NAME_BYTES));
    if (chunk_find(v->store, name, copies, COPIES_MAX, &count, &ignored) != ERR_OK)
        return false;
    /* Found damaged or lost before, and forgotten by the catalog since. */
    const struct bad_chunk *bad = count == 0 ? bad_record(v, name, 0, true) : NULL;
    if (bad)
        snprintf(object, cap, "%s", bad->object);
    else if (count == 0 && v->pack_count > 0)
        name_lost_pack(v, object, cap);
    for (size_t i = 0; i < count; i++)
        if ((any_n || copies[i].desc.n == wanted_n) && copy_is_good(v, &copies[i], depth, object, cap))
            return true;
    return false;
}

static bool copy_is_good(struct verify *v, const struct catalog_chunk *c, unsigned depth, char *object, size_t cap)
{
    const struct bad_chunk *bad = bad_record(v, &c->desc.name, c->pack_id, false);
    if (bad) {
        snprintf(object, cap, "%s", bad->object);
        return false;
    }
    if (is_bad_pack(v, c->pack_id)) {
        name_pack(v, c->pack_id, object, cap);
        return false;
    }
    if (c->desc.n == 0)
        return true;
    return depth < DELTA_MAX_CHAIN &&
           chunk_is_good(v, &c->desc.base, delta_base_n(c->desc.n), false, depth + 1, object, cap);
}

/* The error that stands for the object; made when there is none. */
static enum errc error_for(struct verify *v, const char *object, struct store_verify_error **out, struct err *err)
{
    for (size_t i = 0; i < v->result->error_count; i++)
        if (strcmp(v->result->errors[i].object, object) == 0) {
            *out = &v->result->errors[i];
            return ERR_OK;
        }
    *out = NULL;
    enum errc rc =
        verify_add_error(v, "missing-chunk", object, "a snapshot needs it, and no readable pack has it", err);
    if (rc == ERR_OK && !v->more_errors)
        *out = &v->result->errors[v->result->error_count - 1];
    return rc;
}

static enum errc blame(struct walk *w, const char *object, struct err *err)
{
    struct store_verify_error *e;
    enum errc rc = error_for(w->v, object, &e, err);
    if (rc != ERR_OK || !e)
        return rc;
    bool known =
        e->affects_count > 0 && memcmp(&e->affects[e->affects_count - 1], &w->snap->id, sizeof w->snap->id) == 0;
    if (!known) {
        struct snapshot_id *ids = reallocarray(e->affects, e->affects_count + 1, sizeof *ids);
        if (!ids)
            return err_fail(err, ERR_NO_MEMORY, "no memory for a list of snapshots");
        e->affects = ids;
        e->affects[e->affects_count++] = w->snap->id;
    }
    if (e->path_count == VERIFY_PATHS_MAX)
        return ERR_OK;
    struct buf text;
    buf_init(&text, 8192);
    rc = buf_append_fmt(&text, err, "%s:%s%s%s", w->item->source, w->item->path, w->path[0] ? "/" : "", w->path);
    for (size_t i = 0; rc == ERR_OK && i < e->path_count; i++)
        if (strlen(e->paths[i]) == text.len && memcmp(e->paths[i], text.data, text.len) == 0) {
            buf_release(&text);
            return ERR_OK;
        }
    if (rc == ERR_OK && !e->paths)
        rc = mem_alloc(&e->paths, VERIFY_PATHS_MAX * sizeof *e->paths, err);
    if (rc == ERR_OK)
        rc = mem_dup(&e->paths[e->path_count], text.data, text.len, err);
    if (rc == ERR_OK)
        e->path_count++;
    buf_release(&text);
    return rc;
}

static enum errc check_ref(struct walk *w, const struct chunk_ref *ref, struct err *err)
{
    char object[96];
    if (chunk_is_good(w->v, &ref->name, 0, true, 0, object, sizeof object))
        return ERR_OK;
    return blame(w, object, err);
}

/* --- walking --------------------------------------------------------------------------------------------------------
 */

/* True when the list chunk was walked before; else it is noted. */
static bool seen_before(struct walk *w, const struct chunk_name *name)
{
    static const struct chunk_name zero;
    size_t cap = 2 * SEEN_MAX;
    uint64_t h;
    memcpy(&h, name->b, sizeof h);
    for (size_t i = (size_t)h & (cap - 1);; i = (i + 1) & (cap - 1)) {
        if (memcmp(&w->seen[i], name, sizeof *name) == 0)
            return true;
        if (memcmp(&w->seen[i], &zero, sizeof zero) == 0) {
            if (w->seen_count < SEEN_MAX) {
                w->seen[i] = *name;
                w->seen_count++;
            }
            return false;
        }
    }
}

static void note_path(struct walk *w, const struct entry *e)
{
    size_t n = e->path_len < sizeof w->path - 1 ? e->path_len : sizeof w->path - 1;
    memcpy(w->path, e->path, n);
    w->path[n] = '\0';
}

static enum errc walk_record(struct walk *w, const struct list_record *rec, struct err *err)
{
    if (rec->kind == LIST_ENTRY)
        note_path(w, &rec->u.entry);
    if (rec->kind != LIST_RUN)
        return ERR_OK;
    struct reader refs = reader_of(rec->refs.data, rec->refs.len);
    for (uint32_t i = 0; i < rec->u.run.count; i++) {
        struct chunk_ref ref;
        enum errc rc = run_ref_get(&refs, &rec->u.run, &ref, err);
        if (rc == ERR_OK)
            rc = check_ref(w, &ref, err);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

static enum errc walk_chunk(struct walk *w, struct chunk_reader *chunks, const struct chunk_ref *ref, uint8_t *plain,
                            struct err *err)
{
    struct err why;
    char object[96], hex[2 * NAME_BYTES + 1];
    enum errc rc = ref->len <= CHUNK_MAX_BYTES ? chunk_read(chunks, &ref->name, CHUNK_LIST, plain, ref->len, &why)
                                               : err_fail(&why, ERR_DAMAGED, "too long");
    if (rc != ERR_OK) {
        snprintf(w->path, sizeof w->path, "(part of its list of entries)");
        if (chunk_is_good(w->v, &ref->name, 0, true, 0, object, sizeof object))
            snprintf(object, sizeof object, "chunk %.16s", hex_encode(hex, ref->name.b, NAME_BYTES));
        return blame(w, object, err);
    }
    struct reader records = reader_of(plain, ref->len);
    for (;;) {
        struct list_record rec;
        bool more;
        rc = list_record_get(&records, &rec, &more, err);
        if (rc == ERR_OK && more)
            rc = walk_record(w, &rec, err);
        if (rc != ERR_OK || !more)
            return rc;
    }
}

static enum errc walk_item(struct walk *w, struct chunk_reader *chunks, uint8_t *plain, struct err *err)
{
    struct list_reader *list;
    struct err why;
    enum errc rc = list_reader_open(w->v->store, &w->item->list, &list, err);
    if (rc != ERR_OK)
        return rc;
    w->path[0] = '\0';
    for (;;) {
        struct chunk_ref ref;
        bool more;
        rc = list_reader_next_chunk(list, &ref, &more, &why);
        if (rc == ERR_DAMAGED || rc == ERR_MISSING_OBJECT) {
            snprintf(w->path, sizeof w->path, "(its list of entries)");
            rc = blame(w, "index", err);
            break;
        }
        if (rc != ERR_OK && err)
            *err = why;
        if (rc != ERR_OK || !more)
            break;
        if (!seen_before(w, &ref.name) || w->blame)
            rc = walk_chunk(w, chunks, &ref, plain, err);
        if (rc != ERR_OK)
            break;
    }
    list_reader_free(list);
    return rc;
}

struct each {
    struct walk *walk;
    struct snapshot_id *ids;
    size_t count, cap;
};

static enum errc note_id(void *arg, struct snapshot_row *row, struct err *err)
{
    struct each *e = arg;
    enum errc rc = mem_grow(&e->ids, &e->cap, e->count + 1, sizeof *e->ids, err);
    if (rc == ERR_OK)
        e->ids[e->count++] = row->snap.id;
    return rc;
}

static enum errc walk_snapshot(struct walk *w, const struct snapshot_id *id, struct chunk_reader *chunks,
                               uint8_t *plain, struct err *err)
{
    struct snapshot_row row;
    bool found;
    memset(&row, 0, sizeof row);
    pthread_mutex_lock(&w->v->store->lock);
    enum errc rc = catalog_snapshot(w->v->store->catalog, id, &row, &found, err);
    pthread_mutex_unlock(&w->v->store->lock);
    if (rc == ERR_OK && found) {
        w->snap = &row.snap;
        for (size_t i = 0; rc == ERR_OK && i < row.snap.item_count; i++) {
            w->item = &row.snap.items[i];
            rc = walk_item(w, chunks, plain, err);
        }
    }
    snapshot_row_release(&row);
    if (rc == ERR_OK && diag_interrupted(w->v->opt->diag))
        rc = err_fail(err, ERR_INTERRUPTED, "interrupted; no record of this verification was kept");
    return rc;
}

static enum errc walk_all(struct walk *w, const struct each *each, struct err *err)
{
    struct chunk_reader *chunks = NULL;
    uint8_t *plain = NULL;
    enum errc rc = chunk_reader_new(w->v->store, &chunks, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&plain, CHUNK_MAX_BYTES, err);
    size_t found_before = w->v->result->error_count;
    w->blame = w->v->chunk_count > 0 || w->v->pack_count > 0;
    for (int pass = 0; rc == ERR_OK && pass < 2; pass++) {
        for (size_t i = 0; rc == ERR_OK && i < each->count; i++) {
            if (verify_out_of_time(w->v)) {
                w->v->limited = true;
                break;
            }
            rc = walk_snapshot(w, &each->ids[i], chunks, plain, err);
        }
        /* A chunk found missing on the way: once more, so that every snapshot that shares it is named. */
        if (w->blame || w->v->result->error_count == found_before)
            break;
        w->blame = true;
    }
    chunk_reader_free(chunks);
    free(plain);
    return rc;
}

enum errc verify_lists(struct verify *v, struct err *err)
{
    struct walk w = {.v = v};
    struct each each = {.walk = &w};
    struct snapshot_filter all = {.any_deleted = true};
    enum errc rc = mem_alloc(&w.seen, 2 * SEEN_MAX * sizeof *w.seen, err);
    pthread_mutex_lock(&v->store->lock);
    if (rc == ERR_OK)
        rc = catalog_snapshots(v->store->catalog, &all, note_id, &each, err);
    pthread_mutex_unlock(&v->store->lock);
    v->result->snapshots = each.count;
    if (rc == ERR_OK)
        rc = walk_all(&w, &each, err);
    free(each.ids);
    free(w.seen);
    return rc;
}

/* What was found damaged is forgotten by the catalog, so that the next backup stores it again where the source still
 * has it. The repository is not touched. */
enum errc verify_forget_bad(struct verify *v, struct err *err)
{
    struct catalog *c = v->store->catalog;
    enum errc rc = ERR_OK;
    pthread_mutex_lock(&v->store->lock);
    for (size_t i = 0; rc == ERR_OK && i < v->chunk_count; i++)
        if (v->chunks[i].pack_id != 0 && !v->chunks[i].base_only)
            rc = catalog_chunk_remove(c, &v->chunks[i].name, v->chunks[i].pack_id, err);
    for (size_t i = 0; rc == ERR_OK && i < v->pack_count; i++) {
        struct catalog_pack p;
        struct err ignored;
        uint32_t id;
        if (v->packs[i].unread)
            continue;
        rc = catalog_pack_by_id(c, v->packs[i].id, &p, err);
        if (rc != ERR_OK || p.records == 0)
            continue;
        bool there;
        char name[PACK_NAME_BYTES];
        if (backend_exists(v->store->backend, pack_name(name, &p.name), &there, NULL, &ignored) != ERR_OK)
            continue;
        if (there) {
            rc = catalog_pack_doubt(c, &p.name, err); /* records behind a damaged table can still be read */
            continue;
        }
        rc = catalog_pack_remove(c, &p.name, err);
        if (rc == ERR_OK)
            rc = catalog_pack_add(c, &p.name, 0, 0, 0, &id, err);
    }
    pthread_mutex_unlock(&v->store->lock);
    return rc;
}
