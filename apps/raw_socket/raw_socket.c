/* RawSocket: an Ethernet interface by AF_PACKET.
 *
 *     input -> [ RawSocket ] -> output          input: to the wire, output: from the wire
 *
 * Receives through a ring (ring.h) and sends with sendmmsg. Frames come out as they are
 * on the wire: the VLAN tag is in them, checksums are complete, super-frames are split.
 * What we send does not come back in. When the interface goes down or away the app says
 * so and waits; when one of that name is there again it goes on.
 *
 * Sources: packet(7), net/packet/af_packet.c of the kernel.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/raw_socket/filter.h"
#include "apps/raw_socket/parameters.h"
#include "apps/raw_socket/socket.h"
#include "engine/engine.h"
#include "lib/hardware_clock.h"
#include "lib/interface_life.h"
#include "lib/journal.h"

#define STATISTICS    100000000 /* ns between readings of the kernel's statistics */
#define READ_RETRY    100000    /* ns until frames that were read are looked at again */
#define LARGE_PACKETS 1024      /* of the second size class, for all that want them */

struct raw_socket {
    int fd; /* receives; -1 when closed */
    struct ring ring;
    struct sender sender;
    struct interface_life life;
    bool offloads_changed, stamps_changed, warned;
    unsigned offloads;             /* before we changed them */
    struct hardware_stamps stamps; /* before we changed them */
    int clock;                     /* of the device, -1: its times are not wanted */
    int group;                     /* of the fanout, -1: none */
    uint64_t statistics_at, tick_at, down_ns;
    uint64_t delivered, taken; /* frames that came into and went from this ring */
};

/* --- opening and closing ------------------------------------------------------------ */

/* Everything that must be so before the first frame. */
static int prepare(struct raw_socket *raw, const struct raw_socket_conf *conf,
                   const struct interface *interface, struct error *err)
{
    struct ring_options options = {
        .version = (enum ring_version)conf->version,
        .hardware = conf->timestamp == TIMESTAMP_HARDWARE,
        .frames = (unsigned)conf->ring,
        .mtu = interface->mtu,
        .retire_ms = (unsigned)conf->retire_ms,
    };
    int error = ring_open(&raw->ring, raw->fd, &options, err);
    if (!error && conf->direction == DIRECTION_IN)
        error = packet_socket_set(raw->fd, PACKET_IGNORE_OUTGOING, 1,
                                  "PACKET_IGNORE_OUTGOING", err);
    if (!error)
        error = filter_attach(raw->fd, conf->ifname, conf->filter, conf->snaplen, err);
    return error;
}

static int open_receiver(struct raw_socket *raw, const struct raw_socket_conf *conf,
                         const struct interface *interface, struct error *err)
{
    raw->group = -1;
    raw->fd = packet_socket(err);
    int error = raw->fd < 0 ? raw->fd : prepare(raw, conf, interface, err);
    if (!error)
        error =
            packet_socket_bind(raw->fd, interface->index, ETH_P_ALL, conf->ifname, err);
    if (!error && conf->fanout.mode)
        raw->group = packet_socket_fanout(raw->fd, &conf->fanout,
                                          conf->direction == DIRECTION_IN, err);
    if (!error && conf->fanout.mode && raw->group < 0)
        error = raw->group;
    if (!error && conf->promisc)
        error = interface_promisc(raw->fd, interface->index, err);
    return error;
}

/* What does not work as wished, but works. */
static int open_wishes(struct app *app, struct error *err)
{
    struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    struct error why;
    if (raw->ring.blocks < raw->ring.wanted)
        app_log(app, "memory for a ring of %u blocks, not %u, of %u KiB",
                raw->ring.blocks, raw->ring.wanted, raw->ring.block_size >> 10);
    int error = busy_poll_set(raw->fd, &conf->busy_poll, &why);
    if (error == -EPERM && !raw->warned)
        app_log(app, "%s", why.text);
    raw->warned |= error == -EPERM;
    if (error && error != -EPERM && err)
        *err = why;
    return error == -EPERM ? 0 : error;
}

/* The kernel marks blocks until somebody reads how many frames it dropped: where we were
 * first, the next block is one that it would have marked. */
static void count_losing(struct app *app, uint32_t drops)
{
    struct ring *ring = &((struct raw_socket *)app->state)->ring;
    if (ring->version != RING_V3)
        return;
    app_count(app, LOSING_BLOCKS, drops && !ring->losing ? 1 : ring->losing);
    ring->losing = 0;
}

