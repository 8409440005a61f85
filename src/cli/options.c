#include "cli/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

bool opt_given(const struct parsed *p, enum opt_id id)
{
    return p->counts[id] > 0;
}

const char *opt_last(const struct parsed *p, enum opt_id id)
{
    return p->counts[id] ? p->values[id][p->counts[id] - 1] : NULL;
}

const char *opt_or_env(const struct parsed *p, enum opt_id id, const char *env)
{
    if (opt_given(p, id))
        return opt_last(p, id);
    const char *value = getenv(env);
    return value && value[0] ? value : NULL;
}

enum errc opt_word(const struct parsed *p, enum opt_id id, size_t fallback, size_t *index_out, struct err *err)
{
    const char *value = opt_last(p, id);
    if (!value) {
        *index_out = fallback;
        return ERR_OK;
    }
    const char *words = opt_def(id)->metavar;
    for (size_t i = 0; *words; i++) {
        size_t len = strcspn(words, "|");
        if (strlen(value) == len && strncmp(value, words, len) == 0) {
            *index_out = i;
            return ERR_OK;
        }
        words += len + (words[len] == '|');
    }
    return err_fail(err, ERR_USAGE, "--%s takes %s, not '%s'", opt_def(id)->name, opt_def(id)->metavar, value);
}

enum errc opt_number(const char *option, const char *text, size_t max, size_t *out, struct err *err)
{
    size_t n = 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || n > max)
            return err_fail(err, ERR_USAGE, "%s takes a number from 1 to %zu, not '%s'", option, max, text);
        n = n * 10 + (size_t)(*p - '0');
    }
    if (n == 0 || n > max)
        return err_fail(err, ERR_USAGE, "%s takes a number from 1 to %zu, not '%s'", option, max, text);
    *out = n;
    return ERR_OK;
}

static enum errc add_value(struct parsed *p, enum opt_id id, const char *value, struct err *err)
{
    const char **grown = realloc(p->values[id], (p->counts[id] + 1) * sizeof *grown);
    if (!grown)
        return err_fail(err, ERR_NO_MEMORY, "not enough memory for the command line");
    p->values[id] = grown;
    grown[p->counts[id]++] = value;
    if (id == OPT_JSON)
        p->json = true;
    return ERR_OK;
}

static enum errc unknown_option(const struct verb *v, const char *shown, const char *name, struct err *err)
{
    const char *names[OPT_COUNT + 1];
    size_t n = 0;
    for (enum opt_id id = 0; id < OPT_COUNT; id++)
        if (verb_has_option(v, id))
            names[n++] = opt_def(id)->name;
    names[n] = NULL;
    if (v)
        err_fail(err, ERR_USAGE, "'%s' has no option '%s'", v->name, shown);
    else
        err_fail(err, ERR_USAGE, "unknown option '%s' before the command", shown);
    const char *near = name ? nearest_name(name, names) : NULL;
    if (near)
        err_hint(err, "Did you mean '--%s'? Run 'snap help%s%s' for the options.", near, v ? " " : "",
                 v ? v->name : "");
    else
        err_hint(err, "Run 'snap help%s%s' for the options.", v ? " " : "", v ? v->name : "");
    return ERR_USAGE;
}

static enum errc parse_long(struct parsed *p, char **argv, int argc, int *i, struct err *err)
{
    const char *name = argv[*i] + 2;
    size_t len = strcspn(name, "=");
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    for (enum opt_id id = 0; id < OPT_COUNT; id++) {
        const struct opt_def *d = opt_def(id);
        if (!verb_has_option(p->verb, id) || strlen(d->name) != len || strncmp(d->name, name, len) != 0)
            continue;
        if (d->kind == VALUE_NONE) {
            if (value)
                return err_fail(err, ERR_USAGE, "--%s takes no value", d->name);
            return add_value(p, id, "", err);
        }
        if (!value) {
            if (*i + 1 >= argc)
                return err_fail(err, ERR_USAGE, "--%s needs a value: %s", d->name, d->metavar);
            value = argv[++*i];
        }
        return add_value(p, id, value, err);
    }
    char word[64];
    size_t cut = len < sizeof word - 1 ? len : sizeof word - 1;
    memcpy(word, name, cut);
    word[cut] = '\0';
    char shown[80] = "--";
    memcpy(shown + 2, word, cut + 1);
    return unknown_option(p->verb, shown, word, err);
}

