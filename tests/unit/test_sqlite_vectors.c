/* source/sqlite/vectors.h: embeddings in databases that sqlite-vec, SQLite and Chroma made
 * (golden/vectors/make_sqlite.py), and in spoilt ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "base/limits.h"
#include "source/sqlite/facts.h"
#include "source/sqlite/vectors.h"

static struct err err;
#define OK(call) assert_int_equal((call), ERR_OK)

/* A fixture in memory, so that a test can change it. */
static sqlite3 *open_bytes(const unsigned char *bytes, size_t len)
{
    sqlite3 *db;
    unsigned char *copy = sqlite3_malloc64(len);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    OK(sqlite3_open(":memory:", &db));
    facts_prepare_connection(db);
    OK(sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL));
    OK(sqlite3_deserialize(db, "main", copy, (sqlite3_int64)len, (sqlite3_int64)len,
                           SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE));
    return db;
}

static unsigned char *load(const char *name, size_t *len)
{
    char path[512];
    snprintf(path, sizeof path, "%s/golden/vectors/%s", TESTS_DIR, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    unsigned char *bytes = malloc(1 << 20);
    assert_non_null(bytes);
    *len = fread(bytes, 1, 1 << 20, f);
    assert_in_range(*len, 512, (1 << 20) - 1);
    fclose(f);
    return bytes;
}

static sqlite3 *open_fixture(const char *name)
{
    size_t len;
    unsigned char *bytes = load(name, &len);
    sqlite3 *db = open_bytes(bytes, len);
    free(bytes);
    return db;
}

static void run(sqlite3 *db, const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

/* All facts, a line each. */
static const char *told(sqlite3 *db)
{
    static char text[8192];
    struct fact_list l = {0};
    size_t n = 0;
    OK(vectors_collect(db, &l, &err));
    text[0] = '\0';
    for (size_t i = 0; i < l.count && n < sizeof text; i++) {
        const struct fact *f = &l.facts[i];
        n += (size_t)(f->type == FACT_TEXT ? snprintf(text + n, sizeof text - n, "%s=%s\n", f->key, f->text)
                                           : snprintf(text + n, sizeof text - n, "%s=%d\n", f->key, (int)f->integer));
    }
    fact_list_release(&l);
    return text;
}

static void tables_of_sqlite_vec_are_told(void **state)
{
    (void)state;
    sqlite3 *db = open_fixture("vec0.db");
    assert_string_equal(told(db), "vectors.docs.bits.count=37\n"
                                  "vectors.docs.bits.dimension=64\n"
                                  "vectors.docs.bits.dtype=bit\n"
                                  "vectors.docs.embedding.count=37\n"
                                  "vectors.docs.embedding.dimension=8\n"
                                  "vectors.docs.embedding.dtype=float32\n"
                                  "vectors.docs.small.count=37\n"
                                  "vectors.docs.small.dimension=16\n"
                                  "vectors.docs.small.dtype=int8\n");
    sqlite3_close(db);
}

static void shadow_tables_that_contradict_each_other_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *says;
    } cases[] = {
        {"DELETE FROM docs_rowids WHERE rowid = 1",
         "vectors.docs.differs=36 rows, but 37 slots of the chunks are in use\n"},
        {"UPDATE docs_chunks SET validity = zeroblob(2) WHERE chunk_id = 1", "slots of the chunks are in use\n"},
        {"DELETE FROM docs_vector_chunks00 WHERE rowid = 1",
         "vectors.docs.differs=embedding: 1 chunks lack their vectors or are of another size\n"},
        {"UPDATE docs_vector_chunks01 SET vectors = zeroblob(9)", "vectors.docs.differs=small: 4 chunks"},
        {"UPDATE docs_vector_chunks02 SET vectors = 'text' WHERE rowid = 1", "vectors.docs.differs=bits: 1 chunks"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sqlite3 *db = open_fixture("vec0.db");
        run(db, cases[i].sql);
        const char *text = told(db);
        if (!strstr(text, cases[i].says))
            fail_msg("%s: %s", cases[i].sql, text);
        sqlite3_close(db);
    }
    sqlite3 *db = open_fixture("vec0.db");
    run(db, "DROP TABLE docs_rowids; DROP TABLE docs_chunks");
    assert_non_null(strstr(told(db), "vectors.docs.embedding.dimension=8\n"));
    assert_null(strstr(told(db), "count"));
    sqlite3_close(db);
}

static void columns_are_told_by_what_they_hold(void **state)
{
    (void)state;
    sqlite3 *db = open_fixture("columns.db");
    assert_string_equal(told(db), "vectors.docs.as_text.count=30\n"
                                  "vectors.docs.as_text.dimension=9\n"
                                  "vectors.docs.as_text.dtype=json\n"
                                  "vectors.docs.embedding.count=28\n"
                                  "vectors.docs.embedding.dtype=float32\n"
                                  "vectors.docs.embedding.mixed=12: 2, 24: 26\n"
                                  "vectors.docs.embedding.odd=1\n"
                                  "vectors.docs.half_vector.count=30\n"
                                  "vectors.docs.half_vector.dimension=16\n"
                                  "vectors.docs.half_vector.dtype=float16\n"
                                  "vectors.docs.v.count=30\n"
                                  "vectors.docs.v.dimension=10\n"
                                  "vectors.docs.v.dtype=float64\n"
                                  "vectors.pairs.embedding.count=6\n"
                                  "vectors.pairs.embedding.dimension=16\n"
                                  "vectors.pairs.embedding.dtype=float32\n");
    run(db, "UPDATE docs SET as_text = '[0.5,1.5,2,3,4,5,6,7]' WHERE id = 3; DELETE FROM docs WHERE id IN (5, 6, 7)");
    const char *text = told(db);
    assert_non_null(strstr(text, "vectors.docs.as_text.mixed=8: 1, 9: 26\n"));
    assert_non_null(strstr(text, "vectors.docs.embedding.count=26\nvectors.docs.embedding.dimension=24\n"));
    assert_null(strstr(text, "odd"));
    sqlite3_close(db);
}

static void collections_of_chroma_are_told(void **state)
{
    (void)state;
    sqlite3 *db = open_fixture("chroma.sqlite3");
    const char *text = told(db);
    assert_non_null(strstr(text, "vectors.collections.empty.count=0\n"
                                 "vectors.collections.notes.count=9\n"
                                 "vectors.collections.notes.dimension=6\n"
                                 "vectors.collections.papers.count=4\n"
                                 "vectors.collections.papers.dimension=12\n"));
    assert_non_null(strstr(text, "vectors.embeddings_queue.vector.dtype=float32\n"
                                 "vectors.embeddings_queue.vector.mixed=6: 9, 12: 4\n"));
    sqlite3_close(db);
}

static void segments_of_chroma_are_told(void **state)
{
    (void)state;
    sqlite3 *db = open_fixture("chroma_store/chroma.sqlite3");
    const char *text = told(db);
    const char *at = strstr(text, "chroma.");
    assert_non_null(at);
    assert_non_null(strstr(at, ".added=10\n"));
    assert_non_null(strstr(at, ".changed=0\n"));
    assert_non_null(strstr(at, ".deleted=0\n"));
    assert_non_null(strstr(at, ".dimension=8\n"));
    assert_non_null(strstr(at, ".embeddings=48\n"));
    sqlite3_close(db);
}

/* What differs lies in the middle, where no sample is taken. */
static void all_texts_are_counted(void **state)
{
    (void)state;
    static const char *const vectors[] = {"[1,2,3]", " [0,0,0,0] ", "[1,2,3]", "[\"NaN\",null,1.5]", "[1e999,2,\n3]"};
    static const char *const others[] = {"",
                                         "[]",
                                         "[1]",
                                         "[1,2,3",
                                         "1,2,3]",
                                         "[1,2,3]]",
                                         "[1,2,3]\n[1,2,3]",
                                         "[1,2,3]\n{",
                                         "[1,2,3]\n\"",
                                         "[[1,2,3]]",
                                         "[1,[1,2,3]]",
                                         "[{\"vector\":1},2]",
                                         "[{\"vector\":[1,2,3]}]",
                                         "{\"vector\":[1,2,3]}",
                                         "[\"a]\",1,2]",
                                         "[\"a\",\"b\"]",
                                         "[\"",
                                         "[01,2]",
                                         "plain words"};
    enum { VECTORS = sizeof vectors / sizeof *vectors, OTHERS = sizeof others / sizeof *others };
    char text[200];
    sqlite3 *db;
    sqlite3_stmt *s;
    OK(sqlite3_open(":memory:", &db));
    run(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, embedding TEXT);"
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"
            " INSERT INTO t SELECT i, '[1,2,3,4,5,6,7,8.5]' FROM n");
    assert_string_equal(told(db), "vectors.t.embedding.count=400\nvectors.t.embedding.dimension=8\n"
                                  "vectors.t.embedding.dtype=json\n");
    OK(sqlite3_prepare_v2(db, "UPDATE t SET embedding = ? WHERE id = ?", -1, &s, NULL));
    for (int i = 0; i < VECTORS + OTHERS; i++) { /* a vector behind each of the first that is none */
        const char *v = i >= 2 * VECTORS ? others[i - VECTORS] : i % 2 ? vectors[i / 2] : others[i / 2];
        OK(sqlite3_bind_text(s, 1, v, -1, SQLITE_STATIC));
        OK(sqlite3_bind_int(s, 2, 150 + i));
        assert_int_equal(sqlite3_step(s), SQLITE_DONE);
        OK(sqlite3_reset(s));
    }
    OK(sqlite3_finalize(s));
    run(db, "UPDATE t SET embedding = NULL WHERE id = 300; UPDATE t SET embedding = x'00' WHERE id = 301");
    snprintf(text, sizeof text,
             "vectors.t.embedding.count=%d\nvectors.t.embedding.dtype=json\n"
             "vectors.t.embedding.mixed=3: 4, 4: 1, 8: %d\nvectors.t.embedding.odd=%d\n",
             398 - OTHERS, 398 - OTHERS - VECTORS, OTHERS);
    assert_string_equal(told(db), text);
    sqlite3_close(db);
}