static void read_statistics(struct app *app)
{
    struct raw_socket *raw = app->state;
    struct tpacket_stats_v3 stats = { 0 };
    socklen_t size = sizeof(stats);
    if (raw->fd < 0 || getsockopt(raw->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size))
        return;
    raw->delivered += stats.tp_packets - stats.tp_drops;
    app_count(app, KERNEL_PACKETS, stats.tp_packets);
    app_count(app, DROP_RING_FULL, stats.tp_drops);
    app_count(app, FREEZES, stats.tp_freeze_q_cnt);
    count_losing(app, stats.tp_drops);
}

static void close_sockets(struct app *app)
{
    struct raw_socket *raw = app->state;
    read_statistics(app);
    app_count(app, DROP_CLOSED, raw->delivered - raw->taken);
    raw->delivered = raw->taken = 0;
    sender_close(app, &raw->sender);
    ring_close(&raw->ring);
    if (raw->fd >= 0) {
        app_unpoll(app, raw->fd);
        close(raw->fd);
    }
    raw->fd = -1;
}

static int open_sockets(struct app *app, struct error *err)
{
    struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    struct interface interface;
    int error = interface_query(conf->ifname, &interface, err);
    if (error)
        return error;
    struct send_options sending = {
        .ifname = conf->ifname,
        .method = (enum send_method)conf->tx,
        .index = interface.index,
        .mtu = interface.mtu,
        .offload = conf->offload >= MODE_CSUM,
        .qdisc_bypass = conf->qdisc_bypass,
        .merge = (uint32_t)conf->merge,
        .ring_frames = (uint32_t)conf->tx_ring_frames,
        .ring_frame_size = (uint32_t)conf->tx_frame_size,
    };
    error = open_receiver(raw, conf, &interface, err);
    if (!error)
        error = sender_open(&raw->sender, conf->direction == DIRECTION_IN ? -1 : raw->fd,
                            &sending, err);
    if (!error)
        error = open_wishes(app, err);
    if (error) {
        close_sockets(app);
        return error;
    }
    app_poll(app, raw->fd, POLLIN);
    life_opened(&raw->life, interface.index, interface.flags & IFF_UP);
    return 0;
}

static int switch_offloads(struct app *app, struct error *err)
{
    struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    if (conf->offload != MODE_OFF)
        return 0;
    int error = interface_offloads(conf->ifname, &raw->offloads, err);
    if (!error && app->engine->options.journal)
        error = journal_offloads(app->engine->options.journal, conf->ifname, err);
    if (error)
        return error;
    raw->offloads_changed = true;
    return interface_set_offloads(conf->ifname, 0, err);
}

/* The device stamps every packet that comes in. */
static int switch_stamps(struct app *app, struct error *err)
{
    struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    struct journal *journal = app->engine->options.journal;
    if (conf->timestamp != TIMESTAMP_HARDWARE)
        return 0;
    if (raw->clock >= 0)
        close(raw->clock);
    raw->clock = hardware_clock_open(conf->ifname, err);
    if (raw->clock < 0)
        return raw->clock;
    int error = hardware_stamps(conf->ifname, &raw->stamps, err);
    if (!error && journal)
        error = journal_stamps(journal, conf->ifname, err);
    if (error)
        return error;
    struct hardware_stamps all = { raw->stamps.tx_type, HWTSTAMP_FILTER_ALL };
    raw->stamps_changed = true;
    return hardware_set_stamps(conf->ifname, &all, err);
}

static int start(struct app *app, struct error *err)
{
    struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    raw->fd = raw->clock = raw->group = -1;
    raw->tick_at = engine_now(app->engine);
    sender_init(&raw->sender);
    int error = life_open(&raw->life, conf->ifname, err);
    if (!error && (conf->offload == MODE_GSO || conf->jumbo))
        error = packet_large_reserve(LARGE_PACKETS, err);
    if (!error)
        error = open_sockets(app, err);
    if (!error)
        error = switch_offloads(app, err);
    if (!error)
        error = switch_stamps(app, err);
    if (error)
        return error;
    app_poll(app, life_fd(&raw->life), POLLIN);
    if (raw->life.state == LIFE_DOWN)
        app_log(app, "interface %s is down", conf->ifname);
    return 0;
}

static void stop(struct app *app)
{
    struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    close_sockets(app);
    if (raw->offloads_changed)
        interface_set_offloads(conf->ifname, raw->offloads, NULL);
    if (raw->stamps_changed)
        hardware_set_stamps(conf->ifname, &raw->stamps, NULL);
    if (raw->clock >= 0)
        close(raw->clock);
    life_close(&raw->life);
    app_count(app, DROP_CLOSED, plain_drop(&raw->sender.plain));
}

