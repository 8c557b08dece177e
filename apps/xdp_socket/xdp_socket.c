/* XdpSocket: an Ethernet interface by AF_XDP.
 *
 *     input -> [ XdpSocket ] -> output          input: to the wire, output: from the wire
 *
 * A socket per receive queue (xsk.h), whose memory is the arena: a frame that comes in here
 * leaves through another XdpSocket without a copy by us. Which frames come in is decided by
 * the interface's XDP program (lib/xdp_hook.h): all, or those that match; the rest goes on
 * to the kernel. When the interface goes away the app says so and waits for another of that
 * name.
 *
 * Sources: Documentation/networking/af_xdp.rst and net/xdp/ of the kernel.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "apps/xdp_socket/xdp_socket.h"
#include "lib/traffic_match.h"

#define STATISTICS 100000000 /* ns between readings of the kernel's statistics */
#define LARGE      256       /* packets of the second size class, for frames in pieces */

static const struct counter_row counters[] = {
    [RX_PACKETS] = { "rx_packets", "packets received" },
    [RX_BYTES] = { "rx_bytes", "bytes of them" },
    [RX_CSUM] = { "rx_csum_completed", "packets whose checksum was filled in" },
    [RX_NO_PACKET] = { "rx_no_packet",
                       "breaths in which packets to receive into lacked" },
    [TX_PACKETS] = { "tx_packets", "packets given to the kernel to be sent" },
    [TX_BYTES] = { "tx_bytes", "bytes of them" },
    [TX_CSUM] = { "tx_csum_completed", "packets whose checksum was filled in" },
    [TX_SPLIT] = { "tx_split", "super-frames split to be sent" },
    [TX_BLOCKED] = { "tx_blocked", "times the send ring was full; the packets wait" },
    [TX_KICKS] = { "tx_kicks", "system calls to have packets sent" },
    [DROP_RX_DROPPED] = { "drop_rx_dropped",
                          "frames the kernel dropped: too long, or nothing to receive into" },
    [DROP_RX_RING_FULL] = { "drop_rx_ring_full",
                            "frames the kernel dropped: we were too slow" },
    [RX_INVALID_DESCS] = { "rx_invalid_descs", "fill descriptors the kernel refused" },
    [TX_INVALID_DESCS] = { "tx_invalid_descs", "send descriptors the kernel refused" },
    [RX_FILL_RING_EMPTY] = { "rx_fill_ring_empty_descs",
                             "frames that found nothing to be received into" },
    [TX_RING_EMPTY] = { "tx_ring_empty_descs", "times the kernel found nothing to send" },
    [DROP_NO_OUTPUT] = { "drop_no_output", "frames received while nothing was linked" },
    [DROP_FRAGS] = { "drop_frags",
                     "frames in pieces that found no packet, or were too long" },
    [DROP_TX_OVERSIZE] = { "drop_tx_oversize", "packets longer than can be sent" },
    [DROP_TX_RUNT] = { "drop_tx_runt", "packets shorter than an Ethernet header" },
    [DROP_TX_OFFLOAD] = { "drop_tx_offload",
                          "packets wrongly described or too long to be split" },
    [DROP_RX_ONLY] = { "drop_rx_only", "packets to be sent, with mode = \"rx\"" },
    [DROP_LINK_DOWN] = { "drop_link_down",
                         "packets to an interface that was down or gone" },
    [FILLING] = { "filling", "packets the kernel has to receive into, now" },
    [SENDING] = { "sending", "packets the kernel has to send, now" },
    [LINK_DOWNS] = { "link_downs", "times the interface went down or away" },
    [REOPENS] = { "reopens", "times it was opened again" },
    { NULL, NULL },
};

static int start(struct app *app, struct error *err)
{
    struct xdp_socket *xdp = app->state;
    const struct xdp_socket_conf *conf = app->conf;
    xdp->promisc_fd = -1;
    int error = conf->frags ? packet_large_reserve(LARGE, err) : 0;
    if (!error)
        error = life_open(&xdp->life, conf->ifname, err);
    if (!error)
        error = device_open(app, conf, true, err);
    if (error)
        return error;
    app_poll(app, life_fd(&xdp->life), POLLIN);
    if (xdp->life.state == LIFE_DOWN)
        app_log(app, "interface %s is down", conf->ifname);
    return 0;
}

static void stop(struct app *app)
{
    struct xdp_socket *xdp = app->state;
    device_close(app);
    plain_drop(&xdp->plain);
    life_close(&xdp->life);
}

/* --- the interface's life ----------------------------------------------------------- */

