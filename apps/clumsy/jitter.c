/* jitter: how much longer or shorter than owd a delay is. */
#include "apps/clumsy/jitter.h"

#include <math.h>

#define FALL_DEVIATIONS 3.0
#define FINEST_STEPS    64 /* per coherence time: finer makes no difference */
#define STEEP_REACH     2.0
#define STEEP_STEPS     64
#define NS_PER_S        1e9

/* How much delay a step of z is at most: the steepest slope of z -> delay. Of laws with a
 * long tail that is endless, and the clamp has to catch what is beyond two deviations. */
static double steepness(const struct jitter *jitter)
{
    double steepest = 0, step = 2 * STEEP_REACH / STEEP_STEPS;
    for (int i = 0; i < STEEP_STEPS; i++) {
        double z = -STEEP_REACH + i * step;
        double slope =
            (distribution_at(&jitter->law, z + step) - distribution_at(&jitter->law, z)) /
            step;
        steepest = fmax(steepest, slope);
    }
    return jitter->scale * steepest;
}

/* The width at which FALL_DEVIATIONS standard deviations of the difference of two
 * neighbouring knots are as long as the step between them. */
static uint64_t choose_step(const struct jitter *jitter)
{
    double reach = FALL_DEVIATIONS * M_SQRT2 * steepness(jitter);
    double low = jitter->coherence / FINEST_STEPS, high = fmax(low, reach);
    for (int i = 0; i < 64; i++) {
        double step = (low + high) / 2;
        if (reach * sqrt(-expm1(-step / jitter->coherence)) > step)
            low = step;
        else
            high = step;
    }
    return (uint64_t)ceil(high);
}

static double innovate(struct jitter *jitter)
{
    return random_normal(&jitter->knots, jitter->innovations++);
}

static double next_knot(struct jitter *jitter, double knot, double rho)
{
    return rho * knot + sqrt(1 - rho * rho) * innovate(jitter);
}

/* How far a time from `from` to `from` + step is into it. */
static double part(const struct jitter *jitter, uint64_t time)
{
    return (double)(time - jitter->from) / (double)jitter->step;
}

/* The standard normal value of the process at such a time. */
static double interpolate(const struct jitter *jitter, uint64_t time)
{
    double a = part(jitter, time), b = 1 - a;
    return (b * jitter->before + a * jitter->after) /
           sqrt(a * a + b * b + 2 * a * b * jitter->rho);
}

int jitter_dist_of(const struct jitter_conf *conf)
{
    if (conf->dist != DIST_AUTO)
        return conf->dist;
    return conf->table ? DIST_TABLE : conf->sd ? DIST_NORMAL : DIST_UNIFORM;
}

static void configure_law(struct jitter *jitter, const struct jitter_conf *conf)
{
    int dist = jitter_dist_of(conf);
    bool raw = dist == DIST_TABLE && !conf->sd;
    jitter->scale = raw ? NS_PER_S : (double)(conf->sd ? conf->sd : conf->half);
    if (distribution_configure(&jitter->law, dist, conf->shape, conf->table, raw, NULL))
        jitter->scale = 0;
}

/* A process under way goes on from where it is. */
static void configure_process(struct jitter *jitter, const struct jitter_conf *conf,
                              double now)
{
    jitter->block = conf->mode == JITTER_BLOCK;
    jitter->coherence = (double)conf->coherence;
    jitter->step = jitter->block ? conf->period : choose_step(jitter);
    jitter->rho = jitter->block ? 0 : exp(-(double)jitter->step / jitter->coherence);
    if (jitter->running) {
        jitter->from = jitter->last;
        jitter->before = now;
        jitter->after = next_knot(jitter, now, jitter->rho);
    }
}

void jitter_configure(struct jitter *jitter, const struct jitter_conf *conf,
                      uint64_t seed, const char *name)
{
    double now = jitter->running ? interpolate(jitter, jitter->last) : 0;
    jitter->draws = random_key(seed, name, "jitter");
    jitter->knots = random_key(seed, name, "jitter-process");
    jitter->corr = conf->corr;
    configure_law(jitter, conf);
    if (jitter->scale > 0 && (conf->mode == JITTER_PROCESS || conf->mode == JITTER_BLOCK))
        configure_process(jitter, conf, now);
}

void jitter_free(struct jitter *jitter)
{
    distribution_free(&jitter->law);
}

double jitter_draw(struct jitter *jitter, uint64_t draw)
{
    if (jitter->corr == 0 && jitter->law.dist == DIST_UNIFORM)
        return jitter->scale * (2 * random_unit(&jitter->draws, draw) - 1);
    double z = random_normal(&jitter->draws, draw), c = jitter->corr;
    if (c > 0 && jitter->drawn)
        z = c * jitter->latest + sqrt(1 - c * c) * z;
    jitter->latest = z;
    jitter->drawn = true;
    return jitter->scale * distribution_at(&jitter->law, z);
}

/* Moves to the grid cell of a time at least one step ahead. Knots in between are not
 * made: only how much correlation is left over that distance matters. */
static void advance(struct jitter *jitter, uint64_t time)
{
    uint64_t steps = (time - jitter->from) / jitter->step;
    jitter->from += steps * jitter->step;
    jitter->before = steps == 1 ? jitter->after
                                : next_knot(jitter, jitter->after,
                                            pow(jitter->rho, (double)(steps - 1)));
    jitter->after = next_knot(jitter, jitter->before, jitter->rho);
}

static void begin(struct jitter *jitter, uint64_t time)
{
    jitter->running = true;
    jitter->from = jitter->last = time;
    jitter->before = innovate(jitter);
    jitter->after = next_knot(jitter, jitter->before, jitter->rho);
}

double jitter_at(struct jitter *jitter, uint64_t time)
{
    if (!jitter->running)
        begin(jitter, time);
    if (time > jitter->last)
        jitter->last = time;
    if (jitter->last - jitter->from >= jitter->step)
        advance(jitter, jitter->last);
    if (!jitter->block)
        return jitter->scale *
               distribution_at(&jitter->law, interpolate(jitter, jitter->last));
    double a = part(jitter, jitter->last);
    return jitter->scale * ((1 - a) * distribution_at(&jitter->law, jitter->before) +
                            a * distribution_at(&jitter->law, jitter->after));
}
