/* verify: what it finds, what it records, and stored databases opened where they lie. */
#include "engine_run.h"

#include <dirent.h>

#include "engine/inspect.h"
#include "engine/verify.h"

static enum errc verify(struct world *w, const struct verify_options *opt, struct verify_outcome *out)
{
    struct err err;
    enum errc rc = verify_run(w->store, opt, out, &err);
    if (rc != ERR_OK && rc != ERR_DAMAGED)
        fail_msg("%s", err.message);
    assert_true((rc == ERR_DAMAGED) == (out->store.error_count > 0));
    return rc;
}

/* What the newest verification in the log says of the snapshot; NULL: nothing. Released by the caller. The record of
 * the run itself stands behind it. */
static const struct verified *recorded(struct world *w, const struct snapshot_id *id, struct log_body *body)
{
    struct err err;
    if (store_log_read(w->store, store_head(w->store) - 1, body, NULL, &err) != ERR_OK)
        fail_msg("%s", err.message);
    assert_int_equal(body->head.kind, LOG_VERIFIED);
    for (size_t i = 0; i < body->verified_count; i++)
        if (memcmp(&body->verified[i].id, id, sizeof *id) == 0)
            return &body->verified[i];
    return NULL;
}

static void assert_recorded(struct world *w, const struct snapshot *snap, bool ok, uint32_t level)
{
    struct log_body body;
    const struct verified *v = recorded(w, &snap->id, &body);
    assert_non_null(v);
    assert_int_equal(v->ok, ok);
    assert_int_equal(v->level, level);
    assert_true((v->detail != NULL) == !ok);
    log_body_release(&body);
}

#define ROWS "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
#define TABLE                                                                                                     \
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE INDEX tb ON t(b); CREATE TABLE c(t REFERENCES t(a)); " ROWS \
    " INSERT INTO t SELECT i, hex(randomblob(60)) FROM n;"

/* An index that disagrees with its table: the capture's quick_check does not see it. */
#define SPOIL \
    "PRAGMA writable_schema = 1; UPDATE sqlite_master SET sql = 'CREATE INDEX tb ON t(a, b)' WHERE name = 'tb';"

static const char *hex_of(const struct snapshot *s)
{
    static char text[2][2 * sizeof s->id.b + 1];
    static unsigned turn;
    return hex_encode(text[turn++ % 2], s->id.b, sizeof s->id.b);
}

static void test_levels(void **state)
{
    struct world w;
    struct verify_outcome out;
    (void)state;
    world_new(&w);
    world_sql(&w, "app.db", TABLE);
    struct snapshot a = world_backup(&w, "");
    const struct {
        struct verify_options opt;
        uint32_t level;
        bool complete;
    } runs[] = {
        {{.store = {0}}, 1, true},
        {{.store = {.read_data = true}}, 3, true},
        {{.databases = true}, 5, true},
        {{.databases = true, .store = {.read_data = true}}, 7, true},
        {{.store = {.read_data = true, .subset_n = 1, .subset_t = 2}}, 1, true},
        {{.store = {.read_data = true, .subset_bytes = 1}}, 1, true}, /* one pack: it is read whole */
        {{.store = {.read_data = true, .subset_bytes = UINT64_MAX}}, 3, true},
    };
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        uint64_t head = store_head(w.store);
        assert_int_equal(verify(&w, &runs[i].opt, &out), ERR_OK);
        assert_true(out.recorded);
        assert_int_equal(store_head(w.store), head + 2);
        if (runs[i].opt.store.subset_bytes != 1)
            assert_recorded(&w, &a, true, runs[i].level);
        assert_int_equal(out.database_count, runs[i].opt.databases);
        verify_outcome_release(&out);
    }
    snapshot_release(&a);
    world_free(&w);
}

/* A deadline that is past: nothing was proven, and nothing is claimed. */
static void test_deadline(void **state)
{
    struct world w;
    struct verify_outcome out;
    struct log_body body;
    struct verify_options opt = {.databases = true, .store = {.read_data = true, .deadline_ns = 1}};
    (void)state;
    world_new(&w);
    world_sql(&w, "app.db", TABLE);
    struct snapshot a = world_backup(&w, "");
    assert_int_equal(verify(&w, &opt, &out), ERR_OK);
    assert_false(out.store.complete);
    assert_int_equal(out.database_count, 0);
    verify_outcome_release(&out);
    assert_null(recorded(&w, &a.id, &body));
    log_body_release(&body);
    opt = (struct verify_options){.store = {.read_data = true, .subset_n = 1, .subset_t = 2, .deadline_ns = 1}};
    assert_int_equal(verify(&w, &opt, &out), ERR_OK);
    verify_outcome_release(&out);
    assert_null(recorded(&w, &a.id, &body));
    log_body_release(&body);
    snapshot_release(&a);
    world_free(&w);
}

