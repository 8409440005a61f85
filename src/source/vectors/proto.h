/* Protocol Buffers, read only. Layer: source (private to vectors/).
 *
 * Fact source: "Encoding" of the Protocol Buffers documentation. All of it works on a walk; a message ends where the
 * walk's end is.
 */
#ifndef SNAP_SOURCE_VECTORS_PROTO_H
#define SNAP_SOURCE_VECTORS_PROTO_H

#include "source/vectors/walk.h"

enum proto_wire { PROTO_VARINT = 0, PROTO_8 = 1, PROTO_BYTES = 2, PROTO_4 = 5 };
struct proto_field {
    uint32_t id;
    uint8_t wire;
    uint64_t number; /* of a varint; of bytes: how many, and the walk stands at the first */
};

/* The next field of the message; false at its end. Varints are read; anything else is for the caller. */
bool proto_next(struct walk *w, struct proto_field *f);
bool proto_skip(struct walk *w, const struct proto_field *f);
/* At most room - 1 bytes of a string, and a NUL. */
size_t proto_text(struct walk *w, const struct proto_field *f, char *out, size_t room);
/* The field is a message: the walk ends where it does, until leave gets what enter returned. */
uint64_t proto_enter(struct walk *w, const struct proto_field *f);
void proto_leave(struct walk *w, uint64_t end);

#endif
