/* segment: software segmentation of TCP and UDP super-frames.
 *
 * Parsing works on the plan's own copy of the head. The cursor's invariant is
 * at <= length <= SEGMENT_HEADER_MAX; take() is the only way forward, and no header
 * is read before it was taken.
 */
#include "lib/segment.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/checksum.h"

#define ETHERNET_SIZE  14
#define VLAN_SIZE      4
#define VLAN_MAX       3
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_CTAG 0x8100
#define ETHERTYPE_STAG 0x88a8

/* RFC 791 */
#define IPV4_SIZE           20
#define IPV4_TOTAL_LENGTH   2
#define IPV4_IDENTIFICATION 4
#define IPV4_FRAGMENT       6
#define IPV4_FRAGMENT_MASK  0x3fff /* more fragments, offset */
#define IPV4_PROTOCOL       9
#define IPV4_CHECKSUM       10
#define IPV4_ADDRESSES      12

/* RFC 8200, RFC 2675 */
#define IPV6_SIZE           40
#define IPV6_PAYLOAD_LENGTH 4
#define IPV6_NEXT_HEADER    6
#define IPV6_ADDRESSES      8
#define IPV6_ROUTING_LEFT   3 /* segments left */
#define IPV6_EXTENSIONS_MAX 8
#define IPV6_JUMBO_SIZE     8
#define IPV6_OPTION_JUMBO   0xc2

/* RFC 9293, RFC 768 */
#define TCP_SIZE     20
#define TCP_SEQUENCE 4
#define TCP_OFFSET   12
#define TCP_FLAGS    13
#define TCP_CHECKSUM 16
#define TCP_FIN      0x01
#define TCP_PSH      0x08
#define TCP_CWR      0x80
#define UDP_SIZE     8
#define UDP_LENGTH   4
#define UDP_CHECKSUM 6

#define IP_LENGTH_MAX 65535 /* IPv4: total length; IPv6: without the fixed header */

struct cursor {
    uint8_t *bytes;
    size_t length;
    size_t at;
};

static uint16_t load16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void store16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t load32(const uint8_t *at)
{
    return (uint32_t)load16(at) << 16 | load16(at + 2);
}

static void store32(uint8_t *at, uint32_t value)
{
    store16(at, value >> 16);
    store16(at + 2, value & 0xffff);
}

/* The next size bytes, or NULL if the head does not hold them. */
static uint8_t *take(struct cursor *cursor, size_t size)
{
    if (size > cursor->length - cursor->at)
        return NULL;
    uint8_t *bytes = cursor->bytes + cursor->at;
    cursor->at += size;
    return bytes;
}

/* Returns the EtherType behind the VLAN tags, 0 (which is none) when it is cut off. */
static uint16_t parse_ethernet(struct cursor *cursor)
{
    const uint8_t *header = take(cursor, ETHERNET_SIZE);
    if (!header)
        return 0;
    uint16_t type = load16(header + ETHERNET_SIZE - 2);
    for (int i = 0; i < VLAN_MAX && (type == ETHERTYPE_CTAG || type == ETHERTYPE_STAG);
         i++) {
        const uint8_t *tag = take(cursor, VLAN_SIZE);
        if (!tag)
            return 0;
        type = load16(tag + VLAN_SIZE - 2);
    }
    return type;
}

static int parse_ipv4(struct segment_plan *plan, struct cursor *cursor)
{
    const uint8_t *ip = take(cursor, IPV4_SIZE);
    if (!ip || ip[0] >> 4 != 4 || (ip[0] & 15) < 5)
        return -EINVAL;
    if (!take(cursor, (size_t)(ip[0] & 15) * 4 - IPV4_SIZE))
        return -EINVAL;
    if (load16(ip + IPV4_FRAGMENT) & IPV4_FRAGMENT_MASK)
        return -EINVAL;
    plan->ip_version = 4;
    plan->protocol = ip[IPV4_PROTOCOL];
    return 0;
}

/* Linux puts a hop-by-hop header with nothing but a jumbo payload option into a TCP
 * super-frame of more than 64 KiB. In a packet of ordinary size it is an error (RFC 2675,
 * section 3), so it is cut out of the headers. Returns how many extension headers that
 * were. */
