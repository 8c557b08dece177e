/* send: from packets on a link to the wire. */
#include "apps/raw_socket/send.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/raw_socket/merge.h"
#include "apps/raw_socket/socket.h"
#include "engine/engine.h"
#include "engine/vnet.h"

#define TAG_SIZE    4
#define RETRY       100000    /* ns */
#define BUFFER_SIZE (4 << 20) /* bytes of super-frames that may be under way */

void sender_init(struct sender *sender)
{
    memset(sender, 0, sizeof(*sender));
    sender->fd = sender->merge_fd = sender->blocked_fd = -1;
}

/* The default is three super-frames; SO_SNDBUF is what is left without CAP_NET_ADMIN. */
static void enlarge_buffer(int fd)
{
    int size = BUFFER_SIZE;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static int open_socket(const struct send_options *options, bool vnet, struct error *err)
{
    int fd = packet_socket(err);
    if (fd < 0)
        return fd;
    int error =
        vnet ? packet_socket_set(fd, PACKET_VNET_HDR, 1, "PACKET_VNET_HDR", err) : 0;
    if (!error)
        error = packet_socket_bind(fd, options->index, 0, options->ifname, err);
    if (!error && options->qdisc_bypass)
        error = packet_socket_set(fd, PACKET_QDISC_BYPASS, 1, "PACKET_QDISC_BYPASS", err);
    if (!error)
        return fd;
    close(fd);
    return error;
}

/* The receiver's socket sends, too. */
static int share(struct sender *sender, int receiver, const struct send_options *options,
                 struct error *err)
{
    sender->fd = receiver;
    sender->shared = sender->vnet = true;
    return options->qdisc_bypass ? packet_socket_set(receiver, PACKET_QDISC_BYPASS, 1,
                                                     "PACKET_QDISC_BYPASS", err)
                                 : 0;
}

int sender_open(struct sender *sender, int receiver, const struct send_options *options,
                struct error *err)
{
    sender->fd = sender->merge_fd = sender->blocked_fd = -1;
    sender->merge = options->merge;
    sender->mtu = options->mtu;
    sender->offload = sender->vnet = options->offload;
    sender->shared = false;
    sender->method = options->method;
    int fd = 0;
    if (options->method == SEND_NONE)
        return 0;
    if (receiver >= 0)
        fd = share(sender, receiver, options, err);
    else
        fd = sender->fd = open_socket(options, options->offload, err);
    if (fd >= 0 && options->offload)
        enlarge_buffer(sender->fd);
    if (fd >= 0 && options->method == SEND_RING)
        return tx_ring_open(&sender->ring, fd, options->ring_frames,
                            options->ring_frame_size, err);
    if (fd < 0 || receiver >= 0 || options->merge == 1)
        return fd < 0 ? fd : 0;
    sender->merge_fd = options->offload ? sender->fd : open_socket(options, true, err);
    return sender->merge_fd < 0 ? sender->merge_fd : 0;
}

/* Waits until a socket takes packets again; -1: for none. */
static void wait_for(struct app *app, struct sender *sender, int fd)
{
    if (fd == sender->blocked_fd)
        return;
    if (sender->blocked_fd >= 0 && sender->shared)
        app_poll(app, sender->fd, POLLIN);
    else if (sender->blocked_fd >= 0)
        app_unpoll(app, sender->blocked_fd);
    sender->blocked_fd = fd;
    if (fd >= 0)
        app_poll(app, fd, sender->shared ? POLLIN | POLLOUT : POLLOUT);
}

void sender_close(struct app *app, struct sender *sender)
{
    wait_for(app, sender, -1);
    if (sender->ring.memory)
        app_count(app, DROP_LINK_DOWN, tx_ring_flush(&sender->ring));
    app->counters[TX_HELD] = 0;
    tx_ring_close(&sender->ring);
    if (sender->fd >= 0 && !sender->shared)
        close(sender->fd);
    if (sender->merge_fd >= 0 && sender->merge_fd != sender->fd)
        close(sender->merge_fd);
    sender->fd = sender->merge_fd = -1;
}

/* Says of a packet what is left to do, as the kernel wants to hear it. 0, or why it cannot
 * be sent: the kernel would send segments that are longer than the interface allows. */
static int describe(const struct sender *sender, const struct packet *p,
                    struct virtio_net_hdr *vnet)
{
    int error = vnet_write(p, vnet);
    if (!error && vnet->gso_type &&
        vnet->hdr_len - ETH_HLEN + vnet->gso_size > (int64_t)sender->mtu + TAG_SIZE)
        return -EMSGSIZE;
    return error;
}

/* Hands n packets to the kernel; returns how many it took, or -errno for the first. */
static int send_burst(struct sender *sender, struct packet **p, uint32_t n)
{
    struct mmsghdr messages[LINK_BURST];
    struct iovec vectors[2 * LINK_BURST];
    struct virtio_net_hdr headers[LINK_BURST];
    bool vnet = sender->vnet;
    for (uint32_t i = 0; i < n; i++) {
        packet_push_vlan(p[i]);
        int error = vnet ? describe(sender, p[i], &headers[i]) : 0;
        if (unlikely(error) && !i)
            return error;
        if (unlikely(error))
            n = i; /* it is the first next time */
        struct iovec *vector = &vectors[2 * i];
        vector[0] = (struct iovec){ &headers[i], RING_VNET_SIZE };
        vector[1] = (struct iovec){ p[i]->data, p[i]->length };
        messages[i].msg_hdr = (struct msghdr){ .msg_iov = vnet ? vector : vector + 1,
                                               .msg_iovlen = vnet ? 2 : 1 };
    }
    sender->last = sender->fd;
    int sent = sendmmsg(sender->fd, messages, n, MSG_DONTWAIT);
    return sent < 0 ? -errno : sent;
}

/* Sends the run at the front as one; returns its length, or -errno. */
static int send_merged(struct app *app, struct sender *sender, struct packet **p,
                       uint32_t n)
{
    struct merge_message m;
    merge_message(&m, p, n);
    sender->last = sender->merge_fd;
    if (sendmsg(sender->merge_fd, &m.message, MSG_DONTWAIT) >= 0) {
        app_count(app, TX_MERGED, 1);
        return (int)n;
    }
    if (errno == EINVAL || errno == EOPNOTSUPP || errno == EMSGSIZE) {
        app_log(app, "the kernel refuses merged segments (%s): sending them one by one",
                strerror(errno));
        if (sender->merge_fd != sender->fd) {
            if (sender->blocked_fd == sender->merge_fd)
                wait_for(app, sender, -1);
            close(sender->merge_fd);
        }
        sender->merge_fd = -1;
        return 0;
    }
    return -errno;
}

/* What the kernel would skip, or stumble over, in a ring. */
static int refuse_length(const struct sender *sender, const struct packet *p)
{
    uint32_t most = sender->mtu + ETH_HLEN;
    if (p->length < ETH_HLEN)
        return -EINVAL;
    if (p->data[12] == ETH_P_8021Q >> 8 && p->data[13] == (ETH_P_8021Q & 0xff))
        most += TAG_SIZE;
    return p->length > most || p->length > tx_ring_capacity(&sender->ring) ? -EMSGSIZE
                                                                           : 0;
}

/* Puts packets into the ring; returns how many, or -errno for the first. */
static int put_burst(struct sender *sender, struct packet **p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        packet_push_vlan(p[i]);
        int error = refuse_length(sender, p[i]);
        if (!error && !tx_ring_put(&sender->ring, p[i]->data, p[i]->length))
            error = -EAGAIN;
        if (error)
            return i ? (int)i : error;
    }
    return (int)n;
}