/* One row in the middle is larger than SQLite may hold. */
static void texts_that_cannot_all_be_read_are_sampled(void **state)
{
    (void)state;
    sqlite3 *db;
    OK(sqlite3_open(":memory:", &db));
    run(db, "CREATE TABLE t(embedding);"
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"
            " INSERT INTO t SELECT iif(i = 200, '[' || hex(zeroblob(1000000)) || ']', '[0.5,0,0,0,0,0,0,0]') FROM n");
    assert_non_null(strstr(told(db), "vectors.t.embedding.count=399\n"));
    (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 100000);
    assert_string_equal(told(db), "vectors.t.embedding.dimension=8\nvectors.t.embedding.dtype=json\n"
                                  "vectors.t.embedding.sampled=1\n");
    sqlite3_close(db);
}

/* More dimensions than a scan tells apart. */
static void texts_of_many_dimensions_are_counted(void **state)
{
    (void)state;
    sqlite3 *db;
    OK(sqlite3_open(":memory:", &db));
    run(db, "CREATE TABLE t(embedding);"
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)"
            " INSERT INTO t SELECT '[0.5,0,0,0,0,0,0' || replace(hex(zeroblob(i % 60 + 1)), '00', ',1') || ']' FROM n");
    const char *text = told(db);
    assert_non_null(strstr(text, "vectors.t.embedding.count=600\n"));
    assert_non_null(strstr(text, "vectors.t.embedding.mixed=8: 10, 9: 10, 10: 10, "));
    assert_non_null(strstr(text, ", 23: 10, others: 440\n"));
    assert_null(strstr(text, "odd"));
    sqlite3_close(db);
}

