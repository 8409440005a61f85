/* 100,000 files: bounded time, and next to nothing when none has changed. Times are printed; what is asserted is only
 * what a slow machine can keep. */

#include "files_run.h"

enum { DIRECTORIES = 1000, FILES_EACH = 100, LIMIT_MS = 20000 };

/* A sink that costs next to nothing: it knows the last snapshot by its place in the order. */
struct light_sink {
    struct sink sink;
    const struct fake_sink *before;
    size_t at;
    size_t reused, stored;
    uint8_t *space;
};

static enum errc light_previous(struct sink *s, const char *path, size_t len, const struct entry **out, struct err *err)
{
    struct light_sink *l = (struct light_sink *)s;
    (void)err;
    *out = NULL;
    for (; l->before && l->at < l->before->count; l->at++) {
        const struct entry *e = &l->before->entries[l->at].e;
        if (e->path_len == len && memcmp(e->path, path, len) == 0) {
            *out = e;
            break;
        }
    }
    return ERR_OK;
}

static enum errc light_entry(struct sink *s, const struct entry *e, struct err *err)
{
    (void)s;
    (void)e;
    (void)err;
    return ERR_OK;
}

static enum errc light_reuse(struct sink *s, const struct entry *e, struct err *err)
{
    ((struct light_sink *)s)->reused++;
    return light_entry(s, e, err);
}

static enum errc light_begin(struct sink *s, uint32_t fixed, struct err *err)
{
    (void)s;
    (void)fixed;
    (void)err;
    return ERR_OK;
}

static enum errc light_space(struct sink *s, uint8_t **ptr, size_t *room, struct err *err)
{
    (void)err;
    *ptr = ((struct light_sink *)s)->space;
    *room = FAKE_SPACE_BYTES;
    return ERR_OK;
}

static enum errc light_advance(struct sink *s, size_t len, struct err *err)
{
    (void)s;
    (void)len;
    (void)err;
    return ERR_OK;
}

static enum errc light_data(struct sink *s, const void *data, size_t len, struct err *err)
{
    (void)data;
    return light_advance(s, len, err);
}

static enum errc light_hole(struct sink *s, uint64_t len, struct err *err)
{
    (void)len;
    return light_advance(s, 0, err);
}

static enum errc light_end(struct sink *s, const struct entry *e, const struct entry_end *end, struct err *err)
{
    (void)end;
    ((struct light_sink *)s)->stored++;
    return light_entry(s, e, err);
}

static enum errc light_abandon(struct sink *s, struct err *err)
{
    return light_advance(s, 0, err);
}

static void light_failed(struct sink *s, const char *path, const struct err *why)
{
    (void)s;
    fail_msg("%s: %s", path, why->message);
}

static const struct sink_ops light_ops = {
    .previous = light_previous,
    .node = light_entry,
    .begin = light_begin,
    .space = light_space,
    .advance = light_advance,
    .data = light_data,
    .hole = light_hole,
    .end = light_end,
    .abandon = light_abandon,
    .reuse = light_reuse,
    .failed = light_failed,
};

static void make_files(const struct tree *t)
{
    for (int d = 0; d < DIRECTORIES; d++) {
        char name[64], data[2048];
        snprintf(name, sizeof name, "directory-%04d", d);
        tree_mkdir(t, name);
        int dir = open(tree_path(t, name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(dir >= 0);
        memset(data, d, sizeof data);
        for (int i = 0; i < FILES_EACH; i++) {
            snprintf(name, sizeof name, "file-%02d.bin", i);
            int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
            assert_true(fd >= 0);
            assert_int_equal(write(fd, data, (size_t)(200 + i * 18)), 200 + i * 18);
            close(fd);
        }
        close(dir);
    }
}

/* Of the processor, not of the clock: other tests run beside this one. */
static uint64_t cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t capture_light(const struct tree *t, struct light_sink *l, const struct capture_options *opt)
{
    struct capture_result r;
    struct err err;
    uint64_t begun = cpu_ms();
    assert_int_equal(files_capture(t->root, &l->sink, opt, &r, &err), ERR_OK);
    uint64_t ms = cpu_ms() - begun;
    fact_list_release(&r.facts);
    assert_int_equal(r.entries, 1 + DIRECTORIES + DIRECTORIES * FILES_EACH);
    return ms;
}

static void test_a_hundred_thousand_files(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    make_files(&t);
    struct light_sink l = {.sink = {.ops = &light_ops}, .space = malloc(FAKE_SPACE_BYTES)};
    assert_non_null(l.space);
    struct capture_options opt = {.previous_look = late_look()};
    uint64_t first_ms = capture_light(&t, &l, &opt);
    assert_int_equal(l.stored, DIRECTORIES * FILES_EACH);
    struct fake_sink *before = run(&t);
    l.before = before;
    uint64_t unchanged_ms = capture_light(&t, &l, &opt);
    assert_int_equal(l.reused, DIRECTORIES * FILES_EACH);
    assert_int_equal(l.stored, DIRECTORIES * FILES_EACH);
    print_message("100,000 files in 1,000 directories: read in %llu ms, unchanged in %llu ms of CPU\n",
                  (unsigned long long)first_ms, (unsigned long long)unchanged_ms);
    assert_true(first_ms < LIMIT_MS && unchanged_ms < LIMIT_MS);
    fake_free(before);
    free(l.space);
    tree_free(&t);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_hundred_thousand_files),
};

FILES_TEST_MAIN(tests)
