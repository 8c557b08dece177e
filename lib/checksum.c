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

/* Where the header behind the tags begins and what it is; 0 when the frame is cut off. */
static size_t skip_tags(const uint8_t *frame, size_t length, uint16_t *type)
{
    size_t at = 14;
    for (int tags = 0; at + 4 <= length; tags++, at += 4) {
        *type = (uint16_t)(frame[at - 2] << 8 | frame[at - 1]);
        if ((*type != 0x8100 && *type != 0x88a8) || tags == 3)
            return at;
    }
    return 0;
}

bool checksum_find_partial(const uint8_t *frame, size_t length, size_t *csum_start,
                           size_t *csum_offset)
{
    uint16_t type, field;
    uint64_t sum;
    uint8_t protocol;
    size_t start, at = skip_tags(frame, length, &type);
    const uint8_t *ip = frame + at;
    if (at && type == 0x0800 && length - at >= 20 && ip[0] >> 4 == 4) {
        size_t header = (ip[0] & 15) * 4u, total = (size_t)(ip[2] << 8 | ip[3]);
        if (total < header || (ip[6] & 0x3f) | ip[7])
            return false;
        protocol = ip[9];
        start = at + header;
        sum = checksum_pseudo4(ip + 12, protocol, (uint32_t)(total - header));
    } else if (at && type == 0x86dd && length - at >= 40 && ip[0] >> 4 == 6) {
        protocol = ip[6];
        start = at + 40;
        sum = checksum_pseudo6(ip + 8, protocol, (uint32_t)(ip[4] << 8 | ip[5]));
    } else {
        return false;
    }
    size_t offset = protocol == 6 ? 16 : 6;
    if ((protocol != 6 && protocol != 17) || start + offset + 2 > length)
        return false;
    memcpy(&field, frame + start + offset, 2);
    uint16_t open = (uint16_t)~checksum_fold(sum);
    if (field != open)
        return false;
    *csum_start = start;
    *csum_offset = offset;
    return true;
}
