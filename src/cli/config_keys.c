#include "cli/config_keys.h"

#include <stdarg.h>
#include <string.h>

#include "cli/options.h"
#include "source/vectors/vectors.h"

enum errc config_fail(struct config_parse *p, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_fail(p->err, ERR_CONFIG, "%s:%d: %s", p->config->file, p->line, text);
}

/* "kind name": the rest after the word and blanks, without trailing blanks; false when the word is another. */
static bool section_name(const char *header, const char *kind, const char **name_out, size_t *len_out)
{
    size_t n = strlen(kind);
    if (strncmp(header, kind, n) != 0 || (header[n] != '\0' && header[n] != ' ' && header[n] != '\t'))
        return false;
    const char *name = header + n + strspn(header + n, " \t");
    size_t len = strlen(name);
    while (len > 0 && (name[len - 1] == ' ' || name[len - 1] == '\t'))
        len--;
    *name_out = name;
    *len_out = len;
    return true;
}

static enum errc check_name(struct config_parse *p, const char *kind, const char *name, size_t len)
{
    if (len == 0)
        return config_fail(p, "[%s] needs a name: [%s NAME]", kind, kind);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] <= ' ' || name[i] == 0x7F || strchr(":/@", name[i]))
            return config_fail(p, "the name of a %s is one word without ':', '/' and '@'", kind);
    return ERR_OK;
}

static enum errc open_source(struct config_parse *p, const char *name, size_t len)
{
    struct config *c = p->config;
    enum errc rc = check_name(p, "source", name, len);
    if (rc == ERR_OK)
        rc = mem_grow(&c->sources, &c->source_cap, c->source_count + 1, sizeof *c->sources, p->err);
    char *copy = NULL;
    if (rc == ERR_OK)
        rc = mem_dup(&copy, name, len, p->err);
    if (rc != ERR_OK)
        return rc;
    bool twice = config_find_source(c, copy) != NULL;
    c->sources[c->source_count++] = (struct config_source){.name = copy, .detect = true, .line = p->line};
    p->section = SECTION_SOURCE;
    return twice ? config_fail(p, "source '%s' is defined twice", copy) : ERR_OK;
}

static enum errc open_set(struct config_parse *p, const char *name, size_t len)
{
    struct config *c = p->config;
    enum errc rc = check_name(p, "set", name, len);
    if (rc == ERR_OK)
        rc = mem_grow(&c->sets, &c->set_cap, c->set_count + 1, sizeof *c->sets, p->err);
    char *copy = NULL;
    if (rc == ERR_OK)
        rc = mem_dup(&copy, name, len, p->err);
    if (rc != ERR_OK)
        return rc;
    bool twice = config_find_set(c, copy) != NULL;
    c->sets[c->set_count++] = (struct config_set){.name = copy, .line = p->line};
    p->section = SECTION_SET;
    return twice ? config_fail(p, "set '%s' is defined twice", copy) : ERR_OK;
}

enum errc config_open_section(struct config_parse *p, const char *header)
{
    static const char *const kinds[] = {"repository", "source", "set", NULL};
    header += strspn(header, " \t");
    const char *name;
    size_t len;
    if (section_name(header, "repository", &name, &len)) {
        if (len > 0)
            return config_fail(p, "[repository] takes no name");
        if (p->repository_seen)
            return config_fail(p, "[repository] is there twice");
        p->repository_seen = true;
        p->section = SECTION_REPOSITORY;
        return ERR_OK;
    }
    if (section_name(header, "source", &name, &len))
        return open_source(p, name, len);
    if (section_name(header, "set", &name, &len))
        return open_set(p, name, len);
    char word[40];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(header, " \t"), header);
    config_fail(p, "unknown section [%.60s]", header);
    const char *near = nearest_name(word, kinds);
    if (near)
        err_hint(p->err, "Did you mean [%s%s]?", near, strcmp(near, "repository") == 0 ? "" : " NAME");
    return ERR_CONFIG;
}

static enum errc unknown_key(struct config_parse *p, const char *section, const char *key, const char *const *known)
{
    config_fail(p, "unknown key '%s' in [%s]", key, section);
    const char *near = nearest_name(key, known);
    if (near)
        err_hint(p->err, "Did you mean '%s'?", near);
    return ERR_CONFIG;
}

static enum errc set_once(struct config_parse *p, char **field, const char *key, const char *value)
{
    if (*field)
        return config_fail(p, "'%s' is given twice", key);
    if (!value[0])
        return config_fail(p, "'%s' has no value", key);
    return mem_strdup(field, value, p->err);
}

static enum errc set_path(struct config_parse *p, char **field, const char *key, const char *value)
{
    enum errc rc = set_once(p, field, key, value);
    if (rc == ERR_OK && value[0] != '/')
        rc = config_fail(p, "'%s' must be an absolute path, not '%s'", key, value);
    return rc;
}

