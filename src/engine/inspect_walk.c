/* Directories: names in order as long as there are not very many, each opened below the open directory it is in. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/path.h"
#include "engine/inspect_work.h"
#include "source/source.h"
#include "source/vectors/chroma.h"

enum { NAMES_MAX = 16384, LEVELS_MAX = 256 };
static const char chroma_database[] = "chroma.sqlite3";

struct level {
    DIR *dir;
    int fd; /* borrowed from dir */
    size_t path_len, abs_len;
    char **names; /* a batch of them, sorted */
    size_t count, cap, next;
    bool ended;  /* there is no further batch */
    bool chroma; /* its database and indexes were looked at together */
};

struct tree {
    struct inspection *x;
    struct buf path, abs; /* of the current name, NUL behind */
    size_t root_len;      /* of abs: where what is below begins */
    struct level *levels;
    size_t depth, cap;
};

static enum errc set_paths(struct tree *t, const struct level *l, const char *name, struct err *err)
{
    t->path.len = l->path_len;
    t->abs.len = l->abs_len;
    const char *slash = t->path.len > 0 && t->path.data[t->path.len - 1] == '/' ? "" : "/";
    enum errc rc = buf_append_fmt(&t->path, err, "%s%s", slash, name);
    if (rc == ERR_OK)
        rc = buf_terminate(&t->path, err);
    slash = t->abs.len > 0 && t->abs.data[t->abs.len - 1] == '/' ? "" : "/";
    if (rc == ERR_OK)
        rc = buf_append_fmt(&t->abs, err, "%s%s", slash, name);
    return rc == ERR_OK ? buf_terminate(&t->abs, err) : rc;
}

static const char *path_of(const struct tree *t)
{
    return (const char *)t->path.data;
}

/* The walk goes on after what is one file's fault. */
static enum errc settle(struct tree *t, enum errc rc, const struct err *why, struct err *err)
{
    if (rc == ERR_OK)
        return ERR_OK;
    if (err_exit_status(rc) == 3 || rc == ERR_IO || rc == ERR_CHILD) {
        t->x->sum->unreadable++;
        t->x->sink->failed(t->x->sink->arg, why);
        return ERR_OK;
    }
    if (err)
        *err = *why;
    return rc;
}

static enum errc unreadable(struct tree *t, const struct err *cause, struct err *err)
{
    char shown[512];
    struct err why;
    path_show(shown, sizeof shown, path_of(t), t->path.len);
    enum errc rc = err_sys(&why, ERR_SOURCE_UNREADABLE, cause->sys_errno, "%s", shown);
    return settle(t, rc, &why, err);
}

/* --- files ----------------------------------------------------------------------------------------------------------
 */

static enum errc emit_file(struct tree *t, struct inspect_result *r, struct fact_list *keep, struct err *err)
{
    struct inspect_summary *s = t->x->sum;
    bool database = strcmp(r->format, "sqlite") == 0;
    s->databases += database;
    if (database && keep && fact_list_copy(keep, &r->facts, err) != ERR_OK)
        return ERR_NO_MEMORY;
    if (!database && !vector_is_file_of_vectors(&r->vectors)) {
        s->others++;
        inspect_release(r);
        return ERR_OK;
    }
    s->vector_files += !database;
    return inspect_emit(t->x, path_of(t), r, true, err);
}

/* keep: gets a copy of the facts of a database; may be NULL. */
static enum errc take_file(struct tree *t, int dirfd, const char *name, struct fact_list *keep, struct err *err)
{
    struct inspect_place at = {
        .path = path_of(t), .abs = (const char *)t->abs.data, .rel = (const char *)t->abs.data + t->root_len};
    struct inspect_result r = {0};
    struct stat st;
    struct err why = {0};
    int fd = -1;
    enum errc rc = io_open(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0, &fd, &why);
    if (rc != ERR_OK)
        return why.sys_errno == ENOENT || why.sys_errno == ELOOP ? ERR_OK : unreadable(t, &why, err);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        io_close_quietly(&fd);
        return ERR_OK;
    }
    rc = inspect_open_file(t->x, &at, fd, &st, &r, &why);
    io_close_quietly(&fd);
    if (rc == ERR_OK)
        return emit_file(t, &r, keep, err);
    inspect_release(&r);
    return settle(t, rc, &why, err);
}

