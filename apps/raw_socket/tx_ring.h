/* tx_ring: the send ring of an AF_PACKET socket, TPACKET_V2.
 *
 *   tx_ring_open     memory on a socket that sends
 *   tx_ring_put      a packet into the next slot
 *   tx_ring_kick     have the kernel look at what was put
 *   tx_ring_flush    give up what the kernel has not sent
 *   tx_ring_close
 *
 *       |  free  |  sent: the device has it | put: the kernel has not looked yet |  free |
 *                ^ done                     ^ taken                             ^ next
 *
 * A slot is free again when the frame has left the device's queue; that, not POLLOUT
 * (which is about socket memory), is what holds the sender back. PACKET_LOSS is set, so
 * that no frame can stop those behind it; frames that the kernel would skip for their
 * length are the caller's to refuse.
 *
 * Sources: packet(7), Documentation/networking/packet_mmap.rst, net/packet/af_packet.c.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

struct tx_ring {
    int fd;
    uint8_t *memory; /* NULL: there is none */
    size_t size;
    uint32_t slot_size, slots, slots_per_block, block_size;
    uint64_t next, taken; /* cursors: slots filled, and of them seen to by the kernel */
};

/* frame_size: bytes of a slot, header included. On error nothing is mapped. */
int tx_ring_open(struct tx_ring *ring, int fd, uint32_t frames, uint32_t frame_size,
                 struct error *err);
void tx_ring_close(struct tx_ring *ring);

/* The longest frame that a slot holds. */
uint32_t tx_ring_capacity(const struct tx_ring *ring);

/* False when no slot is free. length is at most tx_ring_capacity. */
bool tx_ring_put(struct tx_ring *ring, const uint8_t *frame, uint32_t length);

/* Adds to packets and bytes what the kernel has taken. Returns 0, or -errno: what it has
 * not taken stays in the ring, and another kick is owed. */
int tx_ring_kick(struct tx_ring *ring, uint64_t *packets, uint64_t *bytes);

/* Frames that were put and are not taken. */
static inline uint32_t tx_ring_held(const struct tx_ring *ring)
{
    return (uint32_t)(ring->next - ring->taken);
}

/* Returns how many there were. */
uint32_t tx_ring_flush(struct tx_ring *ring);
