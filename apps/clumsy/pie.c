/* pie: drops at arrival, at random, to hold a delay. */
#include "apps/clumsy/pie.h"

#include <math.h>

#define NS 1e-9

#define ALPHA       0.125 /* per second of delay off the target */
#define BETA        1.25  /* per second by which the delay has grown */
#define DECAY       0.98  /* per update while nothing waits */
#define STEP_FROM   0.1   /* from that probability on */
#define STEP_MOST   0.02  /* it rises by no more */
#define SPREAD_LOW  0.85
#define SPREAD_HIGH 8.5
#define MEAN_PACKET 1024 /* bytes */

static double delay_of(const struct pie_backlog *backlog, uint64_t now)
{
    if (!backlog->bytes)
        return 0;
    if (backlog->rate)
        return (double)backlog->bytes * 8 / (double)backlog->rate;
    return now > backlog->oldest ? (double)(now - backlog->oldest) * NS : 0;
}

/* Small probabilities move in small steps: RFC 8033, 4.2. */
static double scale_of(double probability)
{
    static const struct {
        double below, scale;
    } steps[] = {
        { 0.000001, 1.0 / 2048 }, { 0.00001, 1.0 / 512 }, { 0.0001, 1.0 / 128 },
        { 0.001, 1.0 / 32 },      { 0.01, 1.0 / 8 },      { 0.1, 1.0 / 2 },
    };
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (probability < steps[i].below)
            return steps[i].scale;
    return 1;
}

static void update(struct pie *pie, const struct pie_conf *conf, double delay)
{
    double target = (double)conf->target * NS;
    double step = ALPHA * (delay - target) + BETA * (delay - pie->delay);
    step *= scale_of(pie->probability);
    if (pie->probability >= STEP_FROM && step > STEP_MOST)
        step = STEP_MOST;
    pie->probability += step;
    if (delay == 0 && pie->delay == 0)
        pie->probability *= DECAY;
    pie->probability = fmin(fmax(pie->probability, 0), 1);
    pie->delay = delay;
    pie->burst -= pie->burst < conf->interval ? pie->burst : conf->interval;
}

void pie_advance(struct pie *pie, const struct pie_conf *conf, uint64_t now,
                 const struct pie_backlog *backlog)
{
    if (!pie->started) {
        pie->started = true;
        pie->updated = now;
        pie->burst = PIE_BURST;
    }
    uint64_t due = (now - pie->updated) / conf->interval;
    if (due > PIE_UPDATES) {
        pie->updated += (due - PIE_UPDATES) * conf->interval;
        due = PIE_UPDATES;
    }
    while (due--) {
        pie->updated += conf->interval;
        update(pie, conf, delay_of(backlog, pie->updated));
    }
}

static bool spread(struct pie *pie, double random)
{
    if (pie->probability == 0)
        pie->sum = 0;
    pie->sum += pie->probability;
    if (pie->sum < SPREAD_LOW || (pie->sum < SPREAD_HIGH && random >= pie->probability))
        return false;
    pie->sum = 0;
    return true;
}

bool pie_drops(struct pie *pie, const struct pie_conf *conf, uint64_t now,
               const struct pie_backlog *backlog, double random)
{
    double half = (double)conf->target * NS / 2;
    if (pie->probability == 0 && pie->delay < half && delay_of(backlog, now) < half)
        pie->burst = PIE_BURST;
    if (pie->burst || (pie->delay < half && pie->probability < 0.2) ||
        backlog->bytes <= 2 * MEAN_PACKET)
        return false;
    return spread(pie, random);
}
