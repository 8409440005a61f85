#include "engine/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/process.h"
#include "engine/held_messages.h"
#include "engine/marks.h"
#include "engine/own_places.h"
#include "engine/run_note.h"
#include "engine/sink.h"

struct backup {
    struct store *store;
    const struct backup_options *opt;
    struct session *session;
    struct snapshot snap;     /* being filled */
    struct snapshot previous; /* of the same set; has_previous */
    bool has_previous, previous_damaged;
    struct estimate *expected;      /* for progress; NULL: nobody looks */
    struct timestamp previous_look; /* when it began by the clock, whatever --time said */
    uint64_t failed_count;
    uint64_t begun_ns;
};

void backup_outcome_release(struct backup_outcome *o)
{
    snapshot_release(&o->snap);
    memset(o, 0, sizeof *o);
}

/* A file with a WAL or a journal beside it is one unit with it, whatever its first bytes say by now. */
static bool has_sidecar(const char *path)
{
    static const char *const suffixes[] = {"-wal", "-journal"};
    char name[PATH_MAX_BYTES];
    struct stat st;
    for (size_t i = 0; i < 2; i++) {
        int n = snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        if (n > 0 && (size_t)n < sizeof name && lstat(name, &st) == 0 && S_ISREG(st.st_mode))
            return true;
    }
    return false;
}

