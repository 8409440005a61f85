/* Messages kept back until it is known whether they count. Layer: engine, private. One thread gives them out. */
#ifndef SNAP_ENGINE_HELD_MESSAGES_H
#define SNAP_ENGINE_HELD_MESSAGES_H

#include <pthread.h>

#include "base/buf.h"
#include "base/diag.h"

enum { HELD_MAX_BYTES = 1 << 20 }; /* then they go out at once */

struct held_messages {
    struct diag diag; /* to be used in place of the real one */
    const struct diag *to;
    struct buf text; /* level, name, text, each NUL-terminated */
    pthread_mutex_t lock;
};
void held_init(struct held_messages *h, const struct diag *to);
void held_drop(struct held_messages *h); /* forget them */
void held_tell(struct held_messages *h); /* give them out */
void held_release(struct held_messages *h);

#endif
