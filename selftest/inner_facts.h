/* inner_facts: a whole frame as VxlanNat would describe it were it in a tunnel.
 *
 *   inner_facts
 */
#pragma once
#include "apps/vxlan_nat/vxlan.bpf.h"
#include "selftest/frame_maker.h"

static inline struct vxlan_frame inner_facts(const uint8_t *frame, uint32_t length)
{
    struct look look = frame_look(frame, length);
    const uint8_t *ip = frame + look.l3;
    struct vxlan_frame f = { .family = look.v6 ? 6 : 4,
                             .protocol = look.protocol,
                             .l3 = (uint16_t)look.l3,
                             .l4 = (uint16_t)look.l4,
                             .end = length,
                             .total = length - look.l3,
                             .hops = look.v6 ? ip[7] : ip[8],
                             .df = !look.v6 && ip[6] & 0x40 };
    f.ports = look.protocol == IS_TCP || look.protocol == IS_UDP;
    f.sport = (uint16_t)get16(frame + look.l4);
    f.dport = (uint16_t)get16(frame + look.l4 + 2);
    f.src[2] = f.dst[2] = __builtin_bswap32(0xffff);
    memcpy(look.v6 ? f.src : f.src + 3, ip + (look.v6 ? 8 : 12), look.v6 ? 16 : 4);
    memcpy(look.v6 ? f.dst : f.dst + 3, ip + (look.v6 ? 24 : 16), look.v6 ? 16 : 4);
    return f;
}
