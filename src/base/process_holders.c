/* Who holds a file open or mapped. Nothing here may hang: links are read before they are followed, only those that
 * name a file are, and a file server is never asked. */
#include "base/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/io.h"

struct wanted {
    dev_t dev;
    ino_t ino;
};

struct finding {
    bool held, writable;
    bool incomplete;
};

static void note_failure(struct finding *f, int e)
{
    if (e != ENOENT && e != ESRCH) /* those two: it has just ended */
        f->incomplete = true;
}

static bool is_wanted(int dir, const char *link, const struct wanted *w)
{
    struct statx stx;
    return statx(dir, link, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO, &stx) == 0 && stx.stx_ino == w->ino &&
           makedev(stx.stx_dev_major, stx.stx_dev_minor) == w->dev;
}

static DIR *open_dir(int at, const char *name, struct finding *f)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        note_failure(f, errno);
        io_close_quietly(&fd);
    }
    return dir;
}

static void scan_descriptors(int process, const struct wanted *w, struct finding *f)
{
    DIR *dir = open_dir(process, "fd", f);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char first;
        /* Pipes, sockets and the like are "socket:[1]", not a path. */
        if (e->d_name[0] == '.' || readlinkat(dirfd(dir), e->d_name, &first, 1) != 1 || first != '/')
            continue;
        struct stat link;
        if (!is_wanted(dirfd(dir), e->d_name, w))
            continue;
        f->held = true;
        /* The link's own mode says how the descriptor was opened. */
        if (fstatat(dirfd(dir), e->d_name, &link, AT_SYMLINK_NOFOLLOW) == 0 && (link.st_mode & S_IWUSR))
            f->writable = true;
    }
    if (dir)
        closedir(dir);
}

struct mapping {
    unsigned long long start, end, major, minor, ino;
    char perms[4]; /* "rw-s": not terminated */
};

/* A number at *p and the byte behind it, which must be delimiter. */
static bool take_number(const char **p, int base, char delimiter, unsigned long long *out)
{
    char *behind;
    *out = strtoull(*p, &behind, base);
    if (behind == *p || *behind != delimiter)
        return false;
    *p = behind + 1;
    return true;
}

/* "7f00-7f10 rw-s 00000000 08:01 1234   /path" */
static bool parse_mapping(const char *p, struct mapping *m)
{
    unsigned long long offset;
    if (!take_number(&p, 16, '-', &m->start) || !take_number(&p, 16, ' ', &m->end) ||
        strcspn(p, " ") != sizeof m->perms)
        return false;
    memcpy(m->perms, p, sizeof m->perms);
    p += sizeof m->perms;
    return take_number(&p, 16, ' ', &offset) && take_number(&p, 16, ':', &m->major) &&
           take_number(&p, 16, ' ', &m->minor) && take_number(&p, 10, ' ', &m->ino);
}

/* On some file systems (btrfs) maps shows another device than stat does: there the inode only picks out the lines that
 * are worth a look at map_files, which only root has. */
static void match_mapping(int process, const char *line, const struct wanted *w, struct finding *f)
{
    struct mapping m;
    char link[64];
    if (!parse_mapping(line, &m) || m.ino != w->ino)
        return;
    snprintf(link, sizeof link, "map_files/%llx-%llx", m.start, m.end);
    if (makedev((unsigned)m.major, (unsigned)m.minor) != w->dev && !is_wanted(process, link, w))
        return;
    f->held = true;
    if (m.perms[1] == 'w' && m.perms[3] == 's')
        f->writable = true;
}

static void scan_mappings(int process, const struct wanted *w, struct finding *f)
{
    int fd = openat(process, "maps", O_RDONLY | O_CLOEXEC);
    FILE *maps = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (!maps) {
        note_failure(f, errno);
        io_close_quietly(&fd);
        return;
    }
    char *line = NULL;
    size_t cap = 0;
    while (getline(&line, &cap, maps) > 0)
        match_mapping(process, line, w, f);
    if (ferror(maps))
        note_failure(f, errno);
    free(line);
    fclose(maps);
}

static void read_name(int process, char *name, size_t cap)
{
    size_t got = 0;
    int fd = openat(process, "comm", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || io_read(fd, name, cap - 1, &got, "a process's name", NULL) != ERR_OK)
        got = 0;
    io_close_quietly(&fd);
    name[got] = '\0';
    name[strcspn(name, "\n")] = '\0';
}

/* The process a name in /proc stands for, 0 if it is something else. */
static pid_t parse_pid(const char *name)
{
    long pid = 0;
    for (; *name; name++) {
        if (*name < '0' || *name > '9' || pid > INT32_MAX / 10)
            return 0;
        pid = pid * 10 + (*name - '0');
    }
    return (pid_t)pid;
}

enum errc process_find_holders(dev_t dev, ino_t ino, struct holder *out, size_t max, size_t *count_out,
                               bool *incomplete_out, struct err *err)
{
    struct wanted w = {dev, ino};
    size_t count = 0;
    DIR *proc = opendir("/proc");
    if (!proc)
        return err_sys(err, ERR_IO, errno, "cannot look for the processes that use a file in /proc");
    /* Mounted with hidepid, /proc leaves other users' processes out altogether. */
    bool incomplete = faccessat(dirfd(proc), "1", F_OK, 0) != 0;
    for (struct dirent *e; count < max && (e = readdir(proc));) {
        pid_t pid = parse_pid(e->d_name);
        if (pid == 0 || pid == getpid())
            continue;
        struct finding f = {false, false, false};
        int process = openat(dirfd(proc), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (process < 0) {
            note_failure(&f, errno);
        } else {
            scan_descriptors(process, &w, &f);
            scan_mappings(process, &w, &f);
            if (f.held) {
                out[count] = (struct holder){.pid = pid, .writable = f.writable};
                read_name(process, out[count].name, sizeof out[count].name);
                count++;
            }
            io_close_quietly(&process);
        }
        incomplete = incomplete || f.incomplete;
    }
    closedir(proc);
    *count_out = count;
    *incomplete_out = incomplete;
    return ERR_OK;
}
