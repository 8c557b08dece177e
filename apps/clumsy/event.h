/* event: something that happens to a share of the packets.
 *
 *   event_configure    share p, correlation c of neighbouring packets
 *   event_happens      does it, to the packet with this draw?
 *
 * With correlation it is a chain of two states (it did, it did not) that is left with
 * probabilities which keep the share exactly p and make the lag-1 correlation exactly c:
 *
 *     P(1|1) = p + c (1 - p)        P(1|0) = p (1 - c)        mean run 1 / ((1-p)(1-c))
 *
 * As netem does it, for comparison: a uniform number filtered by y' = (1-c) u + c y is
 * compared with the plain p. The filter takes the small numbers away, so that small shares
 * are hardly ever reached: 1 % at 30 % is 0.00005 %.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/random.h"

struct event {
    bool active; /* it may happen at all */
    bool netem;
    bool last, begun; /* what happened last; before the first, by chance */
    struct random_key key;
    struct random_threshold threshold[2]; /* by what happened to the packet before */
    double share, weight;                 /* netem: p and c */
    double filtered;                      /* netem: y */
};

/* event may be all zeros; its memory outlasts a change. */
void event_configure(struct event *event, struct random_key key, double p, double c,
                     bool netem);

/* The same in netem's way. */
bool event_filtered(struct event *event, uint64_t draw);

/* The share of packets that netem's way reaches: the stationary distribution of the filter,
 * by iteration on a grid. Good to 1 % where it is above 1e-6. */
double event_netem_share(double p, double c);

/* What never happens is not drawn for. */
static inline bool event_happens(struct event *event, uint64_t draw)
{
    if (!event->active)
        return false;
    if (event->netem)
        return event_filtered(event, draw);
    bool now = random_chance(&event->key, draw, event->threshold[event->last]);
    return event->last = now;
}
