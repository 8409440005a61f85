#include "source/vectors/json_number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/vectors/json_runs.h"

enum state { BEGIN, MINUS, ZERO, WHOLE, POINT, FRACTION, E, E_SIGN, EXPONENT };
#define EXPONENT_MAX INT64_C(1000000000000000)
enum { DOUBLE_MAX_POINT = 309 };

void json_number_begin(struct json_number *n)
{
    n->state = BEGIN;
    n->fraction = n->exponent_negative = false;
    n->significant = n->point = n->exponent = 0;
}

static void take_digit(struct json_number *n, uint8_t c)
{
    bool behind = n->state == FRACTION;
    if (n->significant == 0 && c == '0') {
        n->point -= behind;
        return;
    }
    if (n->significant < JSON_NUMBER_DIGITS)
        n->digits[n->significant] = (char)c;
    n->significant++;
    n->point += !behind;
}

static enum json_number_step to(struct json_number *n, enum state state)
{
    n->state = state;
    return JSON_NUMBER_MORE;
}

static enum json_number_step digit(struct json_number *n, uint8_t c, const char **fault)
{
    switch (n->state) {
    case BEGIN:
    case MINUS:
        n->state = c == '0' ? ZERO : WHOLE;
        break;
    case ZERO:
        *fault = "a number begins with 0";
        return JSON_NUMBER_FAULT;
    case POINT:
        n->state = FRACTION;
        break;
    case E:
    case E_SIGN:
        n->state = EXPONENT;
        break;
    default:
        break;
    }
    if (n->state != EXPONENT)
        take_digit(n, c);
    else if (n->exponent < EXPONENT_MAX)
        n->exponent = n->exponent * 10 + (c - '0');
    return JSON_NUMBER_MORE;
}

enum json_number_step json_number_byte(struct json_number *n, uint8_t c, const char **fault)
{
    if (json_is_digit(c))
        return digit(n, c, fault);
    if (c == '-' && n->state == BEGIN)
        return to(n, MINUS);
    if (c == 'I' && n->state == MINUS)
        return JSON_NUMBER_INFINITY;
    if ((c == '+' || c == '-') && n->state == E) {
        n->exponent_negative = c == '-';
        return to(n, E_SIGN);
    }
    if (!json_number_may_end(n)) {
        *fault = "a number lacks a digit";
        return JSON_NUMBER_FAULT;
    }
    if (n->state != EXPONENT && (c | 0x20) == 'e') {
        n->fraction = true;
        return to(n, E);
    }
    if ((n->state == ZERO || n->state == WHOLE) && c == '.') {
        n->fraction = true;
        return to(n, POINT);
    }
    return JSON_NUMBER_END;
}

bool json_number_may_end(const struct json_number *n)
{
    return n->state == ZERO || n->state == WHOLE || n->state == FRACTION || n->state == EXPONENT;
}

bool json_number_overflows(const struct json_number *n)
{
    int64_t point = n->point + (n->exponent_negative ? -n->exponent : n->exponent);
    if (n->significant == 0 || point != DOUBLE_MAX_POINT)
        return n->significant > 0 && point > DOUBLE_MAX_POINT;
    /* Written without a point, so that no locale matters. */
    char text[JSON_NUMBER_DIGITS + 16];
    int digits = n->significant < JSON_NUMBER_DIGITS ? (int)n->significant : JSON_NUMBER_DIGITS;
    snprintf(text, sizeof text, "%.*se%d", digits, n->digits, DOUBLE_MAX_POINT - digits);
    return isinf(strtod(text, NULL));
}
