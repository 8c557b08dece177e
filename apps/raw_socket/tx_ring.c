/* tx_ring: the send ring of an AF_PACKET socket, TPACKET_V2. */
#include "apps/raw_socket/tx_ring.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/raw_socket/socket.h"

/* Where the frame lies in a slot. */
#define DATA_OFFSET (TPACKET2_HDRLEN - sizeof(struct sockaddr_ll))

int tx_ring_open(struct tx_ring *ring, int fd, uint32_t frames, uint32_t frame_size,
                 struct error *err)
{
    uint32_t block = (uint32_t)getpagesize();
    while (block < frame_size)
        block *= 2;
    uint32_t per_block = block / frame_size;
    uint32_t blocks = (frames + per_block - 1) / per_block;
    struct tpacket_req request = { block, blocks, frame_size, blocks * per_block };
    *ring = (struct tx_ring){ .fd = fd,
                              .size = (size_t)block * blocks,
                              .slot_size = frame_size,
                              .slots = blocks * per_block,
                              .slots_per_block = per_block,
                              .block_size = block };
    int error = packet_socket_set(fd, PACKET_VERSION, TPACKET_V2, "PACKET_VERSION", err);
    if (!error)
        error = packet_socket_set(fd, PACKET_LOSS, 1, "PACKET_LOSS", err);
    if (error)
        return error;
    if (setsockopt(fd, SOL_PACKET, PACKET_TX_RING, &request, sizeof(request)))
        return error_system(err, ERROR_RUN, "a send ring of %u frames of %u bytes",
                            ring->slots, frame_size);
    void *memory = mmap(NULL, ring->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return error_system(err, ERROR_RUN, "cannot map the send ring");
    ring->memory = memory;
    return 0;
}

void tx_ring_close(struct tx_ring *ring)
{
    if (ring->memory)
        munmap(ring->memory, ring->size);
    memset(ring, 0, sizeof(*ring));
}

uint32_t tx_ring_capacity(const struct tx_ring *ring)
{
    return ring->slot_size - (uint32_t)DATA_OFFSET;
}

static struct tpacket2_hdr *slot(const struct tx_ring *ring, uint64_t cursor)
{
    uint32_t i = (uint32_t)(cursor % ring->slots);
    return (struct tpacket2_hdr *)(void *)(ring->memory +
                                           (size_t)(i / ring->slots_per_block) *
                                               ring->block_size +
                                           (size_t)(i % ring->slots_per_block) *
                                               ring->slot_size);
}

/* Bits that say where a time stamp came from are of no interest. */
static uint32_t status_of(const struct tpacket2_hdr *header)
{
    return __atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) &
           (TP_STATUS_SEND_REQUEST | TP_STATUS_SENDING | TP_STATUS_WRONG_FORMAT);
}

bool tx_ring_put(struct tx_ring *ring, const uint8_t *frame, uint32_t length)
{
    struct tpacket2_hdr *header = slot(ring, ring->next);
    if (status_of(header) != TP_STATUS_AVAILABLE)
        return false;
    memcpy((uint8_t *)header + DATA_OFFSET, frame, length);
    header->tp_len = length;
    __atomic_store_n(&header->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
    ring->next++;
    return true;
}

int tx_ring_kick(struct tx_ring *ring, uint64_t *packets, uint64_t *bytes)
{
    if (ring->next == ring->taken)
        return 0;
    int error = send(ring->fd, NULL, 0, MSG_DONTWAIT) < 0 ? -errno : 0;
    for (; ring->taken != ring->next; ring->taken++) {
        const struct tpacket2_hdr *header = slot(ring, ring->taken);
        if (status_of(header) == TP_STATUS_SEND_REQUEST)
            break;
        *packets += 1;
        *bytes += header->tp_len;
    }
    return error;
}

/* The kernel's own cursor stands at the first frame that it has not taken, and so must
 * ours. */
uint32_t tx_ring_flush(struct tx_ring *ring)
{
    uint32_t held = tx_ring_held(ring);
    for (uint64_t at = ring->taken; at != ring->next; at++)
        __atomic_store_n(&slot(ring, at)->tp_status, TP_STATUS_AVAILABLE,
                         __ATOMIC_RELEASE);
    ring->next = ring->taken;
    return held;
}
