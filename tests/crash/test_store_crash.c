/* A power cut at every step of a backup. Before each operation on files the repository is copied, with what is known to
 * be durable: files whose data were synced, directories whose names were. From the copy come the trees that may be
 * found after the cut. In each: every committed snapshot reads back (I1, I5), what was not committed is invisible (I2),
 * and the next run works. */
#include "store_run.h"

#include <dirent.h>

enum { LEN = 200000, NAMES_MAX = 256 };

struct known {
    char name[120];
    ino_t ino;
    bool name_durable, data_durable;
};

static struct {
    pthread_mutex_t lock;
    const char *repo;
    unsigned long count, at;
    struct known files[NAMES_MAX];
    size_t file_count;
    char copy[320];
} sim = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct known *known_by_ino(ino_t ino, const char *name)
{
    for (size_t i = 0; i < sim.file_count; i++)
        if (sim.files[i].ino == ino && strcmp(sim.files[i].name, name) == 0)
            return &sim.files[i];
    return NULL;
}

static bool data_known(ino_t ino)
{
    for (size_t i = 0; i < sim.file_count; i++)
        if (sim.files[i].ino == ino && sim.files[i].data_durable)
            return true;
    return false;
}

/* What stands in the repository now, as far as it is new. */
static void look(bool all_durable)
{
    static const char *const dirs[] = {"tmp", "packs", "log", "keys", "."};
    for (size_t d = 0; d < 5; d++) {
        char path[700], name[120];
        snprintf(path, sizeof path, "%s/%s", sim.repo, dirs[d]);
        DIR *dir = opendir(path);
        assert_non_null(dir);
        for (struct dirent *e; (e = readdir(dir)) != NULL;) {
            struct stat st;
            if (snprintf(name, sizeof name, "%s/%s", dirs[d], e->d_name) >= (int)sizeof name)
                continue;
            snprintf(path, sizeof path, "%s/%s", sim.repo, name);
            if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || known_by_ino(st.st_ino, name))
                continue;
            assert_true(sim.file_count < NAMES_MAX);
            struct known *k = &sim.files[sim.file_count];
            *k = (struct known){
                .ino = st.st_ino, .name_durable = all_durable, .data_durable = all_durable || data_known(st.st_ino)};
            snprintf(k->name, sizeof k->name, "%s", name);
            sim.file_count++;
        }
        closedir(dir);
    }
}

/* The operation before this one may have been a sync that worked: the hook sees only that it begins. So what it makes
 * durable is taken in at the next operation. */
static struct {
    bool any;
    char what[300];
} synced;

static void take_in_sync(void)
{
    if (!synced.any)
        return;
    synced.any = false;
    size_t len = strlen(synced.what);
    for (size_t i = 0; i < sim.file_count; i++) {
        struct known *k = &sim.files[i];
        /* A pack's or a record's own sync names the repository: the newest temporary file without durable data. */
        if (strcmp(synced.what, sim.repo) == 0 && strncmp(k->name, "tmp/", 4) == 0 && !k->data_durable) {
            k->data_durable = true;
            break;
        }
        /* A directory's. */
        if (strncmp(k->name, synced.what, len) == 0 && k->name[len] == '/')
            k->name_durable = true;
    }
}

static int hook(enum io_op op, const char *what, void *arg)
{
    (void)arg;
    pthread_mutex_lock(&sim.lock);
    take_in_sync();
    look(false);
    if (++sim.count == sim.at)
        run_command("cp -a %s %s", sim.repo, sim.copy);
    bool stop = sim.count >= sim.at;
    if (!stop && op == IO_FSYNC) {
        synced.any = true;
        snprintf(synced.what, sizeof synced.what, "%s", what);
    }
    pthread_mutex_unlock(&sim.lock);
    return stop ? EIO : 0; /* nothing more happens after the cut */
}

enum loss { LOSE_NAMES, LOSE_DATA, ZERO_DATA, TEAR_DATA, LOSE_ALL, KEEP_ALL, LOSSES };

static void lose(enum loss how)
{
    for (size_t i = 0; i < sim.file_count; i++) {
        const struct known *k = &sim.files[i];
        char path[700];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", sim.copy, k->name);
        if (lstat(path, &st) != 0)
            continue;
        if ((how == LOSE_NAMES || how == LOSE_ALL) && !k->name_durable) {
            assert_int_equal(unlink(path), 0);
            continue;
        }
        if (k->data_durable || how == LOSE_NAMES || how == KEEP_ALL)
            continue;
        if (how == LOSE_DATA || how == LOSE_ALL) {
            assert_int_equal(truncate(path, 0), 0);
        } else if (how == ZERO_DATA) {
            assert_int_equal(truncate(path, 0), 0);
            assert_int_equal(truncate(path, st.st_size), 0);
        } else {
            int fd = open(path, O_WRONLY | O_CLOEXEC);
            char zeros[512] = {0};
            for (off_t at = 512; at < st.st_size; at += 1024)
                assert_true(pwrite(fd, zeros, (size_t)(st.st_size - at < 512 ? st.st_size - at : 512), at) > 0);
            close(fd);
        }
    }
}

