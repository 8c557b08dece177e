/* vxlan.bpf: what VxlanNat knows of a frame, and the names of all that may become of it.
 *
 *   VXLAN_REASONS         one row each; counters and names come of them
 *   struct vxlan_policy   what is accepted
 *   struct vxlan_frame    what was found in a frame (decap.bpf.h)
 *   struct vxlan_key      what packets of one flow have in common
 *   struct vxlan_flow     what becomes of them
 *   struct vxlan_state    all that the app and its XDP program share, but for the flows
 *
 * Fixed-size types and nothing else, for an XDP program has the same ones. An address is 16
 * bytes in the order of the wire, IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2).
 */
#pragma once
#include <linux/types.h>

#include "lib/shared_head.bpf.h"

#define vxlan_inline static inline __attribute__((always_inline))

#define VXLAN_ICMP   1
#define VXLAN_TCP    6
#define VXLAN_UDP    17
#define VXLAN_DCCP   33
#define VXLAN_ICMPV6 58
#define VXLAN_LITE   136 /* UDP-Lite */

/* family: 4 or 6. Each has its own. */
vxlan_inline int vxlan_is_icmp(__u8 family, __u8 protocol)
{
    return protocol == (family == 4 ? VXLAN_ICMP : VXLAN_ICMPV6);
}

/* Is the address an IPv4 one, ::ffff:a.b.c.d? In an IPv6 header that is on no wire. */
vxlan_inline int vxlan_is_mapped(const __u32 *address)
{
    return !(address[0] | address[1]) && address[2] == __builtin_bswap32(0xffff);
}

/* Where a frame's way ends. Of VXLAN frames every one ends somewhere:
 *
 *   all = not ours + vxlan + OUTER;  vxlan = inner + TUNNEL;  inner = forwarded + NAT
 *
 * and of what comes back:  all = no answer + forwarded + BACK.  What waits is to be added.
 */
enum vxlan_stage {
    STAGE_PASS,   /* not ours: the kernel's */
    STAGE_OUTER,  /* dropped before it was known to be of our tunnels */
    STAGE_TUNNEL, /* ... for what is in the tunnel */
    STAGE_NAT,    /* ... because it may not, or cannot, go on */
    STAGE_NOTE,   /* it goes on; this is counted */
    STAGE_IGNORE, /* of what comes back: no answer to anything */
    STAGE_BACK,   /* dropped on its way back */
};

