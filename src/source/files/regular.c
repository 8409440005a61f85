/* One regular file: reused, handed to the sqlite source, or read.
 *
 * A file is read again once when it changed while it was read; then it is stored as fuzzy. The entry of such a file has
 * a probe, so that the next capture does not take it for unchanged. So has a vector file that is broken or of another
 * dimension than the configured one: it is told each time.
 *
 * What stat can tell has limits. The kernel sets the modification time when a write begins, in steps of some ms: a
 * write that goes on, or another one within the step, cannot be seen by it. So a file that was written to in the last
 * SETTLE_MS is given that time first. And stores through a shared mapping may show in the times only after write-back.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/path.h"
#include "source/files/capture.h"
#include "source/files/listing.h"

enum { HEAD_BYTES = 8 * 1024, ADVISE_MIN_BYTES = 1 << 20, RACY_SECONDS = 1, SETTLE_MS = 100, SETTLES_MAX = 100 };
static const char not_exact_probe[] = "not exact";

struct previous {
    bool any;
    enum entry_type type;
    uint64_t size, dev, ino;
    struct timestamp mtime, ctime;
    bool same_probe; /* as this capture would leave when it finds nothing wrong */
};

/* A copy of what matters, since the sink's own is gone with the next call; its xattrs go to meta.xattrs. */
static enum errc ask_previous(struct capture *c, struct previous *p, struct err *err)
{
    const struct entry *e = NULL;
    char probe[40];
    *p = (struct previous){.any = false};
    size_t probe_len = strlen(vectors_probe(c, probe));
    enum errc rc = c->sink->ops->previous(c->sink, capture_rel(c), capture_rel_len(c), &e, err);
    if (rc != ERR_OK || !e)
        return rc;
    *p = (struct previous){.any = true,
                           .type = e->type,
                           .size = e->size,
                           .dev = e->dev,
                           .ino = e->ino,
                           .mtime = e->mtime,
                           .ctime = e->ctime,
                           .same_probe = e->probe_len == probe_len &&
                                         (probe_len == 0 || memcmp(e->probe, probe, probe_len) == 0)};
    buf_clear(&c->meta.xattrs);
    return e->xattrs_len > 0 ? buf_append(&c->meta.xattrs, e->xattrs, e->xattrs_len, err) : ERR_OK;
}

static bool same_time(struct timestamp a, struct timespec b)
{
    return a.sec == b.tv_sec && a.nsec == (uint32_t)b.tv_nsec;
}

/* Could the file have changed after the last look without a change of this time? */
static bool too_young(struct timespec t, struct timestamp look)
{
    return t.tv_sec > look.sec - RACY_SECONDS ||
           (t.tv_sec == look.sec - RACY_SECONDS && (uint32_t)t.tv_nsec >= look.nsec);
}

static bool unchanged(const struct capture *c, const struct previous *p, const struct stat *st)
{
    const struct timestamp look = c->opt->previous_look;
    return p->any && p->type == ENTRY_FILE && p->same_probe && !c->opt->force_read &&
           (look.sec != 0 || look.nsec != 0) && p->size == (uint64_t)st->st_size && p->ino == st->st_ino &&
           p->dev == st->st_dev && same_time(p->mtime, st->st_mtim) && same_time(p->ctime, st->st_ctim) &&
           !too_young(st->st_mtim, look) && !too_young(st->st_ctim, look);
}

static uint32_t flags_of(const struct part *part)
{
    return part->unit && !part->is_stem && part->unit->kind == UNIT_RAW ? ENTRY_FLAG_SIDECAR : 0;
}

static void count_file(struct capture *c, uint64_t bytes)
{
    c->out->entries++;
    c->out->bytes += bytes;
    c->files++;
}

