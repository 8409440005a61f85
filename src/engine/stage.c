#include "engine/stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/path.h"
#include "engine/extract.h"
#include "engine/prove_vectors.h"
#include "source/source.h"

/* --- the place ---------------------------------------------------------------------------------------------------- */

static enum errc make_parents(const char *dir, struct err *err)
{
    struct stat st;
    struct err why;
    char *parent;
    if (lstat(dir, &st) == 0 || strcmp(dir, "/") == 0)
        return ERR_OK;
    enum errc rc = path_parent(dir, &parent, err);
    if (rc != ERR_OK)
        return rc;
    rc = make_parents(parent, err);
    free(parent);
    if (rc != ERR_OK)
        return rc;
    rc = io_mkdirat(AT_FDCWD, dir, 0700, &why);
    if (rc != ERR_OK && why.sys_errno != EEXIST)
        return err_sys(err, ERR_IO, why.sys_errno, "cannot make the directory %s", dir);
    return ERR_OK;
}

enum { LOCK_TRIES = 40, LOCK_WAIT_NS = 25000000 };

/* Tried for a second: others look at the lock for a moment to tell whether a restore is at work. */
static enum errc lock_place(struct part *p, struct err *err)
{
    char *path;
    enum errc rc = path_join(p->staging, "lock", &path, err);
    if (rc == ERR_OK)
        rc = io_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, &p->lock_fd, err);
    free(path);
    if (rc != ERR_OK)
        return rc;
    for (int i = 0; flock(p->lock_fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if (i == LOCK_TRIES) {
            io_close_quietly(&p->lock_fd);
            return err_fail(err, ERR_LOCKED, "the restore of %s is still at work in another process", p->path);
        }
        nanosleep(&(struct timespec){.tv_nsec = LOCK_WAIT_NS}, NULL);
    }
    return ERR_OK;
}

bool stage_is_at_work(const struct part *p)
{
    char *path;
    struct err ignored;
    int fd = -1;
    if (!p->staging || path_join(p->staging, "lock", &path, &ignored) != ERR_OK)
        return false;
    bool at_work =
        io_open(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW, 0, &fd, &ignored) == ERR_OK && flock(fd, LOCK_SH | LOCK_NB) != 0;
    io_close_quietly(&fd);
    free(path);
    return at_work;
}

void stage_unlock(struct part *p)
{
    io_close_quietly(&p->lock_fd);
}

static enum errc write_intent(const struct stage *s, const struct part *p, struct err *err)
{
    char run[17], id[2 * sizeof(struct repo_id) + 1], *path;
    struct buf text;
    buf_init(&text, 64 * 1024);
    enum errc rc = path_join(p->staging, "intent", &path, err);
    if (rc == ERR_OK)
        rc = buf_append_fmt(&text, err,
                            "repository %s\n"
                            "snap restore run %s of the repository %s is putting back %s.\n"
                            "If it was cut off: 'snap restore --resume' finishes it, 'snap undo' takes it back.\n",
                            hex_encode(id, store_id(s->store)->b, sizeof store_id(s->store)->b),
                            hex_encode(run, s->run.b, sizeof s->run.b), store_path(s->store), p->path);
    if (rc == ERR_OK)
        rc = io_create_file(AT_FDCWD, path, text.data, text.len, 0600, err);
    free(path);
    buf_release(&text);
    return rc;
}

static enum errc make_sub(const struct part *p, const char *name, struct err *err)
{
    char *path;
    enum errc rc = path_join(p->staging, name, &path, err);
    if (rc == ERR_OK)
        rc = io_mkdirat(AT_FDCWD, path, 0700, err);
    free(path);
    return rc;
}

