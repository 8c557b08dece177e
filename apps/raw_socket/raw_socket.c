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
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/filter.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/raw_socket/merge.h"
#include "apps/raw_socket/receive.h"
#include "engine/engine.h"
#include "lib/interface.h"
#include "lib/journal.h"
#include "lib/link_watch.h"

#define TAG_SIZE 4
#define REOPEN_FIRST                                                                     \
    10000000 /* ns until the first try to open again, doubled each time */
#define REOPEN_LAST 1000000000
#define STATISTICS  100000000 /* ns between readings of the kernel's statistics */

enum version { VERSION_V2, VERSION_V3 };
enum offload_mode { OFFLOAD_SPLIT, OFFLOAD_OFF };

struct raw_socket_conf {
    char *ifname;
    int version, direction, vlan, offload;
    bool promisc, qdisc_bypass, reopen;
    uint64_t snaplen;
    int64_t ring, rx_batch, retire_ms, merge;
};

enum state { UP, DOWN, GONE };

struct raw_socket {
    int rx_fd,
        tx_fd; /* -1 when closed; the same where own frames could come back otherwise */
    int merge_fd; /* with PACKET_VNET_HDR, for runs of segments; -1: none are merged */
    unsigned index;
    enum state state;
    struct ring ring;
    struct link_watch *watch;
    int sender;     /* the socket that the last packets were given to */
    int blocked_fd; /* where POLLOUT is waited for; -1: nowhere */
    bool offloads_changed;
    unsigned offloads; /* before we changed them */
    uint64_t reopen_at, reopen_delay, statistics_at;
    uint64_t delivered, taken; /* frames that came into and went from this ring */
};

enum {
    TX_PACKETS = RECEIVE_COUNTERS,
    TX_BYTES,
    TX_MERGED,
    TX_BLOCKED,
    KERNEL_PACKETS,
    DROP_RING_FULL,
    DROP_CLOSED,
    DROP_TX_OVERSIZE,
    DROP_TX_RUNT,
    DROP_TX_FAILED,
    DROP_LINK_DOWN,
    LINK_DOWNS,
    REOPENS,
};

static const struct counter_row counters[] = {
    [RX_PACKETS] = { "rx_packets", "packets received" },
    [RX_BYTES] = { "rx_bytes", "bytes of them" },
    [RX_SPLIT] = { "rx_split", "super-frames split into packets" },
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
    [TX_BLOCKED] = { "tx_blocked", "times the kernel took no more; the packets wait" },
    [KERNEL_PACKETS] = { "kernel_packets", "frames the kernel saw, dropped ones too" },
    [DROP_RING_FULL] = { "drop_ring_full",
                         "frames the kernel dropped: we were too slow" },
    [DROP_CLOSED] = { "drop_closed", "frames in the ring when the interface went away" },
    [DROP_TX_OVERSIZE] = { "drop_tx_oversize",
                           "packets longer than the interface's MTU" },
    [DROP_TX_RUNT] = { "drop_tx_runt", "packets shorter than an Ethernet header" },
    [DROP_TX_FAILED] = { "drop_tx_failed", "packets that the qdisc or driver refused" },
    [DROP_LINK_DOWN] = { "drop_link_down",
                         "packets to an interface that was down or gone" },
    [LINK_DOWNS] = { "link_downs", "times the interface went down or away" },
    [REOPENS] = { "reopens", "times it was opened again" },
    { NULL, NULL },
};

/* --- opening and closing ------------------------------------------------------------ */

static int set_option(int fd, int option, int value, const char *name, struct error *err)
{
    if (setsockopt(fd, SOL_PACKET, option, &value, sizeof(value)))
        return error_system(err, ERROR_RUN, "%s", name);
    return 0;
}

static int bind_to(int fd, unsigned index, int protocol, const char *ifname,
                   struct error *err)
{
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons((uint16_t)protocol),
        .sll_ifindex = (int)index,
    };
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
        return error_system(err, ERROR_RUN, "cannot bind to %s", ifname);
    return 0;
}

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

