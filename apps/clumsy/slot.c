/* slot: packets that are ready wait for the next slot. */
#include "apps/clumsy/slot.h"

#include <errno.h>
#include <math.h>

#define SHORTEST 1000 /* ns between slots: a draw below is raised */
#define MANY     1000 /* slots without a packet: where the law's variance no longer matters */

int slot_verify(const struct slot_conf *conf, struct error *err)
{
    bool law = conf->delay || conf->sd || conf->dist != DIST_AUTO;
    if (law && (conf->min || conf->max))
        return error_set(
            err, ERROR_CONFIG, EINVAL,
            "slot: min and max (uniform) and delay, sd and dist exclude each "
            "other");
    if (law && !conf->delay)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "slot.delay is required by sd and dist");
    if (conf->dist == DIST_TABLE)
        return error_set(err, ERROR_CONFIG, EINVAL, "slot.dist: not a table");
    if (conf->max && conf->max < conf->min)
        return error_set(err, ERROR_CONFIG, EINVAL, "slot.max: is below min");
    if ((conf->packets || conf->bytes) && !conf->min && !conf->max && !conf->delay)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "slot: no time between slots: set min");
    return 0;
}

void slot_configure(struct slot *slot, const struct slot_conf *conf, uint64_t seed,
                    const char *name, uint64_t start)
{
    bool before = slot->active;
    slot->conf = *conf;
    if (slot->conf.max < slot->conf.min)
        slot->conf.max = slot->conf.min;
    slot->active = slot->conf.max || slot->conf.delay;
    slot->key = random_key(seed, name, "slot");
    if (conf->delay)
        distribution_configure(&slot->law,
                               conf->dist == DIST_AUTO ? DIST_NORMAL : conf->dist, 0,
                               NULL, false, NULL);
    if (slot->active && !before) {
        slot->opens = start;
        slot->packets = slot->bytes = UINT32_MAX;
    }
}

void slot_free(struct slot *slot)
{
    distribution_free(&slot->law);
}

static uint64_t gap(const struct slot *slot, uint64_t index)
{
    const struct slot_conf *conf = &slot->conf;
    double ns = (double)conf->min +
                random_unit(&slot->key, index) * (double)(conf->max - conf->min);
    if (conf->delay)
        ns = (double)conf->delay +
             (double)conf->sd *
                 distribution_at(&slot->law, random_normal(&slot->key, index));
    return (uint64_t)llrint(fmax(ns, SHORTEST));
}

/* Over a long silence the empty slots are not drawn one by one. */
static void skip(struct slot *slot, uint64_t ready)
{
    double mean = slot->conf.delay ? (double)slot->conf.delay
                                   : (double)(slot->conf.min + slot->conf.max) / 2;
    double slots = (double)(ready - slot->opens) / fmax(mean, SHORTEST);
    if (slots < 2 * MANY)
        return;
    slot->number += (uint64_t)slots - MANY;
    slot->opens += (uint64_t)((slots - MANY) * fmax(mean, SHORTEST));
}

uint64_t slot_ready(struct slot *slot, uint64_t ready, uint32_t length)
{
    const struct slot_conf *conf = &slot->conf;
    if (ready > slot->opens)
        skip(slot, ready);
    while (ready > slot->opens ||
           (conf->packets && slot->packets >= (uint64_t)conf->packets) ||
           (conf->bytes && slot->packets && slot->bytes + length > conf->bytes)) {
        slot->opens += gap(slot, slot->number++);
        slot->packets = slot->bytes = 0;
    }
    return slot->opens;
}
