/* vector_facts.h: what facts of files and databases tell about their vectors. */
#include "source/vectors/format.h"
#include "source/vectors/vector_facts.h"
#include "vectors_golden.h"

static struct err err;
#define OK(call) assert_int_equal((call), ERR_OK)

static struct fact_list facts_of(const char *name)
{
    struct golden g = golden_load(name);
    struct vector_result r = golden_read(&g, VECTOR_SHAPE);
    struct fact_list l = {0};
    assert_true(vector_is_file_of_vectors(&r));
    OK(vector_facts_put(&r, &l, &err));
    vector_release(&r);
    golden_free(&g);
    return l;
}

static void says(const struct fact_list *l, const char *text)
{
    char seen[VECTOR_FACTS_TEXT_BYTES];
    assert_string_equal(vector_facts_text(l, seen, sizeof seen), text);
}

static void fits(const struct fact_list *l, int64_t dimension, bool yes, const char *what)
{
    char text[VECTOR_FACTS_TEXT_BYTES];
    assert_int_equal(vector_facts_fit(l, dimension, text, sizeof text), yes);
    assert_string_equal(text, what);
}

static void a_file_of_one_dimension(void **state)
{
    (void)state;
    struct fact_list l = facts_of("numpy_f4.npy");
    assert_int_equal(fact_find(&l, "vectors.dimension")->integer, 6);
    assert_int_equal(fact_find(&l, "vectors.count")->integer, 20);
    assert_true(fact_find(&l, "vectors.ok")->integer);
    assert_null(fact_find(&l, "vectors.detail"));
    assert_null(fact_find(&l, "vectors.mixed"));
    says(&l, "npy, 20 x 6 float32");
    fits(&l, 6, true, "");
    fits(&l, 7, false, "vectors of dimension 6");
    fact_list_release(&l);
}

static void a_file_of_mixed_dimensions(void **state)
{
    (void)state;
    struct fact_list l = facts_of("mixed.fvecs");
    assert_string_equal(fact_find(&l, "vectors.mixed")->text, "1: 1, 4: 3, 6: 2, 9: 1");
    assert_null(fact_find(&l, "vectors.dimension"));
    says(&l, "fvecs, mixed dimensions: 1: 1, 4: 3, 6: 2, 9: 1 float32");
    fits(&l, 4, false, "vectors of mixed dimensions, 1: 1, 4: 3, 6: 2, 9: 1");
    struct vector_totals t;
    vector_totals_of(&l, &t);
    assert_int_equal(t.dim_count, 4);
    assert_int_equal(t.count, 7);
    assert_int_equal(t.dims[1].dimension, 4);
    assert_int_equal(t.dims[1].count, 3);
    fact_list_release(&l);
}

static void a_file_without_vectors(void **state)
{
    (void)state;
    struct fact_list l = facts_of("faiss_empty.index");
    fits(&l, 8, true, "");
    fits(&l, 9, false, "vectors of dimension 8");
    fact_list_release(&l);
    l = facts_of("numpy_one.npy"); /* one array of one dimension: no vectors */
    fits(&l, 6, true, "");
    fact_list_release(&l);
    struct golden g = golden_load("settings.json");
    struct vector_result r = golden_read(&g, VECTOR_SHAPE);
    assert_true(r.known);
    assert_false(vector_is_file_of_vectors(&r));
    vector_release(&r);
    golden_free(&g);
}

static void vectors_that_nobody_counted(void **state)
{
    (void)state;
    struct fact_list l = facts_of("parquet_variable.parquet"); /* VA1 */
    fits(&l, 8, false, "vectors of a dimension that cannot be told");
    says(&l, "parquet, 30 vectors float32");
    fact_list_release(&l);
}

static void a_broken_file(void **state)
{
    (void)state;
    struct golden g = golden_load("numpy_f4.npy");
    struct fact_list l = {0};
    g.len -= 5;
    struct vector_result r = golden_read(&g, VECTOR_SHAPE);
    OK(vector_facts_put(&r, &l, &err));
    assert_false(fact_find(&l, "vectors.ok")->integer);
    assert_non_null(strstr(fact_find(&l, "vectors.detail")->text, "cut off"));
    char text[VECTOR_FACTS_TEXT_BYTES];
    assert_non_null(strstr(vector_facts_text(&l, text, sizeof text), "BROKEN"));
    fact_list_release(&l);
    vector_release(&r);
    golden_free(&g);
}

static void set(struct fact_list *l, const char *key, int64_t v)
{
    OK(fact_set_int(l, key, v, &err));
}

