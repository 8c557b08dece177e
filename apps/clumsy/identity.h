/* identity: which packet this is, for the random numbers.
 *
 *   identity_configure   index, flow or content
 *   identity_draw        the packet's place in every stream of random numbers
 *   identity_free
 *
 *     index      the n-th packet, whatever it is: other traffic shifts everything
 *     flow       the n-th packet of its 5-tuple and direction
 *     content    this content for the n-th time: the same on every run and in a replay, in
 *                whatever order packets come; a retransmission draws anew
 *
 * Counts are kept for the flows and contents seen lately (lib/tally.h).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/clumsy/parameters.h"
#include "lib/frame.h"
#include "lib/tally.h"

#define IDENTITY_FLOWS    65536
#define IDENTITY_CONTENTS 262144

struct identity {
    int mode; /* enum key_mode */
    struct tally seen;
};

/* identity may be all zeros. A change of mode begins to count anew. False when memory is
 * out. */
bool identity_configure(struct identity *identity, int mode);
void identity_free(struct identity *identity);

/* index: of the packet. frame is looked at for flow and content. */
uint64_t identity_draw(struct identity *identity, uint64_t index,
                       const struct frame *frame);
