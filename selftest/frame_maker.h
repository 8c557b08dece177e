/* frame_maker: frames with TCP, UDP or ICMP in IPv4 or IPv6, and an independent look at them.
 *
 *   frame_make       a frame as described
 *   frame_turn_round   it becomes the answer to itself
 *   frame_wrap       a frame in a VXLAN tunnel
 *   frame_look       where its parts are
 *   frame_number     the number that its payload begins with
 *   frame_problem    NULL, or what is wrong with a frame: lengths and checksums
 *
 * Shares nothing with lib/ on purpose.
 */
#pragma once
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "selftest/segment_check.h"

#define FRAME_MOST 2048

enum { IS_ICMP = 1, IS_TCP = 6, IS_UDP = 17, IS_ICMP6 = 58 };
enum { IS_FIN = 1, IS_SYN = 2, IS_RST = 4, IS_PSH = 8, IS_ACK = 16 };

struct made {
    bool v6;
    uint8_t protocol;         /* 0: UDP; IS_ICMP is ICMPv6 with v6 */
    uint8_t tags;             /* VLAN */
    uint8_t options;          /* words behind the IPv4 header */
    uint8_t flags, ecn, type; /* TCP; IP; ICMP, 0: an echo request */
    uint8_t host;             /* last byte of the source address */
    uint16_t from, to; /* ports; 0: 1000 and 2000; from is the identifier of ICMP */
    uint32_t seq, ack;
    uint32_t payload; /* bytes */
    uint64_t number;  /* with which that begins, where it has room */
};

struct look {
    uint32_t l3, l4, payload, end;
    uint8_t protocol;
    bool v6;
};

static inline void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value);
}

static inline uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static inline uint32_t get32(const uint8_t *at)
{
    return get16(at) << 16 | get16(at + 2);
}

static inline struct look frame_look(const uint8_t *frame, uint32_t length)
{
    struct look look = { .l3 = 14 };
    while (get16(frame + look.l3 - 2) == 0x8100 || get16(frame + look.l3 - 2) == 0x88a8)
        look.l3 += 4;
    const uint8_t *ip = frame + look.l3;
    look.v6 = get16(frame + look.l3 - 2) == 0x86dd;
    look.protocol = look.v6 ? ip[6] : ip[9];
    look.l4 = look.l3 + (look.v6 ? 40 : 4u * (ip[0] & 15));
    look.end = look.l3 + (look.v6 ? 40 + get16(ip + 4) : get16(ip + 2));
    look.end = look.end < length ? look.end : length;
    look.payload =
        look.l4 + (look.protocol == IS_TCP ? 4u * (frame[look.l4 + 12] >> 4) : 8);
    return look;
}

/* Of the checksum in the transport header: 0xffff when it is right. */
static inline uint32_t transport_sum(const uint8_t *frame, const struct look *look)
{
    uint32_t length = look->end - look->l4, sum = 0;
    uint8_t rest[4] = { 0, look->protocol, (uint8_t)(length >> 8), (uint8_t)length };
    if (look->protocol != IS_ICMP) {
        sum = naive_sum(frame + look->l3 + (look->v6 ? 8 : 12), look->v6 ? 32 : 8, 0);
        sum = naive_sum(rest, sizeof(rest), sum);
    }
    return naive_sum(frame + look->l4, length, sum);
}

static inline const char *frame_problem(const uint8_t *frame, uint32_t length)
{
    struct look look = frame_look(frame, length);
    const uint8_t *ip = frame + look.l3;
    if (look.v6 ? get16(ip + 4) + 40 != length - look.l3
                : get16(ip + 2) != length - look.l3)
        return "IP length";
    if (!look.v6 && naive_sum(ip, look.l4 - look.l3, 0) != 0xffff)
        return "IPv4 checksum";
    if (look.protocol == IS_UDP && get16(frame + look.l4 + 4) != length - look.l4)
        return "UDP length";
    return transport_sum(frame, &look) == 0xffff ? NULL : "transport checksum";
}

static inline uint64_t frame_number(const uint8_t *frame, uint32_t length)
{
    struct look look = frame_look(frame, length);
    uint64_t number = 0;
    for (uint32_t i = 0; i < 8 && look.payload + i < look.end; i++)
        number |= (uint64_t)frame[look.payload + i] << 8 * i;
    return number;
}

