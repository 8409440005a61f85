/* lance.c, lance_file.c, format_lance.c, proto.c: datasets that pylance wrote (golden/vectors/make_lance.py). */
#include "vectors_golden.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/vectors/lance.h"

static const char *const subs[] = {"data", "_versions", "_deletions"};
enum { SUBS = sizeof subs / sizeof *subs };

/* A copy of a golden dataset, to be spoiled. */
struct copy {
    char path[64];
    int fd;
};

static void put_file(const struct copy *c, const char *path, const void *data, size_t len)
{
    int fd = openat(c->fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    close(fd);
}

static void copy_sub(const struct copy *c, const char *name, const char *sub)
{
    char from[512], path[512];
    snprintf(from, sizeof from, "%s/golden/vectors/%s/%s", TESTS_DIR, name, sub);
    DIR *d = opendir(from);
    if (!d)
        return;
    assert_int_equal(mkdirat(c->fd, sub, 0700), 0);
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s/%s", name, sub, e->d_name);
        struct golden g = golden_load(path);
        put_file(c, path + strlen(name) + 1, g.data, g.len);
        golden_free(&g);
    }
    closedir(d);
}

static struct copy copy_make(const char *name)
{
    struct copy c = {.path = "/tmp/test_vectors_lance.XXXXXX"};
    assert_non_null(mkdtemp(c.path));
    c.fd = open(c.path, O_RDONLY | O_DIRECTORY);
    assert_true(c.fd >= 0);
    for (size_t i = 0; i < SUBS; i++)
        copy_sub(&c, name, subs[i]);
    return c;
}

/* The number'th file of sub, in the order of their names, whose name ends so. */
static void name_of(const struct copy *c, const char *sub, const char *end, size_t number, char path[512])
{
    struct dirent **list;
    char dir[128];
    snprintf(dir, sizeof dir, "%s/%s", c->path, sub);
    int count = scandir(dir, &list, NULL, alphasort);
    assert_true(count > 0);
    path[0] = 0;
    for (int i = 0; i < count; i++) {
        size_t len = strlen(list[i]->d_name);
        if (len > strlen(end) && strcmp(list[i]->d_name + len - strlen(end), end) == 0 && number-- == 0)
            snprintf(path, 512, "%s/%s", sub, list[i]->d_name);
        free(list[i]);
    }
    free(list);
    assert_true(path[0] != 0);
}

static void copy_drop(struct copy *c)
{
    for (size_t i = 0; i < SUBS; i++) {
        char path[512];
        int fd = openat(c->fd, subs[i], O_RDONLY | O_DIRECTORY);
        DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
        for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
            snprintf(path, sizeof path, "%s/%s", subs[i], e->d_name);
            unlinkat(c->fd, path, 0);
        }
        if (d)
            closedir(d);
        unlinkat(c->fd, subs[i], AT_REMOVEDIR);
    }
    close(c->fd);
    assert_int_equal(rmdir(c->path), 0);
}

