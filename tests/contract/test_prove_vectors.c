/* Staged vectors against the facts of their capture (PV1, PV2). */
#include "tree.h"

#include "engine/prove_vectors.h"
#include "source/vectors/vector_facts.h"

static struct err err;
static char said[600]; /* the last warning */

static void on_message(void *arg, enum diag_level level, const char *name, const char *text)
{
    (void)arg;
    assert_int_equal(level, DIAG_WARNING);
    snprintf(said, sizeof said, "%s: %s", name, text);
}

/* Two vectors of four. */
static const float rows[2][5] = {{0, 1, 2, 3, 4}, {0, 5, 6, 7, 8}};

static void write_fvecs(const struct tree *t, const char *name, size_t bytes)
{
    uint8_t data[sizeof rows];
    const uint32_t dimension = 4;
    memcpy(data, rows, sizeof data);
    memcpy(data, &dimension, sizeof dimension);
    memcpy(data + sizeof rows[0], &dimension, sizeof dimension);
    tree_write(t, name, data, bytes);
}

/* staged: its name in the staging place; name: its path in the item. */
static enum errc prove_state(const struct tree *t, const char *staged, const char *name, const struct fact_list *facts,
                             enum entry_state state, bool accept, bool *differ_out)
{
    char list_path[] = "", path[] = "/srv/db/v.fvecs", *staging = strdup(t->root);
    const struct diag diag = {.message = on_message};
    struct stage stage = {.accept_dimension = accept, .diag = &diag};
    struct part part = {.list_path = list_path, .path = path, .staging = staging};
    struct entry e = {.path = name, .path_len = strlen(name), .type = ENTRY_FILE};
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(fact_list_put(&b, facts, &err), ERR_OK);
    struct entry_end end = {.state = state, .facts = b.data, .facts_len = b.len};
    enum errc rc = prove_vectors(&stage, &part, &e, &end, staged, &err);
    *differ_out = part.vectors_differ;
    buf_release(&b);
    free(staging);
    return rc;
}

static enum errc prove(const struct tree *t, const char *staged, const char *name, const struct fact_list *facts,
                       bool accept, bool *differ_out)
{
    return prove_state(t, staged, name, facts, STATE_EXACT, accept, differ_out);
}

static struct fact_list facts_of(const char *format, int64_t dimension, int64_t count)
{
    struct fact_list l = {0};
    assert_int_equal(fact_set_text(&l, "vectors.format", format, &err), ERR_OK);
    assert_int_equal(fact_set_int(&l, "vectors.dimension", dimension, &err), ERR_OK);
    assert_int_equal(fact_set_int(&l, "vectors.count", count, &err), ERR_OK);
    return l;
}

static void as_captured(void **state)
{
    struct tree t;
    bool differ;
    (void)state;
    tree_new(&t);
    write_fvecs(&t, "new", sizeof rows); /* a single file: its name is the target's */
    write_fvecs(&t, "v.fvecs", sizeof rows);
    struct fact_list l = facts_of("fvecs", 4, 2);
    assert_int_equal(prove(&t, "v.fvecs", "d/v.fvecs", &l, false, &differ), ERR_OK);
    assert_int_equal(prove(&t, "new", "", &l, false, &differ), ERR_OK);
    assert_false(differ);
    fact_list_release(&l);
    tree_free(&t);
}

static void not_as_captured(void **state)
{
    static const struct {
        const char *format;
        int64_t dimension, count;
        const char *says;
    } tries[] = {{"fvecs", 4, 3, "/srv/db/v.fvecs/d/v.fvecs is not what was captured: the number of vectors was 3"},
                 {"fvecs", 5, 2, "the dimension was 5 and is 4"},
                 {"npy", 4, 2, "the format was npy and is fvecs"}};
    struct tree t;
    bool differ;
    (void)state;
    tree_new(&t);
    write_fvecs(&t, "v.fvecs", sizeof rows);
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct fact_list l = facts_of(tries[i].format, tries[i].dimension, tries[i].count);
        assert_int_equal(prove(&t, "v.fvecs", "d/v.fvecs", &l, false, &differ), ERR_CHECK_FAILED);
        assert_non_null(strstr(err.message, tries[i].says));
        assert_non_null(strstr(err.hint, "--accept-dimension"));
        assert_int_equal(prove(&t, "v.fvecs", "d/v.fvecs", &l, true, &differ), ERR_OK);
        assert_true(differ);
        fact_list_release(&l);
    }
    /* What is not there cannot be accepted. */
    struct fact_list l = facts_of("fvecs", 4, 2);
    assert_int_equal(prove(&t, "gone", "v.fvecs", &l, true, &differ), ERR_IO);
    fact_list_release(&l);
    tree_free(&t);
}