static void columns_of_a_database(void **state)
{
    struct fact_list l = {0};
    (void)state;
    says(&l, "");
    set(&l, "page_size", 4096);
    fits(&l, 768, true, "");
    set(&l, "vectors.docs.embedding.dimension", 768);
    set(&l, "vectors.docs.embedding.count", 1200);
    OK(fact_set_text(&l, "vectors.docs.embedding.dtype", "float32", &err));
    fits(&l, 768, true, "");
    says(&l, "with embeddings, 1200 x 768");
    OK(fact_set_text(&l, "vectors.a.b.c.mixed", "768: 5, 1536: 3, others: 2", &err));
    fits(&l, 768, false, "vectors of mixed dimensions, 768: 1205, 1536: 3, others: 2");
    fact_list_release(&l);
    /* A sample tells dimensions and counts nothing. */
    OK(fact_set_text(&l, "vectors.t.c.mixed", "24, 12", &err));
    fits(&l, 24, false, "vectors of mixed dimensions");
    fact_list_release(&l);
    set(&l, "vectors.t.c.dimension", 24);
    fits(&l, 24, true, "");
    fits(&l, 12, false, "vectors of dimension 24");
    fact_list_release(&l);
    /* What waits in Chroma's queue is counted with its collections. */
    set(&l, "vectors.embeddings_queue.vector.dimension", 8);
    set(&l, "vectors.embeddings_queue.vector.count", 11);
    set(&l, "vectors.collections.docs.dimension", 8);
    set(&l, "vectors.collections.docs.count", 48);
    says(&l, "with embeddings, 48 x 8");
    fact_list_release(&l);
}

/* Facts come from a repository: nothing in them is believed to be well formed. */
static void strange_facts(void **state)
{
    static const char *const texts[] = {"",  ",",       "768",   "768:",      "768: x",
                                        "x", "768: 1,", "-1: 5", "1: 2,3: 4", "9: -4"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fact_list l = {0};
        char text[VECTOR_FACTS_TEXT_BYTES];
        OK(fact_set_text(&l, "vectors.mixed", texts[i], &err));
        set(&l, "vectors.format", 7);
        set(&l, "vectors.detail", 7);
        OK(fact_set_text(&l, "vectors.dimension", "8", &err));
        (void)vector_facts_fit(&l, 8, text, sizeof text);
        (void)vector_facts_text(&l, text, sizeof text);
        fact_list_release(&l);
    }
    struct fact_list l = {0};
    struct vector_totals t;
    set(&l, "vectors.a.v.dimension", 8);
    set(&l, "vectors.a.v.count", INT64_MAX);
    set(&l, "vectors.b.v.dimension", 8);
    set(&l, "vectors.b.v.count", INT64_MAX);
    set(&l, "vectors.c.v.count", INT64_MIN);
    vector_totals_of(&l, &t);
    assert_true(t.count == INT64_MAX && t.dims[0].count == INT64_MAX);
    fact_list_release(&l);
}

static void what_was_captured_and_what_is_seen(void **state)
{
    char text[VECTOR_FACTS_TEXT_BYTES];
    (void)state;
    struct fact_list a = facts_of("numpy_f4.npy"), b = facts_of("numpy_f8.npy"), c = facts_of("mixed.fvecs");
    assert_true(vector_facts_agree(&a, &b, text, sizeof text));
    set(&b, "vectors.count", 19);
    assert_false(vector_facts_agree(&a, &b, text, sizeof text));
    assert_string_equal(text, "the number of vectors was 20 and is 19");
    assert_false(vector_facts_agree(&a, &c, text, sizeof text));
    assert_non_null(strstr(text, "the format was npy and is fvecs"));
    assert_non_null(strstr(text, "the dimension was told and is not"));
    /* What was not captured is not compared. */
    struct fact_list few = {0};
    assert_int_equal(fact_set_text(&few, "vectors.format", "npy", &err), ERR_OK);
    assert_true(vector_facts_agree(&few, &a, text, sizeof text));
    assert_false(vector_facts_agree(&a, &few, text, sizeof text));
    fact_list_release(&few);
    fact_list_release(&a);
    fact_list_release(&b);
    fact_list_release(&c);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_of_one_dimension), cmocka_unit_test(a_file_of_mixed_dimensions),
        cmocka_unit_test(a_file_without_vectors),  cmocka_unit_test(vectors_that_nobody_counted),
        cmocka_unit_test(a_broken_file),           cmocka_unit_test(columns_of_a_database),
        cmocka_unit_test(strange_facts),           cmocka_unit_test(what_was_captured_and_what_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
