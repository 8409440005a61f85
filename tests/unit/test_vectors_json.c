/* json_scan.h, json_tally.h, format_json.c: JSON as Python's json writes it (golden/vectors/make_json.py), and spoilt.
 */
#include "vectors_golden.h"

#include "source/vectors/json_scan.h"
#include "source/vectors/vector_facts.h"

static struct err err;
#define OK(call) assert_int_equal((call), ERR_OK)

/* --- texts --- */

/* Blocks of this many bytes; 0: all at once. */
static struct json_report scan(struct json_scan **s, const char *text, size_t len, size_t block)
{
    struct json_report r;
    OK(json_scan_new(s, &err));
    for (size_t at = 0; at < len; at += block ? block : len)
        if (!json_scan_push(*s, text + at, block && block < len - at ? block : len - at))
            break;
    json_scan_end(*s);
    json_scan_report(*s, &r);
    return r;
}

static void expect_fault(const char *text, size_t len, const char *fault, uint64_t offset)
{
    for (size_t block = 0; block < 4; block++) {
        struct json_scan *s;
        struct json_report r = scan(&s, text, len, block);
        if ((r.fault && fault ? strcmp(r.fault, fault) != 0 : r.fault != fault) || (fault && r.fault_offset != offset))
            fail_msg("%.60s: %s at %d, not %s at %d", text, r.fault ? r.fault : "sound", (int)r.fault_offset,
                     fault ? fault : "sound", (int)offset);
        json_scan_free(s);
    }
}
#define SOUND(text) expect_fault(text, sizeof text - 1, NULL, 0)
#define FAULT(text, fault, offset) expect_fault(text, sizeof text - 1, fault, offset)

static void the_grammar_is_kept(void **state)
{
    (void)state;
    SOUND("[]");
    SOUND(" {} \n");
    SOUND("[0,-0,0.5,-1.25e+3,1E-2,10,9e999]");
    SOUND("{\"a\":[true,false,null,{\"b\":\"\\u00e9\\\"\\\\\\/\\b\\f\\n\\r\\t\"}],\"a\":1}");
    SOUND("[\"\xc3\xa9\xe2\x98\x83\xf0\x9f\x99\x82\xed\x9f\xbf\xef\xbf\xbf\xf4\x8f\xbf\xbf\x7f\"]");
    SOUND("\xef\xbb\xbf[1]");
    SOUND("[NaN,Infinity,-Infinity]");
    SOUND("{\"a\":1}\n\n[2]\r\n3\n\"x\"");
    FAULT("", "it holds no value", 0);
    FAULT("[1,]", "a value was expected", 3);
    FAULT("[1 2]", "a comma or ] was expected", 3);
    FAULT("[1}", "a comma or ] was expected", 2);
    FAULT("{\"a\":1]", "a comma or } was expected", 6);
    FAULT("{\"a\" 1}", "a colon was expected", 5);
    FAULT("{1:2}", "a name or } was expected", 1);
    FAULT("{\"a\":1,}", "a name was expected", 7);
    FAULT("[1", "it ends within a value", 2);
    FAULT("[\"abc", "it ends within a value", 5);
    FAULT("-", "it ends within a value", 1);
    FAULT("[01]", "a number begins with 0", 2);
    FAULT("[1.]", "a number lacks a digit", 3);
    FAULT("[-]", "a number lacks a digit", 2);
    FAULT("[1e+]", "a number lacks a digit", 4);
    FAULT("[.5]", "a value was expected", 1);
    FAULT("[+5]", "a value was expected", 1);
    FAULT("[0x10]", "a comma or ] was expected", 2);
    FAULT("[nul]", "a word is none of JSON's", 4);
    FAULT("[nan]", "a word is none of JSON's", 2);
    FAULT("[-Inf]", "a word is none of JSON's", 5);
    FAULT("[\"a\nb\"]", "a control byte stands in a string", 3);
    FAULT("[\"\\x41\"]", "a backslash is followed by what it cannot be", 3);
    FAULT("[\"\\\0\"]", "a backslash is followed by what it cannot be", 3);
    FAULT("[\"\\u00g0\"]", "\\u is not followed by four hexadecimal digits", 6);
    FAULT("[1] [2]", "there are bytes behind the end of the value", 4);
    FAULT("{}x", "there are bytes behind the end of the value", 2);
    FAULT("[1]\n[2] [3]", "there are bytes behind the end of the value", 8);
    FAULT("[1]\n{\"a\":", "it ends within a value", 9);
}

