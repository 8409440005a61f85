#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

/* latest, latest~N, latest@SET, latest@SET~N. False when spec is none of these. */
static bool parse_latest(const char *spec, char *set, size_t cap, uint64_t *back, bool *malformed)
{
    *back = 0;
    *malformed = false;
    set[0] = '\0';
    if (strncmp(spec, "latest", 6) != 0 || (spec[6] != '\0' && spec[6] != '~' && spec[6] != '@'))
        return false;
    const char *tilde = strrchr(spec, '~');
    const char *end = spec + strlen(spec);
    if (tilde) {
        char *stop;
        errno = 0;
        unsigned long long n = strtoull(tilde + 1, &stop, 10);
        bool is_number = isdigit((unsigned char)tilde[1]) && *stop == '\0' && errno == 0;
        if (is_number) {
            *back = n;
            end = tilde;
        } else if (spec[6] == '~') {
            *malformed = true;
        }
    }
    if (spec[6] == '@') {
        size_t len = (size_t)(end - (spec + 7));
        if (len >= cap)
            len = cap - 1;
        memcpy(set, spec + 7, len);
        set[len] = '\0';
    }
    return true;
}

static bool all_hex(const char *s)
{
    for (; *s; s++)
        if (!isxdigit((unsigned char)*s))
            return false;
    return true;
}

static enum errc find_latest(struct store *s, const char *spec, struct snapshot_id *id, bool *is_latest,
                             struct err *err)
{
    char set[NAME_MAX_BYTES + 1];
    uint64_t back;
    bool malformed, found;
    *is_latest = parse_latest(spec, set, sizeof set, &back, &malformed);
    if (!*is_latest)
        return ERR_OK;
    if (malformed)
        return err_fail(err, ERR_USAGE, "'%s' is not a snapshot: a number comes after '~'", spec);
    enum errc rc = catalog_latest(s->catalog, set[0] ? set : NULL, back, id, &found, err);
    if (rc == ERR_OK && !found)
        rc = err_fail(err, ERR_UNKNOWN_ID, "there is no good snapshot that '%s' could mean", spec);
    return rc;
}

static enum errc find_prefix(struct store *s, const char *spec, bool include_deleted, struct snapshot_id *id,
                             struct err *err)
{
    struct snapshot_id ids[2];
    size_t count = 0;
    if (strlen(spec) >= 4 && strlen(spec) <= 2 * sizeof id->b && all_hex(spec)) {
        enum errc rc = catalog_snapshot_prefix(s->catalog, spec, include_deleted, ids, 2, &count, err);
        if (rc != ERR_OK)
            return rc;
    }
    if (count == 0)
        return err_fail(err, ERR_UNKNOWN_ID, "there is no snapshot '%s'", spec);
    if (count > 1)
        return err_fail(err, ERR_AMBIGUOUS_ID, "'%s' is the beginning of more than one snapshot's id", spec);
    *id = ids[0];
    return ERR_OK;
}

static enum errc find_id(struct store *s, const char *spec, bool include_deleted, struct snapshot_id *id,
                         struct err *err)
{
    bool found;
    enum errc rc = find_latest(s, spec, id, &found, err);
    if (rc != ERR_OK || found)
        return rc;
    rc = catalog_hold(s->catalog, spec, id, &found, err);
    if (rc != ERR_OK || found)
        return rc;
    return find_prefix(s, spec, include_deleted, id, err);
}

enum errc store_find_snapshot(struct store *s, const char *spec, bool include_deleted, struct snapshot *out,
                              struct err *err)
{
    struct snapshot_id id;
    struct snapshot_row row;
    bool found;
    memset(out, 0, sizeof *out);
    memset(&row, 0, sizeof row);
    pthread_mutex_lock(&s->lock);
    enum errc rc = find_id(s, spec, include_deleted, &id, err);
    if (rc == ERR_OK)
        rc = catalog_snapshot(s->catalog, &id, &row, &found, err);
    if (rc == ERR_OK && !found)
        rc = err_fail(err, ERR_UNKNOWN_ID, "there is no snapshot '%s'", spec);
    pthread_mutex_unlock(&s->lock);
    if (rc == ERR_OK) {
        *out = row.snap;
        memset(&row.snap, 0, sizeof row.snap);
    }
    snapshot_row_release(&row);
    return rc;
}