static struct golden load(const struct copy *c, const char *path)
{
    struct golden g = {0};
    struct stat st;
    int fd = openat(c->fd, path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    g.len = (size_t)st.st_size;
    g.data = malloc(g.len + 1);
    assert_non_null(g.data);
    assert_int_equal(read(fd, g.data, g.len), st.st_size);
    close(fd);
    snprintf(g.name, sizeof g.name, "file.lance");
    return g;
}

static struct lance_dataset look(const struct copy *c, enum vector_depth depth)
{
    struct vector_dir dir = vector_dir_at(&c->fd);
    struct vector_options opt = {.depth = depth};
    struct lance_dataset d;
    struct err err;
    assert_int_equal(lance_read_dataset(&dir, &opt, &d, &err), ERR_OK);
    return d;
}

static void is_broken(const struct copy *c, enum vector_depth depth, const char *words)
{
    struct lance_dataset d = look(c, depth);
    if (!d.result.known || d.result.ok || !strstr(d.result.detail, words))
        fail_msg("ok %d, '%s' instead of '%s'", d.result.ok, d.result.detail, words);
    vector_release(&d.result);
}

static void datasets_are_told(void **state)
{
    (void)state;
    for (int depth = VECTOR_QUICK; depth <= VECTOR_SCAN; depth++) {
        struct copy c = copy_make("lance_new");
        struct lance_dataset d = look(&c, (enum vector_depth)depth);
        assert_true(d.result.known);
        assert_string_equal(d.result.detail, "version 3, 3 fragments in 3 files; 2 rows deleted");
        assert_true(d.result.ok);
        assert_int_equal(d.version, 3);
        assert_int_equal(d.versions, 3);
        assert_int_equal(d.deleted, 2);
        assert_int_equal(d.result.dimension, 8);
        assert_int_equal(d.result.dtype, VECTOR_F32);
        assert_int_equal(d.result.count, 33);
        assert_int_equal(d.result.nan, VECTOR_UNKNOWN);
        assert_string_equal(d.result.arrays[0].name, "vector");
        vector_release(&d.result);
        copy_drop(&c);
        c = copy_make("lance_v20");
        d = look(&c, (enum vector_depth)depth);
        assert_string_equal(d.result.detail, "version 1, 1 fragments in 1 files");
        assert_int_equal(d.result.count, 10);
        vector_release(&d.result);
        copy_drop(&c);
        c = copy_make("lance_nothing");
        d = look(&c, (enum vector_depth)depth);
        assert_true(d.result.ok);
        assert_int_equal(d.result.count, 0);
        vector_release(&d.result);
        copy_drop(&c);
    }
}

static void a_missing_file_is_said(void **state)
{
    (void)state;
    char path[512];
    struct copy c = copy_make("lance_new");
    name_of(&c, "data", ".lance", 1, path);
    assert_int_equal(unlinkat(c.fd, path, 0), 0);
    is_broken(&c, VECTOR_SHAPE, "which version 3 needs, is missing");
    struct lance_dataset d = look(&c, VECTOR_QUICK);
    assert_true(d.result.ok);
    vector_release(&d.result);
    copy_drop(&c);
    c = copy_make("lance_new");
    name_of(&c, "_deletions", ".arrow", 0, path);
    assert_int_equal(unlinkat(c.fd, path, 0), 0);
    is_broken(&c, VECTOR_SHAPE, "is missing");
    copy_drop(&c);
    c = copy_make("lance_new");
    name_of(&c, "_versions", ".manifest", 0, path);
    assert_int_equal(unlinkat(c.fd, path, 0), 0);
    d = look(&c, VECTOR_SHAPE);
    assert_true(d.result.ok);
    assert_int_equal(d.version, 2);
    assert_int_equal(d.result.count, 35);
    vector_release(&d.result);
    copy_drop(&c);
}

static void spoiled_files_are_said(void **state)
{
    (void)state;
    char path[512];
    struct copy c = copy_make("lance_new");
    name_of(&c, "data", ".lance", 0, path);
    struct golden g = load(&c, path);
    put_file(&c, path, g.data, g.len - 1);
    is_broken(&c, VECTOR_SHAPE, "bytes instead of");
    g.data[g.len - 1] = 'X';
    put_file(&c, path, g.data, g.len);
    is_broken(&c, VECTOR_SHAPE, "its end is missing");
    g.data[g.len - 1] = 'C';
    g.data[g.len - 12]++;
    put_file(&c, path, g.data, g.len);
    is_broken(&c, VECTOR_SHAPE, "its footer has");
    g.data[g.len - 12]--;
    golden_put_u64(&g, g.len - 40, UINT64_MAX); /* where metadata begins */
    put_file(&c, path, g.data, g.len);
    is_broken(&c, VECTOR_SHAPE, "its footer has");
    golden_free(&g);
    copy_drop(&c);
    c = copy_make("lance_new");
    name_of(&c, "_versions", ".manifest", 0, path);
    g = load(&c, path);
    for (size_t len = 0; len < g.len; len++) {
        put_file(&c, path, g.data, len);
        is_broken(&c, VECTOR_QUICK, "");
    }
    for (size_t i = 0; i < g.len; i++) {
        uint8_t was = g.data[i];
        g.data[i] = i % 2 ? 0xff : 0x00;
        put_file(&c, path, g.data, g.len);
        struct lance_dataset d = look(&c, VECTOR_SCAN);
        vector_release(&d.result);
        g.data[i] = was;
    }
    golden_free(&g);
    copy_drop(&c);
}

static void no_dataset_is_none(void **state)
{
    (void)state;
    struct copy c = copy_make("chroma");
    struct lance_dataset d = look(&c, VECTOR_SCAN);
    assert_false(d.result.known);
    copy_drop(&c);
}

static void one_file_is_told(void **state)
{
    static const struct {
        const char *name;
        int64_t count;
        const char *detail;
    } samples[] = {
        {"lance_v20", 10, "data file of version 0.3, 10 rows"},
        {"lance_nothing", 0, "data file of version 2.2, 30 rows"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char path[512];
        struct copy c = copy_make(samples[i].name);
        name_of(&c, "data", ".lance", 0, path);
        struct golden g = load(&c, path);
        struct vector_result r = golden_read(&g, VECTOR_SCAN);
        assert_true(r.known);
        assert_string_equal(r.detail, samples[i].detail);
        assert_true(r.ok);
        assert_string_equal(r.format, "lance");
        assert_int_equal(r.count, samples[i].count);
        if (samples[i].count)
            assert_int_equal(r.dimension, 8);
        vector_release(&r);
        size_t whole = g.len;
        for (g.len = 0; g.len < whole; g.len++)
            golden_is_broken(&g, VECTOR_SHAPE, "");
        for (size_t at = 0; at < whole; at++) {
            uint8_t was = g.data[at];
            g.data[at] = at % 2 ? 0xff : 0x00;
            r = golden_read(&g, VECTOR_SCAN);
            vector_release(&r);
            g.data[at] = was;
        }
        golden_free(&g);
        copy_drop(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datasets_are_told),      cmocka_unit_test(a_missing_file_is_said),
        cmocka_unit_test(spoiled_files_are_said), cmocka_unit_test(no_dataset_is_none),
        cmocka_unit_test(one_file_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