/* Sends what is at the front of n packets: a run of segments, or packets up to the next
 * run. Returns how many the kernel took, or -errno for the first. */
static int send_front(struct app *app, struct sender *sender, struct packet **p,
                      uint32_t n)
{
    uint32_t single = n;
    if (sender->fd < 0)
        return sender->method == SEND_NONE ? -EPIPE : -ENXIO;
    if (sender->method == SEND_RING)
        return put_burst(sender, p, n);
    if (sender->merge_fd >= 0) {
        uint32_t run = 1;
        for (single = 0;
             single < n && (run = merge_run(p + single, n - single, sender->merge)) == 1;
             single++)
            ;
        int sent = single ? 0 : send_merged(app, sender, p, run);
        if (sent)
            return sent;
        single = single ? single : run;
    }
    return send_burst(sender, p, single);
}

static void count_sent(struct app *app, struct packet *const *p, uint32_t n)
{
    uint64_t gso = 0;
    for (uint32_t i = 0; i < n; i++)
        gso += p[i]->gso_type != 0;
    app_count(app, TX_PACKETS, n);
    app_count(app, TX_BYTES, link_bytes(p, n));
    app_count(app, TX_GSO, gso);
}

/* The reason for which the kernel refused one packet, or -1 when it may take it later. */
static int refusal(int error, const struct packet *p)
{
    switch (error) {
    case EAGAIN:
        return -1;
    case EMSGSIZE:
        return DROP_TX_OVERSIZE;
    case EINVAL:
        return packet_is_plain(p) ? DROP_TX_RUNT : DROP_TX_OFFLOAD;
    case ENETDOWN:
    case ENXIO:
    case ENODEV:
        return DROP_LINK_DOWN;
    case EPIPE:
        return DROP_TX_NONE;
    default: /* ENOBUFS: the packet is gone already */
        return DROP_TX_FAILED;
    }
}

