/* xsk: the rings and what the kernel wants done with them. */
#include "apps/xdp_socket/xsk.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/compat_uapi.h"

#define SEND_BUFFER  (32 << 20) /* bytes that copies of frames may take on their way out */
#define SEND_BUDGET  256        /* frames per system call in copy mode */
#define KICKS_MAX    64         /* system calls in a row */
#define ZEROCOPY_END 50000      /* us; a queue is released within 20 ms of close */

/* --- opening ------------------------------------------------------------------------ */

static uint32_t umem_chunk(void)
{
    uint32_t page = (uint32_t)getpagesize();
    return arena.chunk_size < page ? arena.chunk_size : page;
}

uint32_t xsk_frame_max(void)
{
    return umem_chunk() - XSK_HEADROOM;
}

static int set(int fd, int option, const void *value, socklen_t size, const char *what,
               struct error *err)
{
    if (setsockopt(fd, SOL_XDP, option, value, size))
        return error_system(err, ERROR_RUN, "%s", what);
    return 0;
}

static int register_memory(const struct xsk *xsk, struct error *err)
{
    struct xdp_umem_reg memory = { .addr = (uintptr_t)arena.chunks,
                                   .len = (uint64_t)arena.count << arena.chunk_shift,
                                   .chunk_size = xsk->chunk };
    if (!setsockopt(xsk->fd, SOL_XDP, XDP_UMEM_REG, &memory, sizeof(memory)))
        return 0;
    if (errno == ENOBUFS)
        return error_set(
            err, ERROR_PRIVILEGE, ENOBUFS,
            "%llu KiB of packets may not be locked: give CAP_IPC_LOCK, raise "
            "RLIMIT_MEMLOCK (ulimit -l), or use fewer packets",
            (unsigned long long)memory.len >> 10);
    return error_system(err, ERROR_RUN, "packet memory");
}

static int map_ring(int fd, struct xsk_ring *ring, uint32_t size, size_t slot,
                    const struct xdp_ring_offset *offsets, off_t at, struct error *err)
{
    if (!size)
        return 0;
    ring->map_size = offsets->desc + size * slot;
    ring->map = mmap(NULL, ring->map_size, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_POPULATE, fd, at);
    if (ring->map == MAP_FAILED) {
        ring->map = NULL;
        return error_system(err, ERROR_RUN, "AF_XDP ring");
    }
    char *base = ring->map;
    ring->producer = (uint32_t *)(base + offsets->producer);
    ring->consumer = (uint32_t *)(base + offsets->consumer);
    ring->flags = (uint32_t *)(base + offsets->flags);
    ring->slots = base + offsets->desc;
    ring->size = size;
    ring->mask = size - 1;
    return 0;
}

static int size_rings(int fd, const struct xsk_options *o, struct error *err)
{
    const struct {
        int option;
        uint32_t size;
    } rings[] = { { XDP_UMEM_FILL_RING, o->fill },
                  { XDP_UMEM_COMPLETION_RING, o->completion },
                  { XDP_RX_RING, o->rx },
                  { XDP_TX_RING, o->tx } };
    int error = 0;
    for (int i = 0; i < 4 && !error; i++)
        if (rings[i].size)
            error = set(fd, rings[i].option, &rings[i].size, sizeof(uint32_t),
                        "AF_XDP ring size", err);
    return error;
}

static int map_rings(struct xsk *xsk, const struct xsk_options *o, struct error *err)
{
    struct xdp_mmap_offsets offsets;
    socklen_t size = sizeof(offsets);
    int fd = xsk->fd;
    if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &size))
        return error_system(err, ERROR_RUN, "AF_XDP ring offsets");
    int error = map_ring(fd, &xsk->fill, o->fill, sizeof(uint64_t), &offsets.fr,
                         XDP_UMEM_PGOFF_FILL_RING, err);
    if (!error)
        error = map_ring(fd, &xsk->completion, o->completion, sizeof(uint64_t),
                         &offsets.cr, XDP_UMEM_PGOFF_COMPLETION_RING, err);
    if (!error)
        error = map_ring(fd, &xsk->rx, o->rx, sizeof(struct xdp_desc), &offsets.rx,
                         XDP_PGOFF_RX_RING, err);
    if (!error)
        error = map_ring(fd, &xsk->tx, o->tx, sizeof(struct xdp_desc), &offsets.tx,
                         XDP_PGOFF_TX_RING, err);
    return error;
}

