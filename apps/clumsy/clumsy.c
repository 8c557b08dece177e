/* Clumsy: a network path with faults, in one direction.
 *
 *     input -> [ Clumsy ] -> output
 *                  |
 *                  +-------> back        what a router or firewall tells the sender
 *
 *     down -> drop -> loss -> duplicate -> truncate -> corrupt -> rst, mtu
 *                              -> rate + queue -> owd + jitter + spike + reorder -> slot -> out
 *
 * What happens to packets is decided in impair.c; those that have to wait do so as bytes in
 * delay_line.c, and no packet of the engine is kept meanwhile.
 */
#include "apps/clumsy/clumsy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRY 50000 /* ns until another try when the output was full */

static const struct counter_row counters[] = {
    [PACKETS] = { "packets", "packets that came in, each segment of a super-frame one" },
    [DELIVERED] = { "delivered", "packets handed to the output, copies included" },
    [DUPLICATED] = { "duplicated", "copies made" },
    [CORRUPTED] = { "corrupted", "packets and copies that were damaged" },
    [TRUNCATED] = { "truncated", "packets and copies that were cut off" },
    [REORDERED] = { "reordered", "delivered after a packet that came later (RFC 4737)" },
    [MARKED] = { "marked", "packets marked by the queue: congestion experienced" },
    [RESETS] = { "resets", "packets with which a TCP connection was reset" },
    [ANSWERED] = { "answered", "resets and ICMP errors sent back to the sender" },
    [ANSWERS_LOST] = { "answers_lost", "of them, not sent: \"back\" is not linked, or no "
                                       "packet was free" },
    [EXEMPTED] = { "exempt", "ARP and neighbour discovery let through untouched" },
    [UNMATCHED] = { "unmatched", "packets that match does not select" },
    [SPLIT] = { "split", "super-frames split" },
    [FLOOR_HITS] = { "floor_hits", "delays raised to jitter.floor" },
    [OUTPUT_FULL] = { "output_full", "times when due packets waited for the output" },
    [NO_PACKET] = { "no_packet", "times when they waited because no packet was free" },
    [DROP_GSO] = { "drop_gso", "super-frames that cannot be split" },
    [DROP_DOWN] = { "drop_down", "came while the path was down" },
    [DROP_PATTERN] = { "drop_pattern", "chosen by drop" },
    [DROP_LOSS] = { "drop_loss", "lost by chance" },
    [DROP_MTU] = { "drop_mtu", "longer than mtu.max" },
    [DROP_QUEUE] = { "drop_queue", "refused by the queue in front of the bottleneck" },
    [DROP_AQM] = { "drop_aqm", "dropped by its active management" },
    [DROP_MEMORY] = { "drop_memory", "not impaired but lost: the memory was used up" },
    [DROP_NO_OUTPUT] = { "drop_no_output", "due while nothing was linked" },
    [DROP_STOPPED] = { "drop_stopped", "still held when the app was stopped" },
    [HELD] = { "held", "now held" },
    [HELD_BYTES] = { "held_bytes", "memory they take" },
    [QUEUE_PACKETS_NOW] = { "queue_packets", "of them, now in the bottleneck" },
    [QUEUE_BYTES_NOW] = { "queue_bytes", "bytes of those" },
    [CAPTURE_LOST] = { "capture_lost", "packets that a capture file did not take" },
    { NULL, NULL },
};

static const struct counter_row histograms[] = {
    [LATENESS] = { "lateness_ns", "from when a packet was to leave to when it did" },
    [DELAY] = { "delay_ns", "from its arrival to when it was to leave" },
    [LOSS_RUNS] = { "loss_runs", "packets lost in a row" },
    { NULL },
};

/* Gauges, and the next wake-up. */
static void settle(struct app *app, uint64_t now)
{
    struct clumsy *clumsy = app->state;
    struct gate *gate = clumsy->gate;
    bottleneck_expire(&gate->bottleneck, now);
    app->counters[FLOOR_HITS] = clumsy->impair.floor_hits;
    clumsy_count_held(app);
    app->counters[PACKETS] = clumsy->taken + clumsy->plain.count + clumsy->plain.bad;
    app->counters[SPLIT] = clumsy->plain.split;
    app->counters[DROP_GSO] = clumsy->plain.bad;
    app->counters[HELD_BYTES] = clumsy->line.used;
    app->counters[QUEUE_PACKETS_NOW] = bottleneck_packets(&gate->bottleneck) +
                                       (gate->queue ? queue_packets(gate->queue) : 0);
    app->counters[QUEUE_BYTES_NOW] =
        gate->bottleneck.bytes + (gate->queue ? queue_bytes(gate->queue) : 0);
    struct link *input = app_input(app, 0);
    bool waiting = input && plain_front(&clumsy->plain, input); /* for a free packet */
    uint64_t next = clumsy_next(clumsy);
    if (next == UINT64_MAX && !waiting)
        return;
    uint64_t wake = clumsy->blocked || waiting ? now + RETRY : next;
    if (!timer_pending(&app->wake) || app->wake.time != wake)
        app_wake_at(app, wake);
}