#define VXLAN_REASONS(ROW)                                                               \
    ROW(NOT_IP, not_ip, PASS, "neither IPv4 nor IPv6")                                   \
    ROW(NOT_OURS, not_ours, PASS, "for another address")                                 \
    ROW(NOT_VXLAN, not_vxlan, PASS, "not UDP, or for another port")                      \
    ROW(L2_SHORT, l2_short, OUTER, "shorter than an Ethernet header and its tags")       \
    ROW(IP_BAD, ip_bad, OUTER, "a damaged outer IP header")                              \
    ROW(OUTER_FRAG, outer_frag, OUTER,                                                   \
        "a fragment of an outer packet that lacks others")                               \
    ROW(OUTER_FRAG_BAD, outer_frag_bad, OUTER,                                           \
        "outer fragments that contradict each other")                                    \
    ROW(OUTER_TTL, outer_ttl, OUTER, "outer TTL or hop limit 0")                         \
    ROW(UDP_LEN, udp_len, OUTER, "UDP length below 8 or past the end")                   \
    ROW(UDP_CSUM, udp_csum, OUTER, "a wrong outer UDP checksum")                         \
    ROW(UDP6_ZERO, udp6_zero, OUTER, "no outer UDP checksum over IPv6 (RFC 6935)")       \
    ROW(VTEP_DENIED, vtep_denied, OUTER, "the tunnel comes from somebody else")          \
    ROW(VX_SHORT, vx_short, OUTER, "cut off in the VXLAN header")                        \
    ROW(VX_NOFLAG, vx_noflag, OUTER, "the I flag is not set (RFC 7348, 5)")              \
    ROW(VX_RESERVED, vx_reserved, OUTER, "reserved bits are set, and strict")            \
    ROW(VX_VNI, vx_vni, OUTER, "of another network")                                     \
    ROW(IN_SHORT, in_short, TUNNEL, "an inner frame without a payload")                  \
    ROW(IN_MAC, in_mac, TUNNEL, "an inner source MAC that is zero or multicast")         \
    ROW(IN_VLAN, in_vlan, TUNNEL, "an inner VLAN tag")                                   \
    ROW(IN_ARP, in_arp, TUNNEL, "inner ARP")                                             \
    ROW(IN_ETHERTYPE, in_ethertype, TUNNEL, "inner frame is neither IPv4 nor IPv6")      \
    ROW(IN_IP_BAD, in_ip_bad, TUNNEL, "a damaged inner IP header")                       \
    ROW(IN_UDP6_ZERO, in_udp6_zero, TUNNEL, "no inner UDP checksum over IPv6")           \
    ROW(IN_MARTIAN, in_martian, NAT, "an inner source that cannot be one")               \
    ROW(IN_LOOP, in_loop, NAT, "an inner address that is the tunnel's own")              \
    ROW(NOT_ALLOWED, not_allowed, NAT, "not in the allowlist")                           \
    ROW(IN_L4_SHORT, in_l4_short, NAT, "cut off in front of the ports")                  \
    ROW(UNSUPPORTED_L4, unsupported_l4, NAT, "a protocol whose ports cannot be changed") \
    ROW(NO_RULE, no_rule, NAT, "no rule says where to")                                  \
    ROW(CT_FULL, ct_full, NAT, "no room for another session")                            \
    ROW(CT_INVALID, ct_invalid, NAT, "TCP that no session begins with")                  \
    ROW(CT_CONFLICT, ct_conflict, NAT, "answers would be those to another session")      \
    ROW(SNAT_PORTS, snat_ports, NAT, "no address or port is free for its source")        \
    ROW(CUT_OFF, cut_off, NAT, "cut off by a mirror, where answers are expected")        \
    ROW(ICMP_BAD, icmp_bad, NAT, "a damaged ICMP error")                                 \
    ROW(ICMP_ORPHAN, icmp_orphan, NAT, "an ICMP error about no session")                 \
    ROW(TTL_EXCEEDED, ttl_exceeded, NAT, "inner TTL used up")                            \
    ROW(FRAG_EARLY, frag_early, NAT, "a fragment before the first one of its packet")    \
    ROW(MTU, mtu, NAT, "longer than the next interface takes")                           \
    ROW(NEIGH, neigh, NAT, "no route to it, or nobody knows its next hop's MAC")         \
    ROW(TX_DOWN, tx_down, NAT, "the interface that it goes out by is down")              \
    ROW(NO_OUTPUT, no_output, NAT, "nothing is linked")                                  \
    ROW(IN_TRUNC, in_trunc, NOTE, "an inner packet that was cut off by a mirror")        \
    ROW(BACK_OTHER, back_other, IGNORE, "no answer to anything, or not IP")              \
    ROW(BACK_TTL, back_ttl, BACK, "TTL of an answer used up")                            \
    ROW(BACK_MTU, back_mtu, BACK, "an answer that is too long for the tunnel")           \
    ROW(BACK_EARLY, back_early, BACK, "a fragment of an answer before the first one")    \
    ROW(BACK_ICMP_BAD, back_icmp_bad, BACK, "a damaged ICMP error")                      \
    ROW(BACK_NO_OUTPUT, back_no_output, BACK, "nothing is linked, or no packet is free")

#define VXLAN_REASON_ENUM(NAME, name, stage, doc) VX_##NAME,
enum vxlan_reason { VX_NONE, VXLAN_REASONS(VXLAN_REASON_ENUM) VX_REASONS };

enum vxlan_tags { INNER_VLAN_DROP, INNER_VLAN_STRIP, INNER_VLAN_KEEP };

#define VXLAN_PORTS  8
#define VXLAN_RANGES 16

struct vxlan_policy {
    __u16 ports[VXLAN_PORTS];
    struct {
        __u32 first, last;
    } vnis[VXLAN_RANGES];
    __u8 nports, nvnis; /* nvnis 0: any network */
    __u8 strict, udp6_zero, inner_udp6_zero, verify_csum;
    __u8 inner_vlan; /* enum vxlan_tags */
};

#define VXLAN_KEY_WORDS 10

struct vxlan_key {
    __u32
        network; /* VNI | protocol << 24; of answers, which come without a tunnel, VNI 0 */
    __u32 identity; /* ports, source << 16 | destination */
    __u32 src[4], dst[4];
};

/* Ports and lengths in host order; offsets from the first byte of the frame. */
struct vxlan_frame {
    __u32 outer_src[4], outer_dst[4];
    union {
        struct vxlan_key key; /* vxlan_key_of makes it complete */
        struct {
            __u32 unmade[2];
            __u32 src[4], dst[4]; /* inner */
        };
    };
    __u32 vni;
    __u32 outer_end; /* of the outer IP packet */
    __u32 end;       /* of what is there of the inner IP packet */
    __u32 total;     /* bytes of the inner IP packet, be they there or not */
    __u32 id;        /* that its fragments have in common */
    __u16 outer;     /* the outer IP header */
    __u16 udp;       /* the outer UDP header */
    __u16 inner;     /* the inner Ethernet header */
    __u16 l3, l4;    /* of the inner packet; l4 0: a fragment that is not the first */
    __u16 sport, dport;
    __u8 tags; /* of the inner frame */
    __u8 outer_family, family;
    __u8 protocol; /* of what the inner IP packet carries */
    __u8 hops;     /* that are left to it */
    __u8 ports;    /* there are some: sport, dport */
    __u8 echo; /* ICMP echo: a request has its identifier in sport, a reply in dport */
    __u8 tcp;  /* its flags */
    __u8 fragment, df, truncated;
    __u8 reason; /* enum vxlan_reason */
};

