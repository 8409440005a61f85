#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"
#include "store/internal.h"

static enum errc store_alloc(const char *path, struct store **out, struct err *err)
{
    struct store *s;
    enum errc rc = mem_alloc(&s, sizeof *s, err);
    if (rc != ERR_OK)
        return rc;
    pthread_mutex_init(&s->lock, NULL);
    rc = mem_strdup(&s->path, path, err);
    if (rc != ERR_OK) {
        store_close(s);
        return rc;
    }
    *out = s;
    return ERR_OK;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    catalog_close(s->catalog);
    if (s->backend)
        backend_unlock(s->backend);
    backend_close(s->backend);
    key_bundle_wipe(&s->keys);
    explicit_bzero(&s->gear, sizeof s->gear);
    pthread_mutex_destroy(&s->lock);
    free(s->path);
    free(s->cache_dir);
    free(s->key_file);
    free(s->doubtful);
    free(s);
}

/* --- init --------------------------------------------------------------------------------------------------------- */

static enum errc make_keys(struct store *s, struct err *err)
{
    s->keys.data_count = 1;
    s->keys.data[0].id = 1;
    enum errc rc = io_random(s->keys.naming, KEY_BYTES, err);
    if (rc == ERR_OK)
        rc = io_random(s->keys.fingerprint, KEY_BYTES, err);
    if (rc == ERR_OK)
        rc = io_random(s->keys.gear, KEY_BYTES, err);
    if (rc == ERR_OK)
        rc = io_random(s->keys.data[0].key, KEY_BYTES, err);
    return rc;
}

static enum errc write_config(struct store *s, struct err *err)
{
    struct buf content, file;
    bool taken;
    buf_init(&content, CONFIG_MAX_BYTES);
    buf_init(&file, 3 * (CONFIG_MAX_BYTES + 1024));
    enum errc rc = repo_config_put(&content, &s->config, err);
    if (rc == ERR_OK)
        rc = triple_encode(&file, content.data, content.len, err);
    if (rc == ERR_OK)
        rc = backend_put(s->backend, "config", file.data, file.len, &taken, err);
    if (rc == ERR_OK && taken)
        rc = err_fail(err, ERR_REPOSITORY_EXISTS, "there is a repository at %s already", s->path);
    buf_release(&content);
    buf_release(&file);
    return rc;
}

/* The configuration comes last: without it there is no repository, and a cut-off init can be run again. */
static enum errc fill(struct store *s, const struct store_init_options *opt, char *recovery_out, struct err *err)
{
    static const char *const dirs[] = {"tmp", "packs", "log", "keys"};
    char id[17];
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < sizeof dirs / sizeof dirs[0]; i++)
        rc = backend_make_dir(s->backend, dirs[i], err);
    s->config =
        (struct repo_config){.format = FORMAT_VERSION, .created = time_now(), .naming = 1, .cipher = 1, .cutter = 1};
    if (rc == ERR_OK)
        rc = io_random(s->config.id.b, sizeof s->config.id.b, err);
    if (rc == ERR_OK)
        rc = make_keys(s, err);
    if (rc == ERR_OK && opt->clear)
        rc = store_slot_add(s, SLOT_CLEAR, "open to anyone", NULL, NULL, recovery_out, id, err);
    if (rc == ERR_OK && opt->key_file)
        rc = store_slot_add(s, SLOT_KEY_FILE, "key file", opt->key_file, NULL, recovery_out, id, err);
    if (rc == ERR_OK && opt->passphrase)
        rc = store_slot_add(s, SLOT_PASSPHRASE, "passphrase", NULL, opt->passphrase, recovery_out, id, err);
    if (rc == ERR_OK && !opt->clear)
        rc = store_slot_add(s, SLOT_RECOVERY, "recovery key", NULL, NULL, recovery_out, id, err);
    return rc == ERR_OK ? write_config(s, err) : rc;
}

static enum errc count_names(void *arg, const char *name, struct err *err)
{
    int *others = arg;
    (void)err;
    if (strcmp(name, "config") == 0)
        return ERR_REPOSITORY_EXISTS;
    if (strcmp(name, "tmp") != 0 && strcmp(name, "packs") != 0 && strcmp(name, "log") != 0 &&
        strcmp(name, "keys") != 0 && strcmp(name, "lost+found") != 0)
        (*others)++;
    return ERR_OK;
}