static enum errc take_unchanged(struct capture *c, const struct stat *st, const struct part *part, struct err *err)
{
    enum errc rc = capture_entry(c, st, err);
    if (rc != ERR_OK)
        return rc;
    struct entry *e = &c->meta.entry;
    e->xattrs = c->meta.xattrs.len > 0 ? c->meta.xattrs.data : NULL;
    e->xattrs_len = c->meta.xattrs.len;
    e->flags = flags_of(part);
    char probe[40];
    e->probe_len = strlen(vectors_probe(c, probe));
    e->probe = e->probe_len > 0 ? (const uint8_t *)probe : NULL;
    rc = c->sink->ops->reuse(c->sink, e, err);
    if (rc != ERR_OK)
        return rc;
    uint64_t allocated = (uint64_t)st->st_blocks * 512;
    count_file(c, allocated < e->size ? allocated : e->size);
    return capture_remember(c, st, err);
}

/* *took is false when SQLite cannot be asked, for the path is too long for it. */
static enum errc take_database(struct capture *c, const struct stat *st, struct part *part, enum outcome *outcome,
                               bool *took, struct err *err)
{
    *took = c->abs.len + sizeof "-journal" < PATH_MAX;
    if (!*took)
        return ERR_OK;
    struct capture_result r = {.good = true};
    if (part->coupled && coupled_note(part->coupled, part->coupled_name, st, err) != ERR_OK)
        return ERR_NO_MEMORY;
    enum errc rc = c->at_root
                       ? sqlite_capture((const char *)c->abs.data, c->sink, c->opt, &r, err)
                       : sqlite_capture_entry((const char *)c->abs.data, capture_rel(c), c->sink, c->opt, &r, err);
    struct capture_result *out = c->out;
    out->entries += r.entries;
    out->bytes += r.bytes;
    out->bytes_read += r.bytes_read;
    out->good = out->good && r.good;
    capture_worst(c, r.worst);
    bool stored = r.entries > 0;
    if (rc == ERR_OK && c->at_root)
        rc = fact_list_copy(&out->facts, &r.facts, err);
    fact_list_release(&r.facts);
    *outcome = stored ? TOOK : SKIPPED;
    if (rc != ERR_OK || !stored)
        return rc;
    c->databases++;
    if (part->unit && part->is_stem)
        part->unit->kind = r.worst >= STATE_RAW ? UNIT_RAW : UNIT_DATABASE;
    return capture_remember(c, st, err);
}

/* An empty file whose -wal or -journal is one of SQLite's is a database, too. */
static bool sidecar_is_sqlite(struct capture *c, int dirfd, const struct part *part)
{
    static const uint8_t journal_magic[8] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};
    static const uint8_t wal_magic[3] = {0x37, 0x7f, 0x06};
    static const struct {
        enum sidecar kind;
        const char *suffix;
        const uint8_t *magic;
        size_t len;
    } tries[2] = {{SIDECAR_WAL, "-wal", wal_magic, 3}, {SIDECAR_JOURNAL, "-journal", journal_magic, 8}};
    bool found = false;
    for (size_t i = 0; i < 2 && !found; i++) {
        char name[1024 + 16];
        int n = snprintf(name, sizeof name, "%s%s", part->unit->stem, tries[i].suffix);
        if (!(part->unit->has & tries[i].kind) || n < 0 || (size_t)n >= sizeof name)
            continue;
        int fd = capture_open(c, dirfd, name, 0, c->euid);
        struct stat st;
        uint8_t first[8];
        size_t got = 0;
        struct err ignored;
        found = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                io_pread(fd, first, tries[i].len, 0, &got, "sidecar", &ignored) == ERR_OK && got == tries[i].len &&
                memcmp(first, tries[i].magic, got) == 0;
        io_close_quietly(&fd);
    }
    return found;
}

/* Milliseconds until the last write to the file is SETTLE_MS ago; 0: it is. */
static int unsettled_ms(const struct stat *st)
{
    struct timestamp now = time_now();
    int64_t age = (now.sec - st->st_mtim.tv_sec) * 1000 + ((int64_t)now.nsec - st->st_mtim.tv_nsec) / 1000000;
    if (now.sec - st->st_mtim.tv_sec > 1 || age < 0 || age >= SETTLE_MS)
        return 0;
    return (int)(SETTLE_MS - age);
}