enum errc backup_detect_type(const char *path, enum item_type *out, struct err *err)
{
    struct stat st;
    uint8_t first[SQLITE_MAGIC_BYTES];
    size_t got = 0;
    int fd;
    if (lstat(path, &st) != 0)
        return err_sys(err, errno == ENOENT || errno == ENOTDIR ? ERR_SOURCE_MISSING : ERR_SOURCE_UNREADABLE, errno,
                       "%s", path);
    *out = S_ISDIR(st.st_mode) ? ITEM_FILES : ITEM_FILE;
    if (!S_ISREG(st.st_mode))
        return ERR_OK;
    if (io_open(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, &fd, err) != ERR_OK)
        return err_recode(err, ERR_SOURCE_UNREADABLE);
    enum errc rc = io_pread(fd, first, sizeof first, 0, &got, path, err);
    io_close_quietly(&fd);
    if (rc != ERR_OK)
        return err_recode(err, ERR_SOURCE_UNREADABLE);
    if (sqlite_looks_like(first, got) || has_sidecar(path))
        *out = ITEM_SQLITE;
    return ERR_OK;
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum errc backup_adhoc_set(const char *const *paths, size_t count, char **out, struct err *err)
{
    const char **sorted;
    struct buf name;
    buf_init(&name, (size_t)PATH_MAX_BYTES * 64);
    enum errc rc = mem_alloc(&sorted, (count + 1) * sizeof *sorted, err);
    if (rc != ERR_OK)
        return rc;
    memcpy(sorted, paths, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_strings);
    for (size_t i = 0; rc == ERR_OK && i < count; i++) {
        if (i > 0)
            rc = buf_append_str(&name, ":", err);
        if (rc == ERR_OK)
            rc = buf_append_str(&name, sorted[i], err);
    }
    free(sorted);
    if (rc == ERR_OK && name.len > NAME_MAX_BYTES) {
        struct digest d;
        char hex[2 * DIGEST_BYTES + 1];
        rc = sha256(name.data, name.len, &d, err);
        name.len = NAME_MAX_BYTES - 2 * DIGEST_BYTES - 1;
        if (rc == ERR_OK)
            rc = buf_append_fmt(&name, err, "#%s", hex_encode(hex, d.b, sizeof d.b));
    }
    if (rc == ERR_OK)
        rc = mem_dup(out, name.data, name.len, err);
    buf_release(&name);
    return rc;
}

/* --- preparing ---------------------------------------------------------------------------------------------------- */

static enum errc fill_tags(struct snapshot *snap, const struct backup_options *opt, struct err *err)
{
    enum errc rc = mem_alloc(&snap->tags, (opt->tag_count + 1) * sizeof *snap->tags, err);
    for (size_t i = 0; rc == ERR_OK && i < opt->tag_count; i++) {
        rc = mem_strdup(&snap->tags[i], opt->tags[i], err);
        if (rc == ERR_OK)
            snap->tag_count++;
    }
    return rc;
}

static enum errc fill_set(struct backup *b, struct err *err)
{
    const struct set_spec *set = b->opt->set;
    if (set->name)
        return mem_strdup(&b->snap.set, set->name, err);
    const char **paths;
    enum errc rc = mem_alloc(&paths, (set->source_count + 1) * sizeof *paths, err);
    if (rc != ERR_OK)
        return rc;
    for (size_t i = 0; i < set->source_count; i++)
        paths[i] = set->sources[i].path;
    rc = backup_adhoc_set(paths, set->source_count, &b->snap.set, err);
    free(paths);
    return rc;
}

static enum errc find_previous_look(struct backup *b, uint64_t number, struct err *err);

static enum errc find_previous(struct backup *b, struct err *err)
{
    struct snapshot_id id;
    struct snapshot_row row;
    bool found;
    memset(&row, 0, sizeof row);
    enum errc rc = catalog_previous(store_catalog(b->store), b->snap.set, &id, &found, err);
    if (rc == ERR_OK && found)
        rc = catalog_snapshot(store_catalog(b->store), &id, &row, &found, err);
    if (rc == ERR_OK && found) {
        b->previous = row.snap;
        memset(&row.snap, 0, sizeof row.snap);
        b->has_previous = true;
        b->previous_damaged = row.damaged;
        struct err ignored; /* a damaged record only means that nothing is taken for unchanged by its times */
        (void)!find_previous_look(b, row.sequence, &ignored);
    }
    snapshot_row_release(&row);
    return rc;
}

/* The log's own time of the record, less how long the snapshot took, less a second for rounding. */
static enum errc find_previous_look(struct backup *b, uint64_t number, struct err *err)
{
    struct log_body body;
    enum errc rc = store_log_read(b->store, number, &body, NULL, err);
    if (rc == ERR_OK)
        b->previous_look = (struct timestamp){.sec = body.head.time.sec - (int64_t)(b->previous.duration_ms / 1000) - 1,
                                              .nsec = body.head.time.nsec};
    log_body_release(&body);
    return rc;
}

static const struct item *previous_item(const struct backup *b, const char *path, enum item_type type)
{
    for (size_t i = 0; b->has_previous && i < b->previous.item_count; i++)
        if (strcmp(b->previous.items[i].path, path) == 0 && b->previous.items[i].type == type)
            return &b->previous.items[i];
    return NULL;
}

/* --- capturing ---------------------------------------------------------------------------------------------------- */

static enum errc run_source(struct backup *b, const struct source_spec *spec, enum item_type type,
                            const struct diag *diag, struct engine_sink *sink, struct capture_result *result,
                            struct err *err)
{
    struct left_out own[OWN_MAX];
    own_left_out(b->store, own);
    struct capture_options opt = {
        .diag = diag,
        .self_exe = b->opt->self_exe,
        .checkpoint = spec->checkpoint,
        .force_read = b->opt->force_read,
        .raw_if_damaged = b->opt->kind == SNAPSHOT_FORENSIC,
        .one_file_system = spec->one_file_system,
        .exclude_caches = spec->exclude_caches,
        .exclude = spec->exclude,
        .exclude_count = spec->exclude_count,
        .left_out = own,
        .left_out_count = OWN_MAX,
        .vector_dimension = spec->vector_dimension,
    };
    if (b->has_previous)
        opt.previous_look = b->previous_look;
    if (type == ITEM_SQLITE)
        return sqlite_capture(spec->path, &sink->sink, &opt, result, err);
    return files_capture(spec->path, &sink->sink, &opt, result, err);
}

static enum errc capture_once(struct backup *b, const struct source_spec *spec, enum item_type type,
                              const struct item *previous, const struct diag *diag, struct item *item,
                              struct capture_result *result, uint64_t *failed_out, struct err *err)
{
    struct engine_sink sink;
    struct list_writer *list;
    enum errc rc = list_writer_open(b->session, previous ? &previous->list : NULL, &list, err);
    if (rc != ERR_OK)
        return rc;
    engine_sink_init(&sink, list, spec->path, diag);
    sink.bytes_before = b->snap.bytes_source;
    sink.expected = b->expected;
    rc = run_source(b, spec, type, diag, &sink, result, err);
    if (rc == ERR_OK)
        rc = list_writer_finish(list, &item->list, err);
    list_writer_free(list);
    *failed_out = sink.failed_count;
    if (sink.failed_count > 0)
        result->good = false;
    return rc;
}

/* Files that are one store and changed while they were read are captured again, with all of their source, as long as
 * that costs little; then they are stored as fuzzy. What a try that is given up has said is not told. */
enum { STORE_TRIES = 3, STORE_PAUSE_NS = 250000000 };
static const uint64_t store_again_max_bytes = UINT64_C(1) << 30;

static enum errc capture_with(struct backup *b, const struct source_spec *spec, enum item_type type,
                              const struct item *previous, struct item *item, struct capture_result *result,
                              struct err *err)
{
    struct held_messages held;
    uint64_t failed = 0, read = 0;
    held_init(&held, b->opt->diag);
    enum errc rc = ERR_OK;
    for (int i = 0; i < STORE_TRIES; i++) {
        rc = capture_once(b, spec, type, previous, &held.diag, item, result, &failed, err);
        read += result->bytes_read;
        if (rc != ERR_OK || result->disturbed == 0 || i == STORE_TRIES - 1 || read > store_again_max_bytes)
            break;
        held_drop(&held);
        fact_list_release(&result->facts);
        *result = (struct capture_result){.good = true};
        nanosleep(&(struct timespec){.tv_nsec = STORE_PAUSE_NS}, NULL);
    }
    result->bytes_read = read;
    b->failed_count += failed;
    held_release(&held);
    return rc;
}

/* Forensic: that nothing stood there is worth knowing, for undo takes away what was made. */
static enum errc store_absent(struct backup *b, const struct source_spec *spec, struct item *item, struct err *err)
{
    struct list_writer *list;
    struct entry e = {.path = "", .type = ENTRY_ABSENT};
    enum errc rc = list_writer_open(b->session, NULL, &list, err);
    if (rc != ERR_OK)
        return rc;
    rc = list_writer_node(list, &e, err);
    if (rc == ERR_OK)
        rc = list_writer_finish(list, &item->list, err);
    list_writer_free(list);
    if (rc == ERR_OK)
        rc = mem_strdup(&item->source, spec->name, err);
    if (rc == ERR_OK)
        rc = mem_strdup(&item->path, spec->path, err);
    item->type = spec->type;
    item->good = true;
    return rc;
}

/* Errors that are the source's own: the item is left out, the rest goes on. */
static bool is_source_error(enum errc rc)
{
    return rc == ERR_SOURCE_MISSING || rc == ERR_SOURCE_UNREADABLE || rc == ERR_SOURCE_BUSY || rc == ERR_SOURCE_DAMAGED;
}

/* A path that was a database yesterday is one today, whatever its first bytes say: a destroyed header must not turn it
 * into a plain file that counts as good. A link that is named is stored as a link, which few expect. */
static enum item_type recall_type(const struct backup *b, const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        diag_message(b->opt->diag, DIAG_WARNING, "", "%s is a symbolic link: the link is stored, not what it leads to",
                     path);
        return ITEM_FILE;
    }
    return previous_item(b, path, ITEM_SQLITE) ? ITEM_SQLITE : ITEM_FILE;
}

