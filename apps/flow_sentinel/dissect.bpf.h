/* dissect.bpf: what a frame is, and whether it is well-formed.
 *
 *   sentinel_dissect      layer 2 and the addresses into a struct sentinel_frame
 *   sentinel_dissect_ip   the rest of it
 *
 * Every read is checked against the end of the bytes that are there; loops have bounds, and
 * nothing is assumed that was not looked at. Each kind of malformed frame has a reason; the
 * policy says whether that drops it, is counted, or means nothing. The first reason that drops
 * is kept, else the first that is counted. Addresses are found before anything else of the IP
 * header is judged: lists apply to every frame that has some.
 *
 * Compiled twice, into the XDP program and into vanguard. Who includes this has defined
 *
 *   struct sentinel_context   what is passed through: where the frame lies, ...
 *   CONTEXT_DATA(c), CONTEXT_END(c), CONTEXT_POLICY(c)
 *   sentinel_stage            how a function is declared that the verifier looks at by itself:
 *                             what is inlined into one function multiplies its states
 *
 * Formats: IEEE 802.3, 802.1Q, 802.1ad; RFC 791, 8200, 4302 (AH), 768, 9293, 792, 4443.
 */
#pragma once
#include "apps/flow_sentinel/sentinel.bpf.h"

#define sentinel_inline static inline __attribute__((always_inline))

#define DISSECT_TAGS    4      /* looked at; the policy may allow fewer */
#define DISSECT_HEADERS 9      /* IPv6 extension headers */
#define DISSECT_OPTIONS 40     /* of IPv4 or TCP: a byte each at the least */
#define DISSECT_REACH   0x7fff /* more than tags, headers and 9 times 2,048 bytes */

struct dissector {
    const __u8 *data, *at, *end; /* what is there: the frame, or its first part */
    const volatile struct sentinel_policy *policy;
    struct sentinel_frame *frame;
};

sentinel_inline struct dissector dissector_at(struct sentinel_context *c,
                                              struct sentinel_frame *frame, __u32 offset)
{
    return (struct dissector){ .data = CONTEXT_DATA(c),
                               .at = (const __u8 *)CONTEXT_DATA(c) + offset,
                               .end = CONTEXT_END(c),
                               .policy = CONTEXT_POLICY(c),
                               .frame = frame };
}

sentinel_inline __u16 dissect_u16(const __u8 *at)
{
    return (__u16)(at[0] << 8 | at[1]);
}

/* Returns whether that ends the dissection. */
sentinel_inline int dissect_note(struct dissector *d, __u8 reason)
{
    struct sentinel_frame *f = d->frame;
    __u8 action = d->policy->actions[reason];
    if (action == ACTION_DROP) {
        f->reason = reason;
        f->malformed = 1;
        return 1;
    }
    if (action == ACTION_COUNT && !f->reason)
        f->reason = reason;
    return 0;
}

/* It cannot be read any further, whatever the policy says of that. A frame in several buffers
 * may be fine, were its headers in the first one. */
sentinel_inline void dissect_cut(struct dissector *d, __u8 reason)
{
    __u32 there = (__u32)(d->end - d->data);
    dissect_note(d, there < 64 && there < d->frame->bytes ? REASON_L2_SPLIT : reason);
}

/* --- layer 4 ------------------------------------------------------------------------ */

sentinel_inline void dissect_payload(struct dissector *d, const __u8 *at, __u32 length)
{
    struct sentinel_frame *f = d->frame;
    f->payload = length;
    if (length >= sizeof(f->head) && at + sizeof(f->head) <= d->end)
        __builtin_memcpy(f->head, at, sizeof(f->head));
}

/* The option at i of a header at `at` that is of `size` bytes. Returns where the next one is,
 * size or more behind the last, or -1 when it does not fit. TCP and IPv4 write them alike: a
 * type; but for types 0 and 1 a length. A function by itself, and its results unknown to who
 * verifies the loop around it, which is then soon done. */
sentinel_stage int dissect_option(struct sentinel_context *c, struct sentinel_frame *f,
                                  __u32 at, __u32 i, __u32 size)
{
    if (!f || i >= size)
        return (int)size;
    struct dissector d = dissector_at(c, f, (at & DISSECT_REACH) + (i & 63));
    if (d.at + 1 > d.end)
        return -1;
    f->option = d.at[0];
    if (f->option < 2)
        return f->option ? (int)i + 1 : (int)size;
    if (i + 2 > size || d.at + 2 > d.end || d.at[1] < 2 || i + d.at[1] > size)
        return -1;
    return (int)i + d.at[1];
}

