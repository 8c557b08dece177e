/* slot: packets that are ready wait for the next slot, as on a radio that shares its medium.
 *
 *   slot_configure   the law of the time between slots, and what fits into one
 *   slot_ready       when may a packet leave that is ready at a time?
 *   slot_take        it has left
 *
 *     ready     x  x xx    x      xxxxx
 *     slots          |         |          |         |       times between: a law
 *     leaves         x         xx         xxxx      xx      at most packets, bytes
 *
 * A slot is a moment; the next one opens a draw of the law after it. The first opens one draw
 * after the start.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/clumsy/distribution.h"
#include "apps/clumsy/parameters.h"
#include "lib/random.h"

struct slot {
    bool active;
    struct slot_conf conf;
    struct random_key key;
    struct distribution law;
    uint64_t opens;          /* the slot that packets go into */
    uint64_t number;         /* of the slots so far */
    uint64_t packets, bytes; /* in it so far */
};

/* slot may be all zeros. */
void slot_configure(struct slot *slot, const struct slot_conf *conf, uint64_t seed,
                    const char *name, uint64_t start);
void slot_free(struct slot *slot);
int slot_verify(const struct slot_conf *conf, struct error *err);

/* Packets are asked for in the order in which they are ready. A packet longer than bytes has
 * a slot of its own. */
uint64_t slot_ready(struct slot *slot, uint64_t ready, uint32_t length);

static inline void slot_take(struct slot *slot, uint32_t length)
{
    slot->packets++;
    slot->bytes += length;
}
