/* The files source and time: what is unchanged is not read, what changes under the reading is never mixed, and what is
 * swapped for a link is never followed (SO1). */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/xattr.h>

#include "files_run.h"

static void test_unchanged_files_are_reused(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_mkdir(&t, "d");
    tree_text(&t, "d/same", "same");
    assert_int_equal(setxattr(tree_path(&t, "d/same"), "user.note", "n", 1, 0), 0);
    tree_text(&t, "other", "before");
    tree_text(&t, "gone", "x");
    struct fake_sink *first = run(&t);
    tree_text(&t, "other", "after!");
    tree_text(&t, "new", "new");
    assert_int_equal(unlink(tree_path(&t, "gone")), 0);
    struct capture_options opt = {.previous_look = late_look()};
    struct capture_result r;
    struct fake_sink *f = run_with(&t, first, &opt, &r);
    assert_true(fake_find(f, "d/same")->reused);
    assert_int_equal(fake_find(f, "d/same")->e.xattrs_len, fake_find(first, "d/same")->e.xattrs_len);
    assert_true(fake_find(f, "d/same")->e.xattrs_len > 0);
    assert_true(fake_has(f, "other", "after!", 6));
    assert_true(fake_has(f, "new", "new", 3));
    assert_null(fake_find(f, "gone"));
    assert_int_equal(f->reuses, 1);
    assert_int_equal(r.bytes, 4 + 6 + 3);
    fake_free(f);
    fake_free(first);
    tree_free(&t);
}

static size_t reuses_with(const struct tree *t, const struct fake_sink *before, struct timestamp look, bool force)
{
    struct capture_options opt = {.previous_look = look, .force_read = force};
    struct fake_sink *f = run_with(t, before, &opt, NULL);
    size_t reuses = f->reuses;
    fake_free(f);
    return reuses;
}

static void test_files_as_young_as_the_last_look_are_read_again(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_text(&t, "f", "x");
    struct fake_sink *first = run(&t);
    struct stat st;
    assert_int_equal(stat(tree_path(&t, "f"), &st), 0);
    const struct timestamp ctime = {.sec = st.st_ctim.tv_sec, .nsec = (uint32_t)st.st_ctim.tv_nsec};
    struct timestamp look = ctime;
    assert_int_equal(reuses_with(&t, first, look, false), 0);
    look.sec = ctime.sec + 1; /* one second later to the nanosecond: still too young */
    assert_int_equal(reuses_with(&t, first, look, false), 0);
    look.sec = ctime.sec + 2;
    assert_int_equal(reuses_with(&t, first, look, false), 1);
    assert_int_equal(reuses_with(&t, first, look, true), 0);
    assert_int_equal(reuses_with(&t, first, (struct timestamp){0, 0}, false), 0);
    /* an old mtime helps nothing when the ctime is young */
    tree_age(&t, "f", 7200);
    struct fake_sink *aged = run(&t);
    assert_int_equal(reuses_with(&t, aged, time_now(), false), 0);
    fake_free(aged);
    /* an mtime of the future is always too young, whatever its ctime */
    tree_age(&t, "f", -7200);
    struct fake_sink *second = run(&t);
    assert_int_equal(reuses_with(&t, second, look, false), 0);
    fake_free(second);
    fake_free(first);
    tree_free(&t);
}

static void test_each_mark_of_change_counts(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_text(&t, "f", "x");
    for (int i = 0; i < 7; i++) {
        struct fake_sink *first = run(&t);
        struct entry *e = &fake_find(first, "f")->e;
        switch (i) {
        case 0:
            e->size++;
            break;
        case 1:
            e->mtime.nsec ^= 1;
            break;
        case 2:
            e->ctime.nsec ^= 1;
            break;
        case 3:
            e->ino++;
            break;
        case 4:
            e->dev++;
            break;
        case 5:
            e->type = ENTRY_HARDLINK;
            break;
        default:
            break;
        }
        assert_int_equal(reuses_with(&t, first, late_look(), false), i == 6 ? 1 : 0);
        fake_free(first);
    }
    tree_free(&t);
}

/* What a test does to a file while it is read. */
struct meddling {
    const struct tree *t;
    const char *path;
    unsigned times;
    unsigned done;
};

static void append_while_read(void *arg)
{
    struct meddling *m = arg;
    if (m->done++ >= m->times)
        return;
    int fd = open(tree_path(m->t, m->path), O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "more", 4), 4);
    close(fd);
}