static inline uint32_t make_ip(uint8_t *ip, const struct made *made, uint8_t protocol,
                               uint32_t size)
{
    if (made->v6) {
        ip[0] = 0x60;
        ip[1] = (uint8_t)(made->ecn << 4);
        put16(ip + 4, size);
        ip[6] = protocol;
        ip[7] = 60;
        memcpy(ip + 8, "\x20\x01\x0d\xb8", 4);
        memcpy(ip + 24, "\x20\x01\x0d\xb8", 4);
        ip[23] = made->host ? made->host : 1;
        ip[39] = 77;
        return 40;
    }
    uint32_t header = 20 + 4u * made->options;
    ip[0] = (uint8_t)(0x40 | header / 4);
    ip[1] = made->ecn;
    put16(ip + 2, header + size);
    ip[4] = 0x12;
    ip[6] = 0x40; /* don't fragment */
    ip[8] = 60;
    ip[9] = protocol;
    memcpy(ip + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x4d", 8);
    ip[15] = made->host ? made->host : 1;
    memset(ip + 20, 1, header - 20);
    put16(ip + 10, ~naive_sum(ip, header, 0));
    return header;
}

static inline uint32_t make_transport(uint8_t *l4, const struct made *made,
                                      uint8_t protocol)
{
    uint32_t header = protocol == IS_TCP ? 20 : 8;
    if (protocol == IS_TCP || protocol == IS_UDP) {
        put16(l4, made->from ? made->from : 1000);
        put16(l4 + 2, made->to ? made->to : 2000);
    } else {
        l4[0] = made->type ? made->type : made->v6 ? 128 : 8;
        put16(l4 + 4, made->from);
    }
    if (protocol == IS_TCP) {
        put32(l4 + 4, made->seq);
        put32(l4 + 8, made->ack);
        l4[12] = 0x50;
        l4[13] = made->flags;
        put16(l4 + 14, 501);
    } else if (protocol == IS_UDP) {
        put16(l4 + 4, 8 + made->payload);
    }
    for (uint32_t i = 0; i < made->payload; i++)
        l4[header + i] = (uint8_t)(i < 8 && made->payload >= 8 ? made->number >> 8 * i
                                                               : made->number + 7 * i);
    return header;
}

/* Returns its length; frame has FRAME_MOST bytes. */
static inline uint32_t frame_make(uint8_t *frame, const struct made *made)
{
    uint8_t protocol = made->protocol ? made->protocol : IS_UDP;
    protocol = protocol == IS_ICMP && made->v6 ? IS_ICMP6 : protocol;
    uint32_t size = (protocol == IS_TCP ? 20 : 8) + made->payload, l3 = 14;
    memset(frame, 0, FRAME_MOST);
    memcpy(frame, "\x02\0\0\0\0\x02\x02\0\0\0\0\x01", 12);
    for (int i = 0; i < made->tags; i++, l3 += 4) {
        put16(frame + l3 - 2, i + 1 < made->tags ? 0x88a8 : 0x8100);
        put16(frame + l3, 7 + (uint32_t)i);
    }
    put16(frame + l3 - 2, made->v6 ? 0x86dd : 0x0800);
    uint32_t l4 = l3 + make_ip(frame + l3, made, protocol, size);
    make_transport(frame + l4, made, protocol);
    struct look look = frame_look(frame, l4 + size);
    uint32_t at = protocol == IS_TCP ? 16 : protocol == IS_UDP ? 6 : 2;
    uint32_t sum = ~transport_sum(frame, &look) & 0xffff;
    put16(frame + l4 + at, sum || protocol != IS_UDP ? sum : 0xffff);
    return l4 + size;
}

/* The frame that answers another: both ends change places, which changes no checksum; an echo
 * request becomes the reply, which does. */
static inline void frame_turn_round(uint8_t *frame, uint32_t length)
{
    struct look look = frame_look(frame, length);
    uint32_t size = look.v6 ? 16 : 4;
    uint8_t *from = frame + look.l3 + (look.v6 ? 8 : 12), kept[16];
    memcpy(kept, from, size);
    memcpy(from, from + size, size);
    memcpy(from + size, kept, size);
    memcpy(kept, frame, 6);
    memcpy(frame, frame + 6, 6);
    memcpy(frame + 6, kept, 6);
    uint8_t *l4 = frame + look.l4;
    if (look.protocol == IS_TCP || look.protocol == IS_UDP) {
        memcpy(kept, l4, 2);
        memcpy(l4, l4 + 2, 2);
        memcpy(l4 + 2, kept, 2);
        return;
    }
    l4[0] = look.v6 ? 129 : 0;
    put16(l4 + 2, 0);
    put16(l4 + 2, ~transport_sum(frame, &look));
}

/* --- tunnels ------------------------------------------------------------------------- */

struct tunnel {
    bool v6;
    uint32_t vni;
    uint16_t port; /* 0: 4789 */
    uint8_t host;  /* last byte of the outer source */
};

/* Ethernet, IP, UDP and VXLAN around a frame, as kernels send them: no checksum over IPv4. Returns
 * the length. */
static inline uint32_t frame_wrap(uint8_t *out, const struct tunnel *tunnel,
                                  const uint8_t *inner, uint32_t length)
{
    struct made made = { .v6 = tunnel->v6,
                         .host = tunnel->host,
                         .from = 50000,
                         .to = tunnel->port ? tunnel->port : 4789 };
    uint32_t header = frame_make(out, &made);
    uint32_t l3 = 14, l4 = header - 8;
    memset(out + header, 0, 8);
    out[header] = 8;
    put32(out + header + 4, tunnel->vni << 8);
    memcpy(out + header + 8, inner, length);
    put16(out + l4 + 4, 16 + length);
    put16(out + l4 + 6, 0);
    if (tunnel->v6) {
        put16(out + l3 + 4, 16 + length);
        struct look look = frame_look(out, header + 8 + length);
        put16(out + l4 + 6, ~transport_sum(out, &look));
    } else {
        put16(out + l3 + 2, 36 + length);
        put16(out + l3 + 10, 0);
        put16(out + l3 + 10, ~naive_sum(out + l3, 20, 0));
    }
    return header + 8 + length;
}
