/* ls, dump and diff of what was really stored. */
#include "engine_run.h"

#include "base/path.h"
#include "engine/look.h"

enum { LINES_MAX = 200 };

struct lines {
    char text[LINES_MAX][256];
    size_t count;
};

static const char *rel(const struct world *w, const char *abs_path)
{
    size_t len = strlen(w->t.root);
    assert_memory_equal(abs_path, w->t.root, len);
    return abs_path[len] ? abs_path + len + 1 : ".";
}

struct hearing {
    const struct world *w;
    struct lines lines;
    size_t stop_after;
};

static enum errc hear_entry(void *arg, const struct look_entry *e, struct err *err)
{
    struct hearing *h = arg;
    assert_true(h->lines.count < LINES_MAX);
    assert_true((e->end != NULL) == entry_has_data(e->entry->type));
    snprintf(h->lines.text[h->lines.count++], sizeof h->lines.text[0], "%s %u %llu", rel(h->w, e->abs_path),
             (unsigned)e->entry->type, (unsigned long long)e->size);
    if (h->stop_after && h->lines.count == h->stop_after)
        return err_fail(err, ERR_INTERRUPTED, "enough");
    return ERR_OK;
}

static void ls(const struct world *w, const struct snapshot *snap, const char *path, struct hearing *h)
{
    struct err err;
    memset(h, 0, sizeof *h);
    h->w = w;
    if (look_ls(w->store, snap, path, hear_entry, h, &err) != ERR_OK)
        fail_msg("%s", err.message);
}

static void assert_lines(const struct lines *l, const char *const *expected)
{
    size_t n = 0;
    for (; expected[n]; n++) {
        if (n >= l->count)
            fail_msg("missing: %s", expected[n]);
        assert_string_equal(l->text[n], expected[n]);
    }
    if (l->count > n)
        fail_msg("too many: %s", l->text[n]);
}

static void make_tree(struct world *w)
{
    static uint8_t data[600000];
    fill_random(data, sizeof data, 1);
    tree_mkdir(&w->t, "a");
    tree_text(&w->t, "a/x", "hello");
    tree_mkdir(&w->t, "a/sub");
    tree_text(&w->t, "a/sub/y", "y");
    tree_text(&w->t, "a-b", "sorts behind a/");
    tree_write(&w->t, "big", data, sizeof data);
    tree_text(&w->t, "empty", "");
    assert_int_equal(link(tree_path(&w->t, "big"), tree_path(&w->t, "other")), 0);
    assert_int_equal(symlink("big", tree_path(&w->t, "sym")), 0);
    world_sql(w, "z.db", "PRAGMA page_size = 4096; CREATE TABLE t(a); INSERT INTO t VALUES(1), (2);");
    for (int i = 0; i < 2; i++)
        tree_age(&w->t, i ? "big" : "a/x", 1000);
}

static void test_ls(void **state)
{
    static const char *const all[] = {". 2 0",     "a 2 0",    "a/sub 2 0",    "a/sub/y 1 1",
                                      "a/x 1 5",   "a-b 1 15", "big 1 600000", "empty 1 0",
                                      "other 9 0", "sym 3 0",  "z.db 8 8192",  NULL};
    static const char *const below[] = {"a 2 0", "a/sub 2 0", "a/sub/y 1 1", "a/x 1 5", NULL};
    static const char *const one[] = {"a-b 1 15", NULL};
    struct world w;
    struct hearing h;
    struct err err;
    (void)state;
    world_new(&w);
    make_tree(&w);
    struct snapshot snap = world_backup(&w, "");
    ls(&w, &snap, NULL, &h);
    assert_lines(&h.lines, all);
    ls(&w, &snap, w.t.root, &h);
    assert_lines(&h.lines, all);
    ls(&w, &snap, w.t.dir, &h); /* above the item */
    assert_lines(&h.lines, all);
    ls(&w, &snap, tree_path(&w.t, "a"), &h);
    assert_lines(&h.lines, below);
    ls(&w, &snap, tree_path(&w.t, "a-b"), &h);
    assert_lines(&h.lines, one);
    static const char *const nothing[] = {"nope", "a/x/below", "a/su", "b", "z.db-wal"};
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++)
        assert_int_equal(look_ls(w.store, &snap, tree_path(&w.t, nothing[i]), hear_entry, &h, &err), ERR_UNKNOWN_PATH);
    memset(&h, 0, sizeof h);
    h.w = &w;
    h.stop_after = 3;
    assert_int_equal(look_ls(w.store, &snap, NULL, hear_entry, &h, &err), ERR_INTERRUPTED);
    assert_int_equal(h.lines.count, 3);
    snapshot_release(&snap);
    world_free(&w);
}

