/* Sessions beside each other and sessions that were killed; deltas that two writers made of each other's chunks. */
#include "store_run.h"

#include <signal.h>

enum { LEN = 600000 };

/* A child that opens the repository, writes the stream, says so, waits for the word and commits (or is killed). */
struct other {
    pid_t pid;
    int say[2], hear[2];
};

static void child(const struct repo *r, const char *cache, const struct stream *s, const struct other *o)
{
    struct store *store;
    struct session *x;
    struct list_writer *w;
    struct stream_root root;
    struct snapshot snap;
    char word;
    struct err err;
    close(o->hear[1]); /* so that a parent that fails is noticed, not waited for */
    close(o->say[0]);
    if (repo_try(r, cache, true, &store, &err) != ERR_OK || session_begin(store, NULL, false, &x, &err) != ERR_OK ||
        list_writer_open(x, NULL, &w, &err) != ERR_OK)
        _exit(1);
    put_stream(w, s);
    if (list_writer_finish(w, &root, &err) != ERR_OK)
        _exit(2);
    list_writer_free(w);
    if (write(o->say[1], "w", 1) != 1 || read(o->hear[0], &word, 1) != 1)
        _exit(3);
    fill_snapshot(&snap, &root);
    if (session_commit(x, &snap, &err) != ERR_OK)
        _exit(4);
    snapshot_release(&snap);
    session_free(x);
    store_close(store);
    _exit(0);
}

static void start(struct other *o, const struct repo *r, const char *cache, const struct stream *s)
{
    char word;
    assert_int_equal(pipe(o->say), 0);
    assert_int_equal(pipe(o->hear), 0);
    o->pid = fork();
    assert_true(o->pid >= 0);
    if (o->pid == 0)
        child(r, cache, s, o);
    close(o->say[1]);
    assert_int_equal(read(o->say[0], &word, 1), 1);
}

static void finish(struct other *o, bool kill_it)
{
    int status;
    if (kill_it)
        kill(o->pid, SIGKILL);
    else
        assert_int_equal(write(o->hear[1], "g", 1), 1);
    assert_int_equal(waitpid(o->pid, &status, 0), o->pid);
    assert_int_equal(status, kill_it ? SIGKILL : 0);
    close(o->say[0]);
    close(o->hear[0]);
    close(o->hear[1]);
}

static struct snapshot_row nth(struct store *s, size_t n)
{
    struct seen seen = {.count = 0};
    struct snapshot_filter all = {.any_deleted = true};
    struct snapshot_row row;
    bool found;
    OK(catalog_snapshots(store_catalog(s), &all, see, &seen, &test_err));
    assert_true(n < seen.count);
    OK(catalog_snapshot(store_catalog(s), &seen.ids[n], &row, &found, &test_err));
    assert_true(found);
    return row;
}

/* Same data in both, with a shared and with separate catalogs: neither may rely on what the other has not committed. */
static void two_at_once(void **state)
{
    (void)state;
    for (int shared = 0; shared < 2; shared++)
        for (int kills = 0; kills < 2; kills++) {
            struct repo r;
            struct other o;
            char cache[320];
            struct snapshot mine;
            /* With one catalog: enough for a pack that is closed, and in it, before the commit. */
            size_t len = shared && !kills ? 40 << 20 : LEN;
            struct stream s = {.path = "a", .len = len, .data = random_bytes(len, 3)};
            repo_new(&r);
            snprintf(cache, sizeof cache, "%s%s", r.cache, shared ? "" : "-2");
            start(&o, &r, cache, &s);
            store_streams(r.store, &s, 1, NULL, &mine);
            assert_true(mine.bytes_added > len); /* all of it, though the other has stored it too */
            finish(&o, kills == 1);
            compare(r.store, &mine, &s, 1);
            repo_close(&r);
            run_command("rm -rf %s", r.cache);
            repo_open(&r);
            assert_int_equal(count_snapshots(r.store), kills ? 1 : 2);
            for (size_t i = 0; i < (kills ? 1 : 2); i++) {
                struct snapshot_row row = nth(r.store, i);
                compare(r.store, &row.snap, &s, 1);
                snapshot_row_release(&row);
            }
            struct store_verify_options opt = {.read_data = true};
            struct store_verify_result result;
            OK(store_verify(r.store, &opt, &result, &test_err));
            assert_int_equal(result.error_count, 0);
            assert_int_equal(result.unreferenced_packs, 0);
            store_verify_result_release(&result);
            snapshot_release(&mine);
            free(s.data);
            repo_free(&r);
        }
}

