#include "cli/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *made)
{
    if (!made) {
        fputs("snap: not enough memory to print the result\n", stderr);
        exit(1);
    }
    return made;
}

static void must_be_zero(int rc)
{
    if (rc != 0)
        must(NULL);
}

json_t *json_doc(void)
{
    return must(json_object());
}

json_t *json_list(void)
{
    return must(json_array());
}

void json_put(json_t *object, const char *key, json_t *value)
{
    must_be_zero(json_object_set_new(object, key, must(value)));
}

void json_add(json_t *list, json_t *value)
{
    must_be_zero(json_array_append_new(list, must(value)));
}

static json_t *base64(const char *data, size_t len)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = must(malloc((len + 2) / 3 * 4 + 1));
    size_t n = 0;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t v = (uint32_t)(uint8_t)data[i] << 16;
        if (i + 1 < len)
            v |= (uint32_t)(uint8_t)data[i + 1] << 8;
        if (i + 2 < len)
            v |= (uint8_t)data[i + 2];
        text[n++] = letters[v >> 18];
        text[n++] = letters[v >> 12 & 63];
        text[n++] = i + 1 < len ? letters[v >> 6 & 63] : '=';
        text[n++] = i + 2 < len ? letters[v & 63] : '=';
    }
    json_t *out = must(json_stringn(text, n));
    free(text);
    return out;
}

/* Length of the valid UTF-8 sequence at p, 0 when there is none. */
static size_t utf8_len(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xC2 && p[0] < 0xE0 ? 2 : p[0] >= 0xE0 && p[0] < 0xF0 ? 3 : p[0] >= 0xF0 && p[0] < 0xF5 ? 4 : 0;
    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xF0 && p[1] < 0x90);
    bool outside = (p[0] == 0xED && p[1] >= 0xA0) || (p[0] == 0xF4 && p[1] >= 0x90); /* surrogates; past U+10FFFF */
    return overlong || outside ? 0 : n;
}

/* The string with invalid bytes as \xHH; *exact_out tells whether there were none. */
static json_t *text_value(const char *data, size_t len, bool *exact_out)
{
    char *text = must(malloc(len * 4 + 1));
    size_t n = 0;
    *exact_out = true;
    for (size_t i = 0; i < len;) {
        size_t good = utf8_len((const uint8_t *)data + i, len - i);
        if (good) {
            memcpy(text + n, data + i, good);
            n += good;
            i += good;
        } else {
            n += (size_t)snprintf(text + n, 5, "\\x%02x", (uint8_t)data[i++]);
            *exact_out = false;
        }
    }
    json_t *out = must(json_stringn(text, n));
    free(text);
    return out;
}

void json_put_bytes(json_t *object, const char *key, const char *data, size_t len)
{
    bool exact;
    json_put(object, key, text_value(data, len, &exact));
    if (exact)
        return;
    char other[64];
    snprintf(other, sizeof other, "%s_b64", key);
    json_put(object, other, base64(data, len));
}

void json_put_str(json_t *object, const char *key, const char *text)
{
    if (text)
        json_put_bytes(object, key, text, strlen(text));
    else
        json_put(object, key, json_null());
}

void json_put_u64(json_t *object, const char *key, uint64_t v)
{
    json_put(object, key, json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v));
}

void json_put_bool(json_t *object, const char *key, bool v)
{
    json_put(object, key, json_boolean(v));
}

void json_put_seconds(json_t *object, const char *key, uint64_t ms)
{
    json_put(object, key, json_real((double)ms / 1000.0));
}

void json_put_time(json_t *object, const char *key, struct timestamp t)
{
    char text[TIME_TEXT_BYTES];
    json_put_str(object, key, time_format(text, t));
}

void json_put_strs(json_t *object, const char *key, char *const *texts, size_t count)
{
    json_put(object, key, json_list());
    for (size_t i = 0; i < count; i++)
        json_append_str(object, key, texts[i]);
}

void json_append_str(json_t *object, const char *key, const char *text)
{
    json_t *list = json_object_get(object, key);
    REQUIRE(json_is_array(list));
    bool exact;
    json_add(list, text_value(text, strlen(text), &exact));
    char other[64];
    snprintf(other, sizeof other, "%s_b64", key);
    json_t *bytes = json_object_get(object, other);
    if (exact && !bytes)
        return;
    if (!bytes) {
        json_put(object, other, json_list());
        bytes = json_object_get(object, other);
    }
    while (json_array_size(bytes) + 1 < json_array_size(list)) /* null: the string is exact */
        json_add(bytes, json_null());
    json_add(bytes, exact ? json_null() : base64(text, strlen(text)));
}

static json_t *fact_value(const struct fact *f)
{
    bool exact;
    switch (f->type) {
    case FACT_TEXT:
        return text_value(f->text, f->text_len, &exact);
    case FACT_INT:
        return json_integer(f->integer);
    case FACT_REAL:
        return isfinite(f->real) ? json_real(f->real) : json_null();
    case FACT_BOOL:
        return json_boolean(f->integer != 0);
    }
    return json_null();
}

void json_put_facts(json_t *object, const char *key, const struct fact_list *facts)
{
    json_t *all = json_doc();
    for (size_t i = 0; i < facts->count; i++) {
        bool exact;
        json_t *name = text_value(facts->facts[i].key, facts->facts[i].key_len, &exact);
        json_put(all, json_string_value(name), fact_value(&facts->facts[i]));
        json_decref(name);
    }
    json_put(object, key, all);
}

const char *digits_hex(char *dst, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        snprintf(dst + 2 * i, 3, "%02x", data[i]);
    return dst;
}

const char *id_hex(char dst[ID_HEX_BYTES], const struct snapshot_id *id)
{
    return digits_hex(dst, id->b, sizeof id->b);
}

const char *id_short(char dst[ID_HEX_BYTES], const struct snapshot_id *id)
{
    return digits_hex(dst, id->b, SHORT_ID_DIGITS / 2);
}

const char *run_hex(char dst[ID_HEX_BYTES], const struct run_id *id)
{
    return digits_hex(dst, id->b, sizeof id->b);
}

void json_put_id(json_t *object, const char *key, const struct snapshot_id *id)
{
    char text[ID_HEX_BYTES];
    json_put_str(object, key, id ? id_hex(text, id) : NULL);
}
