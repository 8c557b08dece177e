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
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/raw_socket/receive.h"
#include "apps/raw_socket/send.h"
#include "apps/raw_socket/socket.h"
#include "engine/engine.h"
#include "lib/interface_life.h"
#include "lib/journal.h"

#define STATISTICS 100000000 /* ns between readings of the kernel's statistics */

enum version { VERSION_V2, VERSION_V3 };
#define LARGE_PACKETS 1024 /* of the second size class, for all that want them */

struct raw_socket_conf {
    char *ifname;
    int version, direction, vlan, offload;
    bool promisc, qdisc_bypass, reopen, jumbo;
    uint64_t snaplen;
    int64_t ring, rx_batch, retire_ms, merge;
};

struct raw_socket {
    int fd; /* receives; -1 when closed */
    struct ring ring;
    struct sender sender;
    struct interface_life life;
    bool offloads_changed;
    unsigned offloads; /* before we changed them */
    uint64_t statistics_at;
    uint64_t delivered, taken; /* frames that came into and went from this ring */
};

enum {
    KERNEL_PACKETS = SEND_COUNTERS,
    DROP_RING_FULL,
    DROP_CLOSED,
    LINK_DOWNS,
    REOPENS,
};

static const struct counter_row counters[] = {
    [RX_PACKETS] = { "rx_packets", "packets received" },
    [RX_BYTES] = { "rx_bytes", "bytes of them" },
    [RX_SPLIT] = { "rx_split", "super-frames split into packets" },
    [RX_GSO] = { "rx_gso", "super-frames passed on whole" },
    [RX_CSUM] = { "rx_csum_completed", "packets whose checksum was filled in" },
    [RX_NO_PACKET] = { "rx_no_packet", "times a frame had to wait for a free packet" },
    [DROP_TRUNCATED] = { "drop_truncated", "frames the kernel had no room for in full" },
    [DROP_OVERSIZE] = { "drop_oversize", "frames longer than a packet" },
    [DROP_MALFORMED] = { "drop_malformed", "frames too short or wrongly described" },
    [DROP_GSO] = { "drop_gso", "super-frames that cannot be split" },
    [DROP_VLAN] = { "drop_vlan", "tagged frames, with vlan = \"drop\"" },
    [DROP_NO_OUTPUT] = { "drop_no_output", "frames received while nothing was linked" },
    [TX_PACKETS] = { "tx_packets", "packets sent" },
    [TX_BYTES] = { "tx_bytes", "bytes of them" },
    [TX_MERGED] = { "tx_merged", "super-frames that runs of them were sent as" },
    [TX_GSO] = { "tx_gso", "super-frames among tx_packets" },
    [TX_CSUM] = { "tx_csum_completed", "packets whose checksum was filled in" },
    [TX_SPLIT] = { "tx_split", "super-frames split ..." },
    [TX_SEGMENTS] = { "tx_segments", "... and the packets that they became" },
    [TX_BLOCKED] = { "tx_blocked", "times the kernel took no more; the packets wait" },
    [KERNEL_PACKETS] = { "kernel_packets", "frames the kernel saw, dropped ones too" },
    [DROP_RING_FULL] = { "drop_ring_full",
                         "frames the kernel dropped: we were too slow" },
    [DROP_CLOSED] = { "drop_closed",
                      "frames held when the interface went away or the app stopped" },
    [DROP_TX_OVERSIZE] = { "drop_tx_oversize",
                           "packets longer than the interface's MTU" },
    [DROP_TX_RUNT] = { "drop_tx_runt", "packets shorter than an Ethernet header" },
    [DROP_TX_OFFLOAD] = { "drop_tx_offload",
                          "packets wrongly described: checksum or super-frame" },
    [DROP_TX_FAILED] = { "drop_tx_failed", "packets that the qdisc or driver refused" },
    [DROP_LINK_DOWN] = { "drop_link_down",
                         "packets to an interface that was down or gone" },
    [LINK_DOWNS] = { "link_downs", "times the interface went down or away" },
    [REOPENS] = { "reopens", "times it was opened again" },
    { NULL, NULL },
};

/* --- opening and closing ------------------------------------------------------------ */

/* The return value of a socket filter is how much of a frame is kept. */
static int set_snaplen(int fd, uint64_t snaplen, struct error *err)
{
    struct sock_filter keep = BPF_STMT(BPF_RET | BPF_K, (uint32_t)snaplen);
    struct sock_fprog program = { 1, &keep };
    if (snaplen &&
        setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
        return error_system(err, ERROR_RUN, "snaplen");
    return 0;
}

/* Ends with the socket: nothing to restore. */
static int set_promisc(int fd, unsigned index, bool on, struct error *err)
{
    struct packet_mreq request = { .mr_ifindex = (int)index,
                                   .mr_type = PACKET_MR_PROMISC };
    if (on &&
        setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)))
        return error_system(err, ERROR_RUN, "promiscuous mode");
    return 0;
}

