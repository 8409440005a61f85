/* Every kind of damage to every kind of object: right bytes or an error, never wrong bytes (I4); verify finds it and
 * names whom it hits (I6); other snapshots restore; a next backup stores again what was lost. SNAP_TEST_LONG=1 tries
 * every byte. */
#include "store_run.h"

enum { SNAPSHOTS = 4 };

struct past {
    struct repo r;
    struct stream streams[SNAPSHOTS][2];
    struct snapshot snaps[SNAPSHOTS];
};

/* 0: a, 1: a changed (a delta), 2: b, shares nothing; 3: b again and a changed again. */
static void past_new(struct past *p)
{
    repo_new(&p->r);
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        p->streams[i][0] = (struct stream){.path = "one", .len = 30000, .data = random_bytes(30000, i == 2 ? 2 : 1)};
        p->streams[i][1] = (struct stream){
            .path = "two", .len = 20000, .data = text_bytes(20000, i == 2 ? 4 : 3), .fixed = CUT_FIXED_BYTES};
        if (i == 1 || i == 3)
            memset(p->streams[i][0].data + 100 * i, 'x', 100);
        store_streams(p->r.store, p->streams[i], 2, i == 0 ? NULL : &p->snaps[i == 3 ? 1 : 0], &p->snaps[i]);
    }
    repo_close(&p->r);
    run_command("cp -a %s %s/kept", p->r.path, p->r.t.dir);
}

static void put_back(struct past *p)
{
    run_command("rm -rf %s; cp -a %s/kept %s", p->r.path, p->r.t.dir, p->r.path);
}

static void past_free(struct past *p)
{
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        snapshot_release(&p->snaps[i]);
        free(p->streams[i][0].data);
        free(p->streams[i][1].data);
    }
    repo_free(&p->r);
}

static char *pack_path(const struct past *p, size_t snap, char dst[500])
{
    char name[PACK_NAME_BYTES];
    assert_int_equal(p->snaps[snap].pack_count, 1);
    snprintf(dst, 500, "%s/%s", p->r.path, pack_name(name, &p->snaps[snap].packs[0]));
    return dst;
}

/* One bit as a set; wrong bytes fail the test inside. */
static unsigned readable(struct past *p, struct store *s)
{
    unsigned set = 0;
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        struct err err;
        if (try_compare(s, &p->snaps[i].items[0].list, p->streams[i], 2, &err) == ERR_OK)
            set |= 1u << i;
        else
            assert_true(err.code == ERR_DAMAGED || err.code == ERR_MISSING_OBJECT || err.code == ERR_FORMAT_NEWER);
    }
    return set;
}

/* Errors found, and the snapshots that some error names. */
static size_t verify(struct past *p, struct store *s, unsigned *named)
{
    struct store_verify_options opt = {.read_data = true};
    struct store_verify_result result;
    OK(store_verify(s, &opt, &result, &test_err));
    *named = 0;
    for (size_t i = 0; i < result.error_count; i++) {
        const struct store_verify_error *e = &result.errors[i];
        assert_true(e->message[0] != '\0' && e->object[0] != '\0' && e->kind[0] != '\0');
        for (size_t k = 0; k < e->affects_count; k++)
            for (size_t n = 0; n < SNAPSHOTS; n++)
                if (memcmp(&e->affects[k], &p->snaps[n].id, sizeof p->snaps[n].id) == 0)
                    *named |= 1u << n;
        assert_true(e->affects_count == 0 || e->path_count > 0);
    }
    size_t count = result.error_count;
    store_verify_result_release(&result);
    return count;
}

