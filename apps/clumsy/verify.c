/* verify: what parameters of a Clumsy are possible together. */
#include "apps/clumsy/parameters.h"

#include <errno.h>
#include <stdlib.h>

#include "apps/clumsy/distribution.h"
#include "apps/clumsy/jitter.h"
#include "apps/clumsy/loss.h"
#include "apps/clumsy/outage.h"
#include "apps/clumsy/pattern.h"
#include "apps/clumsy/queue.h"
#include "apps/clumsy/slot.h"
#include "apps/clumsy/trace.h"
#include "lib/capture_filter.h"

#define DEFAULT_QUEUE_NS      100000000
#define DEFAULT_QUEUE_PACKETS 10 /* an initial window of TCP, RFC 6928 */

#define FULL_FRAME  1514 /* what the memory estimate takes a packet to be */
#define FRAME_COSTS 1568 /* in the delay line */

struct limit clumsy_queue_limit(const struct clumsy_conf *conf)
{
    struct limit limit = conf->queue.limit;
    if (limit.ns || limit.bytes || limit.packets)
        return limit;
    if (conf->queue.aqm != AQM_NONE)
        return (struct limit){ .packets = QUEUE_PACKETS };
    return (struct limit){ .ns = DEFAULT_QUEUE_NS, .packets = DEFAULT_QUEUE_PACKETS };
}

static int impossible(struct error *err, const char *text)
{
    return error_set(err, ERROR_CONFIG, EINVAL, "%s", text);
}

static int verify_table(const struct jitter_conf *jitter, struct error *err)
{
    double *values, *at;
    size_t count;
    int error = distribution_read(jitter->table, &values, &at, &count, err);
    if (error) {
        error_prefix(err, "jitter.table: ");
        return error;
    }
    free(values);
    free(at);
    return 0;
}

static int verify_shape(const struct jitter_conf *jitter, int dist, struct error *err)
{
    if (jitter->shape == 0)
        return 0;
    if ((dist == DIST_PARETO || dist == DIST_PARETONORMAL) && jitter->shape <= 2)
        return impossible(err, "jitter.shape: a Pareto distribution has a standard "
                               "deviation above 2 only");
    if (dist == DIST_GAMMA || dist == DIST_WEIBULL)
        return jitter->shape >= 0.1 ? 0 : impossible(err, "jitter.shape: is below 0.1");
    if (dist == DIST_LOGNORMAL)
        return jitter->shape <= 3 ? 0 : impossible(err, "jitter.shape: is above 3");
    return 0;
}

static int verify_jitter(const struct jitter_conf *jitter, int compat, struct error *err)
{
    int dist = jitter_dist_of(jitter);
    bool independent = jitter->mode == JITTER_REORDER || jitter->mode == JITTER_CLAMP;
    if (jitter->half && jitter->sd)
        return impossible(err, "jitter: half (uniform) and sd (the others) exclude each "
                               "other");
    if (jitter->dist == DIST_UNIFORM && jitter->sd)
        return impossible(err, "jitter.sd: a uniform distribution takes half");
    if (jitter->half && dist != DIST_UNIFORM)
        return impossible(err,
                          "jitter.half: only a uniform distribution takes it: set sd");
    if (dist == DIST_TABLE ? !jitter->table : jitter->table != NULL)
        return impossible(err,
                          "jitter: dist \"table\" and table, the file, belong together");
    if (dist != DIST_UNIFORM && dist != DIST_TABLE && !jitter->sd)
        return impossible(err, "jitter.sd: is required by that distribution");
    if (jitter->floor && !jitter->half && !jitter->sd && !jitter->table)
        return impossible(err, "jitter.floor: there is neither half nor sd");
    if (jitter->corr > 0 && !independent && compat == COMPAT_NONE)
        return impossible(err, "jitter.corr: is for the modes reorder and clamp; in mode "
                               "process coherence says how long delays are alike");
    int error = verify_shape(jitter, dist, err);
    return error || !jitter->table ? error : verify_table(jitter, err);
}