sentinel_inline int dissect_tcp_options(struct sentinel_context *c,
                                        struct sentinel_frame *f, __u32 size)
{
    int i = 20;
    for (int n = 0; n < DISSECT_OPTIONS && i >= 0 && (__u32)i < size; n++)
        i = dissect_option(c, f, f->l4, (__u32)i, size);
    return i >= 0;
}

sentinel_inline __u8 dissect_tcp_class(const struct sentinel_frame *f)
{
    if (f->tcp_flags & 4)
        return CLASS_RST;
    if ((f->tcp_flags & 0x17) == 2)
        return CLASS_SYN;
    if ((f->tcp_flags & 0x17) == 0x12)
        return CLASS_SYN_ACK;
    return (f->tcp_flags & 0x17) == 0x10 && !f->payload ? CLASS_ACK : CLASS_TCP;
}

/* NULL, SYN with FIN or RST, FIN without ACK (which XMAS is). */
sentinel_inline int dissect_odd_flags(__u8 flags)
{
    return !(flags & 0x3f) || ((flags & 2) && (flags & 5)) || (flags & 0x11) == 1;
}

sentinel_inline void dissect_tcp(struct sentinel_context *c, struct dissector *d)
{
    struct sentinel_frame *f = d->frame;
    const __u8 *at = d->at;
    f->class = CLASS_TCP;
    if (f->left < 20 || at + 20 > d->end) {
        dissect_cut(d, REASON_TCP_SHORT);
        return;
    }
    f->sport = dissect_u16(at);
    f->dport = dissect_u16(at + 2);
    f->tcp_flags = at[13];
    __u32 size = (__u32)(at[12] >> 4) * 4;
    if (size < 20 || size > f->left) {
        dissect_note(d, REASON_TCP_DOFF);
        return;
    }
    dissect_payload(d, at + size, f->left - size);
    f->class = dissect_tcp_class(f);
    if (dissect_odd_flags(f->tcp_flags) && dissect_note(d, REASON_TCP_FLAGS))
        return;
    if ((!f->sport || !f->dport) && dissect_note(d, REASON_PORT0))
        return;
    if (size > 20 && d->policy->actions[REASON_TCP_OPT] != ACTION_PASS &&
        !dissect_tcp_options(c, f, size))
        dissect_note(d, REASON_TCP_OPT);
}

/* Answers of DHCP servers are nothing to limit. */
sentinel_inline int dissect_is_dhcp(const struct sentinel_frame *f)
{
    return f->family == 4 ? f->sport == 67 && f->dport == 68
                          : f->sport == 547 && f->dport == 546;
}

sentinel_inline void dissect_udp(struct dissector *d)
{
    struct sentinel_frame *f = d->frame;
    const __u8 *at = d->at;
    f->class = CLASS_UDP;
    if (f->left < 8 || at + 8 > d->end) {
        dissect_cut(d, REASON_UDP_LEN);
        return;
    }
    f->sport = dissect_u16(at);
    f->dport = dissect_u16(at + 2);
    __u32 length = dissect_u16(at + 4);
    /* In the first of several fragments it is the length of them all. */
    if (length < 8 || (length > f->left && !f->first)) {
        dissect_note(d, REASON_UDP_LEN);
        return;
    }
    dissect_payload(d, at + 8, (length < f->left ? length : f->left) - 8);
    if (dissect_is_dhcp(f))
        f->class = CLASS_ESSENTIAL;
    if ((!f->sport || !f->dport) && dissect_note(d, REASON_PORT0))
        return;
    if (f->family == 6 && !at[6] && !at[7])
        dissect_note(d, REASON_UDP6_CSUM0);
}

/* "Fragmentation needed", "packet too big", and what a neighbour on the link says: routers do
 * not forward that (RFC 4861, 7.1: hop limit 255; RFC 2710, 3: hop limit 1). */
