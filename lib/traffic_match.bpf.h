/* traffic_match.bpf: does a frame belong to the traffic that was named?
 *
 *   traffic_key     what is looked at in a frame: tags, addresses, protocol, ports
 *   traffic_match   the named traffic: alternatives of conjunctions of primitives
 *   traffic_parse   a frame's key
 *   traffic_test    does it match?
 *
 * Compiled twice: into XDP programs, where the match lies in read-only data, and into
 * vanguard, where traffic_match.h makes it and the tests compare the two. So there is
 * nothing here but fixed-size types, bounded loops and reads that were checked against the
 * end of the frame.
 *
 * Formats: IEEE 802.3, 802.1Q; RFC 791, 8200; ports of RFC 9293, 768, 9260.
 */
#pragma once
#include <linux/types.h>

#define TRAFFIC_PRIMITIVES 64
#define TRAFFIC_TAGS       3 /* VLAN tags that are passed over */
#define TRAFFIC_EXTENSIONS 6 /* IPv6 extension headers */
#define TRAFFIC_ANY        0xffff
#define TRAFFIC_TAGGED     0xfffe /* as a VLAN: any tag */

#define TRAFFIC_SRC 1
#define TRAFFIC_DST 2

/* A primitive holds when all that it names does; `negated` turns that round. */
struct traffic_primitive {
    __u16 ethertype;   /* TRAFFIC_ANY */
    __u16 protocol;    /* of IP, TRAFFIC_ANY */
    __u16 vlan;        /* of the outermost tag, TRAFFIC_ANY, TRAFFIC_TAGGED */
    __u16 low, high;   /* ports, when port_ends */
    __u8 port_ends;    /* TRAFFIC_SRC | TRAFFIC_DST: either will do; 0: no port named */
    __u8 address_ends; /* the same for the address */
    __u8 negated;
    __u8 last; /* of its conjunction */
    __u16 unused;
    __u32 address[4]; /* as in the header; IPv4: the first */
    __u32 mask[4];
};

/* No primitives at all: everything matches. */
struct traffic_match {
    __u32 count;
    struct traffic_primitive primitives[TRAFFIC_PRIMITIVES];
};

struct traffic_key {
    __u16 ethertype; /* behind the tags */
    __u16 vlan;      /* TRAFFIC_ANY when there is no tag */
    __u16 protocol;  /* TRAFFIC_ANY when it is not IP */
    __u16 src_port, dst_port;
    __u16 ports; /* are there any? Not in fragments but the first */
    __u32 src[4], dst[4];
};

#define traffic_inline static inline __attribute__((always_inline))

traffic_inline __u16 traffic_u16(const __u8 *at)
{
    return (__u16)(at[0] << 8 | at[1]);
}

traffic_inline void traffic_ports(struct traffic_key *key, const __u8 *at,
                                  const __u8 *end)
{
    if ((key->protocol != 6 && key->protocol != 17 && key->protocol != 132) ||
        at + 4 > end)
        return;
    key->src_port = traffic_u16(at);
    key->dst_port = traffic_u16(at + 2);
    key->ports = 1;
}

traffic_inline void traffic_parse4(struct traffic_key *key, const __u8 *at,
                                   const __u8 *end)
{
    if (at + 20 > end || at[0] >> 4 != 4 || (at[0] & 15) < 5)
        return;
    key->protocol = at[9];
    __builtin_memcpy(key->src, at + 12, 4);
    __builtin_memcpy(key->dst, at + 16, 4);
    if (!(traffic_u16(at + 6) & 0x1fff))
        traffic_ports(key, at + (at[0] & 15) * 4, end);
}

traffic_inline void traffic_parse6(struct traffic_key *key, const __u8 *at,
                                   const __u8 *end)
{
    if (at + 40 > end || at[0] >> 4 != 6)
        return;
    __u8 next = at[6];
    __builtin_memcpy(key->src, at + 8, 16);
    __builtin_memcpy(key->dst, at + 24, 16);
    at += 40;
    for (int i = 0; i < TRAFFIC_EXTENSIONS; i++) {
        /* hop-by-hop, routing, fragment, destination options */
        if (next != 0 && next != 43 && next != 44 && next != 60)
            break;
        if (at + 8 > end)
            return;
        if (next == 44 && traffic_u16(at + 2) & 0xfff8) {
            key->protocol = at[0];
            return;
        }
        __u32 length = next == 44 ? 8 : 8 + at[1] * 8;
        next = at[0];
        at += length;
    }
    key->protocol = next;
    traffic_ports(key, at, end);
}

/* What a frame between data and data_end says; as far as it goes when it is cut off. */
traffic_inline void traffic_parse(struct traffic_key *key, const void *data,
                                  const void *data_end)
{
    const __u8 *at = data, *end = data_end;
    __builtin_memset(key, 0, sizeof(*key));
    key->vlan = key->protocol = key->ethertype = TRAFFIC_ANY;
    if (at + 14 > end)
        return;
    __u16 type = traffic_u16(at + 12);
    at += 14;
    for (int i = 0; i < TRAFFIC_TAGS && (type == 0x8100 || type == 0x88a8); i++) {
        if (at + 4 > end)
            return;
        if (!i)
            key->vlan = traffic_u16(at) & 0xfff;
        type = traffic_u16(at + 2);
        at += 4;
    }
    key->ethertype = type;
    if (type == 0x0800)
        traffic_parse4(key, at, end);
    else if (type == 0x86dd)
        traffic_parse6(key, at, end);
}

traffic_inline int traffic_address(const volatile struct traffic_primitive *p,
                                   const __u32 *address)
{
    return !(((address[0] ^ p->address[0]) & p->mask[0]) |
             ((address[1] ^ p->address[1]) & p->mask[1]) |
             ((address[2] ^ p->address[2]) & p->mask[2]) |
             ((address[3] ^ p->address[3]) & p->mask[3]));
}

traffic_inline int traffic_holds(const volatile struct traffic_primitive *p,
                                 const struct traffic_key *key)
{
    if (p->ethertype != TRAFFIC_ANY && p->ethertype != key->ethertype)
        return 0;
    if (p->protocol != TRAFFIC_ANY && p->protocol != key->protocol)
        return 0;
    if (p->vlan == TRAFFIC_TAGGED ? key->vlan == TRAFFIC_ANY
                                  : p->vlan != TRAFFIC_ANY && p->vlan != key->vlan)
        return 0;
    if (p->port_ends &&
        !(key->ports && ((p->port_ends & TRAFFIC_SRC && key->src_port >= p->low &&
                          key->src_port <= p->high) ||
                         (p->port_ends & TRAFFIC_DST && key->dst_port >= p->low &&
                          key->dst_port <= p->high))))
        return 0;
    return !p->address_ends ||
           (p->address_ends & TRAFFIC_SRC && traffic_address(p, key->src)) ||
           (p->address_ends & TRAFFIC_DST && traffic_address(p, key->dst));
}

traffic_inline int traffic_test(const volatile struct traffic_match *match,
                                const struct traffic_key *key)
{
    __u32 count = match->count, good = 1;
    if (!count)
        return 1;
    for (__u32 i = 0; i < TRAFFIC_PRIMITIVES && i < count; i++) {
        const volatile struct traffic_primitive *p = &match->primitives[i];
        good &= (__u32)traffic_holds(p, key) ^ p->negated;
        if (p->last) {
            if (good)
                return 1;
            good = 1;
        }
    }
    return 0;
}
