#include "cli/sets.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"

static enum errc new_set(struct backup_plan *p, const char *name, size_t source_count, struct plan_set **out,
                         struct err *err)
{
    enum errc rc = mem_grow(&p->sets, &p->cap, p->count + 1, sizeof *p->sets, err);
    if (rc != ERR_OK)
        return rc;
    struct plan_set *s = &p->sets[p->count];
    *s = (struct plan_set){.spec = {.name = name, .source_count = source_count}};
    rc = mem_alloc(&s->sources, (source_count ? source_count : 1) * sizeof *s->sources, err);
    if (rc != ERR_OK)
        return rc;
    s->spec.sources = s->sources;
    p->count++;
    *out = s;
    return ERR_OK;
}

/* The patterns of the source and of the command line, in one array that lives as long as the plan. */
static void give_excludes(struct plan_set *set, size_t index, const struct strings *configured,
                          const struct parsed *args, const char ***at)
{
    struct source_spec *s = &set->sources[index];
    const char **first = *at;
    for (size_t i = 0; configured && i < configured->count; i++)
        *(*at)++ = configured->items[i];
    for (size_t i = 0; i < args->counts[OPT_EXCLUDE]; i++)
        *(*at)++ = args->values[OPT_EXCLUDE][i];
    s->exclude = first;
    s->exclude_count = (size_t)(*at - first);
}

static enum errc alloc_excludes(struct plan_set *set, size_t configured, const struct parsed *args, struct err *err)
{
    size_t n = configured + set->spec.source_count * args->counts[OPT_EXCLUDE];
    return mem_alloc(&set->excludes, (n + 1) * sizeof *set->excludes, err);
}

static enum errc add_configured(struct backup_plan *p, const struct config *config, const struct parsed *args,
                                const char *name, char *const *source_names, size_t count, struct err *err)
{
    struct plan_set *set;
    enum errc rc = new_set(p, name, count, &set, err);
    size_t patterns = 0;
    for (size_t i = 0; rc == ERR_OK && i < count; i++)
        patterns += config_find_source(config, source_names[i])->exclude.count;
    if (rc == ERR_OK)
        rc = alloc_excludes(set, patterns, args, err);
    if (rc != ERR_OK)
        return rc;
    const char **at = set->excludes;
    for (size_t i = 0; rc == ERR_OK && i < count; i++) {
        const struct config_source *from = config_find_source(config, source_names[i]);
        set->sources[i] =
            (struct source_spec){.name = from->name,
                                 .path = from->path,
                                 .type = from->type,
                                 .detect = from->detect,
                                 .checkpoint = from->checkpoint,
                                 .one_file_system = from->one_file_system || opt_given(args, OPT_ONE_FILE_SYSTEM),
                                 .exclude_caches = from->exclude_caches || opt_given(args, OPT_EXCLUDE_CACHES),
                                 .vector_dimension = from->dimension};
        give_excludes(set, i, &from->exclude, args, &at);
    }
    return rc;
}

static enum errc add_one_source(struct backup_plan *p, const struct config *config, const struct parsed *args,
                                const struct config_source *s, struct err *err)
{
    return add_configured(p, config, args, s->name, &s->name, 1, err);
}

static enum errc add_set(struct backup_plan *p, const struct config *config, const struct parsed *args,
                         const struct config_set *s, struct err *err)
{
    return add_configured(p, config, args, s->name, s->sources.items, s->sources.count, err);
}

static enum errc add_paths(struct backup_plan *p, const struct parsed *args, struct err *err)
{
    if (opt_given(args, OPT_SOURCE))
        return err_fail(err, ERR_USAGE, "--source names a configured source and does not go with paths");
    if (args->counts[OPT_SET] > 1)
        return err_fail(err, ERR_USAGE, "--set names the set of the paths and can be given once");
    const char *name = opt_last(args, OPT_SET);
    if (name && !name[0])
        return err_fail(err, ERR_USAGE, "--set is empty");
    struct plan_set *set;
    enum errc rc = new_set(p, name, args->arg_count, &set, err);
    if (rc == ERR_OK)
        rc = alloc_excludes(set, 0, args, err);
    if (rc != ERR_OK)
        return rc;
    const char **at = set->excludes;
    set->spec.source_count = 0;
    for (size_t i = 0; rc == ERR_OK && i < args->arg_count; i++) {
        if (!args->args[i][0])
            return err_fail(err, ERR_USAGE, "a path is empty");
        char *path = NULL;
        rc = path_canonical(args->args[i], &path, err);
        if (rc == ERR_OK && !strings_have(&set->paths, path))
            rc = strings_add(&set->paths, path, strlen(path), err);
        free(path);
    }
    for (size_t i = 0; rc == ERR_OK && i < set->paths.count; i++) {
        const char *path = set->paths.items[i];
        set->sources[i] = (struct source_spec){.name = path,
                                               .path = path,
                                               .detect = true,
                                               .one_file_system = opt_given(args, OPT_ONE_FILE_SYSTEM),
                                               .exclude_caches = opt_given(args, OPT_EXCLUDE_CACHES)};
        give_excludes(set, i, NULL, args, &at);
        set->spec.source_count++;
    }
    return rc;
}