static void test_chosen_snapshots(void **state)
{
    struct world w;
    struct verify_outcome out;
    struct log_body body;
    struct err err;
    (void)state;
    world_new(&w);
    world_sql(&w, "app.db", TABLE);
    struct snapshot a = world_backup(&w, "");
    world_sql(&w, "app.db", "INSERT INTO t VALUES(5000, 'x')");
    struct snapshot b = world_backup(&w, "");
    const char *ids[] = {hex_of(&b), "latest"}; /* the same twice */
    struct verify_options opt = {.ids = ids, .id_count = 2, .databases = true};
    assert_int_equal(verify(&w, &opt, &out), ERR_OK);
    assert_int_equal(out.database_count, 1);
    assert_memory_equal(&out.databases[0].snapshot, &b.id, sizeof b.id);
    verify_outcome_release(&out);
    assert_recorded(&w, &b, true, 5);
    assert_null(recorded(&w, &a.id, &body));
    log_body_release(&body);
    ids[1] = "ffffffffffff";
    uint64_t head = store_head(w.store);
    assert_int_equal(verify_run(w.store, &opt, &out, &err), ERR_UNKNOWN_ID);
    verify_outcome_release(&out);
    assert_int_equal(store_head(w.store), head);
    snapshot_release(&a);
    snapshot_release(&b);
    world_free(&w);
}

static void test_databases(void **state)
{
    struct world w;
    struct verify_outcome out;
    struct verify_options opt = {.databases = true};
    static uint8_t noise[4096];
    (void)state;
    world_new(&w);
    fill_random(noise, sizeof noise, 3);
    memcpy(noise, "SQLite format 3", 16);
    world_sql(&w, "a.db", "PRAGMA journal_mode = WAL;" TABLE);
    world_sql(&w, "b.db", TABLE "INSERT INTO c VALUES(77777);");
    world_sql(&w, "c.db", TABLE);
    world_sql(&w, "c.db", SPOIL);
    tree_write(&w.t, "d.db", noise, sizeof noise);
    tree_text(&w.t, "e.db", "no database");
    struct snapshot a = world_backup(&w, "");
    tree_text(&w.t, "new", "so that there is something new");
    struct snapshot b = world_backup(&w, "");
    assert_int_equal(verify(&w, &opt, &out), ERR_DAMAGED);
    assert_int_equal(out.database_count, 8); /* four of each snapshot */
    for (size_t i = 0; i < 8; i++) {
        const struct verify_database *d = &out.databases[i];
        const char *name = strrchr(d->path, '/') + 1;
        assert_string_equal(d->source, w.t.root);
        assert_memory_equal(&d->snapshot, i < 4 ? &a.id : &b.id, sizeof a.id);
        assert_int_equal(name[0], 'a' + (int)(i % 4));
        assert_int_equal(d->sound, name[0] != 'c');
        assert_int_equal(d->checkable, name[0] != 'd');
        assert_int_equal(d->foreign_key_violations, name[0] == 'b');
    }
    /* One damage, in two snapshots. */
    assert_int_equal(out.store.error_count, 1);
    const struct store_verify_error *e = &out.store.errors[0];
    assert_string_equal(e->kind, "damaged-database");
    assert_non_null(strstr(e->message, "missing from index tb"));
    assert_int_equal(e->affects_count, 2);
    assert_int_equal(e->path_count, 1);
    verify_outcome_release(&out);
    assert_recorded(&w, &a, false, 5);
    assert_recorded(&w, &b, false, 5);
    snapshot_release(&a);
    snapshot_release(&b);
    world_free(&w);
}

/* --- damage to the repository
 * ----------------------------------------------------------------------------------------- */

static void find_packs(const char *dir, char *largest, size_t cap, off_t *size)
{
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[700];
        struct stat st;
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        assert_int_equal(lstat(path, &st), 0);
        if (S_ISDIR(st.st_mode)) {
            find_packs(path, largest, cap, size);
        } else if (st.st_size > *size) {
            *size = st.st_size;
            snprintf(largest, cap, "%s", path);
        }
    }
    closedir(d);
}

static void flip_in_largest_pack(struct world *w)
{
    char dir[400], pack[700] = "";
    off_t size = 0;
    uint8_t byte = 0;
    snprintf(dir, sizeof dir, "%s/packs", w->repo);
    find_packs(dir, pack, sizeof pack, &size);
    assert_int_equal(chmod(pack, 0600), 0);
    int fd = open(pack, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && pread(fd, &byte, 1, size / 2) == 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, size / 2), 1);
    close(fd);
}

