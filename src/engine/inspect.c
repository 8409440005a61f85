#include "engine/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/path.h"
#include "engine/inspect_work.h"
#include "source/source.h"
#include "source/vectors/chroma.h"

void inspect_release(struct inspect_result *r)
{
    fact_list_release(&r->facts);
    vector_release(&r->vectors);
    memset(r, 0, sizeof *r);
}

/* --- the summary ----------------------------------------------------------------------------------------------------
 */

static void add_count(int64_t *sum, int64_t count)
{
    if (__builtin_add_overflow(*sum, count, sum))
        *sum = INT64_MAX;
}

static void add_dimension(struct inspect_summary *s, int64_t dimension, int64_t count, int64_t files)
{
    size_t at = 0;
    while (at < s->dim_count && s->dims[at].dimension < dimension)
        at++;
    if (at < s->dim_count && s->dims[at].dimension == dimension) {
        add_count(&s->dims[at].count, count);
        s->dim_files[at] += files;
    } else if (s->dim_count == VECTOR_DIMS_MAX) {
        s->files_beyond += files;
    } else {
        memmove(&s->dims[at + 1], &s->dims[at], (s->dim_count - at) * sizeof *s->dims);
        memmove(&s->dim_files[at + 1], &s->dim_files[at], (s->dim_count - at) * sizeof *s->dim_files);
        s->dims[at] = (struct vector_dimension){dimension, count};
        s->dim_files[at] = files;
        s->dim_count++;
    }
}

/* One dimension whose vectors were not counted is in dimension alone. */
static void add_vectors(struct inspect_summary *s, const struct vector_result *v)
{
    for (size_t i = 0; i < v->dim_count; i++)
        add_dimension(s, v->dims[i].dimension, v->dims[i].count, 1);
    if (v->dim_count == 0 && v->dimension > 0 && v->count != 0)
        add_dimension(s, v->dimension, v->count > 0 ? v->count : 0, 1);
    s->files_beyond += v->dims_other > 0;
}

void inspect_add_summary(struct inspect_summary *to, const struct inspect_summary *s)
{
    for (size_t i = 0; i < s->dim_count; i++)
        add_dimension(to, s->dims[i].dimension, s->dims[i].count, s->dim_files[i]);
    to->files_beyond += s->files_beyond;
    to->looked_at += s->looked_at;
    to->vector_files += s->vector_files;
    to->databases += s->databases;
    to->stores += s->stores;
    to->others += s->others;
    to->directories += s->directories;
    to->broken += s->broken;
    to->unfit += s->unfit;
    to->unreadable += s->unreadable;
}

void inspect_summary_facts(struct inspect_summary *s, const struct fact_list *facts)
{
    struct vector_totals t;
    vector_totals_of(facts, &t);
    if (!t.any)
        return;
    const struct fact *ok = fact_find(facts, "vectors.ok");
    s->looked_at++;
    s->vector_files += ok != NULL;
    s->databases += !ok;
    s->broken += ok && !ok->integer;
    s->unfit += fact_find(facts, "vectors.expected_dimension") != NULL;
    for (size_t i = 0; i < t.dim_count; i++)
        add_dimension(s, t.dims[i].dimension, t.dims[i].count, 1);
    s->files_beyond += t.dims_other > 0;
}

static const char *with_commas(char dst[32], int64_t v)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%" PRId64, v);
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            dst[at++] = ',';
        dst[at++] = digits[i];
    }
    dst[at] = '\0';
    return dst;
}

const char *inspect_summary_text(const struct inspect_summary *s, char *dst, size_t cap)
{
    size_t used = 0;
    dst[0] = '\0';
    for (size_t i = 0; i < s->dim_count && used < cap; i++) {
        char count[32], files[32];
        const char *noun = s->dim_files[i] == 1 ? "file" : "files";
        int n = s->dims[i].count > 0
                    ? snprintf(dst + used, cap - used, "%s%" PRId64 ": %s %s in %s %s", i ? "; " : "",
                               s->dims[i].dimension, with_commas(count, s->dims[i].count),
                               s->dims[i].count == 1 ? "vector" : "vectors", with_commas(files, s->dim_files[i]), noun)
                    : snprintf(dst + used, cap - used, "%s%" PRId64 ": in %s %s, not counted", i ? "; " : "",
                               s->dims[i].dimension, with_commas(files, s->dim_files[i]), noun);
        used += n > 0 ? (size_t)n : 0;
    }
    if (s->files_beyond > 0 && used < cap)
        snprintf(dst + used, cap - used, "; other dimensions in %" PRId64 " %s", s->files_beyond,
                 s->files_beyond == 1 ? "file" : "files");
    return dst;
}

