/* sentinel.bpf: what FlowSentinel's two data paths share, the types and the tables of names.
 *
 *   SENTINEL_REASONS, SENTINEL_SIGNATURE_ROWS   one row each; enums and names come of them
 *   struct sentinel_frame       what the parser found (dissect.bpf.h)
 *   struct sentinel_policy      what is allowed: constant while a program runs
 *   struct sentinel_block, _suspect, _destination, ...   values of the tables (judge.bpf.h)
 *   struct sentinel_event       what goes to user space
 *
 * Compiled twice, into the XDP program and into vanguard: fixed-size types and nothing else.
 * Times are nanoseconds since boot (CLOCK_BOOTTIME), which no step of the wall clock moves.
 * An address is 16 bytes in the order of the wire, IPv4 as ::ffff:a.b.c.d (RFC 4291,
 * 2.5.5.2): one table serves both families.
 */
#pragma once
#include <linux/types.h>
#ifdef __bpf__
#include "lib/shared_table.bpf.h"
#else
#include "lib/shared_table.h"
#endif

#define SENTINEL_SCHEMA 3 /* of what pinned tables hold: another one is not taken over */

#define PROTOCOL_ICMP   1
#define PROTOCOL_IGMP   2
#define PROTOCOL_TCP    6
#define PROTOCOL_UDP    17
#define PROTOCOL_AH     51
#define PROTOCOL_ICMPV6 58

/* What a frame is, as far as the thresholds care. */
enum sentinel_class {
    CLASS_NON_IP,
    CLASS_SYN, /* SYN of FIN, SYN, RST, ACK alone */
    CLASS_SYN_ACK,
    CLASS_ACK, /* ACK without payload */
    CLASS_RST,
    CLASS_TCP, /* any other segment */
    CLASS_UDP,
    CLASS_ICMP,
    CLASS_ESSENTIAL, /* ICMP that no limit touches: neighbour discovery, packet too big */
    CLASS_FRAGMENT,  /* not the first of its packet: no ports */
    CLASS_OTHER,
    CLASSES,
};

enum sentinel_action { ACTION_PASS, ACTION_COUNT, ACTION_DROP };

/* Why a frame got its verdict: name, what is done about it unless the policy says otherwise,
 * words for people. From the second row to the last with DROP or COUNT they are kinds of
 * malformed or notable frames. */
