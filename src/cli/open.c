#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "cli/secret.h"
#include "engine/restore.h"

#define DEFAULT_CONFIG "/etc/snap/snap.conf"

enum errc cli_load_config(struct cli *c, struct err *err)
{
    if (c->config_loaded)
        return ERR_OK;
    c->config_loaded = true;
    const char *file = opt_or_env(&c->args, OPT_CONFIG, "SNAP_CONFIG");
    if (!file && access(DEFAULT_CONFIG, F_OK) != 0)
        return ERR_OK;
    return config_read(file ? file : DEFAULT_CONFIG, &c->config, err);
}

enum errc cli_repository(struct cli *c, char **out, struct err *err)
{
    const char *path = opt_or_env(&c->args, OPT_REPO, "SNAP_REPOSITORY");
    if (!path)
        path = c->config.repository;
    if (path && !path[0])
        return err_fail(err, ERR_USAGE, "--repo is empty");
    if (path)
        return path_absolute(path, out, err);
    err_fail(err, ERR_USAGE, "no repository is given");
    err_hint(err, "Give --repo PATH, set SNAP_REPOSITORY, or put 'path = ...' under [repository] in %s.",
             c->config.file ? c->config.file : DEFAULT_CONFIG);
    return ERR_USAGE;
}

enum errc cli_cache_dir(struct cli *c, char **out, struct err *err)
{
    const char *given = opt_or_env(&c->args, OPT_CACHE_DIR, "SNAP_CACHE_DIR");
    if (given)
        return path_absolute(given, out, err);
    if (geteuid() == 0)
        return mem_strdup(out, "/var/cache/snap", err);
    const char *base = getenv("XDG_CACHE_HOME");
    if (base && base[0] == '/')
        return path_join(base, "snap", out, err);
    const char *home = getenv("HOME");
    if (home && home[0] == '/')
        return path_join(home, ".cache/snap", out, err);
    err_fail(err, ERR_USAGE, "there is no place for the catalog: neither XDG_CACHE_HOME nor HOME is set");
    err_hint(err, "Give --cache-dir DIR or set SNAP_CACHE_DIR.");
    return ERR_USAGE;
}

/* A restore that was cut off is said by every command but those that deal with it. */
static void tell_pending(struct cli *c, struct store *s)
{
    if (strcmp(c->args.verb->name, "undo") == 0 || opt_given(&c->args, OPT_RESUME))
        return;
    struct run_id runs[8];
    size_t count = 0;
    struct err err;
    if (restore_pending(s, runs, 8, &count, &err) != ERR_OK) {
        ui_warning(&c->ui, err_name(err.code), "cannot tell whether a restore was cut off: %s", err.message);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char hex[ID_HEX_BYTES];
        run_hex(hex, &runs[i]);
        ui_warning(&c->ui, err_name(ERR_RESTORE_PENDING),
                   "restore %s was cut off; 'snap restore --resume %s' finishes it, 'snap undo %s' takes it back", hex,
                   hex, hex);
    }
}

static enum errc open_as(struct store_options *opt, enum cli_access access, struct store **out, struct err *err)
{
    opt->write = access != ACCESS_READ;
    enum errc rc = store_open(opt, out, err);
    if (rc != ERR_READ_ONLY || access != ACCESS_WRITE_IF_CAN)
        return rc;
    opt->write = false;
    return store_open(opt, out, err);
}

static enum errc open_with(struct cli *c, struct store_options *opt, struct secret *secret, enum cli_access access,
                           struct store **out, struct err *err)
{
    opt->secret = (struct store_secret){secret->key_file, secret->passphrase, secret->recovery};
    enum errc rc = open_as(opt, access, out, err);
    bool none = !secret->key_file && !secret->passphrase && !secret->recovery;
    if (rc != ERR_NO_KEY || !none || !ui_can_ask())
        return rc;
    rc = secret_ask(c, "Passphrase of the repository", false, &secret->passphrase, err);
    if (rc != ERR_OK)
        return rc;
    opt->secret.passphrase = secret->passphrase;
    return open_as(opt, access, out, err);
}

static enum errc lock_wait(struct cli *c, uint64_t *ms_out, struct err *err)
{
    const char *text = opt_last(&c->args, OPT_LOCK_WAIT);
    uint64_t seconds = 0;
    if (text && strcmp(text, "0") != 0) {
        enum errc rc = duration_parse(text, &seconds, err);
        if (rc != ERR_OK) {
            err_wrap(err, "--lock-wait");
            return rc;
        }
    }
    *ms_out = seconds > UINT64_MAX / 1000 ? UINT64_MAX : seconds * 1000;
    return ERR_OK;
}

enum errc cli_open(struct cli *c, enum cli_access access, struct store **out, struct err *err)
{
    char *path = NULL, *cache = NULL;
    struct secret secret = {0};
    struct store_options opt = {.diag = &c->diag};
    opt.no_catalog_replay = strcmp(c->args.verb->name, "rebuild") == 0;
    enum errc rc = cli_load_config(c, err);
    if (rc == ERR_OK)
        rc = lock_wait(c, &opt.lock_wait_ms, err);
    if (rc == ERR_OK)
        rc = cli_repository(c, &path, err);
    if (rc == ERR_OK)
        rc = cli_cache_dir(c, &cache, err);
    if (rc == ERR_OK)
        rc = secret_resolve(c, false, &secret, err);
    if (rc == ERR_OK) {
        opt.path = path;
        opt.cache_dir = cache;
        rc = open_with(c, &opt, &secret, access, out, err);
    }
    secret_release(&secret);
    free(path);
    free(cache);
    if (rc == ERR_OK && !opt.no_catalog_replay)
        tell_pending(c, *out);
    return rc;
}
