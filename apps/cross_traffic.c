/* CrossTraffic: the traffic of others, with whom one shares a bottleneck.
 *
 *     output -> [ a Clumsy with rate.shared ] -> input
 *
 * What it sends comes back to it, after the bottleneck that its way there has in common with that
 * of somebody else: so it knows what was lost, and no app needs to know of it.
 *
 *   udp   a constant rate whatever happens, evenly spaced or as a Poisson process
 *   tcp   flows that take what they get: slow start, one packet more per round trip, half the window
 *         on a loss (RFC 5681), a pause when nothing comes back (RFC 6298). An acknowledgement
 *         comes `rtt` after its packet has come back: a round trip is rtt and the wait in the
 *         queue. Data are not sent again, there are always new ones.
 *
 * The path must keep the order within a flow: a number that is skipped is a loss. Packets are UDP
 * of documentation addresses (RFC 5737), a port for each flow. They are stamped with the time at
 * which they were due, so that a late breath makes no other traffic.
 *
 * sent = received + lost - spurious + what is on its way.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "lib/frame.h"
#include "lib/random.h"

#define SECOND      1000000000ull
#define IP          14
#define PORT        (IP + 20)
#define LABEL       (PORT + 8) /* whose, 8 bytes; flow, 8; number, 8; time, 8 */
#define LEAST       "74"       /* bytes of a frame: up to there */
#define FLOWS_MAX   256
#define WINDOW      10 /* packets at first, and after a pause: RFC 6928 */
#define WINDOW_MAX  4096
#define LATE_MAX    (SECOND / 10) /* what is more overdue is not sent any more */
#define TIMEOUT_MIN SECOND        /* RFC 6298, 2.4 */
#define RETRY       (SECOND / 100)
#define NEVER       UINT64_MAX

enum kind { UDP, TCP };
enum spacing { CONSTANT, POISSON };

struct cross_conf {
    int kind, spacing;
    uint64_t rate, size; /* bit/s, bytes */
    int64_t flows;
    uint64_t rtt, on, off; /* ns */
    int64_t seed;
};

struct flow {
    uint64_t next, expected; /* numbers of packets */
    uint64_t recover;        /* a loss before this number is of the same window */
    double window, threshold;
    uint64_t outstanding; /* sent and neither acknowledged nor lost */
    uint64_t heard;       /* ns: of the latest acknowledgement, or start */
    uint64_t smooth;      /* ns: round trip */
};

struct acknowledgement {
    uint64_t time;
    uint64_t round_trip;
    uint64_t lost; /* before it */
    uint64_t number;
    uint32_t flow;
};

struct cross {
    struct packet *template;
    struct flow flows[FLOWS_MAX];
    struct acknowledgement *acks; /* a ring in the order of their times */
    uint64_t head, tail, size;    /* cursors; size is 0 or a power of two */
    uint64_t label;               /* whose packets these are */
    struct random_key random;
    uint64_t draws;
    uint64_t origin; /* ns: from here on the time of packets is counted */
    uint64_t base;   /* ns after origin, pauses left out: of packet 0 at this rate */
    uint64_t made;   /* packets at this rate */
    double wander;   /* ns by which a Poisson process is after base */
    uint64_t turn;   /* flows of udp send in turn */
    uint64_t second, second_bytes; /* of the goodput */
    uint64_t wake;                 /* when the clock has more to say */
    bool paused;
};

enum {
    SENT,
    SENT_BYTES,
    RECEIVED,
    RECEIVED_BYTES,
    LOST,
    SPURIOUS,
    TIMEOUTS,
    GOODPUT,
    SKIPPED,
    NO_PACKET,
    DROP_FOREIGN,
};