/* The kernel's counters, and what is counted elsewhere. */
static void read_statistics(struct app *app)
{
    struct xdp_socket *xdp = app->state;
    uint32_t filling = 0, sending = 0;
    for (unsigned i = 0; i < xdp->nqueues; i++) {
        struct xdp_statistics now, *past = &xdp->past[i];
        filling += xdp->queues[i].filling;
        sending += xdp->queues[i].sending;
        if (xsk_statistics(&xdp->queues[i], &now))
            continue;
        app_count(app, DROP_RX_DROPPED, now.rx_dropped - past->rx_dropped);
        app_count(app, DROP_RX_RING_FULL, now.rx_ring_full - past->rx_ring_full);
        app_count(app, RX_INVALID_DESCS, now.rx_invalid_descs - past->rx_invalid_descs);
        app_count(app, TX_INVALID_DESCS, now.tx_invalid_descs - past->tx_invalid_descs);
        app_count(app, RX_FILL_RING_EMPTY,
                  now.rx_fill_ring_empty_descs - past->rx_fill_ring_empty_descs);
        app_count(app, TX_RING_EMPTY,
                  now.tx_ring_empty_descs - past->tx_ring_empty_descs);
        *past = now;
    }
    app->counters[FILLING] = filling;
    app->counters[SENDING] = sending;
    app->counters[TX_CSUM] = xdp->plain.completed;
    app->counters[TX_SPLIT] = xdp->plain.split;
    app->counters[DROP_TX_OFFLOAD] = xdp->plain.bad;
}

static void try_open(struct app *app)
{
    struct xdp_socket *xdp = app->state;
    const struct xdp_socket_conf *conf = app->conf;
    struct error err;
    if (!conf->reopen)
        return;
    if (device_open(app, conf, false, &err)) {
        life_failed(&xdp->life, engine_now(app->engine));
        app_wake_at(app, life_wake_at(&xdp->life));
        return;
    }
    app_count(app, REOPENS, 1);
    app_log(app, "interface %s is back%s", conf->ifname,
            xdp->life.state == LIFE_UP ? "" : ", down");
}

static void take_event(struct app *app, enum life_event event)
{
    const struct xdp_socket_conf *conf = app->conf;
    const char *news = life_news(event);
    if (news)
        app_log(app, "interface %s %s", conf->ifname, news);
    switch (event) {
    case LIFE_WENT_DOWN:
        app_count(app, LINK_DOWNS, 1);
        break;
    case LIFE_WENT_AWAY:
        read_statistics(app);
        device_close(app);
        break;
    case LIFE_TRY_OPEN:
        try_open(app);
        break;
    case LIFE_NEW_MTU: /* nothing here depends on it */
    case LIFE_WENT_UP:
    case LIFE_NOTHING:
        break;
    }
}

static void tick(struct app *app)
{
    struct xdp_socket *xdp = app->state;
    uint64_t now = engine_now(app->engine);
    enum life_event event;
    while ((event = life_next(&xdp->life, now)))
        take_event(app, event);
    if (now >= xdp->statistics_at) {
        read_statistics(app);
        xdp->statistics_at = now + STATISTICS;
    }
}

static void report(struct app *app, FILE *out)
{
    const struct xdp_socket *xdp = app->state;
    const struct xdp_socket_conf *conf = app->conf;
    fprintf(out, "%s %s", conf->ifname, life_state_name(&xdp->life));
    if (xdp->life.state != LIFE_GONE)
        fprintf(out, ", %u queue%s, %s, %s", xdp->nqueues, xdp->nqueues == 1 ? "" : "s",
                xdp->hook ? xdp_hook_describe(xdp->hook) : "no program",
                xdp->queues[0].zerocopy ? "zero-copy" : "copy");
}

/* --- other parameters --------------------------------------------------------------- */

static bool only_match_differs(const struct xdp_socket_conf *a,
                               const struct xdp_socket_conf *b);

/* Neither the new parameters nor the old ones can be had any more. */
static void lose_device(struct app *app, const struct error *why)
{
    struct xdp_socket *xdp = app->state;
    app_log(app, "interface %s could not be opened again: %s", xdp->life.name, why->text);
    app_count(app, LINK_DOWNS, xdp->life.state == LIFE_UP);
    life_lost(&xdp->life);
    app_wake_at(app, engine_now(app->engine));
}

/* In place, because a queue has room for one socket: a successor could not be opened
 * beside us. */
static int reconfigure(struct app *app, const void *new, struct error *err)
{
    struct xdp_socket *xdp = app->state;
    const struct xdp_socket_conf *conf = app->conf, *wanted = new;
    struct error why;
    if (strcmp(conf->ifname, wanted->ifname))
        return -EOPNOTSUPP;
    if (xdp->hook && only_match_differs(conf, wanted))
        return xdp_hook_match(xdp->hook, wanted->match, err);
    int error = wanted->frags ? packet_large_reserve(LARGE, err) : 0;
    if (error || xdp->life.state == LIFE_GONE)
        return error;
    read_statistics(app);
    device_close(app);
    error = device_open(app, wanted, true, err);
    if (error && device_open(app, conf, true, &why))
        lose_device(app, &why);
    return error;
}

