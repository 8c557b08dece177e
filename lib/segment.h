/* segment: cuts GSO super-frames into the frames that belong on a wire.
 *
 *   segment_plan       what the headers of a super-frame say, and where to cut
 *   segment_payload    payload bytes in segment i
 *   segment_offset     where in the super-frame these bytes start
 *   segment_finish     write the headers of segment i in front of its payload
 *
 * A super-frame is what virtio_net_hdr describes with a gso_type: one Ethernet frame with
 * a TCP or UDP payload of up to hundreds of kilobytes (virtio 1.2, 5.1.6; the kernel's
 * include/uapi/linux/virtio_net.h, net/ipv4/tcp_offload.c, udp_offload.c).
 *
 * Planning and finishing are apart so that no payload is copied here: the caller looks at
 * the head of a super-frame (recvmsg with MSG_PEEK), plans, and has the kernel scatter
 * the rest with one recvmsg, whose iovecs are, in this order,
 *
 *     payload_offset bytes          to anywhere: the plan has the headers
 *     segment_payload(plan, 0)      to frame 0 + header_length
 *     segment_payload(plan, 1)      to frame 1 + header_length
 *     ...
 *
 * Padding behind the payload has no iovec and is cut off: MSG_TRUNC is then no error.
 *
 *     super-frame   | headers |  payload 0  |  payload 1  | payl. 2 | (padding)
 *                   :         :             :
 *     frame 0       | headers |  payload 0  |
 *     frame 1                     | headers |  payload 1  |
 *
 * Every byte of a super-frame and of its description is hostile. Of the description only
 * gso_type and gso_size are used; offsets and lengths come from the bytes themselves. A
 * plan that was made is sound: finishing touches nothing but the frame it says.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SEGMENT_HEADER_MAX 256  /* bytes of Ethernet, VLAN, IP and TCP or UDP headers */
#define SEGMENT_MAX        1022 /* segments: with two iovecs for headers, IOV_MAX */

/* Values of gso_type: VIRTIO_NET_HDR_GSO_*. ECN may be or'ed to each. */
enum segment_type {
    SEGMENT_TCP4 = 1,
    SEGMENT_TCP6 = 4,
    SEGMENT_UDP = 5, /* UDP_L4: every segment is a datagram of its own; IPv4 or IPv6 */
    SEGMENT_ECN = 0x80,
};

/* The fields of struct virtio_net_hdr, in host order. */
struct segment_offload {
    uint8_t flags;
    uint8_t gso_type;
    uint16_t hdr_len;
    uint16_t gso_size;
    uint16_t csum_start;
    uint16_t csum_offset;
};

struct segment_plan {
    uint32_t count;          /* of segments, 1 to SEGMENT_MAX */
    uint32_t payload_length; /* of all segments together */
    uint32_t gso_size;       /* payload of every segment but the last, never 0 */
    uint16_t payload_offset; /* in the super-frame */
    uint16_t header_length;  /* of a segment: 8 less when a jumbo option was dropped */
    uint16_t l3_offset;      /* of the IP header in a segment */
    uint16_t l4_offset;      /* of the TCP or UDP header in a segment */
    uint8_t ip_version;      /* 4 or 6 */
    uint8_t protocol;        /* IPPROTO_TCP or IPPROTO_UDP */
    uint8_t header[SEGMENT_HEADER_MAX]; /* header_length bytes of the super-frame */
};

/* Parses the first head_length bytes of a super-frame of frame_length bytes (head_length
 * may exceed it, and SEGMENT_HEADER_MAX is always enough): Ethernet, up to three VLAN
 * tags, IPv4 with options or IPv6 with extension headers, TCP with options or UDP.
 *
 * The payload reaches to the end of the frame, unless the frame fits into one IP packet
 * and the IP header gives it fewer bytes; what follows these is Ethernet padding. A
 * gso_size too big for an IP packet is lowered to what fits (TCP). The IPv6 jumbo payload
 * option with which Linux gives the length of a big super-frame is not for the segments.
 *
 * Returns 0, or one of these, the plan then meaning nothing:
 *
 * -EOPNOTSUPP: gso_type is not one of the above (UFO, none, tunnels), or an IPv6 routing
 * header has a way to go, which puts an address from there into the checksum.
 *
 * -EINVAL: headers that are broken, cut off, too long, or not those of gso_type (a
 * tunnel's are not); a fragment; gso_size 0; more than SEGMENT_MAX segments. */
int segment_plan(struct segment_plan *plan, const uint8_t *head, size_t head_length,
                 size_t frame_length, const struct segment_offload *offload);

/* frame holds the payload of segment i < count at header_length. Writes the headers:
 * lengths, IPv4 identification (+ i) and checksum, TCP sequence number (FIN and PSH only
 * in the last, CWR only in the first segment), and a complete TCP or UDP checksum.
 * Returns the length of the frame, header_length + segment_payload(plan, i); it may be
 * below the 60 bytes that an interface pads to. */
size_t segment_finish(const struct segment_plan *plan, uint32_t i, uint8_t *frame);

static inline uint32_t segment_payload(const struct segment_plan *plan, uint32_t i)
{
    return i + 1 < plan->count ? plan->gso_size
                               : plan->payload_length - i * plan->gso_size;
}

static inline uint32_t segment_offset(const struct segment_plan *plan, uint32_t i)
{
    return plan->payload_offset + i * plan->gso_size;
}