/* Two processes commit in a row of turns; both catalogs follow. */
static void race(void **state)
{
    (void)state;
    enum { WRITERS = 3, EACH = 12 };
    struct repo r;
    pid_t pids[WRITERS];
    repo_new(&r);
    repo_close(&r);
    for (int k = 0; k < WRITERS; k++) {
        pids[k] = fork();
        assert_true(pids[k] >= 0);
        if (pids[k] == 0) {
            struct store *s;
            char cache[320];
            snprintf(cache, sizeof cache, "%s-%d", r.cache, k / 2); /* two share one */
            OK(repo_try(&r, cache, true, &s, &test_err));
            for (uint64_t i = 0; i < EACH; i++) {
                struct snapshot snap;
                struct stream st = {.path = "a", .len = 30000, .data = random_bytes(30000, (uint64_t)k * 100 + i)};
                store_streams(s, &st, 1, NULL, &snap);
                compare(s, &snap, &st, 1);
                snapshot_release(&snap);
                free(st.data);
            }
            store_close(s);
            _exit(0);
        }
    }
    for (int k = 0; k < WRITERS; k++) {
        int status;
        assert_int_equal(waitpid(pids[k], &status, 0), pids[k]);
        assert_int_equal(status, 0);
    }
    repo_open(&r);
    assert_int_equal(store_head(r.store), WRITERS * EACH);
    assert_int_equal(count_snapshots(r.store), WRITERS * EACH);
    struct store_verify_options opt = {.read_data = true};
    struct store_verify_result result;
    OK(store_verify(r.store, &opt, &result, &test_err));
    assert_int_equal(result.error_count, 0);
    store_verify_result_release(&result);
    repo_free(&r);
}

/* Kept by a live session, gone with a dead one: marks, rows and temporary files. */
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

static void killed(void **state)
{
    (void)state;
    struct repo r;
    struct other o;
    struct stream s = {
        .path = "a", .len = 40 << 20, .data = random_bytes(40 << 20, 9)}; /* a pack is closed, one open */
    repo_new(&r);
    start(&o, &r, r.cache, &s);
    assert_int_equal(count_names(&r, "packs"), 0);
    assert_int_equal(count_names(&r, "tmp"), 2);
    uint64_t *runs;
    size_t count;
    OK(catalog_runs(r.store->catalog, &runs, &count, &test_err));
    assert_int_equal(count, 1);
    free(runs);
    clock_shift = 3600;
    repo_close(&r);
    repo_open(&r); /* its files are not touched: it lives */
    assert_int_equal(count_names(&r, "tmp"), 2);
    OK(catalog_runs(r.store->catalog, &runs, &count, &test_err));
    assert_int_equal(count, 1);
    free(runs);
    finish(&o, true);
    repo_close(&r);
    repo_open(&r);
    clock_shift = 0;
    assert_int_equal(count_names(&r, "tmp"), 0);
    OK(catalog_runs(r.store->catalog, &runs, &count, &test_err));
    assert_int_equal(count, 0);
    free(runs);
    assert_int_equal(count_snapshots(r.store), 0);
    struct snapshot snap;
    s.len = LEN;
    store_streams(r.store, &s, 1, NULL, &snap);
    assert_true(snap.chunks_new > 3);
    compare(r.store, &snap, &s, 1);
    snapshot_release(&snap);
    free(s.data);
    repo_free(&r);
}

/* A session given up, and a dry one, leave nothing; a writer that was cut off by its caller stops its threads. */
static void given_up(void **state)
{
    (void)state;
    struct repo r;
    struct stream s = {.path = "a", .len = 40 << 20, .data = random_bytes(40 << 20, 4)};
    repo_new(&r);
    for (int how = 0; how < 3; how++) {
        struct session *x;
        struct list_writer *w;
        struct stream_root root;
        OK(session_begin(r.store, NULL, how == 2, &x, &test_err));
        OK(list_writer_open(x, NULL, &w, &test_err));
        put_stream(w, &s);
        if (how > 0)
            OK(list_writer_finish(w, &root, &test_err));
        list_writer_free(w);
        assert_true(how != 2 || session_stats(x).chunks_new > 100);
        session_free(x);
        assert_int_equal(count_names(&r, "tmp"), 0);
        assert_int_equal(count_names(&r, "packs"), 0);
        assert_int_equal(count_names(&r, "log"), 0);
    }
    struct snapshot snap;
    s.len = LEN;
    store_streams(r.store, &s, 1, NULL, &snap);
    compare(r.store, &snap, &s, 1);
    snapshot_release(&snap);
    free(s.data);
    repo_free(&r);
}

/* --- deltas of each other's chunks
 * ------------------------------------------------------------------------------------- */

