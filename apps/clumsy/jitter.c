/* jitter: how much longer or shorter than owd a delay is. */
#include "apps/clumsy/jitter.h"

#include <math.h>

#define FALL_DEVIATIONS 3.0
#define FINEST_STEPS    64 /* per coherence time: finer makes no difference */

/* How much delay a step of z is at most: the steepest slope of z -> delay. */
static double steepness(const struct jitter *jitter)
{
    return jitter->normal ? jitter->scale : jitter->scale * sqrt(2 / M_PI);
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

/* The standard normal value of the process at a time from `from` to `from` + step. */
static double interpolate(const struct jitter *jitter, uint64_t time)
{
    double a = (double)(time - jitter->from) / (double)jitter->step, b = 1 - a;
    return (b * jitter->before + a * jitter->after) /
           sqrt(a * a + b * b + 2 * a * b * jitter->rho);
}

void jitter_configure(struct jitter *jitter, const struct jitter_conf *conf,
                      uint64_t seed, const char *name)
{
    double now = jitter->running ? interpolate(jitter, jitter->last) : 0;
    jitter->draws = random_key(seed, name, "jitter");
    jitter->knots = random_key(seed, name, "jitter-process");
    jitter->normal = conf->sd;
    jitter->scale = (double)(conf->sd ? conf->sd : conf->half);
    jitter->coherence = (double)conf->coherence;
    if (jitter->scale == 0)
        return;
    jitter->step = choose_step(jitter);
    jitter->rho = exp(-(double)jitter->step / jitter->coherence);
    if (jitter->running) {
        jitter->from = jitter->last;
        jitter->before = now;
        jitter->after = next_knot(jitter, now, jitter->rho);
    }
}

double jitter_draw(const struct jitter *jitter, uint64_t index)
{
    return jitter->normal ? jitter->scale * random_normal(&jitter->draws, index)
                          : jitter->scale * (2 * random_unit(&jitter->draws, index) - 1);
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

double jitter_at(struct jitter *jitter, uint64_t time)
{
    if (!jitter->running) {
        jitter->running = true;
        jitter->from = jitter->last = time;
        jitter->before = innovate(jitter);
        jitter->after = next_knot(jitter, jitter->before, jitter->rho);
    }
    if (time > jitter->last)
        jitter->last = time;
    if (jitter->last - jitter->from >= jitter->step)
        advance(jitter, jitter->last);
    double z = interpolate(jitter, jitter->last);
    return jitter->scale * (jitter->normal ? z : erf(z * M_SQRT1_2));
}
