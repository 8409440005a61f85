#include "source/sqlite/image.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct image_file {
    sqlite3_file base;
    int fd;
};

static int fd_of(sqlite3_file *f)
{
    return ((struct image_file *)f)->fd;
}

static int i_close(sqlite3_file *f)
{
    (void)f;
    return SQLITE_OK;
}

static int i_read(sqlite3_file *f, void *dst, int len, sqlite3_int64 at)
{
    int got = 0;

    while (got < len) {
        ssize_t n = pread(fd_of(f), (char *)dst + got, (size_t)(len - got), at + got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return SQLITE_IOERR_READ;
        if (n == 0)
            break;
        got += (int)n;
    }
    if (got == len)
        return SQLITE_OK;
    memset((char *)dst + got, 0, (size_t)(len - got));
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
    struct stat st;

    if (fstat(fd_of(f), &st) != 0)
        return SQLITE_IOERR_FSTAT;
    *out = st.st_size;
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
    ((struct image_file *)f)->fd = ((struct image *)v->pAppData)->fd;
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

int image_open(struct image *m, int fd, sqlite3 **db_out)
{
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);

    *db_out = NULL;
    memset(m, 0, sizeof *m);
    if (!real)
        return SQLITE_ERROR;
    m->fd = fd;
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

void image_unregister(struct image *m)
{
    if (m->vfs.zName)
        (void)sqlite3_vfs_unregister(&m->vfs);
}
