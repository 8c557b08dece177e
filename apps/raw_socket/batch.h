/* batch: frames read by recvmmsg, for where there is no ring.
 *
 *   batch_new, batch_free
 *   batch_peek       the next frame, as ring_peek gives it
 *   batch_release    ... is done with
 *   batch_pending    are there frames that poll does not know of any more?
 *
 * Up to BATCH frames are read at a time and lie here until they are taken; what the
 * header of a ring's slot says comes in control messages.
 */
#pragma once
#include <stdbool.h>

#include "lib/error.h"

#define BATCH 32

struct batch;
struct ring_frame;

/* The socket gets the options that it takes; PACKET_VNET_HDR is set already. NULL on
 * error. hardware: times come from the device. */
struct batch *batch_new(int fd, bool hardware, struct error *err);
void batch_free(struct batch *batch); /* may be NULL */

bool batch_peek(struct batch *batch, struct ring_frame *frame);
void batch_release(struct batch *batch);
bool batch_pending(const struct batch *batch);
