/* pie: drops at arrival, at random, to hold a delay: RFC 8033.
 *
 *   pie_advance   time has passed: the updates of the probability that were due in it
 *   pie_drops     is the packet that arrives dropped?
 *
 * Nothing happens between two packets but updates, and the queue is the same in all of them;
 * so they are made up for when the next packet comes or goes. At most PIE_UPDATES of them: by
 * then the probability of an idle queue is 0.
 *
 * With the RFC's options of 5.4 (drops are spread: none before the probabilities since the
 * last one add up to 0.85, one for sure at 8.5) and 5.5 (it rises by at most 2 % at once from
 * 10 % on).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define PIE_TARGET   15000000  /* ns */
#define PIE_INTERVAL 15000000  /* ns */
#define PIE_BURST    150000000 /* ns in which nothing is dropped at first */
#define PIE_ECN_MOST 0.1       /* above it packets are dropped that could be marked */
#define PIE_UPDATES  1024

struct pie_conf {
    uint64_t target, interval;
};

/* What waits. Without a rate its delay is the age of the oldest packet. */
struct pie_backlog {
    uint64_t bytes;
    uint64_t rate;   /* bit/s, or 0 */
    uint64_t oldest; /* its arrival */
};

/* All zeros at the start. */
struct pie {
    uint64_t updated;
    uint64_t burst; /* what is left of the allowance */
    double probability;
    double sum;   /* of probabilities since the last drop */
    double delay; /* s, at the last update */
    bool started;
};

void pie_advance(struct pie *pie, const struct pie_conf *conf, uint64_t now,
                 const struct pie_backlog *backlog);

/* pie_advance to that time comes first. random: in [0, 1). */
bool pie_drops(struct pie *pie, const struct pie_conf *conf, uint64_t now,
               const struct pie_backlog *backlog, double random);