static int verify_burst(const struct loss_conf *loss, struct error *err)
{
    struct state_conf state;
    if (loss->burst > 0 && loss->burst < 1)
        return impossible(err, "loss.burst: a run is at least 1 packet");
    if (loss->burst == 0 &&
        (loss->density < 1 || loss->isolated > 0 || loss->good_run > 1) && loss->p > 0)
        return impossible(err, "loss.burst: density, isolated and good_run need it");
    if (loss->corr > 0 && loss->burst > 0)
        return impossible(err, "loss: corr and burst exclude each other");
    if (loss_conf_is_intuitive(loss))
        return loss_state_of(loss, &state, err);
    if (loss->burst > 0 && loss->p < 1 && loss->p / (1 - loss->p) > loss->burst)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "loss.burst: %.9g%% lost means runs of %.9g packets or more",
                         100 * loss->p, loss->p / (1 - loss->p));
    return 0;
}

static int verify_state(const struct state_conf *state, struct error *err)
{
    if (state->p31 + state->p32 > 1)
        return impossible(err, "loss.state: p31 + p32 is more than 100%");
    if (state->p13 + state->p14 > 1)
        return impossible(err, "loss.state: p13 + p14 is more than 100%");
    if (state->p13 > 0 && state->p31 <= 0 && state->p32 <= 0)
        return impossible(err, "loss.state: a burst does not end: set p31");
    return 0;
}

static int verify_onoff(const struct onoff_conf *onoff, struct error *err)
{
    struct sojourn_law law;
    if (!onoff->on || !onoff->off)
        return impossible(err, "loss.onoff: takes both on and off");
    int error = sojourn_parse(onoff->on, &law, err);
    if (!error)
        error = sojourn_parse(onoff->off, &law, err);
    if (error)
        error_prefix(err, "loss.onoff: ");
    return error;
}

static int verify_loss(const struct loss_conf *loss, struct error *err)
{
    struct loss_trace trace;
    bool gemodel = loss_conf_has_gemodel(loss), state = loss_conf_has_state(loss);
    bool onoff = loss_conf_has_onoff(loss), plain = loss->p > 0 || loss->burst > 0;
    if (gemodel && (plain || state || onoff || loss->trace))
        return impossible(err, "loss: gemodel excludes p, burst, state, onoff and trace");
    if (plain + state + onoff + (loss->trace != NULL) > 1)
        return impossible(err, "loss: p, state, onoff and trace exclude each other");
    if (state)
        return verify_state(&loss->state, err);
    if (onoff)
        return verify_onoff(&loss->onoff, err);
    if (!loss->trace)
        return verify_burst(loss, err);
    int error = loss_read(&trace, loss->trace, err);
    if (error)
        error_prefix(err, "loss.trace: ");
    else
        loss_trace_free(&trace);
    return error;
}

static int verify_filter(const char *text, const char *parameter, struct error *err)
{
    struct capture_filter filter;
    if (!text)
        return 0;
    int error = capture_filter_compile(&filter, text, err);
    if (error)
        error_prefix(err, "%s: ", parameter);
    else
        capture_filter_free(&filter);
    return error;
}

static int verify_damage(const struct clumsy_conf *conf, struct error *err)
{
    if (conf->corrupt.p > 0 && conf->corrupt.ber > 0)
        return impossible(err, "corrupt: p and ber exclude each other");
    if (conf->rst.p > 0 && conf->rst.at)
        return impossible(err, "rst: p and at exclude each other");
    if (conf->rst.match && conf->rst.p <= 0 && !conf->rst.at)
        return impossible(err, "rst.match: set p or at as well");
    int error = verify_filter(conf->rst.match, "rst.match", err);
    return error ? error : verify_filter(conf->match, "match", err);
}

