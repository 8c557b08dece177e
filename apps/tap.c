/* Tap: a network device of this host that is us: what the host sends out of it comes in here.
 *
 *     input -> [ Tap ] -> output        input: to the host's stack, output: from it
 *
 *        host's stack <---> tap0 (address, routes) <---> Tap <---> graph
 *
 * The device is made at the start unless there is one of that name (ip tuntap add), and goes
 * with the process, however that ends. Packets go both ways with struct virtio_net_hdr, so
 * unfinished checksums and super-frames may be handed to the host whole; whether the host
 * hands over such is the parameter offload. In mode "tun" the device carries IP packets: they
 * get an Ethernet header here, which is taken off on the way back.
 *
 * Sources: Documentation/networking/tuntap.rst, drivers/net/tun.c, rtnetlink(7).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/vnet.h"
#include "lib/netlink.h"
#include "lib/prefix.h"

#define LARGE  128        /* packets of the second size class, for super-frames */
#define REOPEN 1000000000 /* ns between tries to make the device again */

enum mode { MODE_TAP, MODE_TUN };
enum offload { OFFLOAD_NONE, OFFLOAD_CSUM, OFFLOAD_GSO };

struct tap_conf {
    char *ifname, *address;
    int mode, offload;
    bool up;
    int64_t mtu, rx_batch;
};

struct tap {
    int fd;
    char name[IFNAMSIZ];
    struct packet *spare,
        *large; /* for the next read; large is NULL where none is needed */
    uint64_t reopen_at;
};

enum {
    RX_PACKETS,
    RX_BYTES,
    RX_GSO,
    RX_NO_PACKET,
    DROP_MALFORMED,
    DROP_OVERSIZE,
    TX_PACKETS,
    TX_BYTES,
    TX_BLOCKED,
    DROP_TX_RUNT,
    DROP_TX_NOT_IP,
    DROP_TX_OFFLOAD,
    DROP_TX_FAILED,
    DROP_LINK_DOWN,
    LINK_DOWNS,
    REOPENS,
};

static const struct counter_row counters[] = {
    [RX_PACKETS] = { "rx_packets", "packets from the host" },
    [RX_BYTES] = { "rx_bytes", "bytes of them" },
    [RX_GSO] = { "rx_gso", "super-frames among them" },
    [RX_NO_PACKET] = { "rx_no_packet",
                       "times the host's packets had to wait for a free one" },
    [DROP_MALFORMED] = { "drop_malformed", "packets too short or wrongly described" },
    [DROP_OVERSIZE] = { "drop_oversize", "packets longer than a packet can be" },
    [TX_PACKETS] = { "tx_packets", "packets to the host" },
    [TX_BYTES] = { "tx_bytes", "bytes of them" },
    [TX_BLOCKED] = { "tx_blocked", "times the host took no more; the packets wait" },
    [DROP_TX_RUNT] = { "drop_tx_runt", "packets shorter than an Ethernet header" },
    [DROP_TX_NOT_IP] = { "drop_tx_not_ip", "mode tun: packets that are not IP" },
    [DROP_TX_OFFLOAD] = { "drop_tx_offload",
                          "packets wrongly described: checksum or super-frame" },
    [DROP_TX_FAILED] = { "drop_tx_failed", "packets that the host refused" },
    [DROP_LINK_DOWN] = { "drop_link_down", "packets to a device that was down or gone" },
    [LINK_DOWNS] = { "link_downs", "times the device was taken away" },
    [REOPENS] = { "reopens", "times it was made again" },
    { NULL, NULL },
};

/* --- the device ----------------------------------------------------------------------- */