static const struct counter_row counters[] = {
    [SENT] = { "sent", "packets sent" },
    [SENT_BYTES] = { "sent_bytes", "bytes of them" },
    [RECEIVED] = { "received", "packets that came back" },
    [RECEIVED_BYTES] = { "received_bytes", "bytes of them" },
    [LOST] = { "lost", "packets taken for lost" },
    [SPURIOUS] = { "spurious", "of them, those that came back all the same" },
    [TIMEOUTS] = { "timeouts", "times that a flow waited in vain" },
    [GOODPUT] = { "goodput", "bits that came back in the last whole second" },
    [SKIPPED] = { "skipped", "packets not sent: the engine was too late" },
    [NO_PACKET] = { "no_packet", "packets not sent: there was no free one" },
    [DROP_FOREIGN] = { "drop_foreign", "packets that came in and were not its own" },
    { NULL, NULL },
};

/* --- packets ------------------------------------------------------------------------- */

static void put64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

static uint64_t get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

/* From 192.0.2.1 to 198.51.100.1, port 9 (discard), without a UDP checksum. */
static struct packet *make_template(uint32_t size, uint64_t label)
{
    static const uint8_t headers[LABEL] = {
        2, 0,    0, 0,  0,  2, 2, 0,   0, 0, 0, 1,   8,  0,   0x45, 0, 0, 0, 0,
        0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 1,    0, 0, 0, 9,
    };
    struct packet *p = packet_from_bytes(headers, sizeof(headers));
    if (!p || !packet_resize(p, size)) {
        if (p)
            packet_free(p);
        return NULL;
    }
    struct frame frame;
    frame_parse(&frame, p->data, p->length);
    frame_put16(p->data + IP + 2, size - IP);
    frame_put16(p->data + PORT + 4, size - PORT);
    frame_fix(&frame, p->data, false, false);
    put64(p->data + LABEL, label);
    return p;
}

static bool send_packet(struct app *app, uint32_t number, uint64_t time)
{
    struct cross *cross = app->state;
    struct link *output = app_output(app, 0);
    struct flow *flow = &cross->flows[number];
    struct packet *p =
        output && !link_full(output) ? packet_clone(cross->template) : NULL;
    if (!p) {
        app_count(app, NO_PACKET, 1);
        return false;
    }
    frame_put16(p->data + PORT, 10000 + number);
    put64(p->data + LABEL + 8, number);
    put64(p->data + LABEL + 16, flow->next++);
    put64(p->data + LABEL + 24, time);
    p->timestamp = time;
    app_count(app, SENT, 1);
    app_count(app, SENT_BYTES, p->length);
    link_transmit(output, p);
    return true;
}

/* --- on and off ---------------------------------------------------------------------- */

/* A time that leaves out the pauses as one that has them; far away is far enough. */
static uint64_t with_pauses(const struct cross_conf *conf, uint64_t time)
{
    unsigned __int128 whole =
        (unsigned __int128)(time / conf->on) * (conf->on + conf->off) + time % conf->on;
    return !conf->off ? time : whole < NEVER / 4 ? (uint64_t)whole : NEVER / 4;
}

static bool is_pause(const struct cross_conf *conf, uint64_t time)
{
    return conf->off && time % (conf->on + conf->off) >= conf->on;
}

static uint64_t pause_over(const struct cross_conf *conf, uint64_t time)
{
    uint64_t period = conf->on + conf->off;
    return (time / period + 1) * period;
}

/* --- udp ----------------------------------------------------------------------------- */

/* When packet number made at this rate is due. */
static uint64_t due(const struct cross *cross, const struct cross_conf *conf)
{
    uint64_t after = conf->spacing == POISSON
                         ? (uint64_t)cross->wander
                         : (uint64_t)((unsigned __int128)cross->made * conf->size * 8 *
                                      SECOND / conf->rate);
    return cross->origin + with_pauses(conf, cross->base + after);
}

/* The next one; of a Poisson process the gaps are exponential. */
static void advance(struct cross *cross, const struct cross_conf *conf)
{
    double mean = (double)conf->size * 8e9 / (double)conf->rate;
    cross->made++;
    cross->wander -= mean * log1p(-random_unit(&cross->random, cross->draws++));
    cross->turn = (cross->turn + 1) % (uint64_t)conf->flows;
}

static uint64_t send_udp(struct app *app, uint64_t now)
{
    struct cross *cross = app->state;
    const struct cross_conf *conf = app->conf;
    uint64_t time;
    for (; (time = due(cross, conf)) <= now; advance(cross, conf))
        if (now - time > LATE_MAX)
            app_count(app, SKIPPED, 1);
        else
            send_packet(app, (uint32_t)cross->turn, time);
    return time;
}

