#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"
#include "engine/swap.h"

bool file_is_database(int dir, const char *name)
{
    uint8_t first[SQLITE_MAGIC_BYTES];
    struct err ignored;
    size_t got = 0;
    int fd;
    if (io_open(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, &fd, &ignored) != ERR_OK)
        return false;
    bool yes = io_pread(fd, first, sizeof first, 0, &got, name, &ignored) == ERR_OK && sqlite_looks_like(first, got);
    io_close_quietly(&fd);
    return yes;
}

static void program_name(const char *pid, char *dst, size_t cap)
{
    char path[300];
    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    dst[0] = '\0';
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    if (fgets(dst, (int)cap, f))
        dst[strcspn(dst, "\n")] = '\0';
    fclose(f);
}

struct looking {
    const char *dir; /* as the kernel names it */
    struct open_file *out;
    size_t max, *count;
};

static void found(const struct looking *l, const char *pid, const char *path, bool is_cwd)
{
    if (path[0] != '/' || !path_is_within(path, l->dir) || (!is_cwd && strcmp(path, l->dir) == 0))
        return;
    for (size_t i = *l->count < l->max ? *l->count : l->max; i-- > 0;) {
        const struct open_file *f = &l->out[i];
        if (f->pid != (pid_t)strtol(pid, NULL, 10))
            break;
        if (strncmp(f->path, path, sizeof f->path - 1) == 0)
            return; /* by another descriptor, or mapped too */
    }
    if (*l->count < l->max) {
        struct open_file *f = &l->out[*l->count];
        f->pid = (pid_t)strtol(pid, NULL, 10);
        f->is_cwd = is_cwd;
        program_name(pid, f->name, sizeof f->name);
        snprintf(f->path, sizeof f->path, "%.*s", (int)sizeof f->path - 1, path);
    }
    ++*l->count;
}

static void look_at_descriptors(const struct looking *l, const char *pid)
{
    char name[300], target[4096];
    snprintf(name, sizeof name, "/proc/%s/cwd", pid);
    ssize_t len = readlink(name, target, sizeof target - 1);
    if (len > 0) {
        target[len] = '\0';
        found(l, pid, target, true);
    }
    snprintf(name, sizeof name, "/proc/%s/fd", pid);
    DIR *d = opendir(name);
    if (!d)
        return; /* gone, or not ours to look at */
    struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        len = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
        if (len <= 0)
            continue;
        target[len] = '\0';
        found(l, pid, target, false);
    }
    closedir(d);
}

/* A file stays in use by its mapping when its descriptor is closed, as vector indexes do. */
static void look_at_mappings(const struct looking *l, const char *pid)
{
    char name[300], *line = NULL;
    size_t size = 0;
    snprintf(name, sizeof name, "/proc/%s/maps", pid);
    FILE *f = fopen(name, "re");
    if (!f)
        return;
    while (getline(&line, &size, f) > 0) {
        char *path = strchr(line, '/');
        if (!path)
            continue;
        path[strcspn(path, "\n")] = '\0';
        found(l, pid, path, false);
    }
    free(line);
    fclose(f);
}

enum errc open_files_below(const char *dir, struct open_file *out, size_t max, size_t *count_out, struct err *err)
{
    char *real = realpath(dir, NULL);
    struct looking l = {.dir = real ? real : dir, .out = out, .max = max, .count = count_out};
    *count_out = 0;
    DIR *d = opendir("/proc");
    if (!d) {
        free(real);
        return err_sys(err, ERR_IO, errno, "cannot look at /proc for programs that use %s", dir);
    }
    struct dirent *e;
    pid_t self = getpid();
    while ((e = readdir(d)) != NULL)
        if (isdigit((unsigned char)e->d_name[0]) && (pid_t)strtol(e->d_name, NULL, 10) != self) {
            look_at_descriptors(&l, e->d_name);
            look_at_mappings(&l, e->d_name);
        }
    closedir(d);
    free(real);
    return ERR_OK;
}

/* The fifth field of a mountinfo line, with its octal escapes undone. */
static bool mount_point(char *line, char *dst, size_t cap)
{
    char *field = line;
    for (int i = 0; i < 4; i++) {
        field = strchr(field, ' ');
        if (!field)
            return false;
        field++;
    }
    size_t n = 0;
    for (; *field && *field != ' ' && n + 1 < cap; field++) {
        if (field[0] == '\\' && field[1] && field[2] && field[3]) {
            dst[n++] = (char)((field[1] - '0') * 64 + (field[2] - '0') * 8 + (field[3] - '0'));
            field += 3;
        } else {
            dst[n++] = *field;
        }
    }
    dst[n] = '\0';
    return true;
}

enum errc mounts_below(const char *dir, bool *found_out, char *name_out, size_t cap, struct err *err)
{
    char *line = NULL, *parent = NULL, *real = NULL, *at = NULL;
    size_t size = 0;
    *found_out = false;
    enum errc rc =
        path_parent(dir, &parent, err); /* a link at dir itself is not followed: it is what would be replaced */
    if (rc == ERR_OK)
        real = realpath(parent, NULL);
    if (rc == ERR_OK)
        rc = path_join(real ? real : parent, path_base(dir), &at, err);
    free(parent);
    free(real);
    if (rc != ERR_OK)
        return rc;
    FILE *f = fopen("/proc/self/mountinfo", "re");
    if (!f) {
        rc = err_sys(err, ERR_IO, errno, "cannot read /proc/self/mountinfo");
        free(at);
        return rc;
    }
    while (!*found_out && getline(&line, &size, f) > 0)
        *found_out = mount_point(line, name_out, cap) && path_is_within(name_out, at);
    free(line);
    free(at);
    fclose(f);
    return ERR_OK;
}