/* Long BLOBs, in pages of their own, of which only the sample's are read. */
static void lengths_are_told_without_the_overflow_pages(void **state)
{
    (void)state;
    static const float element = 0.25f;
    enum { ROWS = 1000, DIMENSION = 5000 };
    char path[] = "/tmp/snap-vectors-XXXXXX";
    float *v = malloc(DIMENSION * sizeof *v);
    int fd = mkstemp(path), missed, high;
    assert_true(fd >= 0 && v);
    for (size_t i = 0; i < DIMENSION; i++)
        v[i] = element;
    sqlite3 *db;
    sqlite3_stmt *s;
    OK(sqlite3_open(path, &db));
    run(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, embedding BLOB); BEGIN");
    OK(sqlite3_prepare_v2(db, "INSERT INTO t(embedding) VALUES (?)", -1, &s, NULL));
    for (int i = 0; i < ROWS; i++) {
        OK(sqlite3_bind_blob(s, 1, v, DIMENSION * sizeof *v, SQLITE_STATIC));
        assert_int_equal(sqlite3_step(s), SQLITE_DONE);
        OK(sqlite3_reset(s));
    }
    OK(sqlite3_finalize(s));
    run(db, "COMMIT");
    sqlite3_close(db);
    OK(sqlite3_open(path, &db));
    assert_string_equal(told(db), "vectors.t.embedding.count=1000\nvectors.t.embedding.dimension=5000\n"
                                  "vectors.t.embedding.dtype=float32\n");
    OK(sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_MISS, &missed, &high, 0));
    assert_in_range(missed, 128 * 4, ROWS * 2); /* of 5,000 pages and more */
    sqlite3_close(db);
    close(fd);
    unlink(path);
    free(v);
}