static void strings_are_utf8(void **state)
{
    (void)state;
    FAULT("[\"\x80\"]", "a string is not UTF-8", 2);
    FAULT("[\"\xc0\x80\"]", "a string is not UTF-8", 2);
    FAULT("[\"\xc1\xbf\"]", "a string is not UTF-8", 2);
    FAULT("[\"\xe0\x9f\xbf    \"]", "a string is not UTF-8", 3);
    FAULT("[\"\xed\xa0\x80    \"]", "a string is not UTF-8", 3);
    FAULT("[\"\xf0\x8f\xbf\xbf    \"]", "a string is not UTF-8", 3);
    FAULT("[\"\xf4\x90\x80\x80    \"]", "a string is not UTF-8", 3);
    FAULT("[\"\xf5\x80\x80\x80\"]", "a string is not UTF-8", 2);
    FAULT("[\"\xe2\x98\"]    ", "a string is not UTF-8", 4);
    FAULT("[\"\xe2\x98\x83\xe2\x98x   \"]", "a string is not UTF-8", 7);
}

/* Numbers long enough for the fast way: what it leaves has to be told by the slow one. */
static void long_runs_of_numbers_are_kept_to_the_grammar(void **state)
{
    (void)state;
    static const struct {
        const char *number;
        bool sound;
    } cases[] = {{"01", false},
                 {"1.", false},
                 {"-", false},
                 {"1.5e", false},
                 {"1e5.3", false},
                 {"--1", false},
                 {"1..2", false},
                 {"00.5", false},
                 {"-01", false},
                 {"1_0", false},
                 {"0.1:2", false},
                 {"0.1/2", false},
                 {"123456789012345678901234567890", true},
                 {"0.1234567890123456789012345678901", true},
                 {"-0.5e-300", true},
                 {"1E+22", true},
                 {"-0", true},
                 {"0e0", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t before = 0; before < 12; before++) {
            char text[512] = "[";
            for (size_t n = 0; n < before; n++)
                snprintf(text + strlen(text), sizeof text - strlen(text), "-0.123456, ");
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5%60s]",
                     cases[i].number, "");
            struct json_scan *s;
            struct json_report bytes = scan(&s, text, strlen(text), 1);
            json_scan_free(s);
            for (size_t block = 0; block < 80; block += 13) {
                struct json_report r = scan(&s, text, strlen(text), block);
                if (!r.fault != cases[i].sound || r.fault != bytes.fault || r.fault_offset != bytes.fault_offset)
                    fail_msg("%s: %s", text, r.fault ? r.fault : "sound");
                if (cases[i].sound)
                    assert_int_equal(r.found->rest.dims[0].dimension, before + 9);
                json_scan_free(s);
            }
        }
}