static void flip(const char *path, off_t at, int bit)
{
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= (uint8_t)(1 << bit);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void flip_in(struct past *p, const char *dir, const char *name, unsigned step)
{
    char path[600];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s%s%s", p->r.path, dir, *dir ? "/" : "", name);
    assert_int_equal(stat(path, &st), 0);
    bool pack = strcmp(dir, "packs") == 0, log = strcmp(dir, "log") == 0;
    for (off_t at = 0; at < st.st_size; at += getenv("SNAP_TEST_LONG") || at < 200 || at > st.st_size - 60
                                                  ? (getenv("SNAP_TEST_LONG") || at < 200 ? 1 : 5)
                                                  : 1 + (off_t)(at * 7919 % step)) {
        /* Early and late bytes: all. Between: a sample, which is another one for each offset. */
        if (!getenv("SNAP_TEST_LONG") && at < st.st_size - 60 && at % 16 != 0 && at < 200)
            continue;
        flip(path, at, (int)(at % 8));
        struct store *s;
        struct err err;
        enum errc rc = repo_try(&p->r, p->r.cache, false, &s, &err);
        if (rc == ERR_OK) {
            unsigned whole = readable(p, s), named;
            size_t found = verify(p, s, &named);
            if ((pack || log) && found == 0)
                fail_msg("verify did not see byte %lld of %s/%s", (long long)at, dir, name);
            if ((whole | named) != (1u << SNAPSHOTS) - 1)
                fail_msg("byte %lld of %s/%s: readable %x, named %x", (long long)at, dir, name, whole, named);
            store_close(s);
        } else {
            assert_true(!pack); /* one pack never keeps a repository from being opened */
            assert_true(err.message[0] != '\0');
        }
        flip(path, at, (int)(at % 8));
        /* The catalog forgot what verify found; it is made again from the repository, which is whole again. */
        run_command("rm -rf %s", p->r.cache);
    }
}

static void flipped_bits(void **state)
{
    (void)state;
    static const char *const dirs[] = {"packs", "log", "keys"};
    struct past p;
    past_new(&p);
    for (size_t d = 0; d < 3; d++) {
        struct names names;
        list_names(&p.r, dirs[d], &names);
        for (size_t i = 0; i < names.count; i++)
            if (d > 0 ? i < 2 : true)
                flip_in(&p, dirs[d], names.at[i], d == 0 ? 4000 : 400);
        free_names(&names);
    }
    flip_in(&p, "", "config", 60);
    OK(repo_try(&p.r, p.r.cache, true, &p.r.store, &test_err));
    assert_int_equal(readable(&p, p.r.store), (1u << SNAPSHOTS) - 1);
    past_free(&p);
}

/* The catalog that was there before the damage, and one that is made after it, lead to the same. */
static void packs_mistreated(void **state)
{
    (void)state;
    static const struct {
        const char *what, *command; /* $0: the pack of snapshot 0, $2: that of snapshot 2 */
        unsigned readable;          /* at least, with the catalog of before */
    } cases[] = {
        {"deleted", "rm $0", 4},
        {"empty", ": > $0", 4},
        {"cut to its header", "truncate -s 192 $0", 4},
        {"cut within the header", "truncate -s 100 $0", 4},
        {"a byte short", "truncate -s -1 $0", 15},
        {"a byte longer", "echo >> $0", 15},
        {"much longer", "cat $2 >> $0", 15},
        {"half", "truncate -s 17000 $0", 4},
        {"swapped", "mv $0 x; mv $2 $0; mv x $2", 0},
        {"another in its place", "cp $2 $0", 4},
        {"a directory", "rm $0; mkdir $0", 4},
        {"a link to nothing", "rm $0; ln -s nothing $0", 4},
        {"zeros", "s=$(stat -c %s $0); rm $0; truncate -s $s $0", 4},
    };
    struct past p;
    char zero[500], two[500];
    past_new(&p);
    pack_path(&p, 0, zero);
    pack_path(&p, 2, two);
    run_command("cp -a %s %s/kept-cache", p.r.cache, p.r.t.dir);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int fresh = 0; fresh < 2; fresh++) {
            unsigned named;
            put_back(&p);
            run_command("rm -rf %s; test %d = 1 || cp -a %s/kept-cache %s", p.r.cache, fresh, p.r.t.dir, p.r.cache);
            char script[600];
            char *to = script;
            for (const char *c = cases[i].command; *c; c++)
                if (*c == '$' && (c[1] == '0' || c[1] == '2'))
                    to += sprintf(to, "${%s}", *++c == '0' ? "zero" : "two");
                else
                    *to++ = *c;
            *to = '\0';
            run_command("cd %s/packs; zero=%s; two=%s; %s", p.r.path, zero, two, script);
            repo_open(&p.r);
            unsigned before = readable(&p, p.r.store);
            if (!fresh && (before & cases[i].readable) != cases[i].readable)
                fail_msg("%s: readable %x", cases[i].what, before);
            if (fresh && (before & cases[i].readable & 4) != (cases[i].readable & 4))
                fail_msg("%s, new catalog: readable %x", cases[i].what, before);
            if (verify(&p, p.r.store, &named) == 0)
                fail_msg("%s%s: verify found nothing", cases[i].what, fresh ? ", new catalog" : "");
            if ((before | named) != 15)
                fail_msg("%s%s: readable %x, named %x", cases[i].what, fresh ? ", new catalog" : "", before, named);
            /* To look does no harm. */
            if ((readable(&p, p.r.store) & before) != before)
                fail_msg("%s%s: verify made things worse: %x, before %x", cases[i].what, fresh ? ", new catalog" : "",
                         readable(&p, p.r.store), before);
            /* The next backup does not rely on what is lost, and brings it back. */
            struct snapshot next[2];
            repo_close(&p.r);
            repo_open(&p.r);
            store_streams(p.r.store, p.streams[0], 2, NULL, &next[0]);
            store_streams(p.r.store, p.streams[2], 2, NULL, &next[1]);
            compare(p.r.store, &next[0], p.streams[0], 2);
            compare(p.r.store, &next[1], p.streams[2], 2);
            if ((readable(&p, p.r.store) & before) != before)
                fail_msg("%s%s: a backup made things worse", cases[i].what, fresh ? ", new catalog" : "");
            repo_close(&p.r);
            run_command("rm -rf %s", p.r.cache);
            repo_open(&p.r);
            compare(p.r.store, &next[0], p.streams[0], 2);
            compare(p.r.store, &next[1], p.streams[2], 2);
            snapshot_release(&next[0]);
            snapshot_release(&next[1]);
            repo_close(&p.r);
        }
    put_back(&p);
    run_command("rm -rf %s", p.r.cache);
    repo_open(&p.r);
    past_free(&p);
}

