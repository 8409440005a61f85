/* Lists that want to write outside of the directory they are extracted into (EX1, RS3): the canary beside it stays as
 * it is. */
#include "store_run.h"

#include "base/io.h"
#include "engine/extract.h"
#include "engine/stage.h"

struct hostile {
    const char *path;
    enum entry_type type;
    const char *link;
};

struct place {
    struct repo repo;
    char canary[400];
    int out_fd;
    const char *only;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    repo_new(&p->repo);
    tree_mkdir(&p->repo.t, "out");
    tree_mkdir(&p->repo.t, "victim");
    tree_text(&p->repo.t, "victim/canary", "sings");
    snprintf(p->canary, sizeof p->canary, "%s", tree_path(&p->repo.t, "victim"));
    p->out_fd = open(tree_path(&p->repo.t, "out"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(p->out_fd >= 0);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    close(p->out_fd);
    repo_free(&p->repo);
    free(p);
    return 0;
}

static enum errc put_one(struct list_writer *w, const struct hostile *h)
{
    const struct entry *before;
    struct entry e = {.path = h->path,
                      .path_len = strlen(h->path),
                      .type = h->type,
                      .mode = 0755,
                      .nlink = 1,
                      .uid = geteuid(),
                      .gid = getegid(),
                      .link_target = h->link,
                      .link_target_len = h->link ? strlen(h->link) : 0};
    struct entry_end end = {.state = STATE_EXACT, .size = 5};
    if (!entry_has_data(h->type))
        return list_writer_node(w, &e, &test_err);
    enum errc rc = list_writer_previous(w, e.path, e.path_len, &before, &test_err);
    if (rc == ERR_OK)
        rc = list_writer_begin(w, 0, &test_err);
    if (rc == ERR_OK)
        rc = list_writer_data(w, "wrong", 5, &test_err);
    e.size = 5;
    return rc == ERR_OK ? list_writer_end(w, &e, &end, &test_err) : rc;
}

/* ERR_OK when the list could not even be written. */
static enum errc extract_list(struct place *p, const struct hostile *entries, size_t count)
{
    struct session *x;
    struct list_writer *w;
    struct stream_root root;
    struct snapshot snap;
    struct extract_result result;
    OK(session_begin(p->repo.store, NULL, false, &x, &test_err));
    OK(list_writer_open(x, NULL, &w, &test_err));
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < count; i++)
        rc = put_one(w, &entries[i]);
    if (rc == ERR_OK)
        rc = list_writer_finish(w, &root, &test_err);
    list_writer_free(w);
    if (rc != ERR_OK) {
        session_free(x);
        return rc;
    }
    fill_snapshot(&snap, &root);
    OK(session_commit(x, &snap, &test_err));
    session_free(x);
    struct extract e = {
        .store = p->repo.store, .list = &snap.items[0].list, .root_fd = p->out_fd, .root_name = "new", .only = p->only};
    rc = extract_run(&e, &result, &test_err);
    snapshot_release(&snap);
    return rc;
}

static void canary_sings(struct place *p)
{
    char text[16] = "";
    struct stat st;
    int fd = open(tree_path(&p->repo.t, "victim/canary"), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, text, sizeof text - 1), 5);
    assert_string_equal(text, "sings");
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(st.st_mode & 07777, 0644);
    close(fd);
    run_command("test \"$(ls -A '%s')\" = canary", p->canary);
    run_command("test \"$(ls -A '%s' | tr '\\n' ' ')\" = 'out victim '", p->repo.t.root);
}

static void refused(struct place *p, const struct hostile *entries, size_t count)
{
    enum errc rc = extract_list(p, entries, count);
    assert_int_not_equal(rc, ERR_OK);
    canary_sings(p);
    OK(remove_tree(p->out_fd, "new", &test_err));
    canary_sings(p);
}
#define REFUSED(p, ...)                                 \
    do {                                                \
        const struct hostile bad_[] = {__VA_ARGS__};    \
        refused(p, bad_, sizeof bad_ / sizeof bad_[0]); \
    } while (0)

