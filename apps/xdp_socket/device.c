/* device: the sockets of an interface's queues, and the program that feeds them. */
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/xdp_socket/xdp_socket.h"
#include "lib/ethtool.h"
#include "lib/units.h"

#define BUSY_TRIES 12 /* at opening a queue that was just closed */

void device_close(struct app *app)
{
    struct xdp_socket *xdp = app->state;
    for (unsigned i = 0; i < xdp->nqueues; i++) {
        struct xsk *xsk = &xdp->queues[i];
        if (xsk->fd < 0)
            continue;
        if (xdp->hook)
            xdp_hook_remove(xdp->hook, xdp->numbers[i]);
        app_unpoll(app, xsk->fd);
        xsk_close(xsk);
        if (xdp->partial[i])
            app_drop(app, DROP_FRAGS, xdp->partial[i]);
        xdp->partial[i] = NULL;
        xdp->skipping[i] = false;
    }
    xdp_hook_close(xdp->hook);
    if (xdp->promisc_fd >= 0)
        close(xdp->promisc_fd);
    xdp->hook = NULL;
    xdp->promisc_fd = -1;
    xdp->nqueues = 0;
    xdp->owed = false;
    app->counters[FILLING] = app->counters[SENDING] = 0;
}

/* The queues that were named, as far as the interface has them. */
static int choose_queues(struct app *app, const struct xdp_socket_conf *conf,
                         unsigned have, struct error *err)
{
    struct xdp_socket *xdp = app->state;
    char text[160];
    for (unsigned i = 0; i < QUEUES_MAX; i++)
        xdp->queues[i].fd = -1;
    for (unsigned queue = 0; queue < QUEUES_MAX; queue++) {
        if (!(conf->queue >> queue & 1))
            continue;
        if (queue < have)
            xdp->numbers[xdp->nqueues++] = queue;
        else if (conf->queue != UINT64_MAX)
            return error_set(err, ERROR_CONFIG, EINVAL,
                             "queue: %s has %u, numbered from 0 (not %u)", conf->ifname,
                             have, queue);
    }
    if (xdp->nqueues < have)
        app_log(app,
                "%u queues of %s have no socket here (queue = \"%s\"): their frames go "
                "elsewhere",
                have - xdp->nqueues, conf->ifname,
                units_format_set(text, sizeof(text), conf->queue));
    return 0;
}

/* Descriptors of a ring: what was asked for, but not more than a fair share of the arena. */
static uint32_t ring_size(const struct xdp_socket *xdp, int64_t wanted)
{
    uint32_t size = 1, share = arena.count / (4 * xdp->nqueues);
    while (size * 2 <= (uint64_t)wanted && size * 2 <= share)
        size *= 2;
    return size;
}

static int open_queue(struct app *app, const struct xdp_socket_conf *conf, unsigned index,
                      unsigned i, bool patient, struct error *err)
{
    struct xdp_socket *xdp = app->state;
    bool receives = conf->mode != MODE_TX, sends = conf->mode != MODE_RX;
    uint32_t tx = sends ? ring_size(xdp, conf->tx) : 0;
    uint32_t completion = ring_size(xdp, conf->completion);
    struct xsk_options options = {
        .ifname = conf->ifname,
        .index = index,
        .queue = xdp->numbers[i],
        .rx = receives ? ring_size(xdp, conf->rx) : 0,
        .tx = tx,
        .fill = ring_size(xdp, conf->fill),
        .completion = completion > tx ? completion : tx,
        .bind = (enum xsk_bind)conf->bind,
        .need_wakeup = conf->need_wakeup,
        .frags = conf->frags,
    };
    int error = xsk_open(&xdp->queues[i], &options, err);
    for (int tries = 0; patient && error == -EBUSY && tries < BUSY_TRIES; tries++) {
        usleep(20000u << (tries > 8 ? tries - 8 : 0));
        error = xsk_open(&xdp->queues[i], &options, err);
    }
    if (!error && xdp->hook)
        error = xdp_hook_add(xdp->hook, xdp->numbers[i], xdp->queues[i].fd, err);
    if (error) /* also lest what is in the map, somebody else's, be removed as ours */
        xsk_close(&xdp->queues[i]);
    return error;
}

