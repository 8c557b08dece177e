/* impair: what happens to each packet, decided from numbers alone.
 *
 *   impair_configure   set or change the parameters; no state is lost
 *   impair_decide      one packet: lost, or how many copies, each released when
 *   impair_bits        which bits of a copy are flipped
 *   impair_free
 *
 *     loss -> duplicate -> corrupt -> bottleneck -> propagation
 *                                     rate, queue   owd, jitter, reorder
 *
 * The order of the stages is fixed. With loss l and duplication d a packet arrives not at
 * all with probability l, once with (1-l)(1-d), and more often with (1-l)d. Copies share
 * the arrival and pass the later stages each for itself.
 *
 * A random decision is a function of seed, app name, purpose and the index of the packet
 * (lib/random.h), so that no stage disturbs another: other jitter does not lose other
 * packets. What has memory (the loss chain, the link's clock, the delay process, order)
 * lives here and outlasts a change of parameters.
 *
 * Unless a packet is taken out of order on purpose, it never leaves before one that came
 * before it, also when a change of parameters makes its own delay shorter.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/clumsy/bottleneck.h"
#include "apps/clumsy/jitter.h"
#include "apps/clumsy/parameters.h"
#include "lib/random.h"

enum impair_order {
    IMPAIR_IN_ORDER,  /* not before any other packet released in order so far */
    IMPAIR_ANY_ORDER, /* at its time */
    IMPAIR_HELD,      /* when `depth` later packets have left, or after `hold` */
};

/* What becomes of one copy. */
struct fate {
    uint64_t release; /* ns; IMPAIR_HELD: not before this */
    bool refused;     /* the queue was full: nothing else here has a meaning */
    uint8_t bits;     /* to flip: ask impair_bits which */
    uint8_t order;    /* enum impair_order */
};

struct verdict {
    uint64_t index;  /* of the packet, from 0 */
    uint32_t copies; /* 0: lost */
    struct fate copy[1 + CLUMSY_COPIES_MAX];
};

enum impair_purpose {
    PURPOSE_LOSS,
    PURPOSE_LOSS_STATE,
    PURPOSE_DUPLICATE,
    PURPOSE_CORRUPT,
    PURPOSE_BITS,
    PURPOSE_REORDER,
    PURPOSES,
};

struct impair {
    /* compiled parameters */
    struct random_key key[PURPOSES];
    struct random_threshold loss[2]; /* by state of the chain: good, bad */
    struct random_threshold move[2]; /* leave that state */
    struct random_threshold duplicate, corrupt, reorder;
    bool may_lose, chain, has_rate, independent_jitter, any_order, overtaking, early;
    uint32_t extra; /* copies of a duplicated packet */
    uint8_t bits;
    uint64_t owd;
    double floor;
    int64_t gap;
    uint32_t depth; /* for IMPAIR_HELD */
    uint64_t hold;

    /* state */
    uint64_t index;        /* of the next packet */
    uint64_t last;         /* latest release in order */
    uint64_t floor_hits;   /* delays raised to the floor */
    int64_t since_reorder; /* packets in order since the last that was not */
    bool bad;              /* state of the loss chain; it starts good */
    struct bottleneck bottleneck;
    struct jitter jitter;
};

/* impair is all zeros at first; conf has passed clumsy_verify. */
void impair_configure(struct impair *impair, const struct clumsy_conf *conf,
                      uint64_t seed, const char *name);
void impair_free(struct impair *impair);

/* A frame of length bytes that arrived at a time. */
void impair_decide(struct impair *impair, uint64_t arrival, uint32_t length,
                   struct verdict *verdict);

/* The n bits (at most CLUMSY_BITS_MAX) to flip in copy number copy of the packet: all
 * different, each any bit behind the Ethernet header with equal probability, bit 0 the
 * highest of the frame's first byte. Returns how many, fewer than n only when the frame
 * has fewer. */
uint32_t impair_bits(const struct impair *impair, uint64_t index, uint32_t copy,
                     uint32_t length, uint32_t n, uint32_t *bits);
