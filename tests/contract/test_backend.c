/* Every backend keeps these promises (backend/backend.h). Today there is one: a local directory. */
#include "tree.h"

#include <pthread.h>
#include <sys/file.h>

#include "backend/backend.h"

#define OK(call)                                         \
    do {                                                 \
        if ((call) != ERR_OK)                            \
            fail_msg("%s: %s", #call, test_err.message); \
    } while (0)
static struct err test_err;

/* The clock that backend_clean sees. */
static time_t clock_shift;
time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += clock_shift;
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

struct place {
    struct tree t;
    struct backend *b;
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    tree_new(&p->t);
    OK(backend_open_local(p->t.root, &p->b, &test_err));
    OK(backend_make_dir(p->b, "tmp", &test_err));
    OK(backend_make_dir(p->b, "packs", &test_err));
    OK(backend_make_dir(p->b, "packs", &test_err)); /* there already is fine */
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    clock_shift = 0;
    backend_close(p->b);
    tree_free(&p->t);
    free(p);
    return 0;
}

static enum errc count_one(void *arg, const char *name, struct err *err)
{
    (void)err;
    assert_true(strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strchr(name, '/'));
    ++*(size_t *)arg;
    return ERR_OK;
}

static size_t count(struct backend *b, const char *dir)
{
    size_t n = 0;
    OK(backend_list(b, dir, count_one, &n, &test_err));
    return n;
}

static void whole(struct backend *b, const char *name, const void *data, size_t len)
{
    struct buf got;
    buf_init(&got, 1 << 25);
    OK(backend_get(b, name, 1 << 25, &got, &test_err));
    assert_int_equal(got.len, len);
    assert_memory_equal(got.data, data, len);
    buf_release(&got);
}

static void put_and_get(void **state)
{
    struct place *p = *state;
    struct err err;
    bool taken, yes;
    uint64_t size;
    struct buf got;
    struct object *o;
    char part[4];
    OK(backend_put(p->b, "packs/a", "first", 5, &taken, &test_err));
    assert_false(taken);
    whole(p->b, "packs/a", "first", 5);
    OK(backend_exists(p->b, "packs/a", &yes, &size, &test_err));
    assert_true(yes && size == 5);
    OK(backend_exists(p->b, "packs/b", &yes, NULL, &test_err));
    assert_false(yes);
    OK(backend_exists(p->b, "nowhere/b", &yes, NULL, &test_err));
    assert_false(yes);
    buf_init(&got, 100);
    assert_int_equal(backend_get(p->b, "packs/b", 100, &got, &err), ERR_MISSING_OBJECT);
    assert_int_equal(backend_get(p->b, "packs/a", 4, &got, &err), ERR_LIMIT);
    assert_int_equal(got.len, 0);
    buf_release(&got);
    assert_int_equal(object_open(p->b, "packs/b", &o, &err), ERR_MISSING_OBJECT);
    OK(object_open(p->b, "packs/a", &o, &test_err));
    assert_int_equal(object_size(o), 5);
    OK(object_read(o, part, 4, 1, &test_err));
    assert_memory_equal(part, "irst", 4);
    assert_int_equal(object_read(o, part, 4, 2, &err), ERR_DAMAGED);
    assert_int_equal(object_read(o, part, 1, UINT64_MAX, &err), ERR_DAMAGED);
    OK(backend_remove(p->b, "packs/a", &test_err)); /* who has it open keeps it */
    OK(object_read(o, part, 4, 0, &test_err));
    object_close(o);
    OK(backend_remove(p->b, "packs/a", &test_err)); /* absent is fine */
    assert_int_equal(count(p->b, "packs"), 0);
    assert_int_equal(count(p->b, "tmp"), 0);
}

/* BE2 */
static void never_replaced(void **state)
{
    struct place *p = *state;
    struct object_writer *w;
    struct err err;
    bool taken;
    OK(backend_put(p->b, "packs/a", "first", 5, &taken, &test_err));
    OK(backend_put(p->b, "packs/a", "second", 6, &taken, &test_err));
    assert_true(taken);
    whole(p->b, "packs/a", "first", 5);
    OK(object_writer_new(p->b, &w, &test_err));
    OK(object_writer_write(w, "third", 5, &test_err));
    OK(object_writer_sync(w, &test_err));
    assert_int_not_equal(object_writer_publish(w, "packs/a", &err), ERR_OK);
    object_writer_free(w);
    whole(p->b, "packs/a", "first", 5);
    assert_int_equal(count(p->b, "tmp"), 0);
    OK(backend_replace(p->b, "packs/a", "fourth", 6, &test_err));
    whole(p->b, "packs/a", "fourth", 6);
    assert_int_equal(count(p->b, "packs"), 1);
}

enum { WRITERS = 8, ROUNDS = 60 };
struct writer {
    struct place *p;
    pthread_t thread;
    char id;
    unsigned won[ROUNDS];
};

static void *write_all(void *arg)
{
    struct writer *w = arg;
    char data[5000], name[40];
    struct err err;
    memset(data, w->id, sizeof data);
    for (int i = 0; i < ROUNDS; i++) {
        bool taken = true;
        snprintf(name, sizeof name, "packs/%d", i);
        if (backend_put(w->p->b, name, data, sizeof data, &taken, &err) == ERR_OK && !taken)
            w->won[i] = 1;
    }
    return NULL;
}

/* Of all that make one name, one wins, and its bytes stand there. */
static void one_winner(void **state)
{
    struct place *p = *state;
    struct writer writers[WRITERS];
    memset(writers, 0, sizeof writers);
    for (int i = 0; i < WRITERS; i++) {
        writers[i].p = p;
        writers[i].id = (char)('a' + i);
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_all, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        char data[5000], name[40];
        int winner = -1;
        for (int i = 0; i < WRITERS; i++)
            if (writers[i].won[round]) {
                assert_int_equal(winner, -1);
                winner = i;
            }
        assert_true(winner >= 0);
        memset(data, 'a' + winner, sizeof data);
        snprintf(name, sizeof name, "packs/%d", round);
        whole(p->b, name, data, sizeof data);
    }
    assert_int_equal(count(p->b, "tmp"), 0);
}

/* BE1 */
static void not_before_publish(void **state)
{
    struct place *p = *state;
    struct object_writer *w;
    bool yes;
    enum { STEP = 100000, STEPS = 200 };
    uint8_t *all = malloc(STEP * STEPS);
    for (size_t i = 0; i < STEP * STEPS; i++)
        all[i] = (uint8_t)(i * 7 + i / 1000);
    OK(object_writer_new(p->b, &w, &test_err));
    for (size_t i = 0; i < STEPS; i++)
        OK(object_writer_write(w, all + i * STEP, STEP, &test_err));
    assert_int_equal(count(p->b, "packs"), 0);
    OK(object_writer_sync(w, &test_err));
    assert_int_equal(count(p->b, "packs"), 0);
    OK(object_writer_publish(w, "packs/big", &test_err));
    OK(backend_sync_dir(p->b, "packs", &test_err));
    OK(backend_exists(p->b, "packs/big", &yes, NULL, &test_err));
    assert_true(yes);
    whole(p->b, "packs/big", all, STEP * STEPS);
    free(all);

    OK(object_writer_new(p->b, &w, &test_err)); /* given up */
    OK(object_writer_write(w, "x", 1, &test_err));
    object_writer_free(w);
    assert_int_equal(count(p->b, "packs"), 1);
    assert_int_equal(count(p->b, "tmp"), 0);
}

/* BE3 */
static void temporary_files(void **state)
{
    struct place *p = *state;
    struct object_writer *live;
    struct backend *b;
    OK(object_writer_new(p->b, &live, &test_err));
    OK(object_writer_write(live, "mine", 4, &test_err));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* dies with a file of its own */
        struct object_writer *w;
        struct err err;
        struct backend *own;
        int ok = backend_open_local(p->t.root, &own, &err) == ERR_OK && object_writer_new(own, &w, &err) == ERR_OK &&
                 object_writer_write(w, "dead", 4, &err) == ERR_OK;
        _exit(!ok);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(count(p->b, "tmp"), 2);
    OK(backend_open_local(p->t.root, &b, &test_err));
    backend_clean(b); /* as young as a file whose writer is about to lock it */
    assert_int_equal(count(p->b, "tmp"), 2);
    clock_shift = 120;
    backend_clean(b);
    assert_int_equal(count(p->b, "tmp"), 1);
    backend_clean(b);
    assert_int_equal(count(p->b, "tmp"), 1);
    OK(object_writer_sync(live, &test_err));
    OK(object_writer_publish(live, "packs/live", &test_err));
    whole(b, "packs/live", "mine", 4);
    backend_close(b);
}

static enum errc stop(void *arg, const char *name, struct err *err)
{
    (void)name;
    ++*(size_t *)arg;
    return err_fail(err, ERR_LIMIT, "enough");
}

static void listing(void **state)
{
    struct place *p = *state;
    bool taken;
    size_t n = 0;
    struct err err;
    char name[40];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "packs/%d", i);
        OK(backend_put(p->b, name, "", 0, &taken, &test_err));
    }
    assert_int_equal(count(p->b, "packs"), 300);
    assert_int_equal(backend_list(p->b, "packs", stop, &n, &err), ERR_LIMIT);
    assert_int_equal(n, 1);
    assert_int_equal(backend_list(p->b, "nowhere", count_one, &n, &err), ERR_MISSING_OBJECT);
}

