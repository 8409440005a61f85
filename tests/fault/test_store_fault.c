/* Every operation on files fails in turn, once and from then on; every allocation fails in turn. What is said to be
 * done is done (I3), what was there before is unharmed (I5), nothing is left that needs a hand (I2). */
#include "store_run.h"

#include <limits.h>

enum { LEN = 300000 };

/* --- the fault ------------------------------------------------------------------------------------------------------
 */

static struct {
    pthread_mutex_t lock;
    unsigned long count, at; /* at: which operation fails; 0: none */
    bool from_then_on;
    int error;
} fault = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int hook(enum io_op op, const char *what, void *arg)
{
    (void)what;
    (void)arg;
    if ((op == IO_READ || op == IO_OPEN || op == IO_CLOSE || op == IO_UNLINK) && fault.error == ENOSPC)
        return 0;
    pthread_mutex_lock(&fault.lock);
    unsigned long n = ++fault.count;
    pthread_mutex_unlock(&fault.lock);
    bool fails = fault.at != 0 && (fault.from_then_on ? n >= fault.at : n == fault.at);
    return fails ? fault.error : 0;
}

static void arm(unsigned long at, bool from_then_on, int error)
{
    fault.count = 0;
    fault.at = at;
    fault.from_then_on = from_then_on;
    fault.error = error;
    io_set_hook(hook, NULL);
}

static bool disarm(void)
{
    io_set_hook(NULL, NULL);
    return fault.count >= fault.at; /* it struck */
}

/* malloc, calloc, realloc: the program's own stand before the library's. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
static struct {
    bool on;
    unsigned long count, at;
} memory;

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED
static bool out_of_memory(void)
{
    return memory.on && __atomic_add_fetch(&memory.count, 1, __ATOMIC_RELAXED) == memory.at;
}

void *malloc(size_t n)
{
    return out_of_memory() ? (errno = ENOMEM, NULL) : __libc_malloc(n);
}
void *calloc(size_t n, size_t m)
{
    return out_of_memory() ? (errno = ENOMEM, NULL) : __libc_calloc(n, m);
}
void *realloc(void *p, size_t n)
{
    return out_of_memory() ? (errno = ENOMEM, NULL) : __libc_realloc(p, n);
}
#endif

/* --- what is done beside the fault -----------------------------------------------------------------------------------
 */

struct state {
    struct repo r;
    struct stream first, second;
    struct snapshot base; /* committed before */
};

static enum errc try_stream(struct list_writer *w, const struct stream *s, struct err *err)
{
    const struct entry *before;
    struct entry e = {.path = s->path, .path_len = strlen(s->path), .type = ENTRY_FILE, .size = s->len, .nlink = 1};
    struct entry_end end = {.state = STATE_EXACT, .size = s->len};
    enum errc rc = list_writer_previous(w, s->path, strlen(s->path), &before, err);
    if (rc == ERR_OK)
        rc = list_writer_begin(w, s->fixed, err);
    if (rc == ERR_OK)
        rc = list_writer_data(w, s->data, s->len, err);
    return rc == ERR_OK ? list_writer_end(w, &e, &end, err) : rc;
}

/* A whole run: open, write, commit. */
static enum errc try_backup(struct state *st, struct snapshot *snap, struct err *err)
{
    struct store *s = NULL;
    struct session *x = NULL;
    struct list_writer *w = NULL;
    struct stream_root root;
    memset(snap, 0, sizeof *snap);
    enum errc rc = repo_try(&st->r, st->r.cache, true, &s, err);
    if (rc == ERR_OK)
        rc = session_begin(s, NULL, false, &x, err);
    if (rc == ERR_OK)
        rc = list_writer_open(x, &st->base.items[0].list, &w, err);
    if (rc == ERR_OK)
        rc = try_stream(w, &st->second, err);
    if (rc == ERR_OK)
        rc = list_writer_finish(w, &root, err);
    list_writer_free(w);
    if (rc == ERR_OK) {
        memory.on = false;
        fill_snapshot(snap, &root);
        memory.on = memory.at != 0;
        rc = session_commit(x, snap, err);
    }
    session_free(x);
    store_close(s);
    return rc;
}

