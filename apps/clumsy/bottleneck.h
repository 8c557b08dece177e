/* bottleneck: a link of limited rate with a droptail queue, as a virtual clock.
 *
 *   bottleneck_configure   set rate, accounting and limit; what is queued stays
 *   bottleneck_pass        one packet: when has its last bit left, or is it refused?
 *   bottleneck_expire      forget what has left by a time
 *   bottleneck_free
 *
 *     arrivals -> | p9 p8 p7 | p6 | ->      start = max(arrival, busy)
 *                   waiting   being         busy = start + 8 * bytes / rate
 *                             sent
 *
 * The clock keeps fractions of a nanosecond as a remainder of the division by the rate:
 * a saturated link is exact to 1 ns after any number of packets, and no packet is ever
 * said to have left early. Occupancy counts the packet that is being sent. A packet that
 * finds the link idle is always accepted, however small the limit, because it need not
 * wait.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/units.h"

/* Packets held at most, whatever the limit is: 64 MiB of bookkeeping. */
#define BOTTLENECK_PACKETS (1u << 22)

struct bottleneck_conf {
    uint64_t rate; /* bit/s, not 0 */
    int64_t overhead;
    bool wire;
    struct limit limit; /* a packet is refused when it exceeds every one that is not 0 */
};

struct departure {
    uint64_t time;
    uint32_t length;
};

struct bottleneck {
    struct bottleneck_conf conf;
    uint64_t busy;      /* ns, when the last accepted packet has left, rounded down */
    uint64_t remainder; /* and this many parts of conf.rate of a nanosecond */
    uint64_t bytes;     /* of the packets that have not left */
    struct departure *ring;
    uint64_t head, tail, size; /* cursors never wrap; size is 0 or a power of two */
};

/* bottleneck may be all zeros. */
void bottleneck_configure(struct bottleneck *bottleneck,
                          const struct bottleneck_conf *conf);

/* A frame of length bytes arrives. True and when its last bit has left, rounded up; false
 * when the queue is full. */
bool bottleneck_pass(struct bottleneck *bottleneck, uint64_t arrival, uint32_t length,
                     uint64_t *departure);

void bottleneck_expire(struct bottleneck *bottleneck, uint64_t now);
void bottleneck_free(struct bottleneck *bottleneck);

static inline uint64_t bottleneck_packets(const struct bottleneck *bottleneck)
{
    return bottleneck->tail - bottleneck->head;
}
