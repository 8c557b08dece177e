/* frame: where the layers of an Ethernet frame begin and end.
 *
 *   frame_parse        from the bytes; any may come in
 *   frame_parse_ip     an IP packet within them, such as one that an ICMP error quotes
 *   frame_is_tcp, frame_is_udp, ...   complete headers of the first fragment
 *   frame_tcp_*, frame_udp_*          their fields
 *   frame_flow         a hash of the 5-tuple
 *   frame_content      a hash of what a frame is, however it travelled
 *   frame_checksum_offset   where the transport header has its checksum
 *   frame_fix          write lengths and checksums that fit the bytes
 *
 * Looks behind up to three VLAN tags (802.1Q, 802.1ad), at IPv4 with options and IPv6 with
 * extension headers (RFC 8200: hop-by-hop, routing, fragment, destination options).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_ETHERNET 14
#define FRAME_TCP      6
#define FRAME_UDP      17
#define FRAME_ICMP     1
#define FRAME_ICMPV6   58

enum frame_tcp_flag { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16 };

/* Offsets from the first byte; each 0 when there is no such thing. A fragment that is not the
 * first has no l4. */
struct frame {
    const uint8_t *data;
    uint32_t length;    /* of the frame */
    uint16_t ethertype; /* behind the tags */
    uint8_t family;     /* 4, 6 or 0 */
    uint8_t protocol;   /* of what IP carries, extension headers skipped */
    bool fragment;      /* a part of an IP packet, be it the first */
    uint32_t l3, l4;
    uint32_t payload; /* of TCP or UDP; equal to end when it is empty */
    uint32_t end;     /* of the IP packet: Ethernet padding is behind it */
};

void frame_parse(struct frame *frame, const uint8_t *data, uint32_t length);

/* The IP packet that begins at offset l3, at most length: offsets are from data all the same. Of a
 * header that is cut off there is l4 without payload. */
void frame_parse_ip(struct frame *frame, const uint8_t *data, uint32_t length,
                    uint32_t l3);

/* The same for packets of one flow and direction, whatever else they hold; 0 for no IP. */
uint64_t frame_flow(const struct frame *frame);

/* The same for the same packet seen elsewhere or sent again: of an IP packet what neither
 * hops nor retransmissions change (no MAC addresses, no hop limit, DSCP, ECN, IPv4
 * identification or checksums; of TCP no timestamps or acknowledgement), of others all bytes. */
uint64_t frame_content(const struct frame *frame);

/* In the header at l4, if there is one; 0: it has none that we know. */
uint32_t frame_checksum_offset(const struct frame *frame);

/* Completes the headers in data, which frame was parsed from: with lengths true the lengths
 * of IP and UDP follow from frame->length. The IPv4 header's checksum is made right; with l4
 * true that of TCP, UDP or ICMP too (not of fragments; one of 0 in UDP over IPv4 stays). */
void frame_fix(const struct frame *frame, uint8_t *data, bool lengths, bool l4);

static inline uint16_t frame_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t frame_u32(const uint8_t *at)
{
    return (uint32_t)frame_u16(at) << 16 | frame_u16(at + 2);
}

static inline void frame_put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void frame_put32(uint8_t *at, uint32_t value)
{
    frame_put16(at, value >> 16);
    frame_put16(at + 2, value & 0xffff);
}

static inline bool frame_is_tcp(const struct frame *frame)
{
    return frame->protocol == FRAME_TCP && frame->payload;
}

static inline bool frame_is_udp(const struct frame *frame)
{
    return frame->protocol == FRAME_UDP && frame->payload;
}

/* Of TCP or UDP. */
static inline uint16_t frame_source_port(const struct frame *frame)
{
    return frame_u16(frame->data + frame->l4);
}

static inline uint16_t frame_destination_port(const struct frame *frame)
{
    return frame_u16(frame->data + frame->l4 + 2);
}

static inline uint32_t frame_payload_length(const struct frame *frame)
{
    return frame->end - frame->payload;
}

static inline uint8_t frame_tcp_flags(const struct frame *frame)
{
    return frame->data[frame->l4 + 13];
}

static inline uint32_t frame_tcp_sequence(const struct frame *frame)
{
    return frame_u32(frame->data + frame->l4 + 4);
}

static inline uint32_t frame_tcp_acknowledged(const struct frame *frame)
{
    return frame_u32(frame->data + frame->l4 + 8);
}

/* The ECN field of IP: 0 when it cannot be marked (RFC 3168, 5). */
static inline uint8_t frame_ecn(const struct frame *frame)
{
    const uint8_t *ip = frame->data + frame->l3;
    return frame->family == 4 ? ip[1] & 3 : frame->family == 6 ? ip[1] >> 4 & 3 : 0;
}

/* Bytes of an address, and where the source is; the destination follows. */
static inline uint32_t frame_address_size(const struct frame *frame)
{
    return frame->family == 4 ? 4 : 16;
}

static inline uint32_t frame_addresses(const struct frame *frame)
{
    return frame->l3 + (frame->family == 4 ? 12 : 8);
}
