#include "source/sqlite/image.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct image_file {
    sqlite3_file base;
    const struct image_source *source;
};

static bool fd_size(void *arg, uint64_t *out)
{
    struct stat st;

    if (fstat(((struct image *)arg)->fd, &st) != 0)
        return false;
    *out = (uint64_t)st.st_size;
    return true;
}

static bool fd_read(void *arg, void *dst, size_t len, uint64_t offset)
{
    const struct image *m = arg;
    size_t got = 0;

    while (got < len) {
        ssize_t n = pread(m->fd, (char *)dst + got, len - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

static int i_close(sqlite3_file *f)
{
    (void)f;
    return SQLITE_OK;
}

static int i_read(sqlite3_file *f, void *dst, int len, sqlite3_int64 at)
{
    const struct image_source *s = ((struct image_file *)f)->source;
    uint64_t size = 0, offset = (uint64_t)at;
    size_t want = (size_t)len;

    if (at < 0 || len < 0 || !s->size(s->arg, &size))
        return SQLITE_IOERR_READ;
    if (offset >= size)
        want = 0;
    else if (size - offset < want)
        want = (size_t)(size - offset);
    if (want > 0 && !s->read(s->arg, dst, want, offset))
        return SQLITE_IOERR_READ;
    if (want == (size_t)len)
        return SQLITE_OK;
    memset((char *)dst + want, 0, (size_t)len - want);
    return SQLITE_IOERR_SHORT_READ;
}

static int i_write(sqlite3_file *f, const void *src, int len, sqlite3_int64 at)
{
    (void)f;
    (void)src;
    (void)len;
    (void)at;
    return SQLITE_READONLY;
}

static int i_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    (void)f;
    (void)size;
    return SQLITE_READONLY;
}

static int i_ok(sqlite3_file *f, int value)
{
    (void)f;
    (void)value;
    return SQLITE_OK;
}

static int i_size(sqlite3_file *f, sqlite3_int64 *out)
{
    const struct image_source *s = ((struct image_file *)f)->source;
    uint64_t size;

    if (!s->size(s->arg, &size) || size > INT64_MAX)
        return SQLITE_IOERR_FSTAT;
    *out = (sqlite3_int64)size;
    return SQLITE_OK;
}

static int i_reserved(sqlite3_file *f, int *out)
{
    (void)f;
    *out = 0;
    return SQLITE_OK;
}

static int i_control(sqlite3_file *f, int op, void *arg)
{
    (void)f;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int i_sector(sqlite3_file *f)
{
    (void)f;
    return 0;
}

static int i_traits(sqlite3_file *f)
{
    (void)f;
    return SQLITE_IOCAP_IMMUTABLE;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = i_close,
    .xRead = i_read,
    .xWrite = i_write,
    .xTruncate = i_truncate,
    .xSync = i_ok,
    .xFileSize = i_size,
    .xLock = i_ok,
    .xUnlock = i_ok,
    .xCheckReservedLock = i_reserved,
    .xFileControl = i_control,
    .xSectorSize = i_sector,
    .xDeviceCharacteristics = i_traits,
};

static int v_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *flags_out)
{
    (void)name;
    f->pMethods = NULL;
    if (!(flags & SQLITE_OPEN_MAIN_DB))
        return SQLITE_CANTOPEN;
    ((struct image_file *)f)->source = &((struct image *)v->pAppData)->source;
    f->pMethods = &methods;
    if (flags_out)
        *flags_out = SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB;
    return SQLITE_OK;
}

static int v_delete(sqlite3_vfs *v, const char *name, int sync_dir)
{
    (void)v;
    (void)name;
    (void)sync_dir;
    return SQLITE_IOERR_DELETE;
}

static int v_access(sqlite3_vfs *v, const char *name, int flags, int *out)
{
    (void)v;
    (void)name;
    (void)flags;
    *out = 0;
    return SQLITE_OK;
}

static int v_full_path(sqlite3_vfs *v, const char *name, int cap, char *out)
{
    (void)v;
    if (strlen(name) >= (size_t)cap)
        return SQLITE_CANTOPEN;
    memcpy(out, name, strlen(name) + 1);
    return SQLITE_OK;
}

static int register_and_open(struct image *m, sqlite3 **db_out)
{
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);

    *db_out = NULL;
    if (!real)
        return SQLITE_ERROR;
    m->vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = sizeof(struct image_file),
        .mxPathname = 64,
        .zName = "snap-image",
        .pAppData = m,
        .xOpen = v_open,
        .xDelete = v_delete,
        .xAccess = v_access,
        .xFullPathname = v_full_path,
        .xRandomness = real->xRandomness,
        .xSleep = real->xSleep,
        .xCurrentTime = real->xCurrentTime,
        .xGetLastError = real->xGetLastError,
    };
    int rc = sqlite3_vfs_register(&m->vfs, 0);
    if (rc == SQLITE_OK)
        rc = sqlite3_open_v2("image", db_out, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, "snap-image");
    return rc;
}

int image_open(struct image *m, int fd, sqlite3 **db_out)
{
    memset(m, 0, sizeof *m);
    m->fd = fd;
    m->source = (struct image_source){.read = fd_read, .size = fd_size, .arg = m};
    return register_and_open(m, db_out);
}

int image_open_source(struct image *m, const struct image_source *source, sqlite3 **db_out)
{
    memset(m, 0, sizeof *m);
    m->fd = -1;
    m->source = *source;
    return register_and_open(m, db_out);
}

void image_unregister(struct image *m)
{
    if (m->vfs.zName)
        (void)sqlite3_vfs_unregister(&m->vfs);
}