/* What is not a plain file is no object, and nothing waits for it. */
static void strange_files(void **state)
{
    struct place *p = *state;
    struct object *o;
    struct err err;
    bool yes, taken;
    assert_int_equal(mkfifo(tree_path(&p->t, "packs/fifo"), 0600), 0);
    assert_int_equal(symlink("/etc/passwd", tree_path(&p->t, "packs/link")), 0);
    assert_int_equal(mkdir(tree_path(&p->t, "packs/dir"), 0700), 0);
    assert_int_not_equal(object_open(p->b, "packs/fifo", &o, &err), ERR_OK);
    assert_int_not_equal(object_open(p->b, "packs/link", &o, &err), ERR_OK);
    assert_int_not_equal(object_open(p->b, "packs/dir", &o, &err), ERR_OK);
    OK(backend_exists(p->b, "packs/dir", &yes, NULL, &test_err));
    assert_false(yes);
    OK(backend_put(p->b, "packs/link", "x", 1, &taken, &test_err));
    assert_true(taken);
    assert_int_equal(mkfifo(tree_path(&p->t, "tmp/fifo"), 0600), 0);
    clock_shift = 3600;
    backend_clean(p->b); /* does not wait, does not remove what no writer made */
    assert_int_equal(count(p->b, "tmp"), 1);
}

