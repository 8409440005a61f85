/* inih cuts long lines and long names in silence, passes over sections without keys, and does not tell lines to its
 * handler. So it is fed line by line through take_line, which counts, sees each section's header, and refuses what
 * would be cut. */
#include "cli/config.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cli/config_keys.h"

enum { CONFIG_FILE_MAX_BYTES = 1 << 20 };

static void note_error(struct config_parse *p)
{
    if (p->rc == ERR_OK)
        p->rc = p->err->code;
}

static void bad_line(struct config_parse *p, const char *what)
{
    if (p->rc == ERR_OK)
        p->rc = config_fail(p, "%s", what);
}

/* The header of a section: known kind, a name where one belongs, no second time. */
static void take_header(struct config_parse *p, const char *line)
{
    const char *end = strchr(line, ']');
    if (!end) {
        bad_line(p, "a section begins with '[' but has no ']'");
        return;
    }
    size_t len = (size_t)(end - line) - 1;
    char name[INI_MAX_LINE];
    memcpy(name, line + 1, len);
    name[len] = '\0';
    if (config_open_section(p, name) != ERR_OK)
        note_error(p);
}

static char *take_line(char *dst, int cap, void *arg)
{
    struct config_parse *p = arg;
    if (p->rc != ERR_OK || !fgets(dst, cap, p->file))
        return NULL;
    p->line++;
    size_t len = strlen(dst);
    p->bytes += len;
    if (p->bytes > CONFIG_FILE_MAX_BYTES) { /* it grows while it is read */
        bad_line(p, "the file goes on beyond the 1 MiB that a configuration may have");
        return NULL;
    }
    if (len + 1 == (size_t)cap && dst[len - 1] != '\n' && !feof(p->file)) {
        bad_line(p, "this line is too long; a list can go on in further lines with the same key");
        return NULL;
    }
    const char *text = p->line == 1 && strncmp(dst, "\xEF\xBB\xBF", 3) == 0 ? dst + 3 : dst;
    if (text[strspn(text, " \t")] == '[' && text[0] != '[')
        bad_line(p, "a section's header must begin at the start of its line");
    else if (text[0] == '[')
        take_header(p, text);
    else if (strcspn(text, "=:") >= 50 && strchr("#;\n\r", text[strspn(text, " \t")]) == NULL)
        bad_line(p, "there is no 'key = value' on this line");
    return p->rc == ERR_OK ? dst : NULL;
}

static int take_key(void *arg, const char *section, const char *name, const char *value)
{
    (void)section; /* the current one is known from its header, uncut */
    struct config_parse *p = arg;
    if (p->rc == ERR_OK && config_take_key(p, name, value ? value : "") != ERR_OK)
        note_error(p);
    return 1;
}

/* What can only be said once all is read. */
static enum errc check_whole(struct config_parse *p)
{
    struct config *c = p->config;
    for (size_t i = 0; i < c->source_count; i++) {
        const struct config_source *s = &c->sources[i];
        p->line = s->line;
        if (!s->path)
            return config_fail(p, "source '%s' has no path", s->name);
        if (!config_source_in_set(c, s->name) && config_find_set(c, s->name))
            return config_fail(p, "source '%s' is in no set, and a set has its name; put it into a set", s->name);
    }
    for (size_t i = 0; i < c->set_count; i++) {
        const struct config_set *set = &c->sets[i];
        p->line = set->line;
        if (set->sources.count == 0)
            return config_fail(p, "set '%s' has no sources", set->name);
        for (size_t k = 0; k < set->sources.count; k++)
            if (!config_find_source(c, set->sources.items[k]))
                return config_fail(p, "set '%s' names the source '%s', which is not defined", set->name,
                                   set->sources.items[k]);
    }
    return ERR_OK;
}

/* A configuration is a file: opening a FIFO would wait for a writer, and reading a device might never end. */
static bool is_config_file(const struct stat *st)
{
    bool null = S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3); /* /dev/null: none */
    return S_ISREG(st->st_mode) || null;
}

static enum errc open_config(const char *file, FILE **out, struct err *err)
{
    struct stat st;
    *out = NULL;
    int fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        err_sys(err, ERR_CONFIG, errno, "cannot read the configuration %s", file);
    else if (!is_config_file(&st))
        err_fail(err, ERR_CONFIG, "the configuration %s is not a regular file", file);
    else if (st.st_size > CONFIG_FILE_MAX_BYTES)
        err_fail(err, ERR_CONFIG, "the configuration %s has %lld bytes; it may have 1 MiB", file,
                 (long long)st.st_size);
    else if (!(*out = fdopen(fd, "r")))
        err_sys(err, ERR_CONFIG, errno, "cannot read the configuration %s", file);
    if (*out)
        return ERR_OK;
    if (fd >= 0)
        close(fd);
    err_hint(err, "Give an existing file with --config, or set SNAP_CONFIG.");
    return ERR_CONFIG;
}

enum errc config_read(const char *file, struct config *out, struct err *err)
{
    *out = (struct config){0};
    struct config_parse p = {.config = out, .err = err};
    enum errc rc = mem_strdup(&out->file, file, err);
    if (rc != ERR_OK)
        return rc;
    rc = open_config(file, &p.file, err);
    if (rc != ERR_OK)
        return rc;
    int bad = ini_parse_stream(take_line, &p, take_key, &p);
    bool failed = ferror(p.file);
    fclose(p.file);
    if (p.rc != ERR_OK)
        return p.rc;
    if (failed)
        return err_fail(err, ERR_CONFIG, "cannot read the configuration %s", file);
    if (bad != 0) {
        p.line = bad;
        return config_fail(&p, "there is no 'key = value' on this line");
    }
    return check_whole(&p);
}

const struct config_source *config_find_source(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->source_count; i++)
        if (strcmp(c->sources[i].name, name) == 0)
            return &c->sources[i];
    return NULL;
}

const struct config_set *config_find_set(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->set_count; i++)
        if (strcmp(c->sets[i].name, name) == 0)
            return &c->sets[i];
    return NULL;
}

bool config_source_in_set(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->set_count; i++)
        if (strings_have(&c->sets[i].sources, name))
            return true;
    return false;
}

void config_release(struct config *c)
{
    free(c->file);
    free(c->repository);
    free(c->key_file);
    free(c->password_file);
    free(c->password_command);
    for (size_t i = 0; i < c->source_count; i++) {
        free(c->sources[i].name);
        free(c->sources[i].path);
        strings_release(&c->sources[i].exclude);
    }
    free(c->sources);
    for (size_t i = 0; i < c->set_count; i++) {
        free(c->sets[i].name);
        strings_release(&c->sets[i].sources);
    }
    free(c->sets);
    *c = (struct config){0};
}

enum errc strings_add(struct strings *s, const char *text, size_t len, struct err *err)
{
    enum errc rc = mem_grow(&s->items, &s->cap, s->count + 1, sizeof *s->items, err);
    if (rc == ERR_OK)
        rc = mem_dup(&s->items[s->count], text, len, err);
    if (rc == ERR_OK)
        s->count++;
    return rc;
}

bool strings_have(const struct strings *s, const char *text)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i], text) == 0)
            return true;
    return false;
}

void strings_release(struct strings *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->items[i]);
    free(s->items);
    *s = (struct strings){0};
}