/* --- tcp ----------------------------------------------------------------------------- */

static void fill_window(struct app *app, uint32_t number, uint64_t time)
{
    struct cross *cross = app->state;
    struct flow *flow = &cross->flows[number];
    if (!cross->paused)
        while (flow->outstanding < (uint64_t)flow->window &&
               send_packet(app, number, time))
            flow->outstanding++;
}

static void shrink(struct flow *flow, double window)
{
    flow->threshold = flow->window / 2 > 2 ? flow->window / 2 : 2;
    flow->window = window > 0 ? window : flow->threshold;
    flow->recover = flow->next;
}

static void acknowledge(struct app *app, const struct acknowledgement *ack)
{
    struct cross *cross = app->state;
    struct flow *flow = &cross->flows[ack->flow];
    uint64_t gone = ack->lost + 1;
    flow->outstanding -= gone < flow->outstanding ? gone : flow->outstanding;
    flow->heard = ack->time;
    flow->smooth = flow->smooth ? flow->smooth - flow->smooth / 8 + ack->round_trip / 8
                                : ack->round_trip;
    if (ack->lost && ack->number >= flow->recover)
        shrink(flow, 0);
    else if (ack->lost) /* of the window that was halved already */
        ;
    else if (flow->window < flow->threshold)
        flow->window += 1;
    else
        flow->window += 1 / flow->window;
    flow->window = flow->window < WINDOW_MAX ? flow->window : WINDOW_MAX;
    fill_window(app, ack->flow, ack->time);
}

static uint64_t timeout_of(const struct flow *flow)
{
    uint64_t wait = 2 * flow->smooth > TIMEOUT_MIN ? 2 * flow->smooth : TIMEOUT_MIN;
    return flow->outstanding ? flow->heard + wait : NEVER;
}

/* Nothing comes back: all that is on its way is taken for lost. */
static void time_out(struct app *app, uint32_t number, uint64_t now)
{
    struct cross *cross = app->state;
    struct flow *flow = &cross->flows[number];
    app_count(app, TIMEOUTS, 1);
    app_count(app, LOST, flow->next - flow->expected);
    flow->expected = flow->next;
    flow->outstanding = 0;
    flow->heard = now;
    shrink(flow, 1);
    fill_window(app, number, now);
}

static void resume(struct app *app, uint64_t time)
{
    struct cross *cross = app->state;
    const struct cross_conf *conf = app->conf;
    cross->paused = false;
    for (uint32_t i = 0; i < conf->flows; i++) {
        struct flow *flow = &cross->flows[i];
        flow->window = flow->window < WINDOW ? flow->window : WINDOW;
        flow->heard = time;
        fill_window(app, i, time);
    }
}

/* What the clock says for all flows; returns when it will say more. */
static uint64_t run_timers(struct app *app, uint64_t now)
{
    struct cross *cross = app->state;
    const struct cross_conf *conf = app->conf;
    uint64_t since = now - cross->origin, next = NEVER;
    bool pause = is_pause(conf, since);
    if (!pause && cross->paused)
        resume(app, now);
    cross->paused = pause;
    for (uint32_t i = 0; i < conf->flows; i++) {
        struct flow *flow = &cross->flows[i];
        if (timeout_of(flow) <= now)
            time_out(app, i, now);
        else if (!flow->outstanding) /* there was no packet to be had */
            fill_window(app, i, now);
        uint64_t again = flow->outstanding || pause ? timeout_of(flow) : now + RETRY;
        next = again < next ? again : next;
    }
    uint64_t over = cross->origin + pause_over(conf, since);
    return pause && over < next ? over : next;
}

static uint64_t next_ack(const struct cross *cross)
{
    return cross->head < cross->tail ? cross->acks[cross->head & (cross->size - 1)].time
                                     : NEVER;
}

