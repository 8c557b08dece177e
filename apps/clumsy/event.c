/* event: something that happens to a share of the packets. */
#include "apps/clumsy/event.h"

#include <math.h>

#define GRID   8192
#define ROUNDS 64

void event_configure(struct event *event, struct random_key key, double p, double c,
                     bool netem)
{
    c = p < 1 ? c : 0; /* what always happens happens to the first one, too */
    if (p > 0 && !event->begun)
        event->last = random_chance(&key, UINT64_MAX, random_threshold(p));
    event->begun |= p > 0;
    event->active = p > 0;
    event->key = key;
    event->netem = netem && c > 0;
    event->threshold[0] = random_threshold(p * (1 - c));
    event->threshold[1] = random_threshold(p + c * (1 - p));
    event->share = p;
    event->weight = c;
}

bool event_filtered(struct event *event, uint64_t draw)
{
    event->filtered = (1 - event->weight) * random_unit(&event->key, draw) +
                      event->weight * event->filtered;
    return event->filtered <= event->share;
}

/* The integral of a distribution function from 0 to x, which is 1 from 1 on. */
static double integral(const double *sums, double x)
{
    if (x <= 0)
        return 0;
    if (x >= 1)
        return sums[GRID] + (x - 1);
    double at = x * GRID;
    int i = (int)at;
    return sums[i] + (at - i) * (sums[i + 1] - sums[i]);
}

/* F(y) = P((1-c) u + c y' <= y) = c/(1-c) times the integral of F over (y - (1-c))/c .. y/c. */
double event_netem_share(double p, double c)
{
    static _Thread_local double law[GRID + 1], sums[GRID + 1];
    if (p <= 0 || p >= 1 || c <= 0)
        return p;
    for (int i = 0; i <= GRID; i++)
        law[i] = (double)i / GRID;
    for (int round = 0; round < ROUNDS; round++) {
        sums[0] = 0;
        for (int i = 1; i <= GRID; i++)
            sums[i] = sums[i - 1] + (law[i - 1] + law[i]) / 2 / GRID;
        for (int i = 0; i <= GRID; i++) {
            double y = (double)i / GRID;
            law[i] =
                c / (1 - c) * (integral(sums, y / c) - integral(sums, (y - (1 - c)) / c));
        }
    }
    double at = p * GRID;
    int i = (int)at;
    return law[i] + (at - i) * (law[i + 1] - law[i]);
}
