#include "backend/backend.h"

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

enum { WRITEBACK_STEP = 8 << 20 };

struct backend {
    int dir_fd;
    int lock_fd;
    unsigned features;
    char *path;
};

struct object {
    int fd;
    uint64_t size;
    char name[128];
};

struct object_writer {
    struct backend *backend;
    int fd; /* holds a kernel lock, so that backend_clean leaves the file alone */
    uint64_t written, flushed;
    bool synced, failed;
    char temp[64];
};

enum errc backend_open_local(const char *path, struct backend **out, struct err *err)
{
    struct backend *b;
    enum errc rc = mem_alloc(&b, sizeof *b, err);
    if (rc != ERR_OK)
        return rc;
    b->lock_fd = -1;
    b->dir_fd = -1;
    rc = mem_strdup(&b->path, path, err);
    if (rc == ERR_OK) {
        struct err cause;
        rc = io_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, &b->dir_fd, &cause);
        if (rc != ERR_OK && (cause.sys_errno == ENOENT || cause.sys_errno == ENOTDIR))
            rc = err_fail(err, ERR_NO_REPOSITORY, "there is no repository at %s: no such directory", path);
        else if (rc != ERR_OK && err)
            *err = cause;
    }
    if (rc != ERR_OK) {
        backend_close(b);
        return rc;
    }
    b->features = BACKEND_LOCKS;
    if (faccessat(b->dir_fd, ".", W_OK, AT_EACCESS) == 0)
        b->features |= BACKEND_WRITABLE;
    *out = b;
    return ERR_OK;
}

void backend_close(struct backend *b)
{
    if (!b)
        return;
    io_close_quietly(&b->lock_fd);
    io_close_quietly(&b->dir_fd);
    free(b->path);
    free(b);
}

unsigned backend_features(const struct backend *b)
{
    return b->features;
}

enum errc backend_make_dir(struct backend *b, const char *dir, struct err *err)
{
    struct err cause;
    enum errc rc = io_mkdirat(b->dir_fd, dir, 0700, &cause);
    if (rc != ERR_OK && cause.sys_errno == EEXIST)
        return ERR_OK;
    if (rc != ERR_OK) {
        if (err)
            *err = cause;
        return rc;
    }
    return io_fsync(b->dir_fd, b->path, err);
}

/* ENOENT is "missing", all else is what it is. */
static enum errc missing_or(struct err *err, const struct err *cause, const struct backend *b, const char *name)
{
    if (cause->sys_errno == ENOENT)
        return err_fail(err, ERR_MISSING_OBJECT, "%s/%s is missing", b->path, name);
    if (err)
        *err = *cause;
    return cause->code;
}