/* mtu 0, flags 0: as they are. */
static int set_link(struct netlink *netlink, const char *name, uint32_t mtu,
                    unsigned flags, const char *what, struct error *err)
{
    struct ifinfomsg header = { .ifi_flags = flags, .ifi_change = flags };
    netlink_request(netlink, RTM_NEWLINK, 0, &header, sizeof(header));
    netlink_put_string(netlink, IFLA_IFNAME, name);
    if (mtu)
        netlink_put_u32(netlink, IFLA_MTU, mtu);
    int error = netlink_ask(netlink, NULL, NULL, err);
    if (error)
        error_prefix(err, "%s: %s: ", name, what);
    return error;
}

static int parse_address(const char *text, struct prefix *prefix, struct error *err)
{
    if (prefix_parse(prefix, text))
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "address: \"%s\" is not ADDRESS/BITS (such as 192.0.2.1/24)",
                         text);
    return 0;
}

/* how: RTM_NEWADDR, RTM_DELADDR. */
static int set_address(struct netlink *netlink, const char *name, uint16_t how,
                       const char *text, struct error *err)
{
    struct prefix prefix;
    int error = parse_address(text, &prefix, err);
    if (error)
        return error;
    struct ifaddrmsg header = { .ifa_family = (uint8_t)prefix.family,
                                .ifa_prefixlen = prefix.bits,
                                .ifa_flags = IFA_F_NODAD,
                                .ifa_index = if_nametoindex(name) };
    netlink_request(netlink, how, how == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_REPLACE : 0,
                    &header, sizeof(header));
    netlink_put(netlink, IFA_LOCAL, prefix.address, prefix_size(&prefix));
    netlink_put(netlink, IFA_ADDRESS, prefix.address, prefix_size(&prefix));
    error = netlink_ask(netlink, NULL, NULL, err);
    if (error)
        error_prefix(err, "%s: address %s: ", name, text);
    return error;
}

static int open_failed(const struct tap_conf *conf, struct error *err)
{
    if (errno == EPERM)
        return error_set(
            err, ERROR_PRIVILEGE, EPERM,
            "device %s needs CAP_NET_ADMIN, or one made for you: ip tuntap add "
            "%s mode tap user NAME",
            conf->ifname, conf->ifname);
    if (errno == EBUSY)
        return error_set(err, ERROR_CONFIG, EBUSY, "device %s is somebody else's already",
                         conf->ifname);
    return error_system(err, ERROR_RUN, "cannot make device %s", conf->ifname);
}

static int attach(struct tap *tap, const struct tap_conf *conf, struct error *err)
{
    struct ifreq request = { .ifr_flags = IFF_NO_PI | IFF_VNET_HDR };
    request.ifr_flags |= conf->mode == MODE_TAP ? IFF_TAP : IFF_TUN;
    if (strlen(conf->ifname) >= IFNAMSIZ)
        return error_set(err, ERROR_CONFIG, ENAMETOOLONG, "ifname: \"%s\" is too long",
                         conf->ifname);
    strcpy(request.ifr_name, conf->ifname);
    tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tap->fd < 0 || ioctl(tap->fd, TUNSETIFF, &request))
        return open_failed(conf, err);
    strcpy(tap->name, request.ifr_name);
    return 0;
}

static int set_host_side(struct netlink *netlink, const struct tap *tap,
                         const struct tap_conf *conf, const char *had, struct error *err)
{
    bool moved = had && (!conf->address || strcmp(had, conf->address));
    int error = 0;
    if (conf->mtu)
        error = set_link(netlink, tap->name, (uint32_t)conf->mtu, 0, "mtu", err);
    if (!error && moved)
        set_address(netlink, tap->name, RTM_DELADDR, had, NULL); /* if still there */
    if (!error && conf->address)
        error = set_address(netlink, tap->name, RTM_NEWADDR, conf->address, err);
    if (!error && conf->up)
        error = set_link(netlink, tap->name, 0, IFF_UP, "up", err);
    return error;
}

