/* icmp: errors about packets that were translated, and errors of our own. */
#include "apps/vxlan_nat/icmp.h"

#include <string.h>

#include "lib/checksum.h"
#include "lib/frame.h"

#define ICMP_HEADER  8 /* and what of the quoted transport header must be there */
#define ICMP_SUM     2
#define ICMP_ID      4
#define MOST4        576
#define HOPS         64
#define DF           0x40
#define CONTROL      0xc0 /* RFC 1812, 4.3.2.5: precedence of errors */
#define UNREACHABLE4 3
#define EXCEEDED4    11
#define TOO_BIG4     4 /* code of UNREACHABLE4 */
#define TOO_BIG6     2
#define EXCEEDED6    3

static bool is_query(uint8_t family, uint8_t type)
{
    return family == 4 ? type == 0 || type == 8 || type == 13 || type == 14
                       : type == 128 || type == 129;
}

static bool is_error(uint8_t family, uint8_t type)
{
    return family == 4 ? type == 3 || type == 4 || type == 11 || type == 12
                       : type >= 1 && type <= 4;
}

static uint32_t size_of(uint8_t family)
{
    return family == 4 ? 4 : 16;
}

static void copy_address(uint8_t to[16], const uint8_t *from, uint8_t family)
{
    if (family == 6) {
        memcpy(to, from, 16);
        return;
    }
    memset(to, 0, 10);
    memset(to + 10, 0xff, 2);
    memcpy(to + 12, from, 4);
}

/* --- reading ------------------------------------------------------------------------- */

/* False when its ports should be there, and are not. */
static bool read_ports(struct icmp_embedded *e, const struct frame *ip)
{
    const uint8_t *l4 = ip->data + ip->l4;
    bool icmp = vxlan_is_icmp(ip->family, ip->protocol);
    bool port_first = ip->protocol == FRAME_TCP || ip->protocol == FRAME_UDP;
    if (!icmp && !port_first)
        return true;
    if (ip->l4 + ICMP_HEADER > ip->end)
        return false;
    e->ports = port_first || is_query(ip->family, l4[0]);
    if (e->ports) {
        e->sport = frame_u16(l4 + (icmp ? ICMP_ID : 0));
        e->dport = frame_u16(l4 + (icmp ? ICMP_ID : 2));
    }
    return true;
}

/* False when the packet is none, or is cut off too early. */
static bool describe(struct icmp_embedded *e, const struct frame *ip)
{
    if (!ip->family || (!ip->l4 && !ip->fragment))
        return false;
    const uint8_t *addresses = ip->data + frame_addresses(ip);
    uint32_t offset = frame_checksum_offset(ip);
    copy_address(e->src, addresses, ip->family);
    copy_address(e->dst, addresses + size_of(ip->family), ip->family);
    e->protocol = ip->protocol;
    e->l3 = ip->l3;
    e->l4 = ip->l4;
    e->end = ip->end;
    if (ip->l4 && offset && ip->l4 + offset + 2 <= ip->end)
        e->checksum = ip->l4 + offset;
    return !ip->l4 || read_ports(e, ip);
}

static bool checksum_is_wrong(const uint8_t *frame, const struct vxlan_frame *f)
{
    uint32_t length = f->end - f->l4;
    uint64_t sum =
        f->family == 4 ? 0 : checksum_pseudo6(frame + f->l3 + 8, FRAME_ICMPV6, length);
    return checksum_fold(checksum_sum(frame + f->l4, length, sum)) != 0;
}

static enum icmp_kind read_error(const uint8_t *frame, const struct vxlan_frame *f,
                                 struct icmp_embedded *e)
{
    struct frame quoted;
    if (!f->truncated && !f->fragment && checksum_is_wrong(frame, f))
        return ICMP_DAMAGED;
    frame_parse_ip(&quoted, frame, f->end, f->l4 + ICMP_HEADER);
    if (quoted.family != f->family)
        return ICMP_DAMAGED;
    const uint8_t *ip = frame + quoted.l3;
    if (f->family == 4 && checksum_fold(checksum_sum(ip, (ip[0] & 15) * 4u, 0)))
        return ICMP_DAMAGED;
    return describe(e, &quoted) ? ICMP_ERROR : ICMP_DAMAGED;
}

