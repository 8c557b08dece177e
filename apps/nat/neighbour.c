/* neighbour: who asks for the address of a NAT is told the MAC address of a host behind it. */
#include "apps/nat/neighbour.h"

#define ARP_TYPE      0x0806
#define ARP_SIZE      28
#define IPV6_HEADER   40
#define SOLICITATION  135
#define ADVERTISEMENT 136
#define ND_SIZE       24 /* of either, without options */
#define ND_OPTION     8  /* the target's link-layer address */
#define SOLICITED     0x40
#define OVERRIDE      0x20

bool neighbour_answer4(struct packet *p, const struct frame *frame,
                       const uint8_t *address, const uint8_t *mac)
{
    /* Ethernet, IPv4, lengths, request */
    static const uint8_t request[8] = { 0, 1, 8, 0, 6, 4, 0, 1 };
    uint8_t *arp = p->data + frame->l3;
    if (frame->ethertype != ARP_TYPE || frame->l3 + ARP_SIZE > p->length ||
        memcmp(arp, request, sizeof(request)) || memcmp(arp + 24, address, 4))
        return false;
    arp[7] = 2;
    memcpy(arp + 18, arp + 8, 10); /* who asked is the target now */
    memcpy(arp + 8, mac, 6);
    memcpy(arp + 14, address, 4);
    memcpy(p->data, arp + 18, 6);
    memcpy(p->data + 6, mac, 6);
    return true;
}

/* To whom: the one who asked, or all when it has no address yet and looks whether it may have
 * this one. */
static void address_advertisement(uint8_t *ip, const uint8_t *address)
{
    static const uint8_t nobody[16], everybody[16] = { 0xff, 2, [15] = 1 };
    bool detects = !memcmp(ip + 8, nobody, 16);
    uint8_t *icmp = ip + IPV6_HEADER;
    memcpy(ip + 24, detects ? everybody : ip + 8, 16);
    memcpy(ip + 8, address, 16);
    icmp[4] = OVERRIDE | (detects ? 0 : SOLICITED);
}

bool neighbour_answer6(struct packet *p, const struct frame *frame,
                       const uint8_t *address, const uint8_t *mac)
{
    static const uint8_t everybody[6] = { 0x33, 0x33, 0, 0, 0, 1 };
    uint32_t l3 = frame->l3, l4 = l3 + IPV6_HEADER, length = l4 + ND_SIZE + ND_OPTION;
    const uint8_t *in = p->data;
    if (frame->family != 6 || frame->protocol != FRAME_ICMPV6 || frame->l4 != l4 ||
        l4 + ND_SIZE > frame->end || in[l4] != SOLICITATION || in[l4 + 1] ||
        in[l3 + 7] != 255 || memcmp(in + l4 + 8, address, 16) ||
        !packet_resize(p, length))
        return false;
    uint8_t *ip = p->data + l3, *icmp = p->data + l4;
    address_advertisement(ip, address);
    memcpy(p->data, ip[24] == 0xff ? everybody : p->data + 6, 6);
    memcpy(p->data + 6, mac, 6);
    icmp[0] = ADVERTISEMENT;
    memset(icmp + 5, 0, 3);
    memcpy(icmp + 8, address, 16);
    icmp[24] = 2;
    icmp[25] = 1;
    memcpy(icmp + 26, mac, 6);
    struct frame answer;
    frame_put16(ip + 4, ND_SIZE + ND_OPTION);
    frame_parse(&answer, p->data, p->length);
    frame_fix(&answer, p->data, false, true);
    p->flags &= (uint16_t) ~(PACKET_CSUM_PARTIAL | PACKET_CSUM_VALID);
    return true;
}