static int packet_socket(struct error *err)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 && errno == EPERM)
        return error_set(err, ERROR_PRIVILEGE, EPERM,
                         "a packet socket needs CAP_NET_RAW: run as root, or "
                         "setcap cap_net_raw+ep on the program");
    return fd < 0 ? error_system(err, ERROR_RUN, "packet socket") : fd;
}

static int open_receiver(struct raw_socket *raw, const struct raw_socket_conf *conf,
                         const struct interface *interface, struct error *err)
{
    int fd = raw->rx_fd = packet_socket(err);
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
        error = set_option(fd, PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING", err);
    if (!error)
        error = set_snaplen(fd, conf->snaplen, err);
    if (!error)
        error = bind_to(fd, interface->index, ETH_P_ALL, conf->ifname, err);
    if (!error)
        error = set_promisc(fd, interface->index, conf->promisc, err);
    return error;
}

static int sending_socket(const struct raw_socket *raw,
                          const struct raw_socket_conf *conf, bool vnet,
                          struct error *err)
{
    int fd = packet_socket(err);
    if (fd < 0)
        return fd;
    int error = vnet ? set_option(fd, PACKET_VNET_HDR, 1, "PACKET_VNET_HDR", err) : 0;
    if (!error)
        error = bind_to(fd, raw->index, 0, conf->ifname, err);
    if (!error && conf->qdisc_bypass)
        error = set_option(fd, PACKET_QDISC_BYPASS, 1, "PACKET_QDISC_BYPASS", err);
    if (!error)
        return fd;
    close(fd);
    return error;
}

/* A socket of its own for sending never sees a frame. Where outgoing frames are wanted
 * too, only the socket that sent a frame is spared its echo, so there is but one. */
static int open_senders(struct raw_socket *raw, const struct raw_socket_conf *conf,
                        struct error *err)
{
    if (conf->direction != DIRECTION_IN) {
        raw->tx_fd = raw->rx_fd;
        return conf->qdisc_bypass ? set_option(raw->tx_fd, PACKET_QDISC_BYPASS, 1,
                                               "PACKET_QDISC_BYPASS", err)
                                  : 0;
    }
    raw->tx_fd = sending_socket(raw, conf, false, err);
    if (raw->tx_fd < 0)
        return raw->tx_fd;
    if (conf->merge == 1)
        return 0;
    raw->merge_fd = sending_socket(raw, conf, true, err);
    return raw->merge_fd < 0 ? raw->merge_fd : 0;
}

static void read_statistics(struct app *app)
{
    struct raw_socket *raw = app->state;
    struct tpacket_stats_v3 stats = { 0 };
    socklen_t size = sizeof(stats);
    if (raw->rx_fd < 0 ||
        getsockopt(raw->rx_fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size))
        return;
    raw->delivered += stats.tp_packets - stats.tp_drops;
    app_count(app, KERNEL_PACKETS, stats.tp_packets);
    app_count(app, DROP_RING_FULL, stats.tp_drops);
}

/* Waits until a socket takes packets again; -1: for none. */
static void wait_for(struct app *app, int fd)
{
    struct raw_socket *raw = app->state;
    if (fd == raw->blocked_fd)
        return;
    if (raw->blocked_fd == raw->rx_fd)
        app_poll(app, raw->rx_fd, POLLIN);
    else
        app_unpoll(app, raw->blocked_fd);
    raw->blocked_fd = fd;
    if (fd >= 0)
        app_poll(app, fd, fd == raw->rx_fd ? POLLIN | POLLOUT : POLLOUT);
}

static void close_sockets(struct app *app)
{
    struct raw_socket *raw = app->state;
    read_statistics(app);
    app_count(app, DROP_CLOSED, raw->delivered - raw->taken);
    raw->delivered = raw->taken = 0;
    wait_for(app, -1);
    if (raw->tx_fd >= 0 && raw->tx_fd != raw->rx_fd)
        close(raw->tx_fd);
    if (raw->merge_fd >= 0)
        close(raw->merge_fd);
    ring_close(&raw->ring);
    if (raw->rx_fd >= 0) {
        app_unpoll(app, raw->rx_fd);
        close(raw->rx_fd);
    }
    raw->rx_fd = raw->tx_fd = raw->merge_fd = -1;
}

static int open_sockets(struct app *app, struct error *err)
{
    struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    struct interface interface;
    int error = interface_query(conf->ifname, &interface, err);
    if (error)
        return error;
    raw->index = interface.index;
    error = open_receiver(raw, conf, &interface, err);
    if (!error)
        error = open_senders(raw, conf, err);
    if (error) {
        close_sockets(app);
        return error;
    }
    raw->state = interface.flags & IFF_UP ? UP : DOWN;
    app_poll(app, raw->rx_fd, POLLIN);
    return 0;
}

static int switch_offloads(struct app *app, struct error *err)
{
    struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    if (conf->offload != OFFLOAD_OFF)
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
    raw->rx_fd = raw->tx_fd = raw->merge_fd = raw->blocked_fd = -1;
    raw->watch = link_watch_open(err);
    if (!raw->watch)
        return -EIO;
    int error = open_sockets(app, err);
    if (!error)
        error = switch_offloads(app, err);
    if (error)
        return error;
    app_poll(app, link_watch_fd(raw->watch), POLLIN);
    if (raw->state == DOWN)
        app_log(app, "interface %s is down",
                ((struct raw_socket_conf *)app->conf)->ifname);
    return 0;
}

static void stop(struct app *app)
{
    struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    close_sockets(app);
    if (raw->offloads_changed)
        interface_set_offloads(conf->ifname, raw->offloads, NULL);
    link_watch_close(raw->watch);
}

/* --- the interface's life ----------------------------------------------------------- */

static void go_down(struct app *app, enum state state)
{
    struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    if (raw->state == UP)
        app_count(app, LINK_DOWNS, 1);
    raw->state = state;
    app_log(app, state == GONE ? "interface %s is gone" : "interface %s went down",
            conf->ifname);
    if (state == GONE) {
        close_sockets(app);
        raw->reopen_delay = REOPEN_FIRST;
        /* Another of that name may be there already: where events were lost, the news of
         * it comes before that of this one's end. */
        raw->reopen_at = engine_now(app->engine);
    }
}

/* An interface of our name is there: now, or soon, when it has settled. */
static void try_reopen(struct app *app)
{
    struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    struct error err;
    if (!conf->reopen)
        return;
    int error = open_sockets(app, &err);
    if (error == -ENODEV) {
        raw->reopen_at = TIMER_NEVER; /* the watch will tell */
        return;
    }
    if (!error) {
        app_count(app, REOPENS, 1);
        switch_offloads(app, NULL);
        app_log(app, "interface %s is back%s", conf->ifname,
                raw->state == UP ? "" : ", down");
        raw->reopen_at = TIMER_NEVER;
        return;
    }
    raw->reopen_at = engine_now(app->engine) + raw->reopen_delay;
    raw->reopen_delay =
        raw->reopen_delay * 2 < REOPEN_LAST ? raw->reopen_delay * 2 : REOPEN_LAST;
    app_wake_at(app, raw->reopen_at);
}

static void on_event(const struct link_event *event, void *user)
{
    struct app *app = user;
    struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    if (raw->state == GONE) {
        if (!event->deleted && !strcmp(event->name, conf->ifname))
            try_reopen(app);
    } else if (event->index == raw->index) {
        if (event->deleted) {
            go_down(app, GONE);
        } else if (raw->state == UP && !event->up) {
            go_down(app, DOWN);
        } else if (raw->state == DOWN && event->up) {
            raw->state = UP;
            app_log(app, "interface %s is up", conf->ifname);
        }
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
    link_watch_read(raw->watch, on_event, app);
    if (raw->state == GONE && now >= raw->reopen_at)
        try_reopen(app);
    if (raw->state == DOWN)
        clear_socket_error(raw->rx_fd);
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
    if (unlikely(raw->rx_fd < 0))
        return;
    struct receive_options options = {
        .vlan = (enum vlan_mode)conf->vlan,
        .direction = (enum direction)conf->direction,
        .burst = (uint32_t)conf->rx_batch,
        .snaplen = (uint32_t)conf->snaplen,
    };
    raw->taken += receive(app, &raw->ring, &options, app_output(app, 0));
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
static int send_burst(struct raw_socket *raw, struct packet **p, uint32_t n)
{
    static uint8_t no_offload[RING_VNET_SIZE];
    struct mmsghdr messages[LINK_BURST];
    struct iovec vectors[2 * LINK_BURST];
    bool vnet =
        raw->tx_fd == raw->rx_fd; /* the ring's socket wants the header in front */
    for (uint32_t i = 0; i < n; i++) {
        if (unlikely(p[i]->flags & PACKET_VLAN))
            insert_vlan(p[i]);
        struct iovec *vector = &vectors[2 * i];
        vector[0] = (struct iovec){ no_offload, sizeof(no_offload) };
        vector[1] = (struct iovec){ p[i]->data, p[i]->length };
        messages[i].msg_hdr = (struct msghdr){ .msg_iov = vnet ? vector : vector + 1,
                                               .msg_iovlen = vnet ? 2 : 1 };
    }
    raw->sender = raw->tx_fd;
    int sent = sendmmsg(raw->tx_fd, messages, n, MSG_DONTWAIT);
    return sent < 0 ? -errno : sent;
}

/* Sends the run at the front as one; returns its length, or -errno. */
static int send_merged(struct app *app, struct packet **p, uint32_t n)
{
    struct raw_socket *raw = app->state;
    struct merge_message m;
    merge_message(&m, p, n);
    raw->sender = raw->merge_fd;
    if (sendmsg(raw->merge_fd, &m.message, MSG_DONTWAIT) >= 0) {
        app_count(app, TX_MERGED, 1);
        return (int)n;
    }
    if (errno == EINVAL || errno == EOPNOTSUPP || errno == EMSGSIZE) {
        app_log(app, "the kernel refuses merged segments (%s): sending them one by one",
                strerror(errno));
        if (raw->blocked_fd == raw->merge_fd)
            wait_for(app, -1);
        close(raw->merge_fd);
        raw->merge_fd = -1;
        return 0;
    }
    return -errno;
}

/* Sends what is at the front of n packets: a run of segments, or packets up to the next
 * run. Returns how many the kernel took, or -errno for the first. */
static int send_front(struct app *app, struct packet **p, uint32_t n)
{
    struct raw_socket *raw = app->state;
    uint32_t most = (uint32_t)((const struct raw_socket_conf *)app->conf)->merge,
             single = n;
    if (raw->tx_fd < 0)
        return -ENXIO;
    if (raw->merge_fd >= 0) {
        uint32_t run = 1;
        for (single = 0;
             single < n && (run = merge_run(p + single, n - single, most)) == 1; single++)
            ;
        int sent = single ? 0 : send_merged(app, p, run);
        if (sent)
            return sent;
        single = single ? single : run;
    }
    return send_burst(raw, p, single);
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

static void push(struct app *app)
{
    struct raw_socket *raw = app->state;
    struct link *input = app_input(app, 0);
    struct packet **p;
    uint32_t n;
    while (input && (n = link_run(input, &p, LINK_BURST))) {
        int sent = send_front(app, p, n);
        if (sent > 0) {
            take_sent(app, input, p, (uint32_t)sent);
            continue;
        }
        if (sent == -EINTR)
            continue;
        int reason = refusal(-sent);
        if (reason < 0) {
            app_count(app, TX_BLOCKED, 1);
            wait_for(app, raw->sender);
            return;
        }
        drop_first(app, input, (uint32_t)reason);
    }
    if (unlikely(raw->blocked_fd >= 0))
        wait_for(app, -1);
}

static void report(struct app *app, FILE *out)
{
    static const char *const states[] = { [UP] = "up", [DOWN] = "down", [GONE] = "gone" };
    const struct raw_socket *raw = app->state;
    const struct raw_socket_conf *conf = app->conf;
    fprintf(out, "%s %s", conf->ifname, states[raw->state]);
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
static const char *const offloads[] = { "split", "off", NULL };

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
        "interface's tx, tso, gso and gro are off while we run"),
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