static void numbers_beyond_a_double_are_infinite(void **state)
{
    (void)state;
    static const struct {
        const char *number;
        bool inf, zero;
    } cases[] = {{"1e308", false, false},
                 {"1.7976931348623157e308", false, false},
                 {"1.7976931348623158e308", false, false},
                 {"1.7976931348623159e308", true, false},
                 {"-1.8e308", true, false},
                 {"1e309", true, false},
                 {"0.0001e312", false, false},
                 {"0.0001e313", true, false},
                 {"123456789e301", true, false},
                 {"1e99999999999999999999999", true, false},
                 {"1e-99999999999999999999999", false, false},
                 {"0e99999999999999999999999", false, true},
                 {"-0.000e5", false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        struct json_scan *s;
        snprintf(text, sizeof text, "{\"vec\":[%s,0,0.0,-0]}", cases[i].number);
        struct json_report r = scan(&s, text, strlen(text), 0);
        assert_non_null(r.found);
        if (r.found->named[0].inf != cases[i].inf || r.found->named[0].zero != cases[i].zero)
            fail_msg("%s: inf %d zero %d", text, (int)r.found->named[0].inf, (int)r.found->named[0].zero);
        assert_int_equal(r.overflows, cases[i].inf);
        json_scan_free(s);
    }
}

static void depth_and_length_are_bounded(void **state)
{
    (void)state;
    enum { DEEP = 1000000 };
    char *text = malloc(DEEP + 2);
    struct json_scan *s;
    assert_non_null(text);
    memset(text, '[', DEEP);
    struct json_report r = scan(&s, text, DEEP, 0);
    assert_string_equal(r.fault, "nested deeper than 65,536 levels");
    assert_int_equal(r.fault_offset, JSON_DEPTH_MAX);
    json_scan_free(s);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    r = scan(&s, text, 2 * JSON_DEPTH_MAX, 4096);
    assert_null(r.fault);
    json_scan_free(s);
    memset(text, '7', DEEP);
    text[0] = '[';
    r = scan(&s, text, DEEP, 1000);
    assert_string_equal(r.fault, "it ends within a value");
    json_scan_free(s);
    memset(text, 'x', DEEP);
    memcpy(text, "{\"", 2);
    memcpy(text + DEEP - 5, "\":1}", 5);
    r = scan(&s, text, DEEP - 1, 1000);
    assert_null(r.fault);
    json_scan_free(s);
    free(text);
}

/* --- which arrays are vectors --- */

#define EIGHT "1.5,2,3,4,5,6,7,8"

static void expect_found(const char *text, const char *want)
{
    char got[512] = "";
    struct json_scan *s;
    struct json_report r = scan(&s, text, strlen(text), 0);
    assert_null(r.fault);
    for (size_t i = 0; r.found && i <= r.found->named_count; i++) {
        const struct json_tally *t = i < r.found->named_count ? &r.found->named[i] : &r.found->rest;
        for (size_t d = 0; d < t->dim_count; d++)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%.*s %d*%d;", (int)t->name_len, t->name,
                     (int)t->dims[d].dimension, (int)t->dims[d].count);
    }
    if (strcmp(got, want) != 0)
        fail_msg("%s: found '%s', not '%s'", text, got, want);
    json_scan_free(s);
}

static void places_tell_vectors_from_other_numbers(void **state)
{
    (void)state;
    expect_found("[[" EIGHT "],[" EIGHT "],[1,2,3]]", " 8*2; 3*1;");
    expect_found("[[1,2,3],[4,5,6]]", "");
    expect_found("[1,2,3,4,5,6,7,8,9]", "");
    expect_found("[" EIGHT "]", " 8*1;");
    expect_found("[1,2,3,4,5,6,7,8]\n[1,2,3,4,5,6,7,8]", " 8*2;");
    expect_found("{\"a\":[" EIGHT "],\"b\":[" EIGHT "],\"c\":[1,2,3,4,5,6,7,8,9]}", " 8*2;");
    expect_found("[{\"x\":[" EIGHT "]},{\"x\":[" EIGHT "],\"y\":[0.5," EIGHT "]}]", "x 8*2;y 9*1;");
    expect_found("{\"data\":[{\"embedding\":[0,1,2],\"ids\":[" EIGHT "]}]}", "embedding 3*1;");
    expect_found("{\"Title_Vector\":[[1,2],[3,4]],\"bodyEmbedding\":[1,2,3]}", "Title_Vector 2*2;bodyEmbedding 3*1;");
    expect_found("{\"vectors\":{\"a\":[1,2],\"b\":[1,2]}}", " 2*2;");
    expect_found("[{\"vector\":{\"t\":[1,2],\"i\":[1,2,3]}},{\"vector\":{\"t\":[1,2]}}]", "t 2*2;i 3*1;");
    expect_found("{\"vectors\":{\"a\":{\"vector\":[1,2],\"n\":[" EIGHT "]}}}", "vector 2*1;");
    expect_found("{\"embedding\":{\"values\":[1,2],\"index\":[4,5,6]}}", "values 2*1;");
    expect_found("{\"vectors\":[{\"values\":[1,2],\"sparseValues\":{\"indices\":[1,2],\"values\":[1,2,3]}}]}",
                 "values 2*1;");
    expect_found("{\"sparse\":{\"vector\":[1,2,3]}}", "");
    expect_found("{\"values\":[1,2],\"features\":[{\"bbox\":[1,2,3,4]}]}", "");
    expect_found("{\"values\":[1,2,3,4,5,6,7,8]}", "values 8*1;");
    expect_found("{\"embedding\":[1,\"a\",2],\"x\":[1,[2],3],\"vec\":[true,1]}", "");
    expect_found("{\"embedding\":[[1,2],{\"n\":[1,2]},[3,4]]}", "embedding 2*1; 2*1;");
    expect_found("{\"embedding\":[7]}", "embedding 1*1;");
    expect_found("{\"embeddings\":[null]}", "");
    expect_found("{\"values\":[7],\"vectors\":{\"a\":[7]},\"x\":[0.5]}", "");
}

