/* codel: when to drop the oldest packet of a queue, by how long it has waited: RFC 8289.
 *
 *   codel_drops   is the packet at the head dropped, now that it could be sent?
 *   codel_empty   the link asked for a packet and there was none
 *
 * The RFC's deque is a loop over packets; here its state is asked once for each: packets are
 * dropped until one is not, and that one is sent. Where it is marked instead, it is sent
 * after having been answered true.
 *
 * A queue that would be left with no more than an MTU is not touched, as in the RFC (5.3: it
 * would cost the link its work): the last packet of the link is never dropped. It counts what
 * waits for the link. With FQ-CoDel that is more than the packet's own flow, so that the last
 * packet of a flow can be dropped.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define CODEL_TARGET   5000000   /* ns */
#define CODEL_INTERVAL 100000000 /* ns */
#define CODEL_MTU      1514      /* bytes */

struct codel_conf {
    uint64_t target, interval;
};

/* All zeros at the start. The names are those of the RFC. */
struct codel {
    uint64_t
        first_above; /* when it will have been above target for an interval; 0: is not */
    uint64_t drop_next;
    uint32_t count;      /* drops since the state was entered, and what was remembered */
    uint32_t last_count; /* what count was then */
    bool dropping;
};

/* sojourn: of the packet; left: bytes that wait behind it. */
bool codel_drops(struct codel *codel, const struct codel_conf *conf, uint64_t now,
                 uint64_t sojourn, uint64_t left);

static inline void codel_empty(struct codel *codel)
{
    codel->first_above = 0;
    codel->dropping = false;
}
