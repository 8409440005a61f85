#include "engine/prove_vectors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/path.h"
#include "source/vectors/vector_facts.h"

static enum errc say_how(struct err *err)
{
    return err_hint(err, "Restore an older snapshot ('snap list' shows the good ones), or this one as it is with "
                         "--accept-dimension.");
}

/* Marked by its capture? */
static int64_t violated(const struct fact_list *facts)
{
    const struct fact *f = fact_find(facts, "vectors.expected_dimension");
    return f && f->type == FACT_INT ? f->integer : 0;
}

enum errc prove_items(const struct snapshot *snap, const struct parts *parts, bool accept, struct err *err)
{
    for (size_t i = 0; !accept && i < parts->count; i++) {
        const struct part *p = &parts->parts[i];
        if (p->item >= snap->item_count || p->list_path[0] != '\0')
            continue;
        const struct item *item = &snap->items[p->item];
        const struct fact *unfit = fact_find(&item->facts, "vectors.unfit");
        if (violated(&item->facts) == 0 || (item->type != ITEM_SQLITE && !unfit))
            continue;
        (void)err_fail(err, ERR_CHECK_FAILED, "%s holds vectors in the snapshot that are not of dimension %lld",
                       item->path, (long long)violated(&item->facts));
        return say_how(err);
    }
    return ERR_OK;
}

static enum errc read_staged(void *arg, void *dst, size_t len, uint64_t offset, size_t *got_out, struct err *err)
{
    const int *fd = arg;
    return io_pread(*fd, dst, len, offset, got_out, "a staged file", err);
}

/* Some formats are told by a name, which is not that of what is staged for a single file. */
static void name_of(const struct part *p, const struct entry *e, char *dst, size_t cap)
{
    const char *slash = e->path_len > 0 ? memrchr(e->path, '/', e->path_len) : NULL;
    size_t skip = slash ? (size_t)(slash + 1 - e->path) : 0;
    if (e->path_len > 0)
        snprintf(dst, cap, "%.*s", (int)(e->path_len - skip), e->path + skip);
    else
        snprintf(dst, cap, "%s", path_base(p->path));
}

static enum errc observe(const char *path, const char *name, struct fact_list *out, struct err *err)
{
    const struct vector_options depth = {.depth = VECTOR_SHAPE};
    struct vector_result r;
    struct stat st;
    int fd = -1;
    struct vector_input in = {.read = read_staged, .arg = &fd, .name = name};
    enum errc rc = io_open(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, &fd, err);
    if (rc == ERR_OK && fstat(fd, &st) != 0)
        rc = err_sys(err, ERR_IO, errno, "%s", path);
    if (rc == ERR_OK) {
        in.size = (uint64_t)st.st_size;
        rc = vector_read(&in, &depth, &r, err);
    }
    io_close_quietly(&fd);
    if (rc != ERR_OK)
        return rc;
    if (vector_is_file_of_vectors(&r))
        rc = vector_facts_put(&r, out, err);
    vector_release(&r);
    return rc;
}

/* "/sub/a.npy": the entry's path below the part's. */
static const char *show_below(const struct part *p, const struct entry *e, char *dst, size_t cap)
{
    size_t skip = strlen(p->list_path);
    dst[0] = '\0';
    if (e->path_len <= skip)
        return dst;
    skip += e->path[skip] == '/';
    dst[0] = '/';
    path_show(dst + 1, cap - 1, e->path + skip, e->path_len - skip);
    return dst;
}

static enum errc refuse_mark(const struct part *p, const struct entry *e, int64_t dimension, struct err *err)
{
    char shown[512];
    (void)err_fail(err, ERR_CHECK_FAILED, "the vectors of %s%s in the snapshot are not of dimension %lld", p->path,
                   show_below(p, e, shown, sizeof shown), (long long)dimension);
    return say_how(err);
}

/* It comes back as it was stored, which was told when it was. */
static void warn_of_damage(const struct stage *s, const struct part *p, const struct entry *e,
                           const struct fact_list *captured)
{
    const struct fact *ok = fact_find(captured, "vectors.ok"), *detail = fact_find(captured, "vectors.detail");
    char shown[512], why[300];
    if (e->type != ENTRY_FILE || !ok || ok->type != FACT_BOOL || ok->integer != 0)
        return;
    bool told = detail && detail->type == FACT_TEXT;
    diag_message(s->diag, DIAG_WARNING, err_name(ERR_SOURCE_DAMAGED), "%s%s was damaged when it was captured%s%s",
                 p->path, show_below(p, e, shown, sizeof shown), told ? ": " : "",
                 told ? path_show(why, sizeof why, detail->text, detail->text_len) : "");
}

static enum errc compare(struct part *p, const struct entry *e, const char *path, const struct fact_list *captured,
                         bool accept, struct err *err)
{
    struct fact_list seen = {0};
    char text[600], name[1024], shown[512];
    name_of(p, e, name, sizeof name);
    enum errc rc = observe(path, name, &seen, err);
    if (rc == ERR_OK && !vector_facts_agree(captured, &seen, text, sizeof text)) {
        p->vectors_differ = true;
        if (!accept) {
            (void)err_fail(err, ERR_CHECK_FAILED, "the staged copy of %s%s is not what was captured: %s", p->path,
                           show_below(p, e, shown, sizeof shown), text);
            rc = say_how(err);
        }
    }
    fact_list_release(&seen);
    return rc;
}

enum errc prove_vectors(const struct stage *s, struct part *p, const struct entry *e, const struct entry_end *end,
                        const char *rel, struct err *err)
{
    struct fact_list captured = {0};
    char *path = NULL;
    if (!end->facts || end->facts_len == 0)
        return ERR_OK;
    enum errc rc = fact_list_get(end->facts, end->facts_len, &captured, err);
    if (rc == ERR_OK && violated(&captured) > 0 && !s->accept_dimension)
        rc = refuse_mark(p, e, violated(&captured), err);
    /* A fuzzy file's facts were seen in other bytes than those that were stored. */
    if (rc == ERR_OK && e->type == ENTRY_FILE && end->state != STATE_FUZZY && fact_find(&captured, "vectors.format")) {
        rc = path_join(p->staging, rel, &path, err);
        if (rc == ERR_OK)
            rc = compare(p, e, path, &captured, s->accept_dimension, err);
    }
    if (rc == ERR_OK)
        warn_of_damage(s, p, e, &captured);
    fact_list_release(&captured);
    free(path);
    return rc;
}
