/* Split: one input to many outputs, in turn.
 *
 *                      +-> output     packets 1, 4, 7 ...
 *     input -> [ Split ]-> output             2, 5, 8 ...
 *                      +-> output             3, 6, 9 ...
 *
 * Outputs are taken in the order of their names.
 */
#include "engine/engine.h"

struct split {
    uint32_t next;
};

enum { DROP_NO_OUTPUT };

static const struct counter_row counters[] = {
    [DROP_NO_OUTPUT] = { "drop_no_output",
                         "packets that came in while nothing was linked" },
    { NULL, NULL },
};

static void push(struct app *app)
{
    struct split *split = app->state;
    struct link *input = app_input(app, 0);
    while (input && !link_empty(input)) {
        struct packet *p = link_receive(input);
        if (!app->noutputs) {
            app_drop(app, DROP_NO_OUTPUT, p);
            continue;
        }
        if (split->next >= app->noutputs)
            split->next = 0;
        link_transmit(app->outputs[split->next++], p);
    }
}

static const struct port ports[] = {
    { "input", PORT_INPUT, "packets" },
    { "*", PORT_OUTPUT, "each gets every n-th" },
    { NULL },
};

const struct app_class split_class = {
    .name = "Split",
    .doc = "deals packets out to its outputs in turn",
    .ports = ports,
    .counters = counters,
    .state_size = sizeof(struct split),
    .push = push,
};