static uint64_t send_tcp(struct app *app, uint64_t now)
{
    struct cross *cross = app->state;
    while (next_ack(cross) <= now) {
        struct acknowledgement ack = cross->acks[cross->head++ & (cross->size - 1)];
        acknowledge(app, &ack);
    }
    return run_timers(app, now);
}

/* When memory is out it is as if the acknowledgement were lost. */
static void queue_ack(struct cross *cross, struct acknowledgement ack)
{
    if (cross->tail - cross->head == cross->size) {
        uint64_t size = cross->size ? 2 * cross->size : 256;
        struct acknowledgement *acks = malloc(size * sizeof(*acks));
        if (!acks)
            return;
        for (uint64_t i = cross->head; i < cross->tail; i++)
            acks[i & (size - 1)] = cross->acks[i & (cross->size - 1)];
        free(cross->acks);
        cross->acks = acks;
        cross->size = size;
    }
    const struct acknowledgement *last =
        &cross->acks[(cross->tail - 1) & (cross->size - 1)];
    if (cross->head < cross->tail && ack.time < last->time) /* rtt was made shorter */
        ack.time = last->time;
    cross->acks[cross->tail++ & (cross->size - 1)] = ack;
}

/* --- what comes back ----------------------------------------------------------------- */

static void arrive(struct app *app, const struct packet *p, uint64_t now)
{
    struct cross *cross = app->state;
    const struct cross_conf *conf = app->conf;
    uint64_t number = get64(p->data + LABEL + 8), n = get64(p->data + LABEL + 16);
    struct flow *flow = &cross->flows[number];
    uint64_t time = p->timestamp && p->timestamp < now ? p->timestamp : now;
    app_count(app, RECEIVED, 1);
    app_count(app, RECEIVED_BYTES, p->length);
    if (n < flow->expected) {
        app_count(app, SPURIOUS, 1);
        return;
    }
    uint64_t lost = n - flow->expected, sent = get64(p->data + LABEL + 24);
    flow->expected = n + 1;
    app_count(app, LOST, lost);
    if (conf->kind == TCP)
        queue_ack(cross, (struct acknowledgement){ .time = time + conf->rtt,
                                                   .round_trip = time + conf->rtt - sent,
                                                   .lost = lost,
                                                   .number = n,
                                                   .flow = (uint32_t)number });
}

static bool is_own(const struct cross *cross, const struct cross_conf *conf,
                   const struct packet *p)
{
    if (p->length < LABEL + 32 || get64(p->data + LABEL) != cross->label)
        return false;
    uint64_t number = get64(p->data + LABEL + 8);
    return number < (uint64_t)conf->flows &&
           get64(p->data + LABEL + 16) < cross->flows[number].next;
}

static void push(struct app *app)
{
    struct cross *cross = app->state;
    struct link *input = app_input(app, 0);
    uint64_t now = engine_now(app->engine);
    while (input && !link_empty(input)) {
        struct packet *p = link_receive(input);
        if (!is_own(cross, app->conf, p)) {
            app_drop(app, DROP_FOREIGN, p);
            continue;
        }
        arrive(app, p, now);
        packet_free(p);
    }
    uint64_t wake = next_ack(cross) < cross->wake ? next_ack(cross) : cross->wake;
    if (wake != NEVER)
        app_wake_at(app, wake);
}

static void measure(struct app *app, uint64_t now)
{
    struct cross *cross = app->state;
    uint64_t seconds = (now - cross->second) / SECOND;
    if (!seconds)
        return;
    app->counters[GOODPUT] =
        (app->counters[RECEIVED_BYTES] - cross->second_bytes) * 8 / seconds;
    cross->second += seconds * SECOND;
    cross->second_bytes = app->counters[RECEIVED_BYTES];
}

static void pull(struct app *app)
{
    struct cross *cross = app->state;
    const struct cross_conf *conf = app->conf;
    uint64_t now = engine_now(app->engine);
    measure(app, now);
    cross->wake = conf->kind == UDP ? send_udp(app, now) : send_tcp(app, now);
}

/* --- life ---------------------------------------------------------------------------- */

