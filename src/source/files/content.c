#include <errno.h>
#include <unistd.h>

#include "base/io.h"
#include "source/files/capture.h"

/* A shorter hole costs more as a record and a cut than its zeros cost as data. */
enum { HOLE_MIN_BYTES = 64 * 1024, READ_MAX_BYTES = 1 << 20 };

struct sending {
    struct capture *c;
    int fd;
    uint64_t at, size;
    struct content *out;
    bool ended; /* the file ended before its size: it was cut while it was read */
};

static bool stopped(const struct sending *s)
{
    return s->ended || s->out->sys_errno != 0;
}

static enum errc send_data(struct sending *s, uint64_t until, struct err *err)
{
    struct sink *sink = s->c->sink;
    while (s->at < until && !stopped(s)) {
        uint8_t *room;
        size_t len;
        enum errc rc = capture_check(s->c, err);
        if (rc == ERR_OK)
            rc = sink->ops->space(sink, &room, &len, err);
        if (rc != ERR_OK)
            return rc;
        if (len > READ_MAX_BYTES)
            len = READ_MAX_BYTES;
        if (len > until - s->at)
            len = (size_t)(until - s->at);
        size_t got = 0;
        struct err why = {.sys_errno = 0};
        if (io_pread(s->fd, room, len, s->at, &got, "file", &why) != ERR_OK) {
            s->out->sys_errno = why.sys_errno ? why.sys_errno : EIO;
            return ERR_OK;
        }
        rc = sink->ops->advance(sink, got, err);
        if (rc != ERR_OK)
            return rc;
        s->at += got;
        s->out->data += got;
        s->c->out->bytes_read += got;
        s->ended = got < len;
    }
    return ERR_OK;
}

static enum errc send_hole(struct sending *s, uint64_t until, struct err *err)
{
    enum errc rc = s->c->sink->ops->hole(s->c->sink, until - s->at, err);
    s->at = until;
    return rc;
}

static uint64_t seek_to(const struct sending *s, uint64_t from, int whence)
{
    off_t found = lseek(s->fd, (off_t)from, whence);
    if (found < 0 && whence == SEEK_DATA && errno == ENXIO)
        return s->size; /* nothing but a hole up to the end */
    if (found < 0 || (uint64_t)found < from)
        return whence == SEEK_DATA ? from : s->size; /* cannot tell: data */
    return (uint64_t)found < s->size ? (uint64_t)found : s->size;
}

/* Stretches of data and holes in turn; data with short holes between is one stretch. */
static enum errc send_sparse(struct sending *s, struct err *err)
{
    while (s->at < s->size && !stopped(s)) {
        uint64_t data = seek_to(s, s->at, SEEK_DATA);
        if (data - s->at >= HOLE_MIN_BYTES) {
            enum errc rc = send_hole(s, data, err);
            if (rc != ERR_OK)
                return rc;
        }
        uint64_t end = data;
        while (end < s->size) {
            uint64_t hole = seek_to(s, end, SEEK_HOLE);
            uint64_t next = hole < s->size ? seek_to(s, hole, SEEK_DATA) : s->size;
            /* a hole found where data was just found: the file changes, or is not to be trusted; read it all */
            if (hole == end && next == end)
                hole = next = s->size;
            end = hole;
            if (next - hole >= HOLE_MIN_BYTES)
                break;
            end = next;
        }
        enum errc rc = send_data(s, end, err);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

enum errc content_send(struct capture *c, int fd, const struct stat *st, const uint8_t *head, size_t head_len,
                       struct content *out, struct err *err)
{
    *out = (struct content){.stored = 0};
    struct sending s = {.c = c, .fd = fd, .size = (uint64_t)st->st_size, .out = out};
    enum errc rc = ERR_OK;
    if (!c->opt->force_read && (uint64_t)st->st_blocks * 512 < s.size && s.size >= HOLE_MIN_BYTES) {
        rc = send_sparse(&s, err);
    } else {
        if (head_len > s.size)
            head_len = (size_t)s.size;
        if (head_len > 0)
            rc = c->sink->ops->data(c->sink, head, head_len, err);
        s.at = out->data = head_len;
        if (rc == ERR_OK)
            rc = send_data(&s, s.size, err);
    }
    out->stored = s.at;
    return rc;
}