static void numbers_are_guessed_by_their_exponents(void **state)
{
    (void)state;
    float f[64], big[64];
    double d[64], round[64];
    int32_t n[64];
    uint8_t noise[512];
    uint32_t seed = 1;
    for (int i = 0; i < 64; i++) {
        f[i] = (float)(i - 32) * 0.0123f;
        big[i] = (float)i * 1e20f;
        d[i] = (i - 32) * 0.0123;
        round[i] = i;
        n[i] = i * 1000;
    }
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
    assert_int_equal(vectors_guess(f, sizeof f, false), VECTOR_F32);
    assert_int_equal(vectors_guess(f, 28, false), VECTOR_DTYPE_NONE);
    assert_int_equal(vectors_guess(f, 28, true), VECTOR_F32);
    assert_int_equal(vectors_guess(f, 255, true), VECTOR_DTYPE_NONE);
    assert_int_equal(vectors_guess(d, sizeof d, false), VECTOR_F64);
    assert_int_equal(vectors_guess(round, sizeof round, false), VECTOR_F64);
    assert_int_equal(vectors_guess(big, sizeof big, true), VECTOR_DTYPE_NONE);
    assert_int_equal(vectors_guess(n, sizeof n, true), VECTOR_DTYPE_NONE);
    assert_int_equal(vectors_guess(noise, sizeof noise, true), VECTOR_DTYPE_NONE);
    assert_int_equal(vectors_guess("0123456789012345678901234567890123456789", 40, true), VECTOR_DTYPE_NONE);
    assert_int_equal(vectors_guess("Some words of a text that is kept as a BLOB", 40, true), VECTOR_DTYPE_NONE);
    assert_int_equal(vectors_guess("", 0, true), VECTOR_DTYPE_NONE);
    memset(f, 0, sizeof f);
    assert_int_equal(vectors_guess(f, sizeof f, true), VECTOR_DTYPE_NONE);
}