static enum errc drop_name(void *arg, const char *name, struct err *err)
{
    struct store *s = arg;
    char path[64];
    (void)err;
    struct err ignored;
    if (strlen(name) < sizeof path - 8) {
        memcpy(path, "keys/", 5);
        memcpy(path + 5, name, strlen(name) + 1);
        (void)!backend_remove(s->backend, path, &ignored);
    }
    return ERR_OK;
}

static enum errc count_any(void *arg, const char *name, struct err *err)
{
    (void)name;
    (void)err;
    ++*(int *)arg;
    return ERR_OK;
}

/* Packs or records without a configuration are a repository that lost it: its keys are not to be touched. Key slots
 * alone are what an init that was cut off left behind. */
static enum errc clear_leftovers(struct store *s, struct err *err)
{
    static const char *const dirs[] = {"packs", "log"};
    int objects = 0;
    struct err why;
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        enum errc rc = backend_list(s->backend, dirs[i], count_any, &objects, &why);
        if (rc != ERR_OK && rc != ERR_MISSING_OBJECT)
            return err_fail(err, rc, "%s", why.message);
    }
    if (objects > 0)
        return err_fail(
            err, ERR_TARGET_EXISTS,
            "%s holds packs or a log, but no configuration: bring back its file 'config', or choose another "
            "directory",
            s->path);
    (void)!backend_list(s->backend, "keys", drop_name, s, &why);
    return ERR_OK;
}

/* Take away what a failed init has made; directories that are not empty stay. */
static void unmake(struct store *s, bool made_dir)
{
    struct err ignored;
    (void)!backend_remove(s->backend, "config", &ignored); /* first: with it and no key there would be a repository */
    (void)!backend_list(s->backend, "keys", drop_name, s, &ignored);
    int fd;
    if (io_open(AT_FDCWD, s->path, O_RDONLY | O_DIRECTORY, 0, &fd, &ignored) != ERR_OK)
        return;
    static const char *const dirs[] = {"tmp", "packs", "log", "keys"};
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        (void)!io_unlinkat(fd, dirs[i], AT_REMOVEDIR, &ignored);
    io_close_quietly(&fd);
    if (made_dir)
        (void)!io_unlinkat(AT_FDCWD, s->path, AT_REMOVEDIR, &ignored);
}

enum errc store_init(const struct store_init_options *opt, struct repo_id *id_out,
                     char recovery_out[RECOVERY_TEXT_BYTES], struct err *err)
{
    struct store *s;
    struct err why;
    int others = 0;
    recovery_out[0] = '\0';
    enum errc rc = store_alloc(opt->path, &s, err);
    if (rc != ERR_OK)
        return rc;
    rc = io_mkdirat(AT_FDCWD, opt->path, 0700, &why);
    bool made_dir = rc == ERR_OK;
    if (rc != ERR_OK && why.sys_errno != EEXIST) {
        store_close(s);
        return err_sys(err, rc, why.sys_errno, "cannot make the directory %s", opt->path);
    }
    rc = backend_open_local(opt->path, &s->backend, err);
    if (rc == ERR_OK)
        rc = backend_list(s->backend, ".", count_names, &others, err);
    if (rc == ERR_REPOSITORY_EXISTS)
        rc = err_fail(err, rc, "there is a repository at %s already", opt->path);
    if (rc == ERR_OK && others > 0)
        rc = err_fail(err, ERR_TARGET_EXISTS, "%s is not empty: a repository wants a directory of its own", opt->path);
    if (rc == ERR_OK)
        rc = clear_leftovers(s, err);
    if (rc == ERR_OK) {
        rc = fill(s, opt, recovery_out, err);
        if (rc != ERR_OK)
            unmake(s, made_dir);
    } else if (made_dir) {
        (void)!io_unlinkat(AT_FDCWD, opt->path, AT_REMOVEDIR, &why);
    }
    *id_out = s->config.id;
    store_close(s);
    return rc;
}

/* --- open --------------------------------------------------------------------------------------------------------- */

