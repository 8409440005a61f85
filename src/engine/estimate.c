#include "engine/estimate.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 128 };

struct estimate {
    const struct set_spec *set;
    pthread_t thread;
    atomic_ullong total; /* 0 until the end */
    atomic_bool stop;
};

/* Closes fd. What cannot be looked at counts nothing: this is only an estimate. */
static uint64_t bytes_below(struct estimate *e, int fd, unsigned depth)
{
    uint64_t sum = 0;
    DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return 0;
    }
    struct dirent *entry;
    while (!atomic_load(&e->stop) && (entry = readdir(d)) != NULL) {
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISREG(st.st_mode))
            sum += (uint64_t)st.st_size;
        if (!S_ISDIR(st.st_mode) || depth == DEPTH_MAX)
            continue;
        int sub = openat(dirfd(d), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub >= 0)
            sum += bytes_below(e, sub, depth + 1);
    }
    closedir(d);
    return sum;
}

static void *run(void *arg)
{
    struct estimate *e = arg;
    uint64_t sum = 0;
    for (size_t i = 0; i < e->set->source_count && !atomic_load(&e->stop); i++) {
        struct stat st;
        const char *path = e->set->sources[i].path;
        if (lstat(path, &st) != 0)
            continue;
        if (S_ISREG(st.st_mode))
            sum += (uint64_t)st.st_size;
        int fd = S_ISDIR(st.st_mode) ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (fd >= 0)
            sum += bytes_below(e, fd, 0);
    }
    if (!atomic_load(&e->stop))
        atomic_store(&e->total, sum);
    return NULL;
}

struct estimate *estimate_start(const struct set_spec *set, const struct diag *diag)
{
    struct estimate *e = NULL;
    if (!diag || !diag->progress || mem_alloc(&e, sizeof *e, NULL) != ERR_OK)
        return NULL;
    e->set = set;
    atomic_init(&e->total, 0);
    atomic_init(&e->stop, false);
    if (pthread_create(&e->thread, NULL, run, e) != 0) {
        free(e);
        return NULL;
    }
    return e;
}

uint64_t estimate_bytes(const struct estimate *e)
{
    return e ? atomic_load(&e->total) : 0;
}

void estimate_free(struct estimate *e)
{
    if (!e)
        return;
    atomic_store(&e->stop, true);
    pthread_join(e->thread, NULL);
    free(e);
}
