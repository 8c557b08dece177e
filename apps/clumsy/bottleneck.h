/* bottleneck: a link of limited rate with a droptail queue, as a virtual clock.
 *
 *   bottleneck_configure   set rate, accounting and limit; what is queued stays
 *   bottleneck_pass        one packet: when has its last bit left, or is it refused?
 *   bottleneck_serve       the same for one that somebody else has queued: when?
 *   bottleneck_expire      forget what has left by a time
 *   bottleneck_free
 *
 *     arrivals -> | p9 p8 p7 | p6 | ->      start = max(arrival - burst, busy)
 *                   waiting   being         busy = start + 8 * bytes / rate
 *                             sent
 *
 * The clock keeps fractions of a nanosecond as a remainder of the division by the rate:
 * a saturated link is exact to 1 ns after any number of packets, and no packet is ever
 * said to have left early. Occupancy counts the packet that is being sent. A packet that
 * finds the link idle is always accepted, however small the limit, because it need not
 * wait.
 *
 * A burst makes it a token bucket: after a pause the clock lags behind by as much time as the
 * burst takes at that rate. A trace takes the place of the rate, and outages that hold
 * packets stop the link: one that is being sent is finished.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/clumsy/outage.h"
#include "apps/clumsy/parameters.h"
#include "apps/clumsy/trace.h"
#include "lib/units.h"

/* Packets held at most, whatever the limit is: 64 MiB of bookkeeping. */
#define BOTTLENECK_PACKETS (1u << 22)

struct bottleneck_conf {
    uint64_t rate; /* bit/s, not 0 without a trace */
    int64_t overhead, cell, cell_overhead;
    uint64_t burst;      /* bytes */
    int count;           /* enum rate_count */
    struct limit limit;  /* a packet is refused when it exceeds every one that is not 0 */
    struct trace *trace; /* of a rate, or NULL; the caller's, as is the next one */
    struct outage *outage; /* that holds packets, or NULL */
    uint64_t start;        /* of the trace */
};

struct departure {
    uint64_t time;
    uint32_t length;
};

struct bottleneck {
    struct bottleneck_conf conf;
    int64_t
        busy; /* ns: all that was accepted has been sent, rounded down; below 0: what a
                     burst may be behind at the beginning of time */
    uint64_t remainder; /* and this many parts of conf.rate of a nanosecond */
    uint64_t departed;  /* when the last packet has left, rounded up */
    uint64_t lag;       /* ns by which the clock may be behind: the burst */
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

/* A frame that is next. When the link is free: bottleneck->departed. UINT64_MAX: never. */
uint64_t bottleneck_serve(struct bottleneck *bottleneck, uint64_t arrival,
                          uint32_t length);

void bottleneck_expire(struct bottleneck *bottleneck, uint64_t now);
void bottleneck_free(struct bottleneck *bottleneck);

static inline uint64_t bottleneck_packets(const struct bottleneck *bottleneck)
{
    return bottleneck->tail - bottleneck->head;
}
