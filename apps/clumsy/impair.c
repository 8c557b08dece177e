/* impair: what happens to each packet, decided from numbers alone. */
#include "apps/clumsy/impair.h"

#include <math.h>

#define ETHERNET_HEADER 14

static const char *const purposes[PURPOSES] = {
    [PURPOSE_LOSS] = "loss",           [PURPOSE_LOSS_STATE] = "loss-state",
    [PURPOSE_DUPLICATE] = "duplicate", [PURPOSE_CORRUPT] = "corrupt",
    [PURPOSE_BITS] = "bits",           [PURPOSE_REORDER] = "reorder",
};

/* Every way to lose packets is the one chain; independent loss is a chain that does not
 * move. The state before the move decides (as in netem), so a run of losses in the
 * simple chain is as long as its stay in the bad state: 1/r packets on average. */
static void configure_loss(struct impair *impair, const struct loss_conf *conf)
{
    struct gemodel_conf ge = conf->gemodel;
    bool gemodel = ge.p > 0 || ge.r > 0;
    impair->chain = gemodel || (conf->burst > 0 && conf->p > 0 && conf->p < 1);
    impair->may_lose = impair->chain || conf->p > 0;
    if (!impair->chain) {
        impair->loss[0] = impair->loss[1] = random_threshold(conf->p);
        return;
    }
    if (!gemodel) {
        double r = 1 / conf->burst;
        ge = (struct gemodel_conf){ r * conf->p / (1 - conf->p), r, 1, 0 };
    }
    impair->loss[0] = random_threshold(ge.good);
    impair->loss[1] = random_threshold(ge.bad);
    impair->move[0] = random_threshold(ge.p);
    impair->move[1] = random_threshold(ge.r);
}

static void configure_reorder(struct impair *impair, const struct reorder_conf *conf)
{
    impair->overtaking = conf->p > 0;
    impair->reorder = random_threshold(conf->p);
    impair->early = conf->mode == REORDER_EARLY;
    impair->gap = conf->gap;
    impair->depth = conf->depth ? (uint32_t)conf->depth : UINT32_MAX;
    impair->hold = conf->hold;
}

static void configure_rate(struct impair *impair, const struct clumsy_conf *conf)
{
    impair->has_rate = conf->rate.rate;
    if (!impair->has_rate)
        return;
    struct bottleneck_conf bottleneck = {
        .rate = conf->rate.rate,
        .overhead = conf->rate.overhead,
        .wire = conf->rate.count == COUNT_WIRE,
        .limit = clumsy_queue_limit(conf),
    };
    bottleneck_configure(&impair->bottleneck, &bottleneck);
}

void impair_configure(struct impair *impair, const struct clumsy_conf *conf,
                      uint64_t seed, const char *name)
{
    for (int i = 0; i < PURPOSES; i++)
        impair->key[i] = random_key(seed, name, purposes[i]);
    configure_loss(impair, &conf->loss);
    impair->duplicate = random_threshold(conf->duplicate.p);
    impair->extra = (uint32_t)conf->duplicate.copies;
    impair->corrupt = random_threshold(conf->corrupt.p);
    impair->bits = (uint8_t)conf->corrupt.bits;
    configure_rate(impair, conf);
    impair->owd = conf->owd;
    jitter_configure(&impair->jitter, &conf->jitter, seed, name);
    impair->independent_jitter = conf->jitter.mode != JITTER_PROCESS;
    impair->any_order = conf->jitter.mode == JITTER_REORDER && impair->jitter.scale > 0;
    impair->floor = (double)conf->jitter.floor;
    configure_reorder(impair, &conf->reorder);
}

void impair_free(struct impair *impair)
{
    bottleneck_free(&impair->bottleneck);
}

/* What never happens is not drawn for. */
static bool chance(const struct impair *impair, enum impair_purpose purpose,
                   uint64_t index, struct random_threshold threshold)
{
    return threshold.below && random_chance(&impair->key[purpose], index, threshold);
}

static bool lost(struct impair *impair, uint64_t index)
{
    bool bad = impair->bad;
    if (impair->chain)
        impair->bad ^= chance(impair, PURPOSE_LOSS_STATE, index, impair->move[bad]);
    return chance(impair, PURPOSE_LOSS, index, impair->loss[bad]);
}

