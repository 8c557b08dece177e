/* checksum: the Internet checksum (RFC 1071).
 *
 * The message is summed as 32-bit words in 64-bit accumulators, so that no carry is lost
 * and none looked at before the end. Compilers make vector code of the block loop.
 */
#include "lib/checksum.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define CHECKSUM_BLOCK      64 /* bytes per turn of the loop */
#define CHECKSUM_UDP_OFFSET 6  /* of the checksum in a UDP header */

/* Fewer than eight bytes, then zeros: as in memory, so right on either byte order. */
static inline uint64_t load_rest(const uint8_t *at, size_t length)
{
    uint8_t word[8] = { 0 };
    uint64_t value;
    size_t used = 0;

    if (length & 4) {
        memcpy(word, at, 4);
        used = 4;
    }
    if (length & 2) {
        memcpy(word + used, at + used, 2);
        used += 2;
    }
    if (length & 1)
        word[used] = at[used];
    memcpy(&value, word, sizeof(value));
    return value;
}

/* Keeps a partial sum so small that adding others to it cannot overflow. */
static inline uint64_t shorten(uint64_t sum)
{
    return (sum & 0xffffffff) + (sum >> 32);
}

uint64_t checksum_sum(const void *data, size_t length, uint64_t sum)
{
    const uint8_t *at = data;
    uint64_t low[4] = { 0 }, high[4] = { 0 };
    uint64_t word[CHECKSUM_BLOCK / 8];

    for (; length >= CHECKSUM_BLOCK; at += CHECKSUM_BLOCK, length -= CHECKSUM_BLOCK) {
        memcpy(word, at, sizeof(word));
        for (int i = 0; i < CHECKSUM_BLOCK / 8; i++) {
            low[i & 3] += word[i] & 0xffffffff;
            high[i & 3] += word[i] >> 32;
        }
    }
    uint64_t total = shorten(sum);
    for (int i = 0; i < 4; i++)
        total += low[i] + high[i];
    for (; length >= 8; at += 8, length -= 8) {
        memcpy(word, at, 8);
        total += (word[0] & 0xffffffff) + (word[0] >> 32);
    }
    if (length)
        total += shorten(load_rest(at, length));
    return shorten(total);
}

static uint64_t sum_pseudo(const void *addresses, size_t size, uint8_t protocol,
                           uint32_t length)
{
    return checksum_sum(addresses, size, (uint64_t)htonl(length) + htonl(protocol));
}

uint64_t checksum_pseudo4(const void *addresses, uint8_t protocol, uint32_t length)
{
    return sum_pseudo(addresses, 8, protocol, length);
}

uint64_t checksum_pseudo6(const void *addresses, uint8_t protocol, uint32_t length)
{
    return sum_pseudo(addresses, 32, protocol, length);
}

int checksum_complete(uint8_t *frame, size_t length, size_t csum_start,
                      size_t csum_offset)
{
    if (csum_start > length || csum_offset > length - csum_start ||
        length - csum_start - csum_offset < 2 || csum_offset % 2)
        return -EINVAL;
    uint16_t checksum =
        checksum_fold(checksum_sum(frame + csum_start, length - csum_start, 0));
    if (checksum == 0 && csum_offset == CHECKSUM_UDP_OFFSET)
        checksum = 0xffff;
    memcpy(frame + csum_start + csum_offset, &checksum, sizeof(checksum));
    return 0;
}