/* The packets at the front, made plain where the kernel is not told what they lack. */
static uint32_t next_run(struct sender *sender, struct link *input, struct packet ***p)
{
    return sender->offload ? link_run(input, p, LINK_BURST)
                           : plain_run(&sender->plain, input, p, LINK_BURST);
}

/* Sends or drops some of n packets; returns how many, 0: the first must wait. */
static uint32_t send_some(struct app *app, struct sender *sender, struct packet **p,
                          uint32_t n)
{
    int sent = send_front(app, sender, p, n);
    while (sent == -EINTR)
        sent = send_front(app, sender, p, n);
    if (sent > 0) {
        if (sender->method != SEND_RING) /* which counts when the kernel has looked */
            count_sent(app, p, (uint32_t)sent);
        packet_free_burst(p, (uint32_t)sent);
        return (uint32_t)sent;
    }
    int reason = refusal(-sent, *p);
    if (reason < 0)
        return 0;
    app_drop(app, (uint32_t)reason, *p);
    return 1;
}

static void count_plain(struct app *app, struct plain *plain)
{
    app_count(app, TX_CSUM, plain->completed);
    app_count(app, TX_SPLIT, plain->split);
    app_count(app, TX_SEGMENTS, plain->segments);
    app_count(app, DROP_TX_OFFLOAD, plain->bad);
    plain->completed = plain->split = plain->segments = plain->bad = 0;
}

static bool is_down(int error)
{
    return error == -ENETDOWN || error == -ENXIO || error == -ENODEV;
}

/* Has the kernel look at the ring. Nothing tells when a slot is free again. */
static void kick(struct app *app, struct sender *sender, bool blocked)
{
    struct tx_ring *ring = &sender->ring;
    int error = tx_ring_kick(ring, &app->counters[TX_PACKETS], &app->counters[TX_BYTES]);
    if (is_down(error))
        app_count(app, DROP_LINK_DOWN, tx_ring_flush(ring));
    app->counters[TX_HELD] = tx_ring_held(ring);
    if (blocked || tx_ring_held(ring))
        app_wake_at(app, engine_now(app->engine) + RETRY);
}

void sender_push(struct app *app, struct sender *sender, struct link *input)
{
    struct packet **p;
    uint32_t n;
    while ((n = next_run(sender, input, &p))) {
        uint32_t done = send_some(app, sender, p, n);
        plain_advance(&sender->plain, input, done);
        if (!done) {
            app_count(app, TX_BLOCKED, 1);
            break;
        }
    }
    count_plain(app, &sender->plain);
    if (sender->ring.memory)
        kick(app, sender, n);
    else
        wait_for(app, sender, n ? sender->last : -1);
    if (unlikely(!n && plain_front(&sender->plain, input))) /* waits for a free packet */
        app_wake_at(app, engine_now(app->engine) + RETRY);
}