/* One record in a pack of its own, in a committed snapshot. base NULL: whole. */
static void put_record(struct repo *r, const uint8_t *plain, size_t len, const uint8_t *base, uint32_t n)
{
    struct session *x;
    struct list_writer *w;
    struct stream_root root;
    struct snapshot snap;
    struct codec *codec;
    struct namer *namer;
    uint8_t dst[70000];
    size_t packed;
    struct record_desc d = {
        .type = CHUNK_DATA, .plain_len = (uint32_t)len, .n = n, .codec = base ? CODEC_ZSTD_DELTA : CODEC_ZSTD};
    OK(codec_new(1, 3, &codec, &test_err));
    OK(namer_new(r->store->keys.naming, r->store->keys.fingerprint, &namer, &test_err));
    OK(namer_name(namer, CHUNK_DATA, plain, len, &d.name, &test_err));
    if (base)
        OK(namer_name(namer, CHUNK_DATA, base, len, &d.base, &test_err));
    OK(codec_compress(codec, plain, len, base, base ? len : 0, dst, sizeof dst, &packed, &test_err));
    assert_true(packed > 0);
    OK(session_begin(r->store, NULL, false, &x, &test_err));
    OK(pack_writer_add(x->packs, &d, dst, packed, &test_err));
    OK(list_writer_open(x, NULL, &w, &test_err));
    OK(list_writer_finish(w, &root, &test_err));
    list_writer_free(w);
    fill_snapshot(&snap, &root);
    OK(session_commit(x, &snap, &test_err));
    session_free(x);
    snapshot_release(&snap);
    codec_free(codec);
    namer_free(namer);
}

static enum errc get_chunk(struct store *s, const uint8_t *plain, size_t len)
{
    struct chunk_reader *c;
    struct namer *namer;
    struct chunk_name name;
    struct err err;
    uint8_t *got = malloc(len);
    OK(namer_new(s->keys.naming, s->keys.fingerprint, &namer, &test_err));
    OK(namer_name(namer, CHUNK_DATA, plain, len, &name, &test_err));
    OK(chunk_reader_new(s, &c, &test_err));
    enum errc rc = chunk_read(c, &name, CHUNK_DATA, got, len, &err);
    if (rc == ERR_OK)
        assert_memory_equal(got, plain, len);
    chunk_reader_free(c);
    namer_free(namer);
    free(got);
    return rc;
}

/* A: whole, and as version 2 of B's version 1. B: version 1 of A, and whole, and as version 5 of A's 4 ... Copies in
 * every order; each whole record is then made unreadable in turn, and what is left gives right bytes or an error, in
 * time. */
static void no_cycle(void **state)
{
    (void)state;
    enum { SIZE = 60000 };
    struct repo r;
    uint8_t *a = text_bytes(SIZE, 1), *b = text_bytes(SIZE, 1), *c = text_bytes(SIZE, 1);
    memset(b + 500, 'b', 50);
    memset(c + 900, 'c', 50);
    repo_new(&r);
    put_record(&r, b, SIZE, a, 1); /* before there is a whole one of either */
    put_record(&r, a, SIZE, b, 1);
    assert_int_equal(get_chunk(r.store, a, SIZE), ERR_DAMAGED);
    assert_int_equal(get_chunk(r.store, b, SIZE), ERR_DAMAGED);
    put_record(&r, a, SIZE, b, 2);
    put_record(&r, b, SIZE, a, 2);
    put_record(&r, c, SIZE, a, 3);
    assert_int_equal(get_chunk(r.store, c, SIZE), ERR_DAMAGED);
    put_record(&r, a, SIZE, NULL, 0);
    assert_int_equal(get_chunk(r.store, a, SIZE), ERR_OK);
    assert_int_equal(get_chunk(r.store, b, SIZE), ERR_OK); /* 1 of a's 0 */
    assert_int_equal(get_chunk(r.store, c, SIZE), ERR_OK); /* 3 of a's 2, of b's 1, of a's 0 */
    free(a);
    free(b);
    free(c);
    repo_free(&r);
}

/* The numbers under one key are those of one pack, and no two packs have the same key. */
static void keys_are_fresh(void **state)
{
    (void)state;
    enum { PACKS = 30 };
    struct repo r;
    struct names names;
    uint8_t keys[PACKS][KEY_BYTES];
    repo_new(&r);
    for (uint64_t i = 0; i < PACKS; i++) {
        struct snapshot snap;
        struct stream s = {.path = "a", .len = 1000, .data = random_bytes(1000, i)};
        store_streams(r.store, &s, 1, NULL, &snap);
        snapshot_release(&snap);
        free(s.data);
    }
    list_names(&r, "packs", &names);
    assert_int_equal(names.count, PACKS);
    for (size_t i = 0; i < PACKS; i++) {
        uint8_t raw[PACK_HEADER_BYTES];
        struct pack_header h;
        char path[500];
        snprintf(path, sizeof path, "%s/packs/%s", r.path, names.at[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(fd, raw, sizeof raw), sizeof raw);
        close(fd);
        OK(pack_header_get(raw, &h, &test_err));
        OK(key_unwrap(r.store->keys.data[0].key, raw, PACK_HEADER_AAD_BYTES, h.wrapped_key, keys[i], &test_err));
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(keys[i], keys[k], KEY_BYTES);
    }
    free_names(&names);
    repo_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_at_once), cmocka_unit_test(race),     cmocka_unit_test(killed),
        cmocka_unit_test(given_up),    cmocka_unit_test(no_cycle), cmocka_unit_test(keys_are_fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
