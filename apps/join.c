/* Join: many inputs to one output.
 *
 *     any number of inputs -> [ Join ] -> output
 *
 * Takes no more than the output has room for: the rest stays on the inputs.
 */
#include "engine/engine.h"

static void forward(struct link *input, struct link *output)
{
    struct packet *p[LINK_BURST];
    uint32_t room, n;
    while ((room = link_writable(output)) &&
           (n = link_receive_burst(input, p, room < LINK_BURST ? room : LINK_BURST)))
        link_transmit_burst(output, p, n);
}

static void push(struct app *app)
{
    struct link *output = app_output(app, 0);
    for (uint32_t i = 0; output && i < app->ninputs; i++) {
        if (link_writable(output) >= link_readable(app->inputs[i]))
            link_forward(app->inputs[i], output);
        else
            forward(app->inputs[i], output);
    }
}

static const struct port ports[] = {
    { "*", PORT_INPUT, "packets" },
    { "output", PORT_OUTPUT, "all of them" },
    { NULL },
};

const struct app_class join_class = {
    .name = "Join",
    .doc = "brings many inputs together on one output",
    .ports = ports,
    .push = push,
};