/* Emptied since: to SQLite a sound database of no pages, but hardly what anybody meant, and no new `latest`. */
static void doubt_if_emptied(const struct backup *b, const struct item *previous, struct item *now)
{
    if (now->type != ITEM_SQLITE || now->state == STATE_ERROR || now->bytes != 0 || !previous || previous->bytes == 0)
        return;
    now->good = false;
    diag_message(b->opt->diag, DIAG_WARNING, "source-damaged",
                 "%s is empty now; it had %llu bytes in the snapshot before", now->path,
                 (unsigned long long)previous->bytes);
}

static enum errc capture_item(struct backup *b, const struct source_spec *spec, struct item *item, struct err *err)
{
    struct capture_result result = {.good = true};
    enum item_type type = spec->type;
    enum errc rc = spec->detect ? backup_detect_type(spec->path, &type, err) : ERR_OK;
    if (rc != ERR_OK)
        return rc;
    if (spec->detect && type == ITEM_FILE)
        type = recall_type(b, spec->path);
    const struct item *previous = previous_item(b, spec->path, type);
    rc = capture_with(b, spec, type, previous, item, &result, err);
    if (rc == ERR_OK && b->opt->kind == SNAPSHOT_FORENSIC && (result.left_out & 1U << OWN_REPOSITORY)) {
        /* By a way that its path does not show, such as a mount: what is not in the copy may not be replaced. */
        (void)err_fail(err, ERR_TARGET_IN_USE, "%s holds the repository %s itself", spec->path, store_path(b->store));
        rc = err_hint(err, "Restore the parts that you need with --include, or restore elsewhere with --target.");
    }
    if (previous && (rc == ERR_DAMAGED || rc == ERR_MISSING_OBJECT)) {
        diag_error(b->opt->diag, err);
        diag_message(b->opt->diag, DIAG_WARNING, err_name(rc),
                     "the previous snapshot of %s is damaged; everything is read and stored anew", spec->path);
        fact_list_release(&result.facts);
        result = (struct capture_result){.good = true};
        rc = capture_with(b, spec, type, NULL, item, &result, err);
    }
    if (rc == ERR_OK && previous && type == ITEM_SQLITE && result.bytes_read == 0 && result.facts.count == 0)
        rc = fact_list_copy(&result.facts, &previous->facts, err); /* it had not changed and was not opened */
    if (rc == ERR_OK) {
        item->type = type;
        item->state = result.worst;
        item->good = result.good;
        item->entries = result.entries;
        item->bytes = result.bytes;
        item->facts = result.facts;
        memset(&result.facts, 0, sizeof result.facts);
        b->snap.bytes_source += result.bytes;
        b->snap.bytes_read += result.bytes_read;
        rc = mem_strdup(&item->source, spec->name, err);
        if (rc == ERR_OK)
            rc = mem_strdup(&item->path, spec->path, err);
        if (rc == ERR_OK)
            doubt_if_emptied(b, previous, item);
    }
    fact_list_release(&result.facts);
    return rc;
}

