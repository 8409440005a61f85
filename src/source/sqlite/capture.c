#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/limits.h"
#include "chunk/cut.h"
#include "source/files/meta.h"
#include "source/sqlite/checkpoint.h"
#include "source/sqlite/helper.h"
#include "source/sqlite/probe.h"
#include "source/sqlite/raw.h"
#include "source/vectors/vector_facts.h"

/* One capture of one database. */
struct job {
    const struct place *place;
    const char *rel;
    struct sink *sink;
    const struct capture_options *opt;
    struct capture_result *result;
    struct meta meta;
    struct probe probe;
    struct owners *owners;
    struct fact_list facts;
    uint64_t bytes;
    bool begun;       /* the sink is in the middle of an entry */
    bool sink_failed; /* the error in hand is the sink's */
};

static enum errc from_sink(struct job *j, enum errc rc)
{
    if (rc != ERR_OK)
        j->sink_failed = true;
    return rc;
}

static enum errc take_data(struct job *j, struct helper *h, size_t len, struct err *err)
{
    enum errc rc = ERR_OK;

    if (!j->begun) {
        rc = from_sink(j, j->sink->ops->begin(j->sink, CUT_FIXED_BYTES, err));
        j->begun = rc == ERR_OK;
    }
    while (rc == ERR_OK && len > 0) {
        uint8_t *room = NULL;
        size_t cap = 0;
        rc = from_sink(j, j->sink->ops->space(j->sink, &room, &cap, err));
        if (rc != ERR_OK)
            break;
        size_t part = len < cap ? len : cap;
        rc = frame_body(h->fd, j->opt->diag, room, part, err);
        if (rc == ERR_OK)
            rc = from_sink(j, j->sink->ops->advance(j->sink, part, err));
        len -= part;
        j->bytes += part;
    }
    return rc;
}

static enum errc read_frames(struct job *j, struct helper *h, struct done_report *report, struct err *err)
{
    enum frame_kind kind;
    size_t len;
    bool facts_seen = false;

    for (;;) {
        if (diag_interrupted(j->opt->diag))
            return err_fail(err, ERR_INTERRUPTED, "interrupted");
        enum errc rc = frame_head(h->fd, j->opt->diag, &kind, &len, err);
        if (rc != ERR_OK)
            return rc;
        if (kind == FRAME_DONE) {
            rc = helper_read_done(h, len, j->opt->diag, report, err);
            if (rc == ERR_OK && report->outcome == OUTCOME_OK && !facts_seen)
                rc = err_fail(err, ERR_CHILD, "the SQLite helper process sent no facts");
            return rc;
        }
        if (kind == FRAME_DATA && !facts_seen) {
            rc = take_data(j, h, len, err);
        } else if (kind == FRAME_NOTE) {
            rc = helper_read_note(h, len, j->opt->diag, j->place->shown, err);
        } else if (kind == FRAME_FACTS && !facts_seen) {
            facts_seen = true;
            rc = helper_read_facts(h, len, j->opt->diag, &j->facts, err);
        } else if ((int)kind == 0) {
            struct err ended = {0};
            rc = helper_finish(h, &ended);
            rc = err_fail(err, ERR_CHILD, "%s",
                          rc != ERR_OK ? ended.message : "the SQLite helper process ended without a word");
        } else {
            rc = err_fail(err, ERR_CHILD, "the SQLite helper process said something out of turn");
        }
        if (rc != ERR_OK)
            return rc;
    }
}

/* One run of the helper on place (the database, or a private copy). ERR_CHILD also becomes an outcome; errors that are
 * returned end the capture. */
static enum errc run_helper(struct job *j, const struct place *place, bool copy, bool spool, struct done_report *report,
                            struct err *err)
{
    struct helper_spec spec = {.op = "capture",
                               .self_exe = j->opt->self_exe,
                               .place = place,
                               .image_fd = -1,
                               .checkpoint = copy ? CHECKPOINT_NONE : j->opt->checkpoint,
                               .spool = spool,
                               .copy = copy};
    struct helper h = {.fd = -1};