/* --- the interface's life ----------------------------------------------------------- */

/* An interface of our name is there: open it now, or soon, when it has settled. */
static void try_open(struct app *app)
{
    struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    if (!conf->reopen)
        return;
    if (open_sockets(app, NULL)) {
        life_failed(&raw->life, engine_now(app->engine));
        app_wake_at(app, life_wake_at(&raw->life));
        return;
    }
    app_count(app, REOPENS, 1);
    switch_offloads(app, NULL);
    switch_stamps(app, NULL);
    app_log(app, "interface %s is back%s", conf->ifname,
            raw->life.state == LIFE_UP ? "" : ", down");
}

static void take_event(struct app *app, enum life_event event)
{
    struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    const char *news = life_news(event);
    if (news)
        app_log(app, "interface %s %s", conf->ifname, news);
    switch (event) {
    case LIFE_WENT_DOWN:
        app_count(app, LINK_DOWNS, 1);
        break;
    case LIFE_WENT_AWAY:
        close_sockets(app);
        break;
    case LIFE_TRY_OPEN:
        try_open(app);
        break;
    case LIFE_NEW_MTU: /* the ring stays: longer frames come through the socket's queue */
        raw->sender.mtu = raw->life.mtu;
        break;
    case LIFE_WENT_UP:
    case LIFE_NOTHING:
        break;
    }
}

/* An error on the socket keeps poll awake until it is read. */
static void clear_socket_error(int fd)
{
    int error;
    socklen_t size = sizeof(error);
    if (fd >= 0)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
}

static void tick(struct app *app)
{
    struct raw_socket *raw = app->state;
    uint64_t now = engine_now(app->engine);
    enum life_event event;
    if (raw->life.state != LIFE_UP)
        raw->down_ns += now - raw->tick_at;
    raw->tick_at = now;
    app->counters[DOWN_MS] = raw->down_ns / 1000000;
    while ((event = life_next(&raw->life, now)))
        take_event(app, event);
    if (raw->life.state == LIFE_DOWN)
        clear_socket_error(raw->fd);
    if (now >= raw->statistics_at) {
        read_statistics(app);
        raw->statistics_at = now + STATISTICS;
    }
}

/* --- packets ------------------------------------------------------------------------ */

/* The device's queue is looked at when somebody wants to read, and finds nothing. */
static void busy_poll(int fd)
{
    recv(fd, NULL, 0, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);
}

static void pull(struct app *app)
{
    struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    if (unlikely(raw->fd < 0))
        return;
    struct receive_options options = {
        .vlan = (enum vlan_mode)conf->vlan,
        .direction = (enum direction)conf->direction,
        .offload = (enum offload_mode)conf->offload,
        .jumbo = conf->jumbo,
        .burst = (uint32_t)conf->rx_batch,
        .snaplen = (uint32_t)conf->snaplen,
        .clock = raw->clock,
    };
    uint32_t taken = receive(app, &raw->ring, &options, app_output(app, 0));
    raw->taken += taken;
    if (!taken && conf->busy_poll.usecs)
        busy_poll(raw->fd);
    if (unlikely(ring_pending(&raw->ring)))
        app_wake_at(app, engine_now(app->engine) + READ_RETRY);
}

static void push(struct app *app)
{
    struct raw_socket *raw = app->state;
    struct link *input = app_input(app, 0);
    if (input)
        sender_push(app, &raw->sender, input);
}

static void report(struct app *app, FILE *out)
{
    const struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    fprintf(out, "%s %s", conf->ifname, life_state_name(&raw->life));
    if (raw->group >= 0)
        fprintf(out, ", fanout group %d", raw->group);
}

/* --- the class ---------------------------------------------------------------------- */

static const struct port ports[] = {
    { "input", PORT_INPUT, "packets to be sent" },
    { "output", PORT_OUTPUT, "packets received" },
    { NULL },
};

const struct app_class raw_socket_class = {
    .name = "RawSocket",
    .doc = "an Ethernet interface, by AF_PACKET",
    .ports = ports,
    .params = raw_socket_params,
    .conf_size = sizeof(struct raw_socket_conf),
    .counters = raw_socket_counters,
    .state_size = sizeof(struct raw_socket),
    .start = start,
    .stop = stop,
    .pull = pull,
    .push = push,
    .tick = tick,
    .report = report,
    .verify = raw_socket_verify,
};
