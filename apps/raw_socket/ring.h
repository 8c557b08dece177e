/* ring: the receive ring of an AF_PACKET socket, frame by frame.
 *
 *   ring_open       options and memory on a socket that is not bound yet
 *   ring_peek       the next frame, where it lies
 *   ring_release    ... is done with
 *   ring_fetch      the whole of a frame that was too long for its slot
 *   ring_discard    ... not wanted
 *   ring_pending    are there frames that poll does not tell of?
 *   ring_close
 *
 *      V2   | slot | slot | slot | ...     one frame each, handed over at once
 *      V3   | block: f f f f | block | ... handed over when full or after the retire time
 *      READ                            no ring, but batches that are read (batch.h)
 *
 * Slots of V2 hold a frame of the interface's MTU. A longer one (a super-frame of up to
 * 64 KiB) has its beginning in the slot and waits whole in the socket's queue
 * (PACKET_COPY_THRESH): so the ring stays small and dense, and the kernel copies a
 * super-frame once, to where we want it.
 *
 * Sources: packet(7), Documentation/networking/packet_mmap.rst, net/packet/af_packet.c.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/error.h"
#include "lib/segment.h"

#define RING_VNET_SIZE 10 /* struct virtio_net_hdr, in front of every frame */

enum ring_version { RING_V2, RING_V3, RING_READ };

struct batch;

struct ring_options {
    enum ring_version version;
    bool hardware;      /* timestamps of the device */
    unsigned frames;    /* slots of V2; V3: as many bytes */
    unsigned mtu;       /* of the interface, without the Ethernet header */
    unsigned retire_ms; /* V3 */
};

struct ring {
    int fd;
    enum ring_version version;
    struct batch *batch; /* RING_READ */
    uint8_t *memory;
    size_t size;
    uint32_t slot_size, slots, slots_per_block, block_size, blocks;
    uint32_t wanted;       /* blocks that would have been, had there been memory */
    uint32_t slot;         /* V2: the next; V3: the block */
    uint32_t block_left;   /* V3: frames of the block not yet seen */
    uint32_t block_offset; /* V3: of the next frame's header in the block */
    uint64_t losing;       /* V3: blocks before which the kernel dropped frames */
};

/* A frame in the ring. Everything has been checked against the slot. */
struct ring_frame {
    const uint8_t *data;
    uint32_t length;     /* of the frame */
    uint32_t captured;   /* of it at data */
    bool queued;         /* the whole frame waits in the socket's queue */
    bool lost;           /* it does not: the rest is gone */
    uint8_t packet_type; /* PACKET_HOST, PACKET_OUTGOING ... of linux/if_packet.h */
    bool vlan;
    uint16_t vlan_tci, vlan_tpid;
    bool hardware; /* the time is the device's, otherwise that of CLOCK_REALTIME */
    uint64_t time; /* ns */
    struct segment_offload offload;
};

/* The socket gets PACKET_VNET_HDR. On error nothing is mapped. */
int ring_open(struct ring *ring, int fd, const struct ring_options *options,
              struct error *err);
void ring_close(struct ring *ring);

/* False when there is none. The frame stays until ring_release. */
bool ring_peek(struct ring *ring, struct ring_frame *frame);
void ring_release(struct ring *ring, const struct ring_frame *frame);

/* Scatters a queued frame (without the vnet header) over n vectors, at most SEGMENT_MAX
 * + 1. Call once per queued frame, before ring_release; ring_discard otherwise. -EIO when
 * the queue does not hold what the ring promised. */
int ring_fetch(struct ring *ring, const struct ring_frame *frame, const struct iovec *to,
               size_t n);
void ring_discard(struct ring *ring, const struct ring_frame *frame);
bool ring_pending(const struct ring *ring);

/* The fields of a struct virtio_net_hdr. */
void ring_read_vnet(struct segment_offload *offload, const uint8_t *at);