/* --- flows --------------------------------------------------------------------------- */

/* What a packet gets, all of it, be it another or what it had. */
struct vxlan_rewrite {
    __u32 src[4], dst[4];
    __u16 sport, dport; /* as on the wire; the identifier of an echo where that was */
    __u16 ip_delta,
        l4_delta; /* what that adds to the complement of the header's checksum, and
                                 of the one behind it; 0: nothing (RFC 1624, equation 3) */
};

enum vxlan_flow_flag {
    FLOW_REWRITTEN = 1, /* it gets another address or port */
    FLOW_STATEFUL = 2,  /* SYN, FIN and RST are the app's to see */
    FLOW_ANSWERED = 4,  /* something came back */
};

/* Of one direction. The words below are written by whoever sees a packet of it. */
struct vxlan_flow {
    __u64 packets, bytes; /* inner frames that went on, or were dropped for `reason` */
    __u32 used;           /* vxlan_state.now when the last one came */
    __u32 vni;            /* of answers: where they go */
    union {
        struct vxlan_rewrite to;
        __u32 refused_at
            [4]; /* with a reason: which end of tunnels is ours, in place of to.src */
    };
    __u16 hop;       /* vxlan_state.hops */
    __u16 tunnel;    /* vxlan_state.tunnels: whence it comes; of answers, where they go */
    __u16 rule;      /* as it was written, from 0; VXLAN_NO_RULE */
    __u8 reason;     /* enum vxlan_reason: VX_NONE when packets go on */
    __u8 flags;      /* enum vxlan_flow_flag */
    __u8 macs[12];   /* of the inner frame: destination, source; where answers go */
    __u8 tcp;        /* flags that were seen, of both directions in that of the tunnel */
    __u8 transitory; /* TCP that is not established, or not any more */
    __u16 pseudo;    /* rewrite.bpf.h: vxlan_pseudo */
};

#define VXLAN_NO_RULE 0xffff

#define VXLAN_HOPS    4096
#define VXLAN_TUNNELS 1024
#define VXLAN_IDS     4096

/* Numbers of hops: MACs as they are configured, or none; one whose MAC is never known; others. */
enum { VXLAN_HOP_FIXED, VXLAN_HOP_NONE, VXLAN_HOP_FIRST };

enum vxlan_mac { MAC_UNKNOWN, MAC_KNOWN, MAC_KEPT /* as it is in the inner frame */ };

/* Read and written as one word. */
union vxlan_hop {
    __u64 word;
    struct {
        __u8 mac[6];
        __u8 state; /* enum vxlan_mac */
        __u8 unused;
    };
};

/* Tunnels from one end to another. */
struct vxlan_tunnel {
    __u32 ours[4], peer[4];
    __u8 our_mac[6], peer_mac[6];
    __u16 port; /* UDP, ours */
    __u16 known;
};

struct vxlan_state {
    __u32 now; /* tenths of a second */
    __u32 mtu; /* longer packets are the app's; 0: none is too long */
    __u8 clear_df, decrement, bidirectional;
    __u8 finish;            /* checksums that are unfinished are the app's, or all (2) */
    __u8 shared;            /* an XDP program has it as well */
    __u8 traced;            /* everything is left to the app, which tells of it */
    union vxlan_hop source; /* whose address frames leave with */
    struct vxlan_policy policy;
    union vxlan_hop hops[VXLAN_HOPS];
    struct vxlan_tunnel tunnels[VXLAN_TUNNELS];
    __u32 ids[VXLAN_IDS];
    struct shared_head flows;
};

#define VXLAN_REFUSALS 64 /* more than VX_REASONS, and a mask */

/* Packets of known flows that went on (pass.bpf.h). */
struct vxlan_passed {
    __u64 forwarded, bytes, rewritten, df_cleared;
};

/* What the XDP program did itself, per processor. */
struct vxlan_counts {
    struct vxlan_passed passed;
    __u64 truncated;
    __u64 refused[VXLAN_REFUSALS]; /* by enum vxlan_reason */
};

_Static_assert((int)VX_REASONS <= VXLAN_REFUSALS, "a refusal is counted by its reason");