sentinel_inline int dissect_icmp_is_essential(const struct dissector *d, __u8 type,
                                              __u8 code)
{
    const struct sentinel_frame *f = d->frame;
    if (f->family == 4)
        return type == 3 && code == 4;
    if (type >= 133 && type <= 137)
        return f->hops == 255;
    return type == 2 || (f->hops == 1 && ((type >= 130 && type <= 132) || type == 143));
}

sentinel_inline void dissect_icmp(struct dissector *d)
{
    struct sentinel_frame *f = d->frame;
    const __u8 *at = d->at;
    f->class = CLASS_ICMP;
    if (f->left < 8 || at + 8 > d->end) {
        dissect_cut(d, REASON_ICMP_SHORT);
        return;
    }
    f->payload = f->left - 8;
    if (dissect_icmp_is_essential(d, at[0], at[1]))
        f->class = CLASS_ESSENTIAL;
}

/* A first fragment must bring its ports: filters that look at them would be passed by. */
sentinel_inline int dissect_is_tiny(const struct sentinel_frame *f)
{
    return f->protocol == PROTOCOL_TCP ? f->left < 16
                                       : f->protocol == PROTOCOL_UDP && f->left < 8;
}

/* From f->l4 on. */
sentinel_inline void dissect_l4(struct sentinel_context *c, struct sentinel_frame *f)
{
    struct dissector dissector = dissector_at(c, f, f->l4 & DISSECT_REACH),
                     *d = &dissector;
    if (f->first && !f->left) {
        dissect_note(d, REASON_FRAG_NOHEADER);
        return;
    }
    if (f->first && dissect_is_tiny(f) && dissect_note(d, REASON_FRAG_TINY))
        return;
    if (f->protocol == PROTOCOL_TCP)
        dissect_tcp(c, d);
    else if (f->protocol == PROTOCOL_UDP)
        dissect_udp(d);
    else if (f->protocol == (f->family == 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6))
        dissect_icmp(d);
    else if (f->family == 4 && f->protocol == PROTOCOL_IGMP)
        f->class = CLASS_ESSENTIAL;
    else
        dissect_note(d, REASON_OTHER_PROTO);
}

/* offset and the bytes behind it are those of one fragment. Returns whether there is an L4
 * header to look at. */
sentinel_inline int dissect_fragment(struct dissector *d, __u32 offset, int more)
{
    struct sentinel_frame *f = d->frame;
    /* Of the packet that it is a part of: IPv4 counts its header, IPv6 does not. */
    __u32 length = offset + f->total - (f->family == 4 ? 0 : 40 + 8);
    if (length > 65535 && dissect_note(d, REASON_FRAG_OVERSIZE))
        return 0;
    if (offset == 8 && dissect_note(d, REASON_FRAG_TINY))
        return 0;
    if (dissect_note(d, REASON_FRAG))
        return 0;
    f->first = !offset && more;
    if (!offset)
        return 1;
    f->class = CLASS_FRAGMENT;
    return 0;
}

/* --- extension headers --------------------------------------------------------------- */

/* Those of IPv6, and AH in IPv4. */

sentinel_inline int dissect_is_extension(__u8 next)
{
    /* hop-by-hop, routing, fragment, destination options, mobility */
    return next == 0 || next == 43 || next == 44 || next == PROTOCOL_AH || next == 60 ||
           next == 135;
}

/* Hop-by-hop options are first or nowhere; others once, destination options twice. */
sentinel_inline int dissect_is_misplaced(struct sentinel_frame *f)
{
    __u8 next = f->protocol, seen = f->seen;
    __u8 bit = next == 0 ? 1 : next == 43 ? 2 : next == 51 ? 4 : next == 135 ? 8 : 16;
    if (bit == 16 && seen & 16)
        bit = 32;
    f->seen = seen | bit;
    return seen & bit || (!next && f->extensions > 1);
}

sentinel_inline __u32 dissect_extension_size(__u8 next, const __u8 *at)
{
    if (next == 44)
        return 8;
    return next == PROTOCOL_AH ? ((__u32)at[1] + 2) * 4 : ((__u32)at[1] + 1) * 8;
}

enum { EXTENSION_END, EXTENSION_L4, EXTENSION_MORE };

