/* Repeater: collects what comes in and sends it again and again.
 *
 *     input -> [ Repeater ] -> output
 *
 * As many copies of the collected sequence, in order, as the output has room for.
 */
#include <stdlib.h>

#include "engine/engine.h"

#define BURST 128 /* packets per breath */

struct repeater_conf {
    int64_t limit;
};

struct repeater {
    struct packet **packets;
    uint32_t count, next;
};

enum { DROP_LIMIT };

static const struct counter_row counters[] = {
    [DROP_LIMIT] = { "drop_limit", "packets that came in when the sequence was full" },
    { NULL, NULL },
};

static int start(struct app *app, struct error *err)
{
    struct repeater *repeater = app->state;
    const struct repeater_conf *conf = app->conf;
    repeater->packets = calloc((size_t)conf->limit, sizeof(*repeater->packets));
    return 0;
}

static void stop(struct app *app)
{
    struct repeater *repeater = app->state;
    for (uint32_t i = 0; i < repeater->count; i++)
        packet_free(repeater->packets[i]);
    free(repeater->packets);
}

static void push(struct app *app)
{
    struct repeater *repeater = app->state;
    const struct repeater_conf *conf = app->conf;
    struct link *input = app_input(app, 0);
    while (input && !link_empty(input)) {
        struct packet *p = link_receive(input);
        if (repeater->count < conf->limit)
            repeater->packets[repeater->count++] = p;
        else
            app_drop(app, DROP_LIMIT, p);
    }
}

static void pull(struct app *app)
{
    struct repeater *repeater = app->state;
    struct link *output = app_output(app, 0);
    for (uint32_t n = 0; output && repeater->count && n < BURST && !link_full(output);
         n++) {
        struct packet *p = packet_clone(repeater->packets[repeater->next]);
        if (!p)
            return;
        link_transmit(output, p);
        repeater->next = (repeater->next + 1) % repeater->count;
    }
}

static const struct port ports[] = {
    { "input", PORT_INPUT, "the sequence" },
    { "output", PORT_OUTPUT, "the sequence, without end" },
    { NULL },
};

static const struct param params[] = {
    PARAM_INTEGER(struct repeater_conf, limit, "4096", "1", "1000000",
                  "packets of the sequence at most"),
    PARAM_END,
};

const struct app_class repeater_class = {
    .name = "Repeater",
    .doc = "collects a sequence of packets and sends it again and again",
    .ports = ports,
    .params = params,
    .conf_size = sizeof(struct repeater_conf),
    .counters = counters,
    .state_size = sizeof(struct repeater),
    .start = start,
    .stop = stop,
    .pull = pull,
    .push = push,
};
