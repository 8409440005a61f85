#include "engine/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run_note.h"
#include "engine/verify_databases.h"

enum {
    LEVEL_STRUCTURE = 1,
    LEVEL_DATA = 2,
    LEVEL_DATABASES = 4,
    RECORD_SNAPSHOTS = 8000, /* in one log record: below its limit with every detail at its longest */
    DETAIL_MAX = 400,
};

struct verifying {
    struct store *store;
    const struct verify_options *opt;
    struct verify_outcome *out;
    struct snapshot_id *ids; /* the chosen snapshots */
    size_t id_count, id_cap;
    uint32_t tried, proven; /* LEVEL_* bits */
    struct timestamp begun;
    uint64_t begun_ns;
};

void verify_outcome_release(struct verify_outcome *o)
{
    for (size_t i = 0; i < o->database_count; i++) {
        free(o->databases[i].source);
        free(o->databases[i].path);
        free(o->databases[i].detail);
    }
    free(o->databases);
    store_verify_result_release(&o->store);
    memset(o, 0, sizeof *o);
}

/* --- which snapshots
 * -------------------------------------------------------------------------------------------------- */

static enum errc choose(struct verifying *v, const struct snapshot_id *id, struct err *err)
{
    for (size_t i = 0; v->opt->id_count > 0 && i < v->id_count; i++)
        if (memcmp(&v->ids[i], id, sizeof *id) == 0)
            return ERR_OK;
    enum errc rc = mem_grow(&v->ids, &v->id_cap, v->id_count + 1, sizeof *v->ids, err);
    if (rc == ERR_OK)
        v->ids[v->id_count++] = *id;
    return rc;
}

static enum errc on_row(void *arg, struct snapshot_row *row, struct err *err)
{
    return choose(arg, &row->snap.id, err);
}

static enum errc choose_snapshots(struct verifying *v, struct err *err)
{
    struct snapshot_filter all = {.any_deleted = true};
    enum errc rc = ERR_OK;
    if (v->opt->id_count == 0)
        return catalog_snapshots(store_catalog(v->store), &all, on_row, v, err);
    for (size_t i = 0; rc == ERR_OK && i < v->opt->id_count; i++) {
        struct snapshot snap;
        rc = store_find_snapshot(v->store, v->opt->ids[i], true, &snap, err);
        if (rc == ERR_OK) {
            rc = choose(v, &snap.id, err);
            snapshot_release(&snap);
        }
    }
    return rc;
}

/* --- the store
 * -------------------------------------------------------------------------------------------------------- */

static bool has_error(const struct store_verify_result *r, const struct store_verify_error *e)
{
    for (size_t i = 0; i < r->error_count; i++)
        if (strcmp(r->errors[i].kind, e->kind) == 0 && strcmp(r->errors[i].object, e->object) == 0)
            return true;
    return false;
}

/* What only the first pass saw goes to the second's result. */
static enum errc merge_errors(struct store_verify_result *to, struct store_verify_result *from, struct err *err)
{
    for (size_t i = 0; i < from->error_count; i++) {
        if (has_error(to, &from->errors[i]))
            continue;
        struct store_verify_error *errors = reallocarray(to->errors, to->error_count + 1, sizeof *errors);
        if (!errors)
            return err_fail(err, ERR_NO_MEMORY, "no memory for a list of errors");
        to->errors = errors;
        errors[to->error_count++] = from->errors[i];
        memset(&from->errors[i], 0, sizeof from->errors[i]);
    }
    return ERR_OK;
}

/* With a part of the data only, the structure of all is looked at first: so that it may be claimed. */
static enum errc verify_store(struct verifying *v, struct err *err)
{
    const struct store_verify_options *wanted = &v->opt->store;
    struct store_verify_result *out = &v->out->store, first = {0};
    bool part = wanted->subset_t > 1 || wanted->subset_bytes > 0;
    struct store_verify_options structure = *wanted;
    structure.read_data = false;
    structure.subset_t = 0;
    structure.subset_bytes = 0;
    v->tried = LEVEL_STRUCTURE | (wanted->read_data ? LEVEL_DATA : 0);
    if (!part) {
        enum errc rc = store_verify(v->store, wanted, out, err);
        if (rc == ERR_OK && out->complete)
            v->proven = v->tried;
        return rc;
    }
    enum errc rc = store_verify(v->store, &structure, &first, err);
    if (rc == ERR_OK)
        rc = store_verify(v->store, wanted, out, err);
    if (rc == ERR_OK)
        rc = merge_errors(out, &first, err);
    if (rc == ERR_OK && first.complete)
        v->proven = LEVEL_STRUCTURE;
    if (rc == ERR_OK && first.complete && out->complete && wanted->subset_t <= 1 && wanted->read_data)
        v->proven |= LEVEL_DATA; /* the limit of bytes lay above all there is */
    store_verify_result_release(&first);
    return rc;
}

static enum errc open_databases(struct verifying *v, struct err *err)
{
    bool complete = false;
    struct err why;
    enum errc rc = verify_databases(v->store, v->opt, v->ids, v->id_count, v->out, &complete, &why);
    if (rc == ERR_OK && complete)
        v->proven |= LEVEL_DATABASES;
    else
        v->out->store.complete = false;
    if (rc != ERR_OK && rc != ERR_INTERRUPTED && v->out->store.error_count > 0) {
        diag_error(v->opt->diag, &why); /* the damage found is not to be lost over it */
        rc = ERR_OK;
    }
    if (rc != ERR_OK)
        *err = why;
    v->tried |= LEVEL_DATABASES;
    return rc;
}

