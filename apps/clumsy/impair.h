/* impair: what happens to each packet, decided from what is known when it arrives.
 *
 *   impair_configure   set or change the parameters; no state is lost
 *   impair_own         ... the bottleneck is to be as they say
 *   impair_queue       somebody has a queue in front of it, or has not
 *   impair_decide      one packet: lost, or how many copies, each released when
 *   impair_decide_usual   ... in a hurry
 *   impair_propagate   the rest of it for a copy that waited in a queue
 *   impair_free
 *
 *     down -> drop -> loss -> duplicate -> truncate -> corrupt -> rst, mtu
 *                                  -> bottleneck (rate, queue) -> owd, jitter, spike, reorder
 *
 * The order of the stages is fixed. With loss l and duplication d a packet arrives not at
 * all with probability l, arrives once with (1-l)(1-d), and more often with (1-l)d. Copies share
 * the arrival and pass the later stages each for itself.
 *
 * A random decision is a function of seed, app name, purpose and the identity of the packet
 * (identity.h: its number, unless asked otherwise), so that no stage disturbs another: other
 * jitter does not lose other packets. What has memory (chains, the link's clock, the delay
 * process, order) lives here and outlasts a change of parameters.
 *
 * Unless a packet is taken out of order on purpose, it never leaves before one that came
 * before it, also when a change of parameters makes its own delay shorter.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/clumsy/bottleneck.h"
#include "apps/clumsy/event.h"
#include "apps/clumsy/identity.h"
#include "apps/clumsy/jitter.h"
#include "apps/clumsy/loss.h"
#include "apps/clumsy/netem.h"
#include "apps/clumsy/outage.h"
#include "apps/clumsy/parameters.h"
#include "apps/clumsy/pattern.h"
#include "apps/clumsy/trace.h"
#include "lib/frame.h"
#include "lib/random.h"

enum impair_order {
    IMPAIR_IN_ORDER,  /* not before any other packet released in order so far */
    IMPAIR_ANY_ORDER, /* at its time */
    IMPAIR_HELD,      /* when `depth` later packets have left, or after `hold` */
    IMPAIR_SWAPPED,   /* when the next of its flow has left, or after `hold` */
    IMPAIR_QUEUED, /* into the queue: impair_propagate says more when it has left that */
};

enum outcome {
    OUTCOME_PASS,
    OUTCOME_DOWN,    /* no path */
    OUTCOME_DROP,    /* by number, or for what it is */
    OUTCOME_LOSS,    /* at the entry, or behind the bottleneck */
    OUTCOME_TOO_BIG, /* for mtu */
    OUTCOME_QUEUE,   /* the queue was full */
};

/* What becomes of one copy. */
struct fate {
    uint64_t release; /* ns; IMPAIR_HELD: not before this */
    uint32_t length;  /* of the frame, which may be cut off */
    uint8_t outcome;  /* enum outcome: nothing else here has a meaning unless it passes */
    uint8_t bits;     /* to damage */
    uint8_t order;    /* enum impair_order */
    bool lost;        /* IMPAIR_QUEUED: behind the bottleneck */
};

struct verdict {
    uint64_t index;  /* of the packet, from 0 */
    uint64_t draw;   /* its place in the streams of random numbers */
    uint32_t copies; /* 0: outcome says why */
    uint8_t outcome;
    bool reset; /* inject or flip, whichever is configured */
    struct fate copy[1 + CLUMSY_COPIES_MAX];
};

struct impair {
    uint64_t
        start; /* when the app started; set before the first configure, as is this: */
    struct bottleneck *bottleneck; /* the caller's; several may have it in common */

    /* compiled parameters */
    struct event duplicate, corrupt, reorder, spike, truncate, reset;
    struct random_key damage; /* of the bits of a packet: impair_damage_key */
    bool has_rate, queued, independent_jitter, any_order, overtaking, early, swap;
    bool netem_delays;
    bool dup_dup, exit_loss, resets;
    bool early_drops, alters; /* may do so: what cannot happen is not asked for */
    bool looks;               /* needs the frame, not just its length */
    bool usual;               /* impair_decide_usual will do */
    uint32_t extra;           /* copies of a duplicated packet */
    uint8_t bits;
    double ber;
    uint32_t truncate_to, mtu;
    uint64_t owd, spike_add, copy_delay, reset_at;
    double floor;
    int64_t gap;
    uint32_t depth; /* for IMPAIR_HELD */
    uint64_t hold;
    struct capture_filter reset_match;
    bool reset_filtered;

    /* state */
    uint64_t index;        /* of the next packet */
    uint64_t last;         /* latest release in order */
    uint64_t floor_hits;   /* delays raised to the floor */
    int64_t since_reorder; /* packets in order since the last that was not */
    struct identity identity;
    struct outage outage;
    struct pattern pattern;
    struct loss loss;
    struct jitter jitter;
    struct netem netem;
    struct trace trace;
    struct trace_conf trace_conf;  /* that trace was loaded from */
    struct trace_values described; /* by the trace, for the last packet */
    struct random_key loss_key;
    struct tally streams,
        reset_done; /* rst.at: initial sequence numbers, and where it was */
};

/* What is known of a packet. */
struct subject {
    uint64_t arrival;
    uint32_t length;
    const struct frame *frame; /* may be NULL unless impair->looks */
};

/* impair is all zeros at first, but for start and bottleneck; conf has passed clumsy_verify.
 * -errno with a message when a file has gone or memory is out; impair is then usable, without
 * what that was for. */
int impair_configure(struct impair *impair, const struct clumsy_conf *conf, uint64_t seed,
                     const char *name, struct error *err);
void impair_own(struct impair *impair, const struct clumsy_conf *conf);
void impair_queue(struct impair *impair, bool queued);
void impair_free(struct impair *impair);

void impair_decide(struct impair *impair, const struct subject *subject,
                   struct verdict *verdict);

/* The same for the usual packet, while impair->usual says that nobody looks into packets, alters
 * or multiplies them: the outcome, and what becomes of it. */
uint8_t impair_decide_usual(struct impair *impair, uint64_t arrival, uint32_t length,
                            uint64_t *index, struct fate *fate);

/* fate says when and how the copy leaves that was in the queue until start. */
void impair_propagate(struct impair *impair, uint64_t start, uint64_t draw, uint32_t copy,
                      struct fate *fate);

/* The stream of random numbers for the bits of one copy. */
struct random_key impair_damage_key(const struct impair *impair, uint64_t draw,
                                    uint32_t copy);
