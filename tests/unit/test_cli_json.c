#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/json.h"

/* The document as text, keys sorted; freed by the caller. */
static char *text_of(json_t *doc)
{
    char *text = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
    assert_non_null(text);
    json_decref(doc);
    return text;
}

static void expect_bytes(const char *data, size_t len, const char *want)
{
    json_t *doc = json_doc();
    json_put_bytes(doc, "p", data, len);
    char *text = text_of(doc);
    assert_string_equal(text, want);
    free(text);
}
#define BYTES(s, want) expect_bytes(s, sizeof(s) - 1, want)

static void strings_are_lossless(void **state)
{
    (void)state;
    BYTES("plain", "{\"p\":\"plain\"}");
    BYTES("", "{\"p\":\"\"}");
    BYTES("a\nb\"\\", "{\"p\":\"a\\nb\\\"\\\\\"}");
    BYTES("sp\xC3\xA4t", "{\"p\":\"sp\xC3\xA4t\"}");
    BYTES("\xF0\x9F\x8E\x89", "{\"p\":\"\xF0\x9F\x8E\x89\"}");
    BYTES("a\xFF", "{\"p\":\"a\\\\xff\",\"p_b64\":\"Yf8=\"}");
    BYTES("\xC3", "{\"p\":\"\\\\xc3\",\"p_b64\":\"ww==\"}");
    BYTES("\xC0\x80", "{\"p\":\"\\\\xc0\\\\x80\",\"p_b64\":\"wIA=\"}");                           /* overlong */
    BYTES("\xED\xA0\x80", "{\"p\":\"\\\\xed\\\\xa0\\\\x80\",\"p_b64\":\"7aCA\"}");                /* a surrogate */
    BYTES("\xF4\x90\x80\x80", "{\"p\":\"\\\\xf4\\\\x90\\\\x80\\\\x80\",\"p_b64\":\"9JCAgA==\"}"); /* past U+10FFFF */
    BYTES("\xE0\x80\xAF", "{\"p\":\"\\\\xe0\\\\x80\\\\xaf\",\"p_b64\":\"4ICv\"}");
}

static void arrays_of_strings(void **state)
{
    (void)state;
    char a[] = "a", bad[] = "b\xFE", c[] = "c";
    char *exact[] = {a, c}, *mixed[] = {a, bad, c};
    json_t *doc = json_doc();
    json_put_strs(doc, "s", exact, 2);
    char *text = text_of(doc);
    assert_string_equal(text, "{\"s\":[\"a\",\"c\"]}");
    free(text);
    doc = json_doc();
    json_put_strs(doc, "s", mixed, 3);
    text = text_of(doc);
    assert_string_equal(text, "{\"s\":[\"a\",\"b\\\\xfe\",\"c\"],\"s_b64\":[null,\"Yv4=\",null]}");
    free(text);
}

static void numbers(void **state)
{
    (void)state;
    json_t *doc = json_doc();
    json_put_u64(doc, "a", UINT64_MAX);
    json_put_u64(doc, "b", 7);
    json_put_seconds(doc, "c", 1500);
    json_put_str(doc, "d", NULL);
    char *text = text_of(doc);
    assert_string_equal(text, "{\"a\":9223372036854775807,\"b\":7,\"c\":1.5,\"d\":null}");
    free(text);
}

static void facts(void **state)
{
    (void)state;
    struct fact_list list = {0};
    struct err err;
    assert_int_equal(fact_set_int(&list, "rows.a", -5, &err), ERR_OK);
    assert_int_equal(fact_set_bool(&list, "ok", true, &err), ERR_OK);
    assert_int_equal(fact_set_text(&list, "quick_check", "ok", &err), ERR_OK);
    assert_int_equal(fact_set_real(&list, "r", 0.5, &err), ERR_OK);
    assert_int_equal(fact_set_text(&list, "rows.t\xFF", "x", &err), ERR_OK);
    json_t *doc = json_doc();
    json_put_facts(doc, "f", &list);
    char *text = text_of(doc);
    assert_string_equal(text,
                        "{\"f\":{\"ok\":true,\"quick_check\":\"ok\",\"r\":0.5,\"rows.a\":-5,\"rows.t\\\\xff\":\"x\"}}");
    free(text);
    fact_list_release(&list);
}

static void ids(void **state)
{
    (void)state;
    struct snapshot_id id = {.b = {0x01, 0x23, 0x45, 0x67, 0x89, 0xAB}};
    char hex[ID_HEX_BYTES];
    assert_string_equal(id_hex(hex, &id), "0123456789ab00000000000000000000");
    assert_string_equal(id_short(hex, &id), "01234567");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_lossless),
        cmocka_unit_test(arrays_of_strings),
        cmocka_unit_test(numbers),
        cmocka_unit_test(facts),
        cmocka_unit_test(ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
