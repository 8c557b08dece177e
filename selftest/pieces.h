/* pieces: IP packets, and fragments of them.
 *
 *   piece_make   bytes `from` to `to` of a packet's payload as a fragment
 *
 * Shares nothing with lib/ on purpose.
 */
#pragma once
#include "selftest/frame_maker.h"

#define PIECE_MOST 66000

/* Of the whole packet at ip, whose header (IPv6 extension headers that stay in front included) has
 * `header` bytes. Returns the fragment's length. */
static inline uint32_t piece_make(uint8_t *to, const uint8_t *ip, uint32_t header,
                                  uint32_t from, uint32_t end, bool more, uint32_t id)
{
    bool v6 = ip[0] >> 4 == 6;
    uint32_t size = end - from, at = header;
    memcpy(to, ip, header);
    if (v6) {
        uint32_t next = 6;
        for (uint32_t i = 40; i < header; i += 8u * (to[i + 1] + 1u))
            next = i;
        memset(to + header, 0, 8);
        to[header] = to[next];
        to[next] = 44;
        put16(to + header + 2, from | more);
        put32(to + header + 4, id);
        at = header + 8;
        put16(to + 4, at + size - 40);
    } else {
        put16(to + 2, at + size);
        put16(to + 4, id);
        put16(to + 6, (more ? 0x2000u : 0) | from / 8);
        put16(to + 10, 0);
        put16(to + 10, ~naive_sum(to, header, 0));
    }
    memcpy(to + at, ip + header + from, size);
    return at + size;
}