/* Is the extension header at `at` one that may be there, and whole? Returns its size, or 0. */
sentinel_inline __u32 dissect_extension_check(struct dissector *d, const __u8 *at)
{
    struct sentinel_frame *f = d->frame;
    __u8 next = f->protocol;
    if (f->left < 8 || at + 8 > d->end) {
        dissect_cut(d, f->first ? REASON_FRAG_NOHEADER : REASON_IP6_EXT_SHORT);
        return 0;
    }
    if (next == 44 ? f->fragments++ && dissect_note(d, REASON_IP6_FRAG_DUP)
                   : dissect_is_misplaced(f) && dissect_note(d, REASON_IP6_EXT_ORDER))
        return 0;
    if (next == 43 && !at[2] && dissect_note(d, REASON_IP6_RH0))
        return 0;
    __u32 size = dissect_extension_size(next, at);
    f->extension_bytes = (__u16)(f->extension_bytes + size);
    if (size > f->left || at + size > d->end) {
        dissect_cut(d, f->first ? REASON_FRAG_NOHEADER : REASON_IP6_EXT_SHORT);
        return 0;
    }
    if (f->extension_bytes > d->policy->exthdr_bytes &&
        dissect_note(d, REASON_IP6_EXT_DEEP))
        return 0;
    return size;
}

/* The header at f->l4, between that of IPv6 and L4's. */
sentinel_stage int dissect_extension(struct sentinel_context *c, struct sentinel_frame *f)
{
    if (!f)
        return EXTENSION_END;
    struct dissector d = dissector_at(c, f, f->l4 & DISSECT_REACH);
    const __u8 *at = d.at;
    __u8 next = f->protocol;
    if (!dissect_is_extension(next))
        return EXTENSION_L4;
    if (f->extensions++ >= d.policy->exthdr_max && dissect_note(&d, REASON_IP6_EXT_DEEP))
        return EXTENSION_END;
    __u32 size = dissect_extension_check(&d, at);
    if (!size || at + 8 > d.end)
        return EXTENSION_END;
    f->protocol = at[0];
    f->l4 = (__u16)(f->l4 + size);
    f->left -= size;
    __u32 offset = dissect_u16(at + 2) & 0xfff8, more = at[3] & 1;
    if (next == 44 && (offset || more) && !dissect_fragment(&d, offset, (int)more))
        return EXTENSION_END;
    return EXTENSION_MORE;
}

/* --- IPv4 ---------------------------------------------------------------------------- */

/* Returns whether that ends the dissection. */
sentinel_stage int dissect_options4(struct sentinel_context *c, struct sentinel_frame *f,
                                    __u32 size)
{
    if (!f)
        return 0;
    struct dissector d = dissector_at(c, f, 0);
    int i = 20;
    for (int n = 0; n < DISSECT_OPTIONS && (__u32)i < size; n++) {
        f->option = 0;
        i = dissect_option(c, f, f->l3, (__u32)i, size);
        if (i < 0)
            return dissect_note(&d, REASON_IP4_OPT_BAD);
        /* loose and strict source routing */
        if ((f->option == 131 || f->option == 137) &&
            dissect_note(&d, REASON_IP4_SRCROUTE))
            return 1;
    }
    return dissect_note(&d, REASON_IP4_OPT);
}

sentinel_inline int dissect_checksum4(const struct dissector *d, const __u8 *ip,
                                      __u32 size)
{
    __u32 sum = 0;
    for (__u32 i = 0; i < 60; i += 2)
        if (i < size && ip + i + 2 <= d->end)
            sum += dissect_u16(ip + i);
    sum = (sum & 0xffff) + (sum >> 16);
    return (__u16)(sum + (sum >> 16)) == 0xffff;
}

/* Where the header's end is; 0 when its lengths are wrong. */
sentinel_inline __u32 dissect_lengths4(struct dissector *d, const __u8 *ip)
{
    struct sentinel_frame *f = d->frame;
    __u32 left = f->bytes - f->l3, size = (__u32)(ip[0] & 15) * 4;
    __u32 total = dissect_u16(ip + 2);
    __u8 wrong = size < 20 || size > left ? REASON_IP4_IHL
                 : total < size           ? REASON_IP4_LEN
                 : total > left           ? REASON_IP4_TRUNC
                                          : REASON_NONE;
    f->total = total;
    f->left = total - size;
    if (!wrong)
        return size;
    dissect_note(d, wrong);
    return 0;
}

