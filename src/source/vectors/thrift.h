/* Thrift's compact protocol, read only. Layer: source (private to vectors/).
 *
 * Fact source: thrift-compact-protocol.md of Apache Thrift. All of it works on a walk; what does not fit calls the file
 * broken, as the walk does, and gives zeros.
 */
#ifndef SNAP_SOURCE_VECTORS_THRIFT_H
#define SNAP_SOURCE_VECTORS_THRIFT_H

#include "source/vectors/walk.h"

enum thrift_type {
    THRIFT_STOP,
    THRIFT_TRUE,
    THRIFT_FALSE,
    THRIFT_I8,
    THRIFT_I16,
    THRIFT_I32,
    THRIFT_I64,
    THRIFT_DOUBLE,
    THRIFT_BINARY,
    THRIFT_LIST,
    THRIFT_SET,
    THRIFT_MAP,
    THRIFT_STRUCT,
    THRIFT_UUID,
};
struct thrift_field {
    int32_t id; /* 0 before the first field of a struct */
    uint8_t type;
};

/* The next field of a struct: false behind the last. *f is that of the call before. */
bool thrift_next(struct walk *w, struct thrift_field *f);
/* The elements of a list or set follow. */
uint64_t thrift_list(struct walk *w, uint8_t *type_out);
int64_t thrift_integer(struct walk *w);
/* At most room - 1 bytes of it, and a NUL; *len_out: bytes kept. */
void thrift_text(struct walk *w, char *out, size_t room, size_t *len_out);
uint64_t thrift_binary(struct walk *w); /* its length; the walk stands at its first byte */
bool thrift_skip(struct walk *w, uint8_t type);

#endif
