#include "source/sqlite/guard.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file of ours, with SQLite's own behind it in the same allocation. */
struct guard_file {
    sqlite3_file base;
    struct guard *guard;
    int kind; /* one of the SQLITE_OPEN_*_DB, _JOURNAL, _WAL bits */
};

enum {
    KINDS = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TRANSIENT_DB | SQLITE_OPEN_MAIN_JOURNAL |
            SQLITE_OPEN_TEMP_JOURNAL | SQLITE_OPEN_SUBJOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL,
    LIVE_KINDS = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL,
    REAL_AT = (sizeof(struct guard_file) + 15) & ~15,
};

static struct guard_file *own(sqlite3_file *f)
{
    return (struct guard_file *)f;
}

static sqlite3_file *real_of(sqlite3_file *f)
{
    return (sqlite3_file *)(void *)((char *)f + REAL_AT);
}

static bool refused(sqlite3_file *f)
{
    struct guard_file *g = own(f);
    if (g->guard->writable || !(g->kind & LIVE_KINDS))
        return false;
    g->guard->denied = true;
    return true;
}

static int g_close(sqlite3_file *f)
{
    return real_of(f)->pMethods ? real_of(f)->pMethods->xClose(real_of(f)) : SQLITE_OK;
}

static int g_read(sqlite3_file *f, void *dst, int len, sqlite3_int64 at)
{
    static const char magic[] = "SQLite format 3";
    struct guard *g = own(f)->guard;

    int rc = real_of(f)->pMethods->xRead(real_of(f), dst, len, at);

    if (g->armed && rc == SQLITE_OK && len >= DB_PAGE_MIN && len <= DB_PAGE_MAX && (len & (len - 1)) == 0 &&
        (own(f)->kind & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) && memcmp(dst, magic, sizeof magic) == 0) {
        memcpy(g->page, dst, (size_t)len);
        g->page_len = (uint32_t)len;
    }
    return rc;
}

static int g_write(sqlite3_file *f, const void *src, int len, sqlite3_int64 at)
{
    return refused(f) ? SQLITE_READONLY : real_of(f)->pMethods->xWrite(real_of(f), src, len, at);
}

static int g_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return refused(f) ? SQLITE_READONLY : real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int g_sync(sqlite3_file *f, int flags)
{
    if (!own(f)->guard->writable && (own(f)->kind & LIVE_KINDS))
        return SQLITE_OK; /* nothing was written */
    return real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int g_size(sqlite3_file *f, sqlite3_int64 *out)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), out);
}

static int g_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int g_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int g_reserved(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int g_control(sqlite3_file *f, int op, void *arg)
{
    /* Hints that would change the file. */
    if (!own(f)->guard->writable && (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE))
        return SQLITE_OK;
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int g_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int g_device(sqlite3_file *f)
{
    int traits = real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));

    return own(f)->guard->frozen ? traits | SQLITE_IOCAP_IMMUTABLE : traits;
}

static int g_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **out)
{
    int rc = real_of(f)->pMethods->xShmMap(real_of(f), region, size, extend, out);

    if (rc == SQLITE_OK && region == 0 && size >= WAL_INDEX_HEADER_BYTES)
        own(f)->guard->wal_index = *out;
    return rc;
}

static int g_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void g_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

/* The WAL is being closed and the database still holds its shared lock. If it can be made exclusive, nobody else is
 * connected; and nobody can connect until the database is closed, right after this. */