/* What can be changed while the device is open; it has the address `had`, or NULL. */
static int adjust(const struct tap *tap, const struct tap_conf *conf, const char *had,
                  struct error *err)
{
    static const unsigned offloads[] = {
        0, TUN_F_CSUM, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN
    };
    if (ioctl(tap->fd, TUNSETOFFLOAD, offloads[conf->offload]))
        return error_system(err, ERROR_RUN, "%s: offload", tap->name);
    struct netlink *netlink = netlink_open(NETLINK_ROUTE, err);
    int error = netlink ? set_host_side(netlink, tap, conf, had, err) : -EIO;
    netlink_close(netlink);
    return error;
}

static void close_device(struct app *app)
{
    struct tap *tap = app->state;
    if (tap->fd >= 0) {
        app_unpoll(app, tap->fd);
        close(tap->fd);
    }
    tap->fd = -1;
}

static int open_device(struct app *app, struct error *err)
{
    struct tap *tap = app->state;
    const struct tap_conf *conf = app->conf;
    int error = attach(tap, conf, err);
    if (!error)
        error = adjust(tap, conf, NULL, err);
    if (error)
        close_device(app);
    else
        app_poll(app, tap->fd, POLLIN);
    return error;
}

static bool wants_large(const struct tap_conf *conf)
{
    return conf->offload == OFFLOAD_GSO || conf->mtu + ETH_HLEN > packet_capacity();
}

static int start(struct app *app, struct error *err)
{
    struct tap *tap = app->state;
    const struct tap_conf *conf = app->conf;
    tap->fd = -1;
    int error = wants_large(conf) ? packet_large_reserve(LARGE, err) : 0;
    return error ? error : open_device(app, err);
}

static void stop(struct app *app)
{
    struct tap *tap = app->state;
    close_device(app);
    if (tap->spare)
        packet_free(tap->spare);
    if (tap->large)
        packet_free(tap->large);
}

/* In place, because a device is open once: with its routes and whoever uses it it stays. */
static int reconfigure(struct app *app, const void *to, struct error *err)
{
    const struct tap *tap = app->state;
    const struct tap_conf *conf = app->conf, *wanted = to;
    if (strcmp(conf->ifname, wanted->ifname) || conf->mode != wanted->mode)
        return -EOPNOTSUPP;
    int error = wants_large(wanted) ? packet_large_reserve(LARGE, err) : 0;
    if (error || tap->fd < 0)
        return error;
    error = adjust(tap, wanted, conf->address, err);
    if (error)
        adjust(tap, conf, wanted->address, NULL);
    return error;
}

/* The device was deleted: by then reading says EBADFD. */
static void lose_device(struct app *app)
{
    struct tap *tap = app->state;
    close_device(app);
    app_count(app, LINK_DOWNS, 1);
    app_log(app, "device %s is gone", tap->name);
    tap->reopen_at = engine_now(app->engine) + REOPEN;
    app_wake_at(app, tap->reopen_at);
}

static void tick(struct app *app)
{
    struct tap *tap = app->state;
    struct error err;
    if (tap->fd >= 0 || engine_now(app->engine) < tap->reopen_at)
        return;
    tap->reopen_at = engine_now(app->engine) + REOPEN;
    if (open_device(app, &err)) {
        app_wake_at(app, tap->reopen_at);
        return;
    }
    app_count(app, REOPENS, 1);
    app_log(app, "device %s is back", tap->name);
}

/* --- from the host -------------------------------------------------------------------- */

static bool have_spares(struct app *app)
{
    struct tap *tap = app->state;
    if (!tap->spare)
        tap->spare = packet_allocate();
    if (!tap->large && wants_large(app->conf))
        tap->large = packet_allocate_large();
    bool good = tap->spare && (tap->large || !wants_large(app->conf));
    if (!good)
        app_count(app, RX_NO_PACKET, 1);
    return good;
}

static uint32_t longest(const struct tap *tap)
{
    return tap->large ? packet_large_capacity() : packet_capacity();
}

/* Reads one packet into the ordinary spare, and what does not fit there to where it belongs in
 * the large one. Returns its length, or -errno. */
