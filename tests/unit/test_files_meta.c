/* Metadata read from one file and put onto another (FM1 to FM3). */
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/limits.h"
#include "contract/tree.h"
#include "source/files/meta.h"

static struct owners *owners_for_test(void)
{
    struct owners *o;
    struct err err;
    assert_int_equal(owners_new(&o, &err), ERR_OK);
    return o;
}

static int open_dir(const struct tree *t)
{
    int fd = open(t->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void read_meta(int fd, const char *name, struct owners *o, struct meta *m)
{
    struct err err;
    meta_init(m);
    if (meta_read(fd, name, o, name ? name : "file", m, &err) != ERR_OK)
        fail_msg("%s", err.message);
}

static void apply(int fd, const char *name, const struct entry *e, const struct meta_apply_options *opt)
{
    struct err err;
    if (meta_apply(fd, name, e, opt, name ? name : "file", &err) != ERR_OK)
        fail_msg("%s", err.message);
}

/* Two sets of metadata are the same in all that can be given. */
static void assert_same(const struct meta *a, const struct meta *b)
{
    assert_int_equal(a->entry.type, b->entry.type);
    assert_int_equal(a->entry.mode, b->entry.mode);
    assert_int_equal(a->entry.uid, b->entry.uid);
    assert_int_equal(a->entry.gid, b->entry.gid);
    assert_int_equal(a->entry.mtime.sec, b->entry.mtime.sec);
    assert_int_equal(a->entry.mtime.nsec, b->entry.mtime.nsec);
    assert_int_equal(a->entry.xattrs_len, b->entry.xattrs_len);
    if (a->entry.xattrs_len > 0)
        assert_memory_equal(a->entry.xattrs, b->entry.xattrs, a->entry.xattrs_len);
}

/* u::rwx,u:12345:rw-,g::r-x,m::rwx,o::--- as the kernel wants it */
static const uint8_t acl[] = {2, 0,    0,    0,    1,    0,    7,    0, 0xff, 0xff, 0xff, 0xff, 2,    0,    6,
                              0, 0x39, 0x30, 0,    0,    4,    0,    5, 0,    0xff, 0xff, 0xff, 0xff, 0x10, 0,
                              7, 0,    0xff, 0xff, 0xff, 0xff, 0x20, 0, 0,    0,    0xff, 0xff, 0xff, 0xff};

static bool need_root(void)
{
    if (geteuid() == 0)
        return true;
    print_message("needs root\n");
    return false;
}

static void make_source_file(const struct tree *t, const char *name)
{
    const char *path = tree_path(t, name);
    tree_text(t, name, "x");
    assert_int_equal(chown(path, 12345, 23456), 0);
    assert_int_equal(setxattr(path, "user.colour", "blue", 4, 0), 0);
    assert_int_equal(setxattr(path, "user.empty", "", 0, 0), 0);
    assert_int_equal(setxattr(path, "trusted.t", "\0\xff", 2, 0), 0);
    assert_int_equal(setxattr(path, "system.posix_acl_access", acl, sizeof acl, 0), 0);
    assert_int_equal(chmod(path, 06770), 0);
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1234567890, .tv_nsec = 987654321}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void test_everything_of_a_file_goes_to_another(void **state)
{
    (void)state;
    if (!need_root())
        skip();
    struct tree t;
    tree_new(&t);
    int dir = open_dir(&t);
    struct owners *o = owners_for_test();
    make_source_file(&t, "from");
    struct meta from, to;
    read_meta(dir, "from", o, &from);
    assert_int_equal(from.entry.mode, 06770);
    struct meta_skipped skipped = {0};
    const struct meta_apply_options opt = {.owners = o, .skipped = &skipped};
    /* by descriptor, by name, and by a descriptor that is only a path; onto a file that has other attributes */
    for (int way = 0; way < 3; way++) {
        tree_text(&t, "to", "y");
        assert_int_equal(setxattr(tree_path(&t, "to"), "user.stale", "old", 3, 0), 0);
        assert_int_equal(setxattr(tree_path(&t, "to"), "user.colour", "red", 3, 0), 0);
        int fd = way == 1 ? -1 : open(tree_path(&t, "to"), (way == 2 ? O_PATH : O_RDWR) | O_CLOEXEC);
        apply(way == 1 ? dir : fd, way == 1 ? "to" : NULL, &from.entry, &opt);
        if (fd >= 0)
            close(fd);
        read_meta(dir, "to", o, &to);
        assert_same(&from, &to);
        meta_release(&to);
        assert_int_equal(unlink(tree_path(&t, "to")), 0);
    }
    assert_int_equal(skipped.owners + skipped.xattrs + skipped.special_bits, 0);
    /* an entry without any takes all away */
    struct entry bare = from.entry;
    bare.xattrs = NULL;
    bare.xattrs_len = 0;
    apply(dir, "from", &bare, &opt);
    assert_int_equal(listxattr(tree_path(&t, "from"), NULL, 0), 0);
    struct stat st;
    assert_int_equal(stat(tree_path(&t, "from"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 06770);
    meta_release(&from);
    owners_free(o);
    close(dir);
    tree_free(&t);
}

static void test_each_type_by_name_without_following(void **state)
{
    (void)state;
    if (!need_root())
        skip();
    struct tree t;
    tree_new(&t);
    int dir = open_dir(&t);
    struct owners *o = owners_for_test();
    const struct meta_apply_options opt = {.owners = o};
    tree_text(&t, "canary", "untouched");
    struct stat before, after;
    assert_int_equal(stat(tree_path(&t, "canary"), &before), 0);
    assert_int_equal(symlink("canary", tree_path(&t, "link")), 0);
    assert_int_equal(mkfifo(tree_path(&t, "fifo"), 0600), 0);
    tree_mkdir(&t, "dir");
    assert_int_equal(mknod(tree_path(&t, "null"), S_IFCHR | 0600, makedev(1, 3)), 0);
    static const char *const names[] = {"link", "fifo", "dir", "null"};
    for (size_t i = 0; i < 4; i++) {
        struct meta m, now;
        read_meta(dir, names[i], o, &m);
        if (i == 0)
            assert_string_equal(m.entry.link_target, "canary");
        m.entry.uid = 4321;
        m.entry.gid = 4322;
        m.entry.user = m.entry.group = NULL;
        m.entry.user_len = m.entry.group_len = 0;
        m.entry.mode = i == 0 ? 0777 : 01751;
        m.entry.mtime = (struct timestamp){.sec = -77, .nsec = 5};
        struct err err;
        buf_clear(&m.xattrs);
        assert_int_equal(xattr_put(&m.xattrs, "trusted.mark", "m", 1, &err), ERR_OK);
        m.entry.xattrs = m.xattrs.data;
        m.entry.xattrs_len = m.xattrs.len;
        apply(dir, names[i], &m.entry, &opt);
        read_meta(dir, names[i], o, &now);
        assert_same(&m, &now);
        meta_release(&now);
        meta_release(&m);
    }
    assert_int_equal(stat(tree_path(&t, "canary"), &after), 0);
    assert_memory_equal(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim);
    owners_free(o);
    close(dir);
    tree_free(&t);
}

static void test_another_type_is_refused(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    int dir = open_dir(&t);
    struct owners *o = owners_for_test();
    const struct meta_apply_options opt = {.owners = o};
    tree_text(&t, "file", "x");
    assert_int_equal(symlink("file", tree_path(&t, "link")), 0);
    struct meta m;
    struct err err;
    read_meta(dir, "file", o, &m);
    m.entry.mode = 0;
    assert_int_equal(meta_apply(dir, "link", &m.entry, &opt, "link", &err), ERR_TARGET_UNSUITABLE);
    assert_int_equal(meta_apply(dir, "absent", &m.entry, &opt, "absent", &err), ERR_IO);
    assert_int_equal(err.sys_errno, ENOENT);
    m.entry.type = ENTRY_HARDLINK;
    assert_int_equal(meta_apply(dir, "file", &m.entry, &opt, "file", &err), ERR_OK);
    struct stat st;
    assert_int_equal(stat(tree_path(&t, "file"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    meta_release(&m);
    owners_free(o);
    close(dir);
    tree_free(&t);
}

static void test_malformed_xattrs_are_refused(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    int dir = open_dir(&t);
    struct owners *o = owners_for_test();
    const struct meta_apply_options opt = {.owners = o};
    tree_text(&t, "file", "x");
    struct meta m;
    struct err err;
    read_meta(dir, "file", o, &m);
    static const uint8_t bad[] = {200, 'u'};
    m.entry.xattrs = bad;
    m.entry.xattrs_len = sizeof bad;
    assert_int_equal(meta_apply(dir, "file", &m.entry, &opt, "file", &err), ERR_DAMAGED);
    meta_release(&m);
    owners_free(o);
    close(dir);
    tree_free(&t);
}

/* As nobody: a file that belonged to root with set-id bits. */
static int apply_as_nobody(const struct tree *t)
{
    if (setgid(65534) || setuid(65534))
        return 99;
    struct owners *o = owners_for_test();
    struct meta_skipped skipped = {0};
    const struct meta_apply_options opt = {.owners = o, .skipped = &skipped};
    struct entry e = {.path = "", .type = ENTRY_FILE, .mode = 06755, .uid = 0, .gid = 0, .mtime = {.sec = 9}};
    struct buf xattrs;
    struct err err;
    buf_init(&xattrs, XATTR_INLINE_MAX_BYTES);
    if (xattr_put(&xattrs, "trusted.no", "n", 1, &err) || xattr_put(&xattrs, "user.yes", "y", 1, &err))
        return 98;
    e.xattrs = xattrs.data;
    e.xattrs_len = xattrs.len;
    int fd = open(tree_path(t, "mine"), O_RDONLY | O_CREAT | O_CLOEXEC, 0400);
    if (fd < 0 || meta_apply(fd, NULL, &e, &opt, "mine", &err) != ERR_OK)
        return 97;
    struct stat st;
    char value[8];
    int bad = fstat(fd, &st) || (st.st_mode & 07777) != 0755 ? 1 : 0;
    bad |= st.st_mtim.tv_sec != 9 ? 2 : 0;
    bad |= fgetxattr(fd, "user.yes", value, sizeof value) != 1 ? 4 : 0;
    bad |= skipped.owners != 1 || skipped.special_bits != 1 || skipped.xattrs != 1 ? 8 : 0;
    buf_release(&xattrs);
    owners_free(o);
    return bad;
}

static void test_without_root_what_cannot_be_given_is_counted(void **state)
{
    (void)state;
    if (!need_root())
        skip();
    struct tree t;
    tree_new(&t);
    assert_int_equal(chmod(t.root, 0777), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(apply_as_nobody(&t));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    tree_free(&t);
    assert_int_equal(status, 0);
}

static void test_owners_by_name_or_by_number(void **state)
{
    (void)state;
    if (!need_root())
        skip();
    struct tree t;
    tree_new(&t);
    int dir = open_dir(&t);
    struct owners *o = owners_for_test();
    tree_text(&t, "f", "x");
    struct entry e = {.path = "",
                      .type = ENTRY_FILE,
                      .mode = 0600,
                      .uid = 777,
                      .gid = 778,
                      .user = "daemon",
                      .user_len = 6,
                      .group = "no such group",
                      .group_len = 13};
    struct stat st;
    apply(dir, "f", &e, &(struct meta_apply_options){.owners = o});
    assert_int_equal(stat(tree_path(&t, "f"), &st), 0);
    uint32_t daemon_id;
    assert_true(owners_user_id(o, "daemon", 6, &daemon_id));
    assert_int_equal(st.st_uid, daemon_id);
    assert_int_equal(st.st_gid, 778);
    apply(dir, "f", &e, &(struct meta_apply_options){.owners = o, .numeric_ids = true});
    assert_int_equal(stat(tree_path(&t, "f"), &st), 0);
    assert_int_equal(st.st_uid, 777);
    owners_free(o);
    close(dir);
    tree_free(&t);
}

static void test_owner_names_are_remembered_and_bounded(void **state)
{
    (void)state;
    struct owners *o = owners_for_test();
    assert_string_equal(owners_user_name(o, 0), "root");
    assert_string_equal(owners_group_name(o, 0), "root");
    assert_null(owners_user_name(o, 3000000000u));
    for (uint32_t id = 3000000000u; id < 3000000000u + 3 * OWNERS_MAX; id += 97)
        assert_null(owners_user_name(o, id));
    assert_string_equal(owners_user_name(o, 0), "root");
    uint32_t id;
    assert_true(owners_user_id(o, "rootXX", 4, &id));
    assert_int_equal(id, 0);
    assert_false(owners_user_id(o, "", 0, &id));
    assert_false(owners_user_id(o, "ro\0t", 4, &id));
    assert_false(owners_group_id(o, "no such group", 13, &id));
    owners_free(o);
}

static void test_xattrs_beyond_the_limit_are_cut(void **state)
{
    (void)state;
    if (!need_root())
        skip();
    char dir[] = "/dev/shm/snap-test-XXXXXX";
    if (!mkdtemp(dir)) {
        print_message("needs a tmpfs at /dev/shm\n");
        skip();
    }
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *value = calloc(1, 40000);
    assert_non_null(value);
    assert_int_equal(fsetxattr(fd, "trusted.a", value, 40000, 0), 0);
    assert_int_equal(fsetxattr(fd, "trusted.b", value, 40000, 0), 0);
    assert_int_equal(fsetxattr(fd, "trusted.c", "c", 1, 0), 0);
    struct owners *o = owners_for_test();
    struct meta m;
    read_meta(fd, NULL, o, &m);
    assert_true(m.xattrs_cut);
    assert_true(m.xattrs.len > 40000 && m.xattrs.len <= XATTR_INLINE_MAX_BYTES);
    struct reader r = reader_of(m.entry.xattrs, m.entry.xattrs_len);
    struct bytes name, v;
    size_t count = 0;
    while (xattr_next(&r, &name, &v))
        count++;
    assert_int_equal(count, 2); /* a and c; b had no room */
    meta_release(&m);
    owners_free(o);
    free(value);
    close(fd);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_of_a_file_goes_to_another),
        cmocka_unit_test(test_each_type_by_name_without_following),
        cmocka_unit_test(test_another_type_is_refused),
        cmocka_unit_test(test_malformed_xattrs_are_refused),
        cmocka_unit_test(test_without_root_what_cannot_be_given_is_counted),
        cmocka_unit_test(test_owners_by_name_or_by_number),
        cmocka_unit_test(test_owner_names_are_remembered_and_bounded),
        cmocka_unit_test(test_xattrs_beyond_the_limit_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