#define SENTINEL_REASONS(ROW)                                                            \
    ROW(NONE, none, PASS, "nothing special")                                             \
    ROW(NON_IP, non_ip, COUNT, "neither IPv4 nor IPv6")                                  \
    ROW(L2_SHORT, l2_short, DROP, "shorter than an Ethernet header")                     \
    ROW(L2_SPLIT, l2_split, COUNT, "the headers are not in the first buffer")            \
    ROW(VLAN_SHORT, vlan_short, DROP, "cut off in a VLAN tag")                           \
    ROW(VLAN_DEEP, vlan_deep, DROP, "more VLAN tags than vlan_max")                      \
    ROW(IP_VERSION, ip_version, DROP, "the version is not that of the EtherType")        \
    ROW(IP4_SHORT, ip4_short, DROP, "cut off in the IPv4 header")                        \
    ROW(IP4_IHL, ip4_ihl, DROP, "IPv4 header length below 5 or past the end")            \
    ROW(IP4_LEN, ip4_len, DROP, "IPv4 total length below the header's")                  \
    ROW(IP4_TRUNC, ip4_trunc, DROP, "IPv4 total length past the end of the frame")       \
    ROW(IP4_CSUM, ip4_csum, COUNT, "wrong IPv4 header checksum")                         \
    ROW(TTL0, ttl0, DROP, "TTL or hop limit 0")                                          \
    ROW(IP4_OPT, ip4_opt, COUNT, "IPv4 options")                                         \
    ROW(IP4_SRCROUTE, ip4_srcroute, DROP, "source routing")                              \
    ROW(IP4_OPT_BAD, ip4_opt_bad, DROP, "an IPv4 option of length 0 or past the end")    \
    ROW(IP4_EVIL, ip4_evil, COUNT, "the reserved flag of IPv4 (RFC 3514)")               \
    ROW(FRAG, frag, COUNT, "a fragment")                                                 \
    ROW(FRAG_DF, frag_df, DROP, "a fragment with DF")                                    \
    ROW(FRAG_OVERSIZE, frag_oversize, DROP, "a fragment past 65,535 bytes")              \
    ROW(FRAG_TINY, frag_tiny, DROP, "a first fragment without its ports, or offset 1")   \
    ROW(FRAG_NOHEADER, frag_noheader, DROP, "a first fragment without an L4 header")     \
    ROW(TCP_SHORT, tcp_short, DROP, "cut off in the TCP header")                         \
    ROW(TCP_DOFF, tcp_doff, DROP, "TCP data offset below 5 or past the end")             \
    ROW(TCP_FLAGS, tcp_flags, DROP, "NULL, XMAS, SYN+FIN, SYN+RST or FIN without ACK")   \
    ROW(TCP_OPT, tcp_opt, COUNT, "a TCP option of length 0 or 1 or past the header")     \
    ROW(PORT0, port0, DROP, "port 0")                                                    \
    ROW(UDP_LEN, udp_len, DROP, "UDP length below 8 or past the end")                    \
    ROW(UDP6_CSUM0, udp6_csum0, COUNT, "no UDP checksum over IPv6")                      \
    ROW(ICMP_SHORT, icmp_short, DROP, "cut off in the ICMP header")                      \
    ROW(MARTIAN, martian, DROP, "a source that cannot be one (RFC 1812, 5.3.7)")         \
    ROW(IP6_SHORT, ip6_short, DROP, "cut off in the IPv6 header")                        \
    ROW(IP6_TRUNC, ip6_trunc, DROP, "IPv6 payload length past the end of the frame")     \
    ROW(IP6_JUMBO, ip6_jumbo, DROP, "a jumbogram (RFC 2675)")                            \
    ROW(IP6_EXT_ORDER, ip6_ext_order, DROP, "extension headers repeated or misplaced")   \
    ROW(IP6_EXT_SHORT, ip6_ext_short, DROP, "cut off in an extension header")            \
    ROW(IP6_EXT_DEEP, ip6_ext_deep, DROP, "more extension headers than exthdr_max")      \
    ROW(IP6_RH0, ip6_rh0, DROP, "routing header type 0 (RFC 5095)")                      \
    ROW(IP6_FRAG_DUP, ip6_frag_dup, DROP, "two fragment headers")                        \
    ROW(OTHER_PROTO, other_proto, COUNT, "neither TCP, UDP nor ICMP")                    \
    ROW(GSO, gso, COUNT, "a super-frame")                                                \
    ROW(ALLOWED, allowed, PASS, "the source is never blocked")                           \
    ROW(BANNED, banned, DROP, "the source was banned by hand")                           \
    ROW(LISTED, listed, DROP, "the source is in a block list")                           \
    ROW(BLOCKED, blocked, DROP, "the source was blocked by a detection")                 \
    ROW(FAIL_CLOSED, fail_closed, DROP, "the daemon is gone and fail_mode is closed")    \
    ROW(SYN_LIMIT, syn_limit, DROP, "SYNs above the destination's limit")                \
    ROW(UDP_LIMIT, udp_limit, DROP, "UDP above the destination's limit")                 \
    ROW(ICMP_LIMIT, icmp_limit, DROP, "ICMP above the destination's limit")              \
    ROW(DST_LIMIT, dst_limit, DROP, "above what the destination, or its prefix, takes")  \
    ROW(COOKIE, cookie, PASS, "a SYN that was answered with a cookie")                   \
    ROW(AMPLIFICATION, amplification, DROP, "answers of a reflector")                    \
    ROW(FRAG_FLOOD, frag_flood, DROP, "a fragment, while its destination is flooded")    \
    ROW(SRC_SYN, src_syn, DROP, "SYNs above the source's limit")                         \
    ROW(SRC_UDP, src_udp, DROP, "UDP above the source's limit")                          \
    ROW(SRC_ICMP, src_icmp, DROP, "ICMP above the source's limit")                       \
    ROW(SRC_BPS, src_bps, DROP, "bytes above the source's limit")                        \
    ROW(SRC_PPS, src_pps, DROP, "packets above the source's limit")                      \
    ROW(SRC_MALFORMED, src_malformed, DROP, "malformed frames above the source's limit") \
    ROW(SRC_FLAGS, src_flags, DROP, "RST and bare ACKs above the source's limit")

