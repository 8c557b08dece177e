/* send: from packets on a link to the wire. */
#include "apps/raw_socket/send.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/raw_socket/merge.h"
#include "apps/raw_socket/socket.h"

#define TAG_SIZE 4

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

int sender_open(struct sender *sender, int receiver, const struct send_options *options,
                struct error *err)
{
    *sender = SENDER_CLOSED;
    sender->merge = options->merge;
    if (receiver >= 0) {
        sender->fd = receiver;
        sender->shared = true;
        return options->qdisc_bypass ? packet_socket_set(receiver, PACKET_QDISC_BYPASS, 1,
                                                         "PACKET_QDISC_BYPASS", err)
                                     : 0;
    }
    int fd = sender->fd = open_socket(options, false, err);
    if (fd >= 0 && options->merge > 1)
        fd = sender->merge_fd = open_socket(options, true, err);
    return fd < 0 ? fd : 0;
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
    if (sender->fd >= 0 && !sender->shared)
        close(sender->fd);
    if (sender->merge_fd >= 0)
        close(sender->merge_fd);
    *sender = SENDER_CLOSED;
}

/* Puts a tag that travels beside the frame into it. */
static void insert_vlan(struct packet *p)
{
    if (!packet_prepend(p, TAG_SIZE))
        return;
    memmove(p->data, p->data + TAG_SIZE, 2 * ETH_ALEN);
    uint16_t tag[2] = { htons(p->vlan_tpid), htons(p->vlan_tci) };
    memcpy(p->data + 2 * ETH_ALEN, tag, sizeof(tag));
    p->flags &= (uint16_t)~PACKET_VLAN;
}

/* Hands n packets to the kernel; returns how many it took, or -errno for the first. */
static int send_burst(struct sender *sender, struct packet **p, uint32_t n)
{
    static uint8_t no_offload[RING_VNET_SIZE];
    struct mmsghdr messages[LINK_BURST];
    struct iovec vectors[2 * LINK_BURST];
    bool vnet = sender->shared;
    for (uint32_t i = 0; i < n; i++) {
        if (unlikely(p[i]->flags & PACKET_VLAN))
            insert_vlan(p[i]);
        struct iovec *vector = &vectors[2 * i];
        vector[0] = (struct iovec){ no_offload, sizeof(no_offload) };
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
        if (sender->blocked_fd == sender->merge_fd)
            wait_for(app, sender, -1);
        close(sender->merge_fd);
        sender->merge_fd = -1;
        return 0;
    }
    return -errno;
}

/* Sends what is at the front of n packets: a run of segments, or packets up to the next
 * run. Returns how many the kernel took, or -errno for the first. */
static int send_front(struct app *app, struct sender *sender, struct packet **p,
                      uint32_t n)
{
    uint32_t single = n;
    if (sender->fd < 0)
        return -ENXIO;
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

static void take_sent(struct app *app, struct link *input, struct packet **p, uint32_t n)
{
    app_count(app, TX_PACKETS, n);
    app_count(app, TX_BYTES, link_bytes(p, n));
    packet_free_burst(p, n);
    link_advance(input, n);
}

/* The reason for which the kernel refused one packet, or -1 when it may take it later. */
static int refusal(int error)
{
    switch (error) {
    case EAGAIN:
        return -1;
    case EMSGSIZE:
        return DROP_TX_OVERSIZE;
    case EINVAL:
        return DROP_TX_RUNT;
    case ENETDOWN:
    case ENXIO:
    case ENODEV:
        return DROP_LINK_DOWN;
    default: /* ENOBUFS: the packet is gone already */
        return DROP_TX_FAILED;
    }
}

static void drop_first(struct app *app, struct link *input, uint32_t reason)
{
    app_drop(app, reason, link_receive(input));
}

void sender_push(struct app *app, struct sender *sender, struct link *input)
{
    struct packet **p;
    uint32_t n;
    while (input && (n = link_run(input, &p, LINK_BURST))) {
        int sent = send_front(app, sender, p, n);
        if (sent > 0) {
            take_sent(app, input, p, (uint32_t)sent);
            continue;
        }
        if (sent == -EINTR)
            continue;
        int reason = refusal(-sent);
        if (reason < 0) {
            app_count(app, TX_BLOCKED, 1);
            wait_for(app, sender, sender->last);
            return;
        }
        drop_first(app, input, (uint32_t)reason);
    }
    if (unlikely(sender->blocked_fd >= 0))
        wait_for(app, sender, -1);
}