static void small_objects_are_plain_files(void **state)
{
    struct place *p = *state;
    struct buf got;
    struct err err;
    buf_init(&got, 100);
    assert_int_equal(mkfifo(tree_path(&p->t, "packs/fifo"), 0600), 0);
    alarm(20);
    assert_int_not_equal(backend_get(p->b, "packs/fifo", 100, &got, &err), ERR_OK);
    alarm(0);
    buf_release(&got);
}

static void locks(void **state)
{
    struct place *p = *state;
    struct backend *b;
    struct err err;
    OK(backend_open_local(p->t.root, &b, &test_err));
    assert_true(backend_features(b) & BACKEND_LOCKS);
    OK(backend_lock(p->b, false, 0, &test_err));
    OK(backend_lock(b, false, 0, &test_err)); /* shared by all readers */
    assert_int_equal(backend_lock(b, true, 100, &err), ERR_LOCKED);
    backend_unlock(p->b);
    OK(backend_lock(b, true, 0, &test_err));
    assert_int_equal(backend_lock(p->b, false, 0, &err), ERR_LOCKED);
    backend_close(b);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* a lock dies with its process */
        OK(backend_open_local(p->t.root, &b, &test_err));
        OK(backend_lock(b, true, 0, &test_err));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    OK(backend_lock(p->b, true, 0, &test_err));
}

static void no_directory(void **state)
{
    struct place *p = *state;
    struct backend *b;
    struct err err;
    assert_int_equal(backend_open_local(tree_path(&p->t, "nowhere"), &b, &err), ERR_NO_REPOSITORY);
    tree_text(&p->t, "file", "x");
    assert_int_equal(backend_open_local(tree_path(&p->t, "file"), &b, &err), ERR_NO_REPOSITORY);
}

/* As another user, who may read and not write. */
static void read_only(void **state)
{
    struct place *p = *state;
    bool taken;
    OK(backend_put(p->b, "packs/a", "first", 5, &taken, &test_err));
    assert_int_equal(chmod(tree_path(&p->t, "packs/a"), 0644), 0);
    assert_int_equal(chmod(tree_path(&p->t, "packs"), 0755), 0);
    assert_int_equal(chmod(tree_path(&p->t, "tmp"), 0755), 0);
    assert_int_equal(chmod(p->t.root, geteuid() == 0 ? 0755 : 0555), 0);
    if (geteuid() != 0) {
        assert_int_equal(chmod(tree_path(&p->t, "packs"), 0555), 0);
        assert_int_equal(chmod(tree_path(&p->t, "tmp"), 0555), 0);
    }
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct backend *b;
        struct object_writer *w;
        struct err err;
        if (geteuid() == 0)
            assert_int_equal(setuid(65534), 0);
        OK(backend_open_local(p->t.root, &b, &test_err));
        assert_false(backend_features(b) & BACKEND_WRITABLE);
        whole(b, "packs/a", "first", 5);
        OK(backend_lock(b, false, 0, &test_err));
        assert_int_not_equal(object_writer_new(b, &w, &err), ERR_OK);
        assert_int_not_equal(backend_put(b, "packs/b", "x", 1, &taken, &err), ERR_OK);
        assert_int_not_equal(backend_remove(b, "packs/a", &err), ERR_OK);
        backend_clean(b);
        backend_close(b);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(chmod(p->t.root, 0755), 0);
    assert_int_equal(chmod(tree_path(&p->t, "packs"), 0755), 0);
    assert_int_equal(chmod(tree_path(&p->t, "tmp"), 0755), 0);
    assert_int_equal(status, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(put_and_get),
        T(never_replaced),
        T(one_winner),
        T(not_before_publish),
        T(temporary_files),
        T(listing),
        T(strange_files),
        T(locks),
        T(no_directory),
        T(read_only),
        T(small_objects_are_plain_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