static void state_new(struct state *st)
{
    repo_new(&st->r);
    st->first = (struct stream){.path = "a", .len = LEN, .data = random_bytes(LEN, 1)};
    st->second = (struct stream){.path = "a", .len = LEN, .data = random_bytes(LEN, 1)};
    memset(st->second.data + 1000, 'x', 200);
    memset(st->second.data + 200000, 'x', 90000);
    store_streams(st->r.store, &st->first, 1, NULL, &st->base);
    repo_close(&st->r);
    run_command("cp -a %s %s/kept; cp -a %s %s/kept-cache", st->r.path, st->r.t.dir, st->r.cache, st->r.t.dir);
}

static void state_free(struct state *st)
{
    snapshot_release(&st->base);
    free(st->first.data);
    free(st->second.data);
    repo_free(&st->r);
}

static void state_put_back(struct state *st)
{
    run_command("rm -rf %s %s; cp -a %s/kept %s; cp -a %s/kept-cache %s", st->r.path, st->r.cache, st->r.t.dir,
                st->r.path, st->r.t.dir, st->r.cache);
}

/* After a run that ended with rc: each snapshot that can be seen is whole, verify finds nothing, and the next run
 * works. */
static void check_after(struct state *st, enum errc rc, const struct snapshot *snap, const char *what, unsigned long at)
{
    repo_open(&st->r);
    struct seen seen = {.count = 0};
    struct snapshot_filter all = {.any_deleted = true};
    OK(catalog_snapshots(store_catalog(st->r.store), &all, see, &seen, &test_err));
    if (seen.count < 1 || seen.count > 2 || (rc == ERR_OK && seen.count != 2))
        fail_msg("%s %lu: %zu snapshots after '%s'", what, at, seen.count, err_name(rc));
    for (size_t i = 0; i < seen.count; i++) {
        struct snapshot_row row;
        bool found;
        OK(catalog_snapshot(store_catalog(st->r.store), &seen.ids[i], &row, &found, &test_err));
        assert_true(found);
        struct err err;
        if (try_compare(st->r.store, &row.snap.items[0].list, i == 0 ? &st->first : &st->second, 1, &err) != ERR_OK)
            fail_msg("%s %lu: snapshot %zu after '%s': %s", what, at, i, err_name(rc), err.message);
        snapshot_row_release(&row);
    }
    if (rc == ERR_OK)
        assert_memory_equal(&seen.ids[1], &snap->id, sizeof snap->id);
    repo_close(&st->r);
}

static void check_next_run(struct state *st)
{
    struct snapshot again;
    struct err err;
    if (try_backup(st, &again, &err) != ERR_OK)
        fail_msg("the next run: %s", err.message);
    repo_open(&st->r);
    compare(st->r.store, &again, &st->second, 1);
    struct store_verify_options opt = {.read_data = true};
    struct store_verify_result result;
    OK(store_verify(st->r.store, &opt, &result, &test_err));
    if (result.error_count > 0)
        fail_msg("verify: %s: %s", result.errors[0].object, result.errors[0].message);
    store_verify_result_release(&result);
    repo_close(&st->r);
    snapshot_release(&again);
}

/* --- files
 * ------------------------------------------------------------------------------------------------------------- */

static void session_faults(void **state)
{
    (void)state;
    struct state st;
    static const int errors[] = {EIO, ENOSPC};
    state_new(&st);
    for (int e = 0; e < 2; e++)
        for (int on = 0; on < 2; on++)
            for (unsigned long at = 1;; at++) {
                struct snapshot snap;
                struct err err;
                state_put_back(&st);
                arm(at, on == 1, errors[e]);
                enum errc rc = try_backup(&st, &snap, &err);
                bool struck = disarm();
                if (!struck) {
                    assert_int_equal(rc, ERR_OK);
                    assert_true(at > 8);
                    snapshot_release(&snap);
                    break;
                }
                if (rc != ERR_OK) {
                    assert_true(err.message[0] != '\0');
                    if (errors[e] == ENOSPC && rc != ERR_NO_SPACE && rc != ERR_IO && rc != ERR_CATALOG)
                        fail_msg("operation %lu: '%s' when the disk is full: %s", at, err_name(rc), err.message);
                    if (on == 0 && (count_names(&st.r, "tmp") > 0))
                        fail_msg("operation %lu (%s): a temporary file is left after: %s", at, strerror(errors[e]),
                                 err.message);
                }
                check_after(&st, rc, &snap, on ? "from operation" : "operation", at);
                if (at % 4 == 0)
                    check_next_run(&st);
                snapshot_release(&snap);
            }
    state_free(&st);
}

