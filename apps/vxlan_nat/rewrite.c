/* rewrite: an inner packet gets another destination; bytes in, bytes out. */
#include "apps/vxlan_nat/rewrite.h"

#include <string.h>

#include "lib/checksum.h"

#define PROTOCOL_TCP    6
#define PROTOCOL_UDP    17
#define PROTOCOL_ICMPV6 58
#define FLAG_DF         0x40
#define FLAG_MF         0x20
#define TCP_HEADER      20u
#define TCP_SUM         16
#define TCP_SYN         2
#define OPTION_END      0
#define OPTION_NOP      1
#define OPTION_MSS      2 /* of 4 bytes */

/* Offset of the checksum in the header of that protocol; 0: none that covers addresses. */
static uint32_t checksum_offset(uint8_t protocol)
{
    return protocol == PROTOCOL_TCP      ? 16
           : protocol == PROTOCOL_UDP    ? 6
           : protocol == PROTOCOL_ICMPV6 ? 2
                                         : 0;
}

static void update_l4(uint8_t *frame, const struct vxlan_frame *f, uint64_t delta)
{
    uint32_t offset = checksum_offset(f->protocol);
    if (!f->l4 || !offset || f->l4 + offset + 2 > f->end || !delta)
        return;
    if (f->protocol == PROTOCOL_UDP)
        checksum_amend_udp(frame + f->l4 + offset, delta);
    else
        checksum_amend(frame + f->l4 + offset, delta);
}

static uint64_t put_target(uint8_t *frame, const struct vxlan_frame *f,
                           const struct rewrite_target *to, uint64_t *ports)
{
    uint8_t port[2] = { (uint8_t)(to->port >> 8), (uint8_t)to->port };
    if (to->has_port && f->ports)
        *ports = checksum_replace(frame + f->l4 + 2, port, 2);
    return f->family == 4 ? checksum_replace(frame + f->l3 + 16, to->address + 12, 4)
                          : checksum_replace(frame + f->l3 + 24, to->address, 16);
}

/* The words of an IPv4 header beside its addresses. Returns what they add to its checksum. */
static uint64_t put_header4(uint8_t *ip, const struct vxlan_frame *f,
                            const struct rewrite *rewrite)
{
    uint64_t delta = 0;
    if (rewrite->clear_df && f->df) {
        uint8_t flags[2] = { ip[6] & (uint8_t)~FLAG_DF, ip[7] };
        uint8_t id[2] = { (uint8_t)(rewrite->id >> 8), (uint8_t)rewrite->id };
        delta += checksum_replace(ip + 6, flags, 2);
        if (!f->fragment) /* those of one packet have theirs in common */
            delta += checksum_replace(ip + 4, id, 2);
    }
    if (rewrite->decrement) {
        uint8_t hops[2] = { ip[8] - 1, ip[9] };
        delta += checksum_replace(ip + 8, hops, 2);
    }
    return delta;
}

bool rewrite_packet(uint8_t *frame, const struct vxlan_frame *f,
                    const struct rewrite *rewrite)
{
    uint8_t *ip = frame + f->l3;
    uint64_t addresses = 0, ports = 0;
    if (rewrite->to)
        addresses = put_target(frame, f, rewrite->to, &ports);
    update_l4(frame, f, addresses + ports);
    if (f->family == 6) {
        ip[7] -= rewrite->decrement;
        return false;
    }
    uint64_t delta = addresses + put_header4(ip, f, rewrite);
    if (delta)
        checksum_amend(ip + 10, delta);
    return rewrite->clear_df && f->df;
}

/* --- segments ------------------------------------------------------------------------ */

/* Bytes of the option at the beginning of `there`, or 0 when it is nonsense; it may end behind. */
static uint32_t option_size(const uint8_t *option, uint32_t there)
{
    if (*option == OPTION_NOP)
        return 1;
    if (there < 2)
        return 2;
    return option[1] < 2 || (*option == OPTION_MSS && option[1] != 4) ? 0 : option[1];
}

