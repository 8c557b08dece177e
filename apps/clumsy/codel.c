/* codel: when to drop the oldest packet of a queue. */
#include "apps/clumsy/codel.h"

#include <math.h>

#define REMEMBERED 16 /* intervals for which the rate of drops is */

static uint64_t next_drop(uint64_t time, const struct codel_conf *conf, uint32_t count)
{
    return time + (uint64_t)((double)conf->interval / sqrt(count));
}

/* Have packets waited for too long, and that for an interval? */
static bool above(struct codel *codel, const struct codel_conf *conf, uint64_t now,
                  uint64_t sojourn, uint64_t left)
{
    if (sojourn < conf->target || left <= CODEL_MTU) {
        codel->first_above = 0;
        return false;
    }
    if (!codel->first_above) {
        codel->first_above = now + conf->interval;
        return false;
    }
    return now >= codel->first_above;
}

/* Soon after the last time it goes on with the drops per second that were enough then. */
static void enter(struct codel *codel, const struct codel_conf *conf, uint64_t now)
{
    uint32_t delta = codel->count - codel->last_count;
    bool soon =
        (int64_t)(now - codel->drop_next) < (int64_t)(REMEMBERED * conf->interval);
    codel->dropping = true;
    codel->count = delta > 1 && soon ? delta : 1;
    codel->last_count = codel->count;
    codel->drop_next = next_drop(now, conf, codel->count);
}

bool codel_drops(struct codel *codel, const struct codel_conf *conf, uint64_t now,
                 uint64_t sojourn, uint64_t left)
{
    if (!above(codel, conf, now, sojourn, left)) {
        codel->dropping = false;
        return false;
    }
    if (!codel->dropping) {
        enter(codel, conf, now);
        return true;
    }
    if (now < codel->drop_next)
        return false;
    codel->count++;
    codel->drop_next = next_drop(codel->drop_next, conf, codel->count);
    return true;
}
