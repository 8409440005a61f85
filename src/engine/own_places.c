#include "engine/own_places.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is path, or a directory above it, what top is? A link at path itself is not followed, those above it are. What does
 * not exist yet is where it would be made. */
static enum errc lies_at(const char *path, const struct stat *top, bool *yes_out, struct err *err)
{
    char *at = NULL;
    *yes_out = false;
    enum errc rc = path_canonical(path, &at, err);
    while (rc == ERR_OK) {
        struct stat st;
        *yes_out = lstat(at, &st) == 0 && same(&st, top);
        if (*yes_out || strcmp(at, "/") == 0)
            break;
        char *up;
        rc = path_parent(at, &up, err);
        if (rc == ERR_OK) {
            free(at);
            at = up;
        }
    }
    free(at);
    return rc;
}

/* The same of one of our places, which may be named by a link. */
static enum errc place_lies_at(const char *place, const struct stat *top, bool *yes_out, struct err *err)
{
    char *real = realpath(place, NULL);
    enum errc rc = lies_at(real ? real : place, top, yes_out, err);
    free(real);
    return rc;
}

/* Directories above one another need not be seen above one another: a part of a file system may be mounted a second
 * time. */
static enum errc compare_mounts(const char *target, const char *place, bool *in_place_out, bool *holds_out,
                                struct err *err)
{
    struct fs_place a = {.path = NULL}, b = {.path = NULL};
    char *at = NULL, *real = realpath(place, NULL);
    *in_place_out = *holds_out = false;
    enum errc rc = path_canonical(target, &at, err);
    if (rc == ERR_OK)
        rc = fs_place_of(at, &a, err);
    if (rc == ERR_OK)
        rc = fs_place_of(real ? real : place, &b, err);
    if (rc == ERR_OK) {
        *in_place_out = fs_place_is_within(&a, &b);
        *holds_out = fs_place_is_within(&b, &a);
    }
    fs_place_release(&a);
    fs_place_release(&b);
    free(at);
    free(real);
    return rc;
}

static enum errc stat_repository(const struct store *s, struct stat *st, struct err *err)
{
    if (stat(store_path(s), st) != 0)
        return err_sys(err, ERR_NO_REPOSITORY, errno, "cannot look at %s", store_path(s));
    return ERR_OK;
}

/* --- capture ------------------------------------------------------------------------------------------------------ */

void own_left_out(struct store *s, struct left_out out[OWN_MAX])
{
    struct stat st;
    char hex[2 * sizeof store_id(s)->b + 1];
    char *cache = NULL;
    struct err ignored;
    out[OWN_REPOSITORY] = (struct left_out){.what = "the repository itself"};
    out[OWN_CACHE] = (struct left_out){.what = "the cache of the repository"};
    if (stat(store_path(s), &st) == 0) {
        out[OWN_REPOSITORY].dev = st.st_dev;
        out[OWN_REPOSITORY].ino = st.st_ino;
    }
    if (path_join(store_cache_dir(s), hex_encode(hex, store_id(s)->b, sizeof store_id(s)->b), &cache, &ignored) !=
        ERR_OK)
        return;
    if (stat(cache, &st) == 0) {
        out[OWN_CACHE].dev = st.st_dev;
        out[OWN_CACHE].ino = st.st_ino;
    }
    free(cache);
}

enum errc own_check_source(const struct store *s, const char *path, struct err *err)
{
    struct stat st;
    bool inside = false;
    enum errc rc = stat_repository(s, &st, err);
    if (rc == ERR_OK)
        rc = lies_at(path, &st, &inside, err);
    if (rc != ERR_OK || !inside)
        return rc;
    (void)err_fail(err, ERR_USAGE, "%s is the repository %s or lies in it, and that cannot be stored in itself", path,
                   store_path(s));
    return err_hint(err, "Leave it out of the sources. To have the repository twice, copy its directory.");
}

/* --- restore ------------------------------------------------------------------------------------------------------ */

static enum errc refuse(const struct restore_work *w, const char *target, const char *how, const char *what,
                        const char *place, struct err *err)
{
    bool again = w->intent || strcmp(w->run.verb, "restore") != 0;
    (void)err_fail(err, ERR_TARGET_IN_USE, "%s %s %s %s, which is in use for this; nothing was changed", target, how,
                   what, place);
    if (w->opt->target)
        return err_hint(err, "Choose another place with --target.");
    if (again)
        return err_hint(err, "Move %s elsewhere first, and name the new place when you run this again.", place);
    return err_hint(
        err, "Restore what you need with --include PATH (none that holds %s), or restore elsewhere with --target.",
        what);
}

/* top: what the place is. */
static enum errc check_place(const struct restore_work *w, const char *target, const char *what, const char *place,
                             const struct stat *top, bool may_hold, struct err *err)
{
    struct stat st;
    bool inside, holds = false, inside_by_mount, holds_by_mount;
    bool there = lstat(target, &st) == 0;
    enum errc rc = lies_at(target, top, &inside, err);
    if (rc == ERR_OK && there)
        rc = place_lies_at(place, &st, &holds, err);
    if (rc == ERR_OK)
        rc = compare_mounts(target, place, &inside_by_mount, &holds_by_mount, err);
    if (rc != ERR_OK)
        return rc;
    if (inside || inside_by_mount)
        return refuse(w, target, there && same(&st, top) ? "is" : "lies in", what, place, err);
    if (!there || !(holds || holds_by_mount))
        return ERR_OK;
    if (!may_hold)
        return refuse(w, target, "holds", what, place, err);
    diag_message(w->opt->diag, DIAG_NOTE, "",
                 "%s holds the cache %s, which goes with what is replaced and is made anew when it is needed", target,
                 place);
    return ERR_OK;
}

static enum errc check_target(const struct restore_work *w, const char *target, struct err *err)
{
    const char *key = store_key_file(w->store), *cache = store_cache_dir(w->store);
    struct stat st;
    enum errc rc = stat_repository(w->store, &st, err);
    if (rc == ERR_OK)
        rc = check_place(w, target, "the repository", store_path(w->store), &st, false, err);
    if (rc == ERR_OK && key && stat(key, &st) == 0)
        rc = check_place(w, target, "the key file", key, &st, false, err);
    if (rc == ERR_OK && stat(cache, &st) == 0)
        rc = check_place(w, target, "the cache", cache, &st, true, err);
    return rc;
}

enum errc own_check_parts(const struct restore_work *w, struct err *err)
{
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < w->parts.count; i++)
        if (!w->parts.parts[i].inside)
            rc = check_target(w, w->parts.parts[i].path, err);
    return rc;
}

enum errc own_check_target(const struct restore_work *w, struct err *err)
{
    return check_target(w, w->opt->target, err);
}
