/* xsk: one AF_XDP socket on one queue, its memory being the arena of packets.
 *
 *   xsk_open         socket, memory, rings, bind
 *   xsk_fill         packets for the kernel to receive into
 *   xsk_receive      what it received
 *   xsk_put          packets to be sent, as far as there is room
 *   xsk_kick         have the kernel send them
 *   xsk_reap         free what it has sent
 *   xsk_statistics   the kernel's six counters
 *   xsk_close        everything comes back
 *
 *            arena        fill ring            receive ring
 *          freelist --------->( kernel: frame in )----------> graph
 *              ^         completion ring       send ring        |
 *              +--------------( kernel: frame out )<------------+
 *
 * The arena is the socket's UMEM, chunk by chunk: a descriptor's address is a packet's by
 * arithmetic, and a frame that came in on one socket goes out on another without a copy.
 * Several sockets register the same memory, each for itself.
 *
 * Who owns a packet that the kernel has is written down in a bitmap of this socket, because
 * the kernel does not give everything back when a socket is closed. Always: packets given to
 * the kernel = filling + in the receive ring + sending.
 *
 * Sources: Documentation/networking/af_xdp.rst, net/xdp/xsk.c, linux/if_xdp.h.
 */
#pragma once
#include <linux/if_xdp.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/packet.h"

#define XSK_BURST    64
#define XSK_HEADROOM 256 /* bytes before a received frame: XDP_PACKET_HEADROOM */

enum xsk_bind { XSK_BIND_AUTO, XSK_BIND_COPY, XSK_BIND_ZEROCOPY };

struct xsk_options {
    const char *ifname;
    unsigned index, queue;
    uint32_t rx, tx, fill, completion; /* descriptors, powers of two; rx, tx 0: none */
    enum xsk_bind bind;
    bool need_wakeup, frags;
};

struct xsk_ring {
    uint32_t *producer, *consumer, *flags;
    void *slots; /* struct xdp_desc, or uint64_t addresses */
    void *map;
    size_t map_size;
    uint32_t size, mask;
    uint32_t next; /* our own cursor, ahead of or equal to what the kernel is told */
};

struct xsk {
    int fd;
    bool zerocopy, need_wakeup;
    uint32_t
        chunk; /* bytes the kernel takes from one place: longer frames go in pieces */
    struct xsk_ring rx, tx, fill, completion;
    uint32_t filling; /* packets given to be received into */
    uint32_t sending; /* packets given to be sent */
    uint64_t *held;   /* by packet: the kernel has it */
    uint64_t kicks;
};

/* The longest frame that is received into one packet: 1,792 bytes with chunks of 2 KiB. */
uint32_t xsk_frame_max(void);

/* On error nothing is left open. -EBUSY when the queue has a socket, also for some 20 ms
 * after that was closed; -EOPNOTSUPP where zero-copy was asked for and is not to be had;
 * -ENOBUFS when so much memory may not be locked. The texts say what would help. */
int xsk_open(struct xsk *xsk, const struct xsk_options *options, struct error *err);

/* Frees all packets that the kernel has. xsk_open may have failed or never been called on a
 * zeroed one with fd -1. */
void xsk_close(struct xsk *xsk);

/* Gives the kernel packets until the fill ring has as many as it holds or none is free: then
 * false. */
bool xsk_fill(struct xsk *xsk);

/* Up to n frames; `more` is true for all but the last piece of one. The caller owns the
 * packets and gives them their timestamp. */
struct xsk_frame {
    struct packet *packet;
    bool more;
};
uint32_t xsk_receive(struct xsk *xsk, struct xsk_frame *frames, uint32_t n);

/* Descriptors that there is room for in the send ring. */
uint32_t xsk_room(const struct xsk *xsk);

/* Is this packet's frame where the kernel can take it from? */
bool xsk_reaches(const struct xsk *xsk, const struct packet *p);

/* Puts a packet, or a piece of one with more to come, in the send ring, which has room: it is
 * the kernel's then. Nothing goes out before xsk_kick. */
void xsk_put(struct xsk *xsk, struct packet *p, bool more);

/* Tells the kernel what was put, and has it send. 0 when the send ring is empty now, -EAGAIN
 * when it is to be called again, another -errno when the device is down or gone. */
int xsk_kick(struct xsk *xsk);

/* Frees packets that were sent; returns how many. */
uint32_t xsk_reap(struct xsk *xsk);

/* Wakes a driver that waits for packets to receive into, or has the device polled. */
void xsk_wake_receiver(struct xsk *xsk, bool always);

/* Cumulative. Fields that the kernel does not know stay 0. */
int xsk_statistics(const struct xsk *xsk, struct xdp_statistics *stats);
