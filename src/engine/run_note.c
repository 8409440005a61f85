#include "engine/run_note.h"

#include "base/io.h"
#include "base/process.h"

enum errc run_note_append(struct store *s, const struct run_note *n, struct err *err)
{
    struct log_body body = {.head.kind = LOG_RUN};
    struct run_record *r = &body.run;
    r->begun = n->begun;
    r->duration_ms = (monotonic_ns() - n->begun_ns) / 1000000;
    enum errc rc = io_random(r->id.b, sizeof r->id.b, err);
    if (rc == ERR_OK)
        rc = mem_strdup(&r->verb, n->verb, err);
    if (rc == ERR_OK)
        rc = mem_strdup(&r->state, n->state, err);
    if (rc == ERR_OK && n->detail)
        rc = mem_strdup(&r->detail, n->detail, err);
    if (rc == ERR_OK)
        rc = process_who(&r->host, &r->user, err);
    if (rc == ERR_OK)
        rc = store_append(s, &body, err);
    log_body_release(&body);
    return rc;
}