static void init_faults(void **state)
{
    (void)state;
    for (int on = 0; on < 2; on++)
        for (unsigned long at = 1;; at++) {
            struct repo r;
            struct err err;
            repo_paths(&r);
            arm(at, on == 1, ENOSPC);
            enum errc rc = repo_init(&r, &err);
            bool struck = disarm();
            if (rc != ERR_OK && on == 0) {
                struct stat s;
                assert_int_equal(rc, ERR_NO_SPACE);
                if (stat(r.path, &s) == 0)
                    fail_msg("operation %lu: the directory is left after: %s", at, err.message);
            }
            if (rc != ERR_OK)
                OK(repo_init(&r, &test_err));
            repo_open(&r);
            repo_free(&r);
            if (!struck) {
                assert_int_equal(rc, ERR_OK);
                assert_true(at > 20);
                break;
            }
        }
}

/* A new catalog from the log. */
static void replay_faults(void **state)
{
    (void)state;
    struct state st;
    state_new(&st);
    for (int on = 0; on < 2; on++)
        for (unsigned long at = 1;; at++) {
            struct store *s = NULL;
            struct err err;
            run_command("rm -rf %s", st.r.cache);
            arm(at, on == 1, EIO);
            enum errc rc = repo_try(&st.r, st.r.cache, true, &s, &err);
            bool struck = disarm();
            store_close(s);
            check_after(&st, ERR_INTERNAL, NULL, "replay, operation", at);
            if (!struck) {
                assert_int_equal(rc, ERR_OK);
                break;
            }
        }
    state_free(&st);
}

/* A record of the log other than a snapshot. */
static void append_faults(void **state)
{
    (void)state;
    struct state st;
    state_new(&st);
    for (int on = 0; on < 2; on++)
        for (unsigned long at = 1;; at++) {
            struct err err;
            struct log_body body = {.head.kind = LOG_HOLD, .ids = &st.base.id, .id_count = 1, .name = (char[]){"keep"}};
            state_put_back(&st);
            repo_open(&st.r);
            arm(at, on == 1, ENOSPC);
            enum errc rc = store_append(st.r.store, &body, &err);
            bool struck = disarm();
            repo_close(&st.r);
            repo_open(&st.r);
            struct snapshot_id id;
            bool found;
            OK(catalog_hold(store_catalog(st.r.store), "keep", &id, &found, &test_err));
            assert_true(found || rc != ERR_OK);
            repo_close(&st.r);
            check_after(&st, ERR_INTERNAL, NULL, "append, operation", at);
            if (!struck) {
                assert_int_equal(rc, ERR_OK);
                break;
            }
        }
    state_free(&st);
}

/* --- memory
 * ----------------------------------------------------------------------------------------------------------- */

static void memory_faults(void **state)
{
    (void)state;
    struct state st;
    unsigned long allocations;
    struct snapshot snap;
    struct err err;
    state_new(&st);
#ifdef SANITIZED
    print_message("the sanitizer owns malloc: the fault is not injected here, the plain build does it\n");
#endif
    memory.at = ULONG_MAX;
    memory.count = 0;
    memory.on = true;
    OK(try_backup(&st, &snap, &test_err));
    memory.on = false;
    allocations = memory.count;
    snapshot_release(&snap);
    unsigned long step = getenv("SNAP_TEST_LONG") ? 1 : allocations / 60 + 1;
    for (unsigned long at = 1; at <= allocations; at += at < 40 ? 3 : step) {
        state_put_back(&st);
        memory.at = at;
        memory.count = 0;
        memory.on = true;
        enum errc rc = try_backup(&st, &snap, &err);
        memory.on = false;
        check_after(&st, rc, &snap, "allocation", at);
        snapshot_release(&snap);
    }
    check_next_run(&st);
    state_free(&st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session_faults), cmocka_unit_test(init_faults),   cmocka_unit_test(replay_faults),
        cmocka_unit_test(append_faults),  cmocka_unit_test(memory_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
