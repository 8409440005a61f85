/* Completion scripts, made from the table of commands and options. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/verbs.h"

/* "a|b|c" with another separator. */
static void put_words(struct ui *ui, const char *words, const char *separator)
{
    while (*words) {
        size_t len = strcspn(words, "|");
        ui_out(ui, "%.*s%s", (int)len, words, words[len] ? separator : "");
        words += len + (words[len] == '|');
    }
}

static void put_options(struct ui *ui, const struct verb *v, bool globals)
{
    for (enum opt_id id = 0; id < OPT_COUNT; id++)
        if ((id <= OPT_GLOBAL_LAST) == globals && (globals || verb_has_option(v, id)))
            ui_out(ui, " --%s", opt_def(id)->name);
}

static void put_value_options(struct ui *ui, enum opt_value from, enum opt_value to, const char *separator)
{
    bool first = true;
    for (enum opt_id id = 0; id < OPT_COUNT; id++)
        if (opt_def(id)->kind >= from && opt_def(id)->kind <= to) {
            ui_out(ui, "%s--%s", first ? "" : separator, opt_def(id)->name);
            if (opt_def(id)->letter)
                ui_out(ui, "%s-%c", separator, opt_def(id)->letter);
            first = false;
        }
}

static void bash_verbs(struct ui *ui)
{
    const struct verb *v;
    for (size_t i = 0; (v = verb_at(i)) != NULL; i++) {
        ui_out(ui, "    %s%s%s) options='", v->name, v->alias ? "|" : "", v->alias ? v->alias : "");
        put_options(ui, v, false);
        ui_out(ui, "'; words='");
        if (v->words)
            put_words(ui, v->words, " ");
        ui_out(ui, "'; files=%d ;;\n", v->args == ARGS_PATHS);
    }
}

static void bash(struct ui *ui)
{
    ui_out(ui,
           "# bash completion for snap\n_snap()\n{\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= options= words= files=0 i\n"
           "    COMPREPLY=()\n    case $prev in\n    ");
    put_value_options(ui, VALUE_PATH, VALUE_DIR, "|");
    ui_out(ui, ") COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n");
    for (enum opt_id id = 0; id < OPT_COUNT; id++)
        if (opt_def(id)->kind == VALUE_WORDS) {
            ui_out(ui, "    --%s) COMPREPLY=($(compgen -W '", opt_def(id)->name);
            put_words(ui, opt_def(id)->metavar, " ");
            ui_out(ui, "' -- \"$cur\")); return ;;\n");
        }
    ui_out(ui, "    ");
    put_value_options(ui, VALUE_TEXT, VALUE_TEXT, "|");
    ui_out(ui, ") return ;;\n    esac\n    for ((i = 1; i < COMP_CWORD; i++)); do\n        case ${COMP_WORDS[i]} in\n  "
               "      ");
    put_value_options(ui, VALUE_TEXT, VALUE_WORDS, "|");
    ui_out(ui, ") ((i++)) ;;\n        -*) ;;\n        *) verb=${COMP_WORDS[i]}; break ;;\n        esac\n    done\n    "
               "case $verb in\n");
    bash_verbs(ui);
    ui_out(ui, "    '') words='");
    const struct verb *v;
    for (size_t i = 0; (v = verb_at(i)) != NULL; i++)
        ui_out(ui, "%s%s", i ? " " : "", v->name);
    ui_out(ui, "' ;;\n    esac\n    options+='");
    put_options(ui, NULL, true);
    ui_out(ui, "'\n    if [[ $cur == -* ]]; then\n        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
               "    elif ((files)); then\n        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
               "    else\n        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n    fi\n}\n"
               "complete -o filenames -F _snap snap\n");
}

/* Text inside single quotes and, for zsh, inside [...]. */
static void put_quoted(struct ui *ui, const char *text)
{
    for (; *text; text++)
        if (*text == '\'')
            ui_out(ui, "'\\''");
        else if (*text == '[' || *text == ']' || *text == ':')
            ui_out(ui, "\\%c", *text);
        else
            ui_out(ui, "%c", *text);
}

static void zsh_option(struct ui *ui, enum opt_id id)
{
    const struct opt_def *d = opt_def(id);
    ui_out(ui, " '*--%s%s[", d->name, d->kind == VALUE_NONE ? "" : "=");
    put_quoted(ui, d->help);
    ui_out(ui, "]");
    if (d->kind == VALUE_WORDS) {
        ui_out(ui, ":value:(");
        put_words(ui, d->metavar, " ");
        ui_out(ui, ")");
    } else if (d->kind != VALUE_NONE) {
        ui_out(ui, ":");
        put_quoted(ui, d->metavar);
        ui_out(ui, ":%s", d->kind == VALUE_TEXT ? "" : "_files");
    }
    ui_out(ui, "'");
}

