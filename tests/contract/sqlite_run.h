/* Databases to try the SQLite source on. Whoever opens one through SQLite here does so in a process of its own or
 * closes it before a capture: the source reads the file plainly, and closing that descriptor would drop this process's
 * locks. */
#ifndef SNAP_TESTS_SQLITE_RUN_H
#define SNAP_TESTS_SQLITE_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/timefmt.h"
#include "sqlite_sink.h"

/* A directory with data/app.db, out/ for images. */
struct bench {
    char root[64], data[80], out[80], db[96];
};

static inline void bench_new(struct bench *b)
{
    snprintf(b->root, sizeof b->root, "/tmp/snap-sqlite-XXXXXX");
    assert_non_null(mkdtemp(b->root));
    snprintf(b->data, sizeof b->data, "%s/data", b->root);
    snprintf(b->out, sizeof b->out, "%s/out", b->root);
    snprintf(b->db, sizeof b->db, "%s/app.db", b->data);
    assert_int_equal(mkdir(b->data, 0755), 0);
    assert_int_equal(mkdir(b->out, 0700), 0);
    assert_int_equal(chmod(b->root, 0755), 0);
}

static inline void remove_tree(const char *path)
{
    char command[200];

    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

static inline void bench_free(struct bench *b)
{
    /* No helper may be left behind. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    remove_tree(b->root);
}

static inline const char *beside(const struct bench *b, const char *suffix)
{
    static char path[4][128];
    static unsigned turn;
    char *p = path[turn++ % 4];

    snprintf(p, sizeof path[0], "%s%s", b->db, suffix);
    return p;
}

static inline bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static inline const char *image_of(const struct bench *b, size_t n)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%zu", b->out, n);
    return path;
}

static inline sqlite3 *db_open(const char *path)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 20000);
    return db;
}

static inline void db_run(sqlite3 *db, const char *sql)
{
    char *message = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%.200s: %s", sql, message);
}

/* Open, run, close: in WAL mode the close checkpoints and takes the WAL away. */
static inline void db_script(const char *path, const char *sql)
{
    sqlite3 *db = db_open(path);

    db_run(db, sql);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* First column of the first row; of a file that nobody writes to. */
static inline sqlite3_int64 image_int(const char *path, const char *sql)
{
    char uri[200];
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    sqlite3_int64 value;

    snprintf(uri, sizeof uri, "file:%s?immutable=1", path);
    assert_int_equal(sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_ROW)
        fail_msg("%s: %s: %s", path, sql, sqlite3_errmsg(db));
    value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return value;
}

static inline void assert_sound(const char *path)
{
    char uri[200];
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;

    snprintf(uri, sizeof uri, "file:%s?immutable=1", path);
    assert_int_equal(sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(s, 0), "ok");
    sqlite3_finalize(s);
    sqlite3_close(db);
}

static inline uint8_t *slurp(const char *path, size_t *len_out)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data;
    struct stat st;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    data = malloc((size_t)st.st_size + 1);
    assert_non_null(data);
    *len_out = fread(data, 1, (size_t)st.st_size, f);
    assert_int_equal(*len_out, st.st_size);
    fclose(f);
    return data;
}

static inline bool same_files(const char *a, const char *b)
{
    size_t a_len, b_len;
    uint8_t *x = slurp(a, &a_len), *y = slurp(b, &b_len);
    bool same = a_len == b_len && memcmp(x, y, a_len) == 0;

    free(x);
    free(y);
    return same;
}

static inline void copy_file(const char *from, const char *to)
{
    size_t len;
    uint8_t *data = slurp(from, &len);
    FILE *f = fopen(to, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    free(data);
}

static inline void overwrite(const char *path, off_t at, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, at), len);
    close(fd);
}

/* What was said on the side. */
struct heard {
    unsigned warnings;
    char last_name[40], last[1600];
};

static inline void hear(void *arg, enum diag_level level, const char *name, const char *text)
{
    struct heard *h = arg;

    if (level != DIAG_WARNING)
        return;
    h->warnings++;
    snprintf(h->last_name, sizeof h->last_name, "%s", name);
    snprintf(h->last, sizeof h->last, "%s", text);
}

/* One capture with the defaults but for what opt says. */
struct captured {
    struct memory_sink *sink;
    struct capture_result result;
    struct heard heard;
    struct err err;
    enum errc rc;
};

static inline void capture_into(struct captured *o, const struct bench *b, struct memory_sink *sink,
                                struct capture_options opt)
{
    struct diag diag = {.message = hear, .arg = &o->heard};

    memset(o, 0, sizeof *o);
    o->sink = sink;
    opt.diag = &diag;
    o->rc = sqlite_capture(b->db, &sink->sink, &opt, &o->result, &o->err);
}

static inline void capture_db(struct captured *o, const struct bench *b)
{
    capture_into(o, b, memory_sink_new(b->out), (struct capture_options){0});
    if (o->rc != ERR_OK)
        fail_msg("capture: %s", o->err.message);
}

static inline void outcome_free(struct captured *o)
{
    memory_sink_free(o->sink);
    fact_list_release(&o->result.facts);
}

/* One entry, exact and good, and the image is sound. */
static inline void assert_exact(const struct captured *o, const struct bench *b)
{
    if (o->heard.warnings)
        fail_msg("warned: %s", o->heard.last);
    assert_int_equal(o->sink->count, 1);
    assert_int_equal(o->sink->entries[0].e.type, ENTRY_SQLITE);
    assert_int_equal(o->sink->entries[0].end.state, STATE_EXACT);
    assert_int_equal(o->result.worst, STATE_EXACT);
    assert_true(o->result.good);
    assert_int_equal(o->result.entries, 1);
    assert_int_equal(o->result.bytes, o->sink->entries[0].size);
    assert_sound(image_of(b, 0));
}

static inline const char *fact_text(const struct captured *o, const char *key)
{
    const struct fact *f = fact_find(&o->result.facts, key);

    if (!f || f->type != FACT_TEXT)
        fail_msg("no fact %s", key);
    return f->text;
}

static inline int64_t fact_int(const struct captured *o, const char *key)
{
    const struct fact *f = fact_find(&o->result.facts, key);

    if (!f || f->type != FACT_INT)
        fail_msg("no fact %s", key);
    return f->integer;
}

/* Rows of some size, deterministic. */
#define ROWS(n, bytes)                                                                                \
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < " #n ") INSERT INTO t " \
    "SELECT x, printf('%d-%s', x, hex(zeroblob(" #bytes " / 2))) FROM c;"

#endif
