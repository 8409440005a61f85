#include "engine/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/path.h"
#include "engine/dir_cursor.h"
#include "engine/extract_jobs.h"

/* A name of a file whose first name is left out by `only`: the data are written under the first such name, and the
 * others become links to that. */
struct outside {
    char *target; /* path in the list */
    char *rel;
};
enum { OUTSIDE_MAX_BYTES = 32 << 20 };

/* First pass: directories, files (through the workers), links and nodes. Second pass, after all data are written: hard
 * links, then each directory's metadata once everything in it is there. */

struct pass {
    const struct extract *x;
    struct extract_jobs *jobs;
    struct extract_result *result;
    struct owners *owners;
    struct meta_skipped skipped;
    struct buf rel;      /* path below root_fd of the entry at hand, NUL-terminated */
    struct out_dir *dir; /* parent of the entry at hand */
    struct buf dir_path;
    struct dir_cursor cursor;
    struct out_file *file; /* being handed out; NULL: the entry has no data or is left out */
    struct job *job;
    struct outside *outside; /* in order of targets once the first pass is over */
    size_t outside_count, outside_cap, outside_bytes;
    bool wanted;
};

enum errc open_beneath(int root_fd, const char *path, int flags, int *fd_out, struct err *err)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, root_fd, *path ? path : ".", &how, sizeof how);
    if (fd >= 0) {
        *fd_out = (int)fd;
        return ERR_OK;
    }
    if (errno != ENAMETOOLONG)
        return err_sys(err, ERR_IO, errno, "cannot open %s", path);
    /* Longer than PATH_MAX: step by step. */
    int at = -1;
    enum errc rc = io_open(root_fd, ".", O_RDONLY | O_DIRECTORY, 0, &at, err);
    while (rc == ERR_OK && *path) {
        char name[256];
        size_t len = strcspn(path, "/");
        if (len >= sizeof name)
            rc = err_fail(err, ERR_DAMAGED, "a name is longer than a file system allows");
        if (rc != ERR_OK)
            break;
        memcpy(name, path, len);
        name[len] = '\0';
        path += len + (path[len] == '/');
        int next, last = *path == '\0';
        rc = io_open(at, name, (last ? flags : O_RDONLY | O_DIRECTORY) | O_NOFOLLOW, 0, &next, err);
        io_close_quietly(&at);
        at = rc == ERR_OK ? next : -1;
    }
    if (rc != ERR_OK)
        io_close_quietly(&at);
    else
        *fd_out = at;
    return rc;
}

static bool is_wanted(const struct pass *p, const char *path, size_t len)
{
    const char *only = p->x->only ? p->x->only : "";
    size_t only_len = strlen(only);
    return only_len == 0 ||
           (len >= only_len && memcmp(path, only, only_len) == 0 && (len == only_len || path[only_len] == '/'));
}

/* Path below root_fd of a list path; false when `only` leaves it out. */
static enum errc map_path(struct pass *p, const char *path, size_t len, bool *wanted, struct err *err)
{
    const char *only = p->x->only ? p->x->only : "";
    size_t only_len = strlen(only);
    *wanted = is_wanted(p, path, len);
    if (!*wanted)
        return ERR_OK;
    path += only_len;
    len -= only_len;
    if (only_len > 0 && len > 0) {
        path++;
        len--;
    }
    if (!path_is_safe_relative(path, len))
        return err_fail(err, ERR_DAMAGED, "an entry's path is not one that may be restored");
    buf_clear(&p->rel);
    enum errc rc = buf_append_str(&p->rel, p->x->root_name, err);
    if (rc == ERR_OK && len > 0 && p->rel.len > 0 && !p->x->suffixes)
        rc = buf_append_str(&p->rel, "/", err);
    if (rc == ERR_OK)
        rc = buf_append(&p->rel, path, len, err);
    return rc == ERR_OK ? buf_terminate(&p->rel, err) : rc;
}