static int drop_jumbo(struct cursor *cursor, uint8_t *ip)
{
    uint8_t *hop = cursor->bytes + cursor->at;

    if (ip[IPV6_NEXT_HEADER] != IPPROTO_HOPOPTS ||
        cursor->length - cursor->at < IPV6_JUMBO_SIZE)
        return 0;
    if (hop[1] != 0 || hop[2] != IPV6_OPTION_JUMBO || hop[3] != 4)
        return 0;
    ip[IPV6_NEXT_HEADER] = hop[0];
    cursor->length -= IPV6_JUMBO_SIZE;
    memmove(hop, hop + IPV6_JUMBO_SIZE, cursor->length - cursor->at);
    return 1;
}

static int parse_ipv6(struct segment_plan *plan, struct cursor *cursor)
{
    uint8_t *ip = take(cursor, IPV6_SIZE);
    if (!ip || ip[0] >> 4 != 6)
        return -EINVAL;
    int i = drop_jumbo(cursor, ip);

    uint8_t next = ip[IPV6_NEXT_HEADER];
    for (; i < IPV6_EXTENSIONS_MAX; i++) {
        /* Hop-by-hop options come first or not at all. */
        if (next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
            !(next == IPPROTO_HOPOPTS && i == 0))
            break;
        const uint8_t *extension = take(cursor, 8);
        if (!extension || !take(cursor, (size_t)extension[1] * 8))
            return -EINVAL;
        if (next == IPPROTO_ROUTING && extension[IPV6_ROUTING_LEFT])
            return -EOPNOTSUPP;
        next = extension[0];
    }
    plan->ip_version = 6;
    plan->protocol = next;
    return 0;
}

static int parse_transport(const struct segment_plan *plan, struct cursor *cursor)
{
    if (plan->protocol == IPPROTO_UDP)
        return take(cursor, UDP_SIZE) ? 0 : -EINVAL;
    if (plan->protocol != IPPROTO_TCP)
        return -EINVAL;
    const uint8_t *tcp = take(cursor, TCP_SIZE);
    if (!tcp || tcp[TCP_OFFSET] >> 4 < 5)
        return -EINVAL;
    return take(cursor, (size_t)(tcp[TCP_OFFSET] >> 4) * 4 - TCP_SIZE) ? 0 : -EINVAL;
}

/* Whether the headers are those that gso_type says. */
static bool type_agrees(const struct segment_plan *plan, uint8_t type)
{
    if (type == SEGMENT_UDP)
        return plan->protocol == IPPROTO_UDP;
    return plan->protocol == IPPROTO_TCP &&
           plan->ip_version == (type == SEGMENT_TCP4 ? 4 : 6);
}

/* Walks the headers in plan->header, of which length bytes are there, and sets everything
 * but the sizes. */
static int parse_headers(struct segment_plan *plan, size_t length, uint8_t type)
{
    struct cursor cursor = { plan->header, length, 0 };
    uint16_t ethertype = parse_ethernet(&cursor);
    int status = -EINVAL;

    plan->l3_offset = (uint16_t)cursor.at;
    if (ethertype == ETHERTYPE_IPV4)
        status = parse_ipv4(plan, &cursor);
    else if (ethertype == ETHERTYPE_IPV6)
        status = parse_ipv6(plan, &cursor);
    if (status)
        return status;
    plan->l4_offset = (uint16_t)cursor.at;
    status = parse_transport(plan, &cursor);
    if (status)
        return status;
    plan->header_length = (uint16_t)cursor.at;
    plan->payload_offset = (uint16_t)(cursor.at + length - cursor.length);
    return type_agrees(plan, type) ? 0 : -EINVAL;
}

/* Bytes of the frame without Ethernet padding. The IP header's word counts only where
 * it can be true: a packet of more than 64 KiB has no place for its length, and a length
 * that ends within the headers or beyond the frame is wrong. */
static size_t unpadded(const struct segment_plan *plan, size_t frame_length)
{
    const uint8_t *ip = plan->header + plan->l3_offset;
    size_t fixed = plan->ip_version == 4 ? 0 : IPV6_SIZE;
    size_t field = load16(ip + (fixed ? IPV6_PAYLOAD_LENGTH : IPV4_TOTAL_LENGTH));
    size_t claimed = plan->l3_offset + fixed + field;

    if (frame_length - plan->l3_offset - fixed > IP_LENGTH_MAX)
        return frame_length;
    if (claimed < plan->payload_offset || claimed > frame_length)
        return frame_length;
    return claimed;
}