static enum errc capture_all(struct backup *b, struct err *err)
{
    const struct set_spec *set = b->opt->set;
    if (set->source_count > ITEMS_MAX)
        return err_fail(err, ERR_LIMIT, "a set has at most %d sources", ITEMS_MAX);
    enum errc rc = mem_alloc(&b->snap.items, (set->source_count + 1) * sizeof *b->snap.items, err);
    for (size_t i = 0; rc == ERR_OK && i < set->source_count; i++) {
        struct item *item = &b->snap.items[b->snap.item_count];
        rc = capture_item(b, &set->sources[i], item, err);
        if (rc == ERR_SOURCE_MISSING && b->opt->kind == SNAPSHOT_FORENSIC)
            rc = store_absent(b, &set->sources[i], item, err);
        if (rc == ERR_OK) {
            b->snap.item_count++;
            b->snap.partial = b->snap.partial || !item->good;
        } else if (is_source_error(rc)) {
            diag_error(b->opt->diag, err);
            b->failed_count++;
            rc = ERR_OK;
        }
    }
    return rc;
}

static enum errc store_it(struct backup *b, struct backup_outcome *out, struct err *err)
{
    struct session_stats stats = session_stats(b->session);
    b->snap.chunks_new = stats.chunks_new;
    b->snap.chunks_delta = stats.chunks_delta;
    b->snap.bytes_added = stats.bytes_stored;
    b->snap.partial = b->snap.partial || b->failed_count > 0;
    b->snap.duration_ms = (monotonic_ns() - b->begun_ns) / 1000000;
    enum errc rc = ERR_OK;
    if (!b->opt->dry_run)
        rc = session_commit(b->session, &b->snap, err);
    if (rc != ERR_OK)
        return rc;
    out->made = !b->opt->dry_run;
    out->sequence = out->made ? store_head(b->store) : 0;
    out->failed_count = b->failed_count;
    out->snap = b->snap;
    memset(&b->snap, 0, sizeof b->snap);
    if (out->snap.partial)
        return err_fail(err, ERR_PARTIAL, "not everything that was named could be stored as it should be");
    return ERR_OK;
}

