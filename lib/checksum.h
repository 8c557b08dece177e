/* checksum: the Internet checksum (RFC 1071), whole, in parts and incrementally (RFC
 * 1624).
 *
 *   checksum_sum        add bytes to a partial sum
 *   checksum_fold       a partial sum becomes the 16 bits that go into the header
 *   checksum_pseudo4    partial sum of the IPv4 pseudo header of TCP and UDP
 *   checksum_pseudo6    the same for IPv6
 *   checksum_update16   new checksum after a 16-bit field changed
 *   checksum_update32   new checksum after a 32-bit field changed
 *   checksum_replace    writes bytes that a checksum covers ...
 *   checksum_amend      ... and the checksum that follows from it
 *   checksum_amend_udp  ... that of UDP, of which there may be none
 *   checksum_complete   finish the partial checksum of a virtio_net_hdr
 *   checksum_find_partial   ... that nobody told us of
 *
 * A partial sum is a plain uint64_t that starts as 0. It is kept in the byte order of the
 * machine over the bytes as they lie in memory, which RFC 1071 shows to give the right
 * bytes in the end: nothing here is swapped, and a folded checksum is stored with memcpy.
 * Partial sums may be added to each other; each stays below 2^33, so that two billion
 * of them fit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Adds length bytes at any alignment to sum. An odd last byte counts as if a zero byte
 * followed it, so only the last part of a message may have an odd length. */
uint64_t checksum_sum(const void *data, size_t length, uint64_t sum);

/* addresses: source and destination as they follow each other in the IP header (8 bytes,
 * 32 for IPv6). length is that of the TCP or UDP header and its payload, host order. */
uint64_t checksum_pseudo4(const void *addresses, uint8_t protocol, uint32_t length);
uint64_t checksum_pseudo6(const void *addresses, uint8_t protocol, uint32_t length);

/* Completes in place the checksum that virtio_net_hdr calls partial (flag NEEDS_CSUM):
 * the 16 bits at csum_start + csum_offset hold the pseudo header's sum; everything from
 * csum_start to the end of the frame is summed. At offset 6 the field is UDP's, where
 * 0 would mean "no checksum" and 0xffff is stored instead (RFC 768).
 * Returns 0, or -EINVAL, the frame untouched, when the field does not lie within the
 * frame or is at an odd offset, where no 16-bit sum could be right. */
int checksum_complete(uint8_t *frame, size_t length, size_t csum_start,
                      size_t csum_offset);

/* Looks for a TCP or UDP checksum that was left to an interface to finish: one that holds the
 * sum of the pseudo header and nothing else. Frames that AF_XDP gets from a veth or a virtual
 * machine are so, and nothing says it. A checksum that is right may look the same, and then
 * completing changes nothing; a wrong one does with a probability of 2^-16. Looks behind up
 * to three VLAN tags, at IPv4 with options and IPv6 without extension headers; not at
 * fragments. Any bytes may come in. */
bool checksum_find_partial(const uint8_t *frame, size_t length, size_t *csum_start,
                           size_t *csum_offset);

/* The one's complement of sum folded to 16 bits, in network order, ready to store.
 * Summing a message that contains its valid checksum and folding gives 0. */
static inline uint16_t checksum_fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16); /* was at most 0x1fffe */
    return (uint16_t)~sum;
}

/* The checksum after the field changed from `from` to `to`; all three as they lie in the
 * header (network order), the field at an even offset of the message. This is equation 3
 * of RFC 1624. UDP is the caller's: a checksum of 0 stays, a result of 0 is stored as
 * 0xffff. */
static inline uint16_t checksum_update16(uint16_t checksum, uint16_t from, uint16_t to)
{
    return checksum_fold((uint64_t)(uint16_t)~checksum + (uint16_t)~from + to);
}

static inline uint16_t checksum_update32(uint16_t checksum, uint32_t from, uint32_t to)
{
    return checksum_fold((uint64_t)(uint16_t)~checksum + (uint32_t)~from + to);
}

/* Writes size bytes, an even number at an even offset of the message, over those that are there.
 * Returns what that adds to the message's sum; of several the sum is that of all. */
static inline uint64_t checksum_replace(uint8_t *at, const void *bytes, size_t size)
{
    uint64_t delta = 0;
    for (size_t i = 0; i < size; i += 2) {
        uint16_t from, to;
        memcpy(&from, at + i, 2);
        memcpy(&to, (const uint8_t *)bytes + i, 2);
        delta += (uint64_t)(uint16_t)~from + to;
    }
    memcpy(at, bytes, size);
    return delta;
}

/* The checksum that lies at `field` after the message's sum became greater by delta. */
static inline void checksum_amend(uint8_t *field, uint64_t delta)
{
    uint16_t checksum;
    memcpy(&checksum, field, 2);
    checksum = checksum_fold((uint64_t)(uint16_t)~checksum + delta);
    memcpy(field, &checksum, 2);
}

/* The same for UDP (RFC 768): 0 is no checksum and stays so, a result of 0 is stored as 0xffff. */
static inline void checksum_amend_udp(uint8_t *field, uint64_t delta)
{
    if (!(field[0] | field[1]))
        return;
    checksum_amend(field, delta);
    if (!(field[0] | field[1]))
        field[0] = field[1] = 0xff;
}