/* What a schema says is other people's text. */
static void hostile_schemas_are_borne(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        bool vec0;
        const char *says;
    } cases[] = {
        {"CREATE VIRTUAL TABLE t USING vec0(e float[99999999999999999999])", true, ""},
        {"CREATE VIRTUAL TABLE t USING vec0(e float[1000001])", true, ""},
        {"CREATE VIRTUAL TABLE t USING vec0(e float[0], f float[-1], g float[4)", true, ""},
        {"CREATE VIRTUAL TABLE t USING vec0(e float[", true, ""},
        {"CREATE VIRTUAL TABLE t USING vec0(", true, ""},
        {"CREATE VIRTUAL TABLE t USING vec0", false, ""},
        {"CREATE VIRTUAL TABLE t USING vec01(e float[4])", false, ""},
        {"CREATE TABLE t(a) /* USING vec0(e float[4]) */", false, ""},
        {"CREATE VIRTUAL TABLE t USING vec0(a text default ',b float[3]', e FLOAT [ 4 ], x f32[5])", true,
         "vectors.t.e.dimension=4;vectors.t.e.dtype=float32;vectors.t.x.dimension=5;vectors.t.x.dtype=float32;"},
        {"create virtual table\tusing using vec0 (\ne i8[4])", true, "vectors.t.e.dimension=4;vectors.t.e.dtype=int8;"},
        {"CREATE VIRTUAL TABLE t USING vec0(a((((((((((, e float[4], ))", true, ""},
    };
    sqlite3 *db;
    OK(sqlite3_open(":memory:", &db));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fact_list l = {0};
        struct vectors_found f = {.db = db, .list = &l, .err = &err};
        char text[400] = "";
        assert_int_equal(vec0_is(cases[i].sql), cases[i].vec0);
        OK(vec0_collect(&f, "t", cases[i].sql));
        for (size_t n = 0; n < l.count; n++) {
            size_t at = strlen(text);
            if (l.facts[n].type == FACT_TEXT)
                snprintf(text + at, sizeof text - at, "%s=%s;", l.facts[n].key, l.facts[n].text);
            else
                snprintf(text + at, sizeof text - at, "%s=%d;", l.facts[n].key, (int)l.facts[n].integer);
        }
        if (strcmp(text, cases[i].says) != 0)
            fail_msg("%s: '%s'", cases[i].sql, text);
        fact_list_release(&l);
    }
    assert_true(vec0_is_shadow("docs", "docs_vector_chunks00"));
    assert_true(vec0_is_shadow("docs", "docs_rowids"));
    assert_false(vec0_is_shadow("docs", "docs_vectors"));
    assert_false(vec0_is_shadow("docs", "doc"));
    sqlite3_close(db);
}

static void facts_stay_within_their_room(void **state)
{
    (void)state;
    sqlite3 *db;
    struct fact_list l = {0};
    char sql[1024];
    OK(sqlite3_open(":memory:", &db));
    run(db, "BEGIN");
    for (int i = 0; i < 400; i++) {
        snprintf(sql, sizeof sql,
                 "CREATE TABLE t%d%0300d(embedding); INSERT INTO t%d%0300d VALUES (x'0000803f0000803f')", i, 0, i, 0);
        run(db, sql);
    }
    run(db, "COMMIT");
    OK(vectors_collect(db, &l, &err));
    assert_in_range(l.encoded_bytes, FACTS_MAX_BYTES / 2, FACTS_MAX_BYTES / 4 * 3);
    assert_in_range(fact_find(&l, "vectors_omitted")->integer, 1, 1200);
    fact_list_release(&l);
    sqlite3_close(db);
}

static void spoilt_databases_are_borne(void **state)
{
    (void)state;
    static const char *const names[] = {"vec0.db", "columns.db", "chroma.sqlite3"};
    for (size_t n = 0; n < 3; n++) {
        size_t len;
        unsigned char *bytes = load(names[n], &len);
        for (size_t i = 100; i < len; i += 37) {
            unsigned char was = bytes[i];
            struct fact_list l = {0};
            bytes[i] ^= 0xff;
            sqlite3 *db = open_bytes(bytes, len);
            OK(vectors_collect(db, &l, &err));
            fact_list_release(&l);
            sqlite3_close(db);
            bytes[i] = was;
        }
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_of_sqlite_vec_are_told),
        cmocka_unit_test(shadow_tables_that_contradict_each_other_are_told),
        cmocka_unit_test(columns_are_told_by_what_they_hold),
        cmocka_unit_test(collections_of_chroma_are_told),
        cmocka_unit_test(segments_of_chroma_are_told),
        cmocka_unit_test(all_texts_are_counted),
        cmocka_unit_test(texts_that_cannot_all_be_read_are_sampled),
        cmocka_unit_test(texts_of_many_dimensions_are_counted),
        cmocka_unit_test(lengths_are_told_without_the_overflow_pages),
        cmocka_unit_test(numbers_are_guessed_by_their_exponents),
        cmocka_unit_test(hostile_schemas_are_borne),
        cmocka_unit_test(facts_stay_within_their_room),
        cmocka_unit_test(spoilt_databases_are_borne),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