#define SENTINEL_REASON_ENUM(NAME, name, action, doc) REASON_##NAME,
enum sentinel_reason { SENTINEL_REASONS(SENTINEL_REASON_ENUM) REASONS };

enum sentinel_verdict {
    VERDICT_PASS,
    VERDICT_DROP,
    VERDICT_WOULD_DROP, /* passes, because of a dry run */
    VERDICT_ANSWER,     /* goes back as an answer: a SYN cookie */
    VERDICTS,
};

/* Limits by source: the detections that the data path decides by itself. In the order of
 * REASON_SRC_*. */
enum sentinel_limit_kind {
    LIMIT_SYN,
    LIMIT_UDP,
    LIMIT_ICMP,
    LIMIT_BPS,
    LIMIT_PPS,
    LIMIT_MALFORMED,
    LIMIT_FLAGS,
    LIMITS,
    LIMITS_ROOM = 8, /* of arrays: an index & 7 is one that the verifier believes */
};

/* A frame on its way: what it is, then what becomes of it. Ports and lengths in host order. */
struct sentinel_frame {
    __u64 now;
    __u32 src[4], dst[4];
    __u32 source[4]; /* the key: of an IPv6 source the upper bits */
    __u32 bytes;     /* of the frame, without its checksum */
    __u32 packets;   /* that it stands for: of a super-frame its segments */
    __u32 left;      /* bytes of the IP packet behind the headers that were read */
    __u32 total;     /* bytes of the IP packet */
    __u32 payload;   /* bytes behind the L4 header */
    __u16 l3, l4;    /* where they begin; 0: there is none */
    __u16 sport, dport;
    __u16 vlan; /* of the outermost tag; 0xffff: none */
    __u8 tags;
    __u8 family; /* 4, 6; 0: no addresses */
    __u8 protocol;
    __u8 hops;  /* that are left to it */
    __u8 first; /* of several fragments */
    __u8 tcp_flags;
    __u8 head[4];         /* the payload's first bytes, if it has as many: signatures */
    __u8 class;           /* enum sentinel_class */
    __u8 malformed;       /* it must not pass: reason says why */
    __u8 reason;          /* enum sentinel_reason: what decided, or is notable */
    __u8 verdict;         /* enum sentinel_verdict */
    __u8 verified;        /* the source is known not to be spoofed */
    __u8 seen, fragments; /* IPv6 extension headers: which, how many ... */
    __u8 extensions;
    __u16 extension_bytes;
    __u8 option; /* the type of the one that was read last */
    __u8 unused[5];
};

/* Generic cell rate algorithm (ITU-T I.371): one word of state, the theoretical arrival time. */
struct sentinel_limit {
    __u64 period; /* ns a unit takes, << 10: a packet, of LIMIT_BPS a byte. 0: no limit */
    __u64 burst;  /* ns that arrivals may be early */
    __u64
        sent; /* ns of it that a source has used when it is looked at for the first time */
    __u8 spoofable, verified; /* enum sentinel_answer, by what is known of the source */
    __u8 dry_run;
    __u8 unused[5];
};

enum sentinel_answer { ANSWER_ALERT, ANSWER_LIMIT, ANSWER_BLOCK };

enum sentinel_fail_mode { FAIL_AUTONOMOUS, FAIL_OPEN, FAIL_CLOSED };

/* What is allowed. Constant while a program runs: a change is a new program with other
 * read-only data, so that no frame is judged by halves of two policies. */
struct sentinel_policy {
    struct sentinel_limit limits[LIMITS_ROOM];    /* by source */
    struct sentinel_limit insertions;             /* blocks made by detections */
    struct sentinel_limit events;                 /* sent to user space */
    __u64 ttl, ttl_max, repeat_window, hold_down; /* of blocks, ns */
    __u64 hold[LIMITS_ROOM]; /* units in hold_down that keep a block past its end */
    __u64 watchdog;          /* ns without a sign of life after which fail_mode holds */
    __u32 ttl_backoff;
    __u32 max_blocks;
    __u32 weight
        [LIMITS_ROOM];    /* of a unit in the sketch: its share of a second's limit << 20,
                             LIMIT_BPS << 40 */
    __u32 promote;        /* the sum at which a source is looked at by itself */
    __u32 sample;         /* one frame in so many goes to user space; 0: none */
    __u32 mtu;            /* longer IP packets are super-frames; 0: no such thing */
    __u32 source_mask[4]; /* what of an IPv6 source is its key, as in the header */
    __u8 actions[64];     /* enum sentinel_action by enum sentinel_reason */
    __u8 vlan_max, exthdr_max;
    __u16 exthdr_bytes;
    __u8 fail_mode, dry_run, verify_csum;
};

