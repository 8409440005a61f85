#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "catalog/db.h"

static int set_lock(int fd, enum lock_byte byte, short type)
{
    struct flock f = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int r;

    do
        r = fcntl(fd, F_OFD_SETLK, &f);
    while (r < 0 && errno == EINTR);
    return r < 0 ? errno : 0;
}

enum errc lock_take(int fd, enum lock_byte byte, bool exclusive, unsigned wait_ms, struct err *err)
{
    uint64_t deadline = monotonic_ns() + (uint64_t)wait_ms * 1000000;
    uint64_t pause = 200 * 1000; /* ns; doubled up to 20 ms */

    for (;;) {
        int e = set_lock(fd, byte, exclusive ? F_WRLCK : F_RDLCK);

        if (e != EAGAIN && e != EACCES)
            return ERR_OK; /* taken, or a file system without locks: SQLite's own still stand */
        if (monotonic_ns() >= deadline)
            break;
        (void)nanosleep(&(struct timespec){.tv_nsec = (long)pause}, NULL);
        if (pause < 20 * 1000000)
            pause *= 2;
    }
    return err_fail(err, ERR_LOCKED, "the catalog is in use by another snap");
}

void lock_drop(int fd, enum lock_byte byte)
{
    if (fd >= 0)
        (void)set_lock(fd, byte, F_UNLCK);
}
