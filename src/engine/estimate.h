/* How much there is to read: a look at sizes beside the capture, for the progress line only. Layer: engine, private. */
#ifndef SNAP_ENGINE_ESTIMATE_H
#define SNAP_ENGINE_ESTIMATE_H

#include "engine/backup.h"

struct estimate;
/* Starts a thread; NULL when there is nobody to show it to, or no thread to be had. set is borrowed until
 * estimate_free. */
struct estimate *estimate_start(const struct set_spec *set, const struct diag *diag);
/* Bytes in all; 0 as long as it is not known. Any thread. NULL is fine. */
uint64_t estimate_bytes(const struct estimate *e);
void estimate_free(struct estimate *e); /* stops the thread; NULL is fine */

#endif