static enum errc read_config(struct store *s, struct err *err)
{
    struct buf file;
    struct bytes content;
    buf_init(&file, 3 * (CONFIG_MAX_BYTES + 1024));
    enum errc rc = backend_get(s->backend, "config", file.max, &file, err);
    if (rc == ERR_MISSING_OBJECT)
        rc = err_fail(err, ERR_NO_REPOSITORY, "there is no repository at %s: it has no file 'config'", s->path);
    if (rc == ERR_LIMIT)
        rc = err_fail(err, ERR_DAMAGED, "it is larger than any that is written");
    if (rc == ERR_OK)
        rc = triple_decode(file.data, file.len, CONFIG_MAX_BYTES, &content, NULL, err);
    if (rc == ERR_OK)
        rc = repo_config_get(content.data, content.len, &s->config, err);
    if (rc != ERR_OK && rc != ERR_NO_REPOSITORY)
        (void)err_wrap(err, "%s/config", s->path);
    if (rc == ERR_DAMAGED)
        (void)err_hint(err, "Bring the file 'config' back from a copy of the repository.");
    buf_release(&file);
    if (rc == ERR_OK && s->config.flags_readonly != 0)
        s->read_only = true;
    return rc;
}

static enum errc open_catalog(struct store *s, struct err *err)
{
    enum errc rc = catalog_open(s->cache_dir, &s->config.id, &s->catalog, &s->temporary_catalog, err);
    if (rc == ERR_CATALOG) {
        diag_message(s->diag, DIAG_NOTE, "catalog", "the catalog is made anew: %s", err ? err->message : "");
        rc = catalog_remove(s->cache_dir, &s->config.id, err);
        if (rc == ERR_OK)
            rc = catalog_open(s->cache_dir, &s->config.id, &s->catalog, &s->temporary_catalog, err);
    }
    if (rc == ERR_OK)
        rc = catalog_writer_id(s->catalog, s->writer, err);
    return rc;
}

/* The record the catalog ends with must still be the one in the log. */
static enum errc check_head(struct store *s, struct err *err)
{
    struct log_body body;
    struct digest digest;
    struct err why;
    enum errc rc = catalog_head(s->catalog, &s->head, &s->head_digest, err);
    if (rc != ERR_OK || s->head == 0)
        return rc;
    rc = log_load(s, s->head, &body, &digest, NULL, &why);
    log_body_release(&body);
    if (rc == ERR_MISSING_OBJECT)
        return err_fail(err, ERR_HISTORY, "log record %llu was seen here before and is gone from %s",
                        (unsigned long long)s->head, s->path);
    if (rc == ERR_OK && memcmp(&digest, &s->head_digest, sizeof digest) != 0)
        return err_fail(err, ERR_HISTORY, "log record %llu of %s is not the one that was seen here before",
                        (unsigned long long)s->head, s->path);
    if (rc != ERR_OK) /* damaged: what the catalog knows still serves; verify names it */
        diag_message(s->diag, DIAG_WARNING, err_name(rc), "%s", why.message);
    return ERR_OK;
}

static enum errc open_parts(struct store *s, const struct store_options *opt, struct err *err)
{
    enum errc rc = backend_open_local(s->path, &s->backend, err);
    if (rc != ERR_OK)
        return rc;
    s->read_only = !(backend_features(s->backend) & BACKEND_WRITABLE);
    rc = read_config(s, err);
    if (rc == ERR_OK && opt->write && s->read_only)
        rc = err_fail(err, ERR_READ_ONLY, "the repository at %s cannot be written to", s->path);
    if (rc == ERR_OK)
        rc = slots_unlock(s, &opt->secret, err);
    if (rc == ERR_OK)
        rc = gear_init(&s->gear, &CUT_FILES, s->keys.gear, err);
    if (rc == ERR_OK)
        rc = io_random(s->session, sizeof s->session, err);
    if (rc == ERR_OK)
        rc = backend_lock(s->backend, false, opt->lock_wait_ms, err);
    if (rc == ERR_OK)
        rc = open_catalog(s, err);
    if (rc != ERR_OK || opt->no_catalog_replay)
        return rc;
    rc = check_head(s, err);
    if (rc == ERR_OK)
        rc = replay(s, err);
    if (rc == ERR_OK && opt->write) {
        runs_clean(s);
        backend_clean(s->backend);
    }
    return rc;
}

