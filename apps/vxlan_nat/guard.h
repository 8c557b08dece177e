/* guard: sessions with addresses of this host, which the kernel is not to refuse.
 *
 *   guard_addresses   what comes to them by an interface
 *   guard_drop
 *
 * Where frames are only copied to us (AF_PACKET), the kernel gets them too, and refuses what comes to
 * an address that it has and to a port that nobody there listens at: TCP with RST (RFC 9293, 3.10.7.1),
 * UDP with ICMP port unreachable. A table of nftables drops that before, of the ports that snat
 * gives away; AF_PACKET is in front of it. What a socket of this host is to have stays its own, and so
 * does what the host's own translation of addresses has sent elsewhere (the table comes behind it).
 *
 * In the network namespace of the calling thread; gone with the process, however that ends.
 */
#pragma once
#include <stdint.h>

#include "apps/vxlan_nat/snat.h"
#include "lib/error.h"

#define GUARD_ADDRESSES (2 * SNAT_ADDRESSES) /* all that a plan may have */

struct nftables;

/* Zeros: none. */
struct guard {
    struct nftables *table; /* NULL: there is none, or it could not be */
    uint8_t addresses[GUARD_ADDRESSES][16];
    uint32_t count;
};

/* ifname: the same each time. Addresses of before stay with the others, for sessions that have them, as
 * long as there is room. They change from one packet to the next. On an error there are none; it is tried again
 * for others. */
int guard_addresses(struct guard *guard, const struct snat *snat, const char *ifname,
                    struct error *err);
void guard_drop(struct guard *guard);