static ssize_t read_packet(const struct tap *tap, struct virtio_net_hdr *vnet,
                           uint32_t skip)
{
    uint32_t room = packet_capacity() - skip;
    struct iovec vectors[3] = { { vnet, sizeof(*vnet) },
                                { tap->spare->data + skip, room } };
    int n = 2;
    if (tap->large)
        vectors[n++] = (struct iovec){ tap->large->data + skip + room,
                                       packet_large_capacity() - skip - room };
    ssize_t got = readv(tap->fd, vectors, n);
    return got < 0 ? -errno : got - (ssize_t)sizeof(*vnet);
}

/* The packet that was read, in one piece. */
static struct packet *take_spare(struct tap *tap, uint32_t length)
{
    struct packet *p = tap->spare;
    if (length > packet_capacity()) {
        p = tap->large;
        memcpy(p->data, tap->spare->data, packet_capacity());
        tap->large = NULL;
    } else {
        tap->spare = NULL;
    }
    p->length = length;
    return p;
}

/* What an Ethernet would have put in front of an IP packet. */
static void write_ethernet(struct packet *p, struct virtio_net_hdr *vnet)
{
    static const uint8_t addresses[] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1 };
    uint16_t type = htons(p->data[ETH_HLEN] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP);
    memcpy(p->data, addresses, sizeof(addresses));
    memcpy(p->data + sizeof(addresses), &type, sizeof(type));
    vnet->csum_start = (uint16_t)(vnet->csum_start + ETH_HLEN);
    vnet->hdr_len = (uint16_t)(vnet->hdr_len + ETH_HLEN);
}

/* False when nothing is there, or it has to wait. */
static bool receive(struct app *app, struct link *output)
{
    struct tap *tap = app->state;
    const struct tap_conf *conf = app->conf;
    struct virtio_net_hdr vnet;
    uint32_t skip = conf->mode == MODE_TUN ? ETH_HLEN : 0;
    if (!have_spares(app))
        return false;
    ssize_t got = read_packet(tap, &vnet, skip);
    if (got == -EBADFD || got == -EFAULT)
        lose_device(app);
    if (got < 0)
        return got == -EINTR;
    if ((uint32_t)got + skip >= longest(tap)) { /* the kernel cuts without a word */
        app_count(app, DROP_OVERSIZE, 1);
        return true;
    }
    struct packet *p = take_spare(tap, (uint32_t)got + skip);
    p->timestamp = engine_now(app->engine);
    if (skip && got > 0)
        write_ethernet(p, &vnet);
    if (p->length <= ETH_HLEN || vnet_read(p, &vnet)) {
        app_drop(app, DROP_MALFORMED, p);
        return true;
    }
    app_count(app, RX_PACKETS, 1);
    app_count(app, RX_BYTES, p->length);
    app_count(app, RX_GSO, p->gso_type != 0);
    app_transmit(output, p);
    return true;
}

static void pull(struct app *app)
{
    struct tap *tap = app->state;
    const struct tap_conf *conf = app->conf;
    struct link *output = app_output(app, 0);
    uint32_t room = output ? link_writable(output) : LINK_SIZE;
    for (int64_t n = 0; n < conf->rx_batch && n < room && tap->fd >= 0; n++)
        if (!receive(app, output))
            return;
}

/* --- to the host ---------------------------------------------------------------------- */

static bool is_ip(const struct packet *p)
{
    uint16_t type;
    memcpy(&type, p->data + 2 * ETH_ALEN, sizeof(type));
    return type == htons(ETH_P_IP) || type == htons(ETH_P_IPV6);
}

enum { SENT = -1, WAITS = -2 };