enum errc stage_make(const struct stage *s, struct part *p, size_t index, struct err *err)
{
    char *parent, name[64], run[17];
    enum errc rc = path_parent(p->path, &parent, err);
    if (rc != ERR_OK)
        return rc;
    snprintf(name, sizeof name, ".snap-restore-%s-%zu", hex_encode(run, s->run.b, sizeof s->run.b), index);
    free(p->staging);
    p->staging = NULL;
    rc = make_parents(parent, err);
    if (rc == ERR_OK)
        rc = path_join(parent, name, &p->staging, err);
    if (rc == ERR_OK) {
        rc = io_mkdirat(AT_FDCWD, p->staging, 0700, err);
        if (rc != ERR_OK) {
            free(p->staging);
            p->staging = NULL;
        }
    }
    if (rc == ERR_OK)
        rc = lock_place(p, err);
    if (rc == ERR_OK)
        rc = make_sub(p, "old", err);
    if (rc == ERR_OK)
        rc = write_intent(s, p, err);
    free(parent);
    return rc;
}

enum errc stage_reopen(struct part *p, bool *there_out, struct err *err)
{
    struct stat st;
    *there_out = p->staging && lstat(p->staging, &st) == 0 && S_ISDIR(st.st_mode);
    return *there_out ? lock_place(p, err) : ERR_OK;
}

bool stage_has(const struct part *p, const char *name)
{
    struct stat st;
    struct err ignored;
    char *path;
    if (!p->staging || path_join(p->staging, name, &path, &ignored) != ERR_OK)
        return false;
    bool has = lstat(path, &st) == 0;
    free(path);
    return has;
}

enum errc stage_sync(struct part *p, struct err *err)
{
    int fd;
    enum errc rc = io_open(AT_FDCWD, p->staging, O_RDONLY | O_DIRECTORY, 0, &fd, err);
    if (rc != ERR_OK)
        return rc;
    rc = io_syncfs(fd, p->staging, err);
    io_close_quietly(&fd);
    return rc;
}

enum errc stage_mark(const struct part *p, const char *name, struct err *err)
{
    char *path;
    int fd = -1;
    enum errc rc = path_join(p->staging, name, &path, err);
    if (rc == ERR_OK)
        rc = io_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600, &fd, err);
    io_close_quietly(&fd);
    free(path);
    return rc;
}

bool stage_is_ours(const struct part *p, const char *name)
{
    struct stat st;
    struct err ignored;
    char *path;
    if (!p->staging || p->ino == 0 || path_join(p->staging, name, &path, &ignored) != ERR_OK)
        return false;
    bool ours = lstat(path, &st) == 0 && (uint64_t)st.st_ino == p->ino && (uint64_t)st.st_dev == p->dev;
    free(path);
    return ours;
}

/* --- originals set aside ---------------------------------------------------------------------------------------------
 */

static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
enum { SUFFIXES = sizeof suffixes / sizeof suffixes[0] };

/* Move <from><suffix> to <to><suffix>, where it is there, for a file and what SQLite may have beside it. */
static enum errc move_family(const char *from, const char *to, struct err *err)
{
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < SUFFIXES; i++) {
        struct buf a, b;
        struct err why;
        buf_init(&a, 2 * PATH_MAX_BYTES);
        buf_init(&b, 2 * PATH_MAX_BYTES);
        rc = buf_append_fmt(&a, err, "%s%s", from, suffixes[i]);
        if (rc == ERR_OK)
            rc = buf_append_fmt(&b, err, "%s%s", to, suffixes[i]);
        if (rc == ERR_OK)
            rc = buf_terminate(&a, err);
        if (rc == ERR_OK)
            rc = buf_terminate(&b, err);
        if (rc == ERR_OK && io_rename_new(AT_FDCWD, (char *)a.data, AT_FDCWD, (char *)b.data, &why) != ERR_OK &&
            why.sys_errno != ENOENT)
            rc = err_sys(err, ERR_IO, why.sys_errno, "cannot move %s to %s", (char *)a.data, (char *)b.data);
        buf_release(&a);
        buf_release(&b);
    }
    return rc;
}

/* Where in the staging place what was moved out lies. */
static enum errc old_path(const struct part *p, bool exchanged, char **out, struct err *err)
{
    char name[320];
    if (p->kind == PART_ABSENT)
        snprintf(name, sizeof name, "old/removed");
    else if (p->kind == PART_SQLITE || p->kind == PART_RAW)
        snprintf(name, sizeof name, "old/%.255s", path_base(p->path));
    else
        snprintf(name, sizeof name, exchanged ? "new" : "old/moved");
    return path_join(p->staging, name, out, err);
}

