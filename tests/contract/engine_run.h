/* A repository for one test, and a directory that is backed up into it. */
#ifndef SNAP_TESTS_ENGINE_RUN_H
#define SNAP_TESTS_ENGINE_RUN_H

#include "tree.h"

#include <sqlite3.h>

#include "engine/backup.h"
#include "source/source.h"
#include "store/store.h"

struct world {
    struct tree t;
    char repo[300], cache[300], key[300];
    struct store *store;
};

static inline void world_open(struct world *w)
{
    struct store_options opt = {.path = w->repo, .cache_dir = w->cache, .secret = {.key_file = w->key}, .write = true};
    struct err err;
    if (store_open(&opt, &w->store, &err) != ERR_OK)
        fail_msg("%s", err.message);
}

static inline void world_new(struct world *w)
{
    char recovery[RECOVERY_TEXT_BYTES];
    struct repo_id id;
    struct err err;
    tree_new(&w->t);
    snprintf(w->repo, sizeof w->repo, "%s/repo", w->t.dir);
    snprintf(w->cache, sizeof w->cache, "%s/cache", w->t.dir);
    snprintf(w->key, sizeof w->key, "%s/key", w->t.dir);
    struct store_init_options opt = {.path = w->repo, .key_file = w->key};
    if (store_init(&opt, &id, recovery, &err) != ERR_OK)
        fail_msg("%s", err.message);
    world_open(w);
}

static inline void world_free(struct world *w)
{
    store_close(w->store);
    tree_free(&w->t);
}

/* The directory "root", or what is named below it; released by the caller. */
static inline struct snapshot world_backup(struct world *w, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s%s%s", w->t.root, *name ? "/" : "", name);
    struct source_spec source = {.name = path, .path = path, .detect = true};
    struct set_spec set = {.sources = &source, .source_count = 1};
    struct backup_options opt = {.set = &set, .kind = SNAPSHOT_BACKUP};
    struct backup_outcome out = {0};
    struct err err;
    enum errc rc = backup_run(w->store, &opt, &out, &err);
    if (rc != ERR_OK && rc != ERR_PARTIAL)
        fail_msg("%s", err.message);
    struct snapshot snap = out.snap;
    memset(&out.snap, 0, sizeof out.snap);
    backup_outcome_release(&out);
    return snap;
}

static inline void world_sql(struct world *w, const char *name, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(tree_path(&w->t, name), &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%.200s: %s", sql, message);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Bytes that neither compress nor repeat, the same for the same seed. */
static inline void fill_random(uint8_t *dst, size_t len, uint64_t seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        dst[i] = (uint8_t)(x >> 24);
    }
}

#endif
