/* Sink: frees whatever comes in.
 *
 *     any number of inputs -> [ Sink ]
 */
#include "engine/engine.h"

enum { PACKETS, BYTES };

static const struct counter_row counters[] = {
    [PACKETS] = { "packets", "packets freed" },
    [BYTES] = { "bytes", "bytes of them" },
    { NULL, NULL },
};

static void push(struct app *app)
{
    struct packet **p;
    uint64_t bytes = packet_freelist.freebytes;
    for (uint32_t i = 0, n; i < app->ninputs; i++)
        while ((n = link_run(app->inputs[i], &p, LINK_BURST))) {
            packet_free_burst(p, n);
            link_advance(app->inputs[i], n);
            app_count(app, PACKETS, n);
        }
    app_count(app, BYTES, packet_freelist.freebytes - bytes);
}

static const struct port ports[] = {
    { "*", PORT_INPUT, "packets to be freed" },
    { NULL },
};

const struct app_class sink_class = {
    .name = "Sink",
    .doc = "frees whatever comes in",
    .ports = ports,
    .counters = counters,
    .push = push,
};
