/* Pacer: lets packets pass at a steady pace, and leaves the others where they are.
 *
 *     input -> [ Pacer ] -> output
 *
 * Packet i is due one interval after packet i - 1; the interval is what `pps` or `rate` asks
 * for, whichever is longer. When the engine was late, packets that were due meanwhile follow
 * at once, as far back as `catch_up`. Time in which nothing waited is not made up for. Nothing
 * is dropped: what waits is on the input link.
 */
#include "engine/engine.h"

#define INTERVAL_MAX 1e18 /* ns, 30 years: what may be asked for is beyond any clock */

struct pacer_conf {
    double pps;
    uint64_t rate; /* bit/s of frames, 0: any */
    uint64_t catch_up;
    int64_t count;
};

struct pacer {
    uint64_t due; /* of the next packet, ns ... */
    double rest;  /* ... and what is left of one */
    uint64_t passed;
};

enum { PACKETS, BYTES, FINISHED };

static const struct counter_row counters[] = {
    [PACKETS] = { "packets", "packets that passed" },
    [BYTES] = { "bytes", "bytes of them" },
    [FINISHED] = { "finished", "1 when count have passed" },
    { NULL, NULL },
};

static int start(struct app *app, struct error *err)
{
    struct pacer *pacer = app->state;
    pacer->due = engine_now(app->engine);
    return 0;
}

static void advance(struct pacer *pacer, const struct pacer_conf *conf, uint32_t length)
{
    double packet = conf->pps > 0 ? 1e9 / conf->pps : 0;
    double bits = conf->rate ? 8e9 * length / (double)conf->rate : 0;
    double interval = packet > bits ? packet : bits;
    pacer->rest += interval < INTERVAL_MAX ? interval : INTERVAL_MAX;
    uint64_t whole = (uint64_t)pacer->rest;
    pacer->due += whole;
    pacer->rest -= (double)whole;
}

static uint32_t most(const struct pacer *pacer, const struct pacer_conf *conf,
                     const struct link *output)
{
    uint32_t room = link_writable(output);
    uint64_t left = conf->count ? (uint64_t)conf->count - pacer->passed : UINT64_MAX;
    return room < left ? room : (uint32_t)left;
}

/* Moves the packets that are due; false when there were none. */
static bool pass(struct app *app, struct link *input, struct link *output)
{
    struct pacer *pacer = app->state;
    const struct pacer_conf *conf = app->conf;
    uint64_t now = engine_now(app->engine), bytes = 0;
    struct packet **p;
    uint32_t run = link_run(input, &p, most(pacer, conf, output)), n = 0;
    while (n < run && pacer->due <= now) {
        bytes += p[n]->length;
        advance(pacer, conf, p[n++]->length);
    }
    link_put(output, p, n, bytes);
    link_advance(input, n);
    pacer->passed += n;
    app_count(app, PACKETS, n);
    app_count(app, BYTES, bytes);
    return n;
}

static void push(struct app *app)
{
    struct pacer *pacer = app->state;
    const struct pacer_conf *conf = app->conf;
    struct link *input = app_input(app, 0), *output = app_output(app, 0);
    uint64_t now = engine_now(app->engine);
    if (!input || !output)
        return;
    uint64_t back = conf->catch_up < now ? conf->catch_up : now;
    uint64_t earliest = link_empty(input) ? now : now - back;
    if (pacer->due < earliest)
        pacer->due = earliest;
    while (pass(app, input, output))
        ;
    if (conf->count && pacer->passed == (uint64_t)conf->count)
        app->counters[FINISHED] = 1;
    else if (!link_empty(input) && pacer->due > now) /* else it waits for the output */
        app_wake_at(app, pacer->due);
}

/* The new pace holds from the next packet on; a count that is reached already is reached. */
static int reconfigure(struct app *app, const void *to, struct error *err)
{
    struct pacer *pacer = app->state;
    const struct pacer_conf *conf = to;
    if (conf->count && pacer->passed > (uint64_t)conf->count)
        pacer->passed = (uint64_t)conf->count;
    app->counters[FINISHED] = 0;
    return 0;
}

static const struct port ports[] = {
    { "input", PORT_INPUT, "packets at any pace" },
    { "output", PORT_OUTPUT, "packets at that pace" },
    { NULL },
};

static const struct param params[] = {
    PARAM_NUMBER(struct pacer_conf, pps, "0", "0", "1000000000",
                 "packets per second; 0: any number"),
    PARAM_RATE(struct pacer_conf, rate, "0bit", "0bit", "1tbit",
               "bits per second of frames; 0: any number"),
    PARAM_DURATION(struct pacer_conf, catch_up, "10ms", "0s", "1s",
                   "how late packets may be and still follow at once"),
    PARAM_INTEGER(struct pacer_conf, count, "0", "0", "9000000000000000000",
                  "packets that pass in all; 0 is no end"),
    PARAM_END,
};

const struct app_class pacer_class = {
    .name = "Pacer",
    .doc = "lets packets pass at a steady pace; the others wait",
    .ports = ports,
    .params = params,
    .conf_size = sizeof(struct pacer_conf),
    .counters = counters,
    .state_size = sizeof(struct pacer),
    .start = start,
    .push = push,
    .reconfigure = reconfigure,
};
