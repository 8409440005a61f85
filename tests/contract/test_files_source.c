/* The files source: what is in a tree comes out of it, in order (SO1, SO3). */
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "files_run.h"

static void test_order_is_that_of_path_compare(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_mkdir(&t, "a");
    tree_text(&t, "a/x", "1");
    tree_mkdir(&t, "a/z");
    tree_text(&t, "a/z/deep", "2");
    tree_text(&t, "a-b", "3");
    tree_text(&t, "a.b", "4");
    tree_text(&t, "B", "5");
    tree_text(&t, "a\xff", "6");
    struct fake_sink *f = run(&t);
    static const char *const want[] = {"", "B", "a", "a/x", "a/z", "a/z/deep", "a-b", "a.b", "a\xff"};
    assert_paths(f, want, sizeof want / sizeof want[0]);
    fake_free(f);
    tree_free(&t);
}

static void test_any_byte_in_a_name(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    char longest[256];
    memset(longest, 'n', 255);
    longest[255] = '\0';
    const char *const names[] = {"\x01", "\n", " ", "-rf", "\\", "\x1b[31m", "..x", "\xc3(", longest, "\xff\xfe"};
    size_t count = sizeof names / sizeof names[0];
    for (size_t i = 0; i < count; i++)
        tree_text(&t, names[i], names[i]);
    struct fake_sink *f = run(&t);
    assert_int_equal(f->count, count + 1);
    for (size_t i = 0; i < count; i++)
        assert_true(fake_has(f, names[i], names[i], strlen(names[i])));
    assert_int_equal(f->failed_count, 0);
    fake_free(f);
    tree_free(&t);
}

static void test_bytes_of_every_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 15, 16, 4096, 8191, 8192, 8193, 65535, 65536, 65537, 131072, 1048577, 3000001};
    struct tree t;
    tree_new(&t);
    uint8_t *data = malloc(3000001);
    assert_non_null(data);
    for (size_t i = 0; i < 3000001; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    size_t sum = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "f%zu", sizes[i]);
        tree_write(&t, name, data, sizes[i]);
        sum += sizes[i];
    }
    struct capture_options opt = {.diag = NULL};
    struct capture_result r;
    struct fake_sink *f = run_with(&t, NULL, &opt, &r);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "f%zu", sizes[i]);
        assert_true(fake_has(f, name, data, sizes[i]));
        assert_int_equal(fake_find(f, name)->end.state, STATE_EXACT);
        assert_int_equal(fake_find(f, name)->fixed, 0);
        assert_int_equal(fake_find(f, name)->e.size, sizes[i]);
    }
    assert_int_equal(r.bytes, sum);
    assert_true(r.bytes_read >= sum);
    assert_int_equal(r.worst, STATE_EXACT);
    assert_true(r.good);
    free(data);
    fake_free(f);
    tree_free(&t);
}

static void poke(const char *path, off_t at, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, strlen(text), at), (ssize_t)strlen(text));
    close(fd);
}

static void test_holes(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_text(&t, "all-hole", "");
    assert_int_equal(truncate(tree_path(&t, "all-hole"), (off_t)8 << 40), 0);
    const off_t edges[] = {0, (off_t)2 << 30, (off_t)4 << 30, (off_t)1 << 40};
    for (size_t i = 0; i < 4; i++)
        poke(tree_path(&t, "edges"), edges[i], "data at an edge");
    poke(tree_path(&t, "short"), 0, "here");
    poke(tree_path(&t, "short"), 40000, "and here");
    assert_int_equal(truncate(tree_path(&t, "short"), 100000), 0);
    struct capture_options opt = {.diag = NULL};
    struct capture_result r;
    struct fake_sink *f = run_with(&t, NULL, &opt, &r);
    struct fake_entry *e = fake_find(f, "all-hole");
    assert_int_equal(e->piece_count, 1);
    assert_null(e->pieces[0].data);
    assert_int_equal(e->size, (uint64_t)8 << 40);
    e = fake_find(f, "edges");
    assert_int_equal(e->size, ((uint64_t)1 << 40) + 15);
    size_t seen = 0;
    for (size_t i = 0; i < e->piece_count; i++) {
        if (!e->pieces[i].data)
            continue;
        assert_int_equal(e->pieces[i].offset, edges[seen]);
        assert_memory_equal(e->pieces[i].data, "data at an edge", 15);
        seen++;
    }
    assert_int_equal(seen, 4);
    e = fake_find(f, "short");
    assert_true(e->piece_count > 0);
    for (size_t i = 0; i < e->piece_count; i++)
        assert_non_null(e->pieces[i].data);
    assert_int_equal(e->size, 100000);
    assert_true(r.bytes < 1 << 20);
    fake_free(f);
    tree_free(&t);
}