/* Let a file that was just written to come to rest; the waits of a capture are limited. */
static bool settle(struct capture *c, int fd, struct stat *st)
{
    int ms = unsettled_ms(st);
    if (ms == 0)
        return true;
    if (c->settles >= SETTLES_MAX)
        return false;
    c->settles++;
    struct timespec pause = {.tv_nsec = (long)ms * 1000000};
    nanosleep(&pause, NULL);
    struct stat now;
    if (fstat(fd, &now) == 0)
        *st = now;
    return true;
}

/* Why what was read is not one moment's bytes; NULL: it is. */
static const char *disturbed(int fd, int dirfd, const struct stat *before, const struct content *content,
                             const struct part *part, struct stat *after)
{
    if (fstat(fd, after) || !stat_same(before, after))
        return "it changed while it was read, twice";
    if (content->stored != (uint64_t)before->st_size)
        return "it holds less than its size says";
    if (part->unit && part->unit->kind != UNIT_DATABASE && !unit_held_still(part->unit, dirfd))
        return part->is_stem ? "a file that belongs to it changed while it was read, twice"
                             : "the file it belongs to, or another of that file's, changed after that was read";
    return NULL;
}

/* A file that is read at the next capture too. */
static void set_probe(struct entry *e, const char *text)
{
    e->probe_len = strlen(text);
    e->probe = e->probe_len > 0 ? (const uint8_t *)text : NULL;
}

/* What is known once a file was read. */
struct taken {
    const struct stat *after;
    const struct content *content;
    const struct vectors_seen *vectors;
    const char *why; /* why it is not of one moment; NULL: it is */
    bool raw;
};

static enum errc finish(struct capture *c, const struct taken *t, const struct part *part, struct err *err)
{
    struct entry xattrs = c->meta.entry;
    const char *why = t->why;
    char probe[40];
    struct buf facts;
    enum errc rc = capture_entry(c, t->after, err);
    if (rc != ERR_OK)
        return rc;
    struct entry *e = &c->meta.entry;
    e->xattrs = xattrs.xattrs;
    e->xattrs_len = xattrs.xattrs_len;
    e->flags = flags_of(part);
    bool doubtful = t->vectors->broken || t->vectors->unfit;
    struct entry_end end = {.state = t->raw ? STATE_RAW : why ? STATE_FUZZY : STATE_EXACT, .size = t->content->stored};
    if (t->raw && !why)
        why = "its path is too long for SQLite, so the database was taken as a plain file";
    set_probe(e, why || doubtful ? not_exact_probe : vectors_probe(c, probe));
    if (why) {
        end.reason = why;
        end.reason_len = strlen(why);
        diag_message(c->opt->diag, DIAG_WARNING, "", "%s: %s; it is stored as %s", capture_show(c), why,
                     t->raw ? "raw" : "fuzzy");
    }
    buf_init(&facts, FACTS_MAX_BYTES + 1024);
    if (t->vectors->facts.count > 0)
        rc = fact_list_put(&facts, &t->vectors->facts, err);
    end.facts = facts.len > 0 ? facts.data : NULL;
    end.facts_len = facts.len;
    if (rc == ERR_OK)
        rc = c->sink->ops->end(c->sink, e, &end, err);
    buf_release(&facts);
    if (rc != ERR_OK)
        return rc;
    vectors_tell(c, t->vectors);
    capture_worst(c, end.state);
    c->out->good = c->out->good && !t->raw;
    count_file(c, t->content->data);
    return capture_remember(c, t->after, err);
}

/* The file is open, and is st. head is what stands at its beginning. */
struct opened {
    int fd, dirfd;
    const struct stat *st;
    bool unsettled;
    const uint8_t *head;
    size_t head_len;
    bool raw;
};

