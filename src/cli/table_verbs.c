#include <string.h>

#include "cli/table.h"
#include "cli/verbs.h"

#define LIST(...)                               \
    .opts = (const enum opt_id[]){__VA_ARGS__}, \
    .opt_count = sizeof((const enum opt_id[]){__VA_ARGS__}) / sizeof(enum opt_id)
#define ANY_NUMBER ((size_t)-1)

#define SNAPSHOT_NAMES                                                                                          \
    "A snapshot is named by the first digits of its id (4 or more), latest, latest~N, latest@SET or a hold's\n" \
    "name."

static const struct verb verbs[] = {
    {.name = "init",
     .synopsis = "",
     .summary = "make a repository",
     .run = cmd_init,
     .text = "Makes an empty repository and prints its recovery key once: write it down and keep it elsewhere.\n"
             "The key is a key file (made when FILE does not exist), a passphrase, or both.",
     .examples = "snap init --repo /srv/backup --key-file /etc/snap/key\nsnap init -r /mnt/usb/repo\n",
     LIST(OPT_ENCRYPTION)},
    {.name = "backup",
     .synopsis = "[PATH…]",
     .summary = "store the configured sets, or the paths given",
     .run = cmd_backup,
     .text = "Takes one snapshot of each set of the configuration, or of the paths given: databases, directories and\n"
             "files are told apart by their content. Paths given together are one set.",
     .examples = "snap backup\nsnap backup --set app --tag before-upgrade --hold v2_before\nsnap backup "
                 "/srv/app/app.db /srv/app/vectors\n",
     .args = ARGS_PATHS,
     .max_args = ANY_NUMBER,
     LIST(OPT_SET, OPT_SOURCE, OPT_TAG, OPT_HOLD, OPT_TIME, OPT_FORCE_READ, OPT_EXCLUDE, OPT_EXCLUDE_CACHES,
          OPT_ONE_FILE_SYSTEM, OPT_DRY_RUN)},
    {.name = "list",
     .alias = "snapshots",
     .synopsis = "",
     .summary = "list the snapshots",
     .run = cmd_list,
     .text = "Oldest first, times in UTC. Snapshots of every kind are shown; those in the trash only with --deleted.",
     .examples = "snap list\nsnap list --set app --last 5\nsnap list --kind forensic --json\n",
     LIST(OPT_SET, OPT_SOURCE, OPT_TAG, OPT_KIND, OPT_LAST, OPT_DELETED)},
    {.name = "show",
     .synopsis = "ID",
     .summary = "everything about one snapshot",
     .run = cmd_show,
     .text = "Items with their facts, sizes, holds, and when it was verified.\n" SNAPSHOT_NAMES,
     .examples = "snap show latest\nsnap show 3f2a --json\n",
     .args = ARGS_SNAPSHOTS,
     .min_args = 1,
     .max_args = 1},
    {.name = "ls",
     .synopsis = "ID[:PATH]",
     .summary = "list what is in a snapshot",
     .run = cmd_ls,
     .text = "All entries, or those at and below PATH, which is absolute.\n" SNAPSHOT_NAMES,
     .examples = "snap ls latest\nsnap ls -l latest@app:/srv/app/vectors\n",
     .args = ARGS_SNAPSHOTS,
     .min_args = 1,
     .max_args = 1,
     LIST(OPT_LONG)},
    {.name = "find",
     .synopsis = "PATTERN",
     .summary = "find entries in all snapshots",
     .run = cmd_find,
     .text = "A pattern without a slash is compared with names, one with a slash with absolute paths: * and ? stay\n"
             "within a name, ** goes across, [...] is a class.",
     .examples = "snap find 'vectors.*'\nsnap find '/srv/app/**/*.db' --snapshot latest\n",
     .min_args = 1,
     .max_args = 1,
     .args = ARGS_OTHER,
     LIST(OPT_SNAPSHOT, OPT_SET, OPT_LONG)},
    {.name = "dump",
     .synopsis = "ID:PATH",
     .summary = "write one file of a snapshot to standard output",
     .run = cmd_dump,
     .text = "The bytes are checked before they are written. A database comes as one file, its WAL folded in.",
     .examples = "snap dump latest:/srv/app/app.db > copy.db\n",
     .args = ARGS_SNAPSHOTS,
     .min_args = 1,
     .max_args = 1},
    {.name = "diff",
     .synopsis = "ID ID",
     .summary = "what differs between two snapshots",
     .run = cmd_diff,
     .text = "One line an entry: + added, - removed, M other content, U other metadata, T other type.",
     .examples = "snap diff latest~1 latest\n",
     .args = ARGS_SNAPSHOTS,
     .min_args = 2,
     .max_args = 2},
    {.name = "restore",
     .synopsis = "[ID]",
     .summary = "bring a snapshot back",
     .run = cmd_restore,
     .text =
         "In place by default: what stands there is replaced in one step, and kept as a forensic snapshot first, so\n"
         "that 'snap undo' can bring it back. With --target everything goes below another directory.\n"
         "With --resume, ID may name the run to finish.\n" SNAPSHOT_NAMES,
     .examples = "snap restore latest@app --dry-run\nsnap restore 3f2a --yes\nsnap restore latest --target /tmp/look\n"
                 "snap restore latest --include /srv/app/vectors/index.fvecs\nsnap restore --resume\n",
     .args = ARGS_SNAPSHOTS,
     .max_args = 1,
     LIST(OPT_TARGET, OPT_SOURCE, OPT_INCLUDE, OPT_DRY_RUN, OPT_FORENSIC, OPT_FORCE, OPT_ACCEPT_DIMENSION, OPT_RESUME)},
    {.name = "undo",
     .synopsis = "[RUN]",
     .summary = "put back what a restore replaced",
     .run = cmd_undo,
     .text = "The newest restore by default. It keeps what it replaces too, so a second undo redoes.",
     .examples = "snap undo\nsnap undo 9c01 --yes\n",
     .args = ARGS_OTHER,
     .max_args = 1,
     LIST(OPT_DRY_RUN, OPT_FORCE)},
    {.name = "verify",
     .alias = "check",
     .synopsis = "[ID…]",
     .summary = "prove what is stored",
     .run = cmd_verify,
     .text = "Checks the log, its chain and every pack; deeper with --read-data and --databases.\n"
             "Exits 13 when there is damage, and says which snapshots and files it affects.",
     .examples =
         "snap verify\nsnap verify --read-data --databases\nsnap verify --read-data-subset 10% --max-duration 1h\n",
     .args = ARGS_SNAPSHOTS,
     .max_args = ANY_NUMBER,
     LIST(OPT_READ_DATA, OPT_READ_DATA_SUBSET, OPT_MAX_DURATION, OPT_DATABASES)},
    {.name = "forget",
     .synopsis = "ID…",
     .summary = "move snapshots to the trash",
     .run = cmd_forget,
     .text = "All that are named, or none. Snapshots with a hold are refused. 'snap undelete' takes them out again.",
     .examples = "snap forget 3f2a 77b0\n",
     .args = ARGS_SNAPSHOTS,
     .min_args = 1,
     .max_args = ANY_NUMBER},
    {.name = "undelete",
     .synopsis = "ID…",
     .summary = "take snapshots out of the trash",
     .run = cmd_undelete,
     .text = "'snap list --deleted' shows what is there.",
     .examples = "snap undelete 3f2a\n",
     .args = ARGS_SNAPSHOTS,
     .min_args = 1,
     .max_args = ANY_NUMBER},
    {.name = "hold",
     .synopsis = "NAME ID",
     .summary = "keep a snapshot under a name",
     .run = cmd_hold,
     .text =
         "No rule and no command but 'snap release' removes a snapshot that is held. The name can stand for the id.",
     .examples = "snap hold v1_baseline latest@app\n",
     .args = ARGS_OTHER,
     .min_args = 2,
     .max_args = 2},
    {.name = "release",
     .synopsis = "NAME",
     .summary = "end a hold",
     .run = cmd_release,
     .text = "The snapshot stays.",
     .examples = "snap release v1_baseline\n",
     .args = ARGS_OTHER,
     .min_args = 1,
     .max_args = 1},
    {.name = "log",
     .synopsis = "[RUN]",
     .summary = "what was done, when and by whom",
     .run = cmd_log,
     .text = "Newest first; with RUN, every step of that run.",
     .examples = "snap log\nsnap log 9c01\n",
     .args = ARGS_OTHER,
     .max_args = 1,
     LIST(OPT_LAST)},
    {.name = "inspect",
     .synopsis = "FILE…",
     .summary = "what a file is, and whether it is sound",
     .run = cmd_inspect,
     .text = "Databases and vector files, or directories of them, with a summary of the dimensions. Needs no\n"
             "repository. Exits 13 when a file is broken, 16 when vectors have not the expected dimension.",
     .examples = "snap inspect /srv/app/app.db\nsnap inspect /srv/app/vectors --expect-dimension 768\n"
                 "snap inspect --quick --json index.faiss\nsnap inspect rows.bin --dimension 768 --dtype float16\n",
     .args = ARGS_PATHS,
     .min_args = 1,
     .max_args = ANY_NUMBER,
     LIST(OPT_QUICK, OPT_EXPECT_DIMENSION, OPT_DIMENSION, OPT_DTYPE)},
    {.name = "key",
     .synopsis = "list|add|remove ID|passwd|recovery",
     .summary = "key slots",
     .run = cmd_key,
     .text = "list      the slots of the repository\n"
             "add       a slot for another key file or passphrase\n"
             "remove    take a slot away; the last one stays\n"
             "passwd    a new passphrase in place of the present one\n"
             "recovery  a further recovery key, printed once",
     .examples = "snap key list\nsnap key add --new-key-file /root/second.key --label offsite\nsnap key remove "
                 "5d0c9f2a11e0b7c3\n",
     .words = "list|add|remove|passwd|recovery",
     .args = ARGS_OTHER,
     .min_args = 1,
     .max_args = 2,
     LIST(OPT_NEW_KEY_FILE, OPT_NEW_PASSWORD_FILE, OPT_LABEL)},
    {.name = "rebuild",
     .synopsis = "",
     .summary = "make the catalog anew from the repository",
     .run = cmd_rebuild,
     .text = "The catalog is a cache outside the repository; losing it loses nothing.",
     .examples = "snap rebuild\n"},
    {.name = "completion",
     .synopsis = "bash|zsh|fish",
     .summary = "print a completion script",
     .run = cmd_completion,
     .text = "",
     .examples = "snap completion bash > /etc/bash_completion.d/snap\n",
     .words = "bash|zsh|fish",
     .args = ARGS_OTHER,
     .min_args = 1,
     .max_args = 1},
    {.name = "version", .synopsis = "", .summary = "print the version", .run = cmd_version, .text = "", .examples = ""},
    {.name = "help",
     .synopsis = "[COMMAND]",
     .summary = "this help, or that of a command",
     .run = cmd_help,
     .text = "",
     .examples = "snap help restore\n",
     .args = ARGS_OTHER,
     .max_args = 1},
};

const struct verb *verb_at(size_t index)
{
    return index < sizeof verbs / sizeof verbs[0] ? &verbs[index] : NULL;
}

const struct verb *verb_find(const char *name)
{
    const struct verb *v;
    for (size_t i = 0; (v = verb_at(i)) != NULL; i++)
        if (strcmp(v->name, name) == 0 || (v->alias && strcmp(v->alias, name) == 0))
            return v;
    return NULL;
}

bool verb_has_option(const struct verb *v, enum opt_id id)
{
    if (id <= OPT_GLOBAL_LAST)
        return true;
    for (size_t i = 0; v && i < v->opt_count; i++)
        if (v->opts[i] == id)
            return true;
    return false;
}