static const char *rel_path(const struct pass *p)
{
    return (const char *)p->rel.data;
}

/* p->dir becomes the parent directory of p->rel; the one at hand is used again when it is the same. */
static enum errc enter_parent(struct pass *p, struct err *err)
{
    const char *slash = strrchr(rel_path(p), '/');
    size_t len = slash ? (size_t)(slash - rel_path(p)) : 0;
    if (p->dir && p->dir_path.len == len && (len == 0 || memcmp(p->dir_path.data, rel_path(p), len) == 0))
        return ERR_OK;
    out_dir_drop(p->dir);
    p->dir = NULL;
    buf_clear(&p->dir_path);
    struct out_dir *d;
    enum errc rc = buf_append(&p->dir_path, rel_path(p), len, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&d, sizeof *d, err);
    if (rc != ERR_OK)
        return rc;
    atomic_init(&d->users, 1);
    rc = dir_cursor_open(&p->cursor, rel_path(p), len, &d->fd, err);
    if (rc != ERR_OK) {
        free(d);
        return rc;
    }
    p->dir = d;
    return ERR_OK;
}

static const char *last_name(const struct pass *p)
{
    return path_base(rel_path(p));
}

static enum errc make_node(struct pass *p, const struct entry *e, struct err *err)
{
    const char *name = last_name(p);
    struct meta_apply_options opt = {.owners = p->owners, .skipped = &p->skipped};
    if (e->type == ENTRY_SYMLINK) {
        char *text;
        enum errc rc = mem_dup(&text, e->link_target, e->link_target_len, err);
        if (rc != ERR_OK)
            return rc;
        int failed = symlinkat(text, p->dir->fd, name);
        free(text);
        if (failed != 0)
            return err_sys(err, ERR_IO, errno, "cannot make the link %s", name);
    } else if (mknodat(p->dir->fd, name, meta_format_bits(e->type) | 0600, makedev(e->rdev_major, e->rdev_minor)) !=
               0) {
        if (errno == EPERM && (e->type == ENTRY_CHAR_DEV || e->type == ENTRY_BLOCK_DEV)) {
            diag_message(p->x->diag, DIAG_WARNING, "", "the device %s was left out: making one takes root", name);
            return ERR_OK;
        }
        return err_sys(err, ERR_IO, errno, "cannot make %s", name);
    }
    return meta_apply(p->dir->fd, name, e, &opt, name, err);
}

static enum errc begin_file(struct pass *p, const struct list_record *rec, struct err *err)
{
    struct out_file *f;
    struct list_record copy;
    bool more;
    enum errc rc = mem_alloc(&f, sizeof *f, err);
    if (rc != ERR_OK)
        return rc;
    f->fd = -1;
    atomic_init(&f->users, 1);
    pthread_mutex_init(&f->lock, NULL);
    buf_init(&f->entry_bytes, LIST_RECORD_MAX_BYTES + 64);
    buf_init(&f->end_bytes, LIST_RECORD_MAX_BYTES + 64);
    p->file = f; /* from here on released with the pass */
    f->discard = p->x->discard;
    if (!f->discard)
        f->dir = out_dir_use(p->dir);
    rc = mem_strdup(&f->name, last_name(p), err);
    if (rc == ERR_OK)
        rc = buf_append(&f->entry_bytes, rec->raw.data, rec->raw.len, err);
    if (rc != ERR_OK)
        return rc;
    struct reader r = reader_of(f->entry_bytes.data, f->entry_bytes.len);
    rc = list_record_get(&r, &copy, &more, err);
    f->entry = copy.u.entry;
    return rc;
}

