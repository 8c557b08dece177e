/* frame: where the layers of an Ethernet frame begin and end. */
#include "lib/frame.h"

#include <string.h>

#include "lib/checksum.h"
#include "lib/hash.h"

#define TAGS_MAX       3
#define EXTENSIONS_MAX 8
#define IPV4_HEADER    20
#define IPV6_HEADER    40
#define UDP_HEADER     8
#define TCP_HEADER     20
#define ICMP_HEADER    4

/* Where the payload of the transport header begins. */
static void parse_transport(struct frame *frame)
{
    uint32_t room = frame->end - frame->l4;
    const uint8_t *at = frame->data + frame->l4;
    if (frame->protocol == FRAME_UDP && room >= UDP_HEADER) {
        frame->payload = frame->l4 + UDP_HEADER;
    } else if (frame->protocol == FRAME_TCP && room >= TCP_HEADER) {
        uint32_t header = (uint32_t)(at[12] >> 4) * 4;
        if (header >= TCP_HEADER && header <= room)
            frame->payload = frame->l4 + header;
    }
}

static void parse_ipv4(struct frame *frame)
{
    const uint8_t *ip = frame->data + frame->l3;
    uint32_t room = frame->length - frame->l3;
    if (room < IPV4_HEADER || ip[0] >> 4 != 4)
        return;
    uint32_t header = (uint32_t)(ip[0] & 15) * 4, total = frame_u16(ip + 2);
    if (header < IPV4_HEADER || total < header || header > room)
        return;
    uint16_t fragment = frame_u16(ip + 6) & 0x3fff;
    frame->family = 4;
    frame->protocol = ip[9];
    frame->fragment = fragment;
    frame->end = frame->l3 + (total < room ? total : room);
    if (!(fragment & 0x1fff))
        frame->l4 = frame->l3 + header;
}

/* Walks the extension headers; returns where the next header is, 0 when it is not there. */
static uint32_t skip_extensions(struct frame *frame, uint32_t at)
{
    for (int i = 0; i < EXTENSIONS_MAX; i++) {
        uint8_t type = frame->protocol;
        if (type != 0 && type != 43 && type != 44 && type != 60)
            return at;
        if (at + 8 > frame->end)
            return 0;
        const uint8_t *header = frame->data + at;
        frame->protocol = header[0];
        at += type == 44 ? 8 : 8 + header[1] * 8u;
        if (type == 44) {
            frame->fragment = frame_u16(header + 2) & 0xfff9;
            if (frame_u16(header + 2) & 0xfff8)
                return 0;
        }
    }
    return 0;
}

static void parse_ipv6(struct frame *frame)
{
    const uint8_t *ip = frame->data + frame->l3;
    uint32_t room = frame->length - frame->l3;
    if (room < IPV6_HEADER || ip[0] >> 4 != 6)
        return;
    uint32_t total = IPV6_HEADER + frame_u16(ip + 4);
    frame->family = 6;
    frame->protocol = ip[6];
    frame->end = frame->l3 + (total < room ? total : room);
    uint32_t l4 = skip_extensions(frame, frame->l3 + IPV6_HEADER);
    frame->l4 = l4 <= frame->end ? l4 : 0;
}

void frame_parse(struct frame *frame, const uint8_t *data, uint32_t length)
{
    uint32_t at = FRAME_ETHERNET - 2;
    *frame = (struct frame){ .data = data, .length = length };
    for (int tags = 0; at + 2 <= length; tags++, at += 4) {
        frame->ethertype = frame_u16(data + at);
        if ((frame->ethertype != 0x8100 && frame->ethertype != 0x88a8) ||
            tags == TAGS_MAX)
            break;
    }
    if (at + 2 > length)
        return;
    frame->l3 = at + 2;
    if (frame->ethertype == 0x0800)
        parse_ipv4(frame);
    else if (frame->ethertype == 0x86dd)
        parse_ipv6(frame);
    if (frame->l4)
        parse_transport(frame);
}

void frame_parse_ip(struct frame *frame, const uint8_t *data, uint32_t length,
                    uint32_t l3)
{
    *frame = (struct frame){ .data = data, .length = length, .l3 = l3 };
    if (l3 < length && data[l3] >> 4 == 4)
        parse_ipv4(frame);
    else if (l3 < length)
        parse_ipv6(frame);
    if (frame->l4)
        parse_transport(frame);
}