/* How far time has come for what leaves: what is still to be read may arrive, and leave,
 * before other things that are due by now. */
static uint64_t horizon(const struct clumsy *clumsy, struct link *input, uint64_t now)
{
    const struct packet *p = input ? plain_front(&clumsy->plain, input) : NULL;
    return p && p->timestamp && p->timestamp < now ? p->timestamp : now;
}

/* What happens on a network happens to the segments of a super-frame, one by one. Takes
 * nothing that came after `end`, which a loop in the graph may bring. */
static uint32_t take_input(struct clumsy *clumsy, struct link *input, uint64_t end,
                           struct packet **p)
{
    uint32_t most = clumsy->plain.count || end - input->read > LINK_BURST
                        ? LINK_BURST
                        : (uint32_t)(end - input->read);
    return plain_receive_burst(&clumsy->plain, input, p, most);
}

/* What has left the queue by a time, and what is due by then. */
static void advance(struct app *app, struct link *input, uint64_t now)
{
    struct clumsy *clumsy = app->state;
    uint64_t due = horizon(clumsy, input, now);
    if (unlikely(clumsy->gate->queue))
        gate_advance(clumsy->gate, due);
    if (unlikely(swap_waiting(&clumsy->swap)))
        clumsy_give_up(app, due);
    clumsy_release(app, due, now);
}

/* What is due leaves between bursts too, at the time that it has become meanwhile. */
static void push(struct app *app)
{
    struct clumsy *clumsy = app->state;
    struct link *input = app_input(app, 0);
    uint64_t now = engine_now(app->engine);
    struct packet *p[LINK_BURST];
    uint64_t end = input ? input->write : 0;
    uint32_t n;
    advance(app, input, now);
    while (input && (n = take_input(clumsy, input, end, p))) {
        struct batch batch = batch_begin(app, now);
        for (uint32_t i = 0; i < n; i++)
            clumsy_handle(&batch, p[i]);
        batch_end(&batch);
        clumsy->taken += n;
        if (clumsy->line.count || clumsy->line.parked) {
            now = engine_clock(app->engine);
            advance(app, input, now);
        }
    }
    settle(app, now);
}

/* --- configuration ------------------------------------------------------------------------ */

/* What netem's way of correlating makes of the share that was asked for. */
static void tell_share(struct app *app, const char *what, double p, double corr)
{
    if (p > 0 && corr > 0)
        app_log(app,
                "%s: %.9g%% correlated by %.9g%% as netem does it is %.3g%% in effect",
                what, 100 * p, 100 * corr, 100 * event_netem_share(p, corr));
}

static void tell_compat(struct app *app, const struct clumsy_conf *conf)
{
    if (conf->compat != COMPAT_NETEM)
        return;
    tell_share(app, "loss", conf->loss.p, conf->loss.corr);
    tell_share(app, "duplicate", conf->duplicate.p, conf->duplicate.corr);
    tell_share(app, "corrupt", conf->corrupt.p, conf->corrupt.corr);
    tell_share(app, "reorder", conf->reorder.p, conf->reorder.corr);
}

static bool is_usual(const struct clumsy *clumsy)
{
    return clumsy->impair.usual && !clumsy->matches && !clumsy->noted &&
           !clumsy->gate->queue;
}

/* For the gate, as is the next one. */
static void queue_changed(void *user)
{
    struct app *app = user;
    struct clumsy *clumsy = app->state;
    impair_queue(&clumsy->impair, clumsy->gate->queue);
    clumsy->usual = is_usual(clumsy);
}

static void inherit_gate(void *user)
{
    struct app *app = user;
    struct clumsy *clumsy = app->state;
    const struct clumsy_conf *conf = app->conf;
    impair_own(&clumsy->impair, conf);
    if (!gate_configure(clumsy->gate, clumsy->number, conf, clumsy->seed, app->name))
        app_log(app, "no memory for the queue of %s", conf->rate.shared);
}

/* Another gate, when it is to be another: before is its name so far. */
static int join_gate(struct app *app, const char *before, const char *name,
                     struct error *err)
{
    struct clumsy *clumsy = app->state;
    struct gate *old = clumsy->gate;
    uint16_t number = clumsy->number;
    bool same = before && name ? !strcmp(before, name) : before == name;
    if (old && same)
        return 0;
    clumsy->member = (struct gate_member){ app, clumsy_passed, clumsy_dropped,
                                           queue_changed, inherit_gate };
    struct gate *gate = gate_join(app->engine, name, &clumsy->member, &clumsy->number);
    if (!gate)
        return error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    clumsy->gate = gate;
    clumsy->impair.bottleneck = &gate->bottleneck;
    if (old)
        gate_leave(old, number);
    return 0;
}

