/* The application database of the benchmark: tasks, memory and embeddings, with the indexes an application has. */
#include "gen.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

enum { ROWS = 400000, EMBEDDINGS = 100000, TEXT_CAP = 1200 };
enum { STREAM_DB = 100, STREAM_DB_DAY = 1000000 };

static const char schema[] =
    "CREATE TABLE tasks(id INTEGER PRIMARY KEY, uuid TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL,"
    " status TEXT NOT NULL, agent TEXT NOT NULL, priority INTEGER NOT NULL, created_at INTEGER NOT NULL,"
    " updated_at INTEGER NOT NULL, result TEXT);"
    "CREATE INDEX tasks_status ON tasks(status, updated_at);"
    "CREATE INDEX tasks_agent ON tasks(agent, created_at);"
    "CREATE TABLE memory(id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, key TEXT NOT NULL, content TEXT NOT NULL,"
    " importance REAL NOT NULL, access_count INTEGER NOT NULL, created_at INTEGER NOT NULL,"
    " accessed_at INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX memory_key ON memory(namespace, key);"
    "CREATE INDEX memory_accessed ON memory(accessed_at);"
    "CREATE TABLE embeddings(id INTEGER PRIMARY KEY, memory_id INTEGER NOT NULL REFERENCES memory(id),"
    " vector BLOB NOT NULL);";

static const char *const states[] = {"queued", "running", "done", "done", "done", "failed", "cancelled"};
static const char *const spaces[] = {"default", "project", "session", "patterns", "decisions", "notes"};

struct db {
    sqlite3 *handle;
    sqlite3_stmt *task, *memory;
    struct rng rng;
    int64_t now; /* seconds; grows with every row */
};

static void db_die(struct db *d, const char *what)
{
    fprintf(stderr, "bench_gen: %s: %s\n", what, sqlite3_errmsg(d->handle));
    exit(1);
}

static void db_exec(struct db *d, const char *sql)
{
    if (sqlite3_exec(d->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        db_die(d, sql);
}

static sqlite3_stmt *db_prepare(struct db *d, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(d->handle, sql, -1, &stmt, NULL) != SQLITE_OK)
        db_die(d, sql);
    return stmt;
}

static void db_step(struct db *d, sqlite3_stmt *stmt)
{
    if (sqlite3_step(stmt) != SQLITE_DONE)
        db_die(d, sqlite3_sql(stmt));
    sqlite3_reset(stmt);
}

static void bind_text(struct db *d, sqlite3_stmt *stmt, int column, size_t len)
{
    char text[TEXT_CAP];
    size_t n = gen_text(&d->rng, text, sizeof text, len);
    sqlite3_bind_text(stmt, column, text, (int)n, SQLITE_TRANSIENT);
}

/* Most texts are short, some are long; mean bytes on average. */
static size_t text_len(struct db *d, size_t mean)
{
    return mean / 4 + (size_t)(rng_unit(&d->rng) * rng_unit(&d->rng) * 3.0 * (double)mean);
}

static void db_open(struct db *d, const struct gen_plan *p)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/app.db", p->dir);
    if (sqlite3_open(path, &d->handle) != SQLITE_OK)
        db_die(d, path);
}

static void db_prepare_inserts(struct db *d)
{
    d->task = db_prepare(d, "INSERT INTO tasks(uuid,title,body,status,agent,priority,created_at,updated_at,result)"
                            " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)");
    d->memory = db_prepare(d, "INSERT INTO memory(namespace,key,content,importance,access_count,created_at,accessed_at)"
                              " VALUES(?1,?2,?3,?4,?5,?6,?7)");
}

static void add_task(struct db *d)
{
    char uuid[40], agent[24];
    uint64_t a = rng_next(&d->rng), b = rng_next(&d->rng);
    snprintf(uuid, sizeof uuid, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32), (unsigned)(a & 0xffff),
             (unsigned)(a >> 16 & 0xfff), (unsigned)(b >> 48 & 0x3fff) | 0x8000,
             (unsigned long long)(b & 0xffffffffffff));
    snprintf(agent, sizeof agent, "agent-%02u", (unsigned)rng_below(&d->rng, 40));
    d->now += (int64_t)rng_below(&d->rng, 60);
    sqlite3_bind_text(d->task, 1, uuid, -1, SQLITE_TRANSIENT);
    bind_text(d, d->task, 2, 30);
    bind_text(d, d->task, 3, text_len(d, 166));
    sqlite3_bind_text(d->task, 4, states[rng_below(&d->rng, 7)], -1, SQLITE_STATIC);
    sqlite3_bind_text(d->task, 5, agent, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(d->task, 6, (int64_t)rng_below(&d->rng, 5));
    sqlite3_bind_int64(d->task, 7, d->now);
    sqlite3_bind_int64(d->task, 8, d->now + (int64_t)rng_below(&d->rng, 86400));
    bind_text(d, d->task, 9, text_len(d, 60));
    db_step(d, d->task);
}

static void add_memory(struct db *d)
{
    char key[48];
    snprintf(key, sizeof key, "%llx/%u", (unsigned long long)rng_next(&d->rng) >> 24, (unsigned)d->now);
    sqlite3_bind_text(d->memory, 1, spaces[rng_below(&d->rng, 6)], -1, SQLITE_STATIC);
    sqlite3_bind_text(d->memory, 2, key, -1, SQLITE_TRANSIENT);
    bind_text(d, d->memory, 3, text_len(d, 227));
    sqlite3_bind_double(d->memory, 4, (double)rng_below(&d->rng, 1000) / 1000.0);
    sqlite3_bind_int64(d->memory, 5, (int64_t)rng_below(&d->rng, 50));
    sqlite3_bind_int64(d->memory, 6, d->now);
    sqlite3_bind_int64(d->memory, 7, d->now + (int64_t)rng_below(&d->rng, 864000));
    db_step(d, d->memory);
}

