/* answer: packets that a router or a firewall on the way makes of one that passes. */
#include "apps/clumsy/answer.h"

#include <string.h>

#define IPV4_HEADER  20
#define IPV6_HEADER  40
#define TCP_HEADER   20
#define ICMP_HEADER  8
#define HOPS         64
#define IPV6_LEAST   1280 /* an ICMPv6 error fits into this: RFC 4443, 2.4 */
#define IPV4_QUOTED  548  /* an ICMP error is at most 576 long: RFC 1812, 4.3.2.3 */
#define TYPE_TOO_BIG 2
#define UNREACHABLE  3
#define FRAG_NEEDED  4

/* The link-layer header, tags included. */
static void write_link(const struct frame *frame, bool backwards, uint8_t *out)
{
    memcpy(out, frame->data, frame->l3);
    if (backwards) {
        memcpy(out, frame->data + 6, 6);
        memcpy(out + 6, frame->data, 6);
    }
}

/* An IP header before size bytes of a protocol; returns its length. */
static uint32_t write_ip(const struct frame *frame, bool backwards, uint8_t protocol,
                         uint32_t size, uint8_t *out)
{
    uint8_t *ip = out + frame->l3;
    uint32_t header = frame->family == 4 ? IPV4_HEADER : IPV6_HEADER;
    uint32_t width = frame_address_size(frame);
    const uint8_t *source = frame->data + frame_addresses(frame);
    memset(ip, 0, header);
    if (frame->family == 4) {
        ip[0] = 0x45;
        frame_put16(ip + 2, header + size);
        frame_put16(ip + 6, 0x4000);
        ip[8] = HOPS;
        ip[9] = protocol;
    } else {
        ip[0] = 0x60;
        frame_put16(ip + 4, size);
        ip[6] = protocol;
        ip[7] = HOPS;
    }
    uint8_t *addresses = out + frame_addresses(frame);
    memcpy(addresses, backwards ? source + width : source, width);
    memcpy(addresses + width, backwards ? source : source + width, width);
    return header;
}

static void finish(uint8_t *out, uint32_t length)
{
    struct frame frame;
    frame_parse(&frame, out, length);
    frame_fix(&frame, out, false, true);
}

uint32_t answer_reset(const struct frame *frame, bool backwards, uint8_t *out)
{
    const uint8_t *in = frame->data + frame->l4;
    write_link(frame, backwards, out);
    uint32_t header = write_ip(frame, backwards, FRAME_TCP, TCP_HEADER, out);
    uint8_t *tcp = out + frame->l3 + header;
    uint32_t flags = frame_tcp_flags(frame), acknowledged = frame_tcp_acknowledged(frame);
    uint32_t next = frame_tcp_sequence(frame) + frame_payload_length(frame) +
                    !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
    memset(tcp, 0, TCP_HEADER);
    memcpy(tcp, backwards ? in + 2 : in, 2);
    memcpy(tcp + 2, backwards ? in : in + 2, 2);
    frame_put32(tcp + 4, backwards ? acknowledged : frame_tcp_sequence(frame));
    frame_put32(tcp + 8, backwards ? next : acknowledged);
    tcp[12] = TCP_HEADER / 4 << 4;
    tcp[13] = TCP_RST | TCP_ACK;
    uint32_t length = frame->l3 + header + TCP_HEADER;
    finish(out, length);
    return length;
}

static bool is_multicast(const struct frame *frame)
{
    const uint8_t *to = frame->data + frame_addresses(frame) + frame_address_size(frame);
    return frame->data[0] & 1 || (frame->family == 4 ? to[0] >= 224 : to[0] == 0xff);
}

/* Is it an ICMP message that reports an error? */
static bool is_error(const struct frame *frame)
{
    if (!frame->l4 || frame->l4 >= frame->end)
        return false;
    uint8_t type = frame->data[frame->l4];
    if (frame->family == 4)
        return frame->protocol == FRAME_ICMP && type != 0 && type != 8;
    return frame->protocol == FRAME_ICMPV6 && type < 128;
}

uint32_t answer_too_big(const struct frame *frame, uint32_t mtu, uint8_t *out)
{
    bool v4 = frame->family == 4;
    if (!frame->family || !frame->l4 || is_multicast(frame) || is_error(frame))
        return 0;
    uint32_t quoted = frame->end - frame->l3;
    uint32_t most = v4 ? IPV4_QUOTED : IPV6_LEAST - IPV6_HEADER - ICMP_HEADER;
    quoted = quoted < most ? quoted : most;
    write_link(frame, true, out);
    uint32_t header =
        write_ip(frame, true, v4 ? FRAME_ICMP : FRAME_ICMPV6, ICMP_HEADER + quoted, out);
    uint8_t *icmp = out + frame->l3 + header;
    memset(icmp, 0, ICMP_HEADER);
    icmp[0] = v4 ? UNREACHABLE : TYPE_TOO_BIG;
    icmp[1] = v4 ? FRAG_NEEDED : 0;
    if (v4)
        frame_put16(icmp + 6, mtu);
    else
        frame_put32(icmp + 4, mtu);
    memcpy(icmp + ICMP_HEADER, frame->data + frame->l3, quoted);
    uint32_t length = frame->l3 + header + ICMP_HEADER + quoted;
    finish(out, length);
    return length;
}

void answer_flip(const struct frame *frame, uint8_t *data)
{
    data[frame->l4 + 13] |= TCP_RST;
    frame_fix(frame, data, false, true);
}