static enum errc unknown(const struct config *config, const char *what, const char *name, struct err *err)
{
    err_fail(err, ERR_USAGE, "there is no %s '%s' in the configuration", what, name);
    if (!config->file)
        err_hint(err, "No configuration was read: give --config FILE.");
    else
        err_hint(err, "See %s.", config->file);
    return ERR_USAGE;
}

/* --set: a configured set, or a source that is in none. */
static enum errc add_named_sets(struct backup_plan *p, const struct config *config, const struct parsed *args,
                                struct err *err)
{
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < args->counts[OPT_SET]; i++) {
        const char *name = args->values[OPT_SET][i];
        bool twice = false;
        for (size_t k = 0; k < i; k++)
            twice = twice || strcmp(name, args->values[OPT_SET][k]) == 0;
        const struct config_set *set = config_find_set(config, name);
        const struct config_source *source = config_find_source(config, name);
        if (twice)
            continue;
        if (set)
            rc = add_set(p, config, args, set, err);
        else if (source && !config_source_in_set(config, name))
            rc = add_one_source(p, config, args, source, err);
        else
            rc = unknown(config, "set", name, err);
    }
    return rc;
}

/* --source: each a set of its own, named as the source, so that no set gets a snapshot that lacks some of its parts. */
static enum errc add_named_sources(struct backup_plan *p, const struct config *config, const struct parsed *args,
                                   struct err *err)
{
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < args->counts[OPT_SOURCE]; i++) {
        const char *name = args->values[OPT_SOURCE][i];
        const struct config_source *source = config_find_source(config, name);
        if (!source)
            return unknown(config, "source", name, err);
        bool inside = !opt_given(args, OPT_SET);
        for (size_t k = 0; k < args->counts[OPT_SET]; k++) {
            const struct config_set *set = config_find_set(config, args->values[OPT_SET][k]);
            if (!set)
                return unknown(config, "set", args->values[OPT_SET][k], err);
            inside = inside || strings_have(&set->sources, name);
        }
        if (!inside)
            return err_fail(err, ERR_USAGE, "source '%s' is not in the set that --set names", name);
        const struct config_set *same = config_find_set(config, name);
        if (same && same->sources.count != 1)
            return err_fail(err, ERR_USAGE, "source '%s' has the name of a set with other sources; rename one of them",
                            name);
        bool twice = false;
        for (size_t k = 0; k < i; k++)
            twice = twice || strcmp(name, args->values[OPT_SOURCE][k]) == 0;
        if (!twice)
            rc = add_one_source(p, config, args, source, err);
    }
    return rc;
}

enum errc backup_plan_make(const struct config *config, const struct parsed *args, struct backup_plan *out,
                           struct err *err)
{
    *out = (struct backup_plan){0};
    for (size_t i = 0; i < args->counts[OPT_EXCLUDE]; i++)
        if (!args->values[OPT_EXCLUDE][i][0])
            return err_fail(err, ERR_USAGE, "--exclude is empty");
    if (args->arg_count > 0)
        return add_paths(out, args, err);
    if (opt_given(args, OPT_SOURCE))
        return add_named_sources(out, config, args, err);
    if (opt_given(args, OPT_SET))
        return add_named_sets(out, config, args, err);
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < config->set_count; i++)
        rc = add_set(out, config, args, &config->sets[i], err);
    for (size_t i = 0; rc == ERR_OK && i < config->source_count; i++)
        if (!config_source_in_set(config, config->sources[i].name))
            rc = add_one_source(out, config, args, &config->sources[i], err);
    if (rc == ERR_OK && out->count == 0) {
        rc = err_fail(err, ERR_USAGE, "nothing is named to back up");
        err_hint(err, "Name paths: 'snap backup PATH...', or write sources into %s.",
                 config->file ? config->file : "a configuration and give it with --config");
    }
    return rc;
}

void backup_plan_release(struct backup_plan *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->sets[i].sources);
        free(p->sets[i].excludes);
        strings_release(&p->sets[i].paths);
    }
    free(p->sets);
    *p = (struct backup_plan){0};
}
