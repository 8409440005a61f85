#include "engine/stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/path.h"
#include "engine/extract.h"
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

static enum errc lock_place(struct part *p, struct err *err)
{
    char *path;
    enum errc rc = path_join(p->staging, "lock", &path, err);
    if (rc == ERR_OK)
        rc = io_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, &p->lock_fd, err);
    if (rc == ERR_OK && flock(p->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        io_close_quietly(&p->lock_fd);
        rc = err_fail(err, ERR_LOCKED, "the restore of %s is still at work in another process", p->path);
    }
    free(path);
    return rc;
}

void stage_unlock(struct part *p)
{
    io_close_quietly(&p->lock_fd);
}

static enum errc write_intent(const struct stage *s, const struct part *p, struct err *err)
{
    char run[17], *path;
    struct buf text;
    buf_init(&text, 64 * 1024);
    enum errc rc = path_join(p->staging, "intent", &path, err);
    if (rc == ERR_OK)
        rc = buf_append_fmt(&text, err,
                            "snap restore run %s of the repository %s is putting back %s.\n"
                            "If it was cut off: 'snap restore --resume' finishes it, 'snap undo' takes it back.\n",
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

/* What was moved out stays as p->aside. */
static enum errc keep_old(struct part *p, struct err *err)
{
    char *from;
    const char *name = p->kind == PART_DIR || p->kind == PART_FILE ? "new" : "old"; /* exchanged, or moved out */
    if (!p->aside || !stage_has(p, name))
        return ERR_OK;
    enum errc rc = path_join(p->staging, name, &from, err);
    if (rc == ERR_OK)
        rc = io_renameat2(AT_FDCWD, from, AT_FDCWD, p->aside, 1 /* RENAME_NOREPLACE */, err);
    free(from);
    return rc;
}

enum errc stage_remove(struct part *p, struct err *err)
{
    if (!p->staging)
        return ERR_OK;
    enum errc rc = p->swapped ? keep_old(p, err) : ERR_OK;
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
    if (e->type != ENTRY_SQLITE || !end->facts)
        return ERR_OK;
    enum errc rc = path_join(v->part->staging, rel, &path, err);
    if (rc == ERR_OK)
        rc = fact_list_get(end->facts, end->facts_len, &captured, err);
    if (rc == ERR_OK && !fact_find(&captured, "page_size"))
        goto out; /* an empty database */
    if (rc == ERR_OK)
        rc = sqlite_observe(path, v->stage->self_exe, &seen, err);
    if (rc == ERR_OK && !facts_agree(&captured, &seen, text, sizeof text))
        rc = err_fail(err, ERR_CHECK_FAILED, "the staged copy of %s is not what was captured: %s", v->part->path, text);
out:
    if (rc == ERR_OK)
        v->part->facts_match = true;
    fact_list_release(&captured);
    fact_list_release(&seen);
    free(path);
    return rc;
}

static enum errc note_identity(struct part *p, struct err *err)
{
    struct stat st;
    char *path;
    enum errc rc = path_join(p->staging, "new", &path, err);
    if (rc != ERR_OK)
        return rc;
    if (lstat(path, &st) == 0) {
        p->dev = (uint64_t)st.st_dev;
        p->ino = (uint64_t)st.st_ino;
    } else if (p->kind != PART_ABSENT && p->kind != PART_RAW) {
        rc = err_sys(err, ERR_IO, errno, "%s", path);
    }
    free(path);
    return rc;
}

enum errc stage_fill(struct stage *s, struct part *p, const char *root, struct err *err)
{
    struct extract_result result;
    struct proving proving = {.stage = s, .part = p};
    struct extract x = {.store = s->store, .list = &s->snap->items[p->item].list, .root_name = root,
                        .suffixes = p->kind == PART_RAW, .only = p->list_path, .diag = s->diag,
                        .bytes_before = s->bytes_done, .bytes_total = s->bytes_total, .each = prove_entry,
                        .arg = &proving};
    p->facts_match = true;
    if (p->kind == PART_ABSENT)
        return ERR_OK;
    enum errc rc = io_open(AT_FDCWD, p->staging, O_RDONLY | O_DIRECTORY, 0, &x.root_fd, err);
    if (rc != ERR_OK)
        return rc;
    rc = extract_run(&x, &result, err);
    io_close_quietly(&x.root_fd);
    if (rc != ERR_OK)
        return err_wrap(err, "staging %s", p->path);
    s->bytes_done += result.bytes;
    if (result.owners_skipped > 0)
        diag_message(s->diag, DIAG_WARNING, "", "%llu files keep your ownership: giving them to others takes root",
                     (unsigned long long)result.owners_skipped);
    if (result.xattrs_skipped > 0)
        diag_message(s->diag, DIAG_WARNING, "", "%llu files lack extended attributes that this file system refused",
                     (unsigned long long)result.xattrs_skipped);
    return strcmp(root, "new") == 0 ? note_identity(p, err) : ERR_OK;
}

void stage_sweep(const char *dir, bool (*keep)(void *arg, const char *path), void *arg)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    while (d && (e = readdir(d)) != NULL) {
        struct part left = {.lock_fd = -1};
        struct err ignored;
        bool there;
        if (strncmp(e->d_name, ".snap-restore-", 14) != 0 || path_join(dir, e->d_name, &left.staging, &ignored) != ERR_OK)
            continue;
        left.path = left.staging;
        if (!keep(arg, left.staging) && stage_reopen(&left, &there, &ignored) == ERR_OK && there)
            (void)!stage_remove(&left, &ignored);
        stage_unlock(&left);
        free(left.staging);
    }
    if (d)
        closedir(d);
}
