#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/path.h"
#include "source/files/capture.h"

/* Room for the root's own path above what an entry's path may have. */
enum { ABS_MAX_BYTES = 2 * PATH_MAX_BYTES };

static enum errc capture_init(struct capture *c, const char *root, struct err *err)
{
    meta_init(&c->meta);
    buf_init(&c->abs, ABS_MAX_BYTES);
    buf_init(&c->first_path, PATH_MAX_BYTES + 1);
    c->euid = geteuid();
    enum errc rc = owners_new(&c->owners, err);
    if (rc == ERR_OK)
        rc = hardlinks_new(HARDLINKS_MAX_BYTES, &c->links, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&c->scratch, CAPTURE_SCRATCH_BYTES, err);
    if (rc == ERR_OK)
        rc = buf_append_str(&c->abs, root, err);
    if (rc == ERR_OK)
        rc = buf_terminate(&c->abs, err);
    c->rel_at = c->abs.len + (strcmp(root, "/") != 0);
    return rc;
}

static void capture_release(struct capture *c)
{
    free(c->scratch);
    hardlinks_free(c->links);
    owners_free(c->owners);
    buf_release(&c->first_path);
    buf_release(&c->abs);
    meta_release(&c->meta);
}

/* The directory the root's name stands in: the way to it is the operator's, and may lead over links. */
static enum errc open_parent(const char *root, int *fd_out, struct err *err)
{
    char *parent;
    enum errc rc = path_parent(root, &parent, err);
    if (rc != ERR_OK)
        return rc;
    struct err why = {.sys_errno = 0};
    rc = io_open(AT_FDCWD, parent, O_PATH | O_DIRECTORY, 0, fd_out, &why);
    free(parent);
    if (rc == ERR_OK)
        return rc;
    bool missing = why.sys_errno == ENOENT || why.sys_errno == ENOTDIR;
    return err_sys(err, missing ? ERR_SOURCE_MISSING : ERR_SOURCE_UNREADABLE, why.sys_errno, "%s", root);
}

static enum errc capture_root(struct capture *c, const char *root, struct err *err)
{
    int parent;
    enum errc rc = open_parent(root, &parent, err);
    if (rc != ERR_OK)
        return rc;
    const char *name = strcmp(root, "/") == 0 ? "." : path_base(root);
    struct part part = {.unit = NULL};
    int dir_fd = -1;
    c->at_root = true;
    rc = capture_name(c, parent, name, &part, &dir_fd, err);
    c->at_root = false;
    io_close_quietly(&parent);
    if (rc == ERR_OK && c->root_failed) {
        if (err)
            *err = c->root_err;
        return c->root_err.code;
    }
    return rc == ERR_OK && dir_fd >= 0 ? walk_tree(c, dir_fd, err) : rc;
}

static enum errc name_facts(struct capture *c, struct err *err)
{
    enum errc rc = fact_set_int(&c->out->facts, "files", (int64_t)c->files, err);
    if (rc == ERR_OK)
        rc = fact_set_int(&c->out->facts, "directories", (int64_t)c->directories, err);
    if (rc == ERR_OK)
        rc = fact_set_int(&c->out->facts, "databases", (int64_t)c->databases, err);
    if (rc == ERR_OK && c->vectors_broken > 0)
        rc = fact_set_int(&c->out->facts, "vectors.broken", (int64_t)c->vectors_broken, err);
    if (rc == ERR_OK && c->vectors_unfit > 0)
        rc = fact_set_int(&c->out->facts, "vectors.unfit", (int64_t)c->vectors_unfit, err);
    if (rc == ERR_OK && c->opt->vector_dimension > 0)
        rc = fact_set_int(&c->out->facts, "vectors.expected_dimension", c->opt->vector_dimension, err);
    return rc;
}

enum errc files_capture(const char *root, struct sink *sink, const struct capture_options *opt,
                        struct capture_result *out, struct err *err)
{
    REQUIRE(root[0] == '/');
    *out = (struct capture_result){.worst = STATE_EXACT, .good = true};
    struct capture c = {.sink = sink, .opt = opt, .out = out};
    enum errc rc = capture_init(&c, root, err);
    if (rc == ERR_OK)
        rc = capture_root(&c, root, err);
    if (rc == ERR_OK)
        rc = name_facts(&c, err);
    capture_release(&c);
    return rc;
}
