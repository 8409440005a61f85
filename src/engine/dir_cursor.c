#include "engine/dir_cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "engine/extract.h"

enum { WHOLE_BYTES = 2048 /* a path up to this is opened in one call */ };

void dir_cursor_init(struct dir_cursor *c, int root_fd)
{
    *c = (struct dir_cursor){.root_fd = root_fd, .fd = -1};
    buf_init(&c->path, PATH_MAX_BYTES + 8192);
}

void dir_cursor_release(struct dir_cursor *c)
{
    io_close_quietly(&c->fd);
    buf_release(&c->path);
    free(c->steps);
    c->steps = NULL;
    c->depth = c->cap = 0;
}

static enum errc to_root(struct dir_cursor *c, struct err *err)
{
    io_close_quietly(&c->fd);
    buf_clear(&c->path);
    c->depth = 0;
    return io_open(c->root_fd, ".", O_RDONLY | O_DIRECTORY, 0, &c->fd, err);
}

/* False: the parent is not (or cannot be seen to be) the directory the way down came through. */
static bool up(struct dir_cursor *c)
{
    const struct dir_step *parent = &c->steps[c->depth - 2];
    struct stat st;
    int fd = openat(c->fd, "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (fstat(fd, &st) != 0 || st.st_dev != parent->dev || st.st_ino != parent->ino) {
        close(fd);
        return false;
    }
    close(c->fd);
    c->fd = fd;
    c->path.len = parent->len;
    c->depth--;
    return true;
}

static enum errc down(struct dir_cursor *c, const char *name, size_t len, struct err *err)
{
    char text[256];
    struct stat st;
    int next = -1;
    if (len >= sizeof text)
        return err_fail(err, ERR_DAMAGED, "a name is longer than a file system allows");
    memcpy(text, name, len);
    text[len] = '\0';
    enum errc rc = mem_grow(&c->steps, &c->cap, c->depth + 1, sizeof *c->steps, err);
    if (rc == ERR_OK && c->depth > 0)
        rc = buf_append_str(&c->path, "/", err);
    if (rc == ERR_OK)
        rc = buf_append(&c->path, name, len, err);
    if (rc == ERR_OK)
        rc = open_beneath(c->fd, text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &next, err);
    if (rc != ERR_OK)
        return rc;
    close(c->fd);
    c->fd = next;
    if (fstat(next, &st) != 0)
        return err_sys(err, ERR_IO, errno, "cannot look at %s", text);
    c->steps[c->depth++] = (struct dir_step){.len = c->path.len, .dev = st.st_dev, .ino = st.st_ino};
    return ERR_OK;
}

/* How many of the directories on the cursor's path are on this one, too. */
static size_t common_depth(const struct dir_cursor *c, const char *path, size_t len)
{
    size_t same = 0, depth = c->depth;
    while (same < len && same < c->path.len && path[same] == (char)c->path.data[same])
        same++;
    while (depth > 0) {
        size_t end = c->steps[depth - 1].len;
        if (end < same || (end == same && (end == len || path[end] == '/')))
            break;
        depth--;
    }
    return depth;
}

static enum errc go(struct dir_cursor *c, const char *path, size_t len, struct err *err)
{
    size_t common = common_depth(c, path, len);
    bool near = c->fd >= 0 && common > 0 && c->depth - common <= common;
    while (near && c->depth > common)
        near = up(c);
    enum errc rc = near ? ERR_OK : to_root(c, err);
    while (rc == ERR_OK && c->path.len < len) {
        const char *name = path + c->path.len + (c->depth > 0);
        const char *slash = memchr(name, '/', (size_t)(path + len - name));
        rc = down(c, name, (size_t)((slash ? slash : path + len) - name), err);
    }
    return rc;
}

enum errc dir_cursor_open(struct dir_cursor *c, const char *path, size_t len, int *fd_out, struct err *err)
{
    if (len <= WHOLE_BYTES) {
        char text[WHOLE_BYTES + 1];
        memcpy(text, path, len);
        text[len] = '\0';
        return open_beneath(c->root_fd, text, O_RDONLY | O_DIRECTORY, fd_out, err);
    }
    enum errc rc = go(c, path, len, err);
    if (rc != ERR_OK) {
        io_close_quietly(&c->fd);
        c->depth = 0;
        buf_clear(&c->path);
        return rc;
    }
    int fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(err, ERR_IO, errno, "cannot hold a directory open");
    *fd_out = fd;
    return ERR_OK;
}
