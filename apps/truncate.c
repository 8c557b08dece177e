/* Truncate: cuts or pads every frame to one length.
 *
 *     input -> [ Truncate ] -> output
 */
#include "engine/engine.h"

struct truncate_conf {
    uint64_t size;
    bool pad;
};

enum { TRUNCATED, PADDED, DROP_NO_OUTPUT };

static const struct counter_row counters[] = {
    [TRUNCATED] = { "truncated", "frames cut" },
    [PADDED] = { "padded", "frames made longer" },
    [DROP_NO_OUTPUT] = { "drop_no_output",
                         "packets that came in while nothing was linked" },
    { NULL, NULL },
};

static void push(struct app *app)
{
    const struct truncate_conf *conf = app->conf;
    struct link *input = app_input(app, 0), *output = app_output(app, 0);
    uint32_t size = (uint32_t)conf->size;
    while (input && !link_empty(input)) {
        struct packet *p = link_receive(input);
        if (!output) {
            app_drop(app, DROP_NO_OUTPUT, p);
            continue;
        }
        if (p->length > size) {
            packet_resize(p, size);
            app_count(app, TRUNCATED, 1);
        } else if (p->length < size && conf->pad && packet_resize(p, size)) {
            app_count(app, PADDED, 1);
        }
        link_transmit(output, p);
    }
}

static const struct port ports[] = {
    { "input", PORT_INPUT, "frames of any length" },
    { "output", PORT_OUTPUT, "frames of at most that length" },
    { NULL },
};

static const struct param params[] = {
    PARAM_SIZE(struct truncate_conf, size, NULL, "1", "69632",
               "longest frame that passes whole"),
    PARAM_BOOL(struct truncate_conf, pad, "false",
               "bring shorter frames to that length, with zeros"),
    PARAM_END,
};

const struct app_class truncate_class = {
    .name = "Truncate",
    .doc = "cuts (and, where asked, pads) every frame to one length",
    .ports = ports,
    .params = params,
    .conf_size = sizeof(struct truncate_conf),
    .counters = counters,
    .push = push,
};
