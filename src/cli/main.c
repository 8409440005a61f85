/* snap: the program. Parses the command line, runs the command, turns the outcome into an exit status. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "source/source.h"

/* A closed standard stream would give its number to the next file opened, and messages would be written into that. */
static void open_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

static enum errc run_verb(struct cli *c, struct err *err)
{
    if (opt_given(&c->args, OPT_VERSION))
        return cmd_version(c, err);
    if (opt_given(&c->args, OPT_HELP))
        return cmd_help(c, err);
    enum errc rc = c->args.verb->run(c, err);
    if (rc != ERR_OK && rc != ERR_INTERRUPTED && signals_interrupted()) {
        err_wrap(err, "interrupted"); /* a helper that got the signal too fails in its own way */
        rc = err_recode(err, ERR_INTERRUPTED);
    }
    return rc;
}

/* Queries print one JSON document (docs/cli.md, "JSON"); long work prints lines. */
static bool is_query(const struct parsed *p)
{
    static const char *const queries[] = {"list", "show", "ls", "find", "diff", "log", "inspect", "version"};
    for (size_t i = 0; p->verb && i < sizeof queries / sizeof queries[0]; i++)
        if (strcmp(p->verb->name, queries[i]) == 0)
            return true;
    return p->verb && strcmp(p->verb->name, "key") == 0 && p->arg_count > 0 && strcmp(p->args[0], "list") == 0;
}

/* As other programs end when nobody reads on. */
static void die_of_pipe(void)
{
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "__sqlite") == 0)
        return sqlite_child_main(argc, argv);
    open_standard_streams();
    umask(077);
    signals_install();

    struct cli c = {0};
    struct err err = {0}, finish = {0};
    enum errc rc = options_parse(argc, argv, &c.args, &err);
    ui_init(&c.ui, c.args.json, opt_given(&c.args, OPT_QUIET), opt_given(&c.args, OPT_VERBOSE),
            opt_given(&c.args, OPT_NO_PROGRESS));
    c.ui.one_document = is_query(&c.args);
    c.diag = ui_diag(&c.ui);
    if (rc == ERR_OK)
        rc = run_verb(&c, &err);
    if (ui_finish(&c.ui, &finish) != ERR_OK && (rc == ERR_OK || rc == ERR_IO)) {
        err = finish;
        rc = finish.code;
    }
    if (rc == ERR_IO && err.sys_errno == EPIPE)
        die_of_pipe();
    if (rc != ERR_OK)
        ui_error(&c.ui, &err);
    fflush(stdout);
    config_release(&c.config);
    options_release(&c.args);
    return err_exit_status(rc);
}
