/* format_hnswlib.c and chroma.c: what hnswlib and Chroma write (golden/vectors/make_hnswlib.py, make_chroma.py). */
#include "vectors_golden.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/vectors/chroma.h"

static void each_index_is_told(void **state)
{
    static const struct {
        const char *name, *detail;
        int64_t count, nan, inf, zero;
    } samples[] = {
        {"full", "HNSW index, M 4, 30 of 30 rows taken", 30, 0, 0, 0},
        {"room", "HNSW index, M 4, 30 of 60 rows taken", 30, 0, 0, 0},
        {"empty", "HNSW index, M 4, 0 of 10 rows taken", 0, 0, 0, 0},
        {"deleted", "HNSW index, M 4, 30 of 30 rows taken; 2 of them deleted", 30, 0, 0, 0},
        {"marked", "HNSW index, M 4, 30 of 30 rows taken", 30, 1, 1, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char path[64];
        snprintf(path, sizeof path, "hnswlib_%s.bin", samples[i].name);
        struct vector_result r = golden_look(path, VECTOR_SCAN);
        assert_true(r.known && r.ok);
        assert_string_equal(r.format, "hnswlib");
        assert_string_equal(r.detail, samples[i].detail);
        assert_int_equal(r.dimension, 8);
        assert_int_equal(r.dtype, VECTOR_F32);
        assert_int_equal(r.count, samples[i].count);
        assert_int_equal(r.nan, samples[i].nan);
        assert_int_equal(r.inf, samples[i].inf);
        assert_int_equal(r.zero, samples[i].zero);
        assert_int_equal(r.data_offset, 96);
        assert_int_equal(r.row_bytes, 76);
        vector_release(&r);
        golden_cut_everywhere(path, 96 - 1, VECTOR_SHAPE);
        golden_spoil_everywhere(path);
    }
}

static void contradictions_are_said(void **state)
{
    (void)state;
    struct golden g = golden_load("hnswlib_full.bin");
    golden_put_u64(&g, 16, 31);
    golden_is_broken(&g, VECTOR_QUICK, "31 of 30 rows");
    golden_put_u64(&g, 8, UINT64_MAX / 2);
    golden_put_u64(&g, 16, UINT64_MAX / 4);
    golden_is_broken(&g, VECTOR_QUICK, "it ends within its vectors");
    golden_put_u64(&g, 8, 30);
    golden_put_u64(&g, 16, 30);
    golden_put_u32(&g, 52, 30);
    golden_is_broken(&g, VECTOR_QUICK, "entered at row 30 of 30");
    golden_put_u32(&g, 52, 0);
    golden_put(&g, 96 + 76, "\xff\xff", 2);
    golden_is_broken(&g, VECTOR_SCAN, "row 1 has 65535 links");
    golden_put(&g, 96 + 76, "\x00\x00", 2);
    golden_put_u32(&g, 96 + 30 * 76, 7);
    golden_is_broken(&g, VECTOR_SHAPE, "row 0 has 7 bytes of links");
    golden_free(&g);
    g = golden_load("hnswlib_full.bin");
    g.data[g.len++] = 0;
    golden_is_broken(&g, VECTOR_SHAPE, "1 bytes follow its links");
    golden_free(&g);
}

static void another_layout_is_no_index(void **state)
{
    (void)state;
    struct golden g = golden_load("hnswlib_full.bin");
    golden_put_u64(&g, 40, 40);
    struct vector_result r = golden_read(&g, VECTOR_SCAN);
    assert_false(r.known);
    golden_free(&g);
}

/* --- Chroma ---------------------------------------------------------------------------------------------------------
 */

#define INDEX "5f0c9a52-7c1e-4c62-9d0b-0a1b2c3d4e5f"

/* A copy of the golden directory, to be spoiled. */
struct copy {
    char path[64];
    int fd;
};

static const char *const parts[] = {"header.bin", "data_level0.bin", "length.bin", "link_lists.bin",
                                    "index_metadata.pickle"};

static void put_file(const struct copy *c, const char *name, const void *data, size_t len)
{
    char path[128];
    snprintf(path, sizeof path, INDEX "/%s", name);
    int fd = openat(c->fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    close(fd);
}

static struct golden part_of(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "chroma/" INDEX "/%s", name);
    return golden_load(path);
}

static void restore_parts(const struct copy *c)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct golden g = part_of(parts[i]);
        put_file(c, parts[i], g.data, g.len);
        golden_free(&g);
    }
}

static struct copy copy_make(void)
{
    struct copy c = {.path = "/tmp/test_vectors_chroma.XXXXXX"};
    assert_non_null(mkdtemp(c.path));
    c.fd = open(c.path, O_RDONLY | O_DIRECTORY);
    assert_true(c.fd >= 0);
    assert_int_equal(mkdirat(c.fd, INDEX, 0700), 0);
    restore_parts(&c);
    return c;
}

static void copy_drop(struct copy *c)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char path[128];
        snprintf(path, sizeof path, INDEX "/%s", parts[i]);
        unlinkat(c->fd, path, 0);
    }
    unlinkat(c->fd, INDEX, AT_REMOVEDIR);
    close(c->fd);
    assert_int_equal(rmdir(c->path), 0);
}

static struct chroma_index chroma_look(const struct copy *c, enum vector_depth depth)
{
    struct vector_dir dir = vector_dir_at(&c->fd);
    struct vector_options opt = {.depth = depth};
    struct chroma_index index;
    struct err err;
    assert_int_equal(chroma_read_index(&dir, INDEX, &opt, &index, &err), ERR_OK);
    return index;
}

