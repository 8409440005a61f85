/* The catalog lost, spoilt, behind and ahead; the log altered in every way. */
#include <errno.h>

#include "store_run.h"

enum { SNAPSHOTS = 4 };

struct past {
    struct repo r;
    struct stream streams[SNAPSHOTS];
    struct snapshot snaps[SNAPSHOTS];
};

static void past_new(struct past *p)
{
    repo_new(&p->r);
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        p->streams[i] = (struct stream){.path = "a", .len = 200000, .data = random_bytes(200000, 5)};
        memset(p->streams[i].data + 5000 * i, 'x', 100);
        store_streams(p->r.store, &p->streams[i], 1, i > 0 ? &p->snaps[i - 1] : NULL, &p->snaps[i]);
    }
    repo_close(&p->r);
}

static void past_free(struct past *p)
{
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        snapshot_release(&p->snaps[i]);
        free(p->streams[i].data);
    }
    repo_free(&p->r);
}

static void all_there(struct past *p, size_t count)
{
    assert_int_equal(count_snapshots(p->r.store), count);
    for (size_t i = 0; i < count; i++)
        compare(p->r.store, &p->snaps[i], &p->streams[i], 1);
}

static void catalog_lost(void **state)
{
    (void)state;
    static const char *const ways[] = {
        "rm -r %s",
        "rm %s/*/catalog.db*",
        "for f in %s/*/catalog.db; do : > $f; done",
        "for f in %s/*/catalog.db; do echo 'no database, but long enough to be looked at' > $f; done",
        "for f in %s/*/catalog.db; do truncate -s 5000 $f; done",
        "for f in %s/*/catalog.db; do dd if=/dev/urandom of=$f bs=512 seek=3 count=60 conv=notrunc 2>/dev/null; done",
    };
    struct past p;
    past_new(&p);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        char text[400];
        snprintf(text, sizeof text, "%s", ways[i]);
        char *at = strstr(text, "%s");
        char command[1000];
        snprintf(command, sizeof command, "%.*s%s%s", (int)(at - text), text, p.r.cache, at + 2);
        run_command("%s", command);
        repo_open(&p.r);
        assert_int_equal(store_head(p.r.store), SNAPSHOTS);
        all_there(&p, SNAPSHOTS);
        repo_close(&p.r);
    }
    /* Thrown away and made again on purpose. */
    repo_open(&p.r);
    OK(store_rebuild(p.r.store, NULL, &test_err));
    all_there(&p, SNAPSHOTS);
    past_free(&p);
}

/* An older state of the catalog's directory is copied back, then one that is ahead of the repository. */
static void catalog_from_elsewhere(void **state)
{
    (void)state;
    struct past p;
    struct err err;
    past_new(&p);
    run_command("cp -a %s %s/old-cache; cp -a %s %s/old-repo", p.r.cache, p.r.t.dir, p.r.path, p.r.t.dir);
    repo_open(&p.r);
    struct snapshot more;
    struct stream s = {.path = "b", .len = 50000, .data = random_bytes(50000, 77)};
    store_streams(p.r.store, &s, 1, NULL, &more);
    repo_close(&p.r);

    run_command("mv %s %s/new-cache; mv %s/old-cache %s", p.r.cache, p.r.t.dir, p.r.t.dir, p.r.cache);
    repo_open(&p.r);
    assert_int_equal(store_head(p.r.store), SNAPSHOTS + 1);
    compare(p.r.store, &more, &s, 1);
    repo_close(&p.r);

    run_command("mv %s %s/new-repo; mv %s/old-repo %s", p.r.path, p.r.t.dir, p.r.t.dir, p.r.path);
    assert_int_equal(repo_try(&p.r, p.r.cache, true, &p.r.store, &err), ERR_HISTORY);
    /* The note beside the catalog tells, even when the catalog is gone. */
    run_command("rm %s/*/catalog.db*", p.r.cache);
    assert_int_equal(repo_try(&p.r, p.r.cache, true, &p.r.store, &err), ERR_HISTORY);
    /* Only a rebuild accepts it. */
    struct store_options opt = {.path = p.r.path,
                                .cache_dir = p.r.cache,
                                .secret = {.key_file = p.r.key},
                                .write = true,
                                .no_catalog_replay = true};
    OK(store_open(&opt, &p.r.store, &test_err));
    OK(store_rebuild(p.r.store, NULL, &test_err));
    all_there(&p, SNAPSHOTS);
    repo_close(&p.r);
    repo_open(&p.r);
    snapshot_release(&more);
    free(s.data);
    past_free(&p);
}