static void test_forced_reading_trusts_no_holes(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    poke(tree_path(&t, "sparse"), 1 << 20, "end");
    struct capture_options opt = {.force_read = true};
    struct fake_sink *f = run_with(&t, NULL, &opt, NULL);
    const struct fake_entry *e = fake_find(f, "sparse");
    for (size_t i = 0; i < e->piece_count; i++)
        assert_non_null(e->pieces[i].data);
    assert_int_equal(e->size, (1 << 20) + 3);
    fake_free(f);
    tree_free(&t);
}

static void test_hard_links(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_mkdir(&t, "d");
    tree_text(&t, "d/one", "shared");
    assert_int_equal(link(tree_path(&t, "d/one"), tree_path(&t, "two")), 0);
    assert_int_equal(link(tree_path(&t, "d/one"), tree_path(&t, "a-first")), 0);
    assert_int_equal(symlink("nowhere", tree_path(&t, "l1")), 0);
    assert_int_equal(link(tree_path(&t, "l1"), tree_path(&t, "l2")), 0);
    char outside[300];
    snprintf(outside, sizeof outside, "%s/outside", t.dir);
    tree_text(&t, "shared-outside", "x");
    assert_int_equal(link(tree_path(&t, "shared-outside"), outside), 0);
    struct fake_sink *f = run(&t);
    assert_true(fake_has(f, "a-first", "shared", 6));
    assert_int_equal(fake_find(f, "d/one")->e.type, ENTRY_HARDLINK);
    assert_string_equal(fake_find(f, "d/one")->e.link_target, "a-first");
    assert_string_equal(fake_find(f, "two")->e.link_target, "a-first");
    assert_int_equal(fake_find(f, "two")->e.nlink, 3);
    assert_int_equal(fake_find(f, "l1")->e.type, ENTRY_SYMLINK);
    assert_int_equal(fake_find(f, "l2")->e.type, ENTRY_HARDLINK);
    assert_string_equal(fake_find(f, "l2")->e.link_target, "l1");
    assert_true(fake_has(f, "shared-outside", "x", 1));
    fake_free(f);
    tree_free(&t);
}

static void test_metadata_and_xattrs(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_text(&t, "f", "x");
    assert_int_equal(chmod(tree_path(&t, "f"), 04751), 0);
    struct timespec times[2] = {{.tv_sec = -5, .tv_nsec = 7}, {.tv_sec = -5, .tv_nsec = 123456789}};
    assert_int_equal(utimensat(AT_FDCWD, tree_path(&t, "f"), times, 0), 0);
    assert_int_equal(setxattr(tree_path(&t, "f"), "user.zeta", "\0\1", 2, 0), 0);
    assert_int_equal(setxattr(tree_path(&t, "f"), "user.alpha", "", 0, 0), 0);
    assert_int_equal(setxattr(t.root, "user.dir", "d", 1, 0), 0);
    struct fake_sink *f = run(&t);
    const struct entry *e = &fake_find(f, "f")->e;
    assert_int_equal(e->mode, 04751);
    assert_int_equal(e->mtime.sec, -5);
    assert_int_equal(e->mtime.nsec, 123456789);
    assert_int_equal(e->uid, getuid());
    assert_true(e->user_len > 0 && e->group_len > 0);
    struct reader r = reader_of(e->xattrs, e->xattrs_len);
    struct bytes name, value;
    assert_true(xattr_next(&r, &name, &value));
    assert_memory_equal(name.data, "user.alpha", name.len);
    assert_int_equal(value.len, 0);
    assert_true(xattr_next(&r, &name, &value));
    assert_memory_equal(name.data, "user.zeta", name.len);
    assert_int_equal(value.len, 2);
    assert_false(xattr_next(&r, &name, &value));
    assert_true(fake_find(f, "")->e.xattrs_len > 0);
    fake_free(f);
    tree_free(&t);
}

