/* A repository for one test of the store, streams that are written into it, and their bytes read back. */
#ifndef SNAP_TESTS_STORE_RUN_H
#define SNAP_TESTS_STORE_RUN_H

#include "contract/tree.h"

#include "base/io.h"
#include "store/internal.h"

#define OK(call)                                         \
    do {                                                 \
        memset(&test_err, 0, sizeof test_err);           \
        if ((call) != ERR_OK)                            \
            fail_msg("%s: %s", #call, test_err.message); \
    } while (0)
static struct err test_err;

struct repo {
    struct tree t;
    char path[300], cache[300], key[300];
    char recovery[RECOVERY_TEXT_BYTES];
    struct store *store;
};

/* One stream of a snapshot. */
struct stream {
    const char *path;
    uint8_t *data;
    size_t len;
    uint32_t fixed;
    uint64_t hole_at, hole_len;  /* bytes of data before a hole; no hole when hole_len is 0 */
    uint64_t row_bytes, rows_at; /* a hint for cuts; 0: none */
};

static inline enum errc repo_try(const struct repo *r, const char *cache, bool write, struct store **out,
                                 struct err *err)
{
    struct store_options opt = {.path = r->path, .cache_dir = cache, .secret = {.key_file = r->key}, .write = write};
    return store_open(&opt, out, err);
}

static inline void repo_open(struct repo *r)
{
    OK(repo_try(r, r->cache, true, &r->store, &test_err));
}

static inline void repo_close(struct repo *r)
{
    store_close(r->store);
    r->store = NULL;
}

static inline void repo_paths(struct repo *r)
{
    memset(r, 0, sizeof *r);
    tree_new(&r->t);
    snprintf(r->path, sizeof r->path, "%s/repo", r->t.dir);
    snprintf(r->cache, sizeof r->cache, "%s/cache", r->t.dir);
    snprintf(r->key, sizeof r->key, "%s/key", r->t.dir);
}

static inline enum errc repo_init(struct repo *r, struct err *err)
{
    struct repo_id id;
    struct store_init_options opt = {.path = r->path, .key_file = r->key};
    return store_init(&opt, &id, r->recovery, err);
}

static inline void repo_new(struct repo *r)
{
    repo_paths(r);
    OK(repo_init(r, &test_err));
    repo_open(r);
}

static inline void repo_free(struct repo *r)
{
    repo_close(r);
    tree_free(&r->t);
}

static inline void run_command(const char *fmt, ...) PRINTF_LIKE(1, 2);
static inline void run_command(const char *fmt, ...)
{
    char text[2000];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", text, (char *)NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("%s", text);
}

static inline uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x * 0x2545f4914f6cdd1du;
}

/* Bytes that do not compress, the same for the same seed. */
static inline uint8_t *random_bytes(size_t len, uint64_t seed)
{
    uint8_t *p = malloc(len + 1);
    assert_non_null(p);
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 88172645463325252u;
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(next_random(&x) >> 56);
    return p;
}

/* Lines of text. */
static inline uint8_t *text_bytes(size_t len, uint64_t seed)
{
    uint8_t *p = malloc(len + 64);
    assert_non_null(p);
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 88172645463325252u;
    for (size_t at = 0; at < len;)
        at += (size_t)snprintf((char *)p + at, 64, "{\"id\": %llu, \"state\": \"open\"}\n",
                               (unsigned long long)(next_random(&x) % 100000000));
    return p;
}

static inline void put_stream(struct list_writer *w, const struct stream *s)
{
    const struct entry *before;
    struct entry e = {.path = s->path,
                      .path_len = strlen(s->path),
                      .type = ENTRY_FILE,
                      .mode = 0600,
                      .size = s->len + s->hole_len,
                      .nlink = 1};
    struct entry_end end = {.state = STATE_EXACT, .size = s->len + s->hole_len};
    OK(list_writer_previous(w, s->path, strlen(s->path), &before, &test_err));
    OK(list_writer_begin(w, s->fixed, &test_err));
    if (s->row_bytes > 0)
        list_writer_rows(w, s->rows_at, s->row_bytes);
    size_t first = s->hole_len > 0 ? (size_t)s->hole_at : s->len;
    OK(list_writer_data(w, s->data, first, &test_err));
    if (s->hole_len > 0) {
        OK(list_writer_hole(w, s->hole_len, &test_err));
        OK(list_writer_data(w, s->data + first, s->len - first, &test_err));
    }
    OK(list_writer_end(w, &e, &end, &test_err));
}

static inline void fill_snapshot(struct snapshot *snap, const struct stream_root *root)
{
    memset(snap, 0, sizeof *snap);
    snap->kind = SNAPSHOT_BACKUP;
    snap->time = time_now();
    OK(mem_strdup(&snap->set, "set", &test_err));
    OK(mem_strdup(&snap->host, "host", &test_err));
    OK(mem_strdup(&snap->user, "user", &test_err));
    OK(mem_alloc(&snap->items, sizeof *snap->items, &test_err));
    snap->item_count = 1;
    OK(mem_strdup(&snap->items[0].source, "src", &test_err));
    OK(mem_strdup(&snap->items[0].path, "/src", &test_err));
    snap->items[0].type = ITEM_FILES;
    snap->items[0].good = true;
    snap->items[0].list = *root;
}

