/* Words for values, and snapshots as the command line names them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "cli/cli.h"

const char *kind_text(enum snapshot_kind k)
{
    return k == SNAPSHOT_BACKUP     ? "backup"
           : k == SNAPSHOT_FORENSIC ? "forensic"
           : k == SNAPSHOT_IMPORTED ? "imported"
                                    : "unknown";
}

const char *item_type_text(enum item_type t)
{
    return t == ITEM_FILES ? "files" : t == ITEM_SQLITE ? "sqlite" : t == ITEM_FILE ? "file" : "unknown";
}

const char *state_text(enum entry_state s)
{
    return s == STATE_EXACT ? "exact" : s == STATE_FUZZY ? "fuzzy" : s == STATE_RAW ? "raw" : "error";
}

const char *row_state(const struct snapshot_row *row)
{
    return row->deleted ? "deleted" : row->damaged ? "damaged" : row->snap.partial ? "partial" : "good";
}

void sources_text(char *dst, size_t cap, const struct snapshot *s)
{
    size_t used = 0;
    dst[0] = '\0';
    for (size_t i = 0; i < s->item_count; i++) {
        int n = snprintf(dst + used, cap - used, "%s%s", i ? "," : "", s->items[i].source);
        if (n < 0 || (size_t)n >= cap - used) {
            memcpy(dst + cap - 4, "...", 4);
            return;
        }
        used += (size_t)n;
    }
}

static enum errc explain(void *arg, struct snapshot_row *row, struct err *err)
{
    char hex[ID_HEX_BYTES];
    (void)err;
    if (strcmp(row_state(row), "good") != 0)
        err_hint(arg, "The newest snapshot is %s, which is %s: name it by its id. 'snap list' shows all.",
                 id_short(hex, &row->snap.id), row_state(row));
    return ERR_OK;
}

enum errc cli_explain_latest(struct store *s, const char *spec, enum errc rc, struct err *err)
{
    char set[NAME_MAX_BYTES + 1] = "";
    struct err ignored;
    if (rc != ERR_UNKNOWN_ID || strncmp(spec, "latest", 6) != 0 || (spec[6] && spec[6] != '@' && spec[6] != '~'))
        return rc;
    if (spec[6] == '@') {
        const char *tilde = strrchr(spec, '~');
        size_t len = tilde ? (size_t)(tilde - spec) - 7 : strlen(spec) - 7;
        snprintf(set, sizeof set, "%.*s", len < sizeof set ? (int)len : 0, spec + 7);
    }
    struct snapshot_filter newest = {.set = set[0] ? set : NULL, .kind = SNAPSHOT_BACKUP, .last = 1};
    (void)!catalog_snapshots(store_catalog(s), &newest, explain, err, &ignored);
    return rc;
}

enum errc cli_snapshot(struct store *s, const char *spec, struct snapshot *out, struct err *err)
{
    *out = (struct snapshot){0};
    if (!spec[0])
        return err_fail(err, ERR_USAGE, "the name of a snapshot is empty");
    return cli_explain_latest(s, spec, store_find_snapshot(s, spec, true, out, err), err);
}

/* Try the part before one colon as a snapshot's name. */
static enum errc try_split(struct store *s, const char *spec, const char *colon, struct snapshot *out, char **path_out,
                           struct err *err)
{
    char *name = NULL;
    enum errc rc = mem_dup(&name, spec, (size_t)(colon - spec), err);
    if (rc == ERR_OK)
        rc = cli_snapshot(s, name, out, err);
    free(name);
    if (rc != ERR_OK)
        return rc;
    rc = path_absolute(colon + 1, path_out, err);
    if (rc != ERR_OK)
        snapshot_release(out);
    return rc;
}

/* The last ":/" first: latest@SET may hold colons, and so may a path; an id holds none. */
static enum errc try_splits(struct store *s, const char *spec, struct snapshot *out, char **path_out, struct err *err)
{
    size_t i = strlen(spec);
    enum errc rc = ERR_UNKNOWN_ID;
    while (i-- > 1) {
        if (spec[i] != ':' || spec[i + 1] != '/')
            continue;
        rc = try_split(s, spec, spec + i, out, path_out, err);
        if (rc != ERR_UNKNOWN_ID)
            return rc;
    }
    return rc;
}

enum errc cli_check_path_spec(const char *spec, bool need_path, struct err *err)
{
    const char *colon = strchr(spec, ':');
    if (strstr(spec, ":/") || (!need_path && (!colon || !colon[1])))
        return ERR_OK;
    err_fail(err, ERR_USAGE, "'%s' does not name a path in a snapshot", spec);
    err_hint(err, "Give ID:PATH with the absolute path the file had, for example latest:/srv/app/app.db.");
    return ERR_USAGE;
}

enum errc cli_snapshot_path(struct store *s, const char *spec, bool need_path, struct snapshot *out, char **path_out,
                            struct err *err)
{
    *path_out = NULL;
    enum errc rc = cli_check_path_spec(spec, need_path, err);
    if (rc != ERR_OK)
        return rc;
    rc = need_path ? ERR_UNKNOWN_ID : cli_snapshot(s, spec, out, err);
    if (rc == ERR_UNKNOWN_ID && strstr(spec, ":/"))
        rc = try_splits(s, spec, out, path_out, err);
    return rc;
}
