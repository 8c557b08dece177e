/* decap.bpf: is a frame VXLAN of ours, and what is in it?
 *
 *   vxlan_outer     Ethernet, IP, UDP: is it for us?
 *   vxlan_tunnel    the VXLAN header, and from whom it comes
 *   vxlan_inner     the frame in the tunnel, up to its ports
 *
 * Each returns 1 to go on, or 0 with the reason in the frame; they are called in this order. Every
 * read is checked against the end of the bytes that are there. Formats: RFC 7348 (VXLAN), 768,
 * 791, 8200, IEEE 802.1Q. Who includes this has defined
 *
 *   struct vxlan_context, VXLAN_DATA(c), VXLAN_END(c)   where the frame lies
 *   VXLAN_POLICY(c)                 struct vxlan_policy
 *   VXLAN_IS_VTEP(c, address)       is it one of our addresses?
 *   VXLAN_IS_PEER(c, address)       may tunnels come from it?
 *   VXLAN_IS_NETWORK(c, vni)        is that one of ours?
 *   VXLAN_UDP_IS_WRONG(c, frame)    does the outer checksum not fit?
 *   VXLAN_HEADERS                   how many IPv6 extension headers are looked behind
 */
#pragma once
#include "apps/vxlan_nat/vxlan.bpf.h"

#define VXLAN_TAGS 3

vxlan_inline int vxlan_refuse(struct vxlan_frame *f, __u8 reason)
{
    f->reason = reason;
    return 0;
}

vxlan_inline __u16 vxlan_u16(const __u8 *at)
{
    return (__u16)(at[0] << 8 | at[1]);
}

vxlan_inline __u32 vxlan_u24(const __u8 *at)
{
    return (__u32)at[0] << 16 | (__u32)vxlan_u16(at + 1);
}

/* ::ffff:a.b.c.d */
vxlan_inline void vxlan_map4(__u32 *address, const __u8 *from)
{
    address[0] = address[1] = 0;
    address[2] = __builtin_bswap32(0xffff);
    __builtin_memcpy(address + 3, from, 4);
}

/* Hop-by-hop, routing, fragment, destination options. */
vxlan_inline int vxlan_is_extension(__u8 protocol)
{
    return protocol == 0 || protocol == 43 || protocol == 44 || protocol == 60;
}