/* A base that is lost takes its deltas with it; they are stored again as well, for their rows are still there. */
static void lost_base(void **state)
{
    (void)state;
    struct past p;
    char zero[500];
    struct snapshot next;
    past_new(&p);
    assert_true(p.snaps[3].chunks_delta > 0);
    run_command("rm %s", pack_path(&p, 0, zero));
    repo_open(&p.r);
    store_streams(p.r.store, p.streams[3], 2, NULL, &next);
    compare(p.r.store, &next, p.streams[3], 2);
    assert_int_equal(readable(&p, p.r.store) & 8, 8); /* the old one is whole again, too */
    snapshot_release(&next);
    past_free(&p);
}

/* A record of the right pack under the wrong name: what is handed out has been checked (ST1). */
static void catalog_lies(void **state)
{
    (void)state;
    struct past p;
    struct names names;
    past_new(&p);
    repo_open(&p.r);
    list_names(&p.r, "packs", &names);
    run_command("cd %s/*/ && python3 -c \"\nimport sqlite3\nd = sqlite3.connect('catalog.db')\n"
                "r = d.execute('select rowid, name from chunk order by name').fetchall() if 0 else "
                "d.execute('select name, pack, desc from chunk order by name').fetchall()\n"
                "d.execute('delete from chunk')\n"
                "for i, x in enumerate(r): d.execute('insert into chunk values(?,?,?)', (x[0], r[i-1][1], r[i-1][2]))\n"
                "d.commit()\"",
                p.r.cache);
    assert_int_equal(readable(&p, p.r.store), 0);
    OK(store_rebuild(p.r.store, NULL, &test_err));
    assert_int_equal(readable(&p, p.r.store), 15);
    free_names(&names);
    past_free(&p);
}

