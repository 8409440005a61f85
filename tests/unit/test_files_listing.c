/* Sorted listings with their sidecars, and the table of hard links. */
#include "contract/tree.h"
#include "source/files/hardlinks.h"
#include "source/files/listing.h"

static void list(const struct tree *t, struct listing *l)
{
    int fd = open(t->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    void *buffer = malloc(LISTING_BUFFER_BYTES);
    struct err err;
    assert_non_null(buffer);
    assert_int_equal(listing_read(fd, buffer, l, &err), ERR_OK);
    free(buffer);
    close(fd);
}

static void test_names_are_sorted_by_unsigned_bytes(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    static const char *const sorted[] = {"\x01", "A", "a", "a-b", "ab", "b", "\x80", "\xff"};
    size_t count = sizeof sorted / sizeof sorted[0];
    for (size_t i = count; i-- > 0;)
        tree_text(&t, sorted[i], "");
    struct listing l;
    list(&t, &l);
    assert_int_equal(l.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(l.names[i].name, sorted[i]);
        assert_ptr_equal(listing_find(&l, sorted[i], strlen(sorted[i])), &l.names[i]);
    }
    assert_null(listing_find(&l, "aa", 2));
    assert_null(listing_find(&l, "", 0));
    listing_release(&l);
    tree_free(&t);
}

static void test_large_directories(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    char name[256];
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "%0200d", i * 7919 % 3000);
        tree_text(&t, name, "");
    }
    struct listing l;
    list(&t, &l);
    assert_int_equal(l.count, 3000);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "%0200d", i);
        assert_string_equal(l.names[i].name, name);
    }
    listing_release(&l);
    tree_free(&t);
}

static void test_sidecars_are_found(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    static const char *const names[] = {"-wal", "db",       "db-journal", "db-shm",     "db-wal",
                                        "db-x", "db-x-wal", "db-wal-wal", "lonely-wal", "x-shm"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        tree_text(&t, names[i], "");
    struct listing l;
    list(&t, &l);
    struct listed *db = listing_find(&l, "db", 2);
    assert_int_equal(db->has, SIDECAR_WAL | SIDECAR_JOURNAL | SIDECAR_SHM);
    assert_int_equal(db->sidecar, 0);
    struct listed *wal = listing_find(&l, "db-wal", 6);
    assert_int_equal(wal->sidecar, SIDECAR_WAL);
    assert_ptr_equal(&l.names[wal->stem], db);
    assert_int_equal(wal->has, 0);
    assert_int_equal(listing_find(&l, "db-wal-wal", 10)->sidecar, 0); /* of a sidecar: a file like any other */
    assert_int_equal(listing_find(&l, "db-x-wal", 8)->sidecar, SIDECAR_WAL);
    assert_int_equal(listing_find(&l, "lonely-wal", 10)->sidecar, 0);
    assert_int_equal(listing_find(&l, "-wal", 4)->sidecar, 0);
    assert_int_equal(listing_find(&l, "x-shm", 5)->sidecar, 0);
    listing_release(&l);
    tree_free(&t);
}

static struct stat linked(ino_t ino, nlink_t links)
{
    return (struct stat){.st_ino = ino, .st_dev = 7, .st_nlink = links, .st_mode = S_IFREG, .st_size = 10};
}

static bool find(struct hardlinks *h, const struct stat *st, struct buf *path)
{
    bool found;
    struct err err;
    assert_int_equal(hardlinks_find(h, st, path, &found, &err), ERR_OK);
    return found;
}

static bool add(struct hardlinks *h, const struct stat *st, const char *path)
{
    bool full;
    struct err err;
    assert_int_equal(hardlinks_add(h, st, path, strlen(path), &full, &err), ERR_OK);
    return !full;
}

static void test_a_group_is_forgotten_when_all_its_names_were_met(void **state)
{
    (void)state;
    struct hardlinks *h;
    struct err err;
    struct buf path;
    buf_init(&path, 1024);
    assert_int_equal(hardlinks_new(1 << 20, &h, &err), ERR_OK);
    struct stat a = linked(1, 3), b = linked(2, 2);
    assert_false(find(h, &a, &path));
    assert_true(add(h, &a, "d/first"));
    assert_true(add(h, &b, "top"));
    assert_int_equal(hardlinks_count(h), 2);
    assert_true(find(h, &a, &path));
    assert_int_equal(path.len, 7);
    assert_memory_equal(path.data, "d/first", 7);
    assert_true(find(h, &a, &path));
    assert_int_equal(hardlinks_count(h), 1);
    assert_false(find(h, &a, &path));
    assert_true(find(h, &b, &path));
    assert_memory_equal(path.data, "top", 3);
    assert_int_equal(hardlinks_count(h), 0);
    hardlinks_free(h);
    buf_release(&path);
}

static void test_a_number_given_out_again_is_another_file(void **state)
{
    (void)state;
    struct hardlinks *h;
    struct err err;
    struct buf path;
    buf_init(&path, 1024);
    assert_int_equal(hardlinks_new(1 << 20, &h, &err), ERR_OK);
    struct stat a = linked(1, 3);
    assert_true(add(h, &a, "first"));
    a.st_mtim.tv_nsec = 1;
    assert_false(find(h, &a, &path));
    assert_int_equal(hardlinks_count(h), 0);
    assert_true(add(h, &a, "second"));
    assert_true(find(h, &a, &path));
    assert_memory_equal(path.data, "second", 6);
    hardlinks_free(h);
    buf_release(&path);
}

static void test_the_table_is_bounded(void **state)
{
    (void)state;
    enum { MAX = 100000 };
    struct hardlinks *h;
    struct err err;
    struct buf path;
    buf_init(&path, 1024);
    assert_int_equal(hardlinks_new(MAX, &h, &err), ERR_OK);
    size_t kept = 0;
    for (ino_t i = 0; i < 5000; i++) {
        struct stat st = linked(i, 2);
        char name[64];
        snprintf(name, sizeof name, "dir-%lu/name-%lu", (unsigned long)i / 10, (unsigned long)i);
        kept += add(h, &st, name);
    }
    assert_true(kept > 300 && kept < MAX / 48);
    assert_int_equal(hardlinks_count(h), kept);
    /* and has room again once groups are complete */
    for (ino_t i = 0; i < 5000; i++) {
        struct stat st = linked(i, 2);
        kept -= find(h, &st, &path);
    }
    assert_int_equal(kept, 0);
    struct stat st = linked(9999, 2);
    assert_true(add(h, &st, "again"));
    hardlinks_free(h);
    buf_release(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_sorted_by_unsigned_bytes),
        cmocka_unit_test(test_large_directories),
        cmocka_unit_test(test_sidecars_are_found),
        cmocka_unit_test(test_a_group_is_forgotten_when_all_its_names_were_met),
        cmocka_unit_test(test_a_number_given_out_again_is_another_file),
        cmocka_unit_test(test_the_table_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
