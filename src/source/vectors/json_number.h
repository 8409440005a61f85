/* One JSON number, byte by byte: its grammar (RFC 8259, section 6), and whether a double can hold it. Layer: source
 * (private to vectors/). */
#ifndef SNAP_SOURCE_VECTORS_JSON_NUMBER_H
#define SNAP_SOURCE_VECTORS_JSON_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

enum { JSON_NUMBER_DIGITS = 40 }; /* kept; more change nothing but ties */

struct json_number {
    int state;
    bool fraction;       /* it has a point or an exponent */
    int64_t significant; /* digits from the first that is not 0; 0: the number is zero */
    int64_t point;       /* it is 0.digits times ten to the power of this and the exponent */
    int64_t exponent;    /* without its sign; never beyond 10^15 */
    bool exponent_negative;
    char digits[JSON_NUMBER_DIGITS];
};

enum json_number_step { JSON_NUMBER_MORE, JSON_NUMBER_END, JSON_NUMBER_INFINITY, JSON_NUMBER_FAULT };

void json_number_begin(struct json_number *n);
/* END: c is behind the number. INFINITY: "-I", which is no number but may be a word. FAULT fills *fault. */
enum json_number_step json_number_byte(struct json_number *n, uint8_t c, const char **fault);
bool json_number_may_end(const struct json_number *n);
bool json_number_overflows(const struct json_number *n);

#endif
