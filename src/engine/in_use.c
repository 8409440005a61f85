#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "engine/swap.h"

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

static void look_at_process(const char *pid, const char *dir, struct open_file *out, size_t max, size_t *count)
{
    char fds[300], target[4096];
    snprintf(fds, sizeof fds, "/proc/%s/fd", pid);
    DIR *d = opendir(fds);
    if (!d)
        return; /* gone, or not ours to look at */
    struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        ssize_t len = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
        if (len <= 0)
            continue;
        target[len] = '\0';
        if (target[0] != '/' || !path_is_within(target, dir) || strcmp(target, dir) == 0)
            continue;
        if (*count < max) {
            struct open_file *f = &out[*count];
            f->pid = (pid_t)strtol(pid, NULL, 10);
            program_name(pid, f->name, sizeof f->name);
            snprintf(f->path, sizeof f->path, "%.*s", (int)sizeof f->path - 1, target);
        }
        ++*count;
    }
    closedir(d);
}

enum errc open_files_below(const char *dir, struct open_file *out, size_t max, size_t *count_out, struct err *err)
{
    *count_out = 0;
    DIR *d = opendir("/proc");
    if (!d)
        return err_sys(err, ERR_IO, errno, "cannot look at /proc for programs that use %s", dir);
    struct dirent *e;
    pid_t self = getpid();
    while ((e = readdir(d)) != NULL)
        if (isdigit((unsigned char)e->d_name[0]) && (pid_t)strtol(e->d_name, NULL, 10) != self)
            look_at_process(e->d_name, dir, out, max, count_out);
    closedir(d);
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
    char *line = NULL;
    size_t size = 0;
    *found_out = false;
    FILE *f = fopen("/proc/self/mountinfo", "re");
    if (!f)
        return err_sys(err, ERR_IO, errno, "cannot read /proc/self/mountinfo");
    while (!*found_out && getline(&line, &size, f) > 0)
        *found_out = mount_point(line, name_out, cap) && path_is_within(name_out, dir);
    free(line);
    fclose(f);
    return ERR_OK;
}