enum errc stage_keep_old(struct part *p, struct err *err)
{
    char *from;
    if (!p->aside || !p->staging)
        return ERR_OK;
    enum errc rc = old_path(p, stage_has(p, "new") && !stage_is_ours(p, "new"), &from, err);
    if (rc == ERR_OK) {
        rc = move_family(from, p->aside, err);
        free(from);
    }
    return rc;
}

enum errc stage_return_old(struct part *p, struct err *err)
{
    char *to;
    if (!p->aside || !p->staging)
        return ERR_OK;
    enum errc rc = old_path(p, false, &to, err);
    if (rc == ERR_OK) {
        rc = move_family(p->aside, to, err);
        free(to);
    }
    return rc;
}

/* An original that went into the staging place, and not further. */
enum errc stage_return_original(struct part *p, struct err *err)
{
    char *from;
    if (!p->original || p->swapped || !stage_is_ours(p, "new"))
        return ERR_OK;
    enum errc rc = path_join(p->staging, "new", &from, err);
    if (rc == ERR_OK) {
        rc = move_family(from, p->original, err);
        free(from);
    }
    return rc;
}

enum errc stage_take_original(struct part *p, struct err *err)
{
    char *to;
    if (!p->original)
        return ERR_OK;
    enum errc rc = path_join(p->staging, "new", &to, err);
    if (rc == ERR_OK) {
        rc = move_family(p->original, to, err);
        free(to);
    }
    return rc;
}

/* The intent goes last: it tells whose place it is, should this be cut off. */
static enum errc remove_content(const char *place, struct err *err)
{
    enum errc rc = ERR_OK;
    DIR *d = opendir(place);
    struct dirent *e;
    while (d && rc == ERR_OK && (e = readdir(d)) != NULL) {
        static const char *const kept[] = {".", "..", "intent", "lock"};
        bool keep = false;
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
            keep = keep || strcmp(e->d_name, kept[i]) == 0;
        if (!keep)
            rc = remove_tree(dirfd(d), e->d_name, err);
    }
    if (d)
        closedir(d);
    return rc;
}

enum errc stage_remove(struct part *p, struct err *err)
{
    if (!p->staging)
        return ERR_OK;
    enum errc rc = stage_return_original(p, err);
    if (rc == ERR_OK)
        rc = remove_content(p->staging, err);
    if (rc == ERR_OK)
        rc = remove_tree(AT_FDCWD, p->staging, err);
    stage_unlock(p);
    return rc;
}

/* --- what is staged ----------------------------------------------------------------------------------------------- */

static bool is_data_fact(const struct fact *f)
{
    static const char *const exact[] = {"page_size", "page_count", "user_version", "schema_digest"};
    for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++)
        if (strlen(exact[i]) == f->key_len && memcmp(f->key, exact[i], f->key_len) == 0)
            return true;
    return f->key_len > 5 && memcmp(f->key, "rows.", 5) == 0;
}

bool facts_agree(const struct fact_list *captured, const struct fact_list *seen, char *text, size_t cap)
{
    bool agree = true;
    text[0] = '\0';
    for (size_t i = 0; i < captured->count; i++) {
        const struct fact *a = &captured->facts[i];
        if (!is_data_fact(a))
            continue;
        const struct fact *b = fact_find(seen, a->key);
        if (b && fact_equal(a, b))
            continue;
        size_t used = strlen(text);
        agree = false;
        if (a->type == FACT_INT && b && b->type == FACT_INT)
            snprintf(text + used, cap - used, "%s%s was %lld and is %lld", used ? ", " : "", a->key,
                     (long long)a->integer, (long long)b->integer);
        else
            snprintf(text + used, cap - used, "%s%s differs", used ? ", " : "", a->key);
    }
    return agree;
}

struct proving {
    struct stage *stage;
    struct part *part;
};

