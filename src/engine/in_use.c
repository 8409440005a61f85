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

/* A field of a mountinfo line, with its octal escapes undone. */
static bool mount_field(const char *line, int number, char *dst, size_t cap)
{
    const char *field = line;
    for (int i = 0; i < number; i++) {
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

enum { MOUNT_DEVICE = 2, MOUNT_ROOT = 3, MOUNT_POINT = 4 };

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
        *found_out = mount_field(line, MOUNT_POINT, name_out, cap) && path_is_within(name_out, at);
    free(line);
    free(at);
    fclose(f);
    return ERR_OK;
}

void fs_place_release(struct fs_place *p)
{
    free(p->path);
    *p = (struct fs_place){.path = NULL};
}

/* Of mounts over one another the last is what is seen. */
enum errc fs_place_of(const char *path, struct fs_place *out, struct err *err)
{
    char *line = NULL, point[4096], root[4096];
    size_t size = 0, best = 0;
    enum errc rc = ERR_OK;
    *out = (struct fs_place){.path = NULL};
    FILE *f = fopen("/proc/self/mountinfo", "re");
    if (!f)
        return ERR_OK; /* a rescue system may have no /proc */
    while (rc == ERR_OK && getline(&line, &size, f) > 0) {
        if (!mount_field(line, MOUNT_POINT, point, sizeof point) || !path_is_within(path, point) ||
            strlen(point) < best || !mount_field(line, MOUNT_ROOT, root, sizeof root) || root[0] != '/')
            continue;
        best = strlen(point);
        const char *rest = path + (best > 1 ? best : 0);
        fs_place_release(out);
        (void)mount_field(line, MOUNT_DEVICE, out->device, sizeof out->device);
        while (*rest == '/')
            rest++;
        rc = *rest ? path_join(root, rest, &out->path, err) : mem_strdup(&out->path, root, err);
    }
    free(line);
    fclose(f);
    return rc;
}

bool fs_place_is_within(const struct fs_place *a, const struct fs_place *b)
{
    return a->path && b->path && strcmp(a->device, b->device) == 0 && path_is_within(a->path, b->path);
}
