#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/path.h"

/* The one mutable global of this layer: a hook must see the calls of code that knows nothing of tests. It is set by
 * tests only, before threads start. */
static struct {
    int (*ask)(enum io_op op, const char *what, void *arg);
    void *arg;
} test_hook;

void io_set_hook(int (*hook)(enum io_op op, const char *what, void *arg), void *arg)
{
    test_hook.ask = hook;
    test_hook.arg = arg;
}

/* True when the hook wants the operation to fail; errno is set as the system call would have. */
static bool refused(enum io_op op, const char *what)
{
    int e = test_hook.ask ? test_hook.ask(op, what, test_hook.arg) : 0;
    if (e == 0)
        return false;
    errno = e;
    return true;
}

static enum errc fail(struct err *err, int e, const char *verb, const char *what)
{
    char shown[640];
    return err_sys(err, e == EFBIG ? ERR_NO_SPACE : ERR_IO, e, "cannot %s %s", verb,
                   path_show(shown, sizeof shown, what, strlen(what)));
}

static enum errc fail2(struct err *err, int e, const char *verb, const char *from, const char *to)
{
    char a[400], b[400];
    return err_sys(err, e == EFBIG ? ERR_NO_SPACE : ERR_IO, e, "cannot %s %s to %s", verb,
                   path_show(a, sizeof a, from, strlen(from)), path_show(b, sizeof b, to, strlen(to)));
}

