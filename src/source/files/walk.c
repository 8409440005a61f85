/* The tree, depth first, names by unsigned bytes: the order of path_compare, and of the entries.
 *
 * Invariants
 *   1. Every directory is opened as one component below an open one, never through a link; so nothing outside the tree
 *      can be reached.
 *   2. frames[0] and the innermost frames are open, at most OPEN_MAX in all; the others are opened again when the walk
 *      comes back to them: as ".." of the one below, else name by name from the root, and only when device and inode
 *      are those of before.
 *   3. The stack is on the heap: depth costs memory, by PATH_MAX_BYTES bounded, never C stack.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/path.h"
#include "source/files/capture.h"
#include "source/files/listing.h"
#include "source/vectors/chroma.h"

enum { OPEN_MAX = 64, CHECK_EVERY = 64, CACHE_TAG_BYTES = 43 };

struct frame {
    int fd; /* -1: closed to save descriptors, or lost */
    dev_t dev;
    ino_t ino;
    size_t abs_len; /* of this directory's path in abs */
    struct listing list;
    size_t next; /* index of the next name */
    struct unit *units;
    size_t unit_count, unit_cap;
    struct coupled *chroma; /* this is Chroma's directory; NULL: it is not */
    bool is_index;          /* an index directory of the Chroma that the frame around it is */
    struct coupled *faiss;  /* of the names that begin with faiss_stem */
    const char *faiss_stem; /* borrowed from list */
    size_t faiss_stem_len;
};
static const char chroma_database[] = "chroma.sqlite3", chroma_log[] = "chroma.sqlite3-wal";

struct walk {
    struct capture *c;
    struct frame *frames;
    size_t depth, cap;
    size_t open_from; /* frames[open_from..depth) and frames[0] have their descriptor */
};

/* abs becomes the path of frame f, with name behind when it is not NULL. */
static enum errc set_path(struct capture *c, const struct frame *f, const char *name, size_t len, struct err *err)
{
    c->abs.len = f->abs_len;
    enum errc rc = ERR_OK;
    if (name) {
        if (c->abs.len == 0 || c->abs.data[c->abs.len - 1] != '/')
            rc = buf_append(&c->abs, "/", 1, err);
        if (rc == ERR_OK)
            rc = buf_append(&c->abs, name, len, err);
    }
    return rc == ERR_OK ? buf_terminate(&c->abs, err) : rc;
}

static bool is_frame(int fd, const struct frame *f)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_dev == f->dev && st.st_ino == f->ino;
}

static bool is_cache_tag(struct capture *c, int dirfd, const char *name)
{
    static const char signature[] = "Signature: 8a477f597d28d172789f06886806bc55";
    int fd = capture_open(c, dirfd, name, 0, c->euid);
    char first[CACHE_TAG_BYTES];
    size_t got = 0;
    struct stat st;
    struct err ignored;
    bool yes = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
               io_pread(fd, first, sizeof first, 0, &got, "cache tag", &ignored) == ERR_OK && got == sizeof first &&
               memcmp(first, signature, sizeof first) == 0;
    io_close_quietly(&fd);
    return yes;
}

/* Of a cache only the directory and its tag are kept, so that it is one again after a restore. */
static void leave_out_cache(struct capture *c, struct frame *f)
{
    struct listed *tag = listing_find(&f->list, "CACHEDIR.TAG", strlen("CACHEDIR.TAG"));
    if (!tag || !is_cache_tag(c, f->fd, tag->name))
        return;
    struct listed kept = *tag;
    kept.has = kept.sidecar = 0;
    f->list.names[0] = kept;
    f->list.count = 1;
}

/* Enter the directory open at fd, the current entry. fd is taken over. */
static enum errc push(struct walk *w, int fd, struct err *err)
{
    struct capture *c = w->c;
    struct stat st;
    enum errc rc = mem_grow(&w->frames, &w->cap, w->depth + 1, sizeof *w->frames, err);
    if (rc != ERR_OK || fstat(fd, &st)) {
        if (rc == ERR_OK)
            rc = err_sys(err, ERR_IO, errno, "%s", capture_show(c));
        io_close_quietly(&fd);
        return rc;
    }
    struct frame *f = &w->frames[w->depth++];
    *f = (struct frame){.fd = fd, .dev = st.st_dev, .ino = st.st_ino, .abs_len = c->abs.len};
    struct err why = {.sys_errno = 0};
    rc = listing_read(fd, c->scratch, &f->list, &why);
    if (rc == ERR_NO_MEMORY) {
        if (err)
            *err = why;
        return rc;
    }
    if (rc != ERR_OK) {
        (void)err_sys(&why, ERR_SOURCE_UNREADABLE, why.sys_errno, "%s: not all of the directory can be listed",
                      capture_show(c));
        capture_incomplete(c, &why);
    }
    if (c->opt->exclude_caches)
        leave_out_cache(c, f);
    if (listing_find(&f->list, chroma_database, strlen(chroma_database))) {
        rc = coupled_new(&f->chroma, err);
        if (rc != ERR_OK)
            return rc;
    }
    const struct frame *outer = w->depth > 1 ? f - 1 : NULL;
    f->is_index = outer && outer->chroma && chroma_is_index_name(path_base((const char *)c->abs.data));
    if (w->depth - w->open_from > OPEN_MAX - 1) {
        io_close_quietly(&w->frames[w->open_from].fd);
        w->open_from++;
    }
    return ERR_OK;
}