static void test_special_files_are_never_opened(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    assert_int_equal(mkfifo(tree_path(&t, "fifo"), 0640), 0);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", tree_path(&t, "sock"));
    assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(symlink("/etc/passwd", tree_path(&t, "link")), 0);
    bool root = geteuid() == 0 && mknod(tree_path(&t, "char"), S_IFCHR | 0600, makedev(4, 77)) == 0 &&
                mknod(tree_path(&t, "block"), S_IFBLK | 0600, makedev(7, 250)) == 0;
    struct fake_sink *f = run(&t);
    assert_int_equal(fake_find(f, "fifo")->e.type, ENTRY_FIFO);
    assert_int_equal(fake_find(f, "fifo")->e.mode, 0640);
    assert_int_equal(fake_find(f, "sock")->e.type, ENTRY_SOCKET);
    assert_int_equal(fake_find(f, "link")->e.type, ENTRY_SYMLINK);
    assert_string_equal(fake_find(f, "link")->e.link_target, "/etc/passwd");
    if (root) {
        assert_int_equal(fake_find(f, "char")->e.type, ENTRY_CHAR_DEV);
        assert_int_equal(fake_find(f, "char")->e.rdev_major, 4);
        assert_int_equal(fake_find(f, "char")->e.rdev_minor, 77);
        assert_int_equal(fake_find(f, "block")->e.type, ENTRY_BLOCK_DEV);
    } else {
        print_message("devices not tried: needs root\n");
    }
    assert_int_equal(f->begins, 0);
    close(s);
    fake_free(f);
    tree_free(&t);
}

static enum errc capture_path(const char *path, struct fake_sink *f, struct capture_result *r, struct err *err)
{
    struct capture_options opt = {.diag = NULL};
    enum errc rc = files_capture(path, &f->sink, &opt, r, err);
    fact_list_release(&r->facts);
    return rc;
}

static void test_roots(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_text(&t, "file", "alone");
    assert_int_equal(symlink("file", tree_path(&t, "link")), 0);
    struct capture_result r;
    struct err err;
    struct fake_sink *f = fake_new(NULL);
    assert_int_equal(capture_path(tree_path(&t, "absent"), f, &r, &err), ERR_SOURCE_MISSING);
    assert_int_equal(capture_path(tree_path(&t, "file/below"), f, &r, &err), ERR_SOURCE_MISSING);
    assert_int_equal(f->count + f->failed_count, 0);
    fake_free(f);

    f = fake_new(NULL);
    assert_int_equal(capture_path(tree_path(&t, "file"), f, &r, &err), ERR_OK);
    assert_int_equal(f->count, 1);
    assert_true(fake_has(f, "", "alone", 5));
    fake_free(f);

    f = fake_new(NULL);
    assert_int_equal(capture_path(tree_path(&t, "link"), f, &r, &err), ERR_OK);
    assert_int_equal(f->count, 1);
    assert_int_equal(f->entries[0].e.type, ENTRY_SYMLINK);
    fake_free(f);
    tree_free(&t);
}

/* Runs work as another user in a child; its result is the exit status. */
static int as_nobody(int (*work)(const struct tree *t), const struct tree *t)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (setgid(65534) || setuid(65534))
            _exit(99);
        _exit(work(t));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int capture_with_denials(const struct tree *t)
{
    struct fake_sink *f = fake_new(NULL);
    struct capture_options opt = {.diag = NULL};
    struct capture_result r;
    struct err err;
    int bad = 0;
    bad |= files_capture(t->root, &f->sink, &opt, &r, &err) != ERR_OK ? 1 : 0;
    bad |= f->failed_count != 2 ? 2 : 0;
    bad |= !fake_has(f, "open", "yes", 3) ? 4 : 0;
    bad |= fake_find(f, "secret") ? 8 : 0;
    bad |= !fake_find(f, "locked") || fake_find(f, "locked/in") ? 16 : 0;
    bad |= r.good || r.worst != STATE_ERROR ? 32 : 0;
    fact_list_release(&r.facts);
    fake_free(f);
    return bad;
}