static enum errc parse_letters(struct parsed *p, char **argv, int argc, int *i, struct err *err)
{
    for (const char *at = argv[*i] + 1; *at; at++) {
        enum opt_id id = 0;
        while (id < OPT_COUNT && (opt_def(id)->letter != *at || !verb_has_option(p->verb, id)))
            id++;
        if (id == OPT_COUNT) {
            char shown[3] = {'-', *at, '\0'};
            return unknown_option(p->verb, shown, NULL, err);
        }
        enum errc rc;
        if (opt_def(id)->kind == VALUE_NONE) {
            if ((rc = add_value(p, id, "", err)) != ERR_OK)
                return rc;
            continue;
        }
        const char *value = at[1] ? at + 1 : *i + 1 < argc ? argv[++*i] : NULL;
        if (!value)
            return err_fail(err, ERR_USAGE, "-%c needs a value: %s", *at, opt_def(id)->metavar);
        return add_value(p, id, value, err);
    }
    return ERR_OK;
}

static enum errc take_verb(struct parsed *p, const char *word, struct err *err)
{
    p->verb = verb_find(word);
    if (p->verb)
        return ERR_OK;
    const char *names[64];
    size_t n = 0;
    for (size_t i = 0; verb_at(i) && n < 63; i++)
        names[n++] = verb_at(i)->name;
    names[n] = NULL;
    const char *near = nearest_name(word, names);
    err_fail(err, ERR_USAGE, "unknown command '%s'", word);
    if (near)
        err_hint(err, "Did you mean '%s'? Run 'snap help' for the commands.", near);
    return ERR_USAGE;
}

static enum errc check_args(const struct parsed *p, struct err *err)
{
    const struct verb *v = p->verb;
    if (opt_given(p, OPT_HELP) || opt_given(p, OPT_VERSION))
        return ERR_OK;
    if (!v)
        return err_fail(err, ERR_USAGE, "no command was given");
    enum errc rc = ERR_OK;
    if (p->arg_count < v->min_args)
        rc = err_fail(err, ERR_USAGE, "'%s' needs %s", v->name, v->synopsis);
    else if (p->arg_count > v->max_args)
        rc = v->max_args == 0
                 ? err_fail(err, ERR_USAGE, "'%s' takes no arguments, but was given '%s'", v->name, p->args[0])
                 : err_fail(err, ERR_USAGE, "'%s' takes %s, but was given '%s' too", v->name, v->synopsis,
                            p->args[v->max_args]);
    if (rc != ERR_OK)
        err_hint(err, "Usage: snap %s [options] %s", v->name, v->synopsis);
    return rc;
}

/* Known before the rest is, so that a wrong command line is reported in the form that was asked for. */
static enum errc look_for_json(int argc, char **argv, struct parsed *out, struct err *err)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0)
            out->json = true;
    const char *env = getenv("SNAP_JSON");
    if (!env || !env[0] || strcmp(env, "0") == 0)
        return ERR_OK;
    if (strcmp(env, "1") != 0) {
        err_fail(err, ERR_USAGE, "the environment variable SNAP_JSON is '%.40s'", env);
        err_hint(err, "Set SNAP_JSON to 1 or 0, or unset it.");
        return ERR_USAGE;
    }
    out->json = true;
    return ERR_OK;
}

enum errc options_parse(int argc, char **argv, struct parsed *out, struct err *err)
{
    *out = (struct parsed){0};
    enum errc rc = look_for_json(argc, argv, out, err);
    if (rc != ERR_OK)
        return rc;
    if ((rc = mem_alloc(&out->args, ((size_t)argc + 1) * sizeof *out->args, err)) != ERR_OK)
        return rc;
    bool only_args = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (!only_args && strcmp(word, "--") == 0)
            only_args = true;
        else if (!only_args && word[0] == '-' && word[1] == '-')
            rc = parse_long(out, argv, argc, &i, err);
        else if (!only_args && word[0] == '-' && word[1])
            rc = parse_letters(out, argv, argc, &i, err);
        else if (!out->verb)
            rc = take_verb(out, word, err);
        else
            out->args[out->arg_count++] = word;
        if (rc != ERR_OK)
            return rc;
    }
    return check_args(out, err);
}

void options_release(struct parsed *p)
{
    for (size_t i = 0; i < OPT_COUNT; i++)
        free(p->values[i]);
    free(p->args);
    *p = (struct parsed){0};
}
