/* One file of Lance. lance.h tells the layout. Layer: source (private to vectors/). */
#ifndef SNAP_SOURCE_VECTORS_LANCE_FILE_H
#define SNAP_SOURCE_VECTORS_LANCE_FILE_H

#include "source/vectors/proto.h"

struct lance_footer {
    uint16_t major, minor;
    bool is_old;                            /* before version 2 */
    uint64_t descriptor_at, descriptor_len; /* protobuf FileDescriptor; len 0: none */
};

/* The footer of a data file; false: the walk's file is called broken. */
bool lance_footer(struct walk *w, struct lance_footer *out);
/* A Field, entered: an array for it when it is a column of vectors. */
void lance_field(struct walk *w);

#endif