/* Returns whether an L4 header follows, at f->l4. */
sentinel_inline int dissect_ip4(struct sentinel_context *c, struct dissector *d)
{
    struct sentinel_frame *f = d->frame;
    const __u8 *ip = d->at;
    if (ip + 20 > d->end)
        return 0;
    f->protocol = ip[9];
    f->hops = ip[8];
    __u32 size = dissect_lengths4(d, ip), flags = dissect_u16(ip + 6);
    __u32 offset = (flags & 0x1fff) * 8, more = flags & 0x2000;
    f->l4 = (__u16)(f->l3 + size);
    if (!size)
        return 0;
    if (ip + size > d->end) { /* in another buffer */
        dissect_cut(d, REASON_IP4_SHORT);
        return 0;
    }
    if (d->policy->verify_csum && !dissect_checksum4(d, ip, size)) {
        dissect_note(d, REASON_IP4_CSUM);
        return 0; /* who knows what of it is wrong */
    }
    if (!ip[8] && dissect_note(d, REASON_TTL0))
        return 0;
    if (flags & 0x8000 && dissect_note(d, REASON_IP4_EVIL))
        return 0;
    if (size > 20 && dissect_options4(c, f, size))
        return 0;
    if ((more || offset) && ((flags & 0x4000 && dissect_note(d, REASON_FRAG_DF)) ||
                             !dissect_fragment(d, offset, !!more)))
        return 0;
    return f->protocol != PROTOCOL_AH || dissect_extension(c, f) == EXTENSION_MORE;
}

/* --- IPv6 ---------------------------------------------------------------------------- */

/* Returns whether an L4 header follows, at f->l4. */
sentinel_inline int dissect_ip6(struct sentinel_context *c, struct dissector *d)
{
    struct sentinel_frame *f = d->frame;
    const __u8 *ip = d->at;
    if (ip + 40 > d->end)
        return 0;
    f->protocol = ip[6];
    f->hops = ip[7];
    f->left = dissect_u16(ip + 4);
    f->total = f->left + 40;
    f->l4 = (__u16)(f->l3 + 40);
    if (!f->left && !ip[6] && dissect_note(d, REASON_IP6_JUMBO))
        return 0;
    if (f->total > f->bytes - f->l3) {
        dissect_note(d, REASON_IP6_TRUNC);
        return 0;
    }
    if (!ip[7] && dissect_note(d, REASON_TTL0))
        return 0;
    if (!dissect_is_extension(f->protocol))
        return 1;
    for (int i = 0; i <= DISSECT_HEADERS; i++) {
        int found = dissect_extension(c, f);
        if (found != EXTENSION_MORE)
            return found == EXTENSION_L4;
    }
    dissect_note(d, REASON_IP6_EXT_DEEP);
    return 0;
}

/* --- layer 2 ------------------------------------------------------------------------- */

