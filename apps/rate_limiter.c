/* RateLimiter: drops what exceeds a bit rate: a token bucket, a policer.
 *
 *     input -> [ RateLimiter ] -> output
 *
 * The bucket holds `burst` bytes, starts full and fills at `rate`; a packet takes as many
 * bytes as its frame has (without preamble, CRC and gap), or is dropped when fewer are
 * there. A super-frame is split first. Nothing is delayed: an app that holds packets back is Clumsy.
 *
 * Tokens are counted in bits times 10^-9, of which a nanosecond brings exactly `rate`: no
 * division, nothing is ever rounded, however long it runs. The fullest bucket of 1 GB is
 * 8.6e18 of them, which 64 bits hold.
 */
#include "engine/engine.h"
#include "engine/plain.h"

#define BYTE 8000000000ull /* tokens that a byte costs */

struct rate_limiter_conf {
    uint64_t rate;  /* bit/s */
    uint64_t burst; /* bytes */
};

struct rate_limiter {
    uint64_t tokens;
    uint64_t filled;    /* when: ns of the engine's clock */
    struct plain plain; /* holds nothing between breaths */
};

enum { SPLIT, DROP_RATE, DROP_GSO, DROP_NO_OUTPUT };

static const struct counter_row counters[] = {
    [SPLIT] = { "split", "super-frames split" },
    [DROP_RATE] = { "drop_rate", "packets beyond the rate" },
    [DROP_GSO] = { "drop_gso", "super-frames that cannot be split" },
    [DROP_NO_OUTPUT] = { "drop_no_output",
                         "packets that came in while nothing was linked" },
    { NULL, NULL },
};

static int start(struct app *app, struct error *err)
{
    struct rate_limiter *limiter = app->state;
    const struct rate_limiter_conf *conf = app->conf;
    limiter->tokens = conf->burst * BYTE;
    limiter->filled = engine_now(app->engine);
    limiter->plain.partial = true;
    return 0;
}

/* Brings the bucket to the present. */
static void fill(struct app *app)
{
    struct rate_limiter *limiter = app->state;
    const struct rate_limiter_conf *conf = app->conf;
    uint64_t now = engine_now(app->engine), elapsed = now - limiter->filled;
    uint64_t room = conf->burst * BYTE - limiter->tokens;
    /* Compared before multiplied: the product of a long time might not fit. */
    if (elapsed > room / conf->rate)
        limiter->tokens += room;
    else
        limiter->tokens += elapsed * conf->rate;
    limiter->filled = now;
}

static void push(struct app *app)
{
    struct rate_limiter *limiter = app->state;
    struct link *input = app_input(app, 0), *output = app_output(app, 0);
    struct packet *p[LINK_BURST], *excess[LINK_BURST];
    uint32_t n;
    if (!input || link_empty(input))
        return;
    if (!output) {
        while ((n = link_receive_burst(input, p, LINK_BURST))) {
            packet_free_burst(p, n);
            app_count(app, DROP_NO_OUTPUT, n);
        }
        return;
    }
    fill(app);
    while ((n = plain_receive_burst(&limiter->plain, input, p, LINK_BURST))) {
        uint32_t pass = 0, drop = 0;
        for (uint32_t i = 0; i < n; i++)
            if (p[i]->length * BYTE <= limiter->tokens) {
                limiter->tokens -= p[i]->length * BYTE;
                p[pass++] = p[i];
            } else {
                excess[drop++] = p[i];
            }
        link_transmit_burst(output, p, pass);
        packet_free_burst(excess, drop);
        app_count(app, DROP_RATE, drop);
    }
    app->counters[SPLIT] = limiter->plain.split;
    app->counters[DROP_GSO] = limiter->plain.bad;
}

/* The bucket is filled at the old rate until now, and keeps what the new one holds. */
static int reconfigure(struct app *app, const void *to, struct error *err)
{
    struct rate_limiter *limiter = app->state;
    const struct rate_limiter_conf *conf = to;
    fill(app);
    if (limiter->tokens > conf->burst * BYTE)
        limiter->tokens = conf->burst * BYTE;
    return 0;
}

static const struct port ports[] = {
    { "input", PORT_INPUT, "packets at any rate" },
    { "output", PORT_OUTPUT, "packets at most at that rate" },
    { NULL },
};

static const struct param params[] = {
    PARAM_RATE(struct rate_limiter_conf, rate, NULL, "1bit", "1tbit",
               "bits per second that pass in the long run"),
    PARAM_SIZE(struct rate_limiter_conf, burst, "15000", "64", "1GB",
               "bytes that pass at once; a longer frame never does"),
    PARAM_END,
};

const struct app_class rate_limiter_class = {
    .name = "RateLimiter",
    .doc = "drops the packets that exceed a bit rate",
    .ports = ports,
    .params = params,
    .conf_size = sizeof(struct rate_limiter_conf),
    .counters = counters,
    .state_size = sizeof(struct rate_limiter),
    .start = start,
    .push = push,
    .reconfigure = reconfigure,
};