static int bind_to_queue(struct xsk *xsk, const struct xsk_options *o, struct error *err)
{
    struct sockaddr_xdp address = { .sxdp_family = AF_XDP,
                                    .sxdp_ifindex = o->index,
                                    .sxdp_queue_id = o->queue };
    unsigned flags = o->bind == XSK_BIND_COPY       ? XDP_COPY
                     : o->bind == XSK_BIND_ZEROCOPY ? XDP_ZEROCOPY
                                                    : 0;
    flags |= (o->need_wakeup ? XDP_USE_NEED_WAKEUP : 0) | (o->frags ? XDP_USE_SG : 0);
    address.sxdp_flags = (uint16_t)flags;
    if (!bind(xsk->fd, (struct sockaddr *)&address, sizeof(address)))
        return 0;
    if (errno == EBUSY)
        return error_set(err, ERROR_RUN, EBUSY,
                         "queue %u of %s has another AF_XDP socket already", o->queue,
                         o->ifname);
    if (errno == EOPNOTSUPP && o->bind == XSK_BIND_ZEROCOPY)
        return error_set(err, ERROR_CONFIG, EOPNOTSUPP,
                         "%s cannot do zero-copy: bind = \"auto\" copies", o->ifname);
    return error_system(err, ERROR_RUN, "cannot bind to queue %u of %s", o->queue,
                        o->ifname);
}

/* What makes sending by copy faster, where the kernel lets us. */
static void widen_sending(int fd, uint32_t tx)
{
    int buffer = SEND_BUFFER, budget = tx < SEND_BUDGET ? (int)tx : SEND_BUDGET;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer)))
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
    setsockopt(fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
}

static bool is_zerocopy(int fd)
{
    struct xdp_options options = { 0 };
    socklen_t size = sizeof(options);
    return !getsockopt(fd, SOL_XDP, XDP_OPTIONS, &options, &size) &&
           options.flags & XDP_OPTIONS_ZEROCOPY;
}

static int open_socket(struct error *err)
{
    int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        return fd;
    if (errno == EPERM)
        return error_set(err, ERROR_PRIVILEGE, EPERM,
                         "an AF_XDP socket needs CAP_NET_RAW: run as root, or setcap "
                         "cap_net_raw,cap_net_admin,cap_bpf+ep on the program");
    return error_system(err, ERROR_RUN, "AF_XDP socket");
}

int xsk_open(struct xsk *xsk, const struct xsk_options *o, struct error *err)
{
    *xsk = (struct xsk){ .fd = open_socket(err),
                         .need_wakeup = o->need_wakeup,
                         .chunk = umem_chunk() };
    if (xsk->fd < 0)
        return xsk->fd;
    xsk->held = calloc(arena.count / 64 + 1, sizeof(*xsk->held));
    int error = register_memory(xsk, err);
    if (!error)
        error = size_rings(xsk->fd, o, err);
    if (!error)
        error = map_rings(xsk, o, err);
    if (!error && o->rx)
        xsk_fill(xsk); /* before the first frame can come */
    if (!error)
        error = bind_to_queue(xsk, o, err);
    if (error) {
        xsk_close(xsk);
        return error;
    }
    widen_sending(xsk->fd, o->tx);
    xsk->zerocopy = is_zerocopy(xsk->fd);
    return 0;
}

/* --- packets that the kernel has ----------------------------------------------------- */

static uint64_t address_of(const void *at)
{
    return (uint64_t)((const uint8_t *)at - arena.chunks);
}

static struct packet *packet_at(uint64_t address)
{
    return &arena.headers[address >> arena.chunk_shift];
}

static void mark(struct xsk *xsk, uint64_t address)
{
    uint64_t i = address >> arena.chunk_shift;
    xsk->held[i / 64] |= 1ull << i % 64;
}

static void unmark(struct xsk *xsk, uint64_t address)
{
    uint64_t i = address >> arena.chunk_shift;
    xsk->held[i / 64] &= ~(1ull << i % 64);
}

static void free_held(struct xsk *xsk)
{
    for (uint32_t i = 0; i <= arena.count / 64; i++)
        for (uint64_t word = xsk->held[i]; word; word &= word - 1) {
            struct packet *p = &arena.headers[i * 64 + (uint32_t)__builtin_ctzll(word)];
            packet_reset(p); /* of one that nothing was received into */
            packet_free(p);
        }
}

static void unmap(struct xsk_ring *ring)
{
    if (ring->map)
        munmap(ring->map, ring->map_size);
}

void xsk_close(struct xsk *xsk)
{
    if (xsk->fd < 0)
        return;
    unmap(&xsk->rx);
    unmap(&xsk->tx);
    unmap(&xsk->fill);
    unmap(&xsk->completion);
    close(xsk->fd);
    /* Zero-copy: the kernel takes the device's rings down behind our back, so they may be
     * written to a little longer. */
    if (xsk->zerocopy)
        usleep(ZEROCOPY_END);
    free_held(xsk);
    free(xsk->held);
    *xsk = (struct xsk){ .fd = -1 };
}

/* --- rings --------------------------------------------------------------------------- */

/* Slots that we may write: the kernel has consumed what was in them. */
static uint32_t writable(const struct xsk_ring *ring)
{
    return ring->size - (ring->next - __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE));
}

static uint32_t readable(const struct xsk_ring *ring)
{
    return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) - ring->next;
}