/* Copies of one packet draw from places far apart in the same stream; the original is
 * where it would be without them. */
static uint64_t draw_index(uint64_t index, uint32_t copy)
{
    return index | (uint64_t)copy << 56;
}

static uint64_t delay(struct impair *impair, uint64_t start, uint64_t draw)
{
    if (impair->jitter.scale == 0)
        return impair->owd;
    double extra = impair->independent_jitter ? jitter_draw(&impair->jitter, draw)
                                              : jitter_at(&impair->jitter, start);
    double sum = (double)impair->owd + extra;
    if (sum < impair->floor) {
        sum = impair->floor;
        impair->floor_hits++;
    }
    return (uint64_t)llrint(sum);
}

/* Is this one taken out of order? */
static bool overtakes(struct impair *impair, uint64_t draw)
{
    if (!impair->overtaking)
        return false;
    if (++impair->since_reorder < impair->gap ||
        !chance(impair, PURPOSE_REORDER, draw, impair->reorder))
        return false;
    impair->since_reorder = 0;
    return true;
}

/* start: when the packet has left the bottleneck. */
static void propagate(struct impair *impair, uint64_t start, uint64_t draw,
                      struct fate *fate)
{
    bool overtaking = overtakes(impair, draw);
    if (overtaking && impair->early) {
        fate->release = start;
        fate->order = IMPAIR_ANY_ORDER;
        return;
    }
    fate->release = start + delay(impair, start, draw);
    fate->order = overtaking          ? IMPAIR_HELD
                  : impair->any_order ? IMPAIR_ANY_ORDER
                                      : IMPAIR_IN_ORDER;
    if (impair->any_order)
        return;
    if (fate->release < impair->last)
        fate->release = impair->last;
    impair->last = fate->release;
}

static void decide_copy(struct impair *impair, uint64_t arrival, uint32_t length,
                        uint64_t draw, struct fate *fate)
{
    uint64_t start = arrival;
    bool corrupt = chance(impair, PURPOSE_CORRUPT, draw, impair->corrupt);
    fate->bits = corrupt && length > ETHERNET_HEADER ? impair->bits : 0;
    fate->refused = impair->has_rate &&
                    !bottleneck_pass(&impair->bottleneck, arrival, length, &start);
    if (!fate->refused)
        propagate(impair, start, draw, fate);
}

void impair_decide(struct impair *impair, uint64_t arrival, uint32_t length,
                   struct verdict *verdict)
{
    uint64_t index = impair->index++;
    verdict->index = index;
    verdict->copies = 0;
    if (impair->may_lose && lost(impair, index))
        return;
    bool duplicate = chance(impair, PURPOSE_DUPLICATE, index, impair->duplicate);
    verdict->copies = 1 + (duplicate ? impair->extra : 0);
    for (uint32_t i = 0; i < verdict->copies; i++)
        decide_copy(impair, arrival, length, draw_index(index, i), &verdict->copy[i]);
}

/* Draw number n of a stream of this copy's own, scaled to 0..below-1. */
static uint32_t position(const struct random_key *key, uint32_t n, uint32_t below)
{
    return (uint32_t)((unsigned __int128)random_draw(key, n) * below >> 64);
}

static bool contains(const uint32_t *bits, uint32_t n, uint32_t bit)
{
    while (n--)
        if (bits[n] == bit)
            return true;
    return false;
}

/* R. Floyd's sampling: a set of n of `have` bits, all sets equally likely, in n draws. */
uint32_t impair_bits(const struct impair *impair, uint64_t index, uint32_t copy,
                     uint32_t length, uint32_t n, uint32_t *bits)
{
    const struct random_key *parent = &impair->key[PURPOSE_BITS];
    struct random_key key = { random_draw(parent, draw_index(index, copy)), parent->b };
    uint32_t first = 8 * ETHERNET_HEADER;
    uint32_t have = length > ETHERNET_HEADER ? 8 * length - first : 0;
    n = n < have ? n : have;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t highest = have - n + i, bit = position(&key, i, highest + 1);
        bits[i] = first + (contains(bits, i, first + bit) ? highest : bit);
    }
    return n;
}