static const char *coupled_why(const struct part *part, char *dst, size_t cap)
{
    char shown[200];
    const char *name = coupled_changed(part->coupled);
    snprintf(dst, cap, "%s, which belongs to it, changed after that was read",
             path_show(shown, sizeof shown, name, strlen(name)));
    return dst;
}

static enum errc note_coupled(const struct part *part, const struct stat *st, struct err *err)
{
    return part->coupled ? coupled_note(part->coupled, part->coupled_name, st, err) : ERR_OK;
}

/* The content is with the sink: is it to be kept? */
static enum errc judge(struct capture *c, const struct opened *o, struct part *part, const struct content *content,
                       struct vectors_seen *vectors, enum outcome *outcome, struct err *err)
{
    struct taken taken = {.content = content, .vectors = vectors, .raw = o->raw};
    struct stat after = *o->st;
    char coupled[300];
    bool again = false;
    if (content->sys_errno == 0) {
        taken.why = disturbed(o->fd, o->dirfd, o->st, content, part, &after);
        if (!taken.why && o->unsettled)
            taken.why = "it was written to just before it was read";
        if (!taken.why && part->coupled && !coupled_held_still(part->coupled, part->coupled_fd))
            taken.why = coupled_why(part, coupled, sizeof coupled);
        /* Reading a sidecar once more brings it no nearer to its stem. */
        bool worth = !stat_same(o->st, &after) || (part->unit && part->is_stem);
        again = taken.why && worth && part->reads == 0;
    }
    if (content->sys_errno == 0 && !again) {
        taken.after = &after;
        *outcome = TOOK;
        enum errc kept = taken.why ? vectors_of_no_moment(vectors, err) : ERR_OK;
        if (kept == ERR_OK)
            kept = note_coupled(part, &after, err);
        return kept == ERR_OK ? finish(c, &taken, part, err) : kept;
    }
    enum errc rc = c->sink->ops->abandon(c->sink, err);
    if (rc != ERR_OK)
        return rc;
    part->reads++;
    *outcome = again ? AGAIN : SKIPPED;
    if (!again)
        capture_failed_sys(c, content->sys_errno, "cannot be read");
    return ERR_OK;
}