static void zsh_verb(struct ui *ui, const struct verb *v)
{
    ui_out(ui, "        %s%s%s) _arguments $globals", v->name, v->alias ? "|" : "", v->alias ? v->alias : "");
    for (size_t i = 0; i < v->opt_count; i++)
        zsh_option(ui, v->opts[i]);
    if (v->words) {
        ui_out(ui, " '1:what:(");
        put_words(ui, v->words, " ");
        ui_out(ui, ")'");
    } else if (v->args == ARGS_PATHS) {
        ui_out(ui, " '*:file:_files'");
    }
    ui_out(ui, " ;;\n");
}

static void zsh(struct ui *ui)
{
    const struct verb *v;
    ui_out(ui, "#compdef snap\n_snap()\n{\n    local -a verbs globals\n    verbs=(\n");
    for (size_t i = 0; (v = verb_at(i)) != NULL; i++) {
        ui_out(ui, "        '%s:", v->name);
        put_quoted(ui, v->summary);
        ui_out(ui, "'\n");
    }
    ui_out(ui, "    )\n    globals=(");
    for (enum opt_id id = 0; id <= OPT_GLOBAL_LAST; id++)
        zsh_option(ui, id);
    ui_out(ui, ")\n    local state line\n    _arguments -C $globals '1:command:->verb' '*::argument:->rest'\n"
               "    case $state in\n    verb) _describe command verbs ;;\n    rest)\n        case $line[1] in\n");
    for (size_t i = 0; (v = verb_at(i)) != NULL; i++)
        zsh_verb(ui, v);
    ui_out(ui, "        esac ;;\n    esac\n}\nif [ \"$funcstack[1]\" = _snap ]; then _snap \"$@\"; else compdef _snap "
               "snap; fi\n");
}

static void fish_text(struct ui *ui, const char *text)
{
    for (; *text; text++)
        ui_out(ui, *text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
}

static void fish_option(struct ui *ui, const char *condition, enum opt_id id)
{
    const struct opt_def *d = opt_def(id);
    ui_out(ui, "complete -c snap%s -l %s", condition, d->name);
    if (d->letter)
        ui_out(ui, " -s %c", d->letter);
    if (d->kind == VALUE_WORDS) {
        ui_out(ui, " -x -a '");
        put_words(ui, d->metavar, " ");
        ui_out(ui, "'");
    } else if (d->kind != VALUE_NONE) {
        ui_out(ui, d->kind == VALUE_TEXT ? " -x" : " -r -F");
    }
    ui_out(ui, " -d '");
    fish_text(ui, d->help);
    ui_out(ui, "'\n");
}

static void fish_verb(struct ui *ui, const struct verb *v)
{
    char condition[160];
    snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %s%s%s'", v->name, v->alias ? " " : "",
             v->alias ? v->alias : "");
    ui_out(ui, "complete -c snap -n __fish_use_subcommand -a %s -d '", v->name);
    fish_text(ui, v->summary);
    ui_out(ui, "'\n");
    for (size_t i = 0; i < v->opt_count; i++)
        fish_option(ui, condition, v->opts[i]);
    if (v->words) {
        ui_out(ui, "complete -c snap%s -a '", condition);
        put_words(ui, v->words, " ");
        ui_out(ui, "'\n");
    } else if (v->args == ARGS_PATHS) {
        ui_out(ui, "complete -c snap%s -F\n", condition);
    }
}

static void fish(struct ui *ui)
{
    ui_out(ui, "# fish completion for snap\ncomplete -c snap -f\n");
    for (enum opt_id id = 0; id <= OPT_GLOBAL_LAST; id++)
        fish_option(ui, "", id);
    const struct verb *v;
    for (size_t i = 0; (v = verb_at(i)) != NULL; i++)
        fish_verb(ui, v);
}

enum errc cmd_completion(struct cli *c, struct err *err)
{
    const char *shell = c->args.args[0];
    if (strcmp(shell, "bash") == 0)
        bash(&c->ui);
    else if (strcmp(shell, "zsh") == 0)
        zsh(&c->ui);
    else if (strcmp(shell, "fish") == 0)
        fish(&c->ui);
    else
        return err_fail(err, ERR_USAGE, "there is no completion for '%s'; there is for bash, zsh and fish", shell);
    return ERR_OK;
}
