/* parameters: what a user can set of a Clumsy.
 *
 *   struct clumsy_conf   one configuration, as the rows below fill it
 *   clumsy_params        the rows
 *   clumsy_verify        are these parameters possible together?
 *
 * Names and units are those of tc-netem(8) where it has them. All zeros is a network
 * without a fault.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/param.h"
#include "lib/units.h"

enum jitter_dist { JITTER_AUTO, JITTER_UNIFORM, JITTER_NORMAL };
enum jitter_mode { JITTER_PROCESS, JITTER_REORDER, JITTER_CLAMP };
enum reorder_mode { REORDER_LATE, REORDER_EARLY };
enum rate_count { COUNT_L2, COUNT_WIRE };

#define CLUMSY_COPIES_MAX 15
#define CLUMSY_BITS_MAX   32

struct jitter_conf {
    uint64_t half; /* ns, half the width of a uniform distribution */
    uint64_t sd;   /* ns, standard deviation of a normal one */
    int dist;      /* enum jitter_dist */
    int mode;      /* enum jitter_mode */
    uint64_t coherence, floor;
};

/* Gilbert-Elliott, in the order of `tc ... loss gemodel p r 1-h 1-k`. */
struct gemodel_conf {
    double p;    /* good to bad, per packet */
    double r;    /* bad to good */
    double bad;  /* loss while bad: 1-h */
    double good; /* loss while good: 1-k */
};

struct loss_conf {
    double p;     /* of all packets */
    double burst; /* mean run of losses, 0: independent losses */
    struct gemodel_conf gemodel;
};

struct duplicate_conf {
    double p;
    int64_t copies;
};

struct corrupt_conf {
    double p;
    int64_t bits;
};

struct reorder_conf {
    double p;
    int mode; /* enum reorder_mode */
    int64_t depth;
    uint64_t hold;
    int64_t gap;
};

struct rate_conf {
    uint64_t rate; /* bit/s, 0: no bottleneck */
    int64_t overhead;
    int count; /* enum rate_count */
};

struct queue_conf {
    struct limit limit; /* all zeros: not given */
};

struct clumsy_conf {
    uint64_t owd;
    struct jitter_conf jitter;
    struct loss_conf loss;
    struct duplicate_conf duplicate;
    struct corrupt_conf corrupt;
    struct reorder_conf reorder;
    struct rate_conf rate;
    struct queue_conf queue;
    int64_t seed; /* -1: the engine's */
    uint64_t memory;
    bool arp;
};

extern const struct param clumsy_params[];

int clumsy_verify(const void *conf, struct error *err);

/* The queue in front of the bottleneck: what was given, or the default of 100 ms, or 10
 * packets where that is more. A packet is refused when it exceeds every limit that is
 * not 0. */
struct limit clumsy_queue_limit(const struct clumsy_conf *conf);