/* --- dump -----------------------------------------------------------------------------------------------------------
 */

static enum errc dump_to_file(struct world *w, const struct snapshot *snap, const char *path, struct err *err)
{
    char out[300];
    snprintf(out, sizeof out, "%s/dumped", w->t.dir);
    int fd = open(out, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    enum errc rc = look_dump(w->store, snap, path, fd, err);
    close(fd);
    return rc;
}

static void assert_dump_equals(struct world *w, const struct snapshot *snap, const char *name)
{
    char command[1200];
    struct err err;
    if (dump_to_file(w, snap, tree_path(&w->t, name), &err) != ERR_OK)
        fail_msg("%s: %s", name, err.message);
    snprintf(command, sizeof command, "cmp -s '%s' '%s/dumped'", tree_path(&w->t, name), w->t.dir);
    if (system(command) != 0)
        fail_msg("%s comes back different", name);
}

static void test_dump(void **state)
{
    static const char *const files[] = {"a/x", "a/sub/y", "a-b", "big", "empty", "other", "z.db", "hole"};
    struct world w;
    struct err err;
    (void)state;
    world_new(&w);
    make_tree(&w);
    tree_text(&w.t, "hole", "begin");
    int fd = open(tree_path(&w.t, "hole"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "middle", 6, 5000000), 6);
    assert_int_equal(ftruncate(fd, 9000001), 0); /* and a hole at the end */
    close(fd);
    struct snapshot snap = world_backup(&w, "");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        assert_dump_equals(&w, &snap, files[i]);
    assert_int_equal(dump_to_file(&w, &snap, tree_path(&w.t, "a"), &err), ERR_UNKNOWN_PATH);
    assert_int_equal(dump_to_file(&w, &snap, tree_path(&w.t, "sym"), &err), ERR_UNKNOWN_PATH);
    assert_int_equal(dump_to_file(&w, &snap, tree_path(&w.t, "nope"), &err), ERR_UNKNOWN_PATH);
    assert_int_equal(dump_to_file(&w, &snap, "/", &err), ERR_UNKNOWN_PATH);
    snapshot_release(&snap);
    /* A set of one file: the entry "". */
    snap = world_backup(&w, "big");
    assert_dump_equals(&w, &snap, "big");
    snapshot_release(&snap);
    world_free(&w);
}

/* Names beside a raw database are its sidecars'. */
static void test_sidecars(void **state)
{
    struct world w;
    struct hearing h;
    (void)state;
    world_new(&w);
    static uint8_t noise[5000];
    fill_random(noise, sizeof noise, 9);
    memcpy(noise, "SQLite format 3", 16);
    tree_write(&w.t, "raw.db", noise, sizeof noise);
    tree_text(&w.t, "raw.db-journal", "not a journal");
    struct snapshot snap = world_backup(&w, "raw.db");
    ls(&w, &snap, NULL, &h);
    static const char *const both[] = {"raw.db 8 5000", "raw.db-journal 1 13", NULL};
    assert_lines(&h.lines, both);
    ls(&w, &snap, tree_path(&w.t, "raw.db-journal"), &h);
    assert_lines(&h.lines, both + 1);
    assert_dump_equals(&w, &snap, "raw.db");
    assert_dump_equals(&w, &snap, "raw.db-journal");
    snapshot_release(&snap);
    world_free(&w);
}

/* --- diff -----------------------------------------------------------------------------------------------------------
 */

struct differing {
    const struct world *w;
    struct lines lines;
    uint64_t differ, big_differ, big_before, big_after;
};

static enum errc hear_diff(void *arg, const struct look_diff *d, struct err *err)
{
    static const char *const words[] = {"added", "removed", "content", "metadata", "type"};
    struct differing *x = arg;
    (void)err;
    assert_true((d->before != NULL) == (d->change != LOOK_ADDED));
    assert_true((d->after != NULL) == (d->change != LOOK_REMOVED));
    snprintf(x->lines.text[x->lines.count++], sizeof x->lines.text[0], "%s %s", words[d->change],
             rel(x->w, d->abs_path));
    x->differ += d->bytes_differ;
    if (strcmp(rel(x->w, d->abs_path), "big") == 0) {
        x->big_differ = d->bytes_differ;
        x->big_before = d->bytes_before;
        x->big_after = d->bytes_after;
    }
    return ERR_OK;
}

static void diff(const struct world *w, const struct snapshot *a, const struct snapshot *b, struct differing *x)
{
    struct err err;
    memset(x, 0, sizeof *x);
    x->w = w;
    if (look_diff(w->store, a, b, hear_diff, x, &err) != ERR_OK)
        fail_msg("%s", err.message);
}

static void test_diff(void **state)
{
    struct world w;
    struct differing x;
    (void)state;
    world_new(&w);
    make_tree(&w);
    struct snapshot a = world_backup(&w, "");
    diff(&w, &a, &a, &x);
    assert_int_equal(x.lines.count, 0);
    tree_text(&w.t, "a/new", "new");
    assert_int_equal(unlink(tree_path(&w.t, "a/sub/y")), 0);
    tree_age(&w.t, "a/sub", 5000);
    tree_age(&w.t, "a", 5000);
    tree_age(&w.t, "", 5000);
    assert_int_equal(chmod(tree_path(&w.t, "a/x"), 0600), 0);
    assert_int_equal(unlink(tree_path(&w.t, "empty")), 0);
    tree_mkdir(&w.t, "empty");
    assert_int_equal(unlink(tree_path(&w.t, "sym")), 0);
    assert_int_equal(symlink("elsewhere", tree_path(&w.t, "sym")), 0);
    int fd = open(tree_path(&w.t, "big"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "changed", 7, 300000), 7);
    close(fd);
    struct snapshot b = world_backup(&w, "");
    static const char *const forward[] = {"metadata .",      "metadata a",   "added a/new", "metadata a/sub",
                                          "removed a/sub/y", "metadata a/x", "content big", "type empty",
                                          "metadata other",  "content sym",  NULL};
    diff(&w, &a, &b, &x);
    assert_lines(&x.lines, forward);
    assert_true(x.big_before == 600000 && x.big_after == 600000);
    assert_in_range(x.big_differ, 1, 400000); /* the chunks around the change, not all of it */
    assert_int_equal(x.differ, x.big_differ + 3);
    diff(&w, &b, &a, &x);
    assert_string_equal(x.lines.text[2], "removed a/new");
    assert_string_equal(x.lines.text[4], "added a/sub/y");
    snapshot_release(&a);
    snapshot_release(&b);
    world_free(&w);
}

/* Items are matched by path: what one snapshot has only is added or removed entry by entry. */
static void test_diff_of_other_sets(void **state)
{
    struct world w;
    struct differing x;
    (void)state;
    world_new(&w);
    make_tree(&w);
    struct snapshot a = world_backup(&w, "a"), b = world_backup(&w, "big");
    static const char *const expected[] = {"removed a",   "removed a/sub", "removed a/sub/y",
                                           "removed a/x", "added big",     NULL};
    diff(&w, &a, &b, &x);
    assert_lines(&x.lines, expected);
    assert_int_equal(x.differ, 600000);
    snapshot_release(&a);
    snapshot_release(&b);
    world_free(&w);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ls),
        cmocka_unit_test(test_dump),
        cmocka_unit_test(test_sidecars),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_diff_of_other_sets),
    };
    if (argc > 1 && strcmp(argv[1], "__sqlite") == 0)
        return sqlite_child_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
