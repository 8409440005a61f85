#include "source/sqlite/probe.h"

#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "source/sqlite/header.h"

enum { PROBE_VERSION = 1, WAL_HEADER = 32, WAL_FRAME_HEADER = 24, RACY_SECONDS = 2 };

static bool later(struct timestamp a, struct timestamp b)
{
    return a.sec != b.sec ? a.sec > b.sec : a.nsec > b.nsec;
}

static struct timestamp stamp(struct timespec t)
{
    return (struct timestamp){.sec = t.tv_sec, .nsec = (uint32_t)t.tv_nsec};
}

/* Identity, size and times of one file. */
static enum errc put_stat(struct buf *b, const struct stat *st, struct timestamp *newest)
{
    struct timestamp m = stamp(st->st_mtim), c = stamp(st->st_ctim);
    const uint64_t values[] = {st->st_dev,      st->st_ino, (uint64_t)st->st_size, (uint64_t)m.sec, m.nsec,
                               (uint64_t)c.sec, c.nsec};
    enum errc rc = ERR_OK;

    for (size_t i = 0; rc == ERR_OK && i < sizeof values / sizeof values[0]; i++)
        rc = put_u64(b, values[i], NULL);
    if (later(m, *newest))
        *newest = m;
    if (later(c, *newest))
        *newest = c;
    return rc;
}

/* The last frame that ends a transaction: its number and checksums. Frames of an earlier turn have other salts. */
static bool walk_wal(int fd, const uint8_t header[WAL_HEADER], uint64_t size, uint64_t *last_out, uint8_t sums[8])
{
    uint32_t page_size = be32(header + 8);
    uint8_t frame[WAL_FRAME_HEADER];
    size_t got = 0;

    *last_out = 0;
    memset(sums, 0, 8);
    if (page_size < DB_PAGE_MIN || page_size > DB_PAGE_MAX)
        return true; /* SQLite takes such a WAL for empty */
    uint64_t step = (uint64_t)WAL_FRAME_HEADER + page_size;
    if ((size - WAL_HEADER) / step > PROBE_FRAMES_MAX)
        return false;
    for (uint64_t i = 0, at = WAL_HEADER; at + step <= size; i++, at += step) {
        if (io_pread(fd, frame, sizeof frame, at, &got, "a WAL", NULL) != ERR_OK)
            return false;
        if (got < sizeof frame || memcmp(frame + 8, header + 16, 8) != 0)
            break;
        if (be32(frame + 4) != 0) {
            *last_out = i + 1;
            memcpy(sums, frame + 16, 8);
        }
    }
    return true;
}

static bool put_wal(struct buf *b, const struct place *p, struct timestamp *newest)
{
    uint8_t header[WAL_HEADER] = {0}, sums[8] = {0};
    struct stat st;
    int fd = -1;
    size_t got = 0;
    uint64_t last = 0;
    bool ok;

    if (!place_stat(p, "-wal", &st))
        return put_u8(b, 0, NULL) == ERR_OK;
    if (place_open_file(p, "-wal", &fd, NULL) != ERR_OK)
        return false;
    ok = io_pread(fd, header, sizeof header, 0, &got, "a WAL", NULL) == ERR_OK;
    if (ok && got == sizeof header)
        ok = walk_wal(fd, header, (uint64_t)st.st_size, &last, sums);
    io_close_quietly(&fd);
    return ok && put_u8(b, 1, NULL) == ERR_OK && put_stat(b, &st, newest) == ERR_OK &&
           buf_append(b, header, sizeof header, NULL) == ERR_OK && put_u64(b, last, NULL) == ERR_OK &&
           buf_append(b, sums, sizeof sums, NULL) == ERR_OK;
}

static bool put_all(struct buf *b, const struct place *p, struct timestamp *newest)
{
    uint8_t header[DB_HEADER_BYTES] = {0};
    struct stat st, journal;
    size_t got = 0;
    int fd = -1;

    if (put_u8(b, PROBE_VERSION, NULL) != ERR_OK || place_open_file(p, "", &fd, NULL) != ERR_OK)
        return false;
    bool ok = fstat(fd, &st) == 0 && io_pread(fd, header, sizeof header, 0, &got, "a database", NULL) == ERR_OK &&
              st.st_nlink == 1 && /* or its WAL may be beside another name */
              put_stat(b, &st, newest) == ERR_OK && buf_append(b, header, sizeof header, NULL) == ERR_OK;
    io_close_quietly(&fd);
    if (!ok || !put_wal(b, p, newest))
        return false;
    if (!place_stat(p, "-journal", &journal))
        return put_u8(b, 0, NULL) == ERR_OK;
    return put_u8(b, 1, NULL) == ERR_OK && put_stat(b, &journal, newest) == ERR_OK;
}

void probe_take(const struct place *p, struct probe *out)
{
    struct buf b;

    *out = (struct probe){.newest = {.sec = INT64_MIN}};
    buf_init(&b, PROBE_CAP_BYTES);
    if (put_all(&b, p, &out->newest)) {
        memcpy(out->data, b.data, b.len);
        out->len = b.len;
    }
    buf_release(&b);
}

bool probe_proves_unchanged(const struct probe *now, const uint8_t *old, size_t old_len, struct timestamp previous_look)
{
    if (now->len == 0 || now->len != old_len || memcmp(now->data, old, old_len) != 0)
        return false;
    if (previous_look.sec == 0 && previous_look.nsec == 0)
        return false;
    struct timestamp limit = {.sec = previous_look.sec - RACY_SECONDS, .nsec = previous_look.nsec};
    return later(limit, now->newest);
}

bool journal_names_super(const struct place *p)
{
    static const uint8_t magic[8] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};
    uint8_t tail[16];
    struct stat st;
    size_t got = 0;
    int fd = -1;

    if (!place_stat(p, "-journal", &st) || st.st_size < (off_t)sizeof tail)
        return false;
    if (place_open_file(p, "-journal", &fd, NULL) != ERR_OK)
        return true; /* cannot tell: be careful */
    bool read = io_pread(fd, tail, sizeof tail, (uint64_t)st.st_size - sizeof tail, &got, "a journal", NULL) == ERR_OK;
    io_close_quietly(&fd);
    if (!read || got < sizeof tail)
        return true;
    return memcmp(tail + 8, magic, sizeof magic) == 0 && be32(tail) != 0;
}