enum errc store_open(const struct store_options *opt, struct store **out, struct err *err)
{
    struct store *s;
    enum errc rc = store_alloc(opt->path, &s, err);
    if (rc != ERR_OK)
        return rc;
    s->diag = opt->diag;
    rc = mem_strdup(&s->cache_dir, opt->cache_dir, err);
    if (rc == ERR_OK && opt->secret.key_file)
        rc = path_absolute(opt->secret.key_file, &s->key_file, err);
    if (rc == ERR_OK)
        rc = open_parts(s, opt, err);
    if (rc == ERR_CATALOG && !opt->no_catalog_replay) {
        /* Damaged inside, found while it was used: once more with a new one. */
        struct err ignored;
        catalog_close(s->catalog);
        s->catalog = NULL;
        backend_close(s->backend);
        s->backend = NULL;
        if (catalog_remove(s->cache_dir, &s->config.id, &ignored) == ERR_OK)
            rc = open_parts(s, opt, err);
    }
    if (rc != ERR_OK) {
        store_close(s);
        return rc;
    }
    *out = s;
    return ERR_OK;
}

/* Is the record that was last seen still in the log? */
static bool continues(struct store *s, uint64_t seen, const struct digest *seen_digest)
{
    struct log_body body;
    struct digest digest;
    struct err ignored;
    if (seen == 0)
        return true;
    bool same =
        log_load(s, seen, &body, &digest, NULL, &ignored) == ERR_OK && memcmp(&digest, seen_digest, sizeof digest) == 0;
    log_body_release(&body);
    return same;
}

/* Follow the log from its beginning into s->catalog, which is empty. */
static enum errc replay_all(struct store *s, struct err *err)
{
    static const struct digest none;
    s->head = 0;
    s->head_digest = none;
    s->accept_history = true;
    enum errc rc = replay(s, err);
    s->accept_history = false;
    return rc;
}

static enum errc rebuild_temporary(struct store *s, struct err *err)
{
    catalog_close(s->catalog);
    s->catalog = NULL;
    enum errc rc = open_catalog(s, err);
    return rc == ERR_OK ? replay_all(s, err) : rc;
}

/* The old catalog serves until the new one is complete: where it cannot be made, nothing is lost. */
static enum errc rebuild_beside(struct store *s, struct err *err)
{
    struct catalog *old = s->catalog, *beside;
    uint64_t old_head = s->head;
    struct digest old_digest = s->head_digest;
    enum errc rc = catalog_open_beside(s->cache_dir, &s->config.id, &beside, err);
    if (rc != ERR_OK)
        return rc;
    s->catalog = beside;
    rc = replay_all(s, err);
    s->catalog = old;
    if (rc != ERR_OK) {
        s->head = old_head;
        s->head_digest = old_digest;
        catalog_abandon(s->cache_dir, &s->config.id, beside);
        return rc;
    }
    catalog_close(old); /* it must be closed to be replaced; it is opened again when that fails */
    s->catalog = NULL;
    rc = catalog_replace(s->cache_dir, &s->config.id, beside, err);
    enum errc opened = open_catalog(s, rc == ERR_OK ? err : NULL);
    if (rc != ERR_OK || opened != ERR_OK)
        return rc != ERR_OK ? rc : opened;
    return s->head > 0 ? catalog_set_last_seen(s->cache_dir, &s->config.id, s->head, &s->head_digest, err) : ERR_OK;
}

enum errc store_rebuild(struct store *s, const struct diag *diag, struct err *err)
{
    struct digest seen_digest = {{0}};
    struct err ignored;
    uint64_t seen = 0;
    pthread_mutex_lock(&s->lock);
    (void)!catalog_last_seen(s->cache_dir, &s->config.id, &seen, &seen_digest, &ignored);
    enum errc rc = s->temporary_catalog ? rebuild_temporary(s, err) : rebuild_beside(s, err);
    if (rc == ERR_OK && !continues(s, seen, &seen_digest))
        diag_message(diag, DIAG_WARNING, "history-altered",
                     "the log does not continue what was last seen here (record %llu); the catalog now follows the log "
                     "as it is, so find out who changed it",
                     (unsigned long long)seen);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

const struct repo_id *store_id(const struct store *s)
{
    return &s->config.id;
}

const char *store_path(const struct store *s)
{
    return s->path;
}

const char *store_cache_dir(const struct store *s)
{
    return s->cache_dir;
}

const char *store_key_file(const struct store *s)
{
    return s->key_file;
}

struct catalog *store_catalog(struct store *s)
{
    return s->catalog;
}

bool store_is_clear(const struct store *s)
{
    return s->clear;
}

bool store_is_read_only(const struct store *s)
{
    return s->read_only;
}

uint64_t store_head(const struct store *s)
{
    return s->head;
}