/* --- a result -------------------------------------------------------------------------------------------------------
 */

/* Vectors that cannot be told to fit do not fit. */
static bool fits(const struct vector_result *v, int64_t dimension)
{
    if (dimension == 0 || !v->known || v->count == 0)
        return true;
    return v->dimension == dimension;
}

/* Within one array or column; several of them may well have different ones. */
static bool is_mixed(const struct inspect_result *r)
{
    for (size_t i = 0; i < r->vectors.array_count; i++)
        if (r->vectors.arrays[i].is_vectors && r->vectors.arrays[i].dimension == 0)
            return true;
    for (size_t i = 0; i < r->facts.count; i++) {
        const struct fact *f = &r->facts.facts[i];
        if (f->key_len > 6 && memcmp(f->key + f->key_len - 6, ".mixed", 6) == 0)
            return true;
    }
    return false;
}

static void say_first(struct inspect_result *r, const char *text)
{
    char rest[sizeof r->detail];
    memcpy(rest, r->detail, sizeof rest);
    snprintf(r->detail, sizeof r->detail, "%.300s%s%.280s", text, *rest ? "; " : "", rest);
}

enum errc inspect_emit(struct inspection *x, const char *path, struct inspect_result *r, bool in_totals,
                       struct err *err)
{
    struct inspect_summary *s = x->sum;
    const struct vector_result *v = &r->vectors;
    char text[300], dims[260];
    r->fits = !in_totals || fits(v, x->opt->expect_dimension);
    if (v->known && v->dimension == 0) {
        bool counted = v->count > 0;
        snprintf(text, sizeof text, "%s%s%s", is_mixed(r) ? "MIXED DIMENSIONS" : "several dimensions",
                 counted ? ": " : "",
                 counted ? vector_dims_text(v->dims, v->dim_count, v->dims_other, dims, sizeof dims) : "");
        say_first(r, text);
    } else if (!r->fits) {
        snprintf(text, sizeof text, "NOT OF DIMENSION %" PRId64, x->opt->expect_dimension);
        say_first(r, text);
    }
    s->looked_at++;
    s->broken += !r->ok;
    s->unfit += !r->fits;
    if (in_totals && v->known)
        add_vectors(s, v);
    enum errc rc = x->sink->each(x->sink->arg, path, r, err);
    inspect_release(r);
    return rc;
}

void inspect_take_vectors(struct inspect_result *r, struct vector_result *v)
{
    snprintf(r->format, sizeof r->format, "%s", v->format);
    r->ok = v->ok;
    snprintf(r->detail, sizeof r->detail, "%s", v->detail);
    r->vectors = *v;
    *v = (struct vector_result){0};
}

struct vector_options inspect_depth(const struct inspection *x)
{
    return (struct vector_options){.depth = x->opt->quick ? VECTOR_QUICK : VECTOR_SCAN,
                                   .raw_dimension = x->opt->raw_dimension,
                                   .raw_dtype = x->opt->raw_dtype};
}

/* --- a file ---------------------------------------------------------------------------------------------------------
 */

struct file_at {
    const struct inspection *x;
    const struct inspect_place *at;
    int fd;
};

static enum errc read_file(void *arg, void *dst, size_t len, uint64_t offset, size_t *got_out, struct err *err)
{
    const struct file_at *f = arg;
    if (diag_interrupted(f->x->opt->diag))
        return err_fail(err, ERR_INTERRUPTED, "interrupted");
    if (io_pread(f->fd, dst, len, offset, got_out, f->at->path, err) != ERR_OK)
        return err_recode(err, ERR_SOURCE_UNREADABLE);
    return ERR_OK;
}

/* In a directory a raw dimension is meant for what looks like numbers, not for every README. */
static bool may_be_raw(const char *name)
{
    static const char *const ends[] = {".bin", ".raw", ".dat", ".vec", ".f16", ".f32", ".f64"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof ends / sizeof *ends; i++)
        if (strcmp(dot, ends[i]) == 0)
            return true;
    return false;
}

