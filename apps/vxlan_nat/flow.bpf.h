/* flow.bpf: what becomes of packets of a flow that is known, without asking anybody.
 *
 *   vxlan_has_key     is there a flow for such packets?
 *   vxlan_key_of      its key
 *   vxlan_is_from     does the packet come from that tunnel?
 *   vxlan_is_refused  does it end as its flow does?
 *   vxlan_goes        may it go on the way of its flow?
 *   vxlan_id_slot     where its next identification is counted
 *
 * Compiled for the XDP program and for the app. A flow holds what was decided for its first packet:
 * may it pass, where to, by which next hop. What needs more than that (fragments, packets that are
 * too long, the beginning and the end of a TCP connection) is left to the app.
 */
#pragma once
#include "apps/vxlan_nat/vxlan.bpf.h"

#define VXLAN_TCP_FIN 1
#define VXLAN_TCP_SYN 2
#define VXLAN_TCP_RST 4
#define VXLAN_TCP_ACK 16

/* Where TCP or UDP is cut off in front of the ports nothing tells flows apart. */
vxlan_inline int vxlan_has_key(const struct vxlan_frame *f)
{
    return !f->fragment &&
           (f->ports || (f->protocol != VXLAN_TCP && f->protocol != VXLAN_UDP));
}

/* In its place, so that nothing is copied: addresses were just written there in parts. */
vxlan_inline const struct vxlan_key *vxlan_key_of(struct vxlan_frame *f)
{
    f->key.network = f->vni | (__u32)f->protocol << 24;
    f->key.identity = (__u32)f->sport << 16 | f->dport;
    return &f->key;
}

vxlan_inline int vxlan_same_address(const __u32 *a, const __u32 *b)
{
    return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

vxlan_inline int vxlan_is_from(const struct vxlan_frame *f,
                               const struct vxlan_tunnel *tunnel)
{
    return tunnel->known && vxlan_same_address(f->outer_src, tunnel->peer) &&
           vxlan_same_address(f->outer_dst, tunnel->ours);
}

/* Of a flow that is refused. Whether the tunnel is ours nobody has asked but of its first packet;
 * with answers, an ICMP error belongs to another flow, and what is cut off to none. */
vxlan_inline int vxlan_is_refused(const struct vxlan_frame *f,
                                  const struct vxlan_flow *flow,
                                  const struct vxlan_state *state)
{
    if (!vxlan_same_address(f->outer_dst, flow->refused_at))
        return 0;
    return !state->bidirectional ||
           (!f->truncated && (f->echo || !vxlan_is_icmp(f->family, f->protocol)));
}

vxlan_inline int vxlan_goes(const struct vxlan_frame *f, const struct vxlan_flow *flow,
                            const struct vxlan_state *state)
{
    if (f->tags || f->hops < 1u + state->decrement)
        return 0;
    if (state->mtu && f->end - f->l3 > state->mtu)
        return 0;
    if (!(flow->flags & FLOW_STATEFUL))
        return 1;
    if (vxlan_is_icmp(f->family, f->protocol) && !f->echo)
        return 0; /* it may be an error, about another flow */
    return !f->truncated && !flow->transitory &&
           !(f->tcp & (VXLAN_TCP_FIN | VXLAN_TCP_SYN | VXLAN_TCP_RST));
}

/* Of pairs of addresses with one protocol, which identifications tell apart. */
vxlan_inline __u32 vxlan_id_slot(const struct vxlan_frame *f)
{
    __u64 hash = (f->src[3] ^ (__u64)f->dst[3] << 7) * 0x9e3779b97f4a7c15ull;
    return (__u32)((hash ^ f->protocol) >> 20) & (VXLAN_IDS - 1);
}
