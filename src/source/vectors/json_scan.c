#include "source/vectors/json_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "source/vectors/json_number.h"
#include "source/vectors/json_runs.h"

enum state {
    BETWEEN, /* texts */
    VALUE,
    FIRST_VALUE, /* or the end of the array */
    FIRST_NAME,  /* or the end of the object */
    NAME,
    COLON,
    AFTER, /* an element or member */
    STRING,
    ESCAPE,
    HEX,     /* s->left digits of \u */
    UNICODE, /* s->left more bytes of a character, the next in low..high */
    WORD,
    NUMBER,
};

/* A level: an array and the place of its numbers, or an object and how it lies under a name. */
enum {
    LEVEL_ARRAY = 0x80,
    LEVEL_PLACE = 0x07,
    OBJECT_DIRECT = 0x01, /* the value of a strong name */
    OBJECT_STRONG = 0x02, /* that, or an element of an array that is */
    OBJECT_SPARSE = 0x04,
};

struct json_scan {
    enum state state;
    uint64_t offset; /* of the block */
    const uint8_t *block;
    bool line_feed; /* since the last text */
    struct json_number number;
    const char *word;
    size_t word_at;
    unsigned left;
    uint8_t low, high;
    bool is_name, text_whole;
    char text[JSON_NAME_BYTES]; /* the string's start as it is written */
    size_t text_len;
    char name[JSON_NAME_BYTES];
    size_t name_len;
    bool name_fresh; /* it is of the object that is open, not of one within it */
    /* The array that is open. */
    struct json_vector vector;
    bool only_numbers, has_number;
    int64_t nulls, quoted;
    struct json_report report;
    struct json_tallies tallies;
    size_t depth;
    uint8_t levels[JSON_DEPTH_MAX];
};

enum errc json_scan_new(struct json_scan **out, struct err *err)
{
    return mem_alloc(out, sizeof **out, err); /* zeros are BETWEEN */
}

void json_scan_free(struct json_scan *s)
{
    free(s);
}

static void fail_at(struct json_scan *s, uint64_t offset, const char *what)
{
    s->report.fault = what;
    s->report.fault_offset = offset;
}

static const uint8_t *fail(struct json_scan *s, const uint8_t *p, const char *what)
{
    fail_at(s, s->offset + (uint64_t)(p - s->block), what);
    return p;
}

static bool in_array(const struct json_scan *s)
{
    return s->depth > 0 && (s->levels[s->depth - 1] & LEVEL_ARRAY);
}

/* --- what it means --- */

static void value_done(struct json_scan *s)
{
    s->state = s->depth > 0 ? AFTER : BETWEEN;
    if (s->depth == 0) {
        s->report.texts++;
        s->line_feed = false;
    }
}

static void other_element(struct json_scan *s)
{
    s->only_numbers = false;
    value_done(s);
}

static void number_element(struct json_scan *s, bool nan, bool inf, bool zero, bool fraction)
{
    struct json_vector *v = &s->vector;
    v->dimension++;
    v->nan |= nan;
    v->inf |= inf;
    v->zero &= zero;
    v->fraction |= fraction;
    s->has_number = true;
    value_done(s);
}

static uint8_t level_of(const struct json_scan *s, bool array)
{
    if (s->depth == 0)
        return array ? LEVEL_ARRAY | PLACE_BARE : 0;
    uint8_t over = s->levels[s->depth - 1];
    enum json_place place;
    if (over & LEVEL_ARRAY)
        place = over & LEVEL_PLACE;
    else if (over & OBJECT_SPARSE)
        place = PLACE_NONE;
    else
        place = json_place_of(s->name, s->name_len, over & OBJECT_STRONG, over & OBJECT_DIRECT);
    if (array)
        return (uint8_t)(LEVEL_ARRAY | place);
    if (place != PLACE_STRONG)
        return place == PLACE_NONE ? OBJECT_SPARSE : 0;
    return over & LEVEL_ARRAY ? OBJECT_STRONG : OBJECT_STRONG | OBJECT_DIRECT;
}