/* *cached: with the catalog and the note of before; else as on another machine. */
static enum errc open_now(struct past *p, bool cached, struct store **out, struct err *err)
{
    char cache[320];
    snprintf(cache, sizeof cache, "%s/cache-%d", p->r.t.dir, cached);
    run_command("rm -rf %s; test %d = 0 || cp -a %s %s", cache, cached, p->r.cache, cache);
    return repo_try(&p->r, cache, true, out, err);
}

/* A record made with the repository's own keys. */
static void forge(struct past *p, uint64_t number, const struct digest *prev, const struct snapshot *snap)
{
    struct store *s;
    struct buf plain, frame, file;
    char path[400];
    struct log_body body = {.head = {.number = number, .kind = LOG_SNAPSHOT, .time = time_now()}, .snapshot = *snap};
    body.head.prev = *prev;
    OK(repo_try(&p->r, strcat(strcpy((char[400]){0}, p->r.t.dir), "/forger"), true, &s, &test_err));
    buf_init(&plain, LOG_RECORD_MAX_BYTES);
    buf_init(&frame, LOG_RECORD_MAX_BYTES);
    buf_init(&file, 3 * LOG_RECORD_MAX_BYTES);
    OK(log_body_put(&plain, &body, &test_err));
    OK(log_frame_seal(&frame, &s->config.id, &s->keys, number, plain.data, plain.len, &test_err));
    OK(triple_encode(&file, frame.data, frame.len, &test_err));
    store_close(s);
    snprintf(path, sizeof path, "%s/log/%016llu", p->r.path, (unsigned long long)number);
    OK(io_replace_file(AT_FDCWD, path, file.data, file.len, 0600, &test_err));
    buf_release(&plain);
    buf_release(&frame);
    buf_release(&file);
}

static void log_altered(void **state)
{
    (void)state;
    struct past p;
    static const struct {
        const char *what, *command; /* in the directory log */
        enum errc cached, fresh;    /* with the catalog of before; on another machine, at open */
        bool verify_finds;
    } cases[] = {
        {"last removed", "rm 0000000000000004", ERR_HISTORY, ERR_OK, false},
        {"cut back", "rm 0000000000000003 0000000000000004", ERR_HISTORY, ERR_OK, false},
        {"all removed", "rm *", ERR_HISTORY, ERR_OK, false},
        {"one in the middle removed", "rm 0000000000000002", ERR_OK, ERR_HISTORY, true},
        {"first removed", "rm 0000000000000001", ERR_OK, ERR_HISTORY, true},
        {"swapped", "mv 0000000000000002 x; mv 0000000000000003 0000000000000002; mv x 0000000000000003", ERR_OK,
         ERR_DAMAGED, true},
        {"one twice", "cp 0000000000000002 0000000000000003", ERR_OK, ERR_DAMAGED, true},
        {"the last twice", "cp 0000000000000004 0000000000000005", ERR_DAMAGED, ERR_DAMAGED, false},
        {"the last is an older one", "cp 0000000000000003 0000000000000004", ERR_OK, ERR_DAMAGED, true},
        {"empty", ": > 0000000000000003", ERR_OK, ERR_DAMAGED, true},
        {"far too large", "truncate -s 2G 0000000000000003", ERR_OK, ERR_DAMAGED, true},
        {"the last far too large", "truncate -s 2G 0000000000000004", ERR_OK, ERR_DAMAGED, true},
        {"a directory for a record", "rm 0000000000000003; mkdir 0000000000000003", ERR_OK, ERR_DAMAGED, true},
        {"a pack for a record", "cp ../packs/$(ls ../packs | head -n 1) 0000000000000003", ERR_OK, ERR_DAMAGED, true},
        {"a key slot for a record", "cp ../keys/$(ls ../keys | head -n 1) 0000000000000003", ERR_OK, ERR_DAMAGED, true},
    };
    past_new(&p);
    run_command("cp -a %s %s/kept", p.r.path, p.r.t.dir);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store *s;
        struct err err;
        run_command("rm -rf %s; cp -a %s/kept %s; cd %s/log && %s", p.r.path, p.r.t.dir, p.r.path, p.r.path,
                    cases[i].command);
        for (int cached = 0; cached < 2; cached++) {
            enum errc rc = open_now(&p, cached, &s, &err), wanted = cached ? cases[i].cached : cases[i].fresh;
            if (rc != wanted)
                fail_msg("%s, %s catalog: %s instead of %s (%s)", cases[i].what, cached ? "old" : "new", err_name(rc),
                         err_name(wanted), rc == ERR_OK ? "" : err.message);
            if (rc != ERR_OK)
                continue;
            struct store_verify_options opt = {.read_data = true};
            struct store_verify_result result;
            OK(store_verify(s, &opt, &result, &test_err));
            if (cached && cases[i].verify_finds && result.error_count == 0)
                fail_msg("%s: verify found nothing", cases[i].what);
            store_verify_result_release(&result);
            store_close(s);
        }
    }
    run_command("rm -rf %s; cp -a %s/kept %s", p.r.path, p.r.t.dir, p.r.path);
    past_free(&p);
}