static void chroma_is_broken(const struct copy *c, enum vector_depth depth, const char *words)
{
    struct chroma_index index = chroma_look(c, depth);
    if (index.result.ok || !strstr(index.result.detail, words))
        fail_msg("ok %d, '%s' instead of '%s'", index.result.ok, index.result.detail, words);
    vector_release(&index.result);
    restore_parts(c);
}

static void a_chroma_index_is_told(void **state)
{
    (void)state;
    struct copy c = copy_make();
    struct chroma_index index = chroma_look(&c, VECTOR_SCAN);
    const struct vector_result *r = &index.result;
    assert_true(r->ok);
    assert_string_equal(r->format, "chroma");
    assert_string_equal(r->detail, "HNSW index, M 4, 40 of 100 rows taken; 2 of them deleted");
    assert_int_equal(r->dimension, 8);
    assert_int_equal(r->count, 40);
    assert_int_equal(r->zero, 1);
    assert_int_equal(r->nan, 0);
    assert_int_equal(index.deleted, 2);
    assert_int_equal(index.room, 100);
    assert_int_equal(r->dim_count, 1);
    vector_release(&index.result);
    index = chroma_look(&c, VECTOR_QUICK);
    assert_true(index.result.ok);
    assert_int_equal(index.result.count, 40);
    assert_int_equal(index.deleted, VECTOR_UNKNOWN);
    vector_release(&index.result);
    copy_drop(&c);
}

static void torn_chroma_files_are_said(void **state)
{
    (void)state;
    struct copy c = copy_make();
    struct golden g = part_of("header.bin");
    g.data[20]++; /* rows */
    put_file(&c, "header.bin", g.data, g.len);
    chroma_is_broken(&c, VECTOR_SHAPE, "it ends within its links");
    g.data[20] = 40;
    g.data[12] = 99; /* room */
    put_file(&c, "header.bin", g.data, g.len);
    chroma_is_broken(&c, VECTOR_QUICK, "data_level0.bin has 7600 bytes, header.bin says room for 99 rows of 76");
    g.data[0] = 2;
    put_file(&c, "header.bin", g.data, g.len);
    chroma_is_broken(&c, VECTOR_QUICK, "header.bin is of version 2");
    put_file(&c, "header.bin", g.data, 99);
    chroma_is_broken(&c, VECTOR_QUICK, "it ends within header.bin");
    golden_free(&g);
    g = part_of("data_level0.bin");
    put_file(&c, "data_level0.bin", g.data, 39 * 76);
    chroma_is_broken(&c, VECTOR_QUICK, "data_level0.bin has 39 rows, header.bin says 40");
    put_file(&c, "data_level0.bin", g.data, 40 * 76 + 1);
    chroma_is_broken(&c, VECTOR_QUICK, "data_level0.bin has 3041 bytes");
    put_file(&c, "length.bin", g.data, 39 * 4);
    chroma_is_broken(&c, VECTOR_QUICK, "length.bin has 39 rows");
    golden_free(&g);
    g = part_of("link_lists.bin");
    put_file(&c, "link_lists.bin", g.data, 100);
    chroma_is_broken(&c, VECTOR_SHAPE, "it ends within its links");
    golden_free(&g);
    put_file(&c, "index_metadata.pickle", "", 0);
    chroma_is_broken(&c, VECTOR_QUICK, "index_metadata.pickle is empty");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char path[128], words[64];
        snprintf(path, sizeof path, INDEX "/%s", parts[i]);
        snprintf(words, sizeof words, "%s is missing", parts[i]);
        assert_int_equal(unlinkat(c.fd, path, 0), 0);
        assert_int_equal(symlinkat("/dev/zero", c.fd, path), 0);
        struct chroma_index index = chroma_look(&c, VECTOR_SHAPE);
        assert_false(index.result.ok);
        assert_string_equal(index.result.detail, words);
        vector_release(&index.result);
        assert_int_equal(unlinkat(c.fd, path, 0), 0);
        restore_parts(&c);
    }
    copy_drop(&c);
}

static enum errc collect(void *arg, const char *name, struct err *err)
{
    char *all = arg;
    (void)err;
    strncat(all, name, 64);
    return ERR_OK;
}

static void index_directories_are_found(void **state)
{
    (void)state;
    struct copy c = copy_make();
    struct vector_dir dir = vector_dir_at(&c.fd);
    struct err err;
    char all[256] = "";
    assert_int_equal(mkdirat(c.fd, "other", 0700), 0);
    assert_int_equal(chroma_each_index(&dir, collect, all, &err), ERR_OK);
    assert_string_equal(all, INDEX);
    assert_int_equal(unlinkat(c.fd, "other", AT_REMOVEDIR), 0);
    assert_false(chroma_is_index_name("5f0c9a52-7c1e-4c62-9d0b-0a1b2c3d4e5g"));
    assert_false(chroma_is_index_name("5f0c9a52-7c1e-4c62-9d0b-0a1b2c3d4e5"));
    assert_false(chroma_is_index_name("../"));
    copy_drop(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_index_is_told),         cmocka_unit_test(contradictions_are_said),
        cmocka_unit_test(another_layout_is_no_index), cmocka_unit_test(a_chroma_index_is_told),
        cmocka_unit_test(torn_chroma_files_are_said), cmocka_unit_test(index_directories_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
