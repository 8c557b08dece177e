/* claim: UDP ports that somebody seems to listen at, so that the kernel does not answer for them.
 *
 *   claim_ports     sockets at these ports, on an interface or all of them
 *   claim_drop
 *
 * Where frames are only copied to us (AF_PACKET), the kernel gets them too, and says where they came
 * from that nobody wants them (ICMP port unreachable, RFC 1122, 4.1.3.1). The sockets take nothing: a
 * filter drops what comes. A port that somebody has is none that needs one.
 */
#pragma once
#include <stdint.h>

#include "apps/vxlan_nat/vxlan.bpf.h"
#include "lib/error.h"

/* Zeros: none. */
struct claim {
    int sockets[VXLAN_PORTS];
    uint32_t count;
    uint16_t ports[VXLAN_PORTS];
    uint32_t nports;
};

/* ifname: or NULL. Those that there were go, when they are others. On an error there are none. */
int claim_ports(struct claim *claim, const uint16_t *ports, uint32_t count,
                const char *ifname, struct error *err);
void claim_drop(struct claim *claim);
