/* red: drops at arrival, at random, by an average of the queue's length: Floyd and Jacobson,
 * "Random Early Detection Gateways for Congestion Avoidance", 1993.
 *
 *   red_arrives   averages, and says whether the packet that arrives is dropped
 *   red_empty     nothing waits any more
 *
 * Between min and max the probability rises in a straight line to the one given; the count of
 * packets since the last drop makes their distances uniform (paper, section 7): the mean
 * distance is about half of 1 / probability. It does not depend on a packet's size.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define RED_WEIGHT    0.002   /* of the length now in the average */
#define RED_PACKET    1000    /* bytes: small packets that an idle link could have sent */
#define RED_PACKET_NS 1000000 /* what one takes when the rate is not known */

struct red_conf {
    double min, max;    /* bytes; max is above min */
    double probability; /* at max */
    uint64_t rate;      /* bit/s, or 0 */
};

struct red {
    double average;
    uint64_t empty_since; /* of meaning while nothing waits */
    int64_t count;        /* of packets since the last drop; -1: below min */
};

static inline void red_empty(struct red *red, uint64_t now)
{
    red->empty_since = now;
}

/* bytes: that wait; random: in [0, 1). */
bool red_arrives(struct red *red, const struct red_conf *conf, uint64_t now,
                 uint64_t bytes, double random);