static void many_names_are_put_together(void **state)
{
    (void)state;
    char text[4096] = "[";
    for (int i = 0; i < 40; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s{\"n%d_vec\":0,\"v%d_vector\":[%d,1]}",
                 i ? "," : "", i, i, i);
    snprintf(text + strlen(text), sizeof text - strlen(text), "]");
    expect_found(text, " 2*40;");
}

static void many_dimensions_are_counted(void **state)
{
    (void)state;
    struct json_scan *s;
    char text[8192] = "[";
    for (int i = 0; i < 40; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s{\"vec\":[0", i ? "," : "");
        for (int n = 0; n <= i; n++)
            snprintf(text + strlen(text), sizeof text - strlen(text), ",1");
        snprintf(text + strlen(text), sizeof text - strlen(text), "]}");
    }
    snprintf(text + strlen(text), sizeof text - strlen(text), "]");
    struct json_report r = scan(&s, text, strlen(text), 0);
    assert_int_equal(r.found->named[0].dim_count, VECTOR_DIMS_MAX);
    assert_int_equal(r.found->named[0].dims_other, 40 - VECTOR_DIMS_MAX);
    json_scan_free(s);
}

static void what_stands_for_nan_is_counted(void **state)
{
    (void)state;
    static const char text[] = "[{\"vec\":[NaN,NaN,1]},{\"vec\":[\"NaN\",1]},{\"vec\":[1,null]},{\"vec\":[null,null]},"
                               "{\"vec\":[-Infinity,\"-inf\",1e400]},{\"vec\":[0,0]},{\"vec\":[]},{\"vec\":null},"
                               "{\"tags\":[null,\"NaN\"],\"x\":[null]}]";
    for (size_t block = 0; block < 3; block++) {
        struct json_scan *s;
        struct json_report r = scan(&s, text, sizeof text - 1, block);
        const struct json_tally *t = &r.found->named[0];
        assert_null(r.fault);
        assert_int_equal(t->count, 6);
        assert_int_equal(t->nan, 4);
        assert_int_equal(t->inf, 1);
        assert_int_equal(t->zero, 1);
        assert_int_equal(r.bare, 3);
        assert_int_equal(r.quoted, 2);
        assert_int_equal(r.nulls, 3);
        assert_int_equal(r.overflows, 1);
        assert_int_equal(r.empty, 1);
        json_scan_free(s);
    }
}

/* --- files --- */

static struct vector_result read_text(const char *name, const char *text, size_t len, enum vector_depth depth)
{
    struct golden g = {.len = len, .data = malloc(len + 1)};
    assert_non_null(g.data);
    memcpy(g.data, text, len);
    snprintf(g.name, sizeof g.name, "%s", name);
    struct vector_result r = golden_read(&g, depth);
    golden_free(&g);
    return r;
}

static void each_form_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *file, *format, *array, *detail;
        int64_t dimension, count, nan, inf, zero;
    } files[] = {
        {"arrays.json", "json", "", "JSON", 16, 5, 0, 0, 0},
        {"ids.json", "json", "", "JSON", 12, 20, 0, 0, 0},
        {"response.json", "json", "embedding", "JSON", 24, 3, 0, 0, 0},
        {"odd.json", "json", "vector", "JSON; NaN and Infinity as words, which is not standard: 2", 8, 6, 1, 1, 1},
        {"mixed.jsonl", "jsonl", "embedding", "JSON Lines, 6 texts", 0, 6, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct vector_result r = golden_look(files[i].file, VECTOR_SCAN);
        assert_true(r.known);
        assert_true(r.ok);
        assert_string_equal(r.format, files[i].format);
        assert_string_equal(r.detail, files[i].detail);
        assert_int_equal(r.array_count, 1);
        assert_string_equal(r.arrays[0].name, files[i].array);
        assert_int_equal(r.dtype, VECTOR_DTYPE_NONE);
        assert_int_equal(r.dimension, files[i].dimension);
        assert_int_equal(r.count, files[i].count);
        assert_int_equal(r.nan, files[i].nan);
        assert_int_equal(r.inf, files[i].inf);
        assert_int_equal(r.zero, files[i].zero);
        assert_int_equal(r.row_bytes, 0);
        vector_release(&r);
    }
    struct vector_result r = golden_look("mixed.jsonl", VECTOR_SHAPE);
    assert_int_equal(r.dim_count, 2);
    assert_int_equal(r.dims[0].dimension, 10);
    assert_int_equal(r.dims[0].count, 2);
    assert_int_equal(r.dims[1].dimension, 16);
    assert_int_equal(r.dims[1].count, 4);
    vector_release(&r);
}

