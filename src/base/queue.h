/* A bounded queue of pointers that hands over ownership between threads. Layer: base.
 *
 * Promises
 *   Q1  push blocks while the queue is full, pop while it is empty; neither busy-waits.
 *   Q2  after queue_close, push returns false (the caller keeps the item) and pop drains what is left, then returns
 * NULL.
 */
#ifndef SNAP_BASE_QUEUE_H
#define SNAP_BASE_QUEUE_H

#include "base/err.h"

struct queue;

MUST_USE enum errc queue_new(size_t capacity, struct queue **out, struct err *err);
void queue_free(struct queue *q); /* must be empty of threads; items left in it are the caller's */
MUST_USE bool queue_push(struct queue *q, void *item);
void *queue_pop(struct queue *q);
void queue_close(struct queue *q);

#endif
