/* bottleneck: a link of limited rate with a droptail queue, as a virtual clock. */
#include "apps/clumsy/bottleneck.h"

#include <stdlib.h>

#define NS_PER_S        1000000000ull
#define WIRE_OVERHEAD   24 /* preamble 8, CRC 4, gap 12 */
#define SHORTEST_FRAME  60 /* without CRC; Ethernet pads to this */
#define FIRST_SIZE      64
#define ETHERNET_HEADER 14
#define LAG_MOST        (INT64_MAX / 2) /* ns, as good as for ever */

void bottleneck_configure(struct bottleneck *bottleneck,
                          const struct bottleneck_conf *conf)
{
    if (bottleneck->remainder && bottleneck->conf.rate != conf->rate) {
        bottleneck->busy++; /* its parts were parts of the old rate */
        bottleneck->remainder = 0;
    }
    bottleneck->conf = *conf;
    bottleneck->lag = 0;
    if (conf->burst && !conf->trace)
        bottleneck->lag =
            (uint64_t)((double)conf->burst * 8 * NS_PER_S / (double)conf->rate);
    if (bottleneck->lag > LAG_MOST)
        bottleneck->lag = LAG_MOST;
    if (!bottleneck->departed) /* nothing has left: the bucket is full, at time 0, too */
        bottleneck->busy = -(int64_t)bottleneck->lag;
}

void bottleneck_free(struct bottleneck *bottleneck)
{
    free(bottleneck->ring);
    bottleneck->ring = NULL;
    bottleneck->head = bottleneck->tail = bottleneck->size = 0;
}

static struct departure *slot(const struct bottleneck *bottleneck, uint64_t cursor)
{
    return &bottleneck->ring[cursor & (bottleneck->size - 1)];
}

void bottleneck_expire(struct bottleneck *bottleneck, uint64_t now)
{
    while (bottleneck->head != bottleneck->tail &&
           slot(bottleneck, bottleneck->head)->time <= now)
        bottleneck->bytes -= slot(bottleneck, bottleneck->head++)->length;
}

static bool grow(struct bottleneck *bottleneck)
{
    uint64_t size = bottleneck->size ? 2 * bottleneck->size : FIRST_SIZE;
    struct departure *ring =
        size <= BOTTLENECK_PACKETS ? malloc(size * sizeof(*ring)) : NULL;
    if (!ring)
        return false;
    for (uint64_t i = bottleneck->head; i != bottleneck->tail; i++)
        ring[i & (size - 1)] = *slot(bottleneck, i);
    free(bottleneck->ring);
    bottleneck->ring = ring;
    bottleneck->size = size;
    return true;
}

/* With several limits (which only the default has) a packet must exceed all of them. */
static bool full(const struct bottleneck *bottleneck, uint64_t arrival, uint32_t length)
{
    const struct limit *limit = &bottleneck->conf.limit;
    uint64_t packets = bottleneck_packets(bottleneck);
    if (!packets)
        return false;
    if (limit->ns && bottleneck->departed <= arrival + limit->ns)
        return false;
    if (limit->bytes && bottleneck->bytes + length <= limit->bytes)
        return false;
    if (limit->packets && packets < limit->packets)
        return false;
    return limit->ns || limit->bytes || limit->packets;
}

static uint64_t bytes_on_link(const struct bottleneck_conf *conf, uint32_t length)
{
    int64_t bytes = length;
    if (conf->count == COUNT_WIRE)
        bytes = (bytes < SHORTEST_FRAME ? SHORTEST_FRAME : bytes) + WIRE_OVERHEAD;
    else if (conf->count == COUNT_L3)
        bytes -= ETHERNET_HEADER;
    bytes += conf->overhead;
    if (bytes <= 0)
        return 0;
    if (conf->cell)
        bytes =
            (bytes + conf->cell - 1) / conf->cell * (conf->cell + conf->cell_overhead);
    return (uint64_t)bytes;
}

/* The link does not begin to send before this. */
static void wait_until(struct bottleneck *bottleneck, int64_t time)
{
    if (time <= bottleneck->busy)
        return;
    bottleneck->busy = time;
    bottleneck->remainder = 0;
}

/* Times of the trace are those since its start. */
static uint64_t serve_trace(struct bottleneck *bottleneck, uint64_t bytes)
{
    int64_t start = (int64_t)bottleneck->conf.start;
    int64_t from = bottleneck->busy > start ? bottleneck->busy - start : 0;
    uint64_t departure = trace_depart(bottleneck->conf.trace, (uint64_t)from, bytes);
    if (departure == UINT64_MAX)
        return departure;
    bottleneck->busy = (int64_t)departure + start;
    return (uint64_t)bottleneck->busy;
}

static uint64_t serve_rate(struct bottleneck *bottleneck, uint64_t bytes)
{
    uint64_t rate = bottleneck->conf.rate;
    uint64_t parts = bytes * 8 * NS_PER_S + bottleneck->remainder;
    bottleneck->busy += (int64_t)(parts / rate);
    bottleneck->remainder = parts % rate;
    int64_t departure = bottleneck->busy + (bottleneck->remainder != 0);
    return departure > 0 ? (uint64_t)departure : 0;
}

uint64_t bottleneck_serve(struct bottleneck *bottleneck, uint64_t arrival,
                          uint32_t length)
{
    const struct bottleneck_conf *conf = &bottleneck->conf;
    uint64_t bytes = bytes_on_link(conf, length);
    int64_t now = (int64_t)arrival;
    wait_until(bottleneck, now - (int64_t)bottleneck->lag);
    if (conf->outage) {
        uint64_t from = (uint64_t)(bottleneck->busy > now ? bottleneck->busy : now);
        uint64_t over = outage_over(conf->outage, from);
        if (over > from)
            wait_until(bottleneck, over < LAG_MOST ? (int64_t)over : LAG_MOST);
    }
    uint64_t departure =
        conf->trace ? serve_trace(bottleneck, bytes) : serve_rate(bottleneck, bytes);
    if (departure < arrival) /* from the bucket */
        departure = arrival;
    if (departure > bottleneck->departed && departure != UINT64_MAX)
        bottleneck->departed = departure;
    return departure == UINT64_MAX ? departure : bottleneck->departed;
}

bool bottleneck_pass(struct bottleneck *bottleneck, uint64_t arrival, uint32_t length,
                     uint64_t *departure)
{
    bottleneck_expire(bottleneck, arrival);
    if (full(bottleneck, arrival, length) ||
        (bottleneck_packets(bottleneck) == bottleneck->size && !grow(bottleneck)))
        return false;
    *departure = bottleneck_serve(bottleneck, arrival, length);
    if (*departure == UINT64_MAX)
        return false;
    *slot(bottleneck, bottleneck->tail++) = (struct departure){ *departure, length };
    bottleneck->bytes += length;
    return true;
}
