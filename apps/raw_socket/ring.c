/* ring: the receive ring of an AF_PACKET socket, frame by frame. */
#include "apps/raw_socket/ring.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "apps/raw_socket/batch.h"

#define LINE         64u
#define BLOCK_SIZE   (256u << 10)
#define V3_BLOCK     (1u << 20) /* holds any super-frame */
#define V3_ALIGNMENT 8u         /* of headers in a block */
#define SIZE_MAX_V2  (64u << 20)
#define SLOTS_MIN    64u
#define QUEUE_SIZE   (64 << 20) /* bytes of super-frames that may wait */
#define HEADERS      128u       /* ring headers, Ethernet and VLAN tags of a slot */

_Static_assert(sizeof(struct virtio_net_hdr) == RING_VNET_SIZE, "the short vnet header");

static int set(int fd, int option, int value, const char *name, struct error *err)
{
    if (setsockopt(fd, SOL_PACKET, option, &value, sizeof(value)))
        return error_system(err, ERROR_RUN, "%s", name);
    return 0;
}

/* Room for the queue of super-frames; SO_RCVBUF is what is left without CAP_NET_ADMIN. */
static void set_queue_size(int fd)
{
    int size = QUEUE_SIZE;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static void size_v2(struct ring *ring, const struct ring_options *options)
{
    /* An odd number of cache lines: the headers of slots spread over all cache sets. */
    ring->slot_size = ((HEADERS + options->mtu + LINE - 1) / LINE | 1) * LINE;
    ring->block_size = BLOCK_SIZE;
    while (ring->block_size < ring->slot_size)
        ring->block_size *= 2;
    ring->slots_per_block = ring->block_size / ring->slot_size;
    uint32_t slots = options->frames, most = SIZE_MAX_V2 / ring->slot_size;
    slots = slots > most ? most : slots;
    slots = slots < SLOTS_MIN ? SLOTS_MIN : slots;
    ring->blocks = (slots + ring->slots_per_block - 1) / ring->slots_per_block;
    ring->slots = ring->blocks * ring->slots_per_block;
}

static void size_v3(struct ring *ring, const struct ring_options *options)
{
    ring->block_size = V3_BLOCK;
    ring->slot_size =
        2048; /* the kernel wants one that divides; it has no other meaning */
    ring->slots_per_block = ring->block_size / ring->slot_size;
    uint64_t bytes = (uint64_t)options->frames * (HEADERS + options->mtu);
    ring->blocks = (uint32_t)((bytes + V3_BLOCK - 1) / V3_BLOCK);
    ring->blocks = ring->blocks < 4 ? 4 : ring->blocks;
    ring->slots = ring->blocks * ring->slots_per_block;
}

static int request(struct ring *ring, const struct ring_options *options)
{
    struct tpacket_req3 req = {
        .tp_block_size = ring->block_size,
        .tp_block_nr = ring->blocks,
        .tp_frame_size = ring->slot_size,
        .tp_frame_nr = ring->slots,
    };
    if (ring->version == RING_V3)
        req.tp_retire_blk_tov = options->retire_ms;
    size_t size = ring->version == RING_V3 ? sizeof(struct tpacket_req3)
                                           : sizeof(struct tpacket_req);
    return setsockopt(ring->fd, SOL_PACKET, PACKET_RX_RING, &req, (socklen_t)size)
               ? -errno
               : 0;
}

/* Memory may be short of large blocks: make do with three quarters, again and again, down
 * to a quarter. */
static int request_what_there_is(struct ring *ring, const struct ring_options *options,
                                 struct error *err)
{
    int error;
    ring->wanted = ring->blocks;
    uint32_t least = ring->blocks / 4 ? ring->blocks / 4 : 1;
    while ((error = request(ring, options)) == -ENOMEM && ring->blocks * 3 / 4 >= least) {
        ring->blocks = ring->blocks * 3 / 4;
        ring->slots = ring->blocks * ring->slots_per_block;
    }
    if (!error)
        return 0;
    errno = -error;
    return error_system(err, ERROR_RUN, "a receive ring of %u blocks of %u bytes",
                        ring->blocks, ring->block_size);
}

static int open_memory(struct ring *ring, const struct ring_options *options,
                       struct error *err)
{
    if (ring->version == RING_V3)
        size_v3(ring, options);
    else
        size_v2(ring, options);
    int error = request_what_there_is(ring, options, err);
    if (error)
        return error;
    ring->size = (size_t)ring->blocks * ring->block_size;
    ring->memory =
        mmap(NULL, ring->size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
    if (ring->memory != MAP_FAILED)
        return 0;
    ring->memory = NULL;
    return error_system(err, ERROR_RUN, "cannot map the receive ring");
}

int ring_open(struct ring *ring, int fd, const struct ring_options *options,
              struct error *err)
{
    *ring = (struct ring){ .fd = fd, .version = options->version };
    int error = set(fd, PACKET_VNET_HDR, 1, "PACKET_VNET_HDR", err);
    if (error)
        return error;
    set_queue_size(fd);
    if (options->version == RING_READ) {
        ring->batch = batch_new(fd, options->hardware, err);
        return ring->batch ? 0 : -EIO;
    }
    bool v3 = options->version == RING_V3;
    error = set(fd, PACKET_VERSION, v3 ? TPACKET_V3 : TPACKET_V2, "PACKET_VERSION", err);
    if (!error && !v3)
        error = set(fd, PACKET_COPY_THRESH, 1, "PACKET_COPY_THRESH", err);
    if (!error && options->hardware)
        error = set(fd, PACKET_TIMESTAMP, SOF_TIMESTAMPING_RAW_HARDWARE,
                    "PACKET_TIMESTAMP", err);
    return error ? error : open_memory(ring, options, err);
}

void ring_close(struct ring *ring)
{
    if (ring->memory)
        munmap(ring->memory, ring->size);
    ring->memory = NULL;
    batch_free(ring->batch);
    ring->batch = NULL;
}

void ring_read_vnet(struct segment_offload *offload, const uint8_t *at)
{
    struct virtio_net_hdr vnet;
    memcpy(&vnet, at, sizeof(vnet));
    *offload =
        (struct segment_offload){ vnet.flags,    vnet.gso_type,   vnet.hdr_len,
                                  vnet.gso_size, vnet.csum_start, vnet.csum_offset };
}

/* What both versions have in common. The kernel wrote all of this; a place outside the
 * slot is refused all the same. */
static bool fill(struct ring_frame *frame, const uint8_t *slot, uint32_t room,
                 uint32_t mac, uint32_t captured, uint32_t length, uint32_t status)
{
    if (mac < RING_VNET_SIZE || mac > room || captured > room - mac)
        return false;
    frame->data = slot + mac;
    frame->captured = captured;
    frame->length = length;
    frame->queued = status & TP_STATUS_COPY;
    frame->lost = captured < length && !frame->queued;
    frame->hardware = status & TP_STATUS_TS_RAW_HARDWARE;
    ring_read_vnet(&frame->offload, frame->data - RING_VNET_SIZE);
    return true;
}

static void fill_vlan(struct ring_frame *frame, uint32_t status, uint16_t tci,
                      uint16_t tpid)
{
    frame->vlan = status & TP_STATUS_VLAN_VALID;
    frame->vlan_tci = tci;
    frame->vlan_tpid = status & TP_STATUS_VLAN_TPID_VALID ? tpid : 0x8100;
}

static uint64_t nanoseconds(uint32_t sec, uint32_t nsec)
{
    return (uint64_t)sec * 1000000000 + nsec;
}

static uint8_t *slot_v2(const struct ring *ring)
{
    return ring->memory +
           (size_t)(ring->slot / ring->slots_per_block) * ring->block_size +
           (size_t)(ring->slot % ring->slots_per_block) * ring->slot_size;
}

static void release_v2(struct ring *ring)
{
    struct tpacket2_hdr *header = (struct tpacket2_hdr *)slot_v2(ring);
    __atomic_store_n(&header->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    ring->slot = ring->slot + 1 == ring->slots ? 0 : ring->slot + 1;
}

static bool peek_v2(struct ring *ring, struct ring_frame *frame)
{
    for (;;) {
        uint8_t *slot = slot_v2(ring);
        const struct tpacket2_hdr *header = (const struct tpacket2_hdr *)slot;
        uint32_t status = __atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE);
        if (!(status & TP_STATUS_USER))
            return false;
        const struct sockaddr_ll *address =
            (const struct sockaddr_ll *)(slot + TPACKET_ALIGN(sizeof(*header)));
        frame->packet_type = address->sll_pkttype;
        frame->time = nanoseconds(header->tp_sec, header->tp_nsec);
        fill_vlan(frame, status, header->tp_vlan_tci, header->tp_vlan_tpid);
        if (fill(frame, slot, ring->slot_size, header->tp_mac, header->tp_snaplen,
                 header->tp_len, status))
            return true;
        release_v2(ring);
    }
}

static struct tpacket_block_desc *block_v3(const struct ring *ring)
{
    return (struct tpacket_block_desc *)(ring->memory +
                                         (size_t)ring->slot * ring->block_size);
}

static void next_block(struct ring *ring)
{
    __atomic_store_n(&block_v3(ring)->hdr.bh1.block_status, TP_STATUS_KERNEL,
                     __ATOMIC_RELEASE);
    ring->slot = ring->slot + 1 == ring->blocks ? 0 : ring->slot + 1;
    ring->block_left = 0;
}

/* Opens blocks until one has a frame; a block may come without any. */
static bool open_block(struct ring *ring)
{
    while (!ring->block_left) {
        const struct tpacket_hdr_v1 *block = &block_v3(ring)->hdr.bh1;
        uint32_t status = __atomic_load_n(&block->block_status, __ATOMIC_ACQUIRE);
        if (!(status & TP_STATUS_USER))
            return false;
        ring->losing += status & TP_STATUS_LOSING ? 1 : 0;
        ring->block_left = block->num_pkts;
        ring->block_offset = block->offset_to_first_pkt;
        if (!ring->block_left)
            next_block(ring);
    }
    return true;
}

static bool peek_v3(struct ring *ring, struct ring_frame *frame)
{
    while (open_block(ring)) {
        uint8_t *at = (uint8_t *)block_v3(ring) + ring->block_offset;
        const struct tpacket3_hdr *header = (const struct tpacket3_hdr *)at;
        uint32_t least = TPACKET_ALIGN(sizeof(*header)) + sizeof(struct sockaddr_ll);
        if (ring->block_offset > ring->block_size - least ||
            ring->block_offset % V3_ALIGNMENT) {
            next_block(ring);
            continue;
        }
        const struct sockaddr_ll *address =
            (const struct sockaddr_ll *)(at + TPACKET_ALIGN(sizeof(*header)));
        frame->packet_type = address->sll_pkttype;
        frame->time = nanoseconds(header->tp_sec, header->tp_nsec);
        fill_vlan(frame, header->tp_status, (uint16_t)header->hv1.tp_vlan_tci,
                  header->hv1.tp_vlan_tpid);
        if (fill(frame, at, ring->block_size - ring->block_offset, header->tp_mac,
                 header->tp_snaplen, header->tp_len, header->tp_status & ~TP_STATUS_COPY))
            return true;
        next_block(ring);
    }
    return false;
}

static void release_v3(struct ring *ring)
{
    const struct tpacket3_hdr *header =
        (const struct tpacket3_hdr *)((uint8_t *)block_v3(ring) + ring->block_offset);
    ring->block_offset += header->tp_next_offset;
    if (!--ring->block_left || !header->tp_next_offset) /* 0: the last one */
        next_block(ring);
}

bool ring_peek(struct ring *ring, struct ring_frame *frame)
{
    switch (ring->version) {
    case RING_V2:
        return peek_v2(ring, frame);
    case RING_V3:
        return peek_v3(ring, frame);
    default:
        return batch_peek(ring->batch, frame);
    }
}

void ring_release(struct ring *ring, const struct ring_frame *frame)
{
    switch (ring->version) {
    case RING_V2:
        release_v2(ring);
        break;
    case RING_V3:
        release_v3(ring);
        break;
    default:
        batch_release(ring->batch);
    }
}

bool ring_pending(const struct ring *ring)
{
    return ring->version == RING_READ && ring->batch && batch_pending(ring->batch);
}

int ring_fetch(struct ring *ring, const struct ring_frame *frame, const struct iovec *to,
               size_t n)
{
    uint8_t vnet[RING_VNET_SIZE];
    struct iovec vectors[SEGMENT_MAX + 2] = { { vnet, sizeof(vnet) } };
    if (n > SEGMENT_MAX + 1)
        return -EINVAL;
    size_t wanted = sizeof(vnet);
    for (size_t i = 0; i < n; i++) {
        vectors[i + 1] = to[i];
        wanted += to[i].iov_len;
    }
    struct msghdr message = { .msg_iov = vectors, .msg_iovlen = n + 1 };
    ssize_t got = recvmsg(ring->fd, &message, MSG_DONTWAIT);
    return got >= 0 && (size_t)got == wanted ? 0 : -EIO;
}

void ring_discard(struct ring *ring, const struct ring_frame *frame)
{
    if (frame->queued)
        recv(ring->fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC);
}
