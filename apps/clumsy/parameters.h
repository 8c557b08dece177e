/* parameters: what a user can set of a Clumsy.
 *
 *   struct clumsy_conf   one configuration, as the rows fill it
 *   clumsy_params        the rows                                        parameters.c
 *   clumsy_verify        are these parameters possible together?         verify.c
 *   clumsy_queue_limit   the queue's limit, given or default
 *
 * Names and units are those of tc-netem(8) where it has them. Probabilities are 0..1, times
 * nanoseconds. All zeros is a network without a fault.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/param.h"
#include "lib/units.h"

enum jitter_dist {
    DIST_AUTO,
    DIST_UNIFORM,
    DIST_NORMAL,
    DIST_PARETO,
    DIST_PARETONORMAL,
    DIST_EXPONENTIAL,
    DIST_GAMMA,
    DIST_LOGNORMAL,
    DIST_WEIBULL,
    DIST_TABLE,
};
enum jitter_mode { JITTER_PROCESS, JITTER_REORDER, JITTER_CLAMP, JITTER_BLOCK };
enum reorder_mode { REORDER_LATE, REORDER_EARLY, REORDER_SWAP };
enum rate_count { COUNT_L2, COUNT_WIRE, COUNT_L3 };
enum loss_at { LOSS_AT_ENTRY, LOSS_AT_EXIT };
enum wrap { WRAP_REPEAT, WRAP_HOLD };
enum damage_where { WHERE_AUTO, WHERE_ANY, WHERE_L2, WHERE_L3, WHERE_L4, WHERE_PAYLOAD };
enum damage_mode { DAMAGE_FLIP, DAMAGE_ZERO, DAMAGE_RANDOM, DAMAGE_BYTE };
enum fix { FIX_NONE, FIX_L3, FIX_ALL };
enum queue_drop { QUEUE_TAIL, QUEUE_HEAD, QUEUE_RANDOM };
enum queue_aqm { AQM_NONE, AQM_CODEL, AQM_PIE, AQM_FQ_CODEL, AQM_RED };
enum reset_side { SIDE_BOTH, SIDE_A, SIDE_B };
enum reset_mode { RESET_INJECT, RESET_FLIP };
enum outage_queue { OUTAGE_DROP, OUTAGE_HOLD };
enum key_mode { KEY_INDEX, KEY_FLOW, KEY_CONTENT };
enum compat { COMPAT_NONE, COMPAT_NETEM };

#define CLUMSY_COPIES_MAX 15
#define CLUMSY_BITS_MAX   32

struct jitter_conf {
    uint64_t half; /* half the width of a uniform distribution */
    uint64_t sd;   /* standard deviation of any other */
    int dist;      /* enum jitter_dist */
    double shape;  /* of pareto, gamma, lognormal, weibull; 0: their default */
    char *table;   /* a file */
    int mode;      /* enum jitter_mode */
    double corr;   /* of neighbouring packets */
    uint64_t coherence, period, floor;
};

struct spike_conf {
    double p;
    uint64_t add;
};

/* Gilbert-Elliott, in the order of `tc ... loss gemodel p r 1-h 1-k`. */
struct gemodel_conf {
    double p;    /* good to bad, per packet */
    double r;    /* bad to good */
    double bad;  /* loss while bad: 1-h */
    double good; /* loss while good: 1-k */
};

/* Four states, in the order of `tc ... loss state p13 p31 p32 p23 p14`. */
struct state_conf {
    double p13, p31, p32, p23, p14;
};

struct onoff_conf {
    char *on, *off; /* laws of the sojourns: lib/sojourn.h */
    double loss_on, loss_off;
};

struct loss_conf {
    double p;        /* of all packets */
    double burst;    /* mean run of losses, or length of a burst; 0: independent losses */
    double corr;     /* lag-1 */
    double density;  /* of losses in a burst, when that is less than 1 */
    double isolated; /* losses between bursts, of all packets */
    double good_run; /* mean run of packets that pass within a burst */
    struct gemodel_conf gemodel;
    struct state_conf state;
    struct onoff_conf onoff;
    char *trace; /* a file */
    int after;   /* enum wrap */
    int at;      /* enum loss_at */
};