enum errc io_open(int dirfd, const char *path, int flags, mode_t mode, int *fd_out, struct err *err)
{
    int fd;
    do {
        fd = refused(IO_OPEN, path) ? -1 : openat(dirfd, path, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return fail(err, errno, flags & O_CREAT ? "create" : "open", path);
    *fd_out = fd;
    return ERR_OK;
}

enum errc io_close(int *fd, const char *what, struct err *err)
{
    if (*fd < 0)
        return ERR_OK;
    /* Linux frees the descriptor whatever close returns, so a second try could close one that a thread has just
     * opened; and a simulated failure must free it too. */
    bool failed = refused(IO_CLOSE, what);
    int e = failed ? errno : 0;
    if (close(*fd) != 0 && !failed)
        e = errno;
    *fd = -1;
    return e ? fail(err, e, "close", what) : ERR_OK;
}

void io_close_quietly(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

enum errc io_write(int fd, const void *data, size_t len, const char *what, struct err *err)
{
    const uint8_t *p = data;
    while (len > 0) {
        ssize_t n = refused(IO_WRITE, what) ? -1 : write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(err, n < 0 ? errno : EIO, "write to", what);
        p += n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

enum errc io_pwrite(int fd, const void *data, size_t len, uint64_t offset, const char *what, struct err *err)
{
    const uint8_t *p = data;
    if (offset > INT64_MAX || len > INT64_MAX - offset)
        return fail(err, EFBIG, "write to", what);
    while (len > 0) {
        ssize_t n = refused(IO_WRITE, what) ? -1 : pwrite(fd, p, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(err, n < 0 ? errno : EIO, "write to", what);
        p += n;
        offset += (size_t)n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

enum errc io_read(int fd, void *data, size_t len, size_t *got_out, const char *what, struct err *err)
{
    size_t got = 0;
    while (got < len) {
        ssize_t n = refused(IO_READ, what) ? -1 : read(fd, (uint8_t *)data + got, len - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, errno, "read", what);
        if (n == 0)
            break;
        got += (size_t)n;
    }
    *got_out = got;
    return ERR_OK;
}

enum errc io_pread(int fd, void *data, size_t len, uint64_t offset, size_t *got_out, const char *what, struct err *err)
{
    size_t got = 0;
    if (offset > INT64_MAX) /* no file reaches so far */
        len = 0;
    else if (len > INT64_MAX - offset)
        len = (size_t)(INT64_MAX - offset);
    while (got < len) {
        ssize_t n = refused(IO_READ, what) ? -1 : pread(fd, (uint8_t *)data + got, len - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, errno, "read", what);
        if (n == 0)
            break;
        got += (size_t)n;
    }
    *got_out = got;
    return ERR_OK;
}

enum errc io_pread_exact(int fd, void *data, size_t len, uint64_t offset, const char *what, struct err *err)
{
    size_t got;
    enum errc rc = io_pread(fd, data, len, offset, &got, what, err);
    if (rc != ERR_OK || got == len)
        return rc;
    char shown[640];
    return err_fail(err, ERR_DAMAGED, "%s is too short: %zu bytes at %llu wanted, %zu there",
                    path_show(shown, sizeof shown, what, strlen(what)), len, (unsigned long long)offset, got);
}

enum errc io_fsync(int fd, const char *what, struct err *err)
{
    return refused(IO_FSYNC, what) || fsync(fd) != 0 ? fail(err, errno, "sync", what) : ERR_OK;
}

enum errc io_fdatasync(int fd, const char *what, struct err *err)
{
    return refused(IO_FSYNC, what) || fdatasync(fd) != 0 ? fail(err, errno, "sync", what) : ERR_OK;
}

enum errc io_syncfs(int fd, const char *what, struct err *err)
{
    return refused(IO_FSYNC, what) || syncfs(fd) != 0 ? fail(err, errno, "sync the file system of", what) : ERR_OK;
}

void io_start_writeback(int fd, uint64_t offset, uint64_t len)
{
    if (offset <= INT64_MAX && len <= INT64_MAX - offset)
        (void)sync_file_range(fd, (off_t)offset, (off_t)len, SYNC_FILE_RANGE_WRITE);
}

/* The calls that change names are not tried again after EINTR (which only network and FUSE file systems return): the
 * first try may have taken effect, and a second would then report EEXIST or ENOENT. */

enum errc io_linkat(int olddir, const char *old, int newdir, const char *new_, struct err *err)
{
    bool failed = refused(IO_LINK, new_) || linkat(olddir, old, newdir, new_, 0) != 0;
    return failed ? fail2(err, errno, "link", old, new_) : ERR_OK;
}

enum errc io_renameat2(int olddir, const char *old, int newdir, const char *new_, unsigned flags, struct err *err)
{
    bool failed = refused(IO_RENAME, new_) || renameat2(olddir, old, newdir, new_, flags) != 0;
    return failed ? fail2(err, errno, "rename", old, new_) : ERR_OK;
}

bool io_is_unsupported(const struct err *err)
{
    return err->sys_errno == EINVAL || err->sys_errno == ENOSYS || err->sys_errno == EOPNOTSUPP;
}

enum errc io_rename_new(int olddir, const char *old, int newdir, const char *new_, struct err *err)
{
    struct err why;
    struct stat st;
    enum errc rc = io_renameat2(olddir, old, newdir, new_, RENAME_NOREPLACE, &why);
    if (rc != ERR_OK && io_is_unsupported(&why)) {
        if (fstatat(newdir, new_, &st, AT_SYMLINK_NOFOLLOW) == 0)
            return fail2(err, EEXIST, "rename", old, new_);
        return io_renameat2(olddir, old, newdir, new_, 0, err);
    }
    if (rc != ERR_OK && err)
        *err = why;
    return rc;
}

enum errc io_unlinkat(int dirfd, const char *path, int flags, struct err *err)
{
    return refused(IO_UNLINK, path) || unlinkat(dirfd, path, flags) != 0 ? fail(err, errno, "remove", path) : ERR_OK;
}

enum errc io_mkdirat(int dirfd, const char *path, mode_t mode, struct err *err)
{
    bool failed = refused(IO_MKDIR, path) || mkdirat(dirfd, path, mode) != 0;
    return failed ? fail(err, errno, "make the directory", path) : ERR_OK;
}

/* Until the end of the file. The first step is sized by the file, so that a secret is not strewn over the heap by
 * reallocation. */
static enum errc read_all(int fd, size_t max, struct buf *b, const char *what, struct err *err)
{
    struct stat st;
    size_t step = 4096, got = 0;
    char shown[640];
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= (off_t)step)
        step = (uint64_t)st.st_size < max ? (size_t)st.st_size + 1 : max; /* one more, to see the end at once */
    for (size_t total = 0; total < max; total += got, step = 64 * 1024) {
        size_t want = step < max - total ? step : max - total;
        enum errc rc = buf_reserve(b, want, err);
        if (rc != ERR_OK && err)
            err_wrap(err, "cannot read %s", path_show(shown, sizeof shown, what, strlen(what)));
        if (rc == ERR_OK)
            rc = io_read(fd, b->data + b->len, want, &got, what, err);
        if (rc != ERR_OK)
            return rc;
        b->len += got;
        if (got < want)
            return ERR_OK;
    }
    uint8_t more;
    enum errc rc = io_read(fd, &more, 1, &got, what, err);
    if (rc != ERR_OK || got == 0)
        return rc;
    return err_fail(err, ERR_LIMIT, "%s is larger than %zu bytes", path_show(shown, sizeof shown, what, strlen(what)),
                    max);
}

enum errc io_read_file(int dirfd, const char *path, size_t max, struct buf *b, struct err *err)
{
    int fd = -1;
    size_t before = b->len;
    enum errc rc = io_open(dirfd, path, O_RDONLY | O_NOCTTY, 0, &fd, err);
    if (rc == ERR_OK)
        rc = read_all(fd, max, b, path, err);
    io_close_quietly(&fd);
    if (rc != ERR_OK && b->len > before) {
        explicit_bzero(b->data + before, b->len - before);
        b->len = before;
    }
    return rc;
}

/* path with its last component replaced by name; freed with free(). */
static enum errc beside(const char *path, const char *name, char **out, struct err *err)
{
    const char *slash = strrchr(path, '/');
    size_t dir_len = slash ? (size_t)(slash - path) + 1 : 0, name_len = strlen(name);
    char *p;
    enum errc rc = mem_alloc(&p, dir_len + name_len + 1, err);
    if (rc != ERR_OK)
        return rc;
    memcpy(p, path, dir_len);
    memcpy(p + dir_len, name, name_len);
    *out = p;
    return ERR_OK;
}

/* Write a new temporary file beside path and sync it. On success *temp_out is its path, freed with free(). */
static enum errc write_temp(int dirfd, const char *path, const void *data, size_t len, mode_t mode, char **temp_out,
                            struct err *err)
{
    uint64_t number;
    char name[32], *temp;
    int fd = -1;
    enum errc rc = io_random(&number, sizeof number, err);
    if (rc != ERR_OK)
        return rc;
    snprintf(name, sizeof name, ".tmp-%016llx", (unsigned long long)number);
    rc = beside(path, name, &temp, err);
    if (rc != ERR_OK)
        return rc;
    rc = io_open(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode, &fd, err);
    if (rc != ERR_OK) {
        free(temp);
        return rc;
    }
    rc = io_write(fd, data, len, temp, err);
    if (rc == ERR_OK)
        rc = io_fsync(fd, temp, err);
    if (rc == ERR_OK)
        rc = io_close(&fd, temp, err);
    if (rc != ERR_OK) {
        io_close_quietly(&fd);
        (void)!io_unlinkat(dirfd, temp, 0, NULL);
        free(temp);
        return rc;
    }
    *temp_out = temp;
    return ERR_OK;
}

static enum errc sync_parent(int dirfd, const char *path, struct err *err)
{
    char *dir;
    int fd = -1;
    enum errc rc = beside(path, ".", &dir, err);
    if (rc != ERR_OK)
        return rc;
    rc = io_open(dirfd, dir, O_RDONLY | O_DIRECTORY, 0, &fd, err);
    if (rc == ERR_OK)
        rc = io_fsync(fd, dir, err);
    io_close_quietly(&fd);
    free(dir);
    return rc;
}

enum errc io_replace_file(int dirfd, const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
    char *temp;
    enum errc rc = write_temp(dirfd, path, data, len, mode, &temp, err);
    if (rc != ERR_OK)
        return rc;
    rc = io_renameat2(dirfd, temp, dirfd, path, 0, err);
    if (rc != ERR_OK)
        (void)!io_unlinkat(dirfd, temp, 0, NULL);
    else
        rc = sync_parent(dirfd, path, err);
    free(temp);
    return rc;
}

enum errc io_create_file(int dirfd, const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
    char *temp;
    enum errc rc = write_temp(dirfd, path, data, len, mode, &temp, err);
    if (rc != ERR_OK)
        return rc;
    rc = io_linkat(dirfd, temp, dirfd, path, err);
    /* What cannot be removed is garbage, not a failure: the file is in place or it is not. And once linked it stays,
     * even if the directory cannot be synced: others may have seen it. */
    (void)!io_unlinkat(dirfd, temp, 0, NULL);
    if (rc == ERR_OK)
        rc = sync_parent(dirfd, path, err);
    free(temp);
    return rc;
}

enum errc io_random(void *out, size_t len, struct err *err)
{
    uint8_t *p = out;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_sys(err, ERR_CRYPTO, n < 0 ? errno : EIO, "the kernel gave no random bytes");
        p += n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

enum errc io_free_space(int fd, uint64_t *bytes_out, struct err *err)
{
    struct statvfs st;
    int rc;
    do {
        rc = fstatvfs(fd, &st);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0)
        return err_sys(err, ERR_IO, errno, "cannot ask for the free space of a file system");
    if (__builtin_mul_overflow((uint64_t)st.f_bavail, (uint64_t)st.f_frsize, bytes_out))
        *bytes_out = UINT64_MAX;
    return ERR_OK;
}

/* Where O_TMPFILE is not known: a name that is taken away at once. */
static enum errc unnamed_file(const char *dir, int *fd_out, struct err *err)
{
    char path[PATH_MAX];
    uint64_t random;
    enum errc rc = io_open(AT_FDCWD, dir, O_TMPFILE | O_RDWR, 0600, fd_out, err);
    if (rc == ERR_OK || (err->sys_errno != EOPNOTSUPP && err->sys_errno != EISDIR))
        return rc;
    rc = io_random(&random, sizeof random, err);
    if (rc != ERR_OK)
        return rc;
    if (snprintf(path, sizeof path, "%s/.snap-%016llx", dir, (unsigned long long)random) >= (int)sizeof path)
        return err_fail(err, ERR_LIMIT, "the path of a directory for temporary files is too long");
    rc = io_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, fd_out, err);
    return rc == ERR_OK ? io_unlinkat(AT_FDCWD, path, 0, err) : rc;
}

enum errc io_temp_file(int *fd_out, struct err *err)
{
    const char *dirs[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};
    struct err why;
    enum errc rc = ERR_IO;
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        if (!dirs[i] || !*dirs[i])
            continue;
        rc = unnamed_file(dirs[i], fd_out, &why);
        if (rc == ERR_OK)
            return ERR_OK;
    }
    return err_fail(err, rc, "no temporary file can be made in $TMPDIR, /var/tmp or /tmp: %s", why.message);
}
