#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "engine/inspect_work.h"
#include "source/vectors/chroma.h"
#include "source/vectors/lance.h"

/* --- Lance ----------------------------------------------------------------------------------------------------------
 */

static enum errc set_known(struct fact_list *l, const char *key, int64_t v, struct err *err)
{
    return v < 0 ? ERR_OK : fact_set_int(l, key, v, err);
}

enum errc inspect_lance(struct inspection *x, const char *path, const int *fd, bool *is_one, struct err *err)
{
    struct stat st;
    struct lance_dataset d;
    struct inspect_result r = {0};
    struct vector_dir dir = vector_dir_at(fd);
    struct vector_options depth = inspect_depth(x);
    *is_one = false;
    if (fstatat(*fd, "_versions", &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
        return ERR_OK;
    enum errc rc = lance_read_dataset(&dir, &depth, &d, err);
    if (rc != ERR_OK || !d.result.known)
        return rc;
    *is_one = true;
    inspect_take_vectors(&r, &d.result);
    rc = set_known(&r.facts, "version", (int64_t)d.version, err);
    if (rc == ERR_OK)
        rc = set_known(&r.facts, "versions", d.versions, err);
    if (rc == ERR_OK)
        rc = set_known(&r.facts, "fragments", d.fragments, err);
    if (rc == ERR_OK)
        rc = set_known(&r.facts, "files", d.files, err);
    if (rc == ERR_OK)
        rc = set_known(&r.facts, "deleted", d.deleted, err);
    x->sum->stores++;
    if (rc == ERR_OK)
        return inspect_emit(x, path, &r, true, err);
    inspect_release(&r);
    return rc;
}

/* --- Chroma ---------------------------------------------------------------------------------------------------------
 */

static int64_t segment_fact(const struct fact_list *db, const char *segment, const char *what)
{
    char key[160];
    snprintf(key, sizeof key, "chroma.%.64s.%s", segment, what);
    const struct fact *f = fact_find(db, key);
    return f && f->type == FACT_INT ? f->integer : -1;
}

static void disagree(struct inspect_result *r, const char *text)
{
    if (!r->ok)
        return;
    r->ok = false;
    snprintf(r->detail, sizeof r->detail, "%s", text);
}

/* Additions of what is there already and deletions of what is not are in the queue too, so that they bound. */
static void compare_counts(struct inspect_result *r, const struct fact_list *db, const char *segment, int64_t deleted)
{
    char text[300];
    int64_t known = segment_fact(db, segment, "embeddings"), added = segment_fact(db, segment, "added"),
            changed = segment_fact(db, segment, "changed"), gone = segment_fact(db, segment, "deleted");
    if (known < 0 || added < 0 || changed < 0 || gone < 0 || deleted < 0 || r->vectors.count < 0)
        return;
    int64_t rows = r->vectors.count - deleted;
    if (known >= rows - gone && known <= rows + added + changed)
        return;
    snprintf(text, sizeof text,
             "the index has %" PRId64 " vectors, but chroma.sqlite3 has %" PRId64 " of them, and in its queue %" PRId64
             " to add, %" PRId64 " to change and %" PRId64 " to delete: they are of different moments",
             rows, known, added, changed, gone);
    disagree(r, text);
}

/* False: its collection is gone, and it is left over. */
static bool compare_with_database(struct inspect_result *r, const struct fact_list *db, const char *segment,
                                  int64_t deleted)
{
    char text[200];
    if (segment_fact(db, segment, "embeddings") < 0) {
        snprintf(text, sizeof text, "left over: chroma.sqlite3 has no collection for it");
        size_t used = strlen(r->detail);
        snprintf(r->detail + used, sizeof r->detail - used, "%s%s", used ? "; " : "", text);
        return false;
    }
    int64_t dimension = segment_fact(db, segment, "dimension");
    if (dimension >= 0 && r->vectors.dimension > 0 && r->vectors.dimension != dimension) {
        snprintf(text, sizeof text,
                 "its vectors are of dimension %" PRId64 ", those of its collection in chroma.sqlite3 of %" PRId64,
                 r->vectors.dimension, dimension);
        disagree(r, text);
    }
    compare_counts(r, db, segment, deleted);
    return true;
}

enum errc inspect_chroma_index(struct inspection *x, const char *path, const int *parent, const char *name,
                               const struct fact_list *db, struct err *err)
{
    struct vector_dir dir = vector_dir_at(parent);
    struct vector_options depth = inspect_depth(x);
    struct chroma_index index;
    struct inspect_result r = {0};
    enum errc rc = chroma_read_index(&dir, name, &depth, &index, err);
    if (rc != ERR_OK)
        return rc;
    inspect_take_vectors(&r, &index.result);
    rc = set_known(&r.facts, "room", index.room, err);
    if (rc == ERR_OK)
        rc = set_known(&r.facts, "deleted", index.deleted, err);
    if (rc == ERR_OK && db)
        (void)compare_with_database(&r, db, name, index.deleted);
    x->sum->stores++;
    if (rc == ERR_OK) /* the database's own result counts the vectors of its collections */
        return inspect_emit(x, path, &r, !db, err);
    inspect_release(&r);
    return rc;
}

struct indexes {
    struct inspection *x;
    const char *path;
    const int *fd;
    const struct fact_list *db;
};

static enum errc on_index(void *arg, const char *name, struct err *err)
{
    const struct indexes *i = arg;
    struct stat st;
    char *path;
    if (fstatat(*i->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
        return ERR_OK;
    enum errc rc = path_join(i->path, name, &path, err);
    if (rc != ERR_OK)
        return rc;
    rc = inspect_chroma_index(i->x, path, i->fd, name, i->db, err);
    free(path);
    return rc;
}

enum errc inspect_chroma(struct inspection *x, const char *path, const int *fd, const struct fact_list *db,
                         struct err *err)
{
    struct vector_dir dir = vector_dir_at(fd);
    struct indexes i = {.x = x, .path = path, .fd = fd, .db = db};
    return chroma_each_index(&dir, on_index, &i, err);
}