static int configure_match(struct clumsy *clumsy, const char *match, struct error *err)
{
    if (clumsy->matches)
        capture_filter_free(&clumsy->match);
    clumsy->matches = false;
    if (!match)
        return 0;
    int error = capture_filter_compile(&clumsy->match, match, err);
    clumsy->matches = !error;
    return error;
}

/* before: the configuration so far, all zeros at the start. Files come first: they are what
 * fails, and nothing that has to do with packets has changed then. */
static int configure(struct app *app, const struct clumsy_conf *before,
                     const struct clumsy_conf *conf, struct error *err)
{
    struct clumsy *clumsy = app->state;
    uint64_t seed = conf->seed < 0 ? app->engine->options.seed : (uint64_t)conf->seed;
    clumsy->seed = seed;
    clumsy->line.budget = conf->memory;
    int error =
        captures_configure(&clumsy->captures, app, &before->capture, &conf->capture, err);
    if (!error)
        error = decisions_configure(clumsy, conf->decisions, err);
    if (!error)
        error = join_gate(app, before->rate.shared, conf->rate.shared, err);
    if (!error)
        error = impair_configure(&clumsy->impair, conf, seed, app->name, err);
    if (!error && !gate_configure(clumsy->gate, clumsy->number, conf, seed, app->name))
        error = error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    if (!error && clumsy->impair.swap && !clumsy->swap.flows.entries &&
        !swap_init(&clumsy->swap))
        error = error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    if (!error)
        error = configure_match(clumsy, conf->match, err);
    if (error)
        return error;
    slot_configure(&clumsy->slot, &conf->slot, seed, app->name, clumsy->impair.start);
    clumsy->plain.partial = !conf->mtu.max; /* unfinished ones are right until damaged */
    clumsy->noted = clumsy->decisions || clumsy->captures;
    queue_changed(app);
    tell_compat(app, conf);
    return 0;
}

static void stop(struct app *app)
{
    struct clumsy *clumsy = app->state;
    if (clumsy->gate) /* drops what waits in its queue */
        gate_leave(clumsy->gate, clumsy->number);
    app_count(app, DROP_STOPPED,
              clumsy->line.count + clumsy->line.parked + plain_drop(&clumsy->plain));
    app->counters[HELD] = 0;
    swap_free(&clumsy->swap);
    delay_line_free(&clumsy->line);
    impair_free(&clumsy->impair);
    slot_free(&clumsy->slot);
    configure_match(clumsy, NULL, NULL);
    decisions_close(clumsy);
    captures_close(&clumsy->captures);
    free(clumsy->scratch);
    free(clumsy->spare);
}

static int start(struct app *app, struct error *err)
{
    static const struct clumsy_conf nothing;
    struct clumsy *clumsy = app->state;
    delay_line_init(&clumsy->line, 0);
    clumsy->impair.start = engine_now(app->engine);
    clumsy->scratch = malloc(2 * PACKET_LARGE);
    clumsy->spare = malloc(PACKET_LARGE);
    return !clumsy->scratch || !clumsy->spare
               ? error_set(err, ERROR_RUN, ENOMEM, "out of memory")
               : configure(app, &nothing, app->conf, err);
}

/* What was done of a change that cannot be is undone. */
static int reconfigure(struct app *app, const void *conf, struct error *err)
{
    int error = configure(app, app->conf, conf, err);
    if (error)
        configure(app, conf, app->conf, NULL);
    return error;
}

static void report(struct app *app, FILE *out)
{
    const struct histogram *lateness = app->histograms[LATENESS];
    fprintf(out, "(left late by %.3g us at the median, %.3g us at p99)",
            (double)histogram_quantile(lateness, 0.5) / 1e3,
            (double)histogram_quantile(lateness, 0.99) / 1e3);
}

static const struct port ports[] = {
    { "input", PORT_INPUT, "packets" },
    { "output", PORT_OUTPUT, "what is left of them, when it is time" },
    { "back", PORT_OUTPUT, "resets and ICMP errors for the sender; may be left out" },
    { NULL },
};

const struct app_class clumsy_class = {
    .name = "Clumsy",
    .doc = "a bad network: delay, jitter, loss, duplicates, damage, reordering, a "
           "bottleneck with its queue",
    .ports = ports,
    .params = clumsy_params,
    .conf_size = sizeof(struct clumsy_conf),
    .counters = counters,
    .histograms = histograms,
    .state_size = sizeof(struct clumsy),
    .start = start,
    .stop = stop,
    .push = push,
    .reconfigure = reconfigure,
    .report = report,
    .verify = clumsy_verify,
};
