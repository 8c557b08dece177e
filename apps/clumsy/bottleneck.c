/* bottleneck: a link of limited rate with a droptail queue, as a virtual clock. */
#include "apps/clumsy/bottleneck.h"

#include <stdlib.h>

#define NS_PER_S       1000000000
#define WIRE_OVERHEAD  24 /* preamble 8, CRC 4, gap 12 */
#define SHORTEST_FRAME 60 /* without CRC; Ethernet pads to this */
#define FIRST_SIZE     64

void bottleneck_configure(struct bottleneck *bottleneck,
                          const struct bottleneck_conf *conf)
{
    if (bottleneck->remainder && bottleneck->conf.rate != conf->rate) {
        bottleneck->busy++; /* its parts were parts of the old rate */
        bottleneck->remainder = 0;
    }
    bottleneck->conf = *conf;
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
    if (limit->ns && bottleneck->busy - arrival <= limit->ns &&
        (bottleneck->busy - arrival < limit->ns || !bottleneck->remainder))
        return false;
    if (limit->bytes && bottleneck->bytes + length <= limit->bytes)
        return false;
    if (limit->packets && packets < limit->packets)
        return false;
    return limit->ns || limit->bytes || limit->packets;
}

static uint64_t bits_on_link(const struct bottleneck_conf *conf, uint32_t length)
{
    int64_t bytes = length;
    if (conf->wire)
        bytes = (bytes < SHORTEST_FRAME ? SHORTEST_FRAME : bytes) + WIRE_OVERHEAD;
    bytes += conf->overhead;
    return bytes > 0 ? (uint64_t)bytes * 8 : 0;
}

bool bottleneck_pass(struct bottleneck *bottleneck, uint64_t arrival, uint32_t length,
                     uint64_t *departure)
{
    bottleneck_expire(bottleneck, arrival);
    if (full(bottleneck, arrival, length) ||
        (bottleneck_packets(bottleneck) == bottleneck->size && !grow(bottleneck)))
        return false;
    if (arrival > bottleneck->busy) {
        bottleneck->busy = arrival;
        bottleneck->remainder = 0;
    }
    uint64_t rate = bottleneck->conf.rate;
    uint64_t parts =
        bits_on_link(&bottleneck->conf, length) * NS_PER_S + bottleneck->remainder;
    bottleneck->busy += parts / rate;
    bottleneck->remainder = parts % rate;
    *departure = bottleneck->busy + (bottleneck->remainder != 0);
    *slot(bottleneck, bottleneck->tail++) = (struct departure){ *departure, length };
    bottleneck->bytes += length;
    return true;
}