static enum errc note_outside(struct pass *p, const struct entry *e, struct err *err)
{
    p->outside_bytes += e->link_target_len + strlen(rel_path(p)) + 64;
    if (p->outside_bytes > OUTSIDE_MAX_BYTES)
        return err_fail(err, ERR_LIMIT,
                        "too many files have their first name outside of what is restored; restore the whole");
    enum errc rc = mem_grow(&p->outside, &p->outside_cap, p->outside_count + 1, sizeof *p->outside, err);
    if (rc != ERR_OK)
        return rc;
    struct outside *o = &p->outside[p->outside_count];
    *o = (struct outside){0};
    p->outside_count++;
    rc = mem_dup(&o->target, e->link_target, e->link_target_len, err);
    return rc == ERR_OK ? mem_strdup(&o->rel, rel_path(p), err) : rc;
}

static enum errc on_entry(struct pass *p, const struct list_record *rec, struct err *err)
{
    const struct entry *e = &rec->u.entry;
    enum errc rc = map_path(p, e->path, e->path_len, &p->wanted, err);
    if (rc != ERR_OK || !p->wanted || e->type == ENTRY_ABSENT)
        return rc;
    p->result->entries++;
    if (p->x->discard)
        return entry_has_data(e->type) ? begin_file(p, rec, err) : ERR_OK;
    if (e->type == ENTRY_HARDLINK)
        return is_wanted(p, e->link_target, e->link_target_len) ? ERR_OK : note_outside(p, e, err);
    rc = enter_parent(p, err);
    if (rc != ERR_OK)
        return rc;
    if (diag_interrupted(p->x->diag))
        return err_fail(err, ERR_INTERRUPTED, "interrupted; nothing was changed at the target");
    if (e->type == ENTRY_DIR)
        return io_mkdirat(p->dir->fd, last_name(p), 0700, err);
    return entry_has_data(e->type) ? begin_file(p, rec, err) : make_node(p, e, err);
}

static enum errc push_job(struct pass *p, struct err *err)
{
    struct job *job = p->job;
    p->job = NULL;
    if (!job)
        return ERR_OK;
    job->file = out_file_use(p->file);
    return extract_jobs_push(p->jobs, job, err);
}