/* --- directories ----------------------------------------------------------------------------------------------------
 */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void drop_names(struct level *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->names[i]);
    l->count = l->next = 0;
}

static enum errc next_batch(struct tree *t, struct level *l, struct err *err)
{
    enum errc rc = ERR_OK;
    drop_names(l);
    while (rc == ERR_OK && l->count < NAMES_MAX) {
        errno = 0;
        const struct dirent *d = readdir(l->dir);
        if (!d) {
            struct err cause = {.sys_errno = errno};
            l->ended = true;
            if (cause.sys_errno != 0)
                rc = unreadable(t, &cause, err);
            break;
        }
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        rc = mem_grow(&l->names, &l->cap, l->count + 1, sizeof *l->names, err);
        if (rc == ERR_OK)
            rc = mem_strdup(&l->names[l->count], d->d_name, err);
        if (rc == ERR_OK)
            l->count++;
    }
    if (l->count > 0)
        qsort(l->names, l->count, sizeof *l->names, compare_names);
    return rc;
}

static void leave(struct tree *t)
{
    struct level *l = &t->levels[--t->depth];
    drop_names(l);
    free(l->names);
    closedir(l->dir);
}

/* Chroma's database and its indexes, which have to agree. */
static enum errc take_chroma(struct tree *t, struct level *l, struct err *err)
{
    struct stat st;
    struct fact_list db = {0};
    struct err why = {0};
    if (fstatat(l->fd, chroma_database, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        return ERR_OK;
    l->chroma = true;
    enum errc rc = set_paths(t, l, chroma_database, err);
    if (rc == ERR_OK)
        rc = take_file(t, l->fd, chroma_database, &db, err);
    t->path.len = l->path_len;
    if (rc == ERR_OK)
        rc = buf_terminate(&t->path, err);
    if (rc == ERR_OK) {
        bool looked = fact_find(&db, "quick_check") != NULL; /* with --quick it was not opened */
        rc = inspect_chroma(t->x, path_of(t), &l->fd, looked ? &db : NULL, &why);
        rc = settle(t, rc, &why, err);
    }
    fact_list_release(&db);
    return rc;
}

/* The directory open at fd, which is taken over, is the current path. */
static enum errc enter(struct tree *t, int fd, struct err *err)
{
    struct err why = {0};
    bool is_store = false;
    enum errc rc = inspect_lance(t->x, path_of(t), &fd, &is_store, &why);
    if (rc == ERR_OK && !is_store && t->depth == LEVELS_MAX)
        rc = err_fail(&why, ERR_SOURCE_UNREADABLE, "%s lies more than %d directories deep and is not looked at",
                      path_of(t), LEVELS_MAX);
    if (rc != ERR_OK || is_store) {
        io_close_quietly(&fd);
        return settle(t, rc, &why, err);
    }
    rc = mem_grow(&t->levels, &t->cap, t->depth + 1, sizeof *t->levels, err);
    DIR *dir = rc == ERR_OK ? fdopendir(fd) : NULL;
    if (!dir) {
        why.sys_errno = errno;
        io_close_quietly(&fd);
        return rc == ERR_OK ? unreadable(t, &why, err) : rc;
    }
    struct level *l = &t->levels[t->depth++];
    *l = (struct level){.dir = dir, .fd = fd, .path_len = t->path.len, .abs_len = t->abs.len};
    t->x->sum->directories++;
    return take_chroma(t, l, err);
}

static enum errc take_name(struct tree *t, const char *name, struct err *err)
{
    const struct level *l = &t->levels[t->depth - 1];
    struct stat st;
    struct err why = {0};
    int fd = -1;
    if (diag_interrupted(t->x->opt->diag))
        return err_fail(err, ERR_INTERRUPTED, "interrupted");
    enum errc rc = set_paths(t, l, name, err);
    if (rc != ERR_OK || (l->chroma && strcmp(name, chroma_database) == 0) ||
        fstatat(l->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return rc;
    if (S_ISREG(st.st_mode))
        return take_file(t, l->fd, name, NULL, err);
    if (!S_ISDIR(st.st_mode) || (l->chroma && chroma_is_index_name(name)))
        return ERR_OK;
    rc = io_open(l->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &fd, &why);
    if (rc != ERR_OK)
        return unreadable(t, &why, err);
    return enter(t, fd, err);
}

static enum errc walk(struct tree *t, struct err *err)
{
    enum errc rc = ERR_OK;
    while (rc == ERR_OK && t->depth > 0) {
        struct level *l = &t->levels[t->depth - 1];
        if (l->next < l->count) {
            char *name = l->names[l->next];
            l->names[l->next++] = NULL;
            rc = take_name(t, name, err);
            free(name);
        } else if (!l->ended) {
            rc = next_batch(t, l, err);
        } else {
            leave(t);
        }
    }
    return rc;
}

/* --- the directory itself -------------------------------------------------------------------------------------------
 */

static enum errc emit_directory(struct inspection *x, const char *path, const struct inspect_summary *s,
                                struct err *err)
{
    struct inspect_result r = {.ok = s->broken == 0, .fits = s->unfit == 0};
    struct vector_result *v = &r.vectors;
    const struct {
        const char *key;
        int64_t n;
    } facts[] = {{"directories", s->directories}, {"vector_files", s->vector_files}, {"databases", s->databases},
                 {"stores", s->stores},           {"other_files", s->others},        {"broken", s->broken},
                 {"unreadable", s->unreadable}};
    char dims[400];
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < sizeof facts / sizeof *facts; i++)
        rc = fact_set_int(&r.facts, facts[i].key, facts[i].n, err);
    inspect_summary_text(s, dims, sizeof dims);
    if (rc == ERR_OK && *dims)
        rc = fact_set_text(&r.facts, "dimensions", dims, err);
    snprintf(r.format, sizeof r.format, "directory");
    snprintf(r.detail, sizeof r.detail,
             "%" PRId64 " vector files, %" PRId64 " databases, %" PRId64 " stores, %" PRId64 " other files%s%s",
             s->vector_files, s->databases, s->stores, s->others, *dims ? "; " : "", dims);
    v->dimension = s->dim_count == 1 && s->files_beyond == 0 ? s->dims[0].dimension : VECTOR_UNKNOWN;
    memcpy(v->dims, s->dims, sizeof v->dims);
    v->dim_count = s->dim_count;
    v->count = v->nan = v->inf = v->zero = VECTOR_UNKNOWN;
    if (rc == ERR_OK)
        rc = x->sink->each(x->sink->arg, path, &r, err);
    x->sum->looked_at++;
    inspect_release(&r);
    return rc;
}

enum errc inspect_tree(struct inspection *x, const char *path, const char *abs, int fd, struct err *err)
{
    struct inspect_summary own = {0}, *all = x->sum;
    struct tree t = {.x = x};
    buf_init(&t.path, 4 * PATH_MAX_BYTES);
    buf_init(&t.abs, 4 * PATH_MAX_BYTES);
    x->sum = &own;
    enum errc rc = buf_append_str(&t.path, path, err);
    if (rc == ERR_OK)
        rc = buf_terminate(&t.path, err);
    if (rc == ERR_OK)
        rc = buf_append_str(&t.abs, abs, err);
    t.root_len = t.abs.len + (strcmp(abs, "/") != 0);
    if (rc == ERR_OK)
        rc = enter(&t, fd, err);
    else
        io_close_quietly(&fd);
    if (rc == ERR_OK)
        rc = walk(&t, err);
    if (rc == ERR_OK)
        rc = emit_directory(x, path, &own, err);
    while (t.depth > 0)
        leave(&t);
    free(t.levels);
    buf_release(&t.path);
    buf_release(&t.abs);
    x->sum = all;
    inspect_add_summary(all, &own);
    return rc;
}
