/* traffic_match: traffic named by a person, for programs that run in the kernel.
 *
 *   traffic_match_parse    "udp dst port 4789 and not src net 10.0.0.0/8"
 *   traffic_match_frame    does a frame match?
 *
 * The language is the part of pcap-filter(7) that asks for addresses, protocols and ports:
 *
 *     ip ip6 arp tcp udp sctp icmp icmp6       ether proto N     ip proto N     ip6 proto N
 *     [tcp|udp|ip|...] [src|dst] host A | net P | port N | portrange N-N
 *     vlan [N]      not   and   or   ( )
 *
 * with its precedences: not binds strongest, and and or are equal and go from left to right.
 * Two things differ. Frames with VLAN tags match as those without do, `vlan N` asks for the
 * outermost tag wherever it is written. Ports are found behind IPv6 extension headers too.
 *
 * The expression becomes alternatives of conjunctions, TRAFFIC_PRIMITIVES primitives in all
 * at most: one walk over an array decides.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"
#include "lib/traffic_match.bpf.h"

/* Any text may come in, NULL and "" match everything. Errors are ERROR_CONFIG, -EINVAL,
 * and name the word; -E2BIG when it has too many alternatives. */
int traffic_match_parse(struct traffic_match *match, const char *text, struct error *err);

bool traffic_match_frame(const struct traffic_match *match, const void *frame,
                         size_t length);
