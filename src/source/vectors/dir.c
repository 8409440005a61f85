#include "source/vectors/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

enum { COMPONENT_BYTES = 256 };

/* Names come from files, so they are looked at once more where they are used. */
static bool is_component(const char *s, size_t len)
{
    return len > 0 && len < COMPONENT_BYTES && !memchr(s, '/', len) && !(len == 1 && s[0] == '.') &&
           !(len == 2 && s[0] == '.' && s[1] == '.');
}

static bool is_absent(const struct err *err)
{
    return err->sys_errno == ENOENT || err->sys_errno == ENOTDIR || err->sys_errno == ELOOP;
}

/* The directory sub of parent, or parent itself ("."), opened; -1 in *fd_out when there is none. */
static enum errc open_directory(int parent, const char *sub, size_t len, int *fd_out, struct err *err)
{
    char name[COMPONENT_BYTES] = ".";
    struct err seen = {0};
    *fd_out = -1;
    if (len > 0) {
        if (!is_component(sub, len))
            return ERR_OK;
        memcpy(name, sub, len);
        name[len] = 0;
    }
    enum errc rc = io_open(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, fd_out, &seen);
    if (rc != ERR_OK && is_absent(&seen))
        return ERR_OK;
    if (rc != ERR_OK && err)
        *err = seen;
    return rc;
}

struct open_file {
    int fd;
};

static enum errc file_read(void *arg, void *dst, size_t len, uint64_t offset, size_t *got_out, struct err *err)
{
    const struct open_file *f = arg;
    return io_pread(f->fd, dst, len, offset, got_out, "a vector file", err);
}

/* *fd_out -1 when there is no such regular file. */
static enum errc open_regular(int parent, const char *name, int *fd_out, uint64_t *size_out, struct err *err)
{
    struct err seen = {0};
    struct stat st;
    *fd_out = -1;
    if (!is_component(name, strlen(name)))
        return ERR_OK;
    enum errc rc = io_open(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0, fd_out, &seen);
    if (rc != ERR_OK && is_absent(&seen))
        return ERR_OK;
    if (rc != ERR_OK) {
        if (err)
            *err = seen;
        return rc;
    }
    if (fstat(*fd_out, &st) != 0)
        rc = err_sys(err, ERR_IO, errno, "%s", name);
    else if (S_ISREG(st.st_mode))
        *size_out = (uint64_t)st.st_size;
    if (rc != ERR_OK || !S_ISREG(st.st_mode))
        io_close_quietly(fd_out);
    return rc;
}

static enum errc dir_open(void *arg, const char *name, struct vector_input *in_out, bool *there_out, struct err *err)
{
    const int *root = arg;
    const char *slash = strchr(name, '/');
    struct open_file *f = NULL;
    int parent = -1, fd = -1;
    uint64_t size = 0;
    *there_out = false;
    enum errc rc = open_directory(*root, name, slash ? (size_t)(slash - name) : 0, &parent, err);
    if (rc == ERR_OK && parent >= 0)
        rc = open_regular(parent, slash ? slash + 1 : name, &fd, &size, err);
    io_close_quietly(&parent);
    if (rc != ERR_OK || fd < 0)
        return rc;
    rc = mem_alloc(&f, sizeof *f, err);
    if (rc != ERR_OK) {
        io_close_quietly(&fd);
        return rc;
    }
    f->fd = fd;
    *in_out = (struct vector_input){.read = file_read, .arg = f, .size = size, .name = slash ? slash + 1 : name};
    *there_out = true;
    return ERR_OK;
}

static void dir_close(void *arg, struct vector_input *in)
{
    struct open_file *f = in->arg;
    (void)arg;
    io_close_quietly(&f->fd);
    free(f);
    *in = (struct vector_input){0};
}

static enum errc dir_list(void *arg, const char *sub, enum errc (*each)(void *each_arg, const char *name, struct err *),
                          void *each_arg, struct err *err)
{
    const int *root = arg;
    int fd = -1;
    enum errc rc = open_directory(*root, sub, strlen(sub), &fd, err);
    if (rc != ERR_OK || fd < 0)
        return rc;
    DIR *d = fdopendir(fd);
    if (!d) {
        rc = err_sys(err, ERR_IO, errno, "the directory %s", sub);
        io_close_quietly(&fd);
        return rc;
    }
    while (rc == ERR_OK) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (!e) {
            if (errno != 0)
                rc = err_sys(err, ERR_IO, errno, "the directory %s", sub);
            break;
        }
        if (is_component(e->d_name, strlen(e->d_name)))
            rc = each(each_arg, e->d_name, err);
    }
    closedir(d);
    return rc;
}

struct vector_dir vector_dir_at(const int *fd)
{
    union {
        const int *borrowed;
        void *plain;
    } root = {.borrowed = fd};
    return (struct vector_dir){.open = dir_open, .close = dir_close, .list = dir_list, .arg = root.plain};
}