static const uint8_t *open_level(struct json_scan *s, const uint8_t *p)
{
    bool array = *p == '[';
    if (s->depth == JSON_DEPTH_MAX)
        return fail(s, p, "nested deeper than 65,536 levels");
    s->levels[s->depth] = level_of(s, array);
    s->depth++;
    s->only_numbers = array;
    s->has_number = false;
    s->nulls = s->quoted = 0;
    s->vector = (struct json_vector){.zero = true};
    s->state = array ? FIRST_VALUE : FIRST_NAME;
    return p + 1;
}

static void array_done(struct json_scan *s)
{
    enum json_place place = s->levels[s->depth - 1] & LEVEL_PLACE;
    size_t name_len = s->name_fresh ? s->name_len : 0;
    if (!s->only_numbers)
        return;
    s->vector.member = s->depth > 1 && !(s->levels[s->depth - 2] & LEVEL_ARRAY);
    if (s->vector.dimension == 0) {
        s->report.empty += place == PLACE_STRONG;
        json_tallies_add_empty(&s->tallies, place, s->name, name_len, s->vector.member);
    } else if ((s->has_number || (place == PLACE_STRONG && s->vector.dimension > 1)) &&
               json_tallies_add(&s->tallies, place, s->name, name_len, &s->vector)) {
        s->report.nulls += s->nulls;
        s->report.quoted += s->quoted;
    }
}

static const uint8_t *close_level(struct json_scan *s, const uint8_t *p)
{
    if (in_array(s))
        array_done(s);
    else
        s->name_fresh = false;
    s->depth--;
    other_element(s);
    return p + 1;
}

/* A string that has ended. */
static void string_done(struct json_scan *s)
{
    static const char *const words[] = {"NaN", "nan", "Infinity", "-Infinity", "inf", "-inf"};
    if (s->is_name) {
        s->name_len = s->text_whole ? s->text_len : 0;
        memcpy(s->name, s->text, s->name_len);
        s->name_fresh = true;
        s->state = COLON;
        return;
    }
    for (size_t i = 0; in_array(s) && s->text_whole && i < sizeof words / sizeof *words; i++)
        if (s->text_len == strlen(words[i]) && memcmp(s->text, words[i], s->text_len) == 0) {
            s->quoted++;
            number_element(s, i < 2, i >= 2, false, true);
            return;
        }
    other_element(s);
}

static void word_done(struct json_scan *s)
{
    const char *w = s->word;
    if (*w == 'N' || *w == 'I' || *w == '-') {
        s->report.bare++;
        number_element(s, *w == 'N', *w != 'N', false, true);
    } else if (*w == 'n' && in_array(s)) {
        bool had = s->has_number; /* nulls alone tell nothing */
        s->nulls++;
        number_element(s, true, false, false, false);
        s->has_number = had;
    } else if (*w == '\xef') {
        s->state = BETWEEN;
    } else {
        other_element(s);
    }
}

static void number_done(struct json_scan *s)
{
    bool overflows = json_number_overflows(&s->number);
    s->report.overflows += overflows;
    number_element(s, false, overflows, s->number.significant == 0, s->number.fraction);
}

/* --- bytes --- */

static const uint8_t *begin_word(struct json_scan *s, const uint8_t *p, const char *word)
{
    s->word = word;
    s->word_at = 1;
    s->state = WORD;
    return p + 1;
}

static const uint8_t *begin_string(struct json_scan *s, const uint8_t *p, bool is_name)
{
    s->is_name = is_name;
    s->text_len = 0;
    s->text_whole = true;
    s->state = STRING;
    return p + 1;
}

