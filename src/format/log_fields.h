/* The tables of a log record's body. Layer: format, private. */
#ifndef SNAP_FORMAT_LOG_FIELDS_H
#define SNAP_FORMAT_LOG_FIELDS_H

#include "format/fields.h"
#include "format/log_record.h"

extern const struct schema SNAPSHOT_SCHEMA;
extern const struct schema RUN_RECORD_SCHEMA;
extern const struct schema VERIFIED_SCHEMA;
void verified_release(struct verified *v);

/* A structure as the value of one field. */
MUST_USE enum errc nested_put(struct buf *b, const struct field_spec *s, const struct schema *schema,
                              const void *object, struct err *err);
/* Arrays of equal elements of fixed size in one field. *count elements of size bytes at *array. */
MUST_USE enum errc packed_put(struct buf *b, const struct field_spec *s, const void *array, size_t count, size_t size,
                              struct err *err);
MUST_USE enum errc packed_get(struct reader *value, void *array_out, size_t *count_out, size_t size, struct err *err);
/* Is the length within the limit for what this field holds? As ERR_LIMIT. */
MUST_USE enum errc count_check(const char *what, size_t count, size_t max, struct err *err);

#endif
