/* interlink: the part of a link that crosses from one core to another.
 *
 *   interlink_new, interlink_free
 *   interlink_flush      the sender: from its end of the link into the ring
 *   interlink_fetch      the receiver: from the ring to its end of the link
 *   interlink_empty      is nothing in the ring?
 *   link_receiver        the end of a link that the receiving app sees
 *   link_held            packets on a link, all of it
 *
 *      core 0                                              core 1
 *      app -> [ struct link `from` ] -> | ring | -> [ struct link `to` ] -> app
 *               flushed at the end             fetched at the beginning
 *               of a breath                    of a breath
 *
 * The apps at both ends see ordinary links and nothing else. The ring is lock-free, with
 * one producer and one consumer: each cursor has one writer and a cache line of its own,
 * where that writer also keeps what it last saw of the other's cursor. What does not fit
 * into the ring stays on the sender's link, whose overflow is counted as ever; the ring
 * itself loses nothing. Sent = received + held: `from` counts what was transmitted, `to`
 * what was received, held is the difference.
 */
#pragma once
#include <stdatomic.h>

#include "engine/link.h"

struct engine;

#define INTERLINK_SIZE LINK_SIZE
#define INTERLINK_MASK (INTERLINK_SIZE - 1)

struct interlink {
    /* written by the sender */
    _Atomic uint64_t write __attribute__((aligned(CACHE_LINE)));
    uint64_t read_seen;
    struct link *from;
    /* written by the receiver */
    _Atomic uint64_t read __attribute__((aligned(CACHE_LINE)));
    uint64_t write_seen;
    struct link *to;
    /* written by neither */
    struct engine *sender __attribute__((aligned(CACHE_LINE)));
    struct engine *receiver;
    struct packet *ring[INTERLINK_SIZE] __attribute__((aligned(CACHE_LINE)));
};

/* Between two links, which it does not own. */
struct interlink *interlink_new(struct link *from, struct link *to);

/* What lies in the ring must have been fetched. */
void interlink_free(struct interlink *interlink);

/* Both return how many packets were moved. A flush that moved some is ordered before
 * every later sequentially consistent load of the sender: see engine_sleep_begin. */
uint32_t interlink_flush(struct interlink *interlink);
uint32_t interlink_fetch(struct interlink *interlink);

/* For the receiver, before it sleeps. */
static inline bool interlink_empty(struct interlink *interlink)
{
    return atomic_load(&interlink->write) ==
           atomic_load_explicit(&interlink->read, memory_order_relaxed);
}

static inline struct link *link_receiver(struct link *link)
{
    return link->across ? link->across->to : link;
}

/* Exact while neither core breathes. */
static inline uint64_t link_held(struct link *link)
{
    return link->write - link_receiver(link)->read;
}
