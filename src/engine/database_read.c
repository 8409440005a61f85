#include "engine/swap.h"

#include <stdlib.h>
#include <string.h>

/* A live database may be in use: it is looked at as a capture does, in one frozen view, and the pages are let go. */

struct null_sink {
    struct sink sink;
    uint8_t scratch[128 * 1024];
};

static enum errc null_previous(struct sink *s, const char *path, size_t len, const struct entry **out, struct err *err)
{
    (void)s, (void)path, (void)len, (void)err;
    *out = NULL;
    return ERR_OK;
}
static enum errc null_entry(struct sink *s, const struct entry *e, struct err *err)
{
    (void)s, (void)e, (void)err;
    return ERR_OK;
}
static enum errc null_begin(struct sink *s, uint32_t fixed, struct err *err)
{
    (void)s, (void)fixed, (void)err;
    return ERR_OK;
}
static enum errc null_space(struct sink *s, uint8_t **ptr, size_t *room, struct err *err)
{
    (void)err;
    *ptr = ((struct null_sink *)s)->scratch;
    *room = sizeof((struct null_sink *)s)->scratch;
    return ERR_OK;
}
static enum errc null_advance(struct sink *s, size_t len, struct err *err)
{
    (void)s, (void)len, (void)err;
    return ERR_OK;
}
static enum errc null_data(struct sink *s, const void *data, size_t len, struct err *err)
{
    (void)s, (void)data, (void)len, (void)err;
    return ERR_OK;
}
static enum errc null_hole(struct sink *s, uint64_t len, struct err *err)
{
    (void)s, (void)len, (void)err;
    return ERR_OK;
}
static enum errc null_end(struct sink *s, const struct entry *e, const struct entry_end *end, struct err *err)
{
    (void)s, (void)e, (void)end, (void)err;
    return ERR_OK;
}
static enum errc null_abandon(struct sink *s, struct err *err)
{
    (void)s, (void)err;
    return ERR_OK;
}
static void null_failed(struct sink *s, const char *path, const struct err *why)
{
    (void)s, (void)path, (void)why;
}

static const struct sink_ops null_ops = {
    .previous = null_previous,
    .node = null_entry,
    .begin = null_begin,
    .space = null_space,
    .advance = null_advance,
    .data = null_data,
    .hole = null_hole,
    .end = null_end,
    .abandon = null_abandon,
    .reuse = null_entry,
    .failed = null_failed,
};

enum errc database_read(const char *path, enum checkpoint_mode checkpoint, const struct restore_options *opt,
                        struct fact_list *facts_out, enum entry_state *state_out, struct err *err)
{
    struct null_sink *sink;
    struct capture_options capture = {.self_exe = opt->self_exe, .force_read = true, .checkpoint = checkpoint};
    struct capture_result result;
    memset(&result, 0, sizeof result);
    enum errc rc = mem_alloc(&sink, sizeof *sink, err);
    if (rc != ERR_OK)
        return rc;
    sink->sink.ops = &null_ops;
    rc = sqlite_capture(path, &sink->sink, &capture, &result, err);
    if (state_out)
        *state_out = result.worst;
    if (rc == ERR_OK && facts_out) {
        *facts_out = result.facts;
        memset(&result.facts, 0, sizeof result.facts);
    }
    fact_list_release(&result.facts);
    free(sink);
    return rc;
}
