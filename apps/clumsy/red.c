/* red: drops at arrival, at random, by an average of the queue's length. */
#include "apps/clumsy/red.h"

#include <math.h>

/* A link that was idle counts as one that has sent small packets from an empty queue. */
static void average(struct red *red, const struct red_conf *conf, uint64_t now,
                    uint64_t bytes)
{
    if (bytes) {
        red->average += RED_WEIGHT * ((double)bytes - red->average);
        return;
    }
    double each = conf->rate ? RED_PACKET * 8e9 / (double)conf->rate : RED_PACKET_NS;
    red->average *= pow(1 - RED_WEIGHT, (double)(now - red->empty_since) / each);
}

bool red_arrives(struct red *red, const struct red_conf *conf, uint64_t now,
                 uint64_t bytes, double random)
{
    average(red, conf, now, bytes);
    if (red->average < conf->min) {
        red->count = -1;
        return false;
    }
    if (red->average >= conf->max) {
        red->count = 0;
        return true;
    }
    red->count++;
    double p = conf->probability * (red->average - conf->min) / (conf->max - conf->min);
    double spread = 1 - (double)red->count * p;
    if (spread > 0 && random >= p / spread)
        return false;
    red->count = 0;
    return true;
}
