/* Tee: every packet to every output.
 *
 *                                    +-> output
 *     any number of inputs -> [ Tee ]+-> output      any number of outputs
 *                                    +-> output
 *
 * The first output gets the packet itself, the others copies.
 */
#include "engine/engine.h"

enum { COPIES, DROP_NO_PACKET, DROP_NO_OUTPUT };

static const struct counter_row counters[] = {
    [COPIES] = { "copies", "packets copied" },
    [DROP_NO_PACKET] = { "drop_no_packet", "copies not made because no packet was free" },
    [DROP_NO_OUTPUT] = { "drop_no_output",
                         "packets that came in while nothing was linked" },
    { NULL, NULL },
};

WIDE_MOVES static void copy_to(struct app *app, struct packet *const *p, uint32_t n,
                               uint64_t bytes, struct link *output)
{
    struct packet *copy[LINK_BURST];
    uint32_t got = packet_take_burst(copy, n);
    for (uint32_t i = 0; i < got; i++)
        packet_copy(copy[i], p[i]);
    if (likely(got == n && n <= link_writable(output)))
        link_put(output, copy, n, bytes);
    else
        link_transmit_burst(output, copy, got);
    app_count(app, COPIES, got);
    app_count(app, DROP_NO_PACKET, n - got);
}

/* Some packets may be too large to be copied into an ordinary one. */
static void clone_to(struct app *app, struct packet *const *p, uint32_t n,
                     struct link *output)
{
    for (uint32_t i = 0; i < n; i++) {
        struct packet *copy = packet_clone(p[i]);
        app_count(app, copy ? COPIES : DROP_NO_PACKET, 1);
        if (copy)
            link_transmit(output, copy);
    }
}

static void push_burst(struct app *app, struct packet *const *p, uint32_t n)
{
    uint64_t bytes = link_bytes(p, n);
    for (uint32_t o = 1; o < app->noutputs; o++)
        if (unlikely(arena_has_large()))
            clone_to(app, p, n, app->outputs[o]);
        else
            copy_to(app, p, n, bytes, app->outputs[o]);
    if (unlikely(!app->noutputs)) {
        packet_free_burst(p, n);
        app_count(app, DROP_NO_OUTPUT, n);
    } else if (likely(n <= link_writable(app->outputs[0]))) {
        link_put(app->outputs[0], p, n, bytes);
    } else {
        link_transmit_burst(app->outputs[0], p, n);
    }
}

static void push(struct app *app)
{
    struct packet **p;
    for (uint32_t i = 0, n; i < app->ninputs; i++)
        while ((n = link_run(app->inputs[i], &p, LINK_BURST))) {
            push_burst(app, p, n);
            link_advance(app->inputs[i], n);
        }
}

static const struct port ports[] = {
    { "*", PORT_INPUT, "packets" },
    { "*", PORT_OUTPUT, "each gets all of them" },
    { NULL },
};

const struct app_class tee_class = {
    .name = "Tee",
    .doc = "copies every packet to every output",
    .ports = ports,
    .counters = counters,
    .push = push,
};