    *report = (struct done_report){0};
    fact_list_release(&j->facts);
    j->bytes = 0;
    enum errc rc = ERR_OK;
    if (j->begun) {
        rc = from_sink(j, j->sink->ops->abandon(j->sink, err));
        j->begun = false;
    }
    if (rc == ERR_OK)
        rc = helper_start(&spec, &h, err);
    if (rc == ERR_OK)
        rc = read_frames(j, &h, report, err);
    if (rc == ERR_OK)
        rc = helper_finish(&h, err);
    helper_kill(&h);
    if (rc == ERR_OK || j->sink_failed || rc == ERR_INTERRUPTED)
        return rc;
    report->outcome = OUTCOME_FAILED;
    snprintf(report->text, sizeof report->text, "%.*s", (int)sizeof report->text - 1, err->message);
    return ERR_OK;
}

/* A database that cannot be opened where it lies, from a private copy. */
static enum errc run_on_copy(struct job *j, struct done_report *report, struct err *err)
{
    struct private_copy copy;
    struct err why;

    if (private_copy_make(j->place, &copy, &why) != ERR_OK) {
        size_t used = strlen(report->text);
        snprintf(report->text + used, sizeof report->text - used, "; no private copy: %.300s", why.message);
        return ERR_OK;
    }
    diag_message(j->opt->diag, DIAG_NOTE, "", "%s: %s; captured from a private copy", j->place->shown, report->text);
    enum errc rc = run_helper(j, &copy.place, true, false, report, err);
    if (rc == ERR_OK && report->outcome == OUTCOME_DISORDER)
        rc = run_helper(j, &copy.place, true, true, report, err);
    private_copy_remove(&copy);
    /* The journal is rolled back in the copy only: the next capture has to look again. */
    j->probe.len = 0;
    return rc;
}

static enum errc run(struct job *j, struct done_report *report, struct err *err)
{
    if (journal_names_super(j->place)) {
        *report = (struct done_report){.outcome = OUTCOME_HOT_JOURNAL};
        snprintf(report->text, sizeof report->text,
                 "its journal names a super-journal: SQLite is not let near it, for opening it would delete that file");
        return ERR_OK;
    }
    if (place_is_no_database(j->place)) {
        *report = (struct done_report){.outcome = OUTCOME_NOT_A_DATABASE};
        snprintf(report->text, sizeof report->text, "file is not a database");
        return ERR_OK;
    }
    enum errc rc = run_helper(j, j->place, false, false, report, err);
    if (rc == ERR_OK && report->outcome == OUTCOME_DISORDER)
        rc = run_helper(j, j->place, false, true, report, err);
    if (rc == ERR_OK && (report->outcome == OUTCOME_HOT_JOURNAL || report->outcome == OUTCOME_NEEDS_COPY))
        rc = run_on_copy(j, report, err);
    return rc;
}

/* Vectors of another dimension than the configured one are marked; unfit says what they are. */
static enum errc compare_dimension(struct job *j, char unfit[400], struct err *err)
{
    int64_t dimension = j->opt->vector_dimension;
    unfit[0] = '\0';
    if (dimension == 0 || vector_facts_fit(&j->facts, dimension, unfit, 400))
        return ERR_OK;
    return fact_set_int(&j->facts, "vectors.expected_dimension", dimension, err);
}

static void tell(struct job *j, const struct done_report *report, const char *unfit)
{
    j->result->good = j->result->good && !report->damaged && !*unfit;
    if (report->damaged)
        diag_message(j->opt->diag, DIAG_WARNING, err_name(ERR_SOURCE_DAMAGED),
                     "%s is damaged; it was stored as it is: %s", j->place->shown, report->text);
    if (*unfit)
        diag_message(j->opt->diag, DIAG_WARNING, err_name(ERR_CHECK_FAILED),
                     "%s was stored as it is, but it has %s, and %lld is configured", j->place->shown, unfit,
                     (long long)j->opt->vector_dimension);
}