static void write_one(struct store *s, const struct stream *st, const struct snapshot *previous, enum errc *rc_out,
                      struct snapshot *snap)
{
    struct session *x = NULL;
    struct list_writer *w = NULL;
    struct stream_root root;
    struct err err;
    const struct entry *before;
    struct entry e = {.path = st->path, .path_len = strlen(st->path), .type = ENTRY_FILE, .size = st->len, .nlink = 1};
    struct entry_end end = {.state = STATE_EXACT, .size = st->len};
    memset(snap, 0, sizeof *snap);
    enum errc rc = session_begin(s, NULL, false, &x, &err);
    if (rc == ERR_OK)
        rc = list_writer_open(x, &previous->items[0].list, &w, &err);
    if (rc == ERR_OK)
        rc = list_writer_previous(w, st->path, strlen(st->path), &before, &err);
    if (rc == ERR_OK)
        rc = list_writer_begin(w, 0, &err);
    if (rc == ERR_OK)
        rc = list_writer_data(w, st->data, st->len, &err);
    if (rc == ERR_OK)
        rc = list_writer_end(w, &e, &end, &err);
    if (rc == ERR_OK)
        rc = list_writer_finish(w, &root, &err);
    list_writer_free(w);
    if (rc == ERR_OK) {
        fill_snapshot(snap, &root);
        rc = session_commit(x, snap, &err);
    }
    session_free(x);
    *rc_out = rc;
}

/* committed: the second snapshot was reported as done before the cut. */
static void check_tree(const struct repo *r, const char *tree, const struct stream *streams, bool committed,
                       unsigned long at, enum loss how, bool next_run)
{
    struct store *s;
    struct err err;
    char cache[400];
    snprintf(cache, sizeof cache, "%s/fresh-cache", r->t.dir);
    struct store_options opt = {.path = tree, .cache_dir = cache, .secret = {.key_file = r->key}, .write = true};
    if (store_open(&opt, &s, &err) != ERR_OK)
        fail_msg("cut at %lu, loss %d: %s", at, how, err.message);
    struct seen seen = {.count = 0};
    struct snapshot_filter all = {.any_deleted = true};
    OK(catalog_snapshots(store_catalog(s), &all, see, &seen, &test_err));
    if (seen.count < 1 || (committed && seen.count < 2))
        fail_msg("cut at %lu, loss %d: %zu snapshots", at, how, seen.count);
    struct snapshot_row first = {0};
    for (size_t i = 0; i < seen.count; i++) {
        struct snapshot_row row;
        bool found;
        OK(catalog_snapshot(store_catalog(s), &seen.ids[i], &row, &found, &test_err));
        if (try_compare(s, &row.snap.items[0].list, &streams[i], 1, &err) != ERR_OK)
            fail_msg("cut at %lu, loss %d, snapshot %zu: %s", at, how, i, err.message);
        if (i == 0)
            first = row;
        else
            snapshot_row_release(&row);
    }
    if (next_run) {
        struct snapshot again;
        enum errc rc;
        write_one(s, &streams[1], &first.snap, &rc, &again);
        assert_int_equal(rc, ERR_OK);
        compare(s, &again, &streams[1], 1);
        snapshot_release(&again);
        struct store_verify_options verify = {.read_data = true};
        struct store_verify_result result;
        OK(store_verify(s, &verify, &result, &test_err));
        if (result.error_count > 0)
            fail_msg("cut at %lu, loss %d: %s", at, how, result.errors[0].message);
        store_verify_result_release(&result);
    }
    snapshot_row_release(&first);
    store_close(s);
    run_command("rm -rf %s", cache);
}

static void power_cut_in_a_backup(void **state)
{
    (void)state;
    struct repo r;
    struct snapshot base;
    struct stream streams[2];
    repo_new(&r);
    for (int i = 0; i < 2; i++)
        streams[i] = (struct stream){.path = "a", .len = LEN, .data = random_bytes(LEN, 1)};
    memset(streams[1].data + 500, 'x', 100);
    memset(streams[1].data + 90000, 'x', 70000);
    store_streams(r.store, &streams[0], 1, NULL, &base);
    repo_close(&r);
    run_command("cp -a %s %s/kept; cp -a %s %s/kept-cache", r.path, r.t.dir, r.cache, r.t.dir);
    snprintf(sim.copy, sizeof sim.copy, "%s/after", r.t.dir);
    sim.repo = r.path;
    bool over = false;
    for (unsigned long at = 1; !over; at++) {
        struct snapshot snap;
        enum errc rc;
        run_command("rm -rf %s %s; cp -a %s/kept %s; cp -a %s/kept-cache %s", r.path, r.cache, r.t.dir, r.path, r.t.dir,
                    r.cache);
        repo_open(&r);
        sim.count = 0;
        sim.at = at;
        sim.file_count = 0;
        synced.any = false;
        look(true);
        io_set_hook(hook, NULL);
        write_one(r.store, &streams[1], &base, &rc, &snap);
        io_set_hook(NULL, NULL);
        bool committed = rc == ERR_OK;
        repo_close(&r);
        snapshot_release(&snap);
        over = sim.count < at; /* the cut comes behind the end of the run */
        take_in_sync();
        for (enum loss how = LOSE_NAMES; how < LOSSES; how++) {
            char keep[400];
            snprintf(keep, sizeof keep, "%s-kept", sim.copy);
            run_command("test %d = 0 || cp -a %s %s; rm -rf %s; cp -a %s %s", over, r.path, sim.copy, keep, sim.copy,
                        keep);
            lose(how);
            check_tree(&r, sim.copy, streams, committed, at, how, at % 5 == how);
            run_command("rm -rf %s; %s %s %s", sim.copy, how + 1 < LOSSES && !over ? "mv" : "rm -rf", keep,
                        how + 1 < LOSSES && !over ? sim.copy : "");
        }
        if (over) {
            assert_true(committed);
            assert_true(at > 15);
        }
    }
    snapshot_release(&base);
    for (int i = 0; i < 2; i++)
        free(streams[i].data);
    repo_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(power_cut_in_a_backup)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
