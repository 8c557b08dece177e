/* PacketFilter: tells packets apart by a capture filter, as tcpdump does.
 *
 *                                +-> output       packets that match
 *     input -> [ PacketFilter ] -+
 *                                +-> rejected     the others; dropped when not linked
 *
 * The expression is a pcap-filter(7) one, compiled for Ethernet frames. It sees the bytes
 * of the frame alone: a VLAN tag that the kernel took out (RawSocket does that) is not
 * among them, so "vlan 5" does not match such a packet, and "tcp" matches it without
 * "vlan and". An empty expression matches everything. Names of hosts and networks are
 * resolved when the app is configured.
 */
#include "engine/engine.h"
#include "lib/capture_filter.h"

struct packet_filter_conf {
    char *filter;
};

struct packet_filter {
    struct capture_filter filter;
};

enum { MATCHED, REJECTED, DROP_REJECTED, DROP_NO_OUTPUT };

static const struct counter_row counters[] = {
    [MATCHED] = { "matched", "packets that match" },
    [REJECTED] = { "rejected", "packets that do not" },
    [DROP_REJECTED] = { "drop_rejected", "of them, dropped: \"rejected\" is not linked" },
    [DROP_NO_OUTPUT] = { "drop_no_output",
                         "packets that match while \"output\" is not linked" },
    { NULL, NULL },
};

static int compile(const struct packet_filter_conf *conf, struct capture_filter *filter,
                   struct error *err)
{
    int error = capture_filter_compile(filter, conf->filter, err);
    if (error)
        error_prefix(err, "filter: ");
    return error;
}

static int verify(const void *conf, struct error *err)
{
    struct capture_filter filter;
    int error = compile(conf, &filter, err);
    if (!error)
        capture_filter_free(&filter);
    return error;
}

static int start(struct app *app, struct error *err)
{
    struct packet_filter *filter = app->state;
    return compile(app->conf, &filter->filter, err);
}

static void stop(struct app *app)
{
    struct packet_filter *filter = app->state;
    capture_filter_free(&filter->filter);
}

static int reconfigure(struct app *app, const void *conf, struct error *err)
{
    struct packet_filter *filter = app->state;
    struct capture_filter next;
    int error = compile(conf, &next, err);
    if (!error) {
        capture_filter_free(&filter->filter);
        filter->filter = next;
    }
    return error;
}

static void deliver(struct app *app, struct link *output, struct packet *const *p,
                    uint32_t n, uint32_t drop)
{
    if (output) {
        link_transmit_burst(output, p, n);
    } else {
        packet_free_burst(p, n);
        app_count(app, drop, n);
    }
}

static void push(struct app *app)
{
    const struct packet_filter *filter = app->state;
    struct link *input = app_input(app, 0);
    struct packet *p[LINK_BURST], *rejected[LINK_BURST];
    uint32_t n;
    while (input && (n = link_receive_burst(input, p, LINK_BURST))) {
        uint32_t matching = 0, others = 0;
        for (uint32_t i = 0; i < n; i++)
            if (capture_filter_matches(&filter->filter, p[i]->data, p[i]->length))
                p[matching++] = p[i];
            else
                rejected[others++] = p[i];
        app_count(app, MATCHED, matching);
        app_count(app, REJECTED, others);
        deliver(app, app_output(app, 0), p, matching, DROP_NO_OUTPUT);
        deliver(app, app_output(app, 1), rejected, others, DROP_REJECTED);
    }
}

static const struct port ports[] = {
    { "input", PORT_INPUT, "packets" },
    { "output", PORT_OUTPUT, "those that match" },
    { "rejected", PORT_OUTPUT, "those that do not; dropped when nothing is linked" },
    { NULL },
};

static const struct param params[] = {
    PARAM_STRING(struct packet_filter_conf, filter, NULL,
                 "pcap-filter expression, such as \"udp port 53\""),
    PARAM_END,
};

const struct app_class packet_filter_class = {
    .name = "PacketFilter",
    .doc = "passes the packets that match a capture filter",
    .ports = ports,
    .params = params,
    .conf_size = sizeof(struct packet_filter_conf),
    .counters = counters,
    .state_size = sizeof(struct packet_filter),
    .start = start,
    .stop = stop,
    .push = push,
    .reconfigure = reconfigure,
    .verify = verify,
};
