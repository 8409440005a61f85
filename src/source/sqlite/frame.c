#include "source/sqlite/frame.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/diag.h"

enum { POLL_MS = 250 };

bool frame_send(int fd, enum frame_kind kind, const void *payload, size_t len)
{
    uint32_t head[2] = {kind, (uint32_t)len};
    union {
        const void *borrowed;
        void *plain;
    } data = {payload}; /* writev takes a void *, and does not write */
    struct iovec iov[2] = {{head, sizeof head}, {data.plain, len}};
    size_t left = sizeof head + len;

    while (left > 0) {
        ssize_t n = writev(fd, iov, 2);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        left -= (size_t)n;
        for (int i = 0; i < 2; i++) {
            size_t step = (size_t)n < iov[i].iov_len ? (size_t)n : iov[i].iov_len;
            iov[i].iov_base = (uint8_t *)iov[i].iov_base + step;
            iov[i].iov_len -= step;
            n -= (ssize_t)step;
        }
    }
    return true;
}

/* Reads up to len bytes; *got_out is less only at the end of the pipe. */
static enum errc read_some(int fd, const struct diag *diag, void *dst, size_t len, size_t *got_out, struct err *err)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n = read(fd, (uint8_t *)dst + got, len - got);
        if (n > 0) {
            got += (size_t)n;
            continue;
        }
        if (n == 0)
            break;
        if (errno != EAGAIN && errno != EINTR)
            return err_sys(err, ERR_CHILD, errno, "cannot read from the SQLite helper process");
        if (diag_interrupted(diag))
            return err_fail(err, ERR_INTERRUPTED, "interrupted");
        struct pollfd p = {.fd = fd, .events = POLLIN};
        (void)poll(&p, 1, POLL_MS);
    }
    *got_out = got;
    return ERR_OK;
}

enum errc frame_head(int fd, const struct diag *diag, enum frame_kind *kind_out, size_t *len_out, struct err *err)
{
    uint32_t head[2];
    size_t got = 0;
    enum errc rc = read_some(fd, diag, head, sizeof head, &got, err);

    if (rc != ERR_OK)
        return rc;
    if (got == 0) {
        *kind_out = (enum frame_kind)0;
        *len_out = 0;
        return ERR_OK;
    }
    if (got < sizeof head || head[0] < FRAME_DATA || head[0] > FRAME_NEED || head[1] > FRAME_MAX_BYTES)
        return err_fail(err, ERR_CHILD, "the SQLite helper process said something that makes no sense");
    *kind_out = (enum frame_kind)head[0];
    *len_out = head[1];
    return ERR_OK;
}

enum errc frame_body(int fd, const struct diag *diag, void *dst, size_t len, struct err *err)
{
    size_t got = 0;
    enum errc rc = read_some(fd, diag, dst, len, &got, err);

    if (rc == ERR_OK && got < len)
        rc = err_fail(err, ERR_CHILD, "the SQLite helper process ended in the middle of a message");
    return rc;
}
