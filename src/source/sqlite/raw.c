#include "source/sqlite/raw.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "chunk/cut.h"
#include "source/files/meta.h"

const char *const raw_suffixes[RAW_FILES] = {"", "-journal", "-shm", "-wal"};

enum { READINGS = 3, SHM = 2 };

void raw_look(const struct place *p, struct raw_look *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < RAW_FILES; i++)
        out->there[i] = place_stat(p, raw_suffixes[i], &out->st[i]);
}

static bool same_stat(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

bool raw_look_same(const struct raw_look *a, const struct raw_look *b)
{
    for (size_t i = 0; i < RAW_FILES; i++) {
        if (a->there[i] != b->there[i])
            return false;
        if (a->there[i] && i != SHM && !same_stat(&a->st[i], &b->st[i]))
            return false;
    }
    return true;
}

/* One file into the sink, from begin to before end. *read_err_out is set when the source failed (the sink is then left
 * in the middle of the entry); the result is the sink's. */
static enum errc pump(const struct place *p, const char *suffix, struct sink *sink, uint64_t *bytes_out,
                      struct err *read_err, bool *read_failed, struct err *err)
{
    int fd = -1;

    *bytes_out = 0;
    *read_failed = false;
    if (place_open_file(p, suffix, &fd, read_err) != ERR_OK) {
        *read_failed = true;
        return ERR_OK;
    }
    enum errc rc = sink->ops->begin(sink, *suffix ? 0 : CUT_FIXED_BYTES, err);
    while (rc == ERR_OK) {
        uint8_t *room;
        size_t cap, got = 0;
        rc = sink->ops->space(sink, &room, &cap, err);
        if (rc != ERR_OK)
            break;
        if (io_read(fd, room, cap, &got, p->shown, read_err) != ERR_OK) {
            (void)err_recode(read_err, ERR_SOURCE_UNREADABLE);
            *read_failed = true;
            rc = sink->ops->abandon(sink, err);
            break;
        }
        if (got == 0)
            break;
        *bytes_out += got;
        rc = sink->ops->advance(sink, got, err);
    }
    io_close_quietly(&fd);
    return rc;
}

struct raw_job {
    const struct place *place;
    const char *rel, *why;
    struct sink *sink;
    struct capture_result *result;
    struct owners *owners;
};

static enum errc end_entry(const struct raw_job *j, const char *path, size_t index, enum entry_state state,
                           uint64_t bytes, struct err *err)
{
    struct meta m;
    char name[300];

    meta_init(&m);
    snprintf(name, sizeof name, "%s%s", j->place->name, raw_suffixes[index]);
    enum errc rc = meta_read(j->place->dir_fd, name, j->owners, j->place->shown, &m, err);
    if (rc != ERR_OK || m.entry.type != ENTRY_FILE) { /* it went away: what was read still counts */
        struct stat st = j->place->st;
        rc = meta_from_stat(&st, j->owners, &m.entry, err);
    }
    m.entry.path = path;
    m.entry.path_len = strlen(path);
    m.entry.type = index == 0 ? ENTRY_SQLITE : ENTRY_FILE;
    m.entry.flags = index == 0 ? 0 : ENTRY_FLAG_SIDECAR;
    struct entry_end end = {.state = state, .size = bytes, .reason = j->why, .reason_len = strlen(j->why)};
    if (rc == ERR_OK)
        rc = j->sink->ops->end(j->sink, &m.entry, &end, err);
    meta_release(&m);
    return rc;
}

static enum errc capture_one(const struct raw_job *j, size_t index, struct raw_look *look, struct err *err)
{
    char path[PATH_MAX_BYTES];
    const struct entry *previous;
    struct err why;
    uint64_t bytes = 0;
    bool failed = false, still = false;

    if ((size_t)snprintf(path, sizeof path, "%s%s", j->rel, raw_suffixes[index]) >= sizeof path)
        return ERR_OK; /* cannot be: the tree walk refused it */
    enum errc rc = j->sink->ops->previous(j->sink, path, strlen(path), &previous, err);
    for (int i = 0; rc == ERR_OK && i < READINGS && !still; i++) {
        struct raw_look now;
        /* The sidecars belong to the database that was read: they do not get a new look. */
        if (index == 0)
            raw_look(j->place, look);
        if (i > 0)
            rc = j->sink->ops->abandon(j->sink, err);
        if (rc == ERR_OK)
            rc = pump(j->place, raw_suffixes[index], j->sink, &bytes, &why, &failed, err);
        if (rc != ERR_OK || failed)
            break;
        raw_look(j->place, &now);
        still = raw_look_same(look, &now);
        if (index != 0)
            break;
    }
    if (rc == ERR_OK && failed) {
        if (index != 0 && why.sys_errno == ENOENT)
            return ERR_OK; /* gone since: the database's state says fuzzy or not */
        j->sink->ops->failed(j->sink, path, &why);
        return ERR_OK;
    }
    enum entry_state state = still ? STATE_RAW : STATE_FUZZY;
    if (rc == ERR_OK)
        rc = end_entry(j, path, index, state, bytes, err);
    if (rc == ERR_OK) {
        struct capture_result *r = j->result;
        r->entries++;
        r->bytes += bytes;
        r->bytes_read += bytes;
        if (r->worst < STATE_RAW) /* also when fuzzy: the tree walk stores the sidecars then */
            r->worst = STATE_RAW;
    }
    return rc;
}

enum errc raw_capture(const struct place *p, const char *rel, const char *why, struct sink *sink,
                      const struct capture_options *opt, struct capture_result *result, struct err *err)
{
    struct raw_job j = {.place = p, .rel = rel, .why = why, .sink = sink, .result = result};
    struct raw_look look;

    (void)opt;
    result->good = false;
    enum errc rc = owners_new(&j.owners, err);
    size_t files = *rel ? 1 : RAW_FILES; /* in a tree, the walk stores sidecars in their order */
    for (size_t i = 0; rc == ERR_OK && i < files; i++)
        if (i == 0 || look.there[i])
            rc = capture_one(&j, i, &look, err);
    owners_free(j.owners);
    return rc;
}
