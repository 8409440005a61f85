#include "source/vectors/lance.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "source/vectors/lance_file.h"

enum { INVERTED_DIGITS = 20, NAME_BYTES = 256, QUICK_MAX_BYTES = 256 * 1024 };

struct newest {
    char name[NAME_BYTES];
    uint64_t version;
    int64_t count;
};

/* "18446744073709551612.manifest" is version 3, and so is "3.manifest" in older datasets. */
static enum errc see_manifest(void *arg, const char *name, struct err *err)
{
    struct newest *n = arg;
    size_t digits = strspn(name, "0123456789");
    uint64_t v = 0;
    (void)err;
    if (digits == 0 || digits > INVERTED_DIGITS || strcmp(name + digits, ".manifest") != 0)
        return ERR_OK;
    for (size_t i = 0; i < digits; i++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(name[i] - '0'), &v))
            return ERR_OK;
    if (digits == INVERTED_DIGITS)
        v = UINT64_MAX - v;
    if (n->count++ == 0 || v > n->version) {
        n->version = v;
        snprintf(n->name, sizeof n->name, "%s", name);
    }
    return ERR_OK;
}

struct lance {
    struct walk w; /* over the manifest */
    const struct vector_dir *dir;
    const struct vector_options *opt;
    struct lance_dataset *out;
    int64_t rows;
    bool rows_known;
};

struct fragment {
    uint64_t id, rows, deleted, files;
};

/* A file that the manifest names; size 0: it does not say how long. */
static void check_file(struct lance *l, const char *sub, const char *name, uint64_t size, bool has_footer)
{
    char path[2 * NAME_BYTES];
    struct vector_input in;
    struct vector_result seen = {.known = true, .ok = true};
    struct lance_footer footer;
    struct walk w;
    bool there;
    if (l->opt->depth == VECTOR_QUICK || !walk_ok(&l->w))
        return;
    snprintf(path, sizeof path, "%s/%s", sub, name);
    l->w.rc = l->dir->open(l->dir->arg, path, &in, &there, l->w.err);
    if (l->w.rc != ERR_OK)
        return;
    if (!there) {
        walk_fail(&l->w, "%s, which version %" PRIu64 " needs, is missing", path, l->out->version);
        return;
    }
    if (size > 0 && in.size != size) {
        walk_fail(&l->w, "%s has %" PRIu64 " bytes instead of %" PRIu64, path, in.size, size);
    } else if (has_footer) {
        walk_init(&w, &in, &seen, l->w.err);
        lance_footer(&w, &footer);
        l->w.rc = w.rc;
        if (w.rc == ERR_OK && !seen.ok)
            walk_fail(&l->w, "%s: %s", path, seen.detail);
    }
    vector_release(&seen);
    l->dir->close(l->dir->arg, &in);
}

/* DataFile: 1 path, 6 size, 7 where else it is. */
static void read_file(struct lance *l)
{
    struct proto_field f;
    char name[NAME_BYTES] = "";
    uint64_t size = 0;
    bool elsewhere = false;
    while (proto_next(&l->w, &f)) {
        if (f.id == 1 && f.wire == PROTO_BYTES)
            proto_text(&l->w, &f, name, sizeof name);
        else if (f.id == 6 && f.wire == PROTO_VARINT)
            size = f.number;
        else
            proto_skip(&l->w, &f);
        elsewhere |= f.id == 7;
    }
    l->out->files++;
    if (!elsewhere)
        check_file(l, "data", name, size, true);
}

/* DeletionFile: 0 or 1 in 1 say which form, 2 version, 3 id, 4 rows, 7 where else it is. */
static void read_deletions(struct lance *l, struct fragment *fragment, char *name, size_t room)
{
    struct proto_field f;
    uint64_t v[8] = {0};
    bool elsewhere = false;
    while (proto_next(&l->w, &f)) {
        if (f.wire == PROTO_VARINT && f.id < sizeof v / sizeof *v)
            v[f.id] = f.number;
        else
            proto_skip(&l->w, &f);
        elsewhere |= f.id == 7;
    }
    fragment->deleted = v[4];
    if (!elsewhere)
        snprintf(name, room, "-%" PRIu64 "-%" PRIu64 ".%s", v[2], v[3], v[1] == 1 ? "bin" : "arrow");
}

/* DataFragment: 1 id, 2 files, 3 deletions, 4 rows. */
static void read_fragment(struct lance *l)
{
    struct proto_field f;
    struct fragment fragment = {0};
    char rest[64] = "", name[96];
    while (proto_next(&l->w, &f)) {
        if (f.id == 1 && f.wire == PROTO_VARINT) {
            fragment.id = f.number;
        } else if (f.id == 4 && f.wire == PROTO_VARINT) {
            fragment.rows = f.number;
        } else if ((f.id == 2 || f.id == 3) && f.wire == PROTO_BYTES) {
            uint64_t end = proto_enter(&l->w, &f);
            if (f.id == 2)
                read_file(l);
            else
                read_deletions(l, &fragment, rest, sizeof rest);
            fragment.files += f.id == 2;
            proto_leave(&l->w, end);
        } else {
            proto_skip(&l->w, &f);
        }
    }
    if (rest[0]) {
        snprintf(name, sizeof name, "%" PRIu64 "%s", fragment.id, rest);
        check_file(l, "_deletions", name, 0, false);
    }
    l->out->fragments++;
    /* Old writers left the rows out. */
    l->rows_known &= fragment.rows > 0 || fragment.files == 0;
    if (fragment.rows > 0 && (fragment.deleted > fragment.rows || fragment.rows > INT64_MAX ||
                              __builtin_add_overflow(l->rows, (int64_t)fragment.rows, &l->rows) ||
                              __builtin_add_overflow(l->out->deleted, (int64_t)fragment.deleted, &l->out->deleted)))
        walk_fail(&l->w, "a fragment has %" PRIu64 " rows, %" PRIu64 " of them deleted", fragment.rows,
                  fragment.deleted);
}

