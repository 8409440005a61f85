#include "source/vectors/chroma.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "source/vectors/hnswlib.h"

enum { CHROMA_VERSION = 1, CHROMA_HEADER_BYTES = 4 + HNSWLIB_HEADER_BYTES, LENGTH_BYTES = 4, UUID_CHARS = 36 };

bool chroma_is_index_name(const char *name)
{
    if (strlen(name) != UUID_CHARS)
        return false;
    for (size_t i = 0; i < UUID_CHARS; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? name[i] != '-' : !strchr("0123456789abcdef", name[i]))
            return false;
    }
    return true;
}

struct each_index {
    enum errc (*each)(void *arg, const char *name, struct err *err);
    void *arg;
};

static enum errc if_index(void *arg, const char *name, struct err *err)
{
    const struct each_index *e = arg;
    return chroma_is_index_name(name) ? e->each(e->arg, name, err) : ERR_OK;
}

enum errc chroma_each_index(const struct vector_dir *dir,
                            enum errc (*each)(void *arg, const char *name, struct err *err), void *arg, struct err *err)
{
    struct each_index e = {.each = each, .arg = arg};
    return dir->list(dir->arg, "", if_index, &e, err);
}

/* One file of an index; what is done with it, and over. */
struct chroma_part {
    const struct vector_dir *dir;
    const char *index;
    const struct vector_options *opt;
    struct hnswlib_head head;
    struct chroma_index *out;
};

static bool as_long_as(struct walk *w, const char *file, uint64_t rows, uint64_t room, uint64_t row_bytes)
{
    uint64_t most;
    bool is_bounded = !__builtin_mul_overflow(room, row_bytes, &most);
    REQUIRE(row_bytes > 0); /* hnswlib_layout_agrees saw to it */
    if (w->in->size / row_bytes < rows)
        return walk_fail(w, "%s has %" PRIu64 " rows, header.bin says %" PRIu64, file, w->in->size / row_bytes, rows);
    if (w->in->size % row_bytes != 0 || (is_bounded && w->in->size > most))
        return walk_fail(w, "%s has %" PRIu64 " bytes, header.bin says room for %" PRIu64 " rows of %" PRIu64, file,
                         w->in->size, room, row_bytes);
    return true;
}

static enum errc header_part(struct chroma_part *p, struct walk *w)
{
    uint8_t head[HNSWLIB_HEADER_BYTES];
    w->what = "header.bin";
    int32_t version = walk_i32(w);
    walk_bytes(w, head, sizeof head);
    if (!walk_ok(w))
        return w->rc;
    hnswlib_parse(head, &p->head);
    if (version != CHROMA_VERSION)
        walk_fail(w, "header.bin is of version %" PRId32, version);
    else if (w->in->size != CHROMA_HEADER_BYTES || !hnswlib_layout_agrees(&p->head))
        walk_fail(w, "header.bin is damaged");
    else
        hnswlib_counts_agree(w, &p->head);
    return w->rc;
}

static enum errc rows_part(struct chroma_part *p, struct walk *w)
{
    if (!as_long_as(w, "data_level0.bin", p->head.rows, p->head.room, p->head.row_bytes))
        return w->rc;
    p->out->room = (int64_t)p->head.room;
    return hnswlib_rows(w, &p->head, p->opt->depth, &p->out->deleted);
}

static enum errc length_part(struct chroma_part *p, struct walk *w)
{
    as_long_as(w, "length.bin", p->head.rows, p->head.room, LENGTH_BYTES);
    return w->rc;
}

/* What an earlier, longer state had may follow. */
static enum errc links_part(struct chroma_part *p, struct walk *w)
{
    if (p->opt->depth > VECTOR_QUICK)
        hnswlib_links(w, &p->head);
    return w->rc;
}

static enum errc read_part(struct chroma_part *p, const char *file,
                           enum errc (*part)(struct chroma_part *, struct walk *), struct err *err)
{
    struct walk w;
    struct vector_input in;
    char name[UUID_CHARS + 32];
    bool there;
    if (!p->out->result.ok)
        return ERR_OK;
    snprintf(name, sizeof name, "%s/%s", p->index, file);
    enum errc rc = p->dir->open(p->dir->arg, name, &in, &there, err);
    if (rc != ERR_OK)
        return rc;
    if (!there)
        return vector_broken(&p->out->result, "%s is missing", file);
    walk_init(&w, &in, &p->out->result, err);
    rc = part(p, &w);
    p->dir->close(p->dir->arg, &in);
    return rc;
}

static enum errc is_there(struct chroma_part *p, struct walk *w)
{
    (void)p;
    return w->in->size > 0 ? ERR_OK : vector_broken(w->r, "index_metadata.pickle is empty");
}

enum errc chroma_read_index(const struct vector_dir *dir, const char *name, const struct vector_options *opt,
                            struct chroma_index *out, struct err *err)
{
    struct chroma_part p = {.dir = dir, .index = name, .opt = opt, .out = out};
    *out = (struct chroma_index){.room = VECTOR_UNKNOWN, .deleted = VECTOR_UNKNOWN};
    struct vector_result *r = &out->result;
    r->known = r->ok = true;
    snprintf(r->format, sizeof r->format, "chroma");
    enum errc rc = chroma_is_index_name(name) ? ERR_OK : vector_broken(r, "it is not named as an index");
    if (rc == ERR_OK)
        rc = read_part(&p, "header.bin", header_part, err);
    if (rc == ERR_OK)
        rc = read_part(&p, "data_level0.bin", rows_part, err);
    if (rc == ERR_OK)
        rc = read_part(&p, "length.bin", length_part, err);
    if (rc == ERR_OK)
        rc = read_part(&p, "link_lists.bin", links_part, err);
    if (rc == ERR_OK)
        rc = read_part(&p, "index_metadata.pickle", is_there, err);
    if (rc != ERR_OK) {
        vector_release(r);
        return rc;
    }
    hnswlib_describe(r, &p.head, out->deleted);
    r->data_offset = r->row_bytes = 0; /* of one of several files: no place in this result */
    vector_sum_up(r);
    return ERR_OK;
}
