/* transfer: packets between links and rings. */
#include <errno.h>
#include <string.h>

#include "apps/xdp_socket/xdp_socket.h"
#include "lib/checksum.h"

#define KICK_AGAIN 50000 /* ns until the kernel is asked once more to send */
#define RUNT       14
#define PIECES_MAX 17 /* of a frame: what an sk_buff holds (MAX_SKB_FRAGS) */

/* --- receiving ---------------------------------------------------------------------- */

/* Returns whether it had to be. */
static bool complete_checksum(struct packet *p)
{
    size_t start, offset;
    if (!checksum_find_partial(p->data, p->length, &start, &offset))
        return false;
    checksum_complete(p->data, p->length, start, offset);
    return true;
}

/* A piece of a frame; returns the frame when that was the last. */
static struct packet *gather(struct app *app, unsigned queue,
                             const struct xsk_frame *piece)
{
    struct xdp_socket *xdp = app->state;
    struct packet *whole = xdp->partial[queue], *p = piece->packet;
    bool skipping = xdp->skipping[queue];
    if (!whole && !skipping) {
        if (!piece->more)
            return p;
        whole = packet_allocate_large();
        if (whole)
            whole->timestamp = p->timestamp;
    }
    if (!skipping && (!whole || !packet_append(whole, p->data, p->length))) {
        app_count(app, DROP_FRAGS, 1);
        if (whole)
            packet_free(whole);
        whole = NULL;
        skipping = true;
    }
    packet_free(p);
    xdp->partial[queue] = piece->more ? whole : NULL;
    xdp->skipping[queue] = piece->more && skipping;
    return piece->more ? NULL : whole;
}

/* Frames as packets; returns how many there are. */
static uint32_t take(struct app *app, unsigned queue, const struct xsk_frame *frames,
                     struct packet **p, uint32_t n)
{
    const struct xdp_socket *xdp = app->state;
    bool frags = ((const struct xdp_socket_conf *)app->conf)->frags;
    uint32_t packets = 0, completed = 0;
    for (uint32_t i = 0; i < n; i++) {
        p[packets] = unlikely(frags) ? gather(app, queue, &frames[i]) : frames[i].packet;
        if (xdp->complete && p[packets])
            completed += complete_checksum(p[packets]);
        packets += p[packets] != NULL;
    }
    app_count(app, RX_CSUM, completed);
    return packets;
}

/* Nobody says when a frame came; no later than now, but perhaps later than this breath began. */
static void stamp(const struct app *app, const struct xsk_frame *frames, uint32_t n)
{
    uint64_t now = n ? engine_clock(app->engine) : 0;
    for (uint32_t i = 0; i < n; i++)
        frames[i].packet->timestamp = now;
}

/* Returns how many descriptors were taken. */
static uint32_t pull_queue(struct app *app, unsigned queue, struct link *output,
                           uint32_t most)
{
    struct xdp_socket *xdp = app->state;
    struct xsk_frame frames[XSK_BURST];
    struct packet *p[XSK_BURST];
    uint32_t got =
        xsk_receive(&xdp->queues[queue], frames, most < XSK_BURST ? most : XSK_BURST);
    stamp(app, frames, got);
    uint32_t n = take(app, queue, frames, p, got);
    if (!n)
        return got;
    if (unlikely(!output)) {
        app_count(app, DROP_NO_OUTPUT, n);
        packet_free_burst(p, n);
        return got;
    }
    app_count(app, RX_PACKETS, n);
    app_count(app, RX_BYTES, link_bytes(p, n));
    link_transmit_burst(output, p, n);
    return got;
}

void transfer_pull(struct app *app)
{
    struct xdp_socket *xdp = app->state;
    const struct xdp_socket_conf *conf = app->conf;
    struct link *output = app_output(app, 0);
    if (conf->mode == MODE_TX)
        return;
    for (unsigned i = 0; i < xdp->nqueues; i++) {
        uint32_t room = output ? link_writable(output) : LINK_SIZE, n;
        uint32_t left = conf->rx_batch < room ? (uint32_t)conf->rx_batch : room;
        while (left && (n = pull_queue(app, i, output, left)))
            left -= n;
        if (!xsk_fill(&xdp->queues[i]))
            app_count(app, RX_NO_PACKET, 1);
        xsk_wake_receiver(&xdp->queues[i], conf->busy_poll.usecs);
    }
}

