/* view: what a network address translator (NAT) sees in a frame, and writes into it.
 *
 *   view_parse      what kind of frame is it, and where are its addresses and ports?
 *   view_endpoint   one end of its flow
 *   view_rewrite    puts another end in its place, with all checksums that cover it
 *
 *     flow    | Ethernet | IP  src dst | TCP, UDP: ports; ICMP echo: id | ...
 *
 *     error   | Ethernet | IP  src dst | ICMP | IP  src dst | ports ...      the flow is the
 *                                             '--- quoted packet ---'       one that is quoted
 *
 * Checksums are changed by what changed (RFC 1624), so that a wrong one stays wrong. An ICMP
 * error's covers all that is quoted, the checksums in there as well (RFC 5508, 4). Of a
 * checksum that is left to an interface to finish (engine/packet.h) only the pseudo header's
 * share is there to be changed.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "engine/packet.h"
#include "lib/frame.h"

enum view_kind {
    VIEW_NO_IP,
    VIEW_LOCAL, /* what concerns neighbours or groups: multicast, link-local, DHCP, ND */
    VIEW_FLOW,  /* TCP, UDP, ICMP echo */
    VIEW_ERROR, /* an ICMP error about one of these */
    VIEW_FRAGMENT, /* of IP, not the first */
    VIEW_OTHER,    /* IP without ports */
    VIEW_BROKEN,   /* its transport header is cut off */
};

enum view_side { VIEW_SOURCE, VIEW_DESTINATION };

/* One end of a flow, as it lies in the header. No padding: compared and hashed as bytes. */
struct nat_endpoint {
    uint8_t address[16]; /* zeros behind one of IPv4 */
    uint16_t port;       /* network order; the identifier of ICMP echo */
    uint8_t family;      /* 4 or 6 */
    uint8_t protocol;
};

_Static_assert(sizeof(struct nat_endpoint) == 20, "no padding");

/* Offsets from the frame's first byte; 0: there is none. */
struct nat_view {
    struct frame frame; /* the outer packet */
    enum view_kind kind;
    uint8_t family, protocol; /* of the flow */
    bool request;             /* ICMP echo that asks */
    uint8_t flags;            /* of TCP */
    bool pseudo, partial; /* of the checksum at l4_sum: covers addresses; unfinished */
    uint32_t addresses, ports[2];
    uint32_t ip_sum, l4_sum;
    uint32_t quoted, icmp_sum; /* of an error: where the quoted packet begins */
};

void view_parse(struct nat_view *view, const struct packet *p);

/* Only of a flow or an error. */
struct nat_endpoint view_endpoint(const struct nat_view *view, enum view_side side);

/* side: of the flow; an error's own packet has this end at its other side. data is the frame
 * that was parsed. */
void view_rewrite(const struct nat_view *view, uint8_t *data, enum view_side side,
                  const struct nat_endpoint *to);