enum errc inspect_open_file(const struct inspection *x, const struct inspect_place *at, int fd, const struct stat *st,
                            struct inspect_result *out, struct err *err)
{
    uint8_t head[INSPECT_HEAD_BYTES];
    struct file_at file = {.x = x, .at = at, .fd = fd};
    struct vector_input in = {
        .read = read_file, .arg = &file, .size = (uint64_t)st->st_size, .name = path_base(at->path)};
    struct vector_options depth = inspect_depth(x);
    struct vector_result v;
    size_t got = 0;
    enum errc rc = read_file(&file, head, sizeof head, 0, &got, err);
    snprintf(out->format, sizeof out->format, "file");
    out->vectors = (struct vector_result){.dimension = VECTOR_UNKNOWN,
                                          .count = VECTOR_UNKNOWN,
                                          .nan = VECTOR_UNKNOWN,
                                          .inf = VECTOR_UNKNOWN,
                                          .zero = VECTOR_UNKNOWN};
    if (rc != ERR_OK)
        return rc;
    if (sqlite_looks_like(head, got))
        return inspect_sqlite(x, at, head, got, in.size, out, err);
    if (at->rel && !may_be_raw(in.name))
        depth.raw_dimension = 0;
    rc = vector_read(&in, &depth, &v, err);
    if (rc != ERR_OK)
        return rc;
    if (v.known) {
        inspect_take_vectors(out, &v);
        return ERR_OK;
    }
    vector_release(&v);
    out->ok = true;
    snprintf(out->detail, sizeof out->detail, "%" PRIu64 " bytes of no format that is known", in.size);
    return fact_set_int(&out->facts, "bytes", st->st_size, err);
}

/* --- a path ---------------------------------------------------------------------------------------------------------
 */

static enum errc open_failed(const struct err *why, struct err *err)
{
    if (err)
        *err = *why;
    bool missing = why->sys_errno == ENOENT || why->sys_errno == ENOTDIR;
    return err_recode(err, missing ? ERR_SOURCE_MISSING : ERR_SOURCE_UNREADABLE);
}

static enum errc one_file(struct inspection *x, const char *path, int fd, const struct stat *st, struct err *err)
{
    struct inspect_place at = {.path = path};
    struct inspect_result r = {0};
    enum errc rc = inspect_open_file(x, &at, fd, st, &r, err);
    if (rc != ERR_OK) {
        inspect_release(&r);
        return rc;
    }
    x->sum->databases += strcmp(r.format, "sqlite") == 0;
    x->sum->others += !r.vectors.known && strcmp(r.format, "sqlite") != 0;
    x->sum->vector_files += r.vectors.known && strcmp(r.format, "sqlite") != 0;
    return inspect_emit(x, path, &r, true, err);
}

/* An index directory of Chroma that is named itself: what is beside it tells its database. */
static enum errc one_index(struct inspection *x, const char *path, const char *abs, bool *is_one, struct err *err)
{
    struct stat st;
    char *parent = NULL;
    int fd = -1;
    *is_one = false;
    if (!chroma_is_index_name(path_base(abs)))
        return ERR_OK;
    enum errc rc = path_parent(abs, &parent, err);
    if (rc == ERR_OK)
        rc = io_open(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY, 0, &fd, err);
    if (rc == ERR_OK && fstatat(fd, "chroma.sqlite3", &st, AT_SYMLINK_NOFOLLOW) == 0) {
        *is_one = true;
        rc = inspect_chroma_index(x, path, &fd, path_base(abs), NULL, err);
    }
    io_close_quietly(&fd);
    free(parent);
    return rc;
}

static enum errc one_directory(struct inspection *x, const char *path, int fd, struct err *err)
{
    char *abs = NULL;
    bool is_store = false;
    enum errc rc = path_absolute(path, &abs, err);
    if (rc == ERR_OK)
        rc = one_index(x, path, abs, &is_store, err);
    if (rc == ERR_OK && !is_store)
        rc = inspect_lance(x, path, &fd, &is_store, err);
    if (rc == ERR_OK && !is_store) {
        rc = inspect_tree(x, path, abs, fd, err);
        fd = -1;
    }
    io_close_quietly(&fd);
    free(abs);
    return rc;
}

enum errc inspect_path(const char *path, const struct inspect_options *opt, const struct inspect_sink *sink,
                       struct inspect_summary *summary, struct err *err)
{
    struct inspection x = {.opt = opt, .sink = sink, .sum = summary};
    struct stat st;
    char shown[512];
    int fd = -1;
    struct err why = {0};
    path_show(shown, sizeof shown, path, strlen(path));
    enum errc rc = io_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, &why);
    if (rc != ERR_OK)
        return open_failed(&why, err);
    if (fstat(fd, &st) != 0)
        rc = err_sys(err, ERR_SOURCE_UNREADABLE, errno, "%s", shown);
    else if (S_ISREG(st.st_mode))
        rc = one_file(&x, path, fd, &st, err);
    else if (!S_ISDIR(st.st_mode))
        rc = err_fail(err, ERR_SOURCE_UNREADABLE, "%s is neither a file nor a directory", shown);
    else
        return one_directory(&x, path, fd, err);
    io_close_quietly(&fd);
    return rc;
}
