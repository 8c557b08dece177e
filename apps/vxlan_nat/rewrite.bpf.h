/* rewrite.bpf: an inner packet gets other addresses and ports.
 *
 *   vxlan_rewrite         in place; checksums are kept in step
 *   vxlan_is_unfinished   there is none yet that could be kept in step
 *   vxlan_pseudo          what that needs to know
 *
 * Compiled for the XDP program and for rewrite.c. What it means:
 * apps/vxlan_nat/rewrite.h.
 */
#pragma once
#include "apps/vxlan_nat/vxlan.bpf.h"

struct vxlan_change {
    __u8 clear_df;
    __u8 decrement; /* TTL, which is 2 or more */
    __u16
        id; /* with clear_df, where DF was set; as on the wire. Fragments keep theirs. */
};

/* A folded sum with more added to it. */
vxlan_inline __u16 vxlan_fold(__u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (__u16)(sum + (sum >> 16));
}

vxlan_inline void vxlan_update(__u8 *checksum, __u32 delta)
{
    __u16 sum;
    __builtin_memcpy(&sum, checksum, 2);
    sum = (__u16)~vxlan_fold((__u16)~sum + delta);
    __builtin_memcpy(checksum, &sum, 2);
}

/* Writes two bytes and returns what that adds. */
vxlan_inline __u32 vxlan_put16(__u8 *at, __u16 value)
{
    __u16 old;
    __builtin_memcpy(&old, at, 2);
    __builtin_memcpy(at, &value, 2);
    return (__u32)(__u16)~old + value;
}

vxlan_inline __u16 vxlan_pair(__u8 first, __u8 second)
{
    __u8 bytes[2] = { first, second };
    __u16 value;
    __builtin_memcpy(&value, bytes, 2);
    return value;
}

vxlan_inline int vxlan_rewrite4(__u8 *ip, const __u8 *end, const struct vxlan_frame *f,
                                const struct vxlan_rewrite *to,
                                const struct vxlan_change *change)
{
    __u32 delta = to->ip_delta;
    if (ip + 20 > end)
        return 0;
    __builtin_memcpy(ip + 12, &to->src[3], 4);
    __builtin_memcpy(ip + 16, &to->dst[3], 4);
    if (change->clear_df && f->df) {
        delta += vxlan_put16(ip + 6, vxlan_pair(ip[6] & 0xbf, ip[7]));
        if (!f->fragment) /* those of one packet have theirs in common */
            delta += vxlan_put16(ip + 4, change->id);
    }
    if (change->decrement)
        delta += vxlan_put16(ip + 8, vxlan_pair(ip[8] - 1, ip[9]));
    if (delta)
        vxlan_update(ip + 10, delta);
    return 1;
}

vxlan_inline int vxlan_rewrite6(__u8 *ip, const __u8 *end, const struct vxlan_rewrite *to,
                                const struct vxlan_change *change)
{
    if (ip + 40 > end)
        return 0;
    __builtin_memcpy(ip + 8, to->src, 16);
    __builtin_memcpy(ip + 24, to->dst, 16);
    ip[7] -= change->decrement;
    return 1;
}

/* Where the checksum is in the header of that protocol; 0: there is none that would change. */
vxlan_inline __u32 vxlan_checksum_offset(const struct vxlan_frame *f)
{
    return f->protocol == VXLAN_TCP                                 ? 16
           : f->protocol == VXLAN_UDP                               ? 6
           : vxlan_is_icmp(f->family, f->protocol)                  ? 2
           : f->protocol == VXLAN_LITE || f->protocol == VXLAN_DCCP ? 6
                                                                    : 0;
}

/* What of it is there. */
vxlan_inline void vxlan_rewrite_l4(__u8 *l4, const __u8 *end, const struct vxlan_frame *f,
                                   const struct vxlan_rewrite *to)
{
    __u32 offset = vxlan_checksum_offset(f);
    if (f->ports && l4 + 4 <= end) {
        __builtin_memcpy(l4, &to->sport, 2);
        __builtin_memcpy(l4 + 2, &to->dport, 2);
    }
    if (f->echo && l4 + 6 <= end) {
        __u16 id = to->sport | to->dport; /* one of them is 0 */
        __builtin_memcpy(l4 + 4, &id, 2);
    }
    if (!offset || !to->l4_delta || f->l4 + offset + 2 > f->end || l4 + offset + 2 > end)
        return;
    __u8 *at = l4 + offset;
    int udp = f->protocol == VXLAN_UDP || f->protocol == VXLAN_LITE;
    if (udp && !at[0] && !at[1])
        return; /* it has none, and goes without */
    vxlan_update(at, to->l4_delta);
    if (udp && !at[0] && !at[1])
        at[0] = at[1] = 0xff;
}

#define VXLAN_REACH 4096 /* headers lie in front of it; what a verifier must be told */

/* Of the pseudo header what all packets of a flow have in common. */
vxlan_inline __u16 vxlan_pseudo(const struct vxlan_frame *f)
{
    __u64 sum = vxlan_pair(0, f->protocol);
    for (int i = 0; i < 4; i++) /* of IPv4 the rest adds minus zero, which is nothing */
        sum += (__u64)f->src[i] + f->dst[i];
    sum = (sum & 0xffffffff) + (sum >> 32);
    return vxlan_fold((__u32)((sum & 0xffffffff) + (sum >> 32)));
}

/* Does its checksum hold the sum of the pseudo header and no more? A sender left the rest to its
 * interface, and there was none. One in 65,536 of those that are right looks the same. */
vxlan_inline int vxlan_is_unfinished(const __u8 *data, const __u8 *end,
                                     const struct vxlan_frame *f, __u16 pseudo)
{
    __u32 l4 = f->l4, offset = f->protocol == VXLAN_TCP ? 16 : 6;
    if (!f->ports || f->fragment || f->truncated || l4 > VXLAN_REACH ||
        data + l4 + offset + 2 > end)
        return 0;
    __u32 length = f->total - (l4 - f->l3);
    __u16 is,
        would = vxlan_fold((__u32)pseudo + vxlan_pair((__u8)(length >> 8), (__u8)length));
    __builtin_memcpy(&is, data + l4 + offset, 2);
    return is && (is == would || (is == 0xffff && !would));
}

/* data: the frame that f is of, up to end. 0 when its IP header is not there, and nothing
 * changes. */
vxlan_inline int vxlan_rewrite(__u8 *data, const __u8 *end, const struct vxlan_frame *f,
                               const struct vxlan_rewrite *to,
                               const struct vxlan_change *change)
{
    __u32 l3 = f->l3, l4 = f->l4;
    if (l3 > VXLAN_REACH || l4 > VXLAN_REACH)
        return 0;
    if (!(f->family == 4 ? vxlan_rewrite4(data + l3, end, f, to, change)
                         : vxlan_rewrite6(data + l3, end, to, change)))
        return 0;
    if (l4)
        vxlan_rewrite_l4(data + l4, end, f, to);
    return 1;
}
