/* encap: an inner frame in a VXLAN tunnel (RFC 7348).
 *
 *   encap           Ethernet, IP, UDP and VXLAN headers in front of a frame
 *   encap_overhead  how much longer it gets
 */
#pragma once
#include "apps/vxlan_nat/vxlan.bpf.h"
#include "engine/packet.h"

struct encap {
    uint32_t vni;
    uint32_t entropy; /* the inner flow's hash: the UDP source port, 49152 and above */
    uint16_t id;      /* of the IPv4 header */
    bool no_csum6;    /* UDP over IPv6 without a checksum (RFC 6935) */
};

/* From our end to the peer's, by the way that its frames come. Type of service and congestion mark are
 * those of the inner packet (RFC 6040, 4.1). False, and nothing changed: there is no room in front of
 * it, or it is too long. */
bool encap(struct packet *p, const struct vxlan_tunnel *tunnel,
           const struct encap *encap);

/* Bytes from the outer IP header to the end of the inner Ethernet header: what an inner IP packet
 * is shorter than the MTU of the interface that tunnels leave by. */
uint32_t encap_overhead(const struct vxlan_tunnel *tunnel);
