/* outage: times without a path.
 *
 *   outage_configure   what is down when, counted from the start of the app
 *   outage_at          is it down at a time?
 *   outage_over        when is it up again?
 *   outage_verify
 *
 *     now                      until somebody says otherwise, whatever the schedule is; what
 *                              comes is lost
 *     at, duration             once
 *     period and off or duty   up first, down at the end of each period
 *     on and off               up and down for times of a law each, up first
 *
 * A schedule under way goes on when parameters that are not its own change.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/clumsy/parameters.h"
#include "lib/sojourn.h"

struct outage {
    bool active, now, hold;
    uint64_t from, to; /* once; 0, 0: never */
    bool scheduled;
    struct sojourn up; /* its state says: up */
};

/* outage may be all zeros; start: when the app started. */
void outage_configure(struct outage *outage, const struct down_conf *conf, uint64_t seed,
                      const char *name, uint64_t start);
int outage_verify(const struct down_conf *conf, struct error *err);

/* Times do not go back (outage_over does not count). */
bool outage_at(struct outage *outage, uint64_t time);

/* The time itself, or the end of the outage of the schedule in which it is; UINT64_MAX: it has
 * none. */
uint64_t outage_over(struct outage *outage, uint64_t time);
