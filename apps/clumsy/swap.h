/* swap: packets that wait for the next one of their flow, to change places with it.
 *
 *   swap_init, swap_free
 *   swap_hold       this one waits, until a time at the latest
 *   swap_has        does one of a flow wait?
 *   swap_take       the next one of the flow is here: who waits for it?
 *   swap_expired    who has waited in vain?
 *   swap_next       when will somebody have?
 *
 * Packets are handles that the caller knows. One of a flow waits at a time, and SWAP_FLOWS of
 * them or more; one that is forgotten beyond that has waited in vain.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/tally.h"

#define SWAP_FLOWS 4096
#define SWAP_NONE  UINT32_MAX

struct swap_entry {
    uint64_t flow, index; /* of the packet */
    uint64_t until;
    uint32_t handle; /* SWAP_NONE: it has left */
};

struct swap {
    struct tally flows;         /* where the one that waits is, in cursors */
    struct swap_entry *entries; /* a ring, in the order in which they give up */
    uint64_t head, tail, size;  /* cursors; size is 0 or a power of two */
};

/* False when memory is out. */
bool swap_init(struct swap *swap);
void swap_free(struct swap *swap);

/* False when memory is out. */
bool swap_hold(struct swap *swap, uint64_t flow, uint64_t index, uint64_t until,
               uint32_t handle);

bool swap_has(struct swap *swap, uint64_t flow);

/* The handle of a packet of that flow with another index, which does not wait any more; or
 * SWAP_NONE. */
uint32_t swap_take(struct swap *swap, uint64_t flow, uint64_t index);

/* One that gave up by now, and when it did; SWAP_NONE: nobody has. */
uint32_t swap_expired(struct swap *swap, uint64_t now, uint64_t *until);

static inline bool swap_waiting(const struct swap *swap)
{
    return swap->head != swap->tail;
}

/* UINT64_MAX: nobody waits. */
static inline uint64_t swap_next(const struct swap *swap)
{
    return swap_waiting(swap) ? swap->entries[swap->head & (swap->size - 1)].until
                              : UINT64_MAX;
}