/* A bit is lost in a record of the database: its structure is whole, the database cannot be read. */
static void test_damaged_record(void **state)
{
    struct world w;
    struct verify_outcome out;
    struct verify_options opt = {.databases = true};
    (void)state;
    world_new(&w);
    world_sql(&w, "app.db", TABLE);
    struct snapshot a = world_backup(&w, "");
    tree_mkdir(&w.t, "elsewhere");
    tree_text(&w.t, "elsewhere/text", "small and whole");
    struct snapshot b = world_backup(&w, "elsewhere");
    flip_in_largest_pack(&w);
    assert_int_equal(verify(&w, &opt, &out), ERR_DAMAGED);
    assert_int_equal(out.database_count, 1);
    assert_false(out.databases[0].sound);
    assert_non_null(strstr(out.databases[0].detail, "it cannot be read"));
    verify_outcome_release(&out);
    assert_recorded(&w, &a, false, 5);
    assert_recorded(&w, &b, true, 5);
    /* Asked about the other snapshot only: the damage is told all the same, and the record is about what was asked. */
    const char *id = hex_of(&b);
    opt = (struct verify_options){.ids = &id, .id_count = 1, .store = {.read_data = true}};
    assert_int_equal(verify(&w, &opt, &out), ERR_DAMAGED);
    assert_int_equal(out.store.errors[0].affects_count, 1);
    assert_memory_equal(&out.store.errors[0].affects[0], &a.id, sizeof a.id);
    verify_outcome_release(&out);
    assert_recorded(&w, &b, true, 3);
    snapshot_release(&a);
    snapshot_release(&b);
    world_free(&w);
}

/* --- inspect
 * ---------------------------------------------------------------------------------------------------------- */

/* The last result of the path. */
static enum errc keep_result(void *arg, const char *path, const struct inspect_result *r, struct err *err)
{
    struct inspect_result *out = arg;
    (void)path;
    fact_list_release(&out->facts);
    *out = *r;
    out->vectors = (struct vector_result){0};
    return fact_list_copy(&out->facts, &r->facts, err);
}

static void not_failed(void *arg, const struct err *why)
{
    (void)arg;
    fail_msg("%s", why->message);
}

static enum errc look(const char *path, bool quick, struct inspect_result *out, struct err *err)
{
    const struct inspect_options opt = {.quick = quick};
    const struct inspect_sink sink = {.each = keep_result, .failed = not_failed, .arg = out};
    struct inspect_summary sum = {0};
    *out = (struct inspect_result){0};
    return inspect_path(path, &opt, &sink, &sum, err);
}

static void inspect(struct world *w, const char *name, bool quick, const char *format, bool ok, const char *says)
{
    struct inspect_result r;
    struct err err;
    if (look(tree_path(&w->t, name), quick, &r, &err) != ERR_OK)
        fail_msg("%s: %s", name, err.message);
    assert_string_equal(r.format, format);
    if (r.ok != ok || !strstr(r.detail, says))
        fail_msg("%s, quick %d: ok %d: %s", name, quick, r.ok, r.detail);
    inspect_release(&r);
}

static void test_inspect(void **state)
{
    struct world w;
    struct inspect_result r;
    struct err err;
    uint8_t page[4096] = {0};
    (void)state;
    world_new(&w);
    world_sql(&w, "app.db", "PRAGMA page_size = 1024; PRAGMA user_version = 7;" TABLE);
    inspect(&w, "app.db", false, "sqlite", true, "2 tables, 3000 rows");
    inspect(&w, "app.db", true, "sqlite", true, "pages of 1024 bytes, rollback, UTF-8");
    assert_int_equal(look(tree_path(&w.t, "app.db"), true, &r, &err), ERR_OK);
    assert_int_equal(fact_find(&r.facts, "user_version")->integer, 7);
    assert_memory_equal(fact_find(&r.facts, "sqlite_version")->text, "3.", 2);
    inspect_release(&r);
    inspect(&w, "", false, "directory", true, "0 vector files, 1 databases");
    tree_text(&w.t, "text", "hello");
    inspect(&w, "text", false, "file", true, "5 bytes");
    /* Broken: in the middle (only a full look sees it), cut within a page, cut in the header. */
    int fd = open(tree_path(&w.t, "app.db"), O_RDWR | O_CLOEXEC);
    memset(page, 0xee, sizeof page);
    assert_int_equal(pwrite(fd, page, sizeof page, 20480), (ssize_t)sizeof page);
    inspect(&w, "app.db", false, "sqlite", false, "damaged");
    inspect(&w, "app.db", true, "sqlite", true, "only its header");
    assert_int_equal(ftruncate(fd, 5000), 0);
    inspect(&w, "app.db", true, "sqlite", false, "cut off");
    inspect(&w, "app.db", false, "sqlite", false, "");
    assert_int_equal(ftruncate(fd, 60), 0);
    inspect(&w, "app.db", true, "sqlite", false, "header");
    inspect(&w, "app.db", false, "sqlite", false, "");
    close(fd);
    assert_int_equal(look(tree_path(&w.t, "nope"), false, &r, &err), ERR_SOURCE_MISSING);
    assert_int_equal(mkfifo(tree_path(&w.t, "fifo"), 0600), 0);
    assert_int_equal(look(tree_path(&w.t, "fifo"), false, &r, &err), ERR_SOURCE_UNREADABLE);
    world_free(&w);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),           cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_chosen_snapshots), cmocka_unit_test(test_databases),
        cmocka_unit_test(test_damaged_record),   cmocka_unit_test(test_inspect),
    };
    if (argc > 1 && strcmp(argv[1], "__sqlite") == 0)
        return sqlite_child_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
