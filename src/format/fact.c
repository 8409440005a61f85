#include "format/fact.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

static void fact_release(struct fact *f)
{
    union {
        const char *borrowed;
        char *owned;
    } key = {.borrowed = f->key}, text = {.borrowed = f->text};
    free(key.owned);
    free(text.owned);
}

void fact_list_release(struct fact_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        fact_release(&l->facts[i]);
    free(l->facts);
    *l = (struct fact_list){0};
}

static int key_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order ? order : (a_len > b_len) - (a_len < b_len);
}

/* Where key stands, or belongs. */
static size_t fact_place(const struct fact_list *l, const char *key, size_t len, bool *found_out)
{
    size_t low = 0, high = l->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = key_compare(l->facts[mid].key, l->facts[mid].key_len, key, len);
        if (order == 0) {
            *found_out = true;
            return mid;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *found_out = false;
    return low;
}

const struct fact *fact_find(const struct fact_list *l, const char *key)
{
    bool found;
    size_t i = fact_place(l, key, strlen(key), &found);
    return found ? &l->facts[i] : NULL;
}

bool fact_equal(const struct fact *a, const struct fact *b)
{
    if (a->type != b->type || a->key_len != b->key_len || memcmp(a->key, b->key, a->key_len) != 0)
        return false;
    switch (a->type) {
    case FACT_TEXT:
        return a->text_len == b->text_len && (a->text_len == 0 || memcmp(a->text, b->text, a->text_len) == 0);
    case FACT_REAL:
        return a->real == b->real || (isnan(a->real) && isnan(b->real));
    default:
        return a->integer == b->integer;
    }
}

static enum errc put_value(struct buf *b, const struct fact *f, struct err *err)
{
    uint8_t bytes[10];
    struct buf value = {.data = bytes, .cap = sizeof bytes, .max = sizeof bytes}; /* on the stack: never grows */
    uint64_t real;
    enum errc rc;
    switch (f->type) {
    case FACT_TEXT:
        return put_counted(b, f->text, f->text_len, err);
    case FACT_INT:
        rc = put_zigzag(&value, f->integer, err);
        break;
    case FACT_REAL:
        memcpy(&real, &f->real, sizeof real);
        rc = put_u64(&value, real, err);
        break;
    default:
        rc = put_u8(&value, f->integer != 0, err);
        break;
    }
    return rc == ERR_OK ? put_counted(b, value.data, value.len, err) : rc;
}

static enum errc fact_put(struct buf *b, const struct fact *f, struct err *err)
{
    enum errc rc = put_counted(b, f->key, f->key_len, err);
    if (rc == ERR_OK)
        rc = put_u8(b, (uint8_t)f->type, err);
    return rc == ERR_OK ? put_value(b, f, err) : rc;
}

static enum errc encoded_size(const struct fact *f, size_t *size_out, struct err *err)
{
    struct buf b;
    buf_init(&b, FACTS_MAX_BYTES);
    enum errc rc = fact_put(&b, f, err);
    *size_out = b.len;
    buf_release(&b);
    return rc;
}

static enum errc own_strings(struct fact *copy, const struct fact *f, struct err *err)
{
    *copy = *f;
    copy->key = copy->text = NULL;
    enum errc rc = mem_dup(&copy->key, f->key, f->key_len, err);
    if (rc == ERR_OK && f->type == FACT_TEXT)
        rc = mem_dup(&copy->text, f->text, f->text_len, err);
    if (rc != ERR_OK)
        fact_release(copy);
    return rc;
}

static enum errc fact_set(struct fact_list *l, const struct fact *f, struct err *err)
{
    if (f->key_len < 1 || f->key_len > NAME_MAX_BYTES)
        return err_fail(err, ERR_LIMIT, "a fact's key has %zu bytes", f->key_len);
    size_t size, old_size = 0;
    bool found;
    size_t at = fact_place(l, f->key, f->key_len, &found);
    enum errc rc = encoded_size(f, &size, err);
    if (rc == ERR_OK && found)
        rc = encoded_size(&l->facts[at], &old_size, err);
    if (rc == ERR_OK && l->encoded_bytes - old_size + size > FACTS_MAX_BYTES)
        rc = err_fail(err, ERR_LIMIT, "there are more facts than %d bytes can hold", FACTS_MAX_BYTES);
    struct fact copy;
    if (rc == ERR_OK && !found)
        rc = mem_grow(&l->facts, &l->cap, l->count + 1, sizeof *l->facts, err);
    if (rc == ERR_OK)
        rc = own_strings(&copy, f, err);
    if (rc != ERR_OK)
        return rc;
    if (found) {
        fact_release(&l->facts[at]);
    } else {
        memmove(&l->facts[at + 1], &l->facts[at], (l->count - at) * sizeof *l->facts);
        l->count++;
    }
    l->facts[at] = copy;
    l->encoded_bytes += size - old_size;
    return ERR_OK;
}

enum errc fact_set_text(struct fact_list *l, const char *key, const char *text, struct err *err)
{
    struct fact f = {.key = key, .key_len = strlen(key), .type = FACT_TEXT, .text = text, .text_len = strlen(text)};
    return fact_set(l, &f, err);
}

enum errc fact_set_int(struct fact_list *l, const char *key, int64_t v, struct err *err)
{
    struct fact f = {.key = key, .key_len = strlen(key), .type = FACT_INT, .integer = v};
    return fact_set(l, &f, err);
}

enum errc fact_set_real(struct fact_list *l, const char *key, double v, struct err *err)
{
    struct fact f = {.key = key, .key_len = strlen(key), .type = FACT_REAL, .real = v};
    return fact_set(l, &f, err);
}

enum errc fact_set_bool(struct fact_list *l, const char *key, bool v, struct err *err)
{
    struct fact f = {.key = key, .key_len = strlen(key), .type = FACT_BOOL, .integer = v};
    return fact_set(l, &f, err);
}

enum errc fact_list_put(struct buf *b, const struct fact_list *l, struct err *err)
{
    size_t before = b->len;
    for (size_t i = 0; i < l->count; i++) {
        enum errc rc = fact_put(b, &l->facts[i], err);
        if (rc != ERR_OK) {
            b->len = before;
            return rc;
        }
    }
    return ERR_OK;
}

/* One fact, borrowing from r. *known_out is false for a type of a newer version. */
static bool fact_get(struct reader *r, struct fact *f, bool *known_out)
{
    *f = (struct fact){0};
    struct bytes key = get_counted(r, NAME_MAX_BYTES);
    uint8_t type = get_u8(r);
    struct bytes value = get_counted(r, FACTS_MAX_BYTES);
    if (!reader_ok(r) || key.len < 1 || memchr(key.data, 0, key.len))
        return false;
    f->key = (const char *)key.data;
    f->key_len = key.len;
    f->type = (enum fact_type)type;
    *known_out = type >= FACT_TEXT && type <= FACT_BOOL;
    struct reader v = reader_of(value.data, value.len);
    uint64_t real;
    switch (type) {
    case FACT_TEXT:
        f->text = (const char *)value.data;
        f->text_len = value.len;
        return value.len == 0 || !memchr(value.data, 0, value.len);
    case FACT_INT:
        f->integer = get_zigzag(&v);
        break;
    case FACT_REAL:
        real = get_u64(&v);
        memcpy(&f->real, &real, sizeof f->real);
        break;
    case FACT_BOOL:
        f->integer = get_u8(&v);
        if (f->integer > 1)
            return false;
        break;
    default:
        return true;
    }
    return reader_ok(&v) && reader_left(&v) == 0;
}

enum errc fact_list_get(const void *data, size_t len, struct fact_list *out, struct err *err)
{
    *out = (struct fact_list){0};
    if (len > FACTS_MAX_BYTES)
        return err_fail(err, ERR_DAMAGED, "facts of %zu bytes are above the limit", len);
    struct reader r = reader_of(data, len);
    struct fact before = {0}, f;
    enum errc rc = ERR_OK;
    bool known = true;
    while (rc == ERR_OK && reader_left(&r) > 0) {
        if (!fact_get(&r, &f, &known) || (before.key && key_compare(before.key, before.key_len, f.key, f.key_len) >= 0))
            rc = err_fail(err, ERR_DAMAGED, "a list of facts is malformed");
        else if (known)
            rc = fact_set(out, &f, err); /* at the end, since keys ascend */
        before = f;
    }
    if (rc != ERR_OK)
        fact_list_release(out);
    return rc;
}

enum errc fact_list_copy(struct fact_list *dst, const struct fact_list *src, struct err *err)
{
    *dst = (struct fact_list){0};
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < src->count; i++)
        rc = fact_set(dst, &src->facts[i], err);
    if (rc != ERR_OK)
        fact_list_release(dst);
    return rc;
}