static void expect_dims(const char *text, int64_t count, const char *want)
{
    char got[VECTOR_FACTS_TEXT_BYTES];
    struct vector_result r = read_text("x.json", text, strlen(text), VECTOR_SCAN);
    assert_true(r.known && r.ok);
    vector_dims_text(r.dims, r.dim_count, r.dims_other, got, sizeof got);
    if (strcmp(got, want) != 0)
        fail_msg("%.60s: '%s', not '%s'", text, got, want);
    assert_int_equal(r.count, count);
    assert_int_equal(r.dimension == 0, r.dim_count > 1);
    vector_release(&r);
}

static void short_and_empty_vectors_are_seen(void **state)
{
    (void)state;
    char lines[8192] = "";
    for (int i = 0; i < 100; i++)
        strcat(lines, i % 10 ? "{\"embedding\":[0.5,0.5,0.5,0.5]}\n" : "{\"embedding\":[0.5]}\n");
    expect_dims(lines, 100, "1: 10, 4: 90");
    expect_dims("{\"vec\":[1,2]}\n{\"vec\":[1]}\n{\"vec\":[]}", 3, "0: 1, 1: 1, 2: 1");
    expect_dims("{\"vec\":[]}\n{\"vec\":[1,2]}\n{\"vec\":[]}", 3, "0: 2, 2: 1");
    expect_dims("{\"vectors\":[[1,2],[],[3,4]]}", 3, "0: 1, 2: 2");
    expect_dims("{\"a\":{\"vectors\":[[1,2],[3,4]]},\"b\":{\"vectors\":[]}}", 2, "2: 2");
    expect_dims("{\"vec\":[]}\n{\"embedding\":[1,2]}", 1, "2: 1");
    expect_dims("{\"vectors\":[],\"vec\":[[]]}", 0, "");
}

#define MANY "0.125,0.25,0.5,1,1.5,2,3,4,5,6,7,8"

/* As a backup with a configured dimension asks. */
static void expect_vectors(const char *text, bool want)
{
    struct vector_result r = read_text("x.json", text, strlen(text), VECTOR_SHAPE);
    assert_true(r.known);
    if (vector_is_file_of_vectors(&r) != want)
        fail_msg("%s: %s", text, want ? "no vectors" : "vectors");
    if (!want && r.ok)
        assert_string_equal(r.detail, "JSON; no vectors");
    vector_release(&r);
}