enum errc object_open(struct backend *b, const char *name, struct object **out, struct err *err)
{
    struct object *o;
    enum errc rc = mem_alloc(&o, sizeof *o, err);
    if (rc != ERR_OK)
        return rc;
    struct err cause;
    rc = io_open(b->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, &o->fd, &cause);
    if (rc != ERR_OK) {
        free(o);
        if (cause.sys_errno == ELOOP)
            return err_fail(err, ERR_DAMAGED, "%s/%s is not a plain file", b->path, name);
        return missing_or(err, &cause, b, name);
    }
    struct stat st;
    if (fstat(o->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        rc = err_fail(err, ERR_DAMAGED, "%s/%s is not a plain file", b->path, name);
        io_close_quietly(&o->fd);
        free(o);
        return rc;
    }
    o->size = (uint64_t)st.st_size;
    snprintf(o->name, sizeof o->name, "%s", name);
    *out = o;
    return ERR_OK;
}

void object_close(struct object *o)
{
    if (!o)
        return;
    io_close_quietly(&o->fd);
    free(o);
}

uint64_t object_size(const struct object *o)
{
    return o->size;
}

enum errc object_read(struct object *o, void *dst, size_t len, uint64_t offset, struct err *err)
{
    return io_pread_exact(o->fd, dst, len, offset, o->name, err);
}

enum errc backend_get(struct backend *b, const char *name, size_t max, struct buf *out, struct err *err)
{
    struct object *o;
    enum errc rc = object_open(b, name, &o, err);
    if (rc != ERR_OK)
        return rc;
    if (o->size > max)
        rc = err_fail(err, ERR_LIMIT, "%s/%s is larger than %zu bytes", b->path, name, max);
    if (rc == ERR_OK)
        rc = buf_reserve(out, o->size > 0 ? (size_t)o->size : 1, err);
    if (rc == ERR_OK)
        rc = object_read(o, out->data + out->len, (size_t)o->size, 0, err);
    if (rc == ERR_OK)
        out->len += (size_t)o->size;
    object_close(o);
    return rc;
}

enum errc backend_put(struct backend *b, const char *name, const void *data, size_t len, bool *taken_out,
                      struct err *err)
{
    struct object_writer *w;
    *taken_out = false;
    enum errc rc = object_writer_new(b, &w, err);
    if (rc != ERR_OK)
        return rc;
    rc = object_writer_write(w, data, len, err);
    if (rc == ERR_OK)
        rc = object_writer_sync(w, err);
    if (rc == ERR_OK) {
        struct err cause;
        rc = io_linkat(b->dir_fd, w->temp, b->dir_fd, name, &cause);
        if (rc != ERR_OK && cause.sys_errno == EEXIST) {
            *taken_out = true;
            rc = ERR_OK;
        } else if (rc != ERR_OK && err) {
            *err = cause;
        }
    }
    object_writer_free(w);
    if (rc != ERR_OK || *taken_out)
        return rc;
    char dir[128];
    snprintf(dir, sizeof dir, "%s", name);
    char *slash = strrchr(dir, '/');
    if (slash)
        *slash = '\0';
    return backend_sync_dir(b, slash ? dir : ".", err);
}

enum errc backend_replace(struct backend *b, const char *name, const void *data, size_t len, struct err *err)
{
    return io_replace_file(b->dir_fd, name, data, len, 0600, err);
}

enum errc backend_remove(struct backend *b, const char *name, struct err *err)
{
    struct err cause;
    enum errc rc = io_unlinkat(b->dir_fd, name, 0, &cause);
    if (rc == ERR_OK || cause.sys_errno == ENOENT)
        return ERR_OK;
    if (err)
        *err = cause;
    return rc;
}

enum errc backend_exists(struct backend *b, const char *name, bool *yes_out, uint64_t *size_out, struct err *err)
{
    struct stat st;
    *yes_out = false;
    if (fstatat(b->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return ERR_OK;
        return err_sys(err, ERR_IO, errno, "cannot look at %s/%s", b->path, name);
    }
    *yes_out = S_ISREG(st.st_mode);
    if (size_out)
        *size_out = (uint64_t)st.st_size;
    return ERR_OK;
}

enum errc backend_list(struct backend *b, const char *dir, enum errc (*fn)(void *, const char *, struct err *),
                       void *arg, struct err *err)
{
    int fd;
    struct err cause;
    enum errc rc = io_open(b->dir_fd, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &fd, &cause);
    if (rc != ERR_OK)
        return missing_or(err, &cause, b, dir);
    DIR *d = fdopendir(fd);
    if (!d) {
        rc = err_sys(err, ERR_IO, errno, "cannot list %s/%s", b->path, dir);
        io_close_quietly(&fd);
        return rc;
    }
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(d);
        if (!entry) {
            if (errno != 0)
                rc = err_sys(err, ERR_IO, errno, "cannot list %s/%s", b->path, dir);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        rc = fn(arg, entry->d_name, err);
        if (rc != ERR_OK)
            break;
    }
    closedir(d);
    return rc;
}

enum errc object_writer_new(struct backend *b, struct object_writer **out, struct err *err)
{
    if (!(b->features & BACKEND_WRITABLE))
        return err_fail(err, ERR_READ_ONLY, "the repository at %s cannot be written to", b->path);
    struct object_writer *w;
    enum errc rc = mem_alloc(&w, sizeof *w, err);
    if (rc != ERR_OK)
        return rc;
    w->backend = b;
    w->fd = -1;
    uint64_t random;
    rc = io_random(&random, sizeof random, err);
    if (rc == ERR_OK) {
        snprintf(w->temp, sizeof w->temp, "tmp/%016llx", (unsigned long long)random);
        rc = io_open(b->dir_fd, w->temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, &w->fd, err);
    }
    if (rc != ERR_OK) {
        free(w);
        return rc;
    }
    (void)flock(w->fd, LOCK_EX | LOCK_NB);
    *out = w;
    return ERR_OK;
}

enum errc object_writer_write(struct object_writer *w, const void *data, size_t len, struct err *err)
{
    REQUIRE(!w->failed && !w->synced);
    enum errc rc = io_write(w->fd, data, len, w->backend->path, err);
    if (rc != ERR_OK) {
        w->failed = true;
        return rc;
    }
    w->written += len;
    if (w->written - w->flushed >= WRITEBACK_STEP) {
        io_start_writeback(w->fd, w->flushed, w->written - w->flushed);
        w->flushed = w->written;
    }
    return ERR_OK;
}

enum errc object_writer_sync(struct object_writer *w, struct err *err)
{
    REQUIRE(!w->failed);
    enum errc rc = io_fdatasync(w->fd, w->backend->path, err);
    if (rc != ERR_OK)
        w->failed = true; /* condemned: a second fsync could report success for lost pages */
    else
        w->synced = true;
    return rc;
}

enum errc object_writer_publish(struct object_writer *w, const char *name, struct err *err)
{
    REQUIRE(w->synced && !w->failed);
    enum errc rc = io_rename_new(w->backend->dir_fd, w->temp, w->backend->dir_fd, name, err);
    if (rc != ERR_OK)
        return rc;
    io_close_quietly(&w->fd);
    free(w);
    return ERR_OK;
}

void object_writer_free(struct object_writer *w)
{
    if (!w)
        return;
    struct err ignored;
    (void)!io_unlinkat(w->backend->dir_fd, w->temp, 0, &ignored);
    io_close_quietly(&w->fd);
    free(w);
}

enum errc backend_sync_dir(struct backend *b, const char *dir, struct err *err)
{
    int fd;
    enum errc rc = io_open(b->dir_fd, dir, O_RDONLY | O_DIRECTORY, 0, &fd, err);
    if (rc != ERR_OK)
        return rc;
    rc = io_fsync(fd, dir, err);
    io_close_quietly(&fd);
    return rc;
}

/* A file that nobody has locked and that is not of this minute (its writer may be between open and lock). */
static enum errc clean_one(void *arg, const char *name, struct err *err)
{
    struct backend *b = arg;
    char path[300];
    struct stat st;
    int fd;
    (void)err;
    struct err ignored;
    if (snprintf(path, sizeof path, "tmp/%s", name) >= (int)sizeof path)
        return ERR_OK;
    if (io_open(b->dir_fd, path, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0, &fd, &ignored) != ERR_OK)
        return ERR_OK;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        (st.st_ctime < time(NULL) - 60 || st.st_ctime > time(NULL) + 60))
        (void)!io_unlinkat(b->dir_fd, path, 0, &ignored);
    io_close_quietly(&fd);
    return ERR_OK;
}

void backend_clean(struct backend *b)
{
    struct err ignored;
    if (b->features & BACKEND_WRITABLE)
        (void)!backend_list(b, "tmp", clean_one, b, &ignored);
}

enum errc backend_lock(struct backend *b, bool exclusive, uint64_t wait_ms, struct err *err)
{
    if (b->lock_fd < 0) {
        struct err cause;
        enum errc rc = io_open(b->dir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600, &b->lock_fd, &cause);
        if (rc != ERR_OK)
            rc = io_open(b->dir_fd, "lock", O_RDONLY | O_NOFOLLOW, 0, &b->lock_fd, &cause);
        if (rc != ERR_OK) {
            b->lock_fd = -1;
            return ERR_OK; /* a read-only place: nobody can delete there either */
        }
    }
    for (uint64_t waited = 0;; waited += 50) {
        if (flock(b->lock_fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
            return ERR_OK;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_sys(err, ERR_IO, errno, "cannot lock %s/lock", b->path);
        if (waited >= wait_ms)
            return err_fail(err, ERR_LOCKED, "the repository at %s is locked by another snap", b->path);
        struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
        nanosleep(&pause, NULL);
    }
}

void backend_unlock(struct backend *b)
{
    io_close_quietly(&b->lock_fd);
}