static void frame_release(struct frame *f)
{
    io_close_quietly(&f->fd);
    coupled_free(f->chroma);
    coupled_free(f->faiss);
    listing_release(&f->list);
    free(f->units);
}

/* Open frames[index] by its names from the root; -1 when one of them is not there or not a directory any more. */
static int open_by_names(struct walk *w, size_t index)
{
    struct capture *c = w->c;
    int fd = -1;
    for (size_t i = 1; i <= index; i++) {
        /* the last component of frame i: the path text of all outer frames is still in abs */
        size_t from = w->frames[i - 1].abs_len, to = w->frames[i].abs_len;
        if (c->abs.data[from] == '/')
            from++;
        char name[1024];
        if (to <= from || to - from >= sizeof name)
            break;
        memcpy(name, c->abs.data + from, to - from);
        name[to - from] = '\0';
        int next = capture_open(c, i == 1 ? w->frames[0].fd : fd, name, O_DIRECTORY, c->euid);
        io_close_quietly(&fd);
        fd = next;
        if (fd < 0)
            break;
    }
    return fd;
}

/* What was opened again must be what it was. */
static void keep_if_same(struct frame *f)
{
    if (f->fd >= 0 && !is_frame(f->fd, f))
        io_close_quietly(&f->fd);
}

/* Make sure that the innermost frame is open, after the one below it was left (below: its descriptor, or -1). */
static void reopen(struct walk *w, int below)
{
    struct capture *c = w->c;
    struct frame *f = &w->frames[w->depth - 1];
    if (f->fd < 0 && below >= 0) {
        f->fd = capture_open(c, below, "..", O_DIRECTORY, c->euid);
        keep_if_same(f);
    }
    if (f->fd >= 0 || f->next >= f->list.count)
        return;
    f->fd = open_by_names(w, w->depth - 1);
    keep_if_same(f);
    if (f->fd >= 0)
        return;
    struct err why;
    c->abs.len = f->abs_len;
    c->abs.data[f->abs_len] = '\0';
    (void)err_fail(&why, ERR_SOURCE_UNREADABLE, "%s: was moved or removed while it was read; the rest of it is missing",
                   capture_show(c));
    capture_incomplete(c, &why);
    f->next = f->list.count;
}

/* What changed after the last of its files was read, or beside a database, no entry could say. */
static void tell_disturbed(struct walk *w, const struct frame *f, const struct coupled *g)
{
    struct capture *c = w->c;
    char dir[300], name[300];
    const char *changed = g ? coupled_changed(g) : NULL;
    if (!changed)
        return;
    c->out->disturbed++;
    capture_worst(c, STATE_FUZZY);
    diag_message(c->opt->diag, DIAG_WARNING, "",
                 "%s: %s changed while the files that belong to it were read; they are not of one moment",
                 path_show(dir, sizeof dir, (const char *)c->abs.data, f->abs_len),
                 path_show(name, sizeof name, changed, strlen(changed)));
}

static void pop(struct walk *w)
{
    const struct frame *top = &w->frames[w->depth - 1];
    tell_disturbed(w, top, top->chroma);
    tell_disturbed(w, top, top->faiss);
    struct frame done = w->frames[--w->depth];
    if (w->depth > 0) {
        if (w->open_from >= w->depth)
            w->open_from = w->depth > 1 ? w->depth - 1 : 1;
        reopen(w, done.fd);
    }
    frame_release(&done);
}

static bool excluded(const struct capture *c)
{
    for (size_t i = 0; i < c->opt->exclude_count; i++) {
        if (path_matches(c->opt->exclude[i], (const char *)c->abs.data))
            return true;
    }
    return false;
}

/* The unit of a stem or sidecar: made when the stem comes, found again when a sidecar does. */
static enum errc find_unit(struct frame *f, struct listed *n, struct unit **out, struct err *err)
{
    *out = NULL;
    struct listed *stem = n->sidecar ? &f->list.names[n->stem] : n->has ? n : NULL;
    if (!stem)
        return ERR_OK;
    if (stem == n) {
        enum errc rc = mem_grow(&f->units, &f->unit_cap, f->unit_count + 1, sizeof *f->units, err);
        if (rc != ERR_OK)
            return rc;
        f->units[f->unit_count++] = (struct unit){.stem = n->name, .has = n->has};
        n->unit = (uint32_t)f->unit_count;
    }
    if (stem->unit > 0)
        *out = &f->units[stem->unit - 1];
    return ERR_OK;
}