static void capture_meddled(const struct tree *t, struct fake_sink *f, struct capture_result *r)
{
    struct capture_options opt = {.diag = NULL};
    struct err err;
    assert_int_equal(files_capture(t->root, &f->sink, &opt, r, &err), ERR_OK);
    fact_list_release(&r->facts);
}

static void test_a_file_that_changes_once_is_read_again(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_text(&t, "f", "begin");
    tree_text(&t, "z", "next");
    struct meddling m = {.t = &t, .path = "f", .times = 1};
    struct fake_sink *f = fake_new(NULL);
    f->on_begin = append_while_read;
    f->arg = &m;
    struct capture_result r;
    capture_meddled(&t, f, &r);
    assert_true(fake_has(f, "f", "beginmore", 9));
    assert_int_equal(fake_find(f, "f")->end.state, STATE_EXACT);
    assert_int_equal(f->abandons, 1);
    assert_int_equal(r.worst, STATE_EXACT);
    assert_true(fake_has(f, "z", "next", 4));
    fake_free(f);
    tree_free(&t);
}

static void test_a_file_that_never_holds_still_is_fuzzy_and_read_the_next_time(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_text(&t, "f", "begin");
    struct meddling m = {.t = &t, .path = "f", .times = 100};
    struct fake_sink *f = fake_new(NULL);
    f->on_begin = append_while_read;
    f->arg = &m;
    struct capture_result r;
    capture_meddled(&t, f, &r);
    const struct fake_entry *e = fake_find(f, "f");
    assert_int_equal(e->end.state, STATE_FUZZY);
    assert_non_null(strstr(e->end.reason, "changed"));
    assert_int_equal(r.worst, STATE_FUZZY);
    assert_true(r.good);
    assert_int_equal(f->begins, 2);
    assert_int_equal(reuses_with(&t, f, late_look(), false), 0);
    fake_free(f);
    tree_free(&t);
}

/* Two vectors of four in a file that never holds still. */
static void capture_restless_vectors(int64_t dimension, struct fact_list *facts, struct capture_result *r)
{
    static const uint32_t rows[2][5] = {{4, 1, 2, 3, 4}, {4, 5, 6, 7, 8}};
    struct tree t;
    struct err err;
    tree_new(&t);
    tree_write(&t, "v.fvecs", rows, sizeof rows);
    struct meddling m = {.t = &t, .path = "v.fvecs", .times = 100};
    struct capture_options opt = {.vector_dimension = dimension};
    struct fake_sink *f = fake_new(NULL);
    f->on_begin = append_while_read;
    f->arg = &m;
    assert_int_equal(files_capture(t.root, &f->sink, &opt, r, &err), ERR_OK);
    const struct fake_entry *e = fake_find(f, "v.fvecs");
    assert_int_equal(e->end.state, STATE_FUZZY);
    *facts = (struct fact_list){0};
    if (e->end.facts_len > 0)
        assert_int_equal(fact_list_get(e->end.facts, e->end.facts_len, facts, &err), ERR_OK);
    fake_free(f);
    tree_free(&t);
}

/* A file is not out of the check of its dimension because it is written to. */
static void test_vectors_of_another_dimension_are_told_of_a_fuzzy_file_too(void **state)
{
    struct fact_list facts;
    struct capture_result r;
    (void)state;
    for (int64_t as_it_is = 0; as_it_is <= 4; as_it_is += 4) {
        capture_restless_vectors(as_it_is, &facts, &r);
        assert_int_equal(facts.count, 0);
        assert_true(r.good);
        assert_null(fact_find(&r.facts, "vectors.unfit"));
        fact_list_release(&r.facts);
    }
    capture_restless_vectors(8, &facts, &r);
    assert_int_equal(facts.count, 3);
    assert_string_equal(fact_find(&facts, "vectors.format")->text, "fvecs");
    assert_int_equal(fact_find(&facts, "vectors.dimension")->integer, 4);
    assert_int_equal(fact_find(&facts, "vectors.expected_dimension")->integer, 8);
    assert_false(r.good);
    assert_int_equal(fact_find(&r.facts, "vectors.unfit")->integer, 1);
    assert_null(fact_find(&r.facts, "vectors.broken"));
    fact_list_release(&r.facts);
    fact_list_release(&facts);
}

/* The hook of base/io: something happens at the n-th operation of a kind on a name. */
static struct hook {
    const struct tree *t;
    enum io_op op;
    const char *what;
    int result;
    void (*act)(const struct tree *t);
    unsigned hits;
} hook;

static int on_io(enum io_op op, const char *what, void *arg)
{
    (void)arg;
    if (op != hook.op || (hook.what && strcmp(what, hook.what) != 0) || hook.hits++ > 0)
        return 0;
    if (hook.act)
        hook.act(hook.t);
    return hook.result;
}

