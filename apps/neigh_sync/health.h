/* health: is the work being done?
 *
 *   health_look   now and then, at any distance
 *
 * Unhealthy without Redis or the kernel, and when work waits and nothing of it was done for
 * HEALTH_STALL: an idle network has no events for hours, so it is not events that are missed.
 * Degraded when more than one command in twenty failed during the last minute, of at least a
 * hundred.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define HEALTH_STALL   10000000000ull /* ns */
#define HEALTH_SLOTS   12
#define HEALTH_SLOT    5000000000ull /* ns: a minute in all */
#define HEALTH_MINIMUM 100           /* commands, to speak of a rate */

enum health_status { HEALTH_UNHEALTHY = 0, HEALTH_DEGRADED = 50, HEALTH_HEALTHY = 100 };

/* All zeros at first. */
struct health {
    uint64_t done, progress_at;
    uint64_t slot_at;
    struct {
        uint64_t failed, done;
    } slots[HEALTH_SLOTS], last;
    unsigned slot;
};

struct health_facts {
    bool connected;  /* to Redis and the kernel */
    bool waiting;    /* there is work */
    uint64_t done;   /* commands that Redis took, since the start */
    uint64_t failed; /* ... and those that it did not */
};

enum health_status health_look(struct health *health, const struct health_facts *facts,
                               uint64_t now);