/* XDP sees what passed the interface's address filter. Ends with the socket. */
static int set_promisc(struct xdp_socket *xdp, unsigned index, struct error *err)
{
    xdp->promisc_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (xdp->promisc_fd < 0)
        return error_system(err, ERROR_RUN, "promiscuous mode");
    return interface_promisc(xdp->promisc_fd, index, err);
}

/* Interfaces without hardware hand over frames whose checksum nobody has filled in. */
static bool is_virtual(const char *driver)
{
    static const char *const drivers[] = { "veth", "tun",       "virtio_net", "vmxnet3",
                                           "vif",  "hv_netvsc", NULL };
    size_t i = 0;
    while (drivers[i] && strcmp(driver, drivers[i]))
        i++;
    return drivers[i];
}

/* Refusals are no reason not to run: frames come all the same. */
static void set_busy_poll(struct app *app, int fd, const struct busy_poll_conf *conf)
{
    struct error why;
    if (busy_poll_set(fd, conf, &why))
        app_log(app, "%s", why.text);
}

static int open_hook(struct app *app, const struct xdp_socket_conf *conf, unsigned index,
                     unsigned queues, struct error *err)
{
    struct xdp_socket *xdp = app->state;
    struct xdp_hook_options options = {
        .attach = (enum xdp_attach_mode)conf->attach,
        .match = conf->match,
        .drop = conf->fallback == FALLBACK_DROP,
        .frags = conf->frags,
        .force = conf->force,
        .map = conf->xskmap,
    };
    if (conf->mode == MODE_TX)
        return 0;
    xdp->hook = xdp_hook_open(conf->ifname, index, queues, &options, err);
    return xdp->hook ? 0 : -EIO;
}

static int open_parts(struct app *app, const struct xdp_socket_conf *conf,
                      const struct interface *interface, bool patient, struct error *err)
{
    struct xdp_socket *xdp = app->state;
    struct ethtool_state device;
    int error = ethtool_query(conf->ifname, &device, err);
    unsigned have = device.rx_queues + device.combined;
    have = have ? have : 1;
    xdp->complete = conf->checksum == CHECKSUM_COMPLETE ||
                    (conf->checksum == CHECKSUM_AUTO && is_virtual(device.driver));
    if (!error)
        error = choose_queues(app, conf, have, err);
    if (!error)
        error = open_hook(app, conf, interface->index, have, err);
    for (unsigned i = 0; i < xdp->nqueues && !error; i++) {
        error = open_queue(app, conf, interface->index, i, patient, err);
        if (!error)
            set_busy_poll(app, xdp->queues[i].fd, &conf->busy_poll);
    }
    if (!error && conf->promisc)
        error = set_promisc(xdp, interface->index, err);
    return error;
}

int device_open(struct app *app, const struct xdp_socket_conf *conf, bool patient,
                struct error *err)
{
    struct xdp_socket *xdp = app->state;
    struct interface interface;
    int error = interface_query(conf->ifname, &interface, err);
    if (error)
        return error;
    error = open_parts(app, conf, &interface, patient, err);
    if (error) {
        device_close(app);
        return error;
    }
    for (unsigned i = 0; i < xdp->nqueues; i++)
        app_poll(app, xdp->queues[i].fd, POLLIN);
    memset(xdp->past, 0, sizeof(xdp->past));
    life_opened(&xdp->life, interface.index, interface.flags & IFF_UP);
    if (interface.mtu + 18 > xsk_frame_max() && !conf->frags)
        app_log(app,
                "frames of %s may have %u bytes, but %u fit a packet: longer ones are "
                "dropped by the kernel",
                conf->ifname, interface.mtu + 18, xsk_frame_max());
    return 0;
}
