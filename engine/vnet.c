/* vnet: what hardware has yet to do to a packet, as the kernel writes it. */
#include "engine/vnet.h"

#include <errno.h>

#include "engine/plain.h"

#define UDP_HEADER      8
#define TCP_DATA_OFFSET 12

/* Bytes of all headers of a super-frame, up to its payload; more than its length when it is
 * wrongly described. */
static uint32_t header_length(const struct packet *p)
{
    uint32_t l4 = p->csum_start;
    if (p->gso_type == SEGMENT_UDP)
        return l4 + UDP_HEADER;
    if (l4 + TCP_DATA_OFFSET >= p->length)
        return UINT32_MAX;
    return l4 + (p->data[l4 + TCP_DATA_OFFSET] >> 4) * 4u;
}

int vnet_write(const struct packet *p, struct virtio_net_hdr *vnet)
{
    *vnet = (struct virtio_net_hdr){ 0 };
    if (likely(packet_is_plain(p)))
        return 0;
    if (!(p->flags & PACKET_CSUM_PARTIAL))
        return -EINVAL;
    uint32_t header = p->gso_type ? header_length(p) : 0;
    if (header > p->length)
        return -EINVAL;
    *vnet = (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = (uint8_t)p->gso_type,
        .hdr_len = (uint16_t)header,
        .gso_size = p->gso_type ? p->gso_size : 0,
        .csum_start = p->csum_start,
        .csum_offset = p->csum_offset,
    };
    return 0;
}

int vnet_read(struct packet *p, const struct virtio_net_hdr *vnet)
{
    bool partial = vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
    if (partial && (uint32_t)vnet->csum_start + vnet->csum_offset + 2 > p->length)
        return -EINVAL;
    if (vnet->gso_type != VIRTIO_NET_HDR_GSO_NONE && (!partial || !vnet->gso_size))
        return -EINVAL;
    if (partial) {
        p->flags |= PACKET_CSUM_PARTIAL;
        p->csum_start = vnet->csum_start;
        p->csum_offset = vnet->csum_offset;
    } else if (vnet->flags & VIRTIO_NET_HDR_F_DATA_VALID) {
        p->flags |= PACKET_CSUM_VALID;
    }
    p->gso_type = vnet->gso_type;
    p->gso_size = vnet->gso_size;
    return 0;
}
