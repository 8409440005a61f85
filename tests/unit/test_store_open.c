/* Repositories made and opened: each kind of key, what is refused, and what an init that failed leaves behind. */
#include "store_run.h"

static enum errc open_with(const struct repo *r, struct store_secret secret)
{
    struct store *s;
    struct err err;
    struct store_options opt = {.path = r->path, .cache_dir = r->cache, .secret = secret, .write = true};
    enum errc rc = store_open(&opt, &s, &err);
    if (rc == ERR_OK)
        store_close(s);
    else
        assert_true(err.message[0] != '\0');
    return rc;
}

static void key_file_and_recovery(void **state)
{
    (void)state;
    struct repo r;
    char other[300];
    struct stat st;
    repo_paths(&r);
    OK(repo_init(&r, &test_err));
    assert_int_equal(stat(r.key, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(r.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(open_with(&r, (struct store_secret){.key_file = r.key}), ERR_OK);
    assert_int_equal(open_with(&r, (struct store_secret){.recovery = r.recovery}), ERR_OK);
    assert_int_equal(open_with(&r, (struct store_secret){0}), ERR_NO_KEY);
    assert_int_equal(open_with(&r, (struct store_secret){.passphrase = "guess"}), ERR_WRONG_KEY);
    assert_int_equal(open_with(&r, (struct store_secret){.key_file = "/nowhere"}), ERR_BAD_KEY_FILE);
    r.recovery[0] = r.recovery[0] == '0' ? '1' : '0';
    assert_int_equal(open_with(&r, (struct store_secret){.recovery = r.recovery}), ERR_WRONG_KEY);
    snprintf(other, sizeof other, "%s/other", r.t.dir);
    struct repo_id id;
    char recovery[RECOVERY_TEXT_BYTES], key[300];
    snprintf(key, sizeof key, "%s/key2", r.t.dir);
    struct store_init_options opt = {.path = other, .key_file = key};
    OK(store_init(&opt, &id, recovery, &test_err));
    assert_int_equal(open_with(&r, (struct store_secret){.key_file = key}), ERR_WRONG_KEY);
    assert_int_equal(open_with(&r, (struct store_secret){.recovery = recovery}), ERR_WRONG_KEY);
    repo_free(&r);
}

static void passphrase_and_clear(void **state)
{
    (void)state;
    struct repo r;
    struct repo_id id;
    repo_paths(&r);
    struct store_init_options opt = {.path = r.path, .passphrase = "correct horse"};
    OK(store_init(&opt, &id, r.recovery, &test_err));
    assert_int_equal(open_with(&r, (struct store_secret){.passphrase = "correct horse"}), ERR_OK);
    assert_int_equal(open_with(&r, (struct store_secret){.passphrase = "correct horsf"}), ERR_WRONG_KEY);
    assert_int_equal(open_with(&r, (struct store_secret){.recovery = r.recovery}), ERR_OK);
    run_command("rm -rf %s %s", r.path, r.cache);
    opt = (struct store_init_options){.path = r.path, .clear = true};
    OK(store_init(&opt, &id, r.recovery, &test_err));
    assert_string_equal(r.recovery, "");
    assert_int_equal(open_with(&r, (struct store_secret){0}), ERR_OK);
    /* A key that is given is never passed over: somebody could have put this repository in the place of another. */
    assert_int_equal(open_with(&r, (struct store_secret){.passphrase = "correct horse"}), ERR_WRONG_KEY);
    struct store_options open = {.path = r.path, .cache_dir = r.cache, .write = true};
    OK(store_open(&open, &r.store, &test_err));
    assert_true(store_is_clear(r.store));
    /* Not beside other slots either. */
    char slot[17];
    OK(store_slot_add(r.store, SLOT_PASSPHRASE, "", NULL, "correct horse", r.recovery, slot, &test_err));
    repo_close(&r);
    assert_int_equal(open_with(&r, (struct store_secret){.passphrase = "correct horse"}), ERR_OK);
    assert_int_equal(open_with(&r, (struct store_secret){.passphrase = "correct horsf"}), ERR_WRONG_KEY);
    repo_free(&r);
}

static void slots(void **state)
{
    (void)state;
    struct repo r;
    struct slot_info *info;
    size_t count;
    char id[17], text[RECOVERY_TEXT_BYTES];
    repo_new(&r);
    OK(store_slot_add(r.store, SLOT_RECOVERY, "second", NULL, NULL, text, id, &test_err));
    OK(store_slots(r.store, &info, &count, &test_err));
    assert_int_equal(count, 3);
    assert_int_equal(open_with(&r, (struct store_secret){.recovery = text}), ERR_OK);
    struct err err;
    assert_int_equal(store_slot_remove(r.store, "0123456789abcdef", &err), ERR_KEY_SLOT);
    OK(store_slot_remove(r.store, id, &test_err));
    assert_int_equal(open_with(&r, (struct store_secret){.recovery = text}), ERR_WRONG_KEY);
    size_t removed = 0;
    for (size_t i = 0; i < count; i++)
        if (strcmp(info[i].id, id) != 0 && removed++ == 0)
            OK(store_slot_remove(r.store, info[i].id, &test_err));
    free(info);
    OK(store_slots(r.store, &info, &count, &test_err));
    assert_int_equal(count, 1);
    assert_int_equal(store_slot_remove(r.store, info[0].id, &err), ERR_KEY_SLOT);
    free(info);
    repo_free(&r);
}

static void not_a_repository(void **state)
{
    (void)state;
    struct repo r;
    struct err err;
    repo_paths(&r);
    struct store_secret key = {.key_file = r.key};
    assert_int_equal(open_with(&r, key), ERR_NO_REPOSITORY);
    run_command("mkdir %s", r.path);
    assert_int_equal(open_with(&r, key), ERR_NO_REPOSITORY);
    run_command("touch %s/file", r.path);
    assert_int_equal(repo_init(&r, &err), ERR_TARGET_EXISTS);
    run_command("test \"$(ls -A %s)\" = file && rm -r %s && echo x > %s", r.path, r.path, r.path);
    assert_int_equal(open_with(&r, key), ERR_NO_REPOSITORY);
    run_command("rm %s", r.path);
    OK(repo_init(&r, &test_err));
    assert_int_equal(repo_init(&r, &err), ERR_REPOSITORY_EXISTS);
    assert_int_equal(open_with(&r, key), ERR_OK);
    repo_free(&r);
}

/* A configuration that was lost must not cost the keys as well. */
static void configuration_lost(void **state)
{
    (void)state;
    struct repo r;
    struct err err;
    struct snapshot snap;
    struct stream s = {.path = "a", .len = 1000};
    repo_new(&r);
    s.data = random_bytes(s.len, 1);
    store_streams(r.store, &s, 1, NULL, &snap);
    repo_close(&r);
    run_command("rm -f %s/lock; mv %s/config %s/config", r.path, r.path, r.t.dir);
    size_t keys = count_names(&r, "keys");
    assert_int_equal(repo_init(&r, &err), ERR_TARGET_EXISTS);
    assert_int_equal(count_names(&r, "keys"), keys);
    run_command("mv %s/config %s/config", r.t.dir, r.path);
    repo_open(&r);
    compare(r.store, &snap, &s, 1);
    snapshot_release(&snap);
    free(s.data);
    repo_free(&r);
}

/* Slots of an init that was killed belong to no repository. */
static void init_cut_off(void **state)
{
    (void)state;
    struct repo r;
    repo_paths(&r);
    OK(repo_init(&r, &test_err));
    run_command("rm %s/config", r.path);
    OK(repo_init(&r, &test_err));
    assert_int_equal(count_names(&r, "keys"), 2);
    repo_open(&r);
    repo_free(&r);
}

static void newer_format(void **state)
{
    (void)state;
    struct repo r;
    struct repo_config c;
    repo_new(&r);
    c = r.store->config;
    repo_close(&r);
    for (int how = 0; how < 3; how++) {
        struct buf content, file;
        struct repo_config changed = c;
        struct err err;
        if (how == 0)
            changed.format = FORMAT_VERSION + 1;
        else if (how == 1)
            changed.flags_refuse = 1;
        else
            changed.flags_readonly = 1;
        buf_init(&content, CONFIG_MAX_BYTES);
        buf_init(&file, 3 * (CONFIG_MAX_BYTES + 1024));
        OK(repo_config_put(&content, &changed, &test_err));
        OK(triple_encode(&file, content.data, content.len, &test_err));
        OK(io_replace_file(AT_FDCWD, strcat(strcpy((char[400]){0}, r.path), "/config"), file.data, file.len, 0600,
                           &test_err));
        assert_int_equal(repo_try(&r, r.cache, true, &r.store, &err), how < 2 ? ERR_FORMAT_NEWER : ERR_READ_ONLY);
        buf_release(&content);
        buf_release(&file);
    }
    OK(repo_try(&r, r.cache, false, &r.store, &test_err));
    struct session *x;
    struct err err;
    assert_true(store_is_read_only(r.store));
    assert_int_equal(session_begin(r.store, NULL, false, &x, &err), ERR_READ_ONLY);
    repo_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_file_and_recovery), cmocka_unit_test(passphrase_and_clear), cmocka_unit_test(slots),
        cmocka_unit_test(not_a_repository),      cmocka_unit_test(configuration_lost),   cmocka_unit_test(init_cut_off),
        cmocka_unit_test(newer_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