static void add_embeddings(struct db *d, uint64_t count)
{
    float v[GEN_DIM];
    sqlite3_stmt *stmt = db_prepare(d, "INSERT INTO embeddings(memory_id,vector) VALUES(?1,?2)");
    for (uint64_t i = 0; i < count; i++) {
        rng_unit_vector(&d->rng, v, GEN_DIM);
        sqlite3_bind_int64(stmt, 1, (int64_t)(i * 4 + 1));
        sqlite3_bind_blob(stmt, 2, v, sizeof v, SQLITE_STATIC);
        db_step(d, stmt);
    }
    sqlite3_finalize(stmt);
}

static void db_close(struct db *d)
{
    sqlite3_finalize(d->task);
    sqlite3_finalize(d->memory);
    db_exec(d, "PRAGMA wal_checkpoint(TRUNCATE)");
    if (sqlite3_close(d->handle) != SQLITE_OK)
        db_die(d, "close");
}

void gen_db_make(const struct gen_plan *p)
{
    char path[PATH_MAX];
    struct db d = {.now = 1700000000};
    uint64_t rows = (uint64_t)(ROWS * p->scale);

    snprintf(path, sizeof path, "%s/app.db", p->dir);
    if (unlink(path) != 0 && errno != ENOENT)
        gen_die(path);
    rng_seed(&d.rng, p->seed, STREAM_DB);
    db_open(&d, p);
    db_exec(&d, "PRAGMA page_size=4096; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-1000000");
    db_exec(&d, schema);
    db_prepare_inserts(&d);
    db_exec(&d, "BEGIN");
    for (uint64_t i = 0; i < rows; i++) {
        add_task(&d);
        add_memory(&d);
    }
    add_embeddings(&d, (uint64_t)(EMBEDDINGS * p->scale));
    db_exec(&d, "COMMIT; PRAGMA journal_mode=WAL");
    db_close(&d);
}

static uint64_t table_rows(struct db *d, const char *sql)
{
    sqlite3_stmt *stmt = db_prepare(d, sql);
    if (sqlite3_step(stmt) != SQLITE_ROW)
        db_die(d, sql);
    uint64_t n = (uint64_t)sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return n;
}

/* Changed rows keep about the length of the text they replace. */
static size_t old_len(struct db *d, sqlite3_stmt *length, int64_t id)
{
    sqlite3_bind_int64(length, 1, id);
    if (sqlite3_step(length) != SQLITE_ROW)
        db_die(d, "a row is missing");
    size_t n = (size_t)sqlite3_column_int64(length, 0);
    sqlite3_reset(length);
    return n;
}

static void change_tasks(struct db *d, uint64_t rows)
{
    sqlite3_stmt *length = db_prepare(d, "SELECT length(result) FROM tasks WHERE id=?1");
    sqlite3_stmt *set = db_prepare(d, "UPDATE tasks SET status=?2, updated_at=?3, result=?4 WHERE id=?1");
    for (uint64_t i = 0; i < rows / 100; i++) {
        int64_t id = 1 + (int64_t)rng_below(&d->rng, rows);
        size_t len = old_len(d, length, id);
        sqlite3_bind_int64(set, 1, id);
        sqlite3_bind_text(set, 2, states[rng_below(&d->rng, 7)], -1, SQLITE_STATIC);
        sqlite3_bind_int64(set, 3, d->now++);
        bind_text(d, set, 4, len);
        db_step(d, set);
    }
    sqlite3_finalize(length);
    sqlite3_finalize(set);
}

static void change_memory(struct db *d, uint64_t rows)
{
    sqlite3_stmt *length = db_prepare(d, "SELECT length(content) FROM memory WHERE id=?1");
    sqlite3_stmt *set = db_prepare(
        d, "UPDATE memory SET content=?2, importance=?3, access_count=access_count+1, accessed_at=?4 WHERE id=?1");
    for (uint64_t i = 0; i < rows / 100; i++) {
        int64_t id = 1 + (int64_t)rng_below(&d->rng, rows);
        size_t len = old_len(d, length, id);
        sqlite3_bind_int64(set, 1, id);
        bind_text(d, set, 2, len);
        sqlite3_bind_double(set, 3, (double)rng_below(&d->rng, 1000) / 1000.0);
        sqlite3_bind_int64(set, 4, d->now++);
        db_step(d, set);
    }
    sqlite3_finalize(length);
    sqlite3_finalize(set);
}

void gen_db_day(const struct gen_plan *p)
{
    struct db d = {0};
    rng_seed(&d.rng, p->seed, STREAM_DB_DAY + p->day);
    db_open(&d, p);
    db_exec(&d, "PRAGMA synchronous=OFF; PRAGMA cache_size=-1000000");
    uint64_t tasks = table_rows(&d, "SELECT count(*) FROM tasks");
    uint64_t memories = table_rows(&d, "SELECT count(*) FROM memory");
    d.now = (int64_t)table_rows(&d, "SELECT max(created_at) FROM tasks") + 86400;
    db_prepare_inserts(&d);
    db_exec(&d, "BEGIN");
    change_tasks(&d, tasks);
    change_memory(&d, memories);
    for (uint64_t i = 0; i < tasks / 200; i++)
        add_task(&d);
    for (uint64_t i = 0; i < memories / 200; i++)
        add_memory(&d);
    db_exec(&d, "COMMIT");
    db_close(&d);
}