static struct fake_sink *run_hooked(const struct tree *t, struct hook h, struct capture_result *r)
{
    hook = h;
    hook.t = t;
    struct fake_sink *f = fake_new(NULL);
    struct capture_options opt = {.diag = NULL};
    struct err err = {.code = ERR_OK};
    io_set_hook(on_io, NULL);
    enum errc rc = files_capture(t->root, &f->sink, &opt, r, &err);
    io_set_hook(NULL, NULL);
    fact_list_release(&r->facts);
    if (rc != ERR_OK)
        fail_msg("files_capture: %s", err.message);
    assert_true(hook.hits > 0);
    return f;
}

static void test_a_read_error_costs_that_file_only(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    char *big = calloc(1, 300000);
    memset(big, 'b', 300000);
    tree_write(&t, "bad", big, 300000);
    tree_text(&t, "good", "fine");
    struct capture_result r;
    for (int at_open = 0; at_open < 2; at_open++) {
        struct hook h = {.op = at_open ? IO_OPEN : IO_READ, .what = at_open ? "bad" : NULL, .result = EIO};
        struct fake_sink *f = run_hooked(&t, h, &r);
        assert_null(fake_find(f, "bad"));
        assert_true(fake_has(f, "good", "fine", 4));
        assert_int_equal(f->failed_count, 1);
        assert_non_null(strstr(f->failed[0], "bad"));
        assert_int_equal(r.worst, STATE_ERROR);
        assert_false(r.good);
        fake_free(f);
    }
    free(big);
    tree_free(&t);
}

static void put_nothing(const struct tree *t)
{
    assert_int_equal(unlink(tree_path(t, "m")), 0);
}

static void put_link(const struct tree *t)
{
    put_nothing(t);
    assert_int_equal(symlink("../canary", tree_path(t, "m")), 0);
}

static void put_fifo(const struct tree *t)
{
    put_nothing(t);
    assert_int_equal(mkfifo(tree_path(t, "m"), 0600), 0);
}

static void put_directory(const struct tree *t)
{
    put_nothing(t);
    tree_mkdir(t, "m");
    tree_text(t, "m/in", "inner");
}

static void put_other_file(const struct tree *t)
{
    tree_text(t, "m.new", "another");
    assert_int_equal(rename(tree_path(t, "m.new"), tree_path(t, "m")), 0);
}

