/* pattern: packets that are dropped by number or by what they are, without chance.
 *
 *   pattern_configure   counting goes on over a change
 *   pattern_drops       is this one dropped?
 *   pattern_free
 *
 *     of which packets    syn, synack, fin, dns_response, quic_initial (any of them),
 *                         and filter; all when none is given
 *     which of these      every, first, list, range (any of them); all when none is given
 *     besides             tcp: the segment with a certain byte of each stream, and so many
 *                         retransmissions of it
 *
 * Packets are numbered from 1. A TCP stream is known from its SYN on.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/clumsy/parameters.h"
#include "lib/capture_filter.h"
#include "lib/frame.h"
#include "lib/tally.h"

struct pattern_range {
    uint64_t from, to;
};

struct pattern {
    bool active, kinds, filtered, numbers;
    bool syn, synack, fin, dns_response, quic_initial;
    uint64_t every, first;
    struct pattern_range *ranges; /* ascending */
    uint32_t nranges;
    struct capture_filter filter;
    struct stream_conf tcp;

    uint64_t count; /* of packets that were to be counted */
    struct tally initial, dropped;
};

/* pattern may be all zeros; conf was verified. False when memory is out. */
bool pattern_configure(struct pattern *pattern, const struct drop_conf *conf);
void pattern_free(struct pattern *pattern);
bool pattern_drops(struct pattern *pattern, const struct frame *frame);

int pattern_verify(const struct drop_conf *conf, struct error *err);

/* Does a TCP packet hold that byte of its stream, by the initial sequence numbers seen so far
 * (which this notes)? 0, or what the byte of this connection is known by. Bytes count from
 * 1. */
uint64_t pattern_holds_byte(struct tally *initial, const struct frame *frame,
                            uint64_t byte);
