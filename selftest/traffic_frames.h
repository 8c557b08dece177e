/* traffic_frames: frames and expressions to compare filters by. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/random.h"

/* Expressions that mean the same to both, on frames without tags and extension headers. */
static const char *const expressions[] = {
    "udp dst port 4789",
    "tcp",
    "udp",
    "icmp or icmp6",
    "arp",
    "ip",
    "ip6",
    "sctp",
    "ip proto 47",
    "ether proto 0x88b5",
    "port 53",
    "src port 53",
    "tcp dst portrange 5-2000",
    "host 10.0.0.1",
    "src host 10.0.0.2",
    "dst net 10.0.0.0/31",
    "net 10.0.0.0/9",
    "src net fe80::/10",
    "host fe80::1",
    "not udp",
    "not (udp or tcp)",
    "not port 53 and not arp",
    "udp and src net 10.0.0.0/8 and dst port 53",
    "udp dst port 53 or tcp dst port 80 or icmp",
    "udp or tcp and port 53", /* and and or are equal, from left to right */
    "(udp port 53 and host 10.0.0.1) or (tcp and not (port 80 or port 53))",
    "! (tcp && dst port 80) || src host fe80::2",
    "not not tcp",
    "ip6 and (udp or tcp) and not (dst port 53 or src port 80)",
};
#define EXPRESSIONS (sizeof(expressions) / sizeof(expressions[0]))

static uint64_t draws;

static inline uint32_t below(uint32_t n)
{
    static struct random_key key;
    if (!draws)
        key = random_key(7, "traffic_match", "frames");
    return (uint32_t)(random_draw(&key, draws++) % n);
}

static inline uint8_t *ip4_header(uint8_t *ip, uint8_t protocol)
{
    uint8_t words = (uint8_t)(5 + below(3));
    ip[0] = (uint8_t)(0x40 | words);
    ip[7] = !below(8); /* a later fragment */
    ip[9] = protocol;
    ip[12] = below(4) ? 10 : 11;
    ip[15] = (uint8_t)below(4);
    ip[16] = 10;
    ip[19] = (uint8_t)below(3);
    return ip + 4 * words;
}

static inline uint8_t *ip6_header(uint8_t *ip, uint8_t protocol)
{
    ip[0] = 0x60;
    ip[6] = protocol;
    memcpy(ip + 8, "\xfe\x80", 2);
    ip[23] = (uint8_t)below(4);
    ip[24] = below(2) ? 0xfe : 0x20;
    ip[25] = 0x80;
    ip[39] = (uint8_t)below(3);
    return ip + 40;
}

#define FRAME 160

/* A frame whose fields are often those that are asked for. */
static inline void some_frame(uint8_t *frame)
{
    static const uint16_t ports[] = { 53, 80, 4789, 4, 5, 2000, 2001, 65535 };
    static const uint8_t protocols[] = { 6, 17, 1, 58, 47, 132 };
    uint8_t protocol = protocols[below(sizeof(protocols))];
    memset(frame, 0, FRAME);
    bool v6 = below(2);
    memcpy(frame + 12, v6 ? "\x86\xdd" : "\x08\x00", 2);
    uint8_t *l4 =
        v6 ? ip6_header(frame + 14, protocol) : ip4_header(frame + 14, protocol);
    for (int i = 0; i < 2; i++) {
        uint16_t port = ports[below(8)];
        l4[2 * i] = (uint8_t)(port >> 8);
        l4[2 * i + 1] = (uint8_t)port;
    }
    if (!below(10))
        memcpy(frame + 12, below(2) ? "\x08\x06" : "\x88\xb5", 2);
}

/* Puts bytes into a frame, moving what is behind them. */
static inline void insert(uint8_t *frame, size_t at, const void *bytes, size_t n)
{
    memmove(frame + at + n, frame + at, FRAME - at - n);
    memcpy(frame + at, bytes, n);
}