static enum errc finish(struct job *j, const struct done_report *report, struct err *err)
{
    char unfit[400] = "";
    struct buf facts;
    struct entry e = j->meta.entry;
    enum errc rc = ERR_OK;

    buf_init(&facts, FACTS_MAX_BYTES + 1024);
    if (!j->begun) /* an empty database */
        rc = j->sink->ops->begin(j->sink, CUT_FIXED_BYTES, err);
    if (rc == ERR_OK)
        rc = compare_dimension(j, unfit, err);
    if (rc == ERR_OK)
        rc = fact_list_put(&facts, &j->facts, err);
    if (report->damaged || *unfit)
        j->probe.len = 0; /* so that it is told each time */
    e.type = ENTRY_SQLITE;
    e.path = j->rel;
    e.path_len = strlen(j->rel);
    e.probe = j->probe.len > 0 ? j->probe.data : NULL;
    e.probe_len = j->probe.len;
    struct entry_end end = {.state = STATE_EXACT, .size = j->bytes, .facts = facts.data, .facts_len = facts.len};
    if (rc == ERR_OK)
        rc = j->sink->ops->end(j->sink, &e, &end, err);
    if (rc == ERR_OK) {
        j->result->entries++;
        j->result->bytes += j->bytes;
        j->result->bytes_read += j->bytes;
    }
    if (rc == ERR_OK)
        tell(j, report, unfit);
    buf_release(&facts);
    return rc;
}

static enum errc fall_back_to_raw(struct job *j, const struct done_report *report, struct err *err)
{
    static const enum errc codes[OUTCOME_COUNT] = {
        [OUTCOME_NOT_A_DATABASE] = ERR_SOURCE_DAMAGED,
        [OUTCOME_DAMAGED] = ERR_SOURCE_DAMAGED,
        [OUTCOME_BUSY] = ERR_SOURCE_BUSY,
        [OUTCOME_HOT_JOURNAL] = ERR_SOURCE_BUSY,
        [OUTCOME_NEEDS_COPY] = ERR_SOURCE_BUSY,
        [OUTCOME_NO_SPACE] = ERR_NO_SPACE,
    };
    enum errc code = codes[report->outcome] ? codes[report->outcome] : ERR_SOURCE_UNREADABLE;
    enum errc rc = ERR_OK;

    if (j->begun)
        rc = j->sink->ops->abandon(j->sink, err);
    j->begun = false;
    uint64_t before = j->result->entries;
    if (rc == ERR_OK)
        rc = raw_capture(j->place, j->rel, report->text, j->sink, j->opt, j->result, err);
    if (rc == ERR_OK)
        diag_message(j->opt->diag, DIAG_WARNING, err_name(code),
                     j->result->entries > before
                         ? "%s could not be read through SQLite, so its files were stored as plain bytes: %s"
                         : "%s could not be read through SQLite, and nothing of it was stored: %s",
                     j->place->shown, report->text);
    return rc;
}

/* True when the previous entry serves, and was used. */
static enum errc try_reuse(struct job *j, bool *reused, struct err *err)
{
    const struct entry *previous = NULL;
    enum errc rc = j->sink->ops->previous(j->sink, j->rel, strlen(j->rel), &previous, err);

    *reused = false;
    if (rc != ERR_OK || !previous || previous->type != ENTRY_SQLITE || j->opt->force_read ||
        !probe_proves_unchanged(&j->probe, previous->probe, previous->probe_len, j->opt->previous_look))
        return rc;
    struct entry e = j->meta.entry;
    e.type = ENTRY_SQLITE;
    e.path = j->rel;
    e.path_len = strlen(j->rel);
    e.probe = j->probe.data;
    e.probe_len = j->probe.len;
    rc = j->sink->ops->reuse(j->sink, &e, err);
    if (rc == ERR_OK) {
        *reused = true;
        j->result->entries++;
        j->result->bytes += e.size;
    }
    return rc;
}