static enum errc run(struct backup *b, struct backup_outcome *out, struct err *err)
{
    b->snap.kind = b->opt->kind;
    b->snap.time = b->opt->has_time ? b->opt->time : time_now();
    if (b->opt->of_run)
        b->snap.of_run = *b->opt->of_run;
    enum errc rc = process_who(&b->snap.host, &b->snap.user, err);
    if (rc == ERR_OK)
        rc = fill_tags(&b->snap, b->opt, err);
    if (rc == ERR_OK)
        rc = fill_set(b, err);
    if (rc == ERR_OK)
        rc = find_previous(b, err);
    if (rc == ERR_OK)
        rc = session_begin(b->store, b->opt->diag, b->opt->dry_run, &b->session, err);
    if (rc == ERR_OK && b->has_previous && (b->previous_damaged || session_lost_packs(b->session))) {
        /* What an unchanged file needs may be what is lost: everything is read, and named anew. */
        diag_message(b->opt->diag, DIAG_NOTE, "damaged", "the repository has lost data: everything is read anew");
        snapshot_release(&b->previous);
        memset(&b->previous, 0, sizeof b->previous);
        b->has_previous = false;
    }
    if (rc == ERR_OK)
        rc = capture_all(b, err);
    if (rc == ERR_OK && b->snap.item_count == 0)
        rc = err_fail(err, ERR_NOTHING_STORED, "nothing was stored: none of what was named could be read");
    return rc == ERR_OK ? store_it(b, out, err) : rc;
}

static enum errc put_hold(struct backup *b, const struct backup_outcome *out, struct err *err)
{
    struct log_body body = {.head.kind = LOG_HOLD, .id_count = 1};
    struct snapshot_id id = out->snap.id;
    body.ids = &id;
    enum errc rc = mem_strdup(&body.name, b->opt->hold, err);
    if (rc == ERR_OK)
        rc = store_append(b->store, &body, err);
    free(body.name);
    return rc;
}

/* So that 'snap log' tells in the morning why there is no snapshot. It may fail for the same reason: then nothing is
 * kept. */
static void note_failure(const struct backup *b, struct timestamp begun, const struct err *why)
{
    struct err ignored;
    char detail[600];
    snprintf(detail, sizeof detail, "%.*s%s%.480s", 100, b->snap.set ? b->snap.set : "", b->snap.set ? ": " : "",
             why->message);
    struct run_note note = {.verb = "backup",
                            .state = why->code == ERR_INTERRUPTED ? "interrupted" : "failed",
                            .detail = detail,
                            .begun = begun,
                            .begun_ns = b->begun_ns};
    (void)!run_note_append(b->store, &note, &ignored);
}

enum errc backup_run(struct store *s, const struct backup_options *opt, struct backup_outcome *out, struct err *err)
{
    struct backup b = {.store = s, .opt = opt, .begun_ns = monotonic_ns()};
    struct timestamp begun = time_now();
    memset(out, 0, sizeof *out);
    enum errc rc = opt->hold ? marks_check_name(opt->hold, err) : ERR_OK;
    for (size_t i = 0; rc == ERR_OK && opt->kind == SNAPSHOT_BACKUP && i < opt->set->source_count; i++)
        rc = own_check_source(s, opt->set->sources[i].path, err);
    if (rc != ERR_OK)
        return rc;
    b.expected = estimate_start(opt->set, opt->diag);
    rc = run(&b, out, err);
    if (rc != ERR_OK && err && !out->made && opt->kind == SNAPSHOT_BACKUP && !opt->dry_run)
        note_failure(&b, begun, err);
    estimate_free(b.expected);
    session_free(b.session);
    snapshot_release(&b.snap);
    snapshot_release(&b.previous);
    if (out->made && opt->hold) {
        struct err why;
        enum errc held = put_hold(&b, out, &why);
        if (held != ERR_OK) {
            if (err)
                *err = why;
            rc = err_wrap(err, "the snapshot was made, but not the hold '%s'", opt->hold);
        }
    }
    return rc;
}