/* A gap is an error each time, however often it is asked, and nothing is written into it. */
static void gap_stays(void **state)
{
    (void)state;
    struct past p;
    struct store *s;
    struct err err;
    struct snapshot more;
    past_new(&p);
    run_command("mv %s/log/%016d %s/record", p.r.path, 2, p.r.t.dir);
    run_command("rm -rf %s", p.r.cache);
    for (int i = 0; i < 3; i++)
        assert_int_equal(repo_try(&p.r, p.r.cache, i > 0, &s, &err), ERR_HISTORY);
    /* The catalog has taken in what is before the gap. */
    run_command("ls %s/*/catalog.db >/dev/null", p.r.cache);
    run_command("mv %s/record %s/log/%016d", p.r.t.dir, p.r.path, 2);
    repo_open(&p.r);
    all_there(&p, SNAPSHOTS);
    repo_close(&p.r);

    /* Written behind what this machine has seen, and lost again. */
    run_command("cp -a %s %s/elsewhere", p.r.cache, p.r.t.dir);
    char elsewhere[400];
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", p.r.t.dir);
    OK(repo_try(&p.r, elsewhere, true, &s, &test_err));
    for (int i = 0; i < 2; i++) {
        store_streams(s, &p.streams[i], 1, NULL, &more);
        snapshot_release(&more);
    }
    store_close(s);
    run_command("rm %s/log/%016d", p.r.path, SNAPSHOTS + 1);
    assert_int_equal(repo_try(&p.r, p.r.cache, false, &s, &err), ERR_HISTORY);

    /* Far behind: found at the latest before a record is written. */
    run_command("cd %s/log && mv %016d %016d", p.r.path, SNAPSHOTS + 2, SNAPSHOTS + 100);
    OK(repo_try(&p.r, p.r.cache, true, &s, &test_err));
    struct log_body body = {.head.kind = LOG_RUN};
    assert_int_equal(store_append(s, &body, &err), ERR_HISTORY);
    store_close(s);
    run_command("test ! -e %s/log/%016d && rm %s/log/%016d", p.r.path, SNAPSHOTS + 1, p.r.path, SNAPSHOTS + 100);
    past_free(&p);
}

static int fail_reads(enum io_op op, const char *what, void *arg)
{
    return op == IO_READ && what && strcmp(what, arg) == 0 ? EIO : 0;
}

/* One record that the disk does not give is one error, and the rest is verified. */
static void record_unreadable(void **state)
{
    (void)state;
    struct past p;
    char name[LOG_NAME_BYTES];
    struct store_verify_options opt = {.read_data = true};
    struct store_verify_result result;
    past_new(&p);
    repo_open(&p.r);
    log_name(name, 2);
    io_set_hook(fail_reads, name);
    OK(store_verify(p.r.store, &opt, &result, &test_err));
    io_set_hook(NULL, NULL);
    assert_int_equal(result.error_count, 1);
    assert_string_equal(result.errors[0].kind, "unreadable-log");
    assert_string_equal(result.errors[0].object, name);
    assert_int_equal(result.packs, SNAPSHOTS);
    store_verify_result_release(&result);
    past_free(&p);
}

static void config_far_too_large(void **state)
{
    (void)state;
    struct past p;
    struct store *s;
    struct err err;
    past_new(&p);
    run_command("truncate -s 2G %s/config", p.r.path);
    assert_int_equal(repo_try(&p.r, p.r.cache, false, &s, &err), ERR_DAMAGED);
    assert_non_null(strstr(err.message, "/config: "));
    past_free(&p);
}

static enum errc rebuild(struct past *p, struct err *err)
{
    struct store_options opt = {.path = p->r.path,
                                .cache_dir = p->r.cache,
                                .secret = {.key_file = p->r.key},
                                .write = true,
                                .no_catalog_replay = true};
    struct store *s;
    OK(store_open(&opt, &s, &test_err));
    enum errc rc = store_rebuild(s, NULL, err);
    store_close(s);
    return rc;
}

