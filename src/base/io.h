/* System calls on files, made whole: retried after EINTR, continued after short transfers, counted.
 *
 * Layer: base. Every write, sync, link, rename and unlink of the program goes through here, so that a test can stop
 * the world at each of them (io_set_hook).
 *
 * Promises
 *   IO1  a call that returns ERR_OK transferred everything.
 *   IO2  a failed fsync or close is reported once and never retried; the caller condemns the file.
 *   IO3  ENOSPC, EDQUOT and EFBIG become ERR_NO_SPACE with the path in the message.
 * Every function names `what` (a path or a phrase, borrowed) in its message. Descriptors are opened O_CLOEXEC.
 */
#ifndef SNAP_BASE_IO_H
#define SNAP_BASE_IO_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"

enum io_op { IO_OPEN, IO_READ, IO_WRITE, IO_FSYNC, IO_LINK, IO_RENAME, IO_UNLINK, IO_MKDIR, IO_CLOSE };

/* Called before each operation; a non-zero result is the errno the operation fails with, without being tried. A hook
 * may also not return (a simulated kill). NULL takes it away. Tests only; set before threads start. */
void io_set_hook(int (*hook)(enum io_op op, const char *what, void *arg), void *arg);

/* openat with O_CLOEXEC. ENOENT is reported as ERR_IO with sys_errno ENOENT: look at err->sys_errno. */
MUST_USE enum errc io_open(int dirfd, const char *path, int flags, mode_t mode, int *fd_out, struct err *err);
/* Close *fd (if >= 0) and set it to -1; io_close_quietly is for cleanup paths where an error is already held. */
MUST_USE enum errc io_close(int *fd, const char *what, struct err *err);
void io_close_quietly(int *fd);

MUST_USE enum errc io_write(int fd, const void *data, size_t len, const char *what, struct err *err);
MUST_USE enum errc io_pwrite(int fd, const void *data, size_t len, uint64_t offset, const char *what, struct err *err);
/* Reads up to len bytes; *got_out < len only at the end of the file. */
MUST_USE enum errc io_read(int fd, void *data, size_t len, size_t *got_out, const char *what, struct err *err);
MUST_USE enum errc io_pread(int fd, void *data, size_t len, uint64_t offset, size_t *got_out, const char *what,
                            struct err *err);
/* As io_pread, but a short file is ERR_DAMAGED. */
MUST_USE enum errc io_pread_exact(int fd, void *data, size_t len, uint64_t offset, const char *what, struct err *err);

MUST_USE enum errc io_fsync(int fd, const char *what, struct err *err);     /* fsync */
MUST_USE enum errc io_fdatasync(int fd, const char *what, struct err *err); /* fdatasync */
MUST_USE enum errc io_syncfs(int fd, const char *what, struct err *err);
void io_start_writeback(int fd, uint64_t offset, uint64_t len); /* a hint; errors are left to fdatasync */

MUST_USE enum errc io_linkat(int olddir, const char *old, int newdir, const char *new_,
                             struct err *err); /* EEXIST in sys_errno */
MUST_USE enum errc io_renameat2(int olddir, const char *old, int newdir, const char *new_, unsigned flags,
                                struct err *err);
/* Rename where nothing stands under the new name: EEXIST in sys_errno otherwise. Where the file system cannot promise
 * that, it is looked at first. */
MUST_USE enum errc io_rename_new(int olddir, const char *old, int newdir, const char *new_, struct err *err);
/* Did this error say that the file system does not know the flag (or the call)? */
bool io_is_unsupported(const struct err *err);
MUST_USE enum errc io_unlinkat(int dirfd, const char *path, int flags, struct err *err);
MUST_USE enum errc io_mkdirat(int dirfd, const char *path, mode_t mode, struct err *err);

/* Whole small file. ERR_LIMIT when it is larger than max bytes. Appends to b. */
MUST_USE enum errc io_read_file(int dirfd, const char *path, size_t max, struct buf *b, struct err *err);
/* Write path's content durably and without a moment in which it is half there: temporary file beside it, fsync,
 * rename (replace) or link (no replace: EEXIST in sys_errno), fsync of the directory. */
MUST_USE enum errc io_replace_file(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
                                   struct err *err);
MUST_USE enum errc io_create_file(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
                                  struct err *err);

/* A file without a name, 0600, in $TMPDIR, /var/tmp or /tmp, whichever takes one first; gone when closed. */
MUST_USE enum errc io_temp_file(int *fd_out, struct err *err);

/* Random bytes from the kernel; never fails short. */
MUST_USE enum errc io_random(void *out, size_t len, struct err *err);

/* Free bytes for this user on the file system of fd. */
MUST_USE enum errc io_free_space(int fd, uint64_t *bytes_out, struct err *err);

#endif