enum icmp_kind icmp_read(const uint8_t *frame, const struct vxlan_frame *f,
                         struct icmp_embedded *e)
{
    struct frame own;
    *e = (struct icmp_embedded){ .ports = false };
    if (!f->l4 || f->l4 >= f->end || !vxlan_is_icmp(f->family, f->protocol))
        return ICMP_NONE;
    uint8_t type = frame[f->l4];
    if (is_error(f->family, type))
        return read_error(frame, f, e);
    if (!is_query(f->family, type))
        return ICMP_NONE;
    frame_parse_ip(&own, frame, f->end, f->l3);
    return describe(e, &own) ? ICMP_ECHO : ICMP_DAMAGED;
}

/* --- translating --------------------------------------------------------------------- */

/* Addresses as they follow each other in the header; returns what they add to a sum. */
static uint64_t put_addresses(uint8_t *at, uint8_t family, const uint8_t src[16],
                              const uint8_t dst[16])
{
    uint32_t size = size_of(family);
    return checksum_replace(at, src + 16 - size, size) +
           checksum_replace(at + size, dst + 16 - size, size);
}

static uint64_t put_ports(uint8_t *l4, const struct icmp_embedded *e, uint16_t src,
                          uint16_t dst)
{
    uint8_t ports[4] = { (uint8_t)(src >> 8), (uint8_t)src, (uint8_t)(dst >> 8),
                         (uint8_t)dst };
    bool icmp = e->protocol == FRAME_ICMP || e->protocol == FRAME_ICMPV6;
    return icmp ? checksum_replace(l4 + ICMP_ID, ports, 2)
                : checksum_replace(l4, ports, 4);
}

static void translate_embedded(uint8_t *frame, uint8_t family,
                               const struct icmp_embedded *e,
                               const struct icmp_translation *to)
{
    uint8_t *ip = frame + e->l3, *checksum = frame + e->checksum;
    uint64_t ports = 0, addresses = put_addresses(ip + (family == 4 ? 12 : 8), family,
                                                  to->src.address, to->dst.address);
    if (family == 4)
        checksum_amend(ip + 10, addresses);
    if (e->ports)
        ports = put_ports(frame + e->l4, e, to->src.port, to->dst.port);
    if (e->checksum && e->protocol == FRAME_UDP)
        checksum_amend_udp(checksum, addresses + ports);
    else if (e->checksum) /* ICMP's of IPv4 covers no addresses */
        checksum_amend(checksum, e->protocol == FRAME_ICMP ? ports : addresses + ports);
}

static uint16_t sum_of(const uint8_t *frame, const struct icmp_embedded *e)
{
    return (uint16_t)~checksum_fold(checksum_sum(frame + e->l3, e->end - e->l3, 0));
}

void icmp_translate(uint8_t *frame, const struct vxlan_frame *f,
                    const struct icmp_embedded *e, const struct icmp_translation *to)
{
    uint8_t *ip = frame + f->l3;
    uint16_t before = sum_of(frame, e);
    translate_embedded(frame, f->family, e, to);
    uint64_t delta = (uint64_t)(uint16_t)~before + sum_of(frame, e);
    uint64_t addresses = put_addresses(ip + (f->family == 4 ? 12 : 8), f->family,
                                       to->outer_src, to->outer_dst);
    if (f->family == 4)
        checksum_amend(ip + 10, addresses);
    else
        delta += addresses;
    checksum_amend(frame + f->l4 + ICMP_SUM, delta);
}

/* --- making -------------------------------------------------------------------------- */

/* RFC 1122, 3.2.2.1 to 3.2.2.8, has no others; what is not known might be an error. */
static bool may_be_error4(uint8_t type)
{
    return type == 5 || type > 18 || is_error(4, type);
}

static bool may_be_error6(uint8_t type)
{
    return type < 128 || type == 137; /* 137: redirect */
}

static bool is_sender4(const uint8_t *address)
{
    return address[0] && address[0] != 127 && address[0] < 224;
}

static bool is_sender6(const uint8_t *address)
{
    static const uint8_t nobody[15];
    bool mapped =
        !memcmp(address, nobody, 10) && address[10] == 0xff && address[11] == 0xff;
    bool loopback = !memcmp(address, nobody, 15) && address[15] <= 1; /* or nobody */
    return address[0] != 0xff && !loopback && !mapped;
}

