/* super_frame: a TCP super-frame, as a kernel hands it over, for tests.
 *
 *   super_frame   the bytes, and what is said of them
 */
#pragma once
#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "selftest/segment_check.h"

#define SUPER_HEADERS(TAG) ((TAG) ? 58u : 54u) /* Ethernet, tag, IPv4, TCP */

/* IPv4 from 10.0.0.1 to 10.0.0.2, with one VLAN tag (id 7) or without; the payload is
 * random bytes in the eyes of most: byte i is a hash of i. Its checksum field has the sum
 * of the pseudo header. */
static inline size_t super_frame(uint8_t *at, bool tag, uint32_t payload,
                                 uint16_t segment, struct virtio_net_hdr *vnet)
{
    static const uint8_t addresses[] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1 };
    static const uint8_t headers[] = { 0x08, 0x00, 0x45, 0, 0, 0,  0x12, 0x34, 0x40,
                                       0,    64,   6,    0, 0, 10, 0,    0,    1,
                                       10,   0,    0,    2, 0, 1,  0,    2,    1,
                                       2,    3,    4,    0, 0, 0,  0,    0x50, 0x18,
                                       1,    0,    0,    0, 0, 0 };
    uint16_t l3 = tag ? 18 : 14, length = (uint16_t)(40 + payload),
             tcp_length = (uint16_t)(20 + payload);
    *vnet = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                     .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                     .hdr_len = (uint16_t)(l3 + 40),
                                     .gso_size = segment,
                                     .csum_start = (uint16_t)(l3 + 20),
                                     .csum_offset = 16 };
    memcpy(at, addresses, sizeof(addresses));
    memcpy(at + 12, "\x81\x00\x00\x07", tag ? 4 : 0);
    memcpy(at + l3 - 2, headers, sizeof(headers));
    at[l3 + 2] = (uint8_t)(length >> 8);
    at[l3 + 3] = (uint8_t)length;
    uint32_t ip = ~naive_sum(at + l3, 20, 0);
    at[l3 + 10] = (uint8_t)(ip >> 8);
    at[l3 + 11] = (uint8_t)ip;
    uint8_t pseudo[] = { 0, 6, (uint8_t)(tcp_length >> 8), (uint8_t)tcp_length };
    uint32_t sum = naive_sum(pseudo, sizeof(pseudo), naive_sum(at + l3 + 12, 8, 0));
    at[l3 + 36] = (uint8_t)(sum >> 8);
    at[l3 + 37] = (uint8_t)sum;
    for (uint32_t i = 0; i < payload; i++)
        at[l3 + 40 + i] = (uint8_t)(i * 2654435761u >> 24);
    return l3 + length;
}
