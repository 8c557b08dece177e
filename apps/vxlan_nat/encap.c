/* encap: an inner frame in a VXLAN tunnel. */
#include "apps/vxlan_nat/encap.h"

#include <netinet/in.h>
#include <string.h>

#include "lib/checksum.h"

#define ETHERNET 14
#define UDP      8
#define VXLAN    8
#define TTL      64

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Of the inner packet, wherever its header is. */
static uint8_t type_of_service(const uint8_t *frame)
{
    const uint8_t *ip = frame + ETHERNET;
    while (ip[-2] == 0x81 || ip[-2] == 0x88 || ip[-2] == 0x91) /* tags */
        ip += 4;
    return ip[-1] == 0xdd ? (uint8_t)(ip[0] << 4 | ip[1] >> 4) : ip[1];
}

static void put_ipv4(uint8_t *ip, const struct vxlan_tunnel *tunnel, uint32_t payload,
                     uint8_t service, uint16_t id)
{
    memset(ip, 0, 20);
    ip[0] = 0x45;
    ip[1] = service;
    put16(ip + 2, 20 + payload);
    put16(ip + 4, id);
    ip[8] = TTL;
    ip[9] = IPPROTO_UDP;
    memcpy(ip + 12, &tunnel->ours[3], 4);
    memcpy(ip + 16, &tunnel->peer[3], 4);
    uint16_t sum = checksum_fold(checksum_sum(ip, 20, 0));
    memcpy(ip + 10, &sum, 2);
}

static void put_ipv6(uint8_t *ip, const struct vxlan_tunnel *tunnel, uint32_t payload,
                     uint8_t service)
{
    memset(ip, 0, 40);
    ip[0] = (uint8_t)(0x60 | service >> 4);
    ip[1] = (uint8_t)(service << 4);
    put16(ip + 4, payload);
    ip[6] = IPPROTO_UDP;
    ip[7] = TTL;
    memcpy(ip + 8, tunnel->ours, 16);
    memcpy(ip + 24, tunnel->peer, 16);
}

static void put_udp(uint8_t *udp, const struct vxlan_tunnel *tunnel, uint32_t length,
                    uint32_t entropy)
{
    put16(udp, 49152 + entropy % 16384);
    memcpy(udp + 2, &tunnel->port, 2);
    put16(udp + 4, length);
    put16(udp + 6, 0);
}

static void put_checksum6(uint8_t *ip, uint8_t *udp, uint32_t length)
{
    uint64_t sum = checksum_pseudo6(ip + 8, IPPROTO_UDP, length);
    uint16_t folded = checksum_fold(checksum_sum(udp, length, sum));
    folded = folded ? folded : 0xffff;
    memcpy(udp + 6, &folded, 2);
}

uint32_t encap_overhead(const struct vxlan_tunnel *tunnel)
{
    return (vxlan_is_mapped(tunnel->ours) ? 20 : 40) + UDP + VXLAN + ETHERNET;
}

bool encap(struct packet *p, const struct vxlan_tunnel *tunnel, const struct encap *encap)
{
    bool ipv4 = vxlan_is_mapped(tunnel->ours);
    uint32_t header = ipv4 ? 20 : 40, payload = UDP + VXLAN + p->length;
    uint8_t service = type_of_service(p->data);
    if (header + payload > 0xffff || !packet_prepend(p, ETHERNET + header + UDP + VXLAN))
        return false;
    uint8_t *ip = p->data + ETHERNET, *udp = ip + header, *vxlan = udp + UDP;
    memcpy(p->data, tunnel->peer_mac, 6);
    memcpy(p->data + 6, tunnel->our_mac, 6);
    put16(p->data + 12, ipv4 ? 0x0800 : 0x86dd);
    put_udp(udp, tunnel, payload, encap->entropy);
    put16(vxlan, 0x0800);
    put16(vxlan + 2, 0);
    put16(vxlan + 4, encap->vni >> 8);
    put16(vxlan + 6, encap->vni << 8);
    if (ipv4)
        put_ipv4(ip, tunnel, payload, service, encap->id);
    else
        put_ipv6(ip, tunnel, payload, service);
    if (!ipv4 && !encap->no_csum6)
        put_checksum6(ip, udp, payload);
    return true;
}