static const uint8_t *begin_value(struct json_scan *s, const uint8_t *p)
{
    switch (*p) {
    case '[':
    case '{':
        return open_level(s, p);
    case '"':
        return begin_string(s, p, false);
    case 't':
        return begin_word(s, p, "true");
    case 'f':
        return begin_word(s, p, "false");
    case 'n':
        return begin_word(s, p, "null");
    case 'N':
        return begin_word(s, p, "NaN");
    case 'I':
        return begin_word(s, p, "Infinity");
    default:
        if (*p != '-' && !json_is_digit(*p))
            return fail(s, p, "a value was expected");
        json_number_begin(&s->number);
        s->state = NUMBER;
        return p; /* json_number_byte looks at it */
    }
}

static const uint8_t *in_value(struct json_scan *s, const uint8_t *p, const uint8_t *end)
{
    struct json_run run;
    if (s->state == FIRST_VALUE && *p == ']')
        return close_level(s, p);
    if (!in_array(s) || !(*p == '-' || json_is_digit(*p)))
        return begin_value(s, p);
    const uint8_t *stop = json_run_numbers(p, end, &run);
    if (run.count == 0)
        return begin_value(s, p);
    s->vector.dimension += run.count;
    s->vector.zero &= run.nonzero == 0;
    s->vector.fraction |= run.fraction;
    s->has_number = true;
    s->state = run.comma ? VALUE : AFTER;
    return stop;
}

static const uint8_t *in_number(struct json_scan *s, const uint8_t *p, const uint8_t *end)
{
    const char *fault = NULL;
    for (; p < end; p++)
        switch (json_number_byte(&s->number, *p, &fault)) {
        case JSON_NUMBER_MORE:
            break;
        case JSON_NUMBER_END:
            number_done(s);
            return p;
        case JSON_NUMBER_INFINITY:
            p = begin_word(s, p, "-Infinity");
            s->word_at++;
            return p;
        default:
            return fail(s, p, fault);
        }
    return p;
}

static void keep_text(struct json_scan *s, const uint8_t *from, size_t len)
{
    size_t room = sizeof s->text - s->text_len;
    if (len > room) {
        s->text_whole = false;
        len = room;
    }
    memcpy(s->text + s->text_len, from, len);
    s->text_len += len;
}

/* The first byte of a character of more than one (RFC 3629, section 4). */
static const uint8_t *begin_character(struct json_scan *s, const uint8_t *p)
{
    uint8_t c = *p;
    if (c < 0xc2 || c > 0xf4)
        return fail(s, p, "a string is not UTF-8");
    s->left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    s->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    s->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    s->state = UNICODE;
    keep_text(s, p, 1);
    return p + 1;
}

static const uint8_t *in_string(struct json_scan *s, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *stop = *p < 0x80 ? json_run_text(p, end) : json_run_characters(p, end);
    if (stop > p)
        keep_text(s, p, (size_t)(stop - p));
    if (stop == end)
        return end;
    if (*stop == '"') {
        string_done(s);
        return stop + 1;
    }
    if (*stop == '\\') {
        s->text_whole = false; /* is not compared */
        s->state = ESCAPE;
        return stop + 1;
    }
    if (*stop < ' ')
        return fail(s, stop, "a control byte stands in a string");
    return *stop < 0x80 || stop > p ? stop : begin_character(s, stop);
}

static const uint8_t *in_character(struct json_scan *s, const uint8_t *p)
{
    if (*p < s->low || *p > s->high)
        return fail(s, p, "a string is not UTF-8");
    s->low = 0x80;
    s->high = 0xbf;
    keep_text(s, p, 1);
    if (--s->left == 0)
        s->state = STRING;
    return p + 1;
}

static const uint8_t *in_escape(struct json_scan *s, const uint8_t *p)
{
    if (s->state == ESCAPE && *p == 'u') {
        s->state = HEX;
        s->left = 4;
        return p + 1;
    }
    if (s->state == ESCAPE) {
        s->state = STRING;
        return *p && strchr("\"\\/bfnrt", *p) ? p + 1 : fail(s, p, "a backslash is followed by what it cannot be");
    }
    if (!json_is_digit(*p) && !((*p | 0x20) >= 'a' && (*p | 0x20) <= 'f'))
        return fail(s, p, "\\u is not followed by four hexadecimal digits");
    if (--s->left == 0)
        s->state = STRING;
    return p + 1;
}