static void test_what_stands_there_now_is_taken(void **state)
{
    (void)state;
    static const struct {
        void (*act)(const struct tree *t);
        enum entry_type type; /* 0: nothing */
    } cases[] = {{put_nothing, 0},
                 {put_link, ENTRY_SYMLINK},
                 {put_fifo, ENTRY_FIFO},
                 {put_directory, ENTRY_DIR},
                 {put_other_file, ENTRY_FILE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tree t;
        tree_new(&t);
        tree_text(&t, "m", "original");
        tree_text(&t, "../canary", "CANARY");
        struct capture_result r;
        struct fake_sink *f = run_hooked(&t, (struct hook){.op = IO_OPEN, .what = "m", .act = cases[i].act}, &r);
        const struct fake_entry *e = fake_find(f, "m");
        assert_int_equal(e != NULL, cases[i].type != 0);
        assert_int_equal(e ? e->e.type : 0, cases[i].type);
        if (cases[i].type == ENTRY_DIR)
            assert_true(fake_has(f, "m/in", "inner", 5));
        if (cases[i].type == ENTRY_FILE)
            assert_true(fake_has(f, "m", "another", 7));
        assert_int_equal(f->failed_count, 0);
        fake_free(f);
        tree_free(&t);
    }
}

static void directory_to_link(const struct tree *t)
{
    assert_int_equal(rename(tree_path(t, "d"), tree_path(t, "../moved")), 0);
    assert_int_equal(symlink("../outside", tree_path(t, "d")), 0);
}

static void test_a_directory_swapped_for_a_link_is_not_followed(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_mkdir(&t, "d");
    tree_text(&t, "d/f", "inside");
    tree_mkdir(&t, "../outside");
    tree_text(&t, "../outside/f", "CANARY");
    struct capture_result r;
    struct fake_sink *f = run_hooked(&t, (struct hook){.op = IO_OPEN, .what = "d", .act = directory_to_link}, &r);
    assert_int_equal(fake_find(f, "d")->e.type, ENTRY_SYMLINK);
    assert_int_equal(f->count, 2);
    fake_free(f);
    tree_free(&t);
}

static void assert_no_canary(const struct fake_sink *f)
{
    for (size_t i = 0; i < f->count; i++) {
        for (size_t k = 0; k < f->entries[i].piece_count; k++) {
            const struct fake_piece *p = &f->entries[i].pieces[k];
            assert_null(p->data ? memmem(p->data, p->len, "CANARY", 6) : NULL);
        }
        assert_null(strstr(f->entries[i].e.path, "canary"));
    }
}

enum { LEVELS = 100, CUT_LEVEL = 20 };

/* "d/d/d/…" with a file "z" on each level, so that the walk has to come back to each. */
static void make_levels(const struct tree *t)
{
    char path[4 * LEVELS] = "";
    for (int i = 0; i < LEVELS; i++) {
        strcat(path, i ? "/d" : "d");
        tree_mkdir(t, path);
        char file[4 * LEVELS + 8];
        snprintf(file, sizeof file, "%s/z", path);
        tree_text(t, file, "inside");
    }
    strcat(path, "/m");
    tree_text(t, path, "the deepest");
    tree_mkdir(t, "../outside");
    tree_text(t, "../outside/z", "CANARY");
}

static void level_path(const struct tree *t, int level, char *out, size_t cap)
{
    snprintf(out, cap, "%s", t->root);
    for (int i = 0; i < level; i++)
        strcat(out, "/d");
}

/* By then the descriptor of that level is closed. */
static void move_level_out(const struct tree *t)
{
    char from[1024], to[1100];
    level_path(t, CUT_LEVEL, from, sizeof from);
    snprintf(to, sizeof to, "%s/outside/taken", t->dir);
    assert_int_equal(rename(from, to), 0);
}

static void move_level_and_rename_its_parent(const struct tree *t)
{
    char from[1024], to[1100];
    move_level_out(t);
    level_path(t, CUT_LEVEL - 1, from, sizeof from);
    snprintf(to, sizeof to, "%s-renamed", from);
    assert_int_equal(rename(from, to), 0);
}

static void test_a_directory_moved_away_does_not_lead_outside(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    make_levels(&t);
    struct capture_result r;
    struct fake_sink *f = run_hooked(&t, (struct hook){.op = IO_OPEN, .what = "m", .act = move_level_out}, &r);
    assert_int_equal(f->failed_count, 0); /* its parent is found again by its names */
    assert_int_equal(f->count, 1 + 2 * LEVELS + 1);
    assert_no_canary(f);
    fake_free(f);
    tree_free(&t);

    tree_new(&t);
    make_levels(&t);
    f = run_hooked(&t, (struct hook){.op = IO_OPEN, .what = "m", .act = move_level_and_rename_its_parent}, &r);
    assert_int_equal(f->failed_count, 1); /* that one is lost, those above it are not */
    assert_non_null(strstr(f->failed[0], "moved"));
    assert_int_equal(f->count, 1 + 2 * LEVELS + 1 - 1);
    assert_int_equal(r.worst, STATE_ERROR);
    assert_no_canary(f);
    fake_free(f);
    tree_free(&t);
}

/* Swaps "d" and a link to outside, and "f" and a link to the canary, as fast as it can. */
struct swapper {
    const struct tree *t;
    atomic_bool stop;
    unsigned long rounds;
};

static void *swap_loop(void *arg)
{
    struct swapper *s = arg;
    char d[300], link_d[300], f[300], link_f[300];
    snprintf(d, sizeof d, "%s/d", s->t->root);
    snprintf(link_d, sizeof link_d, "%s/link-d", s->t->dir);
    snprintf(f, sizeof f, "%s/f", s->t->root);
    snprintf(link_f, sizeof link_f, "%s/link-f", s->t->dir);
    while (!atomic_load(&s->stop)) {
        (void)!renameat2(AT_FDCWD, d, AT_FDCWD, link_d, RENAME_EXCHANGE);
        (void)!renameat2(AT_FDCWD, f, AT_FDCWD, link_f, RENAME_EXCHANGE);
        s->rounds++;
    }
    return NULL;
}

static void test_a_loop_of_swaps_never_leads_outside(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    tree_mkdir(&t, "d");
    tree_mkdir(&t, "d/sub");
    tree_text(&t, "d/sub/x", "inside");
    tree_text(&t, "f", "inside");
    tree_mkdir(&t, "../outside");
    tree_text(&t, "../outside/canary", "CANARY");
    tree_mkdir(&t, "../outside/sub");
    tree_text(&t, "../outside/sub/x", "CANARY");
    assert_int_equal(symlink("../outside", tree_path(&t, "../link-d")), 0);
    assert_int_equal(symlink("../outside/canary", tree_path(&t, "../link-f")), 0);
    struct swapper s = {.t = &t};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, swap_loop, &s), 0);
    uint64_t until = monotonic_ns() + 1500000000u;
    unsigned long links = 0, files = 0;
    while (monotonic_ns() < until) {
        struct fake_sink *f = fake_new(NULL);
        struct capture_options opt = {.diag = NULL};
        struct capture_result r;
        struct err err;
        assert_int_equal(files_capture(t.root, &f->sink, &opt, &r, &err), ERR_OK);
        fact_list_release(&r.facts);
        assert_no_canary(f);
        const struct fake_entry *e = fake_find(f, "f");
        links += e && e->e.type == ENTRY_SYMLINK;
        files += e && e->e.type == ENTRY_FILE;
        fake_free(f);
    }
    atomic_store(&s.stop, true);
    pthread_join(thread, NULL);
    print_message("%lu swaps; seen as a link %lu times, as a file %lu times\n", s.rounds, links, files);
    assert_true(links > 0 && files > 0);
    tree_free(&t);
}

