#include <stdlib.h>
#include <string.h>

#include "cli/secret.h"
#include "cli/verbs.h"

static enum errc choose_secret(struct cli *c, bool clear, struct secret *secret, struct err *err)
{
    enum errc rc = secret_resolve(c, true, secret, err);
    bool any = secret->key_file || secret->passphrase;
    if (rc != ERR_OK)
        return rc;
    if (secret->recovery)
        return err_fail(err, ERR_USAGE, "'init' makes a recovery key itself; --recovery-key-file does not belong here");
    bool named = opt_given(&c->args, OPT_KEY_FILE) || opt_given(&c->args, OPT_PASSWORD_FILE) ||
                 opt_given(&c->args, OPT_PASSWORD_COMMAND);
    if (clear && named)
        return err_fail(err, ERR_USAGE, "--encryption none takes no key and no passphrase");
    if (clear) {
        secret_release(secret);
        return ERR_OK;
    }
    if (any)
        return ERR_OK;
    rc = secret_ask(c, "New passphrase of the repository", true, &secret->passphrase, err);
    if (rc == ERR_NO_KEY && !ui_can_ask())
        err_hint(err, "Give --key-file FILE (it is made), or a passphrase with --password-file or --password-command. "
                      "Without encryption only with --encryption none.");
    return rc;
}

static void report(struct cli *c, const struct store_init_options *opt, const struct repo_id *id, const char *recovery)
{
    char hex[ID_HEX_BYTES];
    digits_hex(hex, id->b, sizeof id->b);
    if (c->ui.json) {
        json_t *doc = json_doc();
        json_put_str(doc, "message_type", "summary");
        json_put_str(doc, "repository_id", hex);
        json_put_str(doc, "path", opt->path);
        json_put_str(doc, "encryption", opt->clear ? "none" : "default");
        json_put_str(doc, "key_file", opt->key_file);
        json_put_str(doc, "recovery_key", opt->clear ? NULL : recovery);
        ui_summary(&c->ui, doc);
        return;
    }
    ui_out(&c->ui, "made repository %s in ", hex);
    ui_name(&c->ui, opt->path, strlen(opt->path));
    ui_out(&c->ui, "\n");
    if (opt->key_file) {
        ui_out(&c->ui, "key file: ");
        ui_name(&c->ui, opt->key_file, strlen(opt->key_file));
        ui_out(&c->ui, "\n");
    }
    if (opt->clear) {
        ui_warning(&c->ui, "", "this repository is not encrypted: whoever can read it can read your data");
        return;
    }
    ui_out(&c->ui,
           "\nrecovery key: %s\n\n"
           "Write the recovery key down now and keep it away from this machine: it is shown this once.\n"
           "Without the %s and without the recovery key, nobody can read what is stored here.\n",
           recovery,
           opt->key_file && opt->passphrase ? "key file or passphrase"
           : opt->key_file                  ? "key file"
                                            : "passphrase");
}

enum errc cmd_init(struct cli *c, struct err *err)
{
    char *path = NULL;
    struct secret secret = {0};
    struct repo_id id;
    char recovery[RECOVERY_TEXT_BYTES] = "";
    size_t word = 0;
    enum errc rc = opt_word(&c->args, OPT_ENCRYPTION, 0, &word, err);
    bool clear = word == 1;
    if (rc == ERR_OK)
        rc = cli_load_config(c, err);
    if (rc == ERR_OK)
        rc = cli_repository(c, &path, err);
    if (rc == ERR_OK)
        rc = choose_secret(c, clear, &secret, err);
    if (rc == ERR_OK) {
        struct store_init_options opt = {path, secret.key_file, secret.passphrase, clear};
        rc = store_init(&opt, &id, recovery, err);
        if (rc == ERR_OK)
            report(c, &opt, &id, recovery);
    }
    explicit_bzero(recovery, sizeof recovery);
    secret_release(&secret);
    free(path);
    return rc;
}
