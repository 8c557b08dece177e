/* xdp_socket: what the parts of the XdpSocket app share.
 *
 *   device_open, device_close    sockets and program of the interface (device.c)
 *   transfer_pull, transfer_push packets (transfer.c)
 */
#pragma once
#include "apps/xdp_socket/xsk.h"
#include "engine/engine.h"
#include "engine/plain.h"
#include "lib/busy_poll.h"
#include "lib/interface_life.h"
#include "lib/xdp_hook.h"

#define QUEUES_MAX 64

enum mode { MODE_RXTX, MODE_RX, MODE_TX };
enum checksum_mode { CHECKSUM_AUTO, CHECKSUM_COMPLETE, CHECKSUM_TRUST };
enum fallback { FALLBACK_PASS, FALLBACK_DROP };

struct xdp_socket_conf {
    char *ifname, *match, *xskmap;
    uint64_t queue;
    int mode, attach, bind, fallback, checksum;
    bool need_wakeup, frags, force, promisc, reopen;
    int64_t rx, tx, fill, completion, rx_batch;
    struct busy_poll_conf busy_poll;
};

struct xdp_socket {
    struct xsk queues[QUEUES_MAX];
    unsigned nqueues;
    unsigned numbers[QUEUES_MAX]; /* which queue of the interface each of them is */
    struct xdp_hook *hook; /* NULL: frames come by somebody else's program, or none do */
    struct interface_life life;
    int promisc_fd;
    struct packet
        *partial[QUEUES_MAX];  /* by queue: a frame whose pieces are being collected */
    bool skipping[QUEUES_MAX]; /* ... or dropped */
    struct plain plain;
    bool complete; /* checksums that were left to the interface */
    bool owed;     /* the kernel has not sent everything yet */
    uint64_t statistics_at;
    struct xdp_statistics past[QUEUES_MAX]; /* as far as counted */
};

/* Counters, in the order of the class. */
enum xdp_socket_counter {
    RX_PACKETS,
    RX_BYTES,
    RX_CSUM,
    RX_NO_PACKET,
    TX_PACKETS,
    TX_BYTES,
    TX_CSUM,
    TX_SPLIT,
    TX_BLOCKED,
    TX_KICKS,
    DROP_RX_DROPPED,
    DROP_RX_RING_FULL,
    RX_INVALID_DESCS,
    TX_INVALID_DESCS,
    RX_FILL_RING_EMPTY,
    TX_RING_EMPTY,
    DROP_NO_OUTPUT,
    DROP_FRAGS,
    DROP_TX_OVERSIZE,
    DROP_TX_RUNT,
    DROP_TX_OFFLOAD,
    DROP_RX_ONLY,
    DROP_LINK_DOWN,
    FILLING,
    SENDING,
    LINK_DOWNS,
    REOPENS,
};

/* Opens what conf asks for on the interface of its name and tells app's life. Patient: waits
 * up to half a second for a queue that was just closed; otherwise that is -EBUSY. On error
 * nothing is left open: -ENODEV without such an interface. */
int device_open(struct app *app, const struct xdp_socket_conf *conf, bool patient,
                struct error *err);
void device_close(struct app *app);

void transfer_pull(struct app *app);
void transfer_push(struct app *app);
