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
#include "lib/interface.h"

/* Zeros: none. */
struct claim {
    char ifname[INTERFACE_NAME_SIZE]; /* empty: all */
    uint16_t ports[VXLAN_PORTS];
    int sockets[VXLAN_PORTS];
    uint32_t count;
};

/* ports: VXLAN_PORTS at most. ifname: or NULL. Those of before that are not among them go; on an error,
 * which is a new one's, they stay, but for those of another interface. */
int claim_ports(struct claim *claim, const uint16_t *ports, uint32_t count,
                const char *ifname, struct error *err);
void claim_drop(struct claim *claim);