static void publish(struct xsk_ring *ring)
{
    __atomic_store_n(ring->producer, ring->next, __ATOMIC_RELEASE);
}

static void release(struct xsk_ring *ring)
{
    __atomic_store_n(ring->consumer, ring->next, __ATOMIC_RELEASE);
}

/* --- receiving ----------------------------------------------------------------------- */

bool xsk_fill(struct xsk *xsk)
{
    struct xsk_ring *ring = &xsk->fill;
    uint64_t *slots = ring->slots;
    struct packet *p[XSK_BURST];
    uint32_t room = writable(ring), got = 0;
    while (room) {
        uint32_t n = room < XSK_BURST ? room : XSK_BURST;
        got = packet_take_burst(p, n);
        for (uint32_t i = 0; i < got; i++) {
            uint64_t address = address_of(p[i]->chunk);
            mark(xsk, address);
            slots[ring->next++ & ring->mask] = address;
        }
        xsk->filling += got;
        room -= got;
        if (got < n)
            break;
    }
    publish(ring);
    return !room;
}

uint32_t xsk_receive(struct xsk *xsk, struct xsk_frame *frames, uint32_t n)
{
    struct xsk_ring *ring = &xsk->rx;
    const struct xdp_desc *slots = ring->slots;
    uint32_t have = readable(ring);
    n = have < n ? have : n;
    for (uint32_t i = 0; i < n; i++) {
        const struct xdp_desc *d = &slots[ring->next++ & ring->mask];
        struct packet *p = packet_at(d->addr);
        unmark(xsk, d->addr);
        packet_reset(p);
        p->data = arena.chunks + d->addr;
        p->length = d->len;
        frames[i] = (struct xsk_frame){ p, d->options & XDP_PKT_CONTD };
    }
    if (n)
        release(ring);
    xsk->filling -= n;
    return n;
}

void xsk_wake_receiver(struct xsk *xsk, bool always)
{
    if (always || (xsk->need_wakeup && *xsk->fill.flags & XDP_RING_NEED_WAKEUP))
        recvfrom(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

/* --- sending ------------------------------------------------------------------------- */

uint32_t xsk_room(const struct xsk *xsk)
{
    return writable(&xsk->tx);
}

bool xsk_reaches(const struct xsk *xsk, const struct packet *p)
{
    uint64_t from = address_of(p->data), last = from + p->length - 1;
    uint64_t chunk = xsk->chunk;
    return last < (uint64_t)arena.count << arena.chunk_shift &&
           (from & ~(chunk - 1)) == (last & ~(chunk - 1));
}

void xsk_put(struct xsk *xsk, struct packet *p, bool more)
{
    struct xsk_ring *ring = &xsk->tx;
    struct xdp_desc *slots = ring->slots;
    uint64_t address = address_of(p->data);
    mark(xsk, address);
    slots[ring->next++ & ring->mask] =
        (struct xdp_desc){ address, p->length, more ? XDP_PKT_CONTD : 0 };
    xsk->sending++;
}

static uint32_t unsent(const struct xsk_ring *ring)
{
    return ring->next - __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
}

/* In copy mode a call sends a budget of frames and says EAGAIN. The same is said when there
 * is no memory or no room in the completion ring: then nothing moves. */
int xsk_kick(struct xsk *xsk)
{
    struct xsk_ring *ring = &xsk->tx;
    publish(ring);
    uint32_t before, left = unsent(ring);
    for (int i = 0; left && i < KICKS_MAX; i++) {
        before = left;
        if (xsk->need_wakeup && !(*ring->flags & XDP_RING_NEED_WAKEUP))
            return 0; /* the driver is at it */
        int result = (int)sendto(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
        xsk->kicks++;
        if (result < 0 && errno != EAGAIN && errno != EBUSY && errno != ENOBUFS &&
            errno != EINTR)
            return -errno;
        left = unsent(ring);
        if (left == before)
            break;
    }
    return left ? -EAGAIN : 0;
}

uint32_t xsk_reap(struct xsk *xsk)
{
    struct xsk_ring *ring = &xsk->completion;
    const uint64_t *slots = ring->slots;
    struct packet *p[XSK_BURST];
    uint32_t all = readable(ring), n;
    for (uint32_t left = all; left; left -= n) {
        n = left < XSK_BURST ? left : XSK_BURST;
        for (uint32_t i = 0; i < n; i++) {
            uint64_t address = slots[ring->next++ & ring->mask];
            unmark(xsk, address);
            p[i] = packet_at(address);
        }
        packet_free_burst(p, n);
    }
    if (all)
        release(ring);
    xsk->sending -= all;
    return all;
}

int xsk_statistics(const struct xsk *xsk, struct xdp_statistics *stats)
{
    socklen_t size = sizeof(*stats);
    *stats = (struct xdp_statistics){ 0 };
    return getsockopt(xsk->fd, SOL_XDP, XDP_STATISTICS, stats, &size) ? -errno : 0;
}