uint64_t frame_flow(const struct frame *frame)
{
    if (!frame->family)
        return 0;
    uint64_t hash = hash_mix(frame->family, frame->protocol);
    hash = hash_bytes(hash, frame->data + frame_addresses(frame),
                      2 * frame_address_size(frame));
    if (frame->payload)
        hash = hash_bytes(hash, frame->data + frame->l4, 4);
    return hash | 1;
}

uint64_t frame_content(const struct frame *frame)
{
    if (!frame->family)
        return hash_bytes(1, frame->data, frame->length);
    uint64_t hash = hash_mix(frame_flow(frame), frame->end - frame->l3);
    const uint8_t *l4 = frame->data + frame->l4;
    uint32_t from = frame->payload;
    if (frame_is_tcp(frame)) { /* sequence number and flags */
        hash = hash_bytes(hash, l4 + 4, 4);
        hash = hash_mix(hash, l4[13]);
        if (!frame_payload_length(
                frame)) /* a pure acknowledgement is what it acknowledges */
            hash = hash_bytes(hash, l4 + 8, 4);
    } else if (!from) {
        uint32_t skip = frame->protocol == FRAME_ICMP || frame->protocol == FRAME_ICMPV6
                            ? ICMP_HEADER
                            : 0;
        from = frame->l4 ? frame->l4 + skip : frame->l3 + (frame->family == 4 ? 20 : 40);
    }
    return from < frame->end ? hash_bytes(hash, frame->data + from, frame->end - from)
                             : hash;
}

static void fix_lengths(const struct frame *frame, uint8_t *data)
{
    uint32_t total = frame->length - frame->l3;
    if (frame->family == 4)
        frame_put16(data + frame->l3 + 2, total);
    else
        frame_put16(data + frame->l3 + 4, total - IPV6_HEADER);
    if (frame->protocol == FRAME_UDP && frame->l4 &&
        frame->l4 + UDP_HEADER <= frame->length)
        frame_put16(data + frame->l4 + 4, frame->length - frame->l4);
}

uint32_t frame_checksum_offset(const struct frame *frame)
{
    switch (frame->protocol) {
    case FRAME_TCP:
        return 16;
    case FRAME_UDP:
        return 6;
    case FRAME_ICMP:
        return frame->family == 4 ? 2 : 0;
    case FRAME_ICMPV6:
        return frame->family == 6 ? 2 : 0;
    default:
        return 0;
    }
}

static void fix_transport(const struct frame *frame, uint8_t *data, uint32_t end)
{
    uint32_t at = frame_checksum_offset(frame), length = end - frame->l4;
    if (!at || frame->l4 + at + 2 > end)
        return;
    uint8_t *field = data + frame->l4 + at;
    const uint8_t *addresses = data + frame_addresses(frame);
    bool none = frame->protocol == FRAME_UDP && !field[0] && !field[1];
    if (none && frame->family == 4)
        return;
    field[0] = field[1] = 0;
    uint64_t sum = 0;
    if (frame->family == 6)
        sum = checksum_pseudo6(addresses, frame->protocol, length);
    else if (frame->protocol != FRAME_ICMP)
        sum = checksum_pseudo4(addresses, frame->protocol, length);
    uint16_t checksum = checksum_fold(checksum_sum(data + frame->l4, length, sum));
    if (!checksum && frame->protocol == FRAME_UDP)
        checksum = 0xffff;
    memcpy(field, &checksum, sizeof(checksum));
}

void frame_fix(const struct frame *frame, uint8_t *data, bool lengths, bool l4)
{
    if (!frame->family)
        return;
    if (lengths)
        fix_lengths(frame, data);
    if (frame->family == 4) {
        uint8_t *ip = data + frame->l3;
        uint32_t header = (uint32_t)(ip[0] & 15) * 4;
        if (header < IPV4_HEADER || frame->l3 + header > frame->length)
            return;
        ip[10] = ip[11] = 0;
        uint16_t checksum = checksum_fold(checksum_sum(ip, header, 0));
        memcpy(ip + 10, &checksum, sizeof(checksum));
    }
    if (l4 && frame->l4 && !frame->fragment)
        fix_transport(frame, data, lengths ? frame->length : frame->end);
}