/* One of these, or the counter to drop the packet under. */
static int send_packet(struct app *app, struct packet *p)
{
    const struct tap *tap = app->state;
    const struct tap_conf *conf = app->conf;
    struct virtio_net_hdr vnet;
    uint32_t skip = conf->mode == MODE_TUN ? ETH_HLEN : 0;
    packet_push_vlan(p);
    if (p->length < ETH_HLEN)
        return DROP_TX_RUNT;
    if (skip && !is_ip(p))
        return DROP_TX_NOT_IP;
    if (vnet_write(p, &vnet))
        return DROP_TX_OFFLOAD;
    if (vnet.flags)
        vnet.csum_start = (uint16_t)(vnet.csum_start - skip);
    if (vnet.gso_type)
        vnet.hdr_len = (uint16_t)(vnet.hdr_len - skip);
    struct iovec vectors[2] = { { &vnet, sizeof(vnet) },
                                { p->data + skip, p->length - skip } };
    if (writev(tap->fd, vectors, 2) >= 0)
        return SENT;
    if (errno == EAGAIN || errno == EINTR)
        return WAITS;
    return errno == EIO || errno == EBADFD ? DROP_LINK_DOWN
           : errno == EINVAL               ? DROP_TX_OFFLOAD
                                           : DROP_TX_FAILED;
}

static void push(struct app *app)
{
    const struct tap *tap = app->state;
    struct link *input = app_input(app, 0);
    while (input && !link_empty(input)) {
        struct packet *p = link_front(input);
        int fate = tap->fd < 0 ? DROP_LINK_DOWN : send_packet(app, p);
        if (fate == WAITS) {
            app_count(app, TX_BLOCKED, 1);
            app_wake_at(app, engine_now(app->engine) + 1000000);
            return;
        }
        if (fate == SENT) {
            app_count(app, TX_PACKETS, 1);
            app_count(app, TX_BYTES, p->length);
        } else {
            app_count(app, (uint32_t)fate, 1);
        }
        packet_free(link_receive(input));
    }
}

static void report(struct app *app, FILE *out)
{
    const struct tap *tap = app->state;
    fprintf(out, "%s%s", tap->name, tap->fd < 0 ? " gone" : "");
}

static int verify(const void *conf, struct error *err)
{
    struct prefix prefix;
    const struct tap_conf *c = conf;
    return c->address ? parse_address(c->address, &prefix, err) : 0;
}

/* --- the class ------------------------------------------------------------------------ */

static const struct port ports[] = {
    { "input", PORT_INPUT, "packets to the host" },
    { "output", PORT_OUTPUT, "packets from the host" },
    { NULL },
};

static const char *const modes[] = { "tap", "tun", NULL };
static const char *const offloads[] = { "off", "csum", "gso", NULL };

static const struct param params[] = {
    PARAM_STRING(struct tap_conf, ifname, NULL,
                 "name of the device; %d stands for the next free number"),
    PARAM_ENUM(struct tap_conf, mode, "tap", modes,
               "Ethernet frames, or IP packets alone"),
    PARAM_STRING(struct tap_conf, address, "",
                 "given to the device, as 192.0.2.1/24 or 2001:db8::1/64"),
    PARAM_BOOL(struct tap_conf, up, "true", "switch the device on"),
    PARAM_INTEGER(struct tap_conf, mtu, "0", "0", "65521", "of the device; 0: as it is"),
    PARAM_ENUM(struct tap_conf, offload, "off", offloads,
               "csum: the host leaves checksums open; gso: and hands over super-frames"),
    PARAM_INTEGER(struct tap_conf, rx_batch, "64", "1", "512",
                  "packets taken per breath"),
    PARAM_END,
};

const struct app_class tap_class = {
    .name = "Tap",
    .doc = "a tun or tap device: this host at the end of a wire",
    .ports = ports,
    .params = params,
    .conf_size = sizeof(struct tap_conf),
    .counters = counters,
    .state_size = sizeof(struct tap),
    .start = start,
    .stop = stop,
    .pull = pull,
    .push = push,
    .tick = tick,
    .reconfigure = reconfigure,
    .report = report,
    .verify = verify,
};
