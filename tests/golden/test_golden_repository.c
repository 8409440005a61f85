/* Repositories that an earlier program wrote: what they hold must come back byte for byte, for ever (docs/format.md).
 *
 * With --make DIR it writes them anew. Until the format is frozen, a change of format does that in the same commit:
 *   test_golden_repository --make tests/golden/repositories */
#include "golden/golden_repository.h"

static void open_golden(const char *dir, const char *cache, const char *kind, bool write, struct store **out)
{
    char path[600], key[600];
    snprintf(path, sizeof path, "%s/%s", dir, kind);
    snprintf(key, sizeof key, "%s/key-file.key", dir);
    struct store_options opt = {.path = path, .cache_dir = cache, .write = write};
    if (strcmp(kind, "key-file") == 0)
        opt.secret.key_file = key;
    if (strcmp(kind, "passphrase") == 0)
        opt.secret.passphrase = GOLDEN_PASSPHRASE;
    OK(store_open(&opt, out, &test_err));
}

static void make(const char *dir)
{
    for (size_t k = 0; k < sizeof GOLDEN_KINDS / sizeof GOLDEN_KINDS[0]; k++) {
        char path[600], key[600], recovery[RECOVERY_TEXT_BYTES];
        const char *kind = GOLDEN_KINDS[k];
        struct repo_id id;
        struct store *s;
        struct snapshot snaps[GOLDEN_SNAPSHOTS];
        struct tree t;
        tree_new(&t);
        snprintf(path, sizeof path, "%s/%s", dir, kind);
        snprintf(key, sizeof key, "%s/key-file.key", dir);
        struct store_init_options opt = {.path = path};
        opt.key_file = k == 0 ? key : NULL;
        opt.passphrase = k == 1 ? GOLDEN_PASSPHRASE : NULL;
        opt.clear = k == 2;
        OK(store_init(&opt, &id, recovery, &test_err));
        open_golden(dir, t.root, kind, true, &s);
        for (unsigned day = 0; day < GOLDEN_SNAPSHOTS; day++) {
            struct stream streams[GOLDEN_STREAMS];
            golden_streams(streams, day);
            store_streams(s, streams, GOLDEN_STREAMS, day > 0 ? &snaps[day - 1] : NULL, &snaps[day]);
            golden_free(streams);
        }
        struct log_body hold = {.head.kind = LOG_HOLD, .ids = &snaps[0].id, .id_count = 1, .name = (char[]){"golden"}};
        OK(store_append(s, &hold, &test_err));
        for (unsigned day = 0; day < GOLDEN_SNAPSHOTS; day++)
            snapshot_release(&snaps[day]);
        store_close(s);
        tree_free(&t);
        run_command("rm -f %s/lock; touch %s/tmp/.keep", path, path);
    }
}

/* Read where it lies, which may be read-only: with a copy's catalog elsewhere, and nothing of it changed. */
static void read_golden(const char *kind)
{
    struct tree t;
    struct store *s;
    struct snapshot_id hold;
    bool found;
    tree_new(&t);
    char copy[400];
    snprintf(copy, sizeof copy, "%s/golden", t.dir);
    run_command("cp -r %s/golden/repositories %s", TESTS_DIR, copy);
    open_golden(copy, t.root, kind, false, &s);
    struct seen seen = {.count = 0};
    struct snapshot_filter all = {.any_deleted = true};
    OK(catalog_snapshots(store_catalog(s), &all, see, &seen, &test_err));
    assert_int_equal(seen.count, GOLDEN_SNAPSHOTS);
    uint64_t deltas = 0;
    for (unsigned day = 0; day < GOLDEN_SNAPSHOTS; day++) {
        struct snapshot_row row;
        struct stream streams[GOLDEN_STREAMS];
        OK(catalog_snapshot(store_catalog(s), &seen.ids[day], &row, &found, &test_err));
        assert_true(found);
        golden_streams(streams, day);
        compare(s, &row.snap, streams, GOLDEN_STREAMS);
        golden_free(streams);
        deltas += row.snap.chunks_delta;
        snapshot_row_release(&row);
    }
    assert_true(deltas > 0);
    OK(catalog_hold(store_catalog(s), "golden", &hold, &found, &test_err));
    assert_true(found);
    assert_memory_equal(&hold, &seen.ids[0], sizeof hold);
    struct store_verify_options opt = {.read_data = true};
    struct store_verify_result result;
    OK(store_verify(s, &opt, &result, &test_err));
    assert_int_equal(result.error_count, 0);
    assert_int_equal(result.snapshots, GOLDEN_SNAPSHOTS);
    store_verify_result_release(&result);
    store_close(s);
    tree_free(&t);
}

static void key_file(void **state)
{
    (void)state;
    read_golden("key-file");
}

static void passphrase(void **state)
{
    (void)state;
    read_golden("passphrase");
}

static void clear(void **state)
{
    (void)state;
    read_golden("clear");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_file),
        cmocka_unit_test(passphrase),
        cmocka_unit_test(clear),
    };
    if (argc == 3 && strcmp(argv[1], "--make") == 0) {
        make(argv[2]);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
