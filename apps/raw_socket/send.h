/* send: from packets on a link to the wire.
 *
 *   sender_open     sockets to send from
 *   sender_push     as much of a link as the kernel takes
 *   sender_close
 *
 * A socket of its own for sending never sees a frame. Where outgoing frames are wanted
 * too, only the socket that sent a frame is spared its echo, so there the receiving one
 * sends.
 *
 * With offload, unfinished checksums and super-frames go to the kernel as they are, with a
 * struct virtio_net_hdr in front that says so; otherwise they are made plain first.
 *
 * Frames are handed over by sendmmsg; or through a ring (tx_ring.h), which copies them
 * there and has the kernel look once for all; or not at all.
 *
 * What the kernel does not take now stays on the link: the engine then waits for the very
 * socket that blocked.
 */
#pragma once
#include "apps/raw_socket/receive.h"
#include "apps/raw_socket/tx_ring.h"
#include "engine/app.h"
#include "engine/plain.h"

/* Counters of the app, as far as they are counted here. */
enum send_counter {
    TX_PACKETS = RECEIVE_COUNTERS,
    TX_BYTES,
    TX_MERGED,
    TX_GSO,
    TX_CSUM,
    TX_SPLIT,
    TX_SEGMENTS,
    TX_BLOCKED,
    DROP_TX_OVERSIZE,
    DROP_TX_RUNT,
    DROP_TX_OFFLOAD,
    DROP_TX_NONE,
    TX_HELD,
    DROP_TX_FAILED,
    DROP_LINK_DOWN,
    SEND_COUNTERS,
};

enum send_method { SEND_MESSAGES, SEND_RING, SEND_NONE };

struct send_options {
    enum send_method method;
    const char *ifname;
    unsigned index, mtu;
    bool qdisc_bypass, offload;
    uint32_t merge; /* segments of a run at most, 1: none are merged */
    uint32_t ring_frames, ring_frame_size;
};

struct sender {
    int fd;       /* -1: closed */
    int merge_fd; /* with PACKET_VNET_HDR, for runs of segments; -1: none are merged */
    bool shared;  /* fd is the receiver's */
    bool vnet;    /* fd wants a vnet header in front */
    bool offload;
    enum send_method method;
    uint32_t merge;
    uint32_t mtu;       /* the owner keeps it up to date */
    int last;           /* the socket that the latest packets were given to */
    int blocked_fd;     /* where POLLOUT is waited for; -1: nowhere */
    struct plain plain; /* without offload */
    struct tx_ring ring;
};

/* What it is given while it has no socket is dropped. */
void sender_init(struct sender *sender);

/* receiver: the socket to share, -1: none. After an error call sender_close as well. */
int sender_open(struct sender *sender, int receiver, const struct send_options *options,
                struct error *err);

/* The receiver's socket is left open. It may be opened again. */
void sender_close(struct app *app, struct sender *sender);

void sender_push(struct app *app, struct sender *sender, struct link *input);