/* --- the class ---------------------------------------------------------------------- */

static const struct port ports[] = {
    { "input", PORT_INPUT, "packets to be sent" },
    { "output", PORT_OUTPUT, "packets received" },
    { NULL },
};

static const char *const modes[] = { "rxtx", "rx", "tx", NULL };
static const char *const attaches[] = { "auto", "native", "generic", NULL };
static const char *const binds[] = { "auto", "copy", "zerocopy", NULL };
static const char *const fallbacks[] = { "pass", "drop", NULL };
static const char *const checksums[] = { "auto", "complete", "trust", NULL };

static const struct param params[] = {
    PARAM_INTERFACE(struct xdp_socket_conf, ifname, NULL, "network interface"),
    PARAM_STRING(
        struct xdp_socket_conf, match, "",
        "traffic to take, such as \"udp dst port 4789\"; the rest stays with the "
        "kernel. Empty: all"),
    PARAM_SET(struct xdp_socket_conf, queue, "all",
              "receive queues to take frames from; the first of them sends"),
    PARAM_ENUM(struct xdp_socket_conf, mode, "rxtx", modes,
               "tx needs no XDP program, rx no packets to send"),
    PARAM_ENUM(
        struct xdp_socket_conf, attach, "auto", attaches,
        "where the XDP program runs: in the driver (native), or behind it (generic)"),
    PARAM_ENUM(struct xdp_socket_conf, bind, "auto", binds,
               "whether the device writes into packets itself (zerocopy)"),
    PARAM_STRING(struct xdp_socket_conf, xskmap, "",
                 "use the XSKMAP pinned at this path, and the program it belongs to"),
    PARAM_BOOL(struct xdp_socket_conf, force, "false",
               "run a program that is there already behind ours"),
    PARAM_ENUM(struct xdp_socket_conf, fallback, "pass", fallbacks,
               "what becomes of matching frames on queues without a socket"),
    PARAM_ENUM(
        struct xdp_socket_conf, checksum, "auto", checksums,
        "complete: fill in TCP and UDP checksums that a virtual interface left open; "
        "auto: where the driver is of that kind"),
    PARAM_BOOL(struct xdp_socket_conf, promisc, "false",
               "receive frames for other stations too"),
    PARAM_BOOL(struct xdp_socket_conf, reopen, "true",
               "go on when an interface of that name comes back"),
    PARAM_BOOL(struct xdp_socket_conf, need_wakeup, "true",
               "call the kernel only when it asks for that"),
    PARAM_BOOL(struct xdp_socket_conf, frags, "false",
               "frames longer than a packet's chunk, in pieces (Linux 6.6)"),
    PARAM_INTEGER(struct xdp_socket_conf, rx, "2048", "64", "32768",
                  "receive descriptors per queue"),
    PARAM_INTEGER(struct xdp_socket_conf, tx, "2048", "64", "32768", "send descriptors"),
    PARAM_INTEGER(struct xdp_socket_conf, fill, "2048", "64", "32768",
                  "packets per queue that the kernel has to receive into"),
    PARAM_INTEGER(struct xdp_socket_conf, completion, "2048", "64", "32768",
                  "completion descriptors; at least as many as tx"),
    PARAM_INTEGER(struct xdp_socket_conf, rx_batch, "256", "1", "512",
                  "frames taken per queue and breath"),
    PARAM_TABLE(struct xdp_socket_conf, busy_poll, busy_poll_params,
                "poll the device from here (napi(7) in the kernel's documentation)"),
    PARAM_END,
};

/* Everything but match is the same. */
static bool only_match_differs(const struct xdp_socket_conf *a,
                               const struct xdp_socket_conf *b)
{
    struct xdp_socket_conf same = *b;
    same.match = a->match;
    return param_equal(params, a, &same);
}

/* A graph is refused before anything happens when the words of match are wrong. */
static int verify(const void *conf, struct error *err)
{
    const struct xdp_socket_conf *c = conf;
    struct traffic_match match;
    int error = traffic_match_parse(&match, c->match, err);
    if (error)
        error_prefix(err, "match: ");
    else if (c->xskmap && c->match)
        error = error_set(err, ERROR_CONFIG, EINVAL,
                          "match is not for the program that an xskmap belongs to");
    return error;
}

const struct app_class xdp_socket_class = {
    .name = "XdpSocket",
    .doc = "an Ethernet interface, by AF_XDP",
    .ports = ports,
    .params = params,
    .conf_size = sizeof(struct xdp_socket_conf),
    .counters = counters,
    .state_size = sizeof(struct xdp_socket),
    .start = start,
    .stop = stop,
    .pull = transfer_pull,
    .push = transfer_push,
    .tick = tick,
    .reconfigure = reconfigure,
    .report = report,
    .verify = verify,
};