static void marked(void **state)
{
    struct tree t;
    bool differ;
    (void)state;
    tree_new(&t);
    write_fvecs(&t, "v.fvecs", sizeof rows);
    struct fact_list l = facts_of("fvecs", 4, 2);
    assert_int_equal(fact_set_int(&l, "vectors.expected_dimension", 8, &err), ERR_OK);
    assert_int_equal(prove(&t, "v.fvecs", "v.fvecs", &l, false, &differ), ERR_CHECK_FAILED);
    assert_non_null(strstr(err.message, "not of dimension 8"));
    assert_int_equal(prove(&t, "v.fvecs", "v.fvecs", &l, true, &differ), ERR_OK);
    assert_false(differ);
    fact_list_release(&l);
    tree_free(&t);
}

/* What was seen of a fuzzy file is not what was stored of it: only the mark is. */
static void fuzzy(void **state)
{
    struct tree t;
    bool differ;
    (void)state;
    tree_new(&t);
    write_fvecs(&t, "v.fvecs", sizeof rows);
    struct fact_list l = facts_of("fvecs", 5, 3);
    assert_int_equal(fact_set_int(&l, "vectors.expected_dimension", 8, &err), ERR_OK);
    assert_int_equal(prove_state(&t, "v.fvecs", "v.fvecs", &l, STATE_FUZZY, false, &differ), ERR_CHECK_FAILED);
    assert_non_null(strstr(err.message, "not of dimension 8"));
    assert_int_equal(prove_state(&t, "v.fvecs", "v.fvecs", &l, STATE_FUZZY, true, &differ), ERR_OK);
    assert_false(differ);
    fact_list_release(&l);
    tree_free(&t);
}

static void damaged(void **state)
{
    struct tree t;
    bool differ;
    (void)state;
    tree_new(&t);
    write_fvecs(&t, "v.fvecs", sizeof rows);
    struct fact_list l = facts_of("fvecs", 4, 2);
    said[0] = '\0';
    assert_int_equal(fact_set_bool(&l, "vectors.ok", true, &err), ERR_OK);
    assert_int_equal(prove(&t, "v.fvecs", "d/v.fvecs", &l, false, &differ), ERR_OK);
    assert_string_equal(said, "");
    assert_int_equal(fact_set_bool(&l, "vectors.ok", false, &err), ERR_OK);
    assert_int_equal(fact_set_text(&l, "vectors.detail", "cut \x1b[1m off", &err), ERR_OK);
    assert_int_equal(prove(&t, "v.fvecs", "d/v.fvecs", &l, false, &differ), ERR_OK);
    assert_non_null(strstr(said, "source-damaged: /srv/db/v.fvecs/d/v.fvecs was damaged when it was captured: cut "));
    assert_null(strchr(said, '\x1b'));
    fact_list_release(&l);
    /* Nobody can tell its dimension: that alone is no reason to refuse it. */
    l = (struct fact_list){0};
    said[0] = '\0';
    assert_int_equal(fact_set_text(&l, "vectors.format", "fvecs", &err), ERR_OK);
    assert_int_equal(fact_set_bool(&l, "vectors.ok", false, &err), ERR_OK);
    assert_int_equal(prove(&t, "v.fvecs", "d/v.fvecs", &l, false, &differ), ERR_OK);
    assert_non_null(strstr(said, "was damaged when it was captured"));
    /* But the mark is, and then there is no more to say. */
    said[0] = '\0';
    assert_int_equal(fact_set_int(&l, "vectors.expected_dimension", 8, &err), ERR_OK);
    assert_int_equal(prove(&t, "v.fvecs", "d/v.fvecs", &l, false, &differ), ERR_CHECK_FAILED);
    assert_string_equal(said, "");
    fact_list_release(&l);
    tree_free(&t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_captured), cmocka_unit_test(not_as_captured), cmocka_unit_test(marked),
        cmocka_unit_test(fuzzy),       cmocka_unit_test(damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