static enum errc on_run(struct pass *p, const struct list_record *rec, struct err *err)
{
    struct reader refs = reader_of(rec->refs.data, rec->refs.len);
    uint64_t offset = rec->u.run.offset;
    for (uint32_t i = 0; i < rec->u.run.count; i++) {
        struct chunk_ref ref;
        enum errc rc = run_ref_get(&refs, &rec->u.run, &ref, err);
        if (rc == ERR_OK && !p->job)
            rc = mem_alloc(&p->job, sizeof *p->job, err);
        if (rc != ERR_OK)
            return rc;
        if (offset > (uint64_t)INT64_MAX - ref.len)
            return err_fail(err, ERR_DAMAGED, "an entry is longer than a file can be");
        p->job->offsets[p->job->count] = offset;
        p->job->refs[p->job->count++] = ref;
        offset += ref.len;
        if (p->job->count == JOB_REFS)
            rc = push_job(p, err);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

/* Keep what x->each will be told. */
static enum errc keep_end(struct pass *p, const struct list_record *rec, struct err *err)
{
    struct list_record copy;
    bool more;
    struct out_file *f = p->file;
    if (!p->x->each || rec->u.end.facts_len == 0)
        return ERR_OK;
    enum errc rc = mem_strdup(&f->rel, rel_path(p), err);
    if (rc == ERR_OK)
        rc = buf_append(&f->end_bytes, rec->raw.data, rec->raw.len, err);
    if (rc != ERR_OK)
        return rc;
    struct reader r = reader_of(f->end_bytes.data, f->end_bytes.len);
    rc = list_record_get(&r, &copy, &more, err);
    f->end = copy.u.end;
    return rc;
}

static enum errc on_end(struct pass *p, const struct list_record *rec, struct err *err)
{
    if (rec->u.end.size > INT64_MAX)
        return err_fail(err, ERR_DAMAGED, "an entry is longer than a file can be");
    p->file->size = rec->u.end.size;
    enum errc rc = keep_end(p, rec, err);
    if (rc == ERR_OK && !p->job)
        rc = mem_alloc(&p->job, sizeof *p->job, err); /* an empty file, or only metadata left to do */
    if (rc != ERR_OK)
        return rc;
    struct job *job = p->job;
    struct out_file *f = p->file;
    p->job = NULL;
    p->file = NULL; /* the job has this pass's use of the file: the last to finish sees it */
    job->file = f;
    return extract_jobs_push(p->jobs, job, err);
}

static enum errc on_record(struct pass *p, const struct list_record *rec, struct err *err)
{
    if (rec->kind == LIST_ENTRY) {
        out_file_drop(p->file); /* an entry without END: only in a damaged list */
        p->file = NULL;
        return on_entry(p, rec, err);
    }
    if (!p->file)
        return ERR_OK;
    if (rec->kind == LIST_RUN)
        return on_run(p, rec, err);
    return rec->kind == LIST_END ? on_end(p, rec, err) : ERR_OK;
}

static enum errc walk(struct pass *p, enum errc (*fn)(struct pass *, const struct list_record *, struct err *),
                      struct err *err)
{
    struct list_reader *list = NULL;
    struct list_record rec;
    bool more = true;
    enum errc rc = list_reader_open(p->x->store, p->x->list, &list, err);
    while (rc == ERR_OK && more) {
        rc = list_reader_next(list, &rec, &more, err);
        if (rc == ERR_OK && more)
            rc = fn(p, &rec, err);
    }
    list_reader_free(list);
    return rc;
}

/* --- files whose first name is left out
 * ------------------------------------------------------------------------------- */

static int compare_outside(const void *a, const void *b)
{
    const struct outside *x = a, *y = b;
    int order = path_compare(x->target, strlen(x->target), y->target, strlen(y->target));
    return order ? order : path_compare(x->rel, strlen(x->rel), y->rel, strlen(y->rel));
}

/* The first of those with this target; count when there is none. */
static size_t find_outside(const struct pass *p, const char *target, size_t len)
{
    size_t lo = 0, hi = p->outside_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const char *at = p->outside[mid].target;
        if (path_compare(at, strlen(at), target, len) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    bool found = lo < p->outside_count && strlen(p->outside[lo].target) == len &&
                 memcmp(p->outside[lo].target, target, len) == 0;
    return found ? lo : p->outside_count;
}

static enum errc on_outside_record(struct pass *p, const struct list_record *rec, struct err *err)
{
    if (rec->kind != LIST_ENTRY)
        return on_record(p, rec, err);
    out_file_drop(p->file);
    p->file = NULL;
    if (!entry_has_data(rec->u.entry.type))
        return ERR_OK;
    size_t i = find_outside(p, rec->u.entry.path, rec->u.entry.path_len);
    if (i == p->outside_count)
        return ERR_OK;
    buf_clear(&p->rel);
    enum errc rc = buf_append_str(&p->rel, p->outside[i].rel, err);
    if (rc == ERR_OK)
        rc = buf_terminate(&p->rel, err);
    if (rc == ERR_OK)
        rc = enter_parent(p, err);
    return rc == ERR_OK ? begin_file(p, rec, err) : rc;
}

static enum errc write_outside(struct pass *p, struct err *err)
{
    if (p->outside_count == 0)
        return ERR_OK;
    qsort(p->outside, p->outside_count, sizeof *p->outside, compare_outside);
    return walk(p, on_outside_record, err);
}

/* --- the second pass ---------------------------------------------------------------------------------------------- */

/* Directories may be nested thousands deep, with paths as long: of each only what meta_apply needs is kept. */
struct open_dir {
    size_t rel_len;     /* its path is that much of late.rel */
    uint8_t *kept;      /* what entry points into */
    struct entry entry; /* without its path */
};
struct late {
    struct pass *pass;
    struct buf rel;         /* path below root_fd of the innermost directory */
    struct open_dir *stack; /* directories that hold the entry at hand */
    size_t depth, cap;
};

static enum errc finish_dir(struct late *l, struct err *err)
{
    struct open_dir *d = &l->stack[--l->depth];
    struct meta_apply_options opt = {.owners = l->pass->owners, .skipped = &l->pass->skipped};
    int fd = -1;
    l->rel.len = d->rel_len;
    enum errc rc = buf_terminate(&l->rel, err);
    const char *rel = (const char *)l->rel.data;
    if (rc == ERR_OK)
        rc = dir_cursor_open(&l->pass->cursor, rel, d->rel_len, &fd, err);
    if (rc == ERR_OK)
        rc = meta_apply(fd, NULL, &d->entry, &opt, rel, err);
    io_close_quietly(&fd);
    free(d->kept);
    return rc;
}

static enum errc leave_dirs(struct late *l, const struct buf *rel, struct err *err)
{
    enum errc rc = ERR_OK;
    while (rc == ERR_OK && l->depth > 0) {
        size_t len = l->stack[l->depth - 1].rel_len;
        if (rel && (len == 0 || (len < rel->len && memcmp(rel->data, l->rel.data, len) == 0 && rel->data[len] == '/')))
            break;
        rc = finish_dir(l, err);
    }
    return rc;
}

/* Copies of what a directory's entry points at, in one allocation. */
static enum errc keep(struct open_dir *d, const struct entry *e, struct err *err)
{
    enum errc rc = mem_alloc(&d->kept, e->xattrs_len + e->user_len + e->group_len + 1, err);
    if (rc != ERR_OK)
        return rc;
    uint8_t *xattrs = d->kept, *user = xattrs + e->xattrs_len, *group = user + e->user_len;
    if (e->xattrs_len > 0)
        memcpy(xattrs, e->xattrs, e->xattrs_len);
    if (e->user_len > 0)
        memcpy(user, e->user, e->user_len);
    if (e->group_len > 0)
        memcpy(group, e->group, e->group_len);
    d->entry = (struct entry){.type = e->type,
                              .mode = e->mode,
                              .uid = e->uid,
                              .gid = e->gid,
                              .user = (const char *)user,
                              .user_len = e->user_len,
                              .group = (const char *)group,
                              .group_len = e->group_len,
                              .mtime = e->mtime,
                              .xattrs = e->xattrs_len > 0 ? xattrs : NULL,
                              .xattrs_len = e->xattrs_len};
    return ERR_OK;
}

static enum errc enter_dir(struct late *l, const struct entry *e, struct err *err)
{
    const struct buf *rel = &l->pass->rel;
    enum errc rc = mem_grow(&l->stack, &l->cap, l->depth + 1, sizeof *l->stack, err);
    if (rc != ERR_OK)
        return rc;
    buf_clear(&l->rel);
    rc = buf_append(&l->rel, rel->data, rel->len, err);
    struct open_dir *d = &l->stack[l->depth];
    *d = (struct open_dir){.rel_len = rel->len};
    if (rc == ERR_OK)
        rc = keep(d, e, err);
    if (rc == ERR_OK)
        l->depth++;
    return rc;
}

static enum errc make_hard_link(struct pass *p, const struct entry *e, struct err *err)
{
    bool wanted;
    char *rel;
    int from = -1;
    enum errc rc = mem_strdup(&rel, rel_path(p), err);
    if (rc != ERR_OK)
        return rc;
    rc = enter_parent(p, err);
    struct out_dir *to = rc == ERR_OK ? out_dir_use(p->dir) : NULL;
    if (rc == ERR_OK)
        rc = map_path(p, e->link_target, e->link_target_len, &wanted, err);
    bool written = false; /* its data were put under this name */
    if (rc == ERR_OK && !wanted) {
        size_t i = find_outside(p, e->link_target, e->link_target_len);
        if (i == p->outside_count)
            rc = err_fail(err, ERR_DAMAGED, "the file that %s is another name of is not in the snapshot", rel);
        written = rc == ERR_OK && strcmp(p->outside[i].rel, rel) == 0;
        buf_clear(&p->rel);
        if (rc == ERR_OK)
            rc = buf_append_str(&p->rel, p->outside[i].rel, err);
        if (rc == ERR_OK)
            rc = buf_terminate(&p->rel, err);
    }
    if (rc == ERR_OK && !written) {
        rc = enter_parent(p, err);
        if (rc == ERR_OK)
            rc = open_beneath(p->dir->fd, last_name(p), O_PATH | O_NOFOLLOW, &from, err);
        if (rc == ERR_OK)
            rc = io_linkat(p->dir->fd, last_name(p), to->fd, path_base(rel), err);
    }
    io_close_quietly(&from);
    out_dir_drop(to);
    free(rel);
    return rc;
}

static enum errc late_entry(struct late *l, const struct list_record *rec, struct err *err)
{
    struct pass *p = l->pass;
    const struct entry *e = &rec->u.entry;
    bool wanted;
    enum errc rc = map_path(p, e->path, e->path_len, &wanted, err);
    if (rc != ERR_OK || !wanted)
        return rc;
    rc = leave_dirs(l, &p->rel, err);
    if (rc != ERR_OK)
        return rc;
    if (e->type == ENTRY_HARDLINK)
        return make_hard_link(p, e, err);
    return e->type == ENTRY_DIR ? enter_dir(l, e, err) : ERR_OK;
}

static enum errc second_pass(struct pass *p, struct err *err)
{
    struct late l = {.pass = p};
    buf_init(&l.rel, PATH_MAX_BYTES + 8192);
    struct list_reader *list = NULL;
    bool more = true;
    enum errc rc = list_reader_open(p->x->store, p->x->list, &list, err);
    while (rc == ERR_OK && more) {
        struct list_record rec;
        rc = list_reader_next(list, &rec, &more, err);
        if (rc == ERR_OK && more && rec.kind == LIST_ENTRY)
            rc = late_entry(&l, &rec, err);
    }
    if (rc == ERR_OK)
        rc = leave_dirs(&l, NULL, err);
    while (l.depth > 0)
        free(l.stack[--l.depth].kept);
    free(l.stack);
    buf_release(&l.rel);
    list_reader_free(list);
    return rc;
}

enum errc extract_run(const struct extract *x, struct extract_result *out, struct err *err)
{
    struct pass p = {.x = x, .result = out};
    memset(out, 0, sizeof *out);
    buf_init(&p.rel, PATH_MAX_BYTES + 8192);
    buf_init(&p.dir_path, PATH_MAX_BYTES + 8192);
    dir_cursor_init(&p.cursor, x->root_fd);
    enum errc rc = owners_new(&p.owners, err);
    if (rc == ERR_OK)
        rc = extract_jobs_new(x, &p.jobs, err);
    if (rc == ERR_OK)
        rc = walk(&p, on_record, err);
    if (rc == ERR_OK)
        rc = write_outside(&p, err);
    out_file_drop(p.file);
    free(p.job);
    if (rc == ERR_OK)
        rc = extract_jobs_finish(p.jobs, out, err);
    if (rc == ERR_OK && !x->discard)
        rc = second_pass(&p, err);
    out->owners_skipped += p.skipped.owners;
    out->xattrs_skipped += p.skipped.xattrs;
    extract_jobs_free(p.jobs);
    out_dir_drop(p.dir);
    owners_free(p.owners);
    for (size_t i = 0; i < p.outside_count; i++) {
        free(p.outside[i].target);
        free(p.outside[i].rel);
    }
    free(p.outside);
    buf_release(&p.rel);
    buf_release(&p.dir_path);
    dir_cursor_release(&p.cursor);
    return rc;
}