struct stream_conf {
    uint64_t byte;
    int64_t retransmits;
};

struct drop_conf {
    int64_t every, first;
    struct value list, range;
    bool syn, synack, fin, dns_response, quic_initial;
    char *filter;
    struct stream_conf tcp;
};

struct duplicate_conf {
    double p;
    int64_t copies;
    double corr;
    uint64_t delay;
    bool dup_dup;
};

struct corrupt_conf {
    double p;
    int64_t bits;
    double ber;
    double corr;
    int where, mode, fix;
};

struct truncate_conf {
    uint64_t to; /* bytes */
    double p;
    int fix;
};

struct rst_conf {
    double p;
    uint64_t at; /* byte of the stream */
    char *match;
    int side, mode;
};

struct mtu_conf {
    uint64_t max; /* bytes of IP */
    bool icmp;
};

struct reorder_conf {
    double p;
    int mode; /* enum reorder_mode */
    int64_t depth;
    uint64_t hold;
    int64_t gap;
    double corr;
};

struct rate_conf {
    uint64_t rate; /* bit/s, 0: no bottleneck */
    int64_t overhead, cell, cell_overhead;
    uint64_t burst; /* bytes */
    int count;      /* enum rate_count */
    char *shared;   /* name of a bottleneck that several have in common */
};

struct queue_conf {
    struct limit limit; /* all zeros: not given */
    int drop, aqm;
    bool ecn;
    uint64_t target, interval; /* 0: those of the AQM */
    uint64_t min, max;         /* bytes, RED; 0: of the limit */
    double probability;        /* RED, at max */
    int64_t flows, quantum;    /* FQ-CoDel */
};

struct slot_conf {
    uint64_t min, max;
    int dist; /* enum jitter_dist */
    uint64_t delay, sd;
    int64_t packets;
    uint64_t bytes;
};

struct trace_conf {
    char *file;
    struct value rows; /* instead of a file */
    int64_t bytes;     /* of an opportunity */
    int after;         /* enum wrap */
    int interp;        /* enum trace_interp */
};

struct down_conf {
    bool now;
    uint64_t at, duration;
    uint64_t period;
    double duty;
    char *on, *off;
    int queue; /* enum outage_queue */
};

struct capture_conf {
    char *before, *after; /* files */
    uint64_t ring;        /* bytes kept of each, 0: all */
};

struct clumsy_conf {
    uint64_t owd;
    struct jitter_conf jitter;
    struct spike_conf spike;
    struct loss_conf loss;
    struct drop_conf drop;
    struct duplicate_conf duplicate;
    struct corrupt_conf corrupt;
    struct truncate_conf truncate;
    struct rst_conf rst;
    struct mtu_conf mtu;
    struct reorder_conf reorder;
    struct rate_conf rate;
    struct queue_conf queue;
    struct slot_conf slot;
    struct trace_conf trace;
    struct down_conf down;
    char *match;
    int64_t seed; /* -1: the engine's */
    int key;      /* enum key_mode */
    int compat;   /* enum compat */
    uint64_t memory;
    char *decisions; /* a file */
    struct capture_conf capture;
    bool arp;
};

extern const struct param clumsy_params[];

int clumsy_verify(const void *conf, struct error *err);

/* The queue in front of the bottleneck: what was given, or the default of 100 ms, or 10
 * packets where that is more. A packet is refused when it exceeds every limit that is
 * not 0. */
struct limit clumsy_queue_limit(const struct clumsy_conf *conf);

/* Is it a queue whose decisions are made when packets leave it? */
static inline bool clumsy_has_queue(const struct clumsy_conf *conf)
{
    return conf->queue.aqm != AQM_NONE || conf->queue.drop != QUEUE_TAIL;
}
