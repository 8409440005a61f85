#include "source/sqlite/funnel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source/sqlite/header.h"

struct funnel_file {
    sqlite3_file base;
    struct funnel *funnel;
};

static struct funnel *funnel_of(sqlite3_file *f)
{
    return ((struct funnel_file *)f)->funnel;
}

static int f_close(sqlite3_file *f)
{
    (void)f;
    return SQLITE_OK;
}

/* The destination begins empty and is never read back. */
static int f_read(sqlite3_file *f, void *dst, int len, sqlite3_int64 at)
{
    (void)f;
    (void)at;
    memset(dst, 0, (size_t)len);
    return SQLITE_IOERR_SHORT_READ;
}

static int spool(struct funnel *n, const void *src, int len, sqlite3_int64 at)
{
    const uint8_t *p = src;
    uint64_t end = (uint64_t)at + (uint64_t)len;

    while (len > 0) {
        ssize_t done = pwrite(n->spool_fd, p, (size_t)len, at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            n->write_errno = done < 0 ? errno : ENOSPC;
            return SQLITE_FULL;
        }
        p += done;
        at += done;
        len -= (int)done;
    }
    n->next = end > n->next ? end : n->next;
    return SQLITE_OK;
}

static bool emit_lock_page(struct funnel *n)
{
    static const uint8_t zeros[DB_PAGE_MIN];

    for (uint32_t at = 0; at < n->page_size; at += sizeof zeros)
        if (!n->emit(n->arg, zeros, sizeof zeros))
            return false;
    n->next += n->page_size;
    return true;
}

static int f_write(sqlite3_file *f, const void *src, int len, sqlite3_int64 at)
{
    struct funnel *n = funnel_of(f);

    if (at == 0) {
        if ((uint32_t)len != n->page_size || !db_page1_same(src, n->page1, n->page_size)) {
            n->disorder = true;
            return SQLITE_IOERR_WRITE;
        }
        n->page1_seen = true;
        return SQLITE_OK;
    }
    if (n->spool_fd >= 0)
        return spool(n, src, len, at);
    if (n->next == DB_LOCK_BYTE && at > DB_LOCK_BYTE && !emit_lock_page(n))
        return SQLITE_IOERR_WRITE;
    if ((uint64_t)at != n->next || (uint32_t)len != n->page_size) {
        n->disorder = true;
        return SQLITE_IOERR_WRITE;
    }
    if (!n->emit(n->arg, src, (size_t)len))
        return SQLITE_IOERR_WRITE;
    n->next += (uint64_t)len;
    return SQLITE_OK;
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    (void)f;
    (void)size;
    return SQLITE_OK;
}

static int f_int(sqlite3_file *f, int value)
{
    (void)f;
    (void)value;
    return SQLITE_OK;
}

static int f_size(sqlite3_file *f, sqlite3_int64 *out)
{
    (void)f;
    *out = 0;
    return SQLITE_OK;
}

static int f_reserved(sqlite3_file *f, int *out)
{
    (void)f;
    *out = 0;
    return SQLITE_OK;
}

static int f_control(sqlite3_file *f, int op, void *arg)
{
    (void)f;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int f_zero(sqlite3_file *f)
{
    (void)f;
    return 0;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = f_close,
    .xRead = f_read,
    .xWrite = f_write,
    .xTruncate = f_truncate,
    .xSync = f_int,
    .xFileSize = f_size,
    .xLock = f_int,
    .xUnlock = f_int,
    .xCheckReservedLock = f_reserved,
    .xFileControl = f_control,
    .xSectorSize = f_zero,
    .xDeviceCharacteristics = f_zero,
};

static int v_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *flags_out)
{
    (void)name;
    f->pMethods = NULL;
    if (!(flags & SQLITE_OPEN_MAIN_DB))
        return SQLITE_CANTOPEN; /* no journal, no temporary file */
    ((struct funnel_file *)f)->funnel = v->pAppData;
    f->pMethods = &methods;
    if (flags_out)
        *flags_out = flags;
    return SQLITE_OK;
}

static int v_delete(sqlite3_vfs *v, const char *name, int sync_dir)
{
    (void)v;
    (void)name;
    (void)sync_dir;
    return SQLITE_OK;
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

int funnel_register(struct funnel *f)
{
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);

    if (!real)
        return SQLITE_ERROR;
    f->vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = sizeof(struct funnel_file),
        .mxPathname = 64,
        .zName = "snap-funnel",
        .pAppData = f,
        .xOpen = v_open,
        .xDelete = v_delete,
        .xAccess = v_access,
        .xFullPathname = v_full_path,
        .xRandomness = real->xRandomness,
        .xSleep = real->xSleep,
        .xCurrentTime = real->xCurrentTime,
        .xGetLastError = real->xGetLastError,
    };
    f->next = f->page_size;
    if (f->spool_fd < 0 && !f->emit(f->arg, f->page1, f->page_size))
        return SQLITE_IOERR_WRITE;
    return sqlite3_vfs_register(&f->vfs, 0);
}

void funnel_unregister(struct funnel *f)
{
    sqlite3_vfs_unregister(&f->vfs);
}

bool funnel_complete(struct funnel *f, uint64_t page_count)
{
    uint64_t size = page_count * f->page_size;

    if (f->spool_fd < 0 && f->next == DB_LOCK_BYTE && size == (uint64_t)DB_LOCK_BYTE + f->page_size &&
        !emit_lock_page(f))
        return false;
    return f->page1_seen && (f->spool_fd >= 0 ? f->next <= size : f->next == size);
}
