#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/verbs.h"
#include "engine/inspect.h"

enum { BLOCK_ROWS = 1000, COLUMN_COUNT = 9 }; /* of a table; a further one begins with titles again */

struct inspecting {
    struct cli *c;
    struct columns *table;
    size_t rows, done;
    bool several; /* an error of one of several is a warning */
    struct err first;
};

/* --- JSON -----------------------------------------------------------------------------------------------------------
 */

static void put_number(json_t *doc, const char *key, int64_t v)
{
    json_put(doc, key, v < 0 ? json_null() : json_integer(v));
}

static json_t *dimensions_list(const struct vector_result *v)
{
    json_t *list = json_list();
    for (size_t i = 0; i < v->dim_count; i++) {
        json_t *one = json_doc();
        put_number(one, "dimension", v->dims[i].dimension);
        put_number(one, "count", v->dims[i].count);
        json_add(list, one);
    }
    return list;
}

static json_t *arrays_list(const struct vector_result *v)
{
    json_t *list = json_list();
    for (size_t i = 0; i < v->array_count; i++) {
        const struct vector_array *a = &v->arrays[i];
        json_t *one = json_doc();
        json_put_str(one, "name", a->name);
        json_put_str(one, "dtype", a->dtype ? vector_dtype_name(a->dtype) : NULL);
        json_put_bool(one, "vectors", a->is_vectors);
        put_number(one, "dimension", a->dimension > 0 ? a->dimension : VECTOR_UNKNOWN);
        put_number(one, "count", a->count);
        put_number(one, "nan", a->nan);
        put_number(one, "inf", a->inf);
        put_number(one, "zero", a->zero);
        json_add(list, one);
    }
    return list;
}

static json_t *result_doc(const char *path, const struct inspect_result *r)
{
    const struct vector_result *v = &r->vectors;
    bool told = v->known || v->dimension > 0;
    json_t *doc = json_doc();
    json_put_str(doc, "path", path);
    json_put_str(doc, "format", r->format);
    put_number(doc, "dimension", told && v->dimension > 0 ? v->dimension : VECTOR_UNKNOWN);
    put_number(doc, "count", told ? v->count : VECTOR_UNKNOWN);
    json_put_str(doc, "dtype", told && v->dtype ? vector_dtype_name(v->dtype) : NULL);
    put_number(doc, "nan", told ? v->nan : VECTOR_UNKNOWN);
    put_number(doc, "inf", told ? v->inf : VECTOR_UNKNOWN);
    put_number(doc, "zero", told ? v->zero : VECTOR_UNKNOWN);
    json_put(doc, "dimensions", dimensions_list(v));
    json_put(doc, "arrays", arrays_list(v));
    json_put_bool(doc, "ok", r->ok);
    json_put_bool(doc, "dimension_ok", r->fits);
    json_put_str(doc, "detail", r->detail);
    json_put_facts(doc, "facts", &r->facts);
    return doc;
}

static void print_json(struct inspecting *x, const char *path, const struct inspect_result *r)
{
    ui_out(&x->c->ui, "%s", x->done == 1 ? "[\n" : ",\n");
    ui_element(&x->c->ui, result_doc(path, r));
}

/* --- the table ------------------------------------------------------------------------------------------------------
 */

static enum errc new_table(struct inspecting *x, struct err *err)
{
    static const char *const titles[COLUMN_COUNT] = {"PATH", "FORMAT", "DIM",   "COUNT", "TYPE",
                                                     "NAN",  "ZERO",   "STATE", "DETAIL"};
    enum errc rc = columns_new(titles, COLUMN_COUNT, &x->table, err);
    for (size_t i = 2; rc == ERR_OK && i < 7; i++)
        if (i != 4)
            columns_align_right(x->table, i);
    return rc;
}

static void flush_table(struct inspecting *x)
{
    if (x->table && x->rows > 0)
        columns_print(x->table, &x->c->ui, "");
    columns_free(x->table);
    x->table = NULL;
    x->rows = 0;
}

static const char *number_cell(char dst[24], bool told, int64_t v)
{
    dst[0] = '\0';
    if (told && v >= 0)
        snprintf(dst, 24, "%" PRId64, v);
    return dst;
}

static enum errc add_row(struct inspecting *x, const char *path, const struct inspect_result *r, struct err *err)
{
    const struct vector_result *v = &r->vectors;
    char dimension[24], count[24], nan[24], zero[24], detail[700];
    bool vectors = v->known && (v->dimension >= 0 || v->count > 0);
    if (!x->table && new_table(x, err) != ERR_OK)
        return ERR_NO_MEMORY;
    if (vectors && v->inf > 0)
        snprintf(detail, sizeof detail, "%" PRId64 " with infinities%s%s", v->inf, *r->detail ? "; " : "", r->detail);
    else
        snprintf(detail, sizeof detail, "%s", r->detail);
    const char *cells[COLUMN_COUNT] = {path,
                                       r->format,
                                       vectors && v->dimension == 0 ? "mixed"
                                                                    : number_cell(dimension, vectors, v->dimension),
                                       number_cell(count, vectors, v->count),
                                       vectors ? vector_dtype_name(v->dtype) : "",
                                       number_cell(nan, vectors, v->nan),
                                       number_cell(zero, vectors, v->zero),
                                       !r->ok     ? "BROKEN"
                                       : !r->fits ? "WRONG"
                                                  : "sound",
                                       detail};
    enum errc rc = columns_add(x->table, cells, err);
    if (rc == ERR_OK && ++x->rows == BLOCK_ROWS)
        flush_table(x);
    return rc;
}

/* --- the work -------------------------------------------------------------------------------------------------------
 */