static void one_array_of_numbers_is_no_vector(void **state)
{
    (void)state;
    expect_vectors("{\"histogram\":[" MANY "]}", false);
    expect_vectors("{\"histogram\":[" MANY "],\"weights\":[" EIGHT "]}", false);
    expect_vectors("{\"histogram\":[" MANY "],\"n\":[" EIGHT "],\"s\":[0.5," EIGHT "]}", false);
    expect_vectors("{\"histogram\":[[" MANY "]]}", false);
    expect_vectors("[{\"h\":[" MANY "]}]", false);
    expect_vectors("[" MANY "]", false);
    expect_vectors("[[" MANY "]]", false);
    expect_vectors("{\"histogram\":[" MANY, false);
    expect_vectors("[" MANY, false);
    expect_vectors("{\"embedding\":[" MANY "]}", true);
    expect_vectors("{\"embedding\":[" MANY, true);
    expect_vectors("{\"vectors\":{\"a\":[" MANY, true);
    expect_vectors("[[" MANY "],[" MANY "]]", true);
    expect_vectors("[[" MANY, true);
    expect_vectors("[" MANY "]\n[" MANY "]", true);
    expect_vectors("{\"a\":[" MANY "],\"b\":[" MANY "],\"c\":[" EIGHT "]}", true);
    expect_vectors("{\"a\":[" MANY "]}\n{\"a\":[" EIGHT "]}", true);
    static const char lone[] = "[" MANY "]", rows[] = "[[" MANY "],[" MANY "]]";
    struct vector_result r = read_text("dump", lone, sizeof lone - 1, VECTOR_SHAPE);
    assert_false(r.known);
    vector_release(&r);
    r = read_text("dump", rows, sizeof rows - 1, VECTOR_SHAPE);
    assert_true(r.known && r.count == 2);
    vector_release(&r);
}

static void what_configured_dimensions_see(void **state)
{
    (void)state;
    static const char text[] = "{\"vec\":[]}\n{\"vec\":[1,2]}";
    char why[VECTOR_FACTS_TEXT_BYTES];
    struct fact_list facts = {0};
    struct vector_result r = read_text("x.jsonl", text, sizeof text - 1, VECTOR_SHAPE);
    OK(vector_facts_put(&r, &facts, &err));
    assert_false(vector_facts_fit(&facts, 2, why, sizeof why));
    assert_string_equal(why, "vectors of mixed dimensions, 0: 1, 2: 1");
    fact_list_release(&facts);
    vector_release(&r);
}