enum { LIVE_BYTES = 4 << 20 };

/* A writer that rewrites a file in place, every generation of one letter. */
static void *write_loop(void *arg)
{
    struct swapper *s = arg;
    char path[300];
    snprintf(path, sizeof path, "%s/live", s->t->root);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    static char block[LIVE_BYTES];
    while (fd >= 0 && !atomic_load(&s->stop)) {
        memset(block, 'a' + (int)(s->rounds++ % 26), sizeof block);
        (void)!pwrite(fd, block, sizeof block, 0);
        /* bursts with rests between, so that some readings can be exact */
        struct timespec pause = {.tv_nsec = s->rounds % 8 == 0 ? 120000000 : (long)(s->rounds % 8) * 500000};
        nanosleep(&pause, NULL);
    }
    close(fd);
    return NULL;
}

static bool one_letter(const struct fake_entry *e)
{
    int letter = 0;
    for (size_t i = 0; i < e->piece_count; i++) {
        const struct fake_piece *p = &e->pieces[i];
        if (letter == 0)
            letter = p->data[0];
        for (uint64_t k = 0; k < p->len; k++) {
            if (p->data[k] != letter)
                return false;
        }
    }
    return true;
}

static void test_exact_is_never_a_mix_of_two_writes(void **state)
{
    (void)state;
    struct tree t;
    tree_new(&t);
    char *block = malloc(LIVE_BYTES);
    assert_non_null(block);
    memset(block, 'z', LIVE_BYTES);
    tree_write(&t, "live", block, LIVE_BYTES);
    free(block);
    struct swapper s = {.t = &t};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_loop, &s), 0);
    unsigned exact = 0, fuzzy = 0, mixed = 0;
    uint64_t until = monotonic_ns() + 1500000000u;
    while (monotonic_ns() < until) {
        struct fake_sink *f = run(&t);
        const struct fake_entry *e = fake_find(f, "live");
        if (e->end.state == STATE_FUZZY) {
            fuzzy++;
        } else {
            exact++;
            mixed += !one_letter(e);
        }
        fake_free(f);
    }
    atomic_store(&s.stop, true);
    pthread_join(thread, NULL);
    print_message("%lu writes; exact %u times, of these mixed %u; fuzzy %u times\n", s.rounds, exact, mixed, fuzzy);
    assert_true(exact > 0);
    assert_int_equal(mixed, 0);
    tree_free(&t);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_unchanged_files_are_reused),
    cmocka_unit_test(test_files_as_young_as_the_last_look_are_read_again),
    cmocka_unit_test(test_each_mark_of_change_counts),
    cmocka_unit_test(test_a_file_that_changes_once_is_read_again),
    cmocka_unit_test(test_a_file_that_never_holds_still_is_fuzzy_and_read_the_next_time),
    cmocka_unit_test(test_vectors_of_another_dimension_are_told_of_a_fuzzy_file_too),
    cmocka_unit_test(test_a_read_error_costs_that_file_only),
    cmocka_unit_test(test_what_stands_there_now_is_taken),
    cmocka_unit_test(test_a_directory_swapped_for_a_link_is_not_followed),
    cmocka_unit_test(test_a_directory_moved_away_does_not_lead_outside),
    cmocka_unit_test(test_a_loop_of_swaps_never_leads_outside),
    cmocka_unit_test(test_exact_is_never_a_mix_of_two_writes),
};

FILES_TEST_MAIN(tests)