/* --- the record
 * --------------------------------------------------------------------------------------------------------- */

static const struct store_verify_error *error_of(const struct verifying *v, const struct snapshot_id *id)
{
    const struct store_verify_result *r = &v->out->store;
    for (size_t i = 0; i < r->error_count; i++)
        for (size_t j = 0; j < r->errors[i].affects_count; j++)
            if (memcmp(&r->errors[i].affects[j], id, sizeof *id) == 0)
                return &r->errors[i];
    return NULL;
}

static enum errc note_snapshot(const struct verifying *v, const struct snapshot_id *id, struct log_body *body,
                               struct err *err)
{
    const struct store_verify_error *e = error_of(v, id);
    char detail[DETAIL_MAX];
    if (!e && v->proven == 0)
        return ERR_OK; /* nothing was proven, for or against */
    struct verified *n = &body->verified[body->verified_count++];
    *n = (struct verified){.id = *id, .level = e ? v->tried : v->proven, .ok = !e};
    if (!e)
        return ERR_OK;
    snprintf(detail, sizeof detail, "%s %s: %.250s", e->kind, e->object, e->message);
    return mem_strdup(&n->detail, detail, err);
}

static enum errc append_record(struct verifying *v, size_t from, size_t count, struct err *err)
{
    struct log_body body = {.head = {.kind = LOG_VERIFIED}};
    enum errc rc = mem_alloc(&body.verified, (count + 1) * sizeof *body.verified, err);
    for (size_t i = 0; rc == ERR_OK && i < count; i++)
        rc = note_snapshot(v, &v->ids[from + i], &body, err);
    if (rc == ERR_OK)
        rc = store_append(v->store, &body, err);
    log_body_release(&body);
    return rc;
}

/* The run itself, after what it found out about each snapshot. */
static enum errc append_run(const struct verifying *v, struct err *err)
{
    const struct store_verify_result *r = &v->out->store;
    char detail[200], read[32];
    if (r->error_count > 0)
        snprintf(detail, sizeof detail, "damage in %zu %s", r->error_count, r->error_count == 1 ? "place" : "places");
    else
        snprintf(detail, sizeof detail, "%zu %s, %" PRIu64 " packs, %s read: no damage found", v->id_count,
                 v->id_count == 1 ? "snapshot" : "snapshots", r->packs, size_format(read, r->bytes_read));
    struct run_note note = {.verb = "verify",
                            .state = r->error_count > 0 ? "damaged" : "done",
                            .detail = detail,
                            .begun = v->begun,
                            .begun_ns = v->begun_ns};
    return run_note_append(v->store, &note, err);
}

static enum errc record(struct verifying *v, struct err *err)
{
    struct err why;
    enum errc rc = ERR_OK;
    if (store_is_read_only(v->store)) {
        rc = err_fail(&why, ERR_READ_ONLY, "read-only");
    } else {
        size_t at = 0;
        do {
            size_t count = v->id_count - at < RECORD_SNAPSHOTS ? v->id_count - at : RECORD_SNAPSHOTS;
            rc = append_record(v, at, count, &why);
            at += count;
        } while (rc == ERR_OK && at < v->id_count);
        if (rc == ERR_OK)
            rc = append_run(v, &why);
    }
    v->out->recorded = rc == ERR_OK;
    if (rc == ERR_OK)
        return ERR_OK;
    if (rc == ERR_READ_ONLY) {
        diag_message(v->opt->diag, DIAG_NOTE, "",
                     "the repository cannot be written to here: no record of this verification was kept");
        return ERR_OK;
    }
    if (v->out->store.error_count > 0) { /* the damage is what matters */
        diag_error(v->opt->diag, &why);
        return ERR_OK;
    }
    *err = why;
    return err_wrap(err, "all is sound, but the record of it could not be kept");
}

static enum errc verdict(const struct verifying *v, struct err *err)
{
    const struct store_verify_result *r = &v->out->store;
    if (r->error_count == 0)
        return ERR_OK;
    err_fail(err, ERR_DAMAGED, "damage was found in %zu %s", r->error_count, r->error_count == 1 ? "place" : "places");
    return err_hint(err, "Restore what is affected from another snapshot, or bring the damaged files of the repository "
                         "back from a copy of it; what is still at its source is stored anew by "
                         "'snap backup --force-read'.");
}

enum errc verify_run(struct store *s, const struct verify_options *opt, struct verify_outcome *out, struct err *err)
{
    struct verifying v = {.store = s, .opt = opt, .out = out, .begun = time_now(), .begun_ns = monotonic_ns()};
    memset(out, 0, sizeof *out);
    enum errc rc = choose_snapshots(&v, err);
    if (rc == ERR_OK)
        rc = verify_store(&v, err);
    if (opt->id_count > 0)
        out->store.snapshots = v.id_count; /* the store looks at what all of them share */
    if (rc == ERR_OK && opt->databases)
        rc = open_databases(&v, err);
    if (rc == ERR_OK)
        rc = record(&v, err);
    out->duration_ms = (monotonic_ns() - v.begun_ns) / 1000000;
    if (rc == ERR_OK)
        rc = verdict(&v, err);
    free(v.ids);
    return rc;
}
