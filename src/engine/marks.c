#include "engine/marks.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

static bool looks_like_id(const char *name)
{
    if (strncmp(name, "latest", 6) == 0)
        return true;
    size_t len = strlen(name);
    if (len < 4 || len > 32)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isxdigit((unsigned char)name[i]))
            return false;
    return true;
}

enum errc marks_check_name(const char *name, struct err *err)
{
    if (name[0] == '\0' || strlen(name) > NAME_MAX_BYTES)
        return err_fail(err, ERR_USAGE, "a hold's name has 1 to %d bytes", NAME_MAX_BYTES);
    if (looks_like_id(name))
        return err_fail(err, ERR_USAGE, "'%s' could be taken for a snapshot's id; choose another name", name);
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == ':')
            return err_fail(err, ERR_USAGE, "a hold's name has no control characters and no ':'");
    return ERR_OK;
}

enum errc marks_hold(struct store *s, const char *name, const char *snapshot, struct snapshot_id *id_out,
                     struct err *err)
{
    struct snapshot snap;
    struct snapshot_id held;
    bool found = false;
    enum errc rc = marks_check_name(name, err);
    if (rc != ERR_OK)
        return rc;
    rc = store_find_snapshot(s, snapshot, false, &snap, err);
    if (rc == ERR_OK) {
        *id_out = snap.id;
        rc = catalog_hold(store_catalog(s), name, &held, &found, err);
    }
    if (rc == ERR_OK && found && memcmp(&held, id_out, sizeof held) != 0)
        rc = err_fail(err, ERR_NAME_TAKEN, "the hold '%s' is on another snapshot", name);
    if (rc == ERR_OK && !found) {
        struct log_body body = {.head.kind = LOG_HOLD, .ids = id_out, .id_count = 1};
        rc = mem_strdup(&body.name, name, err);
        if (rc == ERR_OK)
            rc = store_append(s, &body, err);
        free(body.name);
    }
    snapshot_release(&snap);
    return rc;
}

enum errc marks_release(struct store *s, const char *name, struct err *err)
{
    struct snapshot_id held;
    bool found;
    enum errc rc = catalog_hold(store_catalog(s), name, &held, &found, err);
    if (rc == ERR_OK && !found)
        rc = err_fail(err, ERR_UNKNOWN_ID, "there is no hold '%s'", name);
    if (rc != ERR_OK)
        return rc;
    struct log_body body = {.head.kind = LOG_RELEASE};
    rc = mem_strdup(&body.name, name, err);
    if (rc == ERR_OK)
        rc = store_append(s, &body, err);
    free(body.name);
    return rc;
}

/* The row decides: held ones stay, and what is there already is not done again. */
static enum errc want_change(struct store *s, const struct snapshot_id *id, bool forget, const char *spec, bool *change,
                             struct err *err)
{
    struct snapshot_row row;
    bool found;
    memset(&row, 0, sizeof row);
    enum errc rc = catalog_snapshot(store_catalog(s), id, &row, &found, err);
    if (rc == ERR_OK && !found)
        rc = err_fail(err, ERR_UNKNOWN_ID, "there is no snapshot '%s'", spec);
    if (rc == ERR_OK && forget && row.hold_count > 0) {
        rc = err_fail(err, ERR_HELD, "snapshot '%s' is held as '%s'; nothing was forgotten", spec, row.holds[0]);
        (void)err_hint(err, "Run 'snap release %s' first if it may go.", row.holds[0]);
    }
    if (rc == ERR_OK)
        *change = row.deleted != forget;
    snapshot_row_release(&row);
    return rc;
}

static enum errc change_trash(struct store *s, const char *const *snapshots, size_t count, bool forget, struct err *err)
{
    struct log_body body = {.head.kind = forget ? LOG_TRASH : LOG_UNTRASH};
    enum errc rc = mem_alloc(&body.ids, (count + 1) * sizeof *body.ids, err);
    for (size_t i = 0; rc == ERR_OK && i < count; i++) {
        struct snapshot snap;
        bool change = false;
        rc = store_find_snapshot(s, snapshots[i], true, &snap, err);
        if (rc == ERR_OK)
            rc = want_change(s, &snap.id, forget, snapshots[i], &change, err);
        if (rc == ERR_OK && change)
            body.ids[body.id_count++] = snap.id;
        snapshot_release(&snap);
    }
    if (rc == ERR_OK && body.id_count > 0)
        rc = store_append(s, &body, err);
    free(body.ids);
    return rc;
}

enum errc marks_forget(struct store *s, const char *const *snapshots, size_t count, struct err *err)
{
    return change_trash(s, snapshots, count, true, err);
}

enum errc marks_undelete(struct store *s, const char *const *snapshots, size_t count, struct err *err)
{
    return change_trash(s, snapshots, count, false, err);
}
