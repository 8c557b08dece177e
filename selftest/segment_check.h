/* segment_check: an independent look at a frame that segmentation made.
 *
 *   naive_sum        one's complement sum of bytes, two at a time
 *   segment_check    NULL, or what is wrong with an Ethernet frame with TCP or UDP in it
 *
 * Shares nothing with lib/ on purpose: used by the segment suite and the segment fuzzer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

static inline uint32_t naive_sum(const uint8_t *bytes, size_t length, uint32_t sum)
{
    for (size_t i = 0; i < length; i++) {
        sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static inline const char *segment_check_l4(const uint8_t *l4, size_t length,
                                           uint8_t protocol, const uint8_t *addresses,
                                           size_t addresses_size)
{
    uint8_t pseudo[4] = { 0, protocol, (uint8_t)(length >> 8), (uint8_t)length };
    uint32_t sum = naive_sum(addresses, addresses_size, 0);

    sum = naive_sum(pseudo, sizeof(pseudo), sum);
    if (naive_sum(l4, length, sum) != 0xffff)
        return "TCP or UDP checksum";
    if (protocol == 6)
        return length >= 20 && length >= (size_t)(l4[12] >> 4) * 4 ? NULL : "TCP offset";
    if (protocol != 17)
        return "neither TCP nor UDP";
    if ((size_t)(l4[4] << 8 | l4[5]) != length)
        return "UDP length";
    return l4[6] || l4[7] ? NULL : "UDP checksum 0";
}

static inline const char *segment_check_ipv4(const uint8_t *ip, size_t length)
{
    size_t header = length >= 20 ? (size_t)(ip[0] & 15) * 4 : 0;

    if (header < 20 || header > length || ip[0] >> 4 != 4)
        return "IPv4 header";
    if ((size_t)(ip[2] << 8 | ip[3]) != length)
        return "IPv4 total length";
    if (naive_sum(ip, header, 0) != 0xffff)
        return "IPv4 header checksum";
    return segment_check_l4(ip + header, length - header, ip[9], ip + 12, 8);
}

static inline const char *segment_check_ipv6(const uint8_t *ip, size_t length)
{
    if (length < 40 || ip[0] >> 4 != 6)
        return "IPv6 header";
    if ((size_t)(ip[4] << 8 | ip[5]) != length - 40)
        return "IPv6 payload length";
    size_t at = 40;
    uint8_t next = ip[6];
    while (next == 0 || next == 43 || next == 60) {
        if (length - at < 8 || length - at < 8 + (size_t)ip[at + 1] * 8)
            return "IPv6 extension header";
        if (next == 0 && ip[at + 1] == 0 && ip[at + 2] == 0xc2 && ip[at + 3] == 4)
            return "jumbo option";
        next = ip[at];
        at += 8 + (size_t)ip[at + 1] * 8;
    }
    return segment_check_l4(ip + at, length - at, next, ip + 8, 32);
}

static inline const char *segment_check(const uint8_t *frame, size_t length)
{
    size_t at = 12;
    while (length >= at + 4 && ((frame[at] == 0x81 && frame[at + 1] == 0x00) ||
                                (frame[at] == 0x88 && frame[at + 1] == 0xa8)))
        at += 4;
    if (length < at + 2)
        return "Ethernet header";
    unsigned type = (unsigned)(frame[at] << 8 | frame[at + 1]);
    at += 2;
    if (type == 0x0800)
        return segment_check_ipv4(frame + at, length - at);
    if (type == 0x86dd)
        return segment_check_ipv6(frame + at, length - at);
    return "EtherType";
}