vxlan_inline int vxlan_is_tag(__u16 type)
{
    return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

/* Behind an Ethernet header at `at`: where its payload begins, its type and how many tags there
 * were. 0 when the frame ends before. */
vxlan_inline __u32 vxlan_ethernet(struct vxlan_context *c, __u32 at, __u16 *type,
                                  __u8 *tags)
{
    const __u8 *data = VXLAN_DATA(c), *end = VXLAN_END(c);
    if (data + at + 14 > end)
        return 0;
    *type = vxlan_u16(data + at + 12);
    at += 14;
    for (*tags = 0; *tags < VXLAN_TAGS && vxlan_is_tag(*type); ++*tags) {
        if (data + at + 4 > end)
            return 0;
        *type = vxlan_u16(data + at + 2);
        at += 4;
    }
    return at;
}

/* --- outside ------------------------------------------------------------------------- */

/* Both return where the header's payload begins, or 0. */
vxlan_inline __u32 vxlan_outer4(struct vxlan_context *c, struct vxlan_frame *f, __u32 at,
                                __u8 *protocol, __u8 *hops)
{
    const __u8 *ip = (const __u8 *)VXLAN_DATA(c) + at, *end = VXLAN_END(c);
    if (ip + 20 > end || ip[0] >> 4 != 4)
        return 0;
    vxlan_map4(f->outer_src, ip + 12);
    vxlan_map4(f->outer_dst, ip + 16);
    __u32 size = (__u32)(ip[0] & 15) * 4, total = vxlan_u16(ip + 2);
    if (size < 20 || total < size || ip + total > end)
        return 0;
    f->outer_family = 4;
    f->outer_end = at + total;
    f->fragment = (vxlan_u16(ip + 6) & 0x3fff) != 0;
    *protocol = ip[9];
    *hops = ip[8];
    return at + size;
}

vxlan_inline __u32 vxlan_outer6(struct vxlan_context *c, struct vxlan_frame *f, __u32 at,
                                __u8 *protocol, __u8 *hops)
{
    const __u8 *data = VXLAN_DATA(c), *end = VXLAN_END(c), *ip = data + at;
    if (ip + 40 > end || ip[0] >> 4 != 6)
        return 0;
    __builtin_memcpy(f->outer_src, ip + 8, 16);
    __builtin_memcpy(f->outer_dst, ip + 24, 16);
    f->outer_family = 6;
    f->outer_end = at + 40 + vxlan_u16(ip + 4);
    *protocol = ip[6];
    *hops = ip[7];
    if (data + f->outer_end > end || vxlan_is_mapped(f->outer_src) ||
        vxlan_is_mapped(f->outer_dst))
        return 0;
    at += 40;
    for (int i = 0; i < VXLAN_HEADERS; i++) {
        if (!vxlan_is_extension(*protocol))
            break;
        if (at + 8 > f->outer_end || data + at + 8 > end)
            return 0;
        const __u8 *header = data + at;
        f->fragment |= *protocol == 44 && (vxlan_u16(header + 2) & 0xfff9);
        at += *protocol == 44 ? 8 : ((__u32)header[1] + 1) * 8;
        *protocol = header[0];
    }
    return at;
}

vxlan_inline int vxlan_is_our_port(struct vxlan_context *c, __u16 port)
{
    const volatile struct vxlan_policy *p = VXLAN_POLICY(c);
    for (int i = 0; i < VXLAN_PORTS; i++)
        if (i < p->nports && p->ports[i] == port)
            return 1;
    return 0;
}

vxlan_inline int vxlan_outer_udp(struct vxlan_context *c, struct vxlan_frame *f, __u32 at,
                                 __u8 hops)
{
    const __u8 *udp = (const __u8 *)VXLAN_DATA(c) + at, *end = VXLAN_END(c);
    if (at + 8 > f->outer_end || udp + 8 > end)
        return vxlan_refuse(f, VX_UDP_LEN);
    if (!vxlan_is_our_port(c, vxlan_u16(udp + 2)))
        return vxlan_refuse(f, VX_NOT_VXLAN);
    __u32 length = vxlan_u16(udp + 4);
    if (!hops)
        return vxlan_refuse(f, VX_OUTER_TTL);
    if (length < 8 || at + length > f->outer_end)
        return vxlan_refuse(f, VX_UDP_LEN);
    f->udp = (__u16)at;
    f->outer_end = at + length;
    if (f->outer_family == 6 && !udp[6] && !udp[7] && !VXLAN_POLICY(c)->udp6_zero)
        return vxlan_refuse(f, VX_UDP6_ZERO);
    if (VXLAN_POLICY(c)->verify_csum && (udp[6] || udp[7]) && VXLAN_UDP_IS_WRONG(c, f))
        return vxlan_refuse(f, VX_UDP_CSUM);
    return 1;
}

/* What is not set wherever it is known, or is asked for before. */
vxlan_inline void vxlan_begin(struct vxlan_frame *f)
{
    f->outer_dst[0] = f->outer_dst[3] = 0;
    f->vni = f->id = f->total = 0;
    f->outer_family = f->family = f->protocol = 0;
    f->udp = f->inner = 0;
    f->l4 = f->sport = f->dport = 0;
    f->ports = f->echo = f->tcp = 0;
    f->fragment = f->df = f->truncated = 0;
    f->reason = 0;
}

vxlan_inline int vxlan_outer(struct vxlan_context *c, struct vxlan_frame *f)
{
    __u16 type;
    __u8 tags, protocol = 0, hops = 0;
    vxlan_begin(f);
    __u32 at = vxlan_ethernet(c, 0, &type, &tags);
    if (!at)
        return vxlan_refuse(f, VX_L2_SHORT);
    if (tags > 2 || (type != 0x0800 && type != 0x86dd))
        return vxlan_refuse(f, VX_NOT_IP);
    f->outer = (__u16)at;
    at = type == 0x0800 ? vxlan_outer4(c, f, at, &protocol, &hops)
                        : vxlan_outer6(c, f, at, &protocol, &hops);
    /* nobody else's damage is ours to judge */
    if ((at || f->outer_dst[3] || f->outer_dst[0]) && !VXLAN_IS_VTEP(c, f->outer_dst))
        return vxlan_refuse(f, VX_NOT_OURS);
    if (!at)
        return vxlan_refuse(f, VX_IP_BAD);
    if (protocol != VXLAN_UDP)
        return vxlan_refuse(f, VX_NOT_VXLAN);
    if (f->fragment)
        return vxlan_refuse(f, VX_OUTER_FRAG);
    return vxlan_outer_udp(c, f, at, hops);
}

/* --- the tunnel ---------------------------------------------------------------------- */

vxlan_inline int vxlan_tunnel(struct vxlan_context *c, struct vxlan_frame *f)
{
    __u32 at = (__u32)f->udp + 8;
    const __u8 *header = (const __u8 *)VXLAN_DATA(c) + at, *end = VXLAN_END(c);
    if (!VXLAN_IS_PEER(c, f->outer_src))
        return vxlan_refuse(f, VX_VTEP_DENIED);
    if (at + 8 > f->outer_end || header + 8 > end)
        return vxlan_refuse(f, VX_VX_SHORT);
    if (!(header[0] & 8))
        return vxlan_refuse(f, VX_VX_NOFLAG);
    if (VXLAN_POLICY(c)->strict && (header[0] != 8 || vxlan_u24(header + 1) || header[7]))
        return vxlan_refuse(f, VX_VX_RESERVED);
    f->vni = vxlan_u24(header + 4);
    f->inner = (__u16)(at + 8);
    return VXLAN_IS_NETWORK(c, f->vni) || vxlan_refuse(f, VX_VX_VNI);
}

/* --- inside -------------------------------------------------------------------------- */

vxlan_inline void vxlan_echo(struct vxlan_frame *f, const __u8 *l4)
{
    __u8 request = f->protocol == VXLAN_ICMP ? 8 : 128;
    __u8 reply = f->protocol == VXLAN_ICMP ? 0 : 129;
    if (l4[0] != request && l4[0] != reply)
        return;
    f->echo = 1;
    if (l4[0] == request)
        f->sport = vxlan_u16(l4 + 4);
    else
        f->dport = vxlan_u16(l4 + 4);
}

vxlan_inline void vxlan_ports(struct vxlan_context *c, struct vxlan_frame *f)
{
    const __u8 *l4 = (const __u8 *)VXLAN_DATA(c) + f->l4, *end = VXLAN_END(c);
    int is_icmp = vxlan_is_icmp(f->family, f->protocol);
    if (f->protocol != VXLAN_TCP && f->protocol != VXLAN_UDP && !is_icmp)
        return;
    if ((__u32)f->l4 + 8 > f->end || l4 + 8 > end)
        return;
    if (is_icmp) {
        vxlan_echo(f, l4);
        return;
    }
    if (f->protocol == VXLAN_TCP) {
        if ((__u32)f->l4 + 20 > f->end || l4 + 20 > end)
            return;
        f->tcp = l4[13];
    }
    f->ports = 1;
    f->sport = vxlan_u16(l4);
    f->dport = vxlan_u16(l4 + 2);
}

vxlan_inline int vxlan_inner4(struct vxlan_context *c, struct vxlan_frame *f)
{
    const __u8 *ip = (const __u8 *)VXLAN_DATA(c) + f->l3, *end = VXLAN_END(c);
    if ((__u32)f->l3 + 20 > f->outer_end || ip + 20 > end || ip[0] >> 4 != 4)
        return 0;
    __u32 size = (__u32)(ip[0] & 15) * 4, flags = vxlan_u16(ip + 6);
    f->total = vxlan_u16(ip + 2);
    if (size < 20 || f->total < size || (__u32)f->l3 + size > f->outer_end ||
        (flags & 0x1fff) * 8 + f->total > 0xffff)
        return 0;
    vxlan_map4(f->src, ip + 12);
    vxlan_map4(f->dst, ip + 16);
    f->family = 4;
    f->protocol = ip[9];
    f->hops = ip[8];
    f->id = vxlan_u16(ip + 4);
    f->df = flags >> 14 & 1;
    f->fragment = (flags & 0x3fff) != 0;
    f->l4 = flags & 0x1fff ? 0 : (__u16)(f->l3 + size);
    return 1;
}

vxlan_inline int vxlan_inner6(struct vxlan_context *c, struct vxlan_frame *f)
{
    const __u8 *data = VXLAN_DATA(c), *end = VXLAN_END(c), *ip = data + f->l3;
    if ((__u32)f->l3 + 40 > f->outer_end || ip + 40 > end || ip[0] >> 4 != 6)
        return 0;
    __builtin_memcpy(f->src, ip + 8, 16);
    __builtin_memcpy(f->dst, ip + 24, 16);
    if (vxlan_is_mapped(f->src) || vxlan_is_mapped(f->dst))
        return 0;
    f->family = 6;
    f->total = 40 + (__u32)vxlan_u16(ip + 4);
    f->protocol = ip[6];
    f->hops = ip[7];
    __u32 at = (__u32)f->l3 + 40, last = f->l3 + f->total;
    last = last < f->outer_end ? last : f->outer_end;
    for (int i = 0; i < VXLAN_HEADERS; i++) {
        if (!vxlan_is_extension(f->protocol))
            break;
        if (at + 8 > last || data + at + 8 > end)
            return 0;
        const __u8 *header = data + at;
        __u32 offset = f->protocol == 44 ? vxlan_u16(header + 2) : 0;
        f->fragment |= (offset & 0xfff9) != 0;
        if (f->protocol == 44)
            f->id = (__u32)vxlan_u16(header + 4) << 16 | vxlan_u16(header + 6);
        at += f->protocol == 44 ? 8 : ((__u32)header[1] + 1) * 8;
        f->protocol = header[0];
        if (offset & 0xfff8)
            return 1; /* the rest is not headers */
    }
    f->l4 = (__u16)at;
    return at <= last;
}

vxlan_inline int vxlan_inner_ethernet(struct vxlan_context *c, struct vxlan_frame *f,
                                      __u16 *type)
{
    const __u8 *mac = (const __u8 *)VXLAN_DATA(c) + f->inner, *end = VXLAN_END(c);
    if ((__u32)f->inner + 14 >= f->outer_end || mac + 14 > end)
        return vxlan_refuse(f, VX_IN_SHORT);
    if (mac[6] & 1 || !(mac[6] | mac[7] | mac[8] | mac[9] | mac[10] | mac[11]))
        return vxlan_refuse(f, VX_IN_MAC);
    __u32 at = vxlan_ethernet(c, f->inner, type, &f->tags);
    if (f->tags && VXLAN_POLICY(c)->inner_vlan == INNER_VLAN_DROP)
        return vxlan_refuse(f, VX_IN_VLAN);
    if (!at || at >= f->outer_end)
        return vxlan_refuse(f, VX_IN_SHORT);
    f->l3 = (__u16)at;
    return 1;
}

/* RFC 8200, 8.1: only tunnels may do without, where both ends know. */
vxlan_inline int vxlan_is_unchecked6(struct vxlan_context *c, struct vxlan_frame *f)
{
    const __u8 *l4 = (const __u8 *)VXLAN_DATA(c) + f->l4, *end = VXLAN_END(c);
    return f->family == 6 && f->protocol == VXLAN_UDP && f->ports && l4 + 8 <= end &&
           !(l4[6] | l4[7]) && !VXLAN_POLICY(c)->inner_udp6_zero;
}

vxlan_inline int vxlan_inner(struct vxlan_context *c, struct vxlan_frame *f)
{
    __u16 type;
    f->fragment = 0; /* that was the outer packet's */
    if (!vxlan_inner_ethernet(c, f, &type))
        return 0;
    if (type == 0x0806)
        return vxlan_refuse(f, VX_IN_ARP);
    if (type != 0x0800 && type != 0x86dd)
        return vxlan_refuse(f, VX_IN_ETHERTYPE);
    if (!(type == 0x0800 ? vxlan_inner4(c, f) : vxlan_inner6(c, f)))
        return vxlan_refuse(f, VX_IN_IP_BAD);
    f->end = f->l3 + f->total;
    if (f->end > f->outer_end) {
        f->end = f->outer_end;
        f->truncated = 1;
    }
    if (f->l4)
        vxlan_ports(c, f);
    if (vxlan_is_unchecked6(c, f))
        return vxlan_refuse(f, VX_IN_UDP6_ZERO);
    return 1;
}