/* size: what the header says; of that, there are so many bytes. */
static bool options_are_sane(const uint8_t *options, uint32_t size, uint32_t there)
{
    uint32_t at = 0;
    while (at < there && options[at] != OPTION_END) {
        uint32_t length = option_size(options + at, there - at);
        if (!length || length > size - at)
            return false;
        at += length;
    }
    return true;
}

/* Returns what it adds to the sum of the header, where it may be at an odd offset. */
static uint64_t put_mss(uint8_t *option, uint32_t offset, uint16_t most)
{
    uint8_t value[2] = { (uint8_t)(most >> 8), (uint8_t)most };
    if ((option[2] << 8 | option[3]) <= most)
        return 0;
    uint64_t delta = checksum_replace(option + 2, value, 2);
    return offset & 1 ? __builtin_bswap16((uint16_t)~checksum_fold(delta)) : delta;
}

bool rewrite_mss(uint8_t *frame, const struct vxlan_frame *f, uint16_t most)
{
    uint8_t *tcp = frame + f->l4, *options = tcp + TCP_HEADER;
    uint64_t delta = 0;
    if (!f->l4 || f->protocol != PROTOCOL_TCP || f->l4 + TCP_HEADER > f->end ||
        !(tcp[13] & TCP_SYN) || tcp[12] >> 4 < TCP_HEADER / 4)
        return false;
    uint32_t size = (tcp[12] >> 4) * 4u - TCP_HEADER;
    uint32_t there = f->end - f->l4 - TCP_HEADER;
    there = there < size ? there : size;
    if ((there < size && !f->truncated) || !options_are_sane(options, size, there))
        return false;
    for (uint32_t at = 0; at + 4 <= there && options[at] != OPTION_END;
         at += option_size(options + at, there - at))
        if (options[at] == OPTION_MSS)
            delta += put_mss(options + at, at, most);
    if (delta)
        checksum_amend(tcp + TCP_SUM, delta);
    return delta;
}

/* --- fragments ----------------------------------------------------------------------- */

/* Options that are not to be copied (RFC 791, 3.1) become no-operations. */
static void clear_options(uint8_t *options, uint32_t size)
{
    for (uint32_t i = 0; i < size && options[i];) {
        uint32_t length = options[i] == 1 || i + 1 == size ? 1 : options[i + 1];
        if (length < 1 || (options[i] != 1 && length < 2) || i + length > size)
            return;
        if (!(options[i] & 0x80))
            memset(options + i, 1, length);
        i += length;
    }
}

uint32_t rewrite_fragment(uint8_t *to, const uint8_t *ip, uint32_t total, uint32_t offset,
                          uint32_t mtu, uint32_t *next)
{
    uint32_t header = (uint32_t)(ip[0] & 15) * 4, payload = total - header;
    uint32_t most = (mtu - header) & ~7u, left = payload - offset;
    uint32_t size = left <= mtu - header ? left : most;
    uint32_t flags = (uint32_t)ip[6] << 8 | ip[7];
    uint32_t place = (flags & 0x1fff) + offset / 8;
    bool more = size < left || flags & FLAG_MF << 8;
    uint16_t checksum, damage = checksum_fold(checksum_sum(ip, header, 0)); /* 0: none */
    memcpy(to, ip, header);
    memcpy(to + header, ip + header + offset, size);
    if (offset)
        clear_options(to + 20, header - 20);
    to[2] = (uint8_t)((header + size) >> 8);
    to[3] = (uint8_t)(header + size);
    to[6] = (uint8_t)((flags >> 8 & 0xc0) | (more ? FLAG_MF : 0) | place >> 8);
    to[7] = (uint8_t)place;
    memset(to + 10, 0, 2);
    checksum = checksum_fold(checksum_sum(to, header, damage));
    memcpy(to + 10, &checksum, 2);
    *next = size < left ? offset + size : 0;
    return header + size;
}