/* Streams in order of paths. snap is released by the caller. */
static inline void store_streams(struct store *s, const struct stream *streams, size_t count,
                                 const struct snapshot *previous, struct snapshot *snap)
{
    struct session *x;
    struct list_writer *w;
    struct stream_root root;
    OK(session_begin(s, NULL, false, &x, &test_err));
    OK(list_writer_open(x, previous ? &previous->items[0].list : NULL, &w, &test_err));
    for (size_t i = 0; i < count; i++)
        put_stream(w, &streams[i]);
    OK(list_writer_finish(w, &root, &test_err));
    list_writer_free(w);
    fill_snapshot(snap, &root);
    OK(session_commit(x, snap, &test_err));
    session_free(x);
}

/* A reference whose fingerprint is not that of the chunk is refused (ST1). */
static inline void must_not_take_another_print(struct chunk_reader *c, struct chunk_ref *ref)
{
    static const struct fingerprint unknown;
    static uint8_t plain[CHUNK_MAX_BYTES];
    struct chunk_ref wrong = *ref;
    struct err err;
    if (memcmp(&ref->print, &unknown, sizeof unknown) == 0)
        return;
    wrong.print.b[5] ^= 1;
    assert_int_not_equal(chunk_read_ref(c, &wrong, plain, &err), ERR_OK);
}

/* Reads a whole list. Each ENTRY with data is compared with the stream of its path: ERR_OK means that every byte of
 * every stream came back right, in order, and nothing else. Wrong bytes fail the test at once (I4). */
static inline enum errc try_compare(struct store *s, const struct stream_root *root, const struct stream *streams,
                                    size_t count, struct err *err)
{
    struct list_reader *l;
    struct chunk_reader *c;
    static uint8_t plain[CHUNK_MAX_BYTES];
    size_t at = 0;
    uint64_t offset = 0; /* in the entry, holes included */
    enum errc rc = list_reader_open(s, root, &l, err);
    if (rc != ERR_OK)
        return rc;
    OK(chunk_reader_new(s, &c, &test_err));
    for (;;) {
        struct list_record rec;
        bool more;
        rc = list_reader_next(l, &rec, &more, err);
        if (rc != ERR_OK || !more)
            break;
        if (at == count)
            fail_msg("more entries than were stored");
        const struct stream *st = &streams[at];
        if (rec.kind == LIST_ENTRY) {
            assert_int_equal(rec.u.entry.path_len, strlen(st->path));
            assert_memory_equal(rec.u.entry.path, st->path, strlen(st->path));
            offset = 0;
        } else if (rec.kind == LIST_HOLE) {
            assert_int_equal(rec.u.hole.offset, st->hole_at);
            assert_int_equal(rec.u.hole.offset, offset);
            assert_int_equal(rec.u.hole.len, st->hole_len);
            offset += rec.u.hole.len;
        } else if (rec.kind == LIST_RUN) {
            struct reader refs = reader_of(rec.refs.data, rec.refs.len);
            assert_int_equal(rec.u.run.offset, offset);
            for (uint32_t i = 0; rc == ERR_OK && i < rec.u.run.count; i++) {
                struct chunk_ref ref;
                rc = run_ref_get(&refs, &rec.u.run, &ref, err);
                if (rc == ERR_OK && i == 0)
                    must_not_take_another_print(c, &ref);
                if (rc == ERR_OK) /* both ways of checking */
                    rc = i % 2 == 0 ? chunk_read_ref(c, &ref, plain, err)
                                    : chunk_read(c, &ref.name, CHUNK_DATA, plain, ref.len, err);
                if (rc != ERR_OK)
                    break;
                uint64_t from = offset - (st->hole_len > 0 && offset >= st->hole_at + st->hole_len ? st->hole_len : 0);
                assert_true(from + ref.len <= st->len);
                assert_memory_equal(plain, st->data + from, ref.len);
                offset += ref.len;
            }
        } else {
            assert_int_equal(offset, st->len + st->hole_len);
            at++;
        }
        if (rc != ERR_OK)
            break;
    }
    if (rc == ERR_OK)
        assert_int_equal(at, count);
    chunk_reader_free(c);
    list_reader_free(l);
    return rc;
}

static inline void compare(struct store *s, const struct snapshot *snap, const struct stream *streams, size_t count)
{
    OK(try_compare(s, &snap->items[0].list, streams, count, &test_err));
}

struct seen {
    struct snapshot_id ids[256];
    size_t count;
};

static inline enum errc see(void *arg, struct snapshot_row *row, struct err *err)
{
    struct seen *s = arg;
    (void)err;
    assert_true(s->count < 256);
    s->ids[s->count++] = row->snap.id;
    return ERR_OK;
}

static inline size_t count_snapshots(struct store *s)
{
    struct seen seen = {.count = 0};
    struct snapshot_filter all = {.any_deleted = true};
    OK(catalog_snapshots(store_catalog(s), &all, see, &seen, &test_err));
    return seen.count;
}

/* Names of the files in a directory of the repository; freed by the caller, one by one and the array. */
static inline int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names {
    char *at[512];
    size_t count;
};

static inline enum errc add_name(void *arg, const char *name, struct err *err)
{
    struct names *n = arg;
    assert_true(n->count < 512);
    return mem_strdup(&n->at[n->count++], name, err);
}

static inline void list_names(const struct repo *r, const char *dir, struct names *n)
{
    struct backend *b;
    n->count = 0;
    OK(backend_open_local(r->path, &b, &test_err));
    OK(backend_list(b, dir, add_name, n, &test_err));
    backend_close(b);
    qsort(n->at, n->count, sizeof n->at[0], by_name);
}

static inline void free_names(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->at[i]);
}

static inline size_t count_names(const struct repo *r, const char *dir)
{
    struct names n;
    list_names(r, dir, &n);
    free_names(&n);
    return n.count;
}

#endif