/* A database that was staged: opened by a helper process, its facts compared with those of its capture. */
static enum errc prove_entry(void *arg, const struct entry *e, const struct entry_end *end, const char *rel,
                             struct err *err)
{
    struct proving *v = arg;
    struct fact_list captured = {0}, seen = {0};
    char *path = NULL, text[600];
    enum errc rc = prove_vectors(v->stage, v->part, e, end, rel, err);
    if (rc != ERR_OK || e->type != ENTRY_SQLITE || !end->facts || end->state == STATE_RAW)
        return rc;
    rc = path_join(v->part->staging, rel, &path, err);
    if (rc == ERR_OK)
        rc = fact_list_get(end->facts, end->facts_len, &captured, err);
    if (rc == ERR_OK && !fact_find(&captured, "page_size"))
        goto out; /* an empty database */
    if (rc == ERR_OK)
        rc = sqlite_observe(path, v->stage->self_exe, &seen, err);
    if (rc == ERR_OK && !facts_agree(&captured, &seen, text, sizeof text))
        rc = err_fail(err, ERR_CHECK_FAILED, "the staged copy of %s%s%.*s is not what was captured: %s", v->part->path,
                      e->path_len ? "/" : "", (int)e->path_len, e->path, text);
out:
    fact_list_release(&captured);
    fact_list_release(&seen);
    free(path);
    return rc;
}

enum errc stage_seal(struct part *p, struct err *err)
{
    struct stat st;
    char *path;
    enum errc rc = path_join(p->staging, "new", &path, err);
    if (rc != ERR_OK)
        return rc;
    if (p->original) {
        /* it keeps its identity when it is moved here */
    } else if (lstat(path, &st) == 0) {
        p->dev = (uint64_t)st.st_dev;
        p->ino = (uint64_t)st.st_ino;
    } else if (p->kind != PART_ABSENT && p->kind != PART_RAW) {
        rc = err_sys(err, ERR_IO, errno, "%s", path);
    }
    free(path);
    return rc == ERR_OK ? stage_mark(p, "staged", err) : rc;
}

static void warn_of_skipped(const struct stage *s, const struct extract_result *r)
{
    if (r->owners_skipped > 0)
        diag_message(s->diag, DIAG_WARNING, "", "%llu %s your ownership: giving them to others takes root",
                     (unsigned long long)r->owners_skipped, r->owners_skipped == 1 ? "file keeps" : "files keep");
    if (r->xattrs_skipped > 0)
        diag_message(s->diag, DIAG_WARNING, "", "%llu %s extended attributes that this file system refused",
                     (unsigned long long)r->xattrs_skipped, r->xattrs_skipped == 1 ? "file lacks" : "files lack");
}

enum errc stage_fill(struct stage *s, struct part *p, const char *root, struct err *err)
{
    struct extract_result result;
    struct proving proving = {.stage = s, .part = p};
    struct extract x = {.store = s->store,
                        .list = &s->snap->items[p->item].list,
                        .root_name = root,
                        .suffixes = p->kind == PART_RAW,
                        .only = p->list_path,
                        .diag = s->diag,
                        .bytes_before = s->bytes_done,
                        .bytes_total = s->bytes_total,
                        .each = prove_entry,
                        .arg = &proving};
    p->facts_match = true;
    if (p->kind == PART_ABSENT || p->original)
        return ERR_OK;
    enum errc rc = io_open(AT_FDCWD, p->staging, O_RDONLY | O_DIRECTORY, 0, &x.root_fd, err);
    if (rc != ERR_OK)
        return rc;
    rc = extract_run(&x, &result, err);
    io_close_quietly(&x.root_fd);
    if (rc != ERR_OK)
        return err_wrap(err, "staging %s", p->path);
    s->bytes_done += result.bytes;
    warn_of_skipped(s, &result);
    return ERR_OK;
}