/* What cannot be made again is not thrown away first. */
static void rebuild_fails(void **state)
{
    (void)state;
    struct past p;
    struct store *s;
    struct err err;
    past_new(&p);
    run_command("mv %s/log/%016d %s/record", p.r.path, 2, p.r.t.dir);
    assert_int_equal(rebuild(&p, &err), ERR_HISTORY);
    assert_non_null(strstr(err.hint, "log/0000000000000002 back from a copy"));
    run_command("! ls %s/*/ | grep new", p.r.cache);
    repo_open(&p.r);
    all_there(&p, SNAPSHOTS);
    /* Nor while another one uses it. */
    run_command("mv %s/record %s/log/%016d", p.r.t.dir, p.r.path, 2);
    assert_int_equal(rebuild(&p, &err), ERR_LOCKED);
    all_there(&p, SNAPSHOTS);
    repo_close(&p.r);
    /* What a rebuild that was killed left behind does no harm. */
    run_command("cd %s/*/ && echo rubbish > catalog-new.db && echo rubbish > catalog-new.db-wal", p.r.cache);
    OK(rebuild(&p, &test_err));
    run_command("! ls %s/*/ | grep new", p.r.cache);
    OK(repo_try(&p.r, p.r.cache, true, &s, &test_err));
    assert_int_equal(store_head(s), SNAPSHOTS);
    p.r.store = s;
    all_there(&p, SNAPSHOTS);
    past_free(&p);
}

/* Who has the key can write records; but not in the place of those that were seen, and not out of the chain. */
static void log_forged(void **state)
{
    (void)state;
    struct past p;
    struct err err;
    struct digest none = {{0}}, first;
    struct log_body body;
    past_new(&p);
    repo_open(&p.r);
    OK(store_log_read(p.r.store, 3, &body, &first, &test_err));
    log_body_release(&body);
    repo_close(&p.r);
    run_command("cp -a %s %s/kept", p.r.path, p.r.t.dir);

    forge(&p, SNAPSHOTS, &first, &p.snaps[0]); /* the last one, rewritten: it does chain */
    assert_int_equal(repo_try(&p.r, p.r.cache, true, &p.r.store, &err), ERR_HISTORY);
    run_command("rm -rf %s; cp -a %s/kept %s", p.r.path, p.r.t.dir, p.r.path);

    forge(&p, SNAPSHOTS + 1, &none, &p.snaps[0]); /* one more that does not follow */
    assert_int_equal(repo_try(&p.r, p.r.cache, true, &p.r.store, &err), ERR_HISTORY);
    run_command("rm -rf %s; cp -a %s/kept %s", p.r.path, p.r.t.dir, p.r.path);

    forge(&p, 2, &none, &p.snaps[0]); /* in the middle: the chain behind it breaks */
    repo_open(&p.r);
    struct store_verify_options opt = {.read_data = false};
    struct store_verify_result result;
    OK(store_verify(p.r.store, &opt, &result, &test_err));
    assert_true(result.error_count > 0);
    store_verify_result_release(&result);
    all_there(&p, SNAPSHOTS);
    past_free(&p);
}

/* Each of the three copies alone is enough. */
static void log_copies(void **state)
{
    (void)state;
    struct past p;
    char path[400];
    past_new(&p);
    snprintf(path, sizeof path, "%s/log/%016d", p.r.path, 2);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    for (int keep = 0; keep < 3; keep++) {
        run_command("cp %s %s/record", path, p.r.t.dir);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        for (int copy = 0; copy < 3; copy++)
            if (copy != keep)
                assert_int_equal(pwrite(fd, "!!!!!!!!", 8, st.st_size / 3 * copy + 100), 8);
        close(fd);
        run_command("rm -rf %s", p.r.cache);
        repo_open(&p.r);
        all_there(&p, SNAPSHOTS);
        struct store_verify_options opt = {.read_data = false};
        struct store_verify_result result;
        OK(store_verify(p.r.store, &opt, &result, &test_err));
        assert_int_equal(result.error_count, 1);
        assert_string_equal(result.errors[0].kind, "damaged-copy");
        store_verify_result_release(&result);
        repo_close(&p.r);
        run_command("cp %s/record %s", p.r.t.dir, path);
    }
    repo_open(&p.r);
    past_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(catalog_lost),      cmocka_unit_test(catalog_from_elsewhere),
        cmocka_unit_test(log_altered),       cmocka_unit_test(gap_stays),
        cmocka_unit_test(record_unreadable), cmocka_unit_test(config_far_too_large),
        cmocka_unit_test(rebuild_fails),     cmocka_unit_test(log_forged),
        cmocka_unit_test(log_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