/* A catalog that was made while the packs were out of reach: all of them are read, and damage in any is found. */
static void packs_away_for_a_moment(void **state)
{
    (void)state;
    struct past p;
    char path[500];
    past_new(&p);
    for (size_t damaged = 0; damaged <= SNAPSHOTS; damaged++) {
        struct store_verify_options opt = {.read_data = true};
        struct store_verify_result result;
        put_back(&p);
        run_command("rm -rf %s; mv %s/packs %s/packs", p.r.cache, p.r.path, p.r.t.dir);
        run_command("mkdir %s/packs", p.r.path);
        repo_open(&p.r);
        repo_close(&p.r);
        run_command("rmdir %s/packs; mv %s/packs %s/packs", p.r.path, p.r.t.dir, p.r.path);
        if (damaged < SNAPSHOTS)
            flip(pack_path(&p, damaged, path), 400, 3);
        repo_open(&p.r);
        OK(store_verify(p.r.store, &opt, &result, &test_err));
        assert_true(result.complete);
        assert_int_equal(result.packs, SNAPSHOTS);
        assert_int_equal(result.error_count > 0, damaged < SNAPSHOTS);
        store_verify_result_release(&result);
        repo_close(&p.r);
    }
    past_free(&p);
}

/* Whether a session may rely on everything, and finds all of it. */
static bool relies(struct past *p)
{
    struct session *x;
    repo_close(&p->r);
    repo_open(&p->r);
    OK(session_begin(p->r.store, NULL, false, &x, &test_err));
    bool all = !session_lost_packs(x) && p->r.store->doubtful_count == 0;
    session_free(x);
    return all;
}

/* Damage that is found, and then put right: nothing of it is left, also for the records whose rows were forgotten. */
static void put_right(void **state)
{
    (void)state;
    struct past p;
    char path[500];
    struct stat st;
    past_new(&p);
    assert_int_equal(stat(pack_path(&p, 0, path), &st), 0);
    const off_t places[] = {PACK_HEADER_BYTES + 50, st.st_size / 2, st.st_size - 1, st.st_size - 100, 20};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct snapshot next;
        unsigned named;
        repo_open(&p.r);
        flip(path, places[i], 2);
        assert_true(verify(&p, p.r.store, &named) > 0);
        flip(path, places[i], 2);
        repo_close(&p.r);
        repo_open(&p.r);
        if (verify(&p, p.r.store, &named) != 0)
            fail_msg("byte %lld: damage is left", (long long)places[i]);
        assert_true(relies(&p));
        assert_int_equal(readable(&p, p.r.store), 15);
        store_streams(p.r.store, p.streams[0], 2, NULL, &next);
        assert_int_equal(next.chunks_new, 0);
        snapshot_release(&next);
        repo_close(&p.r);
    }
    past_free(&p);
}

static int fail_reads(enum io_op op, const char *what, void *arg)
{
    return op == IO_READ && what && strstr(what, arg) ? EIO : 0;
}

/* The disk did not answer: said, and held against nobody. */
static void read_error(void **state)
{
    (void)state;
    struct past p;
    char path[500];
    unsigned named;
    past_new(&p);
    repo_open(&p.r);
    io_set_hook(fail_reads, strrchr(pack_path(&p, 0, path), '/') + 1);
    size_t found = verify(&p, p.r.store, &named);
    io_set_hook(NULL, NULL);
    assert_true(found > 0);
    assert_int_equal(named, 11); /* all that need pack 0 */
    assert_true(relies(&p));
    assert_int_equal(verify(&p, p.r.store, &named), 0);
    past_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flipped_bits), cmocka_unit_test(packs_mistreated),        cmocka_unit_test(lost_base),
        cmocka_unit_test(catalog_lies), cmocka_unit_test(packs_away_for_a_moment), cmocka_unit_test(put_right),
        cmocka_unit_test(read_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