/* --- sending ------------------------------------------------------------------------ */

/* What one breath gives the kernel. */
struct burst {
    uint32_t room; /* descriptors in the send ring */
    uint32_t most; /* bytes of a frame that can be sent */
    uint32_t packets;
    uint64_t bytes;
};

/* Copies a frame that is too long for one descriptor, or outside of the kernel's reach, into
 * packets that are within. Returns how many; 0 when there is no room, or no packet. */
static uint32_t put_copy(struct xsk *xsk, const struct packet *p, uint32_t room)
{
    struct packet *pieces[PIECES_MAX];
    uint32_t size = xsk->chunk, n = (p->length + size - 1) / size;
    if (n > room)
        return 0;
    uint32_t got = packet_allocate_burst(pieces, n);
    if (got < n) {
        packet_free_burst(pieces, got);
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        pieces[i]->data = pieces[i]->chunk;
        pieces[i]->length = i + 1 < n ? size : p->length - i * size;
        memcpy(pieces[i]->data, p->data + i * size, pieces[i]->length);
        xsk_put(xsk, pieces[i], i + 1 < n);
    }
    return n;
}

/* Puts a packet into the send ring, or drops it. False when it has to wait. */
static bool put(struct app *app, struct xsk *xsk, struct packet *p, struct burst *burst)
{
    packet_push_vlan(p);
    if (unlikely(p->length < RUNT || p->length > burst->most)) {
        app_drop(app, p->length < RUNT ? DROP_TX_RUNT : DROP_TX_OVERSIZE, p);
        return true;
    }
    uint32_t length = p->length, used = 1;
    if (likely(xsk_reaches(xsk, p))) {
        xsk_put(xsk, p, false);
    } else {
        used = put_copy(xsk, p, burst->room);
        if (!used)
            return false;
        packet_free(p);
    }
    burst->room -= used;
    burst->packets++;
    burst->bytes += length;
    return true;
}

static void put_packets(struct app *app, struct xsk *xsk, struct link *input)
{
    struct xdp_socket *xdp = app->state;
    const struct xdp_socket_conf *conf = app->conf;
    struct burst burst = { .room = xsk_room(xsk),
                           .most = xsk->chunk * (conf->frags ? PIECES_MAX : 1) };
    struct packet **p;
    uint32_t n, i;
    while (burst.room && (n = plain_run(&xdp->plain, input, &p, burst.room))) {
        i = 0;
        while (i < n && burst.room && put(app, xsk, p[i], &burst))
            i++;
        plain_advance(&xdp->plain, input, i);
        if (i < n)
            break;
    }
    app_count(app, TX_PACKETS, burst.packets);
    app_count(app, TX_BYTES, burst.bytes);
    if (plain_front(&xdp->plain, input))
        app_count(app, TX_BLOCKED, 1);
}

static void drop_all(struct app *app, struct link *input, uint32_t reason)
{
    struct xdp_socket *xdp = app->state;
    app_count(app, reason, plain_drop(&xdp->plain));
    while (!link_empty(input))
        app_drop(app, reason, link_receive(input));
}

/* Frames that are on their way out are in the send ring until the kernel has taken them. */
static void send_rest(struct app *app, struct xsk *xsk)
{
    struct xdp_socket *xdp = app->state;
    uint64_t kicks = xsk->kicks;
    int error = xsk_kick(xsk);
    app_count(app, TX_KICKS, xsk->kicks - kicks);
    xdp->owed = error != 0; /* while the device is down, too: it will be up again */
    if (error == -EAGAIN)
        app_wake_at(app, engine_now(app->engine) + KICK_AGAIN);
}

void transfer_push(struct app *app)
{
    struct xdp_socket *xdp = app->state;
    const struct xdp_socket_conf *conf = app->conf;
    struct link *input = app_input(app, 0);
    if (!input)
        return;
    if (unlikely(conf->mode == MODE_RX || xdp->life.state != LIFE_UP)) {
        drop_all(app, input, conf->mode == MODE_RX ? DROP_RX_ONLY : DROP_LINK_DOWN);
        return;
    }
    struct xsk *xsk = &xdp->queues[0];
    xsk_reap(xsk);
    if (!plain_front(&xdp->plain, input) && !xdp->owed)
        return;
    put_packets(app, xsk, input);
    send_rest(app, xsk);
    xsk_reap(xsk);
}
