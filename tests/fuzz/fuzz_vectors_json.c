/* JS1, JS2: a text gives one result however it is cut into blocks; what jansson reads is sound here, and what is sound
 * here, one text, without the words beyond JSON, is what jansson reads. Input: how to cut (u8), then the text. */
#include <jansson.h>
#include <string.h>

#include "source/vectors/json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct json_scan *scan(const uint8_t *text, size_t len, size_t block, struct json_report *r)
{
    struct json_scan *s;
    REQUIRE(json_scan_new(&s, NULL) == ERR_OK);
    for (size_t at = 0; at < len; at += block)
        if (!json_scan_push(s, text + at, block < len - at ? block : len - at))
            break;
    json_scan_end(s);
    json_scan_report(s, r);
    return s;
}

static void compare(const struct json_report *a, const struct json_report *b)
{
    REQUIRE(a->fault == b->fault && a->fault_offset == b->fault_offset && a->texts == b->texts);
    REQUIRE(a->bare == b->bare && a->quoted == b->quoted && a->nulls == b->nulls && a->empty == b->empty);
    REQUIRE(a->overflows == b->overflows && a->unfinished == b->unfinished && !a->found == !b->found);
    REQUIRE(!a->found || memcmp(a->found, b->found, sizeof *a->found) == 0);
}

/* Bounds of jansson's own: 2,048 levels, integers of 64 bits, no NUL in names, no number that underflows. */
static bool is_beyond_jansson(const json_error_t *e)
{
    enum json_error_code code = json_error_code(e);
    return code == json_error_stack_overflow || code == json_error_numeric_overflow ||
           code == json_error_null_character || code == json_error_null_byte_in_key;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_report whole, cut;
    if (size < 1)
        return 0;
    const uint8_t *text = data + 1;
    size_t len = size - 1;
    struct json_scan *a = scan(text, len, len + 1, &whole), *b = scan(text, len, 1 + data[0] % 100, &cut);
    compare(&whole, &cut);
    bool plain = !whole.fault && whole.texts == 1 && whole.bare == 0 && whole.overflows == 0;
    bool mark = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;
    json_error_t e;
    json_t *j = json_loadb((const char *)text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    REQUIRE(!j || !whole.fault || memchr(text, 0, len)); /* jansson passes over NUL bytes between tokens */
    /* It wants surrogates in pairs. */
    if (!j && plain && !mark && !strstr(e.text, "Unicode"))
        REQUIRE(is_beyond_jansson(&e));
    json_decref(j);
    json_scan_free(a);
    json_scan_free(b);
    return 0;
}