static int open_receiver(struct raw_socket *raw, const struct raw_socket_conf *conf,
                         const struct interface *interface, struct error *err)
{
    int fd = raw->fd = packet_socket(err);
    if (fd < 0)
        return fd;
    struct ring_options options = {
        .v3 = conf->version == VERSION_V3,
        .frames = (unsigned)conf->ring,
        .mtu = interface->mtu,
        .retire_ms = (unsigned)conf->retire_ms,
    };
    int error = ring_open(&raw->ring, fd, &options, err);
    if (!error && conf->direction == DIRECTION_IN)
        error = packet_socket_set(fd, PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING",
                                  err);
    if (!error)
        error = set_snaplen(fd, conf->snaplen, err);
    if (!error)
        error = packet_socket_bind(fd, interface->index, ETH_P_ALL, conf->ifname, err);
    if (!error)
        error = set_promisc(fd, interface->index, conf->promisc, err);
    return error;
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
        .index = interface.index,
        .mtu = interface.mtu,
        .offload = conf->offload >= MODE_CSUM,
        .qdisc_bypass = conf->qdisc_bypass,
        .merge = (uint32_t)conf->merge,
    };
    error = open_receiver(raw, conf, &interface, err);
    if (!error)
        error = sender_open(&raw->sender, conf->direction == DIRECTION_IN ? -1 : raw->fd,
                            &sending, err);
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

static int start(struct app *app, struct error *err)
{
    struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    raw->fd = -1;
    sender_init(&raw->sender);
    int error = life_open(&raw->life, conf->ifname, err);
    if (!error && (conf->offload == MODE_GSO || conf->jumbo))
        error = packet_large_reserve(LARGE_PACKETS, err);
    if (!error)
        error = open_sockets(app, err);
    if (!error)
        error = switch_offloads(app, err);
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
    app_log(app, "interface %s is back%s", conf->ifname,
            raw->life.state == LIFE_UP ? "" : ", down");
}

static void take_event(struct app *app, enum life_event event)
{
    struct raw_socket *raw = app->state;
    const char *ifname = ((const struct raw_socket_conf *)app->conf)->ifname;
    switch (event) {
    case LIFE_WENT_UP:
        app_log(app, "interface %s is up", ifname);
        break;
    case LIFE_WENT_DOWN:
        app_count(app, LINK_DOWNS, 1);
        app_log(app, "interface %s went down", ifname);
        break;
    case LIFE_WENT_AWAY:
        app_log(app, "interface %s is gone", ifname);
        close_sockets(app);
        break;
    case LIFE_TRY_OPEN:
        try_open(app);
        break;
    case LIFE_NEW_MTU: /* the ring stays: longer frames come through the socket's queue */
        raw->sender.mtu = raw->life.mtu;
        break;
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
    };
    raw->taken += receive(app, &raw->ring, &options, app_output(app, 0));
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
    static const char *const states[] = {
        [LIFE_UP] = "up", [LIFE_DOWN] = "down", [LIFE_GONE] = "gone"
    };
    const struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    fprintf(out, "%s %s", conf->ifname, states[raw->life.state]);
}

/* --- the class ---------------------------------------------------------------------- */

static const struct port ports[] = {
    { "input", PORT_INPUT, "packets to be sent" },
    { "output", PORT_OUTPUT, "packets received" },
    { NULL },
};

static const char *const versions[] = { "v2", "v3", NULL };
static const char *const directions[] = { "in", "both", "out", NULL };
static const char *const vlans[] = { "restore", "metadata", "drop", NULL };
static const char *const offloads[] = { "split", "off", "csum", "gso", NULL };

static const struct param params[] = {
    PARAM_INTERFACE(struct raw_socket_conf, ifname, NULL, "network interface"),
    PARAM_ENUM(struct raw_socket_conf, version, "v2", versions,
               "TPACKET version: v2 hands over every frame at once, v3 blocks of them"),
    PARAM_ENUM(struct raw_socket_conf, direction, "in", directions,
               "frames that come in, that others on this host send out, or both"),
    PARAM_ENUM(struct raw_socket_conf, vlan, "restore", vlans,
               "a VLAN tag goes back into the frame, beside it, or the frame is dropped"),
    PARAM_ENUM(
        struct raw_socket_conf, offload, "split", offloads,
        "split: super-frames are split and checksums completed here; off: moreover the "
        "interface's tx, tso, gso and gro are off while we run; csum: checksums stay "
        "unfinished until somebody sends them; gso: so do super-frames, up to 64 KiB"),
    PARAM_BOOL(struct raw_socket_conf, jumbo, "false",
               "frames longer than a packet (2 KiB) come in large ones of up to 64 KiB"),
    PARAM_BOOL(struct raw_socket_conf, promisc, "false",
               "receive frames for other stations too"),
    PARAM_BOOL(struct raw_socket_conf, qdisc_bypass, "false",
               "send past the queueing discipline"),
    PARAM_BOOL(struct raw_socket_conf, reopen, "true",
               "go on when an interface of that name comes back"),
    PARAM_SIZE(struct raw_socket_conf, snaplen, "0", "0", "262144",
               "bytes of a frame that are kept; 0 is all"),
    PARAM_INTEGER(struct raw_socket_conf, ring, "4096", "64", "1048576",
                  "frames that the receive ring holds"),
    PARAM_INTEGER(struct raw_socket_conf, rx_batch, "64", "1", "512",
                  "frames taken per breath"),
    PARAM_INTEGER(
        struct raw_socket_conf, merge, "8", "1", "64",
        "TCP segments that still follow each other are sent as one super-frame of up to "
        "so many; 1: none are"),
    PARAM_INTEGER(struct raw_socket_conf, retire_ms, "10", "1", "1000",
                  "v3: milliseconds after which a block is handed over though not full"),
    PARAM_END,
};

const struct app_class raw_socket_class = {
    .name = "RawSocket",
    .doc = "an Ethernet interface, by AF_PACKET",
    .ports = ports,
    .params = params,
    .conf_size = sizeof(struct raw_socket_conf),
    .counters = counters,
    .state_size = sizeof(struct raw_socket),
    .start = start,
    .stop = stop,
    .pull = pull,
    .push = push,
    .tick = tick,
    .report = report,
};
