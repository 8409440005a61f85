/* Runs of JSON numbers and of text, several bytes at a time; numbers are not converted. Layer: source (private to
 * vectors/).
 *
 * Promises
 *   JN1  what is passed over here is numbers as RFC 8259 section 6 writes them, finite as doubles, with commas and
 * white space; anything else is left to the caller, who looks at each byte.
 */
#ifndef SNAP_SOURCE_VECTORS_JSON_RUNS_H
#define SNAP_SOURCE_VECTORS_JSON_RUNS_H

#include <stdbool.h>
#include <stdint.h>

struct json_run {
    int64_t count;    /* numbers passed over */
    uint64_t nonzero; /* not 0 when a digit of a significand was not '0' */
    bool fraction;    /* a point or an exponent was seen */
    bool comma;       /* the last thing passed over was a comma: a value has to follow */
};

/* p: where an element of an array begins. Returns where it stopped: p when it could do nothing. */
const uint8_t *json_run_numbers(const uint8_t *p, const uint8_t *end, struct json_run *run);

static inline bool json_is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}
static inline bool json_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}
/* Behind plain ASCII inside a string: at a quote, a backslash, a control byte, a byte of UTF-8, or the end. */
const uint8_t *json_run_text(const uint8_t *p, const uint8_t *end);
/* Behind sound characters of several bytes each (RFC 3629, section 4); stops at what may not be one. */
const uint8_t *json_run_characters(const uint8_t *p, const uint8_t *end);

#endif
