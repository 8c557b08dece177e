/* loss: which packets are lost. */
#include "apps/clumsy/loss.h"

#include <stdlib.h>
#include <string.h>

bool loss_conf_has_gemodel(const struct loss_conf *conf)
{
    return conf->gemodel.p > 0 || conf->gemodel.r > 0;
}

bool loss_conf_has_state(const struct loss_conf *conf)
{
    return conf->state.p13 > 0 || conf->state.p31 > 0 || conf->state.p14 > 0;
}

bool loss_conf_has_onoff(const struct loss_conf *conf)
{
    return conf->onoff.on || conf->onoff.off;
}

bool loss_conf_is_intuitive(const struct loss_conf *conf)
{
    return conf->p > 0 && conf->burst > 0 && (conf->density < 1 || conf->isolated > 0) &&
           conf->density > 0;
}

static enum loss_model model_of(const struct loss_conf *conf)
{
    if (conf->trace)
        return LOSS_TRACE;
    if (loss_conf_has_onoff(conf))
        return LOSS_ONOFF;
    if (loss_conf_has_state(conf) || loss_conf_is_intuitive(conf))
        return LOSS_STATE;
    if (loss_conf_has_gemodel(conf) || (conf->burst > 0 && conf->p > 0 && conf->p < 1))
        return LOSS_CHAIN;
    return conf->p > 0 ? LOSS_EVENT : LOSS_NONE;
}

static void configure_chain(struct loss *loss, const struct loss_conf *conf)
{
    struct gemodel_conf ge = conf->gemodel;
    if (!loss_conf_has_gemodel(conf)) {
        double r = 1 / conf->burst;
        ge = (struct gemodel_conf){ r * conf->p / (1 - conf->p), r, 1, 0 };
    }
    loss->lose[0] = random_threshold(ge.good);
    loss->lose[1] = random_threshold(ge.bad);
    loss->move[0] = random_threshold(ge.p);
    loss->move[1] = random_threshold(ge.r);
}

static void configure_onoff(struct loss *loss, const struct onoff_conf *conf,
                            struct random_key key)
{
    struct sojourn_law law[2];
    loss->lose[0] = random_threshold(conf->loss_off);
    loss->lose[1] = random_threshold(conf->loss_on);
    if (sojourn_parse(conf->off, &law[0], NULL) || sojourn_parse(conf->on, &law[1], NULL))
        return;
    if (loss->onoff.started)
        memcpy(loss->onoff.law, law, sizeof(law)); /* from the next stay on */
    else
        sojourn_start(&loss->onoff, law, key, false, loss->start);
}

void loss_configure(struct loss *loss, const struct loss_conf *conf, uint64_t seed,
                    const char *name, bool netem, uint64_t start)
{
    loss->model = model_of(conf);
    loss->key = random_key(seed, name, "loss");
    loss->moves = random_key(seed, name, "loss-state");
    loss->start = start;
    loss->wrap = conf->after == WRAP_REPEAT;
    event_configure(&loss->event, loss->key, conf->p, conf->corr, netem);
    loss_trace_free(&loss->trace);
    if (loss->model == LOSS_CHAIN)
        configure_chain(loss, conf);
    if (loss->model == LOSS_STATE) {
        loss->to = conf->state;
        if (!loss_conf_has_state(conf))
            loss_state_of(conf, &loss->to, NULL);
    }
    if (loss->model == LOSS_ONOFF)
        configure_onoff(loss, &conf->onoff, loss->moves);
    if (loss->model == LOSS_TRACE && loss_read(&loss->trace, conf->trace, NULL))
        loss->model = LOSS_NONE;
}

void loss_free(struct loss *loss)
{
    loss_trace_free(&loss->trace);
}

static bool chance(const struct random_key *key, uint64_t draw,
                   struct random_threshold threshold)
{
    return threshold.below && random_chance(key, draw, threshold);
}

static bool chain(struct loss *loss, uint64_t draw)
{
    bool bad = loss->bad;
    loss->bad ^= chance(&loss->moves, draw, loss->move[bad]);
    return chance(&loss->key, draw, loss->lose[bad]);
}

/* One draw moves the chain; which of the states it is in decides. */
static bool four_states(struct loss *loss, uint64_t draw)
{
    const struct state_conf *to = &loss->to;
    double u = random_unit(&loss->moves, draw);
    uint8_t before = loss->state ? loss->state : 1;
    loss->state = before;
    if (before == 1)
        loss->state = u < to->p13 ? 3 : u < to->p13 + to->p14 ? 4 : 1;
    else if (before == 2)
        loss->state = u < to->p23 ? 3 : 2;
    else if (before == 3)
        loss->state = u < to->p31 ? 1 : u < to->p31 + to->p32 ? 2 : 3;
    else
        loss->state = 1;
    return before == 3 || before == 4;
}

/* Is the time within one of the spans? */
static bool in_spans(const struct loss_trace *trace, uint64_t time)
{
    size_t low = 0, high = trace->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (trace->spans[middle].to <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low < trace->count && trace->spans[low].from <= time;
}

static bool recorded(const struct loss *loss, uint64_t arrival)
{
    const struct loss_trace *trace = &loss->trace;
    if (trace->packets) {
        uint64_t n = loss->count - 1;
        n = loss->wrap ? n % trace->count : n;
        return n < trace->count && trace->packets[n];
    }
    uint64_t time = arrival > loss->start ? arrival - loss->start : 0;
    return in_spans(trace, loss->wrap ? time % trace->spans[trace->count - 1].to : time);
}

bool loss_by_model(struct loss *loss, uint64_t draw, uint64_t arrival)
{
    switch (loss->model) {
    case LOSS_NONE:
    case LOSS_EVENT:
        break;
    case LOSS_CHAIN:
        return chain(loss, draw);
    case LOSS_STATE:
        return four_states(loss, draw);
    case LOSS_ONOFF:
        return chance(&loss->key, draw, loss->lose[sojourn_at(&loss->onoff, arrival)]);
    case LOSS_TRACE:
        return recorded(loss, arrival);
    }
    return false;
}
