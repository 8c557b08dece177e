/* icmp: errors about packets that were translated, and errors of our own; bytes in, bytes out.
 *
 *   icmp_read         what an inner ICMP packet is, and about which packet
 *   icmp_translate    an error as if that packet had never been translated
 *   icmp_make         an error about a packet that cannot go on
 *
 * Formats: RFC 792, 1191 (the MTU), 4443; what an address translator does with them: RFC 5508. Of
 * the packet that an error quotes there may be no more than its IP header and 8 bytes; IP options
 * and IPv6 extension headers are skipped. Checksums are kept in step and not computed: what was
 * wrong stays wrong, and what is cut off needs no more than what is there.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apps/vxlan_nat/vxlan.bpf.h"

enum icmp_kind {
    ICMP_NONE,    /* no ICMP, or of no use here: redirects, neighbour discovery, ... */
    ICMP_ECHO,    /* a query or its answer, with an id: echo, IPv4 timestamp */
    ICMP_ERROR,   /* IPv4 types 3, 4, 11, 12; ICMPv6 1 to 4 */
    ICMP_DAMAGED, /* would be one of those: cut off, or with a wrong checksum */
};

/* The packet that an error quotes; of a query that packet itself. */
struct icmp_embedded {
    uint8_t src[16], dst[16]; /* IPv4 mapped */
    uint16_t sport, dport;    /* in host order; both the id of a query */
    uint8_t protocol;         /* behind extension headers */
    bool ports;        /* there are some: TCP, UDP and queries, not in later fragments */
    uint32_t l3, l4;   /* from the first byte of the frame; l4 0: a later fragment */
    uint32_t end;      /* of what is there of it */
    uint32_t checksum; /* of its transport header; 0: there is none */
};

/* An error is whole where frame and packet are, and then its checksum must be right; so must be that
 * of the IPv4 header in it. f: of these bytes, by decap.bpf.h. */
enum icmp_kind icmp_read(const uint8_t *frame, const struct vxlan_frame *f,
                         struct icmp_embedded *e);

struct icmp_end {
    uint8_t address[16]; /* of the packet's family, IPv4 mapped */
    uint16_t port;       /* written where e->ports; of a query the source's is its id */
};

struct icmp_translation {
    struct icmp_end src, dst;             /* of the embedded packet */
    uint8_t outer_src[16], outer_dst[16]; /* of the error */
};

/* f and e: of an ICMP_ERROR in these bytes. */
void icmp_translate(uint8_t *frame, const struct vxlan_frame *f,
                    const struct icmp_embedded *e, const struct icmp_translation *to);

enum icmp_error { ICMP_TOO_BIG, ICMP_TIME_EXCEEDED };

#define ICMP_MOST 1280 /* bytes that icmp_make writes */

/* Writes an IP packet from `source` (of its family, IPv4 mapped) to the sender of the packet at ip,
 * of which `there` bytes are there, as it was before it was translated. It quotes as much as makes
 * 576 bytes (RFC 1812, 4.3.2.3), of IPv6 1,280, and fits into room. mtu: of ICMP_TOO_BIG.
 *
 * Returns its length, or 0 where there must not be one (RFC 792, RFC 1122, 3.2.2, RFC 4443, 2.4):
 * about an ICMP error, an IPv4 packet without DF that is too big, a later fragment of IPv4, to or from
 * what is no single host, about what went to many (but for ICMPv6's too big). Whether it came as an
 * Ethernet broadcast, and how many there may be in a second, is the caller's. */
uint32_t icmp_make(uint8_t *to, size_t room, enum icmp_error error, uint32_t mtu,
                   const uint8_t *ip, uint32_t there, const uint8_t source[16]);