/* Which word the value is; the flag says that the key was there before. */
static enum errc set_word(struct config_parse *p, bool *seen, const char *key, const char *value,
                          const char *const *words, size_t *index_out)
{
    if (*seen)
        return config_fail(p, "'%s' is given twice", key);
    *seen = true;
    char all[128] = "";
    for (size_t i = 0; words[i]; i++) {
        if (strcmp(words[i], value) == 0) {
            *index_out = i;
            return ERR_OK;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", words[i]);
    }
    return config_fail(p, "'%s' is one of %s, not '%s'", key, all, value);
}

static enum errc set_bool(struct config_parse *p, bool *seen, const char *key, const char *value, bool *out)
{
    static const char *const words[] = {"yes", "no", "true", "false", NULL};
    size_t i = 0;
    enum errc rc = set_word(p, seen, key, value, words, &i);
    *out = i % 2 == 0;
    return rc;
}

static enum errc add_words(struct config_parse *p, struct strings *list, const char *key, const char *value)
{
    size_t before = list->count;
    for (value += strspn(value, " \t"); *value; value += strspn(value, " \t")) {
        size_t len = strcspn(value, " \t");
        enum errc rc = strings_add(list, value, len, p->err);
        if (rc != ERR_OK)
            return rc;
        value += len;
    }
    return list->count > before ? ERR_OK : config_fail(p, "'%s' has no value", key);
}

static enum errc repository_key(struct config_parse *p, const char *key, const char *value)
{
    static const char *const known[] = {"path", "key-file", "password-file", "password-command", NULL};
    struct config *c = p->config;
    if (strcmp(key, "path") == 0)
        return set_path(p, &c->repository, key, value);
    if (strcmp(key, "key-file") == 0)
        return set_path(p, &c->key_file, key, value);
    if (strcmp(key, "password-file") == 0)
        return set_path(p, &c->password_file, key, value);
    if (strcmp(key, "password-command") == 0)
        return set_once(p, &c->password_command, key, value);
    return unknown_key(p, "repository", key, known);
}

static enum errc set_type(struct config_parse *p, struct config_source *s, const char *value)
{
    if (s->has_type)
        return config_fail(p, "'type' is given twice");
    s->has_type = true;
    s->detect = false;
    if (strcmp(value, "sqlite") == 0)
        s->type = ITEM_SQLITE;
    else if (strcmp(value, "files") == 0 || strcmp(value, "vectors") == 0)
        s->type = ITEM_FILES; /* vector files are told from their content wherever they are */
    else
        return config_fail(p, "unknown type '%s' of source '%s'; it is sqlite, files or vectors", value, s->name);
    return ERR_OK;
}

static enum errc set_dimension(struct config_parse *p, struct config_source *s, const char *value)
{
    size_t n = 0;
    if (s->dimension > 0)
        return config_fail(p, "'dimension' is given twice");
    if (opt_number("'dimension'", value, VECTOR_DIMENSION_MAX, &n, p->err) != ERR_OK)
        return config_fail(p, "'dimension' is a number from 1 to %lld, not '%s'", (long long)VECTOR_DIMENSION_MAX,
                           value);
    s->dimension = (int64_t)n;
    return ERR_OK;
}

static enum errc source_key(struct config_parse *p, const char *key, const char *value)
{
    static const char *const known[] = {
        "type", "path", "checkpoint", "exclude", "exclude-caches", "one-file-system", "dimension", NULL};
    static const char *const modes[] = {"none", "passive", "truncate", NULL};
    struct config_source *s = &p->config->sources[p->config->source_count - 1];
    if (strcmp(key, "type") == 0)
        return set_type(p, s, value);
    if (strcmp(key, "path") == 0)
        return set_path(p, &s->path, key, value);
    if (strcmp(key, "checkpoint") == 0) {
        size_t i = 0;
        enum errc rc = set_word(p, &s->has_checkpoint, key, value, modes, &i);
        s->checkpoint = i == 1 ? CHECKPOINT_PASSIVE : i == 2 ? CHECKPOINT_TRUNCATE : CHECKPOINT_NONE;
        return rc;
    }
    if (strcmp(key, "exclude") == 0)
        return add_words(p, &s->exclude, key, value);
    if (strcmp(key, "exclude-caches") == 0)
        return set_bool(p, &s->has_caches, key, value, &s->exclude_caches);
    if (strcmp(key, "one-file-system") == 0)
        return set_bool(p, &s->has_one_fs, key, value, &s->one_file_system);
    if (strcmp(key, "dimension") == 0)
        return set_dimension(p, s, value);
    return unknown_key(p, "source", key, known);
}

static enum errc set_key(struct config_parse *p, const char *key, const char *value)
{
    static const char *const known[] = {"sources", NULL};
    struct config_set *s = &p->config->sets[p->config->set_count - 1];
    if (strcmp(key, "sources") != 0)
        return unknown_key(p, "set", key, known);
    size_t before = s->sources.count;
    enum errc rc = add_words(p, &s->sources, key, value);
    for (size_t i = before; rc == ERR_OK && i < s->sources.count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(s->sources.items[i], s->sources.items[k]) == 0)
                return config_fail(p, "set '%s' names the source '%s' twice", s->name, s->sources.items[i]);
    return rc;
}

enum errc config_take_key(struct config_parse *p, const char *key, const char *value)
{
    switch (p->section) {
    case SECTION_REPOSITORY:
        return repository_key(p, key, value);
    case SECTION_SOURCE:
        return source_key(p, key, value);
    case SECTION_SET:
        return set_key(p, key, value);
    case SECTION_NONE:
        break;
    }
    return config_fail(p, "'%s' stands before any section", key);
}