/* The largest payload with which the headers make an IP packet. */
static uint32_t payload_max(const struct segment_plan *plan)
{
    size_t fixed = plan->ip_version == 4 ? 0 : IPV6_SIZE;
    return (uint32_t)(IP_LENGTH_MAX - (plan->header_length - plan->l3_offset - fixed));
}

int segment_plan(struct segment_plan *plan, const uint8_t *head, size_t head_length,
                 size_t frame_length, const struct segment_offload *offload)
{
    uint8_t type = offload->gso_type & (uint8_t)~SEGMENT_ECN;
    if (type != SEGMENT_TCP4 && type != SEGMENT_TCP6 && type != SEGMENT_UDP)
        return -EOPNOTSUPP;
    if (offload->gso_size == 0)
        return -EINVAL;

    size_t length = head_length < frame_length ? head_length : frame_length;
    if (length > SEGMENT_HEADER_MAX)
        length = SEGMENT_HEADER_MAX;
    memcpy(plan->header, head, length);
    int status = parse_headers(plan, length, type);
    if (status)
        return status;

    size_t payload = unpadded(plan, frame_length) - plan->payload_offset;
    uint32_t size = offload->gso_size, limit = payload_max(plan);
    if (size > limit) {
        /* Datagrams cannot be cut anew; a lone one is as long as it is. */
        if (type == SEGMENT_UDP && payload > limit)
            return -EINVAL;
        size = limit;
    }
    if (payload > (size_t)size * SEGMENT_MAX)
        return -EINVAL;
    plan->payload_length = (uint32_t)payload;
    plan->gso_size = size;
    plan->count = payload ? (uint32_t)((payload + size - 1) / size) : 1;
    return 0;
}

static void finish_ipv4(uint8_t *ip, size_t ip_length, size_t header_length, uint32_t i)
{
    store16(ip + IPV4_TOTAL_LENGTH, ip_length);
    store16(ip + IPV4_IDENTIFICATION, load16(ip + IPV4_IDENTIFICATION) + i);
    store16(ip + IPV4_CHECKSUM, 0);
    uint16_t checksum = checksum_fold(checksum_sum(ip, header_length, 0));
    memcpy(ip + IPV4_CHECKSUM, &checksum, sizeof(checksum));
}

static void finish_tcp(const struct segment_plan *plan, uint32_t i, uint8_t *tcp)
{
    store32(tcp + TCP_SEQUENCE, load32(tcp + TCP_SEQUENCE) + i * plan->gso_size);
    if (i + 1 < plan->count)
        tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
    if (i > 0)
        tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
}

size_t segment_finish(const struct segment_plan *plan, uint32_t i, uint8_t *frame)
{
    size_t length = plan->header_length + segment_payload(plan, i);
    size_t l4_length = length - plan->l4_offset;
    uint8_t *ip = frame + plan->l3_offset, *l4 = frame + plan->l4_offset;
    bool tcp = plan->protocol == IPPROTO_TCP;
    size_t field = tcp ? TCP_CHECKSUM : UDP_CHECKSUM;
    uint64_t sum;

    memcpy(frame, plan->header, plan->header_length);
    if (plan->ip_version == 4) {
        finish_ipv4(ip, length - plan->l3_offset, plan->l4_offset - plan->l3_offset, i);
        sum = checksum_pseudo4(ip + IPV4_ADDRESSES, plan->protocol, (uint32_t)l4_length);
    } else {
        store16(ip + IPV6_PAYLOAD_LENGTH, length - plan->l3_offset - IPV6_SIZE);
        sum = checksum_pseudo6(ip + IPV6_ADDRESSES, plan->protocol, (uint32_t)l4_length);
    }
    if (tcp)
        finish_tcp(plan, i, l4);
    else
        store16(l4 + UDP_LENGTH, l4_length);
    store16(l4 + field, 0);
    uint16_t checksum = checksum_fold(checksum_sum(l4, l4_length, sum));
    if (checksum == 0 && !tcp)
        checksum = 0xffff;
    memcpy(l4 + field, &checksum, sizeof(checksum));
    return length;
}
