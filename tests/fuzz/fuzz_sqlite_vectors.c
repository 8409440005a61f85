/* The SQL of a vec0 table, and BLOBs whose type is guessed. Input: the SQL, up to a NUL, then a BLOB. */
#include <stdlib.h>
#include <string.h>

#include "source/sqlite/vectors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sqlite3 *db;
    struct err err;
    struct fact_list l = {0};
    if (!db)
        REQUIRE(sqlite3_open(":memory:", &db) == SQLITE_OK);
    char *sql = malloc(size + 1);
    REQUIRE(sql);
    memcpy(sql, data, size);
    sql[size] = '\0';
    size_t len = strlen(sql);
    struct vectors_found f = {.db = db, .list = &l, .err = &err};
    REQUIRE(vec0_collect(&f, "t", sql) == ERR_OK);
    for (size_t i = 0; i < l.count; i++)
        if (l.facts[i].type == FACT_INT)
            REQUIRE(l.facts[i].integer > 0 && l.facts[i].integer <= VECTOR_DIMENSION_MAX);
    REQUIRE(l.count == 0 || vec0_is(sql));
    if (len < size) {
        size_t blob = size - len - 1;
        uint8_t *exact = malloc(blob + !blob);
        REQUIRE(exact);
        memcpy(exact, data + len + 1, blob);
        enum vector_dtype t = vectors_guess(exact, blob, size & 1);
        REQUIRE(t == VECTOR_DTYPE_NONE || blob % vector_dtype_bytes(t) == 0);
        free(exact);
    }
    fact_list_release(&l);
    free(sql);
    return 0;
}