static enum errc on_result(void *arg, const char *path, const struct inspect_result *r, struct err *err)
{
    struct inspecting *x = arg;
    x->done++;
    if (x->c->ui.json)
        print_json(x, path, r);
    else if (add_row(x, path, r, err) != ERR_OK)
        return ERR_NO_MEMORY;
    return ui_check(&x->c->ui, err);
}

static void on_failed(void *arg, const struct err *why)
{
    struct inspecting *x = arg;
    if (x->several)
        ui_warning(&x->c->ui, err_name(why->code), "%s", why->message);
    if (x->first.code == ERR_OK)
        x->first = *why;
    x->several = true;
}

static enum errc inspect_all(struct inspecting *x, const struct inspect_options *opt, struct inspect_summary *sum,
                             struct err *err)
{
    const struct parsed *p = &x->c->args;
    const struct inspect_sink sink = {.each = on_result, .failed = on_failed, .arg = x};
    for (size_t i = 0; i < p->arg_count; i++) {
        struct err one;
        enum errc rc = inspect_path(p->args[i], opt, &sink, sum, &one);
        if (rc == ERR_OK)
            continue;
        if (err_exit_status(rc) != 3) { /* not the file's fault: end here */
            *err = one;
            return rc;
        }
        on_failed(x, &one);
    }
    if (x->first.code != ERR_OK)
        *err = x->first;
    return x->first.code;
}

static enum errc read_options(struct cli *c, struct inspect_options *opt, struct err *err)
{
    const struct parsed *p = &c->args;
    size_t n = 0, word = VECTOR_F32 - 1;
    *opt = (struct inspect_options){.quick = opt_given(p, OPT_QUICK), .diag = &c->diag};
    enum errc rc = ERR_OK;
    if (opt_given(p, OPT_EXPECT_DIMENSION)) {
        rc = opt_number("--expect-dimension", opt_last(p, OPT_EXPECT_DIMENSION), VECTOR_DIMENSION_MAX, &n, err);
        opt->expect_dimension = (int64_t)n;
    }
    if (rc == ERR_OK && opt_given(p, OPT_DIMENSION)) {
        rc = opt_number("--dimension", opt_last(p, OPT_DIMENSION), VECTOR_DIMENSION_MAX, &n, err);
        opt->raw_dimension = (int64_t)n;
    }
    if (rc == ERR_OK)
        rc = opt_word(p, OPT_DTYPE, word, &word, err);
    opt->raw_dtype = (enum vector_dtype)(word + 1);
    if (rc == ERR_OK && opt_given(p, OPT_DTYPE) && !opt_given(p, OPT_DIMENSION))
        rc = err_fail(err, ERR_USAGE, "--dtype is the type of rows whose length --dimension gives");
    return rc;
}

static void show_summary(struct inspecting *x, const struct inspect_summary *s)
{
    char dims[2048];
    struct ui *ui = &x->c->ui;
    if (ui->json || s->looked_at <= 1 || s->dim_count == 0)
        return;
    ui_out(ui, "\n%s%s\n", inspect_summary_text(s, dims, sizeof dims),
           s->dim_count + (s->files_beyond > 0) > 1 ? ": a migration half done?" : "");
}

/* What was found, as the command's outcome. Damage before dimensions, these before what could not be read. */
static enum errc judge(struct inspecting *x, const struct inspect_options *opt, const struct inspect_summary *s,
                       enum errc rc, struct err *err)
{
    if (rc != ERR_OK && err_exit_status(rc) != 3)
        return rc;
    if (s->broken > 0) {
        err_fail(err, ERR_DAMAGED, "%" PRId64 " of %" PRId64 " files %s broken", s->broken, s->looked_at,
                 s->broken == 1 ? "is" : "are");
        err_hint(err,
                 "Restore it from a snapshot in which it was sound: 'snap list', 'snap restore ID --include PATH'.");
    } else if (s->unfit > 0) {
        err_fail(err, ERR_CHECK_FAILED, "%" PRId64 " %s vectors that are not of dimension %" PRId64, s->unfit,
                 s->unfit == 1 ? "file has" : "files have", opt->expect_dimension);
        err_hint(err, "Restore a snapshot from before the change: 'snap list', 'snap show ID', 'snap restore ID'.");
    } else if (rc == ERR_OK && opt->expect_dimension > 0 && s->dim_count == 0 && s->files_beyond == 0) {
        return err_fail(err, ERR_CHECK_FAILED, "no vectors were found, of dimension %" PRId64 " or another",
                        opt->expect_dimension);
    } else {
        return rc;
    }
    x->c->ui.summary_printed = x->done > 0; /* the array says it */
    return err->code;
}

/* The hints of the table are of a backup. */
static enum errc hint(enum errc rc, struct err *err)
{
    if (rc == ERR_SOURCE_MISSING)
        err_hint(err, "Check the path; what else was named has been inspected.");
    else if (err_exit_status(rc) == 3 && !err->hint[0])
        err_hint(err, "Check permissions and the disk; what could be read has been inspected.");
    return rc;
}

enum errc cmd_inspect(struct cli *c, struct err *err)
{
    struct inspecting x = {.c = c, .several = c->args.arg_count > 1};
    struct inspect_options opt;
    struct inspect_summary sum = {0};
    enum errc rc = read_options(c, &opt, err);
    if (rc == ERR_OK)
        rc = inspect_all(&x, &opt, &sum, err);
    flush_table(&x);
    if (c->ui.json && x.done > 0)
        ui_out(&c->ui, "\n]\n");
    show_summary(&x, &sum);
    return hint(judge(&x, &opt, &sum, rc, err), err);
}