/* A sidecar of a database that was captured through SQLite is in that image already. */
static bool in_image(const struct frame *f, const struct listed *n, const struct unit *u)
{
    struct stat st;
    return n->sidecar && u && u->kind == UNIT_DATABASE &&
           (fstatat(f->fd, n->name, &st, AT_SYMLINK_NOFOLLOW) || S_ISREG(st.st_mode));
}

/* The index and its sidecars lie beside each other in the list; other names between them do no harm. */
static enum errc find_faiss(struct walk *w, struct frame *f, const struct listed *n, struct part *part, struct err *err)
{
    size_t stem = coupled_faiss_stem(&f->list, n);
    if (stem == 0)
        return ERR_OK;
    if (!f->faiss || f->faiss_stem_len != stem || memcmp(f->faiss_stem, n->name, stem) != 0) {
        tell_disturbed(w, f, f->faiss);
        coupled_free(f->faiss);
        f->faiss = NULL;
        enum errc rc = coupled_new(&f->faiss, err);
        if (rc != ERR_OK)
            return rc;
        f->faiss_stem = n->name;
        f->faiss_stem_len = stem;
    }
    part->coupled = f->faiss;
    part->coupled_fd = f->fd;
    part->coupled_name = n->name;
    return ERR_OK;
}

/* name: room for the file's path below the store. */
static enum errc find_coupled(struct walk *w, struct frame *f, const struct listed *n, struct part *part, char *name,
                              size_t cap, struct err *err)
{
    struct stat wal;
    if (f->chroma && strcmp(n->name, chroma_database) == 0) {
        part->coupled = f->chroma;
        part->coupled_fd = f->fd;
        part->coupled_name = n->name;
        bool has_wal = fstatat(f->fd, chroma_log, &wal, AT_SYMLINK_NOFOLLOW) == 0;
        return has_wal ? coupled_note(f->chroma, chroma_log, &wal, err) : ERR_OK;
    }
    if (!f->is_index)
        return find_faiss(w, f, n, part, err);
    const struct frame *outer = f - 1;
    const char *below = (const char *)w->c->abs.data + outer->abs_len;
    int len = snprintf(name, cap, "%s", *below == '/' ? below + 1 : below);
    if (len > 0 && (size_t)len < cap && outer->fd >= 0) {
        part->coupled = outer->chroma;
        part->coupled_fd = outer->fd;
        part->coupled_name = name;
    }
    return ERR_OK;
}

static enum errc take_name(struct walk *w, struct listed *n, struct err *err)
{
    struct capture *c = w->c;
    struct frame *f = &w->frames[w->depth - 1];
    enum errc rc = set_path(c, f, n->name, n->len, err);
    if (rc == ERR_OK && ++c->tick % CHECK_EVERY == 0)
        rc = capture_check(c, err);
    if (rc != ERR_OK || excluded(c))
        return rc;
    if (capture_rel_len(c) > PATH_MAX_BYTES) {
        struct err why;
        (void)err_fail(&why, ERR_LIMIT, "%s: its path is longer than %d bytes", capture_show(c), (int)PATH_MAX_BYTES);
        capture_incomplete(c, &why);
        return ERR_OK;
    }
    struct unit *u;
    rc = find_unit(f, n, &u, err);
    if (rc != ERR_OK || in_image(f, n, u))
        return rc;
    struct part part = {.unit = u, .is_stem = n->sidecar == 0};
    if (n->sidecar && u && u->kind == UNIT_UNKNOWN)
        part.unit = NULL;
    int dir_fd;
    char coupled[1024];
    rc = find_coupled(w, f, n, &part, coupled, sizeof coupled, err);
    if (rc == ERR_OK)
        rc = capture_name(c, f->fd, n->name, &part, &dir_fd, err);
    if (rc == ERR_OK && part.coupled && part.coupled == f->chroma)
        (void)coupled_held_still(f->chroma, f->fd); /* SQLite's image of it says nothing of its neighbours */
    if (rc == ERR_OK && dir_fd >= 0)
        rc = push(w, dir_fd, err);
    return rc;
}

enum errc walk_tree(struct capture *c, int fd, struct err *err)
{
    struct walk w = {.c = c, .open_from = 1};
    enum errc rc = push(&w, fd, err);
    while (rc == ERR_OK && w.depth > 0) {
        struct frame *f = &w.frames[w.depth - 1];
        if (f->next < f->list.count)
            rc = take_name(&w, &f->list.names[f->next++], err);
        else
            pop(&w);
    }
    while (w.depth > 0)
        frame_release(&w.frames[--w.depth]);
    free(w.frames);
    return rc;
}
