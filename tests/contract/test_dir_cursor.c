/* Directories deeper than a path can be: each opened is the right one, also when others move them about (DC1). */
#include <fcntl.h>
#include <unistd.h>

#include "tree.h"

#include "engine/dir_cursor.h"
#include "engine/extract.h"

enum { DEPTH = 600, NAME = 9 /* "/deep-000" without the slash of the first */ };

struct chain {
    struct tree t;
    int root_fd, outside_fd;
    ino_t inodes[DEPTH + 1];
    char path[DEPTH * (NAME + 1)];
};

static size_t path_len(int depth)
{
    return depth == 0 ? 0 : (size_t)depth * NAME - 1;
}

static int set_up(void **state)
{
    struct chain *c = calloc(1, sizeof *c);
    struct stat st;
    assert_non_null(c);
    tree_new(&c->t);
    tree_mkdir(&c->t, "root");
    tree_mkdir(&c->t, "outside");
    c->root_fd = open(tree_path(&c->t, "root"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    c->outside_fd = open(tree_path(&c->t, "outside"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int at = dup(c->root_fd);
    for (int i = 0; i <= DEPTH; i++) {
        char name[16];
        assert_int_equal(fstat(at, &st), 0);
        c->inodes[i] = st.st_ino;
        if (i == DEPTH)
            break;
        snprintf(name, sizeof name, "deep-%03d", i);
        snprintf(c->path + strlen(c->path), sizeof c->path - strlen(c->path), "%s%s", i ? "/" : "", name);
        assert_int_equal(mkdirat(at, name, 0700), 0);
        int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = next;
    }
    close(at);
    *state = c;
    return 0;
}

static int tear_down(void **state)
{
    struct chain *c = *state;
    close(c->root_fd);
    close(c->outside_fd);
    tree_free(&c->t);
    free(c);
    return 0;
}

static enum errc visit(struct dir_cursor *cursor, const struct chain *c, int depth)
{
    struct err err;
    struct stat st;
    int fd = -1;
    enum errc rc = dir_cursor_open(cursor, c->path, path_len(depth), &fd, &err);
    if (rc != ERR_OK)
        return rc;
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_ino == c->inodes[depth]);
    close(fd);
    return ERR_OK;
}

static void test_down_and_up(void **state)
{
    const struct chain *c = *state;
    struct dir_cursor cursor;
    dir_cursor_init(&cursor, c->root_fd);
    for (int i = 0; i <= DEPTH; i++)
        assert_int_equal(visit(&cursor, c, i), ERR_OK);
    for (int i = DEPTH; i >= 0; i--)
        assert_int_equal(visit(&cursor, c, i), ERR_OK);
    for (int i = 0; i < 200; i++)
        assert_int_equal(visit(&cursor, c, i * 131 % (DEPTH + 1)), ERR_OK);
    dir_cursor_release(&cursor);
}

/* What it stood in was moved out of the root: up from there it is not followed. */
static void test_moved_away(void **state)
{
    const struct chain *c = *state;
    struct dir_cursor cursor;
    struct err err;
    int parent;
    dir_cursor_init(&cursor, c->root_fd);
    assert_int_equal(visit(&cursor, c, DEPTH), ERR_OK);
    char *cut = strndup(c->path, path_len(500));
    assert_int_equal(open_beneath(c->root_fd, cut, O_RDONLY | O_DIRECTORY, &parent, &err), ERR_OK);
    free(cut);
    assert_int_equal(renameat(parent, "deep-500", c->outside_fd, "taken"), 0);
    assert_int_equal(visit(&cursor, c, 500), ERR_OK);
    assert_int_equal(visit(&cursor, c, 501), ERR_IO);
    assert_int_equal(symlinkat(tree_path(&c->t, "outside/taken"), parent, "deep-500"), 0);
    assert_int_not_equal(visit(&cursor, c, 501), ERR_OK);
    close(parent);
    dir_cursor_release(&cursor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_down_and_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_moved_away, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