static const uint8_t *in_word(struct json_scan *s, const uint8_t *p)
{
    if (*p != (uint8_t)s->word[s->word_at])
        return fail(s, p, "a word is none of JSON's");
    if (!s->word[++s->word_at])
        word_done(s);
    return p + 1;
}

static const uint8_t *between(struct json_scan *s, const uint8_t *p)
{
    if (*p == 0xef && s->offset == 0 && p == s->block)
        return begin_word(s, p, "\xef\xbb\xbf");
    if (s->report.texts > 0 && !s->line_feed)
        return fail(s, p, "there are bytes behind the end of the value");
    return begin_value(s, p);
}

static const uint8_t *after(struct json_scan *s, const uint8_t *p)
{
    if (*p == ',') {
        s->state = in_array(s) ? VALUE : NAME;
        return p + 1;
    }
    if (*p == (in_array(s) ? ']' : '}'))
        return close_level(s, p);
    return fail(s, p, in_array(s) ? "a comma or ] was expected" : "a comma or } was expected");
}

/* States in which white space may stand; p is behind it. */
static const uint8_t *structure(struct json_scan *s, const uint8_t *p, const uint8_t *end)
{
    switch (s->state) {
    case BETWEEN:
        return between(s, p);
    case AFTER:
        return after(s, p);
    case COLON:
        s->state = VALUE;
        return *p == ':' ? p + 1 : fail(s, p, "a colon was expected");
    case FIRST_NAME:
        if (*p == '}')
            return close_level(s, p);
        return *p == '"' ? begin_string(s, p, true) : fail(s, p, "a name or } was expected");
    case NAME:
        return *p == '"' ? begin_string(s, p, true) : fail(s, p, "a name was expected");
    default:
        return in_value(s, p, end);
    }
}

static const uint8_t *step(struct json_scan *s, const uint8_t *p, const uint8_t *end)
{
    switch (s->state) {
    case STRING:
        return in_string(s, p, end);
    case ESCAPE:
    case HEX:
        return in_escape(s, p);
    case UNICODE:
        return in_character(s, p);
    case WORD:
        return in_word(s, p);
    case NUMBER:
        return in_number(s, p, end);
    default:
        for (; p < end && json_is_space(*p); p++)
            s->line_feed |= *p == '\n';
        return p < end ? structure(s, p, end) : p;
    }
}

bool json_scan_push(struct json_scan *s, const void *data, size_t len)
{
    const uint8_t *p = data, *end = p + len;
    s->block = p;
    while (p < end && !s->report.fault)
        p = step(s, p, end);
    s->offset += s->report.fault ? 0 : len;
    return !s->report.fault;
}

void json_scan_end(struct json_scan *s)
{
    if (s->report.fault)
        return;
    if (s->state == NUMBER && s->depth == 0 && json_number_may_end(&s->number))
        number_done(s);
    if (s->state != BETWEEN)
        fail_at(s, s->offset, "it ends within a value");
    else if (s->report.texts == 0)
        fail_at(s, s->offset, "it holds no value");
}

/* Would the array that is open be a vector? An array of arrays that is cut may have had more of them. */
static bool is_vector_begun(const struct json_scan *s)
{
    if (!in_array(s) || !s->only_numbers || !s->has_number)
        return false;
    enum json_place place = s->levels[s->depth - 1] & LEVEL_PLACE;
    return place >= PLACE_WEAK || (place == PLACE_BARE && s->depth > 1);
}

void json_scan_report(struct json_scan *s, struct json_report *out)
{
    s->report.bytes = s->offset;
    s->report.unfinished = is_vector_begun(s) ? s->vector.dimension : 0;
    s->report.found = json_tallies_choose(&s->tallies);
    *out = s->report;
}