/* --- values of tables ---------------------------------------------------------------- */

enum sentinel_kind {
    KIND_OWN,     /* an address of this machine: nobody else can be that */
    KIND_ALLOWED, /* never blocked or limited */
    KIND_BANNED,  /* by hand, or in a list */
    KIND_BLOCKED, /* by a detection */
};

/* What is known of a source: of an address, of the key of an IPv6 source, of a prefix in a
 * list. Who inserts by hand replaces a block. A block stays for repeat_window after its end, so
 * that the next one lasts longer. Counts may be a few low when several CPUs meet in one. */
struct sentinel_entry {
    __u64 expires;  /* 0: never */
    __u8 kind;      /* enum sentinel_kind */
    __u8 limit;     /* of a block: enum sentinel_limit_kind */
    __u8 automatic; /* neither by hand nor by a detection: goes when its reason does */
    __u8 unused[5];
    __u64 packets, bytes, last; /* since `created` */
    __u64 bucket, count,
        previous; /* of a block: units since `bucket`, and in the hold_down
                                      before */
    __u64 created, ttl;
};

/* IPv6 networks of many sources, /56 and /48, that are blocked as a whole are entries as well. Their
 * keys must be no address that a frame may come from: they begin as one of multicast, with the
 * bits, before half of the network's address. */
#define SENTINEL_NETWORKS           2
#define SENTINEL_NETWORK_BITS(size) (56 - 8 * (unsigned)(size))
#define SENTINEL_NETWORK_MARK(bits) __builtin_bswap32(0xff000000 | (bits))

static inline __attribute__((always_inline)) void
sentinel_network_key(const __u32 address[4], unsigned bits, __u32 key[4])
{
    key[0] = SENTINEL_NETWORK_MARK(bits);
    key[1] = address[0];
    key[2] = address[1] & __builtin_bswap32(0xffffffffu << (64 - bits));
    key[3] = 0;
}

struct sentinel_prefix { /* key of a trie: struct bpf_lpm_trie_key */
    __u32 bits;
    __u32 address[4];
};

#define SENTINEL_REGISTERS 64

/* A source that is worth a look: it sends a good share of a limit. */
struct sentinel_suspect {
    __u64 arrival[LIMITS_ROOM]; /* theoretical arrival times */
    __u64 first, last, packets, bytes, dropped;
    __u64 said;     /* when an event last told of it */
    __u64 verified; /* when it was known not to be spoofed */
    __u64 scan;     /* since when registers count */
    __u8
        registers[SENTINEL_REGISTERS]; /* HyperLogLog of destinations and ports of SYNs */
};

/* Services that answer more than they are asked, by UDP source port: port, and what else must
 * hold of a frame f. 443 is none: QUIC. */
#define SENTINEL_SIGNATURE_ROWS(ROW)                                                     \
    ROW(17, 1)                                                                           \
    ROW(19, 1)                                                                           \
    ROW(53, f->payload > 512 && f->head[2] & 0x80) /* an answer, of EDNS's size */       \
    ROW(69, 1)                                                                           \
    ROW(111, 1)                                                                          \
    ROW(123, (f->head[0] & 7) == 7 || f->payload > 200) /* NTP: mode 7, monlist */       \
    ROW(137, 1)                                                                          \
    ROW(161, 1)                                                                          \
    ROW(389, 1)                                                                          \
    ROW(427, 1)                                                                          \
    ROW(500, 1)                                                                          \
    ROW(520, 1)                                                                          \
    ROW(1434, 1)                                                                         \
    ROW(1900, 1)                                                                         \
    ROW(3283, 1)                                                                         \
    ROW(3389, 1)                                                                         \
    ROW(3478, 1)                                                                         \
    ROW(3702, 1)                                                                         \
    ROW(5060, 1)                                                                         \
    ROW(5353, 1)                                                                         \
    ROW(5683, 1)                                                                         \
    ROW(10001, 1)                                                                        \
    ROW(11211, 1)                                                                        \
    ROW(27015, 1)