static int start(struct app *app, struct error *err)
{
    struct cross *cross = app->state;
    const struct cross_conf *conf = app->conf;
    uint64_t seed = conf->seed < 0 ? app->engine->options.seed : (uint64_t)conf->seed;
    cross->random = random_key(seed, app->name, "cross traffic");
    cross->label = random_draw(&cross->random, cross->draws++);
    cross->template = make_template((uint32_t)conf->size, cross->label);
    if (!cross->template)
        return error_set(err, ERROR_RUN, ENOBUFS, "no free packet of %u bytes",
                         (unsigned)conf->size);
    cross->origin = cross->second = engine_now(app->engine);
    for (uint32_t i = 0; i < conf->flows; i++)
        cross->flows[i] = (struct flow){ .window = WINDOW,
                                         .threshold = WINDOW_MAX,
                                         .heard = cross->origin };
    return 0;
}

static void stop(struct app *app)
{
    struct cross *cross = app->state;
    if (cross->template)
        packet_free(cross->template);
    free(cross->acks);
}

/* From now on at the new rate. Other flows are other traffic. */
static int reconfigure(struct app *app, const void *to, struct error *err)
{
    struct cross *cross = app->state;
    const struct cross_conf *conf = to, *before = app->conf;
    if (conf->kind != before->kind || conf->flows != before->flows ||
        conf->seed != before->seed || conf->on != before->on ||
        conf->off != before->off || conf->spacing != before->spacing)
        return -EOPNOTSUPP;
    struct packet *template = make_template((uint32_t)conf->size, cross->label);
    if (!template)
        return error_set(err, ERROR_RUN, ENOBUFS, "no free packet of %u bytes",
                         (unsigned)conf->size);
    packet_free(cross->template);
    cross->template = template;
    if (conf->rate != before->rate || conf->size != before->size) {
        uint64_t now = engine_now(app->engine) - cross->origin;
        uint64_t period = conf->on + conf->off, within = now;
        if (conf->off)
            within = now % period < conf->on ? now % period : conf->on;
        cross->base = conf->off ? now / period * conf->on + within : now;
        cross->made = 0;
        cross->wander = 0;
    }
    return 0;
}

static const struct port ports[] = {
    { "input", PORT_INPUT, "what it has sent, behind the bottleneck" },
    { "output", PORT_OUTPUT, "to the bottleneck" },
    { NULL },
};

static const char *const kinds[] = { "udp", "tcp", NULL };
static const char *const spacings[] = { "constant", "poisson", NULL };

static const struct param params[] = {
    PARAM_ENUM(struct cross_conf, kind, "udp", kinds,
               "udp: a rate, whatever happens; tcp: flows that give way"),
    PARAM_RATE(struct cross_conf, rate, "1mbit", "1bit", "100gbit",
               "of udp: bits of frames per second, of all flows together"),
    PARAM_ENUM(struct cross_conf, spacing, "constant", spacings,
               "of udp: evenly, or as a Poisson process"),
    PARAM_INTEGER(struct cross_conf, flows, "1", "1", "256", "flows, each with a port"),
    PARAM_SIZE(struct cross_conf, size, "1514", LEAST, "1514", "bytes of a frame"),
    PARAM_DURATION(struct cross_conf, rtt, "50ms", "1us", "1000s",
                   "of tcp: the round trip beside the wait in the queue"),
    PARAM_DURATION(struct cross_conf, on, "1s", "1us", "1000000s",
                   "with off: for so long it sends"),
    PARAM_DURATION(struct cross_conf, off, "0s", "0s", "1000000s",
                   "... and for so long it does not; 0: no pauses"),
    PARAM_INTEGER(struct cross_conf, seed, "-1", "-1", "9223372036854775807",
                  "of the Poisson process; -1: the engine's"),
    PARAM_END,
};

const struct app_class cross_traffic_class = {
    .name = "CrossTraffic",
    .doc = "the traffic of others who share a bottleneck",
    .ports = ports,
    .params = params,
    .conf_size = sizeof(struct cross_conf),
    .counters = counters,
    .state_size = sizeof(struct cross),
    .start = start,
    .stop = stop,
    .pull = pull,
    .push = push,
    .reconfigure = reconfigure,
};