static void lines_are_told_by_the_name_too(void **state)
{
    (void)state;
    static const char cut[] = "{\"vec\":[1,2]}\n{\"vec\":[3,", one[] = "{\"vec\":[1,2]}\n";
    static const struct {
        const char *name, *format;
    } names[] = {{"x.jsonl", "jsonl"}, {"x.ndjson", "jsonl"}, {"x.json", "json"}, {"x", "json"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct vector_result r = read_text(names[i].name, cut, sizeof cut - 1, VECTOR_SHAPE);
        assert_true(r.known && !r.ok);
        assert_string_equal(r.format, names[i].format);
        assert_string_equal(r.detail, "not JSON at byte 24: it ends within a value");
        vector_release(&r);
        r = read_text(names[i].name, one, sizeof one - 1, VECTOR_SHAPE);
        assert_string_equal(r.format, names[i].format);
        assert_string_equal(r.detail, strcmp(r.format, "jsonl") == 0 ? "JSON Lines, 1 text" : "JSON");
        vector_release(&r);
    }
}

static void json_without_vectors_is_json_by_its_name(void **state)
{
    (void)state;
    struct vector_result r = golden_look("settings.json", VECTOR_SCAN);
    assert_true(r.known && r.ok);
    assert_int_equal(r.array_count, 0);
    assert_int_equal(r.dimension, VECTOR_UNKNOWN);
    assert_string_equal(r.detail, "JSON; no vectors");
    vector_release(&r);
    r = read_text("mark.json", "\xef\xbb\xbf\n[]", 6, VECTOR_SCAN);
    assert_true(r.known && r.ok);
    vector_release(&r);
    r = read_text("settings.txt", "{\"a\":1}", 7, VECTOR_SCAN);
    assert_false(r.known);
    vector_release(&r);
    r = read_text("notes.json", "# not JSON", 10, VECTOR_SCAN);
    assert_false(r.known);
    vector_release(&r);
    r = read_text("notes.txt", "[1] a footnote", 14, VECTOR_SCAN);
    assert_false(r.known);
    vector_release(&r);
    r = read_text("dump", "{\"vec\":[1,2]}", 13, VECTOR_SCAN);
    assert_true(r.known && r.ok);
    vector_release(&r);
}

static void broken_files_say_where(void **state)
{
    (void)state;
    golden_cut_everywhere("arrays.json", 1, VECTOR_SCAN);
    golden_cut_everywhere("odd.json", 1, VECTOR_SCAN);
    golden_cut_everywhere("response.json", 1, VECTOR_QUICK);
    golden_spoil_everywhere("odd.json");
    golden_spoil_everywhere("mixed.jsonl");
    struct golden g = golden_load("arrays.json");
    g.len -= 10;
    golden_is_broken(&g, VECTOR_SHAPE, "it ends within a value");
    golden_put(&g, 100, "\0", 1);
    golden_is_broken(&g, VECTOR_SHAPE, "not JSON at byte 100: a number lacks a digit");
    struct vector_result r = golden_read(&g, VECTOR_SCAN);
    assert_int_equal(r.count, VECTOR_UNKNOWN);
    vector_release(&r);
    golden_free(&g);
}

/* A large file whose vectors come late, under a name that says nothing. */
static void a_quick_look_reads_the_beginning(void **state)
{
    (void)state;
    enum { TEXT = 20000, VECTORS = 40000 };
    size_t len = 0;
    struct golden g = {.data = malloc(TEXT + 20 * VECTORS + 100)};
    assert_non_null(g.data);
    char *p = (char *)g.data;
    len += (size_t)sprintf(p, "{\"text\":\"");
    memset(p + len, 'x', TEXT);
    len += TEXT;
    len += (size_t)sprintf(p + len, "\",\"vectors\":[");
    for (int i = 0; i < VECTORS; i++)
        len += (size_t)sprintf(p + len, "%s[1,2,%d]", i ? "," : "", i);
    len += (size_t)sprintf(p + len, "]}");
    g.len = len;
    snprintf(g.name, sizeof g.name, "dump");
    struct vector_result r = golden_read(&g, VECTOR_QUICK);
    assert_true(r.known && r.ok);
    assert_in_range(g.reads, 1, 12);
    assert_int_equal(r.dimension, 3);
    assert_int_equal(r.count, VECTOR_UNKNOWN);
    assert_int_equal(r.nan, VECTOR_UNKNOWN);
    assert_string_equal(r.detail, "JSON; only its first 256 KiB were looked at");
    vector_release(&r);
    r = golden_read(&g, VECTOR_SHAPE);
    assert_int_equal(r.count, VECTORS);
    vector_release(&r);
    g.data[len - 1] = 'x';
    golden_is_broken(&g, VECTOR_SHAPE, "a comma or } was expected");
    golden_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_grammar_is_kept),
        cmocka_unit_test(strings_are_utf8),
        cmocka_unit_test(long_runs_of_numbers_are_kept_to_the_grammar),
        cmocka_unit_test(numbers_beyond_a_double_are_infinite),
        cmocka_unit_test(depth_and_length_are_bounded),
        cmocka_unit_test(places_tell_vectors_from_other_numbers),
        cmocka_unit_test(many_names_are_put_together),
        cmocka_unit_test(many_dimensions_are_counted),
        cmocka_unit_test(what_stands_for_nan_is_counted),
        cmocka_unit_test(each_form_is_told),
        cmocka_unit_test(short_and_empty_vectors_are_seen),
        cmocka_unit_test(one_array_of_numbers_is_no_vector),
        cmocka_unit_test(what_configured_dimensions_see),
        cmocka_unit_test(lines_are_told_by_the_name_too),
        cmocka_unit_test(json_without_vectors_is_json_by_its_name),
        cmocka_unit_test(broken_files_say_where),
        cmocka_unit_test(a_quick_look_reads_the_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