static enum errc read_and_store(struct capture *c, const struct opened *o, struct part *part, enum outcome *outcome,
                                struct err *err)
{
    struct sink *sink = c->sink;
    enum errc rc = capture_entry(c, o->st, err);
    if (rc == ERR_OK)
        rc = capture_xattrs(c, o->fd, NULL, err);
    if (rc == ERR_OK && o->st->st_size >= ADVISE_MIN_BYTES)
        (void)posix_fadvise(o->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    if (rc == ERR_OK)
        rc = sink->ops->begin(sink, 0, err);
    if (rc == ERR_OK && !o->raw)
        vectors_hint_rows(c, o->fd, o->st, o->head, o->head_len);
    struct content content;
    struct vectors_seen vectors = {.broken = false};
    if (rc == ERR_OK)
        rc = content_send(c, o->fd, o->st, o->head, o->head_len, &content, err);
    /* Before it is seen whether the file held still, so that they are of the bytes that were stored. */
    if (rc == ERR_OK && content.sys_errno == 0 && !o->raw)
        rc = vectors_look(c, o->fd, o->st, o->head, o->head_len, &vectors, err);
    if (rc == ERR_OK)
        rc = judge(c, o, part, &content, &vectors, outcome, err);
    fact_list_release(&vectors.facts);
    return rc;
}

static enum errc take_opened(struct capture *c, struct opened *o, struct part *part, enum outcome *outcome,
                             struct err *err)
{
    struct err why = {.sys_errno = 0};
    if (part->unit && part->is_stem)
        unit_look(part->unit, o->dirfd);
    o->head = c->scratch;
    if (io_pread(o->fd, c->scratch, HEAD_BYTES, 0, &o->head_len, "file", &why) != ERR_OK) {
        capture_failed_sys(c, why.sys_errno, "cannot be read");
        *outcome = SKIPPED;
        return ERR_OK;
    }
    c->out->bytes_read += o->head_len;
    bool stem = part->unit && part->is_stem;
    if (o->head_len > 0 ? sqlite_looks_like(c->scratch, o->head_len) : stem && sidecar_is_sqlite(c, o->dirfd, part)) {
        bool took;
        enum errc rc = take_database(c, o->st, part, outcome, &took, err);
        if (rc != ERR_OK || took)
            return rc;
        o->raw = true;
    }
    if (stem)
        part->unit->kind = o->raw ? UNIT_RAW : UNIT_PLAIN;
    return read_and_store(c, o, part, outcome, err);
}

static enum errc open_failed(struct capture *c, int sys_errno, enum outcome *outcome)
{
    if (sys_errno == ENOENT) {
        *outcome = GONE;
    } else if (sys_errno == ELOOP || sys_errno == ENXIO || sys_errno == EISDIR || sys_errno == ENODEV) {
        *outcome = AGAIN; /* something else stands there now */
    } else {
        *outcome = SKIPPED;
        capture_failed_sys(c, sys_errno, "cannot be opened");
    }
    return ERR_OK;
}

static enum errc open_and_take(struct capture *c, int dirfd, const char *name, const struct stat *st, struct part *part,
                               enum outcome *outcome, struct err *err)
{
    int fd = capture_open(c, dirfd, name, 0, st->st_uid);
    if (fd < 0)
        return open_failed(c, errno, outcome);
    struct stat now;
    enum errc rc = ERR_OK;
    if (fstat(fd, &now) || !S_ISREG(now.st_mode) || now.st_ino != st->st_ino || now.st_dev != st->st_dev) {
        *outcome = AGAIN; /* another file stands there now */
    } else {
        struct opened o = {.fd = fd, .dirfd = dirfd, .st = &now};
        o.unsettled = !settle(c, fd, &now);
        rc = take_opened(c, &o, part, outcome, err);
    }
    io_close_quietly(&fd);
    return rc;
}

/* The first look at a file: can it be had without opening it? */
static enum errc take_closed(struct capture *c, int dirfd, const struct stat *st, struct part *part,
                             enum outcome *outcome, bool *took, struct err *err)
{
    bool stem = part->unit && part->is_stem;
    bool own_sidecars = stem && part->unit->has & (SIDECAR_WAL | SIDECAR_JOURNAL);
    *outcome = TOOK;
    *took = false;
    /* A database whose log lies beside this name is not the same thing under its other names. */
    enum errc rc = own_sidecars ? ERR_OK : capture_link(c, st, took, err);
    if (rc != ERR_OK || *took)
        return rc;
    struct previous p;
    rc = ask_previous(c, &p, err);
    if (rc != ERR_OK || !p.any)
        return rc;
    if (stem)
        unit_look(part->unit, dirfd);
    /* What was a database is one still, however broken, unless another file has taken its place. */
    if (p.type == ENTRY_SQLITE && p.ino == st->st_ino && p.dev == st->st_dev)
        return take_database(c, st, part, outcome, took, err);
    /* An empty file can become a database by what its log holds. */
    *took = unchanged(c, &p, st) && (!part->coupled || coupled_held_still(part->coupled, part->coupled_fd)) &&
            (!own_sidecars || st->st_size > 0) && (!part->unit || part->is_stem || unit_held_still(part->unit, dirfd));
    if (!*took)
        return ERR_OK;
    if (stem)
        part->unit->kind = UNIT_PLAIN;
    rc = note_coupled(part, st, err);
    return rc == ERR_OK ? take_unchanged(c, st, part, err) : rc;
}

enum errc capture_regular(struct capture *c, int dirfd, const char *name, const struct stat *st, struct part *part,
                          enum outcome *outcome, struct err *err)
{
    if (part->looks == 0) {
        bool took;
        enum errc rc = take_closed(c, dirfd, st, part, outcome, &took, err);
        if (rc != ERR_OK || took)
            return rc;
    }
    return open_and_take(c, dirfd, name, st, part, outcome, err);
}