sentinel_inline int dissect_is_tag(__u16 type)
{
    return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

/* Leaves d->at behind the tags and what follows in *type. Returns whether to go on. */
sentinel_inline int dissect_tags(struct dissector *d, __u16 *type)
{
    struct sentinel_frame *f = d->frame;
    *type = dissect_u16(d->at + 12);
    d->at += 14;
    for (int i = 0; i < DISSECT_TAGS && dissect_is_tag(*type); i++) {
        if (d->at + 4 > d->end) {
            dissect_cut(d, REASON_VLAN_SHORT);
            return 0;
        }
        if (f->vlan == 0xffff)
            f->vlan = dissect_u16(d->at) & 0xfff;
        *type = dissect_u16(d->at + 2);
        d->at += 4;
        f->tags++;
    }
    return f->tags <= d->policy->vlan_max || !dissect_note(d, REASON_VLAN_DEEP);
}

/* A super-frame counts as the packets that it stands for. */
sentinel_inline void dissect_super_frame(struct dissector *d)
{
    struct sentinel_frame *f = d->frame;
    __u32 mtu = d->policy->mtu, headers = f->total - f->payload;
    if (!mtu || f->total <= mtu || mtu <= headers || !f->payload || f->malformed)
        return;
    f->packets = (f->payload + mtu - headers - 1) / (mtu - headers);
    dissect_note(d, REASON_GSO);
}

sentinel_inline int dissect_is_martian4(const struct sentinel_frame *f, const __u8 *at)
{
    __u8 first = at[12];
    if (f->src[3] == f->dst[3] || first == 127 || (first & 0xf0) == 224 ||
        f->src[3] == 0xffffffff)
        return 1;
    /* Who has no address yet asks for one by DHCP, and joins groups (RFC 3376, 4.2.13). */
    return !first && (f->src[3] || (f->dst[3] != 0xffffffff && at[9] != PROTOCOL_IGMP));
}

sentinel_inline int dissect_is_martian6(const struct sentinel_frame *f, const __u8 *ip)
{
    if (ip[8] == 0xff)
        return 1;
    if (f->src[0] == f->dst[0] && f->src[1] == f->dst[1] && f->src[2] == f->dst[2] &&
        f->src[3] == f->dst[3])
        return 1;
    /* ::/64 holds ::1, what is IPv4 in disguise, and nothing else: the unspecified one is what
     * a host has before it has another (RFC 4861, 4.3; RFC 3810, 5.2.13). */
    return !(f->src[0] | f->src[1]) && (f->src[2] | f->src[3] || ip[24] != 0xff);
}

/* ::ffff:a.b.c.d in one go: half-words that are read as a word right behind make a processor wait
 * for both. */
sentinel_inline void dissect_map4(__u32 *address, const __u8 *from)
{
    __u32 pair[2] = { __builtin_bswap32(0xffff) };
    __builtin_memcpy(&pair[1], from, 4);
    __u64 word = (__u64)pair[1] << 32 | pair[0];
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
        word = (__u64)pair[0] << 32 | pair[1];
    __builtin_memcpy(address + 2, &word, 8);
}

/* The addresses, whatever else is wrong. Of those that no source can have no list says
 * anything: an IPv4 address in disguise is not that address. */
sentinel_inline void dissect_addresses(struct dissector *d, __u16 type)
{
    struct sentinel_frame *f = d->frame;
    const __u8 *ip = d->at;
    if (type != 0x0800 && type != 0x86dd)
        dissect_note(d, REASON_NON_IP);
    else if (ip + 20 > d->end || (type == 0x86dd && ip + 40 > d->end))
        dissect_cut(d, type == 0x0800 ? REASON_IP4_SHORT : REASON_IP6_SHORT);
    else if (ip[0] >> 4 != (type == 0x0800 ? 4 : 6))
        dissect_note(d, REASON_IP_VERSION);
    else if (type == 0x0800) {
        f->family = 4;
        f->class = CLASS_OTHER;
        dissect_map4(f->src, ip + 12);
        dissect_map4(f->dst, ip + 16);
        if (dissect_is_martian4(f, ip))
            dissect_note(d, REASON_MARTIAN);
    } else if (ip + 40 <= d->end) {
        f->family = 6;
        f->class = CLASS_OTHER;
        __builtin_memcpy(f->src, ip + 8, 16);
        __builtin_memcpy(f->dst, ip + 24, 16);
        if (dissect_is_martian6(f, ip))
            dissect_note(d, REASON_MARTIAN);
    }
}

/* Layer 2 and the addresses. length: of all the frame. vlan: of a tag that is not in its bytes
 * any more, or 0xffff. */
sentinel_inline void sentinel_dissect(struct sentinel_context *c,
                                      struct sentinel_frame *f, __u32 length, __u16 vlan)
{
    __u16 type;
    __builtin_memset(f, 0, sizeof(*f));
    f->bytes = length;
    f->packets = 1;
    f->vlan = vlan;
    f->tags = vlan != 0xffff;
    struct dissector d = dissector_at(c, f, 0);
    if (d.at + 14 > d.end)
        dissect_note(&d, length < 14 ? REASON_L2_SHORT : REASON_L2_SPLIT);
    else if (dissect_tags(&d, &type)) {
        f->l3 = (__u16)(d.at - d.data);
        dissect_addresses(&d, type);
    }
}

/* The rest of a frame that has addresses. */
sentinel_inline void sentinel_dissect_ip(struct sentinel_context *c,
                                         struct sentinel_frame *f)
{
    struct dissector d = dissector_at(c, f, f->l3 & 63);
    if (f->family == 4 ? dissect_ip4(c, &d) : dissect_ip6(c, &d))
        dissect_l4(c, f);
    dissect_super_frame(&d);
}