static void names_that_lead_out(void **state)
{
    struct place *p = *state;
    static const char *const names[] = {
        "../victim/canary", "..", ".", "a/../../victim/x", "/etc/snap-canary", "a//b", "a/", "a/.", "a/./b"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        REFUSED(p, {"", ENTRY_DIR, NULL}, {"a", ENTRY_DIR, NULL}, {names[i], ENTRY_FILE, NULL});
}

static void links_that_lead_out(void **state)
{
    struct place *p = *state;
    REFUSED(p, {"", ENTRY_DIR, NULL}, {"l", ENTRY_SYMLINK, p->canary}, {"l/canary", ENTRY_FILE, NULL});
    REFUSED(p, {"", ENTRY_DIR, NULL}, {"l", ENTRY_SYMLINK, p->canary}, {"l/new", ENTRY_FILE, NULL});
    REFUSED(p, {"", ENTRY_DIR, NULL}, {"l", ENTRY_SYMLINK, p->canary}, {"l/dir", ENTRY_DIR, NULL});
    REFUSED(p, {"", ENTRY_DIR, NULL}, {"l", ENTRY_SYMLINK, p->canary}, {"l/fifo", ENTRY_FIFO, NULL});
    REFUSED(p, {"", ENTRY_DIR, NULL}, {"a", ENTRY_SYMLINK, "b"}, {"b", ENTRY_SYMLINK, "../../victim"},
            {"b/c", ENTRY_FILE, NULL});
    REFUSED(p, {"", ENTRY_DIR, NULL}, {"d", ENTRY_DIR, NULL}, {"d/up", ENTRY_SYMLINK, "../../../victim"},
            {"d/up/x", ENTRY_SYMLINK, "y"});
    REFUSED(p, {"", ENTRY_SYMLINK, p->canary}, {"x", ENTRY_FILE, NULL});
}

static void hard_links_that_lead_out(void **state)
{
    struct place *p = *state;
    char through[420];
    snprintf(through, sizeof through, "%s/canary", p->canary);
    REFUSED(p, {"", ENTRY_DIR, NULL}, {"h", ENTRY_HARDLINK, "../../victim/canary"});
    REFUSED(p, {"", ENTRY_DIR, NULL}, {"h", ENTRY_HARDLINK, through});
    REFUSED(p, {"", ENTRY_DIR, NULL}, {"l", ENTRY_SYMLINK, p->canary}, {"x", ENTRY_HARDLINK, "l/canary"});
    REFUSED(p, {"", ENTRY_DIR, NULL}, {"x", ENTRY_HARDLINK, "not there"});
    REFUSED(p, {"", ENTRY_DIR, NULL}, {"d", ENTRY_DIR, NULL}, {"x", ENTRY_HARDLINK, "d"});
}

/* A hard link to a symbolic link is one more name of the link, not of what it points to. */
static void hard_link_to_a_link(void **state)
{
    struct place *p = *state;
    char through[420];
    struct stat st;
    snprintf(through, sizeof through, "%s/canary", p->canary);
    const struct hostile list[] = {{"", ENTRY_DIR, NULL}, {"l", ENTRY_SYMLINK, through}, {"m", ENTRY_HARDLINK, "l"}};
    OK(extract_list(p, list, 3));
    assert_int_equal(fstatat(p->out_fd, "new/m", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISLNK(st.st_mode));
    canary_sings(p);
}

static void one_name_twice(void **state)
{
    struct place *p = *state;
    REFUSED(p, {"", ENTRY_DIR, NULL}, {"a", ENTRY_FILE, NULL}, {"a", ENTRY_FILE, NULL});
    REFUSED(p, {"", ENTRY_DIR, NULL}, {"a", ENTRY_SYMLINK, p->canary}, {"a", ENTRY_DIR, NULL});
    REFUSED(p, {"", ENTRY_DIR, NULL}, {"a", ENTRY_FILE, NULL}, {"a/b", ENTRY_FILE, NULL});
    REFUSED(p, {"no/parent", ENTRY_FILE, NULL});
}

/* With --include: what lies beside the included path is not written, and a first name outside of it leads nowhere else.
 */
static void only_a_part(void **state)
{
    struct place *p = *state;
    struct stat st, other;
    p->only = "d";
    const struct hostile list[] = {{"", ENTRY_DIR, NULL},          {"a", ENTRY_FILE, NULL},
                                   {"d", ENTRY_DIR, NULL},         {"d/one", ENTRY_HARDLINK, "a"},
                                   {"d/two", ENTRY_HARDLINK, "a"}, {"dd", ENTRY_FILE, NULL}};
    OK(extract_list(p, list, 6));
    assert_int_equal(fstatat(p->out_fd, "new/one", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(fstatat(p->out_fd, "new/two", &other, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_size, 5);
    assert_int_equal(st.st_ino, other.st_ino);
    run_command("test \"$(ls -A '%s' | tr '\\n' ' ')\" = 'one two '", tree_path(&p->repo.t, "out/new"));
    OK(remove_tree(p->out_fd, "new", &test_err));
    REFUSED(p, {"", ENTRY_DIR, NULL}, {"d", ENTRY_DIR, NULL}, {"d/x", ENTRY_HARDLINK, "../victim/canary"});
    REFUSED(p, {"", ENTRY_DIR, NULL}, {"d", ENTRY_SYMLINK, p->canary}, {"d/x", ENTRY_FILE, NULL});
    p->only = NULL;
}

/* Removing follows no link, and copes with depth. */
static void removing(void **state)
{
    struct place *p = *state;
    run_command(
        "cd '%s' && mkdir new && ln -s ../../victim new/l && mkdir new/no && touch new/no/x && chmod 0 new/no && "
        "cd new && for i in $(seq 150); do mkdir -p ddddddddddddddddddddd && cd ddddddddddddddddddddd && "
        "touch f; done",
        tree_path(&p->repo.t, "out"));
    OK(remove_tree(p->out_fd, "new", &test_err));
    OK(remove_tree(p->out_fd, "new", &test_err));
    canary_sings(p);
}

static int stuck(enum io_op op, const char *what, void *arg)
{
    (void)arg;
    return op == IO_UNLINK && strcmp(what, "stuck") == 0 ? EPERM : 0;
}

/* What cannot be removed is named with its whole path, and with what may be the cause. */
static void what_stays(void **state)
{
    struct place *p = *state;
    run_command("mkdir -p '%s/new/deep/stuck.d' && touch '%s/new/deep/stuck' '%s/stuck'", tree_path(&p->repo.t, "out"),
                tree_path(&p->repo.t, "out"), tree_path(&p->repo.t, "out"));
    io_set_hook(stuck, NULL);
    assert_int_equal(remove_tree(p->out_fd, "new", &test_err), ERR_IO);
    assert_non_null(strstr(test_err.message, "/out/new/"));
    assert_non_null(strstr(test_err.message, "/stuck: "));
    assert_non_null(strstr(test_err.hint, "lsattr"));
    assert_int_equal(remove_tree(p->out_fd, "stuck", &test_err), ERR_IO);
    assert_non_null(strstr(test_err.message, "/out/stuck: "));
    io_set_hook(NULL, NULL);
    OK(remove_tree(p->out_fd, "new", &test_err));
    OK(remove_tree(p->out_fd, "stuck", &test_err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_that_lead_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(links_that_lead_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hard_links_that_lead_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hard_link_to_a_link, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_name_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_a_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(removing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_stays, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("restore: extraction", tests, NULL, NULL);
}