static int capture_unreadable_root(const struct tree *t)
{
    struct fake_sink *f = fake_new(NULL);
    struct capture_options opt = {.diag = NULL};
    struct capture_result r;
    struct err err;
    int bad = files_capture(tree_path(t, "locked"), &f->sink, &opt, &r, &err) != ERR_SOURCE_UNREADABLE;
    bad |= files_capture(tree_path(t, "secret"), &f->sink, &opt, &r, &err) != ERR_SOURCE_UNREADABLE ? 2 : 0;
    bad |= f->count || f->failed_count ? 4 : 0;
    fake_free(f);
    return bad;
}

static void test_permission_denied(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("needs root\n");
        skip();
    }
    struct tree t;
    tree_new(&t);
    tree_text(&t, "open", "yes");
    tree_text(&t, "secret", "no");
    assert_int_equal(chmod(tree_path(&t, "secret"), 0600), 0);
    tree_mkdir(&t, "locked");
    tree_text(&t, "locked/in", "no");
    assert_int_equal(chmod(tree_path(&t, "locked"), 0700), 0);
    assert_int_equal(as_nobody(capture_with_denials, &t), 0);
    assert_int_equal(as_nobody(capture_unreadable_root, &t), 0);
    tree_free(&t);
}

static void test_exclusions(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_text(&t, "keep", "1");
    tree_text(&t, "drop.tmp", "2");
    tree_mkdir(&t, "node_modules");
    tree_text(&t, "node_modules/x", "3");
    tree_mkdir(&t, "cache");
    tree_text(&t, "cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# made by a test\n");
    tree_text(&t, "cache/big", "4");
    tree_mkdir(&t, "no-cache");
    tree_text(&t, "no-cache/CACHEDIR.TAG", "Signature: something else, forty-three bytes!");
    tree_text(&t, "no-cache/kept", "5");
    const char *const patterns[] = {"*.tmp", "node_modules"};
    struct capture_options opt = {.exclude = patterns, .exclude_count = 2, .exclude_caches = true};
    struct fake_sink *f = run_with(&t, NULL, &opt, NULL);
    static const char *const want[] = {
        "", "cache", "cache/CACHEDIR.TAG", "keep", "no-cache", "no-cache/CACHEDIR.TAG", "no-cache/kept"};
    assert_paths(f, want, sizeof want / sizeof want[0]);
    fake_free(f);
    tree_free(&t);
}

static int capture_below_mount(const struct tree *t)
{
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", tree_path(t, "mnt"), "tmpfs", 0, NULL))
        return 77;
    tree_text(t, "mnt/inside", "x");
    struct fake_sink *f = fake_new(NULL), *all = fake_new(NULL);
    struct capture_options opt = {.one_file_system = true}, both = {.one_file_system = false};
    struct capture_result r;
    struct err err;
    int bad = files_capture(t->root, &f->sink, &opt, &r, &err) != ERR_OK;
    bad |= !fake_find(f, "mnt") || fake_find(f, "mnt/inside") || f->failed_count ? 2 : 0;
    bad |= files_capture(t->root, &all->sink, &both, &r, &err) != ERR_OK ? 4 : 0;
    bad |= !fake_find(all, "mnt/inside") ? 8 : 0;
    return bad;
}

