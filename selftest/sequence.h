/* sequence: apps that number packets and check the numbers.
 *
 *     [ Count ] -> output            packets with the timestamps 1, 2, 3 ...
 *     input -> [ Check ] -> output   counts those that are not one more than the last;
 *                                    without a link at its output it frees them
 *
 * A header of its own, so that tests and benchmarks can both have them.
 */
#pragma once
#include "engine/engine.h"

struct count_conf {
    int64_t count; /* in all; 0: no end */
    int64_t flood; /* 1: whether or not there is room on the link */
};

struct check_conf {
    int64_t count; /* stop the engine after so many; 0: never */
    int64_t most;  /* in a breath; 0: all there are */
};

struct sequence {
    uint64_t last;
};

enum { SEQUENCE_PACKETS, SEQUENCE_WRONG, SEQUENCE_BACKWARDS };

static void count_pull(struct app *app)
{
    struct sequence *sequence = app->state;
    const struct count_conf *conf = app->conf;
    struct link *output = app_output(app, 0);
    struct packet *p[LINK_BURST];
    uint64_t n = LINK_BURST;
    if (!output)
        return;
    if (!conf->flood && link_writable(output) < n)
        n = link_writable(output);
    if (conf->count && (uint64_t)conf->count - sequence->last < n)
        n = (uint64_t)conf->count - sequence->last;
    n = packet_take_burst(p, (uint32_t)n);
    for (uint64_t i = 0; i < n; i++) {
        packet_reset(p[i]);
        p[i]->length = 60;
        p[i]->timestamp = ++sequence->last;
    }
    app_count(app, SEQUENCE_PACKETS, n);
    link_transmit_burst(output, p, (uint32_t)n);
}

static void check_push(struct app *app)
{
    struct sequence *sequence = app->state;
    const struct check_conf *conf = app->conf;
    struct link *input = app_input(app, 0), *output = app_output(app, 0);
    struct packet **p;
    uint32_t n, left = conf->most ? (uint32_t)conf->most : LINK_SIZE;
    uint64_t wrong = 0, backwards = 0;
    while (input && left && (n = link_run(input, &p, left < LINK_BURST ? left : 64))) {
        for (uint32_t i = 0; i < n; i++) {
            wrong += p[i]->timestamp != sequence->last + 1;
            backwards += p[i]->timestamp <= sequence->last;
            sequence->last = p[i]->timestamp;
        }
        app_count(app, SEQUENCE_PACKETS, n);
        if (output)
            link_transmit_burst(output, p, n);
        else
            packet_free_burst(p, n);
        link_advance(input, n);
        left -= n;
    }
    app_count(app, SEQUENCE_WRONG, wrong);
    app_count(app, SEQUENCE_BACKWARDS, backwards);
    if (conf->count && app->counters[SEQUENCE_PACKETS] >= (uint64_t)conf->count)
        engine_stop(app->engine);
}

/* Its numbers go on, whatever else is asked of it. */
static int sequence_reconfigure(struct app *app, const void *conf, struct error *err)
{
    return 0;
}

static const struct counter_row sequence_counters[] = {
    [SEQUENCE_PACKETS] = { "packets", "packets made or seen" },
    [SEQUENCE_WRONG] = { "wrong", "packets that did not follow the one before" },
    [SEQUENCE_BACKWARDS] = { "backwards", "of them, those before it, or the same" },
    { NULL, NULL },
};

static const struct port sequence_ports[] = {
    { "input", PORT_INPUT, "" },
    { "output", PORT_OUTPUT, "" },
    { NULL },
};

static const struct param count_params[] = {
    PARAM_INTEGER(struct count_conf, count, "0", "0", "9000000000000000000", "in all"),
    PARAM_INTEGER(struct count_conf, flood, "0", "0", "1", "without a look for room"),
    PARAM_END,
};

static const struct param check_params[] = {
    PARAM_INTEGER(struct check_conf, count, "0", "0", "9000000000000000000", "stop then"),
    PARAM_INTEGER(struct check_conf, most, "0", "0", "1000", "in a breath"),
    PARAM_END,
};

static const struct app_class count_class = {
    .name = "Count",
    .doc = "numbers packets",
    .ports = sequence_ports,
    .params = count_params,
    .conf_size = sizeof(struct count_conf),
    .counters = sequence_counters,
    .state_size = sizeof(struct sequence),
    .pull = count_pull,
    .reconfigure = sequence_reconfigure,
};

static const struct app_class check_class = {
    .name = "Check",
    .doc = "checks their numbers",
    .ports = sequence_ports,
    .params = check_params,
    .conf_size = sizeof(struct check_conf),
    .counters = sequence_counters,
    .state_size = sizeof(struct sequence),
    .push = check_push,
    .reconfigure = sequence_reconfigure,
};