#define SENTINEL_SIGNATURE_ENUM(PORT, CONDITION) SIGNATURE_##PORT,
enum sentinel_signature {
    SENTINEL_SIGNATURE_ROWS(SENTINEL_SIGNATURE_ENUM) SENTINEL_SIGNATURES
};
#define SENTINEL_TRANSIT                                                                 \
    0 /* the destination that stands for all that are not protected */

enum sentinel_mitigation { MITIGATION_NONE, MITIGATION_LIMIT, MITIGATION_COOKIE };

/* A limit of a destination, in force up to a time. */
struct sentinel_limiter {
    __u64 until;
    __u64 period, burst; /* as of struct sentinel_limit */
    __u64 arrival;       /* theoretical */
};

/* A protected address, and what is done for it: written by user space but for the arrival
 * times. */
struct sentinel_destination {
    __u32 index;     /* of its counters */
    __u8 mitigation; /* of SYNs, while `syn` is in force */
    __u8 unused[3];
    __u64
        watch_until; /* of the next two limits at least; who has a connection is noted */
    struct sentinel_limiter packets, bytes; /* of all frames but essential ones */
    struct sentinel_limiter syn, syn_hard, udp, icmp;
    __u64 fragments_until; /* dropped up to then */
    __u64 signature_until[SENTINEL_SIGNATURES];
};

struct sentinel_count {
    __u64 packets, bytes;
};

struct sentinel_destination_counts {
    struct sentinel_count all, udp, icmp, fragments;
    __u64 syn, first_ack; /* SYNs, and ACKs that complete one's handshake */
    __u64 dropped;
    __u64 unused;
    struct sentinel_count signatures[SENTINEL_SIGNATURES];
};

/* All frames, by CPU. */
struct sentinel_totals {
    struct sentinel_count reasons[64 * VERDICTS]; /* reason * VERDICTS + verdict */
    struct sentinel_count classes[16];
    __u64 gaps[2]; /* frames up to the next sample: of all but blocked ones, of these */
};

/* One word each for what is rare. */
struct sentinel_state {
    __u64 schema;             /* SENTINEL_SCHEMA */
    __u64 heartbeat;          /* of the daemon; 0: there was none yet */
    __u64 secret;             /* of the sketch */
    __u64 insertions, events; /* theoretical arrival times */
    __u64 blocks;             /* entries of KIND_BLOCKED */
    __u64 inserted, insert_failed, insert_braked;
    __u64 events_lost, events_limited, samples;
    __u64 networks; /* bits: are there entries of IPv6 networks of that size? */
    __u64 clock; /* what the kernel's ticks are behind since boot; in tests, the time */
    /* the first words beside the clock, in one cache line */
    struct shared_head entries, destinations;
    __u64 samples_lost;
};

/* --- news for user space ------------------------------------------------------------- */

enum sentinel_event_kind {
    EVENT_BLOCK,
    EVENT_EXTEND,
    EVENT_LIMIT,
    EVENT_PRESSURE,
    EVENT_FULL,
    EVENT_STATE,    /* of a destination: from user space (detect.h) ... */
    EVENT_DETACHED, /* ... of the interface: it is gone, and the program with it */
    EVENT_ATTACHED, /* it came back */
};

struct sentinel_event {
    __u64 time;
    __u32 src[4]; /* the key */
    __u32 dst[4];
    __u64 ttl;
    __u64 rate, threshold; /* of EVENT_STATE, a second */
    __u16 sport, dport;
    __u8 kind, detection, verified, protocol; /* detection: a limit, or enum detection */
    __u8 dry_run, state;
    __u8 dst_bits; /* of 128, when it is a prefix; 0: it is an address */
    __u8 unused[5];
};

#define SENTINEL_SNAPLEN 128

struct sentinel_sample {
    struct sentinel_frame frame;
    __u32 captured; /* of its bytes */
    __u32 rate;     /* one frame in so many */
    __u8 bytes[SENTINEL_SNAPLEN];
};

_Static_assert(REASONS <= 64 && VERDICTS == 4 && CLASSES <= 16, "the places of totals");
