/* JSON as the commands print it. Layer: cli.
 *
 * A string that is not valid UTF-8 (a path can hold any byte) keeps its place with every invalid byte as \xHH, and
 * the exact bytes stand beside it in base64 under "<key>_b64"; without that key the string is exact (docs/cli.md,
 * "JSON"). Running out of memory while making a document ends the process with a message and status 1.
 */
#ifndef SNAP_CLI_JSON_H
#define SNAP_CLI_JSON_H

#include <jansson.h>

#include "format/log_record.h"

enum { ID_HEX_BYTES = 33, SHORT_ID_DIGITS = 8 };

json_t *json_doc(void);                                        /* {} */
json_t *json_list(void);                                       /* [] */
void json_put(json_t *object, const char *key, json_t *value); /* takes value over */
void json_add(json_t *list, json_t *value);

void json_put_str(json_t *object, const char *key, const char *text); /* NULL: null */
void json_put_bytes(json_t *object, const char *key, const char *data, size_t len);
void json_put_u64(json_t *object, const char *key, uint64_t v); /* above 2^63 - 1: that number */
void json_put_bool(json_t *object, const char *key, bool v);
void json_put_seconds(json_t *object, const char *key, uint64_t ms); /* milliseconds as seconds */
void json_put_time(json_t *object, const char *key, struct timestamp t);
void json_put_strs(json_t *object, const char *key, char *const *texts, size_t count);
/* To the array under key; bytes go to "<key>_b64", an array of the same length, only when some string is not exact. */
void json_append_str(json_t *object, const char *key, const char *text);
void json_put_facts(json_t *object, const char *key, const struct fact_list *facts);
void json_put_id(json_t *object, const char *key, const struct snapshot_id *id); /* NULL: null */

/* Ids as text; dst is returned. */
const char *id_hex(char dst[ID_HEX_BYTES], const struct snapshot_id *id);
const char *id_short(char dst[ID_HEX_BYTES], const struct snapshot_id *id);
const char *run_hex(char dst[ID_HEX_BYTES], const struct run_id *id);
const char *digits_hex(char *dst, const uint8_t *data, size_t len); /* dst holds 2 * len + 1 bytes */

#endif