/* Directories down to the parent of rel, opened without following a link. */
static enum errc make_parent_beneath(int top, const char *rel, int *fd_out, struct err *err)
{
    enum errc rc = ERR_OK;
    struct buf at;
    struct err why;
    const char *slash = strrchr(rel, '/');
    buf_init(&at, 2 * PATH_MAX_BYTES);
    for (const char *end = strchr(rel, '/'); rc == ERR_OK && end; end = strchr(end + 1, '/')) {
        buf_clear(&at);
        rc = buf_append(&at, rel, (size_t)(end - rel), err);
        if (rc == ERR_OK)
            rc = buf_terminate(&at, err);
        if (rc == ERR_OK && open_beneath(top, (char *)at.data, O_PATH | O_DIRECTORY, fd_out, &why) == ERR_OK)
            io_close_quietly(fd_out);
        else if (rc == ERR_OK)
            rc = io_mkdirat(top, (char *)at.data, 0700, err);
    }
    if (rc == ERR_OK)
        rc = open_beneath(top, slash ? (char *)at.data : "", O_RDONLY | O_DIRECTORY, fd_out, err);
    buf_release(&at);
    return rc;
}

enum errc stage_fill_inside(struct stage *s, struct part *p, const struct part *place, const char *rel, struct err *err)
{
    struct stat st;
    int top = -1, parent = -1;
    const char *name = path_base(rel);
    enum errc rc = io_open(AT_FDCWD, place->staging, O_RDONLY | O_DIRECTORY, 0, &top, err);
    if (rc == ERR_OK)
        rc = make_parent_beneath(top, rel, &parent, err);
    if (rc == ERR_OK && fstat(parent, &st) != 0)
        rc = err_sys(err, ERR_IO, errno, "cannot look at the directory of %s", p->path);
    for (size_t i = 0; rc == ERR_OK && i < SUFFIXES; i++) {
        char both[300];
        if (i == 0 || p->kind == PART_SQLITE || p->kind == PART_RAW) {
            snprintf(both, sizeof both, "%.255s%s", name, suffixes[i]);
            rc = remove_tree(parent, both, err);
        }
    }
    if (rc == ERR_OK) {
        p->staging = place->staging;
        rc = stage_fill(s, p, rel, err);
        p->staging = NULL;
    }
    if (rc == ERR_OK)
        (void)!futimens(parent, (struct timespec[2]){st.st_atim, st.st_mtim}); /* as the outer one had it */
    io_close_quietly(&parent);
    io_close_quietly(&top);
    return rc;
}

/* A place of this repository, or one in which nothing was begun: others' are theirs to finish. */
static bool is_ours_to_remove(const struct stage *s, const struct part *left)
{
    char id[2 * sizeof(struct repo_id) + 1], *path, want[64 + 2 * sizeof(struct repo_id)];
    struct buf text;
    struct err ignored;
    if (!stage_has(left, "intent"))
        return !stage_has(left, "new") && !stage_has(left, "staged");
    if (path_join(left->staging, "intent", &path, &ignored) != ERR_OK)
        return false;
    buf_init(&text, 256 * 1024);
    int len = snprintf(want, sizeof want, "repository %s\n",
                       hex_encode(id, store_id(s->store)->b, sizeof store_id(s->store)->b));
    bool ours = io_read_file(AT_FDCWD, path, 256 * 1024, &text, &ignored) == ERR_OK && text.len > (size_t)len &&
                memcmp(text.data, want, (size_t)len) == 0;
    buf_release(&text);
    free(path);
    return ours;
}

void stage_sweep(const struct stage *s, const char *dir, bool (*keep)(void *arg, const char *path), void *arg)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    while (d && (e = readdir(d)) != NULL) {
        struct part left = {.lock_fd = -1};
        struct err ignored;
        bool there;
        if (strncmp(e->d_name, ".snap-restore-", 14) != 0 ||
            path_join(dir, e->d_name, &left.staging, &ignored) != ERR_OK)
            continue;
        left.path = left.staging;
        if (is_ours_to_remove(s, &left) && !stage_is_at_work(&left) && !keep(arg, left.staging) &&
            stage_reopen(&left, &there, &ignored) == ERR_OK && there)
            (void)!stage_remove(&left, &ignored);
        stage_unlock(&left);
        free(left.staging);
    }
    if (d)
        closedir(d);
}