static enum errc capture(struct job *j, struct err *err)
{
    struct done_report report = {0};
    bool reused = false;
    enum errc rc = try_reuse(j, &reused, err);

    if (rc != ERR_OK || reused)
        return rc;
    if (j->opt->checkpoint != CHECKPOINT_NONE)
        checkpoint_warn(j->opt->diag, j->place->shown);
    rc = run(j, &report, err);
    if (rc != ERR_OK)
        return rc;
    if (report.outcome == OUTCOME_OK && report.damaged && j->opt->raw_if_damaged)
        report.outcome = OUTCOME_DAMAGED;
    if (report.outcome == OUTCOME_OK)
        return finish(j, &report, err);
    return fall_back_to_raw(j, &report, err);
}

/* What was checked under another configuration, or none, is not what would be found under this one. */
static void note_dimension(struct job *j)
{
    int64_t dimension = j->opt->vector_dimension;
    if (dimension == 0 || j->probe.len == 0)
        return;
    if (j->probe.len + sizeof dimension > sizeof j->probe.data) {
        j->probe.len = 0;
        return;
    }
    memcpy(j->probe.data + j->probe.len, &dimension, sizeof dimension);
    j->probe.len += sizeof dimension;
}

/* Look at the database, then capture it. *found_out false: the error is about the database, and nothing reached the
 * sink. */
static enum errc capture_path(const char *path, struct job *j, bool *found_out, struct err *err)
{
    struct place place;
    enum errc rc = *j->rel ? place_open_in_tree(&place, path, j->rel, err) : place_open(&place, path, true, err);

    *found_out = false;
    meta_init(&j->meta);
    j->place = &place;
    if (rc == ERR_OK && place.st.st_mode == 0)
        rc = err_sys(err, ERR_SOURCE_MISSING, ENOENT, "%s", place.shown);
    if (rc == ERR_OK)
        rc = owners_new(&j->owners, err);
    if (rc == ERR_OK) {
        probe_take(&place, &j->probe); /* before anything else: what changes from now on is seen next time */
        note_dimension(j);
        rc = meta_read(place.dir_fd, place.name, j->owners, place.shown, &j->meta, err);
        if (rc == ERR_IO)
            rc = err_recode(err, err->sys_errno == ENOENT ? ERR_SOURCE_MISSING : ERR_SOURCE_UNREADABLE);
    }
    if (rc == ERR_OK) {
        *found_out = true;
        rc = capture(j, err);
    }
    meta_release(&j->meta);
    owners_free(j->owners);
    place_release(&place);
    return rc;
}

enum errc sqlite_capture_entry(const char *abs_path, const char *rel, struct sink *sink,
                               const struct capture_options *opt, struct capture_result *result, struct err *err)
{
    struct job j = {.rel = rel, .sink = sink, .opt = opt, .result = result};
    bool found;
    enum errc rc = capture_path(abs_path, &j, &found, err);

    fact_list_release(&j.facts);
    if (rc != ERR_OK && !found && rc != ERR_NO_MEMORY) {
        result->good = false;
        sink->ops->failed(sink, rel, err);
        return ERR_OK;
    }
    return rc;
}

enum errc sqlite_capture(const char *path, struct sink *sink, const struct capture_options *opt,
                         struct capture_result *out, struct err *err)
{
    struct job j = {.rel = "", .sink = sink, .opt = opt, .result = out};
    bool found;

    *out = (struct capture_result){.worst = STATE_EXACT, .good = true};
    enum errc rc = capture_path(path, &j, &found, err);
    if (rc == ERR_OK && out->entries == 0)
        out->worst = STATE_ERROR;
    if (rc == ERR_OK)
        out->facts = j.facts;
    else
        fact_list_release(&j.facts);
    return rc;
}
