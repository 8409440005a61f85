#include "engine/sink.h"

#include <string.h>

static struct engine_sink *of(struct sink *s)
{
    return (struct engine_sink *)s;
}

static enum errc tick(struct engine_sink *s, struct err *err)
{
    struct progress p = {.phase = "reading",
                         .done = s->bytes_before + s->bytes,
                         .total = estimate_bytes(s->expected),
                         .items_done = s->entries,
                         .current = s->current};
    diag_progress(s->diag, &p);
    if (diag_interrupted(s->diag))
        return err_fail(err, ERR_INTERRUPTED, "interrupted; nothing of this snapshot was kept");
    return ERR_OK;
}

static enum errc on_previous(struct sink *sink, const char *path, size_t len, const struct entry **out, struct err *err)
{
    struct engine_sink *s = of(sink);
    size_t n = len < sizeof s->current - 1 ? len : sizeof s->current - 1;
    memcpy(s->current, path, n);
    s->current[n] = '\0';
    return list_writer_previous(s->list, path, len, out, err);
}

static enum errc on_node(struct sink *sink, const struct entry *e, struct err *err)
{
    struct engine_sink *s = of(sink);
    s->entries++;
    enum errc rc = list_writer_node(s->list, e, err);
    return rc == ERR_OK ? tick(s, err) : rc;
}

static enum errc on_begin(struct sink *sink, uint32_t fixed, struct err *err)
{
    return list_writer_begin(of(sink)->list, fixed, err);
}

static void on_rows(struct sink *sink, uint64_t data_offset, uint64_t row_bytes)
{
    list_writer_rows(of(sink)->list, data_offset, row_bytes);
}

static enum errc on_space(struct sink *sink, uint8_t **ptr, size_t *room, struct err *err)
{
    return list_writer_space(of(sink)->list, ptr, room, err);
}

static enum errc on_advance(struct sink *sink, size_t len, struct err *err)
{
    struct engine_sink *s = of(sink);
    s->bytes += len;
    enum errc rc = list_writer_advance(s->list, len, err);
    return rc == ERR_OK ? tick(s, err) : rc;
}

static enum errc on_data(struct sink *sink, const void *data, size_t len, struct err *err)
{
    struct engine_sink *s = of(sink);
    s->bytes += len;
    enum errc rc = list_writer_data(s->list, data, len, err);
    return rc == ERR_OK ? tick(s, err) : rc;
}

static enum errc on_hole(struct sink *sink, uint64_t len, struct err *err)
{
    return list_writer_hole(of(sink)->list, len, err);
}

static enum errc on_end(struct sink *sink, const struct entry *e, const struct entry_end *end, struct err *err)
{
    struct engine_sink *s = of(sink);
    s->entries++;
    return list_writer_end(s->list, e, end, err);
}

static enum errc on_abandon(struct sink *sink, struct err *err)
{
    return list_writer_abandon(of(sink)->list, err);
}

static enum errc on_reuse(struct sink *sink, const struct entry *e, struct err *err)
{
    struct engine_sink *s = of(sink);
    s->entries++;
    s->bytes += e->size;
    enum errc rc = list_writer_reuse(s->list, e, err);
    return rc == ERR_OK ? tick(s, err) : rc;
}

static void on_failed(struct sink *sink, const char *path, const struct err *why)
{
    struct engine_sink *s = of(sink);
    (void)path; /* stands in the message */
    s->failed_count++;
    diag_error(s->diag, why);
}

static const struct sink_ops ops = {
    .previous = on_previous,
    .node = on_node,
    .begin = on_begin,
    .rows = on_rows,
    .space = on_space,
    .advance = on_advance,
    .data = on_data,
    .hole = on_hole,
    .end = on_end,
    .abandon = on_abandon,
    .reuse = on_reuse,
    .failed = on_failed,
};

void engine_sink_init(struct engine_sink *s, struct list_writer *list, const char *root, const struct diag *diag)
{
    memset(s, 0, sizeof *s);
    s->sink.ops = &ops;
    s->list = list;
    s->root = root;
    s->diag = diag;
}