static bool may_answer4(const struct frame *ip, enum icmp_error error,
                        const uint8_t *source)
{
    const uint8_t *header = ip->data;
    if (!ip->l4 || header[16] >= 224 || !is_sender4(header + 12) ||
        !is_sender4(source + 12))
        return false;
    if (error == ICMP_TOO_BIG && !(header[6] & DF))
        return false;
    return ip->protocol != FRAME_ICMP ||
           (ip->l4 < ip->end && !may_be_error4(header[ip->l4]));
}

static bool may_answer6(const struct frame *ip, enum icmp_error error,
                        const uint8_t *source)
{
    const uint8_t *header = ip->data;
    if ((header[24] == 0xff && error != ICMP_TOO_BIG) || !is_sender6(header + 8) ||
        !is_sender6(source))
        return false;
    if (!ip->l4) /* a later fragment may be answered; what is cut off may be anything */
        return ip->fragment;
    return ip->protocol != FRAME_ICMPV6 ||
           (ip->l4 < ip->end && !may_be_error6(header[ip->l4]));
}

static uint32_t make4(uint8_t *to, enum icmp_error error, uint32_t mtu, uint32_t length,
                      const uint8_t *addresses)
{
    uint8_t *icmp = to + 20;
    uint16_t sum;
    to[0] = 0x45;
    to[1] = CONTROL;
    frame_put16(to + 2, 20 + length);
    to[6] = DF; /* so that its identification says nothing (RFC 6864) */
    to[8] = HOPS;
    to[9] = FRAME_ICMP;
    memcpy(to + 12, addresses, 8);
    sum = checksum_fold(checksum_sum(to, 20, 0));
    memcpy(to + 10, &sum, 2);
    icmp[0] = error == ICMP_TOO_BIG ? UNREACHABLE4 : EXCEEDED4;
    icmp[1] = error == ICMP_TOO_BIG ? TOO_BIG4 : 0;
    if (error == ICMP_TOO_BIG)
        frame_put16(icmp + 6, mtu < 0xffff ? mtu : 0xffff);
    sum = checksum_fold(checksum_sum(icmp, length, 0));
    memcpy(icmp + ICMP_SUM, &sum, 2);
    return 20 + length;
}

static uint32_t make6(uint8_t *to, enum icmp_error error, uint32_t mtu, uint32_t length,
                      const uint8_t *addresses)
{
    uint8_t *icmp = to + 40;
    to[0] = 0x60;
    frame_put16(to + 4, length);
    to[6] = FRAME_ICMPV6;
    to[7] = HOPS;
    memcpy(to + 8, addresses, 32);
    icmp[0] = error == ICMP_TOO_BIG ? TOO_BIG6 : EXCEEDED6;
    if (error == ICMP_TOO_BIG)
        frame_put32(icmp + 4, mtu);
    uint64_t pseudo = checksum_pseudo6(to + 8, FRAME_ICMPV6, length);
    uint16_t sum = checksum_fold(checksum_sum(icmp, length, pseudo));
    memcpy(icmp + ICMP_SUM, &sum, 2);
    return 40 + length;
}

/* The IP header and 8 bytes are the least that says whose the packet was. */
static uint32_t least_quoted(const struct frame *packet)
{
    uint32_t least = packet->l4 + ICMP_HEADER;
    return packet->l4 && least < packet->end ? least : packet->end;
}

uint32_t icmp_make(uint8_t *to, size_t room, enum icmp_error error, uint32_t mtu,
                   const uint8_t *ip, uint32_t there, const uint8_t source[16])
{
    struct frame packet;
    uint8_t addresses[32];
    frame_parse_ip(&packet, ip, there, 0);
    bool ipv4 = packet.family == 4;
    uint32_t size = size_of(packet.family), header = (ipv4 ? 20 : 40) + ICMP_HEADER;
    uint32_t most = ipv4 ? MOST4 : ICMP_MOST, quoted = packet.end;
    most = room < most ? (uint32_t)room : most;
    if (!packet.family || header + least_quoted(&packet) > most ||
        !(ipv4 ? may_answer4(&packet, error, source)
               : may_answer6(&packet, error, source)))
        return 0;
    quoted = quoted < most - header ? quoted : most - header;
    memcpy(addresses, source + 16 - size, size);
    memcpy(addresses + size, ip + frame_addresses(&packet), size);
    memset(to, 0, header);
    memcpy(to + header, ip, quoted);
    return ipv4 ? make4(to, error, mtu, ICMP_HEADER + quoted, addresses)
                : make6(to, error, mtu, ICMP_HEADER + quoted, addresses);
}