/* Manifest: 1 fields, 2 fragments, 3 version. */
static bool read_manifest(struct lance *l)
{
    struct proto_field f;
    uint64_t version = 0;
    while (proto_next(&l->w, &f)) {
        if ((f.id == 1 || f.id == 2) && f.wire == PROTO_BYTES) {
            uint64_t end = proto_enter(&l->w, &f);
            if (f.id == 1)
                lance_field(&l->w);
            else
                read_fragment(l);
            proto_leave(&l->w, end);
        } else if (f.id == 3 && f.wire == PROTO_VARINT) {
            version = f.number;
        } else {
            proto_skip(&l->w, &f);
        }
    }
    if (walk_ok(&l->w) && version != l->out->version)
        return walk_fail(&l->w, "the manifest of version %" PRIu64 " says that it is of version %" PRIu64,
                         l->out->version, version);
    return walk_ok(&l->w);
}

/* Where the manifest's message is; the walk enters it. */
static bool find_manifest(struct walk *w)
{
    enum { FOOTER_BYTES = 16 };
    char magic[5] = "";
    w->what = "its manifest";
    if (w->in->size < FOOTER_BYTES)
        return walk_fail(w, "its newest manifest ends within its footer");
    w->at = w->in->size - FOOTER_BYTES;
    uint64_t at = walk_u64(w);
    walk_skip(w, 4, 1);
    walk_bytes(w, magic, 4);
    if (walk_ok(w) && memcmp(magic, "LANC", 4) != 0)
        return walk_fail(w, "the end of its newest manifest is missing: it was cut off");
    w->at = at;
    w->end = w->in->size - FOOTER_BYTES;
    uint32_t len = walk_u32(w);
    if (walk_ok(w) && len > walk_left(w))
        return walk_fail(w, "its newest manifest should have %" PRIu32 " bytes at %" PRIu64, len, at);
    w->end = w->at + len;
    return walk_ok(w);
}

static void finish(struct lance *l, bool is_whole)
{
    struct vector_result *r = &l->out->result;
    char rest[64] = "";
    if (!is_whole)
        l->out->fragments = l->out->files = l->out->deleted = VECTOR_UNKNOWN;
    for (size_t i = 0; is_whole && l->rows_known && i < r->array_count; i++)
        r->arrays[i].count = l->rows - l->out->deleted;
    if (!r->ok)
        return;
    if (is_whole && l->out->deleted > 0)
        snprintf(rest, sizeof rest, "; %" PRId64 " rows deleted", l->out->deleted);
    if (is_whole)
        snprintf(r->detail, sizeof r->detail, "version %" PRIu64 ", %" PRId64 " fragments in %" PRId64 " files%s",
                 l->out->version, l->out->fragments, l->out->files, rest);
    else
        snprintf(r->detail, sizeof r->detail, "version %" PRIu64, l->out->version);
}

static enum errc read_version(struct lance *l, const char *name, struct err *err)
{
    struct vector_input in;
    char path[NAME_BYTES + 16];
    bool there, is_whole = false;
    snprintf(path, sizeof path, "_versions/%s", name);
    enum errc rc = l->dir->open(l->dir->arg, path, &in, &there, err);
    if (rc != ERR_OK)
        return rc;
    if (!there)
        return vector_broken(&l->out->result, "%s is no file", path);
    walk_init(&l->w, &in, &l->out->result, err);
    /* A long manifest is not for a quick look: as many reads as it has pages. */
    bool is_short = l->opt->depth > VECTOR_QUICK || in.size <= QUICK_MAX_BYTES;
    if (find_manifest(&l->w) && is_short)
        is_whole = read_manifest(l);
    finish(l, is_whole);
    if (walk_ok(&l->w) && !is_whole) {
        struct vector_array *a;
        l->w.rc = vector_add_array(&l->out->result, "", 0, &a, err);
        if (a)
            a->is_vectors = true; /* there may be some */
    }
    l->dir->close(l->dir->arg, &in);
    return l->w.rc;
}

enum errc lance_read_dataset(const struct vector_dir *dir, const struct vector_options *opt, struct lance_dataset *out,
                             struct err *err)
{
    struct newest newest = {0};
    struct lance l = {.dir = dir, .opt = opt, .out = out, .rows_known = true};
    *out = (struct lance_dataset){0};
    enum errc rc = dir->list(dir->arg, "_versions", see_manifest, &newest, err);
    if (rc != ERR_OK || newest.count == 0)
        return rc;
    out->version = newest.version;
    out->versions = newest.count;
    out->result.known = out->result.ok = true;
    snprintf(out->result.format, sizeof out->result.format, "lance");
    rc = read_version(&l, newest.name, err);
    if (rc != ERR_OK)
        vector_release(&out->result);
    else
        vector_sum_up(&out->result);
    return rc;
}
