/* vnet: what hardware has yet to do to a packet, as the kernel writes it: struct
 * virtio_net_hdr (linux/virtio_net.h; virtio 1.2, 5.1.6), in front of frames from and to packet
 * sockets (PACKET_VNET_HDR) and tun devices (IFF_VNET_HDR).
 *
 *   vnet_write    from a packet to the header
 *   vnet_read     from the header to a packet
 */
#pragma once
#include <linux/virtio_net.h>

#include "engine/packet.h"

/* Describes p. -EINVAL, and a header that asks for nothing, when p's own description is
 * wrong. */
int vnet_write(const struct packet *p, struct virtio_net_hdr *vnet);

/* Notes in p, whose frame is in place, what is left to do. -EINVAL when that is not within the
 * frame: hostile headers leave p as it was. Whether a super-frame can be split is not looked
 * at here (lib/segment.h). */
int vnet_read(struct packet *p, const struct virtio_net_hdr *vnet);