/* link: does it say when packets leave? */
static int verify_trace(const struct trace_conf *conf, bool *link, struct error *err)
{
    struct trace trace;
    *link = false;
    if (!conf->file && conf->rows.kind == VALUE_NIL)
        return 0;
    if (conf->file && conf->rows.kind != VALUE_NIL)
        return impossible(err, "trace: file and rows exclude each other");
    int error = trace_load(&trace, conf, err);
    if (error)
        return error;
    *link = trace.opportunities || trace.columns & TRACE_RATE;
    trace_free(&trace);
    return 0;
}

/* Bytes of delay line that the bottleneck can fill with frames of full size. */
static double memory_needed(const struct clumsy_conf *conf)
{
    struct limit limit = clumsy_queue_limit(conf);
    double rate = (double)conf->rate.rate / 8e9; /* bytes per ns */
    double delay = (double)(conf->owd + conf->jitter.half + 4 * conf->jitter.sd);
    double queue = (double)limit.ns * rate;
    if (queue < (double)limit.bytes)
        queue = (double)limit.bytes;
    if (queue < (double)limit.packets * FULL_FRAME)
        queue = (double)limit.packets * FULL_FRAME;
    return (delay * rate + queue) / FULL_FRAME * FRAME_COSTS;
}

static int verify_memory(const struct clumsy_conf *conf, struct error *err)
{
    double needed = memory_needed(conf);
    if (!conf->rate.rate || needed <= (double)conf->memory)
        return 0;
    char have[32];
    return error_set(err, ERROR_CONFIG, EINVAL,
                     "memory: %s is not enough for rate, owd and queue: set %.0fMB",
                     units_format_size(have, sizeof(have), conf->memory),
                     needed / 0x1p20 + 1);
}

/* link: there is a bottleneck, of whatever kind. */
static int verify_queue(const struct clumsy_conf *conf, bool link, struct error *err)
{
    const struct limit *limit = &conf->queue.limit;
    const struct queue_conf *queue = &conf->queue;
    bool given = limit->ns || limit->bytes || limit->packets || clumsy_has_queue(conf);
    if (given && !link)
        return impossible(err, "queue: only a bottleneck has one: set rate");
    if (conf->rate.shared && !link)
        return impossible(err, "rate.shared: set rate");
    if (queue->aqm != AQM_NONE && queue->drop != QUEUE_TAIL)
        return impossible(err, "queue: aqm and drop exclude each other");
    if (queue->ecn && queue->aqm == AQM_NONE)
        return impossible(err, "queue.ecn: only an aqm marks packets");
    if (queue->min && queue->max && queue->min >= queue->max)
        return impossible(err, "queue.max: is not above min");
    return 0;
}

static int verify_order(const struct clumsy_conf *conf, struct error *err)
{
    bool delayed =
        conf->owd || conf->jitter.half || conf->jitter.sd || conf->jitter.table;
    if (conf->reorder.p <= 0)
        return 0;
    if (conf->reorder.mode == REORDER_EARLY && !delayed)
        return impossible(err, "reorder.mode: early skips the delay, and there is none: "
                               "set owd");
    if (conf->reorder.mode != REORDER_EARLY && !conf->reorder.hold)
        return impossible(err, "reorder.hold: 0 holds nothing back");
    return 0;
}

int clumsy_verify(const void *parameters, struct error *err)
{
    const struct clumsy_conf *conf = parameters;
    bool link;
    int error = verify_jitter(&conf->jitter, conf->compat, err);
    if (!error)
        error = verify_loss(&conf->loss, err);
    if (!error)
        error = pattern_verify(&conf->drop, err);
    if (!error)
        error = verify_damage(conf, err);
    if (!error)
        error = verify_trace(&conf->trace, &link, err);
    if (!error)
        error = verify_queue(conf, conf->rate.rate || link, err);
    if (!error)
        error = verify_order(conf, err);
    if (!error)
        error = slot_verify(&conf->slot, err);
    if (!error)
        error = outage_verify(&conf->down, err);
    return error ? error : verify_memory(conf, err);
}
