#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/path.h"
#include "source/files/capture.h"
#include "source/vectors/vector_facts.h"

/* The descriptor that was read, with its first bytes at hand: most files are none of vectors, and cost no read. */
struct reading {
    struct capture *c;
    int fd;
    const uint8_t *head;
    size_t head_len;
};

static enum errc read_file(void *arg, void *dst, size_t len, uint64_t offset, size_t *got_out, struct err *err)
{
    struct reading *r = arg;
    if (offset <= r->head_len && len <= r->head_len - offset) {
        memcpy(dst, r->head + offset, len);
        *got_out = len;
        return ERR_OK;
    }
    enum errc rc = capture_check(r->c, err);
    return rc == ERR_OK ? io_pread(r->fd, dst, len, offset, got_out, "file", err) : rc;
}

static enum errc compare_dimension(struct capture *c, struct vectors_seen *out, struct err *err)
{
    int64_t dimension = c->opt->vector_dimension;
    char what[400];
    if (dimension == 0 || vector_facts_fit(&out->facts, dimension, what, sizeof what))
        return ERR_OK;
    out->unfit = true;
    snprintf(out->unfit_text, sizeof out->unfit_text, "it has %s, and %" PRId64 " is configured", what, dimension);
    return fact_set_int(&out->facts, "vectors.expected_dimension", dimension, err);
}

static struct vector_input input_of(struct reading *reading, const struct stat *st)
{
    return (struct vector_input){.read = read_file,
                                 .arg = reading,
                                 .size = (uint64_t)st->st_size,
                                 .name = path_base((const char *)reading->c->abs.data)};
}

void vectors_hint_rows(struct capture *c, int fd, const struct stat *st, const uint8_t *head, size_t head_len)
{
    enum { WORTH_BYTES = 256 * 1024 }; /* a smaller file has a cut or two */
    struct reading reading = {.c = c, .fd = fd, .head = head, .head_len = head_len};
    const struct vector_input in = input_of(&reading, st);
    const struct vector_options depth = {.depth = VECTOR_QUICK};
    struct vector_result r;
    struct err ignored;
    if (!c->sink->ops->rows || st->st_size < WORTH_BYTES || vector_read(&in, &depth, &r, &ignored) != ERR_OK)
        return;
    if (r.row_bytes > 0)
        c->sink->ops->rows(c->sink, r.data_offset, r.row_bytes);
    vector_release(&r);
}

enum errc vectors_look(struct capture *c, int fd, const struct stat *st, const uint8_t *head, size_t head_len,
                       struct vectors_seen *out, struct err *err)
{
    struct reading reading = {.c = c, .fd = fd, .head = head, .head_len = head_len};
    const struct vector_input in = input_of(&reading, st);
    const struct vector_options depth = {.depth = VECTOR_SHAPE};
    struct vector_result r;
    struct err why = {.sys_errno = 0};
    *out = (struct vectors_seen){.broken = false};
    enum errc rc = vector_read(&in, &depth, &r, &why);
    if (rc == ERR_NO_MEMORY || rc == ERR_INTERRUPTED) {
        if (err)
            *err = why;
        return rc;
    }
    if (rc != ERR_OK)
        return ERR_OK;
    if (vector_is_file_of_vectors(&r)) {
        rc = vector_facts_put(&r, &out->facts, err);
        out->broken = !r.ok;
        if (!r.ok)
            snprintf(out->text, sizeof out->text, "%s", r.detail);
        if (rc == ERR_OK)
            rc = compare_dimension(c, out, err);
    }
    vector_release(&r);
    return rc;
}

static enum errc keep_fact(struct fact_list *to, const struct fact_list *from, const char *key, struct err *err)
{
    const struct fact *f = fact_find(from, key);
    if (!f)
        return ERR_OK;
    return f->type == FACT_TEXT ? fact_set_text(to, key, f->text, err) : fact_set_int(to, key, f->integer, err);
}

enum errc vectors_of_no_moment(struct vectors_seen *seen, struct err *err)
{
    static const char *const kept[] = {"vectors.format", "vectors.dimension", "vectors.mixed",
                                       "vectors.expected_dimension"};
    struct fact_list facts = {0};
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && seen->unfit && i < sizeof kept / sizeof *kept; i++)
        rc = keep_fact(&facts, &seen->facts, kept[i], err);
    fact_list_release(&seen->facts);
    seen->facts = facts;
    seen->broken = false;
    return rc;
}

void vectors_tell(struct capture *c, const struct vectors_seen *seen)
{
    c->vectors_broken += seen->broken;
    c->vectors_unfit += seen->unfit;
    if (!seen->broken && !seen->unfit)
        return;
    c->out->good = false;
    if (seen->broken)
        diag_message(c->opt->diag, DIAG_WARNING, err_name(ERR_SOURCE_DAMAGED),
                     "%s is damaged; it was stored as it is: %s", capture_show(c), seen->text);
    else
        diag_message(c->opt->diag, DIAG_WARNING, err_name(ERR_CHECK_FAILED), "%s was stored as it is, but %s",
                     capture_show(c), seen->unfit_text);
}

const char *vectors_probe(const struct capture *c, char dst[40])
{
    dst[0] = '\0';
    if (c->opt->vector_dimension > 0)
        snprintf(dst, 40, "vectors of %" PRId64, c->opt->vector_dimension);
    return dst;
}
