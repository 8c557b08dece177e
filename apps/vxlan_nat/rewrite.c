/* rewrite: an inner packet gets another destination; bytes in, bytes out. */
#include "apps/vxlan_nat/rewrite.h"

#include <arpa/inet.h>
#include <string.h>

#include "apps/vxlan_nat/flow.bpf.h"
#include "lib/checksum.h"

#define FLAG_MF    0x20
#define TCP_HEADER 20u
#define TCP_SUM    16
#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_MSS 2 /* of 4 bytes */

/* What a checksum's complement grows by when these bytes become those. */
static uint64_t difference(const void *from, const void *to, size_t size)
{
    uint16_t old, updated;
    uint64_t delta = 0;
    for (size_t i = 0; i < size; i += 2) {
        memcpy(&old, (const uint8_t *)from + i, 2);
        memcpy(&updated, (const uint8_t *)to + i, 2);
        if (old != updated) /* so that nothing adds nothing, not minus zero */
            delta += (uint64_t)(uint16_t)~old + updated;
    }
    return delta;
}

static uint16_t folded(uint64_t delta)
{
    return (uint16_t)~checksum_fold(delta);
}

static void take_over(const struct rewrite_target *target, const struct vxlan_frame *f,
                      uint32_t address[4], uint16_t *port)
{
    if (!target)
        return;
    memcpy(address, target->address, 16);
    if (target->has_port && (f->ports || (f->echo && *port)))
        *port = htons(target->port);
}

struct vxlan_rewrite rewrite_plan(const struct vxlan_frame *f,
                                  const struct rewrite_target *source,
                                  const struct rewrite_target *destination)
{
    uint16_t ports[2] = { htons(f->sport), htons(f->dport) };
    struct vxlan_rewrite to = { .sport = ports[0], .dport = ports[1] };
    memcpy(to.src, f->src, 16);
    memcpy(to.dst, f->dst, 16);
    take_over(source, f, to.src, &to.sport);
    take_over(destination, f, to.dst, &to.dport);
    uint64_t addresses = difference(f->src, to.src, 16) + difference(f->dst, to.dst, 16);
    uint64_t identity = difference(ports, &to.sport, 4);
    to.ip_delta = folded(addresses);
    to.l4_delta = folded(identity + (f->protocol == VXLAN_ICMP ? 0 : addresses));
    return to;
}

/* --- checksums ----------------------------------------------------------------------- */

/* A whole TCP or UDP packet with a checksum: where that is, else NULL. */
static uint8_t *checksum_of(uint8_t *frame, const struct vxlan_frame *f)
{
    uint8_t *at = frame + f->l4 + (f->protocol == VXLAN_TCP ? 16 : 6);
    bool whole = f->ports && !f->fragment && !f->truncated;
    return whole && (at[0] | at[1] || f->protocol == VXLAN_TCP) ? at : NULL;
}

static uint16_t sum_of(const uint8_t *frame, const struct vxlan_frame *f)
{
    uint32_t length = f->l3 + f->total - f->l4;
    uint64_t sum = checksum_sum(f->src, 16, 0);
    uint8_t rest[4] = { 0, f->protocol, (uint8_t)(length >> 8), (uint8_t)length };
    sum = checksum_sum(rest, 4, checksum_sum(f->dst, 16, sum));
    return checksum_fold(checksum_sum(frame + f->l4, length, sum));
}

bool rewrite_finish(uint8_t *frame, const struct vxlan_frame *f, bool always)
{
    uint8_t *at = checksum_of(frame, f);
    if (!at ||
        (!always && !vxlan_is_unfinished(frame, frame + f->end, f, vxlan_pseudo(f))))
        return false;
    memset(at, 0, 2);
    uint16_t sum = sum_of(frame, f);
    sum = sum || f->protocol == VXLAN_TCP ? sum : 0xffff;
    memcpy(at, &sum, 2);
    return true;
}

bool rewrite_is_right(const uint8_t *frame, const struct vxlan_frame *f)
{
    return !checksum_of((uint8_t *)(uintptr_t)frame, f) || !sum_of(frame, f);
}

bool rewrite_packet(uint8_t *frame, const struct vxlan_frame *f,
                    const struct vxlan_rewrite *to, const struct vxlan_change *change)
{
    vxlan_rewrite(frame, frame + f->end, f, to, change);
    return change->clear_df && f->df;
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
    if (!f->l4 || f->protocol != VXLAN_TCP || f->l4 + TCP_HEADER > f->end ||
        !(tcp[13] & VXLAN_TCP_SYN) || tcp[12] >> 4 < TCP_HEADER / 4)
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