static int g_shm_unmap(sqlite3_file *f, int delete)
{
    struct guard *g = own(f)->guard;
    const struct sqlite3_io_methods *m = real_of(f)->pMethods;
    char wal[GUARD_NAME_MAX + 8];
    struct stat st;

    if (!delete &&g->tidy && !(g->had_wal && g->had_shm) && m->xLock(real_of(f), SQLITE_LOCK_EXCLUSIVE) == SQLITE_OK) {
        snprintf(wal, sizeof wal, "%s-wal", g->name);
        if (!g->had_wal && lstat(wal, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
            (void)unlink(wal);
        delete = !g->had_shm;
    }
    g->wal_index = NULL;
    return m->xShmUnmap(real_of(f), delete);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, /* no xFetch: databases are read, never mapped */
    .xClose = g_close,
    .xRead = g_read,
    .xWrite = g_write,
    .xTruncate = g_truncate,
    .xSync = g_sync,
    .xFileSize = g_size,
    .xLock = g_lock,
    .xUnlock = g_unlock,
    .xCheckReservedLock = g_reserved,
    .xFileControl = g_control,
    .xSectorSize = g_sector,
    .xDeviceCharacteristics = g_device,
    .xShmMap = g_shm_map,
    .xShmLock = g_shm_lock,
    .xShmBarrier = g_shm_barrier,
    .xShmUnmap = g_shm_unmap,
};
static const sqlite3_io_methods methods_without_shm = {
    .iVersion = 1,
    .xClose = g_close,
    .xRead = g_read,
    .xWrite = g_write,
    .xTruncate = g_truncate,
    .xSync = g_sync,
    .xFileSize = g_size,
    .xLock = g_lock,
    .xUnlock = g_unlock,
    .xCheckReservedLock = g_reserved,
    .xFileControl = g_control,
    .xSectorSize = g_sector,
    .xDeviceCharacteristics = g_device,
};

static struct guard *guard_of(sqlite3_vfs *v)
{
    return v->pAppData;
}

static int v_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *flags_out)
{
    struct guard *g = guard_of(v);
    int kind = flags & KINDS;

    memset(f, 0, (size_t)v->szOsFile);
    own(f)->guard = g;
    own(f)->kind = kind;
    if (kind & SQLITE_OPEN_SUPER_JOURNAL) {
        g->denied = true;
        return SQLITE_CANTOPEN;
    }
    /* A reader has no business making a journal. The WAL must be made by whoever comes first. */
    if (!g->writable && (kind & SQLITE_OPEN_MAIN_JOURNAL) && (flags & SQLITE_OPEN_CREATE)) {
        g->denied = true;
        return SQLITE_CANTOPEN;
    }
    int rc = g->real->xOpen(g->real, name, real_of(f), flags, flags_out);
    if (rc == SQLITE_OK)
        f->pMethods =
            real_of(f)->pMethods->iVersion >= 2 && real_of(f)->pMethods->xShmMap ? &methods : &methods_without_shm;
    return rc;
}

static int v_delete(sqlite3_vfs *v, const char *name, int sync_dir)
{
    struct guard *g = guard_of(v);
    char allowed[GUARD_NAME_MAX + 16];

    if (g->writable) {
        snprintf(allowed, sizeof allowed, "%s-journal", g->name);
        bool ok = strcmp(name, allowed) == 0;
        snprintf(allowed, sizeof allowed, "%s-wal", g->name);
        if (ok || strcmp(name, allowed) == 0)
            return g->real->xDelete(g->real, name, sync_dir);
    }
    g->denied = true;
    return SQLITE_IOERR_DELETE;
}

static int v_access(sqlite3_vfs *v, const char *name, int flags, int *out)
{
    return guard_of(v)->real->xAccess(guard_of(v)->real, name, flags, out);
}

static int v_full_path(sqlite3_vfs *v, const char *name, int cap, char *out)
{
    (void)v;
    if (strlen(name) >= (size_t)cap)
        return SQLITE_CANTOPEN;
    memcpy(out, name, strlen(name) + 1);
    return SQLITE_OK;
}

static int v_randomness(sqlite3_vfs *v, int len, char *out)
{
    return guard_of(v)->real->xRandomness(guard_of(v)->real, len, out);
}

static int v_sleep(sqlite3_vfs *v, int us)
{
    return guard_of(v)->real->xSleep(guard_of(v)->real, us);
}

static int v_time(sqlite3_vfs *v, double *out)
{
    return guard_of(v)->real->xCurrentTime(guard_of(v)->real, out);
}

static int v_last_error(sqlite3_vfs *v, int len, char *out)
{
    return guard_of(v)->real->xGetLastError(guard_of(v)->real, len, out);
}

static bool is_there(const char *name, const char *suffix)
{
    char path[GUARD_NAME_MAX + 16];
    struct stat st;

    snprintf(path, sizeof path, "%s%s", name, suffix);
    return lstat(path, &st) == 0;
}

/* As root, SQLite gives every WAL it opens to the owner of the database. The helper is that owner, and the call would
 * change the time of a file that nobody wrote to: the next look would take it for changed. */
static int no_fchown(int fd, uid_t uid, gid_t gid)
{
    (void)fd;
    (void)uid;
    (void)gid;
    return 0;
}

int guard_register(struct guard *g, const char *vfs_name, const char *name)
{
    memset(g, 0, sizeof *g);
    if (strlen(name) >= sizeof g->name)
        return SQLITE_CANTOPEN;
    memcpy(g->name, name, strlen(name) + 1);
    g->had_wal = is_there(name, "-wal");
    g->had_shm = is_there(name, "-shm");
    g->real = sqlite3_vfs_find(NULL);
    if (!g->real)
        return SQLITE_ERROR;
    if (g->real->iVersion >= 3)
        (void)g->real->xSetSystemCall(g->real, "fchown", (sqlite3_syscall_ptr)no_fchown);
    g->vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = REAL_AT + g->real->szOsFile,
        .mxPathname = g->real->mxPathname,
        .zName = vfs_name,
        .pAppData = g,
        .xOpen = v_open,
        .xDelete = v_delete,
        .xAccess = v_access,
        .xFullPathname = v_full_path,
        .xRandomness = v_randomness,
        .xSleep = v_sleep,
        .xCurrentTime = v_time,
        .xGetLastError = v_last_error,
    };
    return sqlite3_vfs_register(&g->vfs, 0);
}

void guard_unregister(struct guard *g)
{
    if (g->real)
        sqlite3_vfs_unregister(&g->vfs);
}

bool guard_wal_state(const struct guard *g, uint8_t out[WAL_INDEX_HEADER_BYTES])
{
    const volatile uint8_t *p = g->wal_index;

    if (!p)
        return false;
    for (int i = 0; i < WAL_INDEX_HEADER_BYTES; i++)
        out[i] = p[i];
    return memcmp(out, out + WAL_INDEX_HEADER_BYTES / 2, WAL_INDEX_HEADER_BYTES / 2) == 0;
}
