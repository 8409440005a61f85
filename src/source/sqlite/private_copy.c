#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/io.h"
#include "source/sqlite/raw.h"

enum { TRIES = 3, COPY_BYTES = 1 << 20, SPARE_BYTES = 16 << 20, SHM_INDEX = 2 };

/* Shares the blocks where the file system can, else copies. */
static enum errc copy_file(int from, int to, uint64_t size, const char *shown, struct err *err)
{
    enum errc rc = ERR_OK;
    uint64_t done = 0;
    uint8_t *data;

    if (ioctl(to, FICLONE, from) == 0)
        return ERR_OK;
    if (mem_alloc(&data, COPY_BYTES, err) != ERR_OK)
        return ERR_NO_MEMORY;
    while (rc == ERR_OK && done < size) {
        size_t want = size - done < COPY_BYTES ? (size_t)(size - done) : COPY_BYTES, got = 0;
        rc = io_read(from, data, want, &got, shown, err);
        if (rc == ERR_OK && got == 0)
            break; /* it shrank: seen by the look that follows */
        if (rc == ERR_OK)
            rc = io_write(to, data, got, shown, err);
        done += got;
    }
    free(data);
    return rc;
}

static enum errc copy_into(const struct place *p, const char *suffix, const struct stat *st, int dir_fd,
                           struct err *err)
{
    char name[sizeof p->name + 16];
    int from = -1, to = -1;
    enum errc rc = place_open_file(p, suffix, &from, err);

    snprintf(name, sizeof name, "%s%s", p->name, suffix);
    if (rc == ERR_OK)
        rc = io_open(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600, &to, err);
    if (rc == ERR_OK)
        rc = copy_file(from, to, (uint64_t)st->st_size, p->shown, err);
    if (rc == ERR_OK && geteuid() == 0 && fchown(to, p->st.st_uid, p->st.st_gid) != 0)
        rc = err_sys(err, ERR_IO, errno, "cannot give away a private copy of %s", p->shown);
    io_close_quietly(&from);
    io_close_quietly(&to);
    return rc;
}

/* A first directory for temporary files that has the room. */
static enum errc make_directory(struct private_copy *c, uint64_t bytes, int *fd_out, struct err *err)
{
    const char *dirs[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};
    enum errc rc = err_fail(err, ERR_NO_SPACE, "there is no room for a private copy");

    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        uint64_t free_bytes = 0;
        if (!dirs[i] || dirs[i][0] != '/' ||
            (size_t)snprintf(c->dir, sizeof c->dir, "%s/snap-copy-XXXXXX", dirs[i]) >= sizeof c->dir)
            continue;
        if (!mkdtemp(c->dir)) {
            rc = err_sys(err, ERR_IO, errno, "cannot make a directory in %s", dirs[i]);
            continue;
        }
        rc = io_open(AT_FDCWD, c->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, fd_out, err);
        if (rc == ERR_OK)
            rc = io_free_space(*fd_out, &free_bytes, err);
        if (rc == ERR_OK && free_bytes >= bytes + SPARE_BYTES)
            return ERR_OK;
        if (rc == ERR_OK)
            rc = err_fail(err, ERR_NO_SPACE, "there is no room in %s for a private copy", dirs[i]);
        io_close_quietly(fd_out);
        (void)rmdir(c->dir);
    }
    c->dir[0] = '\0';
    return rc;
}

static enum errc copy_all(const struct place *p, const struct raw_look *look, int dir_fd, struct err *err)
{
    struct raw_look after;
    enum errc rc = ERR_OK;

    for (size_t i = 0; rc == ERR_OK && i < RAW_FILES; i++)
        if (look->there[i] && i != SHM_INDEX) /* a WAL's index is made anew */
            rc = copy_into(p, raw_suffixes[i], &look->st[i], dir_fd, err);
    if (rc != ERR_OK)
        return rc;
    raw_look(p, &after);
    if (!raw_look_same(look, &after))
        return err_fail(err, ERR_SOURCE_BUSY, "%s changed while it was copied", p->shown);
    return ERR_OK;
}

enum errc private_copy_make(const struct place *p, struct private_copy *out, struct err *err)
{
    struct raw_look look;
    uint64_t bytes = 0;
    int fd = -1;
    enum errc rc;
    char path[sizeof out->dir + sizeof p->name + 1];

    memset(out, 0, sizeof *out);
    out->place.dir_fd = -1;
    raw_look(p, &look);
    for (size_t i = 0; i < RAW_FILES; i++)
        bytes += look.there[i] ? (uint64_t)look.st[i].st_size : 0;
    rc = make_directory(out, bytes, &fd, err);
    if (rc != ERR_OK)
        return rc;
    for (int i = 0; i < TRIES; i++) {
        raw_look(p, &look);
        rc = look.there[0] ? copy_all(p, &look, fd, err) : err_fail(err, ERR_SOURCE_MISSING, "%s has gone", p->shown);
        if (rc != ERR_SOURCE_BUSY)
            break;
    }
    if (rc == ERR_OK && geteuid() == 0 && fchown(fd, p->st.st_uid, p->st.st_gid) != 0)
        rc = err_sys(err, ERR_IO, errno, "cannot give away a private copy of %s", p->shown);
    io_close_quietly(&fd);
    snprintf(path, sizeof path, "%s/%s", out->dir, p->name);
    if (rc == ERR_OK)
        rc = place_open(&out->place, path, false, err);
    if (rc != ERR_OK)
        private_copy_remove(out);
    return rc;
}

void private_copy_remove(struct private_copy *c)
{
    int fd = c->dir[0] ? open(c->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

    if (d) {
        for (struct dirent *e; (e = readdir(d));)
            if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                (void)unlinkat(fd, e->d_name, 0);
        closedir(d);
    } else {
        io_close_quietly(&fd);
    }
    if (c->dir[0])
        (void)rmdir(c->dir);
    c->dir[0] = '\0';
    place_release(&c->place);
}
