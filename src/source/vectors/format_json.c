/* JSON and JSON Lines: the grammar is RFC 8259, a JSON text a line is what jsonlines.org describes. json_tally.h says
 * which arrays are vectors. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "source/vectors/format.h"
#include "source/vectors/json_scan.h"

enum { QUICK_BYTES = 256 * 1024, BLOCK_BYTES = 64 * 1024, TELLING_MIN = 8 };

static enum errc push_file(struct json_scan *s, const struct vector_input *in, uint64_t end, struct err *err)
{
    uint8_t *block;
    enum errc rc = mem_alloc(&block, BLOCK_BYTES, err);
    for (uint64_t offset = 0; rc == ERR_OK && offset < end;) {
        size_t want = end - offset < BLOCK_BYTES ? (size_t)(end - offset) : BLOCK_BYTES, got = 0;
        rc = in->read(in->arg, block, want, offset, &got, err);
        if (rc != ERR_OK || !json_scan_push(s, block, got) || got < want)
            break;
        offset += got;
    }
    free(block);
    return rc;
}

static const struct json_place_tally *vectors_in(const struct json_report *r)
{
    return r->found && !r->found->lone ? r->found : NULL;
}

/* --- recognition --- */

/* A text a line, of which it may have just one. */
static bool has_name_of_lines(const struct vector_input *in)
{
    return vector_name_ends(in, ".jsonl") || vector_name_ends(in, ".ndjson");
}

static bool has_name(const struct vector_input *in)
{
    return vector_name_ends(in, ".json") || has_name_of_lines(in);
}

static bool begins_as_json(const uint8_t *head, size_t len)
{
    size_t at = len >= 3 && memcmp(head, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < len && memchr(" \t\r\n", head[at], 4))
        at++;
    return at < len && (head[at] == '{' || head[at] == '[');
}

/* By its content alone: the beginning is JSON and has vectors, or ends within one. What cannot be read is claimed, so
 * that read() says why. */
static bool shows_vectors(const uint8_t *head, size_t len, const struct vector_input *in)
{
    struct json_scan *s;
    struct json_report r;
    if (json_scan_new(&s, NULL) != ERR_OK)
        return true;
    bool sound = json_scan_push(s, head, len);
    json_scan_report(s, &r);
    bool shows = vectors_in(&r) || r.unfinished >= TELLING_MIN;
    json_scan_free(s);
    if (!sound || shows || in->size <= len)
        return sound && shows;
    if (json_scan_new(&s, NULL) != ERR_OK)
        return true;
    enum errc rc = push_file(s, in, in->size < QUICK_BYTES ? in->size : QUICK_BYTES, NULL);
    json_scan_report(s, &r);
    shows = rc != ERR_OK || (!r.fault && (vectors_in(&r) || r.unfinished >= TELLING_MIN));
    json_scan_free(s);
    return shows;
}

static bool claims(const uint8_t *head, size_t len, const struct vector_input *in)
{
    return begins_as_json(head, len) && (has_name(in) || shows_vectors(head, len, in));
}

/* --- result --- */

static enum errc add_tally(struct vector_result *r, const struct json_tally *t, bool exact, struct err *err)
{
    struct vector_array *a;
    if (t->count == 0)
        return ERR_OK;
    enum errc rc = vector_add_array(r, t->name, t->name_len, &a, err);
    if (rc != ERR_OK || !a)
        return rc;
    int64_t empty = json_tally_empty(t);
    bool mixed = t->dim_count > 1 || t->dims_other > 0 || empty > 0;
    a->is_vectors = true;
    a->dimension = mixed ? 0 : t->dims[0].dimension;
    if (!exact)
        return ERR_OK;
    a->count = t->count + empty;
    a->nan = t->nan;
    a->inf = t->inf;
    a->zero = t->zero;
    vector_add_dimension(r, 0, empty);
    for (size_t i = 0; mixed && i < t->dim_count; i++)
        vector_add_dimension(r, t->dims[i].dimension, t->dims[i].count);
    r->dims_other += t->dims_other;
    return ERR_OK;
}

static enum errc add_found(struct vector_result *r, const struct json_place_tally *found, bool exact, struct err *err)
{
    enum errc rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < found->named_count; i++)
        rc = add_tally(r, &found->named[i], exact, err);
    return rc == ERR_OK ? add_tally(r, &found->rest, exact, err) : rc;
}

static void say_count(struct vector_result *r, const char *what, int64_t count)
{
    size_t len = strlen(r->detail);
    if (count > 0)
        snprintf(r->detail + len, sizeof r->detail - len, "; %s: %" PRId64, what, count);
}

static void describe(struct vector_result *r, const struct json_report *j, bool lines, bool whole)
{
    const char *kind = lines ? "JSON Lines" : "JSON", *none = vectors_in(j) ? "" : "; no vectors";
    if (!whole)
        snprintf(r->detail, sizeof r->detail, "%s; only its first %d KiB were looked at%s", kind, QUICK_BYTES / 1024,
                 none);
    else if (lines)
        snprintf(r->detail, sizeof r->detail, "%s, %" PRIu64 " text%s%s", kind, j->texts, j->texts == 1 ? "" : "s",
                 none);
    else
        snprintf(r->detail, sizeof r->detail, "%s%s", kind, none);
    say_count(r, "NaN and Infinity as words, which is not standard", j->bare);
    say_count(r, "numbers beyond a double", j->overflows);
    say_count(r, "NaN and infinity in quotes", j->quoted);
    say_count(r, "nulls for numbers, counted as NaN", j->nulls);
    say_count(r, "empty arrays where a vector should be", j->empty);
}

/* It ends within its first vector: there is one, of which nobody knows how long it was. */
static enum errc add_unfinished(struct vector_result *r, struct err *err)
{
    struct vector_array *a;
    enum errc rc = vector_add_array(r, "", 0, &a, err);
    if (rc == ERR_OK && a)
        a->is_vectors = true;
    return rc;
}

static enum errc fill(const struct json_report *j, bool lines, bool whole, struct vector_result *out, struct err *err)
{
    const struct json_place_tally *found = vectors_in(j);
    enum errc rc = found ? add_found(out, found, whole && !j->fault, err) : ERR_OK;
    if (lines)
        snprintf(out->format, sizeof out->format, "jsonl");
    if (rc == ERR_OK && j->fault && !found && j->unfinished >= TELLING_MIN)
        rc = add_unfinished(out, err);
    if (rc == ERR_OK && j->fault)
        return vector_broken(out, "not JSON at byte %" PRIu64 ": %s", j->fault_offset, j->fault);
    describe(out, j, lines, whole);
    return rc;
}

static enum errc read_json(const struct vector_input *in, const struct vector_options *opt, struct vector_result *out,
                           struct err *err)
{
    bool whole = opt->depth != VECTOR_QUICK || in->size <= QUICK_BYTES;
    struct json_scan *s;
    struct json_report report;
    enum errc rc = json_scan_new(&s, err);
    if (rc != ERR_OK)
        return rc;
    rc = push_file(s, in, whole ? in->size : QUICK_BYTES, err);
    if (rc == ERR_OK && whole)
        json_scan_end(s);
    json_scan_report(s, &report);
    if (rc == ERR_OK)
        rc = fill(&report, report.texts > 1 || has_name_of_lines(in), whole, out, err);
    json_scan_free(s);
    return rc;
}

const struct vector_format vector_format_json = {.name = "json", .claims = claims, .read = read_json};