static void test_one_file_system(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_mkdir(&t, "mnt");
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(capture_below_mount(&t));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    tree_free(&t);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("needs the right to mount\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void test_any_error_of_the_sink_ends_it(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_mkdir(&t, "d");
    tree_text(&t, "d/f", "x");
    tree_text(&t, "e", "y");
    assert_int_equal(link(tree_path(&t, "e"), tree_path(&t, "e2")), 0);
    poke(tree_path(&t, "sparse"), 1 << 20, "end");
    struct capture_options opt = {.diag = NULL};
    long calls = 1;
    for (;; calls++) {
        struct fake_sink *f = fake_new(NULL);
        struct capture_result r;
        struct err err = {.code = ERR_OK};
        f->calls_left = calls;
        enum errc rc = files_capture(t.root, &f->sink, &opt, &r, &err);
        fact_list_release(&r.facts);
        bool done = f->calls_left > 0;
        assert_int_equal(f->failed_count, 0); /* never taken for a failure of the source */
        fake_free(f);
        if (done) {
            assert_int_equal(rc, ERR_OK);
            break;
        }
        assert_int_equal(rc, ERR_NO_SPACE);
    }
    assert_true(calls > 15);
    tree_free(&t);
}

static bool stop_now(void *arg)
{
    (void)arg;
    return true;
}

static void test_interrupted(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    char *big = calloc(1, 1 << 20);
    tree_write(&t, "big", big, 1 << 20);
    free(big);
    struct diag d = {.interrupted = stop_now};
    struct capture_options opt = {.diag = &d};
    struct fake_sink *f = fake_new(NULL);
    struct capture_result r;
    struct err err;
    assert_int_equal(files_capture(t.root, &f->sink, &opt, &r, &err), ERR_INTERRUPTED);
    fake_free(f);
    tree_free(&t);
}

enum { DEPTH = 2500 };

/* Each level: "a" before and "z" behind the way down, so that the walk has to come back to all of them. */
static void make_deep(const struct tree *t)
{
    int fd = open(t->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < DEPTH; i++) {
        int z = openat(fd, "z", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_true(z >= 0);
        close(z);
        assert_int_equal(mkdirat(fd, "directory-number", 0755), 0);
        int next = openat(fd, "directory-number", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(fd);
        fd = next;
    }
    close(fd);
}

static void test_paths_beyond_path_max_with_few_descriptors(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    make_deep(&t);
    struct rlimit old, few = {.rlim_cur = 90};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    struct fake_sink *f = run(&t);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(f->failed_count, 0);
    assert_int_equal(f->count, 1 + 2 * DEPTH);
    assert_true(f->entries[DEPTH].e.path_len > 40000);
    fake_free(f);
    tree_free(&t);
}

static void test_facts(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_mkdir(&t, "d");
    tree_text(&t, "d/f", "x");
    tree_text(&t, "g", "y");
    struct fake_sink *f = fake_new(NULL);
    struct capture_options opt = {.diag = NULL};
    struct capture_result r;
    struct err err;
    assert_int_equal(files_capture(t.root, &f->sink, &opt, &r, &err), ERR_OK);
    assert_int_equal(fact_find(&r.facts, "files")->integer, 2);
    assert_int_equal(fact_find(&r.facts, "directories")->integer, 2);
    assert_int_equal(fact_find(&r.facts, "databases")->integer, 0);
    fact_list_release(&r.facts);
    fake_free(f);
    tree_free(&t);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_order_is_that_of_path_compare),
    cmocka_unit_test(test_any_byte_in_a_name),
    cmocka_unit_test(test_bytes_of_every_size),
    cmocka_unit_test(test_holes),
    cmocka_unit_test(test_forced_reading_trusts_no_holes),
    cmocka_unit_test(test_hard_links),
    cmocka_unit_test(test_metadata_and_xattrs),
    cmocka_unit_test(test_special_files_are_never_opened),
    cmocka_unit_test(test_roots),
    cmocka_unit_test(test_permission_denied),
    cmocka_unit_test(test_exclusions),
    cmocka_unit_test(test_one_file_system),
    cmocka_unit_test(test_any_error_of_the_sink_ends_it),
    cmocka_unit_test(test_interrupted),
    cmocka_unit_test(test_paths_beyond_path_max_with_few_descriptors),
    cmocka_unit_test(test_facts),
};

FILES_TEST_MAIN(tests)
