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
 * What the kernel does not take now stays on the link: the engine then waits for the very
 * socket that blocked.
 */
#pragma once
#include "apps/raw_socket/receive.h"
#include "engine/app.h"

/* Counters of the app, as far as they are counted here. */
enum send_counter {
    TX_PACKETS = RECEIVE_COUNTERS,
    TX_BYTES,
    TX_MERGED,
    TX_BLOCKED,
    DROP_TX_OVERSIZE,
    DROP_TX_RUNT,
    DROP_TX_FAILED,
    DROP_LINK_DOWN,
    SEND_COUNTERS,
};

struct send_options {
    const char *ifname;
    unsigned index;
    bool qdisc_bypass;
    uint32_t merge; /* segments of a run at most, 1: none are merged */
};

struct sender {
    int fd;       /* -1: closed */
    int merge_fd; /* with PACKET_VNET_HDR, for runs of segments; -1: none are merged */
    bool shared;  /* fd is the receiver's, and wants a vnet header in front */
    uint32_t merge;
    int last;       /* the socket that the latest packets were given to */
    int blocked_fd; /* where POLLOUT is waited for; -1: nowhere */
};

/* A sender without sockets: whatever it is given is dropped. */
#define SENDER_CLOSED ((struct sender){ .fd = -1, .merge_fd = -1, .blocked_fd = -1 })

/* receiver: the socket to share, -1: none. After an error call sender_close as well. */
int sender_open(struct sender *sender, int receiver, const struct send_options *options,
                struct error *err);

/* The receiver's socket is left open. */
void sender_close(struct app *app, struct sender *sender);

void sender_push(struct app *app, struct sender *sender, struct link *input);
